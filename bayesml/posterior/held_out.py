"""Log-likelihoods of rows and of groups of rows, what only they tell about being integrated out."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy import special

from bayesml.errors import FitError
from bayesml.posterior.likelihood_rows import (
    GroupingSlots,
    LikelihoodDraws,
    LikelihoodRows,
    ResidualPlaces,
    blocks_of,
    known_predictor,
    residuals_of_rows,
    row_likelihood,
)
from bayesml.posterior.unknown_effects import (
    group_with_parts,
    loaded_terms,
    unit_terms,
    unknown_spread,
)
from bayesml.quantities.integrated_likelihoods import (
    GroupEffects,
    integrated_group,
    integrated_rows,
)
from bayesml.quantities.log_likelihoods import RowLikelihood
from bayesml.quantities.residual_covariances import log_densities_given_others, whitened
from bayesml.specs.families import family_named

# A product rule over more dimensions takes too many nodes.
MOST_INNER_TERMS = 3
# Effects on several linear predictors are integrated out together, by dense matrices.
MOST_JOINT_EFFECTS = 100
_NODES_OF_PARTS = 21
# Effects on the categories of a nominal outcome are integrated by importance sampling.
_SEED = 20_260


def sole_slots(rows: LikelihoodRows, grouping: GroupingSlots) -> np.ndarray:
    """Return where nothing but the row itself tells about its unit.

    Returns
    -------
    array of bool, shape (rows, slots)
        The unit occurs in no other row of the fit, or is not in the posterior.
    """
    used = grouping.weight > 0
    if not rows.complete:
        return used & (grouping.unit < 0)
    rows_per_unit = np.bincount(grouping.label[used], minlength=grouping.label.max() + 1)
    return used & (rows_per_unit[grouping.label] == 1)


def row_log_likelihoods(
    rows: LikelihoodRows, draws: LikelihoodDraws
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield blocks of rows with their log-likelihood in every draw.

    The effects of units of which only the row itself tells are integrated out. Where residuals are
    correlated, it is that of a row given the other rows of the residuals' unit.

    Parameters
    ----------
    rows : LikelihoodRows
    draws : LikelihoodDraws

    Yields
    ------
    (array of int, array of shape (rows in the block, draws))
    """
    sole = {item.identifier: sole_slots(rows, item) for item in rows.groupings}
    order = np.arange(len(rows.outcome))
    if rows.residual is not None:
        # Rows of a unit stand in one block, else its other rows would be worked out twice.
        order = np.argsort(rows.residual.unit, kind="stable")
    for block in blocks_of(len(rows.outcome), draws.number):
        yield order[block], rows_likelihood(rows, draws, order[block], sole)


def rows_likelihood(
    rows: LikelihoodRows, draws: LikelihoodDraws, chosen: np.ndarray, sole: dict[str, np.ndarray]
) -> np.ndarray:
    """Return the log-likelihood of some rows in every draw, shape (len(chosen), draws).

    Parameters
    ----------
    rows : LikelihoodRows
    draws : LikelihoodDraws
    chosen : array of int
    sole : dict of str to array of bool, shape (rows, slots)
        By identifier, the slots whose effects are integrated out.
    """
    if rows.residual is not None:
        return _given_others(rows, draws, chosen, sole)
    known = {name: ~slots[chosen] for name, slots in sole.items()}
    eta = known_predictor(rows, draws, chosen, known)
    likelihood = row_likelihood(rows, draws, chosen, known)
    alone = np.zeros(len(chosen), dtype=bool)
    for name in known:
        alone |= ~known[name].all(axis=1)
    if not alone.any():
        return likelihood(eta)
    unknown = {name: ~slots[alone] for name, slots in known.items()}
    if family_named(rows.family).response == "nominal":
        found = np.empty_like(eta)
        found[~alone] = likelihood.rows(np.flatnonzero(~alone))(eta[~alone])
        rng = np.random.default_rng(_SEED)
        for number, row in zip(np.flatnonzero(alone).tolist(), chosen[alone].tolist(), strict=True):
            own = {name: ~slots[[number]] for name, slots in known.items()}
            group = group_with_parts(rows, draws, np.array([row]), own, rng)
            found[number] = group.log_likelihood
        return found
    spread = unknown_spread(rows, draws, chosen[alone], unknown)
    found = np.empty_like(eta)
    found[~alone] = likelihood.rows(np.flatnonzero(~alone))(eta[~alone])
    of_alone = likelihood.rows(np.flatnonzero(alone))
    parts = {name: unknown_spread(rows, draws, chosen[alone], unknown, name) for name in rows.parts}
    noisy = {name: values for name, values in parts.items() if values.any()}
    if not noisy:
        found[alone] = integrated_rows(of_alone, eta[alone], spread)
        return found
    # Terms of different predictors are independent of each other: an integral within an integral.
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES_OF_PARTS)
    log_weights = np.log(weights / weights.sum())
    total = np.full(spread.shape, -np.inf)
    for place in product(range(len(nodes)), repeat=len(noisy)):
        moved = {
            name: of_alone.parameters[name] * np.exp(nodes[at] * values)
            if rows.parts[name].link == "log"
            else special.expit(special.logit(of_alone.parameters[name]) + nodes[at] * values)
            for at, (name, values) in zip(place, noisy.items(), strict=True)
        }
        at_nodes = replace(of_alone, parameters={**of_alone.parameters, **moved})
        values = integrated_rows(at_nodes, eta[alone], spread)
        total = np.logaddexp(total, values + log_weights[list(place)].sum())
    found[alone] = total
    return found


def _given_others(
    rows: LikelihoodRows, draws: LikelihoodDraws, chosen: np.ndarray, sole: dict[str, np.ndarray]
) -> np.ndarray:
    """Return the log density of rows given the other rows of their residuals' units."""
    assert rows.residual is not None
    whole = np.flatnonzero(np.isin(rows.residual.unit, rows.residual.unit[chosen]))
    known = {name: ~slots[whole] for name, slots in sole.items()}
    errors = rows.outcome[whole, None] - known_predictor(rows, draws, whole, known)
    extra = None
    if any(slots[whole].any() for slots in sole.values()):
        unknown = {name: slots[whole] for name, slots in sole.items()}
        extra = unknown_spread(rows, draws, whole, unknown) ** 2
    residuals = residuals_of_rows(rows, draws, whole)
    found = log_densities_given_others(residuals, errors, extra)
    return found[np.searchsorted(whole, chosen)]


def joint_log_likelihood(rows: LikelihoodRows, draws: LikelihoodDraws) -> np.ndarray:
    """Return the log density of all rows given every effect, where residuals are correlated.

    Returns
    -------
    array, shape (draws,)
    """
    everything = np.arange(len(rows.outcome))
    known = {
        item.identifier: np.ones((len(everything), item.unit.shape[1]), dtype=bool)
        for item in rows.groupings
    }
    total = np.empty(draws.number)
    for block in blocks_of(draws.number, len(everything)):
        part = draws.block(block)
        errors = rows.outcome[:, None] - known_predictor(rows, part, everything, known)
        determinant, (white,) = whitened(residuals_of_rows(rows, part, everything), errors)
        total[block] = standard_normal(white, determinant)
    return total


def standard_normal(white: np.ndarray, determinant: np.ndarray) -> np.ndarray:
    """Return the log density of rows from their whitened residuals, shape (draws,)."""
    count = len(white)
    return -0.5 * ((white**2).sum(axis=0) + determinant + count * np.log(2 * np.pi))


@dataclass(frozen=True)
class GroupLikelihood:
    """The log-likelihood of one group of rows in every draw.

    Parameters
    ----------
    values : array, shape (draws,)
    error : float
        Root mean square over the draws of the standard error of the integration.
    method : str
        "exact", "quadrature", "importance sampling", or "none" where nothing is integrated out.
    integrated : dict of str to int
        Number of units whose effects are integrated out, by grouping.
    """

    values: np.ndarray
    error: float
    method: str
    integrated: dict[str, int]


def group_log_likelihood(
    rows: LikelihoodRows,
    draws: LikelihoodDraws,
    chosen: np.ndarray,
    rng: np.random.Generator,
    without: int | None = None,
) -> GroupLikelihood:
    """Return the log-likelihood of a group of rows jointly, its own effects integrated out.

    Integrated out are the effects of every unit, of any grouping, that occurs in these rows only,
    or that the posterior does not hold.

    Parameters
    ----------
    rows : LikelihoodRows
    draws : LikelihoodDraws
    chosen : array of int
        The rows of the group.
    rng : numpy Generator
        For importance sampling.
    without : int or None
        A row of the group that is left out of the product, while the same effects are integrated.
    """
    own = {item.identifier: _own_slots(rows, item, chosen) for item in rows.groupings}
    if without is not None:
        stays = chosen != without
        chosen, own = chosen[stays], {name: slots[stays] for name, slots in own.items()}
    known = {name: ~slots for name, slots in own.items()}
    counts = {
        item.name: len(np.unique(item.label[chosen][own[item.identifier]]))
        for item in rows.groupings
    }
    inner = _inner_grouping(rows, chosen, own)
    outer = [item for item in rows.groupings if item is not inner]
    columns = sum(counts[item.name] * item.size for item in outer)
    shared = any(
        counts[item.name] and item.places(name) for item in rows.groupings for name in rows.parts
    )
    if shared:
        columns = sum(counts[item.name] * item.size for item in rows.groupings)
        if columns > MOST_JOINT_EFFECTS:
            raise FitError(
                f"A group of rows has {columns} effects of its own, on more than one linear "
                f"predictor, and up to {MOST_JOINT_EFFECTS} can be integrated out together. Use "
                "bml.loo(fit), or bml.kfold(model)."
            )
        columns *= 1 + len(rows.parts)
    terms = 0 if inner is None else inner.size
    values, squares, method = np.empty(draws.number), np.empty(draws.number), "none"
    # The largest arrays hold products of inner and outer columns.
    width = len(chosen) * (1 + terms + columns + terms * max(columns, terms))
    for block in blocks_of(draws.number, width):
        part = draws.block(block)
        eta = known_predictor(rows, part, chosen, known)
        if rows.residual is not None:
            effects = _effects(rows, part, chosen, own, inner, outer)
            values[block] = _correlated_group(rows, part, chosen, eta, effects, rng)
            squares[block], method = 0.0, "exact" if any(counts.values()) else "none"
            continue
        likelihood = row_likelihood(rows, part, chosen, known)
        if not any(counts.values()):
            values[block], squares[block] = likelihood(eta).sum(axis=0), 0.0
            continue
        if shared:
            found = group_with_parts(rows, part, chosen, own, rng)
        else:
            effects = _effects(rows, part, chosen, own, inner, outer)
            found = integrated_group(likelihood, eta, effects, rng)
        values[block], squares[block], method = found.log_likelihood, found.error**2, found.method
    return GroupLikelihood(
        values,
        float(np.sqrt(squares.mean())),
        method,
        {name: count for name, count in counts.items() if count},
    )


def _correlated_group(
    rows: LikelihoodRows,
    draws: LikelihoodDraws,
    chosen: np.ndarray,
    eta: np.ndarray,
    effects: GroupEffects,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the log density of a group of rows with correlated residuals, shape (draws,).

    Multiplied by the inverse Cholesky factor of the residuals' covariance, the rows are those of a
    model with independent residuals of SD 1.
    """
    errors = rows.outcome[chosen, None] - eta
    determinant, (white, inner, outer) = whitened(
        residuals_of_rows(rows, draws, chosen), errors, effects.inner, effects.outer
    )
    likelihood = RowLikelihood("gaussian", "identity", white, {"sigma": np.ones(1)})
    found = integrated_group(
        likelihood, np.zeros_like(white), GroupEffects(effects.unit, inner, outer), rng
    )
    return found.log_likelihood - 0.5 * determinant


def _own_slots(rows: LikelihoodRows, grouping: GroupingSlots, chosen: np.ndarray) -> np.ndarray:
    """Return where only the chosen rows tell about the unit, shape (chosen, slots)."""
    used = grouping.weight > 0
    if not rows.complete:
        return used[chosen] & (grouping.unit[chosen] < 0)
    size = grouping.label.max() + 1
    everywhere = np.bincount(grouping.label[used], minlength=size)
    here = np.bincount(grouping.label[chosen][used[chosen]], minlength=size)
    return used[chosen] & (here == everywhere)[grouping.label[chosen]]


def _inner_grouping(
    rows: LikelihoodRows, chosen: np.ndarray, own: dict[str, np.ndarray]
) -> GroupingSlots | None:
    """Return the grouping whose own units are integrated one by one: that with the most effects."""
    candidates = [
        item
        for item in rows.groupings
        if not item.multiple
        and item.size <= MOST_INNER_TERMS
        and own[item.identifier].any()
        and (rows.residual is None or _within(rows.residual.unit[chosen], item.label[chosen, 0]))
    ]
    sizes = [
        len(np.unique(item.label[chosen][own[item.identifier]])) * item.size for item in candidates
    ]
    return candidates[int(np.argmax(sizes))] if candidates else None


def _within(inner: np.ndarray, outer: np.ndarray) -> bool:
    """Whether every unit of the first lies in one unit of the second."""
    pairs = np.unique(np.column_stack([inner, outer]), axis=0)
    return len(pairs) == len(np.unique(inner))


def _effects(
    rows: LikelihoodRows,
    draws: LikelihoodDraws,
    chosen: np.ndarray,
    own: dict[str, np.ndarray],
    inner: GroupingSlots | None,
    outer: list[GroupingSlots],
) -> GroupEffects:
    """Return the standardised designs of the effects that are integrated out."""
    count, number = len(chosen), draws.number
    unit = np.zeros(count, dtype=np.int64)
    design = np.zeros((count, 0, number))
    if inner is not None:
        slots = own[inner.identifier][:, 0]
        _, unit[slots] = np.unique(inner.label[chosen[slots], 0], return_inverse=True)
        terms = inner.terms[chosen] * slots[:, None]
        design = loaded_terms(terms, draws.factors[inner.identifier])
    columns = [np.zeros((count, 0, number))]
    for grouping in outer:
        slots = own[grouping.identifier]
        if not slots.any():
            continue
        for label in np.unique(grouping.label[chosen][slots]):
            own_terms = unit_terms(grouping, chosen, (grouping.label[chosen] == label) & slots)
            columns.append(loaded_terms(own_terms, draws.factors[grouping.identifier]))
    return GroupEffects(unit, design, np.concatenate(columns, axis=1))


def cuts_residual_units(residual: ResidualPlaces, chosen: np.ndarray) -> bool:
    """Return whether some rows are correlated with rows outside of them."""
    inside = np.zeros(len(residual.unit), dtype=bool)
    inside[chosen] = True
    return bool(np.isin(residual.unit[~inside], residual.unit[inside]).any())
