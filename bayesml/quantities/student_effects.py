"""Student-t effects as normal ones that are scaled unit by unit."""

import numpy as np
from scipy import special

_NODES = 80
# Logarithm of the smallest density of the mixing variable, against that of its mode, that counts:
# an outcome far out lets a unit have a scale that is most improbable beforehand.
_LOWEST = -60.0


def student_spread(nu: np.ndarray, units: int, rng: np.random.Generator) -> np.ndarray:
    """Return draws of what normal effects are multiplied by to become Student-t, with the same SD.

    A unit's factor is sqrt((nu - 2) / c) with c chi-squared with nu degrees of freedom: effects of
    SD s become s sqrt((nu - 2) / nu) times a Student-t variable, whose SD is s again.

    Parameters
    ----------
    nu : array, shape (draws,)
        Degrees of freedom, above 2.
    units : int
    rng : numpy Generator

    Returns
    -------
    array, shape (draws, units)

    Examples
    --------
    >>> student_spread(np.array([5.0]), 3, np.random.default_rng(1)).shape
    (1, 3)
    """
    mixing = rng.chisquare(nu[:, None], size=(len(nu), units))
    return np.sqrt((nu[:, None] - 2) / mixing)


def mixing_rule(nu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a quadrature rule for what normal effects are multiplied by to become Student-t.

    An integral over c, chi-squared with nu degrees of freedom, is one over log c, by the
    trapezoidal rule: the integrand is analytic and vanishes at both ends, so the error falls
    exponentially with the step (Trefethen & Weideman 2014, doi:10.1137/130932132). With d the
    distance of log c from log nu, its mode, the log density there is nu / 2 (d - exp(d)), and the
    ends solve d - exp(d) + 1 = -120 / nu by Lambert's function.

    Parameters
    ----------
    nu : array, shape (draws,)
        Degrees of freedom, above 2.

    Returns
    -------
    scales, log_weights : array, shape (nodes, draws)
        Factors sqrt((nu - 2) / c) of a unit's effects, and the logs of the weights, which sum to 1.

    Examples
    --------
    >>> scales, log_weights = mixing_rule(np.array([5.0]))
    >>> round(float((scales**2 * np.exp(log_weights)).sum()), 6)  # the variance stays
    1.0
    """
    freedom = np.asarray(nu, dtype=float)
    end = -np.exp(2 * _LOWEST / freedom - 1)
    low, high = (np.log(-special.lambertw(end, branch).real) for branch in (0, -1))
    step = (high - low) / (_NODES - 1)
    distance = low + np.arange(_NODES)[:, None] * step
    half = freedom / 2
    log_density = half * (distance - np.exp(distance)) + half * np.log(half) - special.gammaln(half)
    scales = np.sqrt(1 - 2 / freedom) * np.exp(-distance / 2)
    return scales, log_density + np.log(step)
