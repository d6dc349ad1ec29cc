"""Residuals that are correlated within a unit, on a table: units, order, gaps and occasions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesml.design.joint_occasions import note_of_pairs
from bayesml.design.matrices import column_levels
from bayesml.design.rows import numeric_column, row_list
from bayesml.design.units import Units, row_units, unit_label
from bayesml.errors import SpecError, TableError, listed, quoted
from bayesml.specs.groupings import Grouping
from bayesml.specs.outcome_terms import ROW
from bayesml.specs.residual_correlations import RESIDUAL_CORRELATIONS
from bayesml.specs.residual_structures import SATURATED, Residual

# With more occasions than this a correlation for each pair is more than tables tell.
MOST_OCCASIONS = 12
# phi is the correlation at a distance of 1: beyond these gaps it would lose its digits.
_GAPS = (0.01, 1e9)
# Relative difference below which two values of a term are the same.
_SAME = 1e-9
# Names of arrays, dims and variables that the generated source has besides those of other models.
RESIDUAL_NAMES = (
    *("previous", "follows", "gap", "median_gap", "phi_at_gap", "carry", "before", "order"),
    *("place", "start", "earlier", "running", "total", "inflation", "seen", "pattern", "at"),
    *("weights", "spread", "occasion", "occasion_bis", "occasion_number", "chol_residual"),
    *("given_earlier", "factor", "covariance", "both", "inverse", "sd"),
    *("corr_residual_lower", "corr_residual_upper", "corr_residual_location"),
    *("corr_residual_scale", "corr_residual_alpha", "corr_residual_beta"),
)


@dataclass(frozen=True)
class ResidualRows:
    """The rows as a residual structure sees them.

    Parameters
    ----------
    residual : Residual
    units : Units
        Units of the residuals.
    place : array, shape (rows,)
        Where each row stands within its unit: its position, its time, or its occasion's number.
    occasions : tuple
        Labels of the occasions, where each has its own SD.
    notes : tuple of str
        What the reader must know.
    gap : float or None
        The median gap of the table that these rows were taken from; None: their own.
    """

    residual: Residual
    units: Units
    place: np.ndarray
    occasions: tuple[str | int, ...] = ()
    notes: tuple[str, ...] = ()
    gap: float | None = None

    @property
    def order(self) -> np.ndarray:
        """The rows sorted by unit, and by place within it; shape (rows,)."""
        return np.lexsort((self.place, self.units.index))

    def unit_keys(self, frame: pd.DataFrame) -> list[str]:
        """Return the text by which each unit is known again in other rows."""
        _, first = np.unique(self.units.index, return_index=True)
        return residual_unit_keys(self.residual, frame.iloc[first])

    @property
    def largest(self) -> int:
        """Number of rows of the largest unit."""
        return int(self.units.rows_per_unit.max())

    @property
    def median_gap(self) -> float:
        """Median distance between neighbouring rows of a unit."""
        if self.gap is not None:
            return self.gap
        _, follows, gap = neighbours(self)
        return float(np.median(gap[follows]))


def residual_rows(
    residual: Residual,
    frame: pd.DataFrame,
    positions: np.ndarray,
    *,
    rows_dropped: bool = False,
) -> ResidualRows:
    """Return the rows as a residual structure sees them, every value checked.

    Parameters
    ----------
    residual : Residual
    frame : DataFrame
        The rows used.
    positions : array of int
        Their positions in the user's table, for messages.
    rows_dropped : bool
        Whether other rows were left out because of missing values.

    Returns
    -------
    ResidualRows

    Raises
    ------
    TableError
        A unit has no label, an occasion is repeated or cannot be used, or every unit has one row.
    """
    record = RESIDUAL_CORRELATIONS[residual.structure]
    units = row_units(Grouping(":".join(residual.unit), columns=residual.unit), frame, positions)
    shown = listed(residual.unit)
    if units.rows_per_unit.max() < 2 and residual.unit == (ROW,):
        raise TableError(
            "No row has two of the outcomes, so there is no correlation of their residuals to "
            "learn. Use residual_correlation=False; effects that vary over units stay correlated."
        )
    if units.rows_per_unit.max() < 2:
        raise TableError(
            f"Every unit of {shown} has one row, so residual={quoted(residual.text)} has no "
            "correlation to learn. Leave residual out, or name the column of larger units."
        )
    notes: list[str] = []
    occasions: tuple[str | int, ...] = ()
    if residual.time is None:
        place = _positions_in_unit(units.index)
        if rows_dropped and residual.structure == "ar1":
            notes.append(
                f"residual={quoted(residual.text)} takes the order of the rows, and rows on both "
                "sides of one that was left out count as neighbours. Name a column of occasions, "
                f"ar1(occasion, {', '.join(residual.unit)}), to keep the gap."
            )
    elif record.by_occasion:
        levels = column_levels(frame[residual.time])
        occasions = tuple(unit_label(value) for value in levels)
        codes = pd.Index(levels, dtype=object).get_indexer(
            pd.Index(frame[residual.time].astype(object))
        )
        place = codes.astype(float)
        _check_occasions(residual, occasions)
        notes.append(note_of_pairs(residual, units.index, codes, occasions))
    else:
        place = numeric_column(frame, residual.time, "The time")
        _check_times(residual, place, positions)
    if residual.time is not None:
        _check_repeated(residual, units, place, positions)
        if residual.structure != "unstructured" and _disordered(units.index, place):
            notes.append(
                f"The rows of a unit of {shown} are not in the order of {quoted(residual.time)}; "
                "the residuals were taken in that order."
            )
    rows = ResidualRows(residual, units, place, occasions, tuple(note for note in notes if note))
    if residual.structure == "continuous_ar":
        _check_scale_of_time(rows)
    return rows


def residual_unit_keys(residual: Residual, frame: pd.DataFrame) -> list[str]:
    """Return the text of each row's unit, of several columns joined by slashes.

    Raises
    ------
    TableError
        A label is missing.
    """
    for name in residual.unit:
        missing = frame[name].isna().to_numpy(dtype=bool)
        if missing.any():
            raise TableError(
                f"The unit of the residuals has no label in column {quoted(name)}, row "
                f"{row_list(missing)}. Fill it in, or leave these rows out."
            )
    columns = [frame[name].astype(object) for name in residual.unit]
    return [
        "/".join(str(unit_label(value)).replace("/", "\\/") for value in key)
        for key in zip(*columns, strict=True)
    ]


def _positions_in_unit(index: np.ndarray) -> np.ndarray:
    order = np.argsort(index, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(index))[:-1]])
    place = np.empty(len(index))
    place[order] = np.arange(len(index)) - starts[index[order]]
    return place


def _check_occasions(residual: Residual, occasions: Sequence[object]) -> None:
    if not 2 <= len(occasions) <= MOST_OCCASIONS:
        raise TableError(
            f"residual={quoted(residual.text)} has an SD for every occasion and a correlation for "
            f"every pair, and {quoted(str(residual.time))} has {len(occasions)} distinct values: "
            f"{listed(occasions)}. It takes 2 to {MOST_OCCASIONS}. Use continuous_ar, or a column "
            "with few occasions that units share."
        )


def _check_times(residual: Residual, place: np.ndarray, positions: np.ndarray) -> None:
    if residual.structure == "ar1":
        bad = place != np.round(place)
        if bad.any():
            unit = ", ".join(residual.unit)
            raise TableError(
                f"residual={quoted(residual.text)} counts occasions, and "
                f"{quoted(str(residual.time))} is not a whole number in row "
                f"{row_list(bad, positions)} ({place[bad][0]:g}). Use "
                f"continuous_ar({residual.time}, {unit}), or ar1({unit}) for the order of the "
                "rows."
            )


def _check_repeated(
    residual: Residual, units: Units, place: np.ndarray, positions: np.ndarray
) -> None:
    repeated = pd.DataFrame({"unit": units.index, "place": place}).duplicated(keep=False)
    mask = repeated.to_numpy()
    if mask.any():
        unit = units.labels[units.index[np.flatnonzero(mask)[0]]]
        raise TableError(
            f"Rows {row_list(mask, positions)} repeat an occasion: the same {quoted(str(unit))} of "
            f"{listed(residual.unit)} has two rows of one {quoted(str(residual.time))}, and "
            f"residual={quoted(residual.text)} takes one. Correct the column, or average the rows."
        )


def _disordered(index: np.ndarray, place: np.ndarray) -> bool:
    order = np.argsort(index, kind="stable")
    same = np.diff(index[order]) == 0
    return bool((np.diff(place[order])[same] < 0).any())


def _check_scale_of_time(rows: ResidualRows) -> None:
    gap = rows.median_gap
    low, high = _GAPS
    if not low <= gap <= high:
        raise TableError(
            f"Neighbouring rows of a unit are {gap:.3g} apart in {quoted(str(rows.residual.time))} "
            "(median), and phi, the correlation at a distance of 1, would lose its digits. Put the "
            f"time into other units, so that neighbours are {low:g} to {high:g} apart."
        )


def check_identified(
    rows: ResidualRows, parts: Sequence[tuple[Grouping, Units, Sequence[str], np.ndarray]]
) -> None:
    """Raise where a grouping of the residuals' own units explains what the residuals explain.

    Parameters
    ----------
    rows : ResidualRows
    parts : sequence of (Grouping, Units, labels of the terms, Z)

    Raises
    ------
    SpecError
    """
    residual = rows.residual
    for grouping, units, labels, terms in parts:
        if units.weights is not None or not _same_partition(units.index, rows.units.index):
            continue
        name = quoted(grouping.name)
        if residual.structure in SATURATED and "Intercept" in labels:
            why = (
                "an intercept that varies over the unit adds the same covariance to every pair of "
                "its rows, which the residual correlation does already"
            )
            raise SpecError(
                f"residual={quoted(residual.text)} and the varying intercept of {name} are not "
                f"identified together: {why}. Leave one of the two out."
            )
        if rows.occasions:
            fixed = [
                label
                for label, column in zip(labels, terms.T, strict=True)
                if _by_occasion(column, rows.place)
            ]
            if fixed:
                raise SpecError(
                    f"residual={quoted(residual.text)} and the varying term {listed(fixed)} of "
                    f"{name} are not identified together: the term is the same for all units at an "
                    "occasion, and the residuals have any covariance over occasions already. "
                    "Leave one of the two out."
                )
        if residual.structure in SATURATED or "Intercept" not in labels:
            continue
        _, follows, gap = neighbours(rows)
        if rows.largest == 2 and np.ptp(gap[follows]) == 0:
            raise SpecError(
                f"residual={quoted(residual.text)} and the varying intercept of {name} are not "
                "identified together: no unit has more than two rows, and one pair cannot tell an "
                "intercept that the unit's rows share from residuals that are correlated. Leave "
                "one of the two out."
            )


def _same_partition(first: np.ndarray, second: np.ndarray) -> bool:
    pairs = len(np.unique(np.column_stack([first, second]), axis=0))
    return pairs == len(np.unique(first)) == len(np.unique(second))


def _by_occasion(column: np.ndarray, place: np.ndarray) -> bool:
    spread = pd.Series(column).groupby(place).agg(np.ptp)
    return bool((spread <= _SAME * max(1.0, np.abs(column).max())).all())


# Arrays that the generated source reads


def residual_data(rows: ResidualRows) -> dict[str, np.ndarray]:
    """Return the arrays that the statements of a residual structure read."""
    return _DATA[rows.residual.structure](rows)


def neighbours(rows: ResidualRows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the row before each row in its unit, whether there is one, and how far back it is.

    Returns
    -------
    previous : array of int, shape (rows,)
        The row itself where there is none before it.
    follows : array of bool, shape (rows,)
    gap : array, shape (rows,)
        1 where there is none.
    """
    order = rows.order
    index, place = rows.units.index[order], rows.place[order]
    previous, gap = np.arange(len(order)), np.ones(len(order))
    follows = np.zeros(len(order), dtype=bool)
    later = np.flatnonzero(np.diff(index) == 0) + 1
    previous[order[later]] = order[later - 1]
    gap[order[later]] = place[later] - place[later - 1]
    follows[order[later]] = True
    return previous, follows, gap


def _autoregressive(rows: ResidualRows) -> dict[str, np.ndarray]:
    previous, follows, gap = neighbours(rows)
    found = {"previous": previous, "follows": follows.astype(float)}
    if rows.residual.structure == "continuous_ar":
        middle = rows.median_gap
        return found | {"gap": gap / middle, "median_gap": np.asarray(middle)}
    return found if rows.residual.time is None else found | {"gap": gap.astype(np.int64)}


def _compound_symmetric(rows: ResidualRows) -> dict[str, np.ndarray]:
    order = rows.order
    index = rows.units.index[order]
    starts = np.searchsorted(index, index)
    place, start = np.empty(len(order), dtype=np.int64), np.empty(len(order), dtype=np.int64)
    place[order], start[order] = np.arange(len(order)), starts
    return {"order": order, "place": place, "start": start, "earlier": (place - start) * 1.0}


def _unstructured(rows: ResidualRows) -> dict[str, np.ndarray]:
    number = rows.place.astype(np.int64)
    units, occasions = len(rows.units.labels), len(rows.occasions)
    row_at = np.full((units, occasions), -1)
    row_at[rows.units.index, number] = np.arange(len(number))
    seen, pattern = np.unique(row_at >= 0, axis=0, return_inverse=True)
    # An occasion without a row points to the row itself, and has a weight of 0.
    earlier = row_at[rows.units.index]
    own = np.broadcast_to(np.arange(len(number))[:, None], earlier.shape)
    return {
        "occasion_number": number,
        "seen": seen.astype(float),
        "pattern": pattern.reshape(-1)[rows.units.index].astype(np.int64),
        "earlier": np.where(earlier < 0, own, earlier).astype(np.int64),
    }


_DATA: Mapping[str, Callable[[ResidualRows], dict[str, np.ndarray]]] = {
    "ar1": _autoregressive,
    "continuous_ar": _autoregressive,
    "compound_symmetric": _compound_symmetric,
    "unstructured": _unstructured,
}
