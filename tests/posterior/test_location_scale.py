"""Fits of models in which sigma has a formula: what follows from the draws, and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from scipy.special import logsumexp

import bayesml as bml
from bayesml.posterior.fitted_likelihoods import likelihood_draws, likelihood_rows
from bayesml.posterior.held_out import group_log_likelihood
from bayesml.posterior.held_out_rows import row_log_likelihoods
from bayesml.quantities.joint_likelihoods import integrated_jointly

ROWS, SCHOOLS = 48, 6


def table() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "y": rng.normal(1, 1.5, ROWS),
            "x": rng.normal(0.5, 1, ROWS),
            "school": np.arange(ROWS) % SCHOOLS,
        }
    )


@pytest.fixture(scope="module")
def fit(fake_fit: Callable[..., bml.Fit]) -> bml.Fit:
    model = bml.two_level(
        table(), "y ~ x", group="school", distributional={"sigma": "~ x + (1 | school)"}
    )
    rng = np.random.default_rng(3)
    return fake_fit(
        model,
        draws=60,
        values={
            "beta_sigma": rng.normal([0.1, 0.2], 0.05, (2, 60, 2)),
            "sd_school": np.exp(rng.normal([-0.5, -1.2], 0.1, (2, 60, 2))),
            "u_school": rng.normal(0, 0.3, (2, 60, SCHOOLS, 2)),
        },
    )


def flat(fit: bml.Fit, name: str) -> np.ndarray:
    values = fit.posterior[name].values
    return values.reshape(-1, *values.shape[2:])


def parameters(fit: bml.Fit) -> tuple[np.ndarray, np.ndarray]:
    """Mean and SD of every row in every draw, shape (draws, rows)."""
    rows, u = table(), flat(fit, "u_school")
    beta, gamma = flat(fit, "beta"), flat(fit, "beta_sigma")
    x, school = rows["x"].to_numpy(), rows["school"].to_numpy()
    mean = beta[:, [0]] + beta[:, [1]] * x + u[:, school, 0]
    return mean, np.exp(gamma[:, [0]] + gamma[:, [1]] * x + u[:, school, 1])


def test_rows_have_the_likelihood_of_their_own_sigma(fit: bml.Fit) -> None:
    rows, draws = likelihood_rows(fit), likelihood_draws(fit)
    ((_, found),) = row_log_likelihoods(rows, draws)
    expected = stats.norm.logpdf(table()["y"].to_numpy(), *parameters(fit))
    np.testing.assert_allclose(found, expected.T, rtol=1e-10)


def test_a_group_is_integrated_over_both_of_its_effects(fit: bml.Fit) -> None:
    rows, draws = likelihood_rows(fit), likelihood_draws(fit)
    chosen = np.flatnonzero(table()["school"].to_numpy() == 2)
    found = group_log_likelihood(rows, draws, chosen, np.random.default_rng(1))
    assert found.method == "quadrature"
    beta, gamma, sd = flat(fit, "beta"), flat(fit, "beta_sigma"), flat(fit, "sd_school")
    y, x = table()["y"].to_numpy()[chosen], table()["x"].to_numpy()[chosen]
    for draw in (0, 7, 100):
        mean = beta[draw, 0] + beta[draw, 1] * x

        def density(v: float, draw: int = draw, mean: np.ndarray = mean) -> float:
            # Given sigma the rows are jointly normal: the intercept needs no numerical integral.
            scale = np.exp(gamma[draw, 0] + gamma[draw, 1] * x + v)
            covariance = np.diag(scale**2) + sd[draw, 0] ** 2
            joint = stats.multivariate_normal.pdf(y, mean, covariance)
            return float(joint * stats.norm.pdf(v, 0, sd[draw, 1]))

        expected = np.log(integrate.quad(density, -3, 3, epsabs=1e-14)[0])
        # Nine nodes a dimension, on a unit of eight rows.
        assert found.values[draw] == pytest.approx(expected, abs=2e-3)


def test_a_row_alone_in_its_unit_is_integrated_over_both_effects(
    fake_fit: Callable[..., bml.Fit],
) -> None:
    frame = table().assign(area=np.r_[0, np.arange(ROWS - 1) // 4 + 1])
    model = bml.model(frame, "y ~ 1 + (1 | area)", distributional={"sigma": "~ 1 + (1 | area)"})
    made = fake_fit(model, draws=3, chains=1, values={"sd_area": [0.5, 0.4]})
    ((_, found),) = row_log_likelihoods(likelihood_rows(made), likelihood_draws(made))
    y = frame["y"].iloc[0]
    for draw in range(3):
        mean, log_sigma = flat(made, "beta")[draw, 0], flat(made, "beta_sigma")[draw, 0]

        def density(v: float, mean: float = mean, log_sigma: float = log_sigma) -> float:
            scale = np.hypot(np.exp(log_sigma + v), 0.5)
            return float(stats.norm.pdf(y, mean, scale) * stats.norm.pdf(v, 0, 0.4))

        expected = np.log(integrate.quad(density, -4, 4)[0])
        assert found[0, draw] == pytest.approx(expected, abs=1e-8)


def test_many_effects_are_integrated_by_importance_sampling() -> None:
    """Four effects on two predictors against plain simulation from their distribution."""
    rng = np.random.default_rng(4)
    y, design = rng.normal(0, 1.5, 12), rng.normal(0, 0.25, (2, 12, 4, 1))

    def likelihood(at: np.ndarray) -> np.ndarray:
        return stats.norm.logpdf(y[:, None], at[0], np.exp(at[1]))

    found = integrated_jointly(likelihood, np.zeros((2, 12, 1)), design, rng)
    x = rng.standard_normal((4, 400_000))
    at = np.einsum("pre,es->prs", design[..., 0], x)
    simulated = stats.norm.logpdf(y[:, None], at[0], np.exp(at[1])).sum(axis=0)
    expected = logsumexp(simulated) - np.log(x.shape[1])
    assert found.method == "importance sampling"
    # The standard errors of 200 and of 400,000 points.
    assert abs(found.log_likelihood[0] - expected) < 4 * found.error[0] + 0.01
    # Weights of relative SD 1.4 at most, from 200 points.
    assert found.error[0] < 0.1


def test_vpc_at_covariates_has_the_mean_variance_over_the_units(fit: bml.Fit) -> None:
    found = bml.vpc(fit, at={"x": 2}, draws=True)
    gamma, sd = flat(fit, "beta_sigma"), flat(fit, "sd_school")
    level1 = np.exp(2 * (gamma[:, 0] + 2 * gamma[:, 1]) + 2 * sd[:, 1] ** 2)
    expected = sd[:, 0] ** 2 / (sd[:, 0] ** 2 + level1)
    np.testing.assert_allclose(found.sel(grouping="school").values.ravel(), expected)
    assert found.attrs["at"] == {"x": 2.0}
    # The mean of sigma^2 over normal effects, by simulation.
    v = np.random.default_rng(1).normal(size=200_000)
    by_simulation = np.exp(2 * (gamma[0] @ [1, 2] + sd[0, 1] * v)).mean()
    assert level1[0] == pytest.approx(by_simulation, rel=0.02)


def test_predictions_take_the_rows_own_sigma(fit: bml.Fit) -> None:
    mean, sigma = parameters(fit)
    linear = bml.predict(fit, draws=True)
    np.testing.assert_allclose(linear.values.reshape(-1, ROWS), mean)
    drawn = bml.predict(fit, kind="outcome", draws=True, seed=1).values.reshape(-1, ROWS)
    standard = (drawn - mean) / sigma
    # 120 draws of 48 rows: the SD of 5,760 standard normal numbers is good to 1 %.
    assert standard.std() == pytest.approx(1.0, abs=0.04)
    own = (drawn - mean).std(axis=0) / sigma.mean(axis=0)
    assert np.corrcoef(standard.std(axis=0), own)[0, 1] > 0.5


def test_new_units_have_effects_on_sigma_too(fit: bml.Fit) -> None:
    rows = {"x": [0.0] * 4000, "school": [f"new {i}" for i in range(4000)]}
    drawn = bml.predict(fit, rows, groups="new", kind="outcome", draws=True, seed=2)
    beta, gamma, sd = flat(fit, "beta"), flat(fit, "beta_sigma"), flat(fit, "sd_school")
    values = drawn.values.reshape(-1, 4000)
    variance = sd[:, 0] ** 2 + np.exp(2 * gamma[:, 0] + 2 * sd[:, 1] ** 2)
    found = ((values - beta[:, [0]]) ** 2).mean(axis=1)
    assert (found / variance).mean() == pytest.approx(1.0, abs=0.02)
    marginal = bml.predict(fit, rows, groups="marginal", kind="outcome", draws=True, seed=2)
    again = ((marginal.values.reshape(-1, 4000) - beta[:, [0]]) ** 2).mean(axis=1)
    assert (again / variance).mean() == pytest.approx(1.0, abs=0.02)


def test_tables_name_the_terms_of_sigma(fit: bml.Fit) -> None:
    components = bml.variance_components(fit, prior=True)
    assert components["term"].tolist() == ["Intercept", "sigma:Intercept"]
    assert "residual" not in components["grouping"].tolist()
    found = bml.group_coefficients(fit, "school", draws=True)
    expected = (
        flat(fit, "u_school")
        + np.stack([flat(fit, "beta")[:, 0], flat(fit, "beta_sigma")[:, 0]], axis=-1)[:, None]
    )
    np.testing.assert_allclose(found.values.reshape(expected.shape), expected)
    assert "beta_sigma[x]" in bml.summary(fit).index
    assert np.isfinite(bml.residuals(fit)["standardised"]).all()


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda fit: bml.r2(fit), "r2 takes the same sigma for all rows"),
        (lambda fit: bml.shrinkage(fit, "school"), "bml.shrinkage takes the same sigma"),
        (lambda fit: bml.compare_reml(fit), "REML cannot .* posterior: sigma varies over units"),
    ],
)
def test_what_takes_one_sigma_is_refused_in_words(fit: bml.Fit, ask: Any, words: str) -> None:
    with pytest.raises(bml.FitError, match=words):
        ask(fit)


def test_models_are_refused_where_fits_are() -> None:
    model = bml.two_level(table(), "y ~ x", group="school", distributional={"sigma": "~ x"})
    with pytest.raises(bml.FitError, match="takes the same sigma for all rows"):
        bml.pooling(model)
    varying = bml.two_level(
        table(), "y ~ x", group="school", distributional={"sigma": "~ x + (1 | school)"}
    )
    for ask in (bml.reml, bml.ml):
        with pytest.raises(bml.FitError, match="cannot take this model: sigma varies over units"):
            ask(varying)


def test_a_grouping_of_sigma_alone_has_no_share(fake_fit: Callable[..., bml.Fit]) -> None:
    frame = table().assign(area=np.arange(ROWS) // 8)
    model = bml.two_level(
        frame, "y ~ x", group="school", distributional={"sigma": "~ 1 + (1 | area)"}
    )
    made = fake_fit(model)
    assert bml.vpc(made)["grouping"].tolist() == ["school", "residual"]
    with pytest.raises(bml.FitError, match="Only sigma varies over 'area'"):
        bml.icc(made, "area")


def test_groups_with_very_many_effects_are_refused_in_words(
    fake_fit: Callable[..., bml.Fit],
) -> None:
    frame = pd.DataFrame(
        {
            "y": np.random.default_rng(1).normal(size=720),
            "child": np.arange(720) // 2,
            "school": np.arange(720) // 120,
        }
    )
    model = bml.model(
        frame,
        "y ~ 1 + (1 | school/child)",
        distributional={"sigma": "~ 1 + (1 | child)"},
    )
    made = fake_fit(model, draws=60)
    with pytest.raises(bml.FitError, match="121 effects of its own"):
        bml.logo(made, "school")
