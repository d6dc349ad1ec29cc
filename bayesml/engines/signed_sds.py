"""Which SDs are sampled with a sign, because they may be 0.

The log of such an SD has a tail without end, in which chains get lost for long; and where two SDs
can stand in for each other, as in twins, either may be 0. With a sign the density is smooth there;
see `signed_sd_kernels`.
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize

from bayesml.engines.density_kernels import PRIOR_CODES
from bayesml.engines.marginal_models import MarginalModel
from bayesml.engines.posterior_modes import PosteriorMode

# Priors whose density at 0 is neither 0 nor infinite; a Gamma's is where its shape is 1.
_FINITE = [
    PRIOR_CODES[name] for name in ("HalfNormal", "HalfStudentT", "HalfCauchy", "Exponential")
]
# Density at 0 relative to that at the mode, from which on an SD has a sign, as a log.
_DEPTH = -8.0
# An SD is 0 for that purpose at this share of its mode, as a log.
_ZERO = -7.0
# The unit of an SD, beyond which it is rather sampled as its log, over its mode.
_UNIT = 3.0


def units_of_signed_sds(
    model: MarginalModel,
    mode: PosteriorMode,
    evaluate: Callable[[np.ndarray], tuple[float, np.ndarray]],
) -> np.ndarray:
    """Return the unit of every SD that has a sign, and 0 for the others; shape (terms,).

    An SD has one where its density, the other parameters at their best, is at 0 not next to
    nothing beside that at the mode.

    Parameters
    ----------
    model : MarginalModel
    mode : PosteriorMode
    evaluate : callable
        Returns the log-density and its gradient at the parameters.
    """
    density = model.density
    units = np.zeros(len(density.term_scale))
    highest, _ = evaluate(mode.centre)
    for term in range(len(units)):
        code, shape = density.prior_code[term], density.prior_arguments[term, 0]
        if code not in _FINITE and not (code == PRIOR_CODES["Gamma"] and shape == 1):
            continue
        at_zero = _highest_with(mode.centre, term, mode.centre[term] + _ZERO, evaluate)
        # Both are densities of the log of the SD, which has the SD as a factor.
        if at_zero - _ZERO - highest > _DEPTH:
            units[term] = _UNIT * np.exp(mode.centre[term])
    return units


def _highest_with(
    start: np.ndarray,
    place: int,
    value: float,
    evaluate: Callable[[np.ndarray], tuple[float, np.ndarray]],
) -> float:
    """Return the highest log-density over the other parameters with one of them given."""
    rest = np.arange(len(start)) != place

    def objective(others: np.ndarray) -> tuple[float, np.ndarray]:
        point = np.full(len(start), value)
        point[rest] = others
        found, slope = evaluate(point)
        if not np.isfinite(found) or not np.isfinite(slope).all():
            return 1e300, np.zeros(len(others))
        return -found, -slope[rest]

    return -float(minimize(objective, start[rest], jac=True, method="L-BFGS-B").fun)


def with_signs(theta: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Return the point whose SDs are positive at some parameters of the density."""
    point = theta.copy()
    signed = np.flatnonzero(units)
    point[signed] = np.arcsinh(np.exp(theta[signed]) / units[signed])
    return point


def log_jacobians(thetas: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Return what the log-density of a point has beyond that of its theta, for rows of thetas."""
    signed = np.flatnonzero(units)
    # 1 / tanh(w) = (1 + 1 / sinh(w)^2)^(1/2)
    ratios = units[signed] / np.exp(thetas[:, signed])
    return np.asarray(0.5 * np.log1p(ratios**2).sum(axis=1))
