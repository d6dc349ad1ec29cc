"""Predictions against NumPy on the stored draws, simulation and numerical integration."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special, stats

import bayesml as bml
from bayesml.errors import BayesmlError, FitError, TableError
from bayesml.posterior.group_strategies import STRATEGIES
from bayesml.records.fits import Fit

MakeFit = Callable[..., Fit]
ROWS = 96


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    number = np.arange(ROWS)
    return pd.DataFrame(
        {
            "y": rng.normal(size=ROWS),
            "passed": rng.permutation(number % 2),
            "correct": rng.integers(0, 4, ROWS),
            "items": rng.integers(4, 7, ROWS),
            "count": rng.poisson(2.0, ROWS),
            "days": rng.uniform(1, 3, ROWS),
            "logn": rng.normal(size=ROWS),
            "mood": rng.permutation(np.array(["low", "mid", "high"])[number % 3]),
            "x": rng.uniform(1, 5, ROWS),
            "w": rng.normal(size=ROWS),
            "sex": rng.choice(["F", "M"], ROWS),
            "band": rng.choice([1, 2, 3], ROWS),
            "school": np.array([f"s{item}" for item in number % 12]),
            "area": np.array(["e", "n", "o", "s", "u", "w"])[number % 6],
            "first": [f"u{item}" for item in number % 8],
            "second": [f"u{item}" for item in (number + 1 + number // 8 % 3) % 8],
            "share": 0.7,
            "rest": 0.3,
            # Labels that repeat within areas: class 1 of each area is another class.
            "room": number // 6 % 2,
            "year": 1990 + number * 7 % 11,
        }
    )


MODELS: dict[str, Callable[[pd.DataFrame], bml.Model]] = {
    "gaussian": lambda t: bml.model(t, "y ~ x * sex + (x | school)"),
    "uncorrelated": lambda t: bml.model(t, "y ~ x + w + (1 | school) + (0 + w | school)"),
    "binary": lambda t: bml.model(t, "passed ~ x + (1 + w | school)", family="binomial"),
    "trials": lambda t: bml.two_level(
        t, "correct ~ x", group="school", family="binomial", trials="items", link="probit"
    ),
    "cbind": lambda t: bml.model(
        t, "cbind(correct, items) ~ x + (1 | school)", family="binomial", link="cloglog"
    ),
    "exposure": lambda t: bml.model(
        t, "count ~ x + offset(logn / 2) + (1 | school)", family="poisson", exposure="days"
    ),
    "ordinal": lambda t: bml.two_level(
        t, "mood ~ x", group="school", family="ordinal", categories=["low", "mid", "high"]
    ),
    "probit ordinal": lambda t: bml.model(
        t, "mood ~ x + (x | school)", family="ordinal", link="probit",
        categories=["low", "mid", "high"],
    ),
    "nested": lambda t: bml.model(t, "y ~ x + (1 | area/room)"),
    "crossed": lambda t: bml.cross_classified(
        t, "y ~ x", groups=["school", "year"], slopes={"school": ["w"]}
    ),
    "membership": lambda t: bml.multiple_membership(
        t, "y ~ x", members=["first", "second"], weights=["share", "rest"], name="firm",
        slopes=["x"], groups=["school"],
    ),
    "growth": lambda t: bml.longitudinal(t, "y ~ 1", unit="school", time="w", growth=2),
    "odd names": lambda t: bml.model(
        t.rename(columns={"x": "my x/y", "sex": "beta", "school": "draw"}),
        "y ~ scale(`my x/y`) * beta + (1 + `my x/y` | draw)",
    ),
    "no intercept": lambda t: bml.model(t, "y ~ 0 + sex + (1 | school)"),
    "no grouping": lambda t: bml.model(t, "y ~ bs(x, df=4) + C(band)"),
}  # fmt: skip


INVERSES: dict[str, Callable[[Any], Any]] = {
    "identity": lambda eta: eta,
    "log": np.exp,
    "logit": special.expit,
    "probit": special.ndtr,
    "cloglog": lambda eta: 1 - np.exp(-np.exp(eta)),
}


def known_predictor(fit: Fit, model: bml.Model) -> np.ndarray:
    """X beta + Z u + offset, row by row, from the model's own arrays; (draws, rows)."""
    posterior = fit.posterior
    draws = fit.draws_made
    design = model.design
    eta = np.zeros((draws, len(model.data["y"])))
    if "beta" in posterior:
        eta += posterior["beta"].values.reshape(draws, -1) @ design.fixed.values.T
    if design.offset is not None:
        eta += design.offset
    for grouping, part in zip(model.resolved.groupings, design.varying, strict=True):
        u = posterior[f"u_{grouping.identifier}"].values.reshape(draws, -1, len(part.labels))
        for row in range(eta.shape[1]):
            units = np.atleast_1d(part.units.index[row])
            weights = [1.0] if part.units.weights is None else part.units.weights[row]
            for unit, weight in zip(units, weights, strict=True):
                eta[:, row] += weight * u[:, unit] @ part.terms[row]
    return eta


def flat(array: Any) -> np.ndarray:
    return array.values.reshape(-1, *array.shape[2:])


# Known units


# The table of "odd names" bears other columns: it has a test of its own.
PLAIN = [name for name in MODELS if name != "odd names"]


@pytest.mark.parametrize("name", PLAIN)
def test_known_units_are_x_beta_plus_z_u(name: str, table: pd.DataFrame, fake_fit: MakeFit) -> None:
    model = MODELS[name](table)
    fit = fake_fit(model, draws=7)
    wanted = known_predictor(fit, model)
    own = bml.predict(fit, kind="linear", draws=True)
    np.testing.assert_allclose(flat(own), wanted, rtol=1e-10, atol=1e-12)
    some = table.iloc[[50, 3, 17, 3]]
    again = bml.predict(fit, some, groups="known", kind="linear", draws=True)
    np.testing.assert_allclose(flat(again), wanted[:, [50, 3, 17, 3]], rtol=1e-10, atol=1e-12)
    assert again.dims == ("chain", "draw", "obs")
    assert again["obs"].values.tolist() == [50, 3, 17, 3]


@pytest.mark.parametrize("name", PLAIN)
def test_means_are_the_inverse_link(name: str, table: pd.DataFrame, fake_fit: MakeFit) -> None:
    model = MODELS[name](table)
    fit = fake_fit(model, draws=7)
    eta = known_predictor(fit, model)
    found = flat(bml.predict(fit, draws=True))
    inverse = INVERSES[fit.spec.link]
    if fit.facts.categories:
        cutpoints = flat(fit.posterior["cutpoints"])
        up_to = inverse(cutpoints[:, None, :] - eta[:, :, None])
        wanted = np.diff(up_to, axis=2, prepend=0.0, append=1.0)
    else:
        wanted = inverse(eta) * (1 if model.design.response.trials is None else
                                 model.design.response.trials)  # fmt: skip
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


def test_the_table_sums_up_the_draws(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    fit = fake_fit(MODELS["gaussian"](table), draws=40)
    new = table.iloc[5:8].set_index(pd.Index(["p", "q", "r"]))
    found = bml.predict(fit, new, groups="known", prob=0.5)
    draws = flat(bml.predict(fit, new, groups="known", draws=True))
    assert found.index.tolist() == ["p", "q", "r"]
    assert found.columns.tolist() == ["mean", "median", "sd", "lower", "upper"]
    np.testing.assert_allclose(found["mean"], draws.mean(axis=0))
    np.testing.assert_allclose(found["upper"], np.quantile(draws, 0.75, axis=0))
    assert found.attrs == {
        "groups": "known",
        "kind": "mean",
        "scale": "response",
        "prob": 0.5,
        "interval": "50 % equal-tailed interval",
    }
    assert bml.predict(fit).attrs["groups"] == "known"
    assert bml.predict(fit, kind="linear").attrs["scale"] == "link (identity)"


def test_categories_have_a_row_each(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    fit = fake_fit(MODELS["ordinal"](table), draws=20)
    found = bml.predict(fit, table[:4], groups="known")
    assert found.index.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert found["category"].tolist() == ["low", "mid", "high"] * 4
    draws = bml.predict(fit, table[:4], groups="known", draws=True)
    assert draws.dims == ("chain", "draw", "obs", "category")
    np.testing.assert_allclose(found["mean"], flat(draws).mean(axis=0).ravel())
    np.testing.assert_allclose(draws.sum("category"), 1)


def test_odd_names(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    model = MODELS["odd names"](table)
    fit = fake_fit(model, draws=4)
    new = table.rename(columns={"x": "my x/y", "sex": "beta", "school": "draw"})[3:9]
    found = bml.predict(fit, new, groups="known", draws=True)
    np.testing.assert_allclose(flat(found), known_predictor(fit, model)[:, 3:9], rtol=1e-10)
    with pytest.raises(FitError, match=r"these units of 'draw': 'chain', in row 1, 2"):
        bml.predict(fit, new.assign(draw="chain"), groups="known")


def test_a_model_without_groupings_needs_no_strategy(
    table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    fit = fake_fit(MODELS["no grouping"](table), draws=4)
    found = bml.predict(fit, table[:3])
    assert found.attrs["groups"] == "population"
    np.testing.assert_allclose(found["mean"], bml.predict(fit)["mean"][:3])


@pytest.mark.parametrize("name", ["gaussian", "membership", "ordinal", "binary"])
@pytest.mark.parametrize("groups", STRATEGIES)
def test_blocks_of_rows_make_no_difference(
    name: str,
    groups: str,
    table: pd.DataFrame,
    fake_fit: MakeFit,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fit = fake_fit(MODELS[name](table), draws=5)
    new = (
        table.assign(school=[f"s{item % 17}" for item in range(ROWS)])
        if groups != "known"
        else table
    )
    whole = bml.predict(fit, new, groups, draws=True, seed=1)
    monkeypatch.setattr("bayesml.posterior.linear_predictors._BLOCK", 70)
    monkeypatch.setattr("bayesml.posterior.linear_predictors._KEPT", 0)
    parts = bml.predict(fit, new, groups, draws=True, seed=1)
    np.testing.assert_allclose(whole, parts, rtol=1e-7)


# No units, and new ones


@pytest.mark.parametrize("name", PLAIN)
def test_population_is_x_beta(name: str, table: pd.DataFrame, fake_fit: MakeFit) -> None:
    model = MODELS[name](table)
    fit = fake_fit(model, draws=3)
    groupings = {column for g in model.spec.groupings for column in (*g.columns, *g.members)}
    bare = table.drop(columns=[*groupings, "y", "mood", "passed", "count"])
    found = bml.predict(fit, bare, groups="population", kind="linear", draws=True)
    zero = {f"u_{g.identifier}": 0.0 for g in model.resolved.groupings}
    other = fake_fit(model, draws=3, values=zero | {
        str(key): value.values for key, value in fit.posterior.items()
        if not str(key).startswith("u_")
    })  # fmt: skip
    np.testing.assert_allclose(flat(found), known_predictor(other, model), atol=1e-10)
    marginal = bml.predict(fit, table, groups="marginal", kind="linear", draws=True)
    np.testing.assert_allclose(flat(found), flat(marginal))


NEW = ["gaussian", "uncorrelated", "crossed", "membership", "nested"]


def row_variance(fit: Fit, model: bml.Model, row: int) -> np.ndarray:
    """Variance of Z u of a row by draw, from Sigma = diag(sd) R diag(sd)."""
    total = np.zeros(fit.draws_made)
    for grouping, part in zip(model.resolved.groupings, model.design.varying, strict=True):
        sd = flat(fit.posterior[f"sd_{grouping.identifier}"])
        corr = np.broadcast_to(np.eye(sd.shape[1]), (len(sd), sd.shape[1], sd.shape[1]))
        if grouping.correlated:
            corr = flat(fit.posterior[f"corr_{grouping.identifier}"])
        weights = [1.0] if part.units.weights is None else part.units.weights[row]
        z = part.terms[row]
        total += np.sum(np.square(weights)) * np.einsum("i,di,dij,dj,j->d", z, sd, corr, sd, z)
    return total


@pytest.mark.parametrize("name", NEW)
def test_new_units_have_the_estimated_variance(
    name: str, table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    model = MODELS[name](table)
    draws = 40_000
    one = fake_fit(model, draws=1, chains=1)
    values = {str(key): value.values for key, value in one.posterior.items()
              if not str(key).startswith("u_")}  # fmt: skip
    fit = fake_fit(model, draws=draws, chains=1, values=values | {"beta": 0.0})
    rows = [4, 31]
    found = flat(
        bml.predict(fit, table.iloc[rows], groups="new", kind="linear", draws=True, seed=3)
    )
    wanted = [row_variance(one, model, row)[0] for row in rows]
    # The variance of n normal draws has the relative SD sqrt(2 / n); five of them.
    np.testing.assert_allclose(found.var(axis=0), wanted, rtol=5 * np.sqrt(2 / draws))
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=5 * np.sqrt(max(wanted) / draws))


def test_new_units_covary_as_estimated(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    """Rows of one new unit at x = 0 and x = 1: their covariance is Sigma_00 + Sigma_01."""
    model = bml.model(table, "y ~ x + (x | school)")
    values = {
        "sd_school": [2.0, 0.5], "corr_school": [[1.0, -0.6], [-0.6, 1.0]], "beta": 0.0
    }  # fmt: skip
    fit = fake_fit(model, draws=40_000, chains=1, values=values)
    new = pd.DataFrame({"x": [0.0, 1.0, 0.0], "school": ["a", "a", "b"]})
    found = np.cov(flat(bml.predict(fit, new, groups="new", kind="linear", draws=True)).T)
    wanted = [[4, 3.4, 0], [3.4, 4 - 1.2 + 0.25, 0], [0, 0, 4]]
    np.testing.assert_allclose(found, wanted, atol=0.12)  # five standard errors of a covariance


def test_a_new_unit_is_the_same_wherever_its_label_stands(
    table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    fit = fake_fit(MODELS["gaussian"](table), draws=5)
    new = table[:3].assign(x=2.0, sex="F", school=["new", "other", "new"])
    found = flat(bml.predict(fit, new, groups="new", draws=True, seed=8))
    assert np.array_equal(found[:, 0], found[:, 2])
    assert not np.isclose(found[:, 0], found[:, 1]).any()
    alone = flat(bml.predict(fit, new[2:], groups="new", draws=True, seed=8))
    assert np.array_equal(alone[:, 0], found[:, 0])
    other_seed = flat(bml.predict(fit, new[2:], groups="new", draws=True, seed=9))
    assert not np.isclose(other_seed, alone).any()
    drawn = bml.predict(fit, new, groups="new")
    again = bml.predict(fit, new, groups="new", seed=drawn.attrs["seed"])
    pd.testing.assert_frame_equal(drawn, again)


def test_under_new_a_known_label_is_a_new_unit_too(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    fit = fake_fit(MODELS["gaussian"](table), draws=5)
    both = table[:2].assign(school=["s0", "elsewhere"])
    known = flat(bml.predict(fit, table[:1], groups="known", draws=True))[:, 0]
    new = flat(bml.predict(fit, both, groups="new", draws=True, seed=1))
    mixed = flat(bml.predict(fit, both, groups="known or new", draws=True, seed=1))
    assert not np.isclose(new[:, 0], known).any()
    np.testing.assert_allclose(mixed[:, 0], known)
    np.testing.assert_allclose(mixed[:, 1], new[:, 1])


def test_each_grouping_may_have_its_own_strategy(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    model = MODELS["crossed"](table)
    fit = fake_fit(model, draws=4)
    groups = {"school": "population", "year": "known"}
    new = table[:6].drop(columns=["school", "w"])
    found = bml.predict(fit, new, groups=groups, kind="linear", draws=True)
    beta, u = flat(fit.posterior["beta"]), flat(fit.posterior["u_year"])[:, :, 0]
    years = fit.posterior["year"].values.tolist()
    wanted = beta[:, [0]] + beta[:, [1]] * new["x"].to_numpy()
    wanted += u[:, [years.index(year) for year in new["year"]]]
    np.testing.assert_allclose(flat(found), wanted)
    assert found.attrs["groups"] == groups


def test_labels_that_repeat_within_outer_units(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    """Room 0 of an area that has no room 0 is an unknown unit, though rooms 0 are known."""
    fit = fake_fit(MODELS["nested"](table), draws=3)
    assert len(fit.posterior["room"]) == 12
    assert bml.predict(fit, table, groups="known").notna().all().all()
    with pytest.raises(FitError, match=r"not know these units of 'room': 'n/7', in row 2\."):
        bml.predict(fit, {"x": [1, 1], "room": [0, 7], "area": ["n", "n"]}, groups="known")
    unique = table.assign(room=table["area"] + table["room"].astype(str))
    fit = fake_fit(MODELS["nested"](unique), draws=3)
    assert fit.posterior["room"].values[0] == "e0"
    with pytest.raises(FitError, match=r"units of 'room': 'n/e0', in row 1\. It knows 'e/e0'"):
        bml.predict(fit, {"x": [1], "room": ["e0"], "area": ["n"]}, groups="known")


def test_labels_of_numbers_and_of_text(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    fit = fake_fit(bml.model(table, "y ~ x + (1 | year)"), draws=3)
    wanted = bml.predict(fit, {"x": [1, 2], "year": [1990, 1993]}, groups="known")
    for year in ([1990.0, 1993.0], ["1990", "1993"], pd.Categorical([1990, 1993])):
        found = bml.predict(fit, {"x": [1, 2], "year": year}, groups="known")
        pd.testing.assert_frame_equal(found, wanted)


# Averaged over units


@pytest.mark.parametrize("name", ["binary", "cbind", "exposure", "trials", "membership"])
def test_marginal_means_equal_numerical_integration(
    name: str, table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    model = MODELS[name](table)
    fit = fake_fit(model, draws=2)
    found = flat(bml.predict(fit, table, groups="marginal", draws=True))
    population = flat(bml.predict(fit, table, groups="population", kind="linear", draws=True))
    inverse = INVERSES[fit.spec.link]
    trials = model.design.response.trials
    for row in (0, 20, 77):
        sd = np.sqrt(row_variance(fit, model, row))
        for draw in range(4):

            def integrand(
                u: float, eta: float = population[draw, row], s: float = sd[draw]
            ) -> float:
                return float(inverse(eta + u)) * stats.norm.pdf(u, scale=s)

            bound = 12 * sd[draw]
            wanted, _ = integrate.quad(integrand, -bound, bound, epsabs=1e-12, limit=200)
            wanted *= 1 if trials is None else trials[row]
            assert found[draw, row] == pytest.approx(wanted, rel=1e-7)


@pytest.mark.parametrize("name", ["ordinal", "probit ordinal"])
def test_marginal_categories_equal_the_mean_over_many_new_units(
    name: str, table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    model = MODELS[name](table)
    one = fake_fit(model, draws=1, chains=1)
    values = {str(key): value.values for key, value in one.posterior.items()
              if not str(key).startswith("u_")}  # fmt: skip
    many = fake_fit(model, draws=20_000, chains=1, values=values)
    row = table[11:12]
    marginal = flat(bml.predict(one, row, groups="marginal", draws=True))[0, 0]
    simulated = flat(bml.predict(many, row, groups="new", draws=True, seed=2))[:, 0]
    # Five standard errors of a mean of numbers between 0 and 1.
    np.testing.assert_allclose(marginal, simulated.mean(axis=0), atol=5 * 0.5 / np.sqrt(20_000))
    drawn = bml.predict(many, row, groups="marginal", kind="outcome", draws=True, seed=2)
    shares = np.bincount(flat(drawn)[:, 0], minlength=3) / 20_000
    np.testing.assert_allclose(marginal, shares, atol=5 * 0.5 / np.sqrt(20_000))


# Outcomes


@pytest.mark.parametrize("name", ["gaussian", "binary", "trials", "exposure"])
@pytest.mark.parametrize("groups", ["known", "population", "marginal"])
def test_outcomes_have_the_mean_and_variance_of_the_family(
    name: str, groups: str, table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    model = MODELS[name](table)
    draws = 20_000
    one = fake_fit(model, draws=1, chains=1)
    values = {str(key): value.values for key, value in one.posterior.items()}
    values["beta"] = values["beta"] * 0.3
    fit = fake_fit(model, draws=draws, chains=1, values=values)
    few = fake_fit(model, draws=1, chains=1, values=values)
    rows = table[:2]
    outcome = flat(bml.predict(fit, rows, groups, kind="outcome", draws=True, seed=4))
    mean = flat(bml.predict(few, rows, groups, draws=True))[0]
    error = outcome.std(axis=0) / np.sqrt(draws)
    assert (np.abs(outcome.mean(axis=0) - mean) < 5 * error).all()
    if groups != "marginal":
        trials = 1 if model.design.response.trials is None else model.design.response.trials[:2]
        variance = {
            "gaussian": np.full(2, values["sigma"].item() ** 2 if name == "gaussian" else 0.0),
            "binomial": mean * (1 - mean / trials),
            "poisson": mean,
        }[fit.spec.family]
        np.testing.assert_allclose(outcome.var(axis=0), variance, rtol=0.1)


def test_drawn_categories_in_words(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    model = MODELS["ordinal"](table)
    values = {"beta": 0.0, "u_school": 0.0, "cutpoints": special.logit([0.2, 0.9])}
    fit = fake_fit(model, draws=20_000, chains=1, values=values)
    found = bml.predict(fit, table[:2], groups="known", kind="outcome", prob=0.5, seed=1)
    assert found["mode"].tolist() == ["mid", "mid"]
    np.testing.assert_allclose(found["probability"], 0.7, atol=0.02)
    assert found["median"].tolist() == ["mid", "mid"]
    assert found["lower"].tolist() == ["mid", "mid"]  # a quarter lies above the share 0.2 of low
    wide = bml.predict(fit, table[:2], groups="known", kind="outcome", prob=0.9, seed=1)
    assert wide["lower"].tolist() == ["low", "low"]
    assert wide["upper"].tolist() == ["high", "high"]
    assert wide["mode"].cat.ordered
    draws = bml.predict(fit, table[:2], groups="known", kind="outcome", draws=True, seed=1)
    assert draws.attrs["categories"] == ["low", "mid", "high"]
    assert set(np.unique(draws)) == {0, 1, 2}


# The design on new rows, also in another process

TERMS = [
    "bs(x, df=4)", "cr(x, df=4, constraints='center')", "0 + cr(x, df=4)", "center(x)", "scale(x)",
    "poly(x, 3)", "C(band)", "sex * C(band)", "scale(x) * sex", "poly(x, 2):sex", "x:w",
    "I(x ** 2) + log(x)", "0 + sex:scale(center(x) * 2)",
]  # fmt: skip

SAVED = [
    "bs(x, df=4) * sex + scale(w) + center(days) + C(band):logn",
    "0 + cr(x, df=4) + poly(w, 3):sex + I(days ** 2) + log(days)",
]

_CHILD = """
import json, sys
import numpy as np, pandas as pd
import bayesml as bml
found = {}
for number in range(int(sys.argv[2])):
    fit = bml.load(f"{sys.argv[1]}/{number}.nc")
    new = pd.read_json(f"{sys.argv[1]}/new.json")
    for groups in ("population", "known", "new", "marginal"):
        table = bml.predict(fit, new, groups=groups, seed=1)
        found[f"{number} {groups}"] = [
            [float(v).hex() for v in row] for row in table.select_dtypes("number").to_numpy()
        ]
assert "pymc" not in sys.modules and "pytensor" not in sys.modules
print(json.dumps(found))
"""


def test_a_loaded_fit_predicts_the_same_in_another_process(
    table: pd.DataFrame, fake_fit: MakeFit, tmp_path: Path
) -> None:
    models = [bml.model(table, f"y ~ {terms} + (scale(w) | school)") for terms in SAVED]
    models += [
        MODELS[name](table) for name in ("trials", "exposure", "ordinal", "nested", "membership")
    ]
    fits = [fake_fit(model, draws=3) for model in models]
    new = table.iloc[[40, 3, 40, 8]].reset_index(drop=True)
    new.to_json(tmp_path / "new.json", double_precision=15)
    new = pd.read_json(tmp_path / "new.json")
    for number, fit in enumerate(fits):
        fit.save(tmp_path / f"{number}.nc", data=False)
    run = subprocess.run(
        [sys.executable, "-c", _CHILD, str(tmp_path), str(len(fits))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    for number, fit in enumerate(fits):
        for groups in ("population", "known", "new", "marginal"):
            wanted = bml.predict(fit, new, groups=groups, seed=1).select_dtypes("number")
            values = [[float.fromhex(v) for v in row] for row in found[f"{number} {groups}"]]
            np.testing.assert_array_equal(np.array(values), wanted.to_numpy())


@pytest.mark.parametrize("terms", TERMS)
def test_terms_of_few_rows_are_those_of_the_fit(
    terms: str, table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    model = bml.model(table, f"y ~ {terms} + (1 | school)")
    fit = fake_fit(model, draws=2)
    found = bml.predict(fit, table[9:10], groups="population", kind="linear", draws=True)
    wanted = flat(fit.posterior["beta"]) @ model.design.fixed.values[9]
    np.testing.assert_allclose(flat(found)[:, 0], wanted, rtol=1e-12)


def test_a_formula_of_a_strange_file_runs_nothing(
    table: pd.DataFrame, fake_fit: MakeFit, tmp_path: Path
) -> None:
    """The stored design holds numbers and labels only: text in it is never evaluated."""
    fit = fake_fit(bml.model(table, "y ~ scale(x) + (1 | school)"), draws=2)
    design = json.loads(fit.data.attrs["design"])
    mark = tmp_path / "ran"
    design["fixed"]["codings"][0][1] = f"x')+__import__('pathlib').Path({str(mark)!r}).touch()+('"
    fit.data.attrs["design"] = json.dumps(design)
    with pytest.raises(Exception):  # noqa: B017, PT011 any error will do, but nothing may run
        bml.predict(fit, table, groups="population")
    assert not mark.exists()


# What cannot be predicted

Call = Callable[[Fit, pd.DataFrame], Any]

WRONG: list[tuple[str, Call, type[BayesmlError], str]] = [
    ("gaussian", lambda f, t: bml.predict(f, t), FitError,
     r"groups is not given, .*units of 'school'\. Choose groups='population'"),
    ("gaussian", lambda f, t: bml.predict(f, t, "knwon"), FitError,
     r"groups is 'knwon'\. Did you mean 'known'\? Allowed: population, known, new, known or new"),
    ("gaussian", lambda f, t: bml.predict(f, t, {"pupil": "new"}), FitError,
     r"groups names 'pupil', which is not a grouping of this model\. Allowed: 'school'"),
    ("crossed", lambda f, t: bml.predict(f, t, {"school": "new"}), FitError,
     r"groups says nothing about 'year'\. Name a strategy for every grouping"),
    ("crossed", lambda f, t: bml.predict(f, t, {"school": "new", "year": "old"}), FitError,
     r"groups is 'old'\. Allowed: .*population"),
    ("gaussian", lambda f, t: bml.predict(f, t, "known", kind="means"), FitError,
     r"kind is 'means'\. Did you mean 'mean'\? Allowed: mean, outcome, linear"),
    ("gaussian", lambda f, t: bml.predict(f, t, "known", prob=1.2), FitError, r"prob is 1\.2"),
    ("gaussian", lambda f, t: bml.predict(f, t, "new", seed=-1), FitError,
     r"seed is -1\. Give a whole number from 0 up, or None"),
    ("gaussian", lambda f, t: bml.predict(f, t[:3].assign(school=["s1", "q", "z"]), "known"),
     FitError, r"does not know these units of 'school': 'q', 'z', in row 2, 3\. It knows 's0', "
     r"'s1', 's10', \.\.\. \(12 in all\)\. Use groups='known or new'"),
    ("membership", lambda f, t: bml.predict(f, t[:2].assign(second=["v", "u3"]), "known"),
     FitError, r"these units of 'firm': 'v', in row 1\."),
    ("gaussian", lambda f, t: bml.predict(f, t.drop(columns="x"), "known"), TableError,
     r"The table has no column 'x' \(predictor\)"),
    ("gaussian", lambda f, t: bml.predict(f, t.drop(columns="school"), "new"), TableError,
     r"The table has no column 'school' \(grouping\)"),
    ("binary", lambda f, t: bml.predict(f, t.drop(columns="w"), "marginal"), TableError,
     r"The table has no column 'w' \(varying term\)"),
    ("exposure", lambda f, t: bml.predict(f, t.drop(columns="days"), "known"), TableError,
     r"The table has no column 'days' \(exposure\)"),
    ("trials", lambda f, t: bml.predict(f, t.drop(columns="items"), "known"), TableError,
     r"The table has no column 'items' \(trials\)"),
    ("trials", lambda f, t: bml.predict(f, t.assign(items=2.5), "known"), TableError,
     r"trials of 'correct' are not positive whole numbers in row 1, 2, .*\(2\.5\).*1 trial the"),
    ("exposure", lambda f, t: bml.predict(f, t.assign(days=0), "known"), TableError,
     r"The exposure 'days' is not positive in row 1"),
    ("gaussian", lambda f, t: bml.predict(f, t.assign(sex="D"), "known"), TableError,
     r"Column 'sex' holds 'D' in row 1, .*which the model has not seen\. Levels: 'F', 'M'"),
    ("gaussian", lambda f, t: bml.predict(f, t.assign(x=t["x"].where(t["x"] > 2)), "known"),
     TableError, r"Column 'x' \(predictor\) is missing in row .*Fill the values in"),
    ("gaussian", lambda f, t: bml.predict(
        f, t[:2].assign(x=[np.nan, 1], sex=[None, "F"]), "known"),
     TableError, r"is missing in row 1; columns with missing values: 'x', 'sex'\."),
    ("gaussian", lambda f, t: bml.predict(f, t[:2].assign(school=["s1", None]), "known"),
     TableError, r"'school' has no label in column 'school', row 2"),
    ("nested", lambda f, t: bml.predict(
        f, t[:2].assign(area=["n", None]), {"area": "population", "room": "known"}),
     TableError, r"'room' has no label in column 'area', row 2"),
    ("no grouping", lambda f, t: bml.predict(f, t.assign(x=9), "known"), TableError,
     r"These rows do not fit the model: .*beyond.*Keep their values within those of the rows"),
    ("gaussian", lambda f, t: bml.predict(f, "table.csv", "known"), TableError,
     r"'table\.csv' was given in place of a table"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "call", "error", "words"), WRONG)
def test_what_cannot_be_predicted_is_said(
    name: str,
    call: Call,
    error: type[BayesmlError],
    words: str,
    table: pd.DataFrame,
    fake_fit: MakeFit,
) -> None:
    with pytest.raises(error, match=words):
        call(fake_fit(MODELS[name](table), draws=2), table)


def test_a_term_that_is_no_number_on_new_rows(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    fit = fake_fit(bml.model(table, "y ~ log(x) + (1 | school)"), draws=2)
    with pytest.raises(TableError, match=r"'log\(x\)' of these rows is not a number .* row 2\."):
        bml.predict(fit, {"x": [1, -1]}, groups="population")


def test_a_fit_without_rows_or_without_design(
    table: pd.DataFrame, fake_fit: MakeFit, tmp_path: Path
) -> None:
    fit = fake_fit(MODELS["gaussian"](table), draws=2)
    bare = bml.load(fit.save(tmp_path / "bare.nc", data=False))
    with pytest.raises(FitError, match=r"saved without its rows .*Give new_data"):
        bml.predict(bare)
    del bare.data.attrs["design"]
    with pytest.raises(FitError, match=r"version that did not keep its design.*Fit the model"):
        bml.predict(bare, table, groups="new")


def test_every_strategy_works_with_every_model(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    for name in PLAIN:
        fit = fake_fit(MODELS[name](table), draws=2)
        for groups in STRATEGIES:
            for kind in ("mean", "outcome", "linear"):
                for rows in (None, table[:5]):
                    found = bml.predict(fit, rows, groups, kind, seed=1)
                    assert found.notna().all().all()
                    assert found.attrs["groups"] == (
                        groups if fit.facts.groupings else "population"
                    )


# Real fits


@pytest.mark.sampling
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("exam_fit", "exam"),
        ("growth_fit", "sleepstudy"),
        ("contraception_fit", "contraception"),
        ("ticks_fit", "grouseticks"),
        ("attitudes_fit", "socatt"),
    ],
)
def test_own_rows_and_the_same_rows_as_new_ones(
    name: str, data: str, request: pytest.FixtureRequest
) -> None:
    fit: Fit = request.getfixturevalue(name)
    own = bml.predict(fit)
    again = bml.predict(fit, bml.load_dataset(data), groups="known")
    numbers = ["mean", "sd", "lower", "upper"]
    np.testing.assert_allclose(own[numbers], again[numbers], rtol=1e-9)


@pytest.mark.sampling
def test_outcomes_of_a_real_fit_are_calibrated(exam_fit: Fit) -> None:
    """89 % intervals of pupils' scores hold about 89 % of the scores, in known and new schools."""
    exam = bml.load_dataset("exam")
    score = exam["normexam"].to_numpy()
    for groups in ("known", "new", "marginal"):
        found = bml.predict(exam_fit, exam, groups, kind="outcome", seed=1)
        inside = ((score >= found["lower"]) & (score <= found["upper"])).mean()
        # Scores of one school are alike, so the share varies more than that of 4,059 coins.
        assert inside == pytest.approx(0.89, abs=0.03)


@pytest.mark.sampling
def test_average_predictions_of_a_real_fit_match_the_shares(
    contraception_fit: Fit, attitudes_fit: Fit
) -> None:
    women = bml.load_dataset("contraception")
    share = (women["use"] == "Y").mean()
    assert bml.predict(contraception_fit)["mean"].mean() == pytest.approx(share, abs=0.01)
    # Averaged over all districts the share is that of the table too, but for its 60 districts.
    marginal = bml.predict(contraception_fit, women, "marginal")["mean"].mean()
    assert marginal == pytest.approx(share, abs=0.03)
    answers = bml.load_dataset("socatt")["numpos"].value_counts(normalize=True).sort_index()
    found = bml.predict(attitudes_fit).groupby("category", observed=False)["mean"].mean()
    np.testing.assert_allclose(found, answers, atol=0.015)
