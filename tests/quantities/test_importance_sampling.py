"""Pareto smoothing against ArviZ, and left-out densities against closed forms."""

import numpy as np
import pytest
from arviz_stats.base.array import array_stats
from scipy import stats

from bayesml.quantities.importance_sampling import (
    highest_reliable_k,
    left_out_densities,
    sampling_efficiency,
    smoothed_log_weights,
)


@pytest.mark.parametrize("draws", [100, 200, 1000, 4000])
@pytest.mark.parametrize("efficiency", [1.0, 0.6, 0.1])
def test_smoothing_is_that_of_arviz(draws: int, efficiency: float) -> None:
    rng = np.random.default_rng(2)
    # From bounded ratios to tails without a mean.
    ratios = np.concatenate(
        [
            rng.uniform(size=(3, draws)),
            rng.normal(size=(3, draws)),
            4 * rng.normal(size=(3, draws)),
            rng.standard_t(2, size=(3, draws)) ** 2,
            1e4 + 300 * rng.normal(size=(1, draws)),
        ]
    )
    weights, k = smoothed_log_weights(ratios, efficiency)
    with np.errstate(all="ignore"):
        expected, expected_k = array_stats.psislw(-ratios, r_eff=efficiency)
    # ArviZ says NaN where most of the largest ratios vanish beside one of them.
    np.testing.assert_allclose(k, np.where(np.isnan(expected_k), np.inf, expected_k), rtol=1e-9)
    np.testing.assert_allclose(weights, expected, atol=1e-9)


def test_tied_ratios_are_not_smoothed() -> None:
    ratios = np.concatenate([np.zeros(150), np.ones(150)])[None]
    weights, k = smoothed_log_weights(ratios)
    assert np.isinf(k[0])
    np.testing.assert_allclose(np.exp(weights[0]), np.exp(ratios[0]) / np.exp(ratios).sum())


def test_too_few_draws() -> None:
    with pytest.raises(ValueError, match="99 draws are too few to smooth: give at least 100"):
        smoothed_log_weights(np.zeros((2, 99)))


def normal_example(
    draws: int, seed: int = 4
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return a sample with unknown mean: the log-likelihood, and exact densities left out and in.

    y ~ N(mu, 1), mu ~ N(0, 10^2); the last outcome lies far out.
    """
    rng = np.random.default_rng(seed)
    y = np.append(rng.normal(1, 1, size=29), 4.5)

    def posterior(values: np.ndarray) -> tuple[float, float]:
        precision = len(values) + 0.01
        return float(values.sum() / precision), float(1 / precision)

    mean, variance = posterior(y)
    mu = rng.normal(mean, np.sqrt(variance), size=draws)
    left_out = []
    for i in range(len(y)):
        centre, spread = posterior(np.delete(y, i))
        left_out.append(stats.norm.logpdf(y[i], centre, np.sqrt(1 + spread)))
    inside = stats.norm.logpdf(y, mean, np.sqrt(1 + variance))
    return stats.norm.logpdf(y[:, None], mu), np.array(left_out), inside, y


def test_left_out_densities_are_exact_within_their_error() -> None:
    values, exact, inside, _ = normal_example(4000)
    found = left_out_densities(values)
    assert (found.pareto_k < 0.7).all()
    assert (np.abs(found.elpd - exact) < 4 * found.mcse + 1e-3).all()
    np.testing.assert_allclose(found.lpd, inside, atol=0.02)
    assert found.pareto_k.argmax() == 29


def test_the_monte_carlo_error_is_the_spread_over_repetitions() -> None:
    rng = np.random.default_rng(7)
    y = normal_example(500)[3]
    precision = len(y) + 0.01
    runs = [
        left_out_densities(
            stats.norm.logpdf(
                y[-3:, None], rng.normal(y.sum() / precision, precision**-0.5, size=500)
            )
        )
        for _ in range(300)
    ]
    spread = np.std([run.elpd for run in runs], axis=0)
    claimed = np.sqrt(np.mean([run.mcse**2 for run in runs], axis=0))
    # The two ordinary rows; the far one has a heavier tail.
    np.testing.assert_allclose(claimed[:2], spread[:2], rtol=0.2)


def test_rows_that_do_not_move_or_are_not_finite() -> None:
    rng = np.random.default_rng(5)
    values = np.stack([np.full(200, -1.5), rng.normal(size=200), rng.normal(size=200)])
    values[2, 3] = -np.inf
    found = left_out_densities(values)
    assert found.elpd[0] == pytest.approx(-1.5)
    assert (found.mcse[0], found.pareto_k[0]) == (0.0, 0.0)
    assert np.isfinite(found.elpd[1])
    assert np.isneginf(found.elpd[2])
    assert np.isinf(found.pareto_k[2])


def test_threshold_of_k() -> None:
    assert highest_reliable_k(100) == 0.5
    assert highest_reliable_k(1000) == pytest.approx(2 / 3)
    assert highest_reliable_k(100_000) == 0.7


def test_efficiency_of_draws_that_depend_on_each_other() -> None:
    rng = np.random.default_rng(6)
    chains, draws, memory = 4, 2000, 0.8
    values = np.zeros((6, chains, draws))
    noise = rng.normal(size=values.shape) * np.sqrt(1 - memory**2)
    for step in range(1, draws):
        values[:, :, step] = memory * values[:, :, step - 1] + noise[:, :, step]
    # An autoregressive chain is worth (1 - r) / (1 + r) of its draws.
    found = sampling_efficiency(0.01 * values.reshape(6, -1), chains)
    assert found == pytest.approx((1 - memory) / (1 + memory), rel=0.2)
    assert sampling_efficiency(np.zeros((2, 400)), 4) == 1.0
