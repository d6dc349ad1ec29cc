"""R2 by every method: against simulated outcomes, and against the stored draws in NumPy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import norm

import bayesml as bml
from bayesml.errors import FitError
from bayesml.records.fits import Fit

MakeFit = Callable[..., Fit]
METHODS = ("nakagawa", "rights_sterba", "gelman_pardoe", "snijders_bosker", "bayes")

# Known components of a three-level model with slopes at both levels.
CHILD = np.array([[0.5, 0.1], [0.1, 0.3]])
SCHOOL = np.array([[0.4, -0.15], [-0.15, 0.2]])
SIGMA = 0.8
BETA = np.array([1.0, 0.7, -0.5])


def parameters(name: str, covariance: np.ndarray) -> dict[str, Any]:
    sd = np.sqrt(np.diag(covariance))
    return {f"sd_{name}": sd, f"corr_{name}": covariance / np.outer(sd, sd)}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(9)
    child = np.repeat(np.arange(60), rng.integers(2, 7, size=60))
    school = np.sort(rng.integers(0, 10, size=60))[child]
    rows = len(child)
    return pd.DataFrame(
        {
            "y": rng.normal(size=rows),
            "hit": rng.integers(0, 2, size=rows),
            "n": rng.poisson(3, size=rows),
            "size": rng.integers(1, 9, size=rows),
            "grade": rng.choice(["low", "mid", "high"], size=rows),
            "days": rng.uniform(0.5, 2, size=rows),
            "t": rng.normal(size=rows) + 0.5 * rng.normal(size=60)[child],
            "rich": rng.normal(size=10)[school],
            "child": child,
            "school": school,
            "area": rng.integers(0, 8, size=rows),
        }
    )


@pytest.fixture(scope="module")
def growth(table: pd.DataFrame, fake_fit: MakeFit) -> Fit:
    model = bml.model(table, "y ~ t + rich + (t | child) + (t | school)")
    values = {"beta": BETA, "sigma": SIGMA}
    values |= parameters("child", CHILD) | parameters("school", SCHOOL)
    return fake_fit(model, draws=2, values=values)


def drawn_effects(
    table: pd.DataFrame, name: str, covariance: np.ndarray, times: int, seed: int
) -> np.ndarray:
    """Return simulated z'u of every row, shape (rows, times)."""
    rng = np.random.default_rng(seed)
    units = table[name].max() + 1
    u = rng.multivariate_normal([0, 0], covariance, size=(units, times))
    index = table[name].to_numpy()
    return u[index, :, 0] + table["t"].to_numpy()[:, None] * u[index, :, 1]


def fixed_part(table: pd.DataFrame) -> np.ndarray:
    return (BETA[0] + BETA[1] * table["t"] + BETA[2] * table["rich"]).to_numpy()


def test_marginal_and_conditional_against_simulated_outcomes(
    table: pd.DataFrame, growth: Fit
) -> None:
    times = 20_000
    fixed = fixed_part(table)
    children = drawn_effects(table, "child", CHILD, times, 1)
    schools = drawn_effects(table, "school", SCHOOL, times, 2)
    noise = np.random.default_rng(3).normal(0, SIGMA, size=children.shape)
    outcome = fixed[:, None] + children + schools + noise
    # About the mean of all tables: 200,000 schools' effects leave an error of 0.4 %.
    total = ((outcome - fixed.mean()) ** 2).mean() + fixed.var(ddof=1) - fixed.var()
    found = bml.r2(growth).set_index("part")
    assert found.loc["marginal", "mean"] == pytest.approx(fixed.var(ddof=1) / total, rel=0.01)
    assert found.loc["conditional", "mean"] == pytest.approx(
        1 - (noise**2).mean() / total, rel=0.01
    )
    assert found.loc["marginal", "note"] == "slopes vary: mean over rows"
    assert "Johnson 2014" in bml.r2(growth).attrs["notes"][0]


@pytest.mark.parametrize(
    ("formula", "values", "published"),
    [
        (
            "Reaction ~ Days + (Days | Subject)",
            {"sd_Subject": [24.74066, 5.92214], "corr_Subject": [[1, 0.06555], [0.06555, 1]]}
            | {"sigma": 25.59180},
            (0.2786511, 0.7992199),
        ),
        (
            "Reaction ~ Days + (1 | Subject)",
            {"sd_Subject": 37.12383, "sigma": 30.99123},
            (0.2798856, 0.7042555),
        ),
    ],
)
def test_marginal_and_conditional_as_r_prints_them(
    fake_fit: MakeFit, formula: str, values: dict[str, Any], published: tuple[float, float]
) -> None:
    # MuMIn's r.squaredGLMM at the REML estimates of lme4 1.1.
    model = bml.model(bml.load_dataset("sleepstudy"), formula)
    fit = fake_fit(model, draws=2, values=values | {"beta": [251.40510, 10.46729]})
    assert bml.r2(fit)["mean"].tolist() == pytest.approx(published, abs=2e-6)


def test_decomposition_of_three_levels_against_simulated_means(
    table: pd.DataFrame, growth: Fit
) -> None:
    found = bml.r2(growth, method="rights_sterba")
    times = 20_000
    schools = drawn_effects(table, "school", SCHOOL, times, 2)
    children = drawn_effects(table, "child", CHILD, times, 1)

    def by(values: np.ndarray, name: str) -> np.ndarray:
        return pd.DataFrame(values).groupby(table[name]).transform("mean").to_numpy()

    fixed = fixed_part(table)[:, None] - fixed_part(table).mean()
    in_school = schools - by(schools, "school")
    variances = {
        ("within", "", "residual"): fixed - by(fixed, "child"),
        ("between", "", "child"): by(fixed, "child") - by(fixed, "school"),
        ("between", "", "school"): by(fixed, "school"),
        ("means", "child", "child"): by(children, "child"),
        ("slopes", "child", "residual"): children - by(children, "child"),
        ("means", "school", "school"): by(schools, "school"),
        ("slopes", "school", "child"): by(in_school, "child"),
        ("slopes", "school", "residual"): in_school - by(in_school, "child"),
    }
    simulated = {key: (values**2).mean() for key, values in variances.items()}
    for key in simulated:
        if key[0] in ("within", "between"):
            simulated[key] *= len(table) / (len(table) - 1)
    simulated["residual", "", "residual"] = SIGMA**2
    total = sum(simulated.values())
    whole = found[found["of"] == "total"].set_index(["part", "grouping", "level"])["mean"]
    assert set(whole.index) == set(simulated)
    for key, value in simulated.items():
        assert whole[key] == pytest.approx(value / total, rel=0.01), key
    assert whole.sum() == pytest.approx(1)
    levels = found[found["of"] == "level"].set_index(["part", "grouping", "level"])["mean"]
    for level in ("residual", "child", "school"):
        here = {key: value for key, value in simulated.items() if key[2] == level}
        for key, value in here.items():
            assert levels[key] == pytest.approx(value / sum(here.values()), rel=0.02), key
    assert found["note"].eq("not centred within units").all()
    (note,) = found.attrs["notes"]
    assert note.startswith("Not centred within units of 'child', 'school': 't'.")


def test_centred_predictors_give_the_published_parts(
    table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    rows = table.assign(
        mean_t=table.groupby("school")["t"].transform("mean"),
        dev_t=table["t"] - table.groupby("school")["t"].transform("mean"),
    )
    model = bml.two_level(rows, "y ~ dev_t + mean_t + rich", group="school", slopes=["dev_t"])
    beta = np.array([0.3, 0.9, 0.4, -0.6])
    values = {"beta": beta, "sigma": SIGMA} | parameters("school", SCHOOL)
    found = bml.r2(fake_fit(model, draws=2, values=values), method="rights_sterba")
    # Rights & Sterba (2019), equations for predictors centred within clusters.
    between = rows[["mean_t", "rich"]].cov(ddof=1).to_numpy()
    parts = {
        "within": 0.9**2 * rows["dev_t"].var(ddof=1),
        "between": beta[2:] @ between @ beta[2:],
        "slopes": SCHOOL[1, 1] * rows["dev_t"].var(ddof=0),
        "means": SCHOOL[0, 0],
        "residual": SIGMA**2,
    }
    total = found[found["of"] == "total"].set_index("part")["mean"].to_dict()
    whole = sum(parts.values())
    assert total == pytest.approx({name: value / whole for name, value in parts.items()})
    assert found["note"].eq("").all()
    assert found.attrs["notes"] == []


def test_crossed_groupings_own_their_predictors(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(12)
    rows = table.assign(green=rng.normal(size=8)[table["area"]], z=rng.normal(size=len(table)))
    model = bml.model(rows, "y ~ rich + green + z + (1 | school) + (1 | area)")
    values = {"beta": [0, 1.0, 0.8, 0.0], "sd_school": 0.6, "sd_area": 0.7, "sigma": 1.0}
    found = bml.r2(fake_fit(model, draws=2, values=values), method="rights_sterba")
    whole = found[found["of"] == "total"].set_index(["part", "level"])["mean"]
    fixed = (rows["rich"] + 0.8 * rows["green"]).var(ddof=1)
    total = fixed + 0.6**2 + 0.7**2 + 1.0
    assert whole["between", "school"] == pytest.approx(rows["rich"].var(ddof=1) / total)
    assert whole["between", "area"] == pytest.approx(0.64 * rows["green"].var(ddof=1) / total)
    assert whole["within", "residual"] == pytest.approx(0, abs=1e-9)
    # Crossed, but not balanced: schools and areas are correlated a little over the rows.
    shared = 2 * 0.8 * np.cov(rows["rich"], rows["green"], ddof=1)[0, 1]
    assert whole["between, shared", ""] == pytest.approx(shared / total)
    assert whole.sum() == pytest.approx(1)
    assert "may be negative" in " ".join(found.attrs["notes"])


def test_explained_proportions_of_rows_and_means_against_simulation(
    table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    model = bml.model(table, "y ~ t + rich + (1 | child) + (1 | school)")
    values = {"beta": BETA, "sd_child": 0.7, "sd_school": 0.5, "sigma": SIGMA}
    found = bml.r2(fake_fit(model, draws=2, values=values), method="snijders_bosker")
    assert found["level"].tolist() == ["residual", "child", "school"]
    times = 20_000
    rng = np.random.default_rng(7)
    error = (
        rng.normal(0, 0.7, size=(60, times))[table["child"]]
        + rng.normal(0, 0.5, size=(10, times))[table["school"]]
        + rng.normal(0, SIGMA, size=(len(table), times))
    )
    fixed = fixed_part(table)
    expected = [fixed.var(ddof=1) / (fixed.var(ddof=1) + (error**2).mean())]
    for name in ("child", "school"):
        explained = pd.Series(fixed).groupby(table[name]).mean().var(ddof=1)
        rest = (pd.DataFrame(error).groupby(table[name]).mean() ** 2).mean(axis=None)
        expected.append(explained / (explained + rest))
    assert found["mean"].tolist() == pytest.approx(expected, rel=0.01)


def test_counts_on_the_log_scale_against_simulated_counts(
    table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    rows = table.assign(row=np.arange(len(table)))
    model = bml.model(rows, "n ~ t + (t | school) + (1 | row)", family="poisson", exposure="days")
    values = {"beta": [0.2, 0.4], "sd_row": 0.3} | parameters("school", SCHOOL / 3)
    found = bml.r2(fake_fit(model, draws=2, values=values))
    times = 40_000
    rng = np.random.default_rng(21)
    schools = drawn_effects(rows, "school", SCHOOL / 3, times, 4)
    single = rng.normal(0, 0.3, size=schools.shape)
    fixed = (0.2 + 0.4 * rows["t"]).to_numpy()
    counts = rng.poisson(
        rows["days"].to_numpy()[:, None] * np.exp(fixed[:, None] + schools + single)
    )
    level1 = np.log1p(1 / counts.mean()) + (single**2).mean()
    random = (schools**2).mean()
    total = fixed.var(ddof=1) + random + level1
    expected = [fixed.var(ddof=1) / total, (fixed.var(ddof=1) + random) / total]
    assert found["mean"].tolist() == pytest.approx(expected, rel=0.01)
    notes = " ".join(found.attrs["notes"])
    assert "log(1 + 1 / mean count)" in notes
    assert "'row' has one row a unit" in notes
    assert "offset is known" in notes
    assert found["note"].iloc[0] == "slopes vary: mean over rows; log scale"


@pytest.mark.parametrize(
    ("formula", "options", "level1", "values"),
    [
        ("hit ~ t + (1 | school)", {"family": "binomial"}, np.pi**2 / 3, {"beta": [0.1, 0.6]}),
        (
            "hit ~ t + (1 | school)",
            {"family": "binomial", "link": "cloglog"},
            np.pi**2 / 6,
            {"beta": [0.1, 0.6]},
        ),
        (
            "grade ~ t + (1 | school)",
            {"family": "ordinal", "link": "probit", "categories": ["low", "mid", "high"]},
            1.0,
            {"beta": [0.6]},
        ),
    ],
)
def test_latent_scale_of_other_families(
    table: pd.DataFrame,
    fake_fit: MakeFit,
    formula: str,
    options: dict[str, Any],
    level1: float,
    values: dict[str, Any],
) -> None:
    fit = fake_fit(
        bml.model(table, formula, **options), draws=2, values=values | {"sd_school": 0.9}
    )
    fixed = 0.36 * table["t"].var(ddof=1)
    total = fixed + 0.81 + level1
    found = bml.r2(fit)
    assert found["mean"].tolist() == pytest.approx([fixed / total, (fixed + 0.81) / total])
    assert found["note"].tolist() == ["latent scale"] * 2
    rows = bml.r2(fit, method="snijders_bosker").set_index("level")["mean"]
    assert rows["residual"] == pytest.approx(fixed / total)
    parts = bml.r2(fit, method="rights_sterba").set_index(["part", "of"])["mean"]
    assert parts["residual", "total"] == pytest.approx(level1 / total)


def test_levels_and_pooling_from_the_stored_draws(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    model = bml.model(table, "y ~ t * rich + (t | child) + (t | school)")
    fit = fake_fit(model, draws=60)
    found = bml.r2(fit, method="gelman_pardoe").set_index(["grouping", "term"])
    draws = fit.posterior.stack(s=("chain", "draw"))
    beta = {str(name): draws["beta"].sel(coef=name).values for name in draws["coef"].values}
    u = {name: draws[f"u_{name}"].transpose("s", ...).values for name in ("child", "school")}
    rich = table.groupby("school")["rich"].first().to_numpy()
    parent = table.groupby("child")["school"].first().to_numpy()
    school = {
        "Intercept": beta["rich"][:, None] * rich + u["school"][..., 0],
        "t": beta["t"][:, None] + beta["t:rich"][:, None] * rich + u["school"][..., 1],
    }
    every = {("school", term): (school[term], u["school"][..., i]) for i, term in enumerate(school)}
    every |= {
        ("child", term): (school[term][:, parent] + u["child"][..., i], u["child"][..., i])
        for i, term in enumerate(school)
    }
    t = table["t"].to_numpy()
    mean = (
        sum(
            beta[name][:, None] * table.eval(name.replace(":", "*")).to_numpy()
            for name in ("t", "rich", "t:rich")
        )
        + beta["Intercept"][:, None]
        + sum(u[name][:, table[name], 0] + t * u[name][:, table[name], 1] for name in u)
    )
    y = table["y"].to_numpy()
    every["residual", ""] = (np.broadcast_to(y, mean.shape), y - mean)
    assert len(found) == len(every)
    for key, (theta, error) in every.items():
        explained = 1 - error.var(axis=1, ddof=1) / theta.var(axis=1, ddof=1)
        row = found.loc[key]
        assert row["mean"] == pytest.approx(explained.mean())
        assert row["lower"] == pytest.approx(np.quantile(explained, 0.055))
        ratio = error.var(axis=1, ddof=1).mean() / theta.var(axis=1, ddof=1).mean()
        assert row["expected"] == pytest.approx(1 - ratio)
        pooled = error.mean(axis=0).var(ddof=1) / error.var(axis=1, ddof=1).mean()
        assert row["pooling"] == pytest.approx(1 - pooled)


def test_pooling_is_complete_for_effects_that_are_noise(
    table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    rng = np.random.default_rng(2)
    model = bml.two_level(table, "hit ~ t", group="school", family="binomial")
    noise = rng.normal(size=(2, 2000, 10, 1))
    found = bml.r2(fake_fit(model, draws=2000, values={"u_school": noise}), method="gelman_pardoe")
    assert found["pooling"].iloc[0] == pytest.approx(1, abs=0.01)
    assert found["mean"].iloc[0] == 0
    apart = rng.normal(size=(10, 1))
    found = bml.r2(fake_fit(model, draws=9, values={"u_school": apart}), method="gelman_pardoe")
    assert found["pooling"].iloc[0] == pytest.approx(0)
    assert "no R2 of this kind" in found.attrs["notes"][0]


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("y ~ t + (t | school) + (1 | area)", {}),
        ("hit ~ t + (1 | school)", {"family": "binomial", "link": "probit"}),
        ("n ~ t + (1 | school)", {"family": "poisson", "exposure": "days"}),
        ("few ~ t + (1 | school)", {"family": "binomial", "trials": "size"}),
    ],
)
def test_bayes_r2_from_the_stored_draws(
    table: pd.DataFrame, fake_fit: MakeFit, formula: str, options: dict[str, Any]
) -> None:
    rows = table.assign(few=table["size"] // 2)
    fit = fake_fit(bml.model(rows, formula, **options), draws=40)
    draws = fit.posterior.stack(s=("chain", "draw"))
    t = rows["t"].to_numpy()
    eta = draws["beta"].sel(coef="Intercept").values[:, None]
    eta = eta + draws["beta"].sel(coef="t").values[:, None] * t
    for name in ("school", "area"):
        if f"u_{name}" in draws:
            u = draws[f"u_{name}"].transpose("s", ...).values[:, rows[name]]
            eta = eta + u[..., 0] + (t * u[..., 1] if u.shape[-1] > 1 else 0)
    if "exposure" in options:
        mean = np.exp(eta) * rows["days"].to_numpy()
        rest = mean.mean(axis=1)
    elif "trials" in options:
        mean = expit(eta)
        rest = (mean * (1 - mean) / rows["size"].to_numpy()).mean(axis=1)
    elif options:
        mean = norm.cdf(eta)
        rest = (mean * (1 - mean)).mean(axis=1)
    else:
        mean, rest = eta, draws["sigma"].values ** 2
    by_hand = mean.var(axis=1, ddof=1) / (mean.var(axis=1, ddof=1) + rest)
    found = bml.r2(fit, method="bayes", draws=True)
    assert found.dims == ("chain", "draw", "part")
    assert found.values.ravel() == pytest.approx(by_hand)
    assert bml.r2(fit, method="bayes")["mean"].iloc[0] == pytest.approx(by_hand.mean())


def test_multiple_membership_counts_its_squared_weights(
    table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    rows = table.assign(second=(table["area"] + 3) % 8)
    model = bml.multiple_membership(
        rows, "y ~ t", members=["area", "second"], name="place", groups=["school"]
    )
    values = {"beta": [0.0, 1.0], "sd_place": 2.0, "sd_school": 1.0, "sigma": 1.0}
    fit = fake_fit(model, draws=2, values=values)
    fixed = table["t"].var(ddof=1)
    total = fixed + 4 / 2 + 1 + 1
    assert bml.r2(fit)["mean"].tolist() == pytest.approx([fixed / total, 1 - 1 / total])
    parts = bml.r2(fit, method="rights_sterba").set_index(["part", "level", "of"])["mean"]
    assert parts["means", "place", "total"] == pytest.approx(2 / total)
    rows_only = bml.r2(fit, method="snijders_bosker")
    assert rows_only["level"].tolist() == ["residual", "school"]
    # A school's mean meets every place by its share of the school's rows.
    index = np.stack([rows["area"], rows["second"]], axis=1)
    shares = np.zeros((10, 8))
    np.add.at(shares, (rows["school"].to_numpy()[:, None], index), 0.5)
    shares /= table.groupby("school").size().to_numpy()[:, None]
    means = table.groupby("school")["t"].mean().var(ddof=1)
    rest = 1 + 4 * (shares**2).sum(axis=1).mean() + (1 / table.groupby("school").size()).mean()
    assert rows_only["mean"].iloc[1] == pytest.approx(means / (means + rest))
    assert "no predictor explains them" in " ".join(
        bml.r2(fit, method="gelman_pardoe").attrs["notes"]
    )


@pytest.mark.parametrize("method", METHODS[:4])
def test_without_predictors_nothing_is_explained_by_them(
    table: pd.DataFrame, fake_fit: MakeFit, method: str
) -> None:
    for formula, options in (
        ("y ~ 1 + (1 | child) + (1 | school)", {}),
        ("y ~ 0 + (1 | school) + (1 | area)", {}),
        ("grade ~ 1 + (1 | area)", {"family": "ordinal", "categories": ["low", "mid", "high"]}),
    ):
        found = bml.r2(fake_fit(bml.model(table, formula, **options), draws=3), method=method)
        if method == "nakagawa":
            assert found["mean"].iloc[0] == 0 < found["mean"].iloc[1] < 1
        elif method == "rights_sterba":
            chosen = found[found["part"].isin(["within", "between", "between, shared"])]
            assert len(chosen) > 1
            assert (chosen["mean"] == 0).all()
        elif method == "snijders_bosker":
            assert (found["mean"] == 0).all()
        else:
            assert (found["mean"].iloc[-2] if options == {} else found["mean"].iloc[0]) == 0


def test_bayes_r2_against_simulated_counts(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(31)
    u = 0.6 * rng.normal(size=(10, 1))
    model = bml.two_level(table, "n ~ t", group="school", family="poisson")
    fit = fake_fit(model, draws=2, values={"beta": [0.8, 0.5], "u_school": u})
    mean = np.exp(0.8 + 0.5 * table["t"] + u[table["school"], 0]).to_numpy()[:, None]
    counts = rng.poisson(mean, size=(len(table), 40_000))
    unexplained = ((counts - mean) ** 2).mean(axis=0).mean()
    expected = mean.var(ddof=1) / (mean.var(ddof=1) + unexplained)
    assert bml.r2(fit, method="bayes")["mean"].iloc[0] == pytest.approx(expected, rel=0.01)


def test_levels_against_simulated_effects(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(32)
    model = bml.model(table, "y ~ rich + (1 | child) + (1 | school)")
    child = 0.5 * rng.normal(size=(2, 10_000, 60, 1))
    school = 0.7 * rng.normal(size=(2, 10_000, 10, 1))
    values = {"beta": [0.0, 0.9], "u_child": child, "u_school": school}
    found = bml.r2(fake_fit(model, draws=10_000, values=values), method="gelman_pardoe")
    expected = found.set_index("grouping")["expected"]
    rich = table.groupby("school")["rich"].first()
    schools = 0.81 * rich.var()
    assert expected["school"] == pytest.approx(schools / (schools + 0.49), rel=0.01)
    # Children of one school share its effect.
    parent = table.groupby("child")["school"].first().to_numpy()
    shares = np.bincount(parent) / 60
    between = 0.81 * rich[parent].var() + 0.49 * (1 - (shares**2).sum()) * 60 / 59
    assert expected["child"] == pytest.approx(between / (between + 0.25), rel=0.01)


def test_a_model_without_groupings_has_an_r2_too(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    fit = fake_fit(bml.model(table, "y ~ t"), draws=2, values={"beta": [0.0, 2.0], "sigma": 1.5})
    expected = 4 * table["t"].var(ddof=1) / (4 * table["t"].var(ddof=1) + 2.25)
    assert bml.r2(fit)["mean"].tolist() == pytest.approx([expected] * 2)
    assert bml.r2(fit, method="gelman_pardoe")["grouping"].tolist() == ["residual"]


@pytest.mark.parametrize("method", METHODS)
def test_summaries_are_those_of_the_draws(fake_fit: MakeFit, method: str) -> None:
    table = bml.load_dataset("exam").head(500)
    fit = fake_fit(bml.two_level(table, "normexam ~ standLRT", group="school"), draws=30)
    found = bml.r2(fit, method=method, prob=0.8)
    draws = bml.r2(fit, method=method, draws=True)
    assert draws.dims == ("chain", "draw", "part")
    assert draws["part"].to_index().is_unique
    flat = draws.values.reshape(60, -1)
    assert found["median"].to_numpy() == pytest.approx(np.median(flat, axis=0))
    assert found["upper"].to_numpy() == pytest.approx(np.quantile(flat, 0.9, axis=0))
    assert found.attrs["interval"] == "80 % equal-tailed interval"
    assert found.attrs["method"] == method


def test_wrong_use_names_the_right_call(
    table: pd.DataFrame, growth: Fit, fake_fit: MakeFit, tmp_path: Path
) -> None:
    with pytest.raises(FitError, match=r"method is 'nakagava'. Did you mean 'nakagawa'\?"):
        bml.r2(growth, method="nakagava")
    with pytest.raises(FitError, match=r"slopes vary over 'child', 'school'. Use .*'nakagawa'"):
        bml.r2(growth, method="snijders_bosker")
    counts = fake_fit(bml.model(table, "n ~ t + (1 | school)", family="poisson"), draws=2)
    with pytest.raises(FitError, match=r"'poisson' depends on the mean. Use .*'nakagawa'"):
        bml.r2(counts, method="snijders_bosker")
    plain = fake_fit(bml.model(table, "n ~ t", family="poisson"), draws=2)
    with pytest.raises(FitError, match=r"no grouping, and the R2 of Gelman & Pardoe"):
        bml.r2(plain, method="gelman_pardoe")
    grades = {"family": "ordinal", "categories": ["low", "mid", "high"]}
    ordered = fake_fit(bml.model(table, "grade ~ t + (1 | school)", **grades), draws=2)
    with pytest.raises(FitError, match=r"ordered categories of 'grade' have none. Use .*nakagawa"):
        bml.r2(ordered, method="bayes")
    rows = table.assign(second=(table["area"] + 3) % 8)
    places = bml.multiple_membership(
        rows, "y ~ t", members=["area", "second"], name="place", slopes=["t"]
    )
    with pytest.raises(FitError, match=r"slopes of 'place' vary over units of a multiple"):
        bml.r2(fake_fit(places, draws=2), method="rights_sterba")
    bare = bml.load(growth.save(tmp_path / "bare.nc", data=False))
    with pytest.raises(FitError, match=r"r2 needs the rows of the table.*\(data=False\)"):
        bml.r2(bare)
