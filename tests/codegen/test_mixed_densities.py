"""Outcomes of different families have the log-density that SciPy gives, holes included."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from tests.codegen.scipy_log_joint import half_student_t, lkj_cholesky
from tests.codegen.test_log_density import TOLERANCE, Density, simulated_table
from tests.family_rows import FAMILY_ROWS, FamilyRow

pytestmark = [
    pytest.mark.usefixtures("without_compiler"),
    pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning"),
]

NAMES = ["score", "passed", "events"]
FAMILIES = {"score": "gaussian", "passed": "binomial", "events": "poisson"}
FORMS = ["centred", "partly centred", "non-centred"]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """A table in which every outcome is missing for some rows, and all of them for one."""
    frame = simulated_table()
    rng = np.random.default_rng(8)
    for name in (*NAMES, "cost", "part", "wait", "grade"):
        frame[name] = frame[name].astype(float).mask(rng.random(len(frame)) < 0.2)
    frame.loc[5, NAMES] = np.nan
    return frame


def _location(table: pd.DataFrame, name: str) -> float:
    mean = float(table[name].mean())
    if name == "score":
        return mean
    return float(np.log(mean / (1 - mean)) if name == "passed" else np.log(mean))


def _row_density(name: str, y: float, eta: float, sigma: float) -> float:
    if name == "score":
        return float(stats.norm.logpdf(y, eta, sigma))
    if name == "passed":
        return float(stats.bernoulli.logpmf(y, 1 / (1 + np.exp(-eta))))
    return float(stats.poisson.logpmf(y, np.exp(eta)))


def _effects(
    sd: np.ndarray, corr: np.ndarray, effects: np.ndarray, scales: Any, form: str
) -> float:
    covariance = np.outer(sd, sd) * corr
    total = lkj_cholesky(np.linalg.cholesky(corr), 2.0)
    total += sum(half_student_t(one, 4, scale) for one, scale in zip(sd, scales, strict=True))
    for effect in effects:
        total += float(stats.multivariate_normal.logpdf(effect, np.zeros(len(sd)), covariance))
        if form != "centred":
            total += 0.5 * float(np.linalg.slogdet(covariance)[1])
        if form == "partly centred":
            total -= float(np.log(sd[0]))
    return total


@pytest.mark.parametrize("form", FORMS)
def test_three_families_and_two_groupings(table: pd.DataFrame, form: str) -> None:
    model = bml.multivariate(
        table,
        "x",
        outcomes=NAMES,
        family=FAMILIES,
        group=["school", "area"],
        slopes={"school": ["x"]},
        parametrisation=form,
    )
    schools, areas = list(model.coords["school"]), list(model.coords["area"])
    density = Density(model)
    rng = np.random.default_rng(3)
    spread = {"score": float(table["score"].std()), "passed": 1.0, "events": 1.0}
    for _ in range(2):
        found, values = density.at(density.point(rng))
        sigma = float(values["sigma"][0])
        expected = half_student_t(sigma, 4, spread["score"])
        of_school = []
        for place, name in enumerate(NAMES):
            own = table[table[name].notna()]
            beta, size = values["beta"][place], spread[name]
            at_mean = beta[0] + beta[1] * own["x"].mean()
            expected += stats.norm.logpdf(at_mean, _location(table, name), 2.5 * size)
            expected += stats.norm.logpdf(beta[1], 0, 2.5 * size / own["x"].std())
            of_school += [size, size / own["x"].std()]
            for _, row in own.iterrows():
                school = values["u_school"][schools.index(row["school"])].reshape(3, 2)[place]
                eta = beta @ [1, row["x"]] + school @ [1, row["x"]]
                eta += values["u_area"][areas.index(row["area"])][place]
                expected += _row_density(name, row[name], eta, sigma)
        for name, scales in (("school", of_school), ("area", list(spread.values()))):
            expected += _effects(
                values[f"sd_{name}"], values[f"corr_{name}"], values[f"u_{name}"], scales, form
            )
        assert found == pytest.approx(float(expected), rel=TOLERANCE)


@pytest.mark.parametrize(
    "row",
    [row for row in FAMILY_ROWS if not row.options],
    ids=lambda row: row.name,
)
def test_every_family_beside_a_binary_outcome(table: pd.DataFrame, row: FamilyRow) -> None:
    model = bml.multivariate(
        table,
        "x",
        outcomes=["passed", row.column],
        family={"passed": "binomial", row.column: row.family},
        link={"passed": "probit", row.column: row.link},
        group="school",
        parametrisation="non-centred",
    )
    density = Density(model)
    found, values = density.at(density.point(np.random.default_rng(3)))
    own = table[table[row.column].notna()]
    spread = {"passed": 1.0, row.column: 1.0}
    if row.scaled:
        latent = np.log(own[row.column]) if row.link == "log" else own[row.column]
        spread[row.column] = float(latent.std())
    locations = {
        "passed": float(stats.norm.ppf(table["passed"].mean())),
        row.column: row.location(own),
    }
    parameters = {name: float(values[name][0]) for name in row.parameters}
    expected = sum(
        float(prior(spread[row.column]).logpdf(parameters[name]))
        for name, prior in row.priors.items()
    )
    expected += _effects(
        values["sd_school"],
        values["corr_school"],
        values["u_school"],
        spread.values(),
        "non-centred",
    )
    schools = list(model.coords["school"])
    for place, (name, size) in enumerate(spread.items()):
        rows = table[table[name].notna()]
        beta = values["beta"][place]
        at_mean = beta[0] + beta[1] * rows["x"].mean()
        expected += stats.norm.logpdf(at_mean, locations[name], 2.5 * size)
        expected += stats.norm.logpdf(beta[1], 0, 2.5 * size / rows["x"].std())
        for _, one in rows.iterrows():
            eta = beta @ [1, one["x"]] + values["u_school"][schools.index(one["school"])][place]
            if name == "passed":
                expected += stats.bernoulli.logpmf(one[name], stats.norm.cdf(eta))
            else:
                expected += row.log_probability(one[name], eta, parameters, 1)
    assert found == pytest.approx(float(expected), rel=TOLERANCE)


@pytest.mark.parametrize(
    "row",
    [row for row in FAMILY_ROWS if row.options],
    ids=lambda row: row.name,
)
def test_trials_and_exposure_belong_to_their_outcomes(table: pd.DataFrame, row: FamilyRow) -> None:
    rng = np.random.default_rng(2)
    frame = table.assign(
        correct=table["correct"].astype(float).mask(rng.random(len(table)) < 0.2),
        items=table["items"].astype(float).mask(rng.random(len(table)) < 0.1),
        days=table["days"].mask(rng.random(len(table)) < 0.1),
    )
    model = bml.multivariate(
        frame,
        "x",
        outcomes=["score", "correct", "events"],
        family={"score": "gaussian", "correct": row.family, "events": "poisson"},
        link={"correct": row.link},
        group="school",
        trials="items",
        exposure="days",
        parametrisation="non-centred",
    )
    density = Density(model)
    found, values = density.at(density.point(np.random.default_rng(3)))
    # An outcome is absent where its trials or its exposure are.
    rows = {
        "score": frame[frame["score"].notna()],
        "correct": frame.dropna(subset=["correct", "items"]),
        "events": frame.dropna(subset=["events", "days"]),
    }
    rate = rows["events"]["events"].sum() / rows["events"]["days"].sum()
    spread = {"score": float(frame["score"].std()), "correct": 1.0, "events": 1.0}
    locations = {
        "score": float(frame["score"].mean()),
        "correct": row.location(rows["correct"]),
        "events": float(np.log(rate)),
    }
    parameters = {name: float(values[name][0]) for name in row.parameters}
    sigma = float(values["sigma"][0])
    expected = half_student_t(sigma, 4, spread["score"])
    expected += sum(float(p(1.0).logpdf(parameters[name])) for name, p in row.priors.items())
    sd, corr, effects = (values[f"{kind}_school"] for kind in ("sd", "corr", "u"))
    expected += _effects(sd, corr, effects, spread.values(), "non-centred")
    schools = list(model.coords["school"])
    for place, (name, size) in enumerate(spread.items()):
        own, beta = rows[name], values["beta"][place]
        at_mean = beta[0] + beta[1] * own["x"].mean()
        expected += stats.norm.logpdf(at_mean, locations[name], 2.5 * size)
        expected += stats.norm.logpdf(beta[1], 0, 2.5 * size / own["x"].std())
        for _, one in own.iterrows():
            eta = beta @ [1, one["x"]] + effects[schools.index(one["school"])][place]
            if name == "score":
                expected += stats.norm.logpdf(one[name], eta, sigma)
            elif name == "events":
                expected += stats.poisson.logpmf(one[name], one["days"] * np.exp(eta))
            else:
                expected += row.log_probability(one[name], eta, parameters, one["items"])
    assert found == pytest.approx(float(expected), rel=TOLERANCE)


def test_uncorrelated_outcomes_are_models_of_their_own(table: pd.DataFrame) -> None:
    """Without correlations the log-density is the sum of those of one model for each outcome."""
    together = bml.multivariate(
        table,
        "x + sex",
        outcomes=NAMES,
        family=FAMILIES,
        group="school",
        correlated=False,
        parametrisation="non-centred",
    )
    density = Density(together)
    rng = np.random.default_rng(3)
    point = density.point(rng)
    found, values = density.at(point)
    free = dict(zip([rv.name for rv in density.pymc.free_RVs], point, strict=True))
    total = 0.0
    for place, name in enumerate(NAMES):
        alone = bml.two_level(
            table.dropna(subset=[name]),
            f"{name} ~ x + sex",
            group="school",
            family=FAMILIES[name],
            parametrisation="non-centred",
        )
        assert alone.coords["school"] == together.coords["school"]
        own = Density(alone)
        parts = {
            "intercept_at_mean": free["intercept_at_mean"][place],
            "slopes": free["slopes"][place],
            "sd_school": free["sd_school"][[place]],
            "z_school": free["z_school"][:, [place]],
            "sigma": free["sigma"][0],
        }
        mine, of_mine = own.at([np.asarray(parts[rv.name]) for rv in own.pymc.free_RVs])
        np.testing.assert_allclose(of_mine["beta"], values["beta"][place], rtol=1e-12)
        total += mine
    assert found == pytest.approx(total, rel=TOLERANCE)


def test_trials_of_several_outcomes_of_one_family(table: pd.DataFrame) -> None:
    """Without correlations the log-density is the sum of those of one model for each outcome."""
    frame = table.assign(right=table["items"] - table["correct"])
    names, common = ["correct", "right"], {"family": "binomial", "trials": "items"}
    form = {"group": "school", "parametrisation": "non-centred"}
    together = bml.multivariate(frame, "x", outcomes=names, correlated=False, **common, **form)
    density = Density(together)
    point = density.point(np.random.default_rng(3))
    found, _ = density.at(point)
    free = dict(zip([rv.name for rv in density.pymc.free_RVs], point, strict=True))
    total = 0.0
    for place, name in enumerate(names):
        own = Density(bml.two_level(frame, f"{name} ~ x", **common, **form))
        parts = {
            "intercept_at_mean": free["intercept_at_mean"][place],
            "slopes": free["slopes"][place],
            "sd_school": free["sd_school"][[place]],
            "z_school": free["z_school"][:, [place]],
        }
        total += own.at([np.asarray(parts[rv.name]) for rv in own.pymc.free_RVs])[0]
    assert found == pytest.approx(total, rel=TOLERANCE)


def test_equal_families_by_outcome_are_one_family(table: pd.DataFrame) -> None:
    names = ["score", "cost"]
    one = bml.multivariate(table, "x", outcomes=names, group="school", family="student")
    by_outcome = dict.fromkeys(names, "student")
    same = bml.multivariate(table, "x", outcomes=names, group="school", family=by_outcome)
    assert same.spec == one.spec
    # Two links of one family are as different as two families.
    binary = table.assign(other=table["passed"][::-1].to_numpy())
    links = {"passed": "logit", "other": "probit"}
    two = bml.multivariate(
        binary, "x", outcomes=list(links), group="school", family="binomial", link=links
    )
    assert dict(two.spec.links) == links
    assert 'pm.Bernoulli("passed", logit_p=eta_passed' in two.source
    assert "probit_log_odds(eta_other)" in two.source


def test_the_source_reads_like_a_models_of_each_outcome(table: pd.DataFrame) -> None:
    source = bml.multivariate(table, "x", outcomes=NAMES, family=FAMILIES, group="school").source
    for line in (
        'sigma = pm.HalfStudentT("sigma", 4, d["sigma_scale"], dims="sigma_outcome")',
        'eta_score = eta[d["rows_score"]]',
        'pm.Normal("score", eta_score, sigma[0], observed=d["y_score"], dims="obs_score")',
        'pm.Bernoulli("passed", logit_p=eta_passed, observed=d["y_passed"], dims="obs_passed")',
        'pm.Poisson("events", pt.exp(eta_events), observed=d["y_events"], dims="obs_events")',
    ):
        assert line in source


def test_outcomes_with_names_that_the_source_bears_already(table: pd.DataFrame) -> None:
    odd = table.rename(columns={"score": "sigma", "passed": "y_school", "school": "eta_sigma"})
    model = bml.multivariate(
        odd,
        "x",
        outcomes=["sigma", "y_school"],
        family={"sigma": "gaussian", "y_school": "binomial"},
        group="eta_sigma",
    )
    assert np.isfinite(Density(model).at(Density(model).point(np.random.default_rng(1)))[0])


def test_a_student_outcome_among_several(table: pd.DataFrame) -> None:
    """A parameter that is an argument of the same name gets its number, the argument does not."""
    two = bml.multivariate(table, "x", outcomes=["score", "cost"], family="student")
    assert "nu=nu[own], mu=eta, sigma=sigma[own]" in two.source
