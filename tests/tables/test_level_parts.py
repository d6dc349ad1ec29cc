"""Predictors split within and between groups."""

import numpy as np
import pandas as pd
import pytest

import bayesml as bml


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "x": rng.normal(size=40),
            "z": np.repeat(rng.normal(size=8), 5),
            "sex": ["F", "M"] * 20,
            "g": np.repeat(np.arange(8), 5),
            "half": np.tile([0, 1, 0, 1, 0], 8),
        }
    )


def test_the_parts_add_up_and_are_orthogonal(table: pd.DataFrame) -> None:
    found = bml.within_between(table, "x", group="g")
    np.testing.assert_allclose(found["x_within"] + found["x_between"], table["x"])
    by_hand = [table.loc[table["g"] == unit, "x"].mean() for unit in table["g"]]
    np.testing.assert_allclose(found["x_between"], by_hand)
    assert abs(np.dot(found["x_within"], found["x_between"])) < 1e-12
    assert list(table.columns) == ["x", "z", "sex", "g", "half"]


def test_several_columns_make_a_group_and_missing_values_stay_missing(table: pd.DataFrame) -> None:
    table.loc[3, "x"] = np.nan
    found = bml.within_between(table, ["x"], group=["g", "half"])
    assert found.loc[3, ["x_within", "x_between"]].isna().all()
    rest = table[(table["g"] == 0) & (table["half"] == 1)]["x"].mean()
    assert found.loc[1, "x_between"] == pytest.approx(rest)


def test_what_does_not_vary_within_is_said(table: pd.DataFrame) -> None:
    with pytest.warns(bml.BayesmlWarning, match="'z' does not vary within"):
        found = bml.within_between(table, ["x", "z"], group="g")
    np.testing.assert_allclose(found["z_between"], table["z"])


@pytest.mark.parametrize(
    ("columns", "group", "words"),
    [
        ("xx", "g", "predictor: the table has no column 'xx'"),
        ("x", "gg", "group: the table has no column 'gg'"),
        ("sex", "g", "'sex' holds labels"),
    ],
)
def test_wrong_use(table: pd.DataFrame, columns: str, group: str, words: str) -> None:
    with pytest.raises(bml.TableError) as caught:
        bml.within_between(table, columns, group=group)
    assert words in str(caught.value)


def test_a_column_is_not_replaced(table: pd.DataFrame) -> None:
    with pytest.raises(bml.TableError, match="the columns 'x_within' already"):
        bml.within_between(table.assign(x_within=0.0), "x", group="g")
