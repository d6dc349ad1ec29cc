"""Which units of a linear model share rows, and the order of elimination that follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse


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
    terms : array, shape (rows, terms)
        Z.
    """

    units: int
    index: np.ndarray
    weights: np.ndarray | None
    terms: np.ndarray

    @property
    def slots(self) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """Unit of each row with its weight, slot by slot."""
        if self.weights is None:
            return [(self.index, None)]
        return [(self.index[:, s], self.weights[:, s]) for s in range(self.index.shape[1])]


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
            keys, weights, rows = [], [], []
            for index, weight in one.slots:
                for index2, weight2 in other.slots:
                    used = np.ones(len(index)) if weight is None else weight
                    used = used if weight2 is None else used * weight2
                    kept = slice(None) if used.all() else np.flatnonzero(used)
                    keys.append(index[kept].astype(np.int64) * other.units + index2[kept])
                    weights.append(used[kept])
                    rows.append(np.arange(len(index))[kept])
            key, weight, row = (np.concatenate(items) for items in (keys, weights, rows))
            found, place = np.unique(key, return_inverse=True)
            z, z2 = one.terms[row], other.terms[row]
            values = np.empty((len(found), z2.shape[1], z.shape[1]))
            for a in range(z2.shape[1]):
                for b in range(z.shape[1]):
                    values[:, a, b] = np.bincount(
                        place, weights=weight * z2[:, a] * z[:, b], minlength=len(found)
                    )
            pointers = np.searchsorted(found, np.arange(one.units + 1) * other.units)
            pattern = sparse.csr_array(
                (np.ones(len(found), dtype=np.int32), found % other.units, pointers),
                shape=(one.units, other.units),
            )
            self._found[g, h] = pattern, values
        return self._found[g, h]


def elimination_order(
    groupings: Sequence[GroupingArrays], meetings: Meetings
) -> tuple[list[int], int]:
    """Return the groupings in the order of elimination, and how many are eliminated."""
    waiting = sorted(range(len(groupings)), key=lambda g: (-groupings[g].units, g))
    linked = {g: groupings[g].weights is not None for g in waiting}
    order: list[int] = []
    while free := [g for g in waiting if not linked[g]]:
        g = free[0]
        waiting.remove(g)
        order.append(g)
        meetings_of = {h: filled_pattern(g, h, order[:-1], meetings) for h in waiting}
        for h, pattern in meetings_of.items():
            if (np.diff(pattern.indptr) > 1).any():
                linked[h] = True
    return [*order, *waiting], len(order)


def filled_pattern(g: int, h: int, before: Sequence[int], meetings: Meetings) -> sparse.csr_array:
    """Return where units of `g` and `h` meet, in rows or through units eliminated before."""
    pattern = meetings.pattern(g, h)
    for e, earlier in enumerate(before):
        through = filled_pattern(earlier, g, before[:e], meetings)
        pattern = pattern + through.T @ filled_pattern(earlier, h, before[:e], meetings)
    pattern = sparse.csr_array(pattern != 0).astype(np.int32)
    pattern.sort_indices()
    return pattern
