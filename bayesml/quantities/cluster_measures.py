"""What the variance between units means for ratios, for sample sizes, and for units' means."""

import numpy as np
from scipy import stats

# exp(700) is near the largest number.
_LARGEST_EXPONENT = 700.0


def median_ratio(variance: np.ndarray) -> np.ndarray:
    """Return the median ratio of two units whose effects have this variance: MOR or MRR.

    Two units are drawn at random, and the one with the higher odds (rate) is compared with the
    other: the median of the ratio is exp(sqrt(2 s2) Phi^-1(0.75)). Larsen & Merlo (2005),
    doi:10.1093/aje/kwi017; for rates Austin, Stryhn, Leckie & Merlo (2018), doi:10.1002/sim.7532.

    Parameters
    ----------
    variance : array
        Variance of the effects on the scale of the log odds or log rate.

    Returns
    -------
    array
        At least 1; cut at exp(700).

    Examples
    --------
    >>> round(float(median_ratio(np.array(0.4752**2))), 2)
    1.57
    """
    spread = np.sqrt(2 * np.asarray(variance, dtype=float)) * stats.norm.ppf(0.75)
    return np.exp(np.minimum(spread, _LARGEST_EXPONENT))


def shares_of_rows(
    index: np.ndarray, units: int, other: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return, per unit, the sum of squared shares that another grouping's units have in its rows.

    The mean of a unit's rows has the variance s2 q from the effects of another grouping, where q
    is the sum over that grouping's units of the squared share of the rows (or of their weights).

    Parameters
    ----------
    index : array of int, shape (rows,)
        Unit of each row.
    units : int
        Number of units.
    other : array of int, shape (rows,) or (rows, slots)
        Unit of each row in the other grouping.
    weights : array, shape (rows, slots), or None
        Weights of a multiple membership.

    Returns
    -------
    array, shape (units,)
        1 where a unit lies in one unit of the other grouping, smaller where it has rows of many.

    Examples
    --------
    >>> shares_of_rows(np.array([0, 0, 1, 1]), 2, np.array([0, 1, 2, 2])).tolist()
    [0.5, 1.0]
    """
    from scipy import sparse

    slots = other if weights is not None else other[:, None]
    amounts = np.ones(slots.shape) if weights is None else weights
    rows = np.broadcast_to(index[:, None], slots.shape)
    shape = (units, int(other.max()) + 1)
    table = sparse.coo_array((amounts.ravel(), (rows.ravel(), slots.ravel())), shape=shape).tocsr()
    sizes = np.bincount(index, minlength=units).astype(float)
    return np.asarray(table.multiply(table).sum(axis=1)).reshape(-1) / sizes**2


def mean_reliability(
    own: np.ndarray, error: np.ndarray, level1: np.ndarray, sizes: np.ndarray
) -> np.ndarray:
    """Return the reliability of the mean of a unit's rows: s2_u / (s2_u + error + s2_e / n).

    Lüdtke, Marsh, Robitzsch, Trautwein, Asparouhov & Muthén (2008), doi:10.1037/a0012869.

    Parameters
    ----------
    own : array, shape (..., 1)
        Variance between the units.
    error : array, shape (..., units)
        Variance of the mean from the effects of other groupings.
    level1 : array, shape (..., 1)
        Level-1 variance of one row.
    sizes : array, shape (units,)
        Number of rows of each unit.

    Returns
    -------
    array, shape (..., units)

    Examples
    --------
    >>> mean_reliability(np.array([1.0]), np.zeros(2), np.array([3.0]), np.array([1, 9])).tolist()
    [0.25, 0.75]
    """
    with np.errstate(invalid="ignore"):
        return own / (own + error + level1 / sizes)


def effective_unit_size(index: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return n~, the number of rows of a unit that a row meets on average.

    n~ = sum n_j^2 / sum n_j; with multiple membership the sums of the units' weights take the
    place of n_j, and the sum of all squared weights that of sum n_j.

    Parameters
    ----------
    index : array of int, shape (rows,) or (rows, slots)
        Unit of each row or slot.
    weights : array, shape (rows, slots), or None
        Weights of a multiple membership.

    Examples
    --------
    >>> effective_unit_size(np.array([0, 0, 0, 1]))
    2.5
    """
    if weights is None:
        counts = np.bincount(index).astype(float)
        return float((counts**2).sum() / counts.sum())
    sums = np.bincount(index.ravel(), weights.ravel())
    return float((sums**2).sum() / (weights**2).sum())
