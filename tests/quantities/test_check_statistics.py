"""Statistics of checks against SciPy, pandas and simulation."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats

from bayesml.quantities.check_statistics import (
    bend,
    normal_order_band,
    quantile_scores,
    row_correlation,
    standardised_moment,
    tail_probability,
    unit_moments,
)


def test_the_tail_probability_counts_larger_draws_and_half_the_ties() -> None:
    replicated = np.array([1.0, 2.0, 2.0, 3.0, 4.0])
    assert tail_probability(replicated, 2.0) == pytest.approx((2 + 1 + 0.5) / 6)
    assert tail_probability(replicated, np.array([0.0, 3.0, 2.0, 2.0, 5.0])) == pytest.approx(
        (2 + 0.5 + 0.5) / 6
    )
    # 0.1 + 0.2 is not 0.3 to the last digit, but it is a tie.
    assert tail_probability(np.full(3, 0.1 + 0.2), 0.3) == pytest.approx(2 / 4)
    assert np.isnan(tail_probability(replicated, np.nan))
    assert np.isnan(tail_probability(np.array([1.0, np.inf]), 0.0))


def test_ranks_among_exchangeable_draws_are_uniform() -> None:
    rng = np.random.default_rng(1)
    for draw in (rng.normal, lambda size: rng.poisson(2, size=size)):
        values = draw(size=(2000, 40)).astype(float)
        found = [tail_probability(row[1:], row[0]) for row in values]
        assert np.mean(found) == pytest.approx(0.5, abs=0.03)
        assert np.mean(np.array(found) < 0.1) == pytest.approx(0.1, abs=0.03)


def test_moments_are_scipys() -> None:
    values = np.random.default_rng(2).gamma(2, size=(3, 50))
    assert standardised_moment(values, 3) == pytest.approx(stats.skew(values, axis=1))
    assert standardised_moment(values, 4) == pytest.approx(stats.kurtosis(values, axis=1))
    assert np.isnan(standardised_moment(np.ones((1, 5)), 3)).all()


def test_correlations_are_numpys() -> None:
    first, second = np.random.default_rng(3).normal(size=(2, 4, 30))
    expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(first, second, strict=True)]
    assert row_correlation(first, second) == pytest.approx(expected)
    # A constant with the rounding of sums, far from 0.
    constant = np.full((4, 30), 1e6) * (1 + 1e-16 * np.arange(30))
    assert row_correlation(first, constant) == pytest.approx(0, abs=1e-12)


def test_the_bend_is_the_partial_correlation_with_the_square() -> None:
    rng = np.random.default_rng(4)
    fitted = rng.gamma(2, size=80)
    residual = 0.3 * fitted**2 + rng.normal(size=80)
    square = (fitted - fitted.mean()) ** 2
    left = square - np.polyval(np.polyfit(fitted, square, 1), fitted)
    expected = np.corrcoef(residual, left)[0, 1]
    assert bend(residual[None], fitted[None])[0] == pytest.approx(expected)
    assert bend(residual[None], np.ones((1, 80)))[0] == 0


def test_unit_moments_are_those_of_pandas() -> None:
    rng = np.random.default_rng(5)
    unit = np.r_[rng.integers(0, 5, size=40), 5]
    values = 1e4 + rng.normal(size=(3, 41))
    members = sparse.csr_array((np.ones(41), (unit, np.arange(41))), shape=(6, 41))
    means, sds = unit_moments(values, members)
    for draw in range(3):
        groups = pd.Series(values[draw]).groupby(unit)
        assert means[draw] == pytest.approx(groups.mean().to_numpy())
        assert sds[draw] == pytest.approx(groups.std().to_numpy(), nan_ok=True, rel=1e-6)


def test_units_whose_rows_are_all_the_same_have_no_spread() -> None:
    values = np.array([[0.1, 0.1, 0.1, 7.0, 7.0, 7.0, 3.0]])
    members = sparse.csr_array((np.ones(7), ([0, 0, 0, 1, 1, 1, 1], np.arange(7))), shape=(2, 7))
    assert unit_moments(values, members)[1][0, 0] == 0
    # A mean of zeros is 0, not what another number's rounding makes of it.
    values[0, :3] = 0
    assert unit_moments(values, members)[0][0, 0] == 0


def test_weighted_unit_moments() -> None:
    values = np.random.default_rng(6).normal(size=(1, 8))
    weights = np.random.default_rng(7).uniform(0.2, 1, size=(2, 8))
    means, sds = unit_moments(values, sparse.csr_array(weights))
    for unit, weight in enumerate(weights):
        assert means[0, unit] == pytest.approx(np.average(values[0], weights=weight))
        covariance = np.cov(values[0], aweights=weight)
        assert sds[0, unit] == pytest.approx(np.sqrt(covariance))


def test_quantile_scores_of_counts_are_standard_normal() -> None:
    rng = np.random.default_rng(8)
    rate = rng.gamma(1, size=4000)
    outcome = rng.poisson(rate)
    replicated = rng.poisson(rate, size=(400, 4000))
    below, equal = (replicated < outcome).sum(axis=0), (replicated == outcome).sum(axis=0)
    scores = quantile_scores(below, equal, 400, rng)
    assert stats.kstest(scores, stats.norm.cdf).pvalue > 0.01
    assert np.isfinite(quantile_scores(np.array([0, 5]), np.array([0, 0]), 5, rng)).all()


def test_the_band_of_ordered_normals_holds_as_many_as_it_says() -> None:
    middle, lower, upper = normal_order_band(30, 0.9)
    ordered = np.sort(np.random.default_rng(9).normal(size=(4000, 30)), axis=1)
    inside = ((ordered > lower) & (ordered < upper)).mean(axis=0)
    assert inside == pytest.approx(0.9, abs=0.025)
    assert np.median(ordered, axis=0) == pytest.approx(middle, abs=0.05)
