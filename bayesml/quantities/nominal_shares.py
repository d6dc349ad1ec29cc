"""Probabilities of unordered categories, given normal effects or over them."""

from functools import cache

import numpy as np
from scipy import special, stats

from bayesml.quantities.correlation_matrices import covariance_root

# A power of two, as Sobol points want it.
POINTS = 256


def nominal_shares(scores: np.ndarray, covariance: np.ndarray | None = None) -> np.ndarray:
    """Return the softmax of the linear predictors, that of the baseline being 0.

    Parameters
    ----------
    scores : array, shape (categories - 1, rows, draws)
        Linear predictor of every category but the baseline.
    covariance : array, shape (categories - 1, categories - 1, rows or 1, draws), optional
        Of normal effects to average over: by 256 Sobol points (Caflisch 1998,
        doi:10.1017/S0962492900002804), the same for every draw. Probabilities are off by some
        0.0005 where the SDs are up to 1, by 0.001 up to 2.

    Returns
    -------
    array, shape (rows, categories, draws)
        The baseline first.

    Examples
    --------
    >>> nominal_shares(np.zeros((3, 1, 1))).ravel().tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    if covariance is None:
        return _softmax(scores)
    root = roots_of_rows(covariance)
    total = np.zeros((scores.shape[1], len(scores) + 1, scores.shape[2]))
    for point in _points(len(scores)):
        total += _softmax(scores + np.tensordot(root, point, axes=(1, 0)))
    return total / POINTS


def roots_of_rows(covariance: np.ndarray) -> np.ndarray:
    """Return S with S S' = Sigma of every row and draw, in the axes of `covariance`."""
    root = covariance_root(np.moveaxis(covariance, (0, 1), (2, 3)))
    return np.moveaxis(root, (2, 3), (0, 1))


def _softmax(scores: np.ndarray) -> np.ndarray:
    whole = np.concatenate([np.zeros((1, *scores.shape[1:])), scores])
    return np.moveaxis(special.softmax(whole, axis=0), 0, 1)


@cache
def _points(dimensions: int) -> np.ndarray:
    """Return standard normal points, shape (points, dimensions)."""
    sobol = stats.qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(20_260))
    return np.asarray(stats.norm.ppf(sobol.random(POINTS)))


def nominal_derivatives(outcome: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return slopes and negative curvatures of log-probabilities in the linear predictors.

    Parameters
    ----------
    outcome : array, shape (rows, 1)
        Numbers of the categories, the baseline's being 0.
    scores : array, shape (categories - 1, rows, draws)

    Returns
    -------
    array of the shape of `scores`, array of shape (categories - 1, categories - 1, rows, draws)
        1[y = k] - p_k, and p_k (1[k = l] - p_l).
    """
    shares = np.moveaxis(_softmax(scores), 1, 0)[1:]
    number = np.arange(1, len(scores) + 1)[:, None, None]
    curvature = -shares[:, None] * shares[None]
    diagonal = np.arange(len(scores))
    curvature[diagonal, diagonal] += shares
    return (outcome[None] == number) - shares, curvature
