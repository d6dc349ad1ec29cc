"""Bayesian multilevel models: from a table, over readable PyMC code, to labelled results.

Every public function is an attribute of this package; the module that holds it is loaded when it
is first asked for, so `import bayesml` loads neither PyMC nor pandas.

Examples
--------
>>> import bayesml as bml
>>> exam = bml.load_dataset("exam")
>>> model = bml.two_level(exam, "normexam ~ standLRT", group="school")
>>> print(model.source)  # doctest: +SKIP
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_MODULE_OF = {
    # tables and data
    "load_dataset": "bayesml.datasets",
    "list_datasets": "bayesml.datasets",
    "read_table": "bayesml.tables",
    "describe": "bayesml.tables",
    "within_between": "bayesml.tables",
    "person_period": "bayesml.tables.person_periods",
    # models
    "two_level": "bayesml.records.builders",
    "three_level": "bayesml.records.builders",
    "cross_classified": "bayesml.records.builders",
    "multiple_membership": "bayesml.records.builders",
    "longitudinal": "bayesml.records.growth_builders",
    "multivariate": "bayesml.records.outcome_builders",
    "dyadic": "bayesml.records.outcome_builders",
    "with_partners": "bayesml.records.outcome_builders",
    "social_relations": "bayesml.records.social_builders",
    "with_dyads": "bayesml.records.social_builders",
    "twins": "bayesml.records.twin_builders",
    "with_relatedness": "bayesml.records.twin_builders",
    "model": "bayesml.records.builders",
    "Model": "bayesml.records.modelling",
    # fits
    "Fit": "bayesml.records.fits",
    "load": "bayesml.records.fits",
    # what a fit says
    "diagnose": "bayesml.posterior.diagnosis",
    "summary": "bayesml.posterior.summaries",
    "loo": "bayesml.posterior.leave_one_out",
    "logo": "bayesml.posterior.leave_group_out",
    "kfold": "bayesml.study.cross_validation",
    "calibration": "bayesml.study.calibrating",
    "compare": "bayesml.posterior.model_comparison",
    "sensitivity": "bayesml.posterior.prior_sensitivity",
    "variance_components": "bayesml.posterior.components",
    "vpc": "bayesml.posterior.partition",
    "icc": "bayesml.posterior.partition",
    "heritability": "bayesml.posterior.twin_shares",
    "social_relations_shares": "bayesml.posterior.relation_shares",
    "median_odds_ratio": "bayesml.posterior.median_ratios",
    "median_rate_ratio": "bayesml.posterior.median_ratios",
    "median_hazard_ratio": "bayesml.posterior.hazard_ratios",
    "hazard_ratio": "bayesml.posterior.hazard_ratios",
    "survival": "bayesml.posterior.survival_curves",
    "median_survival": "bayesml.posterior.survival_curves",
    "design_effect": "bayesml.posterior.group_measures",
    "reliability": "bayesml.posterior.group_measures",
    "r2": "bayesml.posterior.explained_variance",
    "predict": "bayesml.posterior.predictions",
    "hypothesis": "bayesml.posterior.hypotheses",
    "contrast": "bayesml.posterior.marginal_effects",
    "slopes": "bayesml.posterior.marginal_effects",
    "SignificanceRegion": "bayesml.posterior.significance_regions",
    "simple_slopes": "bayesml.posterior.interactions",
    "significance_region": "bayesml.posterior.significance_regions",
    "random_effects": "bayesml.posterior.unit_effects",
    "group_coefficients": "bayesml.posterior.unit_effects",
    "ranks": "bayesml.posterior.rankings",
    "comparative_intervals": "bayesml.posterior.unit_comparisons",
    "compare_units": "bayesml.posterior.unit_comparisons",
    "shrinkage": "bayesml.posterior.shrinkage_estimates",
    "pooling": "bayesml.posterior.pooling_estimates",
    "PoolingComparison": "bayesml.posterior.pooling_estimates",
    "variance_table": "bayesml.posterior.anova_tables",
    "shrinkage_plot": "bayesml.reporting.shrinkage_plots",
    "posterior_checks": "bayesml.posterior.predictive_checks",
    "unit_checks": "bayesml.posterior.unit_replications",
    "residuals": "bayesml.posterior.residual_draws",
    "influence": "bayesml.posterior.group_influence",
    "posterior_check_plot": "bayesml.reporting.check_plots",
    "outcome_plot": "bayesml.reporting.check_plots",
    "unit_check_plot": "bayesml.reporting.check_plots",
    "residual_plot": "bayesml.reporting.residual_plots",
    "influence_plot": "bayesml.reporting.residual_plots",
    "reml": "bayesml.posterior.likelihood_fits",
    "ml": "bayesml.posterior.likelihood_fits",
    "compare_reml": "bayesml.posterior.reml_comparison",
    "likelihood_ratio_test": "bayesml.posterior.likelihood_ratios",
    "report": "bayesml.reporting.documents",
    # errors
    "BayesmlError": "bayesml.errors",
    "TableError": "bayesml.errors",
    "SpecError": "bayesml.errors",
    "FormulaError": "bayesml.errors",
    "PriorError": "bayesml.errors",
    "TomlError": "bayesml.errors",
    "FitError": "bayesml.errors",
    "SamplingError": "bayesml.errors",
    "BayesmlWarning": "bayesml.errors",
}

__all__ = ["__version__", *_MODULE_OF]

if TYPE_CHECKING:  # the same names, for editors and type checkers
    from bayesml.datasets import list_datasets as list_datasets
    from bayesml.datasets import load_dataset as load_dataset
    from bayesml.errors import BayesmlError as BayesmlError
    from bayesml.errors import BayesmlWarning as BayesmlWarning
    from bayesml.errors import FitError as FitError
    from bayesml.errors import FormulaError as FormulaError
    from bayesml.errors import PriorError as PriorError
    from bayesml.errors import SamplingError as SamplingError
    from bayesml.errors import SpecError as SpecError
    from bayesml.errors import TableError as TableError
    from bayesml.errors import TomlError as TomlError
    from bayesml.posterior.anova_tables import variance_table as variance_table
    from bayesml.posterior.components import variance_components as variance_components
    from bayesml.posterior.diagnosis import diagnose as diagnose
    from bayesml.posterior.explained_variance import r2 as r2
    from bayesml.posterior.group_influence import influence as influence
    from bayesml.posterior.group_measures import design_effect as design_effect
    from bayesml.posterior.group_measures import reliability as reliability
    from bayesml.posterior.hazard_ratios import hazard_ratio as hazard_ratio
    from bayesml.posterior.hazard_ratios import median_hazard_ratio as median_hazard_ratio
    from bayesml.posterior.hypotheses import hypothesis as hypothesis
    from bayesml.posterior.interactions import simple_slopes as simple_slopes
    from bayesml.posterior.leave_group_out import logo as logo
    from bayesml.posterior.leave_one_out import loo as loo
    from bayesml.posterior.likelihood_fits import ml as ml
    from bayesml.posterior.likelihood_fits import reml as reml
    from bayesml.posterior.likelihood_ratios import likelihood_ratio_test as likelihood_ratio_test
    from bayesml.posterior.marginal_effects import contrast as contrast
    from bayesml.posterior.marginal_effects import slopes as slopes
    from bayesml.posterior.median_ratios import median_odds_ratio as median_odds_ratio
    from bayesml.posterior.median_ratios import median_rate_ratio as median_rate_ratio
    from bayesml.posterior.model_comparison import compare as compare
    from bayesml.posterior.partition import icc as icc
    from bayesml.posterior.partition import vpc as vpc
    from bayesml.posterior.pooling_estimates import PoolingComparison as PoolingComparison
    from bayesml.posterior.pooling_estimates import pooling as pooling
    from bayesml.posterior.predictions import predict as predict
    from bayesml.posterior.predictive_checks import posterior_checks as posterior_checks
    from bayesml.posterior.prior_sensitivity import sensitivity as sensitivity
    from bayesml.posterior.rankings import ranks as ranks
    from bayesml.posterior.relation_shares import (
        social_relations_shares as social_relations_shares,
    )
    from bayesml.posterior.reml_comparison import compare_reml as compare_reml
    from bayesml.posterior.residual_draws import residuals as residuals
    from bayesml.posterior.shrinkage_estimates import shrinkage as shrinkage
    from bayesml.posterior.significance_regions import SignificanceRegion as SignificanceRegion
    from bayesml.posterior.significance_regions import significance_region as significance_region
    from bayesml.posterior.summaries import summary as summary
    from bayesml.posterior.survival_curves import median_survival as median_survival
    from bayesml.posterior.survival_curves import survival as survival
    from bayesml.posterior.twin_shares import heritability as heritability
    from bayesml.posterior.unit_comparisons import comparative_intervals as comparative_intervals
    from bayesml.posterior.unit_comparisons import compare_units as compare_units
    from bayesml.posterior.unit_effects import group_coefficients as group_coefficients
    from bayesml.posterior.unit_effects import random_effects as random_effects
    from bayesml.posterior.unit_replications import unit_checks as unit_checks
    from bayesml.records.builders import cross_classified as cross_classified
    from bayesml.records.builders import model as model
    from bayesml.records.builders import multiple_membership as multiple_membership
    from bayesml.records.builders import three_level as three_level
    from bayesml.records.builders import two_level as two_level
    from bayesml.records.fits import Fit as Fit
    from bayesml.records.fits import load as load
    from bayesml.records.growth_builders import longitudinal as longitudinal
    from bayesml.records.modelling import Model as Model
    from bayesml.records.outcome_builders import dyadic as dyadic
    from bayesml.records.outcome_builders import multivariate as multivariate
    from bayesml.records.outcome_builders import with_partners as with_partners
    from bayesml.records.social_builders import social_relations as social_relations
    from bayesml.records.social_builders import with_dyads as with_dyads
    from bayesml.records.twin_builders import twins as twins
    from bayesml.records.twin_builders import with_relatedness as with_relatedness
    from bayesml.reporting.check_plots import outcome_plot as outcome_plot
    from bayesml.reporting.check_plots import posterior_check_plot as posterior_check_plot
    from bayesml.reporting.check_plots import unit_check_plot as unit_check_plot
    from bayesml.reporting.documents import report as report
    from bayesml.reporting.residual_plots import influence_plot as influence_plot
    from bayesml.reporting.residual_plots import residual_plot as residual_plot
    from bayesml.reporting.shrinkage_plots import shrinkage_plot as shrinkage_plot
    from bayesml.study.calibrating import calibration as calibration
    from bayesml.study.cross_validation import kfold as kfold
    from bayesml.tables import describe as describe
    from bayesml.tables import read_table as read_table
    from bayesml.tables import within_between as within_between
    from bayesml.tables.person_periods import person_period as person_period


def __getattr__(name: str) -> object:
    """Load a public name from its module when it is first asked for."""
    home = _MODULE_OF.get(name)
    if home is None:
        # `name` and `obj` let Python add "Did you mean ...?"
        raise AttributeError(
            f"module 'bayesml' has no attribute {name!r}", name=name, obj=sys.modules[__name__]
        )
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
