"""Least squares with own coefficients for every unit, without a matrix of dummies.

The units' columns are projected out of the outcome and of the common predictors within each block
of rows (Frisch & Waugh 1933, doi:10.2307/1907330), so the cost grows with the rows, not with rows
times units.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

# Below this share of its size, what is left of a column is rounding: about the square root of
# machine precision.
_NOTHING = 1e-8


@dataclass(frozen=True)
class Block:
    """Rows whose units' coefficients no other row depends on, with these coefficients' columns.

    Parameters
    ----------
    rows : array of int, shape (rows of the block,)
    columns : array of int, shape (columns of the block,)
        Positions of the coefficients among those of all units.
    values : array, shape (rows of the block, columns of the block)
    """

    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class DummyFit:
    """Estimates with coefficients of units and common ones.

    Parameters
    ----------
    units, units_se : array, shape (columns of all units,)
        NaN where the rows of a unit do not determine the coefficient.
    common, common_se : array, shape (predictors,)
        NaN where a predictor is absorbed by the units, or by the other predictors.
    variance : float
        Residual variance, NaN where no row is left for it.
    fitted : array, shape (rows,)
        Fitted values of y, or of the linear predictor without the offset; infinite in rows that
        the likelihood fits without error as coefficients go to infinity.
    gaps, gaps_se : array, shape (gaps,)
        Of ordered outcomes, cutpoints less the one that the intercept stands for.
    """

    units: np.ndarray
    units_se: np.ndarray
    common: np.ndarray
    common_se: np.ndarray
    variance: float
    fitted: np.ndarray
    gaps: np.ndarray = field(default_factory=lambda: np.empty(0))
    gaps_se: np.ndarray = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True)
class Projection:
    """One block's columns, weighted and taken apart.

    Parameters
    ----------
    inverse : array, shape (columns, rows)
        Pseudo-inverse of the weighted columns.
    covariance : array, shape (columns, columns)
        Pseudo-inverse of their cross-products.
    determined : array of bool, shape (columns,)
        Whether the rows determine the coefficient.
    rank : int
    """

    inverse: np.ndarray
    covariance: np.ndarray
    determined: np.ndarray
    rank: int


def single_blocks(index: np.ndarray, terms: np.ndarray, units: int) -> list[Block]:
    """Return a block per unit, where every row belongs to one unit.

    Parameters
    ----------
    index : array of int, shape (rows,)
    terms : array, shape (rows, terms)
    units : int

    Returns
    -------
    list of Block
        Units that have no row have no block.
    """
    order = np.argsort(index, kind="stable")
    ends = np.cumsum(np.bincount(index, minlength=units))
    count = terms.shape[1]
    blocks = []
    for unit, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        rows = order[start:end]
        if len(rows):
            columns = unit * count + np.arange(count)
            blocks.append(Block(rows, columns, terms[rows]))
    return blocks


def membership_block(
    index: np.ndarray, weights: np.ndarray, terms: np.ndarray, units: int
) -> Block:
    """Return the one block of a multiple membership: the units' terms times the rows' weights.

    Parameters
    ----------
    index, weights : array, shape (rows, slots)
    terms : array, shape (rows, terms)
    units : int

    Returns
    -------
    Block
    """
    rows, count = terms.shape
    values = np.zeros((rows, units, count))
    for slot in range(index.shape[1]):
        share = weights[:, slot, None] * terms
        values[np.arange(rows), index[:, slot]] += share
    return Block(np.arange(rows), np.arange(units * count), values.reshape(rows, -1))


def project(block: Block, root: np.ndarray) -> Projection:
    """Take a block's columns apart, its rows weighted by the squares of `root`."""
    weighted = block.values * root[:, None]
    size = np.sqrt((weighted**2).sum(axis=0))
    size = np.where(size > 0, size, 1.0)
    left, singular, right = np.linalg.svd(weighted / size, full_matrices=False)
    kept = singular > _NOTHING * max(singular[0], 1e-300)
    left, singular, right = left[:, kept], singular[kept], right[kept]
    inverse = (right.T / singular) @ left.T / size[:, None]
    covariance = (right.T / singular**2) @ right / size[:, None] / size
    # A coefficient is determined where its axis lies in the space of the rows.
    determined = (right**2).sum(axis=0) > 1 - 1e-6
    return Projection(inverse, covariance, determined, int(kept.sum()))


def free_columns(
    predictors: np.ndarray, blocks: Sequence[Block], tolerance: float = _NOTHING
) -> np.ndarray:
    """Return which predictors can be told from the units' columns and from those before them.

    Parameters
    ----------
    predictors : array, shape (rows, predictors)
    blocks : sequence of Block
    tolerance : float
        Share of a predictor's size below which what is left of it counts as nothing.

    Returns
    -------
    array of bool, shape (predictors,)
    """
    size = np.sqrt((predictors**2).sum(axis=0))
    left = predictors / np.where(size > 0, size, 1.0)
    for block in blocks:
        own = left[block.rows]
        inverse = project(block, np.ones(len(block.rows))).inverse
        left[block.rows] = own - block.values @ (inverse @ own)
    free = np.zeros(predictors.shape[1], dtype=bool)
    basis = np.empty((len(predictors), 0))
    for number in range(predictors.shape[1]):
        rest = left[:, number] - basis @ (basis.T @ left[:, number])
        rest -= basis @ (basis.T @ rest)
        length = float(np.linalg.norm(rest))
        if length > tolerance and basis.shape[1] < len(predictors):
            free[number] = True
            basis = np.column_stack([basis, rest / length])
    return free


def dummy_least_squares(
    y: np.ndarray,
    predictors: np.ndarray,
    blocks: Sequence[Block],
    columns: int,
    *,
    weights: np.ndarray | None = None,
    free: np.ndarray | None = None,
    variance: float | None = None,
) -> DummyFit:
    """Return the least-squares estimates of y on units' columns D and common predictors X.

    With M the projection that takes D out, the common coefficients are (X'MX)^-1 X'My, those of a
    unit D^+ (y - X b), and their covariance is s^2 ((D'D)^+ + D^+ X (X'MX)^-1 X' D^+').

    Parameters
    ----------
    y : array, shape (rows,)
    predictors : array, shape (rows, predictors)
    blocks : sequence of Block
        Empty for ordinary least squares.
    columns : int
        Number of coefficients of all units.
    weights : array, shape (rows,), optional
        Weights of the squares.
    free : array of bool, shape (predictors,), optional
        Predictors to estimate; None finds out which can be.
    variance : float, optional
        Residual variance where it is known; None estimates it with the rows minus the
        coefficients as degrees of freedom.

    Returns
    -------
    DummyFit
    """
    free = free_columns(predictors, blocks) if free is None else free
    root = np.ones(len(y)) if weights is None else np.sqrt(weights)
    x = predictors[:, free] * root[:, None]
    target = y * root
    x_left, y_left = x.copy(), target.copy()
    parts = []
    for block in blocks:
        part = project(block, root[block.rows])
        own = block.values * root[block.rows, None]
        x_units, y_units = part.inverse @ x[block.rows], part.inverse @ target[block.rows]
        x_left[block.rows] -= own @ x_units
        y_left[block.rows] -= own @ y_units
        parts.append((block, part, x_units, y_units))
    size = np.sqrt((x_left**2).sum(axis=0))
    size = np.where(size > 0, size, 1.0)
    inverse = np.linalg.pinv(x_left / size) / size[:, None]
    coefficients, spread = inverse @ y_left, inverse @ inverse.T
    if variance is None:
        left_over = len(y) - int(free.sum()) - sum(part.rank for _, part, _, _ in parts)
        residuals = y_left - x_left @ coefficients
        variance = float(residuals @ residuals) / left_over if left_over > 0 else np.nan
    units, units_se = np.full(columns, np.nan), np.full(columns, np.nan)
    fitted = predictors[:, free] @ coefficients
    for block, part, x_units, y_units in parts:
        where = block.columns[part.determined]
        own = y_units - x_units @ coefficients
        fitted[block.rows] += block.values @ own
        units[where] = own[part.determined]
        shared = np.einsum("ij,jk,ik->i", x_units, spread, x_units)
        squares = variance * (np.diag(part.covariance) + shared)
        units_se[where] = np.sqrt(np.maximum(squares, 0.0))[part.determined]
    common, common_se = np.full(len(free), np.nan), np.full(len(free), np.nan)
    common[free] = coefficients
    common_se[free] = np.sqrt(np.maximum(variance * np.diag(spread), 0.0))
    return DummyFit(units, units_se, common, common_se, variance, fitted)
