"""Shifts and correlations of ranks, against SciPy."""

import numpy as np
import pytest
from scipy import stats

from bayesml.quantities.rank_shifts import rank_correlations, rank_shifts


def test_shifts_are_the_rank_sum_statistic() -> None:
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(4, 100, 3))
    draws[..., 1] += np.linspace(0, 1, 400).reshape(4, 100)
    marked = rng.uniform(size=(4, 100)) < 0.1
    flat = draws.reshape(-1, 3)
    for place, shift in enumerate(rank_shifts(draws, marked)):
        expected = stats.ranksums(flat[marked.ravel(), place], flat[~marked.ravel(), place])
        assert shift == pytest.approx(expected.statistic, rel=1e-9)


def test_correlations_are_spearmans() -> None:
    rng = np.random.default_rng(2)
    other = rng.normal(size=(2, 50))
    draws = np.stack([np.exp(other), rng.normal(size=(2, 50)), np.round(other)], axis=-1)
    for place, found in enumerate(rank_correlations(draws, other)):
        expected = stats.spearmanr(draws[..., place].ravel(), other.ravel()).statistic
        assert found == pytest.approx(expected, rel=1e-9)


def test_scalars_that_say_nothing_are_nan() -> None:
    draws = np.random.default_rng(3).normal(size=(1, 20, 2))
    draws[..., 0] = 1.0
    draws[0, 3, 1] = np.inf
    other = np.arange(20.0)[None]
    assert np.isnan(rank_correlations(draws, other)).all()
    assert np.isnan(rank_shifts(draws, other < 5)[1])
