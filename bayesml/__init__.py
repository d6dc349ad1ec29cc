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
    # models
    "two_level": "bayesml.records.builders",
    "three_level": "bayesml.records.builders",
    "cross_classified": "bayesml.records.builders",
    "multiple_membership": "bayesml.records.builders",
    "longitudinal": "bayesml.records.builders",
    "model": "bayesml.records.builders",
    "Model": "bayesml.records.modelling",
    # fits
    "Fit": "bayesml.records.fits",
    "load": "bayesml.records.fits",
    # what a fit says
    "diagnose": "bayesml.posterior.diagnosis",
    "summary": "bayesml.posterior.summaries",
    "variance_components": "bayesml.posterior.components",
    "vpc": "bayesml.posterior.partition",
    "icc": "bayesml.posterior.partition",
    "predict": "bayesml.posterior.predictions",
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
    from bayesml.posterior.components import variance_components as variance_components
    from bayesml.posterior.diagnosis import diagnose as diagnose
    from bayesml.posterior.partition import icc as icc
    from bayesml.posterior.partition import vpc as vpc
    from bayesml.posterior.predictions import predict as predict
    from bayesml.posterior.summaries import summary as summary
    from bayesml.records.builders import cross_classified as cross_classified
    from bayesml.records.builders import longitudinal as longitudinal
    from bayesml.records.builders import model as model
    from bayesml.records.builders import multiple_membership as multiple_membership
    from bayesml.records.builders import three_level as three_level
    from bayesml.records.builders import two_level as two_level
    from bayesml.records.fits import Fit as Fit
    from bayesml.records.fits import load as load
    from bayesml.records.modelling import Model as Model
    from bayesml.reporting.documents import report as report
    from bayesml.tables import describe as describe
    from bayesml.tables import read_table as read_table


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
