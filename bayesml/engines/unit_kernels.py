"""What the elimination does to the columns of one unit.

numba keeps the machine code on disk and makes it anew when the file of a function changes, but not
when a file that it calls does: `make clean` after a change in one of the files of kernels.
"""

from typing import Any

import numpy as np
from numba import njit

kernel: Any = njit(cache=True, error_model="numpy", nogil=True)
# Written out where a kernel calls it, so that what it calls is not compiled once more.
inlined_kernel: Any = njit(cache=True, error_model="numpy", nogil=True, inline="always")
# Sums may be taken in another order, several terms at a time.
summing_kernel: Any = njit(
    cache=True, error_model="numpy", nogil=True, fastmath={"reassoc", "contract"}
)


@kernel
def cholesky_in_place(a, size):  # type: ignore[no-untyped-def]
    """Replace the lower triangle of a small matrix by its Cholesky factor; false if impossible."""
    for j in range(size):
        pivot = a[j, j]
        for m in range(j):
            pivot -= a[j, m] * a[j, m]
        if not pivot > 0.0:
            return False
        pivot = np.sqrt(pivot)
        a[j, j] = pivot
        for i in range(j + 1, size):
            total = a[i, j]
            for m in range(j):
                total -= a[i, m] * a[j, m]
            a[i, j] = total / pivot
    return True


@kernel
def scale_block(source, start, rows, columns, factors, left, right, out):  # type: ignore[no-untyped-def]
    """Write L_left' A L_right for one block that lies row by row from `start` on.

    `left` and `right` say where in `factors` the two lower triangles begin. Blocks of one and two
    rows, which nearly all are, have no loops: those would cost more than the arithmetic.
    """
    if rows == 1 and columns == 1:
        out[start] = factors[left] * source[start] * factors[right]
    elif rows == 2 and columns == 2:
        l0, l1, l2 = factors[left], factors[left + 2], factors[left + 3]
        r0, r1, r2 = factors[right], factors[right + 2], factors[right + 3]
        top0 = l0 * source[start] + l1 * source[start + 2]
        top1 = l0 * source[start + 1] + l1 * source[start + 3]
        low0 = l2 * source[start + 2]
        low1 = l2 * source[start + 3]
        out[start] = top0 * r0 + top1 * r1
        out[start + 1] = top1 * r2
        out[start + 2] = low0 * r0 + low1 * r1
        out[start + 3] = low1 * r2
    elif rows == 1 and columns == 2:
        scale = factors[left]
        one, two = scale * source[start], scale * source[start + 1]
        out[start] = one * factors[right] + two * factors[right + 2]
        out[start + 1] = two * factors[right + 3]
    elif rows == 2 and columns == 1:
        scale = factors[right]
        one, two = scale * source[start], scale * source[start + 1]
        out[start] = one * factors[left] + two * factors[left + 2]
        out[start + 1] = two * factors[left + 3]
    else:
        for a in range(rows):
            for b in range(columns):
                total = 0.0
                for c in range(a, rows):
                    for d in range(b, columns):
                        total += (
                            factors[left + c * rows + a]
                            * source[start + c * columns + d]
                            * factors[right + d * columns + b]
                        )
                out[start + a * columns + b] = total


@kernel
def eliminate_unit(fronts, start, rows, k, fixed, first):  # type: ignore[no-untyped-def]
    """Factorise a unit's own block, and solve for what lies below it and for its rows of `fixed`.

    Returns the log determinant of the block, or NaN.
    """
    columns = fixed.shape[1]
    if k == 1:
        if not fronts[start] > 0.0:
            return np.nan
        pivot = np.sqrt(fronts[start])
        scale = 1.0 / pivot
        fronts[start] = pivot
        for r in range(start + 1, start + rows):
            fronts[r] *= scale
        for c in range(columns):
            fixed[first, c] *= scale
        return 2.0 * np.log(pivot)
    if k == 2:
        if not fronts[start] > 0.0:
            return np.nan
        one = np.sqrt(fronts[start])
        below = fronts[start + 2] / one
        rest = fronts[start + 3] - below * below
        if not rest > 0.0:
            return np.nan
        two = np.sqrt(rest)
        fronts[start], fronts[start + 2], fronts[start + 3] = one, below, two
        scale1, scale2 = 1.0 / one, 1.0 / two
        for r in range(start + 4, start + 2 * rows, 2):
            x = fronts[r] * scale1
            fronts[r] = x
            fronts[r + 1] = (fronts[r + 1] - below * x) * scale2
        for c in range(columns):
            x = fixed[first, c] * scale1
            fixed[first, c] = x
            fixed[first + 1, c] = (fixed[first + 1, c] - below * x) * scale2
        return 2.0 * np.log(one * two)
    block = fronts[start : start + rows * k].reshape((rows, k))
    if not cholesky_in_place(block, k):
        return np.nan
    log_determinant = 0.0
    for a in range(k):
        log_determinant += 2.0 * np.log(block[a, a])
        for r in range(k, rows):
            total = block[r, a]
            for d in range(a):
                total -= block[r, d] * block[a, d]
            block[r, a] = total / block[a, a]
        for c in range(columns):
            total = fixed[first + a, c]
            for d in range(a):
                total -= block[a, d] * fixed[first + d, c]
            fixed[first + a, c] = total / block[a, a]
    return log_determinant


@kernel
def subtract_product(fronts, outer, outer_size, inner, inner_size, k, target, to, stride):  # type: ignore[no-untyped-def]
    """Subtract L_outer L_inner' from a block of `target` that begins at `to`."""
    if k == 1:
        for d in range(outer_size):
            x = fronts[outer + d]
            for b in range(inner_size):
                target[to + d * stride + b] -= x * fronts[inner + b]
    elif k == 2:
        for d in range(outer_size):
            x, y = fronts[outer + 2 * d], fronts[outer + 2 * d + 1]
            for b in range(inner_size):
                target[to + d * stride + b] -= (
                    x * fronts[inner + 2 * b] + y * fronts[inner + 2 * b + 1]
                )
    else:
        for d in range(outer_size):
            for b in range(inner_size):
                total = 0.0
                for a in range(k):
                    total += fronts[outer + d * k + a] * fronts[inner + b * k + a]
                target[to + d * stride + b] -= total
