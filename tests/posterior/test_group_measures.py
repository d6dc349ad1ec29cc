"""Design effects and reliabilities: against the variances of simulated means."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.errors import FitError
from bayesml.records.fits import Fit

MakeFit = Callable[..., Fit]

VARIANCES = {"child": 0.6, "school": 0.3, "area": 0.5}
SIGMA = 0.9


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Unbalanced: children of 1 to 7 rows in 12 schools, crossed with areas."""
    rng = np.random.default_rng(8)
    child = np.repeat(np.arange(70), rng.integers(1, 8, size=70))
    school = np.sort(rng.integers(0, 12, size=70))[child]
    return pd.DataFrame(
        {
            "y": rng.normal(size=len(child)),
            "x": rng.normal(size=len(child)),
            "child": child,
            "school": school,
            "area": rng.integers(0, 9, size=len(child)),
        }
    )


@pytest.fixture(scope="module")
def fit(table: pd.DataFrame, fake_fit: MakeFit) -> Fit:
    model = bml.model(table, "y ~ 1 + (1 | child) + (1 | school) + (1 | area)")
    values = {f"sd_{name}": np.sqrt(variance) for name, variance in VARIANCES.items()}
    return fake_fit(model, draws=2, values=values | {"sigma": SIGMA})


@pytest.fixture(scope="module")
def parts(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Effects of each grouping and of level 1 by row, shape (rows, replications)."""
    rng = np.random.default_rng(4)
    times = 40_000
    found = {
        name: np.sqrt(variance) * rng.normal(size=(table[name].max() + 1, times))[table[name]]
        for name, variance in VARIANCES.items()
    }
    return found | {"residual": SIGMA * rng.normal(size=(len(table), times))}


def test_design_effect_of_all_groupings_against_simulated_means(
    table: pd.DataFrame, fit: Fit, parts: dict[str, np.ndarray]
) -> None:
    found = bml.design_effect(fit).set_index(["grouping", "quantity"])["mean"]
    variance = sum(parts.values()).mean(axis=0).var()
    independent = (sum(VARIANCES.values()) + SIGMA**2) / len(table)
    # The standard error of a variance over 40,000 means is 0.7 % of it.
    assert found["all", "design effect"] == pytest.approx(variance / independent, rel=0.025)
    assert found["all", "effective sample size"] == pytest.approx(
        len(table) / found["all", "design effect"]
    )


def test_design_effect_of_one_grouping_by_the_formula(table: pd.DataFrame, fit: Fit) -> None:
    found = bml.design_effect(fit).set_index(["grouping", "quantity"])["mean"]
    total = sum(VARIANCES.values()) + SIGMA**2
    rho = {
        "child": (VARIANCES["child"] + VARIANCES["school"]) / total,
        "school": VARIANCES["school"] / total,
        "area": VARIANCES["area"] / total,
    }
    for name in rho:
        sizes = table.groupby(name).size()
        size = (sizes**2).sum() / sizes.sum()
        assert found[name, "design effect"] == pytest.approx(1 + (size - 1) * rho[name])
    assert bml.design_effect(fit).attrs["rows_per_unit"]["area"] == pytest.approx(
        (table.groupby("area").size() ** 2).sum() / len(table)
    )
    draws = bml.design_effect(fit, draws=True)
    assert draws.dims == ("chain", "draw", "part")
    assert draws["quantity"].values.tolist()[:2] == ["design effect", "effective sample size"]


def test_one_grouping_has_one_design_effect(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    model = bml.two_level(table, "y ~ x", group="school")
    found = bml.design_effect(fake_fit(model, draws=2))
    assert found["grouping"].unique().tolist() == ["school"]


def test_design_effect_of_a_multiple_membership_by_its_weights(
    table: pd.DataFrame, fake_fit: MakeFit, tmp_path: Path
) -> None:
    rows = table.assign(second=(table["area"] + 1 + table["area"] % 2) % 9, w1=0.7, w2=0.3)
    model = bml.multiple_membership(
        rows, "y ~ 1", members=["area", "second"], weights=["w1", "w2"], name="place"
    )
    fit = fake_fit(model, draws=2, values={"sd_place": 1.0, "sigma": 1.0})
    found = bml.design_effect(fit).set_index("quantity")["mean"]
    sums = np.zeros(9)
    np.add.at(sums, rows["area"], 0.7)
    np.add.at(sums, rows["second"], 0.3)
    one = 0.7**2 + 0.3**2 + 1.0
    exact = (sums @ sums / len(rows) + 1.0) / one
    assert found["design effect"] == pytest.approx(exact)
    bare = bml.load(fit.save(tmp_path / "bare.nc", data=False))
    with pytest.raises(FitError, match=r"design_effect with multiple membership needs the rows"):
        bml.design_effect(bare)


@pytest.mark.parametrize("name", ["child", "school", "area"])
def test_reliability_against_simulated_means(
    table: pd.DataFrame, fit: Fit, parts: dict[str, np.ndarray], name: str
) -> None:
    found = bml.reliability(fit, name, by_unit=True)
    assert found["unit"].tolist() == sorted(table[name].unique())
    assert found["rows"].tolist() == table.groupby(name).size().tolist()
    # What contains the unit is the same for all its rows, and no error of its mean.
    error = sum(
        values
        for other, values in parts.items()
        if other != name and not (name == "child" and other == "school")
    )
    noise = pd.DataFrame(error).groupby(table[name]).mean().var(axis=1).to_numpy()
    expected = VARIANCES[name] / (VARIANCES[name] + noise)
    assert found["mean"].to_numpy() == pytest.approx(expected, rel=0.03)
    mean = bml.reliability(fit, name)
    assert mean["mean"].iloc[0] == pytest.approx(found["mean"].mean())
    assert mean["grouping"].tolist() == [name]


def test_reliability_of_all_groupings_and_draws(fit: Fit) -> None:
    assert bml.reliability(fit)["grouping"].tolist() == ["child", "school", "area"]
    draws = bml.reliability(fit, by_unit=True, draws=True)
    assert draws.dims == ("chain", "draw", "unit")
    assert draws["grouping"].values[-1] == "area"
    assert draws.sizes["unit"] == sum(item.units for item in fit.facts.groupings)


def test_reliability_of_shares_of_successes(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    rows = table.assign(y=(table["y"] > 0).astype(int))
    model = bml.two_level(rows, "y ~ 1", group="school", family="binomial")
    fit = fake_fit(model, draws=2, values={"beta": -0.7, "sd_school": 1.1})
    rng = np.random.default_rng(6)
    p = 1 / (1 + np.exp(0.7 - 1.1 * rng.normal(size=400_000)))
    found = bml.reliability(fit, scale="response", by_unit=True).iloc[0]
    share = rng.binomial(int(found["rows"]), p) / found["rows"]
    assert found["mean"] == pytest.approx(p.var() / share.var(), rel=0.01)


def test_reliability_needs_rows_of_one_unit(
    table: pd.DataFrame, fit: Fit, fake_fit: MakeFit, tmp_path: Path
) -> None:
    rows = table.assign(second=(table["area"] + 1) % 9)
    model = bml.multiple_membership(rows, "y ~ 1", members=["area", "second"], name="place")
    with pytest.raises(FitError, match=r"'place' has multiple membership. Use bml\.vpc\(fit\)"):
        bml.reliability(fake_fit(model, draws=2))
    bare = bml.load(fit.save(tmp_path / "bare.nc", data=False))
    with pytest.raises(
        FitError, match=r"reliability needs the rows .* without them \(data=False\)"
    ):
        bml.reliability(bare)
    assert len(bml.design_effect(bare)) == 8  # numbers of rows are enough
    with pytest.raises(FitError, match=r"'schools' is not a grouping"):
        bml.reliability(fit, "schools")
