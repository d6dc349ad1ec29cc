"""Bands for ranks hold as often as they say, and p-values are those of a plain simulation."""

import numpy as np
import pytest
from scipy import stats

from bayesml.quantities.rank_uniformity import rank_band, uniformity_p_value


def counts_below(ranks: np.ndarray, largest: int) -> np.ndarray:
    """Return how many of a sample's ranks are below 1, ..., largest; samples first."""
    return (ranks[:, :, None] < np.arange(1, largest + 1)).sum(axis=1)


@pytest.mark.parametrize(
    ("number", "largest", "probability"), [(40, 19, 0.9), (100, 9, 0.95), (25, 49, 0.99)]
)
def test_band_holds_as_often_as_it_says(number: int, largest: int, probability: float) -> None:
    lower, upper = rank_band(number, largest, probability)
    ranks = np.random.default_rng(5).integers(0, largest + 1, (20_000, number))
    below = counts_below(ranks, largest)
    held = ((below >= lower) & (below <= upper)).all(axis=1).mean()
    # Counts are whole, so the band may hold a little more often than asked: by how much, the
    # simulation says too, since a band narrower by one count somewhere must not be enough.
    error = 4 * np.sqrt(probability * (1 - probability) / 20_000)
    assert held > probability - error
    assert held < probability + (1 - probability) * 0.6 + error


def test_band_is_symmetric() -> None:
    lower, upper = rank_band(60, 29, 0.95)
    np.testing.assert_array_equal(lower, 60 - upper[::-1])


def test_p_value_is_that_of_a_simulation() -> None:
    number, largest = 30, 14
    random = np.random.default_rng(8)
    shares = np.arange(1, largest + 1) / (largest + 1)

    def statistic(ranks: np.ndarray) -> np.ndarray:
        below = counts_below(ranks, largest)
        tails = np.minimum(
            stats.binom.cdf(below, number, shares), stats.binom.sf(below - 1, number, shares)
        )
        return tails.min(axis=1)

    reference = statistic(random.integers(0, largest + 1, (20_000, number)))
    for shape in (1.0, 1.3, 0.7):
        ranks = (random.beta(shape, shape, number) * (largest + 1)).astype(int)
        expected = (reference <= statistic(ranks[None])[0] * (1 + 1e-9)).mean()
        error = 4 * np.sqrt(expected * (1 - expected) / 20_000) + 1e-3
        assert uniformity_p_value(ranks, largest) == pytest.approx(expected, abs=error)


def test_one_position_is_a_binomial_test() -> None:
    # With two possible ranks the only question is how many are 0.
    ranks = np.array([0] * 14 + [1] * 6)
    expected = stats.binomtest(14, 20, 0.5).pvalue
    assert uniformity_p_value(ranks, 1) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("probability", [0.9, 0.99])
def test_p_value_and_band_agree(probability: float) -> None:
    random = np.random.default_rng(3)
    lower, upper = rank_band(50, 19, probability)
    seen = set()
    for shape in np.linspace(0.4, 2.5, 40):
        ranks = (random.beta(shape, shape, 50) * 20).astype(int)
        below = counts_below(ranks[None], 19)[0]
        inside = bool(((below >= lower) & (below <= upper)).all())
        assert inside == (uniformity_p_value(ranks, 19) > 1 - probability)
        seen.add(inside)
    assert seen == {True, False}


def test_ranks_of_a_shifted_posterior_are_found() -> None:
    random = np.random.default_rng(4)
    right = random.integers(0, 100, 200)
    shifted = (stats.norm.cdf(random.normal(0.5, 1, 200)) * 100).astype(int)
    narrow = (stats.norm.cdf(random.normal(0, 1.4, 200)) * 100).astype(int)
    assert uniformity_p_value(right, 99) > 0.01
    assert uniformity_p_value(shifted, 99) < 1e-4
    assert uniformity_p_value(narrow, 99) < 1e-3
