"""Say in words which builder fits the groupings of a table."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayesml.errors import quoted
from bayesml.tables.relations import Codes, Relation
from bayesml.tables.structure import GroupingSummary

TIME_NAME = re.compile(
    r"(?i)^(time|year|age|day|week|month|wave|occasion|visit|session|trial|period)s?\d*$"
)
# A unit with more rows than this is rarely one person followed over time.
MOST_OCCASIONS = 100


def suggested_builder(
    frame: pd.DataFrame,
    codes: Sequence[Codes],
    summaries: Sequence[GroupingSummary],
    relations: Sequence[Relation],
    proposed: bool,
) -> str:
    """Return one sentence that names the builder, with a call to start from.

    Parameters
    ----------
    frame : DataFrame
        The table.
    codes : sequence of Codes
        Groupings with one label per row, in the order of their summaries.
    summaries : sequence of GroupingSummary
        All groupings; those with `members` are multiple memberships.
    relations : sequence of Relation
        One per pair of `codes`.
    proposed : bool
        Whether the groupings were guessed from the columns.
    """
    memberships = [item for item in summaries if item.members]
    if not summaries:
        return "No column looks like a grouping. Name one: describe(table, groups=[...])."
    if proposed and len(summaries) > 1:
        return (
            "These columns could be groupings; choose those that are units of your study: "
            f"describe(table, groups=[{quoted(_largest(summaries))}])."
        )
    if memberships and codes:
        bars = " + ".join(f"(1 | {_backticked(item.name)})" for item in codes)
        slots = ", ".join(_backticked(name) for name in memberships[0].members)
        return f"model with a multiple membership: outcome ~ ... + {bars} + (1 | mm({slots}))."
    if memberships:
        members = ", ".join(map(repr, memberships[0].members))
        return (
            'multiple_membership: multiple_membership(table, "outcome ~ ...", '
            f'members=[{members}], weights="equal").'
        )
    if len(codes) == 1:
        return _one_grouping(frame, codes[0], summaries[0])
    return _several_groupings(codes, relations)


def occasion_column(frame: pd.DataFrame, unit: Codes, rows_max: int) -> str | None:
    """Return a numeric column that orders the rows of every unit like time, or None.

    Its values never repeat within a unit, but are shared by the units, or its name is that of a
    time.
    """
    if not 3 <= rows_max <= MOST_OCCASIONS:
        return None
    likely: list[str] = []
    for name in frame.columns:
        column = frame[name]
        numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        if name == unit.name or not numeric or column.isna().any():
            continue
        refs, values = pd.factorize(column)
        keys = unit.refs.astype(np.int64) * max(len(values), 1) + refs
        if len(pd.unique(keys)) < len(keys):
            continue
        if TIME_NAME.match(str(name)):
            return str(name)
        if len(values) <= 2 * rows_max:
            likely.append(str(name))
    return likely[0] if likely else None


def _one_grouping(frame: pd.DataFrame, codes: Codes, summary: GroupingSummary) -> str:
    group = repr(codes.name)
    time = occasion_column(frame, codes, summary.rows_max)
    two_level = f'two_level: two_level(table, "outcome ~ ...", group={group}).'
    if time is None:
        return two_level
    return (
        f'longitudinal: longitudinal(table, "outcome ~ 1", unit={group}, time={time!r}), as '
        f"{time} does not repeat within {codes.name}; without time: {two_level}"
    )


def _several_groupings(codes: Sequence[Codes], relations: Sequence[Relation]) -> str:
    by_units = sorted(codes, key=lambda item: -item.n_units)
    names = ", ".join(repr(item.name) for item in by_units)
    kinds = {item.kind for item in relations}
    if "identical" in kinds:
        same = next(item for item in relations if item.kind == "identical")
        return (
            f"{same.inner} and {same.outer} are one grouping: keep one of them. "
            f'With one grouping: two_level(table, "outcome ~ ...", group={same.inner!r}).'
        )
    if kinds == {"nested"}:
        if len(codes) == 2:
            return f'three_level: three_level(table, "outcome ~ ...", groups=[{names}]).'
        path = " / ".join(_backticked(item.name) for item in reversed(by_units))
        return f'model, as more than two groupings are nested: "outcome ~ ... + (1 | {path})".'
    crossed = f'cross_classified: cross_classified(table, "outcome ~ ...", groups=[{names}])'
    if "implicitly labelled" in kinds:
        pair = next(item for item in relations if item.kind == "implicitly labelled")
        return (
            f"three_level if label 1 of {pair.inner} means another unit in every {pair.outer}: "
            f'three_level(table, "outcome ~ ...", groups=[{pair.inner!r}, {pair.outer!r}]); '
            f"if it is the same unit everywhere, {crossed}."
        )
    return f"{crossed}."


def _largest(summaries: Sequence[GroupingSummary]) -> str:
    """Return the grouping with most units among those with several rows in each."""
    repeated = [item for item in summaries if item.rows_median >= 2] or list(summaries)
    return max(repeated, key=lambda item: item.n_units).name


def _backticked(name: str) -> str:
    return name if name.isidentifier() else f"`{name}`"
