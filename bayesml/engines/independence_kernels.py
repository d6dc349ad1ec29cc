"""Compiled kernels of the independence sampler; see `independence`."""

import numpy as np

from bayesml.engines.density_kernels import density_in, effects_given
from bayesml.engines.unit_kernels import kernel


@kernel
def proposal_density(z, degrees):  # type: ignore[no-untyped-def]
    """Return the log-density of a multivariate Student-t at z, without its constant."""
    return -0.5 * (degrees + z.size) * np.log1p((z * z).sum() / degrees)


@kernel
def move(  # type: ignore[no-untyped-def]
    plan,
    density,
    proposals,
    thetas,
    degrees,
    uniforms,
    normals,
    state,
    current,
    fronts,
    core,
    fixed,
    reduced,
    kept,
    accepted,
    log_density,
    coefficients,
    effects,
):
    """Run a stretch of a chain.

    Parameters
    ----------
    proposals, thetas : arrays, shape (steps, dimensions)
        Proposed points in the coordinates of the proposal, and as parameters.
    uniforms : array, shape (steps,)
    normals : array, shape (steps, normals per draw)
    state : array, shape (3,)
        Log-weight and log-density of the current point, and which of the two places holds its
        factorisation; updated.
    current : array, shape (dimensions,)
        The current point; updated.
    fronts, core, fixed, reduced : arrays
        Working memory for two points, first axis of length 2.
    kept, accepted, log_density, coefficients, effects : arrays
        Written, one row per step.
    """
    nothing = np.empty(0)
    for i in range(proposals.shape[0]):
        here = int(state[2])
        there = 1 - here
        value = density_in(
            plan,
            density,
            thetas[i],
            nothing,
            False,
            fronts[there],
            core[there],
            fixed[there],
            reduced[there],
        )
        weight = value - proposal_density(proposals[i], degrees)
        accepted[i] = 0.0
        if np.isfinite(weight):
            accepted[i] = min(1.0, np.exp(min(0.0, weight - state[0])))
        if uniforms[i] < accepted[i]:
            state[0], state[1], state[2] = weight, value, there
            current[:] = thetas[i]
            here = there
        kept[i] = current
        log_density[i] = state[1]
        if effects.shape[0] > 0:
            effects_given(
                plan,
                density,
                current,
                fronts[here],
                core[here],
                fixed[here],
                reduced[here],
                normals[i],
                coefficients[i],
                effects[i],
            )
