"""Power-scaling against an exact answer, prior densities against SciPy, and the words."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from bayesml.errors import FitError
from bayesml.posterior.fitted_likelihoods import likelihood_draws, likelihood_rows
from bayesml.posterior.prior_densities import log_prior_densities, widened_prior
from bayesml.posterior.prior_sensitivity import (
    groupings_with_few_units,
    sensitivity_words,
    total_log_likelihood,
)
from bayesml.records.fits import Fit

MakeFit = Callable[..., Fit]

PRIORS = {
    "Intercept": "Normal(1, 2)",
    "beta": "Normal(0, 3)",
    "beta[z]": "StudentT(3, 0, 1)",
    "sd_g[Intercept]": "Exponential(2)",
    "sd_g[x]": "HalfNormal(0.5)",
    "corr_g": "LKJ(3)",
    "sigma": "HalfCauchy(2)",
}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({name: rng.normal(size=120) for name in ("y", "x", "z")})
    return frame.assign(g=np.repeat(range(12), 10), grade=rng.integers(0, 3, 120))


def test_prior_densities_of_a_gaussian_model(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    model = bml.two_level(table, "y ~ x + z", group="g", slopes=["x"], priors=PRIORS)
    fit = fake_fit(model, draws=20)
    found, draws = log_prior_densities(fit), fit.posterior
    beta, sd = draws["beta"].values, draws["sd_g"].values
    at_mean = beta @ np.array([1.0, table["x"].mean(), table["z"].mean()])
    np.testing.assert_allclose(found["Intercept"], stats.norm.logpdf(at_mean, 1, 2))
    slopes = stats.norm.logpdf(beta[..., 1], 0, 3) + stats.t.logpdf(beta[..., 2], 3)
    np.testing.assert_allclose(found["beta"], slopes)
    sds = stats.expon.logpdf(sd[..., 0], scale=0.5) + stats.halfnorm.logpdf(sd[..., 1], scale=0.5)
    np.testing.assert_allclose(found["sd_g"], sds)
    rho = draws["corr_g"].values[..., 0, 1]
    np.testing.assert_allclose(found["corr_g"], 2 * np.log(1 - rho**2), rtol=1e-9)
    sigma = draws["sigma"].values
    np.testing.assert_allclose(found["sigma"], stats.halfcauchy.logpdf(sigma, scale=2))
    assert set(found) == {"Intercept", "beta", "sd_g", "corr_g", "sigma"}


def test_prior_densities_of_cutpoints(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    model = bml.two_level(
        table,
        "grade ~ x",
        group="g",
        family="ordinal",
        categories=[0, 1, 2],
        priors={"sd_g": "mlwin"},
    )
    fit = fake_fit(model, draws=20)
    found, draws = log_prior_densities(fit), fit.posterior
    shift = draws["beta"].values[..., 0] * table["x"].mean()
    at_mean = draws["cutpoints"].values - shift[..., None]
    expected = stats.t.logpdf(at_mean, 3, scale=2.5).sum(axis=-1)
    np.testing.assert_allclose(found["cutpoints"], expected)
    # Gamma^-1(0.001, 0.001) on the variance, with the Jacobian of the square.
    sd = draws["sd_g"].values[..., 0]
    variance = stats.invgamma.logpdf(sd**2, 0.001, scale=0.001) + np.log(2 * sd)
    np.testing.assert_allclose(found["sd_g"], variance)


@pytest.mark.filterwarnings("ignore:Outcomes are missing")
def test_prior_densities_of_several_outcomes(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    holes = table.assign(z=table["z"].where(table["x"] < 0.5))
    model = bml.multivariate(
        holes, "x", outcomes=["y", "z"], group="g", priors={"sigma[z]": "Exponential(2)"}
    )
    fit = fake_fit(model, draws=20)
    found, draws, texts = log_prior_densities(fit), fit.posterior, dict(model_priors(model))
    beta = fit.coefficient_draws
    rows = holes["z"].notna()
    for number, mean in ((0, table["x"].mean()), (1, table["x"][rows].mean())):
        name = "yz"[number]
        at_mean = beta[..., 2 * number] + beta[..., 2 * number + 1] * mean
        center, scale = normal_arguments(texts[f"Intercept[{name}]"])
        np.testing.assert_allclose(
            found[f"Intercept[{name}]"], stats.norm.logpdf(at_mean, center, scale)
        )
    slopes = sum(
        stats.norm.logpdf(beta[..., place], *normal_arguments(texts[f"beta[{label}]"]))
        for place, label in ((1, "y:x"), (3, "z:x"))
    )
    np.testing.assert_allclose(found["beta"], slopes)
    sigma = draws["sigma"].values
    (scale,) = numbers(texts["sigma[y]"].removeprefix("HalfStudentT(4, ").removesuffix(")"))
    expected = np.log(2) + stats.t.logpdf(sigma[..., 0], 4, scale=scale)
    expected = expected + stats.expon.logpdf(sigma[..., 1], scale=0.5)
    np.testing.assert_allclose(found["sigma"], expected, rtol=1e-5)
    rho = draws["corr_residual"].values[..., 0, 1]
    np.testing.assert_allclose(found["corr_residual"], np.log(1 - rho**2), rtol=1e-9)


def model_priors(model: bml.Model) -> list[tuple[str, str]]:
    return list(zip(model.priors["parameter"], model.priors["prior"], strict=True))


def numbers(text: str) -> list[float]:
    return [float(item) for item in text.split(",")]


def normal_arguments(text: str) -> list[float]:
    return numbers(text.removeprefix("Normal(").removesuffix(")"))


@pytest.mark.parametrize(
    ("residual", "prior", "distribution", "power"),
    [
        ("ar1(time, g)", "TruncatedNormal(0.2, 0.5, -1, 1)", "truncated", 1),
        ("continuous_ar(time, g)", "Beta(2, 3)", "beta", 4),
    ],
)
def test_correlated_residuals(
    table: pd.DataFrame,
    fake_fit: MakeFit,
    residual: str,
    prior: str,
    distribution: str,
    power: int,
) -> None:
    """The prior of phi, and the rows' density as that of one dense normal of every unit."""
    # The prior of a correlation in continuous time holds at the median gap, which is 4 here.
    frame = table.assign(time=np.tile(np.arange(10) * (4 if power == 4 else 1), 12))
    model = bml.two_level(
        frame,
        "y ~ x",
        group="g",
        residual=residual,
        priors={"phi": prior, "sigma": "HalfNormal(1)"},
    )
    phi = np.random.default_rng(1).uniform(0.1, 0.8, size=(2, 60))
    fit = fake_fit(model, draws=60, values={"phi": phi})
    found, draws = log_prior_densities(fit), fit.posterior
    expected = {
        "truncated": lambda x: stats.truncnorm.logpdf(x, -2.4, 1.6, 0.2, 0.5),
        "beta": lambda x: stats.beta.logpdf(x, 2, 3),
    }[distribution](draws["phi"].values ** power)
    np.testing.assert_allclose(found["phi"], expected)
    effects = draws["u_g"].values[..., frame["g"].to_numpy(), 0]
    mean = draws["beta"].values @ np.stack([np.ones(120), frame["x"]]) + effects
    errors = (frame["y"].to_numpy() - mean).reshape(2, 60, 12, 10)
    apart = np.abs(np.subtract.outer(frame["time"][:10].to_numpy(), frame["time"][:10].to_numpy()))
    total = np.zeros((2, 60))
    for chain in range(2):
        for draw in range(60):
            sigma = float(draws["sigma"].values[chain, draw])
            normal = stats.multivariate_normal(cov=sigma**2 * phi[chain, draw] ** apart)
            total[chain, draw] = normal.logpdf(errors[chain, draw]).sum()
    likelihood = total_log_likelihood(likelihood_rows(fit), likelihood_draws(fit))
    np.testing.assert_allclose(likelihood, total.ravel(), rtol=1e-9)
    table_of = bml.sensitivity(fit).table
    assert list(table_of.index) == ["beta[Intercept]", "beta[x]", "sd_g[Intercept]", "sigma", "phi"]
    assert table_of.loc["phi", ["prior", "likelihood"]].notna().all()


def test_a_bounded_prior_that_rules_is_told_without_a_wider_one(
    table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    model = bml.model(
        table.assign(y=0.01 * table["y"]),
        "y ~ 1",
        residual="compound_symmetric(g)",
        priors={"corr_residual": "TruncatedNormal(0.5, 0.1, -0.1, 1)", "sigma": "HalfNormal(1)"},
    )
    corr = np.random.default_rng(1).normal(0.5, 0.1, size=(4, 500))
    values = {"corr_residual": corr, "sigma": 30.0, "beta": 0.0}
    fit = fake_fit(model, draws=500, chains=4, values=values)
    (finding,) = (
        text for text in bml.sensitivity(fit).findings if text.startswith("corr_residual")
    )
    assert "fit again with another prior of corr_residual to show" in finding


def test_outcomes_of_different_families(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    frame = table.assign(passed=(table["x"] > 0).astype(int))
    model = bml.multivariate(
        frame,
        "z",
        outcomes=["y", "passed"],
        group="g",
        family={"y": "gaussian", "passed": "binomial"},
    )
    found = bml.sensitivity(fake_fit(model, draws=100)).table
    assert {"beta[y:z]", "beta[passed:z]", "sigma[y]"} <= set(found.index)
    assert found[["prior", "likelihood"]].notna().all().all()


def test_the_likelihood_is_that_of_all_rows(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    fit = fake_fit(bml.two_level(table, "y ~ x", group="g"), draws=20)
    draws = fit.posterior
    effects = draws["u_g"].values[..., table["g"].to_numpy(), 0]
    mean = draws["beta"].values @ np.stack([np.ones(120), table["x"]]) + effects
    expected = stats.norm.logpdf(table["y"].to_numpy(), mean, draws["sigma"].values[..., None])
    found = total_log_likelihood(likelihood_rows(fit), likelihood_draws(fit))
    np.testing.assert_allclose(found, expected.sum(axis=-1).ravel())


def test_a_prior_that_rules_and_one_that_does_not(fake_fit: MakeFit) -> None:
    """The SD's draws are its prior's, and the data say nothing of it."""
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"y": rng.normal(size=60), "g": np.repeat(range(6), 10)})
    model = bml.two_level(frame, "y ~ 1", group="g", priors={"sd_g": "HalfNormal(0.5)"})
    sd = 0.5 * np.abs(rng.normal(size=(4, 1000, 1)))
    beta = frame["y"].mean() + rng.normal(0, 60**-0.5, size=(4, 1000, 1))
    values = {"sd_g": sd, "u_g": 0.0, "sigma": 1.0, "beta": beta}
    found = bml.sensitivity(fake_fit(model, draws=1000, chains=4, values=values))
    assert found.table.loc["sd_g[Intercept]", "diagnosis"] == "strong prior"
    assert found.table.loc["sd_g[Intercept]", "strongest"] == "sd_g"
    assert found.table.loc["sd_g[Intercept]", "likelihood"] < 0.05
    assert found.table.loc["beta[Intercept]", "diagnosis"] == ""
    assert found.table.loc["beta[Intercept]", "likelihood"] > 0.05
    assert np.isnan(found.table.loc["sigma", "prior"])  # it does not move
    assert not found.ok
    assert found.verdict == "These hang on the hyper-priors: sd_g[Intercept]."
    (finding,) = found.findings
    assert "the data say little, and the prior sd_g[Intercept] ~ HalfNormal(0.5) matters" in finding
    assert "fit again with priors={'sd_g[Intercept]': 'HalfNormal(1)'}" in finding
    assert "sd_g[Intercept]" in str(found)
    assert "<table" in found._repr_html_()


def test_a_prior_that_the_data_contradict(fake_fit: MakeFit) -> None:
    """y ~ N(mu, 1), 20 rows with mean 2, and mu ~ N(-2, 0.3^2): both pull."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"y": rng.normal(size=20), "g": np.repeat(range(5), 4)})
    frame["y"] += 2 - frame["y"].mean()
    model = bml.two_level(frame, "y ~ 1", group="g", priors={"Intercept": "Normal(-2, 0.3)"})
    precision = 20 + 1 / 0.09
    mean = (20 * 2 - 2 / 0.09) / precision
    beta = rng.normal(mean, precision**-0.5, size=(4, 1000, 1))
    values = {"beta": beta, "sd_g": 1.0, "u_g": 0.0, "sigma": 1.0}
    found = bml.sensitivity(fake_fit(model, draws=1000, chains=4, values=values))
    assert found.table.loc["beta[Intercept]", "diagnosis"] == "prior-data conflict"
    (finding,) = found.findings
    assert finding.startswith(
        "beta[Intercept]: the prior Intercept ~ Normal(-2, 0.3) and the data pull apart, or share"
    )
    assert "priors={'Intercept': 'Normal(-2, 0.6)'}" in finding


def test_nothing_to_report(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"y": rng.normal(size=60), "g": np.repeat(range(6), 10)})
    beta = frame["y"].mean() + rng.normal(0, 60**-0.5, size=(4, 1000, 1))
    values = {"sd_g": 0.5, "u_g": 0.0, "sigma": 1.0, "beta": beta}
    fit = fake_fit(bml.two_level(frame, "y ~ 1", group="g"), draws=1000, chains=4, values=values)
    found = bml.sensitivity(fit)
    assert found.ok
    assert found.verdict.startswith("The results hardly hang on the hyper-priors: the largest")
    assert sensitivity_words(fit)[0].startswith("Few units: g (6 units).")
    assert sensitivity_words(fit)[1:] == (found.verdict,)


def test_when_it_runs_by_itself(table: pd.DataFrame, fake_fit: MakeFit, tmp_path: object) -> None:
    fit = fake_fit(bml.two_level(table, "y ~ 1", group="g"), draws=100)
    assert groupings_with_few_units(fit) == ("g",)
    many = pd.DataFrame({"y": np.arange(60.0) % 7, "g": np.repeat(range(20), 3)})
    large = fake_fit(bml.two_level(many, "y ~ 1", group="g"), draws=100)
    assert groupings_with_few_units(large) == ()
    assert sensitivity_words(large) == ()
    path = fit.save(f"{tmp_path}/fit.nc", data=False)
    words = sensitivity_words(bml.load(path))
    assert words[1].startswith("Whether it does was not checked: The fit of 'y ~ 1 + (1 | g)' was")


def test_refusals(table: pd.DataFrame, fake_fit: MakeFit, tmp_path: object) -> None:
    model = bml.two_level(table, "y ~ 1", group="g")
    with pytest.raises(FitError, match=r"This fit has 20 draws, and sensitivity weights them"):
        bml.sensitivity(fake_fit(model, draws=10))
    path = fake_fit(model, draws=100).save(f"{tmp_path}/fit.nc", data=False)
    with pytest.raises(FitError, match=r"was saved without its rows"):
        bml.sensitivity(bml.load(path))


@pytest.mark.parametrize(
    ("text", "support", "wider"),
    [
        ("HalfStudentT(4, 0.5)", "positive", "HalfStudentT(4, 1)"),
        ("Normal(3, 2)", "real", "Normal(3, 4)"),
        ("StudentT(3, 0, 2.5)", "real", "StudentT(3, 0, 5)"),
        ("Exponential(3)", "positive", "Exponential(1.5)"),
        ("LKJ(2)", "correlation", "LKJ(1)"),
        ("Gamma(2, 1)", "positive", ""),
        ("mlwin", "positive", ""),
    ],
)
def test_wider_priors(text: str, support: str, wider: str) -> None:
    assert widened_prior(text, support) == wider  # type: ignore[arg-type]


@pytest.mark.sampling
def test_a_real_fit_hardly_hangs_on_its_priors(exam_fit: Fit) -> None:
    found = bml.sensitivity(exam_fit)
    assert found.ok, str(found)
    assert (found.table["likelihood"] > 0.05).all()
