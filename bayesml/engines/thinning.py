"""Proposals thinned so that they follow a density more closely, by points already computed.

Of proposals from q a share exp(f(z) - max f) is kept, with f a polynomial fitted to the log-weights
log(p / q) of a pilot's points and clipped from below and above. What is kept comes from q exp(f):
a chain that takes account of that stays exact, however good or bad the polynomial is, and costs a
density only for proposals that are kept. The lower bound keeps the tails of q, so that no point
weighs much more than it would with q alone.
"""

from itertools import combinations_with_replacement

import numpy as np

from bayesml.engines.independence_kernels import Thinning, log_shares_kept

# Points of a pilot for a coefficient; with fewer the polynomial follows their noise.
POINTS = 6
_DEGREES = (2, 3, 4)
_FOLDS = 5
# Points whose weight is less than exp(-20) times the mean say nothing of where the mass is.
_DEEPEST = -20.0
# The polynomial is not followed further down, where it was hardly seen; nor above what was seen.
_FLOOR = -4.0
_ABOVE = 0.5
# What a polynomial must gain in worth of a proposal.
_GAIN = 0.02


def no_thinning(size: int) -> Thinning:
    """Return what keeps every proposal of some dimensions."""
    return Thinning(np.zeros((0, size), dtype=np.int64), np.empty(0), np.zeros(2))


def points_wanted(size: int, most: int) -> int:
    """Return how many points the highest polynomial takes that needs at most `most`, else 0."""
    counts = [POINTS * len(_exponents(size, degree)) for degree in _DEGREES]
    return max([count for count in counts if count <= most], default=0)


def fitted_thinning(z: np.ndarray, log_weights: np.ndarray) -> tuple[Thinning, float]:
    """Return the polynomial that predicts log-weights best, with what a kept proposal is worth.

    Parameters
    ----------
    z : array, shape (points, dimensions)
        Draws from q.
    log_weights : array, shape (points,)
        log(p / q) there, -inf where the density is none.

    Returns
    -------
    Thinning, float
        How many independent draws a proposal is worth by its importance weight p / (q exp f), each
        point's with a polynomial fitted without it: between 0 and 1. Where no polynomial gains
        anything, one that keeps all.
    """
    size = z.shape[1]
    usable = np.isfinite(log_weights)
    best, worth = no_thinning(size), 0.0
    if not usable.any():
        return best, worth
    highest = log_weights[usable].max()
    level = highest + np.log(np.exp(log_weights - highest).mean())
    log_weights = log_weights - level
    worth = _worth(log_weights, np.zeros(len(z)))
    fold = np.arange(len(z)) % _FOLDS
    goal = worth + _GAIN
    for degree in _DEGREES:
        exponents = _exponents(size, degree)
        if POINTS * len(exponents) > len(z):
            break
        predicted = np.empty(len(z))
        for left_out in range(_FOLDS):
            rest = fold != left_out
            found = _fitted(z[rest], log_weights[rest], exponents)
            predicted[~rest] = log_shares_kept(z[~rest], found)
        found_worth = _worth(log_weights, predicted)
        if found_worth > max(goal, worth):
            best, worth = _fitted(z, log_weights, exponents), found_worth
    return best, worth


def _worth(log_weights: np.ndarray, predicted: np.ndarray) -> float:
    """Return (E w)^2 / (E v E w^2/v) over draws of q: the worth of proposals from q v for p = q w.

    E w is 1 by the scale of the log-weights.
    """
    weights = np.exp(log_weights)
    shares = np.exp(predicted)
    return float(weights.mean() ** 2 / (shares.mean() * (weights**2 / shares).mean()))


def _exponents(size: int, degree: int) -> np.ndarray:
    """Return the exponents of all monomials up to a degree, shape (monomials, dimensions)."""
    rows = [
        np.bincount(np.array(chosen, dtype=np.int64), minlength=size)
        for total in range(degree + 1)
        for chosen in combinations_with_replacement(range(size), total)
    ]
    return np.array(rows, dtype=np.int64)


def _fitted(z: np.ndarray, log_weights: np.ndarray, exponents: np.ndarray) -> Thinning:
    """Return a polynomial by least squares, in which points count more the more mass they bear."""
    near = log_weights > _DEEPEST
    z, goal = z[near], log_weights[near]
    monomials = np.prod(z[:, None, :] ** exponents, axis=2)
    trust = np.exp(0.25 * np.clip(goal, 2 * _FLOOR, 4.0))
    coefficients = np.linalg.lstsq(monomials * trust[:, None], goal * trust, rcond=None)[0]
    fitted = monomials @ coefficients
    highest = min(float(fitted.max()), float(goal.max())) + _ABOVE
    return Thinning(exponents, coefficients, np.array([_FLOOR, highest]))
