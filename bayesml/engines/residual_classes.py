"""Residual structures of a Gaussian model as classes of rows, and of sums and differences of rows.

Within a class all rows count alike, so the cross-products of a class enter once, and the residual
parameters change its coefficient only; `residual_kernels` computes those.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from bayesml.engines.elimination import MOST_ENTRIES, Elimination, TooLarge, eliminate
from bayesml.engines.meetings import GroupingArrays
from bayesml.engines.residual_kernels import (
    ANGLE,
    AUTOREGRESSIVE,
    BOUNDED,
    EQUAL,
    LOG,
    NONE,
    PATTERNS,
    REAL,
    STRATA,
    Residuals,
)

# Cross-products are made, and combined at every evaluation, class by class.
MOST_CLASSES = 200


@dataclass(frozen=True)
class ResidualClasses:
    """Classes of combinations of rows.

    Parameters
    ----------
    combination : sparse array, shape (combinations, rows)
        The rows of a combination belong to one unit of every grouping.
    first_row : array of int, shape (combinations,)
        A row of each combination.
    number : array of int, shape (combinations,)
        Class of each combination.
    classes : int
        Number of classes.
    residuals : Residuals
        How parameters give the coefficients of the classes.
    """

    combination: sparse.csr_array
    first_row: np.ndarray
    number: np.ndarray
    classes: int
    residuals: Residuals

    @property
    def parameters(self) -> int:
        """Number of residual parameters beside sigma."""
        return len(self.residuals.kind)


def _residuals(structure: int, kind: Sequence[int], **arrays: Any) -> Residuals:
    empty = np.empty(0)
    fields: dict[str, Any] = {
        "log_sd": np.empty((0, 1 + len(kind))),
        "number": empty,
        "counts": empty,
        "seen": np.empty((0, 0), dtype=np.int64),
        "bounds": np.array([0.0, 1.0]),
    } | arrays
    return Residuals(
        structure=np.array([structure], dtype=np.int64),
        log_sd=np.ascontiguousarray(fields["log_sd"], dtype=float),
        number=np.asarray(fields["number"], dtype=float),
        counts=np.asarray(fields["counts"], dtype=float),
        seen=np.ascontiguousarray(fields["seen"], dtype=np.int64),
        bounds=np.asarray(fields["bounds"], dtype=float),
        kind=np.array(kind, dtype=np.int64),
    )


ALIKE = _residuals(NONE, ())


def strata(log_sd: np.ndarray, stratum: np.ndarray, kind: Sequence[int]) -> ResidualClasses:
    """Return independent residuals whose SD depends on a row's stratum.

    Parameters
    ----------
    log_sd : array, shape (strata, 1 + parameters)
        The log of each SD relative to sigma is linear in (log sigma, parameters).
    stratum : array of int, shape (rows,)
    kind : sequence of int
        ``REAL`` or ``LOG``, for each parameter.
    """
    rows = len(stratum)
    return ResidualClasses(
        sparse.eye_array(rows, format="csr"),
        np.arange(rows),
        stratum,
        len(log_sd),
        _residuals(STRATA, kind, log_sd=log_sd, counts=np.bincount(stratum, minlength=len(log_sd))),
    )


def sds_of_their_own(count: int, further: int = 0) -> np.ndarray:
    """Return `log_sd` where sigma is the first SD and the logs of the others are parameters."""
    log_sd = np.zeros((count, count + further))
    log_sd[1:, 0] = -1.0
    log_sd[np.arange(1, count), np.arange(1, count)] = 1.0
    return log_sd


def autoregressive(
    unit: np.ndarray, place: np.ndarray, bounds: tuple[float, float]
) -> ResidualClasses:
    """Return residuals whose correlation is phi to the power of the distance in their unit.

    Parameters
    ----------
    unit : array of int, shape (rows,)
    place : array, shape (rows,)
        Position or time; distances are whole numbers where phi may be negative.
    bounds : (float, float)
        Of phi.
    """
    order = np.lexsort((place, unit))
    later = np.flatnonzero(np.diff(unit[order]) == 0) + 1
    row, before = order[later], order[later - 1]
    gaps, number = np.unique(place[row] - place[before], return_inverse=True)
    ends = np.ones(len(unit))
    ends[row] -= 0.5
    ends[before] -= 0.5
    at_end = np.flatnonzero(ends)
    return ResidualClasses(
        _stacked(
            len(unit),
            ([at_end], [np.sqrt(ends[at_end])]),
            ([row, before], [1.0, -1.0]),
            ([row, before], [1.0, 1.0]),
        ),
        np.concatenate([at_end, row, row]),
        np.concatenate([np.zeros(len(at_end)), 1 + 2 * number, 2 + 2 * number]).astype(np.int64),
        1 + 2 * len(gaps),
        _residuals(
            AUTOREGRESSIVE, (BOUNDED,), number=gaps, counts=np.bincount(number), bounds=bounds
        ),
    )


def equally_correlated(unit: np.ndarray, bounds: tuple[float, float]) -> ResidualClasses:
    """Return residuals with one correlation for every two rows of a unit."""
    rows = np.arange(len(unit))
    _, unit, size = np.unique(unit, return_inverse=True, return_counts=True)
    sizes, number = np.unique(size, return_inverse=True)
    membership = sparse.csr_array((np.ones(len(unit)), (unit, rows)), shape=(len(size), len(unit)))
    means = sparse.diags_array(1 / size) @ membership
    deviations = sparse.eye_array(len(unit)) - means[unit]
    first = np.zeros(len(size), dtype=np.int64)
    first[unit[::-1]] = rows[::-1]
    return ResidualClasses(
        sparse.csr_array(
            sparse.vstack([deviations, sparse.diags_array(np.sqrt(size)) @ means], format="csr")
        ),
        np.concatenate([rows, first]),
        np.concatenate([np.zeros(len(unit)), 1 + number]).astype(np.int64),
        1 + len(sizes),
        _residuals(EQUAL, (BOUNDED,), number=sizes, counts=np.bincount(number), bounds=bounds),
    )


def by_pair(unit: np.ndarray, occasion: np.ndarray, occasions: int) -> ResidualClasses:
    """Return residuals with an SD for each occasion and a correlation for each pair.

    Sigma is the SD of the first occasion; the parameters are the logs of the others, then the
    angles of the correlations, row by row.
    """
    _, unit = np.unique(unit, return_inverse=True)
    row_at = np.full((unit.max() + 1, occasions), -1)
    row_at[unit, occasion] = np.arange(len(unit))
    seen, pattern = np.unique(row_at >= 0, axis=0, return_inverse=True)
    pattern = pattern.reshape(-1)
    parts: list[tuple[list[np.ndarray], list[np.ndarray | float]]] = []
    number: list[np.ndarray] = []
    classes = 0
    for p, there in enumerate(seen):
        rows = row_at[pattern == p][:, there]
        parts += [([rows[:, i]], [1.0]) for i in range(rows.shape[1])]
        parts += [
            ([rows[:, i], rows[:, j]], [1.0, -1.0]) for i in range(rows.shape[1]) for j in range(i)
        ]
        own = rows.shape[1] * (rows.shape[1] + 1) // 2
        number.append(np.repeat(np.arange(classes, classes + own), len(rows)))
        classes += own
    angles = occasions * (occasions - 1) // 2
    return ResidualClasses(
        _stacked(len(unit), *parts),
        np.concatenate([rows[0] for rows, _ in parts]),
        np.concatenate(number).astype(np.int64),
        classes,
        _residuals(
            PATTERNS,
            (*(LOG,) * (occasions - 1), *(ANGLE,) * angles),
            log_sd=sds_of_their_own(occasions, angles),
            counts=np.bincount(pattern),
            seen=seen,
        ),
    )


def _stacked(
    width: int, *parts: tuple[Sequence[np.ndarray], Sequence[np.ndarray | float]]
) -> sparse.csr_array:
    """Return combinations of rows: for each part, the rows and their weights."""
    found = []
    for rows, weights in parts:
        count = len(rows[0])
        at = np.tile(np.arange(count), len(rows))
        values = np.concatenate([np.broadcast_to(weight, count) for weight in weights])
        found.append(sparse.csr_array((values, (at, np.concatenate(rows))), shape=(count, width)))
    return sparse.csr_array(sparse.vstack(found, format="csr"))


def rows_apart(classes: ResidualClasses, groupings: Sequence[GroupingArrays]) -> list[int]:
    """Return the groupings in which some combination has rows of different units."""
    entries = classes.combination.tocoo()
    first, row = classes.first_row[entries.coords[0]], entries.coords[1]
    found = []
    for g, item in enumerate(groupings):
        same = (item.index[first] == item.index[row]).all()
        if same and item.weights is not None:
            same = (item.weights[first] == item.weights[row]).all()
        if not same:
            found.append(g)
    return found


def eliminate_classes(
    fixed: np.ndarray, groupings: Sequence[GroupingArrays], classes: ResidualClasses
) -> Elimination:
    """Return the order of elimination, and the cross-products class by class.

    Parameters
    ----------
    fixed : array, shape (rows, columns)
    groupings : sequence of GroupingArrays
    classes : ResidualClasses

    Raises
    ------
    TooLarge
        Too many units would have to be kept in a dense matrix, or there are too many classes.
    """
    if classes.classes > MOST_CLASSES:
        raise TooLarge(
            f"the residual correlation has {classes.classes} coefficients, one or two for each "
            "distance between neighbours or pair of occasions of a unit with the same occasions: "
            f"the limit is {MOST_CLASSES}"
        )
    combined = classes.combination @ fixed
    own = [
        replace(
            item,
            index=item.index[classes.first_row],
            weights=None if item.weights is None else item.weights[classes.first_row],
            terms=_combined_terms(classes.combination, item.terms),
        )
        for item in groupings
    ]
    found = eliminate(combined, own)
    columns = []
    for k in range(classes.classes):
        here = classes.number == k
        # The same units, so the same order and places; the other classes' rows are zeros.
        plan = eliminate(
            _only(here, combined),
            [replace(item, terms=_only(here, item.terms)) for item in own],
        ).plan
        values = (plan.cross_fronts, plan.cross_core, plan.cross_fixed, plan.cross_outcome)
        columns.append(sparse.csc_array(np.concatenate([item.ravel() for item in values])[:, None]))
    entries = sparse.csr_array(sparse.hstack(columns, format="csr"))
    if entries.nnz > MOST_ENTRIES:
        raise TooLarge(
            f"there are {entries.nnz:,} cross-products of classes of residuals, and "
            f"{MOST_ENTRIES:,} is the limit"
        )
    return replace(
        found,
        plan=found.plan._replace(
            cross_units=np.empty((0, 0, 0)),
            entry_start=entries.indptr.astype(np.int64),
            entry_class=entries.indices.astype(np.int64),
            entry_value=entries.data,
            classes=np.array([classes.classes], dtype=np.int64),
        ),
    )


def _combined_terms(combination: sparse.csr_array, terms: np.ndarray) -> np.ndarray:
    """Return Z of combinations of rows, by slot where members have terms of their own."""
    found: np.ndarray = combination @ terms.reshape(len(terms), -1)
    return found.reshape(-1, *terms.shape[1:])


def _only(chosen: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the values of the chosen rows, and zeros in the others."""
    return np.where(chosen.reshape(-1, *[1] * (values.ndim - 1)), values, 0.0)


def residual_values(
    residuals: Residuals, sigma: np.ndarray, parameters: np.ndarray
) -> dict[str, np.ndarray]:
    """Return draws of what the residual parameters say, on scales that users know.

    Parameters
    ----------
    residuals : Residuals
    sigma : array, shape (draws,)
    parameters : array, shape (draws, parameters)
        Without constraints.

    Returns
    -------
    dict of str to array
        ``sd``, shape (draws, SDs), where they are parameters; ``bounded``, shape (draws,);
        ``angles``, shape (draws, angles); ``real``, shape (draws, parameters).
    """
    low, high = residuals.bounds
    found: dict[str, np.ndarray] = {}
    for kind, name in ((REAL, "real"), (LOG, "sd"), (BOUNDED, "bounded"), (ANGLE, "angles")):
        own = parameters[:, residuals.kind == kind]
        if kind == LOG:
            found[name] = np.column_stack([sigma, np.exp(own)])
        elif kind == BOUNDED and own.size:
            found[name] = low + (high - low) / (1 + np.exp(-own[:, 0]))
        elif own.size:
            found[name] = own
    return found
