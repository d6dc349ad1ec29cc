"""Default priors of models with several outcomes: every outcome has a scale of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bayesml.design.default_priors import (
    PriorBook,
    prior_keys,
    resolved_residual,
    response_scales,
)
from bayesml.design.predictor_parts import grouping_keys
from bayesml.design.responses import Response
from bayesml.design.stacking import (
    OutcomeRows,
    one_outcome,
    ordered_outcomes,
    own_labels,
    row_of_outcome,
)
from bayesml.design.working_responses import Working, joined_working, working_response
from bayesml.specs.distributions import Prior, parse_prior
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.naming import assign_identifiers, outcome_identifiers
from bayesml.specs.outcome_cutpoints import OutcomeCutpoints
from bayesml.specs.outcome_terms import MEMBER, OUTCOME
from bayesml.specs.resolved import ResolvedGrouping, ResolvedSpec, place_of_label

if TYPE_CHECKING:
    from bayesml.design.designs import Design

ResolveGroupings = Callable[
    [ModelSpec, "Design", PriorBook, Sequence[Sequence[float]], Mapping[str, str]],
    tuple[ResolvedGrouping, ...],
]


@dataclass(frozen=True)
class OutcomePriors:
    """The priors of the fixed part and of the likelihood, by outcome.

    Parameters
    ----------
    intercepts : tuple of Prior
        One per outcome that is not ordered, at the mean of the predictors over its rows; empty
        without an intercept.
    slopes : tuple of Prior
        Those of the first outcome first.
    parameters : dict of str to tuple of Prior
        One per outcome, for each further parameter of the likelihood.
    """

    intercepts: tuple[Prior, ...]
    slopes: tuple[Prior, ...]
    parameters: dict[str, tuple[Prior, ...]]


def outcome_scales(
    spec: ModelSpec, response: Response, offset: np.ndarray | None, outcomes: OutcomeRows
) -> list[tuple[float, float]]:
    """Return the scale of each outcome, and its location on the link scale."""
    found = []
    for number, rows in enumerate(rows_by_outcome(outcomes)):
        own = response_of_rows(response, rows)
        alone = one_outcome(spec, number, outcomes.labels[number]) if spec.families else spec
        scales = response_scales(alone, own, None if offset is None else offset[rows])
        found.append((scales.response, scales.location))
    return found


def outcome_working(
    spec: ModelSpec, response: Response, offset: np.ndarray | None, outcomes: OutcomeRows
) -> Working:
    """Return the stand-in for several outcomes, each on its own rows where families differ."""
    scales = outcome_scales(spec, response, offset, outcomes)
    crude = even_response(response, outcomes, scales)
    if not spec.families:
        return working_response(spec, crude, offset)
    parts = [
        working_response(
            one_outcome(spec, number, outcomes.labels[number]),
            response_of_rows(crude, rows),
            None if offset is None else offset[rows],
        )
        for number, rows in enumerate(rows_by_outcome(outcomes))
    ]
    return joined_working(parts, outcomes.number)


def response_of_rows(response: Response, rows: np.ndarray) -> Response:
    """Return the outcome of some rows."""
    trials = None if response.trials is None else response.trials[rows]
    return replace(response, values=response.values[rows], trials=trials)


def rows_by_outcome(outcomes: OutcomeRows) -> list[np.ndarray]:
    """Return the rows of each outcome."""
    return [outcomes.number == place for place in range(len(outcomes.labels))]


def outcome_keys(
    spec: ModelSpec, labels: Sequence[str], outcomes: OutcomeRows
) -> tuple[list[str], list[str]]:
    """Return the prior keys of the fixed part, and those of the likelihood's parameters."""
    fixed = []
    owners = [name for name in outcomes.labels if name not in ordered_outcomes(spec)]
    if owners and any(label.endswith(":Intercept") for label in labels):
        fixed += ["Intercept", *(f"Intercept[{name}]" for name in owners)]
    slopes = [label for label in labels if not label.endswith(":Intercept")]
    if slopes:
        fixed += ["beta", *(f"beta[{label}]" for label in slopes)]
    own = []
    for parameter in spec.scalar_parameters:
        having = having_parameter(spec, parameter.name, outcomes)
        own += [parameter.name, *(f"{parameter.name}[{outcomes.labels[n]}]" for n in having)]
    return fixed, own


def outcome_priors(
    spec: ModelSpec,
    values: np.ndarray,
    labels: Sequence[str],
    outcomes: OutcomeRows,
    scales: Sequence[tuple[float, float]],
    book: PriorBook,
) -> OutcomePriors:
    """Return the priors of the fixed part and of the likelihood of every outcome.

    Parameters
    ----------
    spec : ModelSpec
    values : array, shape (rows, outcomes x coefficients)
        X.
    labels : sequence of str
        Of all columns of X.
    outcomes : OutcomeRows
    scales : sequence of (float, float)
        Scale and location of each outcome.
    book : PriorBook
    """
    names = own_labels(labels, outcomes)
    own, ordered = row_of_outcome(values, outcomes), ordered_outcomes(spec)
    intercepts: list[Prior] = []
    slopes: list[Prior] = []
    parameters: dict[str, tuple[Prior, ...]] = {}
    places = zip(outcomes.labels, rows_by_outcome(outcomes), scales, strict=True)
    for outcome, rows, (scale, location) in places:
        wide = 2.5 * scale
        for name, column in zip(names, own[rows].T, strict=True):
            if name == "Intercept" and outcome in ordered:
                continue
            if name == "Intercept":
                keys = (f"Intercept[{outcome}]", "Intercept")
                intercepts.append(book.prior(keys, "real", Prior("Normal", (location, wide))))
                continue
            deviation = float(np.std(column, ddof=1))
            # Without an intercept a constant column is legal; its own size takes the SD's place.
            deviation = deviation if deviation > 0 else float(np.abs(column).mean())
            keys = (f"beta[{outcome}:{name}]", "beta")
            slopes.append(book.prior(keys, "real", Prior("Normal", (0.0, wide / deviation))))
    for parameter in spec.scalar_parameters:
        name, priors = parameter.name, []
        for number in having_parameter(spec, name, outcomes):
            family = spec.family_of(number).record
            own_parameter = next(item for item in family.parameters if item.name == name)
            default = own_parameter.default.format(s=scales[number][0])
            support = own_parameter.support
            keys = (f"{name}[{outcomes.labels[number]}]", name)
            priors.append(book.prior(keys, support, parse_prior(default, support)))
        parameters[name] = tuple(priors)
    return OutcomePriors(tuple(intercepts), tuple(slopes), parameters)


def having_parameter(spec: ModelSpec, name: str, outcomes: OutcomeRows) -> tuple[int, ...]:
    """Return the numbers of the outcomes, or members, that have a parameter of the likelihood."""
    return spec.outcomes_of_parameter(name) if spec.families else tuple(range(len(outcomes.labels)))


def term_scales(
    labels: Sequence[str],
    terms: np.ndarray,
    outcomes: OutcomeRows,
    scales: Sequence[tuple[float, float]],
) -> list[float]:
    """Return the scale of each varying term's SD: that of its outcome over the term's SD.

    Parameters
    ----------
    labels : sequence of str
    terms : array, shape (rows, terms)
    outcomes : OutcomeRows
    scales : sequence of (float, float)
    """
    found = []
    rows_of = rows_by_outcome(outcomes)
    for label, column in zip(labels, terms.T, strict=True):
        place = place_of_label(label, outcomes.labels)
        rows, name = rows_of[place], label.removeprefix(f"{outcomes.labels[place]}:")
        spread = 1.0 if name == "Intercept" else float(np.std(column[rows], ddof=1))
        found.append(scales[place][0] / (spread if spread > 0 else 1.0))
    return found


def even_response(
    response: Response, outcomes: OutcomeRows, scales: Sequence[tuple[float, float]]
) -> Response:
    """Return the outcomes, each divided by its own scale, for a crude fit of all of them."""
    size = np.array([scale for scale, _ in scales])[outcomes.number]
    if (size == 1).all():
        return response
    return replace(response, values=response.values / size)


def resolve_outcomes(
    spec: ModelSpec, design: "Design", outcomes: OutcomeRows, resolve_groupings: ResolveGroupings
) -> ResolvedSpec:
    """Return the specification of several outcomes, or members, with a scale for each.

    Parameters
    ----------
    spec : ModelSpec
        As the user wrote it.
    design : Design
    outcomes : OutcomeRows
    resolve_groupings : callable
        Returns the groupings, given the scale of each term's SD.

    Returns
    -------
    ResolvedSpec

    Raises
    ------
    PriorError
        A prior has an unknown key or cannot be read.
    """
    labels = design.fixed.labels
    stacked = spec.stacked
    groupings = [grouping.name for grouping in spec.groupings]
    names, response_name = assign_identifiers(groupings, stacked.response)
    identifiers: tuple[str, ...] = ()
    if spec.families:
        names, identifiers = outcome_identifiers(outcomes.labels, groupings)
        response_name = stacked.response
    scales = outcome_scales(stacked, design.response, design.offset, outcomes)
    fixed, own = outcome_keys(stacked, labels, outcomes)
    keys = prior_keys(stacked, [], False, grouping_keys(design), {}, design.residual)
    book = PriorBook(spec, [*fixed, *(key for key in keys if key not in own), *own])
    found = outcome_priors(stacked, design.fixed.values, labels, outcomes, scales, book)
    dim = OUTCOME if spec.outcomes else MEMBER
    parameters, residual = dict(found.parameters), None
    cutpoints = outcome_cutpoints(stacked, design.response, identifiers, parameters)
    if design.residual is not None:
        # Its occasions are the outcomes, or the members.
        residual = replace(
            resolved_residual(design.residual, book, parameters["sigma"][0]),
            sigma_priors=parameters.pop("sigma"),
            dim=dim,
        )
    return ResolvedSpec(
        spec=spec,
        response=response_name,
        coefficients=labels,
        groupings=resolve_groupings(
            stacked,
            design,
            book,
            [term_scales(part.labels, part.terms, outcomes, scales) for part in design.varying],
            names,
        ),
        intercept_prior=None,
        slope_priors=found.slopes,
        parameter_priors={},
        trials=design.response.trials is not None,
        offset=design.offset is not None,
        residual=residual,
        outcomes=outcomes.labels,
        outcome_dim=dim,
        intercept_priors=found.intercepts,
        outcome_parameter_priors=parameters,
        outcome_identifiers=identifiers,
        outcome_cutpoints=cutpoints,
    )


def outcome_cutpoints(
    spec: ModelSpec,
    response: Response,
    identifiers: Sequence[str],
    parameters: dict[str, tuple[Prior, ...]],
) -> tuple[OutcomeCutpoints, ...]:
    """Return the cutpoints of the ordered outcomes; their priors leave `parameters`."""
    having = spec.outcomes_of_parameter("cutpoints") if spec.families else ()
    priors = parameters.pop("cutpoints", ())
    return tuple(
        OutcomeCutpoints(
            number,
            spec.outcome_families[number].outcome,
            identifiers[number],
            tuple(str(category) for category in response.by_outcome[number]),
            prior,
            spec.outcome_families[number].record.ordered_cutpoints,
        )
        for number, prior in zip(having, priors, strict=True)
    )
