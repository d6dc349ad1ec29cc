"""Ranks of units within draws, and what the draws say about them together."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

# Numbers that are ranked or sorted at a time.
_BLOCK = 2_000_000
# Half the width, in comparative SDs, of intervals that just touch where a difference of two
# independent units with equal SDs is 1.96 of its own SDs: 1.96 * sqrt(2) / 2.
COMPARATIVE = 1.39


@dataclass(frozen=True)
class RankSummary:
    """What draws say about the ranks of units.

    Parameters
    ----------
    mean, sd : array, shape (units,)
        Mean and SD of the rank over draws.
    median, lower, upper : array, shape (units,)
        Quantiles, which are ranks that some draw has.
    top : array, shape (units,)
        Share of the draws in which the unit is among the first.
    """

    mean: np.ndarray
    sd: np.ndarray
    median: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    top: np.ndarray


def rank_draws(values: np.ndarray, highest_first: bool = True) -> np.ndarray:
    """Return the rank of every unit within every draw.

    Units that are equal in a draw share the mean of their ranks, so the ranks of a draw always
    add up to the same number.

    Parameters
    ----------
    values : array, shape (draws, units)
    highest_first : bool
        Whether rank 1 is the highest value, or the lowest.

    Returns
    -------
    array of float32, shape (draws, units)
        From 1 to the number of units; NaN throughout a draw that holds a NaN.

    Examples
    --------
    >>> rank_draws(np.array([[3.0, 9.0, 1.0, 1.0]])).tolist()
    [[2.0, 1.0, 3.5, 3.5]]
    """
    values = np.asarray(values)
    draws, units = values.shape
    # Halves of whole numbers up to 2^23 are exact in 32 bits.
    ranks = np.empty(values.shape, dtype=np.float32)
    places = np.arange(1, units + 1, dtype=np.float32)[None]
    step = max(1, _BLOCK // max(units, 1))
    for start in range(0, draws, step):
        block = values[start : start + step]
        block = -block if highest_first else block
        order = np.argsort(block, axis=1)
        np.put_along_axis(ranks[start : start + step], order, places, axis=1)
        ordered = np.take_along_axis(block, order, axis=1)
        # Written so that NaN, which sorts last and equals nothing, counts as a tie too.
        tied = np.flatnonzero(~(ordered[:, 1:] > ordered[:, :-1]).all(axis=1))
        if len(tied):
            ranks[start + tied] = rankdata(block[tied], axis=1)
    return ranks


def summarise_ranks(ranks: np.ndarray, first: int, prob: float) -> RankSummary:
    """Return the posterior of the ranks in a few numbers per unit.

    The interval is equal-tailed, its ends are order statistics (not interpolated), and the
    probability of being among the first k is the share of the draws with a rank of at most k
    (Goldstein & Spiegelhalter 1996, doi:10.2307/2983325).

    Parameters
    ----------
    ranks : array, shape (draws, units)
    first : int
        k, the number of units that count as the first.
    prob : float
        Probability of the interval.

    Returns
    -------
    RankSummary

    Examples
    --------
    >>> found = summarise_ranks(np.array([[1.0, 2.0], [1.0, 2.0], [2.0, 1.0]]), 1, 0.5)
    >>> found.median.tolist(), found.top.round(2).tolist()
    ([1.0, 2.0], [0.67, 0.33])
    """
    draws, units = ranks.shape
    found = {name: np.empty(units) for name in RankSummary.__dataclass_fields__}
    levels = [(1 - prob) / 2, 0.5, (1 + prob) / 2]
    step = max(1, _BLOCK // max(draws, 1))
    for start in range(0, units, step):
        part = slice(start, start + step)
        block = ranks[:, part].astype(float)
        found["mean"][part] = block.mean(axis=0)
        found["sd"][part] = block.std(axis=0, ddof=1) if draws > 1 else np.nan
        lower, median, upper = np.quantile(block, levels, axis=0, method="inverted_cdf")
        found["lower"][part], found["median"][part], found["upper"][part] = lower, median, upper
        # A NaN is no rank, so it is no rank among the first either: the share is unknown.
        share = (block <= first).mean(axis=0)
        found["top"][part] = np.where(np.isnan(lower), np.nan, share)
    return RankSummary(**found)


def units_in_share(share: float, units: int) -> int:
    """Return how many whole units a share holds: at least one.

    Examples
    --------
    >>> units_in_share(0.1, 65), units_in_share(0.29, 100), units_in_share(0.1, 4)
    (6, 29, 1)
    """
    # 0.29 * 100 is a little below 29 in floating point.
    return max(1, int(np.floor(share * units + 1e-9)))
