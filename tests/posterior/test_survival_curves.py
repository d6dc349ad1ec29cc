"""Survival curves, medians and hazard ratios of fits with known draws, and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from bayesml.errors import FitError
from bayesml.records.fits import Fit
from tests.family_rows import DURATIONS, ROWS

MakeFit = Callable[..., Fit]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    return pd.DataFrame(
        {
            "time": rng.weibull(1.2, 60) * 4,
            "status": rng.integers(0, 2, 60),
            "x": rng.normal(size=60),
            "ward": np.repeat(list("abcdefghijkl"), 5),
            "y": rng.normal(size=60),
        }
    )


def made(table: pd.DataFrame, fake_fit: MakeFit, family: str, **values: Any) -> Fit:
    model = bml.two_level(table, "surv(time, status) ~ x", group="ward", family=family)
    known = {"beta": [0.4, 0.3], "sd_ward": 0.6, **ROWS[f"{family} log"].parameters, **values}
    return fake_fit(model, draws=3, values=known)


@pytest.mark.parametrize("family", DURATIONS)
def test_curves_of_each_strategy(table: pd.DataFrame, fake_fit: MakeFit, family: str) -> None:
    row = ROWS[f"{family} log"]
    u = np.linspace(-1, 1, 12)[:, None]
    fit = made(table, fake_fit, family, u_ward=u)
    new = {"x": [0.0, 2.0], "ward": ["a", "l"]}
    known = bml.survival(fit, new, [0.5, 3.0], "known")
    for effect, x, part in ((-1, 0.0, known[:2]), (1, 2.0, known[2:])):
        expected = row.distribution(np.exp(0.4 + 0.3 * x + effect), row.parameters, 1)
        np.testing.assert_allclose(part["mean"], expected.sf([0.5, 3.0]), rtol=1e-7)
    assert known["row"].tolist() == [0, 0, 1, 1]
    middle = bml.survival(fit, new, [3.0], "population")
    expected = row.distribution(np.exp(0.4), row.parameters, 1)
    assert middle["mean"][0] == pytest.approx(float(expected.sf(3.0)))
    marginal = bml.survival(fit, {"x": [0.0]}, [3.0], "marginal")["mean"][0]
    effects = np.random.default_rng(1).normal(0.4, 0.6, 400_000)
    brute = row.distribution(np.exp(effects), row.parameters, 1).sf(3.0).mean()
    assert marginal == pytest.approx(brute, abs=0.002)
    at = bml.survival(fit, times=[3.0], groups="marginal", at={"x": 0.0})
    assert at["mean"][0] == pytest.approx(marginal)
    assert at.attrs["at"] == {"x": 0.0}
    # Draws of one new unit scatter; their average is the marginal curve.
    drawn = bml.survival(fit, {"x": [0.0], "ward": ["?"]}, [3.0], "new", draws=True, seed=1)
    assert drawn.dims == ("chain", "draw", "row", "time")
    assert drawn.std() > 0


def test_the_median_is_where_the_curve_crosses_a_half(
    table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    fit = made(table, fake_fit, "weibull")
    for groups in ("population", "marginal"):
        median = bml.median_survival(fit, {"x": [1.0]}, groups)["mean"][0]
        curve = bml.survival(fit, {"x": [1.0]}, [float(median)], groups)
        assert curve["mean"][0] == pytest.approx(0.5, abs=1e-6)


def test_default_times_reach_the_longest_duration(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    fit = made(table, fake_fit, "weibull")
    found = bml.survival(fit, groups="population")
    assert found["time"].iloc[0] == 0
    assert found["mean"].iloc[0] == 1
    assert found["time"].iloc[-1] == pytest.approx(table["time"].max())
    assert (np.diff(found["mean"]) < 0).all()


def test_hazard_ratios(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    fit = made(table, fake_fit, "weibull", shape=1.5)
    found = bml.hazard_ratio(fit)
    assert found["coef"].tolist() == ["x"]
    assert found["mean"][0] == pytest.approx(np.exp(-1.5 * 0.3))
    # The ratio of SciPy's hazards of two rows is the same at every time.
    one, more = (
        ROWS["weibull log"].distribution(np.exp(0.3 * x), {"shape": 1.5}, 1) for x in (0, 1)
    )
    for time in (0.2, 2.0):
        ratio = more.pdf(time) / more.sf(time) / (one.pdf(time) / one.sf(time))
        assert ratio == pytest.approx(found["mean"][0])
    rng = np.random.default_rng(3)
    pairs = np.abs(np.diff(rng.normal(0, 1.5 * 0.6, size=(1_000_000, 2))))
    between = bml.median_hazard_ratio(fit)["mean"][0]
    assert between == pytest.approx(float(np.exp(np.median(pairs))), rel=0.005)
    plain = made(table, fake_fit, "exponential")
    assert bml.hazard_ratio(plain)["mean"][0] == pytest.approx(np.exp(-0.3))


def test_pieces_of_constant_hazard(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    long = bml.person_period(table, "time", "status", cuts=[2, 4])
    model = bml.two_level(
        long, "status ~ 0 + period + x", group="ward", family="poisson", exposure="exposure"
    )
    rates = np.log([0.3, 0.2, 0.1])
    fit = fake_fit(model, draws=2, values={"beta": [*rates, 0.5], "sd_ward": 0.7})
    ask = bml.person_period({"time": [5.0], "x": [1.0]}, "time", cuts=[2, 4])
    ask["period"] = ask["period"].astype(str)
    found = bml.survival(fit, ask, groups="population")
    hazard = np.exp(0.5) * np.cumsum([2 * 0.3, 2 * 0.2, 1 * 0.1])
    assert found["time"].tolist() == [2, 4, 5]
    np.testing.assert_allclose(found["mean"], np.exp(-hazard))
    u = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000) * 0.7
    marginal = bml.survival(fit, ask, groups="marginal")["mean"]
    brute = np.exp(-np.exp(u)[:, None] * hazard).mean(axis=0)
    np.testing.assert_allclose(marginal, brute, rtol=1e-5)
    assert bml.hazard_ratio(fit).set_index("coef")["mean"]["x"] == pytest.approx(np.exp(0.5))


@pytest.mark.parametrize("link", ["logit", "cloglog"])
def test_discrete_time(table: pd.DataFrame, fake_fit: MakeFit, link: str) -> None:
    years = table.assign(year=np.ceil(table["time"]).astype(int))
    long = bml.person_period(years, "year", "status")
    model = bml.two_level(long, "status ~ x", group="ward", family="binomial", link=link)
    fit = fake_fit(model, draws=2, values={"beta": [-1.0, 0.5]})
    ask = bml.person_period({"year": [3], "x": [1.0]}, "year")
    found = bml.survival(fit, ask, groups="population")
    share = model.spec.link_record.inverse(np.array(-0.5))
    np.testing.assert_allclose(found["mean"], (1 - share) ** np.arange(1, 4))
    if link == "cloglog":
        assert bml.hazard_ratio(fit)["mean"][0] == pytest.approx(np.exp(0.5))


def test_what_is_refused(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    weibull = made(table, fake_fit, "weibull")
    gaussian = fake_fit(bml.two_level(table, "y ~ x", group="ward"), draws=2)
    loglogistic = made(table, fake_fit, "loglogistic")
    long = bml.person_period(table, "time", "status", cuts=[2])
    poisson = fake_fit(
        bml.two_level(long, "status ~ x", group="ward", family="poisson", exposure="exposure"),
        draws=2,
    )
    new = {"x": [1.0]}
    cases: list[tuple[Callable[[], Any], str]] = [
        (lambda: bml.survival(gaussian, new, groups="population"), "needs a family of durations"),
        (lambda: bml.median_survival(poisson, new, "population"), "gives the curve"),
        (lambda: bml.survival(poisson, groups="population"), "needs rows of periods"),
        (lambda: bml.survival(poisson, new, groups="population"), "no column 'person'"),
        (
            lambda: bml.survival(poisson, long, [1.0], groups="population"),
            "at the ends of periods only",
        ),
        (lambda: bml.survival(weibull, new), "groups is not given"),
        (lambda: bml.survival(weibull, groups="known"), "belongs to no unit"),
        (lambda: bml.survival(weibull, new, [-1.0], "population"), "numbers from 0 up"),
        (lambda: bml.survival(weibull, new, ["soon"], "population"), "numbers from 0 up"),  # type: ignore[list-item]
        (
            lambda: bml.survival(weibull, new, groups="population", at={"x": 1}),
            "Both new_data and at",
        ),
        (lambda: bml.hazard_ratio(gaussian), "needs durations with proportional hazards"),
        (lambda: bml.hazard_ratio(loglogistic), "is the ratio of median durations"),
        (lambda: bml.median_hazard_ratio(loglogistic), "bml.median_rate_ratio(fit)"),
        (lambda: bml.posterior_checks(weibull), "replicated durations are whole ones"),
        (lambda: bml.residuals(weibull), "replicated durations are whole ones"),
    ]
    for call, words in cases:
        with pytest.raises(FitError) as caught:
            call()
        assert words in str(caught.value)
    only = bml.two_level(table, "surv(time, status) ~ 1", group="ward", family="weibull")
    with pytest.raises(FitError, match="no coefficient but the intercept"):
        bml.hazard_ratio(fake_fit(only, draws=2))


def test_shares_of_an_infinite_variance_are_refused(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    with pytest.raises(FitError, match="infinite in 100% of the draws"):
        bml.vpc(made(table, fake_fit, "loglogistic", shape=1.9))
    assert 0 < bml.vpc(made(table, fake_fit, "loglogistic", shape=5.0))["mean"].iloc[0] < 1


def test_vpc_of_durations_is_that_of_simulated_ones(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    fit = made(table, fake_fit, "weibull", shape=1.5)
    found = bml.vpc(fit, at={"x": 0.0})["mean"].iloc[0]
    rng = np.random.default_rng(2)
    mean = np.exp(0.4 + 0.6 * rng.normal(size=2_000_000))
    scale = mean / stats.weibull_min(1.5).mean()
    total = scale * rng.weibull(1.5, size=len(mean))
    assert found == pytest.approx(mean.var() / total.var(), rel=0.02)


def test_explained_variance_of_durations(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    u = np.linspace(-1, 1, 12)[:, None]
    fit = made(table, fake_fit, "exponential", u_ward=u)
    mean = np.exp(0.4 + 0.3 * table["x"] + np.repeat(u[:, 0], 5))
    # The variance of an exponential duration is the square of its mean.
    expected = mean.var() / (mean.var() + (mean**2).mean())
    assert bml.r2(fit, "bayes")["mean"][0] == pytest.approx(expected)
    with pytest.raises(FitError, match="infinite in 100% of the draws"):
        bml.r2(made(table, fake_fit, "loglogistic", shape=1.5))


@pytest.mark.parametrize("family", DURATIONS)
def test_a_report_says_what_is_known_of_the_durations(
    table: pd.DataFrame, fake_fit: MakeFit, family: str, tmp_path: Any
) -> None:
    model = bml.two_level(table, "surv(time, status) ~ x", group="ward", family=family)
    page = bml.report(fake_fit(model, draws=100), tmp_path / "report.html").read_text("utf-8")
    censored = int((table["status"] == 0).sum())
    assert f"of 60 durations {censored} right-censored" in page
    assert "replicated durations are whole ones" in page


def test_an_analysis_of_variance_refuses_censored_outcomes(table: pd.DataFrame) -> None:
    model = bml.two_level(table, "surv(time, status) ~ x", group="ward", family="weibull")
    with pytest.raises(FitError, match="needs outcomes that were observed, and of 60 durations"):
        bml.variance_table(model)


def test_calibration_refuses_censored_outcomes(table: pd.DataFrame) -> None:
    model = bml.two_level(table, "surv(time, status) ~ x", group="ward", family="weibull")
    with pytest.raises(FitError, match="simulated durations are whole ones"):
        bml.calibration(model, tables=2)


def test_saved_rows_keep_what_is_known(
    table: pd.DataFrame, fake_fit: MakeFit, tmp_path: Any
) -> None:
    fit = fake_fit(
        bml.two_level(
            table.assign(late=table["time"] / 3),
            "surv(late, time, status) ~ x",
            group="ward",
            family="weibull",
        ),
        draws=120,
        values={"shape": 1.5},
    )
    fit.save(tmp_path / "fit.nc")
    loaded = bml.load(tmp_path / "fit.nc")
    assert loaded.facts.censored == fit.facts.censored
    assert bml.loo(loaded).elpd == pytest.approx(bml.loo(fit).elpd)
    assert "entered late" in fit.facts.censored
