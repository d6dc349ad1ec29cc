"""Weights and distances of deletion, against closed forms."""

import numpy as np
import pytest

from bayesml.quantities.deletion_influence import (
    cook_distance,
    deletion_shift,
    deletion_weights,
)


def test_weights_take_a_part_of_the_data_out() -> None:
    # Posterior of a mean from 20 values of SD 1; without the last, the mean of the other 19.
    rng = np.random.default_rng(1)
    y = rng.normal(size=20)
    y[-1] = 2.5
    draws = rng.normal(y.mean(), 1 / np.sqrt(20), size=40_000)
    weights, k = deletion_weights(-0.5 * (y[-1] - draws) ** 2)
    assert weights.sum() == pytest.approx(1)
    assert k < 0.5
    assert weights @ draws == pytest.approx(y[:-1].mean(), abs=0.005)
    spread = np.sqrt(weights @ (draws - weights @ draws) ** 2)
    assert spread == pytest.approx(1 / np.sqrt(19), abs=0.004)
    shift = deletion_shift(draws[:, None], weights)
    expected = (y[:-1].mean() - y.mean()) * np.sqrt(20)
    assert shift[0] == pytest.approx(expected, abs=0.02)
    # With one scalar Cook's distance is the square of the shift.
    assert cook_distance(draws[:, None], weights) == pytest.approx(shift[0] ** 2)


def test_the_distance_does_not_depend_on_units_and_takes_correlation_in() -> None:
    rng = np.random.default_rng(2)
    draws = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], size=2000)
    weights = np.exp(0.3 * draws[:, 0])
    weights /= weights.sum()
    shift = weights @ draws - draws.mean(axis=0)
    expected = shift @ np.linalg.inv(np.cov(draws.T)) @ shift / 2
    assert cook_distance(draws, weights) == pytest.approx(expected)
    assert cook_distance(draws * [1e6, 1e-6], weights) == pytest.approx(expected)


def test_parts_that_say_nothing_and_draws_that_do_not_move() -> None:
    rng = np.random.default_rng(3)
    weights, k = deletion_weights(np.full(200, -3.0))
    assert k == 0
    assert weights == pytest.approx(1 / 200)
    draws = np.column_stack([rng.normal(size=200), np.full(200, 0.8)])
    tilted = np.linspace(0, 0.01, 200)
    assert deletion_shift(draws, tilted / tilted.sum())[1] == 0
    assert deletion_shift(draws, weights) == pytest.approx([0, 0], abs=1e-12)
    assert cook_distance(draws, weights) == pytest.approx(0, abs=1e-12)
    assert np.isnan(cook_distance(np.empty((200, 0)), weights))
    # Two values only: no tail can be fitted to the weights.
    weights, k = deletion_weights(np.where(np.arange(200) < 100, -5.0, 0.0))
    assert k == np.inf
    assert weights[:100].sum() == pytest.approx(1 / (1 + np.exp(-5)))


def test_weights_of_a_dominating_part_are_not_trusted() -> None:
    draws = np.random.default_rng(4).normal(size=1000)
    assert deletion_weights(-20 * draws**2)[1] > 0.7
