"""Ordered outcomes among several have the log-density that SciPy gives, holes included."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from tests.codegen.scipy_log_joint import OUTCOMES, half_student_t
from tests.codegen.test_log_density import TOLERANCE, Density, simulated_table
from tests.codegen.test_mixed_densities import _effects

pytestmark = [
    pytest.mark.usefixtures("without_compiler"),
    pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning"),
]

FAMILIES = [name for name in OUTCOMES if name.startswith(("ordinal", "adjacent", "continuation"))]
FORMS = ["centred", "partly centred", "non-centred"]
LABELS = {1: "poor", 2: "fair", 3: "good", 4: "fine"}
NAMES = ["score", "mark", "passed"]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """A table in which every outcome is missing for some rows; `mark` is `grade` in words."""
    frame = simulated_table()
    rng = np.random.default_rng(8)
    for name in ("score", "passed", "grade"):
        frame[name] = frame[name].astype(float).mask(rng.random(len(frame)) < 0.2)
    frame["mark"] = frame["grade"].map(LABELS)
    frame["rating"] = rng.permutation(np.arange(len(frame)) % 3).astype(float)
    frame["rating"] = frame["rating"].mask(rng.random(len(frame)) < 0.2)
    return frame


def at_mean(values: dict[str, np.ndarray], name: str, place: int, mean: float) -> np.ndarray:
    """Cutpoints where x is at its mean, from those that the posterior reports."""
    return values[f"cutpoints_{name}"] - values["beta"][place, 1] * mean


@pytest.mark.parametrize(
    ("family", "form"), [(name, FORMS[i % 3]) for i, name in enumerate(FAMILIES)]
)
def test_beside_a_score_and_a_pass(table: pd.DataFrame, family: str, form: str) -> None:
    outcome = OUTCOMES[family]
    model = bml.multivariate(
        table,
        "x",
        outcomes=NAMES,
        family={"score": "gaussian", "mark": outcome.options["family"], "passed": "binomial"},
        link={"mark": outcome.options.get("link", "")},
        categories={"mark": list(LABELS.values())},
        group=["school", "area"],
        slopes={"school": ["x"]},
        parametrisation=form,
    )
    schools, areas = list(model.coords["school"]), list(model.coords["area"])
    spread = {"score": float(table["score"].std()), "mark": 1.0, "passed": 1.0}
    share = float(table["passed"].mean())
    location = {"score": float(table["score"].mean()), "passed": np.log(share / (1 - share))}
    density = Density(model)
    rng = np.random.default_rng(3)
    for _ in range(2):
        found, values = density.at(density.point(rng))
        sigma, of_school = float(values["sigma"][0]), []
        expected = half_student_t(sigma, 4, spread["score"])
        # An ordered outcome has cutpoints in place of an intercept.
        assert values["beta"][1, 0] == 0
        for place, name in enumerate(NAMES):
            own, size, beta = table[table[name].notna()], spread[name], values["beta"][place]
            mean, deviation = own["x"].mean(), own["x"].std()
            if name == "mark":
                cutpoints = at_mean(values, "mark", place, mean)
                expected += stats.t.logpdf(cutpoints, 3, scale=2.5).sum()
            else:
                centre = beta[0] + beta[1] * mean
                expected += stats.norm.logpdf(centre, location[name], 2.5 * size)
            expected += stats.norm.logpdf(beta[1], 0, 2.5 * size / deviation)
            of_school += [size, size / deviation]
            for row in own.itertuples():
                school = values["u_school"][schools.index(row.school)].reshape(3, 2)[place]
                eta = beta @ [1, row.x] + school @ [1, row.x]
                eta += values["u_area"][areas.index(row.area)][place]
                if name == "score":
                    expected += stats.norm.logpdf(row.score, eta, sigma)
                elif name == "passed":
                    expected += stats.bernoulli.logpmf(row.passed, 1 / (1 + np.exp(-eta)))
                else:
                    cuts = {"cutpoints": values["cutpoints_mark"]}
                    expected += outcome.density(row._replace(grade=int(row.grade)), eta, cuts)
        for name, scales in (("school", of_school), ("area", list(spread.values()))):
            sd, corr, u = (values[f"{kind}_{name}"] for kind in ("sd", "corr", "u"))
            expected += _effects(sd, corr, u, scales, form)
        assert found == pytest.approx(float(expected), rel=TOLERANCE)


@pytest.mark.parametrize("family", ["ordinal", "adjacent_category", "continuation_ratio"])
def test_uncorrelated_outcomes_are_models_of_their_own(table: pd.DataFrame, family: str) -> None:
    """Without correlations the log-density is the sum of those of one model for each outcome."""
    names, common = ["grade", "rating"], {"group": "school", "parametrisation": "non-centred"}
    together = bml.multivariate(
        table, "x + sex", outcomes=names, family=family, correlated=False, **common
    )
    density = Density(together)
    rng = np.random.default_rng(3)
    point = density.point(rng)
    found, values = density.at(point)
    free = dict(zip([rv.name for rv in density.pymc.free_RVs], point, strict=True))
    total = 0.0
    for place, name in enumerate(names):
        rows = table.dropna(subset=[name])
        alone = bml.two_level(rows, f"{name} ~ x + sex", family=family, **common)
        assert alone.coords["school"] == together.coords["school"]
        own = Density(alone)
        parts = {
            "cutpoints_at_mean": free[f"cutpoints_{name}_at_mean"],
            "slopes": free["slopes"][place],
            "sd_school": free["sd_school"][[place]],
            "z_school": free["z_school"][:, [place]],
        }
        mine, of_mine = own.at([np.asarray(parts[rv.name]) for rv in own.pymc.free_RVs])
        np.testing.assert_allclose(of_mine["beta"], values["beta"][place, 1:], rtol=1e-12)
        np.testing.assert_allclose(of_mine["cutpoints"], values[f"cutpoints_{name}"], rtol=1e-12)
        total += mine
    assert found == pytest.approx(total, rel=TOLERANCE)


def test_cutpoints_alone(table: pd.DataFrame) -> None:
    """Without predictors there is no coefficient to estimate, and cutpoints need no shift."""
    model = bml.model(table, "mvbind(grade, rating) ~ 1 + (1 | school)", family="ordinal")
    density = Density(model)
    found, values = density.at(density.point(np.random.default_rng(2)))
    assert np.isfinite(found)
    assert not values["beta"].any()
    np.testing.assert_array_equal(values["cutpoints_grade"], values["cutpoints_grade_at_mean"])


def test_the_source_names_cutpoints_by_outcome(table: pd.DataFrame) -> None:
    model = bml.multivariate(
        table,
        "x",
        outcomes=["score", "grade", "rating"],
        family={"score": "gaussian", "grade": "ordinal", "rating": "adjacent_category"},
        group="school",
        parametrisation="centred",
    )
    for line in (
        'initval=data["cutpoints_start_grade"]',
        "intercept = pt.stack([at_mean[0], 0.0, 0.0])",
        "middle = pt.stack([cutpoints_grade[1], cutpoints_rating[0]])",
        'd["x_mean"][1] @ slopes[1], dims="cutpoint_grade"',
    ):
        assert line in model.source
    assert model.coords["cutpoint_grade"] == ["1|2", "2|3", "3|4"]
    assert model.coords["cutpoint_rating"] == ["0|1", "1|2"]
    # Cumulative cutpoints ascend, those of adjacent categories may cross.
    assert model.source.count("transforms.ordered") == 1


NAMES_IN_USE: list[dict[str, str]] = [
    {"grade": "cutpoints", "school": "cutpoints_cutpoints_"},
    {"grade": "at_mean", "school": "cutpoint_at_mean", "score": "level"},
    {"grade": "a", "score": "cutpoints_a", "school": "cutpoints_a_at_mean"},
    {"grade": "g/h", "score": "g h", "school": "cutpoints_start_g_h"},
]


@pytest.mark.parametrize("names", NAMES_IN_USE, ids=str)
def test_names_that_the_source_bears_already(table: pd.DataFrame, names: dict[str, str]) -> None:
    odd: Any = table.rename(columns=names)
    grade, score = names["grade"], names.get("score", "score")
    model = bml.multivariate(
        odd,
        "x",
        outcomes=[score, grade],
        family={score: "gaussian", grade: "ordinal"},
        group=names["school"],
        priors={f"cutpoints[{grade}]": "Normal(0, 2)"},
    )
    density = Density(model)
    assert np.isfinite(density.at(density.point(np.random.default_rng(1)))[0])
    assert f"cutpoints[{grade}]" in model.priors["parameter"].tolist()
