"""An interaction read: the slope of a predictor at values of a moderator."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import pandas as pd

from bayesml.design.columns import plain_frame
from bayesml.design.rows import numeric_column
from bayesml.errors import FitError, quoted
from bayesml.posterior.effect_rows import EffectRows, checked_variable, effect_rows, settings
from bayesml.posterior.effect_tables import heading
from bayesml.posterior.linear_predictors import flat_draws
from bayesml.posterior.marginal_effects import slope_ends
from bayesml.posterior.predictor_terms import refuse_nominal
from bayesml.posterior.summaries import interval_words
from bayesml.quantities.row_summaries import summarise_rows
from bayesml.records.fits import Fit
from bayesml.specs.category_effects import CATEGORY_SPECIFIC

if TYPE_CHECKING:
    import xarray as xr


@overload
def simple_slopes(
    fit: Fit,
    variable: str,
    moderator: str,
    values: Sequence[Any] | None = ...,
    *,
    new_data: object = ...,
    prob: float = ...,
    draws: Literal[False] = ...,
) -> pd.DataFrame: ...
@overload
def simple_slopes(
    fit: Fit,
    variable: str,
    moderator: str,
    values: Sequence[Any] | None = ...,
    *,
    new_data: object = ...,
    prob: float = ...,
    draws: Literal[True],
) -> "xr.DataArray": ...
def simple_slopes(
    fit: Fit,
    variable: str,
    moderator: str,
    values: Sequence[Any] | None = None,
    *,
    new_data: object = None,
    prob: float = 0.89,
    draws: bool = False,
) -> "pd.DataFrame | xr.DataArray":
    """Return the slope of a predictor at values of a moderator that it interacts with.

    The slope is that of the fixed part on the link scale, for a unit with effects of 0: with
    ``x * w`` it is beta_x + beta_xw w. Where it depends on further columns too (other interactions,
    powers) it is averaged over the rows.

    Parameters
    ----------
    fit : Fit
    variable : str
        Column of a numeric predictor, such as a pupil's score.
    moderator : str
        Column of a predictor in an interaction with it, such as a mean of the school.
    values : sequence, optional
        Values of the moderator; None is its mean minus an SD, its mean and its mean plus an SD over
        the rows, or its levels.
    new_data : DataFrame, optional
        Rows to average over; None is the fit's own rows.
    prob : float
        Posterior probability of the equal-tailed interval.
    draws : bool
        Return the draws instead of a table.

    Returns
    -------
    DataFrame or DataArray
        One row per value, in a column named after the moderator, with `mean`, `median`, `sd`,
        `lower`, `upper` of the slope and the `probability` that it is above 0. Attributes:
        `variable`, `moderator`, `groups` ("population"), `scale`, `prob`, `interval`.
        The DataArray has the dims chain, draw, value.

    Raises
    ------
    FitError
        A column is not a predictor, or the two do not interact.

    Notes
    -----
    Aiken & West (1991), Multiple regression: testing and interpreting interactions. Bauer & Curran
    (2005), doi:10.1207/s15327906mbr4003_5.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> model = bml.two_level(
    ...     exam, "normexam ~ standLRT * schavg", group="school", slopes=["standLRT"]
    ... )
    >>> bml.simple_slopes(model.fit(), "standLRT", "schavg")  # doctest: +SKIP
    """
    interval_words(prob)
    rows = interaction_rows(fit, variable, moderator, new_data)
    chosen = _default_values(rows, moderator) if values is None else list(values)
    if not chosen:
        raise FitError(f"values is empty. Give values of {quoted(moderator)}, or leave it out.")
    if checked_variable(rows, moderator, "moderator"):
        settings(rows, {moderator: chosen})
    weights = np.stack([slope_weights(rows, variable, moderator, value) for value in chosen])
    check_interaction(rows, variable, moderator, weights)
    if draws:
        import xarray as xr

        slopes = fit.coefficient_draws @ weights.T
        coords = {
            "chain": fit.posterior["chain"].values,
            "draw": fit.posterior["draw"].values,
            "value": chosen,
        }
        return xr.DataArray(slopes, coords=coords, dims=list(coords), name="slope")
    return slope_table(rows, variable, moderator, chosen, weights, prob)


def interaction_rows(fit: Fit, variable: str, moderator: str, new_data: object) -> EffectRows:
    """Return the rows over which slopes are averaged.

    Raises
    ------
    FitError
        A column is not a predictor or has category-specific effects, `variable` holds labels, or
        the two are one.
    """
    instead = "Use bml.slopes(fit, ..., at=...)."
    refuse_nominal(fit.facts, "A slope at values of a moderator", instead)
    chosen = {item.name: "population" for item in fit.facts.groupings}
    rows = effect_rows(fit, new_data, chosen, "linear", 0)
    if not checked_variable(rows, variable, "variable"):
        raise FitError(
            f"variable is {quoted(variable)}, which holds labels and has no slope. Use bml.contrast"
            f"(fit, {variable!r}, at={{{moderator!r}: [...]}})."
        )
    checked_variable(rows, moderator, "moderator")
    if variable == moderator:
        raise FitError(
            f"variable and moderator are both {quoted(variable)}. For the slope at several values "
            f"use bml.slopes(fit, {variable!r}, at={{{variable!r}: [...]}})."
        )
    specific = rows.stored.parts.get(CATEGORY_SPECIFIC)
    columns = () if specific is None else [coding.column for coding in specific.codings]
    for name in (variable, moderator):
        if name in columns:
            raise FitError(
                f"{quoted(name)} stands in cs(), where every cutpoint has a slope of its own. Use "
                f"bml.slopes(fit, {variable!r}, at={{{moderator!r}: [...]}}, kind='linear')."
            )
    return rows


def _default_values(rows: EffectRows, moderator: str) -> list[Any]:
    if not checked_variable(rows, moderator, "moderator"):
        return list(rows.stored.levels(moderator))
    values = moderator_values(rows, moderator)
    mean, sd = float(values.mean()), float(values.std(ddof=1))
    return [mean - sd, mean, mean + sd]


def moderator_values(rows: EffectRows, moderator: str) -> np.ndarray:
    """Return the values of a numeric moderator in the rows, without missing ones.

    Raises
    ------
    TableError
        The rows have no such column, or it holds no numbers.
    """
    frame = plain_frame(rows.frame, {moderator: "moderator"})
    values = numeric_column(frame, moderator, "The moderator")
    return values[np.isfinite(values)]


def slope_weights(rows: EffectRows, variable: str, moderator: str, value: object) -> np.ndarray:
    """Return the weights of the coefficients in the slope, shape (coefficients,)."""
    setting = {moderator: value}
    below, above = slope_ends(rows, variable, setting)
    low = rows.having({**setting, variable: below}).fixed
    high = rows.having({**setting, variable: above}).fixed
    return ((high - low) / (above - below)[:, None]).mean(axis=0)


def same_weights(weights: np.ndarray, others: np.ndarray) -> bool:
    """Whether weights of shape (values, coefficients) are the same but for the difference quotient.

    Each coefficient has a unit of its own, so each is compared with its own largest weight.
    """
    size = np.maximum(np.abs(weights), np.abs(others)).max(axis=0)
    return bool((np.abs(weights - others) <= 1e-6 * size).all())


def check_interaction(rows: EffectRows, variable: str, moderator: str, weights: np.ndarray) -> None:
    """Raise where the slope is the same at every value of the moderator.

    Raises
    ------
    FitError
        The fixed part has no interaction of the two.
    """
    if len(weights) > 1 and same_weights(weights, weights[0]):
        raise FitError(
            f"The slope of {quoted(variable)} is the same at every value of {quoted(moderator)}: "
            f"the fixed part {quoted(rows.fit.spec.fixed)} has no interaction of the two. Fit the "
            f"model with {variable} * {moderator}, or use bml.slopes(fit, {variable!r})."
        )


def slope_table(
    rows: EffectRows,
    variable: str,
    moderator: str,
    values: Sequence[Any],
    weights: np.ndarray,
    prob: float,
) -> pd.DataFrame:
    """Return the slopes at values of the moderator, of weights of shape (values, coefficients)."""
    slopes = weights @ flat_draws(rows.fit, "beta").T
    numbers = summarise_rows(slopes, prob)
    table = pd.DataFrame(
        {
            heading(moderator): values,
            "mean": numbers.mean,
            "median": numbers.median,
            "sd": numbers.sd,
            "lower": numbers.lower,
            "upper": numbers.upper,
            "probability": (slopes > 0).mean(axis=-1),
        }
    )
    table.attrs = {
        "variable": variable,
        "moderator": moderator,
        "groups": "population",
        "scale": f"link ({rows.fit.spec.link})",
        "prob": float(prob),
        "interval": interval_words(prob),
    }
    return table
