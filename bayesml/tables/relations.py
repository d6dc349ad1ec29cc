"""How two groupings of the same rows relate: nested, crossed, or the same."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from bayesml.errors import TableError, quoted

type Nesting = Literal["inner in outer", "outer in inner", "crossed", "identical"]
type RelationKind = Literal["nested", "crossed", "implicitly labelled", "identical"]

# Share of outer units in which labels must count 1, 2, 3, ... to look recycled; a little below
# one, because tables lose classes.
RECYCLED_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Codes:
    """Rows as integer references to the units of one grouping; -1 is a missing label."""

    name: str
    refs: np.ndarray
    units: pd.Index

    @property
    def n_units(self) -> int:
        """Return the number of units that occur."""
        return len(self.units)


@dataclass(frozen=True, slots=True)
class Cells:
    """The combinations of two groupings that hold rows."""

    first: np.ndarray
    second: np.ndarray
    n_first: int
    n_second: int
    n_rows: int

    @property
    def nesting(self) -> Nesting:
        """Return how the first grouping (inner) relates to the second (outer)."""
        # A unit of one grouping lies in one unit of the other if it makes one cell only.
        within = len(self.first) == self.n_first
        contains = len(self.first) == self.n_second
        if within and contains:
            return "identical"
        if within:
            return "inner in outer"
        return "outer in inner" if contains else "crossed"


@dataclass(frozen=True, slots=True)
class Relation:
    """How two groupings relate.

    Attributes
    ----------
    inner, outer : str
        Names of the groupings. Where neither lies in the other, `inner` has more units, except
        for implicit labels, where `inner` is the grouping whose labels start again.
    kind : {"nested", "crossed", "implicitly labelled", "identical"}
        `implicitly labelled` are groupings that are crossed as written, but whose inner labels
        count 1, 2, 3, ... within every outer unit.
    cells : int
        Combinations of units that hold rows.
    density : float
        Share of all possible combinations that hold rows, between 0 and 1.
    """

    inner: str
    outer: str
    kind: RelationKind
    cells: int
    density: float

    def __str__(self) -> str:
        """Return the relation as one sentence."""
        if self.kind == "nested":
            return f"{self.inner} is nested in {self.outer}."
        if self.kind == "identical":
            return f"{self.inner} and {self.outer} are the same units under two names."
        filled = f"{self.cells:,} cells hold rows, {100 * self.density:.3g} % of all"
        if self.kind == "crossed":
            return f"{self.inner} and {self.outer} are crossed: {filled}."
        return (
            f"{self.inner} and {self.outer} are crossed (or implicitly labelled): {filled}, and "
            f"the labels of {self.inner} start again in every unit of {self.outer}."
        )


def codes_of(column: pd.Series, name: str | None = None) -> Codes:
    """Return the rows of `column` as references to its units.

    Raises
    ------
    TableError
        If a cell holds a list or another value that cannot be a label.
    """
    name = str(column.name) if name is None else name
    try:
        refs, units = pd.factorize(column)
    except TypeError:
        raise TableError(
            f"Column {quoted(name)} holds values that cannot be labels, such as "
            f"{quoted(str(column.dropna().iloc[0]))}. Use a column of numbers or text."
        ) from None
    return Codes(name, refs, pd.Index(units))


def cells_of(first: Codes, second: Codes) -> Cells:
    """Return the combinations of two groupings that hold rows, each once.

    Rows without a label in either grouping do not count.

    Raises
    ------
    TableError
        If no row has a label in both groupings.
    """
    both = (first.refs >= 0) & (second.refs >= 0)
    if not both.any():
        raise TableError(
            f"No row has a label in both {quoted(first.name)} and {quoted(second.name)}: their "
            "relation is undefined. Check the missing values of these columns."
        )
    keys = first.refs[both].astype(np.int64) * second.n_units + second.refs[both]
    unique = pd.unique(keys)
    inner, outer = np.divmod(unique, second.n_units)
    return Cells(
        inner, outer, len(pd.unique(inner)), len(pd.unique(outer)), int(np.count_nonzero(both))
    )


def nesting(inner: pd.Series, outer: pd.Series) -> Nesting:
    """Say whether the units of one grouping lie within the units of another.

    Parameters
    ----------
    inner, outer : Series, one label per row
        Two groupings of the same rows, in the same order; rows with a missing label in either do
        not count.

    Returns
    -------
    {"inner in outer", "outer in inner", "crossed", "identical"}
        `identical` where every unit of each grouping lies in one unit of the other.

    Raises
    ------
    TableError
        If the two have different lengths, or no row has both labels.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayesml.tables import nesting
    >>> nesting(pd.Series(["a", "b", "c"]), pd.Series(["x", "x", "y"]))
    'inner in outer'
    """
    if len(inner) != len(outer):
        raise TableError(
            f"The groupings have {len(inner)} and {len(outer)} rows. Pass two columns of one table."
        )
    return cells_of(codes_of(inner, "inner"), codes_of(outer, "outer")).nesting


def relation(first: Codes, second: Codes) -> Relation:
    """Return how two groupings relate, with the share of filled cells.

    Raises
    ------
    TableError
        If no row has a label in both groupings.
    """
    cells = cells_of(first, second)
    n_cells = len(cells.first)
    density = n_cells / (cells.n_first * cells.n_second)
    kind = cells.nesting
    if kind == "identical":
        return Relation(first.name, second.name, "identical", n_cells, density)
    if kind == "inner in outer":
        return Relation(first.name, second.name, "nested", n_cells, density)
    if kind == "outer in inner":
        return Relation(second.name, first.name, "nested", n_cells, density)
    fewer, more = sorted((first, second), key=lambda codes: codes.n_units)
    # With one row per cell, labels that start again are occasions or items, not hidden units.
    if cells.n_rows >= 2 * n_cells:
        if _recycled(fewer, more):
            return Relation(fewer.name, more.name, "implicitly labelled", n_cells, density)
        # Schools 1, 2, 3, ... all seen for both sexes do not start again: they are just all there.
        if density < 1 and _recycled(more, fewer):
            return Relation(more.name, fewer.name, "implicitly labelled", n_cells, density)
    return Relation(more.name, fewer.name, "crossed", n_cells, density)


def _recycled(inner: Codes, outer: Codes) -> bool:
    """Say whether the labels of `inner` count 1, 2, 3, ... within nearly every outer unit."""
    numbers = _numbering(inner.units)
    if numbers is None:
        return False
    cells = cells_of(inner, outer)
    count = np.bincount(cells.second, minlength=outer.n_units)
    highest = np.full(outer.n_units, -1)
    np.maximum.at(highest, cells.second, numbers[cells.first])
    present = count > 0
    contiguous = highest[present] + 1 == count[present]
    return len(cells.first) >= 2 * cells.n_first and float(contiguous.mean()) >= RECYCLED_SHARE


def _numbering(units: pd.Index) -> np.ndarray | None:
    """Return labels such as 1, "2", "class 3" or "D" counted from 0, else None."""
    spelt = pd.Series(units.astype("str")).str.strip().str.removesuffix(".0")
    if spelt.str.fullmatch(r"[A-Za-z]").all():
        numbers = spelt.str.upper().map(ord).to_numpy(dtype=np.int64) - ord("A")
    else:
        # More than six digits are an identifier, not a count.
        parts = spelt.str.extract(r"^(\D*)(\d{1,6})$")
        if parts[1].isna().any() or parts[0].nunique() > 1:
            return None
        numbers = parts[1].to_numpy(dtype=np.int64)
    start = int(numbers.min())
    return numbers - start if start in (0, 1) else None
