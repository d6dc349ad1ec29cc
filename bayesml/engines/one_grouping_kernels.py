"""Models of one grouping whose units share no rows, such as two-level models.

What `elimination_kernels` and `gradient_kernels` do unit by unit is here done for many units side
by side: no unit meets another, so every unit solves equations of its own,

    M x = L' r,   M = I + L' A L,   A = Z'Z,   r a column of [Z'C A],

and the innermost loop of every step runs over units, which a processor takes several at a time.
"""

import numpy as np

from bayesml.engines.unit_kernels import kernel, summing_kernel

# Units side by side: enough to hide the cost of a loop, few enough for the fastest memory.
LANES = 64
# Products of pivots are turned into logs above this; a single one is below 1e104.
_LARGE = 1e100


@kernel
def _factor_block(cross, factors, first, n, scaled, lower, scale):  # type: ignore[no-untyped-def]
    """Write L' [Z'C A] of some units, the Cholesky factor of M, and 1 / its diagonal."""
    k = cross.shape[0]
    columns = cross.shape[1] - k
    for a in range(k):
        for c in range(columns + k):
            x = factors[a * k + a]
            for i in range(n):
                scaled[a, c, i] = x * cross[a, c, first + i]
            for d in range(a + 1, k):
                x = factors[d * k + a]
                if x != 0.0:
                    for i in range(n):
                        scaled[a, c, i] += x * cross[d, c, first + i]
    for a in range(k):
        for b in range(a + 1):
            one = 1.0 if a == b else 0.0
            x = factors[b * k + b]
            for i in range(n):
                lower[a, b, i] = one + x * scaled[a, columns + b, i]
            for d in range(b + 1, k):
                x = factors[d * k + b]
                if x != 0.0:
                    for i in range(n):
                        lower[a, b, i] += x * scaled[a, columns + d, i]
    for j in range(k):
        for a in range(j, k):
            for m in range(j):
                for i in range(n):
                    lower[a, j, i] -= lower[a, m, i] * lower[j, m, i]
        for i in range(n):
            lower[j, j, i] = np.sqrt(lower[j, j, i])
            scale[j, i] = 1.0 / lower[j, j, i]
        for a in range(j + 1, k):
            for i in range(n):
                lower[a, j, i] *= scale[j, i]


@kernel
def _forward(lower, scale, n, columns, values):  # type: ignore[no-untyped-def]
    """Overwrite the first columns of `values`, r, by the solution of lower x = r."""
    for a in range(lower.shape[0]):
        for c in range(columns):
            for d in range(a):
                for i in range(n):
                    values[a, c, i] -= lower[a, d, i] * values[d, c, i]
            for i in range(n):
                values[a, c, i] *= scale[a, i]


@kernel
def _backward(lower, scale, n, columns, values):  # type: ignore[no-untyped-def]
    """Overwrite the first columns of `values`, r, by the solution of lower' x = r."""
    k = lower.shape[0]
    for a in range(k - 1, -1, -1):
        for c in range(columns):
            for d in range(a + 1, k):
                for i in range(n):
                    values[a, c, i] -= lower[d, a, i] * values[d, c, i]
            for i in range(n):
                values[a, c, i] *= scale[a, i]


@summing_kernel
def _dot(left, a, c, right, b, d, n):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(n):
        total += left[a, c, i] * right[b, d, i]
    return total


@summing_kernel
def _sum(values, a, c, n):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(n):
        total += values[a, c, i]
    return total


@kernel
def reduce_units(cross, outcome, factors, reduced, products, traces):  # type: ignore[no-untyped-def]
    """Reduce C'C to W; return log |V|, or NaN where M cannot be factorised.

    Parameters
    ----------
    cross, outcome : arrays
        `cross_units` and `cross_outcome` of the plan.
    factors : array, shape (terms * terms,)
        The relative factor, row by row.
    reduced : array, shape (columns, columns)
        Written: W.
    products, traces : arrays, shapes (terms, terms, columns, columns) and (terms, terms)
        Written, unless they are empty: what `gradient_of_sums` reads. For each pair of terms on or
        below the diagonal, sums over the units of H S', by columns of C, and of A L M^-1.
    """
    k, width, units = cross.shape
    columns = width - k
    with_gradient = products.size > 0
    for value in factors:
        if not abs(value) < 1e100:
            return np.nan
    scaled = np.empty((k, width, LANES))
    lower = np.empty((k, k, LANES))
    scale = np.empty((k, LANES))
    own = np.empty((k, k, LANES))
    score = np.empty((k, columns, LANES))
    pivots = np.ones(LANES)
    log_pivots = 0.0
    for c in range(columns):
        for d in range(columns):
            reduced[c, d] = outcome[c, d]
    products[:] = 0.0
    traces[:] = 0.0
    for first in range(0, units, LANES):
        n = min(LANES, units - first)
        _factor_block(cross, factors, first, n, scaled, lower, scale)
        for a in range(k):
            for i in range(n):
                # One log for many pivots, none of which is below 1
                pivots[i] *= lower[a, a, i]
                if pivots[i] > _LARGE:
                    log_pivots += np.log(pivots[i])
                    pivots[i] = 1.0
        if with_gradient:
            for a in range(k):
                for b in range(k):
                    for i in range(n):
                        own[a, b, i] = scaled[a, columns + b, i]
        _forward(lower, scale, n, width if with_gradient else columns, scaled)
        for c in range(columns):
            for d in range(c + 1):
                for a in range(k):
                    reduced[c, d] -= _dot(scaled, a, c, scaled, a, d, n)
        if not with_gradient:
            continue
        _backward(lower, scale, n, width, scaled)  # now M^-1 L' [Z'C A]
        for a in range(k):
            for c in range(columns):
                for i in range(n):
                    score[a, c, i] = cross[a, c, first + i]
                for b in range(k):
                    for i in range(n):
                        score[a, c, i] -= own[b, a, i] * scaled[b, c, i]
            for b in range(a + 1):
                traces[a, b] += _sum(scaled, b, columns + a, n)
                for c in range(columns):
                    for d in range(columns):
                        products[a, b, c, d] += _dot(score, a, c, scaled, b, d, n)
    for i in range(LANES):
        log_pivots += np.log(pivots[i])
    if not np.isfinite(log_pivots):
        return np.nan
    for c in range(columns):
        for d in range(c):
            reduced[d, c] = reduced[c, d]
    return 2.0 * log_pivots


@kernel
def gradient_of_sums(products, traces, outer_gradient, gradient):  # type: ignore[no-untyped-def]
    """Write the gradient as `factor_gradient` does, from what `reduce_units` wrote."""
    k = traces.shape[0]
    columns = outer_gradient.shape[0]
    gradient[:] = 0.0
    for a in range(k):
        for b in range(a + 1):
            total = 0.0
            for c in range(columns):
                for d in range(columns):
                    total += outer_gradient[c, d] * products[a, b, c, d]
            gradient[a * k + b] = -2.0 * total - traces[a, b]


@kernel
def draw_units(cross, factors, sigma, coefficients, normal, effects):  # type: ignore[no-untyped-def]
    """Draw random effects given the parameters and the coefficients, exactly.

    Parameters
    ----------
    cross, factors : arrays
        As in `reduce_units`.
    sigma : float
    coefficients : array, shape (coefficients,)
    normal : array, shape (units * terms,)
        Standard normal numbers.
    effects : array, shape (units * terms,)
        Written, of scaled terms.
    """
    k, width, units = cross.shape
    columns = width - k
    scaled = np.empty((k, width, LANES))
    lower = np.empty((k, k, LANES))
    scale = np.empty((k, LANES))
    values = np.empty((k, 1, LANES))
    for first in range(0, units, LANES):
        n = min(LANES, units - first)
        _factor_block(cross, factors, first, n, scaled, lower, scale)
        # In the place of a column of C: what the coefficients leave of the outcome
        for a in range(k):
            for i in range(n):
                values[a, 0, i] = scaled[a, columns - 1, i]
            for c in range(columns - 1):
                for i in range(n):
                    values[a, 0, i] -= coefficients[c] * scaled[a, c, i]
        _forward(lower, scale, n, values.shape[1], values)
        for a in range(k):
            for i in range(n):
                values[a, 0, i] += sigma * normal[(first + i) * k + a]
        _backward(lower, scale, n, values.shape[1], values)
        for a in range(k):
            for i in range(n):
                total = 0.0
                for b in range(a + 1):
                    total += factors[a * k + b] * values[b, 0, i]
                effects[(first + i) * k + a] = total
