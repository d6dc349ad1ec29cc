"""The modes of a marginal density, and the curvature there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

# No direction is taken to be wider than this on the scale of logs: beyond it the density is flat
# because an SD may be 0, and its curvature says nothing.
_WIDEST = 3.0
_STEP = 1e-4
# Modes nearer to each other, in SDs of either, are one; a mode with exp(-10) of the mass is none.
_APART = 2.0
_LEAST = 10.0


@dataclass(frozen=True)
class PosteriorMode:
    """Where a marginal density is highest, and how wide it is there.

    Parameters
    ----------
    centre : array, shape (dimensions,)
    spread : array, shape (dimensions, dimensions)
        spread spread' is roughly the covariance of the parameters.
    log_mass : float
        Log of the mass around it by Laplace's approximation, but for a constant.
    """

    centre: np.ndarray
    spread: np.ndarray
    log_mass: float = 0.0


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
    return PosteriorMode(centre, vectors * widths, float(np.log(widths).sum() - found.fun))


def posterior_modes(
    starts: Sequence[np.ndarray], evaluate: Callable[[np.ndarray], tuple[float, np.ndarray]]
) -> tuple[PosteriorMode, ...]:
    """Return the modes to which some starts lead, the one with the largest mass first.

    Left out are modes that lie within another one's spread, or that bear next to no mass.

    Parameters
    ----------
    starts : sequence of array, shape (dimensions,)
    evaluate : callable
        As in `posterior_mode`.
    """
    found = [posterior_mode(start, evaluate) for start in starts]
    found.sort(key=lambda mode: -mode.log_mass)
    kept = found[:1]
    for mode in found[1:]:
        apart = min(
            float(np.linalg.norm(np.linalg.solve(one.spread, mode.centre - other.centre)))
            for other in kept
            for one in (mode, other)
        )
        if apart > _APART and mode.log_mass > kept[0].log_mass - _LEAST:
            kept.append(mode)
    return tuple(kept)
