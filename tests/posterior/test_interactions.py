"""Simple slopes and regions of significance against the closed form of a product of two columns."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

import bayesml as bml
from bayesml.errors import FitError, TableError
from bayesml.records.fits import Fit

MakeFit = Callable[..., Fit]
ROWS = 120


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    number = np.arange(ROWS)
    means = rng.uniform(-1, 2, 12)
    return pd.DataFrame(
        {
            "y": rng.normal(size=ROWS),
            "x": rng.normal(size=ROWS),
            "w": means[number % 12],
            "v": rng.normal(size=ROWS),
            "sector": np.where(number % 12 < 5, "private", "public"),
            "school": number % 12,
        }
    )


@pytest.fixture(scope="module")
def fit(table: pd.DataFrame, fake_fit: MakeFit) -> Fit:
    """Slope of x about 0.3 - 0.4 w: 0 within the range of w."""
    rng = np.random.default_rng(9)
    centre, spread = [0.0, 0.3, 0.1, -0.4], [0.1, 0.05, 0.1, 0.06]
    beta = rng.normal(centre, spread, size=(2, 400, 4))
    return fake_fit(bml.model(table, "y ~ x * w + (x | school)"), draws=400, values={"beta": beta})


def coefficients(fit: Fit) -> dict[str, np.ndarray]:
    beta = fit.posterior["beta"]
    return {label: beta.sel(coef=label).values.ravel() for label in beta["coef"].values.tolist()}


def test_simple_slopes_at_given_values(fit: Fit) -> None:
    b = coefficients(fit)
    found = bml.simple_slopes(fit, "x", "w", [-1, 0, 1.5], prob=0.8)
    assert found["w"].tolist() == [-1, 0, 1.5]
    for row in found.itertuples():
        slope = b["x"] + row.w * b["x:w"]
        assert row.mean == pytest.approx(slope.mean(), rel=1e-6)
        assert row.sd == pytest.approx(slope.std(ddof=1), rel=1e-6)
        assert row.lower == pytest.approx(np.quantile(slope, 0.1), rel=1e-6)
        assert row.probability == (slope > 0).mean()
    draws = bml.simple_slopes(fit, "x", "w", [-1, 0], draws=True)
    assert draws.dims == ("chain", "draw", "value")
    np.testing.assert_allclose(draws.sel(value=-1).values.ravel(), b["x"] - b["x:w"], rtol=1e-6)
    assert found.attrs["groups"] == "population"
    assert found.attrs["scale"] == "link (identity)"


def test_simple_slopes_at_the_mean_and_an_sd_off_it(fit: Fit, table: pd.DataFrame) -> None:
    found = bml.simple_slopes(fit, "x", "w")
    mean, sd = table["w"].mean(), table["w"].std()
    assert found["w"].tolist() == pytest.approx([mean - sd, mean, mean + sd])


def test_simple_slopes_at_levels(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    fit = fake_fit(bml.model(table, "y ~ x * sector + (1 | school)"), draws=20)
    b = coefficients(fit)
    found = bml.simple_slopes(fit, "x", "sector")
    assert found["sector"].tolist() == ["private", "public"]
    np.testing.assert_allclose(
        found["mean"], [b["x"].mean(), (b["x"] + b["x:sector[public]"]).mean()], rtol=1e-6
    )


def test_slopes_that_depend_on_more_are_averaged(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    fit = fake_fit(bml.model(table, "y ~ x * w + x:v + I(x ** 2) + (1 | school)"), draws=20)
    b = coefficients(fit)
    mean = table[["x", "v"]].mean()
    found = bml.simple_slopes(fit, "x", "w", [0.5])["mean"].iloc[0]
    slope = b["x"] + 0.5 * b["x:w"] + mean["v"] * b["x:v"] + 2 * mean["x"] * b["I(x ** 2)"]
    assert found == pytest.approx(slope.mean(), rel=1e-5)


def test_the_region_of_significance(fit: Fit, table: pd.DataFrame) -> None:
    """The ends solve: a quantile of b_x + b_xw w is 0."""
    b = coefficients(fit)
    low, high = table["w"].min(), table["w"].max()

    def quantile(w: float, share: float) -> float:
        return float(np.quantile(b["x"] + w * b["x:w"], share))

    first = optimize.brentq(quantile, low, high, args=(0.055,))
    second = optimize.brentq(quantile, low, high, args=(0.945,))
    found = bml.significance_region(fit, "x", "w")
    assert found.regions["sign"].tolist() == [1, -1]
    np.testing.assert_allclose(found.regions["from"], [low, second], rtol=1e-6)
    np.testing.assert_allclose(found.regions["to"], [first, high], rtol=1e-6)
    shares = [(table["w"] <= first).mean(), (table["w"] >= second).mean()]
    np.testing.assert_allclose(found.regions["rows"], shares)
    zero = -b["x"] / b["x:w"]
    assert found.crossing is not None
    crossing = found.crossing.iloc[0]
    assert crossing["median"] == pytest.approx(np.median(zero), rel=1e-5)
    assert crossing["upper"] == pytest.approx(np.quantile(zero, 0.945), rel=1e-5)
    assert crossing["inside"] == ((zero >= low) & (zero <= high)).mean()
    assert found.table["w"].iloc[[0, -1]].tolist() == pytest.approx([low, high])


def test_the_region_in_words(fit: Fit) -> None:
    found = bml.significance_region(fit, "x", "w")
    text = str(found)
    assert text.startswith("Slope of x along w, observed from -0.")
    assert "- above 0 for w from -0." in text
    assert "- below 0 for w from" in text
    assert "% of the rows" in text
    assert "- it is 0 at w = 0.7" in text
    assert found._repr_html_() == f"<pre>{text}</pre>"
    assert repr(found) == "<bayesml SignificanceRegion: x along w>"


def test_small_units_are_no_reason_to_see_no_interaction(
    table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    small = table.assign(w=table["w"] * 1e-9)
    fit = fake_fit(bml.model(small, "y ~ x * w + (1 | school)"), draws=20)
    b = coefficients(fit)
    found = bml.simple_slopes(fit, "x", "w", [-1e-9, 1e-9])
    wanted = [(b["x"] + w * b["x:w"]).mean() for w in (-1e-9, 1e-9)]
    np.testing.assert_allclose(found["mean"], wanted, rtol=1e-6)
    assert bml.significance_region(fit, "x", "w").crossing is not None


def test_new_rows_without_the_moderator(fit: Fit, table: pd.DataFrame) -> None:
    for call in (bml.simple_slopes, bml.significance_region):
        with pytest.raises(
            TableError, match=r"The table has no column 'w' \((moderator|predictor)"
        ):
            call(fit, "x", "w", new_data=table.drop(columns="w"))


def test_no_region(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    beta = np.random.default_rng(1).normal(0, 1, size=(2, 200, 4))
    fit = fake_fit(bml.model(table, "y ~ x * w + (1 | school)"), draws=200, values={"beta": beta})
    found = bml.significance_region(fit, "x", "w")
    assert found.regions.empty
    assert "nowhere does the interval leave out 0" in str(found)


def test_a_curved_slope(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    """b_x + b_w2 w^2 with b_x about -1, b_w2 about 1: below 0 between -1 and 1, above outside."""
    rng = np.random.default_rng(2)
    beta = rng.normal([0, -1, 0, 1], 0.05, size=(2, 200, 4))
    model = bml.model(table, "y ~ x + w + x:I(w ** 2) + (1 | school)")
    assert model.design.fixed.labels == ("Intercept", "x", "w", "x:I(w ** 2)")
    fit = fake_fit(model, draws=200, values={"beta": beta})
    found = bml.significance_region(fit, "x", "w")
    assert found.crossing is None
    assert found.regions["sign"].tolist() == [-1, 1]
    b = coefficients(fit)

    def quantile(w: float, share: float) -> float:
        return float(np.quantile(b["x"] + w**2 * b["x:I(w ** 2)"], share))

    # Between two of the 41 points the slope is taken as straight.
    end = optimize.brentq(quantile, 0, 2, args=(0.945,))
    assert found.regions["to"].iloc[0] == pytest.approx(end, abs=2e-3)
    assert "it is 0 at" not in str(found)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda f: bml.simple_slopes(f, "x", "v"), r"moderator names 'v', which is not"),
        (lambda f: bml.simple_slopes(f, "z", "w"), r"variable names 'z', which is not a predictor"),
        (lambda f: bml.simple_slopes(f, "x", "x"), r"variable and moderator are both 'x'"),
        (lambda f: bml.simple_slopes(f, "x", "w", []), r"values is empty"),
        (lambda f: bml.simple_slopes(f, "x", "w", ["a"]), r"'a' is not one"),
        (lambda f: bml.simple_slopes(f, "x", "w", prob=3), r"prob is 3"),
        (lambda f: bml.significance_region(f, "x", "w", prob=3), r"prob is 3"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_said(call: Callable[[Fit], Any], words: str, fit: Fit) -> None:
    with pytest.raises(FitError, match=words):
        call(fit)


def test_columns_that_do_not_interact(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    fit = fake_fit(bml.model(table, "y ~ x + w * sector + v + (1 | school)"), draws=5)
    with pytest.raises(FitError, match=r"slope of 'x' is the same at every value of 'w'.*x \* w"):
        bml.simple_slopes(fit, "x", "w")
    with pytest.raises(FitError, match=r"slope of 'x' is the same at every value of 'v'"):
        bml.significance_region(fit, "x", "v")
    with pytest.raises(FitError, match=r"variable is 'sector', which holds labels.*bml\.contrast"):
        bml.simple_slopes(fit, "sector", "w")
    with pytest.raises(FitError, match=r"moderator is 'sector', which holds labels.*simple_slopes"):
        bml.significance_region(fit, "w", "sector")
    with pytest.raises(TableError, match=r"holds 'none' .*which the model has not seen"):
        bml.simple_slopes(fit, "w", "sector", ["public", "none"])
