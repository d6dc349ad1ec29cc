"""What follows from category-specific effects, against the words of each model in loops."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import bayesml as bml
from bayesml.errors import FitError
from bayesml.posterior.fitted_likelihoods import likelihood_draws, likelihood_rows
from bayesml.posterior.held_out import group_log_likelihood
from bayesml.posterior.held_out_rows import row_log_likelihoods
from bayesml.posterior.prior_densities import log_prior_densities
from bayesml.posterior.replicated_rows import checked_rows, outcome_moments, predictors_of
from bayesml.records.prior_draws import prior_predictive

MakeFit = Callable[..., bml.Fit]
LATENT = {"logit": stats.logistic, "probit": stats.norm, "cloglog": stats.gumbel_l}
MODELS = [
    ("adjacent_category", "logit"),
    *(("continuation_ratio", link) for link in LATENT),
]
ROWS, UNITS = 60, 10
LABELS = ["0|1", "1|2", "2|3"]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(31)
    number = np.arange(ROWS)
    return pd.DataFrame(
        {
            "y": rng.permutation(number % 4),
            "x": rng.normal(1.0, 1.0, ROWS),
            "w": rng.normal(size=ROWS),
            "sex": rng.choice(["F", "M"], ROWS),
            "z": rng.normal(size=ROWS),
            "g": number % UNITS,
        }
    )


def made(table: pd.DataFrame, family: str, link: str, **options: Any) -> bml.Model:
    return bml.two_level(
        table, "y ~ z + cs(x * sex)", group="g", family=family, link=link, **options
    )


def shares(family: str, link: str, gaps: np.ndarray) -> np.ndarray:
    """Probabilities of the categories, given the cutpoints of a row less its linear predictor."""
    if family == "adjacent_category":
        odds = np.cumprod([1.0, *np.exp(-gaps)])
        return odds / odds.sum()
    found, left = [], 1.0
    for gap in gaps:
        found.append(left * LATENT[link].cdf(gap))
        left *= LATENT[link].sf(gap)
    return np.array([*found, left])


def columns_of(row: Any) -> np.ndarray:
    """x, sex[M] and their product."""
    male = float(row.sex == "M")
    return np.array([row.x, male, row.x * male])


def gaps_of(fit: bml.Fit, row: Any, effect: bool = True) -> np.ndarray:
    """Cutpoints less everything that moves them, shape (draws, cutpoints)."""
    draws = fit.posterior.stack(sample=("chain", "draw")).transpose("sample", ...)
    gaps = draws["cutpoints"].values - draws["beta_cs"].values @ columns_of(row)
    eta = draws["beta"].values[:, 0] * row.z
    if effect:
        eta = eta + draws["u_g"].sel(g=row.g).values[:, 0]
    return np.asarray(gaps - eta[:, None])


@pytest.mark.parametrize(("family", "link"), MODELS)
def test_probabilities_of_known_and_unknown_units(
    family: str, link: str, table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    fit = fake_fit(made(table, family, link), draws=3)
    rows = table.drop(columns="y").iloc[:5]
    for strategy, effect in (("known", True), ("population", False)):
        found = bml.predict(fit, rows, groups=strategy, draws=True)
        assert found.dims == ("chain", "draw", "obs", "category")
        for place, row in enumerate(rows.itertuples()):
            expected = [shares(family, link, gaps) for gaps in gaps_of(fit, row, effect)]
            got = found.isel(obs=place).values.reshape(-1, 4)
            np.testing.assert_allclose(got, expected, rtol=1e-9)
    own = bml.predict(fit, draws=True).isel(obs=slice(5)).values
    known = bml.predict(fit, rows, groups="known", draws=True).values
    np.testing.assert_allclose(own, known, rtol=1e-9)


@pytest.mark.parametrize(("family", "link"), MODELS)
def test_probabilities_averaged_over_units(
    family: str, link: str, table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    fit = fake_fit(made(table, family, link), draws=2, chains=1)
    rows = table.drop(columns=["y", "g"]).iloc[:2]
    found = bml.predict(fit, rows, groups="marginal", draws=True).values[0]
    sd = fit.posterior["sd_g"].values[0, :, 0]
    for place, row in enumerate(rows.assign(g=0).itertuples()):
        for draw, gaps in enumerate(gaps_of(fit, row, effect=False)):
            for category in range(4):
                exact, _ = integrate.quad(
                    lambda v, gaps=gaps, k=category, s=sd[draw]: (
                        shares(family, link, gaps - s * v)[k] * stats.norm.pdf(v)
                    ),
                    -8,
                    8,
                    epsabs=1e-11,
                )
                # The rule's own error, as `response_mean_over_normal` says.
                assert found[draw, place, category] == pytest.approx(exact, abs=1e-7)


@pytest.mark.parametrize(("family", "link"), MODELS)
def test_outcomes_have_these_probabilities(
    family: str, link: str, table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    fit = fake_fit(made(table, family, link), draws=3000, chains=2)
    rows = table.drop(columns="y").iloc[:3]
    mean = bml.predict(fit, rows, groups="known", draws=True).mean(("chain", "draw")).values
    drawn = bml.predict(fit, rows, groups="known", kind="outcome", draws=True, seed=5).values
    for place in range(3):
        counts = np.bincount(drawn[..., place].ravel(), minlength=4)
        # One draw each from probabilities that differ little: nearly multinomial.
        assert stats.chisquare(counts, mean[place] * counts.sum()).pvalue > 1e-4


def test_linear_predictors_are_those_of_each_cutpoint(
    table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    fit = fake_fit(made(table, "adjacent_category", "logit"), draws=3)
    rows = table.drop(columns="y").iloc[:4]
    found = bml.predict(fit, rows, groups="known", kind="linear", draws=True)
    assert found.dims == ("chain", "draw", "obs", "cutpoint")
    cuts = fit.posterior["cutpoints"].values.reshape(-1, 3)
    for place, row in enumerate(rows.itertuples()):
        got = found.isel(obs=place).values.reshape(-1, 3)
        np.testing.assert_allclose(got, cuts - gaps_of(fit, row), rtol=1e-9)
    wide = bml.predict(fit, rows, groups="known", kind="linear")
    assert wide["cutpoint"].tolist() == LABELS * 4
    # The log odds of neighbours are what a slope is measured in.
    slope = bml.slopes(fit, "x", kind="linear", at={"sex": "F"}, groups="population")
    assert slope["cutpoint"].tolist() == LABELS
    expected = fit.posterior["beta_cs"].sel(coef_cs="x").mean(("chain", "draw")).values
    np.testing.assert_allclose(slope["mean"], expected, rtol=1e-6)
    apart = bml.contrast(fit, "sex", kind="linear", at={"x": 0}, groups="population")
    expected = fit.posterior["beta_cs"].sel(coef_cs="sex[M]").mean(("chain", "draw")).values
    np.testing.assert_allclose(apart["mean"], expected, rtol=1e-9)


@pytest.mark.parametrize(("family", "link"), MODELS)
def test_log_likelihoods_and_moments_of_rows(
    family: str, link: str, table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    fit = fake_fit(made(table, family, link), draws=2)
    blocks = row_log_likelihoods(likelihood_rows(fit), likelihood_draws(fit))
    found = np.concatenate([values for _, values in blocks])
    checked = checked_rows(fit, 100)
    mean, sd = outcome_moments(checked, checked.draws, predictors_of(checked, checked.draws))
    for place, row in enumerate(table.itertuples()):
        expected = np.array([shares(family, link, gaps) for gaps in gaps_of(fit, row)])
        np.testing.assert_allclose(found[place], np.log(expected[:, row.y]), rtol=1e-8)
        first = expected @ np.arange(4)
        np.testing.assert_allclose(mean[:, place], first, rtol=1e-8)
        second = expected @ np.arange(4) ** 2
        np.testing.assert_allclose(sd[:, place], np.sqrt(second - first**2), rtol=1e-6)


@pytest.mark.parametrize(("family", "link"), MODELS)
def test_a_unit_that_is_left_out_is_integrated(
    family: str, link: str, table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    model = made(table, family, link)
    fit = fake_fit(model, draws=1, chains=1)
    chosen = np.flatnonzero(table["g"] == 0)
    found = group_log_likelihood(
        likelihood_rows(fit), likelihood_draws(fit), chosen, np.random.default_rng(1)
    )
    rows = [row for row in table.itertuples() if row.g == 0]
    sd = float(fit.posterior["sd_g"].values.item())

    def joint(v: float) -> float:
        gaps = [gaps_of(fit, row, effect=False)[0] - sd * v for row in rows]
        each = [shares(family, link, gap)[row.y] for gap, row in zip(gaps, rows, strict=True)]
        return float(np.prod(each) * stats.norm.pdf(v))

    exact, _ = integrate.quad(joint, -8, 8, epsrel=1e-10)
    # What adaptive quadrature may miss of a smooth function.
    assert found.values[0] == pytest.approx(np.log(exact), abs=1e-4)


def test_prior_densities(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    priors = {"beta_cs": "Normal(0, 2)", "beta_cs[x]": "StudentT(3, 0, 1)"}
    fit = fake_fit(made(table, "adjacent_category", "logit", priors=priors), draws=5)
    found, draws = log_prior_densities(fit), fit.posterior
    own = draws["beta_cs"].values
    expected = stats.t.logpdf(own[..., 0], 3).sum(-1)
    expected = expected + stats.norm.logpdf(own[..., 1:], 0, 2).sum((-1, -2))
    np.testing.assert_allclose(found["beta_cs"], expected)
    means = np.mean([columns_of(row) for row in table.itertuples()], axis=0)
    at_mean = draws["cutpoints"].values - own @ means
    at_mean -= draws["beta"].values * table["z"].mean()
    np.testing.assert_allclose(
        found["cutpoints"], stats.t.logpdf(at_mean, 3, scale=2.5).sum(-1), rtol=1e-9
    )
    assert set(found) == {"beta", "sd_g", "beta_cs", "cutpoints"}


@pytest.mark.parametrize(("family", "link"), MODELS)
def test_prior_draws(family: str, link: str, table: pd.DataFrame) -> None:
    priors = {"beta_cs": "Normal(0, 0.7)", "cutpoints": "Normal(0, 1)", "sd": "HalfNormal(0.5)"}
    tree = prior_predictive(made(table, family, link, priors=priors), draws=3000, seed=3)
    prior = tree["prior"].to_dataset().isel(chain=0)
    own = prior["beta_cs"].transpose("draw", "cutpoint", "coef_cs").values
    assert own.shape == (3000, 3, 3)
    # Independent of each other: nine columns, none of them a copy.
    assert np.abs(np.corrcoef(own.reshape(-1, 9).T) - np.eye(9)).max() < 0.1
    assert stats.kstest(own[:, 1, 2] / 0.7, stats.norm.cdf).pvalue > 1e-4
    means = np.mean([columns_of(row) for row in table.itertuples()], axis=0)
    at_mean = prior["cutpoints"].values - own @ means
    at_mean -= prior["beta"].values * table["z"].mean()
    assert stats.kstest(at_mean[:, 0], stats.norm.cdf).pvalue > 1e-4
    # Outcomes follow from the draws: the mean of each row's category, in all draws.
    drawn = tree["prior_predictive"].to_dataset()["y_"].values[0]
    row = next(table.itertuples())
    gaps = prior["cutpoints"].values - own @ columns_of(row)
    gaps = gaps - (prior["beta"].values[:, 0] * row.z)[:, None]
    gaps = gaps - prior["u_g"].sel(g=row.g).transpose("draw", ...).values
    expected = np.array([shares(family, link, gap) for gap in gaps])
    counts = np.bincount(drawn[:, 0], minlength=4)
    # The variance of a sum of independent draws with these probabilities.
    error = np.sqrt((expected * (1 - expected)).sum(axis=0))
    assert (np.abs(counts - expected.sum(axis=0)) < 4 * error).all()


def test_tables_name_cutpoint_and_term(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    fit = fake_fit(made(table, "adjacent_category", "logit"), draws=20)
    index = bml.summary(fit).index
    assert [f"beta_cs[{label}, x]" for label in LABELS] == [
        name for name in index if name.startswith("beta_cs") and name.endswith(", x]")
    ]
    found = bml.hypothesis(fit, "beta_cs[0|1, x] > beta_cs[1|2, x]")
    difference = fit.posterior["beta_cs"].sel(coef_cs="x")
    difference = difference.sel(cutpoint="0|1") - difference.sel(cutpoint="1|2")
    assert found["mean"].item() == pytest.approx(float(difference.mean()))


def test_what_is_saved_is_what_is_loaded(table: pd.DataFrame, fake_fit: MakeFit, tmp_path) -> None:
    fit = fake_fit(made(table, "continuation_ratio", "cloglog"), draws=4)
    fit.save(tmp_path / "fit.nc")
    again = bml.load(tmp_path / "fit.nc")
    rows = table.drop(columns="y").iloc[:6]
    pd.testing.assert_frame_equal(
        bml.predict(fit, rows, groups="known"), bml.predict(again, rows, groups="known")
    )
    bml.report(again, tmp_path / "fit.html")
    text = (tmp_path / "fit.html").read_text()
    assert "Posterior of the category-specific coefficients, one for each cutpoint" in text
    assert "beta_cs[0|1, sex[M]:x]" in text or "beta_cs[0|1, x:sex[M]]" in text


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (bml.r2, "r2 takes the same coefficients for all categories"),
        (lambda fit: bml.shrinkage(fit, "g"), "those of cs\\(\\) differ between the cutpoints"),
        (
            lambda fit: bml.simple_slopes(fit, "x", "z"),
            "'x' stands in cs\\(\\), where every cutpoint has a slope of its own. Use bml.slopes",
        ),
        (lambda fit: bml.simple_slopes(fit, "z", "x"), "'x' stands in cs\\(\\)"),
        (lambda fit: bml.significance_region(fit, "z", "x"), "'x' stands in cs\\(\\)"),
    ],
)
def test_what_is_not_defined_is_refused(
    call: Callable[[bml.Fit], Any], words: str, table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    fit = fake_fit(made(table, "adjacent_category", "logit"), draws=10)
    with pytest.raises(FitError, match=words):
        call(fit)
