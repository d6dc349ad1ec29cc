"""The marginal log-density as the two C functions that nutpie calls.

nutpie moves in coordinates in which the posterior is roughly round: a point is centre + spread z,
with the mode and the curvature there, and theta is the point without the signs that SDs which may
be 0 have in it. The arrays come through one block of addresses, so the machine code is the same for
every Gaussian model and is read from disk after its first use.
"""

from functools import cache

import numpy as np
from numba import carray  # type: ignore[attr-defined]

from bayesml.engines.c_functions import (
    KEPT_VARIABLES,
    LOG_DENSITY,
    ClosedFunction,
    EntryPoint,
    as_pointer,
)
from bayesml.engines.density_kernels import Density, density_in
from bayesml.engines.elimination import Plan
from bayesml.engines.reduction_kernels import working_memory
from bayesml.engines.residual_kernels import Residuals
from bayesml.engines.signed_sd_kernels import slope_with_signs, without_signs
from bayesml.engines.unit_kernels import kernel

# Numbers in the block: for each of the arrays in `arrays_at` its address, then its shape.
_BLOCK = 93


@kernel
def arrays_at(block):  # type: ignore[no-untyped-def]
    """Return the arrays whose addresses and shapes the block holds."""
    plan = Plan(
        carray(as_pointer(block[0]), (block[1],), np.int64),
        carray(as_pointer(block[2]), (block[3],), np.int64),
        carray(as_pointer(block[4]), (block[5],), np.int64),
        carray(as_pointer(block[6]), (block[7],), np.int64),
        carray(as_pointer(block[8]), (block[9],), np.int64),
        carray(as_pointer(block[10]), (block[11],), np.int64),
        carray(as_pointer(block[12]), (block[13],), np.int64),
        carray(as_pointer(block[14]), (block[15],), np.int64),
        carray(as_pointer(block[16]), (block[17],), np.float64),
        carray(as_pointer(block[18]), (block[19], block[20]), np.float64),
        carray(as_pointer(block[21]), (block[22], block[23]), np.float64),
        carray(as_pointer(block[24]), (block[25], block[26]), np.float64),
        carray(as_pointer(block[27]), (block[28], block[29], block[30]), np.float64),
        carray(as_pointer(block[31]), (block[32],), np.int64),
        carray(as_pointer(block[33]), (block[34],), np.int64),
        carray(as_pointer(block[35]), (block[36],), np.float64),
        carray(as_pointer(block[37]), (block[38],), np.int64),
    )
    density = Density(
        carray(as_pointer(block[39]), (block[40],), np.float64),
        carray(as_pointer(block[41]), (block[42],), np.int64),
        carray(as_pointer(block[43]), (block[44],), np.float64),
        carray(as_pointer(block[45]), (block[46],), np.int64),
        carray(as_pointer(block[47]), (block[48], block[49]), np.float64),
        carray(as_pointer(block[50]), (block[51],), np.float64),
        carray(as_pointer(block[52]), (block[53],), np.float64),
        carray(as_pointer(block[54]), (block[55],), np.int64),
        carray(as_pointer(block[56]), (block[57], block[58]), np.float64),
        carray(as_pointer(block[59]), (block[60],), np.float64),
        carray(as_pointer(block[61]), (block[62],), np.float64),
        carray(as_pointer(block[63]), (block[64],), np.float64),
        carray(as_pointer(block[65]), (block[66],), np.int64),
        carray(as_pointer(block[67]), (block[68], block[69]), np.float64),
        Residuals(
            carray(as_pointer(block[70]), (block[71],), np.int64),
            carray(as_pointer(block[72]), (block[73], block[74]), np.float64),
            carray(as_pointer(block[75]), (block[76],), np.float64),
            carray(as_pointer(block[77]), (block[78],), np.float64),
            carray(as_pointer(block[79]), (block[80], block[81]), np.int64),
            carray(as_pointer(block[82]), (block[83],), np.float64),
            carray(as_pointer(block[84]), (block[85],), np.int64),
        ),
    )
    centre = carray(as_pointer(block[86]), (block[87],), np.float64)
    spread = carray(as_pointer(block[88]), (block[89], block[90]), np.float64)
    unit = carray(as_pointer(block[91]), (block[92],), np.float64)
    return plan, density, centre, spread, unit


@kernel
def placed(centre, spread, z, theta):  # type: ignore[no-untyped-def]
    """Write theta = centre + spread z."""
    for i in range(centre.size):
        total = centre[i]
        for j in range(centre.size):
            total += spread[i, j] * z[j]
        theta[i] = total


def _log_density(size, z_, gradient_, value_, data_):  # type: ignore[no-untyped-def]
    try:
        block = carray(data_, (_BLOCK,), np.int64)
        plan, density, centre, spread, unit = arrays_at(block)
        if size != centre.size:
            return -1
        z = carray(z_, (size,))
        gradient = carray(gradient_, (size,))
        value = carray(value_, (1,))
        point = np.empty(size)
        theta = np.empty(size)
        slope = np.empty(size)
        placed(centre, spread, z, point)
        jacobian = without_signs(plan, density, unit, point, theta)
        value[0] = jacobian + density_in(plan, density, theta, slope, working_memory(plan, True))
        if not np.isfinite(value[0]):
            return 3
        slope_with_signs(plan, density, unit, point, slope)
        for j in range(size):
            total = 0.0
            for i in range(size):
                total += spread[i, j] * slope[i]
            gradient[j] = total
            if not np.isfinite(total):
                return 3
    except Exception:
        return 1
    return 0


def _theta(size, kept_size, z_, kept_, data_):  # type: ignore[no-untyped-def]
    try:
        block = carray(data_, (_BLOCK,), np.int64)
        plan, density, centre, spread, unit = arrays_at(block)
        if size != centre.size or kept_size != size:
            return -1
        point = np.empty(size)
        placed(centre, spread, carray(z_, (size,)), point)
        without_signs(plan, density, unit, point, carray(kept_, (size,)))
    except Exception:
        return -2
    return 0


class _KernelFunction(ClosedFunction):
    """A closed function that leaves its kernels, optimised already, as they are.

    Drawn together into one they would take a minute to compile.
    """

    optimised = False


@cache
def entry_points() -> tuple[EntryPoint, EntryPoint]:
    """Return the C functions for the log-density and for theta, from disk where it holds them."""
    compiled = []
    for function, signature in ((_log_density, LOG_DENSITY), (_theta, KEPT_VARIABLES)):
        item = _KernelFunction(function, (signature.args, signature.return_type), {}, {})
        item.enable_caching()
        item.compile()
        compiled.append(EntryPoint(item, item.cache_hits > 0))
    return compiled[0], compiled[1]
