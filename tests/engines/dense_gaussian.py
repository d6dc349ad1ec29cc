"""Random linear mixed models, and what dense matrices say about them.

Everything here is plain NumPy on the rows: Z is written out, V is a full matrix. Nothing reads an
order of elimination or a cross-product.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from bayesml.engines.meetings import GroupingArrays

KINDS = ("any", "child", "parent", "same", "members", "teams", "roles")


@dataclass(frozen=True)
class Layout:
    """Groupings on rows, with the sizes of the blocks of their covariances."""

    fixed: np.ndarray
    groupings: tuple[GroupingArrays, ...]
    blocks: tuple[tuple[int, ...], ...]
    seed: int


def dense_z(grouping: GroupingArrays) -> np.ndarray:
    """Write Z out, shape (rows, units x terms), the terms of a unit next to each other."""
    rows, terms = len(grouping.terms), grouping.terms.shape[-1]
    out = np.zeros((rows, grouping.units, terms))
    for row in range(rows):
        if grouping.weights is None:
            out[row, grouping.index[row]] += grouping.terms[row]
            continue
        for slot, unit in enumerate(grouping.index[row]):
            # Members may have values of their own.
            own = grouping.terms[row] if grouping.terms.ndim == 2 else grouping.terms[row, slot]
            out[row, unit] += grouping.weights[row, slot] * own
    return out.reshape(rows, -1)


def dense_v(
    groupings: Sequence[GroupingArrays], factors: Sequence[np.ndarray], residual: float = 1.0
) -> np.ndarray:
    """Return residual I + sum of Z (I x L L') Z'; complex factors give an analytic function."""
    rows = len(groupings[0].terms) if groupings else 0
    total = residual * np.eye(rows, dtype=np.result_type(float, *factors))
    for grouping, factor in zip(groupings, factors, strict=True):
        spread = dense_z(grouping) @ np.kron(np.eye(grouping.units), factor)
        total = total + spread @ spread.T
    return total


def random_factors(layout: Layout, spread: float = 1.0) -> list[np.ndarray]:
    """Return lower-triangular relative factors with the blocks of the layout."""
    random = np.random.default_rng(layout.seed + 1)
    out = []
    for sizes in layout.blocks:
        factor = np.zeros((sum(sizes), sum(sizes)))
        first = 0
        for size in sizes:
            part = slice(first, first + size)
            factor[part, part] = np.tril(random.normal(size=(size, size)))
            first += size
        out.append(factor * np.exp(random.normal(0, spread)))
    return out


def flat(factors: Sequence[np.ndarray]) -> np.ndarray:
    """Return factors as the kernels take them."""
    return np.concatenate([factor.ravel() for factor in factors]).astype(float)


@st.composite
def layouts(draw: st.DrawFn, kinds: Sequence[str] = KINDS, most: int = 4) -> Layout:
    """Draw groupings of every kind on up to thirty rows.

    ``any``: units at random, some without a row; ``child`` and ``parent`` of an earlier grouping;
    ``same`` as an earlier grouping; ``members``: several weighted units a row, some weights zero;
    ``teams``: the same, rows with units of one of many teams; ``roles``: every member has terms of
    its own.
    """
    rows = draw(st.integers(3, 30))
    seed = draw(st.integers(0, 2**20))
    random = np.random.default_rng(seed)
    groupings: list[GroupingArrays] = []
    blocks = []
    for number in range(draw(st.integers(1, most))):
        kind = draw(st.sampled_from(kinds))
        units = draw(st.integers(1, 12))
        earlier = [item for item in groupings if item.weights is None]
        weights = None
        slots = draw(st.integers(1, 3))
        if kind in ("members", "teams", "roles"):
            index = random.integers(0, units, size=(rows, slots))
            if kind != "members" and random.random() < 0.7:
                size = int(random.integers(1, 4))
                index = index * size + random.integers(0, size, size=(rows, slots))
                index[:] = index[:, :1] // size * size + index % size
                units *= size
            weights = random.dirichlet(np.ones(slots), size=rows)
            weights[random.random(weights.shape) < 0.3] = 0.0
        elif kind == "any" or not earlier:
            index = random.integers(0, units, size=rows)
        else:
            other = earlier[draw(st.integers(0, len(earlier) - 1))]
            if kind == "same":
                index, units = other.index, other.units
            elif kind == "parent":
                index = random.integers(0, units, size=other.units)[other.index]
            else:
                index = other.index * 3 + random.integers(0, 3, size=rows)
                units = other.units * 3
        sizes = draw(st.sampled_from([(1,), (2,), (3,), (1, 1), (1, 2), (2, 1), (1, 1, 1)]))
        own = (slots,) if kind == "roles" else ()
        terms = random.normal(size=(rows, *own, sum(sizes)))
        if number == 0 or random.random() < 0.5:
            terms[..., 0] = 1.0
        groupings.append(GroupingArrays(units, index, weights, terms))
        blocks.append(sizes)
    fixed = random.normal(size=(rows, draw(st.integers(1, 4))))
    return Layout(fixed, tuple(groupings), tuple(blocks), seed)
