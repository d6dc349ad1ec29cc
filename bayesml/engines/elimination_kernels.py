"""Compiled kernels that integrate the random effects out of a Gaussian model.

With C = [X y] and the relative factors L_g (the lower-triangular T_g / sigma of each grouping,
Sigma_g = T_g T_g'), everything that the likelihood needs of the rows is

    W = C' V^-1 C   and   log |V|,   V = I + Z L L' Z',

and both follow from the Cholesky factor of M = I + L' Z'Z L. Its columns are eliminated unit by
unit (`fronts`: the unit's own block, then one block for each later unit that it shares rows with);
what is left over, units of crossed groupings and of multiple memberships, is one dense matrix, the
`core`. The gradient needs M^-1 only where Z'Z is not zero, which the same elimination run
backwards yields (Takahashi's recursion; Erisman & Tinney 1975, doi:10.1145/360680.360704).

Every array that the kernels read is described in `elimination.Plan`.
"""

import numpy as np

from bayesml.engines.core_kernels import factorise_core, scaled_core, subtract_fronts
from bayesml.engines.unit_kernels import eliminate_unit, kernel, scale_block, subtract_product


@kernel
def row_of(plan, unit, wanted):  # type: ignore[no-untyped-def]
    """Return where the front of `unit` holds the block of the later unit `wanted`."""
    low, high = plan.neighbour_start[unit], plan.neighbour_start[unit + 1] - 1
    while low < high:
        middle = (low + high) // 2
        if plan.neighbour[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return plan.neighbour_row[low]


@kernel
def factorise(  # type: ignore[no-untyped-def]
    plan, factors, fronts, core, fixed, reduced
):
    """Factorise M for given relative factors, and reduce C'C to W.

    Parameters
    ----------
    factors : array
        The relative factor of each grouping, row by row, one after the other.
    fronts, core, fixed, reduced : arrays
        Written: the Cholesky factor of M in the shape of `cross_fronts` and `cross_core`, its
        solve of L' Z'C in the shape of `cross_fixed`, and W.

    Returns
    -------
    float
        log |V|; NaN where M cannot be factorised.
    """
    eliminated = plan.front_start.size - 1
    units = plan.unit_group.size
    columns = plan.cross_fixed.shape[1]
    for value in factors:
        if not abs(value) < 1e100:
            return np.nan
    for c in range(columns):
        for d in range(columns):
            reduced[c, d] = plan.cross_outcome[c, d]
    # L' Z'Z L + I and L' Z'C
    for e in range(eliminated):
        g = plan.unit_group[e]
        k = plan.group_size[g]
        start = plan.front_start[e]
        lam = plan.factor_start[g]
        scale_block(plan.cross_fronts, start, k, k, factors, lam, lam, fronts)
        for a in range(k):
            fronts[start + a * k + a] += 1.0
        for j in range(plan.neighbour_start[e], plan.neighbour_start[e + 1]):
            h = plan.unit_group[plan.neighbour[j]]
            at = start + plan.neighbour_row[j] * k
            kh = plan.group_size[h]
            if k == 1 and kh == 1:
                x = factors[plan.factor_start[h]] * factors[lam]
                fronts[at] = x * plan.cross_fronts[at]
                continue
            scale_block(
                plan.cross_fronts,
                at,
                kh,
                k,
                factors,
                plan.factor_start[h],
                lam,
                fronts,
            )
    for i in range(units):
        g = plan.unit_group[i]
        k = plan.group_size[g]
        first = plan.unit_column[i]
        lam = plan.factor_start[g]
        for a in range(k):
            x = factors[lam + a * k + a]
            for c in range(columns):
                fixed[first + a, c] = x * plan.cross_fixed[first + a, c]
            for d in range(a + 1, k):
                x = factors[lam + d * k + a]
                for c in range(columns):
                    fixed[first + a, c] += x * plan.cross_fixed[first + d, c]
    scaled_core(plan, factors, core)
    # Elimination, unit by unit
    log_determinant = 0.0
    core_first = plan.unit_column[eliminated]
    size = core.shape[0]
    for e in range(eliminated):
        k = plan.group_size[plan.unit_group[e]]
        start = plan.front_start[e]
        rows = (plan.front_start[e + 1] - start) // k
        first = plan.unit_column[e]
        log_determinant += eliminate_unit(fronts, start, rows, k, fixed, first)
        for a in range(first, first + k):
            for c in range(columns):
                x = fixed[a, c]
                for d in range(c + 1):
                    reduced[c, d] -= x * fixed[a, d]
        for t in range(plan.neighbour_start[e], plan.neighbour_start[e + 1]):
            outer = plan.neighbour[t]
            outer_size = plan.group_size[plan.unit_group[outer]]
            outer_column = plan.unit_column[outer]
            at_outer = start + plan.neighbour_row[t] * k
            for b in range(outer_size):
                for a in range(k):
                    x = fronts[at_outer + b * k + a]
                    for c in range(columns):
                        fixed[outer_column + b, c] -= x * fixed[first + a, c]
            for s in range(plan.neighbour_start[e], t + 1):
                inner = plan.neighbour[s]
                if inner >= eliminated:
                    break
                inner_size = plan.group_size[plan.unit_group[inner]]
                at_inner = start + plan.neighbour_row[s] * k
                to = plan.front_start[inner]
                if t > s:
                    to += inner_size * row_of(plan, inner, outer)
                subtract_product(
                    fronts,
                    at_outer,
                    outer_size,
                    at_inner,
                    inner_size,
                    k,
                    fronts,
                    to,
                    inner_size,
                )
    if not np.isfinite(log_determinant):
        return np.nan
    # What is left over
    if size > 0:
        subtract_fronts(plan, fronts, core)
        log_determinant += factorise_core(core, fixed, core_first)
        for c in range(columns):
            for d in range(c + 1):
                for i in range(size):
                    reduced[c, d] -= fixed[core_first + i, c] * fixed[core_first + i, d]
    for c in range(columns):
        for d in range(c):
            reduced[d, c] = reduced[c, d]
    return log_determinant


@kernel
def back_substitute(  # type: ignore[no-untyped-def]
    plan, fronts, core, values
):
    """Overwrite `values` (columns of M by anything) with the solution of L' x = values."""
    eliminated = plan.front_start.size - 1
    columns = values.shape[1]
    core_first = plan.unit_column[eliminated]
    solved = np.empty(core.shape[0])
    for c in range(columns):
        for i in range(solved.size):
            solved[i] = values[core_first + i, c]
        for i in range(solved.size - 1, -1, -1):
            x = solved[i] / core[i, i]
            solved[i] = x
            row = core[i]
            for j in range(i):
                solved[j] -= row[j] * x
        for i in range(solved.size):
            values[core_first + i, c] = solved[i]
    for e in range(eliminated - 1, -1, -1):
        k = plan.group_size[plan.unit_group[e]]
        start = plan.front_start[e]
        first = plan.unit_column[e]
        for c in range(columns):
            for j in range(plan.neighbour_start[e], plan.neighbour_start[e + 1]):
                other = plan.neighbour[j]
                column = plan.unit_column[other]
                row = plan.neighbour_row[j]
                for b in range(plan.group_size[plan.unit_group[other]]):
                    x = values[column + b, c]
                    for a in range(k):
                        values[first + a, c] -= fronts[start + (row + b) * k + a] * x
            for a in range(k - 1, -1, -1):
                total = values[first + a, c]
                for d in range(a + 1, k):
                    total -= fronts[start + d * k + a] * values[first + d, c]
                values[first + a, c] = total / fronts[start + a * k + a]
