"""The gradient with respect to the coefficients of classes of rows; see `residual_kernels`."""

import numpy as np

from bayesml.engines.unit_kernels import kernel


@kernel
def class_gradient(plan, factors, fronts, core, fixed, outer, by_class):  # type: ignore[no-untyped-def]
    """Add the derivatives with respect to the coefficients of the classes of rows.

    With respect to the cross-products A of [Z C] they are E G E' - 1/2 L M^-1 L' in the block of
    Z, with E = [-L S; I]; only entries that are not zero matter.

    Parameters
    ----------
    fronts, core, fixed : arrays
        As `factor_gradient` leaves them.
    outer : array, shape (columns, columns)
        G.
    by_class : array, shape (classes,)
        Added to.
    """
    columns = outer.shape[0]
    eliminated = plan.front_start.size - 1
    # L S, and L S G
    effects = np.zeros(fixed.shape)
    weighted = np.zeros(fixed.shape)
    for i in range(plan.unit_group.size):
        k = plan.group_size[plan.unit_group[i]]
        lam = plan.factor_start[plan.unit_group[i]]
        first = plan.unit_column[i]
        for a in range(k):
            for c in range(columns):
                for b in range(a + 1):
                    effects[first + a, c] += factors[lam + a * k + b] * fixed[first + b, c]
            for c in range(columns):
                for d in range(columns):
                    weighted[first + a, c] += effects[first + a, d] * outer[d, c]
    core_size = plan.cross_core.shape[0]
    core_first = plan.unit_column[eliminated]
    for e in range(eliminated):
        own = plan.unit_group[e]
        start = plan.front_start[e]
        k = plan.group_size[own]
        _class_block(
            plan,
            factors,
            fronts,
            start,
            k,
            own,
            own,
            1.0,
            weighted,
            effects,
            plan.unit_column[e],
            plan.unit_column[e],
            start,
            k,
            by_class,
        )
        for j in range(plan.neighbour_start[e], plan.neighbour_start[e + 1]):
            other = plan.neighbour[j]
            at = start + plan.neighbour_row[j] * k
            _class_block(
                plan,
                factors,
                fronts,
                at,
                k,
                plan.unit_group[other],
                own,
                2.0,
                weighted,
                effects,
                plan.unit_column[other],
                plan.unit_column[e],
                at,
                k,
                by_class,
            )
    flat_core = core.reshape(core_size * core_size)
    for i in range(eliminated, plan.unit_group.size):
        for j in range(eliminated, plan.unit_group.size):
            row, column = plan.unit_column[i], plan.unit_column[j]
            at = (row - core_first) * core_size + column - core_first
            _class_block(
                plan,
                factors,
                flat_core,
                at,
                core_size,
                plan.unit_group[i],
                plan.unit_group[j],
                1.0,
                weighted,
                effects,
                row,
                column,
                plan.cross_fronts.size + at,
                core_size,
                by_class,
            )
    first_entry = plan.cross_fronts.size + core_size * core_size
    for i in range(fixed.shape[0]):
        for c in range(columns):
            _add_entry(plan, first_entry + i * columns + c, -2.0 * weighted[i, c], by_class)
    first_entry += fixed.size
    for c in range(columns):
        for d in range(columns):
            _add_entry(plan, first_entry + c * columns + d, outer[c, d], by_class)


@kernel
def _class_block(  # type: ignore[no-untyped-def]
    plan,
    factors,
    inverse,
    at,
    stride,
    rows_of,
    columns_of,
    times,
    weighted,
    effects,
    row,
    column,
    entry,
    entry_stride,
    by_class,
):
    """Add what a block of Z'Z contributes; `at` and `entry` are where it begins."""
    rows, columns = plan.group_size[rows_of], plan.group_size[columns_of]
    left, right = plan.factor_start[rows_of], plan.factor_start[columns_of]
    for a in range(rows):
        for b in range(columns):
            place = entry + a * entry_stride + b
            if plan.entry_start[place] == plan.entry_start[place + 1]:
                continue
            total = 0.0
            for c in range(effects.shape[1]):
                total += weighted[row + a, c] * effects[column + b, c]
            for c in range(a + 1):
                for d in range(b + 1):
                    total -= (
                        0.5
                        * factors[left + a * rows + c]
                        * inverse[at + c * stride + d]
                        * factors[right + b * columns + d]
                    )
            _add_entry(plan, place, times * total, by_class)


@kernel
def _add_entry(plan, entry, slope, by_class):  # type: ignore[no-untyped-def]
    for i in range(plan.entry_start[entry], plan.entry_start[entry + 1]):
        by_class[plan.entry_class[i]] += slope * plan.entry_value[i]
