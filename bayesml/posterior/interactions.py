"""An interaction read: the slope of a predictor along a moderator, and where it is not near 0."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from bayesml.design.rows import numeric_column
from bayesml.errors import FitError, quoted
from bayesml.posterior.effect_rows import EffectRows, checked_variable, effect_rows, settings
from bayesml.posterior.effect_tables import heading
from bayesml.posterior.linear_predictors import flat_draws
from bayesml.posterior.marginal_effects import slope_ends
from bayesml.posterior.summaries import interval_words
from bayesml.quantities.row_summaries import summarise_rows
from bayesml.records.fits import Fit

# Points of the moderator at which intervals are computed before ends of regions are refined.
_POINTS = 201
# Points where the slope is no straight line along the moderator.
_CURVED_POINTS = 41
_BISECTIONS = 40


@dataclass(frozen=True, eq=False)
class SignificanceRegion:
    """Where along a moderator the slope of a predictor differs from 0. Print it.

    Parameters
    ----------
    variable, moderator : str
    regions : DataFrame
        One row per stretch of the moderator's range in which the interval of the slope leaves out
        0: `from`, `to` (in the moderator's unit), `sign` (1 or -1), `rows`, the share of the rows
        that lie in it.
    crossing : DataFrame or None
        One row: the posterior of the moderator's value at which the slope is 0, as `median`,
        `lower`, `upper`, and `inside`, the probability that it lies within the observed range.
        None where the slope is no straight line along the moderator.
    table : DataFrame
        The slope along the moderator: its value, `mean`, `median`, `sd`, `lower`, `upper`, and
        `probability`, that of a slope above 0.
    """

    variable: str
    moderator: str
    regions: pd.DataFrame
    crossing: pd.DataFrame | None
    table: pd.DataFrame

    def __str__(self) -> str:
        interval = self.table.attrs["interval"]
        low, high = self.table[heading(self.moderator)].iloc[[0, -1]]
        head = (
            f"Slope of {self.variable} along {self.moderator}, observed from {low:.4g} to "
            f"{high:.4g} ({interval}, link scale):"
        )
        lines = [
            f"- {'above' if sign > 0 else 'below'} 0 for {self.moderator} from {start:.4g} to "
            f"{stop:.4g}, {100 * share:.0f} % of the rows"
            for start, stop, sign, share in self.regions.to_numpy(dtype=float).tolist()
        ]
        if not lines:
            lines = ["- nowhere does the interval leave out 0"]
        if self.crossing is not None:
            found = self.crossing.iloc[0]
            lines.append(
                f"- it is 0 at {self.moderator} = {found['median']:.4g} (median; {interval} "
                f"{found['lower']:.4g} to {found['upper']:.4g}); with probability "
                f"{found['inside']:.2f} within the observed range"
            )
        return "\n".join([head, *lines])

    def __repr__(self) -> str:
        return f"<bayesml SignificanceRegion: {self.variable} along {self.moderator}>"

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def simple_slopes(
    fit: Fit,
    variable: str,
    moderator: str,
    values: Sequence[Any] | None = None,
    *,
    new_data: object = None,
    prob: float = 0.89,
) -> pd.DataFrame:
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

    Returns
    -------
    DataFrame
        One row per value, in a column named after the moderator, with `mean`, `median`, `sd`,
        `lower`, `upper` of the slope and the `probability` that it is above 0. Attributes:
        `variable`, `moderator`, `groups` ("population"), `scale`, `prob`, `interval`.

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
    rows = _rows(fit, variable, moderator, new_data)
    chosen = _default_values(rows, moderator) if values is None else list(values)
    if not chosen:
        raise FitError(f"values is empty. Give values of {quoted(moderator)}, or leave it out.")
    if checked_variable(rows, moderator, "moderator"):
        settings(rows, {moderator: chosen})
    weights = np.stack([_slope_weights(rows, variable, moderator, value) for value in chosen])
    _check_interaction(rows, variable, moderator, weights)
    return _table(rows, variable, moderator, chosen, weights, prob)


def significance_region(
    fit: Fit,
    variable: str,
    moderator: str,
    *,
    new_data: object = None,
    prob: float = 0.89,
) -> SignificanceRegion:
    """Return where along a moderator the slope of a predictor differs from 0 (Johnson-Neyman).

    At each value of the moderator within its observed range the slope has a posterior; the region
    is where its equal-tailed interval leaves out 0. The value at which the slope itself is 0,
    -beta_x / beta_xw with ``x * w``, has a posterior too.

    Parameters
    ----------
    fit : Fit
    variable : str
        Column of a numeric predictor.
    moderator : str
        Column of a numeric predictor that it interacts with.
    new_data : DataFrame, optional
        Rows to average over; None is the fit's own rows.
    prob : float
        Posterior probability of the equal-tailed interval. The intervals hold for each value of
        the moderator alone, not for all at once.

    Returns
    -------
    SignificanceRegion
        With `regions`, `crossing` and `table`; prints as text.

    Raises
    ------
    FitError
        A column is not a numeric predictor, or the two do not interact.

    Notes
    -----
    Johnson & Neyman (1936); Bauer & Curran (2005), doi:10.1207/s15327906mbr4003_5, for multilevel
    models.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> model = bml.two_level(
    ...     exam, "normexam ~ standLRT * schavg", group="school", slopes=["standLRT"]
    ... )
    >>> print(bml.significance_region(model.fit(), "standLRT", "schavg"))  # doctest: +SKIP
    """
    interval_words(prob)
    rows = _rows(fit, variable, moderator, new_data)
    if not checked_variable(rows, moderator, "moderator"):
        raise FitError(
            f"moderator is {quoted(moderator)}, which holds labels and has no range. Use "
            f"bml.simple_slopes(fit, {variable!r}, {moderator!r})."
        )
    low, high = rows.stored.ranges[moderator]
    ends = np.stack(
        [_slope_weights(rows, variable, moderator, w) for w in (low, (low + high) / 2, high)]
    )
    _check_interaction(rows, variable, moderator, ends)
    straight = bool(np.allclose(ends[1], (ends[0] + ends[2]) / 2, rtol=1e-6, atol=1e-8))
    points = np.linspace(low, high, _POINTS if straight else _CURVED_POINTS)
    if straight:
        share = ((points - low) / (high - low))[:, None]
        weights = (1 - share) * ends[0] + share * ends[2]
    else:
        weights = np.stack([_slope_weights(rows, variable, moderator, w) for w in points])
    beta = flat_draws(fit, "beta").T
    regions = _regions(rows, moderator, points, weights, beta, prob)
    crossing = _crossing(low, high, ends, beta, prob) if straight else None
    table = _table(rows, variable, moderator, points.tolist(), weights, prob)
    return SignificanceRegion(variable, moderator, regions, crossing, table)


def _rows(fit: Fit, variable: str, moderator: str, new_data: object) -> EffectRows:
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
    return rows


def _default_values(rows: EffectRows, moderator: str) -> list[Any]:
    if not checked_variable(rows, moderator, "moderator"):
        return list(rows.stored.levels(moderator))
    values = numeric_column(rows.frame, moderator, "The moderator")
    mean, sd = float(values.mean()), float(values.std(ddof=1))
    return [mean - sd, mean, mean + sd]


def _slope_weights(rows: EffectRows, variable: str, moderator: str, value: object) -> np.ndarray:
    """Return the weights of the coefficients in the slope, shape (coefficients,)."""
    setting = {moderator: value}
    below, above = slope_ends(rows, variable, setting)
    low = rows.having({**setting, variable: below}).fixed
    high = rows.having({**setting, variable: above}).fixed
    weights = ((high - low) / (above - below)[:, None]).mean(axis=0)
    # What is left of columns that do not depend on the variable is rounding.
    return np.where(np.abs(weights) < 1e-9 * np.abs(weights).max(initial=0.0), 0.0, weights)


def _check_interaction(
    rows: EffectRows, variable: str, moderator: str, weights: np.ndarray
) -> None:
    if len(weights) > 1 and np.allclose(weights, weights[0], rtol=1e-6, atol=1e-9):
        raise FitError(
            f"The slope of {quoted(variable)} is the same at every value of {quoted(moderator)}: "
            f"the fixed part {quoted(rows.fit.spec.fixed)} has no interaction of the two. Fit the "
            f"model with {variable} * {moderator}, or use bml.slopes(fit, {variable!r})."
        )


def _table(
    rows: EffectRows,
    variable: str,
    moderator: str,
    values: Sequence[Any],
    weights: np.ndarray,
    prob: float,
) -> pd.DataFrame:
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


def _signs(weights: np.ndarray, beta: np.ndarray, prob: float) -> np.ndarray:
    """Return 1 or -1 where the interval of the slope is above or below 0, else 0."""
    numbers = summarise_rows(weights @ beta, prob)
    return (numbers.lower > 0).astype(int) - (numbers.upper < 0).astype(int)


def _regions(
    rows: EffectRows,
    moderator: str,
    points: np.ndarray,
    weights: np.ndarray,
    beta: np.ndarray,
    prob: float,
) -> pd.DataFrame:
    signs = _signs(weights, beta, prob)
    starts = np.flatnonzero(np.diff(signs, prepend=signs[0] + 1)).tolist()
    column = numeric_column(rows.frame, moderator, "The moderator")
    found = []
    for number, start in enumerate(starts):
        stop = starts[number + 1] if number + 1 < len(starts) else len(points)
        if signs[start] == 0:
            continue
        low = points[start]
        if start > 0:
            low = _end(points, weights, beta, prob, start, start - 1)
        high = points[stop - 1]
        if stop < len(points):
            high = _end(points, weights, beta, prob, stop - 1, stop)
        share = float(((column >= low) & (column <= high)).mean())
        found.append((float(low), float(high), int(signs[start]), share))
    return pd.DataFrame(found, columns=["from", "to", "sign", "rows"])


def _end(
    points: np.ndarray,
    weights: np.ndarray,
    beta: np.ndarray,
    prob: float,
    inside: int,
    outside: int,
) -> float:
    """Return the end of a region between two points, by bisection."""
    sign = _signs(weights[[inside]], beta, prob)[0]
    near, far = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (near + far) / 2
        between = (1 - middle) * weights[inside] + middle * weights[outside]
        if _signs(between[None], beta, prob)[0] == sign:
            near = middle
        else:
            far = middle
    return float((1 - near) * points[inside] + near * points[outside])


def _crossing(
    low: float, high: float, ends: np.ndarray, beta: np.ndarray, prob: float
) -> pd.DataFrame:
    """Return where a straight slope is 0, as a posterior."""
    at_low, at_high = ends[0] @ beta, ends[2] @ beta
    with np.errstate(all="ignore"):
        place = low - at_low * (high - low) / (at_high - at_low)
    numbers = summarise_rows(place[None], prob)
    return pd.DataFrame(
        {
            "median": numbers.median,
            "lower": numbers.lower,
            "upper": numbers.upper,
            "inside": [float(((place >= low) & (place <= high)).mean())],
        }
    )
