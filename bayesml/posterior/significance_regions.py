"""Where along a moderator the slope of a predictor differs from 0 (Johnson-Neyman)."""

from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from bayesml.errors import FitError, quoted
from bayesml.posterior.effect_rows import EffectRows, checked_variable
from bayesml.posterior.effect_tables import heading
from bayesml.posterior.interactions import (
    check_interaction,
    interaction_rows,
    moderator_values,
    same_weights,
    slope_table,
    slope_weights,
)
from bayesml.posterior.linear_predictors import flat_draws
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
    rows = interaction_rows(fit, variable, moderator, new_data)
    if not checked_variable(rows, moderator, "moderator"):
        raise FitError(
            f"moderator is {quoted(moderator)}, which holds labels and has no range. Use "
            f"bml.simple_slopes(fit, {variable!r}, {moderator!r})."
        )
    low, high = rows.stored.ranges[moderator]
    ends = np.stack(
        [slope_weights(rows, variable, moderator, w) for w in (low, (low + high) / 2, high)]
    )
    check_interaction(rows, variable, moderator, ends)
    middle = (ends[0] + ends[2]) / 2
    straight = same_weights(ends, np.stack([ends[0], middle, ends[2]]))
    points = np.linspace(low, high, _POINTS if straight else _CURVED_POINTS)
    if straight:
        share = ((points - low) / (high - low))[:, None]
        weights = (1 - share) * ends[0] + share * ends[2]
    else:
        weights = np.stack([slope_weights(rows, variable, moderator, w) for w in points])
    beta = flat_draws(fit, "beta").T
    regions = _regions(rows, moderator, points, weights, beta, prob)
    crossing = _crossing(low, high, ends, beta, prob) if straight else None
    table = slope_table(rows, variable, moderator, points.tolist(), weights, prob)
    return SignificanceRegion(variable, moderator, regions, crossing, table)


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
    column = moderator_values(rows, moderator)
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
