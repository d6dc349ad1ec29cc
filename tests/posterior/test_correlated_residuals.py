"""Fits with correlated residuals: what is computed is right, and what is not defined is refused."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from bayesml.errors import FitError
from bayesml.posterior.fitted_likelihoods import likelihood_draws, likelihood_rows
from bayesml.posterior.held_out import group_log_likelihood
from bayesml.posterior.held_out_rows import joint_log_likelihood, row_log_likelihoods
from bayesml.records.engine_choice import choose_engine
from bayesml.records.modelling import make_model
from tests.codegen.test_residual_densities import correlation

TEXTS = (
    "ar1(week, child)",
    "ar1(child)",
    "continuous_ar(day, child)",
    "compound_symmetric(child)",
    "unstructured(week, child)",
)
WEEKS = np.arange(4)
VALUES: dict[str, dict[str, Any]] = {
    "ar1(week, child)": {"phi": -0.4},
    "ar1(child)": {"phi": 0.6},
    "continuous_ar(day, child)": {"phi": 0.9},
    "compound_symmetric(child)": {"corr_residual": 0.3},
    "unstructured(week, child)": {
        "corr_residual": 0.4 * np.eye(4)
        + 0.6 * 0.5 ** np.abs(np.subtract.outer(range(4), range(4)))
    },
}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Eight children in four schools, of whom one has one row only."""
    rng = np.random.default_rng(8)
    number = np.arange(32)
    whole = pd.DataFrame(
        {
            "child": number // 4,
            "school": number // 8,
            "week": number % 4,
            "day": 7.0 * (number % 4) + rng.uniform(0, 3, 32),
            "x": rng.normal(size=32),
            "score": rng.normal(1.0, 2.0, 32),
        }
    )
    kept = np.delete(rng.permutation(32), [3, 11])
    rows = whole.iloc[kept]
    return rows[(rows["child"] != 7) | (rows["week"] == 1)].reset_index(drop=True)


def made(text: str, table: pd.DataFrame, formula: str = "score ~ x + (1 | school)") -> bml.Model:
    with warnings.catch_warnings():
        # Rows in no order, few schools.
        warnings.simplefilter("ignore", bml.BayesmlWarning)
        return bml.model(table, formula, residual=text)


def dense(text: str, table: pd.DataFrame, values: dict[str, Any], sigma: np.ndarray) -> np.ndarray:
    """The covariance of all residuals, by loops over the children."""
    found = np.zeros((len(table), len(table)))
    sd = np.broadcast_to(sigma, (4,))
    for _, rows in table.groupby("child"):
        # Without a column of time, places follow the order of the rows.
        at = rows.index.to_numpy()
        own = sd[rows["week"]]
        found[np.ix_(at, at)] = correlation(text, rows, values) * np.outer(own, own)
    return found


def fitted(text: str, table: pd.DataFrame, fake_fit: Callable[..., bml.Fit], **more: str) -> Any:
    return fake_fit(made(text, table, **more), draws=60, chains=2, values=VALUES[text])


@pytest.mark.parametrize("text", TEXTS)
def test_left_out_densities_are_those_given_all_other_rows(
    text: str, table: pd.DataFrame, fake_fit: Callable[..., bml.Fit]
) -> None:
    fit = fitted(text, table, fake_fit)
    rows, draws = likelihood_rows(fit), likelihood_draws(fit)
    found = np.empty((len(table), draws.number))
    for place, values in row_log_likelihoods(rows, draws):
        found[place] = values
    for draw in (0, 77):
        sigma = draws.parameters["sigma"][draw]
        mean = rows.x @ draws.beta[draw] + draws.effects["school"][draw, table["school"], 0]
        covariance = dense(text, table, VALUES[text], sigma)
        errors = rows.outcome - mean
        whole = stats.multivariate_normal(None, covariance).logpdf(errors)
        assert joint_log_likelihood(rows, draws)[draw] == pytest.approx(whole)
        for row in range(len(table)):
            rest = np.delete(np.arange(len(table)), row)
            others = stats.multivariate_normal(None, covariance[np.ix_(rest, rest)])
            expected = whole - others.logpdf(errors[rest])
            assert found[row, draw] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("without", [False, True], ids=["whole", "without a row"])
def test_groups_are_integrated_with_their_residuals(
    text: str, without: bool, table: pd.DataFrame, fake_fit: Callable[..., bml.Fit]
) -> None:
    """A school's rows are normal with its effects' and its children's residual covariance."""
    formula = "score ~ x + (1 + x || school)"
    fit = fitted(text, table, fake_fit, formula=formula)
    rows, draws = likelihood_rows(fit), likelihood_draws(fit)
    members = np.flatnonzero(table["school"] == 1)
    left_out = int(members[2]) if without else None
    found = group_log_likelihood(rows, draws, members, np.random.default_rng(1), left_out)
    kept = members[members != left_out]
    z = np.column_stack([np.ones(len(table)), table["x"]])[kept]
    for draw in (0, 77):
        sigma = draws.parameters["sigma"][draw]
        sd = np.diag(draws.factors["school"][draw])
        covariance = dense(text, table, VALUES[text], sigma)[np.ix_(kept, kept)]
        covariance = covariance + z @ np.diag(sd**2) @ z.T
        mean = rows.x[kept] @ draws.beta[draw]
        expected = stats.multivariate_normal(mean, covariance).logpdf(rows.outcome[kept])
        assert found.values[draw] == pytest.approx(expected, rel=1e-8)


def test_a_unit_with_one_row_is_integrated_out(
    table: pd.DataFrame, fake_fit: Callable[..., bml.Fit]
) -> None:
    """Child 7 has one row: its effect is nothing but more variance of that row."""
    text = "ar1(week, child)"
    fit = fitted(text, table, fake_fit, formula="score ~ x + (1 | child)")
    rows, draws = likelihood_rows(fit), likelihood_draws(fit)
    row = int(np.flatnonzero(table["child"] == 7)[0])
    ((place, values),) = row_log_likelihoods(rows, draws)
    sd = np.hypot(draws.parameters["sigma"], draws.factors["child"][:, 0, 0])
    expected = stats.norm.logpdf(rows.outcome[row], draws.beta @ rows.x[row], sd)
    assert values[list(place).index(row)] == pytest.approx(expected)


@pytest.mark.parametrize("text", TEXTS)
def test_loo_and_logo_print(
    text: str, table: pd.DataFrame, fake_fit: Callable[..., bml.Fit]
) -> None:
    fit = fitted(text, table, fake_fit)
    found = bml.loo(fit)
    assert found.pointwise.index.tolist() == list(range(len(table)))
    assert np.isfinite(found.pointwise["elpd"]).all()
    assert np.isfinite(bml.logo(fit, "school").pointwise["elpd"]).all()


def test_logo_refuses_to_cut_a_unit(table: pd.DataFrame, fake_fit: Callable[..., bml.Fit]) -> None:
    changed = table.assign(school=np.arange(len(table)) % 5)
    fit = fitted("ar1(week, child)", changed, fake_fit)
    with pytest.raises(FitError, match="correlate some of them with rows of another unit"):
        bml.logo(fit, "school")


REFUSED: dict[str, Callable[[bml.Fit], object]] = {
    "design_effect": bml.design_effect,
    "reliability": bml.reliability,
    "influence": lambda fit: bml.influence(fit, "school", draws=100),
    "shrinkage": lambda fit: bml.shrinkage(fit, "school"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_takes_rows_as_independent_is_refused(
    name: str, table: pd.DataFrame, fake_fit: Callable[..., bml.Fit]
) -> None:
    fit = fitted("ar1(week, child)", table, fake_fit)
    with pytest.raises(FitError) as error:
        REFUSED[name](fit)
    assert f"{name} takes the rows of a unit as independent" in str(error.value)
    assert "'ar1(week, child)'" in str(error.value)


OF_MODELS: dict[str, Callable[[bml.Model], object]] = {
    "pooling": bml.pooling,
}


@pytest.mark.parametrize("name", OF_MODELS)
def test_estimates_without_a_fit_are_refused(name: str, table: pd.DataFrame) -> None:
    with pytest.raises(FitError, match=f"{name} takes the rows of a unit as independent"):
        OF_MODELS[name](made("ar1(week, child)", table))


def test_a_marginal_density_takes_residuals_within_units_of_every_grouping(
    table: pd.DataFrame,
) -> None:
    model = made("ar1(week, child)", table)
    assert choose_engine(model, "auto").name == "marginal"
    across = made("ar1(week, child)", table, "score ~ x + (1 | week)")
    with pytest.raises(FitError, match="rows with correlated residuals belong to different units"):
        across.fit(engine="marginal")


def test_shares_of_the_variance(table: pd.DataFrame, fake_fit: Callable[..., bml.Fit]) -> None:
    fit = fitted("ar1(week, child)", table, fake_fit)
    sd, sigma = fit.posterior["sd_school"].values[..., 0], fit.posterior["sigma"].values
    expected = (sd**2 / (sd**2 + sigma**2)).mean()
    assert bml.vpc(fit)["mean"].iloc[0] == pytest.approx(expected)


def test_components_and_labels(table: pd.DataFrame, fake_fit: Callable[..., bml.Fit]) -> None:
    fit = fitted("unstructured(week, child)", table, fake_fit)
    labels = bml.summary(fit).index.tolist()
    assert labels.count("sigma[2]") == labels.count("corr_residual[1, 3]") == 1
    assert "corr_residual[1, 1]" not in labels
    found = bml.variance_components(fit, prior=True)
    own = found[found["grouping"] == "residual"]
    assert own["parameter"].tolist() == ["sd"] * 4 + ["corr"] * 6
    pair = own[(own["term"] == "0") & (own["term2"] == "2")]
    assert pair["median"].item() == pytest.approx(0.6 * 0.25)
    assert pair["prior"].item() == "LKJ(2)"
    # The marginal of LKJ(2) of four occasions: Beta(3, 3) on (-1, 1).
    expected = 2 * stats.beta(3, 3).ppf(0.055) - 1
    assert pair["prior_lower"].item() == pytest.approx(expected)


def test_the_prior_of_phi_is_shown_at_a_distance_of_one(
    table: pd.DataFrame, fake_fit: Callable[..., bml.Fit]
) -> None:
    model = made("continuous_ar(day, child)", table)
    gap = model.resolved.residual.median_gap  # type: ignore[union-attr]
    shown = model.priors.set_index("parameter").loc["phi"]
    assert shown["prior"] == f"Uniform(0, 1) at a distance of {gap:.4g}"
    assert shown["median"] == pytest.approx(0.5 ** (1 / gap))
    fit = fitted("continuous_ar(day, child)", table, fake_fit)
    found = bml.variance_components(fit, prior=True).iloc[-1]
    assert (found["grouping"], found["parameter"]) == ("residual", "phi")
    assert found["prior_median"] == pytest.approx(0.5 ** (1 / gap), rel=1e-3)


@pytest.mark.parametrize(
    ("text", "prior"),
    [
        ("ar1(week, child)", {"phi": "TruncatedNormal(-0.4, 1e-6, -1, 1)"}),
        ("ar1(child)", {"phi": "TruncatedNormal(0.6, 1e-6, -1, 1)"}),
        ("compound_symmetric(child)", {"corr_residual": "Uniform(0.2999, 0.3001)"}),
    ],
)
def test_replicates_are_correlated_as_the_residuals_are(
    text: str, prior: dict[str, str], table: pd.DataFrame
) -> None:
    """Prior predictive outcomes, at parameters that hardly vary."""
    fixed = {"Intercept": "Normal(0, 1e-6)", "beta": "Normal(0, 1e-6)", "sd": "HalfNormal(1e-6)"}
    spec = made(text, table).spec.with_priors({**fixed, **prior, "sigma": "Uniform(1.999, 2)"})
    model = make_model(spec, table)
    drawn = model.prior_predictive(draws=4000, seed=1)["prior_predictive"]["score"].values[0]
    expected = dense(text, table, VALUES[text], np.asarray(2.0)) / 4
    # An estimated correlation has a standard error of at most 1 / sqrt(4000).
    assert np.abs(np.corrcoef(drawn.T) - expected).max() < 5 / np.sqrt(4000)


@pytest.mark.parametrize("text", TEXTS)
def test_a_saved_fit_knows_its_residuals(
    text: str, table: pd.DataFrame, fake_fit: Callable[..., bml.Fit], tmp_path: Any
) -> None:
    fit = fitted(text, table, fake_fit)
    again = bml.load(fit.save(tmp_path / "fit.nc"))
    assert again.spec == fit.spec
    assert bml.loo(again).elpd == bml.loo(fit).elpd
    pd.testing.assert_frame_equal(bml.variance_components(again), bml.variance_components(fit))


def test_residuals_have_the_sd_of_their_occasion(
    table: pd.DataFrame, fake_fit: Callable[..., bml.Fit]
) -> None:
    fit = fitted("unstructured(week, child)", table, fake_fit)
    found = bml.residuals(fit, draws=120, seed=1)
    posterior = fit.posterior
    sigma = posterior["sigma"].values.reshape(-1, 4)[:, table["week"]]
    beta = posterior["beta"].values.reshape(-1, 2)
    effects = posterior["u_school"].values.reshape(-1, 4)[:, table["school"]]
    x = np.column_stack([np.ones(len(table)), table["x"]])
    errors = table["score"].to_numpy() - beta @ x.T - effects
    assert found["standardised"].to_numpy() == pytest.approx((errors / sigma).mean(axis=0))
