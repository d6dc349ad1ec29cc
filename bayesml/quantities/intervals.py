"""Posterior draws summed up in a few numbers: centre, spread and an equal-tailed interval."""

from dataclasses import dataclass

import numpy as np

from bayesml.errors import FitError


@dataclass(frozen=True)
class DrawSummary:
    """Centre, spread and equal-tailed interval of draws.

    Parameters
    ----------
    mean, median, sd, lower, upper : array
        One number per scalar, in the unit of the draws; `sd` has the divisor n - 1.
    """

    mean: np.ndarray
    median: np.ndarray
    sd: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def summarise_draws(draws: np.ndarray, prob: float) -> DrawSummary:
    """Return mean, median, SD and the equal-tailed interval over chains and draws.

    The interval runs from the quantile (1 - prob) / 2 to the quantile (1 + prob) / 2, interpolated
    linearly between order statistics. A scalar with a NaN among its draws is NaN throughout.

    Parameters
    ----------
    draws : array, shape (chains, draws, ...)
    prob : float
        Posterior probability of the interval, between 0 and 1.

    Returns
    -------
    DrawSummary
        Arrays of the shape of the trailing dimensions.

    Raises
    ------
    FitError
        `prob` is not between 0 and 1.

    Examples
    --------
    >>> float(summarise_draws(np.arange(101.0).reshape(1, 101), 0.9).upper)
    95.0
    """
    prob = checked_prob(prob)
    flat = np.asarray(draws, dtype=float).reshape(-1, *np.shape(draws)[2:])
    quantiles = np.quantile(flat, [(1 - prob) / 2, 0.5, (1 + prob) / 2], axis=0)
    sd = flat.std(axis=0, ddof=1) if len(flat) > 1 else np.full(flat.shape[1:], np.nan)
    return DrawSummary(flat.mean(axis=0), quantiles[1], sd, quantiles[0], quantiles[2])


def checked_prob(prob: float) -> float:
    """Return the probability of an interval.

    Raises
    ------
    FitError
        It is not a number between 0 and 1.
    """
    if not isinstance(prob, int | float | np.number) or not 0 < prob < 1:
        raise FitError(
            f"prob is {prob!r}. Give the interval's probability as a number between 0 and 1, such "
            "as prob=0.89."
        )
    return float(prob)
