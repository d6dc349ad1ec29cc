"""Compiled kernels that integrate the random effects out, by the way that suits the model.

Models of one grouping whose units share no rows have kernels of their own, several times as fast.
"""

from typing import NamedTuple

import numpy as np

from bayesml.engines.elimination_kernels import factorise
from bayesml.engines.gradient_kernels import factor_gradient
from bayesml.engines.one_grouping_kernels import gradient_of_sums, reduce_units
from bayesml.engines.unit_kernels import inlined_kernel, kernel


class Memory(NamedTuple):
    """What the kernels write; arrays that a model does not need are empty.

    Parameters
    ----------
    fronts, core, fixed : arrays
        As `factorise` writes them.
    reduced : array, shape (columns, columns)
        W.
    products, traces : arrays
        As `reduce_units` writes them; empty where no gradient is wanted.
    cross : array
        Cross-products as `combined` writes them; empty where all residuals are alike.
    outer : array, shape (columns, columns)
        The gradient with respect to W.
    """

    fronts: np.ndarray
    core: np.ndarray
    fixed: np.ndarray
    reduced: np.ndarray
    products: np.ndarray
    traces: np.ndarray
    cross: np.ndarray
    outer: np.ndarray


@kernel
def working_memory(plan, with_gradient):  # type: ignore[no-untyped-def]
    """Return memory for a model."""
    columns = plan.cross_outcome.shape[0]
    k, _, units = plan.cross_units.shape
    one_grouping = units > 0
    size = 0 if one_grouping else plan.cross_core.shape[0]
    terms = k if with_gradient else 0
    return Memory(
        np.empty(0 if one_grouping else plan.cross_fronts.size),
        np.empty((size, size)),
        np.empty((0 if one_grouping else plan.cross_fixed.shape[0], columns)),
        np.empty((columns, columns)),
        np.empty((terms, terms, columns, columns)),
        np.empty((terms, terms)),
        np.empty(plan.entry_start.size - 1),
        np.empty((columns, columns)),
    )


@inlined_kernel
def reduce_products(plan, factors, memory):  # type: ignore[no-untyped-def]
    """Return log |V| for given relative factors, or NaN; write W, and what a gradient needs."""
    if plan.cross_units.size > 0:
        return reduce_units(
            plan.cross_units,
            plan.cross_outcome,
            factors,
            memory.reduced,
            memory.products,
            memory.traces,
        )
    return factorise(plan, factors, memory.fronts, memory.core, memory.fixed, memory.reduced)


@inlined_kernel
def reduced_gradient(plan, factors, memory, outer_gradient, gradient):  # type: ignore[no-untyped-def]
    """Write the gradient with respect to the relative factors; see `factor_gradient`."""
    if plan.cross_units.size > 0:
        gradient_of_sums(memory.products, memory.traces, outer_gradient, gradient)
    else:
        factor_gradient(
            plan, factors, memory.fronts, memory.core, memory.fixed, outer_gradient, gradient
        )
