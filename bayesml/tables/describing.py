"""Find out what the data are: units, rows per unit, nesting, crossing, memberships."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from bayesml.errors import TableError, listed, quoted
from bayesml.tables.checks import require_columns, require_table
from bayesml.tables.relations import Codes, codes_of, relation
from bayesml.tables.structure import GroupingSummary, Structure
from bayesml.tables.suggestion import suggested_builder

MOST_PROPOSED = 8
FEW_UNITS = 5


def describe(
    table: object,
    groups: Sequence[str] | str | None = None,
    members: Sequence[str] | None = None,
    *,
    absent: object = None,
) -> Structure:
    """Describe the structure of a table: units, rows per unit, nesting and crossing.

    Parameters
    ----------
    table : DataFrame or other table
        One row per observation.
    groups : str or list of str, optional
        Grouping columns. Without it (and without `members`) columns that could be groupings are
        proposed: text, categories and whole numbers with at least two units and fewer units than
        rows.
    members : list of str, optional
        The columns of one multiple membership: each row belongs to the units that they name.
    absent : number or text, optional
        Code in the `members` columns that means "no further unit"; a missing value always does.

    Returns
    -------
    Structure
        Prints as a table; `.to_frame()` returns it as a DataFrame. Rows are counts.

    Raises
    ------
    TableError
        If a column is not in the table or holds no label.

    Examples
    --------
    >>> from bayesml.tables import describe
    >>> pupils = {"school": ["a", "a", "b", "b"], "pupil": [1, 2, 3, 4]}
    >>> describe(pupils, groups=["pupil", "school"]).relations[0].kind
    'nested'
    """
    frame = require_table(table)
    slots = _names(members, "members")
    proposed = groups is None and not slots
    notes: list[str] = []
    if proposed:
        names, notes = _proposed(frame)
    else:
        names = _names(groups, "groups")
    require_columns(frame, names, "groups")
    require_columns(frame, slots, "members")
    codes = [_labelled(codes_of(frame[name], name)) for name in names]
    summaries = [_summary(item) for item in codes]
    if slots:
        notes += _absent_hint(frame, slots, absent)
        summaries.append(_membership(frame, slots, absent))
    # Among guessed groupings, those with few units are most likely predictors.
    pairs = combinations([item for item in codes if not proposed or item.n_units >= FEW_UNITS], 2)
    relations = tuple(relation(first, second) for first, second in pairs)
    if not proposed:
        notes += _unit_notes(summaries)
    return Structure(
        n_rows=len(frame),
        groupings=tuple(summaries),
        relations=relations,
        suggestion=suggested_builder(frame, codes, summaries, relations, proposed),
        notes=tuple(notes),
    )


def _names(columns: Sequence[str] | str | None, role: str) -> list[str]:
    if columns is None:
        return []
    names = [columns] if isinstance(columns, str) else list(columns)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TableError(f"{role}: {listed(twice)} is named more than once. Name each column once.")
    return names


def _proposed(frame: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return columns that could be groupings, and a note where there are too many."""
    units: dict[str, int] = {}
    for name in frame.columns:
        column = frame[name]
        if not _could_be_labels(column):
            continue
        n_units = column.nunique()
        if 2 <= n_units < len(frame):
            units[name] = n_units
    # Labels before numbers, then many units before few: a count or a test score comes last.
    ranked = sorted(
        units, key=lambda name: (pd.api.types.is_integer_dtype(frame[name]), -units[name])
    )
    kept = set(ranked[:MOST_PROPOSED])
    rest = [name for name in units if name not in kept]
    notes = [f"Columns that could be groupings too, not shown: {listed(rest)}."] if rest else []
    return [name for name in units if name in kept], notes


def _could_be_labels(column: pd.Series) -> bool:
    if pd.api.types.is_bool_dtype(column):
        return False
    return (
        pd.api.types.is_integer_dtype(column)
        or isinstance(column.dtype, pd.CategoricalDtype)
        or pd.api.types.infer_dtype(column, skipna=True) == "string"
    )


def _labelled(codes: Codes) -> Codes:
    if not codes.n_units:
        raise TableError(
            f"Column {quoted(codes.name)} holds no label: every row is missing. Choose another "
            "grouping, or read the table again."
        )
    return codes


def _summary(codes: Codes) -> GroupingSummary:
    sizes = np.bincount(codes.refs[codes.refs >= 0], minlength=codes.n_units)
    return _from_sizes(codes.name, sizes, int(np.count_nonzero(codes.refs < 0)))


def _membership(frame: pd.DataFrame, slots: list[str], absent: object) -> GroupingSummary:
    stacked = pd.concat([frame[name].astype(object) for name in slots], ignore_index=True)
    if absent is not None:
        stacked = stacked.mask(stacked.isin([absent]))
    codes = _labelled(codes_of(stacked.infer_objects(), slots[0]))
    rows = np.tile(np.arange(len(frame)), len(slots))
    used = codes.refs >= 0
    # A row that names one unit in two slots belongs to it once.
    pairs = pd.unique(rows[used].astype(np.int64) * codes.n_units + codes.refs[used])
    row, unit = np.divmod(pairs, codes.n_units)
    per_row = np.bincount(row, minlength=len(frame))
    sizes = np.bincount(unit, minlength=codes.n_units)
    return _from_sizes(
        slots[0],
        sizes,
        int(np.count_nonzero(per_row == 0)),
        tuple(slots),
        tuple(np.bincount(per_row).tolist()),
    )


def _from_sizes(
    name: str,
    sizes: np.ndarray,
    n_missing: int,
    members: tuple[str, ...] = (),
    slots: tuple[int, ...] = (),
) -> GroupingSummary:
    return GroupingSummary(
        name=name,
        n_units=len(sizes),
        rows_min=int(sizes.min()),
        rows_median=float(np.median(sizes)),
        rows_mean=float(sizes.mean()),
        rows_max=int(sizes.max()),
        n_single=int(np.count_nonzero(sizes == 1)),
        n_missing=n_missing,
        members=members,
        slots=slots,
    )


def _absent_hint(frame: pd.DataFrame, slots: list[str], absent: object) -> list[str]:
    if absent is not None or len(slots) < 2:
        return []
    last = frame[slots[-1]].dropna()
    if last.empty:
        return []
    top = last.value_counts(normalize=True)
    if str(top.index[0]) not in ("0", "0.0", "-1") or top.iloc[0] < 0.5:
        return []
    code = top.index[0] if isinstance(top.index[0], str) else int(top.index[0])
    return [
        f"{100 * top.iloc[0]:.0f} % of {slots[-1]} are {code}, counted as a unit here. If "
        f"that means no further unit, pass absent={quoted(code)}."
    ]


def _unit_notes(summaries: Sequence[GroupingSummary]) -> list[str]:
    notes = []
    for item in summaries:
        if item.rows_max == 1:
            notes.append(
                f"Every unit of {item.name} has one row: such a grouping can be modelled for "
                "counts and for trials above 1 only."
            )
        elif item.n_units < FEW_UNITS:
            notes.append(
                f"{item.name} has {item.n_units} units: its variance rests on the prior. Consider "
                "it as a predictor."
            )
    return notes
