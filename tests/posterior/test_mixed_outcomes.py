"""What is said of a fit of outcomes of different families: against SciPy, and written out."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special, stats

import bayesml as bml
from bayesml.posterior.fitted_likelihoods import likelihood_draws, likelihood_rows
from bayesml.posterior.held_out import group_log_likelihood
from bayesml.posterior.held_out_rows import row_log_likelihoods
from bayesml.posterior.replicated_rows import checked_rows, outcome_moments, replications

pytestmark = pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning")

NAMES = ["score", "passed", "events"]
FAMILIES = {"score": "gaussian", "passed": "binomial", "events": "negative_binomial"}
SIGMA, SHAPE = 2.0, 3.0
BETA = np.array([[10.0, 1.0], [0.5, -0.4], [0.2, 0.3]])
SD = np.array([1.5, 0.8, 0.4])
CORR = np.array([[1.0, 0.5, 0.2], [0.5, 1.0, -0.3], [0.2, -0.3, 1.0]])


def pupils(rows: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(
        {
            "school": [f"s{number % 6}" for number in range(rows)],
            "x": rng.normal(1.0, 2.0, rows),
            "score": rng.normal(10.0, 2.0, rows),
            "passed": rng.integers(0, 2, rows).astype(float),
            "events": rng.poisson(1.5, rows).astype(float),
        }
    )
    for name in NAMES:
        frame[name] = frame[name].mask(rng.random(rows) < 0.2)
    # No pupil of this school has sat the examination.
    frame.loc[frame["school"] == "s5", "passed"] = np.nan
    return frame


def model() -> bml.Model:
    return bml.multivariate(pupils(), "x", outcomes=NAMES, family=FAMILIES, group="school")


VALUES: dict[str, Any] = {
    "sigma": np.array([SIGMA]),
    "shape": np.array([SHAPE]),
    "beta": BETA,
    "sd_school": SD,
    "corr_school": CORR,
}


@pytest.fixture(scope="module")
def fit(fake_fit: Callable[..., bml.Fit]) -> bml.Fit:
    return fake_fit(model(), draws=100, chains=2, values=VALUES)


def test_parameters_belong_to_the_outcomes_that_have_them(fit: bml.Fit) -> None:
    assert fit.posterior["sigma"].dims == ("chain", "draw", "sigma_outcome")
    assert fit.posterior["shape"]["shape_outcome"].values.tolist() == ["events"]
    labels = set(bml.summary(fit).index)
    assert {"sigma[score]", "shape[events]", "beta[passed:x]"} <= labels
    assert "corr_school[score:Intercept, passed:Intercept]" in labels
    assert not {"sigma[passed]", "shape[score]"} & labels
    residual = bml.variance_components(fit, prior=True).set_index(["grouping", "term"])
    assert residual.loc[("residual", "score"), "mean"] == pytest.approx(SIGMA)
    assert ("residual", "passed") not in residual.index


def test_saved_and_loaded(fit: bml.Fit, tmp_path: Any) -> None:
    loaded = bml.load(fit.save(tmp_path / "fit.nc"))
    assert loaded.spec == fit.spec
    pd.testing.assert_frame_equal(bml.summary(loaded), bml.summary(fit))
    pd.testing.assert_frame_equal(bml.predict(loaded), bml.predict(fit))
    assert bml.loo(loaded).elpd == bml.loo(fit).elpd


def _log_probability(name: str, y: float, eta: np.ndarray) -> np.ndarray:
    if name == "score":
        return stats.norm.logpdf(y, eta, SIGMA)
    if name == "passed":
        return stats.bernoulli.logpmf(y, special.expit(eta))
    return stats.nbinom.logpmf(y, SHAPE, SHAPE / (SHAPE + np.exp(eta)))


def _predictors(fit: bml.Fit, frame: pd.DataFrame, row: int) -> np.ndarray:
    """Every draw's linear predictors of a row of the table, shape (draws, outcomes)."""
    effects = fit.posterior["u_school"].sel(school=frame["school"][row]).values.reshape(-1, 3)
    return BETA @ np.array([1.0, frame["x"][row]]) + effects


def test_log_likelihoods_are_those_of_each_outcomes_family(fit: bml.Fit) -> None:
    frame = pupils()
    rows, draws = likelihood_rows(fit), likelihood_draws(fit)
    assert len(rows.outcome) == int(frame[NAMES].notna().sum().sum())
    for place, values in row_log_likelihoods(rows, draws):
        for number, found in zip(place, values, strict=True):
            row, outcome = divmod(int(rows.positions[number]), 3)
            name = NAMES[outcome]
            eta = _predictors(fit, frame, row)[:, outcome]
            expected = _log_probability(name, frame[name][row], eta)
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_a_groups_effects_are_integrated_out_together(fake_fit: Callable[..., bml.Fit]) -> None:
    """Against a sum over a grid of both effects of a school."""
    frame = pupils(24)
    names = NAMES[:2]
    built = bml.multivariate(
        frame,
        "x",
        outcomes=names,
        family={name: FAMILIES[name] for name in names},
        group="school",
    )
    made = fake_fit(
        built,
        draws=1,
        chains=1,
        values={
            "sigma": np.array([SIGMA]),
            "beta": BETA[:2],
            "sd_school": SD[:2],
            "corr_school": CORR[:2, :2],
        },
    )
    rows, draws = likelihood_rows(made), likelihood_draws(made)
    chosen = np.flatnonzero(rows.groupings[0].unit[:, 0] == 1)
    found = group_log_likelihood(rows, draws, chosen, np.random.default_rng(1))
    covariance = np.outer(SD[:2], SD[:2]) * CORR[:2, :2]
    own = frame[frame["school"] == "s1"]

    # On a grid: the trapezium rule is exact to rounding for a smooth function that dies out.
    first, second = np.meshgrid(np.linspace(-9, 9, 361), np.linspace(-6, 6, 241), indexing="ij")
    total = stats.multivariate_normal.logpdf(np.stack([first, second], -1), [0, 0], covariance)
    for _, row in own.iterrows():
        eta = BETA[:2] @ [1.0, row["x"]]
        for place, (name, effect) in enumerate(zip(names, (first, second), strict=True)):
            if not np.isnan(row[name]):
                total = total + _log_probability(name, row[name], eta[place] + effect)
    whole = np.exp(total).sum() * 0.05**2
    # Gauss-Hermite rules with a few nodes are good to about four digits.
    assert found.values[0] == pytest.approx(np.log(whole), abs=2e-4)


def test_loo_says_what_each_outcome_adds(fit: bml.Fit) -> None:
    found = bml.loo(fit)
    by_outcome = found.pointwise.groupby("outcome")["elpd"].sum()
    assert set(by_outcome.index) == set(NAMES)
    assert by_outcome.sum() == pytest.approx(found.elpd)
    assert f"score {by_outcome['score']:.1f}" in str(found)
    assert np.isfinite(bml.logo(fit, "school").elpd)


def test_models_of_other_measures_are_not_compared(
    fit: bml.Fit, fake_fit: Callable[..., bml.Fit]
) -> None:
    """A density of one outcome where another model has probabilities."""
    density = {**FAMILIES, "events": "gaussian"}
    other = bml.multivariate(pupils(), "x", outcomes=NAMES, family=density, group="school")
    same = {**FAMILIES, "events": "poisson"}
    counts = bml.multivariate(pupils(), "x", outcomes=NAMES, family=same, group="school")
    mark = likelihood_rows(fit).mark
    assert likelihood_rows(fake_fit(other)).mark != mark
    assert likelihood_rows(fake_fit(counts)).mark == mark


def test_predictions_are_on_each_outcomes_scale(fit: bml.Fit) -> None:
    new = pd.DataFrame({"x": [0.0, 2.0]}, index=["a", "b"])
    table = bml.predict(fit, new, groups="population")
    assert table["outcome"].tolist() == NAMES * 2
    eta = BETA @ np.array([[1.0, 1.0], [0.0, 2.0]])
    expected = np.array([eta[0], special.expit(eta[1]), np.exp(eta[2])])
    np.testing.assert_allclose(table["mean"], expected.T.ravel(), rtol=1e-12)
    linear = bml.predict(fit, new, groups="population", kind="linear")
    np.testing.assert_allclose(linear["mean"], eta.T.ravel(), rtol=1e-12)
    marginal = bml.predict(fit, new, groups="marginal")["mean"].to_numpy().reshape(2, 3)
    np.testing.assert_allclose(marginal[:, 0], eta[0])
    np.testing.assert_allclose(marginal[:, 2], np.exp(eta[2] + SD[2] ** 2 / 2), rtol=1e-6)
    for place, centre in enumerate(eta[1]):
        mean, _ = integrate.quad(
            lambda u, c=centre: special.expit(c + u) * stats.norm.pdf(u, 0, SD[1]), -8, 8
        )
        assert marginal[place, 1] == pytest.approx(mean, abs=1e-6)


def test_drawn_outcomes_have_each_familys_distribution(fake_fit: Callable[..., bml.Fit]) -> None:
    made = fake_fit(model(), draws=4000, chains=2, values=VALUES)
    new = pd.DataFrame({"x": [1.0]})
    drawn = bml.predict(made, new, groups="population", kind="outcome", draws=True, seed=3)
    score, passed, events = drawn.values.reshape(-1, 3).T
    eta = BETA @ [1.0, 1.0]
    # Of 8,000 draws: four standard errors each.
    assert score.mean() == pytest.approx(eta[0], abs=4 * SIGMA / np.sqrt(8000))
    assert score.std() == pytest.approx(SIGMA, rel=4 / np.sqrt(2 * 8000))
    share = special.expit(eta[1])
    assert set(np.unique(passed)) == {0.0, 1.0}
    assert passed.mean() == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 8000))
    mean = np.exp(eta[2])
    variance = mean + mean**2 / SHAPE
    assert events.mean() == pytest.approx(mean, abs=4 * np.sqrt(variance / 8000))
    assert (events == np.round(events)).all()


def test_moments_and_replications_of_every_row(fit: bml.Fit) -> None:
    frame, checked = pupils(), checked_rows(fit, 50)
    (block,) = replications(checked, np.random.default_rng(1), "same")
    mean, sd = outcome_moments(checked, block.draws, block.eta)
    number = fit.data["constant_data"]["outcome_number"].values
    inverse = [lambda v: v, special.expit, np.exp]
    variance = [
        lambda m: np.full_like(m, SIGMA**2),
        lambda m: m * (1 - m),
        lambda m: m + m**2 / SHAPE,
    ]
    for place in range(3):
        eta = block.eta[:, number == place]
        centre = inverse[place](eta)
        spread = np.sqrt(variance[place](centre))
        np.testing.assert_allclose(mean[:, number == place], centre, rtol=1e-12)
        np.testing.assert_allclose(sd[:, number == place], spread, rtol=1e-12)
    drawn = block.outcome[:, number == 1]
    assert set(np.unique(drawn)) == {0.0, 1.0}
    assert len(bml.residuals(fit)) == len(checked.outcome)
    assert frame[NAMES].notna().sum().sum() == len(checked.outcome)


def test_checks_are_made_of_each_outcome(fit: bml.Fit) -> None:
    table = bml.posterior_checks(fit, draws=40, seed=1)
    observed = table.set_index(["part", "statistic", "units"])["observed"]
    frame = pupils()
    assert observed["score: outcome", "mean", "same"] == pytest.approx(frame["score"].mean())
    assert observed["passed: outcome", "share of ones", "same"] == pytest.approx(
        frame["passed"].mean()
    )
    zeros = (frame["events"].dropna() == 0).mean()
    assert observed["events: outcome", "share of zeros", "same"] == pytest.approx(zeros)
    means = frame.groupby("school")["passed"].mean().dropna()
    assert len(means) == 5
    assert observed["passed: school", "SD of unit means", "new"] == pytest.approx(means.std())
    assert np.isfinite(table["p_value"]).all()


def test_shares_of_the_variance_are_those_of_each_family(fit: bml.Fit) -> None:
    shares = bml.vpc(fit)
    mean = shares.set_index(["grouping", "outcome"])["mean"]
    assert mean["school", "score"] == pytest.approx(SD[0] ** 2 / (SD[0] ** 2 + SIGMA**2))
    latent = np.pi**2 / 3
    assert mean["school", "passed"] == pytest.approx(SD[1] ** 2 / (SD[1] ** 2 + latent))
    # Counts, exactly: the mean and its variance are those of a lognormal variable.
    eta = BETA[2] @ [1.0, fit.facts.covariate_means["x"]]
    centre = np.exp(eta + SD[2] ** 2 / 2)
    between = centre**2 * np.expm1(SD[2] ** 2)
    within = centre + centre**2 * np.exp(SD[2] ** 2) / SHAPE
    assert mean["school", "events"] == pytest.approx(between / (between + within))
    assert shares.attrs["scale"] == "score: response; passed: latent; events: response"
    marginal = bml.r2(fit).set_index(["outcome", "part"])["mean"]
    frame = pupils()
    for place, level1 in ((0, SIGMA**2), (1, latent)):
        fixed = BETA[place, 1] ** 2 * frame.loc[frame[NAMES[place]].notna(), "x"].var()
        whole = fixed + SD[place] ** 2 + level1
        assert marginal[NAMES[place], "marginal"] == pytest.approx(fixed / whole)
        conditional = (fixed + SD[place] ** 2) / whole
        assert marginal[NAMES[place], "conditional"] == pytest.approx(conditional)


REFUSED: list[tuple[Callable[[bml.Fit], Any], str]] = [
    (lambda fit: bml.median_odds_ratio(fit), "is about one outcome, and this model has 3"),
    (lambda fit: bml.r2(fit, method="bayes"), "is about one outcome"),
    (lambda fit: bml.unit_checks(fit, "school"), "is about outcomes of one family"),
    (lambda fit: bml.compare_reml(fit), "for Gaussian outcomes"),
    (lambda fit: bml.survival(fit, groups="known"), "is about outcomes of one family"),
    (lambda fit: bml.slopes(fit, "x"), "is one of one outcome"),
]


@pytest.mark.parametrize(("call", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_says_what_is_not_there(fit: bml.Fit, call: Callable[[bml.Fit], Any], words: str) -> None:
    with pytest.raises(bml.FitError, match=words):
        call(fit)


def test_a_model_says_what_it_cannot_be_asked() -> None:
    with pytest.raises(bml.FitError, match=r"outcomes of different families .* no exact integral"):
        model().fit(engine="marginal")
    with pytest.raises(bml.FitError, match="reml is for Gaussian outcomes"):
        bml.reml(model())


def test_a_report_holds_every_outcome(fit: bml.Fit, tmp_path: Any) -> None:
    text = bml.report(fit, tmp_path / "report.html").read_text(encoding="utf-8")
    families = "gaussian (score), binomial (passed), negative_binomial (events)"
    assert f"The outcomes are score, passed, events (family {families}" in text
    assert "passed:x" in text


def test_prior_draws_of_every_family() -> None:
    tree = model().prior_predictive(200, seed=1)
    drawn = tree["prior_predictive"]["response"].values[0]
    number = model().data["outcome_number"]
    assert set(np.unique(drawn[:, number == 1])) == {0.0, 1.0}
    counts = drawn[:, number == 2]
    assert (counts == np.round(counts)).all()
    assert np.isfinite(drawn[:, number == 0]).all()
    assert tree["prior"]["shape"].dims == ("chain", "draw", "shape_outcome")
    table = model().priors["parameter"].tolist()
    assert {"shape[events]", "vpc school [score]", "median rate ratio school [events]"} <= {*table}


def with_trials(fake_fit: Callable[..., bml.Fit]) -> tuple[pd.DataFrame, bml.Fit]:
    """A score, passes out of trials and counts over days; with their fit."""
    frame = pupils()
    rng = np.random.default_rng(6)
    frame["items"] = rng.integers(2, 9, len(frame))
    frame["passed"] = frame["passed"] * frame["items"]
    frame["days"] = rng.uniform(0.5, 3.0, len(frame))
    built = bml.multivariate(
        frame,
        "x",
        outcomes=NAMES,
        family=FAMILIES,
        group="school",
        trials="items",
        exposure="days",
    )
    return frame, fake_fit(built, values=VALUES)


def test_log_likelihoods_with_trials_and_exposure(fake_fit: Callable[..., bml.Fit]) -> None:
    frame, made = with_trials(fake_fit)
    rows, draws = likelihood_rows(made), likelihood_draws(made)
    for place, values in row_log_likelihoods(rows, draws):
        for number, found in zip(place, values, strict=True):
            row, outcome = divmod(int(rows.positions[number]), 3)
            y, eta = frame[NAMES[outcome]][row], _predictors(made, frame, row)[:, outcome]
            expected = _log_probability(NAMES[outcome], y, eta + np.log(frame["days"][row]))
            if outcome == 0:
                expected = _log_probability("score", y, eta)
            elif outcome == 1:
                expected = stats.binom.logpmf(y, frame["items"][row], special.expit(eta))
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_predictions_and_checks_with_trials_and_exposure(
    fake_fit: Callable[..., bml.Fit],
) -> None:
    frame, made = with_trials(fake_fit)
    new = {"x": [0.0, 1.0], "items": [4, 5], "days": [2.0, 0.5]}
    found = bml.predict(made, new, groups="population")["mean"].to_numpy().reshape(2, 3)
    eta = BETA @ np.array([[1.0, 1.0], [0.0, 1.0]])
    np.testing.assert_allclose(found[:, 0], eta[0])
    np.testing.assert_allclose(found[:, 1], special.expit(eta[1]) * [4, 5])
    np.testing.assert_allclose(found[:, 2], np.exp(eta[2]) * [2.0, 0.5])
    drawn = bml.predict(made, new, groups="population", kind="outcome", draws=True, seed=1)
    assert drawn.values[..., 1].max() > 1
    assert drawn.values[..., 1].max() <= 4
    table = bml.posterior_checks(made, draws=40, seed=1)
    observed = table.set_index(["part", "statistic", "units"])["observed"]
    share = (frame["passed"] / frame["items"]).mean()
    assert observed["passed: outcome", "mean", "same"] == pytest.approx(share)
    assert observed["score: outcome", "mean", "same"] == pytest.approx(frame["score"].mean())
    with pytest.raises(bml.TableError, match="no column 'items'"):
        bml.predict(made, {"x": [0.0], "days": [1.0]}, groups="population")
    # Shares of the variance of counts depend on the exposure, at its mean over the counts' rows.
    own = frame[frame["events"].notna()]
    centre = np.exp(
        BETA[2] @ [1.0, made.facts.covariate_means["x"]]
        + np.log(own["days"]).mean()
        + SD[2] ** 2 / 2
    )
    between = centre**2 * np.expm1(SD[2] ** 2)
    within = centre + centre**2 * np.exp(SD[2] ** 2) / SHAPE
    shares = bml.vpc(made).set_index(["grouping", "outcome"])["mean"]
    assert shares["school", "events"] == pytest.approx(between / (between + within))
