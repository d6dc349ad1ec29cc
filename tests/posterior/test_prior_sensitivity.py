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
