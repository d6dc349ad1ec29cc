"""The linear predictor of rows, draw by draw, in blocks of rows that fit the processor's cache."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import numpy as np

from bayesml.design.member_terms import slot_loads, slot_terms
from bayesml.posterior.category_blocks import CategorySpread, drawn_scores, summed
from bayesml.posterior.category_predictors import cutpoints_of_block
from bayesml.posterior.effect_distributions import (
    effects_by_kind,
    factors_by_kind,
)
from bayesml.posterior.mixed_predictions import means_by_outcome, outcomes_by_family
from bayesml.posterior.outcome_parameters import parameter_values
from bayesml.posterior.prediction_rows import PredictionRows, RowsOfGrouping
from bayesml.posterior.predictor_arrays import flat_coefficients
from bayesml.posterior.unknown_effects import only_terms
from bayesml.quantities.nominal_shares import nominal_shares
from bayesml.quantities.response_means import (
    category_probabilities,
    response_mean,
    response_mean_over_normal,
)
from bayesml.quantities.student_effects import student_spread
from bayesml.records.fits import Fit
from bayesml.specs.category_effects import CATEGORY_SPECIFIC

# Numbers in a block: 1 MB, so that the many passes over a block stay in the cache.
_BLOCK = 131_072
# Numbers of drawn effects that are kept for later blocks, 128 MB; beyond it they are drawn again.
_KEPT = 16_777_216


@dataclass(frozen=True)
class PredictorBlock:
    """Some rows' linear predictor.

    Parameters
    ----------
    rows : slice
    eta : array, shape (rows, draws)
        On the link scale, with the offset; without cutpoints.
    variance : array that broadcasts to (rows, draws), or None
        Variance of the effects that are averaged over (strategy "marginal"), None where there are
        none.
    parts : mapping of str to PredictorBlock
        The same of every parameter that has a linear predictor of its own, or of every category
        of a nominal outcome but the baseline; `eta` of category-specific effects has the shape
        (rows, cutpoints, draws).
    covariance : array that broadcasts to (categories, categories, rows, draws), or None
        Of the effects on categories that are averaged over.
    """

    rows: slice
    eta: np.ndarray
    variance: np.ndarray | None
    parts: "Mapping[str, PredictorBlock]" = field(default_factory=dict)
    covariance: np.ndarray | None = None

    @property
    def scores(self) -> np.ndarray:
        """The linear predictors of the parts, shape (parts, rows, draws)."""
        return np.stack([part.eta for part in self.parts.values()])


def own_parameters(
    parameters: Mapping[str, np.ndarray], outcome: np.ndarray | None
) -> Mapping[str, np.ndarray]:
    """Return each row's own parameters where there are several outcomes.

    Parameters
    ----------
    parameters : mapping of str to array, shape (draws,) or (draws, outcomes)
    outcome : array of int, shape (rows,), or None
        Number of each row's outcome; None where there is one.

    Returns
    -------
    mapping of str to array
        Shape (rows, draws) where there are several outcomes, else as they were.
    """
    if outcome is None:
        return parameters
    return {
        name: values[:, outcome].T if values.ndim == 2 else values
        for name, values in parameters.items()
    }


def flat_draws(fit: Fit, name: str) -> np.ndarray:
    """Return a variable's draws, shape (chains x draws, ...), chain after chain.

    Coefficients of several outcomes stand one after the other.
    """
    if name == "beta":
        return fit.coefficient_draws.reshape(fit.draws_made, -1)
    values = np.asarray(fit.posterior[name].transpose("chain", "draw", ...).values, dtype=float)
    return values.reshape(-1, *values.shape[2:])


def flat_parameters(fit: Fit) -> dict[str, np.ndarray]:
    """Return the draws of the likelihood's parameters that have no formula of their own."""
    found = {item.name: parameter_values(fit, item.name) for item in fit.spec.scalar_parameters}
    return {name: values.reshape(-1, *values.shape[2:]) for name, values in found.items()}


def predictor_blocks(
    fit: Fit, rows: PredictionRows, seed: int, *, parts: bool = False
) -> Iterator[PredictorBlock]:
    """Yield the linear predictor block by block: X beta + Z u + offset.

    Parameters
    ----------
    fit : Fit
    rows : PredictionRows
    seed : int
        Seeds the effects of drawn units. Each unit has a stream of its own, which follows from
        the seed, the grouping and the label: a unit's effects do not depend on the other rows.
    parts : bool
        Whether the linear predictors of further parameters are wanted too.

    Yields
    ------
    PredictorBlock
    """
    # Category-specific effects belong to the main linear predictor.
    names = ["", *(name for name in rows.parts if parts or name == CATEGORY_SPECIFIC)]
    predictors = {name: _Predictor(fit, rows, seed, name) for name in names}
    spreads = [
        CategorySpread(fit, part)
        for part in rows.groupings
        if fit.facts.nominal and part.strategy == "marginal"
    ]
    size = max(1, _BLOCK // fit.draws_made)
    for start in range(0, len(rows.offset), size):
        block = slice(start, min(start + size, len(rows.offset)))
        found = {name: predictor.of(block) for name, predictor in predictors.items()}
        yield replace(found.pop(""), parts=found, covariance=summed(spreads, block))


class _Predictor:
    """One linear predictor: the main one, or that of a parameter."""

    def __init__(self, fit: Fit, rows: PredictionRows, seed: int, name: str):
        beta = flat_coefficients(fit, name)
        self.beta = beta.T.copy() if beta.shape[-1] else None
        self.x = rows.parts[name] if name else rows.fixed
        self.offset = None if name else rows.offset
        self.draws = fit.draws_made
        parts = [part for part in rows.groupings if part.places(name)]
        self.effects = [_Effects(fit, p, seed, name) for p in parts if p.strategy != "marginal"]
        # Those of a nominal outcome's categories go together.
        averaged = [] if fit.facts.nominal else parts
        self.spreads = [_Spread(fit, p, name) for p in averaged if p.strategy == "marginal"]

    def of(self, block: slice) -> PredictorBlock:
        # Category-specific effects have an axis of cutpoints before that of draws.
        each = (self.draws,) if self.beta is None else self.beta.shape[1:]
        eta = np.zeros((block.stop - block.start, *each))
        if self.beta is not None:
            # Blocks are small: threads of a matrix library would cost more than they save.
            np.einsum("rc,c...->r...", self.x[block], self.beta, out=eta)
        if self.offset is not None:
            eta += self.offset[block, None]
        for part in self.effects:
            part.add_to(eta, block)
        variance = None
        for spread in self.spreads:
            own = spread.of(block)
            variance = own if variance is None else variance + own
        return PredictorBlock(block, eta, variance)


class _Effects:
    """Effects of known and drawn units of one grouping on one linear predictor."""

    def __init__(self, fit: Fit, part: RowsOfGrouping, seed: int, predictor: str):
        self.part = part
        self.places = part.places(predictor)
        self.seed = seed
        name, facts = part.facts.identifier, part.facts
        known = (part.positions >= 0).any()
        self.known = effects_by_kind(flat_draws(fit, f"u_{name}"), facts) if known else None
        self.root = factors_by_kind(fit, facts) if (part.positions < 0).any() else None
        self.nu = flat_draws(fit, f"nu_{name}") if facts.student else None
        self.keeps = len(part.labels) * part.size * fit.draws_made <= _KEPT
        self.kept: dict[str, np.ndarray] = {}

    def add_to(self, eta: np.ndarray, block: slice) -> None:
        part = self.part
        used, numbers = np.unique(part.index[block], return_inverse=True)
        numbers = numbers.reshape(part.index[block].shape)
        effects = np.empty((len(used), part.size, eta.shape[1]))
        for place, unit in enumerate(used):
            position = part.positions[unit]
            if position >= 0 and self.known is not None:
                effects[place] = self.known[:, position].T
            else:
                effects[place] = self._drawn(part.labels[unit])
        terms, weights = part.terms[block], part.weights[block]
        for slot in range(weights.shape[1]):
            for term in self.places:
                share = weights[:, slot] * slot_terms(terms, slot)[:, term]
                if (share == 1).all():
                    eta += effects[numbers[:, slot], term]
                elif share.any():
                    eta += share[:, None] * effects[numbers[:, slot], term]

    def _drawn(self, label: str) -> np.ndarray:
        """Return the effects of a unit that the fit does not know, shape (terms, draws)."""
        assert self.root is not None
        if label in self.kept:
            return self.kept[label]
        rng = np.random.default_rng([self.seed, *_words(self.part.facts.name, label)])
        normal = rng.standard_normal(self.root.shape[:2])
        effects = np.einsum("dij,dj->id", self.root, normal)
        if self.nu is not None:
            effects *= student_spread(self.nu, 1, rng)[:, 0]
        if self.keeps:
            self.kept[label] = effects
        return effects


def _words(grouping: str, label: str) -> list[int]:
    """Return numbers that a generator takes as its seed."""
    digest = sha256(f"{grouping}\0{label}".encode()).digest()
    return [int.from_bytes(digest[at : at + 4], "little") for at in (0, 4, 8, 12)]


class _Spread:
    """Variance that one grouping gives to rows: z' Sigma z times the sum of squared weights."""

    def __init__(self, fit: Fit, part: RowsOfGrouping, predictor: str):
        root = factors_by_kind(fit, part.facts)
        covariance = root @ root.swapaxes(1, 2)
        terms = only_terms(part.terms, part.places(predictor))
        first, second = np.triu_indices(root.shape[1])
        twice = np.where(first == second, 1.0, 2.0)
        self.packed = (covariance[:, first, second] * twice).T.copy()
        if terms.ndim == 2:
            products = terms[:, first] * terms[:, second]
            self.products = products * (part.weights**2).sum(axis=1, keepdims=True)
        else:
            # The units of a row's slots are independent of each other.
            loads = slot_loads(terms, part.weights)
            self.products = (loads[..., first] * loads[..., second]).sum(axis=1)

    def of(self, block: slice) -> np.ndarray:
        products = self.products[block]
        if (products == products[0]).all():
            products = products[:1]
        # Rounding may leave a variance of 0 a little below it.
        return np.maximum(products @ self.packed, 0.0)


def mean_of_block(
    fit: Fit,
    block: PredictorBlock,
    trials: np.ndarray | None,
    parameters: Mapping[str, np.ndarray],
    outcome: np.ndarray | None = None,
) -> np.ndarray:
    """Return the expected outcome of a block of rows.

    Parameters
    ----------
    fit : Fit
    block : PredictorBlock
    trials : array, shape (rows in all,), or None
    parameters : mapping of str to array, shape (draws, ...)
        Draws of the likelihood's parameters.
    outcome : array of int, shape (rows of the block,), or None
        Number of each row's outcome, where there are several.

    Returns
    -------
    array, shape (rows, draws), or (rows, categories, draws)
        The mean, with trials the expected successes, or the probabilities of categories.
    """
    if fit.spec.families:
        assert outcome is not None
        values = {**parameters, "trials": _trials_of(block, trials)}
        return means_by_outcome(fit.spec, block.eta, block.variance, values, outcome)
    link = fit.spec.link
    if fit.facts.nominal:
        return nominal_shares(block.scores, block.covariance)
    if fit.facts.categories:
        cutpoints = cutpoints_of_block(block, parameters["cutpoints"])
        return category_probabilities(fit.facts.family, link, block.eta, cutpoints, block.variance)
    if block.variance is None:
        mean = response_mean(link, block.eta)
    else:
        mean = response_mean_over_normal(link, block.eta, block.variance)
    mean = mean * fit.spec.family_record.mean_factor(_with_parts(fit, block, parameters))
    return mean if trials is None else mean * trials[block.rows, None]


def _trials_of(block: PredictorBlock, trials: np.ndarray | None) -> np.ndarray:
    """Return the trials of the block's rows, shape (rows, 1); 1 where there are none."""
    return np.ones((1, 1)) if trials is None else trials[block.rows, None]


def _with_parts(
    fit: Fit, block: PredictorBlock, parameters: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the likelihood's parameters, those with a formula by row, shape (rows, draws).

    Effects that are averaged over give the parameter's mean: right where the outcome's mean is
    linear in it, as in a share of structural zeros.
    """
    found = dict(parameters)
    for part in fit.facts.parts:
        own = block.parts[part.parameter]
        if own.variance is None:
            found[part.parameter] = response_mean(part.link, own.eta)
        else:
            found[part.parameter] = response_mean_over_normal(part.link, own.eta, own.variance)
    return found


def outcome_of_block(
    fit: Fit,
    block: PredictorBlock,
    trials: np.ndarray | None,
    parameters: Mapping[str, np.ndarray],
    rng: np.random.Generator,
    outcome: np.ndarray | None = None,
) -> np.ndarray:
    """Return outcomes drawn for a block of rows.

    Parameters
    ----------
    fit : Fit
    block : PredictorBlock
        Effects that are averaged over are drawn anew for every row.
    trials : array, shape (rows in all,), or None
    parameters : mapping of str to array, shape (draws, ...)
        Draws of the likelihood's parameters that are the same for all rows.
    rng : numpy Generator
    outcome : array of int, shape (rows of the block,), or None
        Number of each row's outcome, where there are several.

    Returns
    -------
    array, shape (rows, draws)
        Categories are numbers from 0.
    """
    eta = block.eta
    if block.variance is not None:
        eta = eta + np.sqrt(block.variance) * rng.standard_normal(eta.shape)
    if fit.spec.families:
        assert outcome is not None
        known = {**parameters, "trials": _trials_of(block, trials)}
        return outcomes_by_family(fit.spec, eta, known, outcome, rng)
    family, link = fit.spec.family_record, fit.spec.link
    # One more axis than the draws, the rows, where it is not there already.
    values: dict[str, Any] = {
        name: draws if draws.ndim == 2 and name != "cutpoints" else draws[None]
        for name, draws in parameters.items()
    }
    if fit.facts.nominal:
        scores = drawn_scores(block.scores, block.covariance, rng)
        values |= dict(zip(block.parts, scores, strict=True))
    links = {part.parameter: part.link for part in fit.facts.parts}
    if CATEGORY_SPECIFIC in block.parts:
        values["cutpoints"] = cutpoints_of_block(block, parameters["cutpoints"])
    for name, part in block.parts.items() if not fit.facts.nominal else ():
        if name == CATEGORY_SPECIFIC:
            continue
        own = part.eta
        if part.variance is not None:
            own = own + np.sqrt(part.variance) * rng.standard_normal(own.shape)
        values[name] = response_mean(links[name], own)
    mean = eta if family.response == "ordered" else response_mean(link, eta)
    count = np.asarray(1) if trials is None else trials[block.rows, None]
    return family.simulate(rng, mean, values | {"link": link}, count)
