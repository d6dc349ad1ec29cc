"""Which units of a linear model share rows, and the order of elimination that follows from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from bayesml.design.member_terms import slot_loads


@dataclass(frozen=True)
class GroupingArrays:
    """One grouping of a linear model as arrays.

    Parameters
    ----------
    units : int
        Number of units.
    index : array of int, shape (rows,) or (rows, slots)
        Unit of each row, or of each slot.
    weights : array, shape (rows, slots), or None
        Weights of a multiple membership.
    terms : array, shape (rows, terms) or (rows, slots, terms)
        Z; by slot where members have terms of their own.
    """

    units: int
    index: np.ndarray
    weights: np.ndarray | None
    terms: np.ndarray

    @property
    def size(self) -> int:
        """Number of terms."""
        return int(self.terms.shape[-1])

    @property
    def slots(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Unit of each row with its weight times Z, shape (rows, terms), slot by slot."""
        if self.weights is None:
            return [(self.index, self.terms)]
        loads = slot_loads(self.terms, self.weights)
        return [(self.index[:, s], loads[:, s]) for s in range(self.index.shape[1])]

    @property
    def used(self) -> np.ndarray:
        """Whether a slot names a unit, shape (rows, slots)."""
        if self.weights is None:
            return np.ones((len(self.index), 1), dtype=bool)
        found: np.ndarray = self.weights != 0
        return found


def in_order(grouping: GroupingArrays) -> GroupingArrays:
    """Return a multiple membership whose slots are in the order of their units, row by row.

    Two rows with the same members then agree slot by slot: A rates B, and B rates A.
    """
    if grouping.weights is None:
        return grouping
    last = np.iinfo(np.int64).max
    order = np.argsort(np.where(grouping.used, grouping.index, last), axis=1, kind="stable")
    terms = grouping.terms
    if terms.ndim == 3:
        terms = np.take_along_axis(terms, order[:, :, None], axis=1)
    return GroupingArrays(
        grouping.units,
        np.take_along_axis(grouping.index, order, axis=1),
        np.take_along_axis(grouping.weights, order, axis=1),
        terms,
    )


class Meetings:
    """Which units of two groupings share rows, and the cross-products of their terms there."""

    def __init__(self, groupings: Sequence[GroupingArrays]) -> None:
        self._groupings = groupings
        self._found: dict[tuple[int, int], tuple[sparse.csr_array, np.ndarray]] = {}

    def rows_of(self, g: int, h: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the units of `g` and `h` that meet, in the order of `products`."""
        pattern = self.pattern(g, h)
        return np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr)), pattern.indices

    def pattern(self, g: int, h: int) -> sparse.csr_array:
        """Return a matrix with an entry wherever a unit of `g` and one of `h` share a row."""
        return self._pair(g, h)[0]

    def products(self, g: int, h: int) -> np.ndarray:
        """Return Z_h' Z_g where they meet, shape (meetings, terms of h, terms of g)."""
        return self._pair(g, h)[1]

    def _pair(self, g: int, h: int) -> tuple[sparse.csr_array, np.ndarray]:
        if (g, h) not in self._found:
            one, other = self._groupings[g], self._groupings[h]
            used, used2 = one.used, other.used
            keys, loads, loads2 = [], [], []
            for s, (index, z) in enumerate(one.slots):
                for s2, (index2, z2) in enumerate(other.slots):
                    both = used[:, s] & used2[:, s2]
                    kept = slice(None) if both.all() else np.flatnonzero(both)
                    keys.append(index[kept].astype(np.int64) * other.units + index2[kept])
                    loads.append(z[kept])
                    loads2.append(z2[kept])
            found, place = np.unique(np.concatenate(keys), return_inverse=True)
            z, z2 = np.concatenate(loads), np.concatenate(loads2)
            values = np.empty((len(found), z2.shape[1], z.shape[1]))
            for a in range(z2.shape[1]):
                for b in range(z.shape[1]):
                    values[:, a, b] = np.bincount(
                        place, weights=z2[:, a] * z[:, b], minlength=len(found)
                    )
            pointers = np.searchsorted(found, np.arange(one.units + 1) * other.units)
            pattern = sparse.csr_array(
                (np.ones(len(found), dtype=np.int32), found % other.units, pointers),
                shape=(one.units, other.units),
            )
            self._found[g, h] = pattern, values
        return self._found[g, h]


@dataclass(frozen=True)
class Order:
    """An order of elimination.

    Parameters
    ----------
    groupings : tuple of int
        The groupings in this order.
    eliminated : int
        How many of them are eliminated.
    clusters : mapping of int to array of int, shape (units,)
        By eliminated grouping, the cluster of each unit: units that share rows, in themselves or
        through units eliminated before, stand in one.
    """

    groupings: tuple[int, ...]
    eliminated: int
    clusters: Mapping[int, np.ndarray]


# Columns of a cluster, at most: its units are eliminated with as many numbers as a dense matrix.
LARGEST_CLUSTER = 60


def elimination_order(groupings: Sequence[GroupingArrays], meetings: Meetings) -> Order:
    """Return the order of elimination.

    A simple membership is eliminated unit by unit, as long as nothing eliminated before links two
    of its units; a multiple one by clusters, where these are small. The others are left over.
    """
    waiting = sorted(range(len(groupings)), key=lambda g: (-groupings[g].units, g))
    found = Order((), 0, {})
    while True:
        for g in waiting:
            clusters = _clusters(g, groupings, found, meetings)
            if _separate(clusters, groupings[g]):
                break
        else:
            return Order((*found.groupings, *waiting), found.eliminated, found.clusters)
        waiting.remove(g)
        found = Order((*found.groupings, g), found.eliminated + 1, {**found.clusters, g: clusters})


def _separate(clusters: np.ndarray, grouping: GroupingArrays) -> bool:
    """Return whether units may be eliminated cluster by cluster, or one by one."""
    counts = np.bincount(clusters, minlength=1)
    most = int(counts.max(initial=1))
    if most == 1 or grouping.weights is None:
        return most == 1
    return len(counts) > 1 and most * grouping.size <= LARGEST_CLUSTER


def _clusters(
    g: int, groupings: Sequence[GroupingArrays], order: Order, meetings: Meetings
) -> np.ndarray:
    """Return the cluster of each unit of a grouping that is not eliminated yet."""
    units = groupings[g].units
    links = [filled_pattern(g, g, order, meetings)] if groupings[g].weights is not None else []
    for place, e in enumerate(order.groupings):
        pattern = front_pattern(e, g, _first(order, place), meetings)
        if (np.diff(pattern.indptr) > 1).any():
            links.append(pattern.T @ pattern)
    if not links:
        return np.arange(units)
    labels: np.ndarray = sparse.csgraph.connected_components(sum(links[1:], links[0]))[1]
    return labels


def _first(order: Order, number: int) -> Order:
    return Order(order.groupings[:number], number, order.clusters)


def filled_pattern(g: int, h: int, before: Order, meetings: Meetings) -> sparse.csr_array:
    """Return where units of `g` and `h` meet, in rows or through units eliminated before."""
    pattern = meetings.pattern(g, h)
    for place, e in enumerate(before.groupings):
        earlier = _first(before, place)
        through = front_pattern(e, g, earlier, meetings)
        pattern = pattern + through.T @ front_pattern(e, h, earlier, meetings)
    return _ones(pattern)


def front_pattern(g: int, h: int, before: Order, meetings: Meetings) -> sparse.csr_array:
    """Return the units of `h` in the fronts of the units of `g`: those that its cluster meets."""
    pattern = filled_pattern(g, h, before, meetings)
    clusters = before.clusters[g]
    if len(np.unique(clusters)) == len(clusters):
        return pattern
    units = np.arange(len(clusters))
    inside = sparse.csr_array((np.ones(len(clusters), dtype=np.int32), (units, clusters)))
    return _ones(inside @ (inside.T @ pattern))


def later_in_cluster(clusters: np.ndarray) -> sparse.csr_array:
    """Return for every unit the later units of its cluster."""
    units = np.arange(len(clusters))
    if len(np.unique(clusters)) == len(clusters):
        return sparse.csr_array((len(clusters),) * 2, dtype=np.int32)
    inside = sparse.csr_array((np.ones(len(clusters), dtype=np.int32), (units, clusters)))
    return _ones(sparse.triu(inside @ inside.T, k=1, format="csr"))


def _ones(pattern: sparse.csr_array) -> sparse.csr_array:
    pattern = sparse.csr_array(pattern != 0).astype(np.int32)
    pattern.sort_indices()
    return pattern
