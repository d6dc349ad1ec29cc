"""What a posterior would be without a part of the data, from importance weights of its draws.

Pareto smoothing is ArviZ's. Vehtari, Simpson, Gelman, Yao & Gabry (2024), Pareto smoothed
importance sampling, Journal of Machine Learning Research 25(72), arXiv:1507.02646.
"""

import numpy as np


def deletion_weights(log_likelihood: np.ndarray) -> tuple[np.ndarray, float]:
    """Return weights that make the draws those of the posterior without a part of the data.

    Proportional to 1 / p(part | theta), the largest smoothed by a generalised Pareto distribution.

    Parameters
    ----------
    log_likelihood : array, shape (draws,)
        log p(part | theta), effects that only the part tells about integrated out.

    Returns
    -------
    (array of shape (draws,), float)
        Weights with sum 1, and the Pareto k of their tail: 0 where the weights are equal, infinite
        where no tail can be fitted.

    Examples
    --------
    >>> weights, k = deletion_weights(np.zeros(100))
    >>> float(weights.max()), k
    (0.01, 0.0)
    """
    from arviz_stats.base.array import array_stats

    values = np.asarray(log_likelihood, dtype=float)
    if np.ptp(values) < 1e-12:
        return np.full(len(values), 1 / len(values)), 0.0
    try:
        with np.errstate(all="ignore"):
            logs, k = array_stats.psislw(values)
    except ValueError:  # the largest weights are all the same: draws that do not move
        logs, k = np.array([np.nan]), np.nan
    logs = logs if np.isfinite(logs).all() else -values
    weights = np.exp(logs - logs.max())
    return weights / weights.sum(), float(k) if np.isfinite(k) else float("inf")


def deletion_shift(draws: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return how far the weights move the mean of each scalar, in its posterior SDs.

    (E_w x - E x) / SD x: DFBETAS with the posterior in place of the estimate (Belsley, Kuh &
    Welsch 1980, doi:10.1002/0471725153).

    Parameters
    ----------
    draws : array, shape (draws, scalars)
    weights : array, shape (draws,)

    Returns
    -------
    array, shape (scalars,)
        0 for a constant.

    Examples
    --------
    >>> deletion_shift(np.array([[0.0], [2.0]]), np.array([0.0, 1.0])).round(3).tolist()
    [0.707]
    """
    shift = weights @ draws - draws.mean(axis=0)
    sd, moving = _spread(draws)
    return np.divide(shift, sd, out=np.zeros_like(shift), where=moving)


def cook_distance(draws: np.ndarray, weights: np.ndarray) -> float:
    """Return Cook's distance between the posterior means with and without weights.

    D = d' V^-1 d / p, with d the shift of the mean and V the posterior covariance of p scalars
    (Cook 1977, doi:10.1080/00401706.1977.10489493).

    Parameters
    ----------
    draws : array, shape (draws, scalars)
    weights : array, shape (draws,)

    Returns
    -------
    float
        NaN without scalars.

    Examples
    --------
    >>> round(cook_distance(np.array([[0.0], [2.0]]), np.array([0.0, 1.0])), 3)
    0.5
    """
    scalars = draws.shape[1]
    if not scalars:
        return float("nan")
    # Correlations, since scalars of different units make a covariance hard to invert.
    shift = deletion_shift(draws, weights)
    sd, moving = _spread(draws)
    scaled = np.divide(draws - draws.mean(axis=0), sd, out=np.zeros_like(draws), where=moving)
    correlation = scaled.T @ scaled / (len(draws) - 1)
    return float(shift @ np.linalg.pinv(correlation, hermitian=True) @ shift) / scalars


def _spread(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the SD of each scalar, and whether it is more than rounding leaves of a constant."""
    sd = draws.std(axis=0, ddof=1)
    return sd, sd > 1e-10 * np.abs(draws).max(axis=0)
