"""Log-likelihoods of every family and link against SciPy, out to the far tails."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import special, stats

from bayesml.quantities.log_likelihoods import (
    RowLikelihood,
    category_bounds,
)
from bayesml.specs.families import FAMILIES
from tests.family_rows import ROWS

ETA = np.array([[-30.0, -8.0, -2.5, -0.3, 0.0, 0.7, 3.0, 9.0, 30.0]])
MODERATE = ETA[:, 1:-1]
CUTPOINTS = np.array([[-1.0, 0.4, 2.0], [-0.5, 0.0, 0.1]])

LOG_SHARES: dict[str, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "logit": lambda eta: (stats.logistic.logcdf(eta), stats.logistic.logsf(eta)),
    "probit": lambda eta: (stats.norm.logcdf(eta), stats.norm.logsf(eta)),
    # The complementary log-log link is the distribution function of the smallest extreme value.
    "cloglog": lambda eta: (stats.gumbel_l.logcdf(eta), stats.gumbel_l.logsf(eta)),
}


def outcomes_of(name: str) -> np.ndarray:
    """Outcomes of a family, from its middle to far out."""
    values = {
        "real": [1.5, -40.0],
        "positive": [0.02, 1.3, 60.0],
        "unit": [0.001, 0.4, 0.999],
        "binary": [0.0, 3.0, 7.0],
        "count": [0.0, 4.0, 250.0],
    }[FAMILIES[ROWS[name].family].response]
    return np.array(values)[:, None]


@pytest.mark.parametrize("name", ROWS)
def test_log_likelihoods_are_scipys(name: str) -> None:
    row = ROWS[name]
    y = outcomes_of(name)
    # SciPy's probabilities lose their digits beyond.
    eta = np.clip(MODERATE[:, :-1], -4.0, 2.5)
    given = {"trials": np.full_like(y, 7.0)} if row.options.get("trials") else {}
    found = RowLikelihood(row.family, row.link, y, {**row.parameters, **given})(eta)
    expected = row.log_probability(y, eta, row.parameters, 7)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-10)
    assert FAMILIES[row.family].discrete is not hasattr(
        row.distribution(0.5, row.parameters, 1).dist, "pdf"
    )


def test_gaussian() -> None:
    y, sigma = np.array([[1.5], [-40.0]]), np.linspace(0.3, 2.0, ETA.shape[1])
    found = RowLikelihood("gaussian", "identity", y, {"sigma": sigma})(ETA)
    np.testing.assert_allclose(found, stats.norm.logpdf(y, ETA, sigma), rtol=1e-12)


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_one_trial(link: str) -> None:
    success, failure = LOG_SHARES[link](ETA)
    found = RowLikelihood("binomial", link, np.array([[1.0], [0.0]]), {})(ETA)
    np.testing.assert_allclose(found, np.concatenate([success, failure]), rtol=1e-9)


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_several_trials(link: str) -> None:
    y, trials = np.array([[0.0], [3.0], [7.0]]), np.array([[5.0], [8.0], [7.0]])
    found = RowLikelihood("binomial", link, y, {"trials": trials})(MODERATE[:, :-1])
    share = np.exp(LOG_SHARES[link](MODERATE[:, :-1])[0])
    np.testing.assert_allclose(found, stats.binom.logpmf(y, trials, share), rtol=1e-7)


def test_poisson() -> None:
    y = np.array([[0.0], [4.0], [250.0]])
    found = RowLikelihood("poisson", "log", y, {})(ETA)
    np.testing.assert_allclose(found, stats.poisson.logpmf(y, np.exp(ETA)), rtol=1e-10)


LATENT = {"logit": stats.logistic, "probit": stats.norm, "cloglog": stats.gumbel_l}


@pytest.mark.parametrize("link", list(LATENT))
def test_ordinal(link: str) -> None:
    y = np.array([0, 1, 2, 3])
    lower, upper = category_bounds(y, CUTPOINTS)
    cdf = LATENT[link]
    for eta in (-6.0, -0.4, 0.0, 1.3, 6.0):
        found = RowLikelihood("ordinal", link, y[:, None], {"lower": lower, "upper": upper})(
            np.full(lower.shape, eta)
        )
        for draw, cutpoints in enumerate(CUTPOINTS):
            bounds = np.array([-np.inf, *cutpoints, np.inf]) - eta
            # In the upper tail the survival function has the digits.
            above = cdf.logsf(bounds)
            tail = above[:-1] + np.log(-np.expm1(above[1:] - above[:-1]))
            with np.errstate(divide="ignore"):
                wanted = np.where(bounds[:-1] > 0, tail, np.log(np.diff(cdf.cdf(bounds))))
            np.testing.assert_allclose(found[:, draw], wanted, rtol=1e-8, atol=1e-15)


@pytest.mark.parametrize("link", list(LATENT))
def test_continuation_ratio(link: str) -> None:
    y, cdf = np.array([0, 1, 2, 3]), LATENT[link]
    parameters = {"cutpoints": CUTPOINTS.T[:, None]}
    for eta in (-6.0, -0.4, 0.0, 1.3, 6.0):
        found = RowLikelihood("continuation_ratio", link, y[:, None], parameters)(
            np.full((4, 2), eta)
        )
        for draw, cutpoints in enumerate(CUTPOINTS):
            passed = np.concatenate([[0.0], cdf.logsf(cutpoints - eta).cumsum()])
            stopped = np.append(cdf.logcdf(cutpoints - eta), 0.0)
            np.testing.assert_allclose(found[:, draw], passed + stopped, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("eta", [-30.0, -0.4, 1.3, 30.0])
def test_adjacent_category(eta: float) -> None:
    y = np.array([0, 1, 2, 3])
    parameters = {"cutpoints": CUTPOINTS.T[:, None]}
    found = RowLikelihood("adjacent_category", "logit", y[:, None], parameters)(
        np.full((4, 2), eta)
    )
    for draw, cutpoints in enumerate(CUTPOINTS):
        scores = np.concatenate([[0.0], (eta - cutpoints).cumsum()])
        np.testing.assert_allclose(
            found[:, draw], special.log_softmax(scores), rtol=1e-9, atol=1e-15
        )


@pytest.mark.parametrize(
    ("family", "link"),
    [
        (record.name, link)
        for record in FAMILIES.values()
        if record.response == "ordered"
        for link in record.links
    ],
)
def test_categories_of_an_ordered_row_add_up(family: str, link: str) -> None:
    lower, upper = category_bounds(np.arange(4), CUTPOINTS)
    parameters = {"lower": lower, "upper": upper, "cutpoints": CUTPOINTS.T[:, None]}
    rows = RowLikelihood(family, link, np.arange(4)[:, None], parameters)
    np.testing.assert_allclose(special.logsumexp(rows(np.full((4, 2), 1.7)), axis=0), 0, atol=1e-12)


def test_nothing_overflows_in_the_far_tails() -> None:
    far = np.array([[-1e4, 1e4]])
    ones = np.array([[1.0]])
    for link in ("logit", "probit", "cloglog"):
        for y in (0.0, 1.0):
            found = RowLikelihood("binomial", link, y * ones, {})(far)
            assert not np.isnan(found).any()
            trials = RowLikelihood("binomial", link, 3 * y * ones, {"trials": 3 * ones})(far)
            assert not np.isnan(trials).any()
    assert not np.isnan(RowLikelihood("poisson", "log", 0 * ones, {})(far)).any()


def test_extra_axes_come_first() -> None:
    y = np.array([[1.0], [0.0]])
    eta = np.random.default_rng(1).normal(size=(5, 2, 3))
    rows = RowLikelihood("binomial", "logit", y, {})
    np.testing.assert_array_equal(rows(eta)[4], rows(eta[4]))


def test_derivatives() -> None:
    eta = np.linspace(-3, 3, 7)[None]
    slope, curvature = RowLikelihood("poisson", "log", np.array([[2.0]]), {}).derivatives(eta)
    np.testing.assert_allclose(slope, 2 - np.exp(eta), atol=1e-5)
    np.testing.assert_allclose(curvature, np.exp(eta), rtol=1e-4)


def test_some_rows() -> None:
    y = np.arange(3.0)[:, None]
    rows = RowLikelihood("gaussian", "identity", y, {"sigma": np.array([1.0, 2.0])})
    chosen = np.array([2, 0])
    eta = np.zeros((3, 2))
    np.testing.assert_array_equal(rows.rows(chosen)(eta[chosen]), rows(eta)[chosen])
    lower, upper = category_bounds(np.arange(3), CUTPOINTS)
    ordered = RowLikelihood("ordinal", "logit", y, {"lower": lower, "upper": upper})
    np.testing.assert_array_equal(ordered.rows(chosen)(eta[chosen]), ordered(eta)[chosen])
