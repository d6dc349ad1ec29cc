"""Which unit a row belongs to, and by how much."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesml.design.units import Units, find_units
from bayesml.errors import TableError
from bayesml.specs.groupings import Grouping


def units_of(grouping: Grouping, **columns: Any) -> Units:
    frame = pd.DataFrame(columns)
    return find_units(grouping, frame, np.arange(len(frame)))


SCHOOL = Grouping("school", columns=("school",))


@pytest.mark.parametrize(
    ("values", "labels", "index"),
    [
        (["b", "a", "b"], ("a", "b"), [1, 0, 1]),
        ([30, 7, 30], (7, 30), [1, 0, 1]),
        ([2.0, 1.0, 2.0], (1, 2), [1, 0, 1]),
        ([2.5, 1.0, 2.5], (1, "2.5"), [1, 0, 1]),
        ([True, False, True], ("False", "True"), [1, 0, 1]),
        (["10", "9", "10"], ("9", "10"), [1, 0, 1]),
        (pd.Categorical(["b", "a", "b"], categories=["b", "x", "a"]), ("b", "a"), [0, 1, 0]),
        (pd.array([2, 1, 2], dtype="Int64"), (1, 2), [1, 0, 1]),
        (pd.array(["y", "x", "y"], dtype="string"), ("x", "y"), [1, 0, 1]),
        ([2**64, 1, 2**64], (1, str(2**64)), [1, 0, 1]),
    ],
)
def test_labels_are_whole_numbers_or_text_in_order(
    values: Any, labels: tuple[Any, ...], index: list[int]
) -> None:
    found = units_of(SCHOOL, school=values)
    assert found.labels == labels
    assert [type(label) for label in found.labels] == [type(label) for label in labels]
    np.testing.assert_array_equal(found.index, index)
    assert found.weights is None


def test_the_same_label_in_two_outer_units_is_two_units() -> None:
    found = units_of(
        Grouping("class", columns=("school", "class")),
        **{"school": ["a", "a", "b", "b"], "class": [1, 2, 1, 1]},
    )
    assert found.labels == ("a/1", "a/2", "b/1")
    np.testing.assert_array_equal(found.index, [0, 1, 2, 2])


def test_labels_that_tell_units_apart_stay_as_they_are() -> None:
    found = units_of(
        Grouping("class", columns=("school", "class")),
        **{"school": ["a", "a", "b", "b"], "class": [11, 12, 21, 21]},
    )
    assert found.labels == (11, 12, 21)
    np.testing.assert_array_equal(found.index, [0, 1, 2, 2])


def test_combined_labels_with_slashes_do_not_collide() -> None:
    found = units_of(
        Grouping("pair", columns=("p", "q")),
        p=["a/b", "a", "a/b", "a"],
        q=["c", "b/c", "b/c", "c"],
    )
    # Joined with slashes, ("a/b", "c") and ("a", "b/c") would read alike.
    assert len(set(found.labels)) == 4
    assert len(set(found.index.tolist())) == 4


texts = st.sampled_from(["a", "b", "/", "a/b", "b/", "1", "('a', 'b')"])
cells = st.lists(st.tuples(texts, texts), min_size=2, max_size=12)


@given(cells)
def test_units_are_the_combinations_that_occur(rows: list[tuple[str, str]]) -> None:
    if len(set(rows)) < 2:
        return
    found = units_of(
        Grouping("pair", columns=("p", "q")), p=[p for p, _ in rows], q=[q for _, q in rows]
    )
    assert len(found.labels) == len(set(found.labels)) == len(set(rows))
    for first in range(len(rows)):
        for second in range(len(rows)):
            same = found.index[first] == found.index[second]
            assert same == (rows[first] == rows[second])


FIRM = Grouping("firm", members=("a", "b"), weights=("u", "v"))


def test_multiple_membership() -> None:
    found = units_of(
        FIRM,
        a=["x", "y", "z"],
        b=["y", None, "x"],
        u=[0.7, 1.0, 1.0],
        v=[0.3, np.nan, 0.0],
    )
    # z is at work with weight 1, and the x of its second slot has none.
    assert found.labels == ("x", "y", "z")
    assert found.weights is not None
    membership = np.zeros((3, 3))
    for row in range(3):
        for slot in range(2):
            membership[row, found.index[row, slot]] += found.weights[row, slot]
    np.testing.assert_array_equal(membership, [[0.7, 0.3, 0], [0, 1, 0], [0, 0, 1]])
    np.testing.assert_array_equal(found.rows_per_unit, [1, 2, 1])


def test_a_unit_whose_weights_are_all_zero_is_no_unit() -> None:
    found = units_of(FIRM, a=["x", "y"], b=["y", "w"], u=[0.5, 1.0], v=[0.5, 0.0])
    assert found.labels == ("x", "y")


def test_equal_weights_are_shares_of_the_slots_in_use() -> None:
    grouping = Grouping("firm", members=("a", "b", "c"), absent=0)
    found = units_of(grouping, a=[1, 2, 3], b=[2, 0, 1], c=[3, 0, 0])
    assert found.labels == (1, 2, 3)
    assert found.weights is not None
    np.testing.assert_allclose(found.weights, [[1 / 3] * 3, [1, 0, 0], [0.5, 0.5, 0]])


def test_normalise_divides_by_the_sum() -> None:
    grouping = Grouping("firm", members=("a", "b"), weights=("u", "v"), normalise=True)
    found = units_of(grouping, a=["x", "y"], b=["y", "x"], u=[1.0, 3.0], v=[4.0, 1.0])
    assert found.weights is not None
    np.testing.assert_allclose(found.weights, [[0.2, 0.8], [0.75, 0.25]])


@pytest.mark.parametrize("off", [0.009, -0.009])
def test_weights_may_miss_1_by_a_hundredth(off: float) -> None:
    found = units_of(FIRM, a=["x", "y"], b=["y", "x"], u=[0.5, 0.5], v=[0.5, 0.5 + off])
    assert found.weights is not None
    assert found.weights[1].sum() == pytest.approx(1 + off)


def test_absent_is_read_as_the_columns_hold_it() -> None:
    grouping = Grouping("firm", members=("a", "b"), absent="0")
    found = units_of(grouping, a=[1, 2, 3], b=[2.0, 0.0, np.nan])
    assert found.labels == (1, 2, 3)


def test_member_columns_of_one_kind() -> None:
    with pytest.raises(TableError, match="mix numbers and text"):
        units_of(Grouping("firm", members=("a", "b")), a=["1", "2"], b=[2, 1])
