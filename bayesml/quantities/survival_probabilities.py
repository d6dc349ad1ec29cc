"""Probabilities of lasting, given effects or averaged over normal ones, and the median duration."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bayesml.specs.censoring import Durations

# Nodes of the trapezoidal rule: its error is below 1e-8 while effects and shape multiply to an SD
# of 5 on the scale of the log hazard, and beyond 6 SDs lies 2e-9 of a normal distribution.
_NODES = np.linspace(-6.0, 6.0, 121)
_WEIGHTS = np.exp(-(_NODES**2) / 2) / np.exp(-(_NODES**2) / 2).sum()
# A bracket of 16 SDs halved so often is known to ten digits.
_HALVINGS = 40


def mean_over_normal(
    function: Callable[[np.ndarray], np.ndarray], eta: np.ndarray, variance: np.ndarray | None
) -> np.ndarray:
    """Return E[f(eta + v)], v ~ N(0, variance), by the trapezoidal rule; f(eta) without variance.

    Parameters
    ----------
    function : callable
        Smooth, between 0 and 1.
    eta : array, shape (..., draws)
    variance : array that broadcasts to `eta`, or None

    Returns
    -------
    array

    Examples
    --------
    >>> from scipy.special import ndtr
    >>> found = mean_over_normal(ndtr, np.array(1.0), np.array(3.0))
    >>> bool(abs(found - ndtr(0.5)) < 1e-8)
    True
    """
    if variance is None:
        return function(eta)
    sd = np.sqrt(variance)
    total = 0.0
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        total = total + weight * function(eta + node * sd)
    return np.asarray(total)


def survival_probability(
    durations: Durations,
    time: float,
    eta: np.ndarray,
    parameters: Mapping[str, Any],
    variance: np.ndarray | None = None,
) -> np.ndarray:
    """Return the probability of lasting longer than a time.

    Parameters
    ----------
    durations : Durations
    time : float
        From 0 up.
    eta : array, shape (rows, draws)
    parameters : mapping of str to array, shape (draws,)
    variance : array that broadcasts to `eta`, or None
        Variance of normal effects that are averaged over.

    Returns
    -------
    array, shape (rows, draws)
    """
    if time <= 0:
        return np.ones_like(eta)
    at = np.asarray(time, dtype=float)
    return mean_over_normal(_lasting(durations, at, parameters), eta, variance)


def _lasting(
    durations: Durations, time: np.ndarray, parameters: Mapping[str, Any]
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the probability of lasting longer than a time, as a function of eta."""
    return lambda eta: np.exp(durations.log_survival(time, eta, parameters))


def median_duration(
    durations: Durations,
    eta: np.ndarray,
    parameters: Mapping[str, Any],
    variance: np.ndarray | None = None,
) -> np.ndarray:
    """Return the time that half of the durations outlast; see `survival_probability`.

    Averaged over effects it is where the averaged survival crosses a half, by bisection of the log
    time.

    Returns
    -------
    array, shape (rows, draws)
    """
    half = np.array(np.log(0.5))
    if variance is None:
        return durations.time_at(half, eta, parameters)
    reach = 8 * np.sqrt(variance)
    middle = np.log(durations.time_at(half, eta, parameters))
    low, high = middle - reach, middle + reach
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        share = mean_over_normal(_lasting(durations, np.exp(middle), parameters), eta, variance)
        low, high = np.where(share > 0.5, middle, low), np.where(share > 0.5, high, middle)
    return np.exp((low + high) / 2)
