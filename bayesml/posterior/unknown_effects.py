"""Effects that are integrated out: what they add to rows, also on several linear predictors."""

from dataclasses import replace

import numpy as np

from bayesml.design.member_terms import slot_loads
from bayesml.posterior.likelihood_rows import (
    GroupingSlots,
    LikelihoodDraws,
    LikelihoodRows,
    known_predictor,
    row_likelihood,
)
from bayesml.quantities.integrated_likelihoods import IntegratedGroup
from bayesml.quantities.joint_likelihoods import integrated_jointly
from bayesml.quantities.nominal_shares import nominal_derivatives
from bayesml.quantities.response_means import response_mean
from bayesml.specs.families import family_named


def unknown_spread(
    rows: LikelihoodRows,
    draws: LikelihoodDraws,
    chosen: np.ndarray,
    unknown: dict[str, np.ndarray],
    predictor: str = "",
) -> np.ndarray:
    """Return the SD that unknown effects give a linear predictor of rows, shape (chosen, draws)."""
    variance = np.zeros((len(chosen), draws.number))
    for grouping in rows.groupings:
        weight = grouping.weight[chosen] * unknown[grouping.identifier]
        places = grouping.places(predictor)
        if not weight.any() or not places:
            continue
        terms = only_terms(grouping.terms[chosen], places)
        factors = draws.factors[grouping.identifier]
        if terms.ndim == 2:
            loaded = loaded_terms(terms, factors)
            variance += (weight**2).sum(axis=1)[:, None] * (loaded**2).sum(axis=1)
            continue
        # The units of a row's slots are independent of each other.
        for slot in range(weight.shape[1]):
            loaded = loaded_terms(terms[:, slot] * weight[:, slot, None], factors)
            variance += (loaded**2).sum(axis=1)
    return np.sqrt(variance)


def unit_terms(grouping: GroupingSlots, chosen: np.ndarray, here: np.ndarray) -> np.ndarray:
    """Return by how much the effects of one unit enter some rows, shape (chosen, terms).

    Parameters
    ----------
    grouping : GroupingSlots
    chosen : array of int
        The rows.
    here : array of bool, shape (chosen, slots)
        Where a slot names the unit.
    """
    loads: np.ndarray = slot_loads(grouping.terms[chosen], grouping.weight[chosen] * here)
    return loads.sum(axis=1)


def only_terms(terms: np.ndarray, places: list[int]) -> np.ndarray:
    """Return Z with zeros in place of the terms of other linear predictors."""
    kept = np.zeros_like(terms)
    kept[..., places] = terms[..., places]
    return kept


def loaded_terms(terms: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Return Z L, shape (rows, terms, draws)."""
    rows, size = terms.shape
    flat = np.moveaxis(factors, 0, 2).reshape(size, -1)
    return (terms @ flat).reshape(rows, size, len(factors))


def group_with_parts(
    rows: LikelihoodRows,
    draws: LikelihoodDraws,
    chosen: np.ndarray,
    own: dict[str, np.ndarray],
    rng: np.random.Generator,
) -> IntegratedGroup:
    """Integrate effects out that enter several linear predictors."""
    known = {name: ~slots for name, slots in own.items()}
    # The baseline of a nominal outcome has no effects.
    nominal = family_named(rows.family).response == "nominal"
    names = [*([] if nominal else [""]), *rows.parts]
    predictors = np.array([known_predictor(rows, draws, chosen, known, name) for name in names])
    likelihood = row_likelihood(rows, draws, chosen, known)
    columns: list[np.ndarray] = []
    for grouping in rows.groupings:
        slots = own[grouping.identifier]
        factors = draws.factors[grouping.identifier]
        for label in np.unique(grouping.label[chosen][slots]):
            own_terms = unit_terms(grouping, chosen, (grouping.label[chosen] == label) & slots)
            columns.append(
                np.array(
                    [
                        loaded_terms(only_terms(own_terms, grouping.places(name)), factors)
                        for name in names
                    ]
                )
            )

    def of_rows(at: np.ndarray) -> np.ndarray:
        main, others = (np.zeros(at.shape[1:]), at) if nominal else (at[0], at[1:])
        moved = {
            name: response_mean(part.link, values)
            for (name, part), values in zip(rows.parts.items(), others, strict=True)
        }
        return replace(likelihood, parameters={**likelihood.parameters, **moved})(main)

    def of_categories(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return nominal_derivatives(likelihood.outcome, at)

    return integrated_jointly(
        of_rows,
        predictors,
        np.concatenate(columns, axis=2),
        rng,
        of_categories if nominal else None,
    )
