"""Effects that are integrated out: what they add to rows, also on several linear predictors."""

from dataclasses import replace

import numpy as np

from bayesml.posterior.likelihood_rows import (
    LikelihoodDraws,
    LikelihoodRows,
    known_predictor,
    row_likelihood,
)
from bayesml.quantities.integrated_likelihoods import IntegratedGroup
from bayesml.quantities.joint_likelihoods import integrated_jointly
from bayesml.quantities.response_means import response_mean


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
        if weight.any() and places:
            loaded = loaded_terms(
                only_terms(grouping.terms[chosen], places), draws.factors[grouping.identifier]
            )
            variance += (weight**2).sum(axis=1)[:, None] * (loaded**2).sum(axis=1)
    return np.sqrt(variance)


def only_terms(terms: np.ndarray, places: list[int]) -> np.ndarray:
    """Return Z with zeros in place of the terms of other linear predictors."""
    kept = np.zeros_like(terms)
    kept[:, places] = terms[:, places]
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
    names = ["", *rows.parts]
    predictors = np.array([known_predictor(rows, draws, chosen, known, name) for name in names])
    likelihood = row_likelihood(rows, draws, chosen, known)
    columns: list[np.ndarray] = []
    for grouping in rows.groupings:
        slots = own[grouping.identifier]
        terms, factors = grouping.terms[chosen], draws.factors[grouping.identifier]
        loaded = np.array(
            [loaded_terms(only_terms(terms, grouping.places(name)), factors) for name in names]
        )
        for label in np.unique(grouping.label[chosen][slots]):
            here = (grouping.label[chosen] == label) & slots
            weight = (grouping.weight[chosen] * here).sum(axis=1)
            columns.append(loaded * weight[:, None, None])

    def of_rows(at: np.ndarray) -> np.ndarray:
        moved = {
            name: response_mean(part.link, values)
            for (name, part), values in zip(rows.parts.items(), at[1:], strict=True)
        }
        return replace(likelihood, parameters={**likelihood.parameters, **moved})(at[0])

    return integrated_jointly(of_rows, predictors, np.concatenate(columns, axis=2), rng)
