"""REML estimates beside a posterior: the cross-check that applied readers ask for."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayesml.errors import FitError
from bayesml.posterior.components import variance_components
from bayesml.posterior.effect_distributions import require_normal_effects, require_one_covariance
from bayesml.posterior.fitted_rows import fitted_rows
from bayesml.posterior.likelihood_fits import maximise
from bayesml.posterior.predictor_terms import require_one_predictor
from bayesml.posterior.residual_fits import require_independent_residuals
from bayesml.posterior.summaries import interval_words, summary
from bayesml.records.fits import Fit

if TYPE_CHECKING:
    from bayesml.engines.linear_models import LinearModel


def compare_reml(fit: Fit, prob: float = 0.89) -> pd.DataFrame:
    """Set the posterior of a Gaussian fit beside its REML estimates.

    Coefficients and the residual SD should agree to a fraction of their posterior SD; the SD of a
    grouping of few units lies higher in the posterior, whose mean takes its long upper tail in.

    Parameters
    ----------
    fit : Fit
        Of a Gaussian outcome, with its rows (not saved with ``data=False``).
    prob : float
        Posterior probability of the equal-tailed interval.

    Returns
    -------
    DataFrame
        Indexed by `parameter` as `summary` is: `reml`, `se` (of coefficients), `mean`, `median`,
        `sd`, `lower`, `upper`, and `inside`, whether the REML estimate lies in the interval.
        Attributes: `prob`, `interval`, `notes` of the REML fit.

    Raises
    ------
    FitError
        The outcome is not Gaussian, the fit has no rows, or `prob` is not between 0 and 1.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> fit = bml.two_level(exam, "normexam ~ 1", group="school").fit()  # doctest: +SKIP
    >>> bml.compare_reml(fit)[["reml", "mean"]]  # doctest: +SKIP
    """
    if fit.facts.family != "gaussian" or fit.facts.link != "identity":
        raise FitError(
            f"compare_reml is for Gaussian outcomes, and this fit is {fit.facts.family} with link "
            f"{fit.facts.link}. Use bml.summary(fit)."
        )
    require_one_covariance(fit, "compare_reml", "bml.summary(fit)")
    require_normal_effects(fit, "compare_reml", "bml.summary(fit)")
    require_independent_residuals(fit.spec, "compare_reml", "Use bml.summary(fit).")
    require_one_predictor(fit.facts, "bml.compare_reml", "Use bml.summary(fit).")
    found = maximise(
        _arrays_of(fit),
        True,
        formula=fit.facts.formula,
        coefficients=fit.facts.coefficients,
        groupings=[
            (item.name, item.terms, item.blocks, list(fit.posterior[item.identifier].values))
            for item in fit.facts.groupings
        ],
    )
    table = summary(fit, prob=prob)
    components = variance_components(fit, prob=prob)
    estimates = dict(
        zip(
            [f"beta[{name}]" for name in found.coefficients["coef"]],
            found.coefficients["estimate"],
            strict=True,
        )
    )
    for row in components.itertuples():
        match = found.variance_components
        match = match[
            (match["grouping"] == row.grouping)
            & (match["term"] == row.term)
            & (match["term2"] == row.term2)
            & (match["parameter"] == row.parameter)
        ]
        estimates[_label(row)] = float(match["estimate"].iloc[-1])
    errors = dict(
        zip(
            [f"beta[{name}]" for name in found.coefficients["coef"]],
            found.coefficients["se"],
            strict=True,
        )
    )
    out = pd.DataFrame(
        {
            "reml": [estimates[label] for label in table.index],
            "se": [errors.get(label, np.nan) for label in table.index],
        },
        index=table.index,
    )
    out = out.join(table[["mean", "median", "sd", "lower", "upper"]])
    out["inside"] = (out["lower"] <= out["reml"]) & (out["reml"] <= out["upper"])
    out.attrs = {
        "prob": float(prob),
        "interval": interval_words(prob),
        "notes": list(found.notes),
    }
    return out


def _label(row: object) -> str:
    """Return the label that `summary` gives a variance component."""
    grouping, term, term2, parameter = (
        getattr(row, name) for name in ("grouping", "term", "term2", "parameter")
    )
    if not term:
        return "sigma"
    return f"{parameter}_{grouping}[{term}]" if not term2 else f"corr_{grouping}[{term}, {term2}]"


def _arrays_of(fit: Fit) -> "LinearModel":
    from bayesml.engines.linear_models import LinearModel
    from bayesml.engines.meetings import GroupingArrays

    rows = fitted_rows(fit, "compare_reml")
    return LinearModel(
        outcome=np.asarray(rows.outcome, dtype=float),
        offset=rows.offset,
        predictors=rows.predictors,
        intercept="Intercept" in fit.facts.coefficients,
        groupings=tuple(
            GroupingArrays(item.facts.units, item.index.astype(np.int64), item.weights, item.terms)
            for item in rows.groupings
        ),
        blocks=tuple(item.facts.blocks for item in rows.groupings),
    )
