"""Compiled kernels of residuals that are not all alike: unequal SDs, and correlation in a unit.

With sigma^2 R the covariance of the residuals, the likelihood needs the cross-products of
[Z X y] under R^-1, and log |R|. Both are sums over few classes of rows and of sums or differences
of rows, each class with one coefficient that the residual parameters give:

    [Z X y]' R^-1 [Z X y] = sum over classes k of c_k C_k,   C_k fixed.

`residual_classes` says which classes a structure has. The gradient comes back the same way: the
derivative with respect to c_k is that with respect to the cross-products, times C_k.
"""

from typing import NamedTuple

import numpy as np

from bayesml.engines.core_kernels import inverse_of_factor
from bayesml.engines.elimination import Plan
from bayesml.engines.unit_kernels import cholesky_in_place, kernel

# Structures, by what gives the coefficients.
NONE, STRATA, AUTOREGRESSIVE, EQUAL, PATTERNS = range(5)
# Residual parameters, by what they are without constraints: themselves, a log, a logit between
# bounds, atanh of a partial correlation.
REAL, LOG, BOUNDED, ANGLE = range(4)


class Residuals(NamedTuple):
    """What the residual parameters are, and how they give the coefficients of the classes.

    Parameters
    ----------
    structure : array of int, shape (1,)
        One of the structures above.
    log_sd : array, shape (strata or occasions, 1 + parameters)
        The log of each relative SD is linear in (log sigma, parameters).
    number, counts : arrays
        Rows of each stratum (`counts`); each gap, with its number of rows; each size of units, with
        their number; for patterns, `counts` units of each.
    seen : array of int, shape (patterns, occasions)
        Which occasions the units of a pattern have.
    bounds : array, shape (2,)
        Of a bounded parameter.
    kind : array of int, shape (parameters,)
        What each parameter is.
    """

    structure: np.ndarray
    log_sd: np.ndarray
    number: np.ndarray
    counts: np.ndarray
    seen: np.ndarray
    bounds: np.ndarray
    kind: np.ndarray


@kernel
def bounded(residuals, x):  # type: ignore[no-untyped-def]
    """Return a bounded parameter, its distances from 1 and -1, and its derivative."""
    low, high = residuals.bounds[0], residuals.bounds[1]
    width = high - low
    e = np.exp(-abs(x))
    small, large = e / (1.0 + e), 1.0 / (1.0 + e)
    up, down = (large, small) if x > 0 else (small, large)
    value = low + width * up if x < 0 else high - width * down
    return value, (1.0 - high) + width * down, (1.0 + low) + width * up, width * up * down


@kernel
def class_coefficients(residuals, log_sigma, parameters, coefficients, slopes, det_slopes):  # type: ignore[no-untyped-def]
    """Write the coefficients of the classes; return log |R|, or NaN.

    Parameters
    ----------
    coefficients : array, shape (classes,)
        Written.
    slopes : array, shape (classes, 1 + parameters)
        Written: derivatives of the coefficients with respect to log sigma and the parameters.
    det_slopes : array, shape (1 + parameters,)
        Written: those of log |R|.
    """
    slopes[:] = 0.0
    det_slopes[:] = 0.0
    structure = residuals.structure[0]
    if structure == STRATA:
        return _strata(residuals, log_sigma, parameters, coefficients, slopes, det_slopes)
    if structure == AUTOREGRESSIVE:
        return _autoregressive(residuals, parameters[0], coefficients, slopes, det_slopes)
    if structure == EQUAL:
        return _equal(residuals, parameters[0], coefficients, slopes, det_slopes)
    return _patterns(residuals, log_sigma, parameters, coefficients, slopes, det_slopes)


@kernel
def _relative_logs(residuals, log_sigma, parameters):  # type: ignore[no-untyped-def]
    logs = residuals.log_sd[:, 0] * log_sigma
    for i in range(logs.size):
        for j in range(parameters.size):
            logs[i] += residuals.log_sd[i, 1 + j] * parameters[j]
    return logs


@kernel
def _strata(residuals, log_sigma, parameters, coefficients, slopes, det_slopes):  # type: ignore[no-untyped-def]
    logs = _relative_logs(residuals, log_sigma, parameters)
    total = 0.0
    for k in range(logs.size):
        coefficients[k] = np.exp(-2.0 * logs[k])
        total += 2.0 * residuals.counts[k] * logs[k]
        for j in range(det_slopes.size):
            slopes[k, j] = -2.0 * coefficients[k] * residuals.log_sd[k, j]
            det_slopes[j] += 2.0 * residuals.counts[k] * residuals.log_sd[k, j]
    return total


@kernel
def _autoregressive(residuals, x, coefficients, slopes, det_slopes):  # type: ignore[no-untyped-def]
    """The ends of the series, then differences and sums of neighbours for each gap.

    With r = phi^gap, (a - r b)(a - r b)' / (1 - r^2), a row given the one before it, is
    (1 + r) / (4 (1 - r)) (a - b)(a - b)' + (1 - r) / (4 (1 + r)) (a + b)(a + b)' + (aa' - bb') / 2.
    """
    phi, below_one, above_minus_one, slope = bounded(residuals, x)
    size = abs(phi)
    distance = below_one if phi > 0 else above_minus_one
    log_size = np.log1p(-distance) if distance < 0.5 else np.log(size)
    coefficients[0] = 1.0
    total = 0.0
    for g in range(residuals.number.size):
        gap = residuals.number[g]
        negative = phi < 0 and gap % 2.0 == 1.0
        if size > 0:
            near = -np.expm1(gap * log_size)
            power = np.exp(gap * log_size)
        else:
            near, power = 1.0, 0.0
        if gap == 1.0:
            by_phi = 1.0
        elif gap > 1.0:
            by_phi = gap * size ** (gap - 1.0)
            if phi < 0 and not negative:
                by_phi = -by_phi
        else:
            by_phi = gap * power / max(size, 1e-300)
        minus, plus = (2.0 - near, near) if negative else (near, 2.0 - near)
        coefficients[1 + 2 * g] = plus / (4.0 * minus)
        coefficients[2 + 2 * g] = minus / (4.0 * plus)
        r = -power if negative else power
        slopes[1 + 2 * g, 1] = by_phi * slope / (2.0 * minus * minus)
        slopes[2 + 2 * g, 1] = -by_phi * slope / (2.0 * plus * plus)
        total += residuals.counts[g] * (np.log(minus) + np.log(plus))
        det_slopes[1] -= residuals.counts[g] * 2.0 * r / (minus * plus) * by_phi * slope
    return total


@kernel
def _equal(residuals, x, coefficients, slopes, det_slopes):  # type: ignore[no-untyped-def]
    """Deviations from the units' means, then the means of units of each size."""
    rho, below_one, _, slope = bounded(residuals, x)
    low = residuals.bounds[0]
    coefficients[0] = 1.0 / below_one
    slopes[0, 1] = slope / (below_one * below_one)
    total = 0.0
    for s in range(residuals.number.size):
        rows = residuals.number[s]
        inflation = 1.0
        if rows > 1:
            # 1 + (n - 1) rho, from where it is 0
            inflation = (rows - 1.0) * (rho - low)
            if x < 0:
                inflation = (rows - 1.0) * (residuals.bounds[1] - low) * np.exp(x) / (1 + np.exp(x))
            inflation += (rows - 1.0) * (low + 1.0 / (rows - 1.0))
        coefficients[1 + s] = 1.0 / inflation
        slopes[1 + s, 1] = -(rows - 1.0) * slope / (inflation * inflation)
        total += residuals.counts[s] * ((rows - 1.0) * np.log(below_one) + np.log(inflation))
        det_slopes[1] += (
            residuals.counts[s] * (rows - 1.0) * slope * (1.0 / inflation - 1.0 / below_one)
        )
    return total


@kernel
def correlation_factor(angles, factor, by_angle):  # type: ignore[no-untyped-def]
    """Write the Cholesky factor of a correlation matrix, and its derivatives by each angle."""
    size = factor.shape[0]
    factor[:] = 0.0
    by_angle[:] = 0.0
    first = 0
    for i in range(size):
        left = 1.0
        for j in range(i):
            x = angles[first + j]
            t = np.tanh(x)
            sech = 1.0 / np.cosh(min(abs(x), 350.0))
            factor[i, j] = t * left
            by_angle[first + j, i, j] = sech * sech * left
            for m in range(j):
                by_angle[first + m, i, j] = -np.tanh(angles[first + m]) * factor[i, j]
            left *= sech
        factor[i, i] = left
        for m in range(i):
            by_angle[first + m, i, i] = -np.tanh(angles[first + m]) * left
        first += i


@kernel
def _patterns(residuals, log_sigma, parameters, coefficients, slopes, det_slopes):  # type: ignore[no-untyped-def]
    """Rows at each occasion, then differences of each pair, for every pattern of occasions.

    With Q the inverse covariance of a pattern, sum Q_ij a_i a_j' is the sum of (Q 1)_i a_i a_i'
    and, over pairs, of -Q_ij (a_i - a_j)(a_i - a_j)'.
    """
    patterns, size = residuals.seen.shape
    logs = _relative_logs(residuals, log_sigma, parameters)
    angles = size * (size - 1) // 2
    first_angle = parameters.size - angles
    factor = np.empty((size, size))
    by_angle = np.empty((angles, size, size))
    correlation_factor(parameters[first_angle:], factor, by_angle)
    covariance = np.zeros((size, size))
    moved = np.zeros((1 + parameters.size, size, size))
    for i in range(size):
        for j in range(size):
            scale = np.exp(logs[i] + logs[j])
            for m in range(min(i, j) + 1):
                covariance[i, j] += scale * factor[i, m] * factor[j, m]
            for q in range(1 + first_angle):
                moved[q, i, j] = covariance[i, j] * (
                    residuals.log_sd[i, q] + residuals.log_sd[j, q]
                )
            for q in range(angles):
                for m in range(min(i, j) + 1):
                    moved[1 + first_angle + q, i, j] += scale * (
                        by_angle[q, i, m] * factor[j, m] + factor[i, m] * by_angle[q, j, m]
                    )
    total = 0.0
    at = 0
    place = np.empty(size, dtype=np.int64)
    for p in range(patterns):
        n = 0
        for i in range(size):
            if residuals.seen[p, i]:
                place[n] = i
                n += 1
        lower = np.empty((n, n))
        for i in range(n):
            for j in range(n):
                lower[i, j] = covariance[place[i], place[j]]
        if not cholesky_in_place(lower, n):
            return np.nan
        inverse = np.empty((n, n))
        inverse_of_factor(lower, n, inverse)
        for i in range(n):
            total += 2.0 * residuals.counts[p] * np.log(lower[i, i])
        _coefficients_of(inverse, n, coefficients, at)
        turned = np.empty((n, n))
        change = np.empty((n, n))
        column = np.empty(n * (n + 1) // 2)
        for q in range(1 + parameters.size):
            for i in range(n):
                for j in range(n):
                    value = 0.0
                    for m in range(n):
                        value += inverse[i, m] * moved[q, place[m], place[j]]
                    turned[i, j] = value
                det_slopes[q] += residuals.counts[p] * turned[i, i]
            for i in range(n):
                for j in range(n):
                    value = 0.0
                    for m in range(n):
                        value -= turned[i, m] * inverse[m, j]
                    change[i, j] = value
            _coefficients_of(change, n, column, 0)
            for i in range(column.size):
                slopes[at + i, q] = column[i]
        at += n * (n + 1) // 2
    return total


@kernel
def _coefficients_of(inverse, n, out, at):  # type: ignore[no-untyped-def]
    pair = at + n
    for i in range(n):
        out[at + i] = 0.0
        for j in range(n):
            out[at + i] += inverse[i, j]
        for j in range(i):
            out[pair] = -inverse[i, j]
            pair += 1


@kernel
def combined(plan, coefficients, cross):  # type: ignore[no-untyped-def]
    """Return the plan with the cross-products of the classes added up, written to `cross`."""
    for e in range(cross.size):
        total = 0.0
        for i in range(plan.entry_start[e], plan.entry_start[e + 1]):
            total += coefficients[plan.entry_class[i]] * plan.entry_value[i]
        cross[e] = total
    core = plan.cross_core.shape[0]
    columns = plan.cross_outcome.shape[0]
    rows = plan.cross_fixed.shape[0]
    one = plan.cross_fronts.size
    two = one + core * core
    three = two + rows * columns
    return Plan(
        plan.group_size,
        plan.factor_start,
        plan.unit_group,
        plan.unit_column,
        plan.front_start,
        plan.neighbour_start,
        plan.neighbour,
        plan.neighbour_row,
        cross[:one],
        cross[one:two].reshape((core, core)),
        cross[two:three].reshape((rows, columns)),
        cross[three:].reshape((columns, columns)),
        plan.cross_units,
        plan.entry_start,
        plan.entry_class,
        plan.entry_value,
        plan.classes,
    )
