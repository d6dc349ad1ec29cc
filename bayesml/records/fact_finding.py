"""What a fit must know of its model and table, found in the resolved spec and the design."""

from collections.abc import Mapping

import numpy as np

from bayesml.design.codings import Coding
from bayesml.design.designs import Design, VaryingPart
from bayesml.design.matrices import Matrix
from bayesml.design.member_terms import all_slots
from bayesml.design.stored_designs import design_matrices
from bayesml.records.facts import GroupingFacts, ModelFacts, OrderedFacts, PartFacts
from bayesml.records.prior_rows import prior_rows
from bayesml.specs.censoring import CENSORING, ENTRY, INTERVAL, LEFT, RIGHT
from bayesml.specs.resolved import ResolvedGrouping, ResolvedSpec


def model_facts(resolved: ResolvedSpec, design: Design, notes: tuple[str, ...]) -> ModelFacts:
    """Return what a fit must know of its model and table."""
    spec = resolved.spec
    share = design.response.values.astype(float)
    if design.response.trials is not None:
        share = share / design.response.trials
    return ModelFacts(
        formula=spec.text,
        family=spec.family,
        link=spec.link,
        structure=spec.structure,
        response=spec.response_label,
        response_identifier=resolved.response,
        coefficients=resolved.coefficients,
        coefficient_means=tuple(float(value) for value in design.fixed.values.mean(axis=0))
        * (len(resolved.outcomes) if resolved.nominal else 1),
        groupings=tuple(
            _grouping_facts(grouping, part, design)
            for grouping, part in zip(resolved.groupings, design.varying, strict=True)
        ),
        covariate_means=_covariate_means(design),
        level_shares=_level_shares(design),
        rows=len(share),
        rows_in_table=design.rows.rows_in_table,
        missing=dict(design.rows.missing),
        response_mean=float(share.mean()),
        response_sd=float(share.std(ddof=1)) if len(share) > 1 else 0.0,
        offset_mean=0.0 if design.offset is None else float(design.offset.mean()),
        trials=design.response.trials is not None,
        categories=resolved.categories,
        priors=tuple(prior_rows(resolved)),
        notes=notes,
        censored=_censored_words(design.response.bounds, len(share)),
        outcomes=resolved.outcomes,
        outcome_column=spec.outcome_column,
        outcome_dim=resolved.outcome_dim if resolved.outcomes else "",
        stacked=bool(spec.outcomes),
        parts=tuple(
            PartFacts(name, link, matrix.labels, tuple(map(float, matrix.values.mean(axis=0))))
            for name, link, matrix in _further_predictors(resolved, design)
        ),
        baseline_category=resolved.baseline_category,
        ordered=tuple(
            OrderedFacts(item.outcome, item.variable, item.categories)
            for item in resolved.outcome_cutpoints
        ),
    )


def _further_predictors(resolved: ResolvedSpec, design: Design) -> list[tuple[str, str, Matrix]]:
    """Return name, link and X of every linear predictor but the main one."""
    if resolved.nominal:
        return [(category, "identity", design.fixed) for category in resolved.outcomes]
    return [(part.parameter, part.link, design.parts[part.parameter]) for part in resolved.parts]


def _censored_words(bounds: Mapping[str, np.ndarray], rows: int) -> str:
    """Return how many durations are censored or entered late: "18 of 76 right-censored"."""
    code = bounds.get(CENSORING, np.empty(0))
    counts = [
        (int((code == RIGHT).sum()), "right-censored"),
        (int((code == LEFT).sum()), "left-censored"),
        (int((code == INTERVAL).sum()), "known between two times"),
        (int((bounds.get(ENTRY, np.zeros(1)) > 0).sum()), "entered late"),
    ]
    words = [f"{count} {what}" for count, what in counts if count]
    return f"of {rows} durations {', '.join(words)}" if words else ""


def _grouping_facts(grouping: ResolvedGrouping, part: VaryingPart, design: Design) -> GroupingFacts:
    counts = part.units.rows_per_unit.astype(float)
    weights = part.units.weights
    return GroupingFacts(
        name=grouping.name,
        identifier=grouping.identifier,
        terms=grouping.terms,
        blocks=grouping.blocks,
        units=grouping.units,
        rows_per_unit=(
            float(counts.min()),
            float(np.median(counts)),
            float(counts.mean()),
            float(counts.max()),
        ),
        effective_rows_per_unit=float((counts**2).sum() / counts.sum()),
        term_means=tuple(float(value) for value in all_slots(part.terms).mean(axis=0)),
        within=tuple(
            other.grouping.name
            for other in design.varying
            if other is not part and _contains(other, part)
        ),
        squared_weights=1.0 if weights is None else float((weights**2).sum(axis=1).mean()),
        multiple=grouping.multiple,
        centred=grouping.centred,
        reason=grouping.reason,
        predictors=grouping.predictors,
        by=grouping.by,
        kinds=grouping.kinds,
        student=grouping.student,
        by_member=grouping.by_member,
    )


def _contains(outer: VaryingPart, inner: VaryingPart) -> bool:
    """Return whether every unit of `inner` lies in one unit of `outer`."""
    if outer.units.weights is not None or inner.units.weights is not None:
        return False
    first = np.full(len(inner.units.labels), -1)
    first[inner.units.index] = outer.units.index
    return bool((first[inner.units.index] == outer.units.index).all())


def _codings(design: Design) -> list[Coding]:
    return [coding for matrix in design_matrices(design) for coding in matrix.codings]


def _covariate_means(design: Design) -> dict[str, float]:
    columns = {name for item in _codings(design) if not item.levels for name in item.columns}
    frame = design.rows.frame
    return {name: float(frame[name].astype(float).mean()) for name in sorted(columns)}


def _level_shares(design: Design) -> dict[str, dict[str, float]]:
    frame = design.rows.frame
    return {
        coding.label: {
            str(level): float((frame[coding.column] == level).mean()) for level in coding.levels
        }
        for coding in _codings(design)
        if coding.levels
    }
