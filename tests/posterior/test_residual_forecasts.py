"""Predictions with correlated residuals: forecasts of known units, joint draws of new ones."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.errors import FitError, TableError

Make = Callable[..., bml.Fit]
CORR = 0.4 * np.eye(4) + 0.6 * 0.5 ** np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
FIXED = {"beta": np.array([1.0, -0.5]), "sigma": 2.0}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Eight children at weeks 0 to 3; child c2 lacks week 1."""
    rng = np.random.default_rng(8)
    number = np.arange(32)
    whole = pd.DataFrame(
        {
            "child": [f"c{item}" for item in number // 4],
            "week": number % 4,
            "day": 7.0 * (number % 4),
            "x": rng.normal(size=32),
            "score": rng.normal(1.0, 2.0, 32),
        }
    )
    return whole.drop(index=9).reset_index(drop=True)


def made(text: str, table: pd.DataFrame, bars: str = "") -> bml.Model:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bml.BayesmlWarning)
        return bml.model(table, f"score ~ x{bars}", residual=text)


def errors_of(table: pd.DataFrame, child: str) -> pd.DataFrame:
    rows = table[table["child"] == child]
    return rows.assign(error=rows["score"] - (1.0 - 0.5 * rows["x"]))


@pytest.mark.parametrize(
    ("text", "column", "ahead", "phi", "factor"),
    [
        ("ar1(week, child)", "week", 5, -0.4, (-0.4) ** 2),
        ("ar1(week, child)", "week", 4, 0.7, 0.7),
        ("continuous_ar(day, child)", "day", 24.5, 0.9, 0.9**3.5),
    ],
)
def test_a_forecast_carries_the_last_residual(
    text: str,
    column: str,
    ahead: float,
    phi: float,
    factor: float,
    table: pd.DataFrame,
    fake_fit: Make,
) -> None:
    fit = fake_fit(made(text, table), values={**FIXED, "phi": phi})
    new = pd.DataFrame({"child": ["c3"], column: [ahead], "x": [0.3]})
    last = errors_of(table, "c3")["error"].iloc[-1]
    found = bml.predict(fit, new, groups="known")
    assert found["mean"].item() == pytest.approx(1.0 - 0.15 + factor * last)
    assert found["sd"].item() == pytest.approx(0, abs=1e-9)
    assert found.attrs["residuals"] == "known"
    assert bml.predict(fit, new, kind="linear")["mean"].item() == pytest.approx(0.85)


def test_the_order_of_the_rows_goes_on(table: pd.DataFrame, fake_fit: Make) -> None:
    fit = fake_fit(made("ar1(child)", table), values={**FIXED, "phi": 0.5})
    new = pd.DataFrame({"child": ["c3", "c2", "c3"], "x": [0.0, 0.0, 0.0]})
    found = bml.predict(fit, new, groups="known")["mean"] - 1.0
    for row, (child, factor) in enumerate([("c3", 0.5), ("c2", 0.5), ("c3", 0.25)]):
        last = errors_of(table, child)["error"].iloc[-1]
        assert found[row] == pytest.approx(factor * last)


def test_a_gap_is_filled_from_both_sides(table: pd.DataFrame, fake_fit: Make) -> None:
    """Week 1 of child c2, given weeks 0, 2 and 3: the dense conditional mean and covariance."""
    sd = np.array([1.0, 2.0, 0.5, 1.5])
    model = made("unstructured(week, child)", table)
    fit = fake_fit(
        model, draws=4000, values={"beta": FIXED["beta"], "sigma": sd, "corr_residual": CORR}
    )
    new = pd.DataFrame({"child": ["c2"], "week": [1], "x": [0.0]})
    covariance = CORR * np.outer(sd, sd)
    weights = np.linalg.solve(covariance[np.ix_([0, 2, 3], [0, 2, 3])], covariance[[0, 2, 3], 1])
    expected = weights @ errors_of(table, "c2")["error"].to_numpy()
    mean = bml.predict(fit, new, groups="known")
    assert mean["mean"].item() == pytest.approx(1.0 + expected)
    spread = np.sqrt(covariance[1, 1] - weights @ covariance[[0, 2, 3], 1])
    drawn = bml.predict(fit, new, groups="known", kind="outcome", draws=True, seed=3).values.ravel()
    # Four standard errors of a mean and of an SD.
    assert drawn.mean() == pytest.approx(1.0 + expected, abs=4 * spread / np.sqrt(drawn.size))
    assert drawn.std() == pytest.approx(spread, abs=4 * spread / np.sqrt(2 * drawn.size))


TEXTS: dict[str, dict[str, Any]] = {
    "ar1(week, child)": {"phi": 0.6},
    "compound_symmetric(child)": {"corr_residual": 0.4},
    "unstructured(week, child)": {"corr_residual": CORR},
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("own", [True, False], ids=["own rows", "new units"])
def test_rows_of_a_unit_are_drawn_together(
    text: str, own: bool, table: pd.DataFrame, fake_fit: Make
) -> None:
    fit = fake_fit(made(text, table), draws=4000, values={**FIXED, **TEXTS[text]})
    new = pd.DataFrame({"child": list("aabb"), "week": [0, 2, 0, 2], "x": 0.0})
    drawn = bml.predict(
        fit, None if own else new, groups="known" if own else "new", kind="outcome", draws=True,
        seed=4,
    )  # fmt: skip
    rows = [0, 2, 4, 6] if own else [0, 1, 2, 3]
    found = np.corrcoef(drawn.values.reshape(-1, drawn.sizes["obs"])[:, rows].T)
    pair = {"ar1(week, child)": 0.36, "compound_symmetric(child)": 0.4}.get(text, CORR[0, 2])
    expected = np.eye(4)
    expected[[0, 1, 2, 3], [1, 0, 3, 2]] = pair
    # Four standard errors of a correlation.
    assert np.abs(found - expected).max() < 4 / np.sqrt(drawn.sizes["draw"] * 2)
    spread = drawn.values.reshape(-1, drawn.sizes["obs"]).std(axis=0)
    assert spread == pytest.approx(np.full(len(spread), 2.0), rel=0.05)


def test_every_row_by_itself_without_units(table: pd.DataFrame, fake_fit: Make) -> None:
    fit = fake_fit(
        made("ar1(week, child)", table, " + (1 | child)"),
        draws=4000,
        values={**FIXED, "phi": 0.9, "sd_child": 1.5},
    )
    new = {"x": [0.0, 0.0]}
    for groups, spread in (("population", 2.0), ("marginal", 2.5)):
        drawn = bml.predict(fit, new, groups=groups, kind="outcome", draws=True, seed=5)
        values = drawn.values.reshape(-1, 2)
        assert values.std(axis=0) == pytest.approx([spread, spread], rel=0.05)
        assert abs(np.corrcoef(values.T)[0, 1]) < 4 / np.sqrt(len(values))


def test_draws_do_not_depend_on_other_rows(table: pd.DataFrame, fake_fit: Make) -> None:
    fit = fake_fit(made("ar1(week, child)", table), values={**FIXED, "phi": 0.6})
    new = pd.DataFrame({"child": list("abab"), "week": [0, 0, 1, 1], "x": 0.0})

    def draws(rows: pd.DataFrame) -> np.ndarray:
        found = bml.predict(fit, rows, groups="new", kind="outcome", draws=True, seed=6)
        return np.asarray(found.values)

    alone = new[new["child"] == "b"]
    np.testing.assert_array_equal(draws(new)[:, :, [1, 3]], draws(alone))


REFUSED = [
    ({"child": ["c3"], "week": [2], "x": [0]}, "known", FitError, "that the fit has"),
    ({"child": ["c3", "c3"], "week": [5, 5], "x": 0}, "known", FitError, "repeat an occasion"),
    ({"child": ["zz"], "week": [5], "x": [0]}, "known", FitError, "does not know these units"),
    ({"week": [5], "x": [0]}, "known", TableError, "child"),
    ({"child": ["c3"], "x": [0]}, "known", TableError, "week"),
    ({"child": ["c3"], "week": [4.5], "x": [0]}, "known", TableError, "not a whole number"),
    ({"child": [None], "week": [5], "x": [0]}, "new", TableError, "has no label"),
]


@pytest.mark.parametrize(("rows", "groups", "kind", "words"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_predicted_is_named(
    rows: dict[str, Any],
    groups: str,
    kind: type[Exception],
    words: str,
    table: pd.DataFrame,
    fake_fit: Make,
) -> None:
    fit = fake_fit(made("ar1(week, child)", table), values={**FIXED, "phi": 0.6})
    with pytest.raises(kind) as error:
        bml.predict(fit, pd.DataFrame(rows), groups=groups)
    assert words in str(error.value)


def test_an_unknown_occasion_is_refused(table: pd.DataFrame, fake_fit: Make) -> None:
    fit = fake_fit(made("unstructured(week, child)", table))
    with pytest.raises(FitError, match="does not know the occasion '9'"):
        bml.predict(fit, {"child": ["c3"], "week": [9], "x": [0.0]})


def test_a_saved_fit_forecasts(table: pd.DataFrame, fake_fit: Make, tmp_path: Any) -> None:
    fit = fake_fit(made("ar1(week, child)", table, " + (1 | child)"), values={"phi": 0.6})
    again = bml.load(fit.save(tmp_path / "fit.nc"))
    new = pd.DataFrame({"child": ["c3"], "week": [6], "x": [0.0]})
    pd.testing.assert_frame_equal(
        bml.predict(fit, new, groups="known"), bml.predict(again, new, groups="known")
    )
    without = bml.load(fit.save(tmp_path / "bare.nc", data=False))
    with pytest.raises(FitError, match="saved without its rows"):
        bml.predict(without, new, groups="known")
    assert np.isfinite(bml.predict(without, new, groups="new", seed=1)["mean"]).all()
