"""Compiled kernels of the independence sampler; see `independence`."""

from typing import NamedTuple

import numpy as np

from bayesml.engines.density_kernels import density_in
from bayesml.engines.effect_kernels import effects_given
from bayesml.engines.marginal_functions import placed
from bayesml.engines.reduction_kernels import working_memory
from bayesml.engines.unit_kernels import kernel


class Mixture(NamedTuple):
    """Student-t distributions of z, from which is proposed; see `mixtures`.

    Parameters
    ----------
    components : array, shape (components, 4)
        Log of the share with the constant of the density, degrees of freedom, scale, and share.
    centre : array, shape (components, dimensions)
    whitening : array, shape (components, dimensions, dimensions)
        What makes z - centre round.
    """

    components: np.ndarray
    centre: np.ndarray
    whitening: np.ndarray


class Thinning(NamedTuple):
    """The logarithm of the share of proposals that is kept, but for a constant; see `thinning`.

    Parameters
    ----------
    exponents : array of int, shape (monomials, dimensions)
    coefficients : array, shape (monomials,)
        Of the polynomial in z; without monomials every proposal is kept.
    bounds : array, shape (2,)
        Between which the polynomial is clipped.
    """

    exponents: np.ndarray
    coefficients: np.ndarray
    bounds: np.ndarray


@kernel
def log_share_kept(z, thinning):  # type: ignore[no-untyped-def]
    """Return the clipped polynomial at z."""
    total = 0.0
    for m in range(thinning.coefficients.size):
        term = thinning.coefficients[m]
        for j in range(z.size):
            for _ in range(thinning.exponents[m, j]):
                term *= z[j]
        total += term
    return min(max(total, thinning.bounds[0]), thinning.bounds[1])


@kernel
def log_shares_kept(z, thinning):  # type: ignore[no-untyped-def]
    """Return the clipped polynomial at every row of z."""
    out = np.empty(z.shape[0])
    for i in range(z.shape[0]):
        out[i] = log_share_kept(z[i], thinning)
    return out


@kernel
def proposal_density(z, mixture):  # type: ignore[no-untyped-def]
    """Return the log-density at z of a mixture of Student-t distributions."""
    components = mixture.components
    highest = -np.inf
    parts = np.empty(components.shape[0])
    for i in range(parts.size):
        squares = 0.0
        for a in range(z.size):
            total = 0.0
            for b in range(z.size):
                total += mixture.whitening[i, a, b] * (z[b] - mixture.centre[i, b])
            squares += total * total
        degrees, scale = components[i, 1], components[i, 2]
        parts[i] = components[i, 0] - 0.5 * (degrees + z.size) * np.log1p(
            squares / (degrees * scale * scale)
        )
        highest = max(highest, parts[i])
    total = 0.0
    for i in range(parts.size):
        total += np.exp(parts[i] - highest)
    return highest + np.log(total)


@kernel
def log_weights(plan, density, centre, spread, mixture, z, out):  # type: ignore[no-untyped-def]
    """Write the log-weight of every proposal z, as for `move`, before any thinning."""
    memory = working_memory(plan, False)
    nothing = np.empty(0)
    theta = np.empty(centre.size)
    for i in range(z.shape[0]):
        placed(centre, spread, z[i], theta)
        out[i] = density_in(plan, density, theta, nothing, memory) - proposal_density(z[i], mixture)


@kernel
def move(  # type: ignore[no-untyped-def]
    plan,
    density,
    centre,
    spread,
    mixture,
    thinning,
    proposals,
    steps,
    first,
    cycle,
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
    mixture : Mixture
    thinning : Thinning
        Of the proposals.
    proposals, steps : arrays, shape (steps, dimensions)
        Independent proposals z, and short steps from the current z.
    first : int
        Number of the first step, from which follows which steps are short.
    cycle : int
        Every so many steps one is short.
    uniforms : array, shape (steps,)
    normals : array, shape (draws, normals per draw)
    state : array, shape (3,)
        Log-weight and log-density of the current point, and which of the two places holds its
        factorisation; updated.
    current : array, shape (dimensions,)
        The current z; updated.
    memories : tuple of two Memory
        Working memory for two points.
    kept, accepted, log_density, coefficients, effects : arrays
        Written, one row per draw, after as many steps as there are for each: theta, the mean
        acceptance probability, log-density, and draws.
    """
    nothing = np.empty(0)
    theta = np.empty(centre.size)
    z = np.empty(centre.size)
    every = proposals.shape[0] // accepted.size
    accepted[:] = 0.0
    for i in range(proposals.shape[0]):
        here = int(state[2])
        there = 1 - here
        short = (first + i) % cycle == cycle - 1
        for j in range(z.size):
            z[j] = current[j] + steps[i, j] if short else proposals[i, j]
        placed(centre, spread, z, theta)
        value = density_in(plan, density, theta, nothing, memories[there])
        weight = value - proposal_density(z, mixture) - log_share_kept(z, thinning)
        probability = 0.0
        if np.isfinite(weight):
            gain = value - state[1] if short else weight - state[0]
            probability = min(1.0, np.exp(min(0.0, gain)))
        if uniforms[i] < probability:
            state[0], state[1], state[2] = weight, value, there
            current[:] = z
            here = there
        row = i // every
        accepted[row] += probability / every
        if (i + 1) % every > 0:
            continue
        placed(centre, spread, current, theta)
        kept[row] = theta
        log_density[row] = state[1]
        if effects.shape[0] > 0:
            effects_given(
                plan,
                density,
                theta,
                memories[here],
                normals[row],
                coefficients[row],
                effects[row],
            )
