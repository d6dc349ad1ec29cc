"""Maximum likelihood and REML of a Gaussian model, by the kernels of the marginal engine.

The residual variance and the coefficients are profiled out; what is optimised are the entries of
the relative factors (Bates, Maechler, Bolker & Walker 2015, doi:10.18637/jss.v067.i01), of terms
that were made orthogonal first. A full covariance of the terms is a full covariance of their
combinations, so the criterion is the same; but where a term is far from 0, as calendar years are,
its own intercept and slope are correlated by nearly -1, along a ridge on which an optimiser stops
early.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import OptimizeResult, minimize

from bayesml.design.member_terms import all_slots
from bayesml.engines import reduction_kernels
from bayesml.engines.class_gradient_kernels import class_gradient
from bayesml.engines.core_kernels import SMALL
from bayesml.engines.effect_kernels import scaled_effects
from bayesml.engines.elimination import Elimination
from bayesml.engines.linear_models import (
    LinearModel,
    Standardised,
    eliminated,
    per_grouping,
    standardise,
)
from bayesml.engines.residual_classes import ALIKE
from bayesml.engines.residual_kernels import class_coefficients, combined

# An SD below this share of the residual's, for a term of unit mean square, is 0 but for rounding.
_ZERO = 1e-8
# Sizes of the starting factors, relative to the residual SD, for terms of unit mean square.
_STARTS = (1.0, 0.2)
_ROUNDS = 6
# A diagonal entry below this is taken to be at its bound, and these are tried in its place.
_STUCK = 1e-5
_LIFTS = (1e-3, 1e-2, 0.1, 1.0)

# Run by Python, as they only call one kernel or another: those are compiled for the density.
_reduce = reduction_kernels.reduce_products.py_func
_gradient = reduction_kernels.reduced_gradient.py_func


@dataclass(frozen=True)
class LikelihoodOptimum:
    """Where the (restricted) likelihood of a Gaussian model is highest, on the user's scale.

    Parameters
    ----------
    criterion : float
        -2 log (restricted) likelihood, with all constants, as lme4 defines it.
    coefficients, covariance : arrays, shapes (coefficients,) and (coefficients, coefficients)
        Estimates with the intercept at 0, and their estimated covariance.
    sds : tuple of array
        SD of each term, by grouping.
    correlations : tuple of array
        Correlation matrix of the terms, by grouping; NaN beside a term whose SD is 0.
    sigma : float
        Residual SD; where there are several, that of the first, or the one that others refer to.
    residual_parameters : array
        Of the residuals' structure, as `residual_classes` has them, SDs relative to sigma.
    effects : tuple of array, shape (units, terms)
        Conditional means of the random effects, by grouping.
    covariance_parameters : int
        Number of variance and correlation parameters, sigma included.
    converged : bool
        Whether the gradient vanishes.
    """

    criterion: float
    coefficients: np.ndarray
    covariance: np.ndarray
    sds: tuple[np.ndarray, ...]
    correlations: tuple[np.ndarray, ...]
    sigma: float
    residual_parameters: np.ndarray
    effects: tuple[np.ndarray, ...]
    covariance_parameters: int
    converged: bool


class _Profile:
    """The criterion as a function of the entries of the relative factors."""

    def __init__(self, model: LinearModel, restricted: bool) -> None:
        self.arrays: Standardised = standardise(model)
        self.elimination: Elimination = eliminated(model, self.arrays.fixed, self.arrays.groupings)
        self.residuals = ALIKE if model.residual is None else model.residual.residuals
        self.rows = len(model.outcome)
        self.predictors = model.predictors.shape[1]
        self.freedom = self.rows - (self.predictors if restricted else 0)
        self.restricted = restricted
        self.entries, diagonal = _entries(model.blocks)
        self.parameters = len(self.residuals.kind)
        self.diagonal = np.append(diagonal, np.zeros(self.parameters, dtype=bool))
        self.plan = plan = self.elimination.plan
        shape = (int(plan.classes[0]), 1 + self.parameters)
        self.coefficients, self.slopes = np.empty(shape[0]), np.zeros(shape)
        self.determinant_slopes = np.zeros(shape[1])
        self.factors = np.zeros(int(plan.factor_start[-1]))
        self.memory = reduction_kernels.working_memory(plan, True)

    def solve(self, entries: np.ndarray) -> tuple[float, float, np.ndarray, np.ndarray, float]:
        """Return log |V|, log |S|, the Cholesky factor of S, the coefficients and the squares."""
        self.factors[self.entries] = entries[: len(self.entries)]
        determinant = 0.0
        if len(self.coefficients):
            # Relative to sigma, whose log is taken to be 0 here
            determinant = class_coefficients(
                self.residuals,
                0.0,
                np.ascontiguousarray(entries[len(self.entries) :]),
                self.coefficients,
                self.slopes,
                self.determinant_slopes,
            )
            self.plan = combined(self.elimination.plan, self.coefficients, self.memory.cross)
        determinant += _reduce(self.plan, self.factors, self.memory)
        reduced = self.memory.reduced
        p = self.predictors
        schur = np.linalg.cholesky(reduced[:p, :p])
        half = solve_triangular(schur, reduced[:p, p], lower=True)
        squares = float(reduced[p, p] - half @ half)
        beta = solve_triangular(schur, half, lower=True, trans=1)
        return determinant, 2 * float(np.log(np.diag(schur)).sum()), schur, beta, squares

    def criterion(self, entries: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the criterion and its gradient."""
        try:
            determinant, schur_determinant, schur, beta, squares = self.solve(entries)
        except np.linalg.LinAlgError:
            return np.inf, np.zeros(len(entries))
        if not np.isfinite(determinant) or not squares > 0:
            return np.inf, np.zeros(len(entries))
        value = determinant + self.freedom * (1 + np.log(2 * np.pi * squares / self.freedom))
        v = np.append(-beta, 1.0)
        outer = -0.5 * self.freedom / squares * np.outer(v, v)
        if self.restricted:
            p = self.predictors
            value += schur_determinant + 2 * float(np.log(self.arrays.predictor_scale).sum())
            inverse = solve_triangular(schur, np.eye(p), lower=True)
            outer[:p, :p] -= 0.5 * inverse.T @ inverse
        gradient = np.empty_like(self.factors)
        _gradient(self.plan, self.factors, self.memory, outer, gradient)
        by_class = np.zeros(len(self.coefficients))
        if len(by_class):
            memory = self.memory
            class_gradient(
                self.plan, self.factors, memory.fronts, memory.core, memory.fixed, outer, by_class
            )
        residual = by_class @ self.slopes[:, 1:] - 0.5 * self.determinant_slopes[1:]
        return float(value), -2 * np.append(gradient[self.entries], residual)


def likelihood_optimum(model: LinearModel, restricted: bool) -> LikelihoodOptimum:
    """Maximise the likelihood, or the restricted likelihood, of a Gaussian model.

    Parameters
    ----------
    model : LinearModel
    restricted : bool
        REML rather than ML.

    Returns
    -------
    LikelihoodOptimum

    Raises
    ------
    TooLarge
        Too many random effects are entangled.
    """
    orthogonal, changes = _orthogonal(model)
    profile = _Profile(orthogonal, restricted)
    if not len(profile.diagonal):
        return _optimum(model, profile, np.empty(0), np.empty(0), changes)
    bounds = [(0.0, None) if diagonal else (None, None) for diagonal in profile.diagonal]
    best, value, slope = np.empty(0), np.inf, np.zeros(0)
    with _one_thread() if len(profile.plan.cross_core) > SMALL else nullcontext():
        for size in _STARTS:
            result = _minimised(profile, profile.diagonal * size, bounds)
            if result.fun < value:
                best, value, slope = np.asarray(result.x), float(result.fun), np.asarray(result.jac)
    return _optimum(model, profile, best, slope, changes)


def _one_thread() -> AbstractContextManager[Any]:
    """Return a context in which matrices have one thread; see `sample_marginal`."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, user_api="blas")


def _minimised(profile: _Profile, found: np.ndarray, bounds: Sequence[tuple]) -> OptimizeResult:
    """Return where L-BFGS-B ends, restarted where a diagonal entry is stuck at 0."""
    best: OptimizeResult | None = None
    for _ in range(_ROUNDS):  # a new start forgets a poor picture of the curvature
        result = minimize(
            profile.criterion,
            found,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"ftol": 1e-14, "gtol": 1e-7, "maxiter": 1000, "maxcor": 20},
        )
        if best is None or result.fun < best.fun:
            best = result
        lifted = _lifted(profile, best)
        if lifted is None and result.nit <= 2:
            break
        found = np.asarray(best.x) if lifted is None else lifted
    assert best is not None
    return best


def _lifted(profile: _Profile, result: OptimizeResult) -> np.ndarray | None:
    """Return a lower point with a diagonal entry above 0, None where there is none.

    The criterion does not know the sign of a column of a factor, so its slope at a diagonal entry
    of 0 is 0 whether it is a minimum there or a saddle.
    """
    lowest, found = float(result.fun) - 1e-9, None
    for place in np.flatnonzero(profile.diagonal & (np.asarray(result.x) < _STUCK)):
        for size in _LIFTS:
            trial = np.array(result.x)
            trial[place] = size
            value, _ = profile.criterion(trial)
            if value < lowest:
                lowest, found = value, trial
    return found


def _orthogonal(model: LinearModel) -> tuple[LinearModel, list[np.ndarray]]:
    """Return a model whose terms are orthogonal within each block, Z A, and A by grouping.

    Effects v of the combinations are effects A v of the terms.
    """
    groupings, changes = [], []
    for item, blocks in zip(model.groupings, model.blocks, strict=True):
        z = all_slots(item.terms)
        terms = np.empty_like(z, dtype=float)
        change = np.zeros((z.shape[1],) * 2)
        first = 0
        for size in blocks:
            block = slice(first, first + size)
            # Of unit mean square, so that the triangle has no tiny numbers beside huge ones.
            scale = np.sqrt((z[:, block] ** 2).mean(axis=0))
            scale = np.where(scale > 0, scale, 1.0)
            basis, triangle = np.linalg.qr(z[:, block] / scale)
            if len(basis) >= size and (np.diag(triangle) != 0).all():
                sign = np.sign(np.diag(triangle)) * len(basis) ** 0.5
                terms[:, block] = basis * sign
                change[block, block] = solve_triangular(triangle, np.diag(sign)) / scale[:, None]
            else:
                terms[:, block] = z[:, block]
                change[block, block] = np.eye(size)
            first += size
        groupings.append(replace(item, terms=terms.reshape(item.terms.shape)))
        changes.append(change)
    return replace(model, groupings=tuple(groupings)), changes


def _optimum(
    model: LinearModel,
    profile: _Profile,
    entries: np.ndarray,
    slope: np.ndarray,
    changes: Sequence[np.ndarray],
) -> LikelihoodOptimum:
    arrays = profile.arrays
    value, _ = profile.criterion(entries)
    _, _, schur, beta, squares = profile.solve(entries)
    parameters = entries[len(profile.entries) :]
    sigma = float(np.sqrt(squares / profile.freedom))
    p = profile.predictors
    inverse = solve_triangular(schur, np.eye(p), lower=True)
    plan = profile.plan
    effects = np.empty(int(plan.unit_column[-1]))
    zeros = np.zeros(len(effects))
    scaled_effects(plan, profile.factors, 0.0, beta, zeros, profile.memory, effects)
    sds, correlations, by_grouping = [], [], []
    scales = per_grouping(arrays.term_scale, model.sizes)
    start = 0
    for g, (size, scale, change) in enumerate(zip(model.sizes, scales, changes, strict=True)):
        # u = factor b with b ~ N(0, sigma^2 I)
        relative = profile.factors[start : start + size**2].reshape(size, size)
        factor = change @ (relative / scale[:, None])
        start += size**2
        spread = np.sqrt((factor**2).sum(axis=1))
        used = spread * np.sqrt((all_slots(model.groupings[g].terms) ** 2).mean(axis=0)) > _ZERO
        with np.errstate(invalid="ignore"):
            rows = factor / np.where(used, spread, np.nan)[:, None]
        correlations.append(np.clip(rows @ rows.T, -1.0, 1.0))
        sds.append(np.where(used, sigma * spread, 0.0))
        columns = profile.elimination.columns_of(g)
        by_grouping.append((effects[columns].reshape(-1, size) / scale) @ change.T)
    # At a bound the criterion may rise to the inside; elsewhere its slope is nought.
    free = ~(profile.diagonal & (entries <= 1e-8))
    return LikelihoodOptimum(
        criterion=value,
        coefficients=arrays.coefficients(beta),
        covariance=sigma**2 * arrays.covariance(inverse.T @ inverse),
        sds=tuple(sds),
        correlations=tuple(correlations),
        sigma=sigma,
        residual_parameters=parameters,
        effects=tuple(by_grouping),
        covariance_parameters=len(entries) + 1,
        converged=bool((np.abs(slope[free]) < 1e-3 * max(1.0, profile.rows**0.5)).all()),
    )


def _entries(blocks: Sequence[tuple[int, ...]]) -> tuple[np.ndarray, np.ndarray]:
    """Return which entries of the flat factors are free, and which of those are diagonal."""
    where, diagonal = [], []
    start = 0
    for sizes in blocks:
        width = sum(sizes)
        first = 0
        for size in sizes:
            for row in range(first, first + size):
                for column in range(first, row + 1):
                    where.append(start + row * width + column)
                    diagonal.append(row == column)
            first += size
        start += width**2
    return np.array(where, dtype=int), np.array(diagonal, dtype=bool)
