"""Every family's record against SciPy: simulated moments, information, links."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bayesml.errors import SpecError
from bayesml.specs.families import FAMILIES, family_named
from bayesml.specs.links import LINKS
from tests.family_rows import FAMILY_ROWS, ROWS

DRAWS = 40_000

# family, parameters, mean (ordinal: linear predictor), trials, SciPy's distribution
# A mean on the response scale at which each family is tried out.
_MEAN = {"binary": 0.3, "count": 3.7, "real": 1.5, "positive": 2.5, "unit": 0.3}


@pytest.mark.parametrize("name", ROWS)
def test_simulated_outcomes_have_scipys_moments(name: str) -> None:
    row, rng = ROWS[name], np.random.default_rng(4)
    family = FAMILIES[row.family]
    mean, trials = _MEAN[family.response], 12 if family.response == "binary" else 1
    expected = row.distribution(mean, row.parameters, trials)
    drawn = family.simulate(rng, np.full(DRAWS, mean), row.parameters, np.full(DRAWS, trials))
    mu, variance, kurtosis = (float(value) for value in expected.stats(moments="mvk"))
    # Four standard errors: of a mean sqrt(v / n), of a variance v sqrt((kurtosis + 2) / n).
    assert drawn.mean() == pytest.approx(mu, abs=4 * np.sqrt(variance / DRAWS))
    assert drawn.var() == pytest.approx(
        variance, abs=4 * variance * np.sqrt((kurtosis + 2) / DRAWS)
    )


LATENT = {"logit": stats.logistic, "probit": stats.norm, "cloglog": stats.gumbel_l}
ORDERED = [
    (family.name, link)
    for family in FAMILIES.values()
    if family.response == "ordered"
    for link in family.links
]


def shares_of(family: str, link: str, eta: float, cutpoints: np.ndarray) -> np.ndarray:
    """Probabilities of ordered categories, by the words of each model."""
    cdf = LATENT[link].cdf
    if family == "ordinal":
        return np.diff([0.0, *cdf(cutpoints - eta), 1.0])
    if family == "adjacent_category":
        odds = np.cumprod([1.0, *np.exp(eta - cutpoints)])
        return odds / odds.sum()
    shares, left = [], 1.0
    for stop in cdf(cutpoints - eta):
        shares.append(left * stop)
        left *= 1 - stop
    return np.array([*shares, left])


@pytest.mark.parametrize(("family", "link"), ORDERED)
def test_ordered_categories_have_the_shares_of_their_model(family: str, link: str) -> None:
    record = FAMILIES[family]
    cutpoints = np.array([-1.0, 0.2, 1.5])
    if not record.ordered_cutpoints:
        cutpoints = cutpoints[[1, 0, 2]]
    shares = shares_of(family, link, 0.7, cutpoints)
    parameters: dict[str, Any] = {"cutpoints": cutpoints, "link": link}
    drawn = record.simulate(
        np.random.default_rng(4), np.full(DRAWS, 0.7), parameters, np.ones(DRAWS)
    )
    found = np.bincount(drawn, minlength=4) / DRAWS
    np.testing.assert_array_less(np.abs(found - shares), 4 * np.sqrt(shares * (1 - shares) / DRAWS))
    assert record.category_shares is not None
    assert record.cutpoints_of is not None
    told = record.category_shares(link, np.array([0.7]), cutpoints[:, None])
    np.testing.assert_allclose(told[:, 0], shares, rtol=1e-12)
    # The cutpoints of the shares of these cutpoints, moved to where the linear predictor is 0.
    np.testing.assert_allclose(record.cutpoints_of(link, shares), cutpoints - 0.7, rtol=1e-10)


@pytest.mark.parametrize(("family", "link"), ORDERED)
def test_slopes_of_categories_are_derivatives_of_their_log_shares(family: str, link: str) -> None:
    slopes = FAMILIES[family].category_slopes
    assert slopes is not None
    cutpoints = np.array([-1.0, 0.2, 1.5])
    etas = np.array([-1.3, 0.7])
    found = slopes(link, etas, cutpoints[:, None])
    assert found.shape == (4, 3, 2)
    for row, eta in enumerate(etas):
        for place in range(3):
            moved = np.where(np.arange(3) == place, 1e-5, 0.0)
            # What eta exceeds a cutpoint by grows as the cutpoint falls.
            up, down = (
                np.log(shares_of(family, link, float(eta), cutpoints - change))
                for change in (moved, -moved)
            )
            np.testing.assert_allclose(found[:, place, row], (up - down) / 2e-5, atol=1e-5)


def test_a_prior_may_ask_for_counts_beyond_what_numpy_draws() -> None:
    drawn = FAMILIES["poisson"].simulate(
        np.random.default_rng(1), np.array([1e300, np.inf]), {}, np.ones(2)
    )
    assert np.isfinite(drawn).all()


@pytest.mark.parametrize("name", ROWS)
def test_mean_and_variance_are_scipys(name: str) -> None:
    row = ROWS[name]
    family = FAMILIES[row.family]
    trials = 7 if family.response == "binary" else 1
    for mean in (0.6 * _MEAN[family.response], _MEAN[family.response]):
        mu, variance = row.distribution(mean, row.parameters, trials).stats(moments="mv")
        found = family.variance(np.array([mean]), row.parameters, np.array([trials]))
        # A binomial outcome is told as the share of successes.
        assert float(found[0]) == pytest.approx(float(variance) / trials**2, rel=1e-10)
        factor = np.broadcast_to(family.mean_factor(row.parameters), (1,))
        assert mean * float(factor[0]) == pytest.approx(float(mu) / trials, rel=1e-10)


def test_student_outcomes_of_few_degrees_of_freedom_have_an_infinite_variance() -> None:
    parameters = {"sigma": np.array([2.0, 2.0, 2.0]), "nu": np.array([1.5, 2.0, 4.0])}
    found = FAMILIES["student"].variance(np.zeros(3), parameters, np.ones(1))
    assert found.tolist() == [np.inf, np.inf, 8.0]


def test_every_family_has_a_row() -> None:
    rows = {(row.family, row.link) for row in FAMILY_ROWS}
    assert rows == {
        (family.name, link)
        for family in FAMILIES.values()
        # Categories have tests of their own, of their shares.
        if family.response not in ("ordered", "nominal")
        for link in family.links
    }


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
        (3, f"Allowed: {', '.join(FAMILIES)}"),
        (["gaussian"], f"Allowed: {', '.join(FAMILIES)}"),
        (None, "is unknown"),
        ("nominal", "Write 'categorical'"),
        ("multinomial", "Write 'categorical'"),
        ("cox", "person_period(table, time, event, cuts=[...]), then family='poisson'"),
    ],
)
def test_unknown_families(name: Any, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        family_named(name)
    assert words in str(caught.value)
    assert str(caught.value).count("Allowed: ") <= 1


@pytest.mark.parametrize(
    ("family", "link", "allowed"),
    [
        ("gaussian", "log", "identity"),
        ("binomial", "log", "logit, probit, cloglog"),
        ("adjacent_category", "cloglog", "logit"),
        ("poisson", ["log"], "log"),
    ],
)
def test_unknown_links(family: str, link: Any, allowed: str) -> None:
    with pytest.raises(SpecError, match=f"Allowed: {allowed}"):
        FAMILIES[family].link(link)
