"""Log-likelihoods of groups of rows, what only they tell about being integrated out."""

from dataclasses import dataclass

import numpy as np

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
)
from bayesml.quantities.integrated_likelihoods import (
    GroupEffects,
    integrated_group,
)
from bayesml.quantities.log_likelihoods import RowLikelihood
from bayesml.quantities.residual_covariances import whitened

# A product rule over more dimensions takes too many nodes.
MOST_INNER_TERMS = 3
# Effects on several linear predictors are integrated out together, by dense matrices.
MOST_JOINT_EFFECTS = 100


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
