"""Log-likelihoods of rows: one function a family, arrays in, arrays out.

Rows stand on the second-last axis and draws on the last one; further axes (nodes of a quadrature)
come first, so that a row's outcome and a draw's parameters broadcast against any linear predictor.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)
# exp() of more overflows; a linear predictor of this size is as good as infinite.
_LARGEST = 700.0
# Below it 1 - exp(-exp(eta)) is exp(eta) to the last digit.
_TINY_RATE = -37.0
# Slopes and curvatures beyond it are as good as infinite.
_STEEPEST = 1e9


@dataclass(frozen=True)
class RowLikelihood:
    """The log-likelihood of rows as a function of their linear predictor.

    Parameters
    ----------
    family, link : str
        Names as in the families' records.
    outcome : array, shape (rows, 1)
        Outcomes: numbers, counts, successes, or categories from 0.
    parameters : mapping of str to array
        Arrays that broadcast against (rows, draws): ``sigma``; ``trials``; ``lower`` and ``upper``
        of ordered outcomes, as `category_bounds` gives them.
    """

    family: str
    link: str
    outcome: np.ndarray
    parameters: Mapping[str, np.ndarray]

    def __call__(self, eta: np.ndarray) -> np.ndarray:
        """Return log p(y | eta), shape of `eta` (..., rows, draws)."""
        with np.errstate(over="ignore", under="ignore", divide="ignore"):
            return LOG_LIKELIHOODS[self.family](self.link, self.outcome, eta, self.parameters)

    def derivatives(self, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the slope and the negative curvature of log p(y | eta), by finite differences.

        Good to about six digits: enough to find a mode and the width of what surrounds it.

        Returns
        -------
        (array, array)
            Of the shape of `eta`; the second is at least 0, as all families are log-concave.
        """
        step = 1e-3
        with np.errstate(invalid="ignore"):
            below, here, above = self(eta - step), self(eta), self(eta + step)
            slope = (above - below) / (2 * step)
            curvature = np.maximum((2 * here - below - above) / step**2, 0.0)
        # Far out a likelihood underflows: bounded, it still points the way back.
        slope = np.nan_to_num(slope, posinf=_STEEPEST, neginf=-_STEEPEST)
        curvature = np.nan_to_num(curvature, posinf=_STEEPEST)
        return np.clip(slope, -_STEEPEST, _STEEPEST), np.minimum(curvature, _STEEPEST)

    def rows(self, chosen: np.ndarray) -> "RowLikelihood":
        """Return the log-likelihood of some of the rows."""
        parameters = {
            name: value[chosen] if np.ndim(value) == 2 and len(value) > 1 else value
            for name, value in self.parameters.items()
        }
        return RowLikelihood(self.family, self.link, self.outcome[chosen], parameters)


def _gaussian(
    link: str, y: np.ndarray, eta: np.ndarray, parameters: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Return -((y - eta) / sigma)^2 / 2 - log(sigma) - log(2 pi) / 2."""
    sigma = parameters["sigma"]
    return -0.5 * ((y - eta) / sigma) ** 2 - (np.log(sigma) + _HALF_LOG_2PI)


def _binomial(
    link: str, y: np.ndarray, eta: np.ndarray, parameters: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Return log C(n, y) + y log p + (n - y) log(1 - p); one trial where there are no others."""
    if "trials" not in parameters:
        return _bernoulli(link, y, eta)
    trials = parameters["trials"]
    ways = special.gammaln(trials + 1) - special.gammaln(y + 1) - special.gammaln(trials - y + 1)
    success, failure = _log_shares(link, eta)
    return ways + y * success + (trials - y) * failure


def _bernoulli(link: str, y: np.ndarray, eta: np.ndarray) -> np.ndarray:
    if link == "cloglog":
        success, failure = _log_shares(link, eta)
        return np.where(y == 1, success, failure)
    # logit and probit are symmetric: a failure at eta is a success at -eta.
    signed = np.where(y == 1, eta, -eta)
    return -_softplus(-signed) if link == "logit" else special.log_ndtr(signed)


def _log_shares(link: str, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the logs of the probabilities of a success and of a failure."""
    if link == "logit":
        return -_softplus(-eta), -_softplus(eta)
    if link == "probit":
        return special.log_ndtr(eta), special.log_ndtr(-eta)
    rate = np.exp(np.minimum(eta, _LARGEST))
    return np.where(eta < _TINY_RATE, eta, _log_complement(-rate)), -rate


def _poisson(
    link: str, y: np.ndarray, eta: np.ndarray, parameters: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Return y eta - exp(eta) - log y!, the offset being part of eta."""
    return y * eta - np.exp(np.minimum(eta, _LARGEST)) - special.gammaln(y + 1)


def _ordinal(
    link: str, y: np.ndarray, eta: np.ndarray, parameters: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Return log(F(upper - eta) - F(lower - eta))."""
    lower, upper = parameters["lower"], parameters["upper"]
    if link == "logit":
        gap = _log_complement(lower - upper)
        return gap - _softplus(lower - eta) - _softplus(eta - upper)
    below, above = lower - eta, upper - eta
    # Mirrored into the lower tail, where the difference keeps its digits.
    mirrored = below > 0
    low = special.log_ndtr(np.where(mirrored, -above, below))
    high = special.log_ndtr(np.where(mirrored, -below, above))
    return high + _log_complement(low - high)


def _softplus(x: np.ndarray) -> np.ndarray:
    """Return log(1 + exp(x)) without overflow."""
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def _log_complement(x: np.ndarray) -> np.ndarray:
    """Return log(1 - exp(x)) of x <= 0, with all its digits near 0 and far below."""
    return np.where(x > -np.log(2), np.log(-np.expm1(x)), np.log1p(-np.exp(x)))


Formula = Callable[[str, np.ndarray, np.ndarray, Mapping[str, np.ndarray]], np.ndarray]

LOG_LIKELIHOODS: Mapping[str, Formula] = {
    "gaussian": _gaussian,
    "binomial": _binomial,
    "poisson": _poisson,
    "ordinal": _ordinal,
}

# Families whose outcome has a density; of the others it is a probability.
DENSITIES = frozenset({"gaussian"})


def category_bounds(outcome: np.ndarray, cutpoints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cutpoints below and above the category of each row.

    Parameters
    ----------
    outcome : array of int, shape (rows,)
        Categories from 0.
    cutpoints : array, shape (draws, categories - 1)

    Returns
    -------
    (array, array), shape (rows, draws)
        Minus infinity below the first category, infinity above the last.

    Examples
    --------
    >>> lower, upper = category_bounds(np.array([0, 1]), np.array([[0.5]]))
    >>> lower.ravel().tolist(), upper.ravel().tolist()
    ([-inf, 0.5], [0.5, inf])
    """
    edge = np.full((len(cutpoints), 1), np.inf)
    bounds = np.concatenate([-edge, cutpoints, edge], axis=1).T
    category = np.asarray(outcome, dtype=int)
    return bounds[category], bounds[category + 1]
