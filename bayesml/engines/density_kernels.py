"""Compiled kernels of the marginal log-density of a Gaussian model.

The parameters are, one after the other and without constraints: the log SD of every varying term;
for every correlated block the Fisher-transformed partial correlations (Lewandowski, Kurowicka &
Joe 2009, doi:10.1016/j.jmva.2009.04.008), row by row; the log of the residual SD; and the
coefficients that are sampled because their prior is not Normal. The others, and all random
effects, are integrated out.

The outcome is y minus its offset and its mean, predictors are centred and scaled, and varying
terms are scaled, never shifted; `marginal_models` translates.
"""

from typing import NamedTuple

import numpy as np

from bayesml.engines.class_gradient_kernels import class_gradient
from bayesml.engines.reduction_kernels import reduce_products, reduced_gradient, working_memory
from bayesml.engines.residual_kernels import (
    ANGLE,
    BOUNDED,
    LOG,
    Residuals,
    bounded,
    class_coefficients,
    combined,
)
from bayesml.engines.unit_kernels import cholesky_in_place, kernel

# Codes of the prior distributions, with up to three arguments each.
PRIOR_CODES = {
    "HalfNormal": 0,
    "HalfStudentT": 1,
    "HalfCauchy": 2,
    "Exponential": 3,
    "Gamma": 4,
    "InverseGamma": 5,
    "LogNormal": 6,
    "MLwiN": 7,
    "Normal": 10,
    "StudentT": 11,
    "Cauchy": 12,
    "Laplace": 13,
}
# Of the log of an SD itself, whose prior stands elsewhere; and of correlations between bounds.
FLAT_LOG = 8
BOUNDED_CODES = {"Uniform": 14, "TruncatedNormal": 15, "Beta": 16}
NO_PRIOR = 14


class Density(NamedTuple):
    """Everything of the log-density but the cross-products.

    Parameters
    ----------
    term_scale : array, shape (terms,)
        What the terms were divided by; terms of all groupings, one after the other.
    block_first : array of int, shape (terms,)
        First term of each term's covariance block, by position within its grouping.
    correlation_power : array, shape (correlations,)
        The log prior of a partial correlation r is this times log(1 - r^2), Jacobian included.
    prior_code, prior_arguments : arrays, shapes (terms + 1,) and (terms + 1, 3)
        Priors of the SDs, on the user's scale, and of sigma.
    precision, location : arrays, shape (integrated coefficients,)
        Of the Normal priors of the coefficients that are integrated out.
    sampled_code, sampled_arguments : arrays, shapes (sampled coefficients,) and (..., 3)
        Priors of the coefficients that are sampled, on the user's scale.
    sampled_scale, sampled_shift : arrays, shape (sampled coefficients,)
        A coefficient on the user's scale is its internal value times this, plus this.
    constant : array, shape (2,)
        Number of rows, and the sum of all constants of the log-density.
    residual_code, residual_arguments : arrays, shapes (1 + residual parameters,) and (..., 3)
        Priors of log sigma, beyond that of sigma, and of the residual parameters; of an angle,
        the first argument is its power as in `correlation_power`.
    residuals : Residuals
        How the residual parameters, the last of all parameters, give the cross-products.
    """

    term_scale: np.ndarray
    block_first: np.ndarray
    correlation_power: np.ndarray
    prior_code: np.ndarray
    prior_arguments: np.ndarray
    precision: np.ndarray
    location: np.ndarray
    sampled_code: np.ndarray
    sampled_arguments: np.ndarray
    sampled_scale: np.ndarray
    sampled_shift: np.ndarray
    constant: np.ndarray
    residual_code: np.ndarray
    residual_arguments: np.ndarray
    residuals: Residuals


@kernel
def prior_kernel(code, arguments, x):  # type: ignore[no-untyped-def]
    """Return the log-density of a prior without its constant, and its derivative."""
    a, b, c = arguments[0], arguments[1], arguments[2]
    if code == 0:
        return -0.5 * (x / a) ** 2, -x / a**2
    if code == 1:
        return -0.5 * (a + 1) * np.log1p((x / b) ** 2 / a), -(a + 1) * x / (a * b * b + x * x)
    if code == 2:
        return -np.log1p((x / a) ** 2), -2 * x / (a * a + x * x)
    if code == 3:
        return -a * x, -a
    if code == 4:
        return (a - 1) * np.log(x) - b * x, (a - 1) / x - b
    if code == 5:
        return -(a + 1) * np.log(x) - b / x, -(a + 1) / x + b / x**2
    if code == 6:
        z = (np.log(x) - a) / b
        return -np.log(x) - 0.5 * z * z, -(1 + z / b) / x
    if code == 7:
        return -(2 * a + 1) * np.log(x) - b / x**2, -(2 * a + 1) / x + 2 * b / x**3
    if code == 8:
        return -np.log(x), -1 / x
    if code == 10 or code == 15:
        z = (x - a) / b
        return -0.5 * z * z, -z / b
    if code == 11:
        z = (x - b) / c
        return -0.5 * (a + 1) * np.log1p(z * z / a), -(a + 1) * z / (a + z * z) / c
    if code == 12:
        z = (x - a) / b
        return -np.log1p(z * z), -2 * z / (1 + z * z) / b
    if code == 14:
        return 0.0, 0.0
    if code == 16:
        return (a - 1) * np.log(x) + (b - 1) * np.log1p(-x), (a - 1) / x - (b - 1) / (1 - x)
    z = (x - a) / b
    return -abs(z), -np.sign(z) / b


@kernel
def unpack(plan, density, theta, factors, correlation_factors):  # type: ignore[no-untyped-def]
    """Write the relative factors and the Cholesky factors of the correlations; return sigma."""
    terms = density.term_scale.size
    correlations = density.correlation_power.size
    sigma = np.exp(theta[terms + correlations])
    factors[:] = 0.0
    correlation_factors[:] = 0.0
    term = 0
    angle = terms
    for g in range(plan.group_size.size):
        k = plan.group_size[g]
        start = plan.factor_start[g]
        for i in range(k):
            first = density.block_first[term]
            left = 1.0
            scale = np.exp(theta[term]) * density.term_scale[term] / sigma
            for j in range(first, i):
                t = np.tanh(theta[angle])
                # 1 - tanh^2 without cancellation
                cosh = np.cosh(min(abs(theta[angle]), 350.0))
                correlation_factors[start + i * k + j] = t * left
                left /= cosh
                angle += 1
            correlation_factors[start + i * k + i] = left
            for j in range(first, i + 1):
                factors[start + i * k + j] = scale * correlation_factors[start + i * k + j]
            term += 1
    return sigma


@kernel
def coefficients_given(density, reduced, sigma, sampled, schur, mean):  # type: ignore[no-untyped-def]
    """Solve for the integrated coefficients.

    Writes the Cholesky factor of their precision times sigma^2 to `schur` and their conditional
    mean to `mean`; returns its log determinant and the least sum of squares, or NaN.
    """
    p = density.precision.size
    last = reduced.shape[0] - 1
    variance = sigma * sigma
    squares = reduced[last, last]
    for s in range(sampled.size):
        squares -= 2.0 * sampled[s] * reduced[p + s, last]
        for t in range(sampled.size):
            squares += sampled[s] * sampled[t] * reduced[p + s, p + t]
    for i in range(p):
        for j in range(i + 1):
            schur[i, j] = reduced[i, j]
        weight = variance * density.precision[i]
        schur[i, i] += weight
        total = reduced[i, last] + weight * density.location[i]
        for s in range(sampled.size):
            total -= reduced[i, p + s] * sampled[s]
        mean[i] = total
        squares += weight * density.location[i] ** 2
    if not cholesky_in_place(schur, p):
        return np.nan, np.nan
    log_determinant = 0.0
    for i in range(p):
        total = mean[i]
        for j in range(i):
            total -= schur[i, j] * mean[j]
        mean[i] = total / schur[i, i]
        squares -= mean[i] ** 2
        log_determinant += 2.0 * np.log(schur[i, i])
    for i in range(p - 1, -1, -1):
        total = mean[i]
        for j in range(i + 1, p):
            total -= schur[j, i] * mean[j]
        mean[i] = total / schur[i, i]
    return log_determinant, squares


@kernel
def _residual_priors(density, log_sigma, parameters, slopes):  # type: ignore[no-untyped-def]
    """Return the log priors of residual parameters, with Jacobians; write their derivatives."""
    total = 0.0
    for j in range(slopes.size):
        code, arguments = density.residual_code[j], density.residual_arguments[j]
        x = log_sigma if j == 0 else parameters[j - 1]
        kind = 0 if j == 0 else density.residuals.kind[j - 1]
        if kind == ANGLE:
            size = abs(x)
            total -= 2.0 * arguments[0] * (size + np.log1p(np.exp(-2.0 * size)) - np.log(2.0))
            slopes[j] = -2.0 * arguments[0] * np.tanh(x)
        elif kind == LOG:
            log_prior, slope = prior_kernel(code, arguments, np.exp(x))
            total += log_prior + x
            slopes[j] = slope * np.exp(x) + 1.0
        elif kind == BOUNDED:
            value, _, _, by_x = bounded(density.residuals, x)
            log_prior, slope = prior_kernel(code, arguments, value)
            # The log Jacobian without the constant log of the width
            total += log_prior - abs(x) - 2.0 * np.log1p(np.exp(-abs(x)))
            slopes[j] = slope * by_x - np.tanh(0.5 * x)
        else:
            log_prior, slope = prior_kernel(code, arguments, x)
            total += log_prior
            slopes[j] = slope
    return total


@kernel
def marginal_density(plan, density, theta, gradient):  # type: ignore[no-untyped-def]
    """Return the log-density at unconstrained parameters; write its gradient, unless it is empty.

    NaN where a matrix cannot be factorised.
    """
    return density_in(plan, density, theta, gradient, working_memory(plan, gradient.size > 0))


@kernel
def density_in(plan, density, theta, gradient, memory):  # type: ignore[no-untyped-def]
    """As `marginal_density`, in given working memory, which keeps what `effects_given` reads."""
    terms = density.term_scale.size
    correlations = density.correlation_power.size
    p = density.precision.size
    first_sampled = terms + correlations + 1
    first_residual = first_sampled + density.sampled_code.size
    sampled = theta[first_sampled:first_residual]
    parameters = theta[first_residual:]
    rows = density.constant[0]
    factors = np.empty(plan.factor_start[-1])
    correlation_factors = np.empty(factors.size)
    sigma = unpack(plan, density, theta, factors, correlation_factors)
    if not (sigma > 0.0 and sigma < 1e150):
        return np.nan
    reduced = memory.reduced
    log_sigma = theta[terms + correlations]
    number = plan.classes[0]
    coefficients = np.empty(number)
    slopes = np.empty((number, 1 + parameters.size))
    det_slopes = np.zeros(1 + parameters.size)
    residual_determinant = 0.0
    if number > 0:
        residual_determinant = class_coefficients(
            density.residuals, log_sigma, parameters, coefficients, slopes, det_slopes
        )
        if not np.isfinite(residual_determinant):
            return np.nan
        plan = combined(plan, coefficients, memory.cross)
    log_determinant = reduce_products(plan, factors, memory) + residual_determinant
    schur = np.empty((p, p))
    mean = np.empty(p)
    schur_determinant, squares = coefficients_given(density, reduced, sigma, sampled, schur, mean)
    variance = sigma * sigma
    value = (
        density.constant[1]
        - (rows - p) * log_sigma
        - 0.5 * (log_determinant + schur_determinant + squares / variance)
    )
    for i in range(terms + 1):
        at = i if i < terms else terms + correlations
        log_prior, _ = prior_kernel(
            density.prior_code[i], density.prior_arguments[i], np.exp(theta[at])
        )
        value += log_prior + theta[at]
    for i in range(correlations):
        x = abs(theta[terms + i])
        # log(1 - tanh^2) = -2 log cosh
        value -= 2.0 * density.correlation_power[i] * (x + np.log1p(np.exp(-2.0 * x)) - np.log(2.0))
    for s in range(sampled.size):
        log_prior, _ = prior_kernel(
            density.sampled_code[s],
            density.sampled_arguments[s],
            sampled[s] * density.sampled_scale[s] + density.sampled_shift[s],
        )
        value += log_prior
    prior_slopes = np.zeros(det_slopes.size)
    value += _residual_priors(density, log_sigma, parameters, prior_slopes)
    if gradient.size == 0 or not np.isfinite(value):
        return value
    # dq/dW = v v' with v = (-mean, -sampled, 1), and the derivative of the log determinant
    columns = reduced.shape[0]
    v = np.ones(columns)
    for i in range(p):
        v[i] = -mean[i]
    for s in range(sampled.size):
        v[p + s] = -sampled[s]
    outer = memory.outer
    for i in range(columns):
        for j in range(columns):
            outer[i, j] = -0.5 * v[i] * v[j] / variance
    shrunk = 0.0
    trace = 0.0
    column = np.empty(p)
    for i in range(p):  # column i of the inverse of S
        column[:] = 0.0
        column[i] = 1.0
        for a in range(i, p):
            for b in range(i, a):
                column[a] -= schur[a, b] * column[b]
            column[a] /= schur[a, a]
        for a in range(p - 1, -1, -1):
            for b in range(a + 1, p):
                column[a] -= schur[b, a] * column[b]
            column[a] /= schur[a, a]
        for a in range(p):
            outer[a, i] -= 0.5 * column[a]
        trace += density.precision[i] * column[i]
        shrunk += density.precision[i] * (mean[i] - density.location[i]) ** 2
    slope_sigma = -(rows - p) + squares / variance - variance * trace - shrunk
    gradient[:] = 0.0
    for s in range(sampled.size):
        total = 0.0
        for j in range(columns):
            total += reduced[p + s, j] * v[j]
        _, slope = prior_kernel(
            density.sampled_code[s],
            density.sampled_arguments[s],
            sampled[s] * density.sampled_scale[s] + density.sampled_shift[s],
        )
        gradient[terms + correlations + 1 + s] = total / variance + slope * density.sampled_scale[s]
    by_factor = np.empty(factors.size)
    reduced_gradient(plan, factors, memory, outer, by_factor)
    for i in range(factors.size):
        slope_sigma -= by_factor[i] * factors[i]
    term = 0
    angle = terms
    for g in range(plan.group_size.size):
        k = plan.group_size[g]
        start = plan.factor_start[g]
        for i in range(k):
            first = density.block_first[term]
            scale = np.exp(theta[term]) * density.term_scale[term] / sigma
            for j in range(first, i + 1):
                gradient[term] += by_factor[start + i * k + j] * factors[start + i * k + j]
            rest = by_factor[start + i * k + i] * factors[start + i * k + i]
            # From the last partial correlation of the row to the first
            for j in range(i - 1, first - 1, -1):
                x = theta[angle + j - first]
                t = np.tanh(x)
                before = 1.0
                for m in range(first, j):
                    before /= np.cosh(min(abs(theta[angle + m - first]), 350.0))
                sech = 1.0 / np.cosh(min(abs(x), 350.0))
                gradient[angle + j - first] = (
                    sech * sech * before * scale * by_factor[start + i * k + j]
                    - t * rest
                    - 2.0 * density.correlation_power[angle + j - first - terms] * t
                )
                rest += by_factor[start + i * k + j] * factors[start + i * k + j]
            angle += i - first
            term += 1
    for i in range(terms + 1):
        at = i if i < terms else terms + correlations
        x = np.exp(theta[at])
        _, slope = prior_kernel(density.prior_code[i], density.prior_arguments[i], x)
        gradient[at] += slope * x + 1.0
    gradient[terms + correlations] += slope_sigma
    by_class = np.zeros(number)
    if number > 0:
        class_gradient(plan, factors, memory.fronts, memory.core, memory.fixed, outer, by_class)
    for j in range(det_slopes.size):
        total = prior_slopes[j] - 0.5 * det_slopes[j]
        for k in range(number):
            total += by_class[k] * slopes[k, j]
        gradient[terms + correlations if j == 0 else first_residual + j - 1] += total
    return value
