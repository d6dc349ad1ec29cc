"""Durations as a likelihood takes them: times, codes of censoring, bounds and entries, checked."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesml.design.columns import SMALLEST
from bayesml.design.expressions import evaluate
from bayesml.design.matrices import column_levels, is_categorical
from bayesml.design.rows import numeric_column, row_list
from bayesml.errors import TableError, listed, quoted
from bayesml.specs.censoring import CENSORING, ENDED, ENTRY, INTERVAL, LEFT, RIGHT, UPPER
from bayesml.specs.duration_calls import DurationCall
from bayesml.specs.parsing import unparse
from bayesml.specs.syntax import Node, column_names


@dataclass(frozen=True)
class DurationRows:
    """Durations of rows.

    Parameters
    ----------
    values : array, shape (rows,)
        The duration, the time of censoring, or the lower bound of an interval.
    bounds : mapping of str to array, shape (rows,)
        ``censoring`` codes where some rows are censored, ``upper_bound`` where some are intervals
        (of other rows the value itself), ``entry_time`` where some entered late.
    """

    values: np.ndarray
    bounds: Mapping[str, np.ndarray]


def duration_rows(call: DurationCall, frame: pd.DataFrame, positions: np.ndarray) -> DurationRows:
    """Return the durations that an outcome `surv(...)` says, checked.

    Raises
    ------
    TableError
        A duration is not positive, a status is not 0 or 1, bounds are in the wrong order, a row
        entered after it ended, or no duration ended.
    """
    if call.upper is not None:
        values, code, upper = _intervals(call, frame, positions)
    else:
        values = _numbers(call.time, "The duration", frame)
        _refuse(
            ~(values >= SMALLEST),
            f"The duration {quoted(_text(call.time))} is not above 0",
            values,
            positions,
            "Give times since the start, in a unit in which all are positive.",
        )
        code, upper = _codes(call, frame, positions), values
    entry = _entries(call, values, code, frame, positions)
    if entry is not None and (code == LEFT).any():
        # It had lasted until its entry, and had ended by y: an interval.
        late = (code == LEFT) & (entry > 0)
        upper = np.where(late, values, upper)
        values = np.where(late, entry, values)
        code = np.where(late, INTERVAL, code)
    if not np.isin(code, (ENDED, LEFT, INTERVAL)).any():
        raise TableError(
            f"All {len(code)} durations {quoted(call.label)} are censored: none is known to have "
            f"ended, so nothing says how long they last. Check the status (1 ended, 0 censored)."
        )
    bounds: dict[str, np.ndarray] = {}
    if (code != ENDED).any():
        bounds[CENSORING] = code
    if (code == INTERVAL).any():
        bounds[UPPER] = np.where(code == INTERVAL, upper, values)
    if entry is not None and (entry > 0).any():
        bounds[ENTRY] = entry
    return DurationRows(values, bounds)


def _text(node: Node) -> str:
    return unparse(node, expression=True)


def _numbers(node: Node, what: str, frame: pd.DataFrame) -> np.ndarray:
    columns: dict[str, np.ndarray] = {}
    for name in column_names(node):
        if is_categorical(frame[name]):
            raise TableError(
                f"{what} {quoted(name)} holds labels ({listed(column_levels(frame[name]), 4)}), "
                "not numbers. Make a column of numbers first; a status is 1 where the duration "
                "ended and 0 where it is censored."
            )
        columns[name] = numeric_column(frame, name, what)
    return np.array(np.broadcast_to(evaluate(node, columns), (len(frame),)), dtype=float)


def _refuse(
    bad: np.ndarray, problem: str, values: np.ndarray, positions: np.ndarray, action: str
) -> None:
    if bad.any():
        shown = ", ".join(f"{value:g}" for value in values[bad][:5])
        raise TableError(
            f"{problem} in {int(bad.sum())} of {len(bad)} rows: {shown} in row "
            f"{row_list(bad, positions)}. {action}"
        )


def _codes(call: DurationCall, frame: pd.DataFrame, positions: np.ndarray) -> np.ndarray:
    if call.status is None:
        return np.full(len(frame), ENDED)
    status = _numbers(call.status, "The status", frame)
    _refuse(
        ~np.isin(status, (0, 1)),
        f"The status {quoted(_text(call.status))} is neither 0 nor 1",
        status,
        positions,
        "Give 1 where the duration ended and 0 where it is censored; of a status of 1 and 2 "
        f"subtract 1: surv({_text(call.time)}, {_text(call.status)} - 1).",
    )
    return np.where(status == 1, ENDED, LEFT if call.kind == "left" else RIGHT)


def _intervals(
    call: DurationCall, frame: pd.DataFrame, positions: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return values, codes and upper bounds of durations that lie between two times."""
    assert call.upper is not None
    lower = _numbers(call.time, "The lower bound", frame)
    upper = _numbers(call.upper, "The upper bound", frame)
    names = quoted(call.label)
    _refuse(
        lower < 0,
        f"The lower bound of {names} is negative",
        lower,
        positions,
        "Give 0, or leave it empty, where a duration had ended before its upper bound.",
    )
    # No lower bound is one of 0.
    lower = np.where(np.isnan(lower), 0.0, lower)
    _refuse(
        ~(upper >= SMALLEST) & ~np.isnan(upper),
        f"The upper bound of {names} is not above 0",
        upper,
        positions,
        "Leave it empty where a duration was still going on at its lower bound.",
    )
    _refuse(
        lower > upper,
        f"The lower bound of {names} is above the upper one",
        lower,
        positions,
        "Exchange them, or correct these rows.",
    )
    open_ended = np.isnan(upper)
    _refuse(
        open_ended & (lower < SMALLEST),
        f"The interval {names} reaches from 0 to no end and says nothing",
        lower,
        positions,
        "Leave these rows out.",
    )
    code = np.full(len(lower), INTERVAL)
    code[lower == upper] = ENDED
    code[lower < SMALLEST] = LEFT
    code[open_ended] = RIGHT
    return np.where(code == LEFT, upper, lower), code, upper


def _entries(
    call: DurationCall,
    values: np.ndarray,
    code: np.ndarray,
    frame: pd.DataFrame,
    positions: np.ndarray,
) -> np.ndarray | None:
    if call.entry is None:
        return None
    entry = _numbers(call.entry, "The entry", frame)
    name = quoted(_text(call.entry))
    _refuse(
        ~(entry >= 0),
        f"The entry {name} is negative",
        entry,
        positions,
        "Give the time since the start at which a row came under observation; 0 is the start.",
    )
    _refuse(
        (entry > values) | ((entry == values) & (code != INTERVAL)),
        f"The entry {name} is not before {quoted(call.label)}",
        entry,
        positions,
        "A row that had ended when it came under observation is none: correct it or leave it out.",
    )
    return entry
