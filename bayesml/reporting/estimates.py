"""Labelled numbers of a fit as tables whose digits say no more than the draws know."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesml.reporting.tables import after_the_point, decimals_for, number_text, text_table

_SIZES = ("ess_bulk", "ess_tail")
_HEADINGS = {"sd": "SD", "ess_bulk": "ESS", "ess_tail": "tail ESS", "r_hat": "R-hat", "": ""}
BRIEF = ("mean", "sd", "lower", "upper", "ess_bulk", "r_hat")
FIGURE_SPACE, POINT_SPACE = "\u2007", "\u2008"


@dataclass(frozen=True)
class FormattedTable:
    """A table of text cells: first columns of words, then columns of numbers.

    Parameters
    ----------
    header : tuple of str
    rows : tuple of tuple of str
    labels : int
        How many columns hold words.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    labels: int

    @property
    def text(self) -> str:
        """The table as aligned text."""
        return text_table(self.header, self.rows, self.labels)

    @property
    def typeset(self) -> tuple[tuple[str, ...], ...]:
        """The rows for print: true minus signs, and blanks in place of digits that are missing."""
        columns = [
            column if place < self.labels else _typeset(column)
            for place, column in enumerate(zip(*self.rows, strict=True))
        ]
        return tuple(zip(*columns, strict=True))


def _typeset(column: Sequence[str]) -> list[str]:
    tails = [after_the_point(cell) for cell in column]
    longest = max(tails, default=0)
    cells = []
    for cell, tail in zip(column, tails, strict=True):
        missing = longest - tail
        blanks = (
            POINT_SPACE + FIGURE_SPACE * (missing - 1)
            if missing > 0 and not tail
            else (FIGURE_SPACE * missing)
        )
        cells.append(cell.replace("-", "−") + (blanks if cell else ""))
    return cells


def estimate_table(
    frame: pd.DataFrame, prob: float, columns: Sequence[str] = BRIEF
) -> FormattedTable:
    """Return posterior summaries as text: two significant digits of each row's uncertainty.

    Parameters
    ----------
    frame : DataFrame
        What `summary`, `variance_components` or `vpc` return: columns of words, and of `columns`.
    prob : float
        Probability of the interval from `lower` to `upper`, which names these columns.
    columns : sequence of str
        The columns of numbers to show, in this order; those that `frame` lacks are left out.

    Examples
    --------
    >>> frame = pd.DataFrame({"mean": [0.5601], "sd": [0.0123]}, index=pd.Index(["b"], name="x"))
    >>> print(estimate_table(frame, 0.89).text)
    x   mean     SD
    b  0.560  0.012
    """
    labelled = frame.reset_index() if frame.index.name is not None else frame
    words = [name for name in labelled if not pd.api.types.is_numeric_dtype(labelled[name])]
    words = [name for name in words if labelled[name].astype(str).str.len().any()]
    numbers = [name for name in columns if name in labelled]
    rows = []
    for _, row in labelled.iterrows():
        decimals = decimals_for(_spread(row))
        cells = [_cell(float(row[name]), name, decimals) for name in numbers]
        rows.append((*(str(row[str(name)]) for name in words), *cells))
    headings = _HEADINGS | {
        "lower": f"{50 * (1 - prob):.6g} %",
        "upper": f"{50 * (1 + prob):.6g} %",
    }
    header = [headings.get(str(name), str(name).replace("_", " ")) for name in [*words, *numbers]]
    return FormattedTable(tuple(header), tuple(rows), len(words))


def _spread(row: pd.Series) -> float:
    """Return the posterior SD of a row, or what the interval makes of it."""
    if "sd" in row.index:
        return float(row["sd"])
    if "lower" in row.index and "upper" in row.index:
        return (float(row["upper"]) - float(row["lower"])) / 4
    return float("nan")


def _cell(value: float, name: str, decimals: int) -> str:
    if name in _SIZES:
        return number_text(np.floor(value), 0)
    return number_text(value, 3 if name == "r_hat" else decimals)


def component_table(
    frame: pd.DataFrame, prob: float, columns: Sequence[str] = BRIEF
) -> FormattedTable:
    """Return variance components with the grouping and the component in words.

    Parameters
    ----------
    frame : DataFrame
        What `variance_components` returns.
    prob : float
        Probability of the interval.
    columns : sequence of str
        The columns of numbers to show.
    """
    named = pd.DataFrame(
        {
            "grouping": frame["grouping"].astype(str),
            "component": [
                _component(*labels)
                for labels in zip(frame["parameter"], frame["term"], frame["term2"], strict=True)
            ],
        },
        dtype=object,
    )
    numbers = frame[[name for name in columns if name in frame]]
    return estimate_table(pd.concat([named, numbers], axis=1), prob, columns)


def _component(parameter: str, first: str, second: str) -> str:
    if parameter == "corr":
        return f"correlation of {first} and {second}"
    return f"SD of {first}" if first else "SD"
