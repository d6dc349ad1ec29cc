"""Contrasts and slopes against derivatives by hand and NumPy on the stored draws."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, interpolate, special, stats

import bayesml as bml
from bayesml.errors import BayesmlError, FitError, TableError
from bayesml.records.fits import Fit

MakeFit = Callable[..., Fit]
ROWS = 120


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    number = np.arange(ROWS)
    return pd.DataFrame(
        {
            "y": rng.normal(size=ROWS),
            "passed": rng.permutation(number % 2),
            "count": rng.poisson(2.0, ROWS),
            "days": rng.uniform(1, 3, ROWS),
            "mood": rng.permutation(np.array(["low", "mid", "high"])[number % 3]),
            "x": rng.uniform(1, 5, ROWS),
            "w": rng.normal(size=ROWS),
            "sex": rng.choice(["F", "M"], ROWS),
            "band": rng.choice([1, 2, 3], ROWS),
            "yes": rng.choice([True, False], ROWS),
            "school": np.array([f"s{item:02}" for item in number % 12]),
            "first": [f"u{item}" for item in number % 8],
            "second": [f"u{item}" for item in (number + 1 + number // 8 % 3) % 8],
            "mean": rng.normal(size=ROWS),
        }
    )


@pytest.fixture(scope="module")
def linear(table: pd.DataFrame, fake_fit: MakeFit) -> Fit:
    return fake_fit(
        bml.model(table, "y ~ x * w + I(x ** 2) + sex + C(band) + (x | school)"), draws=10
    )


@pytest.fixture(scope="module")
def binary(table: pd.DataFrame, fake_fit: MakeFit) -> Fit:
    model = bml.model(table, "passed ~ x + sex + yes + (x | school)", family="binomial")
    return fake_fit(model, draws=10, values={"beta": [-1.0, 0.4, 0.5, 0.3]})


@pytest.fixture(scope="module")
def ordinal(table: pd.DataFrame, fake_fit: MakeFit) -> Fit:
    model = bml.two_level(
        table, "mood ~ x + sex", group="school", family="ordinal",
        categories=["low", "mid", "high"],
    )  # fmt: skip
    return fake_fit(model, draws=10)


def coefficients(fit: Fit) -> dict[str, np.ndarray]:
    beta = fit.posterior["beta"]
    return {label: beta.sel(coef=label).values.ravel() for label in beta["coef"].values.tolist()}


def flat(array: Any) -> np.ndarray:
    return array.values.reshape(-1, *array.shape[2:])


# Slopes


def test_average_slope_of_a_linear_model(table: pd.DataFrame, linear: Fit) -> None:
    """d eta / dx = b_x + b_xw w + 2 b_xx x + u_x, averaged over the rows."""
    b = coefficients(linear)
    u = flat(linear.posterior["u_school"])[:, :, 1]
    unit = np.arange(ROWS) % 12
    each = b["x"][:, None] + b["x:w"][:, None] * table["w"].to_numpy()
    each = each + 2 * b["I(x ** 2)"][:, None] * table["x"].to_numpy()
    found = bml.slopes(linear, "x", draws=True)
    np.testing.assert_allclose(flat(found)[:, 0], (each + u[:, unit]).mean(axis=1), rtol=1e-5)
    population = bml.slopes(linear, "x", groups="population", draws=True)
    np.testing.assert_allclose(flat(population)[:, 0], each.mean(axis=1), rtol=1e-5)
    by_unit = bml.slopes(linear, "x", by="school", draws=True)
    assert by_unit["school"].values.tolist() == sorted(set(table["school"]))
    for number in (0, 7):
        wanted = (each + u[:, unit])[:, unit == number].mean(axis=1)
        np.testing.assert_allclose(flat(by_unit)[:, number], wanted, rtol=1e-5)


def test_slopes_at_values(table: pd.DataFrame, linear: Fit) -> None:
    b = coefficients(linear)
    found = bml.slopes(
        linear, "x", at={"x": [1.0, 3.0], "w": [-1, 2]}, groups="population", draws=True
    )
    assert found["x"].values.tolist() == [1, 1, 3, 3]
    assert found["w"].values.tolist() == [-1, 2, -1, 2]
    for number, (x, w) in enumerate([(1, -1), (1, 2), (3, -1), (3, 2)]):
        wanted = b["x"] + b["x:w"] * w + 2 * b["I(x ** 2)"] * x
        # One-sided at the end of the range of x: off by its curvature times half the step.
        np.testing.assert_allclose(flat(found)[:, number], wanted, atol=1e-4)


def test_the_table_of_slopes(linear: Fit) -> None:
    draws = flat(bml.slopes(linear, "x", draws=True))[:, 0]
    found = bml.slopes(linear, "x", prob=0.5)
    assert found.columns.tolist() == ["mean", "median", "sd", "lower", "upper", "probability"]
    assert found["mean"].iloc[0] == pytest.approx(draws.mean())
    assert found["probability"].iloc[0] == (draws > 0).mean()
    assert found.attrs == {
        "variable": "x",
        "groups": "known",
        "kind": "mean",
        "scale": "response",
        "rows": ROWS,
        "prob": 0.5,
        "interval": "50 % equal-tailed interval",
    }


def test_slope_of_a_logit_model(table: pd.DataFrame, binary: Fit) -> None:
    """dp / dx = p (1 - p) (b_x + u_x)."""
    b = coefficients(binary)
    unit = np.arange(ROWS) % 12
    u = flat(binary.posterior["u_school"])
    x = table["x"].to_numpy()
    eta = b["Intercept"][:, None] + b["x"][:, None] * x + u[:, unit, 0] + u[:, unit, 1] * x
    eta += b["sex[M]"][:, None] * (table["sex"] == "M").to_numpy()
    eta += b["yes"][:, None] * table["yes"].to_numpy()
    p = special.expit(eta)
    wanted = (p * (1 - p) * (b["x"][:, None] + u[:, unit, 1])).mean(axis=1)
    found = bml.slopes(binary, "x", draws=True)
    np.testing.assert_allclose(flat(found)[:, 0], wanted, rtol=1e-5)
    link = bml.slopes(binary, "x", kind="linear", draws=True)
    wanted = (b["x"][:, None] + u[:, unit, 1]).mean(axis=1)
    np.testing.assert_allclose(flat(link)[:, 0], wanted, rtol=1e-6)
    assert link.attrs["scale"] == "link (logit)"


def test_marginal_slope_equals_integration(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    model = bml.model(table, "passed ~ x + (1 | school)", family="binomial")
    fit = fake_fit(model, draws=1, chains=1, values={"beta": [-1.0, 0.6], "sd_school": 1.3})
    found = bml.slopes(fit, "x", at={"x": 2.0}, groups="marginal")["mean"].iloc[0]

    def integrand(u: float) -> float:
        p = special.expit(-1 + 1.2 + u)
        return float(p * (1 - p) * 0.6 * stats.norm.pdf(u, scale=1.3))

    wanted, _ = integrate.quad(integrand, -15, 15)
    assert found == pytest.approx(wanted, rel=1e-5)


def test_slope_of_a_spline(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    """The derivative of SciPy's spline with the same knots and coefficients."""
    fit = fake_fit(bml.model(table, "y ~ bs(x, df=6) + (1 | school)"), draws=1, chains=1)
    x = table["x"].to_numpy()
    inner = np.quantile(x, [0.25, 0.5, 0.75])
    knots = np.concatenate([[x.min()] * 4, inner, [x.max()] * 4])
    beta = flat(fit.posterior["beta"])[0]
    spline = interpolate.BSpline(knots, np.concatenate([[0.0], beta[1:]]), 3)
    points = [float(x.min()), 1.7, 3.0, float(x.max())]
    found = bml.slopes(fit, "x", at={"x": points}, groups="population")
    np.testing.assert_allclose(found["mean"], spline.derivative()(points), atol=2e-4)


def test_slopes_of_categories_add_up_to_nothing(table: pd.DataFrame, ordinal: Fit) -> None:
    found = bml.slopes(ordinal, "x", draws=True)
    assert found["category"].values.tolist() == ["low", "mid", "high"]
    np.testing.assert_allclose(flat(found).sum(axis=1), 0, atol=1e-9)
    eta = flat(bml.predict(ordinal, kind="linear", draws=True))
    p = special.expit(flat(ordinal.posterior["cutpoints"])[:, :1] - eta)
    wanted = (-p * (1 - p)).mean(axis=1) * coefficients(ordinal)["x"]
    np.testing.assert_allclose(flat(found)[:, 0], wanted, rtol=1e-5)
    assert bml.slopes(ordinal, "x", kind="linear").shape[0] == 1


def test_slope_of_counts_with_exposure(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    model = bml.model(table, "count ~ x + (1 | school)", family="poisson", exposure="days")
    fit = fake_fit(model, draws=5)
    mean = flat(bml.predict(fit, draws=True))
    wanted = mean.mean(axis=1) * coefficients(fit)["x"]
    np.testing.assert_allclose(flat(bml.slopes(fit, "x", draws=True))[:, 0], wanted, rtol=1e-6)


# Contrasts


def test_contrast_is_the_difference_of_average_predictions(
    table: pd.DataFrame, binary: Fit
) -> None:
    """G-computation by two calls of predict on changed tables."""
    for groups in ("known", "marginal", "population"):
        male = flat(bml.predict(binary, table.assign(sex="M"), groups, draws=True)).mean(axis=1)
        female = flat(bml.predict(binary, table.assign(sex="F"), groups, draws=True)).mean(axis=1)
        found = bml.contrast(binary, "sex", groups=groups, draws=True)
        assert found["contrast"].values.tolist() == ["M - F"]
        np.testing.assert_allclose(flat(found)[:, 0], male - female, rtol=1e-9)
        ratio = bml.contrast(binary, "sex", groups=groups, measure="ratio", draws=True)
        np.testing.assert_allclose(flat(ratio)[:, 0], male / female, rtol=1e-9)
        assert ratio["contrast"].values.tolist() == ["M / F"]
        given = bml.contrast(binary, "sex", groups=groups, new_data=table, draws=True)
        np.testing.assert_allclose(flat(given), flat(found), rtol=1e-9)


def test_contrasts_of_several_levels(linear: Fit) -> None:
    b = coefficients(linear)
    found = bml.contrast(linear, "band", levels=[1, 2, 3], draws=True)
    assert found["contrast"].values.tolist() == ["2 - 1", "3 - 1"]
    np.testing.assert_allclose(flat(found)[:, 0], b["C(band)[2]"], rtol=1e-9)
    np.testing.assert_allclose(flat(found)[:, 1], b["C(band)[3]"], rtol=1e-9)
    default = bml.contrast(linear, "band")
    assert default["contrast"].tolist() == ["2 - 1", "3 - 1"]
    other = bml.contrast(linear, "band", levels=[3, 2], draws=True)
    np.testing.assert_allclose(flat(other)[:, 0], b["C(band)[2]"] - b["C(band)[3]"], rtol=1e-8)


def test_contrasts_of_numbers_by_group_and_at_values(table: pd.DataFrame, linear: Fit) -> None:
    b = coefficients(linear)
    found = bml.contrast(
        linear, "x", (2, 4), at={"w": [0, 1]}, by="sex", groups="population", draws=True
    )
    assert found["w"].values.tolist() == [0, 0, 1, 1]
    assert found["sex"].values.tolist() == ["F", "M", "F", "M"]
    for number, w in enumerate([0, 0, 1, 1]):
        wanted = 2 * b["x"] + 2 * w * b["x:w"] + 12 * b["I(x ** 2)"]
        np.testing.assert_allclose(flat(found)[:, number], wanted, rtol=1e-8)


def test_categories_have_a_contrast_each(ordinal: Fit) -> None:
    found = bml.contrast(ordinal, "sex")
    assert found["category"].tolist() == ["low", "mid", "high"]
    assert found["mean"].sum() == pytest.approx(0, abs=1e-12)


def test_new_units_are_the_same_on_both_sides(binary: Fit) -> None:
    """On the link scale the units' effects cancel, so the contrast is the coefficient."""
    new = pd.DataFrame({"x": [1.0, 2.0], "sex": "F", "yes": True, "school": ["a", "b"]})
    found = bml.contrast(
        binary, "sex", new_data=new, groups="new", kind="linear", draws=True, seed=3
    )
    np.testing.assert_allclose(flat(found)[:, 0], coefficients(binary)["sex[M]"], rtol=1e-9)
    assert found.attrs["seed"] == 3
    by = bml.slopes(binary, "x", by="school", new_data=new, groups="new", kind="linear")
    assert by["school"].tolist() == ["a", "b"]


def test_a_loaded_fit_has_the_same_effects(linear: Fit, tmp_path: Path) -> None:
    loaded = bml.load(linear.save(tmp_path / "fit.nc"))
    pd.testing.assert_frame_equal(
        bml.slopes(linear, "x", by="school"), bml.slopes(loaded, "x", by="school")
    )
    pd.testing.assert_frame_equal(bml.contrast(linear, "sex"), bml.contrast(loaded, "sex"))


def test_a_column_that_is_called_mean(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    fit = fake_fit(bml.model(table, "y ~ mean + x + (1 | school)"), draws=5)
    found = bml.slopes(fit, "x", at={"mean": [0, 1]})
    assert found["mean_"].tolist() == [0, 1]
    assert found["mean"].iloc[0] == pytest.approx(coefficients(fit)["x"].mean())


Call = Callable[[Fit, pd.DataFrame], Any]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda f, t: bml.slopes(f, "z"), FitError,
         r"variable names 'z', which is not a predictor of this model\. Allowed: 'x'"),
        (lambda f, t: bml.slopes(f, "sex"), FitError,
         r"variable is 'sex', which holds labels and has no slope\. Use bml\.contrast"),
        (lambda f, t: bml.slopes(f, "x", kind="outcome"), FitError,
         r"kind is 'outcome'\. Allowed: 'mean' \(response scale\) and 'linear' \(link scale\)"),
        (lambda f, t: bml.slopes(f, "x", new_data=t), FitError, r"groups is not given"),
        (lambda f, t: bml.slopes(f, "x", prob=2), FitError, r"prob is 2"),
        (lambda f, t: bml.slopes(f, "x", at={"ww": 1}), FitError,
         r"at names 'ww', which is not a predictor of this model\. Did you mean 'w'\?"),
        (lambda f, t: bml.slopes(f, "x", at={"w": "a"}), FitError,
         r"'w' is a number in this model, and 'a' is not one"),
        (lambda f, t: bml.slopes(f, "x", at={"w": np.inf}), FitError, r"'inf' is not one"),
        (lambda f, t: bml.slopes(f, "x", at={"w": []}), FitError, r"at gives no value of 'w'"),
        (lambda f, t: bml.slopes(f, "x", at=3), FitError, r"at is '3'\. Give columns with values"),
        (lambda f, t: bml.slopes(f, "x", at={"sex": "D"}), TableError,
         r"holds 'D' .*which the model has not seen"),
        (lambda f, t: bml.slopes(f, "x", by="pupil"), FitError,
         r"by is 'pupil', which is neither a grouping of this model nor a column"),
        (lambda f, t: bml.slopes(f, "x", new_data=t.drop(columns="x"), groups="known"),
         TableError, r"The table has no column 'x' \(predictor\)"),
        (lambda f, t: bml.slopes(
            f, "x", new_data=t.assign(day=np.nan), by="day", groups="known"), FitError,
         r"by is 'day', which is missing in 120 rows"),
        (lambda f, t: bml.contrast(f, "x"), FitError,
         r"'x' is a number, so the values to compare must be said: levels=\(0, 1\)"),
        (lambda f, t: bml.contrast(f, "x", levels=[1]), FitError,
         r"levels is 1, and a contrast takes two values or more"),
        (lambda f, t: bml.contrast(f, "sex", levels="M"), FitError, r"levels is 'M', and"),
        (lambda f, t: bml.contrast(f, "x", levels=["a", "b"]), FitError, r"'a' is not one"),
        (lambda f, t: bml.contrast(f, "sex", at={"sex": "M"}), FitError,
         r"at sets 'sex', whose values are compared\. Leave it out of at"),
        (lambda f, t: bml.contrast(f, "sex", measure="odds"), FitError,
         r"measure is 'odds'\. Allowed: difference, ratio"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_said(
    call: Call, error: type[BayesmlError], words: str, table: pd.DataFrame, linear: Fit
) -> None:
    with pytest.raises(error, match=words):
        call(linear, table)


def test_offsets_and_shared_units_are_refused(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    counts = bml.model(table, "count ~ x + (1 | school)", family="poisson", exposure="days")
    with pytest.raises(FitError, match=r"variable names 'days', which enters the offset"):
        bml.slopes(fake_fit(counts, draws=2), "days")
    shared = bml.multiple_membership(table, "y ~ x", members=["first", "second"], name="firm")
    with pytest.raises(FitError, match=r"by is 'firm', a multiple membership: its units share"):
        bml.slopes(fake_fit(shared, draws=2), "x", by="firm")


def test_a_fit_without_rows_needs_new_ones(
    linear: Fit, table: pd.DataFrame, tmp_path: Path
) -> None:
    bare = bml.load(linear.save(tmp_path / "bare.nc", data=False))
    with pytest.raises(FitError, match=r"saved without its rows"):
        bml.slopes(bare, "x")
    given = bml.slopes(bare, "x", new_data=table, groups="known")
    own = bml.slopes(linear, "x")
    np.testing.assert_allclose(given["mean"], own["mean"])


def test_units_of_several_kinds_have_their_own_slopes(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(1)
    unit = np.arange(12).repeat(8)
    table = pd.DataFrame(
        {
            "y": rng.normal(size=96),
            "x": rng.normal(size=96),
            "g": unit,
            "sector": np.where(unit % 2, "State", "Other"),
        }
    )
    model = bml.two_level(table, "y ~ x + sector", group="g", slopes=["x"], by={"g": "sector"})
    fit = fake_fit(model, draws=10)
    found = bml.slopes(fit, "x", by="g", draws=True)
    effects = fit.posterior["u_g"].sel(g_term="x")
    expected = fit.posterior["beta"].sel(coef="x") + effects
    np.testing.assert_allclose(found.values, expected.transpose("chain", "draw", "g"), rtol=1e-6)
    # Known units keep their effects where another kind is asked for.
    known = bml.contrast(fit, "sector", draws=True)
    beta = fit.posterior["beta"].sel(coef="sector[State]")
    np.testing.assert_allclose(known.values[..., 0], beta)
