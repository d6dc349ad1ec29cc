"""Rows of outcomes that have families of their own: each outcome's rows are worked out together."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

CUTPOINTS = "cutpoints"

# From the number of an outcome, its rows of an array, and its rows of parameters.
OfOutcome = Callable[[int, np.ndarray, Mapping[str, np.ndarray]], np.ndarray]


def parameters_by_outcome(values: np.ndarray, having: Sequence[int], outcomes: int) -> np.ndarray:
    """Return a parameter with a place for every outcome; NaN for those that do not have it.

    Parameters
    ----------
    values : array, shape (..., outcomes that have the parameter)
    having : sequence of int
        Their numbers.
    outcomes : int
        Number of all outcomes.

    Returns
    -------
    array, shape (..., outcomes)

    Examples
    --------
    >>> parameters_by_outcome(np.array([[2.0]]), [1], 3).tolist()
    [[nan, 2.0, nan]]
    """
    found = np.full((*values.shape[:-1], outcomes), np.nan)
    found[..., list(having)] = values
    return found


def padded_cutpoints(by_outcome: Mapping[int, np.ndarray], outcomes: int) -> np.ndarray:
    """Return the cutpoints of ordered outcomes as one array; NaN where an outcome has fewer.

    Parameters
    ----------
    by_outcome : mapping of int to array, shape (..., cutpoints)
        By the outcome's number.
    outcomes : int
        Number of all outcomes.

    Returns
    -------
    array, shape (..., outcomes, cutpoints)

    Examples
    --------
    >>> padded_cutpoints({1: np.array([[-1.0, 2.0]])}, 2).tolist()
    [[[nan, nan], [-1.0, 2.0]]]
    """
    draws = next(iter(by_outcome.values())).shape[:-1]
    most = max(values.shape[-1] for values in by_outcome.values())
    found = np.full((*draws, outcomes, most), np.nan)
    for place, values in by_outcome.items():
        found[..., place, : values.shape[-1]] = values
    return found


def cutpoints_of_outcome(padded: np.ndarray, place: int) -> np.ndarray:
    """Return the cutpoints of one outcome.

    Parameters
    ----------
    padded : array, shape (draws, outcomes, cutpoints)
        As `padded_cutpoints` gives them.
    place : int
        Number of the outcome.

    Returns
    -------
    array, shape (draws, cutpoints)
        Without columns where the outcome is not ordered.

    Examples
    --------
    >>> cutpoints_of_outcome(padded_cutpoints({1: np.array([[-1.0, 2.0]])}, 2), 1).tolist()
    [[-1.0, 2.0]]
    """
    own = padded[:, place]
    return own[:, ~np.isnan(own).all(axis=0)]


def joined_outcomes(
    number: np.ndarray,
    values: np.ndarray,
    parameters: Mapping[str, np.ndarray],
    use: OfOutcome,
    axis: int,
) -> np.ndarray:
    """Return what `use` makes of the rows of each outcome, rows in their own order.

    Parameters
    ----------
    number : array of int, shape (rows,)
        Outcome of each row.
    values : array
        With rows on `axis`.
    parameters : mapping of str to array
        Of the same number of axes, with rows on `axis`, or one entry there for all rows; the
        cutpoints of ordered outcomes as `padded_cutpoints` gives them.
    use : callable
        ``use(outcome, values, parameters)`` returns an array of the shape of its values, or with
        further axes before them. Of an ordered outcome the parameters hold ``cutpoints``, shape
        (draws, cutpoints).
    axis : int
        Axis of the rows, counted from the last: -1 or -2.

    Returns
    -------
    array
        Of the shape of `values`, behind the further axes.

    Examples
    --------
    >>> rows = np.array([0, 1, 0])
    >>> joined_outcomes(rows, np.array([1.0, 2.0, 3.0]), {}, lambda k, v, _: v * (1 - k), -1)
    array([1., 0., 3.])
    """
    found = np.empty(0)
    for place in np.unique(number):
        rows = np.flatnonzero(number == place)
        own = {
            name: _rows(item, rows, axis) for name, item in parameters.items() if name != CUTPOINTS
        }
        if CUTPOINTS in parameters:
            cutpoints = cutpoints_of_outcome(parameters[CUTPOINTS], int(place))
            own |= {CUTPOINTS: cutpoints} if cutpoints.size else {}
        made = use(int(place), np.take(values, rows, axis=axis), own)
        if not found.size:
            found = np.empty((*made.shape[: made.ndim - values.ndim], *values.shape))
        found[(..., rows) if axis == -1 else (..., rows, slice(None))] = made
    return found


def _rows(values: np.ndarray, rows: np.ndarray, axis: int) -> np.ndarray:
    return values if values.shape[axis] == 1 else np.take(values, rows, axis=axis)
