"""From a specification and a table to a resolved specification and arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from bayesml.design.checks import (
    check_baseline,
    check_groupings,
    check_labels,
    check_predictors,
    check_varying_terms,
    far_from_zero,
    few_units,
)
from bayesml.design.columns import plain_frame
from bayesml.design.columns_used import columns_used
from bayesml.design.default_priors import (
    NU_ABOVE_2,
    PriorBook,
    half_student_t,
    prior_keys,
    resolved_residual,
    response_scales,
)
from bayesml.design.design_centres import design_centres, parents_of, with_constant
from bayesml.design.matrices import Matrix, build_matrix, without_intercept
from bayesml.design.offsets import offset_of_rows
from bayesml.design.outcome_priors import even_response, outcome_scales, resolve_outcomes
from bayesml.design.parametrisation import Reliability, working_response
from bayesml.design.predictor_parts import (
    build_parts,
    form_of_student_effects,
    form_of_terms,
    form_set_by_user,
    grouping_keys,
    main_reliabilities,
    part_term_scales,
    resolve_parts,
    sd_keys,
)
from bayesml.design.residual_rows import (
    RESIDUAL_NAMES,
    ResidualRows,
    check_identified,
    residual_rows,
)
from bayesml.design.residual_whitening import whitened_rows
from bayesml.design.responses import Response, bound_columns, find_response
from bayesml.design.rows import RowsUsed, rows_used
from bayesml.design.stacking import OutcomeRows, outcome_rows, stacked_response, stacked_rows
from bayesml.design.unit_kinds import UnitKinds, few_units_of_a_kind, find_kinds
from bayesml.design.units import Units, find_units
from bayesml.errors import PriorError, quoted
from bayesml.specs.distributions import Prior, parse_prior
from bayesml.specs.groupings import Grouping
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.naming import assign_identifiers
from bayesml.specs.resolved import ResolvedGrouping, ResolvedSpec, part_label


@dataclass(frozen=True)
class VaryingPart:
    """One grouping on the table.

    Parameters
    ----------
    grouping : Grouping
    units : Units
        Units and membership of the rows.
    terms : array, shape (rows, terms)
        Z: the terms that vary, on the user's scale.
    labels : tuple of str
        Labels of the terms.
    blocks : tuple of int
        Number of terms of each block of the covariance.
    matrices : tuple of Matrix
        The blocks' matrices, which replay on other rows.
    predictors : tuple of str
        Linear predictor of each term, empty for the main one.
    kinds : UnitKinds or None
        Kinds of units with SDs of their own.
    """

    grouping: Grouping
    units: Units
    terms: np.ndarray
    labels: tuple[str, ...]
    blocks: tuple[int, ...]
    matrices: tuple[Matrix, ...]
    predictors: tuple[str, ...]
    kinds: UnitKinds | None = None


@dataclass(frozen=True)
class Design:
    """The arrays of a model.

    Parameters
    ----------
    response : Response
        The outcome.
    fixed : Matrix
        X, on the user's scale.
    varying : tuple of VaryingPart
        One per grouping, in the order of the specification.
    offset : array, shape (rows,), or None
        Known part of the linear predictor: offsets plus log exposure.
    rows : RowsUsed
        Which rows take part.
    notes : tuple of str
        What the reader must know.
    reliabilities : tuple of Reliability
        How much the rows say about the effects of each grouping, roughly.
    residual : ResidualRows or None
        Units and occasions of correlated residuals.
    outcomes : OutcomeRows or None
        Which of several outcomes, or members of a unit, each row is of.
    parts : mapping of str to Matrix
        X of every parameter of the likelihood that has a linear predictor of its own.
    """

    response: Response
    fixed: Matrix
    varying: tuple[VaryingPart, ...]
    offset: np.ndarray | None
    rows: RowsUsed
    notes: tuple[str, ...]
    reliabilities: tuple[Reliability, ...]
    residual: ResidualRows | None = None
    outcomes: OutcomeRows | None = None
    parts: Mapping[str, Matrix] = field(default_factory=dict)


def build_design(spec: ModelSpec, table: pd.DataFrame) -> Design:
    """Return the arrays of a model on a table, every input checked.

    Parameters
    ----------
    spec : ModelSpec
    table : DataFrame

    Returns
    -------
    Design

    Raises
    ------
    TableError, SpecError
        The table does not fit the specification; the message says where and what to do.
    """
    columns = columns_used(spec)
    plain = plain_frame(table, columns)
    optional = {*bound_columns(spec), *(n for n, role in columns.items() if role == "grouping")}
    if spec.outcomes:
        rows = stacked_rows(spec, plain, columns)
    else:
        rows = rows_used(plain, [name for name in columns if name not in optional])
    frame, positions = rows.frame, rows.table_rows
    response = (stacked_response if spec.outcomes else find_response)(spec, frame, positions)
    check_baseline(spec)
    outcomes = outcome_rows(spec, frame, positions)
    if spec.member is not None and outcomes is not None:
        codes = pd.Categorical.from_codes(outcomes.number, pd.Index(outcomes.labels))
        frame[spec.member] = codes
    spec = spec.stacked
    baseline, by = dict(spec.baseline), outcomes.column if outcomes is not None else ""
    fixed = build_matrix(spec.fixed, frame, baseline, "the fixed part", positions, by)
    check_predictors(fixed, spec.family_record.intercept)
    if not spec.family_record.intercept:
        fixed = without_intercept(fixed)
    parts = build_parts(spec, frame, baseline, positions)
    varying = tuple(
        _varying_part(grouping, frame, positions, baseline, by) for grouping in spec.every_grouping
    )
    check_groupings(spec, [(part.grouping, part.units) for part in varying], response, outcomes)
    residual = None
    if spec.residual is not None:
        residual = residual_rows(spec.residual, frame, positions, rows_dropped=bool(rows.missing))
        check_identified(
            residual, [(part.grouping, part.units, part.labels, part.terms) for part in varying]
        )
    notes = [
        rows.note,
        *response.notes,
        *(residual.notes if residual is not None else ()),
        *(note for part in varying for note in part.units.notes),
        *few_units([(part.grouping.name, part.units) for part in varying]),
        *(note for p in varying for note in few_units_of_a_kind(p.grouping.name, p.kinds)),
        *(
            note
            for part in varying
            for note in far_from_zero(part.grouping.name, part.labels, part.blocks, part.terms)
        ),
    ]
    offset = offset_of_rows(spec, frame, positions)
    crude, constant = response, with_constant(fixed)
    if outcomes is not None:
        crude = even_response(response, outcomes, outcome_scales(spec, response, offset, outcomes))
        constant = fixed.values
    stand_in = (
        working_response(spec, crude, offset),
        constant,
        [(part.units, part.terms) for part in varying],
    )
    if residual is not None:
        stand_in = whitened_rows(residual, *stand_in)
    return Design(
        response,
        fixed,
        varying,
        offset,
        rows,
        tuple(note for note in notes if note),
        tuple(main_reliabilities(*stand_in, [part.predictors for part in varying])),
        residual,
        outcomes,
        parts,
    )


def _varying_part(
    grouping: Grouping,
    frame: pd.DataFrame,
    positions: np.ndarray,
    baseline: Mapping[str, str],
    outcome: str = "",
) -> VaryingPart:
    units = find_units(grouping, frame, positions)
    where = f"the grouping {quoted(grouping.name)}"
    matrices = tuple(
        build_matrix(text, frame, baseline, where, positions, outcome) for text in grouping.terms
    )
    own = [label for matrix in matrices for label in matrix.labels]
    values = np.concatenate([matrix.values for matrix in matrices], axis=1)
    sizes = tuple(len(matrix.labels) for matrix in matrices)
    of_entries = grouping.predictors or ("",) * len(matrices)
    predictors = tuple(np.repeat(np.array(of_entries, dtype=object), sizes))
    for predictor in dict.fromkeys(of_entries):
        chosen = [place for place, name in enumerate(predictors) if name == predictor]
        check_varying_terms(grouping, [own[place] for place in chosen], values[:, chosen])
    labels = tuple(map(part_label, predictors, own))
    check_labels(grouping, labels)
    blocks = sizes if grouping.correlated else (1,) * len(labels)
    kinds = find_kinds(grouping, units, frame, positions)
    return VaryingPart(grouping, units, values, labels, blocks, matrices, predictors, kinds)


def resolve(spec: ModelSpec, design: Design) -> ResolvedSpec:
    """Return the specification with every prior, parametrisation and name explicit.

    Parameters
    ----------
    spec : ModelSpec
    design : Design
        Its arrays.

    Returns
    -------
    ResolvedSpec

    Raises
    ------
    PriorError
        A prior has an unknown key or cannot be read.
    """
    if design.outcomes is not None:
        return resolve_outcomes(spec, design, design.outcomes, _resolve_groupings)
    intercept = "Intercept" in design.fixed.labels
    slopes = [label for label in design.fixed.labels if label != "Intercept"]
    names, response_name = assign_identifiers(
        [g.name for g in spec.every_grouping],
        spec.response_label,
        RESIDUAL_NAMES if design.residual is not None else (),
    )
    scales = response_scales(spec, design.response, design.offset)
    keys = prior_keys(
        spec,
        slopes,
        intercept,
        grouping_keys(design),
        {name: matrix.labels for name, matrix in design.parts.items()},
        design.residual,
    )
    book = PriorBook(spec, keys)
    wide = 2.5 * scales.response
    slope_values = design.fixed.values[:, int(intercept) :]
    deviations = np.std(slope_values, axis=0, ddof=1) if slopes else np.empty(0)
    # Without an intercept a constant column is legal; its own size takes the place of an SD.
    deviations = np.where(deviations > 0, deviations, np.abs(slope_values).mean(axis=0))
    slope_priors = tuple(
        book.prior((f"beta[{label}]", "beta"), "real", Prior("Normal", (0.0, wide / deviation)))
        for label, deviation in zip(slopes, deviations, strict=True)
    )
    parameters = {
        parameter.name: book.prior(
            (parameter.name,),
            parameter.support,
            parse_prior(parameter.default.format(s=scales.response), parameter.support),
        )
        for parameter in spec.scalar_parameters
    }
    residual = None
    if design.residual is not None:
        residual = resolved_residual(design.residual, book, parameters["sigma"])
    if residual is not None and residual.sigma_priors:
        del parameters["sigma"]
    groupings = _resolve_groupings(
        spec,
        design,
        book,
        [
            part_term_scales(part.labels, part.predictors, part.terms, scales.response)
            for part in design.varying
        ],
        names,
    )
    return ResolvedSpec(
        spec=spec,
        response=response_name,
        coefficients=design.fixed.labels,
        groupings=groupings,
        intercept_prior=book.prior(("Intercept",), "real", Prior("Normal", (scales.location, wide)))
        if intercept
        else None,
        slope_priors=slope_priors,
        parameter_priors=parameters,
        trials=design.response.trials is not None,
        offset=design.offset is not None,
        categories=tuple(str(category) for category in design.response.categories),
        bounds=tuple(design.response.bounds),
        censored=design.response.censored,
        residual=residual,
        parts=resolve_parts(spec, design.parts, book, scales),
    )


def _resolve_groupings(
    spec: ModelSpec,
    design: Design,
    book: PriorBook,
    scales: Sequence[Sequence[float]],
    names: Mapping[str, str],
) -> tuple[ResolvedGrouping, ...]:
    resolved: list[ResolvedGrouping] = []
    for part, reliability, sizes in zip(design.varying, design.reliabilities, scales, strict=True):
        name = part.grouping.name
        kinds = () if part.kinds is None else part.kinds.labels
        student = part.grouping.effects == "student"
        priors = tuple(
            book.prior(
                sd_keys(name, label, predictor, part.predictors, kind),
                "positive",
                half_student_t(size),
            )
            for kind in kinds or ("",)
            for label, predictor, size in zip(part.labels, part.predictors, sizes, strict=True)
        )
        if max(part.blocks) > 1 and any(prior.distribution == "MLwiN" for prior in priors):
            raise PriorError(
                f"The prior 'mlwin' of {quoted('sd_' + name)} is for one SD, and {quoted(name)} "
                "has correlated terms, where MLwiN uses an inverse-Wishart prior. Use "
                "correlated=False or another prior."
            )
        form = form_of_terms(reliability, part.predictors)
        if student:
            form = form_of_student_effects(reliability, part.predictors)
        if part.grouping.parametrisation != "auto":
            form = form_set_by_user(part.grouping, len(part.labels))
        eta = book.prior((f"corr_{name}",), "correlation", Prior("LKJ", (2.0,))).values[0]
        resolved.append(
            ResolvedGrouping(
                name=name,
                identifier=names[name],
                terms=part.labels,
                blocks=part.blocks,
                units=len(part.units.labels),
                centred_terms=form.centred_terms,
                graded=form.graded,
                multiple=part.grouping.multiple,
                sd_priors=priors,
                eta=eta,
                reason=form.reason,
                predictors=part.predictors if any(part.predictors) else (),
                by="" if part.kinds is None else part.kinds.column,
                kinds=kinds,
                nu_prior=book.prior((f"nu_{name}",), "positive", NU_ABOVE_2) if student else None,
            )
        )
    resolved = [
        replace(item, parents=parents_of(number, resolved, design))
        for number, item in enumerate(resolved)
    ]
    return tuple(
        replace(item, around=bool(weights.any()))
        for item, weights in zip(resolved, design_centres(design, resolved), strict=True)
    )
