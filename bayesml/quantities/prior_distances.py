"""How far a posterior has moved from its prior, and whether it touches the end of its range."""

from collections.abc import Callable

import numpy as np


def quantile_distance(draws: np.ndarray, quantile: Callable[[np.ndarray], np.ndarray]) -> float:
    """Return the largest gap between the distribution functions of draws and of a prior.

    D = max over x of |F_draws(x) - F_prior(x)|, the Kolmogorov-Smirnov distance, at the 999
    quantiles k / 1,000 of the prior, which are all that is known of it: at most 0.001 below the
    largest gap. 0 is a posterior equal to its prior, 1 one that lies beside it.

    Massey (1951), doi:10.1080/01621459.1951.10500769.

    Parameters
    ----------
    draws : array, shape (draws,)
    quantile : callable
        The prior's quantile function.

    Returns
    -------
    float
        NaN where a draw is not finite.

    Examples
    --------
    >>> from scipy import stats
    >>> even = stats.norm.ppf((np.arange(1000) + 0.5) / 1000)
    >>> quantile_distance(even, stats.norm.ppf) < 0.01
    True
    """
    values = np.sort(np.asarray(draws, dtype=float).ravel())
    if not np.isfinite(values).all():
        return float("nan")
    levels = np.arange(1, 1000) / 1000
    points = np.asarray(quantile(levels), dtype=float)
    below = np.searchsorted(values, points, side="right") / len(values)
    return float(np.abs(below - levels).max())


def boundary_ratio(draws: np.ndarray) -> float:
    """Return the 5 % quantile of positive draws over their median.

    It does not depend on the scale. A density that is highest at 0 has a small ratio (half-normal
    0.093, exponential 0.074), one that is 0 there a larger one (Rayleigh 0.27), one that lies clear
    of 0 a ratio near 1.

    Parameters
    ----------
    draws : array, shape (draws,)
        At least 0.

    Returns
    -------
    float
        NaN where the median is 0 or a draw is not finite.

    Examples
    --------
    >>> boundary_ratio(np.arange(101.0))
    0.1
    """
    low, middle = np.quantile(np.asarray(draws, dtype=float), [0.05, 0.5])
    return float(low / middle) if middle > 0 else float("nan")
