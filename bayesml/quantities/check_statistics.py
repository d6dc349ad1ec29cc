"""Statistics by which replicated outcomes are set against the observed ones.

Draws stand on the first axis and rows, or units, on the last.
"""

import numpy as np
from scipy import sparse, stats
from scipy.special import ndtri


def tail_probability(replicated: np.ndarray, observed: np.ndarray | float) -> float:
    """Return the posterior predictive p-value: how often a replicated statistic is the larger.

    p = (number of draws with T(y_rep) > T(y) + half the number of ties + 1/2) / (draws + 1), so
    that few draws cannot make it extreme. A statistic that depends on the parameters is compared
    draw by draw (Gelman, Meng & Stern 1996, Statistica Sinica 6, 733-760; Meng 1994,
    doi:10.1214/aos/1176325622).

    Parameters
    ----------
    replicated : array, shape (draws,)
    observed : array, shape (draws,), or float

    Returns
    -------
    float
        Near 0 where the data exceed the replications, near 1 where they fall short; NaN where a
        statistic is not finite.

    Examples
    --------
    >>> tail_probability(np.arange(99.0), 98.5)
    0.005
    """
    values, aim = np.broadcast_arrays(np.asarray(replicated, dtype=float), observed)
    if not (np.isfinite(values).all() and np.isfinite(aim).all()):
        return float("nan")
    # Sums of the same numbers in another order differ by rounding.
    same = np.isclose(values, aim, rtol=1e-10, atol=1e-12)
    larger, ties = ((values > aim) & ~same).sum(), same.sum()
    return float((larger + 0.5 * ties + 0.5) / (len(values) + 1))


def standardised_moment(values: np.ndarray, order: int) -> np.ndarray:
    """Return the third (skewness) or fourth (kurtosis, less 3) standardised moment of each draw.

    mean((x - mean)^k) / SD^k, with the divisor n; 0 for a normal distribution.

    Parameters
    ----------
    values : array, shape (draws, rows)
    order : {3, 4}

    Returns
    -------
    array, shape (draws,)
        NaN where a draw has no spread.

    Examples
    --------
    >>> standardised_moment(np.array([[-1.0, 1.0]]), 4).tolist()
    [-2.0]
    """
    centred = values - values.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        moment = (centred**order).mean(axis=-1) / variance ** (order / 2)
    return np.where(variance > 0, moment - (3.0 if order == 4 else 0.0), np.nan)


def row_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the correlation over the rows of two quantities, in each draw.

    Parameters
    ----------
    first, second : array, shape (draws, rows)

    Returns
    -------
    array, shape (draws,)
        0 where one of them does not vary: nothing goes with a constant.

    Examples
    --------
    >>> row_correlation(np.array([[1.0, 2.0, 3.0]]), np.array([[2.0, 4.0, 6.0]])).round(9).tolist()
    [1.0]
    """
    a = first - first.mean(axis=-1, keepdims=True)
    b = second - second.mean(axis=-1, keepdims=True)
    scale = np.sqrt((a**2).sum(axis=-1) * (b**2).sum(axis=-1))
    product = (a * b).sum(axis=-1)
    # Rounding leaves a constant a spread of its last digits.
    size = np.abs(first).max(axis=-1) * np.abs(second).max(axis=-1) * first.shape[-1]
    varying = scale > 1e-12 * size
    return np.divide(product, scale, out=np.zeros_like(product), where=varying)


def bend(residuals: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """Return how far residuals bend with the fitted values: the correlation with their square.

    Of the squared distance from the mean fitted value the straight line is taken out, so that a
    trend alone is no bend.

    Parameters
    ----------
    residuals, fitted : array, shape (draws, rows)

    Returns
    -------
    array, shape (draws,)
        Above 0 where both ends lie above the middle; 0 where the fitted values do not vary.

    Examples
    --------
    >>> x = np.linspace(-1, 1, 101)[None]
    >>> bend(3 * x**2, x).round(9).tolist(), bend(-(x**2) + x, x).round(2).tolist()
    ([1.0], [-0.46])
    """
    centred = fitted - fitted.mean(axis=-1, keepdims=True)
    squared = centred**2
    variance = squared.sum(axis=-1, keepdims=True)
    slope = np.divide(
        (squared * centred).sum(axis=-1, keepdims=True),
        variance,
        out=np.zeros_like(variance),
        where=variance > 0,
    )
    return row_correlation(residuals, squared - slope * centred)


def unit_moments(values: np.ndarray, members: sparse.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and SD of each unit's rows, in each draw.

    Means are weighted by membership; SDs have the divisor n - 1, n being the number of rows, of
    weights w the divisor sum w - sum w^2 / sum w.

    Parameters
    ----------
    values : array, shape (draws, rows)
    members : sparse array, shape (units, rows)
        Weight of each row in each unit, 1 unless multiple membership.

    Returns
    -------
    (array, array), each of shape (draws, units)
        The SD is NaN for a unit with one row.

    Examples
    --------
    >>> members = sparse.csr_array(np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    >>> means, sds = unit_moments(np.array([[1.0, 3.0, 5.0]]), members)
    >>> means.tolist(), sds.round(4).tolist()
    ([[2.0, 5.0]], [[1.4142, nan]])
    """
    weight = np.asarray(members.sum(axis=1)).ravel()
    squares = np.asarray((members * members).sum(axis=1)).ravel()
    means = (members @ values.T).T / weight
    # Squares of differences from one number lose fewer digits than squares of large values.
    centre = float(values.mean())
    whole = (members @ (values - centre).T ** 2).T
    spread = whole - weight * (means - centre) ** 2
    # What rounding leaves of a unit whose rows are all the same.
    spread[spread < 1e-12 * whole] = 0.0
    divisor = weight - squares / weight
    several = divisor > 1e-9 * weight
    sds = np.full_like(means, np.nan)
    sds[:, several] = np.sqrt(spread[:, several] / divisor[several])
    return means, sds


def quantile_scores(
    below: np.ndarray, equal: np.ndarray, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Return randomised quantile residuals from counts of replications.

    With `below` replications under the outcome and `equal` of the same value, the outcome's place
    is v = (below + r (equal + 1)) / (draws + 1), r uniform on (0, 1), and the residual is the
    normal score of v: standard normal where the model holds, for discrete outcomes too (Dunn &
    Smyth 1996, doi:10.1080/10618600.1996.10474708).

    Parameters
    ----------
    below, equal : array of int, shape (rows,)
    draws : int
        Number of replications.
    rng : numpy Generator

    Returns
    -------
    array, shape (rows,)

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> scores = quantile_scores(np.arange(1000), np.zeros(1000), 999, rng)
    >>> round(float(scores.std()), 1)
    1.0
    """
    place = (below + rng.uniform(size=np.shape(below)) * (equal + 1)) / (draws + 1)
    # The generator may return exactly 0.
    return ndtri(np.clip(place, 1e-12, 1 - 1e-12))


def normal_order_band(number: int, prob: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where each of `number` ordered standard normal values lies: expectation and interval.

    The i-th smallest of n uniform values has the distribution Beta(i, n + 1 - i); its quantiles
    are taken to the normal scale. The interval holds for each value, not for all at once.

    Parameters
    ----------
    number : int
    prob : float
        Probability of the equal-tailed interval.

    Returns
    -------
    (array, array, array), each of shape (number,)
        Median, lower and upper end.

    Examples
    --------
    >>> [round(float(value[0]), 3) for value in normal_order_band(1, 0.95)]
    [0.0, -1.96, 1.96]
    """
    rank = np.arange(1, number + 1)
    ends = [
        ndtri(stats.beta.ppf(level, rank, number + 1 - rank))
        for level in (0.5, (1 - prob) / 2, (1 + prob) / 2)
    ]
    return ends[0], ends[1], ends[2]
