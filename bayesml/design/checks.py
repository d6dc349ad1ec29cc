"""Checks of a specification against a table that need no model: columns, predictors, groupings."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bayesml.design.columns import SMALLEST
from bayesml.design.matrices import Matrix
from bayesml.design.responses import Response
from bayesml.design.stacking import OutcomeRows
from bayesml.design.units import Units, check_rows_per_unit
from bayesml.errors import SpecError, TableError, did_you_mean, listed, quoted
from bayesml.specs.family_records import Family
from bayesml.specs.groupings import Grouping
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.parsing import parse
from bayesml.specs.syntax import column_names

# A predictor whose part orthogonal to the others is below this share of its size is a
# combination of them: about the square root of machine precision.
DEPENDENT = 1e-8
# Mean of a varying term over its SD. Beyond it the SD of the intercept, where the term is 0, and
# the correlation speak of values that no row comes near.
FAR = 20.0


def check_baseline(spec: ModelSpec) -> None:
    """Raise where `baseline` names a column that the model does not use.

    Raises
    ------
    SpecError
    """
    used = column_names(parse(spec.fixed))
    for formula in spec.part_formulas.values():
        used += column_names(parse(formula.fixed))
    for grouping in spec.every_grouping:
        for text in grouping.terms:
            used += column_names(parse(text))
    for name, _ in spec.baseline:
        if name not in used:
            raise SpecError(
                f"baseline names {quoted(name)}, which is not a predictor of this model. "
                f"{did_you_mean(name, list(dict.fromkeys(used))) if used else 'It has none.'}"
            )


def check_predictors(matrix: Matrix, intercept_allowed: bool) -> None:
    """Raise where a predictor is constant, repeated, or a combination of others.

    Raises
    ------
    TableError
    SpecError
        The formula removes the intercept of a family that has cutpoints in its place.
    """
    values, labels = matrix.values, matrix.labels
    with_intercept = any(label.endswith(":Intercept") for label in labels) or "Intercept" in labels
    if not intercept_allowed and not with_intercept:
        raise SpecError(
            "An ordinal model has cutpoints in place of the intercept, so the formula cannot "
            "remove it. Write 1 instead of 0."
        )
    for column, label in zip(values.T, labels, strict=True):
        if label != "Intercept" and np.ptp(column) < SMALLEST and "Intercept" in labels:
            raise TableError(
                f"The predictor {quoted(label)} has the value {column[0]:g} in every row used, so "
                "its effect cannot be told from the intercept. Leave it out."
            )
    if not len(labels):
        return
    size = np.sqrt((values**2).sum(axis=0))
    zero = np.flatnonzero(size < SMALLEST)
    if len(zero):
        raise TableError(
            f"The predictor {quoted(labels[int(zero[0])])} is 0 in every row used. Leave it out."
        )
    scaled = values / size
    # Centring first keeps a predictor with a large mean apart from the intercept.
    if "Intercept" in labels:
        centred = values - values.mean(axis=0)
        spread = np.sqrt((centred**2).sum(axis=0))
        scaled = np.where(spread > 0, centred / np.where(spread > 0, spread, 1), scaled)
    basis = np.empty((len(values), 0))
    for number, label in enumerate(labels):
        column = scaled[:, number]
        if label == "Intercept":
            continue
        rest = column - basis @ (basis.T @ column)
        rest -= basis @ (basis.T @ rest)
        norm = float(np.linalg.norm(rest))
        if norm < DEPENDENT or len(values) <= basis.shape[1]:
            weights = np.linalg.lstsq(scaled[:, :number], column, rcond=None)[0]
            others = [
                labels[i]
                for i in np.flatnonzero(np.abs(weights) > 1e-6)
                if labels[i] != "Intercept"
            ]
            what = "repeats" if len(others) == 1 else "is a combination of"
            raise TableError(
                f"The predictor {quoted(label)} {what} {listed(others)}, so their effects cannot "
                "be told apart. Leave one of them out."
            )
        basis = np.column_stack([basis, rest / norm])


def check_apart(fixed: Matrix, specific: Matrix | None) -> None:
    """Raise where category-specific effects and coefficients of all cutpoints say the same.

    A predictor in both has a coefficient b and one c_k for each cutpoint, of which only the sums
    b + c_k are seen.

    Raises
    ------
    SpecError, TableError
    """
    if specific is None:
        return
    both = [label for label in specific.labels if label in fixed.labels]
    if both:
        raise SpecError(
            f"The term {quoted(both[0])} stands in cs() and outside of it, so only the sums of its "
            "two coefficients can be learnt. Leave one of them out: cs() already has a "
            "coefficient for each cutpoint."
        )
    labels = (*fixed.labels, *(f"cs({label})" for label in specific.labels))
    values = np.column_stack([np.ones(len(fixed.values)), fixed.values, specific.values])
    check_predictors(replace(specific, values=values, labels=("Intercept", *labels)), True)


def check_varying_terms(grouping: Grouping, labels: Sequence[str], values: np.ndarray) -> None:
    """Raise where a grouping's varying terms repeat, or one of them cannot vary.

    Raises
    ------
    SpecError, TableError
    """
    if not len(labels):
        raise SpecError(
            f"Nothing varies over the grouping {quoted(grouping.name)}: its terms are "
            f"{listed(grouping.terms)}. Write 1 for a varying intercept."
        )
    repeated = sorted({label for label in labels if list(labels).count(label) > 1})
    if repeated:
        raise SpecError(
            f"The grouping {quoted(grouping.name)} has the varying term {listed(repeated)} twice. "
            "Write 0 + x in the second block, or leave it out."
        )
    for column, label in zip(values.T, labels, strict=True):
        if label != "Intercept" and np.ptp(column) < SMALLEST:
            raise TableError(
                f"The varying term {quoted(label)} of {quoted(grouping.name)} has the value "
                f"{column[0]:g} in every row used, so its effect cannot vary. Leave it out."
            )
    size = np.sqrt((values**2).sum(axis=0))
    rank = int(np.linalg.matrix_rank(values / size))
    if rank < len(labels):
        raise TableError(
            f"The varying terms {listed(labels)} of {quoted(grouping.name)} are combinations of "
            "each other. Leave one of them out."
        )


def check_labels(grouping: Grouping, labels: Sequence[str]) -> None:
    """Raise where terms of different linear predictors bear one label.

    Raises
    ------
    SpecError
    """
    repeated = sorted({label for label in labels if list(labels).count(label) > 1})
    if repeated:
        raise SpecError(
            f"The grouping {quoted(grouping.name)} has two terms called {quoted(repeated[0])}, one "
            "of which is an interaction with a column of a parameter's name. Rename that column."
        )


def far_from_zero(
    grouping: str, labels: Sequence[str], blocks: Sequence[int], values: np.ndarray
) -> list[str]:
    """Return a note for each term that varies together with the intercept, far from its 0.

    There the intercept and the slope go together almost perfectly, which a prior on correlations
    resists: the posterior may have two modes, and chains may find one of them only.
    """
    notes = []
    block_of = np.repeat(np.arange(len(blocks)), blocks)
    for place, label in enumerate(labels):
        together = [labels[int(i)] for i in np.flatnonzero(block_of == block_of[place])]
        if label == "Intercept" or "Intercept" not in together:
            continue
        mean, spread = float(values[:, place].mean()), float(values[:, place].std())
        if abs(mean) > FAR * spread:
            notes.append(
                f"The varying term {quoted(label)} of {quoted(grouping)} is far from 0 (mean "
                f"{mean:.4g}, SD {spread:.2g}), and the SD and the correlation of its intercept "
                "are those at 0. Chains may miss parts of such a posterior: subtract a value near "
                "the mean."
            )
    return notes


def check_groupings(
    spec: ModelSpec,
    parts: Sequence[tuple[Grouping, Units]],
    response: Response,
    outcomes: OutcomeRows | None = None,
) -> None:
    """Raise where a grouping is not identified: one row a unit, or the units of another grouping.

    Raises
    ------
    SpecError
    """
    scatter = [_scatter(item.record, response) for item in spec.outcome_families]
    seen: dict[bytes, str] = {}
    for grouping, units in parts:
        by_outcome = _by_outcome(units, outcomes)
        for number, (dispersed, reason) in enumerate(scatter):
            for own in by_outcome[number : number + 1] if spec.families else by_outcome:
                check_rows_per_unit(grouping, own, dispersed, reason)
        if units.weights is not None:
            continue
        # Units numbered in order of appearance: equal for equal partitions.
        _, first, inverse = np.unique(units.index, return_index=True, return_inverse=True)
        order = np.argsort(np.argsort(first))
        key = order[inverse].astype(np.int64).tobytes()
        if key in seen:
            raise SpecError(
                f"The groupings {quoted(seen[key])} and {quoted(grouping.name)} divide the rows "
                "into the same units, so their variances cannot be told apart. Leave one out, or "
                "put the terms of both into one."
            )
        seen[key] = grouping.name


def _scatter(family: Family, response: Response) -> tuple[bool, str]:
    """Return whether a row may have an effect of its own, and why it may not."""
    counted = family.response == "count" or (
        family.response == "binary"
        and response.trials is not None
        and int(response.trials.max()) > 1
    )
    # A parameter of the family's own already says how outcomes scatter around their mean.
    dispersed = counted and not family.parameters
    spread_by = [item.name for item in family.parameters if item.name != "cutpoints"]
    if family.level1:
        return dispersed, "the residual has the same units"
    if spread_by:
        words = f"{listed(spread_by)} already says how single rows scatter around their mean"
        return dispersed, words
    return dispersed, f"a {family.name} outcome with one row a unit has no variance left to explain"


def _by_outcome(units: Units, outcomes: OutcomeRows | None) -> list[Units]:
    """Return the units of each outcome's rows: an outcome's variance is learnt from its own."""
    if outcomes is None:
        return [units]
    if units.weights is not None:
        return [units] * len(outcomes.labels)
    found = []
    for place in range(len(outcomes.labels)):
        own, index = np.unique(units.index[outcomes.number == place], return_inverse=True)
        found.append(Units(tuple(units.labels[number] for number in own), index))
    return found


def few_units(parts: Sequence[tuple[str, Units]]) -> list[str]:
    """Return a note for each grouping, by name, with so few units that its prior matters most."""
    return [
        f"The grouping {quoted(name)} has only {len(units.labels)} units: its "
        "SD is learnt mostly from the prior. See model.priors for what the prior implies, and set "
        f"another with priors={{'sd_{name}': 'HalfNormal(...)'}}."
        for name, units in parts
        if len(units.labels) < 5
    ]
