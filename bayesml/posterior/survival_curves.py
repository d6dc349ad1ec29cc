"""Survival curves and median survival of rows, for units known and new."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import pandas as pd

from bayesml.errors import FitError, quoted
from bayesml.posterior.group_strategies import Groups, shown_groups
from bayesml.posterior.linear_predictors import (
    PredictorBlock,
    flat_parameters,
    predictor_blocks,
)
from bayesml.posterior.replicated_rows import checked_seed
from bayesml.posterior.summaries import interval_words
from bayesml.posterior.survival_rows import (
    asked_rows,
    period_survival,
    require_durations,
)
from bayesml.quantities.row_summaries import summarise_rows
from bayesml.quantities.survival_probabilities import median_duration, survival_probability
from bayesml.records.fits import Fit
from bayesml.specs.censoring import UPPER

if TYPE_CHECKING:
    import xarray as xr

_POINTS = 26
_NUMBERS = ("mean", "median", "sd", "lower", "upper")


@overload
def survival(
    fit: Fit,
    new_data: object = ...,
    times: Sequence[float] | None = ...,
    groups: Groups | None = ...,
    *,
    at: Mapping[str, object] | None = ...,
    prob: float = ...,
    draws: Literal[False] = ...,
    seed: int | None = ...,
) -> pd.DataFrame: ...
@overload
def survival(
    fit: Fit,
    new_data: object = ...,
    times: Sequence[float] | None = ...,
    groups: Groups | None = ...,
    *,
    at: Mapping[str, object] | None = ...,
    prob: float = ...,
    draws: Literal[True],
    seed: int | None = ...,
) -> "xr.DataArray": ...
def survival(
    fit: Fit,
    new_data: object = None,
    times: Sequence[float] | None = None,
    groups: Groups | None = None,
    *,
    at: Mapping[str, object] | None = None,
    prob: float = 0.89,
    draws: bool = False,
    seed: int | None = None,
) -> "pd.DataFrame | xr.DataArray":
    """Return survival curves: the probability S(t) of lasting longer than t, for each row.

    The strategy `groups` is that of `predict`. ``"known"`` gives the curve of a unit of the fit,
    ``"population"`` that of a unit in the middle, ``"new"`` that of one new unit (its interval
    holds how much units differ), and ``"marginal"`` the average over units, E[S(t)] over
    u ~ N(0, Sigma), which is not the curve of the average unit.

    Parameters
    ----------
    fit : Fit
        Of a family of durations; or of a table that `person_period` made, with family "poisson"
        and ``exposure=`` (piecewise exponential) or "binomial" (discrete time).
    new_data : DataFrame, mapping of str to columns, or None
        Rows as `predict` takes them; of a table of periods those that `person_period` makes of the
        new rows. None is one row with every covariate at its mean over the rows.
    times : sequence of float, or None
        From 0 up. None is 26 times from 0 to the longest duration of the fit. Of a table of
        periods the times are the ends of its periods.
    groups : str or mapping of grouping to str
        The strategy, for all groupings or for each; it must be named where there are groupings.
    at : mapping of str to number or str, optional
        Without `new_data`: values of covariates that are not at their mean, as in `vpc`.
    prob : float
        Posterior probability of the equal-tailed interval.
    draws : bool
        Return the draws instead of a table.
    seed : int or None
        Seed of drawn units; None draws one.

    Returns
    -------
    DataFrame or DataArray
        A row per row of `new_data` (`row`) and time (`time`), with `mean`, `median`, `sd`,
        `lower`, `upper` of the probability. Attributes `groups`, `prob`, `interval`, and `at` or
        `seed` where they were used. The DataArray has the dims chain, draw, row, time.

    Raises
    ------
    FitError
        The family has no durations, or an argument cannot be used.
    TableError
        `new_data` lacks a column, or holds a value that the model does not know.

    Notes
    -----
    Averages over effects are integrated numerically (121 nodes). Austin (2017), A tutorial on
    multilevel survival analysis, doi:10.1111/insr.12214.

    Examples
    --------
    >>> import bayesml as bml
    >>> kidney = bml.load_dataset("kidney")
    >>> fit = bml.two_level(
    ...     kidney, "surv(time, status) ~ age + sex", group="id", family="weibull"
    ... ).fit()  # doctest: +SKIP
    >>> bml.survival(fit, {"age": [40, 40], "sex": [1, 2]}, groups="marginal")  # doctest: +SKIP
    """
    interval = interval_words(prob)
    seed = checked_seed(seed)
    asked = asked_rows(fit, new_data, at, groups, "bml.survival")
    attrs: dict[Any, Any] = {"groups": shown_groups(asked.strategies), **asked.attrs(seed)}
    if asked.periods is not None:
        if times is not None:
            raise FitError(
                "times is given, and this fit knows survival at the ends of periods only. Leave "
                "it out, or make new_data with person_period(..., cuts=...) at other times, if "
                "the model has them."
            )
        curves = period_survival(fit, asked, seed)
    else:
        curves = _curves(fit, asked.rows, _times(fit, times), seed)
    if draws:
        return _array(fit, curves, attrs)
    tables = []
    for row, found in curves:
        numbers = summarise_rows(np.stack([values for _, values in found]), prob)
        columns = {name: getattr(numbers, name) for name in _NUMBERS}
        place = {"row": row, "time": [time for time, _ in found]}
        tables.append(pd.DataFrame(place | columns))
    table = pd.concat(tables, ignore_index=True)
    table.attrs = attrs | {"prob": float(prob), "interval": interval}
    return table


# The curve of each row: its name, and times with draws of S(t).
Curves = list[tuple[Any, list[tuple[float, np.ndarray]]]]


def _curves(fit: Fit, rows: Any, times: np.ndarray, seed: int) -> Curves:
    durations, parameters = require_durations(fit, "bml.survival"), flat_parameters(fit)
    curves: Curves = []
    for block in predictor_blocks(fit, rows, seed):
        for number, row in enumerate(range(block.rows.start, block.rows.stop)):
            eta, variance = _one_row(block, number)
            found = [
                (float(t), survival_probability(durations, float(t), eta, parameters, variance))
                for t in times
            ]
            curves.append((rows.index[row], found))
    return curves


def _one_row(block: PredictorBlock, number: int) -> tuple[np.ndarray, np.ndarray | None]:
    if block.variance is None:
        return block.eta[number], None
    variance = np.broadcast_to(block.variance, block.eta.shape)
    return block.eta[number], variance[number]


def _times(fit: Fit, times: Sequence[float] | None) -> np.ndarray:
    if times is None:
        if "observed_data" not in fit.data.children:
            raise FitError(
                "times is not given, and this fit was saved without its rows (data=False), whose "
                "longest duration would be the last time. Give times, such as times=[0, 30, 90]."
            )
        longest = fit.data["observed_data"].to_dataset()[fit.facts.response_identifier].values
        constant = fit.data["constant_data"].to_dataset()
        if UPPER in constant:
            longest = np.maximum(longest, constant[UPPER].values)
        return np.linspace(0.0, float(longest.max()), _POINTS)
    found = np.atleast_1d(np.asarray(times, dtype=object))
    try:
        values = found.astype(float)
    except (TypeError, ValueError):
        values = np.array([np.nan])
    if values.ndim != 1 or not len(values) or not (np.isfinite(values) & (values >= 0)).all():
        raise FitError(f"times is {quoted(times)}. Give numbers from 0 up, such as [0, 30, 90].")
    return values


def _array(fit: Fit, curves: Curves, attrs: dict[Any, Any]) -> "xr.DataArray":
    import xarray as xr

    times = [time for time, _ in curves[0][1]]
    if any([time for time, _ in found] != times for _, found in curves):
        raise FitError(
            "The rows have periods of their own, so their draws do not fit one array. Ask for "
            "draws of rows with the same periods, or leave draws=True out."
        )
    sizes = fit.posterior.sizes
    values = np.stack([np.stack([one for _, one in found]) for _, found in curves])
    shaped = values.reshape(len(curves), len(times), sizes["chain"], sizes["draw"])
    return xr.DataArray(
        shaped.transpose(2, 3, 0, 1),
        coords={
            "chain": fit.posterior["chain"].values,
            "draw": fit.posterior["draw"].values,
            "row": [row for row, _ in curves],
            "time": times,
        },
        dims=["chain", "draw", "row", "time"],
        name="survival",
        attrs=attrs,
    )


def median_survival(
    fit: Fit,
    new_data: object = None,
    groups: Groups | None = None,
    *,
    at: Mapping[str, object] | None = None,
    prob: float = 0.89,
    seed: int | None = None,
) -> pd.DataFrame:
    """Return the median duration of rows: the time that half of them outlast.

    With ``groups="marginal"`` it is the time at which the survival curve averaged over units
    crosses a half, not the average of the units' medians.

    Parameters
    ----------
    fit : Fit
        Of a family of durations.
    new_data, groups, at, seed
        As in `survival`.
    prob : float
        Posterior probability of the equal-tailed interval.

    Returns
    -------
    DataFrame
        With the index of `new_data`: `mean`, `median`, `sd`, `lower`, `upper`, in the unit of the
        durations. Attributes `groups`, `prob`, `interval`, and `at` or `seed` where they were
        used.

    Raises
    ------
    FitError
        The family has no durations, or an argument cannot be used.

    Examples
    --------
    >>> import bayesml as bml
    >>> kidney = bml.load_dataset("kidney")
    >>> fit = bml.two_level(
    ...     kidney, "surv(time, status) ~ age + sex", group="id", family="weibull"
    ... ).fit()  # doctest: +SKIP
    >>> bml.median_survival(fit, {"age": [40, 40], "sex": [1, 2]}, "marginal")  # doctest: +SKIP
    """
    interval = interval_words(prob)
    seed = checked_seed(seed)
    durations = require_durations(fit, "bml.median_survival")
    asked = asked_rows(fit, new_data, at, groups, "bml.median_survival")
    parameters = flat_parameters(fit)
    parts = [
        summarise_rows(median_duration(durations, block.eta, parameters, block.variance), prob)
        for block in predictor_blocks(fit, asked.rows, seed)
    ]
    table = pd.DataFrame(
        {name: np.concatenate([getattr(part, name) for part in parts]) for name in _NUMBERS},
        index=asked.rows.index,
    )
    table.attrs = {
        "groups": shown_groups(asked.strategies),
        **asked.attrs(seed),
        "prob": float(prob),
        "interval": interval,
    }
    return table
