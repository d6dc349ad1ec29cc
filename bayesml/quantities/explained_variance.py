"""How much of a variance is explained, and how columns vary within and between units."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Relative size below which a column does not vary, or a residual vanishes.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Membership:
    """Which unit of a grouping each row belongs to.

    Parameters
    ----------
    index : array of int, shape (rows,) or (rows, slots)
    units : int
    weights : array, shape (rows, slots), or None
        Weights of a multiple membership; those of a row sum to 1.
    """

    index: np.ndarray
    units: int
    weights: np.ndarray | None = None


@dataclass(frozen=True)
class UnitSplit:
    """Columns as sums of parts that vary between the units of groupings, and one within them.

    Parameters
    ----------
    between : tuple of array, shape (rows, columns)
        One per grouping, of mean 0.
    within : array, shape (rows, columns)
        What varies within units of every grouping, of mean 0.
    orthogonal : bool
        Whether the parts are uncorrelated by construction: groupings nested in one line.
    """

    between: tuple[np.ndarray, ...]
    within: np.ndarray
    orthogonal: bool


def quadratic_forms(vectors: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return v' A v of each vector.

    Parameters
    ----------
    vectors : array, shape (..., columns)
    matrix : array, shape (columns, columns)

    Returns
    -------
    array, shape (...)
    """
    return ((vectors @ matrix) * vectors).sum(axis=-1)


def traces(covariances: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Return tr(Sigma M): the mean of z' Sigma z over rows with the second moments M.

    Johnson (2014), doi:10.1111/2041-210X.12225.

    Parameters
    ----------
    covariances : array, shape (..., terms, terms)
    moments : array, shape (terms, terms)
        Mean of z z' over the rows.

    Returns
    -------
    array, shape (...)
    """
    # Rounding may leave a variance of 0 a little below it.
    return np.maximum((covariances * moments).sum(axis=(-2, -1)), 0.0)


def split_by_units(
    columns: np.ndarray, memberships: Sequence[Membership], containing: np.ndarray
) -> UnitSplit:
    """Return columns as a part between the units of each grouping, and a part within all units.

    A grouping's part is the column's mean in each unit. Nested groupings come in turn, the outer
    ones first: children's means are taken of what is left within schools. Crossed groupings are
    fitted together by least squares, each with one number per unit, so that a predictor of one of
    them belongs to it alone; in tables that are not balanced their parts may be correlated.

    Parameters
    ----------
    columns : array, shape (rows, columns)
    memberships : sequence of Membership
    containing : array of bool, shape (groupings, groupings)
        ``containing[g, h]``: each unit of g lies in one unit of h.

    Returns
    -------
    UnitSplit

    Examples
    --------
    >>> x = np.array([[1.0], [3.0], [6.0], [6.0]])
    >>> one = Membership(np.array([0, 0, 1, 1]), 2)
    >>> found = split_by_units(x, [one], np.zeros((1, 1), bool))
    >>> found.between[0].ravel().tolist(), found.within.ravel().tolist()
    ([-2.0, -2.0, 2.0, 2.0], [-1.0, 1.0, 0.0, 0.0])
    """
    rest = columns - columns.mean(axis=0)
    parts: list[np.ndarray] = [np.zeros_like(rest) for _ in memberships]
    done: set[int] = set()
    orthogonal = True
    while len(done) < len(memberships):
        # Those that lie in nothing that is still to come.
        tier = [
            g
            for g in range(len(memberships))
            if g not in done and set(np.flatnonzero(containing[g])) <= done
        ]
        if len(tier) == 1 and memberships[tier[0]].weights is None:
            parts[tier[0]] = unit_means(rest, memberships[tier[0]])
            orthogonal &= done <= set(np.flatnonzero(containing[tier[0]]))
        else:
            for g, part in zip(tier, _fit_together(rest, memberships, tier), strict=True):
                parts[g] = part
            orthogonal &= len(tier) == 1 and not done
        rest = rest - sum(parts[g] for g in tier)
        done |= set(tier)
    return UnitSplit(tuple(parts), rest, orthogonal)


def unit_means(columns: np.ndarray, membership: Membership) -> np.ndarray:
    """Return the mean of each row's unit, shape (rows, columns)."""
    index, units = membership.index, membership.units
    counts = np.maximum(np.bincount(index, minlength=units), 1)
    found = np.empty_like(columns, dtype=float)
    for number, column in enumerate(columns.T):
        found[:, number] = (np.bincount(index, column, minlength=units) / counts)[index]
    return found


def _fit_together(
    columns: np.ndarray, memberships: Sequence[Membership], tier: Sequence[int]
) -> list[np.ndarray]:
    """Return the parts of columns that a least-squares fit gives to the units of each grouping."""
    from scipy import sparse
    from scipy.sparse.linalg import lsmr

    tables = [_incidence(memberships[g]) for g in tier]
    joint = sparse.hstack(tables).tocsr()
    parts = [np.zeros_like(columns) for _ in tier]
    starts = np.cumsum([0, *(table.shape[1] for table in tables)])
    for number, column in enumerate(columns.T):
        scale = float(np.abs(column).max())
        if scale == 0:
            continue
        fitted = lsmr(joint, column / scale, atol=1e-13, btol=1e-13, maxiter=10_000)[0] * scale
        for part, table, start, stop in zip(parts, tables, starts, starts[1:], strict=False):
            effect = table @ fitted[start:stop]
            part[:, number] = effect - effect.mean()
    return parts


def _incidence(membership: Membership):  # type: ignore[no-untyped-def]  # SciPy has no types
    """Return the rows' weights of each unit as a sparse table."""
    from scipy import sparse

    slots = membership.index if membership.weights is not None else membership.index[:, None]
    weights = np.ones(slots.shape) if membership.weights is None else membership.weights
    rows = np.broadcast_to(np.arange(len(slots))[:, None], slots.shape)
    shape = (len(slots), membership.units)
    return sparse.coo_array((weights.ravel(), (rows.ravel(), slots.ravel())), shape=shape).tocsr()


def unit_predictors(
    predictors: np.ndarray, membership: Membership, terms: np.ndarray
) -> np.ndarray:
    """Return what each predictor says about the units' own coefficients.

    A predictor that is constant within units explains the varying intercept; one that is such a
    constant times a term (the term itself, or a cross-level interaction) explains that term's
    slope. Others explain nothing between units.

    Parameters
    ----------
    predictors : array, shape (rows, coefficients)
    membership : Membership
        Without multiple membership.
    terms : array, shape (rows, terms)

    Returns
    -------
    array, shape (units, terms, coefficients)
        In a unit with coefficients b, the predictors give the term the value b' x.

    Examples
    --------
    >>> size = np.array([[5.0], [5.0], [9.0]])  # of schools
    >>> one = Membership(np.array([0, 0, 1]), 2)
    >>> unit_predictors(size, one, np.ones((3, 1))).ravel().tolist()
    [5.0, 9.0]
    """
    index, units = membership.index, membership.units
    found = np.zeros((units, terms.shape[1], predictors.shape[1]))
    for number, x in enumerate(predictors.T):
        limit = TOLERANCE * max(float(np.abs(x).max()), 1e-300)
        candidates = []
        for term, z in enumerate(terms.T):
            squares = np.bincount(index, z * z, minlength=units)
            known = squares > 0
            ratio = np.bincount(index, z * x, minlength=units) / np.where(known, squares, 1.0)
            if np.abs(x - z * ratio[index]).max() <= limit:
                # A unit in which the term is always 0 says nothing; the others' mean stands there.
                ratio[~known] = ratio[known].mean() if known.any() else 0.0
                candidates.append((float(np.ptp(ratio)) > 1e-7 * np.abs(ratio).max(), term, ratio))
        if candidates:
            # A term itself before a multiple of it that differs between units.
            _, term, ratio = min(candidates, key=lambda item: item[:2])
            found[:, term, number] = ratio
    return found


def explained(part: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Return part / (part + rest), NaN where both are 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return part / (part + rest)
