"""From one row a person to one row a person and period: for piecewise and discrete hazards."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from bayesml.errors import TableError, listed, quoted
from bayesml.tables.checks import require_table

PERSON, PERIOD, START, STOP, EXPOSURE = "person", "period", "start", "stop", "exposure"
_ADDED = (PERSON, PERIOD, START, STOP, EXPOSURE)
# Times beyond it are an error of unit rather than that many periods.
_MOST_PERIODS = 1000


def person_period(
    table: object,
    time: str,
    event: str | None = None,
    entry: str | None = None,
    cuts: Sequence[float] | None = None,
) -> pd.DataFrame:
    """Return a table with one row for each period in which a person was under observation.

    With `cuts` it serves a piecewise exponential model, whose hazard is constant between two cuts:
    a Poisson model of `event` with ``exposure="exposure"`` and ``0 + C(period)``, the log hazard
    of each period, among the predictors. With many cuts this comes near a Cox model. Without
    `cuts` time is discrete: a binomial model of `event` with the link "cloglog" (proportional
    hazards) or "logit" (proportional odds). `survival` then gives survival curves.

    Parameters
    ----------
    table : DataFrame or mapping of str to columns
        One row a person, or a spell.
    time : str
        Column of the durations; without `cuts` whole numbers 1, 2, ..., the period of the event.
    event : str or None
        Column of the status: 1 where the duration ended, 0 where it is right-censored. None: no
        event, for tables to predict.
    entry : str or None
        Column of the time at which a row came under observation; None is 0 for all.
    cuts : sequence of float or None
        Times above 0 between two periods, in ascending order.

    Returns
    -------
    DataFrame
        The columns of the table, with `event` 1 in the period of the event only, and `person` (the
        row, from 1), `period` (a number, or a label such as ``"30-90"``), `start`, `stop` and
        `exposure` (the time under observation in the period).

    Raises
    ------
    TableError
        A duration is not positive, an entry is not before it, a status is not 0 or 1, cuts are not
        in order, or the table has a column with the name of one that is added.

    Notes
    -----
    Holford (1980), The analysis of rates and of survivorship using log-linear models,
    doi:10.2307/2529982; Singer & Willett (1993), It's about time,
    doi:10.3102/10769986018002155.

    Examples
    --------
    >>> rows = {"days": [20.0, 50.0], "ended": [1, 0]}
    >>> long = person_period(rows, time="days", event="ended", cuts=[30])
    >>> long[["person", "period", "exposure", "ended"]].values.tolist()
    [[1, '0-30', 20.0, 1], [2, '0-30', 30.0, 0], [2, '30+', 20.0, 0]]
    """
    frame = require_table(table)
    clash = [name for name in _ADDED if name in frame.columns]
    if clash:
        raise TableError(
            f"The table already has the column {listed(clash)}, which person_period adds. Rename "
            "it: table.rename(columns={...})."
        )
    ends = _numbers(frame, time, "time")
    begins = np.zeros(len(frame)) if entry is None else _numbers(frame, entry, "entry")
    _refuse(~(ends > 0), f"{quoted(time)} is not above 0", ends)
    if entry is not None:
        bad = ~((begins >= 0) & (begins < ends))
        _refuse(bad, f"{quoted(entry)} is negative or not before {quoted(time)}", begins)
    status = np.zeros(len(frame))
    if event is not None:
        status = _numbers(frame, event, "event")
        _refuse(~np.isin(status, (0, 1)), f"{quoted(event)} is neither 0 nor 1", status)
    if cuts is None:
        for name, values in ((time, ends), (entry or "", begins)):
            whole = values == np.round(values)
            _refuse(~whole, f"{quoted(name)} is not a whole number; give cuts=[...]", values)
        edges = np.arange(int(ends.max()) + 1, dtype=float)
        if len(edges) > _MOST_PERIODS:
            raise TableError(
                f"{quoted(time)} reaches {ends.max():g}, which is as many periods. Give cuts=[...] "
                f"for longer ones, or a coarser unit; {_MOST_PERIODS} is the most."
            )
    else:
        edges = np.array([0.0, *_checked_cuts(cuts), np.inf])
    lower, upper = edges[:-1], edges[1:]
    inside = (ends[:, None] > lower) & (begins[:, None] < upper)
    row, period = np.nonzero(inside)
    start = np.maximum(lower[period], begins[row])
    stop = np.minimum(upper[period], ends[row])
    long = frame.iloc[row].reset_index(drop=True)
    if event is not None:
        last = ends[row] <= upper[period]
        long[event] = (last & (status[row] == 1)).astype(int)
    labels = _labels(edges, whole=cuts is None)
    long[PERSON] = row + 1
    if cuts is None:
        long[PERIOD] = period + 1
    else:
        long[PERIOD] = pd.Categorical.from_codes(period, pd.Index(labels), ordered=True)
    long[START], long[STOP], long[EXPOSURE] = start, stop, stop - start
    return long


def _numbers(frame: pd.DataFrame, name: str, role: str) -> np.ndarray:
    if name not in frame.columns:
        raise TableError(
            f"The table has no column {quoted(name)} ({role}). "
            f"Columns: {listed(list(frame.columns), most=20)}."
        )
    values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    _refuse(~np.isfinite(values), f"{quoted(name)} is missing or not a number", values)
    return values


def _refuse(bad: np.ndarray, problem: str, values: np.ndarray) -> None:
    if bad.any():
        rows = listed(int(row) + 1 for row in np.flatnonzero(bad))
        shown = ", ".join(f"{value:g}" for value in values[bad][:5])
        raise TableError(
            f"{problem} in {int(bad.sum())} of {len(bad)} rows: {shown} in row {rows}. Correct "
            "these rows or leave them out."
        )


def _checked_cuts(cuts: Sequence[float]) -> np.ndarray:
    try:
        found = np.asarray(list(cuts), dtype=float)
    except (TypeError, ValueError):
        found = np.array([np.nan])
    ordered = len(found) > 0 and np.isfinite(found).all() and (found > 0).all()
    if not ordered or (np.diff(found) <= 0).any():
        raise TableError(
            f"cuts is {quoted(str(cuts))}. Give times above 0 in ascending order, such as "
            "[30, 90, 180]."
        )
    return found


def _labels(edges: np.ndarray, *, whole: bool) -> list[str]:
    if whole:
        return [str(number) for number in range(1, len(edges))]
    return [f"{low:g}+" if np.isinf(high) else f"{low:g}-{high:g}" for low, high in pairwise(edges)]
