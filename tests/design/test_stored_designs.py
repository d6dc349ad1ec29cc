"""What a fit keeps of its design: the same columns again from text, and no code in the text."""

import json

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.design.columns import plain_frame
from bayesml.design.replaying import replay_terms
from bayesml.design.stored_designs import (
    StoredDesign,
    design_text,
    predictor_columns,
    stored_design,
)

ROWS = 60


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    number = np.arange(ROWS)
    return pd.DataFrame(
        {
            "y": rng.normal(size=ROWS),
            "x": rng.uniform(1, 5, ROWS),
            "w": rng.normal(size=ROWS),
            "band": rng.choice([1, 2, 3], ROWS),
            "half": rng.choice([0.5, 1.5, 2.0], ROWS),
            "yes": rng.choice([True, False], ROWS),
            "sex": rng.choice(["F", "M", "l0", "v1", "x'y\"", "a:b[c]"], ROWS),
            "size": pd.Categorical(rng.choice(["s", "m", "l"], ROWS), ["s", "m", "l", "never"]),
            "number": pd.Categorical(rng.choice([10, 9], ROWS), [10, 9]),
            "truth": pd.Categorical(rng.choice([True, False], ROWS)),
            "my `a/b`": rng.normal(size=ROWS),
            "school": number % 12,
            "area": number % 6,
        }
    )


def again(model: bml.Model) -> StoredDesign:
    return stored_design(design_text(model.design), model.spec)


TERMS = [
    *("1", "x", "0 + x", "x * w", "x:w", "(x + w + band)^2", "I(x ^ 2)", "log(x) + sqrt(x)"),
    *("bs(x, df=4)", "bs(x, degree=2)"),
    *("bs(x, df=4, lower_bound=0, upper_bound=9)", "bs(x, df=4, extrapolation='extend')"),
    *("0 + cr(x, df=4)", "cr(x, df=4, constraints='center')", "bs(x, df=4) * sex"),
    *("center(x)", "scale(x)", "scale(x) * scale(w)", "center(x):sex", "scale(log(x) * 2)"),
    *("poly(x, 3)", "poly(x, 2):sex", "center(poly(x, 2))"),
    *("C(band)", "C(half)", "band + C(band):w", "C(band) * size", "0 + sex", "0 + x:sex"),
    *("yes", "yes * sex", "size", "number", "truth", "size:number", "`my ``a/b``` * sex"),
    "I(x * pi)",
]  # fmt: skip


@pytest.mark.parametrize("terms", TERMS)
def test_columns_are_the_same_to_the_last_bit(terms: str, table: pd.DataFrame) -> None:
    model = bml.model(table, f"y ~ {terms} + (1 + scale(w) | school) + (0 + x | area)")
    rows = [41, 0, 59, 0]
    frame = plain_frame(table.iloc[rows].reset_index(drop=True), dict.fromkeys(table, "predictor"))
    found = replay_terms(model.spec, again(model), frame, ["school", "area"])
    np.testing.assert_array_equal(found.fixed, model.design.fixed.values[rows])
    for part in model.design.varying:
        np.testing.assert_array_equal(found.varying[part.grouping.name], part.terms[rows])
    assert not found.offset.any()
    assert found.trials is None


def test_only_the_groupings_that_are_asked_for(table: pd.DataFrame) -> None:
    model = bml.model(table, "y ~ x + (w | school) + (1 | area)")
    found = replay_terms(model.spec, again(model), table[["x"]].head(3), [])
    assert found.varying == {}


def test_the_baseline_is_kept(table: pd.DataFrame) -> None:
    model = bml.model(table, "y ~ sex + (1 | school)", baseline={"sex": "M"})
    assert again(model).levels("sex")[0] == "M"
    found = replay_terms(model.spec, again(model), table[["sex"]], [])
    np.testing.assert_array_equal(found.fixed, model.design.fixed.values)


def test_an_ordered_outcome_has_no_intercept(table: pd.DataFrame) -> None:
    model = bml.model(
        table.assign(y=table["band"]), "y ~ sex + (1 | school)", family="ordinal"
    )  # fmt: skip
    found = replay_terms(model.spec, again(model), table[["sex"]], [])
    np.testing.assert_array_equal(found.fixed, model.design.fixed.values)


def test_ranges_and_keys(table: pd.DataFrame) -> None:
    model = bml.model(table, "y ~ x + sex + yes + (1 | area/school)")
    found = again(model)
    assert set(found.ranges) == {"x", "yes"}
    assert found.ranges["x"] == (table["x"].min(), table["x"].max())
    assert found.levels("x") == ()
    assert set(found.unit_keys) == {"school"}
    labels = [str(label) for label in model.coords["school"]]
    assert [key[1] for key in found.unit_keys["school"]] == labels
    assert all(int(school) % 6 == int(area) for area, school in found.unit_keys["school"])


def test_predictors_are_kept_as_numbers(table: pd.DataFrame) -> None:
    model = bml.model(table, "y ~ x + sex + C(band) + yes + (w | school)")
    found = predictor_columns(model.design)
    assert set(found) == {"x", "sex", "band", "yes", "w"}
    np.testing.assert_array_equal(found["x"], table["x"])
    assert found["sex"].dtype.kind == "i"
    levels = np.array(again(model).levels("sex"), dtype=object)
    assert levels[found["sex"]].tolist() == table["sex"].tolist()


def test_the_text_holds_numbers_and_labels_only(table: pd.DataFrame) -> None:
    """No formula of formulaic's, which would be evaluated: it is written anew from the spec."""
    model = bml.model(table, "y ~ bs(x, df=4) * sex + (1 | school)")
    entry = json.loads(design_text(model.design))["fixed"]
    assert set(entry) == {"labels", "codings", "state"}
    other = json.loads(design_text(model.design))
    other["fixed"]["state"] = {"items": [["__import__('os').getpid()", {"items": []}]]}
    found = stored_design(json.dumps(other), model.spec)
    assert "import" not in str(found.fixed.spec.formula)
