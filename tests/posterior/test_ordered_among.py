"""What is said of a fit with ordered outcomes among several: against SciPy, and written out."""

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
from bayesml.posterior.prior_densities import log_prior_densities
from bayesml.posterior.replicated_rows import checked_rows, outcome_moments, replications

pytestmark = pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning")

NAMES = ["score", "grade", "step"]
FAMILIES = {"score": "gaussian", "grade": "ordinal", "step": "continuation_ratio"}
LABELS = ["low", "mid", "high"]
SIGMA = 2.0
# An ordered outcome has no intercept: its place holds 0.
BETA = np.array([[10.0, 1.0], [0.0, 0.6], [0.0, -0.3]])
SD = np.array([1.5, 0.8, 0.4])
CORR = np.array([[1.0, 0.5, 0.2], [0.5, 1.0, -0.3], [0.2, -0.3, 1.0]])
CUTS = {"grade": np.array([-0.5, 1.0]), "step": np.array([-1.0, 0.5, 0.2])}
VALUES: dict[str, Any] = {
    "sigma": np.array([SIGMA]),
    "beta": BETA,
    "sd_school": SD,
    "corr_school": CORR,
    "cutpoints_grade": CUTS["grade"],
    "cutpoints_step": CUTS["step"],
}


def pupils(rows: int = 90) -> pd.DataFrame:
    """Scores, grades in words and steps 0 to 3, each missing in a fifth of the rows."""
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(
        {
            "school": [f"s{number % 9}" for number in range(rows)],
            "x": rng.normal(1.0, 2.0, rows),
            "score": rng.normal(10.0, 2.0, rows),
            "grade": pd.Series(np.array(LABELS)[rng.integers(0, 3, rows)], dtype=object),
            "step": rng.integers(0, 4, rows).astype(float),
        }
    )
    for name in NAMES:
        frame[name] = frame[name].mask(rng.random(rows) < 0.2)
    return frame


def model(names: list[str] = NAMES, rows: int = 90) -> bml.Model:
    return bml.multivariate(
        pupils(rows),
        "x",
        outcomes=names,
        family={name: FAMILIES[name] for name in names},
        group="school",
        categories={"grade": LABELS},
    )


@pytest.fixture(scope="module")
def fit(fake_fit: Callable[..., bml.Fit]) -> bml.Fit:
    return fake_fit(model(), draws=100, chains=2, values=VALUES)


def shares(name: str, eta: np.ndarray) -> np.ndarray:
    """The probabilities of the categories by their definition, categories last."""
    below = special.expit(CUTS[name] - np.asarray(eta)[..., None])
    ends = np.zeros((*np.shape(eta), 1))
    if name == "grade":
        return np.diff(np.concatenate([ends, below, ends + 1], axis=-1), axis=-1)
    # Of those that have come to a category, so many stay.
    reached = np.concatenate([ends + 1, np.cumprod(1 - below, axis=-1)], axis=-1)
    return reached * np.concatenate([below, ends + 1], axis=-1)


def code(name: str, value: Any) -> int:
    return LABELS.index(value) if name == "grade" else int(value)


def log_probability(name: str, y: Any, eta: np.ndarray) -> np.ndarray:
    if name == "score":
        return stats.norm.logpdf(y, eta, SIGMA)
    return np.log(shares(name, eta)[..., code(name, y)])


def test_cutpoints_stand_in_place_of_an_intercept(fit: bml.Fit) -> None:
    assert fit.posterior["cutpoints_grade"].dims == ("chain", "draw", "cutpoint_grade")
    labels = set(bml.summary(fit).index)
    assert {"cutpoints_grade[low|mid]", "cutpoints_step[2|3]", "beta[grade:x]"} <= labels
    assert "beta[score:Intercept]" in labels
    assert not {"beta[grade:Intercept]", "beta[step:Intercept]", "cutpoints"} & labels
    table = bml.group_coefficients(fit, "school").set_index(["unit", "term"])
    alone = bml.random_effects(fit, "school").set_index(["unit", "term"])
    place = ("s0", "grade:Intercept")
    assert table.loc[place, "part"] == "u"
    assert table.loc[place, "mean"] == pytest.approx(alone.loc[place, "mean"])
    assert table.loc[("s0", "score:Intercept"), "part"] == "beta + u"
    notes = bml.group_coefficients(fit, "school").attrs["notes"]
    assert [note for note in notes if "grade:Intercept is u alone" in note]
    assert not [note for note in notes if "'grade:Intercept'" in note]


def test_saved_and_loaded(fit: bml.Fit, tmp_path: Any) -> None:
    loaded = bml.load(fit.save(tmp_path / "fit.nc"))
    assert loaded.spec == fit.spec
    assert dict(loaded.spec.categories_by_outcome) == {"grade": tuple(LABELS)}
    pd.testing.assert_frame_equal(bml.summary(loaded), bml.summary(fit))
    pd.testing.assert_frame_equal(bml.predict(loaded), bml.predict(fit))
    assert bml.loo(loaded).elpd == bml.loo(fit).elpd


def test_log_likelihoods_are_those_of_each_outcomes_family(fit: bml.Fit) -> None:
    frame = pupils()
    rows, draws = likelihood_rows(fit), likelihood_draws(fit)
    assert len(rows.outcome) == int(frame[NAMES].notna().sum().sum())
    effects = fit.posterior["u_school"]
    for place, values in row_log_likelihoods(rows, draws):
        for number, found in zip(place, values, strict=True):
            row, outcome = divmod(int(rows.positions[number]), 3)
            u = effects.sel(school=frame["school"][row]).values.reshape(-1, 3)[:, outcome]
            eta = BETA[outcome] @ [1.0, frame["x"][row]] + u
            expected = log_probability(NAMES[outcome], frame[NAMES[outcome]][row], eta)
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_a_groups_effects_are_integrated_out_together(fake_fit: Callable[..., bml.Fit]) -> None:
    """Against a sum over a grid of both effects of a school."""
    names, sizes = NAMES[:2], [0, 1]
    values = {
        "sigma": np.array([SIGMA]),
        "beta": BETA[:2],
        "sd_school": SD[:2],
        "corr_school": CORR[:2, :2],
        "cutpoints_grade": CUTS["grade"],
    }
    made = fake_fit(model(names, 36), draws=1, chains=1, values=values)
    rows, draws = likelihood_rows(made), likelihood_draws(made)
    chosen = np.flatnonzero(rows.groupings[0].unit[:, 0] == 1)
    found = group_log_likelihood(rows, draws, chosen, np.random.default_rng(1))
    covariance = np.outer(SD[sizes], SD[sizes]) * CORR[:2, :2]
    frame = pupils(36)
    own = frame[frame["school"] == "s1"]
    # On a grid: the trapezium rule is exact to rounding for a smooth function that dies out.
    first, second = np.meshgrid(np.linspace(-9, 9, 361), np.linspace(-6, 6, 241), indexing="ij")
    total = stats.multivariate_normal.logpdf(np.stack([first, second], -1), [0, 0], covariance)
    for _, row in own.iterrows():
        for place, (name, effect) in enumerate(zip(names, (first, second), strict=True)):
            if pd.notna(row[name]):
                eta = BETA[place] @ [1.0, row["x"]] + effect
                total = total + log_probability(name, row[name], eta)
    whole = np.exp(total).sum() * 0.05**2
    # Gauss-Hermite rules with a few nodes are good to about four digits.
    assert found.values[0] == pytest.approx(np.log(whole), abs=2e-4)


def test_rows_alone_in_their_unit(fake_fit: Callable[..., bml.Fit]) -> None:
    """A unit whose only row has only a grade: its effect is integrated out."""
    frame = pupils()
    frame.loc[0, "school"] = "lone"
    frame.loc[0, ["score", "step"]] = np.nan
    frame.loc[0, "grade"] = "mid"
    built = bml.multivariate(
        frame,
        "x",
        outcomes=NAMES,
        family=FAMILIES,
        group="school",
        categories={"grade": LABELS},
    )
    made = fake_fit(built, draws=5, chains=1, values=VALUES)
    eta = BETA[1] @ [1.0, frame["x"][0]]
    expected, _ = integrate.quad(
        lambda u: shares("grade", np.array(eta + u))[1] * stats.norm.pdf(u, 0, SD[1]), -8, 8
    )
    rows, draws = likelihood_rows(made), likelihood_draws(made)
    (place,) = np.flatnonzero(rows.positions == 1)
    values = np.concatenate([block for _, block in row_log_likelihoods(rows, draws)])
    np.testing.assert_allclose(values[place], np.log(expected), atol=1e-6)


def test_loo_says_what_each_outcome_adds(fit: bml.Fit) -> None:
    found = bml.loo(fit)
    by_outcome = found.pointwise.groupby("outcome")["elpd"].sum()
    assert set(by_outcome.index) == set(NAMES)
    assert by_outcome.sum() == pytest.approx(found.elpd)
    assert np.isfinite(bml.logo(fit, "school").elpd)


def test_predicted_probabilities_are_labelled_by_category(fit: bml.Fit) -> None:
    new = pd.DataFrame({"x": [0.0, 2.0]}, index=["a", "b"])
    table = bml.predict(fit, new, groups="population")
    lines = [("score", ""), *(("grade", label) for label in LABELS)]
    lines += [("step", str(number)) for number in range(4)]
    assert list(zip(table["outcome"], table["category"], strict=True)) == lines * 2
    assert table.index.tolist() == ["a"] * 8 + ["b"] * 8
    eta = BETA @ np.array([[1.0, 1.0], [0.0, 2.0]])
    expected = [
        [eta[0, row], *shares("grade", eta[1, row]), *shares("step", eta[2, row])]
        for row in range(2)
    ]
    np.testing.assert_allclose(table["mean"], np.ravel(expected), rtol=1e-12)
    linear = bml.predict(fit, new, groups="population", kind="linear")
    np.testing.assert_allclose(linear["mean"], eta.T.ravel(), rtol=1e-12)
    marginal = bml.predict(fit, new, groups="marginal").set_index(["outcome", "category"], append=1)
    for name, place in (("grade", 1), ("step", 2)):
        for number, label in enumerate(LABELS if name == "grade" else map(str, range(4))):
            mean, _ = integrate.quad(
                lambda u, n=name, k=number, p=place: (
                    shares(n, np.array(eta[p, 1] + u))[k] * stats.norm.pdf(u, 0, SD[p])
                ),
                -8,
                8,
            )
            assert marginal.loc[("b", name, label), "mean"] == pytest.approx(mean, abs=1e-6)


def test_draws_of_predictions_are_labelled_too(fit: bml.Fit) -> None:
    new = pd.DataFrame({"x": [0.0, 2.0, -1.0]})
    table = bml.predict(fit, new, groups="population")
    draws = bml.predict(fit, new, groups="population", draws=True)
    assert draws.dims == ("chain", "draw", "obs")
    assert draws["category"].values.tolist() == table["category"].tolist()
    assert draws["outcome"].values.tolist() == table["outcome"].tolist()
    assert draws["row"].values.tolist() == table.index.tolist()
    np.testing.assert_allclose(draws.mean(("chain", "draw")), table["mean"], rtol=1e-12)


def test_drawn_outcomes_have_each_familys_distribution(fake_fit: Callable[..., bml.Fit]) -> None:
    made = fake_fit(model(), draws=4000, chains=2, values=VALUES)
    new = pd.DataFrame({"x": [1.0]})
    drawn = bml.predict(made, new, groups="population", kind="outcome", draws=True, seed=3)
    assert drawn.attrs["categories_grade"] == LABELS
    score, grade, step = drawn.values.reshape(-1, 3).T
    eta = BETA @ [1.0, 1.0]
    assert score.mean() == pytest.approx(eta[0], abs=4 * SIGMA / np.sqrt(8000))
    for name, values, centre in (("grade", grade, eta[1]), ("step", step, eta[2])):
        for number, share in enumerate(shares(name, centre)):
            # Of 8,000 draws: four standard errors.
            error = 4 * np.sqrt(share * (1 - share) / 8000)
            assert (values == number).mean() == pytest.approx(share, abs=error)
    table = bml.predict(made, new, groups="population", kind="outcome", seed=3)
    table = table.set_index("outcome")
    assert table.loc["grade", "mode"] == LABELS[int(np.argmax(shares("grade", eta[1])))]
    assert table.loc["grade", "probability"] == max((grade == k).mean() for k in range(3))
    assert np.isnan(table.loc["grade", "mean"])
    assert np.isnan(table.loc["score", "probability"])
    assert table.loc["score", "mode"] == ""
    assert table.loc["score", "mean"] == pytest.approx(score.mean())


def test_moments_and_checks_of_every_row(fit: bml.Fit) -> None:
    frame, checked = pupils(), checked_rows(fit, 50)
    (block,) = replications(checked, np.random.default_rng(1), "same")
    mean, sd = outcome_moments(checked, block.draws, block.eta)
    number = fit.data["constant_data"]["outcome_number"].values
    for place, name in ((1, "grade"), (2, "step")):
        own = shares(name, block.eta[:, number == place])
        codes = np.arange(own.shape[-1])
        centre = own @ codes
        np.testing.assert_allclose(mean[:, number == place], centre, rtol=1e-9)
        spread = np.sqrt(own @ codes**2 - centre**2)
        np.testing.assert_allclose(sd[:, number == place], spread, rtol=1e-7)
    assert set(np.unique(block.outcome[:, number == 1])) == {0.0, 1.0, 2.0}
    table = bml.posterior_checks(fit, draws=40, seed=1)
    observed = table.set_index(["part", "statistic", "units"])["observed"]
    for label in LABELS:
        share = (frame["grade"].dropna() == label).mean()
        key = ("grade: outcome", f"share of category: {label}", "same")
        assert observed[key] == pytest.approx(share)
    assert observed["score: outcome", "mean", "same"] == pytest.approx(frame["score"].mean())
    assert len(bml.residuals(fit)) == len(checked.outcome)


def test_shares_of_the_variance_are_on_each_outcomes_scale(
    fake_fit: Callable[..., bml.Fit],
) -> None:
    names = NAMES[:2]
    values = {
        "sigma": np.array([SIGMA]),
        "beta": BETA[:2],
        "sd_school": SD[:2],
        "cutpoints_grade": CUTS["grade"],
    }
    made = fake_fit(model(names), values=values)
    found = bml.vpc(made)
    mean = found.set_index(["grouping", "outcome"])["mean"]
    latent = np.pi**2 / 3
    assert mean["school", "grade"] == pytest.approx(SD[1] ** 2 / (SD[1] ** 2 + latent))
    assert mean["school", "score"] == pytest.approx(SD[0] ** 2 / (SD[0] ** 2 + SIGMA**2))
    assert found.attrs["scale"] == "score: response; grade: latent"
    assert bml.icc(made).set_index(["grouping", "outcome"])["mean"]["school", "grade"] > 0
    frame = pupils()
    explained = bml.r2(made).set_index(["outcome", "part"])["mean"]
    fixed = BETA[1, 1] ** 2 * frame.loc[frame["grade"].notna(), "x"].var()
    whole = fixed + SD[1] ** 2 + latent
    assert explained["grade", "marginal"] == pytest.approx(fixed / whole)
    assert explained["grade", "conditional"] == pytest.approx((fixed + SD[1] ** 2) / whole)
    with pytest.raises(bml.FitError, match="every cutpoint of 'grade' has a share of its own"):
        bml.vpc(made, scale="response")


def test_prior_densities_of_cutpoints_hold_at_the_mean(fit: bml.Fit) -> None:
    frame, found = pupils(), log_prior_densities(fit)
    expected = 0.0
    for place, name in ((1, "grade"), (2, "step")):
        mean = frame.loc[frame[name].notna(), "x"].mean()
        expected += stats.t.logpdf(CUTS[name] - BETA[place, 1] * mean, 3, scale=2.5).sum()
    np.testing.assert_allclose(found["cutpoints"], expected, rtol=1e-9)
    assert "Intercept[grade]" not in found
    assert "Intercept[score]" in found


REFUSED: list[tuple[Callable[[bml.Fit], Any], str]] = [
    (lambda fit: bml.vpc(fit), "'continuation_ratio' with link 'logit' has no level-1 variance"),
    (lambda fit: bml.r2(fit), "has no level-1 variance on the scale of the linear predictor"),
    (lambda fit: bml.unit_checks(fit, "school"), "is about outcomes of one family"),
    (lambda fit: bml.pooling(fit, "school"), "pooling is about one outcome"),
    (lambda fit: bml.slopes(fit, "x"), "is one of one outcome"),
    (lambda fit: bml.median_odds_ratio(fit), "is about one outcome, and this model has 3"),
]


@pytest.mark.parametrize(("call", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_says_what_is_not_there(fit: bml.Fit, call: Callable[[bml.Fit], Any], words: str) -> None:
    with pytest.raises(bml.FitError, match=words):
        call(fit)


def test_cutpoints_that_touch_are_named_by_outcome(fake_fit: Callable[..., bml.Fit]) -> None:
    rng = np.random.default_rng(1)
    first = rng.normal(size=(2, 500))
    gap = np.abs(rng.normal(0, 0.01, size=(2, 500)))
    values = {**VALUES, "cutpoints_grade": np.stack([first, first + gap], axis=-1)}
    made = fake_fit(model(), draws=500, chains=2, values=values)
    found = [item for item in bml.diagnose(made).advice if item.kind == "cutpoints that touch"]
    assert [item.parameter for item in found] == ["cutpoints_grade[low|mid]"]


def test_a_report_holds_the_cutpoints(fit: bml.Fit, tmp_path: Any) -> None:
    text = bml.report(fit, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "grade has the categories low, mid, high, lowest first." in text
    assert "cutpoints_grade[low|mid]" in text
    assert "grade:x" in text
    assert "\\beta_{0,\\text{grade}} = 0" in fit.data.attrs["equation"]


def test_prior_draws_of_ordered_outcomes() -> None:
    built = model()
    tree = built.prior_predictive(2000, seed=1)
    drawn = tree["prior_predictive"]["response"].values[0]
    number = built.data["outcome_number"]
    assert set(np.unique(drawn[:, number == 1])) == {0.0, 1.0, 2.0}
    assert set(np.unique(drawn[:, number == 2])) == {0.0, 1.0, 2.0, 3.0}
    prior = tree["prior"]
    beta = prior["beta"].values[0]
    assert not beta[:, 1:, 0].any()
    # At the mean of x over its own rows the intercept has its prior, and a cutpoint its own.
    means = built.data["x_mean"][:, 0]
    scale = float(pupils()["score"].std())
    centre = beta[:, 0, 0] + beta[:, 0, 1] * means[0]
    # Of 2,000 draws the SD is good to 1.6 %: three times that.
    assert centre.std() == pytest.approx(2.5 * scale, rel=0.05)
    cuts = prior["cutpoints_step"].values[0] - (beta[:, 2, 1] * means[2])[:, None]
    quartiles = np.quantile(cuts, [0.25, 0.75])
    np.testing.assert_allclose(quartiles, stats.t.ppf([0.25, 0.75], 3, scale=2.5), rtol=0.1)
    ascending = prior["cutpoints_grade"].values[0]
    assert (np.diff(ascending, axis=1) > 0).all()
    parameters = built.priors["parameter"].tolist()
    assert {"cutpoints[grade]", "vpc school [grade]", "median odds ratio school [step]"} <= {
        *parameters
    }


def test_a_model_of_ordered_outcomes_alone(fake_fit: Callable[..., bml.Fit]) -> None:
    """Several of one family go the same way: each has cutpoints of its own."""
    formula = "mvbind(grade, step) ~ x + (1 | school)"
    built = bml.model(pupils(), formula, family="ordinal", categories={"grade": LABELS})
    assert built.spec.families == (("grade", "ordinal"), ("step", "ordinal"))
    values = {
        "beta": BETA[1:],
        "cutpoints_grade": CUTS["grade"],
        "cutpoints_step": np.sort(CUTS["step"]),
    }
    made = fake_fit(built, values=values)
    drawn = bml.predict(made, kind="outcome", draws=True, seed=1)
    assert np.issubdtype(drawn.dtype, np.integer)
    table = bml.predict(made, {"x": [0.0]}, groups="population").set_index(["outcome", "category"])
    np.testing.assert_allclose(table["mean"]["grade"], shares("grade", 0.0), rtol=1e-12)
    assert np.isfinite(bml.loo(made).elpd)
    assert set(bml.vpc(made)["outcome"]) == {"grade", "step"}
    with pytest.raises(bml.FitError, match="no exact integral"):
        built.fit(engine="marginal")


@pytest.mark.sampling
@pytest.mark.timeout(900)
def test_a_sampled_fit_is_sound() -> None:
    """400 rows in 40 schools with known parameters; three posterior SDs of one table's."""
    rng = np.random.default_rng(11)
    school = np.repeat(np.arange(40), 10)
    x = rng.normal(size=school.size)
    u = rng.multivariate_normal([0, 0], [[1.0, 0.6], [0.6, 1.0]], size=40)[school]
    latent = 0.8 * x + u[:, 1] + rng.logistic(size=school.size)
    frame = pd.DataFrame(
        {
            "school": school,
            "x": x,
            "score": 1.0 + 0.5 * x + u[:, 0] + rng.normal(size=school.size),
            "grade": np.array(LABELS)[np.digitize(latent, [-0.5, 1.0])],
        }
    )
    fit = bml.multivariate(
        frame,
        "x",
        outcomes=["score", "grade"],
        family={"score": "gaussian", "grade": "ordinal"},
        group="school",
        categories=LABELS,
    ).fit(draws=500, tune=500, chains=2, seed=1, progress=False)
    table = bml.summary(fit)
    assert table["r_hat"].max() < 1.02
    assert table["ess_bulk"].min() > 200
    truths = {
        "beta[score:x]": 0.5,
        "beta[grade:x]": 0.8,
        "sd_school[score:Intercept]": 1.0,
        "sd_school[grade:Intercept]": 1.0,
        "corr_school[score:Intercept, grade:Intercept]": 0.6,
        "cutpoints_grade[low|mid]": -0.5,
        "cutpoints_grade[mid|high]": 1.0,
    }
    for name, truth in truths.items():
        assert abs(table.loc[name, "mean"] - truth) < 3 * table.loc[name, "sd"], name
