"""Means over normal effects against numerical integration, and probabilities of categories."""

import numpy as np
import pytest
from scipy import integrate, special, stats

from bayesml.quantities.response_means import (
    category_probabilities,
    response_mean,
    response_mean_over_normal,
)

ETAS = np.array([-8.0, -3.0, -0.5, 0.0, 0.2, 1.0, 4.0, 40.0])
INVERSES = {
    "identity": lambda x: x,
    "log": np.exp,
    "logit": special.expit,
    "probit": special.ndtr,
    "cloglog": lambda x: -np.expm1(-np.exp(np.minimum(x, 700))),
}


def integrated(link: str, eta: float, sd: float) -> float:
    def integrand(x: float) -> float:
        return float(INVERSES[link](eta + sd * x)) * stats.norm.pdf(x)

    # The jump of a steep inverse link lies at -eta / sd.
    jump = float(np.clip(-eta / sd, -9, 9))
    value, _ = integrate.quad(integrand, -10, 12, points=[jump], limit=500, epsabs=1e-13)
    return value


@pytest.mark.parametrize(
    ("link", "sd"),
    # At larger SDs the mean of exp() lies in the tail that the integration leaves out.
    [
        (link, sd)
        for link in INVERSES
        for sd in (0.1, 0.5, 1.0, 2.5, 8.0)
        if link != "log" or sd <= 2.5
    ],
)
def test_mean_over_normal_effects(link: str, sd: float) -> None:
    found = response_mean_over_normal(link, ETAS, np.array(sd**2))
    wanted = [integrated(link, eta, sd) for eta in ETAS]
    np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("link", list(INVERSES))
def test_no_variance_is_the_plain_mean(link: str) -> None:
    found = response_mean_over_normal(link, ETAS, np.zeros(1))
    np.testing.assert_allclose(found, INVERSES[link](ETAS), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(response_mean(link, ETAS), INVERSES[link](ETAS))


@pytest.mark.parametrize("link", ["logit", "cloglog"])
def test_variances_differ_by_row_and_draw(link: str) -> None:
    rng = np.random.default_rng(1)
    eta, sd = rng.normal(size=(3, 4)), rng.uniform(0.1, 3, size=(3, 4))
    found = response_mean_over_normal(link, eta, sd**2)
    wanted = np.vectorize(lambda e, s: integrated(link, e, s))(eta, sd)
    np.testing.assert_allclose(found, wanted, atol=1e-8)
    # One variance per draw serves all rows.
    by_draw = response_mean_over_normal(link, eta, sd[:1] ** 2)
    np.testing.assert_allclose(
        by_draw, response_mean_over_normal(link, eta, np.repeat(sd[:1] ** 2, 3, axis=0))
    )


def test_rare_outcomes_keep_their_digits() -> None:
    eta = np.array([-30.0, -100.0])
    # Far out the logistic function is exp(eta), whose mean is known.
    np.testing.assert_allclose(
        response_mean_over_normal("logit", eta, np.array(0.25)), np.exp(eta + 0.125), rtol=1e-8
    )


def test_a_mean_that_overflows_is_infinite() -> None:
    assert response_mean("log", np.array([800.0])).tolist() == [np.inf]
    assert response_mean_over_normal("log", np.array([0.0]), np.array([2000.0])).tolist() == [
        np.inf
    ]


@pytest.mark.parametrize(
    ("family", "link"),
    [
        ("adjacent_category", "logit"),
        *(("continuation_ratio", link) for link in ("logit", "probit", "cloglog")),
    ],
)
@pytest.mark.parametrize("sd", [None, 0.3, 2.5])
def test_probabilities_of_other_ordered_categories(
    family: str, link: str, sd: float | None
) -> None:
    eta = np.array([[-1.0, 0.5], [2.0, -4.0]])
    cutpoints = np.array([[1.0, -0.3, 0.4, 1.5], [-0.5, 0.2, 3.0, 0.9]])
    variance = None if sd is None else np.full((1, 2), sd**2)
    found = category_probabilities(family, link, eta, cutpoints, variance)
    assert found.shape == (2, 5, 2)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    for row in range(2):
        for draw in range(2):

            def shares(x: float, row: int = row, draw: int = draw) -> np.ndarray:
                gaps = cutpoints[draw] - eta[row, draw] - (sd or 0.0) * x
                if family == "adjacent_category":
                    odds = np.cumprod([1.0, *np.exp(-gaps)])
                    return odds / odds.sum()
                stop = INVERSES[link](gaps)
                return np.append(stop, 1.0) * np.cumprod([1.0, *(1 - stop)])

            if sd is None:
                wanted = shares(0.0)
            else:
                # Four thousand strips of a smooth function that is 0 at both ends.
                x = np.linspace(-9, 9, 4001)
                weights = stats.norm.pdf(x) * (x[1] - x[0])
                wanted = np.array([shares(at) for at in x]).T @ weights
            np.testing.assert_allclose(found[row, :, draw], wanted, atol=1e-7)


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
@pytest.mark.parametrize("sd", [None, 1.5])
def test_category_probabilities(link: str, sd: float | None) -> None:
    eta = np.array([[-1.0, 0.5], [2.0, 0.0], [0.3, -4.0]])
    cutpoints = np.array([[-1.0, 0.0, 1.5], [-0.5, 0.2, 0.9]])
    variance = None if sd is None else np.full((1, 2), sd**2)
    found = category_probabilities("ordinal", link, eta, cutpoints, variance)
    assert found.shape == (3, 4, 2)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    for row in range(3):
        for draw in range(2):
            gaps = cutpoints[draw] - eta[row, draw]
            if sd is None:
                up_to = INVERSES[link](gaps)
            else:
                up_to = [integrated(link, gap, sd) for gap in gaps]
            wanted = np.diff(np.concatenate([[0], up_to, [1]]))
            np.testing.assert_allclose(found[row, :, draw], wanted, atol=2e-8)
