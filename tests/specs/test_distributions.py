"""Priors: what their texts mean, against SciPy, and what is refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from bayesml.errors import PriorError
from bayesml.specs.distributions import (
    DISTRIBUTIONS,
    Prior,
    Support,
    names_for,
    parse_prior,
)

REAL: list[tuple[str, Any]] = [
    ("Normal(1, 2)", stats.norm(1, 2)),
    ("Normal(-1.5, sigma=0.5)", stats.norm(-1.5, 0.5)),
    ("Normal(sigma=2, mu=1)", stats.norm(1, 2)),
    ("StudentT(3, 1, 2.5)", stats.t(3, 1, 2.5)),
    ("StudentT(nu=3, mu=1, sigma=2.5)", stats.t(3, 1, 2.5)),
    ("Cauchy(1, 2)", stats.cauchy(1, 2)),
    ("Laplace(1, 2)", stats.laplace(1, 2)),
]
POSITIVE: list[tuple[str, Any]] = [
    ("HalfNormal(2)", stats.halfnorm(scale=2)),
    ("HalfNormal(sigma=2e0)", stats.halfnorm(scale=2)),
    ("HalfCauchy(2)", stats.halfcauchy(scale=2)),
    ("Exponential(2)", stats.expon(scale=0.5)),
    ("Gamma(2, 3)", stats.gamma(2, scale=1 / 3)),
    ("InverseGamma(2, 3)", stats.invgamma(2, scale=3)),
    ("LogNormal(-0.5, 2)", stats.lognorm(2, scale=np.exp(-0.5))),
    ("Uniform(1, 4)", stats.uniform(1, 3)),
    (" pc(1, 0.05) ", stats.expon(scale=1 / -np.log(0.05))),
]
BOUNDED: list[tuple[str, Any]] = [
    ("Uniform(-0.5, 1)", stats.uniform(-0.5, 1.5)),
    ("Beta(2, 3)", stats.beta(2, 3)),
    ("TruncatedNormal(0.2, 0.5, -1, 1)", stats.truncnorm(-2.4, 1.6, 0.2, 0.5)),
]


@pytest.mark.parametrize(
    ("text", "support", "expected"),
    [(text, "real", expected) for text, expected in REAL]
    + [(text, "positive", expected) for text, expected in POSITIVE]
    + [(text, "bounded", expected) for text, expected in BOUNDED],
)
def test_a_prior_is_scipys_distribution(text: str, support: Support, expected: Any) -> None:
    found = parse_prior(text, support).frozen
    quantiles = np.array([0.01, 0.3, 0.5, 0.9, 0.99])
    values = expected.ppf(quantiles)
    np.testing.assert_allclose(found.ppf(quantiles), values, rtol=1e-12)
    np.testing.assert_allclose(found.logpdf(values), expected.logpdf(values), rtol=1e-12)


def test_half_student_t_folds_the_student_t() -> None:
    """P(|t| <= x) = 2 P(t <= x) - 1, and the density doubles."""
    found = parse_prior("HalfStudentT(4, 2.5)", "positive").frozen
    full = stats.t(4, scale=2.5)
    x = np.array([0.1, 1.0, 10.0])
    np.testing.assert_allclose(found.ppf(2 * full.cdf(x) - 1), x, rtol=1e-12)
    np.testing.assert_allclose(np.exp(found.logpdf(x)), 2 * full.pdf(x), rtol=1e-12)
    assert found.logpdf(-1.0) == -np.inf
    draws = found.rvs(size=4000, random_state=np.random.default_rng(1))
    assert draws.min() > 0
    # The median of 4,000 draws is within 4 of its standard errors, 1 / (2 f(m) sqrt(n)).
    median = found.ppf(0.5)
    error = 1 / (2 * np.exp(found.logpdf(median)) * np.sqrt(4000))
    assert np.median(draws) == pytest.approx(median, abs=4 * float(error))


def test_mlwin_is_an_inverse_gamma_on_the_variance() -> None:
    prior = parse_prior("mlwin", "positive")
    assert prior.text == "mlwin"
    assert prior.values == (0.001, 0.001)
    # With a proper-sized shape the density of the SD integrates to 1: the Jacobian is 2 sd.
    sized = Prior("MLwiN", (3.0, 2.0)).frozen
    total, _ = integrate.quad(lambda sd: np.exp(sized.logpdf(sd)), 0, np.inf)
    assert total == pytest.approx(1, abs=1e-8)
    assert sized.ppf(0.4) == pytest.approx(np.sqrt(stats.invgamma(3, scale=2).ppf(0.4)))
    draws = sized.rvs(size=2000, random_state=np.random.default_rng(1))
    # E(sd^2) = scale / (shape - 1) = 1, with variance 1 / (shape - 2) = 1: four standard errors.
    assert np.mean(draws**2) == pytest.approx(1, abs=4 / np.sqrt(2000))


def test_pc_prior_has_the_tail_that_was_asked_for() -> None:
    prior = parse_prior("pc(2, 0.01)", "positive")
    assert prior.frozen.sf(2) == pytest.approx(0.01)


@pytest.mark.parametrize("name", [name for name in DISTRIBUTIONS if name not in {"LKJ", "MLwiN"}])
@given(numbers=st.lists(st.floats(0.01, 1e6), min_size=4, max_size=4))
def test_the_text_of_a_prior_reads_back(name: str, numbers: list[float]) -> None:
    record = DISTRIBUTIONS[name]
    values = tuple(float(f"{value:.6g}") for value in sorted(numbers))[: len(record.arguments)]
    if name in {"Uniform", "TruncatedNormal"} and values[-2] == values[-1]:
        return
    prior = Prior(name, values)
    assert parse_prior(prior.text, record.support) == prior


def test_correlations_take_lkj_only() -> None:
    assert parse_prior("LKJ(4)", "correlation").values == (4.0,)
    assert names_for("correlation") == ["LKJ(eta)"]
    with pytest.raises(PriorError, match="no univariate density"):
        _ = Prior("LKJ", (2.0,)).frozen


@pytest.mark.parametrize(
    ("text", "support", "words"),
    [
        ("Normall(0, 1)", "real", "'Normall' in the prior of 'beta' is unknown. Did you mean"),
        ("HalfNormal(1)", "real", "does not fit a real parameter"),
        ("Normal(0, 1)", "positive", "does not fit a positive parameter"),
        ("LKJ(2)", "positive", "does not fit a positive parameter"),
        ("mlwin", "real", "cannot be read"),
        ("MLwiN(1, 1)", "positive", "does not fit"),
        ("pc(1, 0.05)", "real", "'pc'"),
        ("pc(1, 1.5)", "positive", "alpha = 1.5"),
        ("pc(0, 0.1)", "positive", "U = 0"),
        ("pc(1)", "positive", "(U, alpha)"),
        ("Normal(0)", "real", "arguments (mu, sigma)"),
        ("Normal(0, 1, 2)", "real", "arguments (mu, sigma)"),
        ("Normal(0, 1, mu=2)", "real", "arguments (mu, sigma)"),
        ("Normal(0, sd=2)", "real", "arguments (mu, sigma)"),
        ("Normal(0, -1)", "real", "sigma = -1. It must be positive"),
        ("Normal(0, 0)", "real", "sigma = 0. It must be positive"),
        ("Normal(1e999, 1)", "real", "mu = inf. It must be finite"),
        ("StudentT(0, 0, 1)", "real", "nu = 0. It must be positive"),
        ("Uniform(3, 2)", "positive", "0 <= lower < upper"),
        ("Uniform(-1, 2)", "positive", "0 <= lower < upper"),
        ("Normal", "real", "cannot be read"),
        ("Normal(0, x)", "real", "cannot be read"),
        ("Normal(0, True)", "real", "cannot be read"),
        ("Normal(*[0, 1])", "real", "cannot be read"),
        ("Normal(**{'mu': 0})", "real", "cannot be read"),
        ("Normal(0, 1); import os", "real", "cannot be read"),
        ("__import__('os').getcwd()", "real", "cannot be read"),
        ("Normal(0, __import__('os'))", "real", "cannot be read"),
        ("", "real", "cannot be read"),
        ("(" * 3000, "real", "cannot be read"),
        ("Normal(0, 1\0)", "real", "cannot be read"),
        (3, "real", "is 3, not a text"),
        (None, "positive", "is None, not a text"),
    ],
)
def test_unusable_priors(text: Any, support: Support, words: str) -> None:
    with pytest.raises(PriorError) as caught:
        parse_prior(text, support, "beta")
    message = str(caught.value)
    assert words in message
    assert "'beta'" in message
    if "Allowed" in message:
        assert names_for(support)[0] in message


@given(st.text(max_size=30) | st.from_regex(r"[A-Z][a-z]{2,8}\([-0-9., e=a-z]{0,12}\)"))
def test_any_text_is_a_prior_or_a_prior_error(text: str) -> None:
    try:
        prior = parse_prior(text, "positive")
    except PriorError:
        return
    assert prior.distribution in DISTRIBUTIONS
