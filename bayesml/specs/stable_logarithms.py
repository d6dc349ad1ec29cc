"""Logarithms that keep their digits in the tails, which log-likelihoods are made of."""

import numpy as np
from scipy import special

# exp() of more overflows; a linear predictor of this size is as good as infinite.
LARGEST = 700.0
# Below it 1 - exp(-exp(eta)) is exp(eta) to the last digit.
_TINY_RATE = -37.0
# From here on Stirling's series has all digits.
_MANY = 1e5


def softplus(x: np.ndarray) -> np.ndarray:
    """Return log(1 + exp(x)) without overflow.

    Examples
    --------
    >>> softplus(np.array([-800.0, 800.0])).tolist()
    [0.0, 800.0]
    """
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def log_complement(x: np.ndarray) -> np.ndarray:
    """Return log(1 - exp(x)) of x <= 0, with all its digits near 0 and far below.

    Examples
    --------
    >>> float(log_complement(np.array(np.log(0.5)))) == float(np.log(0.5))
    True
    """
    return np.where(x > -np.log(2), np.log(-np.expm1(x)), np.log1p(-np.exp(x)))


def bounded_exp(eta: np.ndarray) -> np.ndarray:
    """Return exp(eta), finite however large `eta` is."""
    return np.exp(np.minimum(eta, LARGEST))


def log_shares(link: str, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the logs of the probabilities of a success and of a failure.

    Parameters
    ----------
    link : {"logit", "probit", "cloglog"}
    eta : array
        Linear predictor.

    Returns
    -------
    (array, array), of the shape of `eta`
    """
    if link == "logit":
        return -softplus(-eta), -softplus(eta)
    if link == "probit":
        return special.log_ndtr(eta), special.log_ndtr(-eta)
    rate = bounded_exp(eta)
    return np.where(eta < _TINY_RATE, eta, log_complement(-rate)), -rate


def log_rising(a: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return log(Gamma(a + steps) / Gamma(a)), with its digits where `a` is large too.

    Beyond 1e5 by Stirling's series, of which two terms are enough there.

    Parameters
    ----------
    a : array
        Above 0.
    steps : array
        From 0 up.

    Examples
    --------
    >>> float(log_rising(np.array(1e12), np.array(1.0))) == float(np.log(1e12))
    True
    """
    a, steps = np.broadcast_arrays(np.asarray(a, float), np.asarray(steps, float))
    small = np.minimum(a, _MANY)
    large = np.maximum(a, _MANY)
    direct = special.gammaln(small + steps) - special.gammaln(small)
    end = large + steps
    series = (end - 0.5) * np.log1p(steps / large) + steps * (np.log(large) - 1)
    series += (1 / end - 1 / large) / 12
    return np.where(a < _MANY, direct, series)


def beta_shapes(link: str, eta: np.ndarray, phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return p phi and (1 - p) phi, both above 0 however near p is to 0 or 1.

    Parameters
    ----------
    link : {"logit", "probit", "cloglog"}
    eta : array
        Linear predictor: the link of p.
    phi : array
        Precision, above 0.

    Returns
    -------
    (array, array)
    """
    success, failure = log_shares(link, eta)
    log_phi = np.log(phi)
    return (
        np.exp(np.maximum(success + log_phi, -LARGEST)),
        np.exp(np.maximum(failure + log_phi, -LARGEST)),
    )
