"""Nominal outcomes: the terms and the default priors of every category but the baseline."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bayesml.design.default_priors import PriorBook, prior_keys
from bayesml.design.designs import Design, VaryingPart
from bayesml.design.parametrisation import Reliability, reliabilities
from bayesml.design.predictor_parts import grouping_keys
from bayesml.design.responses import Response
from bayesml.design.working_responses import working_response
from bayesml.errors import SpecError, quoted
from bayesml.specs.distributions import Prior
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.naming import assign_identifiers
from bayesml.specs.outcome_terms import CATEGORY
from bayesml.specs.resolved import ResolvedGrouping, ResolvedSpec, part_label

ResolveGroupings = Callable[
    [ModelSpec, Design, PriorBook, Sequence[Sequence[float]], Mapping[str, str]],
    tuple[ResolvedGrouping, ...],
]


def category_columns(sizes: Sequence[int], count: int) -> list[tuple[int, int]]:
    """Return the category and the column of Z of each varying term.

    Terms of one entry stand together, those of the first category first.

    Parameters
    ----------
    sizes : sequence of int
        Number of columns of each entry.
    count : int
        Number of categories but the baseline.

    Examples
    --------
    >>> category_columns([1, 1], 2)
    [(0, 0), (1, 0), (0, 1), (1, 1)]
    """
    found, start = [], 0
    for size in sizes:
        columns = range(start, start + size)
        found += [(category, column) for category in range(count) for column in columns]
        start += size
    return found


def terms_by_category(values: np.ndarray, sizes: Sequence[int], count: int) -> np.ndarray:
    """Return Z with a column for each category and term, shape (rows, categories x terms)."""
    return np.ascontiguousarray(values[:, [column for _, column in category_columns(sizes, count)]])


def part_by_category(part: VaryingPart, categories: Sequence[str]) -> VaryingPart:
    """Return a grouping whose terms vary once for each category.

    Parameters
    ----------
    part : VaryingPart
        With the terms as the formula has them.
    categories : sequence of str
        All but the baseline.

    Raises
    ------
    SpecError
        A term has another value for every member of a row.
    """
    if part.terms.ndim > 2:
        raise SpecError(
            f"Grouping {quoted(part.grouping.name)} has a varying term with another value for "
            "every member of a row, which effects on the categories of a nominal outcome do not "
            "take in this version. Leave the term out."
        )
    sizes = [len(matrix.labels) for matrix in part.matrices]
    places = category_columns(sizes, len(categories))
    labels = tuple(part_label(categories[of], part.labels[column]) for of, column in places)
    whole = tuple(size * len(categories) for size in sizes)
    return replace(
        part,
        terms=terms_by_category(part.terms, sizes, len(categories)),
        labels=labels,
        blocks=whole if part.grouping.correlated else (1,) * len(labels),
        predictors=tuple(categories[of] for of, _ in places),
    )


def category_reliabilities(
    spec: ModelSpec, response: Response, predictors: np.ndarray, parts: Sequence[VaryingPart]
) -> tuple[Reliability, ...]:
    """Return how much the rows say about the effects on each category, against all others.

    Parameters
    ----------
    spec : ModelSpec
    response : Response
        Of a nominal outcome.
    predictors : array, shape (rows, coefficients)
    parts : sequence of VaryingPart
        With the terms as the formula has them.
    """
    binary = replace(spec, family="binomial", link="logit", categories=(), priors=())
    count = len(response.nominal) - 1
    of_categories = [
        reliabilities(
            working_response(binary, Response((response.values == place).astype(int)), None),
            predictors,
            [(part.units, part.terms) for part in parts],
        )
        for place in range(1, count + 1)
    ]
    found = []
    for number, part in enumerate(parts):
        sizes = [len(matrix.labels) for matrix in part.matrices]
        places = category_columns(sizes, count)
        own = [(of_categories[category][number], column) for category, column in places]
        found.append(
            Reliability(
                np.array([item.sd[column] for item, column in own]),
                np.column_stack([item.by_unit[:, column] for item, column in own]),
            )
        )
    return tuple(found)


def resolve_nominal(
    spec: ModelSpec, design: Design, resolve_groupings: ResolveGroupings
) -> ResolvedSpec:
    """Return the specification of a nominal outcome, with priors for each category.

    The intercept's prior is around the log odds of the category against the baseline in the
    table: Normal(log(n_c / n_0), 2.5) at the mean of the predictors. Coefficients and SDs have the
    priors of other outcomes on the logit scale.

    Parameters
    ----------
    spec : ModelSpec
    design : Design
    resolve_groupings : callable
        Returns the groupings, given the scale of each term's SD.

    Raises
    ------
    PriorError
        A prior has an unknown key or cannot be read.
    """
    baseline, *categories = design.response.nominal
    intercept = "Intercept" in design.fixed.labels
    slopes = [label for label in design.fixed.labels if label != "Intercept"]
    keys = ["Intercept", *(f"Intercept[{name}]" for name in categories)] if intercept else []
    if slopes:
        keys += ["beta", *(f"beta[{name}:{label}]" for name in categories for label in slopes)]
    book = PriorBook(spec, [*keys, *prior_keys(spec, [], False, grouping_keys(design), {})])
    names, response_name = assign_identifiers(
        [grouping.name for grouping in spec.groupings], spec.response_label
    )
    counts = np.bincount(design.response.values, minlength=len(design.response.nominal))
    locations = np.log(counts[1:] / counts[0])
    columns = design.fixed.values[:, int(intercept) :]
    deviations = np.std(columns, axis=0, ddof=1) if slopes else np.empty(0)
    # Without an intercept a constant column is legal; its own size takes the place of an SD.
    deviations = np.where(deviations > 0, deviations, np.abs(columns).mean(axis=0))
    return ResolvedSpec(
        spec=spec,
        response=response_name,
        coefficients=tuple(
            part_label(name, label) for name in categories for label in design.fixed.labels
        ),
        groupings=resolve_groupings(
            spec, design, book, [_term_scales(part) for part in design.varying], names
        ),
        intercept_prior=None,
        slope_priors=tuple(
            book.prior(
                (f"beta[{name}:{label}]", "beta"), "real", Prior("Normal", (0.0, 2.5 / deviation))
            )
            for name in categories
            for label, deviation in zip(slopes, deviations, strict=True)
        ),
        parameter_priors={},
        outcomes=tuple(categories),
        outcome_dim=CATEGORY,
        intercept_priors=tuple(
            book.prior(
                (f"Intercept[{name}]", "Intercept"), "real", Prior("Normal", (float(location), 2.5))
            )
            for name, location in zip(categories, locations, strict=True)
        )
        if intercept
        else (),
        baseline_category=baseline,
    )


def _term_scales(part: VaryingPart) -> list[float]:
    """Return the scale of the default prior of each term's SD: 1 / SD(z), SD(z) = 1 for 1."""
    return [
        1.0 if label == part_label(name, "Intercept") else 1 / float(np.std(column, ddof=1))
        for label, name, column in zip(part.labels, part.predictors, part.terms.T, strict=True)
    ]
