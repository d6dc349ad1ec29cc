"""Around what each grouping of a design is centred: coefficients, and the units that contain it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesml.design.centring import centres
from bayesml.design.matrices import Matrix
from bayesml.design.parametrisation import contains
from bayesml.design.units import Units
from bayesml.specs.resolved import Parent, ResolvedGrouping

if TYPE_CHECKING:
    from bayesml.design.designs import Design


def with_constant(fixed: Matrix) -> np.ndarray:
    """Return X with a constant column in front where cutpoints take the intercept's place."""
    if "Intercept" in fixed.labels:
        return fixed.values
    return np.column_stack([np.ones(len(fixed.values)), fixed.values])


def parents_of(
    number: int, groupings: Sequence[ResolvedGrouping], design: "Design"
) -> tuple[Parent, ...]:
    """Return the groupings that contain this one and vary in its centred terms too."""
    inner = groupings[number]
    terms = inner.terms[: inner.centred_terms]
    return tuple(
        Parent(outer.identifier, tuple(outer.terms.index(term) for term in terms))
        for outer, part in zip(groupings, design.varying, strict=True)
        if outer is not inner
        and terms
        and set(terms) <= set(outer.terms)
        and contains(part.units, design.varying[number].units)
    )


def design_centres(design: "Design", groupings: Sequence[ResolvedGrouping]) -> list[np.ndarray]:
    """Return, per grouping, the weights of the coefficients in the centre of each centred term."""
    position = {item.identifier: number for number, item in enumerate(groupings)}
    # The middle cutpoint, with its sign changed, is to an ordered outcome what the intercept is
    # to others.
    cutpoints = bool(design.response.categories)
    # X beta is the main linear predictor's: the effects of others are sampled around 0.
    counts = [
        sum(not name for name in part.predictors[: item.centred_terms])
        for part, item in zip(design.varying, groupings, strict=True)
    ]
    found = centres(
        with_constant(design.fixed) if cutpoints else design.fixed.values,
        [(part.units, part.terms) for part in design.varying],
        counts,
        [[position[parent.identifier] for parent in item.parents] for item in groupings],
        [float(item.mean[0]) for item in design.reliabilities],
    )
    return [
        np.pad(weights, ((0, 0), (0, item.centred_terms - weights.shape[1]), (0, 0)))
        for weights, item in zip(found, groupings, strict=True)
    ]


def parent_units(inner: Units, outer: Units) -> np.ndarray:
    """Return the outer unit of each inner unit, shape (inner units,)."""
    units = np.zeros(len(inner.labels), dtype=np.int64)
    units[inner.index] = outer.index
    return units
