"""The core, a dense matrix of the random effects that are not eliminated unit by unit.

Above `SMALL` LAPACK factorises and inverts it, in place, through the functions that numba keeps for
`np.linalg.cholesky` and `np.linalg.inv`: those two copy the matrix three times, and the second one
knows nothing of a factor that is there already.
"""

import numpy as np
from numba import types
from numba.np.linalg import _LAPACK

from bayesml.engines.unit_kernels import cholesky_in_place, kernel, summing_kernel

# Up to this size a dense matrix is factorised here, above it by LAPACK.
SMALL = 40

_potrf = _LAPACK().numba_xxpotrf(types.float64)
_getri = _LAPACK().numba_ez_xxgetri(types.float64)
_DOUBLE, _UPPER = ord("d"), ord("U")


@kernel
def scaled_core(plan, factors, core):  # type: ignore[no-untyped-def]
    """Write the lower triangle of L' Z'Z L + I of the units that are not eliminated."""
    eliminated = plan.front_start.size - 1
    core_first = plan.unit_column[eliminated]
    for i in range(eliminated, plan.unit_group.size):
        ki = plan.group_size[plan.unit_group[i]]
        row = plan.unit_column[i] - core_first
        li = plan.factor_start[plan.unit_group[i]]
        j = eliminated
        while j <= i:
            g = plan.unit_group[j]
            kj = plan.group_size[g]
            column = plan.unit_column[j] - core_first
            lj = plan.factor_start[g]
            if ki == 1 and kj == 1:
                # All units of one grouping at once
                last = min(i, unit_run(plan, j, i))
                scale = factors[li] * factors[lj]
                for c in range(column, column + last - j + 1):
                    core[row, c] = scale * plan.cross_core[row, c]
                j = last + 1
                continue
            for a in range(ki):
                for b in range(kj):
                    total = 0.0
                    for c in range(a, ki):
                        for d in range(b, kj):
                            total += (
                                factors[li + c * ki + a]
                                * plan.cross_core[row + c, column + d]
                                * factors[lj + d * kj + b]
                            )
                    core[row + a, column + b] = total
            j += 1
        for a in range(ki):
            core[row + a, row + a] += 1.0


@kernel
def unit_run(plan, first, most):  # type: ignore[no-untyped-def]
    """Return the last unit, up to `most`, of the grouping to which the unit `first` belongs."""
    g = plan.unit_group[first]
    if plan.unit_group[most] == g:
        return most
    low, high = first, most
    while high - low > 1:
        middle = (low + high) // 2
        if plan.unit_group[middle] == g:
            low = middle
        else:
            high = middle
    return low


@kernel
def most_rows(plan):  # type: ignore[no-untyped-def]
    """Return the number of rows of the highest front."""
    most = 1
    for e in range(plan.front_start.size - 1):
        k = plan.group_size[plan.unit_group[e]]
        most = max(most, (plan.front_start[e + 1] - plan.front_start[e]) // k)
    return most


@kernel
def core_places(plan, unit, places):  # type: ignore[no-untyped-def]
    """Write, for each row of a unit's front that belongs to the core, which of its rows that is.

    Returns the first such row of the front; they are the last ones.
    """
    eliminated = plan.front_start.size - 1
    core_first = plan.unit_column[eliminated]
    row = plan.group_size[plan.unit_group[unit]]
    first = row
    for t in range(plan.neighbour_start[unit], plan.neighbour_start[unit + 1]):
        other = plan.neighbour[t]
        for b in range(plan.group_size[plan.unit_group[other]]):
            if other < eliminated:
                first += 1
            else:
                places[row] = plan.unit_column[other] + b - core_first
            row += 1
    return first


@kernel
def subtract_fronts(plan, fronts, core):  # type: ignore[no-untyped-def]
    """Subtract F F' from the core's lower triangle for the last rows F of every unit's front.

    It goes by the rows of the core, each of which stays in the cache while all units that meet it
    are subtracted: unit by unit it would take twice as long.
    """
    eliminated = plan.front_start.size - 1
    size = core.shape[0]
    # Which row of the core each row of a front is, and where the rows of each unit begin
    row_start = np.empty(eliminated + 1, dtype=np.int64)
    first_row = np.empty(eliminated, dtype=np.int64)
    row_start[0] = 0
    for e in range(eliminated):
        k = plan.group_size[plan.unit_group[e]]
        row_start[e + 1] = row_start[e] + (plan.front_start[e + 1] - plan.front_start[e]) // k
    # Without a sign, so that numba need not look for places that count from the end
    places = np.empty(row_start[eliminated], dtype=np.uint32)
    begin = np.zeros(size + 1, dtype=np.int64)
    for e in range(eliminated):
        own = places[row_start[e] : row_start[e + 1]]
        first_row[e] = core_places(plan, e, own)
        for r in range(first_row[e], own.size):
            begin[own[r] + 1] += 1
    for i in range(size):
        begin[i + 1] += begin[i]
    units = np.empty(begin[size], dtype=np.int64)
    rows = np.empty(begin[size], dtype=np.int64)
    filled = begin.copy()
    for e in range(eliminated):
        own = places[row_start[e] : row_start[e + 1]]
        for r in range(first_row[e], own.size):
            units[filled[own[r]]] = e
            rows[filled[own[r]]] = r
            filled[own[r]] += 1
    for i in range(size):
        for m in range(begin[i], begin[i + 1]):
            e = units[m]
            k = plan.group_size[plan.unit_group[e]]
            first = first_row[e]
            _subtract_multiples(
                core[i],
                places[row_start[e] + first : row_start[e] + rows[m] + 1],
                fronts[plan.front_start[e] + first * k :],
                (rows[m] - first) * k,
                k,
            )


@kernel
def _subtract_multiples(target, places, front, own, k):  # type: ignore[no-untyped-def]
    """Subtract from some places of a row the products of rows of a front with the one at `own`."""
    count = np.uint64(places.size)
    if k == 1:
        x = front[own]
        for s in range(count):
            target[places[s]] -= x * front[s]
    elif k == 2:
        x, y = front[own], front[own + 1]
        for s in range(count):
            target[places[s]] -= x * front[2 * s] + y * front[2 * s + 1]
    else:
        for s in range(places.size):
            total = 0.0
            for a in range(k):
                total += front[own + a] * front[s * k + a]
            target[places[s]] -= total


@kernel
def factorise_core(core, fixed, core_first):  # type: ignore[no-untyped-def]
    """Replace the core's lower triangle by its Cholesky factor, and solve for its rows of `fixed`.

    Returns the log determinant of the core, or NaN.
    """
    size = core.shape[0]
    if size <= SMALL:
        if not cholesky_in_place(core, size):
            return np.nan
    else:
        for i in range(size):
            if not core[i, i] > 0.0:
                return np.nan
        # The lower triangle, row by row, is the upper one to LAPACK, which goes by columns.
        if _potrf(_DOUBLE, _UPPER, size, core.ctypes, size) != 0:
            return np.nan
    log_determinant = 0.0
    for i in range(size):
        if not core[i, i] > 0.0:
            return np.nan
        log_determinant += 2.0 * np.log(core[i, i])
    columns = fixed.shape[1]
    solved = np.empty((columns, size))
    for i in range(size):
        for c in range(columns):
            total = fixed[core_first + i, c] - inner_product(core[i], solved[c], i)
            solved[c, i] = total / core[i, i]
            fixed[core_first + i, c] = solved[c, i]
    return log_determinant


@summing_kernel
def inner_product(one, other, size):  # type: ignore[no-untyped-def]
    """Return the inner product of the first `size` entries."""
    total = 0.0
    for i in range(size):
        total += one[i] * other[i]
    return total


@kernel
def core_inverse(core):  # type: ignore[no-untyped-def]
    """Return (L L')^-1 of the core from its Cholesky factor."""
    size = core.shape[0]
    out = np.empty((size, size))
    if size <= SMALL:
        inverse_of_factor(core, size, out)
        return out
    # LAPACK's inverse from an LU factorisation: with D the diagonal of L, L L' = (L D^-1)(D L').
    for i in range(size):
        out[i, i] = core[i, i] * core[i, i]
        for j in range(i):
            out[i, j] = core[i, j] * core[j, j]
    block = 32
    for first in range(0, size, block):
        for low in range(first, size, block):
            for j in range(first, min(first + block, size)):
                scale = 1.0 / core[j, j]
                for i in range(max(j + 1, low), min(low + block, size)):
                    out[j, i] = core[i, j] * scale
    pivots = np.arange(1, size + 1).astype(np.int32)
    if _getri(_DOUBLE, size, out.ctypes, size, pivots.ctypes) != 0:
        out[:] = np.nan
    return out


@kernel
def inverse_of_factor(block, size, out):  # type: ignore[no-untyped-def]
    """Write (L L')^-1 for the small lower-triangular matrix at the top of `block`."""
    inverse = np.zeros((size, size))
    for j in range(size):
        inverse[j, j] = 1.0 / block[j, j]
        for i in range(j + 1, size):
            total = 0.0
            for m in range(j, i):
                total -= block[i, m] * inverse[m, j]
            inverse[i, j] = total / block[i, i]
    for i in range(size):
        for j in range(size):
            total = 0.0
            for m in range(max(i, j), size):
                total += inverse[m, i] * inverse[m, j]
            out[i, j] = total
