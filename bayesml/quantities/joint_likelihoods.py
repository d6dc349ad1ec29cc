"""Likelihoods of a group of rows whose random effects enter several linear predictors at once."""

from collections.abc import Callable
from itertools import product

import numpy as np
from scipy.special import gammaln, logsumexp

from bayesml.quantities.integrated_likelihoods import IntegratedGroup

# Log-likelihood of rows, shape (rows, draws), at linear predictors of shape (predictors, rows,
# draws).
Likelihood = Callable[[np.ndarray], np.ndarray]
# Slopes (predictors, rows, draws) and negative curvatures (predictors, predictors, rows, draws) at
# the same.
Derivatives = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

_STEP = 1e-3
_SETTLED = 1e-3
_MOST_STEPS = 50
# A longer step on the scale of the linear predictors may jump beyond the mode.
_LONGEST_STEP = 1.0
_LOG_2PI = np.log(2 * np.pi)
# Nodes per dimension of a product rule; more dimensions are sampled.
_NODES = {1: 15, 2: 9}
_POINTS = 200
# Degrees of freedom of the proposals: their tails must outlast those of the integrand.
_NU = 8.0


def integrated_jointly(
    likelihood: Likelihood,
    predictors: np.ndarray,
    design: np.ndarray,
    rng: np.random.Generator,
    derivatives: Derivatives | None = None,
) -> IntegratedGroup:
    """Return the log-likelihood of a group of rows with effects on several predictors integrated.

    log of the integral of p(y | predictors + design x) N(x | 0, I) over x, around the joint mode:
    up to two effects by adaptive Gauss-Hermite quadrature (Liu & Pierce 1994,
    doi:10.1093/biomet/81.3.624), more by importance sampling with Student-t proposals (Pinheiro &
    Bates 1995, doi:10.1080/10618600.1995.10474663).

    Parameters
    ----------
    likelihood : callable
        From linear predictors (predictors, rows, draws) to log-likelihoods (rows, draws).
    predictors : array, shape (predictors, rows, draws)
        Without the effects that are integrated out.
    design : array, shape (predictors, rows, effects, draws)
        What a standardised effect adds to each linear predictor.
    rng : numpy Generator
        For importance sampling.
    derivatives : callable, optional
        Slopes and curvatures of the log-likelihoods; None: by finite differences, predictor by
        predictor.

    Returns
    -------
    IntegratedGroup
    """
    effects = design.shape[2]
    # Draws first, predictors and rows in one axis: the sums over rows are products of matrices.
    wide = np.ascontiguousarray(np.moveaxis(design, 3, 0)).reshape(design.shape[3], -1, effects)
    mode, precision = _mode(likelihood, predictors, wide, derivatives)
    factor = np.linalg.cholesky(precision)
    identity = np.broadcast_to(np.eye(effects), factor.shape)
    span = np.linalg.solve(np.swapaxes(factor, 1, 2), identity)
    log_det = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)

    def joint(away: np.ndarray) -> np.ndarray:
        """Return log p(y, x) at the mode plus span times `away`, shape (draws,)."""
        x = mode + np.einsum("sab,sb->sa", span, away)
        values = likelihood(predictors + _added(wide, x, predictors.shape)).sum(axis=0)
        return values - 0.5 * (x**2).sum(axis=1) - 0.5 * effects * _LOG_2PI

    if effects <= max(_NODES):
        values = _quadrature(joint, effects, len(mode)) - log_det
        return IntegratedGroup(values, np.zeros_like(values), "quadrature")
    weights = np.empty((_POINTS, len(mode)))
    constant = gammaln((_NU + effects) / 2) - gammaln(_NU / 2)
    constant -= 0.5 * effects * np.log(_NU * np.pi)
    for point in range(_POINTS):
        normal = rng.standard_normal((len(mode), effects))
        away = normal * np.sqrt(_NU / rng.chisquare(_NU, size=(len(mode), 1)))
        proposal = constant - 0.5 * (_NU + effects) * np.log1p((away**2).sum(axis=1) / _NU)
        weights[point] = joint(away) - log_det - proposal
    value = logsumexp(weights, axis=0) - np.log(_POINTS)
    relative = np.exp(weights - value)
    error = relative.std(axis=0, ddof=1) / np.sqrt(_POINTS)
    return IntegratedGroup(value, error, "importance sampling")


def _quadrature(joint: Likelihood, effects: int, draws: int) -> np.ndarray:
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES[effects])
    # The rule holds for integrals against N(0, I) once its density is taken out.
    log_weights = np.log(weights) + 0.5 * nodes**2
    total = np.full(draws, -np.inf)
    for chosen in product(range(len(nodes)), repeat=effects):
        away = np.broadcast_to(nodes[list(chosen)], (draws, effects))
        total = np.logaddexp(total, joint(away) + log_weights[list(chosen)].sum())
    return total


def _added(wide: np.ndarray, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return what standardised effects add to the linear predictors."""
    added = (wide @ x[:, :, None])[:, :, 0]
    return np.moveaxis(added.reshape(shape[2], shape[0], shape[1]), 0, 2)


def _mode(
    likelihood: Likelihood,
    predictors: np.ndarray,
    wide: np.ndarray,
    derivatives: Derivatives | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mode of log p(y, x), shape (draws, effects), and the precision there.

    Newton's method. By finite differences curvatures are those of each predictor alone: at the mode
    what they have in common hardly matters, and the proposals need not be exact.
    """
    draws, _, effects = wide.shape
    x = np.zeros((draws, effects))
    for _ in range(_MOST_STEPS):
        at = predictors + _added(wide, x, predictors.shape)
        if derivatives is None:
            slope, curvature = _derivatives(likelihood, at)
            weighted = wide * curvature[:, :, None]
        else:
            slopes, curvatures = derivatives(at)
            slope = np.moveaxis(slopes, 2, 0).reshape(draws, -1)
            by_predictor = wide.reshape(draws, len(at), -1, effects)
            weighted = np.einsum("pqrd,dqre->dpre", curvatures, by_predictor).reshape(wide.shape)
        precision = np.swapaxes(weighted, 1, 2) @ wide + np.eye(effects)
        pull = (np.swapaxes(wide, 1, 2) @ slope[:, :, None])[:, :, 0] - x
        step = np.linalg.solve(precision, pull[:, :, None])[:, :, 0]
        moved = np.abs((wide @ step[:, :, None])[:, :, 0]).max(axis=1, initial=0.0)
        x += step * (_LONGEST_STEP / np.maximum(moved, _LONGEST_STEP))[:, None]
        if moved.max(initial=0.0) < _SETTLED:
            break
    return x, precision


def _derivatives(likelihood: Likelihood, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return slopes and negative curvatures, shape (draws, predictors x rows), the latter >= 0."""
    here = likelihood(at)
    slopes, curvatures = [], []
    for number in range(len(at)):
        moved = at.copy()
        moved[number] = at[number] + _STEP
        above = likelihood(moved)
        moved[number] = at[number] - _STEP
        below = likelihood(moved)
        slopes.append((above - below) / (2 * _STEP))
        curvatures.append(np.maximum((2 * here - above - below) / _STEP**2, 0.0))
    return tuple(
        np.nan_to_num(np.moveaxis(np.array(values), 2, 0).reshape(at.shape[2], -1), posinf=1e9)
        for values in (slopes, curvatures)
    )
