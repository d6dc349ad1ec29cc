"""The design of a fit built again on other rows: terms, offset, trials and units."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesml.design.expressions import evaluate
from bayesml.design.member_terms import varying_values
from bayesml.design.offsets import offset_of_rows, rows_of_kind
from bayesml.design.rows import numeric_column, row_list
from bayesml.design.stored_designs import StoredDesign
from bayesml.design.units import Units, row_units, unit_label
from bayesml.errors import TableError, listed, quoted
from bayesml.specs.groupings import Grouping
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.parsing import parse
from bayesml.specs.syntax import Call, column_names


@dataclass(frozen=True)
class ReplayedTerms:
    """The arrays of rows that need no units.

    Parameters
    ----------
    fixed : array, shape (rows, coefficients)
    varying : mapping of str to array, shape (rows, terms)
        Z by grouping name; of members' own terms of shape (rows, slots, terms).
    offset : array, shape (rows,)
        Known part of the linear predictor; 0 where there is none.
    trials : array of int, shape (rows,), or None
        Binomial trials, where they were asked for.
    parts : mapping of str to array, shape (rows, coefficients)
        X of every parameter that has a linear predictor of its own.
    """

    fixed: np.ndarray
    varying: Mapping[str, np.ndarray]
    offset: np.ndarray
    trials: np.ndarray | None
    parts: Mapping[str, np.ndarray]


def replay_terms(
    spec: ModelSpec,
    stored: StoredDesign,
    frame: pd.DataFrame,
    groupings: Collection[str],
    *,
    trials: bool = False,
) -> ReplayedTerms:
    """Return X, Z, offset and trials of other rows.

    Parameters
    ----------
    spec : ModelSpec
    stored : StoredDesign
    frame : DataFrame
        Plain columns, without missing values.
    groupings : collection of str
        Names of the groupings whose terms are wanted.
    trials : bool
        Whether the binomial trials are wanted.

    Returns
    -------
    ReplayedTerms

    Raises
    ------
    TableError
        A level was not seen before, or a value is outside what a term takes.
    """
    positions = np.arange(len(frame))
    offset = offset_of_rows(spec, frame, positions)
    return ReplayedTerms(
        stored.fixed.replay(frame),
        {
            name: varying_values(matrices, frame)
            for name, matrices in stored.varying.items()
            if name in groupings
        },
        np.zeros(len(frame)) if offset is None else offset,
        _trials(spec, frame) if trials else None,
        {name: matrix.replay(frame) for name, matrix in stored.parts.items()},
    )


def trials_columns(spec: ModelSpec) -> list[str]:
    """Return the columns that the binomial trials come from."""
    node = parse(spec.response)
    if isinstance(node, Call) and node.function == "cbind":
        return column_names(node)
    return [spec.trials] if isinstance(spec.trials, str) else []


def _trials(spec: ModelSpec, frame: pd.DataFrame) -> np.ndarray | None:
    node = parse(spec.response)
    if isinstance(node, Call) and node.function == "cbind":
        columns = {
            name: numeric_column(frame, name, "The column of trials") for name in column_names(node)
        }
        values = sum(np.asarray(evaluate(item, columns)) for item in node.arguments)
        values = np.broadcast_to(np.asarray(values, dtype=float), (len(frame),))
    elif isinstance(spec.trials, str):
        values = numeric_column(frame, spec.trials, "The column of trials")
    elif spec.trials is not None:
        values = np.full(len(frame), float(spec.trials))
    else:
        return None
    values = np.where(rows_of_kind(spec, frame, "binary"), values, 1.0)
    bad = ~((values >= 1) & (values == np.round(values)))
    if bad.any():
        raise TableError(
            f"The trials of {quoted(spec.response)} are not positive whole numbers in row "
            f"{row_list(bad)} ({values[bad][0]:g}). Correct these rows; with 1 trial the mean is "
            "a probability."
        )
    return values.astype(np.int64)


def replay_units(grouping: Grouping, stored: StoredDesign, frame: pd.DataFrame) -> Units:
    """Return the units of other rows under the labels that they have in the fit.

    Parameters
    ----------
    grouping : Grouping
    stored : StoredDesign
    frame : DataFrame

    Returns
    -------
    Units
        With a slot per member column, or one. Labels are text. Of several columns a unit is known
        by its key: `labels` are then the texts ``"outer/inner"``.

    Raises
    ------
    TableError
        A label or weight is missing or cannot be used.
    """
    positions = np.arange(len(frame))
    if len(grouping.columns) > 1:
        return _keyed(grouping, frame)
    units = row_units(grouping, frame, positions)
    return Units(tuple(str(label) for label in units.labels), units.index, units.weights)


def _keyed(grouping: Grouping, frame: pd.DataFrame) -> Units:
    for name in grouping.columns:
        missing = frame[name].isna().to_numpy(dtype=bool)
        if missing.any():
            raise TableError(
                f"The grouping {quoted(grouping.name)} has no label in column {quoted(name)}, row "
                f"{row_list(missing)}. Every row needs one: fill it in, or leave these rows out."
            )
    columns = [frame[name].astype(object) for name in grouping.columns]
    keys = [
        key_label([str(unit_label(value)) for value in key]) for key in zip(*columns, strict=True)
    ]
    index, labels = pd.factorize(np.array(keys, dtype=object))
    return Units(tuple(labels), index)


def key_label(key: Sequence[str]) -> str:
    """Return the text of a unit that several columns tell apart, outermost first.

    Examples
    --------
    >>> key_label(["north", "3"])
    'north/3'
    """
    return "/".join(part.replace("\\", "\\\\").replace("/", "\\/") for part in key)


def check_complete(frame: pd.DataFrame, columns: Mapping[str, str]) -> None:
    """Raise where a column that every row needs has missing values.

    Parameters
    ----------
    frame : DataFrame
    columns : mapping of str to str
        Role of each column; groupings have rules of their own and are left out.

    Raises
    ------
    TableError
        A value is missing.
    """
    needed = [name for name, role in columns.items() if role != "grouping"]
    absent = {name: frame[name].isna().to_numpy(dtype=bool) for name in needed}
    bad = {name: mask for name, mask in absent.items() if mask.any()}
    if bad:
        name, mask = next(iter(bad.items()))
        raise TableError(
            f"Column {quoted(name)} ({columns[name]}) is missing in row {row_list(mask)}"
            f"{f'; columns with missing values: {listed(bad)}' if len(bad) > 1 else ''}. Fill the "
            "values in, or leave these rows out."
        )
