"""Kinds of units: the levels of a column that is constant within every unit of a grouping."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesml.design.matrices import column_levels
from bayesml.design.rows import row_list
from bayesml.design.units import Units, unit_label
from bayesml.errors import TableError, listed, quoted
from bayesml.specs.groupings import Grouping

FEWEST_UNITS_OF_A_KIND = 5


@dataclass(frozen=True)
class UnitKinds:
    """Of which kind each unit of a grouping is.

    Parameters
    ----------
    column : str
        The column that says so.
    labels : tuple of str
        The kinds.
    of_unit : array of int, shape (units,)
        Number of each unit's kind.
    """

    column: str
    labels: tuple[str, ...]
    of_unit: np.ndarray


def find_kinds(
    grouping: Grouping, units: Units, frame: pd.DataFrame, positions: np.ndarray
) -> UnitKinds | None:
    """Return the kinds of a grouping's units, None where all have the same SDs.

    Parameters
    ----------
    grouping : Grouping
    units : Units
    frame : DataFrame
        The rows used.
    positions : array of int
        Their positions in the user's table, for messages.

    Raises
    ------
    TableError
        A kind is missing, differs between rows of one unit, or there is one kind only.
    """
    if grouping.by is None:
        return None
    column, name = frame[grouping.by], quoted(grouping.name)
    missing = column.isna().to_numpy(dtype=bool)
    if missing.any():
        raise TableError(
            f"The column {quoted(grouping.by)}, which says of which kind each unit of {name} is, "
            f"is missing in row {row_list(missing, positions)}. Fill it in, or leave these rows "
            f"out with table.dropna(subset=[{grouping.by!r}])."
        )
    levels = column_levels(column)
    code = pd.Index(levels, dtype=object).get_indexer(pd.Index(column.astype(object))).astype(int)
    of_unit = np.zeros(len(units.labels), dtype=np.int64)
    of_unit[units.index] = code
    differing = np.unique(units.index[of_unit[units.index] != code])
    if len(differing):
        strange = [units.labels[number] for number in differing]
        raise TableError(
            f"by={quoted(grouping.by)} says of which kind each unit of {name} is, but "
            f"{len(strange)} of {len(units.labels)} units have rows of several kinds: "
            f"{listed(strange)}. Correct these rows, or name a column that is constant within "
            "every unit."
        )
    labels = tuple(str(unit_label(level)) for level in levels)
    if len(labels) < 2:
        raise TableError(
            f"by={quoted(grouping.by)} of {name} has one level only, {listed(labels)}, so there "
            "are no kinds of units to tell apart. Leave by out."
        )
    return UnitKinds(grouping.by, labels, of_unit)


def few_units_of_a_kind(name: str, kinds: UnitKinds | None) -> list[str]:
    """Return a note where a kind has so few units that its prior matters most."""
    if kinds is None:
        return []
    counts = np.bincount(kinds.of_unit, minlength=len(kinds.labels))
    return [
        f"Only {count} of the units of {quoted(name)} have {kinds.column} {quoted(label)}: their "
        "SDs are learnt mostly from the prior. See model.priors for what the prior implies, and "
        f"set another with priors={{'sd_{name}[{label}:Intercept]': 'HalfNormal(...)'}}."
        for label, count in zip(kinds.labels, counts, strict=True)
        if count < FEWEST_UNITS_OF_A_KIND
    ]


def terms_by_kind(terms: np.ndarray, kind: np.ndarray | None, kinds: int) -> np.ndarray:
    """Return Z with a column for each kind of units and term, shape (rows, SDs).

    Parameters
    ----------
    terms : array, shape (rows, terms)
    kind : array of int, shape (rows,), or None
        Number of the kind of each row's unit; None where all units have the same SDs.
    kinds : int
    """
    if kind is None:
        return terms
    own = kind[:, None] == np.arange(kinds)
    return (own[:, :, None] * terms[:, None, :]).reshape(len(terms), -1)
