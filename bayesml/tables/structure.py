"""The record of what the data are: units per grouping, nesting, crossing."""

import html
from dataclasses import dataclass

import pandas as pd

from bayesml.tables.relations import Relation


@dataclass(frozen=True, slots=True)
class GroupingSummary:
    """The units of one grouping and the rows in each.

    Attributes
    ----------
    name : str
        Column, or for multiple membership the first of its columns.
    n_units : int
        Units that occur.
    rows_min, rows_median, rows_mean, rows_max : float
        Rows per unit. In a multiple membership a row counts once in each unit it belongs to.
    n_single : int
        Units with one row.
    n_missing : int
        Rows without a label.
    members : tuple of str
        The columns of a multiple membership, else empty.
    slots : tuple of int
        Rows that belong to 0, 1, 2, ... units, else empty.
    """

    name: str
    n_units: int
    rows_min: int
    rows_median: float
    rows_mean: float
    rows_max: int
    n_single: int
    n_missing: int
    members: tuple[str, ...] = ()
    slots: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Structure:
    """What the data are, before any model; `describe` makes it.

    Attributes
    ----------
    n_rows : int
        Rows of the table.
    groupings : tuple of GroupingSummary
        One per grouping, in the order asked for.
    relations : tuple of Relation
        One per pair of groupings.
    suggestion : str
        Which builder fits these groupings.
    notes : tuple of str
        What a model of these groupings must heed.
    """

    n_rows: int
    groupings: tuple[GroupingSummary, ...]
    relations: tuple[Relation, ...]
    suggestion: str
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Return one row per grouping: units, rows per unit, units with one row, missing labels.

        Examples
        --------
        >>> from bayesml.tables import describe
        >>> describe({"school": ["a", "a", "b"]}, "school").to_frame()["units"].to_dict()
        {'school': 2}
        """
        return pd.DataFrame(
            {
                "units": [item.n_units for item in self.groupings],
                "rows_min": [item.rows_min for item in self.groupings],
                "rows_median": [item.rows_median for item in self.groupings],
                "rows_mean": [item.rows_mean for item in self.groupings],
                "rows_max": [item.rows_max for item in self.groupings],
                "units_with_one_row": [item.n_single for item in self.groupings],
                "rows_without_label": [item.n_missing for item in self.groupings],
            },
            index=pd.Index([item.name for item in self.groupings], name="grouping"),
        )

    def __str__(self) -> str:
        """Return the structure as aligned text."""
        lines = [f"{self.n_rows:,} rows", "", *_aligned(_HEADER, self._cells())]
        for title, sentences in self._paragraphs():
            lines += ["", title, *(f"  {sentence}" for sentence in sentences)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        """Return the text of `str`, which notebooks and consoles show."""
        return str(self)

    def _repr_html_(self) -> str:
        """Return the structure as an HTML table for notebooks."""
        head = "".join(f"<th>{html.escape(name)}</th>" for name in _HEADER)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self._cells()
        )
        parts = [
            f"<p><b>{title}</b></p><ul>"
            + "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences)
            + "</ul>"
            for title, sentences in self._paragraphs()
        ]
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f"<p>{self.n_rows:,} rows</p>{table}{''.join(parts)}"

    def _cells(self) -> list[list[str]]:
        return [
            [
                item.name,
                f"{item.n_units:,}",
                f"{item.rows_min:,}",
                f"{item.rows_median:,.1f}",
                f"{item.rows_mean:,.1f}",
                f"{item.rows_max:,}",
                f"{item.n_single:,}",
                f"{item.n_missing:,}",
            ]
            for item in self.groupings
        ]

    def _paragraphs(self) -> list[tuple[str, list[str]]]:
        slots = [
            f"{item.name} ({', '.join(item.members)}): "
            + ", ".join(
                f"{rows:,} rows belong to {used} unit{'' if used == 1 else 's'}"
                for used, rows in enumerate(item.slots)
                if rows
            )
            + "."
            for item in self.groupings
            if item.members
        ]
        paragraphs = [
            ("Memberships", slots),
            ("Relations", [str(relation) for relation in self.relations]),
            ("Notes", list(self.notes)),
            ("Suggestion", [self.suggestion]),
        ]
        return [(title, sentences) for title, sentences in paragraphs if sentences]


_HEADER = (
    "grouping",
    "units",
    "rows per unit: min",
    "median",
    "mean",
    "max",
    "units with one row",
    "rows without label",
)


def _aligned(header: tuple[str, ...], rows: list[list[str]]) -> list[str]:
    """Return lines of columns of equal width, the first to the left, numbers to the right."""
    table = [list(header), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
