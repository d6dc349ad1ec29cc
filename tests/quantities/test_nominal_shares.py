"""Probabilities of unordered categories, and their averages over normal effects."""

import numpy as np
import pytest
from scipy import integrate, special, stats

from bayesml.quantities.nominal_shares import (
    nominal_derivatives,
    nominal_shares,
    roots_of_rows,
)


def test_shares_are_scipys_softmax() -> None:
    scores = np.random.default_rng(1).normal(0, 4, size=(3, 5, 4))
    whole = np.concatenate([np.zeros((1, 5, 4)), scores])
    found = nominal_shares(scores)
    np.testing.assert_allclose(found, np.moveaxis(special.softmax(whole, axis=0), 0, 1), rtol=1e-12)


@pytest.mark.parametrize(
    ("sd", "off"), [((0.5, 0.3), 5e-4), ((1.0, 0.8), 1e-3), ((2.0, 1.5), 2e-3)]
)
def test_averages_over_effects_are_those_of_a_double_integral(
    sd: tuple[float, float], off: float
) -> None:
    mean, correlation = np.array([0.4, -0.9]), 0.6
    covariance = np.outer(sd, sd) * np.array([[1.0, correlation], [correlation, 1.0]])
    found = nominal_shares(mean[:, None, None], covariance[:, :, None, None])[0, :, 0]
    density = stats.multivariate_normal(mean, covariance).pdf
    for place in range(3):
        exact, _ = integrate.dblquad(
            lambda b, a, place=place: special.softmax([0.0, a, b])[place] * density([a, b]),
            mean[0] - 8 * sd[0],
            mean[0] + 8 * sd[0],
            mean[1] - 8 * sd[1],
            mean[1] + 8 * sd[1],
            epsabs=1e-6,
        )
        # The error that the docstring names, twice as wide: other points, other errors.
        assert found[place] == pytest.approx(exact, abs=off)
    assert found.sum() == pytest.approx(1)


def test_one_covariance_serves_many_rows_and_a_correlation_of_one_is_no_trouble() -> None:
    scores = np.random.default_rng(2).normal(size=(2, 3, 4))
    shared = np.ones((2, 2, 1, 4))
    found = nominal_shares(scores, shared)
    np.testing.assert_allclose(found, nominal_shares(scores, np.repeat(shared, 3, axis=2)))
    root = roots_of_rows(shared)
    np.testing.assert_allclose(np.einsum("abrd,cbrd->acrd", root, root), shared, atol=1e-12)


def test_derivatives_are_those_of_finite_differences() -> None:
    rng = np.random.default_rng(3)
    scores, outcome = rng.normal(size=(3, 4, 2)), np.array([[0.0], [1.0], [3.0], [2.0]])

    def log_share(at: np.ndarray) -> np.ndarray:
        whole = special.log_softmax(np.concatenate([np.zeros((1, 4, 2)), at]), axis=0)
        return whole[outcome[:, 0].astype(int), np.arange(4)]

    slopes, curvatures = nominal_derivatives(outcome, scores)
    step = 1e-4
    for first in range(3):
        move = np.zeros_like(scores)
        move[first] = step
        slope = (log_share(scores + move) - log_share(scores - move)) / (2 * step)
        # Central differences: off by a third derivative times the square of the step.
        np.testing.assert_allclose(slopes[first], slope, atol=1e-7)
        moved = nominal_derivatives(outcome, scores + move)[0]
        back = nominal_derivatives(outcome, scores - move)[0]
        np.testing.assert_allclose(curvatures[first], -(moved - back) / (2 * step), atol=1e-7)
