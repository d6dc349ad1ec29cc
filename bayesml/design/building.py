"""A specification and a table to arrays, every input checked."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bayesml.design.checks import (
    check_apart,
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
from bayesml.design.design_centres import with_constant
from bayesml.design.designs import Design, VaryingPart
from bayesml.design.matrices import build_matrix, without_intercept
from bayesml.design.member_terms import all_slots, used_terms, varying_values
from bayesml.design.nominal_outcomes import category_reliabilities, part_by_category
from bayesml.design.offsets import offset_of_rows
from bayesml.design.outcome_priors import outcome_working
from bayesml.design.predictor_parts import (
    build_parts,
    main_reliabilities,
)
from bayesml.design.residual_rows import (
    check_identified,
    residual_rows,
)
from bayesml.design.residual_whitening import whitened_rows
from bayesml.design.responses import bound_columns, find_response
from bayesml.design.rows import rows_used
from bayesml.design.stacking import outcome_rows, stacked_response, stacked_rows
from bayesml.design.unit_kinds import few_units_of_a_kind, find_kinds
from bayesml.design.units import find_units
from bayesml.design.working_responses import working_response
from bayesml.errors import quoted
from bayesml.specs.category_effects import CATEGORY_SPECIFIC
from bayesml.specs.groupings import Grouping
from bayesml.specs.member_terms import has_member_terms
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.resolved import part_label


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
    plain = plain_frame(table, columns, spec.structure)
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
    intercept = all(item.record.intercept for item in spec.outcome_families)
    check_predictors(fixed, intercept)
    # Among several outcomes an ordered one keeps its place: its intercept is 0.
    if not intercept and outcomes is None:
        fixed = without_intercept(fixed)
    parts = build_parts(spec, frame, baseline, positions)
    check_apart(fixed, parts.get(CATEGORY_SPECIFIC))
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
            for note in far_from_zero(
                part.grouping.name, part.labels, part.blocks, all_slots(part.terms)
            )
        ),
    ]
    offset = offset_of_rows(spec, frame, positions)
    constant = with_constant(fixed) if outcomes is None else fixed.values
    if response.nominal:
        repeated = tuple(part_by_category(part, response.nominal[1:]) for part in varying)
        reliable = category_reliabilities(spec, response, constant, varying)
        varying = repeated
    else:
        stand_in = (
            working_response(spec, response, offset)
            if outcomes is None
            else outcome_working(spec, response, offset, outcomes),
            constant,
            [(part.units, part.terms) for part in varying],
        )
        if residual is not None:
            stand_in = whitened_rows(residual, *stand_in)
        reliable = tuple(
            main_reliabilities(
                *stand_in,
                [part.predictors for part in varying],
                [part.kinds for part in varying],
            )
        )
    return Design(
        response,
        fixed,
        varying,
        offset,
        rows,
        tuple(note for note in notes if note),
        reliable,
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
        build_matrix(text, frame, baseline, where, positions, outcome, grouping.members)
        for text in grouping.terms
    )
    own = [label for matrix in matrices for label in matrix.labels]
    values = np.concatenate([matrix.values for matrix in matrices], axis=1)
    if has_member_terms(grouping):
        values = varying_values(matrices, frame)
    sizes = tuple(len(matrix.labels) for matrix in matrices)
    of_entries = grouping.predictors or ("",) * len(matrices)
    predictors = tuple(np.repeat(np.array(of_entries, dtype=object), sizes))
    for predictor in dict.fromkeys(of_entries):
        chosen = [place for place, name in enumerate(predictors) if name == predictor]
        entries = used_terms(values, units.weights)
        check_varying_terms(grouping, [own[place] for place in chosen], entries[:, chosen])
    labels = tuple(map(part_label, predictors, own))
    check_labels(grouping, labels)
    blocks = sizes if grouping.correlated else (1,) * len(labels)
    kinds = find_kinds(grouping, units, frame, positions)
    return VaryingPart(grouping, units, values, labels, blocks, matrices, predictors, kinds)
