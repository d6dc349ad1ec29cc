"""Several outcomes as one column: a row for each row of the table and outcome that it has.

Outcomes that a row misses have no row here: they are absent, not filled in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bayesml.design.responses import Response, find_response
from bayesml.design.rows import RowsUsed, numeric_column, row_list, rows_used
from bayesml.errors import SpecError, TableError, listed, quoted
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.outcome_terms import OUTCOME, ROW, VALUE
from bayesml.specs.parsing import name_text


@dataclass(frozen=True)
class OutcomeRows:
    """Which outcome each row is of.

    Parameters
    ----------
    column : str
        The column that says it.
    labels : tuple of str
        The outcomes, or the members of a unit.
    number : array of int, shape (rows,)
        Position of the row's outcome among the labels.
    """

    column: str
    labels: tuple[str, ...]
    number: np.ndarray


def outcome_rows(spec: ModelSpec, frame: pd.DataFrame, positions: np.ndarray) -> OutcomeRows | None:
    """Return which outcome or member each row is of; None where coefficients serve all rows.

    Parameters
    ----------
    spec : ModelSpec
        As the user wrote it.
    frame : DataFrame
        The rows used, stacked where there are several outcomes.
    positions : array of int
        Their positions in the user's table, for messages.

    Raises
    ------
    TableError
        A member is missing, or there is one member only.
    """
    if spec.outcomes:
        number = frame[OUTCOME].cat.codes.to_numpy(dtype=np.int64)
        return OutcomeRows(OUTCOME, spec.outcomes, number)
    if spec.member is None:
        return None
    column = frame[spec.member].astype("category")
    missing = column.isna().to_numpy(dtype=bool)
    if missing.any():
        raise TableError(
            f"The member {quoted(spec.member)} is missing in row {row_list(missing, positions)}. "
            "Every row needs one: fill it in, or leave these rows out."
        )
    if len(column.cat.categories) < 2:
        raise TableError(
            f"The column {quoted(spec.member)} has one member only, "
            f"{listed(column.cat.categories.tolist())}. It must tell the members apart."
        )
    labels = tuple(str(level) for level in column.cat.categories)
    return OutcomeRows(spec.member, labels, column.cat.codes.to_numpy(dtype=np.int64))


def stacked_rows(spec: ModelSpec, frame: pd.DataFrame, columns: Mapping[str, str]) -> RowsUsed:
    """Return a row for each row of the table and outcome that it has.

    Parameters
    ----------
    spec : ModelSpec
        As the user wrote it, with several outcomes.
    frame : DataFrame
        Plain columns of the table.
    columns : mapping of str to str
        Role of each column.

    Returns
    -------
    RowsUsed
        With the columns `outcome`, `response` and `row`; outcomes of one row beside each other.

    Raises
    ------
    TableError
        An outcome is not numeric, or is never observed.
    """
    names = list(spec.outcomes)
    ordered = ordered_outcomes(spec)
    for name in names:
        if name not in ordered and not _is_numeric(frame[name]):
            raise TableError(
                f"The outcome {quoted(name)} holds {frame[name].dtype} values "
                f"({listed([str(v) for v in frame[name].dropna().head(3)], 3)}), and several "
                "outcomes take numbers, or ordered categories with family='ordinal'. Convert it: "
                "pandas.to_numeric(table[...])."
            )
    parts = columns_of_outcomes(spec)
    needed = [
        name
        for name, role in columns.items()
        if role != "grouping" and name not in spec.outcomes and name not in parts
    ]
    complete = rows_used(frame, needed) if needed else None
    used = frame if complete is None else complete.frame
    positions = np.arange(len(frame)) if complete is None else complete.positions
    # Categories are numbered with the outcome's own rows; here only their gaps matter.
    values = np.column_stack(
        [
            np.where(used[name].isna(), np.nan, 0.0)
            if name in ordered
            else numeric_column(used, name, "The outcome")
            for name in names
        ]
    )
    for column, numbers in parts.items():
        # Without its trials, or its exposure, an outcome is not there.
        unknown = np.isnan(numeric_column(used, column, f"The {columns[column]}"))
        values[np.ix_(unknown, numbers)] = np.nan
    seen = ~np.isnan(values)
    for name, of_outcome in zip(names, seen.T, strict=True):
        if not of_outcome.any():
            raise TableError(
                f"No row that could be used has a value of the outcome {quoted(name)}. Leave it "
                "out of the model."
            )
    row, outcome = np.nonzero(seen)
    dropped = [name for name in names if name not in ordered]
    stacked = used.drop(columns=dropped).iloc[row].reset_index(drop=True)
    stacked[ROW] = positions[row] + 1
    stacked[OUTCOME] = pd.Categorical.from_codes(outcome, pd.Index(names))
    stacked[VALUE] = values[seen]
    missing = {} if complete is None else dict(complete.missing)
    absent = dict(zip(names, (~seen).sum(axis=0).tolist(), strict=True))
    return RowsUsed(
        stacked,
        positions[row] * len(names) + outcome,
        len(frame) * len(names),
        missing | {name: count for name, count in absent.items() if count},
        len(names),
        _counts(len(frame), len(used), missing, absent, int((~seen).all(axis=1).sum())),
    )


def _counts(
    table: int, used: int, missing: Mapping[str, int], absent: Mapping[str, int], empty: int
) -> str:
    """Say which rows and which values are not there; nothing where all are."""
    found = []
    if used < table:
        columns = ", ".join(f"{name}: {count}" for name, count in missing.items())
        found.append(
            f"{used} of {table} rows have all predictors; the others were left out because of "
            f"missing values ({columns})."
        )
    if any(absent.values()):
        values = ", ".join(f"{name} {used - count} of {used}" for name, count in absent.items())
        found.append(
            f"Outcomes are missing in some rows and are simply absent there (values: {values})."
        )
    if empty:
        found.append(f"Rows without any outcome were left out: {empty}.")
    return " ".join(found)


def ordered_outcomes(spec: ModelSpec) -> tuple[str, ...]:
    """Return the columns of the outcomes that have ordered categories, among several."""
    families = spec.outcome_families if spec.families else ()
    return tuple(item.outcome for item in families if item.record.response == "ordered")


def _is_numeric(column: pd.Series) -> bool:
    kinds = pd.api.types
    return kinds.is_bool_dtype(column.dtype) or kinds.is_numeric_dtype(column.dtype)


def one_outcome(spec: ModelSpec, number: int, name: str) -> ModelSpec:
    """Return the model of one of several outcomes by itself, without predictors and groupings.

    Parameters
    ----------
    spec : ModelSpec
        Of several outcomes, as the user wrote it or stacked.
    number : int
        Of the outcome.
    name : str
        The outcome's column.
    """
    own = spec.family_of(number)
    kind = own.record.response
    return replace(
        spec,
        formula=f"{name_text(name)} ~ 1",
        groupings=(),
        family=own.record.name,
        link=own.link.name,
        families=(),
        links=(),
        priors=(),
        categories=dict(spec.categories_by_outcome).get(name, ()) if spec.families else (),
        categories_by_outcome=(),
        baseline=(),
        structure="model",
        trials=spec.trials if kind == "binary" else None,
        exposure=spec.exposure if kind == "count" else None,
        residual=None,
        residual_correlation=True,
    )


def columns_of_outcomes(spec: ModelSpec) -> dict[str, list[int]]:
    """Return the columns that only some outcomes need, with the numbers of these outcomes."""
    found: dict[str, list[int]] = {}
    for number, name in enumerate(spec.outcomes):
        own = one_outcome(spec, number, name)
        for column in (own.trials, own.exposure):
            if isinstance(column, str):
                found.setdefault(column, []).append(number)
    return found


def stacked_response(spec: ModelSpec, frame: pd.DataFrame, positions: np.ndarray) -> Response:
    """Return the values of all outcomes, each checked against the family under its own name.

    Raises
    ------
    TableError
        A value is outside the family's support, or an outcome is constant.
    """
    number = frame[OUTCOME].cat.codes.to_numpy()
    found: list[Response] = []
    for place, name in enumerate(spec.outcomes):
        own = one_outcome(spec, place, name)
        rows = number == place
        value = name if own.family_record.response == "ordered" else VALUE
        wanted = [value, *([own.trials] if isinstance(own.trials, str) else [])]
        column = frame.loc[rows, wanted].rename(columns={VALUE: name}).reset_index(drop=True)
        found.append(find_response(own, column, positions[rows]))
    values = np.empty(len(frame), dtype=np.result_type(*(item.values for item in found)))
    for place, response in enumerate(found):
        values[number == place] = response.values
    notes = [note for item in found for note in item.notes]
    trials = None
    if any(item.trials is not None for item in found):
        trials = np.ones(len(frame), dtype=np.int64)
        for place, response in enumerate(found):
            trials[number == place] = 1 if response.trials is None else response.trials
    notes += [*_independent_residuals(spec), *_lone_successes(spec, found)]
    categories = tuple(item.categories for item in found) if spec.families else ()
    return Response(values, trials, notes=tuple(notes), by_outcome=categories)


def _lone_successes(spec: ModelSpec, found: Sequence[Response]) -> list[str]:
    """Say where the trials of another outcome may have been taken for those of a 0/1 outcome."""
    counted = {
        name: response
        for name, response in zip(spec.outcomes, found, strict=True)
        if response.trials is not None and int(response.trials.max()) > 1
    }
    if len(counted) < 2:
        return []
    return [
        f"The outcome {quoted(name)} holds 0 and 1 only, and was taken as successes out of the "
        f"trials {quoted(str(spec.trials))}, which are those of every binomial outcome. Fit it in "
        "a model of its own where each row is one trial."
        for name, response in counted.items()
        if int(response.values.max()) <= 1
    ]


def _independent_residuals(spec: ModelSpec) -> tuple[str, ...]:
    """Say that residuals of several Gaussian outcomes beside others are independent."""
    names = [item.outcome for item in spec.outcome_families if item.record.correlated_residuals]
    if not spec.families or len(names) < 2 or not spec.residual_correlation:
        return ()
    return (
        f"The residuals of {listed(names)} are independent given the effects: beside outcomes of "
        "other families correlated residuals are not there in this version.",
    )


def row_of_outcome(values: np.ndarray, outcomes: OutcomeRows) -> np.ndarray:
    """Return X with each row's own outcome only: the columns of the other outcomes are 0 there.

    Parameters
    ----------
    values : array, shape (rows, outcomes x columns)
        The columns of the first outcome first.
    outcomes : OutcomeRows

    Returns
    -------
    array, shape (rows, columns)
    """
    cube = values.reshape(len(values), len(outcomes.labels), -1)
    return np.ascontiguousarray(cube[np.arange(len(values)), outcomes.number])


def own_labels(labels: Sequence[str], outcomes: OutcomeRows) -> tuple[str, ...]:
    """Return the coefficients of one outcome, without its name.

    Raises
    ------
    SpecError
        The outcomes have different coefficients.
    """
    width = len(labels) // len(outcomes.labels)
    found = []
    for number, name in enumerate(outcomes.labels):
        own = labels[number * width : (number + 1) * width]
        found.append(tuple(label.removeprefix(f"{name}:") for label in own))
    if len(set(found)) != 1 or width * len(outcomes.labels) != len(labels):
        raise SpecError(
            f"The coefficients of {listed(outcomes.labels)} differ: {listed(labels)}. Use "
            "predictors with the same levels for all of them."
        )
    return found[0]
