"""Predictors that are, within every unit, multiples of the units' own terms."""

from dataclasses import dataclass

import numpy as np

from bayesml.quantities.dummy_regression import project, single_blocks

# Relative size of what may be left of a column before it no longer counts as a multiple.
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class UnitMultiples:
    """How columns enter the units' coefficients.

    Parameters
    ----------
    weights : array, shape (units, columns, terms)
        What one unit of each column's coefficient adds to each coefficient of the unit: a
        predictor of the units adds its value to the intercept, a cross-level interaction adds it
        to the slope.
    inside : array of bool, shape (columns,)
        Whether the column is such a multiple in every unit; the weights of the others are 0.
    """

    weights: np.ndarray
    inside: np.ndarray


def unit_multiples(
    columns: np.ndarray, index: np.ndarray, terms: np.ndarray, units: int, multiple: bool
) -> UnitMultiples:
    """Return how columns enter the units' coefficients.

    A column that equals a term belongs to it with weight 1. Otherwise it may be a multiple of one
    term by a factor of the unit, or a combination of the unit's terms.

    Parameters
    ----------
    columns : array, shape (rows, columns)
    index : array of int, shape (rows,) or (rows, slots)
    terms : array, shape (rows, terms)
    units : int
    multiple : bool
        Rows belong to several units: only a column that equals a term counts.

    Returns
    -------
    UnitMultiples

    Examples
    --------
    >>> school = np.array([0, 0, 1, 1])
    >>> size = np.array([[5.0], [5.0], [9.0], [9.0]])  # the same for all rows of a school
    >>> unit_multiples(size, school, np.ones((4, 1)), 2, False).weights.ravel().tolist()
    [5.0, 9.0]
    """
    weights = np.zeros((units, columns.shape[1], terms.shape[1]))
    inside = np.zeros(columns.shape[1], dtype=bool)
    for place, column in enumerate(columns.T):
        found = _equal(column, terms, units)
        if found is None and not multiple:
            found = _factor(column, index, terms, units)
        if found is None and not multiple and terms.shape[1] > 1:
            found = _combination(column, index, terms, units)
        if found is not None:
            weights[:, place], inside[place] = found, True
    return UnitMultiples(weights, inside)


def _vanishes(rest: np.ndarray, column: np.ndarray) -> bool:
    return bool(np.abs(rest).max() <= _TOLERANCE * max(float(np.abs(column).max()), 1e-300))


def _equal(column: np.ndarray, terms: np.ndarray, units: int) -> np.ndarray | None:
    for place, term in enumerate(terms.T):
        if _vanishes(column - term, column):
            found = np.zeros((units, terms.shape[1]))
            found[:, place] = 1.0
            return found
    return None


def _factor(
    column: np.ndarray, index: np.ndarray, terms: np.ndarray, units: int
) -> np.ndarray | None:
    for place, term in enumerate(terms.T):
        size = np.bincount(index, term * term, minlength=units)
        factor = np.bincount(index, term * column, minlength=units) / np.where(size > 0, size, 1.0)
        if _vanishes(column - factor[index] * term, column):
            found = np.zeros((units, terms.shape[1]))
            found[:, place] = factor
            return found
    return None


def _combination(
    column: np.ndarray, index: np.ndarray, terms: np.ndarray, units: int
) -> np.ndarray | None:
    found = np.zeros((units, terms.shape[1]))
    rest = column.astype(float).copy()
    for block in single_blocks(index, terms, units):
        inverse = project(block, np.ones(len(block.rows))).inverse
        unit = int(block.columns[0]) // terms.shape[1]
        found[unit] = inverse @ column[block.rows]
        rest[block.rows] -= block.values @ found[unit]
        if not _vanishes(rest[block.rows], column):
            return None
    return found
