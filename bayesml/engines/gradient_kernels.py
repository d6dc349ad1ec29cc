"""The elimination run backwards: the gradient with respect to the relative factors.

For a function f(W, log |V|) with G = df/dW and df/d log|V| = -1/2, the derivative with respect to
the relative factor L_g of a grouping is the sum over its units of the diagonal blocks of

    -(2 H G S' + Z' V^-1 Z L),   S = M^-1 L' Z'C,   H = Z' V^-1 C = Z'C - Z'Z L S,

where Z' V^-1 Z L = Z'Z L M^-1 needs M^-1 only where Z'Z is not zero.
"""

import numpy as np

from bayesml.engines.core_kernels import (
    core_inverse,
    core_places,
    inner_product,
    inverse_of_factor,
    most_rows,
    unit_run,
)
from bayesml.engines.elimination_kernels import back_substitute, row_of
from bayesml.engines.unit_kernels import kernel


@kernel
def factor_gradient(  # type: ignore[no-untyped-def]
    plan, factors, fronts, core, fixed, outer_gradient, gradient
):
    """Write the gradient with respect to the relative factors.

    Parameters
    ----------
    fronts, core, fixed : arrays
        What `factorise` wrote; they hold M^-1, where Z'Z is not zero, and S afterwards.
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
    inverse = core_inverse(core)
    size = inverse.shape[0]
    flat_inverse = inverse.reshape(size * size)
    largest = 1
    for g in range(plan.group_size.size):
        largest = max(largest, plan.group_size[g])
    widest = 1
    for e in range(eliminated):
        widest = max(widest, plan.front_start[e + 1] - plan.front_start[e])
    below = np.empty(widest)
    product = np.empty(widest)
    spare = np.empty((largest, largest))
    places = np.empty(most_rows(plan), dtype=np.int64)
    gradient[:] = 0.0
    scores = plan.cross_fixed.copy()
    for e in range(eliminated - 1, -1, -1):
        g = plan.unit_group[e]
        k = plan.group_size[g]
        start = plan.front_start[e]
        length = plan.front_start[e + 1] - start
        first_neighbour, last_neighbour = plan.neighbour_start[e], plan.neighbour_start[e + 1]
        # below = L_N L_ee^-1, then product = rows of M^-1 below the unit's own = -(M^-1)_NN below
        for r in range(k * k, length, k):
            for a in range(k - 1, -1, -1):
                total = fronts[start + r + a]
                for d in range(a + 1, k):
                    total -= below[r + d] * fronts[start + d * k + a]
                below[r + a] = total / fronts[start + a * k + a]
                product[r + a] = 0.0
        for t in range(first_neighbour, last_neighbour):
            outer = plan.neighbour[t]
            outer_size = plan.group_size[plan.unit_group[outer]]
            outer_at = plan.neighbour_row[t] * k
            for s in range(first_neighbour, t + 1):
                inner = plan.neighbour[s]
                if inner >= eliminated:
                    break
                inner_size = plan.group_size[plan.unit_group[inner]]
                inner_at = plan.neighbour_row[s] * k
                at = plan.front_start[inner]
                if t > s:
                    at += inner_size * row_of(plan, inner, outer)
                _multiply(
                    fronts,
                    at,
                    inner_size,
                    outer_size,
                    inner_size,
                    k,
                    below,
                    product,
                    outer_at,
                    inner_at,
                )
        _multiply_core(
            flat_inverse, size, core_places(plan, e, places), length // k, k, places, below, product
        )
        # M^-1 takes the place of the Cholesky factor
        _own_inverse(fronts, start, k, spare)
        for r in range(k * k, length, k):
            for a in range(k):
                x = below[r + a]
                for b in range(k):
                    fronts[start + a * k + b] -= x * product[r + b]
                fronts[start + r + a] = product[r + a]
        # Blocks of Z'Z L M^-1, and H
        lam = plan.factor_start[g]
        first = plan.unit_column[e]
        for a in range(k):
            for b in range(k):
                x = 0.0
                for d in range(b, k):
                    x += plan.cross_fronts[start + a * k + d] * factors[lam + d * k + b]
                for d in range(k):
                    gradient[lam + a * k + d] -= x * fronts[start + b * k + d]
                for c in range(columns):
                    scores[first + a, c] -= x * fixed[first + b, c]
        for j in range(first_neighbour, last_neighbour):
            other = plan.neighbour[j]
            h = plan.unit_group[other]
            kh = plan.group_size[h]
            mu = plan.factor_start[h]
            at = start + plan.neighbour_row[j] * k
            column = plan.unit_column[other]
            for a in range(k):  # the unit's rows of Z'Z L over the neighbour's columns
                for b in range(kh):
                    x = 0.0
                    for d in range(b, kh):
                        x += plan.cross_fronts[at + d * k + a] * factors[mu + d * kh + b]
                    for d in range(k):
                        gradient[lam + a * k + d] -= x * fronts[at + b * k + d]
                    for c in range(columns):
                        scores[first + a, c] -= x * fixed[column + b, c]
            for a in range(kh):  # and the other way round
                for b in range(k):
                    x = 0.0
                    for d in range(b, k):
                        x += plan.cross_fronts[at + a * k + d] * factors[lam + d * k + b]
                    for d in range(kh):
                        gradient[mu + a * kh + d] -= x * fronts[at + d * k + b]
                    for c in range(columns):
                        scores[column + a, c] -= x * fixed[first + b, c]
    effects = np.ascontiguousarray(fixed[core_first:].T)
    for i in range(eliminated, units):
        g = plan.unit_group[i]
        k = plan.group_size[g]
        lam = plan.factor_start[g]
        row = plan.unit_column[i] - core_first
        j = eliminated
        while j < units:
            h = plan.unit_group[j]
            kj = plan.group_size[h]
            mu = plan.factor_start[h]
            column = plan.unit_column[j] - core_first
            if k == 1 and kj == 1:
                # All units of one grouping at once
                last = unit_run(plan, j, units - 1)
                end = column + last - j + 1
                products = plan.cross_core[row, column:end]
                scale = factors[mu]
                gradient[lam] -= scale * inner_product(
                    products, inverse[row, column:end], end - column
                )
                for c in range(columns):
                    scores[core_first + row, c] -= scale * inner_product(
                        products, effects[c, column:end], end - column
                    )
                j = last + 1
                continue
            for a in range(k):
                for b in range(kj):
                    total = 0.0
                    for d in range(b, kj):
                        total += plan.cross_core[row + a, column + d] * factors[mu + d * kj + b]
                    if total != 0.0:
                        for d in range(k):
                            gradient[lam + a * k + d] -= total * inverse[row + d, column + b]
                        for c in range(columns):
                            scores[core_first + row + a, c] -= total * effects[c, column + b]
            j += 1
    core[:, :] = inverse
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
def _multiply(  # type: ignore[no-untyped-def]
    source, at, stride, outer_size, inner_size, k, below, product, outer_at, inner_at
):
    """Subtract a block of M^-1 times `below`, and its transpose where it is not a diagonal one."""
    for d in range(outer_size):
        for b in range(inner_size):
            x = source[at + d * stride + b]
            for a in range(k):
                product[outer_at + d * k + a] -= x * below[inner_at + b * k + a]
            if outer_at != inner_at:
                for a in range(k):
                    product[inner_at + b * k + a] -= x * below[outer_at + d * k + a]


@kernel
def _multiply_core(flat_inverse, size, first, rows, k, places, below, product):  # type: ignore[no-untyped-def]
    """Subtract the core's part of M^-1 times `below`, row by row of a unit's front."""
    for r in range(first, rows):
        at = places[r] * size
        if k == 1:
            own = below[r]
            total = flat_inverse[at + places[r]] * own
            for s in range(first, r):
                x = flat_inverse[at + places[s]]
                total += x * below[s]
                product[s] -= x * own
            product[r] -= total
            continue
        for s in range(first, r + 1):
            x = flat_inverse[at + places[s]]
            for a in range(k):
                product[r * k + a] -= x * below[s * k + a]
            if s < r:
                for a in range(k):
                    product[s * k + a] -= x * below[r * k + a]


@kernel
def _own_inverse(fronts, start, k, spare):  # type: ignore[no-untyped-def]
    """Replace a unit's Cholesky factor L by (L L')^-1."""
    if k == 1:
        fronts[start] = 1.0 / (fronts[start] * fronts[start])
    elif k == 2:
        one, two = 1.0 / fronts[start], 1.0 / fronts[start + 3]
        low = -fronts[start + 2] * one * two
        fronts[start] = one * one + low * low
        fronts[start + 1] = low * two
        fronts[start + 2] = low * two
        fronts[start + 3] = two * two
    else:
        inverse_of_factor(fronts[start : start + k * k].reshape((k, k)), k, spare)
        for a in range(k):
            for b in range(k):
                fronts[start + a * k + b] = spare[a, b]
