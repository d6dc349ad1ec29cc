"""Groupings on a table: which unit each row belongs to, and by how much."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesml.design.matrices import column_levels, sorted_levels
from bayesml.design.rows import numeric_column, row_list
from bayesml.errors import SpecError, TableError, listed, quoted
from bayesml.specs.groupings import Grouping
from bayesml.specs.member_terms import has_member_terms


@dataclass(frozen=True)
class Units:
    """The units of a grouping and the rows' membership.

    Parameters
    ----------
    labels : tuple
        Labels of the units, whole numbers or text.
    index : array of int, shape (rows,) or (rows, slots)
        Unit of each row, or of each slot; an unused slot points to unit 0 with weight 0.
    weights : array, shape (rows, slots), or None
        Weights of a multiple membership.
    notes : tuple of str
        What the reader must know.
    """

    labels: tuple[Any, ...]
    index: np.ndarray
    weights: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    @property
    def rows_per_unit(self) -> np.ndarray:
        """Number of rows of each unit; a multiple membership counts every slot in use."""
        if self.weights is None:
            return np.bincount(self.index, minlength=len(self.labels))
        return np.bincount(self.index[self.weights > 0], minlength=len(self.labels))


def find_units(grouping: Grouping, frame: pd.DataFrame, positions: np.ndarray) -> Units:
    """Return the units of a grouping in these rows.

    Parameters
    ----------
    grouping : Grouping
    frame : DataFrame
        The rows used.
    positions : array of int
        Their positions in the user's table, for messages.

    Returns
    -------
    Units

    Raises
    ------
    TableError
        A label is missing, there is one unit only, or weights are unusable.
    """
    units = row_units(grouping, frame, positions)
    if len(units.labels) < 2:
        raise TableError(
            f"The grouping {quoted(grouping.name)} has one unit only, {listed(units.labels)}, so "
            "the variance between units cannot be learnt. Leave the grouping out."
        )
    return units


def row_units(grouping: Grouping, frame: pd.DataFrame, positions: np.ndarray) -> Units:
    """Return the units of a grouping in these rows, be it one unit only.

    Raises
    ------
    TableError
        A label is missing, or weights are unusable.
    """
    if grouping.multiple:
        return _multiple(grouping, frame, positions)
    return _single(grouping, frame, positions)


def _single(grouping: Grouping, frame: pd.DataFrame, positions: np.ndarray) -> Units:
    codes, levels = [], []
    for name in grouping.columns:
        column = frame[name]
        missing = column.isna().to_numpy(dtype=bool)
        if missing.any():
            raise TableError(
                f"The grouping {quoted(grouping.name)} has no label in column {quoted(name)}, row "
                f"{row_list(missing, positions)}. Every row needs one: fill it in, or leave these "
                f"rows out with table.dropna(subset=[{name!r}])."
            )
        values = column_levels(column)
        codes.append(_codes(column, values))
        levels.append([unit_label(value) for value in values])
    if len(codes) == 1:
        return Units(tuple(levels[0]), codes[0])
    return _combined(codes, levels)


def _combined(codes: list[np.ndarray], levels: list[list[Any]]) -> Units:
    """Return units whose labels are combinations; a label that is unique by itself stays alone."""
    rows = np.column_stack(codes)
    found, index = np.unique(rows, axis=0, return_inverse=True)
    index = index.reshape(-1)
    if len(found) == len(levels[-1]):
        # The last label alone tells the units apart: no need to repeat the outer ones.
        return Units(tuple(levels[-1]), codes[-1])
    labels = ["/".join(str(levels[i][code]) for i, code in enumerate(row)) for row in found]
    if len(set(labels)) < len(labels):
        labels = [str(tuple(levels[i][code] for i, code in enumerate(row))) for row in found]
    return Units(tuple(labels), index)


def _codes(column: pd.Series, levels: list[Any]) -> np.ndarray:
    return pd.Index(levels, dtype=object).get_indexer(pd.Index(column.astype(object))).astype(int)


def unit_label(value: Any) -> str | int:
    """Return a label as a whole number or text: what results files can hold."""
    if isinstance(value, bool | np.bool_):
        return str(value)
    whole = isinstance(value, int | np.integer) or (
        isinstance(value, float | np.floating) and float(value).is_integer()
    )
    # Results files hold whole numbers of 64 bits.
    return int(value) if whole and abs(int(value)) < 2**63 else str(value)


def _multiple(grouping: Grouping, frame: pd.DataFrame, positions: np.ndarray) -> Units:
    columns = [frame[name] for name in grouping.members]
    kinds = {pd.api.types.is_numeric_dtype(column.dtype) for column in columns}
    notes: tuple[str, ...] = ()
    if len(kinds) > 1:
        raise TableError(
            f"The member columns {listed(grouping.members)} of {quoted(grouping.name)} mix numbers "
            "and text, so a unit cannot be recognised across them. Convert them to one type."
        )
    slots = [
        [None if pd.isna(value) else unit_label(value) for value in column.astype(object)]
        for column in columns
    ]
    absent = None if grouping.absent is None else str(unit_label(grouping.absent))
    used = np.array(
        [[value is not None and str(value) != absent for value in slot] for slot in slots]
    ).T
    if absent is None and grouping.weights == "whole" and has_member_terms(grouping):
        _check_roles(grouping, used, positions)
    weights = _weights(grouping, frame, used, positions)
    used &= weights > 0
    labels = sorted_levels(
        list(
            {
                value: None
                for number, slot in enumerate(slots)
                for value, holds in zip(slot, used[:, number], strict=True)
                if holds
            }
        )
    )
    code = {label: number for number, label in enumerate(labels)}
    index = np.array(
        [
            [code[value] if holds else 0 for value, holds in zip(slot, used[:, s], strict=True)]
            for s, slot in enumerate(slots)
        ],
        dtype=int,
    ).T
    _check_repeats(grouping, labels, index, used, positions)
    return Units(tuple(labels), index, weights, notes)


def _check_roles(grouping: Grouping, used: np.ndarray, positions: np.ndarray) -> None:
    """Raise where a member with an effect of its own role is not there: the effect would be 0."""
    for number, column in enumerate(grouping.members):
        if not used[:, number].all():
            raise TableError(
                f"The member {quoted(column)} of {quoted(grouping.name)} has no label in row "
                f"{row_list(~used[:, number], positions)}. Every row needs one: fill it in, or "
                f"leave these rows out with table.dropna(subset=[{column!r}])."
            )


def _weights(
    grouping: Grouping, frame: pd.DataFrame, used: np.ndarray, positions: np.ndarray
) -> np.ndarray:
    name = quoted(grouping.name)
    empty = ~used.any(axis=1)
    if empty.any():
        raise TableError(
            f"The grouping {name} has no unit in row {row_list(empty, positions)}: every slot is "
            "unused. Give at least one label, or leave these rows out."
        )
    if grouping.weights == "equal":
        return used / used.sum(axis=1, keepdims=True)
    if grouping.weights == "whole":
        return used.astype(float)
    columns = [numeric_column(frame, column, "The weight") for column in grouping.weights]
    weights = np.column_stack(columns)
    missing = np.isnan(weights)
    for number, column in enumerate(grouping.weights):
        unknown = missing[:, number] & used[:, number]
        if unknown.any():
            raise TableError(
                f"The weight {quoted(column)} of {name} is missing in row "
                f"{row_list(unknown, positions)}. Fill it in, or leave these rows out."
            )
        negative = weights[:, number] < 0
        if negative.any():
            raise TableError(
                f"The weight {quoted(column)} of {name} is negative in row "
                f"{row_list(negative, positions)}. Weights are shares: 0 or more."
            )
        lost = ~used[:, number] & (np.nan_to_num(weights[:, number]) > 0)
        if lost.any():
            raise TableError(
                f"The weight {quoted(column)} of {name} is above 0 in row "
                f"{row_list(lost, positions)}, where {quoted(grouping.members[number])} names no "
                "unit. Give the unit, or set the weight to 0."
            )
    weights = np.where(used, np.nan_to_num(weights), 0.0)
    total = weights.sum(axis=1)
    nothing = total <= 0
    if nothing.any():
        raise TableError(
            f"The weights of {name} are all zero in row {row_list(nothing, positions)}. "
            "At least one must be positive."
        )
    if grouping.normalise:
        return weights / total[:, None]
    wrong = np.abs(total - 1) > 0.01
    # Weights whose squares add up to 1 give every row the variance of a whole membership, as in
    # twins, who share a part of their genes.
    if wrong.any() and np.allclose((weights**2).sum(axis=1), 1.0, rtol=0, atol=1e-6):
        return weights
    if wrong.any():
        raise TableError(
            f"The weights of {name} sum to {total[wrong][0]:.4g}, not 1, in row "
            f"{row_list(wrong, positions)}. Correct them, or divide by the sum with "
            "normalise=True."
        )
    return weights


def _check_repeats(
    grouping: Grouping,
    labels: list[Any],
    index: np.ndarray,
    used: np.ndarray,
    positions: np.ndarray,
) -> None:
    slots = index.shape[1]
    # An unused slot gets a number of its own so that it never equals another slot.
    coded = np.where(used, index, -1 - np.arange(slots))
    ordered = np.sort(coded, axis=1)
    twice = (np.diff(ordered, axis=1) == 0).any(axis=1)
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        repeated = ordered[row][1:][np.diff(ordered[row]) == 0][0]
        raise TableError(
            f"The grouping {quoted(grouping.name)} names the unit {quoted(labels[repeated])} twice "
            f"in row {row_list(twice, positions)}. Join the two slots and add their weights."
        )


def check_rows_per_unit(grouping: Grouping, units: Units, allowed: bool, reason: str) -> None:
    """Raise where every unit has one row and the family cannot tell it from the level-1 variance.

    Raises
    ------
    SpecError
        One row a unit, and `allowed` is False.
    """
    if not allowed and units.weights is None and units.rows_per_unit.max() == 1:
        raise SpecError(
            f"The grouping {quoted(grouping.name)} has one row a unit, so its variance is not "
            f"identified: {reason}. Leave it out, or name the column of the larger units."
        )
