"""The mode of a marginal density, and the curvature there."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from bayesml.engines.marginal_models import MarginalModel

# No direction is taken to be wider than this on the scale of logs: beyond it the density is flat
# because an SD may be 0, and its curvature says nothing.
_WIDEST = 3.0
_STEP = 1e-4


@dataclass(frozen=True)
class PosteriorMode:
    """Where a marginal density is highest, and how wide it is there.

    Parameters
    ----------
    centre : array, shape (dimensions,)
    spread : array, shape (dimensions, dimensions)
        spread spread' is roughly the covariance of the parameters.
    """

    centre: np.ndarray
    spread: np.ndarray


def starting_point(model: MarginalModel) -> np.ndarray:
    """Return a rough first guess: half of the outcome's spread at every term."""
    spread = max(float(np.std(model.standardised.fixed[:, -1])), 1e-150)
    density = model.density
    start = np.zeros(model.dimensions)
    terms = len(density.term_scale)
    start[:terms] = np.log(0.3 * spread / density.term_scale)
    start[terms + len(density.correlation_power)] = np.log(0.7 * spread)
    first = terms + len(density.correlation_power) + 1 + len(density.sampled_code)
    residuals = density.residuals
    if len(residuals.log_sd):
        # Equal SDs to begin with; of several outcomes, each in proportion to its own.
        goal = np.full(len(residuals.log_sd), np.log(0.7 * spread))
        number = model.linear.number
        if number is not None and len(goal) == number.max() + 1:
            y = model.standardised.fixed[:, -1]
            goal = np.log([max(0.7 * float(np.std(y[number == k])), 1e-150) for k in set(number)])
        linear = residuals.log_sd.copy()
        linear[:, 0] += 1.0
        found = np.linalg.lstsq(linear, goal, rcond=None)[0]
        start[terms + len(density.correlation_power)] = found[0]
        start[first:] = found[1:]
    return start


def posterior_mode(
    start: np.ndarray, evaluate: Callable[[np.ndarray], tuple[float, np.ndarray]]
) -> PosteriorMode:
    """Return the mode of a density with its curvature.

    The curvature comes from differences of the exact gradient. Where it is not that of a maximum,
    as where an SD may be 0, the direction gets a width of its own.

    Parameters
    ----------
    start : array, shape (dimensions,)
    evaluate : callable
        Returns the log-density and its gradient.
    """

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = evaluate(theta)
        if not np.isfinite(value) or not np.isfinite(gradient).all():
            return 1e300, np.zeros(len(theta))
        return -value, -gradient

    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    centre = np.asarray(found.x)
    size = len(centre)
    hessian = np.empty((size, size))
    for i in range(size):
        step = np.zeros(size)
        step[i] = _STEP
        hessian[i] = (objective(centre + step)[1] - objective(centre - step)[1]) / (2 * _STEP)
    hessian = (hessian + hessian.T) / 2
    values, vectors = np.linalg.eigh(np.nan_to_num(hessian))
    widths = 1 / np.sqrt(np.maximum(values, _WIDEST**-2))
    return PosteriorMode(centre, vectors * widths)
