"""The elimination run backwards: the gradient with respect to the relative factors.

For a function f(W, log |V|) with G = df/dW and df/d log|V| = -1/2, the derivative with respect to
the relative factor L_g of a grouping is the sum over its units of the diagonal blocks of

    -(2 H G S' + Z' V^-1 Z L),   S = M^-1 L' Z'C,   H = Z' V^-1 C = Z'C - Z'Z L S,

where Z' V^-1 Z L = Z'Z L M^-1 needs M^-1 only where Z'Z is not zero.
"""

import numpy as np

from bayesml.engines.elimination_kernels import (
    SMALL,
    _row_of,
    back_substitute,
    kernel,
)


@kernel
def factor_gradient(  # type: ignore[no-untyped-def]
    plan, factors, fronts, core, fixed, outer_gradient, gradient
):
    """Write the gradient with respect to the relative factors.

    Parameters
    ----------
    fronts, core, fixed : arrays
        What `factorise` wrote; used up here.
    outer_gradient : array, shape (columns, columns)
        G, symmetric.
    gradient : array, shape of `factors`
        Written.
    """
    eliminated = plan.front_start.size - 1
    units = plan.unit_group.size
    columns = plan.cross_fixed.shape[1]
    core_first = plan.unit_column[eliminated]
    back_substitute(plan, fronts, core, fixed)
    inverse = _core_inverse(core)
    # M^-1 replaces its Cholesky factor, last unit first
    widest = 1
    for e in range(eliminated):
        rows = (plan.front_start[e + 1] - plan.front_start[e]) // plan.group_size[
            plan.unit_group[e]
        ]
        widest = max(widest, rows)
    largest = 1
    for g in range(plan.group_size.size):
        largest = max(largest, plan.group_size[g])
    below = np.empty((widest, largest))
    product = np.empty((widest, largest))
    own = np.empty((largest, largest))
    for e in range(eliminated - 1, -1, -1):
        k = plan.group_size[plan.unit_group[e]]
        start = plan.front_start[e]
        rows = (plan.front_start[e + 1] - start) // k
        block = fronts[start : plan.front_start[e + 1]].reshape((rows, k))
        for r in range(k, rows):  # rows of L_N L_ee^-1
            for a in range(k - 1, -1, -1):
                total = block[r, a]
                for d in range(a + 1, k):
                    total -= below[r, d] * block[d, a]
                below[r, a] = total / block[a, a]
                product[r, a] = 0.0
        _inverse_of_factor(block, k, own)
        for s in range(plan.neighbour_start[e], plan.neighbour_start[e + 1]):
            inner = plan.neighbour[s]
            inner_size = plan.group_size[plan.unit_group[inner]]
            inner_row = plan.neighbour_row[s]
            for t in range(s, plan.neighbour_start[e + 1]):
                outer = plan.neighbour[t]
                outer_size = plan.group_size[plan.unit_group[outer]]
                outer_row = plan.neighbour_row[t]
                in_core = inner >= eliminated
                at = 0
                row = plan.unit_column[outer] - core_first
                column = plan.unit_column[inner] - core_first
                if not in_core:
                    at = plan.front_start[inner]
                    if t > s:
                        at += inner_size * _row_of(plan, inner, outer)
                for d in range(outer_size):
                    for b in range(inner_size):
                        if in_core:
                            x = inverse[row + d, column + b]
                        else:
                            x = fronts[at + d * inner_size + b]
                        for a in range(k):
                            product[outer_row + d, a] -= x * below[inner_row + b, a]
                            if t > s:
                                product[inner_row + b, a] -= x * below[outer_row + d, a]
        for a in range(k):
            for b in range(k):
                total = own[a, b]
                for r in range(k, rows):
                    total -= below[r, a] * product[r, b]
                block[a, b] = total
        for r in range(k, rows):
            for a in range(k):
                block[r, a] = product[r, a]
    # Blocks of Z'Z L M^-1 and the whole of H
    gradient[:] = 0.0
    scores = plan.cross_fixed.copy()
    left = np.empty((largest, largest))
    for e in range(eliminated):
        g = plan.unit_group[e]
        k = plan.group_size[g]
        lam = plan.factor_start[g]
        start = plan.front_start[e]
        first = plan.unit_column[e]
        for a in range(k):  # Z'Z L of the unit itself
            for b in range(k):
                total = 0.0
                for d in range(b, k):
                    total += plan.cross_fronts[start + a * k + d] * factors[lam + d * k + b]
                left[a, b] = total
        for a in range(k):
            for b in range(k):
                x = left[a, b]
                for d in range(k):
                    gradient[lam + a * k + d] -= x * fronts[start + b * k + d]
                for c in range(columns):
                    scores[first + a, c] -= x * fixed[first + b, c]
        for j in range(plan.neighbour_start[e], plan.neighbour_start[e + 1]):
            other = plan.neighbour[j]
            h = plan.unit_group[other]
            kh = plan.group_size[h]
            mu = plan.factor_start[h]
            at = start + plan.neighbour_row[j] * k
            column = plan.unit_column[other]
            for a in range(k):  # the unit's rows of Z'Z L over the neighbour's columns
                for b in range(kh):
                    total = 0.0
                    for d in range(b, kh):
                        total += plan.cross_fronts[at + d * k + a] * factors[mu + d * kh + b]
                    for d in range(k):
                        gradient[lam + a * k + d] -= total * fronts[at + b * k + d]
                    for c in range(columns):
                        scores[first + a, c] -= total * fixed[column + b, c]
            for a in range(kh):  # and the other way round
                for b in range(k):
                    total = 0.0
                    for d in range(b, k):
                        total += plan.cross_fronts[at + a * k + d] * factors[lam + d * k + b]
                    for d in range(kh):
                        gradient[mu + a * kh + d] -= total * fronts[at + d * k + b]
                    for c in range(columns):
                        scores[column + a, c] -= total * fixed[first + b, c]
    for i in range(eliminated, units):
        g = plan.unit_group[i]
        k = plan.group_size[g]
        lam = plan.factor_start[g]
        row = plan.unit_column[i] - core_first
        for j in range(eliminated, units):
            kj = plan.group_size[plan.unit_group[j]]
            mu = plan.factor_start[plan.unit_group[j]]
            column = plan.unit_column[j] - core_first
            for a in range(k):
                for b in range(kj):
                    total = 0.0
                    for d in range(b, kj):
                        total += plan.cross_core[row + a, column + d] * factors[mu + d * kj + b]
                    if total != 0.0:
                        for d in range(k):
                            gradient[lam + a * k + d] -= total * inverse[column + b, row + d]
                        for c in range(columns):
                            scores[core_first + row + a, c] -= (
                                total * fixed[core_first + column + b, c]
                            )
    weighted = np.empty(columns)
    for i in range(units):
        g = plan.unit_group[i]
        k = plan.group_size[g]
        lam = plan.factor_start[g]
        first = plan.unit_column[i]
        for a in range(k):
            for c in range(columns):
                total = 0.0
                for d in range(columns):
                    total += scores[first + a, d] * outer_gradient[d, c]
                weighted[c] = total
            for b in range(k):
                total = 0.0
                for c in range(columns):
                    total += weighted[c] * fixed[first + b, c]
                gradient[lam + a * k + b] -= 2.0 * total


@kernel
def _inverse_of_factor(block, size, out):  # type: ignore[no-untyped-def]
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


@kernel
def _core_inverse(core):  # type: ignore[no-untyped-def]
    """Return (L L')^-1 of the core from its Cholesky factor."""
    size = core.shape[0]
    out = np.empty((size, size))
    if size <= SMALL:
        _inverse_of_factor(core, size, out)
        return out
    lower = np.zeros((size, size))
    for i in range(size):
        for j in range(i + 1):
            lower[i, j] = core[i, j]
    inverse = np.linalg.inv(lower)
    return inverse.T @ inverse
