"""Log-likelihoods of rows, what only the row itself tells about being integrated out."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
from scipy import special

from bayesml.errors import FitError
from bayesml.posterior.likelihood_rows import (
    GroupingSlots,
    LikelihoodDraws,
    LikelihoodRows,
    blocks_of,
    known_predictor,
    residuals_of_rows,
    row_likelihood,
)
from bayesml.posterior.unknown_effects import group_with_parts, unknown_spread
from bayesml.quantities.integrated_likelihoods import integrated_rows
from bayesml.quantities.residual_covariances import log_densities_given_others, whitened
from bayesml.quantities.student_effects import mixing_rule
from bayesml.specs.families import family_named

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

    Student-t effects that are integrated out are normal ones in a unit of known scale, and the
    scale is integrated out around them.

    Parameters
    ----------
    rows : LikelihoodRows
    draws : LikelihoodDraws
    chosen : array of int
    sole : dict of str to array of bool, shape (rows, slots)
        By identifier, the slots whose effects are integrated out.

    Raises
    ------
    FitError
        A row is alone in several units with Student-t effects, or residuals are correlated.
    """
    alone = {name: sole[name][chosen].sum(axis=1) for name in draws.freedom}
    several = sum(alone.values(), np.zeros(len(chosen), dtype=int))
    if (several > 1).any() or (several.any() and rows.residual is not None):
        raise FitError(
            "A row that is alone in "
            + ("several units" if (several > 1).any() else "its unit, beside correlated residuals,")
            + " has Student-t effects to be integrated out in more than one dimension, which this "
            "version does not. Use bml.variance_components(fit)."
        )
    found = np.empty((len(chosen), draws.number))
    plain = several == 0
    if plain.any():
        found[plain] = _normal_rows(rows, draws, chosen[plain], sole)
    for name, count in alone.items():
        if not count.any():
            continue
        scales, log_weights = mixing_rule(draws.freedom[name])
        total = np.full((int(count.sum()), draws.number), -np.inf)
        for scale, log_weight in zip(scales, log_weights, strict=True):
            factors = {**draws.factors, name: draws.factors[name] * scale[:, None, None]}
            scaled = replace(draws, factors=factors)
            values = _normal_rows(rows, scaled, chosen[count > 0], sole)
            total = np.logaddexp(total, values + log_weight)
        found[count > 0] = total
    return found


def _normal_rows(
    rows: LikelihoodRows, draws: LikelihoodDraws, chosen: np.ndarray, sole: dict[str, np.ndarray]
) -> np.ndarray:
    """Return the log-likelihood of some rows, all effects that are integrated out being normal."""
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
    if not rows.families and family_named(rows.family).response == "nominal":
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
