"""Shares of the variance: published numbers, limits, and brute force."""

import numpy as np
import pytest
from scipy.special import expit, ndtr

from bayesml.quantities.partition import (
    binary_partition,
    linear_partition,
    log_link_partition,
    varying_variance,
)

APART = np.zeros((2, 2), dtype=bool)
# The first grouping (child) lies within the second (school).
NESTED = np.array([[False, True], [False, False]])


def test_variance_of_terms_by_hand() -> None:
    # (2, 3 * 1) with correlation 0.5: 4 + 9 + 2 * 0.5 * 2 * 3
    corr = np.array([[1.0, 0.5], [0.5, 1.0]])
    sd, z = np.array([2.0, 1.0]), np.array([1.0, 3.0])
    assert varying_variance(sd, corr, z) == pytest.approx(19.0)
    assert varying_variance(sd, None, z) == pytest.approx(13.0)


def test_variance_of_terms_over_draws() -> None:
    sd = np.array([[[1.0, 0.0]], [[3.0, 2.0]]])
    corr = np.broadcast_to(np.array([[1.0, -1.0], [-1.0, 1.0]]), (2, 1, 2, 2))
    found = varying_variance(sd, corr, np.array([1.0, 1.5]))
    assert found == pytest.approx(np.array([[1.0], [0.0]]))  # 3 - 2 * 1.5 cancels
    assert (found >= 0).all()


def test_latent_logit_share_of_a_published_sd() -> None:
    found = linear_partition(np.array([0.4752**2]), np.pi**2 / 3, np.zeros((1, 1), bool))
    assert found.shares == pytest.approx([0.0642], abs=5e-5)
    assert found.correlations == pytest.approx(found.shares)


def test_shares_of_nested_and_crossed_groupings() -> None:
    between = np.array([3.0, 2.0])
    nested = linear_partition(between, 5.0, NESTED)
    assert nested.shares == pytest.approx([0.3, 0.2])
    assert nested.level1 == pytest.approx(0.5)
    assert nested.correlations == pytest.approx([0.5, 0.2])
    assert linear_partition(between, 5.0, APART).correlations == pytest.approx([0.3, 0.2])


def test_no_variance_between_units_is_a_share_of_zero() -> None:
    found = linear_partition(np.zeros((4, 2)), np.full(4, 2.0), NESTED)
    assert (found.shares == 0).all()
    assert (found.level1 == 1).all()
    counts = log_link_partition(np.zeros((4, 2)), np.zeros(4), NESTED)
    assert (counts.shares == 0).all()
    assert (counts.correlations == 0).all()
    assert (counts.level1 == 1).all()


def test_nan_draws_and_no_variance_at_all_are_nan() -> None:
    found = linear_partition(
        np.array([[0.0], [np.nan], [1.0]]), np.array([0.0, 1.0, 1.0]), APART[:1, :1]
    )
    assert np.isnan(found.shares[:, 0]).tolist() == [True, True, False]


def simulated_counts(groups: int, common: tuple[bool, bool]) -> float:
    """Return the correlation of two Poisson counts that have some of two effects in common."""
    rng = np.random.default_rng(20)
    sds = np.sqrt(VARIANCES)
    first = rng.normal(size=(2, groups)) * sds[:, None]
    second = np.where(np.array(common)[:, None], first, rng.normal(size=(2, groups)) * sds[:, None])
    counts = [rng.poisson(np.exp(ETA + effects.sum(axis=0))) for effects in (first, second)]
    return float(np.corrcoef(*counts)[0, 1])


VARIANCES = np.array([0.15, 0.3])
ETA = np.log(2.0)


@pytest.fixture(scope="module")
def correlations() -> dict[str, float]:
    groups = 3_000_000  # the standard error of a correlation is below 0.3 % of it
    return {
        "first": simulated_counts(groups, (True, False)),
        "second": simulated_counts(groups, (False, True)),
        "both": simulated_counts(groups, (True, True)),
    }


def test_shares_of_nested_counts_against_brute_force(correlations: dict[str, float]) -> None:
    found = log_link_partition(VARIANCES, np.array(ETA), NESTED)
    assert found.correlations == pytest.approx(
        [correlations["both"], correlations["second"]], rel=0.01
    )
    assert found.shares[1] == pytest.approx(correlations["second"], rel=0.01)
    assert found.shares.sum() + found.level1 == pytest.approx(1.0)
    assert found.interaction == pytest.approx(0.0, abs=1e-12)


def test_shares_of_crossed_counts_against_brute_force(correlations: dict[str, float]) -> None:
    found = log_link_partition(VARIANCES, np.array(ETA), APART)
    assert found.shares == pytest.approx([correlations["first"], correlations["second"]], rel=0.01)
    together = correlations["both"] - correlations["first"] - correlations["second"]
    # A difference of correlations: its error is that of the larger ones, not of itself.
    assert found.interaction == pytest.approx(together, abs=0.01 * correlations["both"])
    assert found.interaction > 0
    assert found.shares.sum() + found.interaction + found.level1 == pytest.approx(1.0)


def test_counts_with_extreme_means_and_variances_do_not_overflow() -> None:
    between = np.array([[1.0], [1.0], [900.0]])
    found = log_link_partition(between, np.array([-800.0, 800.0, 0.0]), APART[:1, :1])
    # A mean of almost 0 is all level 1; a huge one, or a huge variance, is all between units.
    assert found.level1 == pytest.approx([1.0, 0.0, 0.0])
    assert found.shares[:, 0] == pytest.approx([0.0, 1.0, 1.0])


# (variances, eta): from nearly none to extreme
BINARY_CASES = [
    (np.array([0.01, 0.02]), 0.0),
    (np.array([0.5, 0.8]), 0.3),
    (np.array([4.0, 1.0]), -2.0),
    (np.array([25.0, 9.0]), 1.0),
]


def gauss_hermite(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    return points, weights / weights.sum()


@pytest.mark.parametrize(("between", "eta"), BINARY_CASES)
def test_shares_of_binary_outcomes_against_nested_quadrature(
    between: np.ndarray, eta: float
) -> None:
    points, weights = gauss_hermite(200)
    first, second = np.sqrt(between)
    p = expit(eta + first * points[:, None] + second * points)
    mean = weights @ p @ weights
    total = mean * (1 - mean)
    by_first, by_second = p @ weights, weights @ p
    variances = [weights @ by**2 - mean**2 for by in (by_first, by_second)]
    both = weights @ p**2 @ weights - mean**2
    nested = binary_partition(between, np.array(eta), NESTED, expit)
    # 200 points of an SD of 5.8 are good to about 1e-4 themselves.
    assert nested.correlations == pytest.approx(np.array([both, variances[1]]) / total, rel=5e-4)
    assert nested.shares.sum() + nested.level1 == pytest.approx(1)
    crossed = binary_partition(between, np.array(eta), APART, expit)
    assert crossed.shares == pytest.approx(np.array(variances) / total, rel=5e-4)
    assert crossed.interaction == pytest.approx((both - sum(variances)) / total, abs=2e-4)
    assert crossed.level1 == pytest.approx(1 - both / total, rel=5e-4)


def test_binary_outcomes_without_variance_or_without_doubt() -> None:
    found = binary_partition(np.zeros((3, 2)), np.array([0.0, -30.0, 5.0]), NESTED, expit)
    assert (found.shares == 0).all()
    assert (found.correlations == 0).all()
    assert found.level1 == pytest.approx(np.ones(3))
    # An effect of an enormous SD decides almost every outcome.
    sure = binary_partition(np.array([[900.0]]), np.zeros(1), APART[:1, :1], ndtr)
    # Phi(30 u): E p (1 - p) = 1/4 - arctan-formula of the probit.
    exact = 1 - 4 * (0.25 - np.arcsin(900 / 901) / (2 * np.pi))
    assert sure.shares[0, 0] == pytest.approx(exact, abs=1e-3)


def test_rare_outcomes_keep_their_digits() -> None:
    # p is almost exp(eta + u): the shares of counts with the same tiny mean.
    between, eta = np.array([[0.3, 0.2]]), np.array([-12.0])
    counts = log_link_partition(between, eta, NESTED)
    found = binary_partition(between, eta, NESTED, expit)
    assert found.shares == pytest.approx(counts.shares, rel=1e-3)


def test_outcomes_that_vary_less_than_0_and_1() -> None:
    """A beta outcome: p (1 - p) / (1 + phi) within units, Var p between them."""
    rng = np.random.default_rng(5)
    p = expit(0.4 + 1.2 * rng.normal(size=400_000))
    within = (p * (1 - p)).mean() / (1 + 6.0)
    one = np.zeros((1, 1), dtype=bool)
    found = binary_partition(np.array([[1.44]]), np.array([0.4]), one, expit, 1 / (1 + 6.0))
    assert found.shares[0, 0] == pytest.approx(p.var() / (p.var() + within), rel=5e-3)
    assert found.correlations[0, 0] == pytest.approx(found.shares[0, 0])
    assert found.shares[0, 0] + found.level1[0] == pytest.approx(1)


def test_an_infinite_level_1_has_the_whole_variance() -> None:
    found = linear_partition(np.array([1.0, 2.0]), np.inf, APART)
    assert found.shares.tolist() == [0.0, 0.0]
    assert float(found.level1) == 1.0
