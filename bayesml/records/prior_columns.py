"""Draws from single priors, as columns."""

from collections.abc import Sequence

import numpy as np

from bayesml.quantities.correlation_matrices import draw_lkj
from bayesml.specs.distributions import Prior
from bayesml.specs.resolved import ResolvedGrouping


def one_prior(prior: Prior, rng: np.random.Generator, draws: int) -> np.ndarray:
    """Return draws of one prior, shape (draws,)."""
    with np.errstate(over="ignore", divide="ignore"):
        return np.asarray(prior.frozen.rvs(size=draws, random_state=rng), dtype=float)


def prior_columns(priors: Sequence[Prior], rng: np.random.Generator, draws: int) -> np.ndarray:
    """Return draws of several priors, shape (draws, priors)."""
    if not priors:
        return np.empty((draws, 0))
    return np.column_stack([one_prior(prior, rng, draws) for prior in priors])


def correlation_factors(
    grouping: ResolvedGrouping, rng: np.random.Generator, draws: int
) -> np.ndarray:
    """Return Cholesky factors of block-diagonal correlation matrices."""
    terms = len(grouping.terms)
    factor = np.zeros((draws, terms, terms))
    start = 0
    for size in grouping.blocks:
        block = slice(start, start + size)
        factor[:, block, block] = draw_lkj(rng, grouping.eta, size, draws)
        start += size
    return factor
