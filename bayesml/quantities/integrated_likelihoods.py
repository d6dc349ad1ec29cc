"""Likelihoods with random effects integrated out: of one row, and of a whole group of rows.

Effects are standardised: u = L x with x ~ N(0, I) and L L' = Sigma, so that an SD of 0 needs no
special care.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from scipy.special import logsumexp

from bayesml.quantities.log_likelihoods import MixedLikelihood, RowLikelihood

# Newton's method stops where no linear predictor moves by more: it only places the nodes.
_SETTLED = 1e-3
_MOST_STEPS = 50
# A longer step on the scale of the linear predictor may jump beyond the mode.
_LONGEST_STEP = 2.0
_LOG_2PI = np.log(2 * np.pi)
_NODES_OF_ROWS = 15
# Nodes per dimension, by the number of dimensions of a product rule.
_NODES = {0: 1, 1: 15, 2: 9, 3: 7}
# The same where inner units lie within the nodes of outer effects: the numbers multiply.
_NESTED_NODES = {0: 1, 1: 9, 2: 7, 3: 5}
_POINTS = 100
# Degrees of freedom of the proposals: their tails must outlast those of the integrand.
_PROPOSAL_NU = 8.0


def integrated_rows(likelihood: RowLikelihood, eta: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return the log-likelihood of rows whose linear predictor has a normal part of its own.

    log of the integral of p(y | eta + spread x) N(x | 0, 1) over x: in closed form for Gaussian
    outcomes, else by adaptive Gauss-Hermite quadrature around the mode (Liu & Pierce 1994,
    doi:10.1093/biomet/81.3.624).

    Parameters
    ----------
    likelihood : RowLikelihood
    eta : array, shape (rows, draws)
        Linear predictor without the part that is integrated out.
    spread : array, shape (rows, draws)
        SD of that part; 0 leaves the likelihood as it is.

    Returns
    -------
    array, shape (rows, draws)
    """
    if isinstance(likelihood, MixedLikelihood):
        found = np.empty_like(eta)
        for rows, own in likelihood.of_outcomes():
            found[rows] = integrated_rows(own, eta[rows], spread[rows])
        return found
    if likelihood.family == "gaussian":
        sigma = np.hypot(likelihood.parameters["sigma"], spread)
        return RowLikelihood("gaussian", "identity", likelihood.outcome, {"sigma": sigma})(eta)
    x = np.zeros_like(eta)
    with np.errstate(divide="ignore"):
        longest = np.where(spread > 0, _LONGEST_STEP / spread, np.inf)
    for _ in range(_MOST_STEPS):
        slope, curvature = likelihood.derivatives(eta + spread * x)
        step = (spread * slope - x) / (1 + spread**2 * curvature)
        step = np.clip(step, -longest, longest)
        x += step
        if np.abs(spread * step).max() < _SETTLED:
            break
    _, curvature = likelihood.derivatives(eta + spread * x)
    width = 1 / np.sqrt(1 + spread**2 * curvature)
    total = np.full(eta.shape, -np.inf)
    for node, log_weight in zip(*_hermite(_NODES_OF_ROWS), strict=True):
        at = x + width * node
        total = np.logaddexp(
            total, likelihood(eta + spread * at) - at**2 / 2 + node**2 / 2 + log_weight
        )
    return total + np.log(width)


@dataclass(frozen=True)
class GroupEffects:
    """The random effects of one group of rows, as standardised designs.

    Parameters
    ----------
    unit : array of int, shape (rows,)
        Inner unit of each row, from 0: effects that only rows of one inner unit share. All 0 where
        the group has no inner units.
    inner : array, shape (rows, terms, draws)
        Row of Z times L of the inner unit's effects; 0 for a row without one.
    outer : array, shape (rows, effects, draws)
        The same of the effects that several inner units share.
    """

    unit: np.ndarray
    inner: np.ndarray
    outer: np.ndarray


@dataclass(frozen=True)
class IntegratedGroup:
    """The log-likelihood of a group of rows with its effects integrated out.

    Parameters
    ----------
    log_likelihood : array, shape (draws,)
    error : array, shape (draws,)
        Standard error of `log_likelihood` where it was estimated by importance sampling; 0 where
        it is exact or by quadrature.
    method : str
        "exact", "quadrature" or "importance sampling".
    """

    log_likelihood: np.ndarray
    error: np.ndarray
    method: str


def integrated_group(
    likelihood: RowLikelihood, eta: np.ndarray, effects: GroupEffects, rng: np.random.Generator
) -> IntegratedGroup:
    """Return the log-likelihood of a group's rows with its effects integrated out.

    Gaussian outcomes: exact, by the multivariate normal density with its low-rank structure.
    Others: adaptive Gauss-Hermite quadrature around the joint mode, inner units within the nodes
    of the outer effects; more than two outer effects are integrated by importance sampling, with
    Student-t proposals at the mode (Pinheiro & Bates 1995, doi:10.1080/10618600.1995.10474663).

    Parameters
    ----------
    likelihood : RowLikelihood
    eta : array, shape (rows, draws)
        Linear predictor without the effects that are integrated out.
    effects : GroupEffects
    rng : numpy Generator
        For importance sampling.

    Returns
    -------
    IntegratedGroup
    """
    if likelihood.family == "gaussian":
        precision = np.broadcast_to(1 / likelihood.parameters["sigma"] ** 2, eta.shape)
        system = _System.at(effects, (likelihood.outcome - eta) * precision, precision, None)
        mode = system.step
        values = likelihood(eta + _shift(effects, mode)).sum(axis=0)
        values = values - 0.5 * _squares(mode) - 0.5 * system.log_determinant
        return IntegratedGroup(values, np.zeros_like(values), "exact")
    mode, system = _mode(likelihood, eta, effects)
    outer = effects.outer.shape[1]
    if outer <= 2:
        values = _outer_quadrature(likelihood, eta, effects, mode, system)
        return IntegratedGroup(values, np.zeros_like(values), "quadrature")
    values, error = _outer_sampling(likelihood, eta, effects, mode, system, rng)
    return IntegratedGroup(values, error, "importance sampling")


@dataclass(frozen=True)
class _Point:
    """Standardised effects: inner (units, terms, draws), outer (effects, draws)."""

    inner: np.ndarray
    outer: np.ndarray


@dataclass(frozen=True)
class _System:
    """Newton's step at a point, and the Hessian's factors: inner blocks, and what is left outside.

    `inner_factor` (units, draws, terms, terms) and `outer_factor` (draws, effects, effects) are
    Cholesky factors, `tie` (units, draws, terms, effects) says how the inner modes move with the
    outer effects.
    """

    step: _Point
    inner_factor: np.ndarray
    outer_factor: np.ndarray
    tie: np.ndarray

    @cached_property
    def span(self) -> list[np.ndarray]:
        """Columns of the inner factors' inverse transposed, each (units, terms, draws).

        They take nodes from the standard normal to each unit's own scale.
        """
        inverse = _inverse_transposed(self.inner_factor)
        return [
            np.ascontiguousarray(np.moveaxis(inverse[..., number], 1, 2))
            for number in range(inverse.shape[-1])
        ]

    @property
    def log_determinant(self) -> np.ndarray:
        inner = np.diagonal(self.inner_factor, axis1=-2, axis2=-1)
        outer = np.diagonal(self.outer_factor, axis1=-2, axis2=-1)
        return 2 * (np.log(inner).sum(axis=(0, 2)) + np.log(outer).sum(axis=-1))

    @classmethod
    def at(
        cls,
        effects: GroupEffects,
        slope: np.ndarray,
        curvature: np.ndarray,
        point: _Point | None,
    ) -> "_System":
        """Return the system of -log p(y | x) + x'x / 2; `point` None is the origin."""
        inner, outer = effects.inner, effects.outer
        terms = inner.shape[1]
        number = outer.shape[1]
        units = int(effects.unit.max()) + 1
        order = np.argsort(effects.unit, kind="stable")
        starts = np.searchsorted(effects.unit[order], np.arange(units))

        def by_unit(values: np.ndarray) -> np.ndarray:
            """Sum over the rows of each unit; every unit has rows."""
            return np.add.reduceat(values[order], starts, axis=0)

        weighted = inner * curvature[:, None]
        own = by_unit(weighted[:, :, None] * inner[:, None])
        own[:, np.arange(terms), np.arange(terms)] += 1.0
        tied = by_unit(weighted[:, :, None] * outer[:, None])
        pull = by_unit(inner * slope[:, None])
        shared = np.einsum("ias,ibs,is->sab", outer, outer, curvature, optimize=True)
        shared += np.eye(number)
        push = (outer * slope[:, None]).sum(axis=0).T
        if point is not None:
            pull = pull - point.inner
            push = push - point.outer.T
        own = np.moveaxis(own, 3, 1)
        tied = np.moveaxis(tied, 3, 1)
        pull = np.moveaxis(pull, 2, 1)
        solved = np.linalg.solve(own, np.concatenate([tied, pull[..., None]], axis=-1))
        tie, alone = solved[..., :number], solved[..., number]
        shared -= np.einsum("msqa,msqb->sab", tied, tie, optimize=True)
        push = push - np.einsum("msqa,msq->sa", tied, alone, optimize=True)
        move = np.linalg.solve(shared, push[..., None])[..., 0]
        inner_move = alone - np.einsum("msqa,sa->msq", tie, move, optimize=True)
        return cls(
            _Point(np.moveaxis(inner_move, 1, 2), move.T),
            np.linalg.cholesky(own),
            np.linalg.cholesky(shared),
            tie,
        )


def _shift(effects: GroupEffects, point: _Point) -> np.ndarray:
    """Return what standardised effects add to the linear predictor, shape (rows, draws)."""
    return _loading(effects.inner, point.inner[effects.unit]) + _loading(effects.outer, point.outer)


def _loading(design: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the sum over effects of design (rows, effects, draws) times values."""
    total = np.zeros((len(design), design.shape[2]))
    for number in range(design.shape[1]):
        total += design[:, number] * values[..., number, :]
    return total


def _squares(point: _Point) -> np.ndarray:
    return (point.inner**2).sum(axis=(0, 1)) + (point.outer**2).sum(axis=0)


def _mode(
    likelihood: RowLikelihood, eta: np.ndarray, effects: GroupEffects
) -> tuple[_Point, _System]:
    """Return the joint mode of the standardised effects, and the Hessian there."""
    terms, draws = effects.inner.shape[1:]
    units = int(effects.unit.max()) + 1
    point = _Point(np.zeros((units, terms, draws)), np.zeros((effects.outer.shape[1], draws)))
    system = _System.at(effects, *likelihood.derivatives(eta), point)
    for _ in range(_MOST_STEPS):
        moved = np.abs(_shift(effects, system.step)).max(axis=0)
        share = _LONGEST_STEP / np.maximum(moved, _LONGEST_STEP)
        point = _Point(
            point.inner + share * system.step.inner, point.outer + share * system.step.outer
        )
        at = eta + _shift(effects, point)
        system = _System.at(effects, *likelihood.derivatives(at), point)
        if moved.max() < _SETTLED:
            break
    return point, system


def _inner_integral(
    likelihood: RowLikelihood,
    eta: np.ndarray,
    effects: GroupEffects,
    centre: np.ndarray,
    system: _System,
) -> np.ndarray:
    """Return the log of the product over inner units of their integrals, shape (draws,).

    `eta` holds the outer effects already; `centre` (units, terms, draws) is where each unit's
    nodes are laid.
    """
    units, terms, draws = centre.shape
    if not terms:
        return likelihood(eta).sum(axis=0)
    # Sums over the rows of each unit; every unit has rows.
    order = np.argsort(effects.unit, kind="stable")
    starts = np.searchsorted(effects.unit[order], np.arange(units))
    nested = effects.outer.shape[1] > 0
    nodes, log_weights = _hermite((_NESTED_NODES if nested else _NODES)[terms])
    total = np.full((units, draws), -np.inf)
    for chosen in product(range(len(nodes)), repeat=terms):
        node = nodes[list(chosen)]
        at = centre + sum(step * column for step, column in zip(node, system.span, strict=True))
        values = likelihood(eta + _loading(effects.inner, at[effects.unit]))
        added = np.add.reduceat(values[order], starts, axis=0) - 0.5 * (at**2).sum(axis=1)
        added += 0.5 * (node**2).sum() + log_weights[list(chosen)].sum()
        total = np.logaddexp(total, added)
    inner = np.diagonal(system.inner_factor, axis1=-2, axis2=-1)
    return (total - np.log(inner).sum(axis=-1)).sum(axis=0)


def _at_outer(
    likelihood: RowLikelihood,
    eta: np.ndarray,
    effects: GroupEffects,
    mode: _Point,
    system: _System,
    away: np.ndarray,
) -> np.ndarray:
    """Return log p(y, v) at the outer effects v = mode + `away` (effects, draws), prior and all."""
    outer = mode.outer + away
    shifted = eta + _loading(effects.outer, outer)
    # The inner modes follow the outer effects.
    centre = mode.inner - np.einsum("msqa,as->mqs", system.tie, away)
    inner = _inner_integral(likelihood, shifted, effects, centre, system)
    return inner - 0.5 * (outer**2).sum(axis=0) - 0.5 * len(outer) * _LOG_2PI


def _outer_quadrature(
    likelihood: RowLikelihood,
    eta: np.ndarray,
    effects: GroupEffects,
    mode: _Point,
    system: _System,
) -> np.ndarray:
    number = effects.outer.shape[1]
    nested = effects.inner.shape[1] > 0
    nodes, log_weights = _hermite((_NESTED_NODES if nested else _NODES)[number])
    span = _inverse_transposed(system.outer_factor)
    total = np.full(eta.shape[1], -np.inf)
    for chosen in product(range(len(nodes)), repeat=number):
        node = nodes[list(chosen)]
        values = _at_outer(likelihood, eta, effects, mode, system, (span @ node).T)
        # The rule holds for integrals against N(0, I): its density is taken out.
        values += 0.5 * (node**2).sum() + 0.5 * number * _LOG_2PI + log_weights[list(chosen)].sum()
        total = np.logaddexp(total, values)
    factor = np.diagonal(system.outer_factor, axis1=-2, axis2=-1)
    return total - np.log(factor).sum(axis=-1)


def _outer_sampling(
    likelihood: RowLikelihood,
    eta: np.ndarray,
    effects: GroupEffects,
    mode: _Point,
    system: _System,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    from scipy.special import gammaln

    number, draws = effects.outer.shape[1:]
    span = _inverse_transposed(system.outer_factor)
    factor = np.diagonal(system.outer_factor, axis1=-2, axis2=-1)
    constant = (
        gammaln((_PROPOSAL_NU + number) / 2)
        - gammaln(_PROPOSAL_NU / 2)
        - 0.5 * number * np.log(_PROPOSAL_NU * np.pi)
        + np.log(factor).sum(axis=-1)
    )
    weights = np.empty((_POINTS, draws))
    for point in range(_POINTS):
        normal = rng.standard_normal((draws, number))
        wide = np.sqrt(_PROPOSAL_NU / rng.chisquare(_PROPOSAL_NU, size=draws))
        standard = normal * wide[:, None]
        proposal = constant - 0.5 * (_PROPOSAL_NU + number) * np.log1p(
            (standard**2).sum(axis=1) / _PROPOSAL_NU
        )
        away = np.einsum("sab,sb->as", span, standard)
        weights[point] = _at_outer(likelihood, eta, effects, mode, system, away) - proposal
    value = logsumexp(weights, axis=0) - np.log(_POINTS)
    relative = np.exp(weights - value)
    return value, relative.std(axis=0, ddof=1) / np.sqrt(_POINTS)


def _inverse_transposed(factor: np.ndarray) -> np.ndarray:
    """Return the inverse of the transpose of Cholesky factors, shape (..., size, size)."""
    identity = np.broadcast_to(np.eye(factor.shape[-1]), factor.shape)
    return np.linalg.solve(np.swapaxes(factor, -1, -2), identity)


def _hermite(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the nodes, and the logs of the weights, of the rule for N(0, 1)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(number)
    return nodes, np.log(weights) - 0.5 * _LOG_2PI
