"""What sound draws may still say of a model: parts that are not learnt, cutpoints that touch.

None of these makes the draws wrong; each says that a part of the model is more than the data can
tell, and what to do.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from bayesml.posterior.diagnosis_findings import Problem
from bayesml.posterior.diagnosis_remedies import TOUCHES_ZERO, tighter_prior
from bayesml.posterior.effect_distributions import correlations_by_kind, sds_by_kind
from bayesml.posterior.labelled_draws import correlated_pairs, shown_names
from bayesml.quantities.correlation_matrices import lkj_marginal
from bayesml.quantities.prior_distances import boundary_ratio, quantile_distance
from bayesml.records.facts import GroupingFacts
from bayesml.records.fits import Fit
from bayesml.specs.distributions import parse_prior

# Largest gap between the distribution functions of prior and posterior: that of two normals whose
# SDs differ by a third is 0.1.
AT_PRIOR = 0.1
NEAR_ONE = 0.9
# With fewer effective draws, or chains that disagree, the distributions are too noisy to compare.
FEWEST_TO_JUDGE = 100
HIGHEST_TO_JUDGE = 1.05


def model_advice(fit: Fit, table: pd.DataFrame) -> Iterator[Problem]:
    """Yield what the data could not tell, parameter by parameter.

    Parameters
    ----------
    fit : Fit
    table : DataFrame
        `r_hat` and `ess_bulk` by parameter.

    Yields
    ------
    Problem
        Kinds "sd at its prior", "sd near 0", "correlation at its prior",
        "correlation near -1 or 1" and "cutpoints that touch".
    """
    usable = (table["ess_bulk"] >= FEWEST_TO_JUDGE) & ~(table["r_hat"] > HIGHEST_TO_JUDGE)
    judged = set(table.index[usable])
    for grouping in fit.facts.groupings:
        yield from _spread_advice(fit, grouping, judged)
        if grouping.correlated:
            yield from _correlation_advice(fit, grouping, judged)
    yield from _cutpoint_advice(fit, judged)


def _spread_advice(fit: Fit, grouping: GroupingFacts, judged: set[str]) -> Iterator[Problem]:
    draws = sds_by_kind(fit, grouping).reshape(-1, len(grouping.sd_labels))
    priors = {key: text for key, text, _ in fit.facts.priors}
    for place, term in enumerate(grouping.sd_labels):
        label = f"sd_{grouping.name}[{term}]"
        if label not in judged:
            continue
        prior = parse_prior(priors[label], "positive", label)
        distance = quantile_distance(draws[:, place], prior.frozen.ppf)
        ratio = boundary_ratio(draws[:, place])
        if distance < AT_PRIOR:
            yield Problem(
                "sd at its prior",
                label,
                distance,
                AT_PRIOR,
                f"The data say almost nothing about {label}: its posterior is its prior, "
                f"{prior.text}.",
                _spread_remedy(fit, grouping, term, learnt=False),
            )
        elif ratio < TOUCHES_ZERO:
            median = float(np.median(draws[:, place]))
            yield Problem(
                "sd near 0",
                label,
                ratio,
                TOUCHES_ZERO,
                f"{label} cannot be told from 0 (median {median:.2g}, 5 % of the draws below "
                f"{ratio * median:.2g}).",
                _spread_remedy(fit, grouping, term, learnt=True),
            )


def _spread_remedy(fit: Fit, grouping: GroupingFacts, term: str, learnt: bool) -> str:
    prior = tighter_prior(fit, grouping, term)
    if grouping.terms[grouping.sd_labels.index(term) % len(grouping.terms)] != "Intercept":
        return (
            f"Drop the slope of {term} over {grouping.name}, whose SD is not learnt, or give it a "
            f"tighter prior ({prior})."
        )
    if learnt:
        return (
            f"Report the interval rather than the mean; units of {grouping.name} may hardly "
            "differ. Keep the grouping where the design of the study has it."
        )
    return (
        f"Say so when you report it. With {grouping.units} units of {grouping.name} the prior "
        f"decides: choose it from what is known ({prior}), or give the grouping up."
    )


def _correlation_advice(fit: Fit, grouping: GroupingFacts, judged: set[str]) -> Iterator[Problem]:
    whole = correlations_by_kind(fit, grouping)
    assert whole is not None
    draws = whole.reshape(-1, *whole.shape[2:])
    text = next(
        (text for key, text, _ in fit.facts.priors if key == f"corr_{grouping.name}"), "LKJ(2)"
    )
    eta = parse_prior(text, "correlation", f"corr_{grouping.name}").values[0]
    block_of = np.repeat(np.arange(len(grouping.sd_blocks)), grouping.sd_blocks)
    for row, column in zip(*correlated_pairs(grouping), strict=True):
        first, second = grouping.sd_labels[column], grouping.sd_labels[row]
        label = f"corr_{grouping.name}[{first}, {second}]"
        if label not in judged:
            continue
        values = draws[:, row, column]
        prior = lkj_marginal(eta, grouping.sd_blocks[block_of[row]])
        distance, median = quantile_distance(values, prior.ppf), float(np.median(values))
        if distance < AT_PRIOR:
            yield Problem(
                "correlation at its prior",
                label,
                distance,
                AT_PRIOR,
                f"The data say almost nothing about {label}: its posterior is its prior, {text}.",
                "Do not interpret it. Fit with correlated=False (|| in a formula), or drop the "
                f"slope of {second} over {grouping.name}.",
            )
        elif abs(median) > NEAR_ONE:
            yield Problem(
                "correlation near -1 or 1",
                label,
                median,
                NEAR_ONE,
                f"{label} is near {'1' if median > 0 else '-1'} (median {median:.2f}): the data "
                f"hardly tell {first} and {second} of {grouping.name} apart.",
                _collinear_remedy(first, second, grouping),
            )


def _collinear_remedy(first: str, second: str, grouping: GroupingFacts) -> str:
    if first == "Intercept":
        return (
            f"Centre {second}, if 0 lies far from its values, or drop its slope over "
            f"{grouping.name}."
        )
    return f"Drop one of the two slopes over {grouping.name}, or fit with correlated=False."


def _cutpoint_advice(fit: Fit, judged: set[str]) -> Iterator[Problem]:
    facts = fit.facts
    if facts.categories and fit.spec.family_of(None).record.ordered_cutpoints:
        yield from _touching(fit, "cutpoints", "cutpoints", facts.categories, judged)
    for item in facts.ordered:
        if fit.spec.family_of(item.outcome).record.ordered_cutpoints:
            shown = shown_names(fit)[item.variable]
            yield from _touching(fit, item.variable, shown, item.categories, judged)


def _touching(
    fit: Fit, variable: str, shown: str, categories: Sequence[str], judged: set[str]
) -> Iterator[Problem]:
    draws = _flat(fit, variable)
    labels = [f"{shown}[{low}|{high}]" for low, high in pairwise(categories)]
    for place, category in enumerate(categories[1:-1]):
        below, above = labels[place : place + 2]
        if not {below, above} <= judged:
            continue
        gaps = draws[:, place + 1] - draws[:, place]
        ratio = boundary_ratio(gaps)
        if ratio < TOUCHES_ZERO:
            yield Problem(
                "cutpoints that touch",
                below,
                ratio,
                TOUCHES_ZERO,
                f"{below} and {above} touch (median gap {np.median(gaps):.2g}): few rows, if any, "
                f"are in the category {category!r} between them.",
                "Merge this category with a neighbour, or accept that its share is not learnt.",
            )


def _flat(fit: Fit, name: str) -> np.ndarray:
    draws = fit.posterior[name].transpose("chain", "draw", ...).values
    return draws.reshape(-1, *draws.shape[2:])
