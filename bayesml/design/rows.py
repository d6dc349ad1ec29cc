"""Which rows of the table take part, and how they are named in messages."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesml.errors import TableError, listed, quoted


@dataclass(frozen=True)
class RowsUsed:
    """The rows that take part, and what was left out.

    Parameters
    ----------
    frame : DataFrame
        The rows that take part, index reset.
    positions : array of int, shape (rows used,)
        Their positions in the table, counted from 0.
    rows_in_table : int
        Rows of the table.
    missing : mapping of str to int
        Number of missing values by column, only columns that have some.
    outcomes : int
        Number of outcomes. Several are stacked: row `i` and outcome `k` of the table have the
        position ``i * outcomes + k``, and there are `outcomes` times as many rows in the table.
    counts : str
        What was left out of stacked outcomes, in words.
    """

    frame: pd.DataFrame
    positions: np.ndarray
    rows_in_table: int
    missing: Mapping[str, int]
    outcomes: int = 1
    counts: str = ""

    @property
    def table_rows(self) -> np.ndarray:
        """Positions in the user's table, for messages; a row appears once for each outcome."""
        return self.positions // self.outcomes

    @property
    def note(self) -> str:
        """What was left out in one sentence; empty where nothing was."""
        if self.outcomes > 1 or not self.missing:
            return self.counts
        dropped = self.rows_in_table - len(self.frame)
        counts = ", ".join(f"{name}: {count}" for name, count in self.missing.items())
        return (
            f"{dropped} of {self.rows_in_table} rows were left out because of missing values "
            f"({counts})."
        )


def row_list(mask: np.ndarray, positions: np.ndarray | None = None) -> str:
    """Return the rows where the mask holds, counted from 1, at most five, with their count.

    A row of the table that stands here once for each of its outcomes is named once.
    """
    where = np.flatnonzero(mask)
    if positions is not None:
        where = np.unique(positions[where])
    return listed(int(position) + 1 for position in where)


def rows_used(frame: pd.DataFrame, columns: Iterable[str]) -> RowsUsed:
    """Return the rows without missing values in these columns.

    Parameters
    ----------
    frame : DataFrame
    columns : iterable of str
        Columns that the model needs in every row.

    Returns
    -------
    RowsUsed

    Raises
    ------
    TableError
        No row is left.
    """
    names = list(dict.fromkeys(columns))
    keep = np.ones(len(frame), dtype=bool)
    missing: dict[str, int] = {}
    for name in names:
        column = frame[name]
        absent = column.isna().to_numpy(dtype=bool)
        if absent.any():
            missing[name] = int(absent.sum())
            keep &= ~absent
    if not keep.any():
        raise TableError(
            f"No row is left: every row misses a value in one of {listed(names, 8)} "
            f"(missing values by column: {missing}). Leave out the column that is never observed."
        )
    used = frame.loc[keep].reset_index(drop=True)
    return RowsUsed(used, np.flatnonzero(keep), len(frame), missing)


def numeric_column(
    frame: pd.DataFrame, name: str, role: str, positions: Sequence[int] | np.ndarray | None = None
) -> np.ndarray:
    """Return a column as floats.

    Raises
    ------
    TableError
        The column is not numeric.
    """
    column = frame[name]
    if pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_numeric_dtype(column.dtype):
        if pd.api.types.is_complex_dtype(column.dtype):
            raise TableError(f"{role} {quoted(name)} holds complex numbers. Use real numbers.")
        return column.to_numpy(dtype=float, na_value=np.nan).copy()
    values = listed([str(value) for value in column.dropna().head(3)], most=3)
    raise TableError(
        f"{role} {quoted(name)} holds {column.dtype} values ({values}), not numbers. "
        "Convert it: pandas.to_numeric(table[...])."
    )
