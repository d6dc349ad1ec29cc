"""Units, trials and offsets of new rows."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.design.replaying import (
    check_complete,
    key_label,
    replay_terms,
    replay_units,
    trials_columns,
)
from bayesml.design.stored_designs import StoredDesign, design_text, stored_design
from bayesml.errors import TableError

ROWS = 48


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(6)
    number = np.arange(ROWS)
    return pd.DataFrame(
        {
            "y": rng.normal(size=ROWS),
            "won": rng.integers(0, 4, ROWS),
            "lost": rng.integers(1, 4, ROWS),
            "size": 5,
            "count": rng.poisson(2.0, ROWS),
            "days": rng.uniform(1, 3, ROWS),
            "logn": rng.normal(size=ROWS),
            "school": number % 12,
            "area": np.array(["n/e", "s", "w\\", "o", "u", "v"])[number % 6],
            "first": [f"u{item}" for item in number % 8],
            "second": [f"u{item}" for item in (number + 1 + number // 8 % 3) % 8],
            "share": 0.7,
            "rest": 0.3,
        }
    )


def stored(model: bml.Model) -> StoredDesign:
    return stored_design(design_text(model.design), model.spec)


def test_units_of_one_column(table: pd.DataFrame) -> None:
    model = bml.model(table, "y ~ 1 + (1 | school)")
    found = replay_units(model.spec.groupings[0], stored(model), table.iloc[[14, 3, 2]])
    assert [found.labels[unit] for unit in found.index] == ["2", "3", "2"]
    assert found.weights is None


def test_one_unit_is_enough(table: pd.DataFrame) -> None:
    model = bml.model(table, "y ~ 1 + (1 | school)")
    assert replay_units(model.spec.groupings[0], stored(model), table[:1]).labels == ("0",)


def test_units_of_several_columns_bear_their_keys(table: pd.DataFrame) -> None:
    model = bml.model(table, "y ~ 1 + (1 | area/school)")
    frame = table.iloc[:4].reset_index(drop=True)
    found = replay_units(model.spec.groupings[1], stored(model), frame)
    names = [found.labels[unit] for unit in found.index]
    assert names == ["n\\/e/0", "s/1", "w\\\\/2", "o/3"]
    keys = {key_label(key) for key in stored(model).unit_keys["school"]}
    assert set(names) <= keys


def test_keys_of_different_units_differ() -> None:
    parts = ["", "a", "/", "\\", "a/", "\\/", "/a", "\\\\", "a\\"]
    keys = {key_label([one, two]) for one in parts for two in parts}
    assert len(keys) == len(parts) ** 2


def test_several_memberships(table: pd.DataFrame) -> None:
    model = bml.multiple_membership(
        table, "y ~ 1", members=["first", "second"], weights=["share", "rest"], name="firm"
    )
    frame = pd.DataFrame(
        {"first": ["u1", "new"], "second": ["u2", None], "share": [0.4, 1.0], "rest": [0.6, 0.0]}
    )
    found = replay_units(model.spec.groupings[0], stored(model), frame)
    assert [found.labels[unit] for unit in found.index[0]] == ["u1", "u2"]
    assert found.labels[found.index[1, 0]] == "new"
    assert found.weights is not None
    assert found.weights.tolist() == [[0.4, 0.6], [1.0, 0.0]]
    with pytest.raises(TableError, match=r"The weights of 'firm' sum to 0\.5, not 1, in row 1"):
        replay_units(
            model.spec.groupings[0], stored(model), frame.assign(share=[0.0, 1.0], rest=[0.5, 0.0])
        )


def test_offsets_and_exposure(table: pd.DataFrame) -> None:
    model = bml.model(
        table, "count ~ offset(logn / 2) + (1 | school)", family="poisson", exposure="days"
    )
    found = replay_terms(model.spec, stored(model), table, [])
    np.testing.assert_allclose(found.offset, table["logn"] / 2 + np.log(table["days"]))
    np.testing.assert_allclose(found.offset, model.design.offset)


@pytest.mark.parametrize(
    ("formula", "options", "columns", "wanted"),
    [
        ("cbind(won, lost) ~ 1", {}, ["won", "lost"], lambda t: t["won"] + t["lost"]),
        ("won ~ 1", {"trials": "size"}, ["size"], lambda t: t["size"]),
        ("won ~ 1", {"trials": 7}, [], lambda t: 7 + 0 * t["size"]),
    ],
)
def test_trials(
    formula: str,
    options: dict[str, object],
    columns: list[str],
    wanted: Callable[[pd.DataFrame], pd.Series],
    table: pd.DataFrame,
) -> None:
    model = bml.model(table, f"{formula} + (1 | school)", family="binomial", **options)
    assert trials_columns(model.spec) == columns
    found = replay_terms(model.spec, stored(model), table, [], trials=True)
    assert found.trials is not None
    assert found.trials.tolist() == wanted(table).tolist()
    assert replay_terms(model.spec, stored(model), table, []).trials is None


def test_trials_that_cannot_be_used(table: pd.DataFrame) -> None:
    model = bml.model(table, "won ~ 1 + (1 | school)", family="binomial", trials="size")
    bad = table.assign(size=[0, 2.5, *[5] * (ROWS - 2)])
    with pytest.raises(TableError, match=r"not positive whole numbers in row 1, 2 \(0\)"):
        replay_terms(model.spec, stored(model), bad, [], trials=True)


def test_missing_values_are_named() -> None:
    frame = pd.DataFrame({"a": [1, None], "b": [None, None], "g": [None, "x"]})
    check_complete(frame, {"g": "grouping"})
    with pytest.raises(
        TableError,
        match=r"'a' \(predictor\) is missing in row 2; columns with missing values: 'a', 'b'\.",
    ):
        check_complete(frame, {"a": "predictor", "b": "offset", "g": "grouping"})
