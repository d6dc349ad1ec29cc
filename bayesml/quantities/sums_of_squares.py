"""Sums of squares of nested classifications, and the variances that they estimate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class NestedSquares:
    """The analysis of variance of a nested classification.

    Parameters
    ----------
    squares, df : array, shape (classifications + 1,)
        Sum of squares and degrees of freedom between the units of each classification within
        those of the next larger one, largest first; the last entry is within the smallest units.
    variances : array, shape (classifications + 1,)
        Estimated variance of each classification, and within the smallest units. May be negative.
    sizes : array, shape (classifications,)
        Coefficient of each classification's own variance in the expectation of its mean square:
        the number of rows per unit where all units have as many.
    """

    squares: np.ndarray
    df: np.ndarray
    variances: np.ndarray
    sizes: np.ndarray


def nested_squares(y: np.ndarray, classifications: Sequence[np.ndarray]) -> NestedSquares:
    """Return sums of squares and variance estimates of a nested classification.

    With T_g the sum over the units u of g of n_u times the squared mean of u, and T_0 = N times
    the squared mean, the squares between the units of g within the next larger units h are
    T_g - T_h. In expectation T_g holds sum_u sum_v n_uv^2 / n_u times the variance of every
    classification with units v, n_uv being the rows that u and v share, and the within variance
    once per unit; equating the squares to their expectations gives the variances (Henderson's
    method 1; Searle, Casella & McCulloch 1992, doi:10.1002/9780470316856, chapter 5). With one
    classification: s2_between = (MS_between - MS_within) / n0,
    n0 = (N - sum n_j^2 / N) / (J - 1).

    Parameters
    ----------
    y : array, shape (rows,)
    classifications : sequence of array of int, shape (rows,)
        Units of each row, numbered from 0; the largest units first, each classification nested
        within the one before.

    Returns
    -------
    NestedSquares
        Variances are NaN where no row is left to estimate the variance within units.

    Examples
    --------
    >>> found = nested_squares(np.array([1.0, 3.0, 5.0, 7.0]), [np.array([0, 0, 1, 1])])
    >>> found.squares.tolist(), found.df.tolist(), found.variances.tolist()
    ([16.0, 4.0], [1, 2], [7.0, 2.0])
    """
    # A large mean would cancel the digits of the differences.
    y = np.asarray(y, dtype=float) - np.mean(y)
    rows = len(y)
    levels = [np.zeros(rows, dtype=int), *classifications]
    totals = [_squared_means(y, index) for index in levels]
    counts = [int(index.max()) + 1 for index in levels]
    squares = np.diff([*totals, float(y @ y)])
    df = np.diff([*counts, rows])
    inside = np.array([[_overlap(outer, inner) for inner in classifications] for outer in levels])
    expected = np.zeros((len(squares), len(squares)))
    expected[:, -1] = df
    expected[:-1, :-1] = np.diff(inside, axis=0)
    variances = np.full(len(squares), np.nan)
    if (df > 0).all():
        variances = np.linalg.solve(expected, squares)
    sizes = np.diag(expected)[:-1] / np.maximum(df[:-1], 1)
    return NestedSquares(squares, df, variances, sizes)


def _squared_means(y: np.ndarray, index: np.ndarray) -> float:
    sums, counts = np.bincount(index, y), np.bincount(index)
    return float((sums**2 / np.maximum(counts, 1)).sum())


def _overlap(outer: np.ndarray, inner: np.ndarray) -> float:
    """Return sum over units u of `outer` and v of `inner` of n_uv^2 / n_u."""
    width = int(inner.max()) + 1
    pairs, shared = np.unique(outer.astype(np.int64) * width + inner, return_counts=True)
    return float((shared.astype(float) ** 2 / np.bincount(outer)[pairs // width]).sum())
