"""The mean of an outcome at a linear predictor, or over normal effects added to it."""

import numpy as np
from scipy import special

from bayesml.specs.links import LINKS

# Beyond this many SDs the normal density is below 1e-10 of its total.
_FARTHEST = 6.6
# Widest step: the normal density itself is then integrated to 1e-17.
_WIDEST = 0.7
# The trapezoidal rule's error is exp(-2 pi d / (h sd)), where the inverse link is analytic within d
# of the real line: pi for the logistic function. For the complementary log-log it is tame up to
# pi / 2, and needs a margin.
_STRIPS = {"logit": np.pi, "cloglog": 1.25}
_LOG_TOLERANCE = 24.0


def response_mean(link: str, eta: np.ndarray) -> np.ndarray:
    """Return the inverse link of a linear predictor, infinite where it overflows.

    Parameters
    ----------
    link : str
    eta : array

    Returns
    -------
    array, of the same shape
        On the response scale, for one trial or one unit of exposure in the offset's sense.

    Examples
    --------
    >>> float(response_mean("logit", np.array(0.0)))
    0.5
    """
    with np.errstate(over="ignore"):
        return LINKS[link].inverse(eta)


def response_mean_over_normal(link: str, eta: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return E[g^-1(eta + v)], v ~ N(0, variance): the mean of an outcome over normal effects.

    Closed forms: eta (identity), exp(eta + variance / 2) (log), Phi(eta / sqrt(1 + variance))
    (probit; Zeger, Liang & Albert 1988, doi:10.2307/2531734). Logit and complementary log-log are
    integrated by the trapezoidal rule on the real line, whose error falls exponentially for
    analytic functions (Trefethen & Weideman 2014, doi:10.1137/130932132); with steps chosen by
    the largest variance the error is below 1e-9.

    Parameters
    ----------
    link : str
    eta : array
    variance : array that broadcasts to the shape of `eta`
        Variance of the effects on the link scale.

    Returns
    -------
    array, of the shape of `eta`

    Examples
    --------
    >>> round(float(response_mean_over_normal("log", np.array(0.0), np.array(2.0))), 4)
    2.7183
    """
    eta, variance = np.asarray(eta, dtype=float), np.asarray(variance, dtype=float)
    if link == "identity":
        return eta.copy()
    if link == "log":
        return response_mean("log", eta + variance / 2)
    if link == "probit":
        return special.ndtr(eta / np.sqrt(1 + variance))
    sd = np.sqrt(variance)
    step, weights = _nodes(link, float(sd.max(initial=0.0)))
    if link == "logit":
        return _logistic_normal(eta, sd, step, weights)
    mean = weights[0] * response_mean(link, eta)
    for number, weight in enumerate(weights[1:], start=1):
        shift = number * step * sd
        mean += weight * (response_mean(link, eta + shift) + response_mean(link, eta - shift))
    return mean


def _nodes(link: str, largest: float) -> tuple[float, np.ndarray]:
    """Return the step between nodes in SDs, and the weights of the nodes 0, 1, 2, ..."""
    fine = 2 * np.pi * _STRIPS[link] / (_LOG_TOLERANCE * max(largest, 1e-12))
    step = min(_WIDEST, fine)
    z = step * np.arange(int(np.ceil(_FARTHEST / step)) + 1)
    weights = step * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return step, weights


def _logistic_normal(
    eta: np.ndarray, sd: np.ndarray, step: float, weights: np.ndarray
) -> np.ndarray:
    """Return the mean of the logistic function, with one exponential for all nodes.

    With E = exp(-|eta|) and C_k = 2 cosh(k h sd), the nodes k and -k have together the
    probability (E C_k + 2 E^2) / (1 + E C_k + E^2) of the rarer outcome, and C_k+1 = C_1 C_k -
    C_k-1.
    """
    small = np.exp(-np.abs(eta))
    square = small * small
    rare = weights[0] * small / (1 + small)
    with np.errstate(over="ignore", invalid="ignore"):
        first = 2 * np.cosh(step * sd)
        before, pair = np.full_like(first, 2.0), first
        for weight in weights[1:]:
            top = small * pair
            bottom = top + square
            top = bottom + square
            bottom += 1
            top /= bottom
            top *= weight
            rare += top
            before, pair = pair, first * pair - before
    return np.where(eta < 0, rare, 1 - rare)


def category_probabilities(
    link: str, eta: np.ndarray, cutpoints: np.ndarray, variance: np.ndarray | None = None
) -> np.ndarray:
    """Return the probabilities of ordered categories: P(y <= k) = F(c_k - eta).

    Parameters
    ----------
    link : {"logit", "probit"}
        F is the logistic or the normal distribution function.
    eta : array, shape (rows, draws)
        Linear predictor, without cutpoints.
    cutpoints : array, shape (draws, categories - 1)
        In ascending order.
    variance : array that broadcasts to (rows, draws), optional
        Variance of normal effects to integrate over.

    Returns
    -------
    array, shape (rows, categories, draws)

    Notes
    -----
    McCullagh (1980), doi:10.1111/j.2517-6161.1980.tb01109.x.

    Examples
    --------
    >>> found = category_probabilities("logit", np.zeros((1, 1)), np.zeros((1, 1)))
    >>> found.ravel().tolist()
    [0.5, 0.5]
    """
    rows, draws = eta.shape
    categories = cutpoints.shape[1] + 1
    found = np.empty((rows, categories, draws))
    below = np.zeros((rows, draws))
    for number, cutpoint in enumerate(cutpoints.T):
        gap = cutpoint - eta
        if variance is None:
            up_to = response_mean(link, gap)
        else:
            up_to = response_mean_over_normal(link, gap, variance)
        # Integrals of ordered functions are ordered but for rounding.
        found[:, number] = np.maximum(up_to - below, 0.0)
        below = up_to
    found[:, -1] = 1 - below
    return found
