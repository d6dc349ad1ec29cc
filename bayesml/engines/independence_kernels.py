"""Compiled kernels of the independence sampler; see `independence`."""

import numpy as np

from bayesml.engines.density_kernels import density_in
from bayesml.engines.effect_kernels import effects_given
from bayesml.engines.marginal_functions import placed
from bayesml.engines.unit_kernels import kernel

# Every so many steps one is a short step from where the chain is, so that a point far out, which
# independent proposals rarely beat, does not hold the chain.
CYCLE = 3


@kernel
def proposal_density(z, mixture):  # type: ignore[no-untyped-def]
    """Return the log-density at z of a mixture of Student-t distributions.

    Parameters
    ----------
    z : array, shape (dimensions,)
    mixture : array, shape (components, 3)
        Log of the share with the constant of the density, degrees of freedom, and scale.
    """
    squares = (z * z).sum()
    highest = -np.inf
    parts = np.empty(mixture.shape[0])
    for i in range(mixture.shape[0]):
        degrees, scale = mixture[i, 1], mixture[i, 2]
        parts[i] = mixture[i, 0] - 0.5 * (degrees + z.size) * np.log1p(
            squares / (degrees * scale * scale)
        )
        highest = max(highest, parts[i])
    total = 0.0
    for i in range(mixture.shape[0]):
        total += np.exp(parts[i] - highest)
    return highest + np.log(total)


@kernel
def move(  # type: ignore[no-untyped-def]
    plan,
    density,
    centre,
    spread,
    mixture,
    proposals,
    steps,
    first,
    uniforms,
    normals,
    state,
    current,
    memories,
    kept,
    accepted,
    log_density,
    coefficients,
    effects,
):
    """Run a stretch of a chain.

    Parameters
    ----------
    centre, spread : arrays
        theta = centre + spread z.
    mixture : array
        As in `proposal_density`.
    proposals, steps : arrays, shape (steps, dimensions)
        Independent proposals z, and short steps from the current z.
    first : int
        Number of the first step, from which follows which steps are short.
    uniforms : array, shape (steps,)
    normals : array, shape (steps, normals per draw)
    state : array, shape (3,)
        Log-weight and log-density of the current point, and which of the two places holds its
        factorisation; updated.
    current : array, shape (dimensions,)
        The current z; updated.
    memories : tuple of two Memory
        Working memory for two points.
    kept, accepted, log_density, coefficients, effects : arrays
        Written, one row per step: theta, the acceptance probability, and draws.
    """
    nothing = np.empty(0)
    theta = np.empty(centre.size)
    z = np.empty(centre.size)
    for i in range(proposals.shape[0]):
        here = int(state[2])
        there = 1 - here
        short = (first + i) % CYCLE == CYCLE - 1
        for j in range(z.size):
            z[j] = current[j] + steps[i, j] if short else proposals[i, j]
        placed(centre, spread, z, theta)
        value = density_in(plan, density, theta, nothing, memories[there])
        weight = value - proposal_density(z, mixture)
        accepted[i] = 0.0
        if np.isfinite(weight):
            gain = value - state[1] if short else weight - state[0]
            accepted[i] = min(1.0, np.exp(min(0.0, gain)))
        if uniforms[i] < accepted[i]:
            state[0], state[1], state[2] = weight, value, there
            current[:] = z
            here = there
        placed(centre, spread, current, theta)
        kept[i] = theta
        log_density[i] = state[1]
        if effects.shape[0] > 0:
            effects_given(
                plan,
                density,
                theta,
                memories[here],
                normals[i],
                coefficients[i],
                effects[i],
            )
