"""REML estimates beside a posterior: the cross-check that applied readers ask for."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayesml.design.residual_rows import ResidualRows
from bayesml.errors import FitError
from bayesml.posterior.effect_distributions import require_normal_effects, require_one_covariance
from bayesml.posterior.fitted_rows import fitted_rows
from bayesml.posterior.likelihood_fits import maximise
from bayesml.posterior.residual_fits import (
    labels_of_residuals,
    require_one_outcome,
    residual_record,
    residual_rows_of,
)
from bayesml.posterior.summaries import interval_words, summary
from bayesml.records.fits import Fit
from bayesml.specs.residual_correlations import ResidualCorrelation

if TYPE_CHECKING:
    from bayesml.engines.linear_models import LinearModel


def compare_reml(fit: Fit, prob: float = 0.89) -> pd.DataFrame:
    """Set the posterior of a Gaussian fit beside its REML estimates.

    Coefficients and the residual SD should agree to a fraction of their posterior SD; the SD of a
    grouping of few units lies higher in the posterior, whose mean takes its long upper tail in.
    Residuals may be correlated within units (`phi`, `corr_residual`), and `sigma` may have a
    formula whose predictors are groups of rows (`beta_sigma`).

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
        The outcome is not Gaussian, there are several, the fit has no rows, sigma varies over
        units or has a formula without an intercept, or `prob` is not between 0 and 1.

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
    require_one_outcome(fit.spec, "compare_reml", "Use bml.summary(fit).")
    arrays = _arrays_of(fit)

    def residual_rows(sigma: float, parameters: np.ndarray) -> list[tuple[str, str, str, float]]:
        return _residual_estimates(fit, arrays, sigma, parameters)

    found = maximise(
        arrays,
        True,
        residual_rows=residual_rows,
        formula=fit.facts.formula,
        coefficients=fit.facts.coefficients,
        groupings=[
            (item.name, item.terms, item.blocks, list(fit.posterior[item.identifier].values))
            for item in fit.facts.groupings
        ],
    )
    table = summary(fit, prob=prob)
    estimates = dict(
        zip(
            [f"beta[{name}]" for name in found.coefficients["coef"]],
            found.coefficients["estimate"],
            strict=True,
        )
    )
    for row in found.variance_components.itertuples():
        estimates[_label(row)] = float(str(row.estimate))
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
    labels = f"[{term}, {term2}]" if term2 else f"[{term}]" if term else ""
    if grouping != "residual":
        return f"{parameter}_{grouping}{labels}"
    names = {"sd": "sigma", "corr": "corr_residual"}
    return f"{names.get(parameter, parameter.replace('log ', 'beta_'))}{labels}"


def _arrays_of(fit: Fit) -> "LinearModel":
    from bayesml.engines.linear_models import LinearModel
    from bayesml.engines.marginal_models import reason_of_rows
    from bayesml.engines.meetings import GroupingArrays
    from bayesml.engines.residual_models import (
        classes_of_log_sd,
        classes_of_structure,
        has_a_constant,
    )

    rows = fitted_rows(fit, "compare_reml")
    record, residual, reason = residual_record(fit.spec), None, ""
    if record is not None:
        places = residual_rows_of(fit)
        bounds = None if record.bounds is None else record.bounds(places.largest)
        residual = classes_of_structure(
            record, places, len(labels_of_residuals(fit)), _gap(record, places), bounds
        )
    for part in fit.facts.parts:
        if any(item.places(part.parameter) for item in fit.facts.groupings):
            reason = f"{part.parameter} varies over units"
        elif not part.coefficients or not has_a_constant(rows.parts[part.parameter]):
            reason = f"the formula of {part.parameter} has no intercept"
        else:
            x = rows.parts[part.parameter]
            residual = classes_of_log_sd(x, part.coefficients[0] == "Intercept")
    arrays = LinearModel(
        outcome=np.asarray(rows.outcome, dtype=float),
        offset=rows.offset,
        predictors=rows.predictors,
        intercept="Intercept" in fit.facts.coefficients,
        groupings=tuple(
            GroupingArrays(item.facts.units, item.index.astype(np.int64), item.weights, item.terms)
            for item in rows.groupings
        ),
        blocks=tuple(item.facts.blocks for item in rows.groupings),
        residual=residual,
    )
    reason = reason or reason_of_rows(arrays)
    if reason:
        raise FitError(
            f"REML cannot take this model beside its posterior: {reason}. Use bml.summary(fit)."
        )
    return arrays


def _gap(record: ResidualCorrelation, rows: ResidualRows) -> float:
    """Return the distance at which the optimiser's correlation holds."""
    return rows.median_gap if record.at_median_gap else 1.0


def _residual_estimates(
    fit: Fit, arrays: "LinearModel", sigma: float, parameters: np.ndarray
) -> list[tuple[str, str, str, float]]:
    from bayesml.engines.residual_models import log_sd_estimates, structure_estimates

    record = residual_record(fit.spec)
    if arrays.residual is not None and record is not None:
        gap = _gap(record, residual_rows_of(fit))
        return structure_estimates(
            record, labels_of_residuals(fit), gap, arrays.residual.residuals, sigma, parameters
        )
    for part in fit.facts.parts:
        x = fitted_rows(fit, "compare_reml").parts[part.parameter]
        return log_sd_estimates(part.parameter, part.coefficients, x, sigma, parameters)
    return [("", "", "sd", float(sigma))]
