"""What is said of a fit of several outcomes: against SciPy, and written out."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from bayesml.posterior.fitted_likelihoods import likelihood_draws, likelihood_rows
from bayesml.posterior.held_out_rows import row_log_likelihoods
from bayesml.posterior.replicated_rows import checked_rows, replications

pytestmark = pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning")

NAMES = ["written", "course"]


def pupils() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    rows = 40
    scores = rng.normal([40.0, 7.0], [9.0, 0.5], size=(rows, 2))
    scores[rng.random(scores.shape) < 0.2] = np.nan
    frame = pd.DataFrame(scores, columns=NAMES)
    return frame.assign(
        school=[f"s{number % 5}" for number in range(rows)],
        x=rng.normal(1.0, 2.0, rows),
        absences=rng.poisson(3.0, rows),
        prizes=rng.poisson(1.0, rows),
    )


SIGMA = np.array([8.0, 0.4])
CORR = np.array([[1.0, -0.6], [-0.6, 1.0]])
SD = np.array([3.0, 0.2])
CORR_SCHOOL = np.array([[1.0, 0.5], [0.5, 1.0]])
BETA = np.array([[40.0, 0.5], [7.0, -0.1]])


@pytest.fixture(scope="module")
def fit(fake_fit: Callable[..., bml.Fit]) -> bml.Fit:
    model = bml.multivariate(pupils(), "x", outcomes=NAMES, group="school")
    values: dict[str, Any] = {
        "sigma": SIGMA,
        "corr_residual": CORR,
        "sd_school": SD,
        "corr_school": CORR_SCHOOL,
        "beta": BETA,
    }
    return fake_fit(model, draws=100, chains=2, values=values)


def test_saved_and_loaded(fit: bml.Fit, tmp_path: Any) -> None:
    loaded = bml.load(fit.save(tmp_path / "fit.nc"))
    pd.testing.assert_frame_equal(bml.summary(loaded), bml.summary(fit))
    pd.testing.assert_frame_equal(bml.predict(loaded), bml.predict(fit))


def test_labels_name_the_outcome(fit: bml.Fit) -> None:
    labels = bml.summary(fit).index.tolist()
    assert labels[:4] == [
        "beta[written:Intercept]",
        "beta[written:x]",
        "beta[course:Intercept]",
        "beta[course:x]",
    ]
    assert "corr_residual[written, course]" in labels
    assert {"sigma[written]", "sd_school[course:Intercept]"} <= set(labels)
    found = bml.hypothesis(fit, "beta[written:x] > beta[course:x]")
    assert float(found["probability"].iloc[0]) == 1.0


def test_components_and_shares_by_outcome(fit: bml.Fit) -> None:
    table = bml.variance_components(fit, prior=True)
    rows = table.set_index(["grouping", "term", "term2"])["mean"]
    assert rows["residual", "course", ""] == pytest.approx(0.4)
    assert rows["residual", "written", "course"] == pytest.approx(-0.6)
    assert rows["school", "written:Intercept", "course:Intercept"] == pytest.approx(0.5)
    shares = bml.vpc(fit).set_index(["grouping", "outcome"])["mean"]
    for name, sd, sigma in zip(NAMES, SD, SIGMA, strict=True):
        assert shares["school", name] == pytest.approx(sd**2 / (sd**2 + sigma**2))
    icc = bml.icc(fit).set_index("outcome")["mean"]
    assert icc["written"] == pytest.approx(9 / (9 + 64))


def test_varying_slopes_are_evaluated_at_the_outcomes_own_rows(
    fake_fit: Callable[..., bml.Fit],
) -> None:
    model = bml.multivariate(pupils(), "x", outcomes=NAMES, group="school", slopes="x")
    sd = np.array([3.0, 2.0, 0.2, 0.1])
    corr = np.eye(4)
    corr[0, 1] = corr[1, 0] = 0.5
    made = fake_fit(model, values={"sigma": SIGMA, "sd_school": sd, "corr_school": corr})
    shares = bml.vpc(made, at={"x": 2.0}).set_index(["grouping", "outcome"])["mean"]
    written = 9 + 4 * 4 + 2 * 2 * 0.5 * 3 * 2
    assert shares["school", "written"] == pytest.approx(written / (written + 64))
    course = 0.2**2 + 4 * 0.1**2
    assert shares["school", "course"] == pytest.approx(course / (course + 0.16))


def test_predictions_name_the_outcome(fit: bml.Fit) -> None:
    new = pd.DataFrame({"x": [0.0, 2.0], "school": ["s1", "new"]}, index=["a", "b"])
    table = bml.predict(fit, new, groups="population")
    assert table.index.tolist() == ["a", "a", "b", "b"]
    assert table["outcome"].tolist() == NAMES * 2
    np.testing.assert_allclose(table["mean"], [40.0, 7.0, 41.0, 6.8])
    own = bml.predict(fit)
    frame = pupils()
    assert len(own) == int(frame[NAMES].notna().sum().sum())
    effects = fit.posterior["u_school"].mean(("chain", "draw"))
    row = own[own["outcome"] == "course"].iloc[0]
    place = int(own[own["outcome"] == "course"].index[0])
    effect = effects.sel(school=frame["school"][place], school_term="course:Intercept")
    assert row["mean"] == pytest.approx(7.0 - 0.1 * frame["x"][place] + float(effect))
    with pytest.raises(bml.TableError, match="no column 'x'"):
        bml.predict(fit, {"school": ["s1"]}, groups="known")


def test_drawn_outcomes_of_a_row_are_correlated(fake_fit: Callable[..., bml.Fit]) -> None:
    model = bml.multivariate(pupils(), "x", outcomes=NAMES, group="school")
    made = fake_fit(model, draws=4000, values={"sigma": SIGMA, "corr_residual": CORR, "beta": BETA})
    new = pd.DataFrame({"x": [0.0, 1.0]})
    drawn = bml.predict(made, new, groups="population", kind="outcome", draws=True, seed=3)
    assert drawn["outcome"].values.tolist() == NAMES * 2
    found = np.cov(drawn.values.reshape(-1, 4).T)
    pair = np.outer(SIGMA, SIGMA) * CORR
    expected = np.zeros((4, 4))
    expected[:2, :2] = expected[2:, 2:] = pair
    # Correlations of 8,000 draws have a standard error of about 0.011.
    size = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(
        found / np.outer(size, size), expected / np.outer(size, size), atol=0.05
    )


def _means(fit: bml.Fit, frame: pd.DataFrame, row: int) -> np.ndarray:
    """Every draw's mean of both outcomes of a row of the table, shape (draws, 2)."""
    effects = fit.posterior["u_school"].sel(school=frame["school"][row]).values.reshape(-1, 2)
    return BETA @ np.array([1.0, frame["x"][row]]) + effects


def test_a_row_is_left_out_given_the_pupils_other_score(fit: bml.Fit) -> None:
    frame = pupils()
    rows, draws = likelihood_rows(fit), likelihood_draws(fit)
    found = np.empty((len(rows.outcome), draws.number))
    for place, values in row_log_likelihoods(rows, draws):
        found[place] = values
    covariance = np.outer(SIGMA, SIGMA) * CORR
    for number, code in enumerate(rows.positions):
        row, outcome = divmod(int(code), 2)
        other = 1 - outcome
        y = frame.loc[row, NAMES].to_numpy(dtype=float)
        mean = _means(fit, frame, row)
        if np.isnan(y[other]):
            expected = stats.norm.logpdf(y[outcome], mean[:, outcome], SIGMA[outcome])
        else:
            joint = np.array([stats.multivariate_normal.logpdf(y, own, covariance) for own in mean])
            expected = joint - stats.norm.logpdf(y[other], mean[:, other], SIGMA[other])
        np.testing.assert_allclose(found[number], expected, rtol=1e-8)
    assert np.isfinite(bml.loo(fit).elpd)
    assert np.isfinite(bml.logo(fit, "school").elpd)


def test_replications_keep_the_correlation(fake_fit: Callable[..., bml.Fit]) -> None:
    complete = pupils()
    complete[NAMES] = np.random.default_rng(2).normal([40.0, 7.0], [9.0, 0.5], size=(40, 2))
    model = bml.multivariate(complete, "x", outcomes=NAMES)
    made = fake_fit(model, draws=1000, values={"sigma": SIGMA, "corr_residual": CORR, "beta": BETA})
    checked = checked_rows(made, 500)
    blocks = replications(checked, np.random.default_rng(1), "same")
    left = np.concatenate([block.outcome - block.eta for block in blocks])
    pairs = left.reshape(-1, 2)
    assert np.corrcoef(pairs.T)[0, 1] == pytest.approx(-0.6, abs=0.02)
    np.testing.assert_allclose(pairs.std(axis=0), SIGMA, rtol=0.03)


def test_counts_of_two_kinds(fake_fit: Callable[..., bml.Fit]) -> None:
    frame = pupils()
    names = ["absences", "prizes"]
    model = bml.multivariate(frame, "x", outcomes=names, group="school", family="negative_binomial")
    ((parameter, _),) = model.resolved.outcome_parameter_priors.items()
    made = fake_fit(model, draws=100, values={parameter: np.array([2.0, 5.0])})
    rows, draws = likelihood_rows(made), likelihood_draws(made)
    found = np.empty((len(rows.outcome), draws.number))
    for place, values in row_log_likelihoods(rows, draws):
        found[place] = values
    beta = made.posterior["beta"].values.reshape(-1, 2, 2)
    for number, code in enumerate(rows.positions):
        row, outcome = divmod(int(code), 2)
        effects = made.posterior["u_school"].sel(school=frame["school"][row])
        eta = beta[:, outcome] @ np.array([1.0, frame["x"][row]])
        mean = np.exp(eta + effects.values.reshape(-1, 2)[:, outcome])
        size = [2.0, 5.0][outcome]
        expected = stats.nbinom.logpmf(frame[names[outcome]][row], size, size / (size + mean))
        np.testing.assert_allclose(found[number], expected, rtol=1e-8, atol=1e-10)
    assert bml.vpc(made)["outcome"].tolist() == names * 2 or set(bml.vpc(made)["outcome"]) == {
        *names
    }
    drawn = bml.predict(made, kind="outcome", seed=1)
    assert (drawn["mean"] >= 0).all()


@pytest.mark.parametrize("slopes", [(), ("x",)])
def test_explained_variance_by_outcome(
    slopes: tuple[str, ...], fake_fit: Callable[..., bml.Fit], tmp_path: Any
) -> None:
    frame = pupils()
    model = bml.multivariate(frame, "x", outcomes=NAMES, group="school", slopes=slopes)
    terms = model.design.varying[0].labels
    sd = np.array([3.0, 0.2]) if not slopes else np.array([3.0, 0.7, 0.2, 0.05])
    corr = np.full((len(sd), len(sd)), 0.3) + 0.7 * np.eye(len(sd))
    made = fake_fit(
        model,
        draws=3,
        values={"beta": BETA, "sigma": SIGMA, "sd_school": sd, "corr_school": corr},
    )
    assert [label.split(":")[0] for label in terms] == sorted(NAMES * (len(sd) // 2), reverse=True)
    found = bml.r2(made)
    assert found.columns[:2].tolist() == ["outcome", "part"]
    half = len(sd) // 2
    for number, name in enumerate(NAMES):
        x = frame["x"][frame[name].notna()].to_numpy()
        own = slice(number * half, (number + 1) * half)
        sigma = (sd[:, None] * corr * sd)[own, own]
        z = np.column_stack([np.ones(len(x)), x])[:, :half]
        fixed = BETA[number, 1] ** 2 * x.var(ddof=1)
        random = np.mean([row @ sigma @ row for row in z])
        total = fixed + random + SIGMA[number] ** 2
        expected = [fixed / total, (fixed + random) / total]
        assert found[found["outcome"] == name]["mean"].tolist() == pytest.approx(expected)
    assert bool(found.attrs["notes"]) == bool(slopes)
    drawn = bml.r2(made, draws=True)
    assert drawn["part"].values.tolist()[0] == "written marginal"
    pd.testing.assert_frame_equal(bml.r2(bml.load(made.save(tmp_path / "fit.nc"))), found)
    assert "R2" in bml.report(made, tmp_path / "report.html").read_text(encoding="utf-8")


def test_explained_variance_of_two_counts_is_that_of_each(fake_fit: Callable[..., bml.Fit]) -> None:
    frame, names = pupils(), ["absences", "prizes"]
    beta, sd = np.array([[1.0, 0.2], [0.1, -0.1]]), np.array([0.5, 0.3])
    both = bml.multivariate(frame, "x", outcomes=names, group="school", family="poisson")
    found = bml.r2(fake_fit(both, values={"beta": beta, "sd_school": sd}))
    x = frame["x"].to_numpy()
    for number, name in enumerate(names):
        mean = np.exp(beta[number] @ [np.ones(len(x)), x] + sd[number] ** 2 / 2).mean()
        fixed = beta[number, 1] ** 2 * x.var(ddof=1)
        total = fixed + sd[number] ** 2 + np.log1p(1 / mean)
        expected = [fixed / total, (fixed + sd[number] ** 2) / total]
        assert found[found["outcome"] == name]["mean"].tolist() == pytest.approx(expected)


def test_explained_variance_of_positive_outcomes(fake_fit: Callable[..., bml.Fit]) -> None:
    frame = pupils().assign(slow=lambda t: np.exp(t["x"]), fast=lambda t: np.exp(-t["x"]))
    model = bml.multivariate(frame, "x", outcomes=["slow", "fast"], family="gamma")
    shape, beta = np.array([2.0, 7.0]), np.array([[0.0, 1.0], [0.0, -0.5]])
    found = bml.r2(fake_fit(model, values={"shape": shape, "beta": beta}))
    fixed = beta[:, 1] ** 2 * frame["x"].var()
    # The variance of a gamma outcome of mean m is m^2 / shape.
    expected = fixed / (fixed + np.log1p(1 / shape))
    assert found[found["part"] == "marginal"]["mean"].tolist() == pytest.approx(expected.tolist())


def test_comments_of_the_source_speak_of_outcomes(fit: bml.Fit) -> None:
    comments = " ".join(fit.source.replace("#", "").split())
    assert "within a row are correlated, with one correlation for each pair of outcomes" in comments
    assert "Each outcome of a row is expected at eta plus a weighted sum" in comments


REFUSED: list[tuple[Callable[[bml.Fit], object], str]] = [
    (lambda fit: bml.r2(fit, method="bayes"), "R2 of method=.bayes. is about one outcome"),
    (lambda fit: bml.r2(fit, method="rights_sterba"), "each of 'written', 'course'. Use bml.r2"),
    (bml.design_effect, "design_effect is about one outcome"),
    (lambda fit: bml.reliability(fit, "school"), "reliability is about one outcome"),
    (lambda fit: bml.shrinkage(fit, "school"), "shrinkage is about one outcome"),
    (lambda fit: bml.influence(fit, "school"), "influence is about one outcome"),
    (bml.compare_reml, "compare_reml is about one outcome"),
    (bml.variance_table, "variance_table is about one outcome"),
    (lambda fit: bml.slopes(fit, "x"), "every outcome of this model has its own"),
    (lambda fit: bml.contrast(fit, "x", [0, 1]), "every outcome of this model has its own"),
]


@pytest.mark.parametrize(("call", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_what_is_about_one_outcome_is_refused(
    fit: bml.Fit, call: Callable[[bml.Fit], object], words: str
) -> None:
    with pytest.raises(bml.FitError, match=words):
        call(fit)


def test_the_odds_ratio_is_about_one_outcome(fake_fit: Callable[..., bml.Fit]) -> None:
    frame = pupils().assign(passed=lambda t: (t["x"] > 1).astype(int))
    frame["late"] = (np.arange(40) % 3 == 0).astype(int)
    model = bml.multivariate(
        frame, "1", outcomes=["passed", "late"], group="school", family="binomial"
    )
    with pytest.raises(bml.FitError, match="median odds ratio is about one outcome"):
        bml.median_odds_ratio(fake_fit(model))


def test_the_report_and_checks_know_the_outcomes(fit: bml.Fit, tmp_path: Any) -> None:
    text = bml.report(fit, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "mvbind(written, course)" in text
    assert "beta[course:x]" in text or "course:x" in text
    assert len(bml.posterior_checks(fit))
    assert bml.ranks(fit, "school", term="course:Intercept")["unit"].nunique() == 5


@pytest.mark.parametrize("member", ["role", None])
def test_pairs(member: str | None, fake_fit: Callable[..., bml.Fit]) -> None:
    rng = np.random.default_rng(8)
    frame = pd.DataFrame(
        {
            "couple": np.repeat(np.arange(15), 2),
            "role": ["wife", "husband"] * 15,
            "care": rng.normal(size=30),
            "content": rng.normal(5.0, 1.0, size=30),
            "clinic": np.repeat([1, 2, 3, 4, 5], 6),
        }
    )
    model = bml.dyadic(
        frame, "content ~ 1", dyad="couple", member=member, actor_partner="care", group="clinic"
    )
    corr: Any = -0.7 if member is None else np.array([[1.0, -0.7], [-0.7, 1.0]])
    made = fake_fit(model, draws=100, values={"corr_residual": corr})
    table = bml.variance_components(made)
    (row,) = table[(table["grouping"] == "residual") & (table["parameter"] == "corr")].to_dict(
        "records"
    )
    assert row["mean"] == pytest.approx(-0.7)
    assert np.isfinite(bml.loo(made).elpd)
    new = bml.with_partners(frame.iloc[:2], "care", dyad="couple")
    predicted = bml.predict(made, new, groups="population")
    assert len(predicted) == 2
    if member is not None:
        assert predicted["member"].tolist() == ["wife", "husband"]
        assert set(bml.vpc(made)["member"]) == {"wife", "husband"}
        assert bml.r2(made)["member"].tolist() == ["husband"] * 2 + ["wife"] * 2
        assert "# Each member of a couple is expected" in made.source
