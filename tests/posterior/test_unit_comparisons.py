"""Differences of units by NumPy, and what comparative intervals mean."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from bayesml.errors import FitError
from bayesml.records.fits import Fit
from bayesml.records.modelling import Model

MakeFit = Callable[..., Fit]
UNITS = 20


@pytest.fixture(scope="module")
def model() -> Model:
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "y": rng.normal(size=200),
            "x": rng.normal(size=200),
            "school": np.repeat([f"school {number:02d}" for number in range(UNITS)], 10),
        }
    )
    return bml.two_level(table, "y ~ x", group="school", slopes=["x"])


def effects(spread: float, chains: int = 2, draws: int = 400) -> np.ndarray:
    """Return draws whose means are 0, 1, ... by intercept and ..., 1, 0 by slope."""
    rng = np.random.default_rng(2)
    means = np.column_stack([np.arange(UNITS), np.arange(UNITS)[::-1]])
    return means + spread * rng.normal(size=(chains, draws, UNITS, 2))


def test_a_difference_by_numpy(model: Model, fake_fit: MakeFit) -> None:
    draws = effects(2.0)
    fit = fake_fit(model, draws=400, values={"u_school": draws})
    found = bml.compare_units(fit, "school", "school 07", "school 05", prob=0.8)
    difference = (draws[:, :, 7] - draws[:, :, 5]).reshape(-1, 2)
    assert found["term"].tolist() == ["Intercept", "x"]
    assert found["a"].tolist() == ["school 07"] * 2
    assert found["b"].tolist() == ["school 05"] * 2
    assert found["mean"].to_numpy() == pytest.approx(difference.mean(axis=0))
    assert found["sd"].to_numpy() == pytest.approx(difference.std(axis=0, ddof=1))
    assert found["lower"].to_numpy() == pytest.approx(np.quantile(difference, 0.1, axis=0))
    assert found["p_greater"].to_numpy() == pytest.approx((difference > 0).mean(axis=0))
    assert found["p_greater"].iloc[0] == pytest.approx(
        stats.norm.cdf(2 / (2 * np.sqrt(2))), abs=0.06
    )
    back = bml.compare_units(fit, "school", "school 05", "school 07")
    assert back["p_greater"].to_numpy() == pytest.approx(1 - found["p_greater"].to_numpy())
    one = draws[:, :, 7].reshape(-1, 2)
    half = 1.39 * one.std(axis=0, ddof=1)
    assert found["a_lower"].to_numpy() == pytest.approx(one.mean(axis=0) - half)
    assert found["a_upper"].to_numpy() == pytest.approx(one.mean(axis=0) + half)
    array = bml.compare_units(fit, "school", "school 07", "school 05", term="x", draws=True)
    assert array.dims == ("chain", "draw", "term")
    assert array.values[..., 0] == pytest.approx((draws[:, :, 7] - draws[:, :, 5])[..., 1])


def test_equal_units_are_even(model: Model, fake_fit: MakeFit) -> None:
    fit = fake_fit(model, values={"u_school": 0.0})
    found = bml.compare_units(fit, "school", "school 01", "school 02", term="Intercept")
    assert found["p_greater"].tolist() == [0.5]
    assert found["overlap"].tolist() == [True]


def test_comparative_intervals_mean_what_they_say(model: Model, fake_fit: MakeFit) -> None:
    # Two units with independent errors of SD 1 whose intervals just touch are 2.78 apart: 1.96
    # times the SD of their difference, sqrt(2), up to the digits of 1.39.
    fit = fake_fit(model, draws=400, values={"u_school": effects(1.0)})
    found = bml.comparative_intervals(fit, "school", term="Intercept").set_index("unit")
    numbers = bml.random_effects(fit, "school", term="Intercept").set_index("unit")
    assert found["sd"].to_numpy() == pytest.approx(numbers["sd"].to_numpy())
    half = (found["upper"] - found["lower"]) / 2
    assert half.to_numpy() == pytest.approx(1.39 * numbers["sd"].to_numpy())
    assert stats.norm.sf(2 * 1.39 / np.sqrt(2)) * 2 == pytest.approx(0.05, abs=1e-3)
    words = found.attrs["assumption"]
    assert "independent and equally large" in words
    assert f"{numbers['sd'].min():.3g} to {numbers['sd'].max():.3g}" in words
    pair = bml.compare_units(fit, "school", "school 07", "school 02", term="Intercept").iloc[0]
    assert pair["a_lower"] == pytest.approx(found.loc["school 07", "lower"])
    assert pair["b_upper"] == pytest.approx(found.loc["school 02", "upper"])
    assert not pair["overlap"]


def test_a_unit_that_does_not_exist(model: Model, fake_fit: MakeFit) -> None:
    fit = fake_fit(model, draws=2)
    with pytest.raises(
        FitError, match=r"school has no unit 'schol 07'\. Did you mean 'school 07'\?.*20 units"
    ):
        bml.compare_units(fit, "school", "schol 07", "school 02")
    with pytest.raises(FitError, match=r"no unit '¿'\. Use one of these labels\. Its 20 units"):
        bml.compare_units(fit, "school", "school 02", "¿")
    with pytest.raises(FitError, match=r"a and b both name the unit 'school 02' of school"):
        bml.compare_units(fit, "school", "school 02", "school 02")


def test_numbers_name_units_too(fake_fit: MakeFit) -> None:
    fit = fake_fit(bml.two_level(bml.load_dataset("exam"), "normexam ~ 1", group="school"))
    assert bml.compare_units(fit, "school", 53, np.int64(54))["a"].tolist() == ["53"]
    assert bml.compare_units(fit, "school", "53", 54)["b"].tolist() == ["54"]
    with pytest.raises(FitError, match=r"no unit '533'\. Did you mean '53'\?"):
        bml.compare_units(fit, "school", 533, 1)


def test_members_can_be_compared(fake_fit: MakeFit) -> None:
    table = pd.DataFrame({"y": np.arange(20.0) % 7, "a": list("pqrst") * 4, "b": list("qrstp") * 4})
    model = bml.multiple_membership(table, "y ~ 1", members=["a", "b"], name="team")
    values = {"u_team": np.array([[1.0], [3.0], [2.0], [0.0], [-1.0]])}
    found = bml.compare_units(fake_fit(model, values=values), "team", "q", "p")
    assert found["mean"].tolist() == [2.0]
    assert found["p_greater"].tolist() == [1.0]


def test_units_at_values_of_covariates_by_numpy(model: Model, fake_fit: MakeFit) -> None:
    draws = effects(2.0)
    fit = fake_fit(model, draws=400, values={"u_school": draws})
    whole = draws[..., 0] - 0.5 * draws[..., 1]
    found = bml.compare_units(fit, "school", "school 03", "school 04", at={"x": -0.5})
    difference = whole[:, :, 3] - whole[:, :, 4]
    assert found["mean"].tolist() == [pytest.approx(difference.mean())]
    assert found["p_greater"].tolist() == [pytest.approx((difference > 0).mean())]
    assert found["term"].tolist() == ["at x = -0.5"]
    intervals = bml.comparative_intervals(fit, "school", at={"x": -0.5})
    assert intervals["sd"].to_numpy() == pytest.approx(whole.reshape(-1, UNITS).std(0, ddof=1))
    assert intervals.attrs["at"] == {"x": -0.5}
    effect = bml.random_effects(fit, "school", at={"x": -0.5})
    assert effect["mean"].to_numpy() == pytest.approx(whole.mean(axis=(0, 1)))
    assert effect.attrs["at"] == {"x": -0.5}


def test_values_that_cannot_be_used(model: Model, fake_fit: MakeFit) -> None:
    fit = fake_fit(model, draws=2)
    with pytest.raises(FitError, match=r"at names 'z', which is not a covariate.*'x'"):
        bml.comparative_intervals(fit, "school", at={"z": 1})
    with pytest.raises(FitError, match=r"term names one term, and at adds all.*one of the two"):
        bml.comparative_intervals(fit, "school", term="x", at={"x": 1})
    exam = fake_fit(bml.two_level(bml.load_dataset("exam"), "normexam ~ standLRT", group="school"))
    with pytest.raises(FitError, match=r"Only the intercept varies over school.*Leave at out"):
        bml.random_effects(exam, "school", at={"standLRT": 1})
