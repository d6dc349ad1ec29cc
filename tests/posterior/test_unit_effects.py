"""Effects and coefficients of units, against NumPy on the stored draws."""

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesml as bml
from bayesml.errors import FitError
from bayesml.posterior.unit_effects import coefficient_place
from bayesml.records.fits import Fit
from bayesml.records.modelling import Model

MakeFit = Callable[..., Fit]


@pytest.fixture(scope="module")
def exam() -> Model:
    table = bml.load_dataset("exam")
    return bml.two_level(table, "normexam ~ standLRT + sex", group="school", slopes=["standLRT"])


@pytest.fixture(scope="module")
def members() -> Model:
    table = pd.DataFrame(
        {
            "y": np.arange(20.0) % 7,
            "first": ["a", "b", "c", "d", "e"] * 4,
            "second": ["b", "none", "a", "e", "d"] * 4,
            "w1": [0.5, 1.0, 0.25, 0.5, 0.5] * 4,
            "w2": [0.5, 0.0, 0.75, 0.5, 0.5] * 4,
        }
    )
    return bml.multiple_membership(
        table,
        "y ~ 1",
        members=["first", "second"],
        weights=["w1", "w2"],
        absent="none",
        name="firm",
    )


def without_rows(fit: Fit) -> Fit:
    """Return the fit as `save(data=False)` leaves it."""
    tree = fit.data.copy()
    del tree["constant_data"], tree["observed_data"]
    return Fit(tree)


def test_effects_by_numpy(exam: Model, fake_fit: MakeFit) -> None:
    fit = fake_fit(exam)
    found = bml.random_effects(fit, "school", prob=0.8)
    draws = fit.posterior["u_school"].values.reshape(100, 65, 2)
    names = ["unit", "term", "mean", "median", "sd", "lower", "upper", "rows"]
    assert list(found.columns) == names
    assert found["unit"].tolist()[:4] == ["1", "1", "2", "2"]
    assert found["term"].tolist()[:3] == ["Intercept", "standLRT", "Intercept"]
    for name, values in (
        ("mean", draws.mean(axis=0)),
        ("median", np.median(draws, axis=0)),
        ("sd", draws.std(axis=0, ddof=1)),
        ("lower", np.quantile(draws, 0.1, axis=0)),
        ("upper", np.quantile(draws, 0.9, axis=0)),
    ):
        assert found[name].to_numpy() == pytest.approx(values.ravel()), name
    counts = bml.load_dataset("exam")["school"].astype(str).value_counts()
    assert found["rows"].tolist() == counts[found["unit"]].tolist()
    assert found.attrs == {
        "grouping": "school",
        "prob": 0.8,
        "interval": "80 % equal-tailed interval",
        "link": "identity",
        "notes": [],
    }


def test_blocks_of_units_change_nothing(
    exam: Model, fake_fit: MakeFit, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = fake_fit(exam)
    whole = bml.group_coefficients(fit, "school")
    monkeypatch.setattr("bayesml.posterior.unit_tables._BLOCK", 1500)
    pd.testing.assert_frame_equal(bml.group_coefficients(fit, "school"), whole)


def test_one_term_and_draws(exam: Model, fake_fit: MakeFit) -> None:
    fit = fake_fit(exam)
    slopes = bml.random_effects(fit, "school", term="standLRT")
    both = bml.random_effects(fit, "school")
    assert slopes["term"].unique().tolist() == ["standLRT"]
    assert slopes["mean"].tolist() == both["mean"][both["term"] == "standLRT"].tolist()
    draws = bml.random_effects(fit, "school", draws=True)
    assert draws.dims == ("chain", "draw", "unit", "term")
    assert np.array_equal(draws.values, fit.posterior["u_school"].values)
    assert draws.sel(unit="3", term="standLRT").mean() == pytest.approx(slopes["mean"][2])
    shifted = bml.group_coefficients(fit, "school", term="standLRT", draws=True)
    beta = fit.posterior["beta"].sel(coef="standLRT").values
    expected = fit.posterior["u_school"].values[..., 1] + beta[..., None]
    assert shifted.values[..., 0] == pytest.approx(expected)


def test_coefficients_by_numpy(exam: Model, fake_fit: MakeFit) -> None:
    fit = fake_fit(exam)
    found = bml.group_coefficients(fit, "school")
    beta = fit.posterior["beta"].sel(coef=["Intercept", "standLRT"]).values
    draws = (fit.posterior["u_school"].values + beta[:, :, None]).reshape(100, -1)
    assert found["mean"].to_numpy() == pytest.approx(draws.mean(axis=0))
    assert found["sd"].to_numpy() == pytest.approx(draws.std(axis=0, ddof=1))
    assert found["upper"].to_numpy() == pytest.approx(np.quantile(draws, 0.945, axis=0))
    assert found["part"].unique().tolist() == ["beta + u"]
    (note,) = found.attrs["notes"]
    assert note.startswith("'sex[M]' is the same in every unit of school and is not listed")


def test_a_term_without_a_coefficient_is_said(fake_fit: MakeFit) -> None:
    table = bml.load_dataset("exam")
    fit = fake_fit(bml.model(table, "normexam ~ 1 + (standLRT | school)"))
    found = bml.group_coefficients(fit, "school")
    assert found["part"].tolist()[:2] == ["beta + u", "u"]
    alone = found[found["term"] == "standLRT"]["mean"].to_numpy()
    effects = bml.random_effects(fit, "school", term="standLRT")["mean"].to_numpy()
    assert alone == pytest.approx(effects)
    (note,) = found.attrs["notes"]
    assert note.startswith("'standLRT' varies over school but is not in the fixed part")


def test_an_ordinal_model_has_no_intercept_to_add(fake_fit: MakeFit) -> None:
    table = pd.DataFrame({"y": ["a", "b", "c"] * 10, "g": np.repeat(range(6), 5)})
    model = bml.two_level(table, "y ~ 1", group="g", family="ordinal", categories=["a", "b", "c"])
    found = bml.group_coefficients(fake_fit(model), "g")
    assert found["part"].unique().tolist() == ["u"]
    assert found.attrs["notes"] == [
        "An ordinal model has cutpoints in place of the intercept: Intercept is u alone, the "
        "unit's shift on the latent scale."
    ]


def test_interactions_are_the_same_in_either_order() -> None:
    labels = ("Intercept", "x:sex[M]", "x")
    assert coefficient_place("sex[M]:x", labels) == 1
    assert coefficient_place("x", labels) == 2
    assert coefficient_place("z", labels) is None


def test_units_within_larger_units_say_what_they_leave_out(fake_fit: MakeFit) -> None:
    table = bml.load_dataset("egsingle")
    model = bml.three_level(table, "math ~ year", groups=["childid", "schoolid"])
    fit = fake_fit(model, draws=2)
    (note,) = bml.random_effects(fit, "childid").attrs["notes"]
    assert note.startswith("These are deviations of childid within 'schoolid'")
    assert bml.random_effects(fit, "schoolid").attrs["notes"] == []


def test_members_have_rows_and_weights(members: Model, fake_fit: MakeFit) -> None:
    found = bml.random_effects(fake_fit(members), "firm")
    assert found["unit"].tolist() == ["a", "b", "c", "d", "e"]
    assert found["rows"].tolist() == [8, 8, 4, 8, 8]
    assert found["weight"].tolist() == [4 * 1.25, 4 * 1.5, 4 * 0.25, 4.0, 4.0]


def test_a_fit_without_rows_has_no_counts(exam: Model, members: Model, fake_fit: MakeFit) -> None:
    found = bml.random_effects(without_rows(fake_fit(exam)), "school")
    assert found["rows"].isna().all()
    assert found["mean"].notna().all()
    found = bml.group_coefficients(without_rows(fake_fit(members)), "firm")
    assert found[["rows", "weight"]].isna().all(axis=None)


@pytest.mark.parametrize("function", [bml.random_effects, bml.group_coefficients, bml.ranks])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("shcool",), r"'shcool' is not a grouping of this model\. Did you mean 'school'\?"),
        ((3,), r"'3' is not a grouping of this model\. Allowed: 'school'\."),
    ],
)
def test_wrong_groupings_and_terms(
    exam: Model, fake_fit: MakeFit, function: Callable, arguments: tuple, words: str
) -> None:
    fit = fake_fit(exam, draws=2)
    with pytest.raises(FitError, match=words):
        function(fit, *arguments)
    with pytest.raises(FitError, match=r"'standlrt' is not a term that varies over school.*mean"):
        function(fit, "school", term="standlrt")
    with pytest.raises(FitError, match=r"prob is 2"):
        function(fit, "school", prob=2)


def test_a_model_without_groupings_has_no_units(fake_fit: MakeFit) -> None:
    fit = fake_fit(bml.model(bml.load_dataset("exam"), "normexam ~ standLRT"), draws=2)
    with pytest.raises(FitError, match=r"'school' is not a grouping.*This model has none"):
        bml.random_effects(fit, "school")


def test_odd_names_stay_as_they_are(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {"y": rng.normal(size=40), "a/b (x)": [f"[{number % 5}]:" for number in range(40)]}
    )
    found = bml.random_effects(fake_fit(bml.model(table, "y ~ 1 + (1 | `a/b (x)`)")), "a/b (x)")
    assert found["unit"].tolist() == ["[0]:", "[1]:", "[2]:", "[3]:", "[4]:"]
    assert found.attrs["grouping"] == "a/b (x)"


def test_many_units_are_quick(fake_fit: MakeFit) -> None:
    rows = 10_000
    rng = np.random.default_rng(9)
    table = pd.DataFrame({"y": rng.normal(size=rows), "g": np.repeat(range(500), 20)})
    fit = fake_fit(bml.two_level(table, "y ~ 1", group="g"), draws=1000, chains=4)
    assert isinstance(fit.data, xr.DataTree)
    for function in (bml.random_effects, bml.group_coefficients, bml.ranks):
        start = time.process_time()
        function(fit, "g")
        assert time.process_time() - start < 2, function.__name__
