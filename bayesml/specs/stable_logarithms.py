"""Logarithms that keep their digits in the tails, which log-likelihoods are made of."""

import numpy as np
from scipy import special

# exp() of more overflows; a linear predictor of this size is as good as infinite.
LARGEST = 700.0
# Below it 1 - exp(-exp(eta)) is exp(eta) to the last digit.
_TINY_RATE = -37.0


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
