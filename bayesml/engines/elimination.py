"""Which random effects are eliminated in which order, and the cross-products that this needs.

A grouping is eliminated unit by unit as long as no two of its units share a row or an eliminated
unit: then its part of the matrix is block-diagonal. Nested groupings all go that way, children
before schools. Units that do share rows are eliminated where they fall into small clusters that do
not: the members of a family, the parts of a pair of twins. Of crossed groupings the largest goes,
and the others, linked through it, stay as a dense matrix, the core. So do multiple memberships
whose units hang together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bayesml.engines.meetings import (
    GroupingArrays,
    Meetings,
    Order,
    elimination_order,
    front_pattern,
    later_in_cluster,
)

# The dense core takes size^3 / 3 operations and size^2 numbers of memory for each evaluation.
LARGEST_CORE = 3000
# Entries of the eliminated part; each is read and written at every evaluation.
MOST_ENTRIES = 50_000_000


class TooLarge(Exception):
    """The random effects are too many, or too entangled, to be integrated out; says why."""


class Plan(NamedTuple):
    """Cross-products of a linear model in the order of elimination; what the kernels read.

    Units of all groupings stand in one line, the eliminated ones first, then those of the core;
    columns of Z likewise. A unit's front holds, row by row, its own square block and below it one
    block for each later unit that it meets, with as many columns as the unit has terms.

    Parameters
    ----------
    group_size : array of int, shape (groupings,)
        Number of terms, by position in the model.
    factor_start : array of int, shape (groupings + 1,)
        Where each grouping's relative factor begins, by position in the model.
    unit_group, unit_column : arrays of int, shapes (units,) and (units + 1,)
        Position in the model of each unit's grouping; its first column.
    front_start, neighbour_start : arrays of int, shape (eliminated + 1,)
        Where each eliminated unit's front, and its list of later units, begins.
    neighbour, neighbour_row : arrays of int
        The later units that an eliminated unit meets, ascending, and their first row in its front.
    cross_fronts, cross_core : arrays
        Z'Z in the shape of the fronts; of the core, shape (columns, columns), all of it.
    cross_fixed : array, shape (columns of Z, columns of C)
        Z'C.
    cross_outcome : array, shape (columns of C, columns of C)
        C'C.
    cross_units : array, shape (terms, columns of C + terms, units)
        [Z'C Z'Z] of every unit once more, for `one_grouping_kernels`; empty, with no units, unless
        there is one grouping whose units share no rows.
    entry_start, entry_class, entry_value : arrays
        The cross-products of several classes of rows, entry by entry of `cross_fronts`,
        `cross_core`, `cross_fixed` and `cross_outcome`, as a sparse matrix of entries by classes:
        see `residual_kernels`. Those arrays hold the sums over all classes then, and are only
        looked at for their shapes. Of no length, but for one 0, where all residuals are alike.
    classes : array of int, shape (1,)
        Number of classes, 0 where all residuals are alike.
    """

    group_size: np.ndarray
    factor_start: np.ndarray
    unit_group: np.ndarray
    unit_column: np.ndarray
    front_start: np.ndarray
    neighbour_start: np.ndarray
    neighbour: np.ndarray
    neighbour_row: np.ndarray
    cross_fronts: np.ndarray
    cross_core: np.ndarray
    cross_fixed: np.ndarray
    cross_outcome: np.ndarray
    cross_units: np.ndarray
    entry_start: np.ndarray
    entry_class: np.ndarray
    entry_value: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class Elimination:
    """An order of elimination with its cross-products.

    Parameters
    ----------
    groupings : tuple of int
        Position in the model of each grouping, in the order of elimination.
    first_unit : array of int, shape (groupings + 1,)
        First unit of each grouping, in the order of elimination.
    plan : Plan
    """

    groupings: tuple[int, ...]
    first_unit: np.ndarray
    plan: Plan

    @property
    def seconds(self) -> float:
        """Roughly how long one density takes on one core: by the sizes alone, so always the same.

        A unit of a single grouping of k terms costs 6 (k^2 + 1) ns; see `seconds_one_by_one`.
        """
        terms, _, units = self.plan.cross_units.shape
        return 6e-9 * (terms**2 + 1) * units if units else self.seconds_one_by_one

    @property
    def seconds_one_by_one(self) -> float:
        """As `seconds`, were units eliminated one by one; it decides which sampler is tried.

        A unit costs 0.15 microseconds, an entry of the update that it sends to later units 1 ns,
        the Cholesky factor of the core 0.1 ns an operation, and a cross-product of a class 2 ns.
        """
        rows = np.diff(self.plan.front_start) / np.maximum(1, self.plan.group_size.max(initial=1))
        return float(
            1.5e-7 * len(self.plan.unit_group)
            + 1e-9 * (rows**2).sum()
            + 1e-10 * len(self.plan.cross_core) ** 3 / 3
            + 2e-9 * len(self.plan.entry_value)
        )

    def columns_of(self, grouping: int) -> slice:
        """Return the columns of Z that belong to a grouping, by its position in the model."""
        place = self.groupings.index(grouping)
        return slice(
            int(self.plan.unit_column[self.first_unit[place]]),
            int(self.plan.unit_column[self.first_unit[place + 1]]),
        )


def eliminate(fixed: np.ndarray, groupings: Sequence[GroupingArrays]) -> Elimination:
    """Return the order of elimination and the cross-products of a linear model.

    Parameters
    ----------
    fixed : array, shape (rows, columns)
        C: the predictors and, last, the outcome.
    groupings : sequence of GroupingArrays

    Returns
    -------
    Elimination

    Raises
    ------
    TooLarge
        Too many units would have to be kept in a dense matrix.
    """
    meetings = Meetings(groupings)
    ordered = elimination_order(groupings, meetings)
    order, number_eliminated = ordered.groupings, ordered.eliminated
    sizes = np.array([item.size for item in groupings], dtype=np.int64)
    counts = [groupings[g].units for g in order]
    first_unit = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    unit_group = np.repeat(np.array(order, dtype=np.int64), counts)
    unit_column = np.concatenate([[0], np.cumsum(sizes[unit_group])]).astype(np.int64)
    eliminated = int(first_unit[number_eliminated])
    core_first = int(unit_column[eliminated])
    core_size = int(unit_column[-1]) - core_first
    if core_size > LARGEST_CORE:
        count = len(order) - number_eliminated
        raise TooLarge(
            f"{core_size:,} random effects of {count} grouping{'s' * (count > 1)}, linked through "
            f"common rows, would have to stand in one dense matrix: the limit is {LARGEST_CORE:,}"
        )
    links = _links(ordered, meetings, first_unit, unit_group, sizes)
    total = int(links.front_start[-1])
    if total > MOST_ENTRIES:
        raise TooLarge(f"the units meet in {total:,} places, and {MOST_ENTRIES:,} is the limit")
    fronts = np.zeros(total)
    core = np.zeros((core_size, core_size))
    for place, g in enumerate(order):
        _fill_own(
            groupings[g],
            meetings,
            g,
            place < number_eliminated,
            fronts,
            core,
            (
                links.front_start[first_unit[place] : first_unit[place + 1]]
                if place < number_eliminated
                else unit_column[first_unit[place] : first_unit[place + 1]] - core_first
            ),
            links,
            int(first_unit[place]),
        )
        for later, h in enumerate(order[place + 1 :], start=place + 1):
            if place < number_eliminated:
                at = links.positions(meetings.rows_of(g, h), first_unit[place], first_unit[later])
                _fill_front(meetings.products(g, h), at, fronts)
            else:
                _fill_core(
                    meetings.products(g, h),
                    meetings.rows_of(g, h),
                    unit_column[first_unit[place] : first_unit[place + 1]] - core_first,
                    unit_column[first_unit[later] : first_unit[later + 1]] - core_first,
                    core,
                )
    cross_fixed = np.empty((int(unit_column[-1]), fixed.shape[1]))
    for place, g in enumerate(order):
        columns = slice(unit_column[first_unit[place]], unit_column[first_unit[place + 1]])
        cross_fixed[columns] = _with_fixed(groupings[g], fixed)
    return Elimination(
        groupings=order,
        first_unit=first_unit,
        plan=Plan(
            group_size=sizes,
            factor_start=np.concatenate([[0], np.cumsum(sizes**2)]).astype(np.int64),
            unit_group=unit_group,
            unit_column=unit_column,
            front_start=links.front_start,
            neighbour_start=links.neighbour_start,
            neighbour=links.neighbour,
            neighbour_row=links.neighbour_row,
            cross_fronts=fronts,
            cross_core=core,
            cross_fixed=cross_fixed,
            cross_outcome=fixed.T @ fixed,
            cross_units=_side_by_side(groupings, eliminated, fronts, cross_fixed),
            entry_start=np.zeros(1, dtype=np.int64),
            entry_class=np.empty(0, dtype=np.int64),
            entry_value=np.empty(0),
            classes=np.zeros(1, dtype=np.int64),
        ),
    )


@dataclass(frozen=True)
class _Links:
    front_start: np.ndarray
    neighbour_start: np.ndarray
    neighbour: np.ndarray
    neighbour_row: np.ndarray
    size_of: np.ndarray

    def positions(
        self, pairs: tuple[np.ndarray, np.ndarray], first: int, first_later: int
    ) -> np.ndarray:
        """Return where in the fronts the block of each pair of units begins."""
        unit, other = pairs[0] + first, pairs[1] + first_later
        width = int(self.neighbour.max(initial=0)) + 1
        owner = np.repeat(np.arange(len(self.neighbour_start) - 1), np.diff(self.neighbour_start))
        place = np.searchsorted(owner * width + self.neighbour, unit * width + other)
        return self.front_start[unit] + self.neighbour_row[place] * self.size_of[unit]


def _links(
    ordered: Order,
    meetings: Meetings,
    first_unit: np.ndarray,
    unit_group: np.ndarray,
    sizes: np.ndarray,
) -> _Links:
    """Return the later units that each eliminated unit meets."""
    order, number = ordered.groupings, ordered.eliminated
    eliminated = int(first_unit[number])
    owners, others = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for place, g in enumerate(order[:number]):
        earlier = Order(order[:place], place, ordered.clusters)
        patterns = {place: later_in_cluster(ordered.clusters[g])} | {
            later: front_pattern(g, order[later], earlier, meetings)
            for later in range(place + 1, len(order))
        }
        for later, pattern in patterns.items():
            unit = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
            owners.append(unit + first_unit[place])
            others.append(pattern.indices + first_unit[later])
    owner, other = np.concatenate(owners), np.concatenate(others)
    sort = np.lexsort((other, owner))
    owner, other = owner[sort], other[sort].astype(np.int64)
    neighbour_start = np.searchsorted(owner, np.arange(eliminated + 1)).astype(np.int64)
    size_of = sizes[unit_group]
    heights = size_of[other]
    before = np.concatenate([[0], np.cumsum(heights)])
    own = size_of[:eliminated]
    row = before[:-1] - before[neighbour_start[:-1]][owner] + own[owner]
    total = np.diff(before[neighbour_start]) + own
    front_start = np.concatenate([[0], np.cumsum(total * own)]).astype(np.int64)
    return _Links(front_start, neighbour_start, other, row.astype(np.int64), size_of)


def _fill_own(
    grouping: GroupingArrays,
    meetings: Meetings,
    g: int,
    eliminated: bool,
    fronts: np.ndarray,
    core: np.ndarray,
    starts: np.ndarray,
    links: "_Links",
    first: int,
) -> None:
    """Write a grouping's own part of Z'Z: into the fronts, or into the core."""
    z = grouping.terms
    if grouping.weights is not None and not eliminated:
        _fill_core(meetings.products(g, g), meetings.rows_of(g, g), starts, starts, core)
        return
    if grouping.weights is not None:
        unit, other = meetings.rows_of(g, g)
        products = meetings.products(g, g)
        same, later = unit == other, unit < other
        _fill_front(products[same], starts[unit[same]], fronts)
        at = links.positions((unit[later], other[later]), first, first)
        _fill_front(products[later], at, fronts)
        return
    for a in range(z.shape[1]):
        for b in range(a + 1):
            sums = np.bincount(grouping.index, weights=z[:, a] * z[:, b], minlength=grouping.units)
            for row, column in {(a, b), (b, a)}:
                if eliminated:
                    fronts[starts + row * z.shape[1] + column] = sums
                else:
                    core[starts + row, starts + column] = sums


def _fill_front(products: np.ndarray, at: np.ndarray, fronts: np.ndarray) -> None:
    for a in range(products.shape[1]):
        for b in range(products.shape[2]):
            fronts[at + a * products.shape[2] + b] = products[:, a, b]


def _fill_core(
    products: np.ndarray,
    pairs: tuple[np.ndarray, np.ndarray],
    columns: np.ndarray,
    columns_later: np.ndarray,
    core: np.ndarray,
) -> None:
    for a in range(products.shape[1]):
        for b in range(products.shape[2]):
            row, column = columns_later[pairs[1]] + a, columns[pairs[0]] + b
            core[row, column] = products[:, a, b]
            core[column, row] = products[:, a, b]


def _side_by_side(
    groupings: Sequence[GroupingArrays],
    eliminated: int,
    fronts: np.ndarray,
    cross_fixed: np.ndarray,
) -> np.ndarray:
    """Return [Z'C Z'Z], last axis units, of a single grouping whose units share no rows."""
    if len(groupings) != 1 or not eliminated or groupings[0].weights is not None:
        return np.empty((0, 0, 0))
    shape = (eliminated, groupings[0].size, -1)
    both = np.concatenate([cross_fixed.reshape(shape), fronts.reshape(shape)], axis=2)
    return np.ascontiguousarray(both.transpose(1, 2, 0))


def _with_fixed(grouping: GroupingArrays, fixed: np.ndarray) -> np.ndarray:
    """Return Z'C of a grouping, one row per unit and term."""
    units, terms = grouping.units, grouping.size
    out = np.zeros((units, terms, fixed.shape[1]))
    for index, z in grouping.slots:
        for a in range(terms):
            for c in range(fixed.shape[1]):
                out[:, a, c] += np.bincount(index, weights=z[:, a] * fixed[:, c], minlength=units)
    return out.reshape(units * terms, fixed.shape[1])
