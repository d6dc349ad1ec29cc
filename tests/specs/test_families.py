"""Every family's record against SciPy: simulated moments, information, links."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bayesml.errors import SpecError
from bayesml.specs.families import FAMILIES, family_named
from bayesml.specs.links import LINKS

DRAWS = 40_000

# family, parameters, mean (ordinal: linear predictor), trials, SciPy's distribution
SIMULATED: list[tuple[str, dict[str, Any], float, int, Any]] = [
    ("gaussian", {"sigma": 2.0}, 1.5, 1, stats.norm(1.5, 2.0)),
    ("binomial", {}, 0.3, 1, stats.bernoulli(0.3)),
    ("binomial", {}, 0.3, 12, stats.binom(12, 0.3)),
    ("poisson", {}, 3.7, 1, stats.poisson(3.7)),
]


@pytest.mark.parametrize(("family", "parameters", "mean", "trials", "expected"), SIMULATED)
def test_simulated_outcomes_have_scipys_moments(
    family: str, parameters: Mapping[str, Any], mean: float, trials: int, expected: Any
) -> None:
    rng = np.random.default_rng(4)
    drawn = FAMILIES[family].simulate(rng, np.full(DRAWS, mean), parameters, np.full(DRAWS, trials))
    mu, variance, kurtosis = (float(value) for value in expected.stats(moments="mvk"))
    # Four standard errors: of a mean sqrt(v / n), of a variance v sqrt((kurtosis + 2) / n).
    assert drawn.mean() == pytest.approx(mu, abs=4 * np.sqrt(variance / DRAWS))
    assert drawn.var() == pytest.approx(
        variance, abs=4 * variance * np.sqrt((kurtosis + 2) / DRAWS)
    )


@pytest.mark.parametrize(
    ("link", "cdf"), [("logit", stats.logistic.cdf), ("probit", stats.norm.cdf)]
)
def test_simulated_categories_have_the_shares_of_the_cumulative_model(
    link: str, cdf: Callable[..., Any]
) -> None:
    cutpoints = np.array([-1.0, 0.2, 1.5])
    parameters: dict[str, Any] = {"cutpoints": cutpoints, "link": link}
    drawn = FAMILIES["ordinal"].simulate(
        np.random.default_rng(4), np.full(DRAWS, 0.7), parameters, np.ones(DRAWS)
    )
    shares = np.diff([0.0, *cdf(cutpoints - 0.7), 1.0])
    found = np.bincount(drawn, minlength=4) / DRAWS
    np.testing.assert_array_less(np.abs(found - shares), 4 * np.sqrt(shares * (1 - shares) / DRAWS))


def test_a_prior_may_ask_for_counts_beyond_what_numpy_draws() -> None:
    drawn = FAMILIES["poisson"].simulate(
        np.random.default_rng(1), np.array([1e300, np.inf]), {}, np.ones(2)
    )
    assert np.isfinite(drawn).all()


@pytest.mark.parametrize(
    ("family", "mean", "trials", "logpmf"),
    [
        ("gaussian", 0.4, 1, lambda y, mean: stats.norm.logpdf(y, mean)),
        ("binomial", 0.4, 1, lambda y, mean: stats.bernoulli.logpmf(y, mean)),
        ("binomial", 0.4, 7, lambda y, mean: stats.binom.logpmf(y, 7, mean)),
        ("poisson", 2.4, 1, stats.poisson.logpmf),
    ],
)
def test_weight_is_the_fisher_information_about_the_mean(
    family: str, mean: float, trials: int, logpmf: Callable[..., Any]
) -> None:
    """The variance of the score, the derivative of SciPy's log density, over the outcomes."""
    step = 1e-5
    if family == "gaussian":
        y = np.linspace(mean - 12, mean + 12, 200_001)
        share = stats.norm.pdf(y, mean) * (y[1] - y[0])
    else:
        y = np.arange(200 if family == "poisson" else trials + 1)
        share = np.exp(logpmf(y, mean))
    score = (logpmf(y, mean + step) - logpmf(y, mean - step)) / (2 * step)
    information = float((share * score**2).sum())
    found = FAMILIES[family].weight(np.array([mean]), np.array([trials]))
    assert float(found[0]) == pytest.approx(information, rel=1e-6)


@pytest.mark.parametrize(
    ("link", "inverse", "latent"),
    [
        ("logit", stats.logistic.cdf, stats.logistic.var()),
        ("probit", stats.norm.cdf, stats.norm.var()),
        # The smallest extreme value distribution: its cdf is the inverse link.
        ("cloglog", stats.gumbel_l.cdf, stats.gumbel_l.var()),
    ],
)
def test_links_of_shares_are_quantiles_of_the_latent_error(
    link: str, inverse: Callable[..., Any], latent: float
) -> None:
    eta = np.array([-6.0, -1.0, 0.0, 0.5, 2.0])
    np.testing.assert_allclose(LINKS[link].inverse(eta), inverse(eta), rtol=1e-12)
    np.testing.assert_allclose(LINKS[link].forward(inverse(eta)), eta, rtol=1e-9, atol=1e-12)
    assert LINKS[link].latent_variance == pytest.approx(latent)


def test_links_of_means() -> None:
    np.testing.assert_allclose(LINKS["log"].forward(np.exp([-2.0, 3.0])), [-2.0, 3.0])
    np.testing.assert_allclose(LINKS["log"].inverse(np.array([-2.0, 3.0])), np.exp([-2.0, 3.0]))
    np.testing.assert_array_equal(LINKS["identity"].forward(np.array([-2, 3])), [-2.0, 3.0])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_record_is_complete(family: str) -> None:
    record = FAMILIES[family]
    assert record.link() is LINKS[record.links[0]]
    assert [record.link(name).name for name in record.links] == list(record.links)
    assert set(record.functions) <= set(record.links)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("normal", "Write 'gaussian'"),
        ("bernoulli", "Write 'binomial'"),
        ("possion", "Did you mean 'poisson'"),
        (3, "Allowed: gaussian, binomial, poisson, ordinal"),
        (["gaussian"], "Allowed: gaussian, binomial, poisson, ordinal"),
        (None, "is unknown"),
    ],
)
def test_unknown_families(name: Any, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        family_named(name)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("family", "link", "allowed"),
    [
        ("gaussian", "log", "identity"),
        ("binomial", "log", "logit, probit, cloglog"),
        ("ordinal", "cloglog", "logit, probit"),
        ("poisson", ["log"], "log"),
    ],
)
def test_unknown_links(family: str, link: Any, allowed: str) -> None:
    with pytest.raises(SpecError, match=f"Allowed: {allowed}"):
        FAMILIES[family].link(link)
