"""Compiled kernels that give SDs a sign: the coordinates in which NUTS moves; see `signed_sds`.

A point has, in place of the log of an SD, a number w with SD = unit |sinh(w)|: like the SD itself
near 0, like its log far from it. A covariance block with factor diag(SD) L, in which some SDs are
negative, is that of positive SDs with the signs of rows and columns of the correlations changed:
of the partial correlation of two terms, the product of the two signs. The prior on correlations
does not know them, so the density is even in every w together with its correlations, and where
the prior of the SD is finite at 0 it passes through 0 without a break.
"""

import numpy as np

from bayesml.engines.unit_kernels import kernel

# An SD nearer to 0 than this share of its unit is taken to be that far from it: log and slope
# would lose their digits.
_NEAREST = 1e-12


@kernel
def without_signs(plan, density, unit, point, theta):  # type: ignore[no-untyped-def]
    """Write the parameters of the density at a point; return the log of the Jacobian.

    Parameters
    ----------
    unit : array, shape (terms,)
        0 where the point has the log of the SD.
    point : array, shape (dimensions,)
    theta : array, shape (dimensions,)
        Written.
    """
    theta[:] = point
    total = 0.0
    for i in range(unit.size):
        if unit[i] > 0.0:
            size = max(abs(point[i]), _NEAREST)
            # log sinh(w) = w - log 2 + log(1 - exp(-2 w)); its slope is 1 / tanh(w)
            rest = np.log(-np.expm1(-2.0 * size))
            theta[i] = np.log(0.5 * unit[i]) + size + rest
            total += np.log1p(np.exp(-2.0 * size)) - rest
    _change_signs(plan, density, unit, point, theta)
    return total


@kernel
def slope_with_signs(plan, density, unit, point, slope):  # type: ignore[no-untyped-def]
    """Turn the gradient by the parameters into that by the point, the Jacobian's included."""
    for i in range(unit.size):
        if unit[i] > 0.0:
            size = max(abs(point[i]), _NEAREST)
            # The log-density of log SD rises by 1 per unit near 0, which the Jacobian cancels.
            found = (slope[i] - 1.0) / np.tanh(size) + np.tanh(size)
            slope[i] = -found if point[i] < 0.0 else found
    _change_signs(plan, density, unit, point, slope)


@kernel
def _change_signs(plan, density, unit, point, values):  # type: ignore[no-untyped-def]
    """Change the signs of the entries for correlations of two terms of which one is negative."""
    term = 0
    angle = unit.size
    for g in range(plan.group_size.size):
        start = term
        for i in range(plan.group_size[g]):
            for j in range(density.block_first[term], i):
                one = unit[term] > 0.0 and point[term] < 0.0
                other = unit[start + j] > 0.0 and point[start + j] < 0.0
                if one != other:
                    values[angle] = -values[angle]
                angle += 1
            term += 1
