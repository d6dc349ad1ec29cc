"""The distance of draws from a prior, and how near they come to 0, against SciPy."""

import numpy as np
import pytest
from scipy import stats

from bayesml.quantities.prior_distances import boundary_ratio, quantile_distance

PRIORS = {
    "half-normal": stats.halfnorm(scale=2.0),
    "beta on (-1, 1)": stats.beta(2, 2, loc=-1, scale=2),
    "exponential": stats.expon(scale=0.3),
}


@pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS)
def test_the_distance_is_kolmogorov_and_smirnovs(prior: stats.rv_continuous) -> None:
    rng = np.random.default_rng(1)
    for draws in (prior.rvs(size=500, random_state=rng), rng.uniform(0, 0.5, size=500)):
        expected = stats.kstest(draws, prior.cdf).statistic
        # The quantiles stand 0.001 apart, and a step of the draws is 0.002 high.
        assert quantile_distance(draws, prior.ppf) == pytest.approx(expected, abs=0.003)


def test_draws_that_are_not_finite_have_no_distance() -> None:
    assert np.isnan(quantile_distance(np.array([1.0, np.nan]), stats.norm.ppf))


@pytest.mark.parametrize(
    "family",
    [stats.halfnorm, stats.expon, stats.rayleigh, stats.gamma(5)],
    ids=["halfnorm", "expon", "rayleigh", "gamma"],
)
def test_the_ratio_is_that_of_the_quantiles(family: stats.rv_continuous) -> None:
    even = family.ppf((np.arange(20_000) + 0.5) / 20_000)
    expected = family.ppf(0.05) / family.ppf(0.5)
    assert boundary_ratio(even) == pytest.approx(expected, rel=1e-3)
    assert boundary_ratio(1000 * even) == pytest.approx(expected, rel=1e-3)


def test_draws_of_zero_have_no_ratio() -> None:
    assert np.isnan(boundary_ratio(np.zeros(10)))
