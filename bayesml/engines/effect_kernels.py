"""Compiled kernels that draw coefficients and random effects given the parameters, exactly."""

import numpy as np

from bayesml.engines.density_kernels import coefficients_given, unpack
from bayesml.engines.elimination_kernels import back_substitute
from bayesml.engines.one_grouping_kernels import draw_units
from bayesml.engines.reduction_kernels import reduce_products, working_memory
from bayesml.engines.residual_kernels import class_coefficients, combined
from bayesml.engines.unit_kernels import kernel


@kernel
def scaled_effects(plan, factors, sigma, coefficients, normal, memory, effects):  # type: ignore[no-untyped-def]
    """Draw the random effects of the scaled terms given the coefficients.

    Parameters
    ----------
    sigma : float
        The residual SD; 0 for the effects' conditional means.
    coefficients : array, shape (coefficients,)
    normal : array, shape (columns of Z,)
        Standard normal numbers.
    memory : Memory
        What `reduce_products` left for these factors.
    effects : array, shape (columns of Z,)
        Written, in the order of elimination.
    """
    if plan.cross_units.size > 0:
        draw_units(plan.cross_units, factors, sigma, coefficients, normal, effects)
        return
    last = memory.fixed.shape[1] - 1
    values = np.empty((effects.size, 1))
    for i in range(effects.size):
        total = memory.fixed[i, last] + sigma * normal[i]
        for c in range(last):
            total -= memory.fixed[i, c] * coefficients[c]
        values[i, 0] = total
    back_substitute(plan, memory.fronts, memory.core, values)
    for i in range(plan.unit_group.size):
        g = plan.unit_group[i]
        k = plan.group_size[g]
        first = plan.unit_column[i]
        for a in range(k):
            total = 0.0
            for b in range(a + 1):
                total += factors[plan.factor_start[g] + a * k + b] * values[first + b, 0]
            effects[first + a] = total


@kernel
def effects_given(plan, density, theta, memory, normal, coefficients, effects):  # type: ignore[no-untyped-def]
    """Draw coefficients and random effects given the parameters, exactly.

    Parameters
    ----------
    memory : Memory
        What `reduce_products` left at `theta`.
    normal : array, shape (integrated coefficients + columns of Z,)
        Standard normal numbers.
    coefficients : array, shape (coefficients,)
        Written: the integrated ones, then the sampled ones, internal scale.
    effects : array, shape (columns of Z,)
        Written: random effects on the user's scale, in the order of elimination.
    """
    terms = density.term_scale.size
    correlations = density.correlation_power.size
    p = density.precision.size
    first = terms + correlations + 1
    sampled = theta[first : first + density.sampled_code.size]
    factors = np.empty(plan.factor_start[-1])
    sigma = unpack(plan, density, theta, factors, np.empty(factors.size))
    schur = np.empty((p, p))
    mean = np.empty(p)
    coefficients_given(density, memory.reduced, sigma, sampled, schur, mean)
    for i in range(p - 1, -1, -1):
        total = sigma * normal[i]
        for j in range(i + 1, p):
            total -= schur[j, i] * (coefficients[j] - mean[j])
        coefficients[i] = mean[i] + total / schur[i, i]
    for s in range(sampled.size):
        coefficients[p + s] = sampled[s]
    scaled_effects(plan, factors, sigma, coefficients, normal[p:], memory, effects)
    first_term = np.zeros(plan.group_size.size, dtype=np.int64)
    for g in range(1, plan.group_size.size):
        first_term[g] = first_term[g - 1] + plan.group_size[g - 1]
    for i in range(plan.unit_group.size):
        g = plan.unit_group[i]
        for a in range(plan.group_size[g]):
            effects[plan.unit_column[i] + a] /= density.term_scale[first_term[g] + a]


@kernel
def plan_at(plan, density, theta, memory):  # type: ignore[no-untyped-def]
    """Return the plan with the cross-products of the residual parameters in `theta`."""
    number = plan.classes[0]
    if number > 0:
        at = density.term_scale.size + density.correlation_power.size
        parameters = theta[at + 1 + density.sampled_code.size :]
        width = 1 + parameters.size
        coefficients = np.empty(number)
        class_coefficients(
            density.residuals,
            theta[at],
            parameters,
            coefficients,
            np.empty((number, width)),
            np.empty(width),
        )
        plan = combined(plan, coefficients, memory.cross)
    return plan


@kernel
def draw_effects(plan, density, thetas, normals, coefficients, effects):  # type: ignore[no-untyped-def]
    """Draw coefficients and random effects for each row of `thetas`; see `effects_given`."""
    memory = working_memory(plan, False)
    factors = np.empty(plan.factor_start[-1])
    correlation_factors = np.empty(factors.size)
    for i in range(thetas.shape[0]):
        unpack(plan, density, thetas[i], factors, correlation_factors)
        used = plan_at(plan, density, thetas[i], memory)
        reduce_products(used, factors, memory)
        effects_given(used, density, thetas[i], memory, normals[i], coefficients[i], effects[i])
