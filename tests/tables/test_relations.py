"""Nested, crossed, identical or implicitly labelled, on tables made to be so."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesml.errors import TableError
from bayesml.tables import nesting
from bayesml.tables.relations import Relation, codes_of, relation

MIRROR = {
    "inner in outer": "outer in inner",
    "outer in inner": "inner in outer",
    "crossed": "crossed",
    "identical": "identical",
}


def related(first: list, second: list) -> Relation:
    return relation(
        codes_of(pd.Series(first), "first"),
        codes_of(pd.Series(second), "second"),
    )


@st.composite
def nested_tables(draw: st.DrawFn) -> pd.DataFrame:
    """Return rows in classes in schools: at least two schools, one of them with two classes."""
    classes = draw(st.lists(st.integers(1, 5), min_size=2, max_size=6).filter(lambda c: max(c) > 1))
    rows = []
    for school, n_classes in enumerate(classes):
        for number in range(n_classes):
            rows += [(school, f"{school}/{number}")] * draw(st.integers(1, 4))
    order = draw(st.permutations(range(len(rows))))
    return pd.DataFrame([rows[i] for i in order], columns=["school", "class"])


@given(nested_tables())
def test_nested(table: pd.DataFrame) -> None:
    assert nesting(table["class"], table["school"]) == "inner in outer"
    assert nesting(table["school"], table["class"]) == "outer in inner"


@given(nested_tables(), st.data())
def test_one_class_that_moves_school_makes_a_crossing(
    table: pd.DataFrame, data: st.DataObject
) -> None:
    sizes = table.groupby("school")["class"].nunique()
    school = data.draw(st.sampled_from(sorted(sizes[sizes > 1].index)))
    other = data.draw(st.sampled_from(sorted(set(sizes.index) - {school})))
    label = table.loc[table["school"] == school, "class"].iloc[0]
    both = pd.concat([table, pd.DataFrame({"school": [other], "class": [label]})])
    assert nesting(both["class"], both["school"]) == "crossed"


@given(nested_tables())
def test_other_names_for_the_same_units_are_identical(table: pd.DataFrame) -> None:
    renamed = table["class"].map(lambda label: f"unit {label[::-1]}")
    assert nesting(table["class"], renamed) == "identical"
    assert nesting(table["class"].astype("category"), renamed) == "identical"


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40),
)
def test_definition_and_symmetry(pairs: list[tuple[int, int]]) -> None:
    """The vectorised answer is that of the definition, spelt out with sets."""
    first, second = (pd.Series([pair[i] for pair in pairs]) for i in (0, 1))
    parents = {a: {pair[1] for pair in pairs if pair[0] == a} for a, _ in pairs}
    children = {b: {pair[0] for pair in pairs if pair[1] == b} for _, b in pairs}
    within = all(len(units) == 1 for units in parents.values())
    contains = all(len(units) == 1 for units in children.values())
    expected = {
        (True, True): "identical",
        (True, False): "inner in outer",
        (False, True): "outer in inner",
        (False, False): "crossed",
    }[within, contains]
    assert nesting(first, second) == expected
    assert nesting(second, first) == MIRROR[expected]


def test_rows_without_a_label_do_not_count() -> None:
    inner = pd.Series(["a", "a", "b", None, "a"])
    outer = pd.Series(["x", "x", "x", "y", None])
    assert nesting(inner, outer) == "inner in outer"


def implicit(n_classes: list[int], label: object = int, rows: int = 3) -> tuple[list, list]:
    """Return class labels that start again in every school, and the schools."""
    cells = [
        (label(number), f"s{school}")  # type: ignore[operator]
        for school, n in enumerate(n_classes)
        for number in range(1, n + 1)
        for _ in range(rows)
    ]
    return [cell[0] for cell in cells], [cell[1] for cell in cells]


@pytest.mark.parametrize(
    "label",
    [
        int,
        str,
        float,
        lambda number: number - 1,
        lambda number: f"class {number}",
        lambda number: "ABCDEF"[number - 1],
    ],
)
@pytest.mark.parametrize("swap", [False, True])
def test_labels_that_start_again(label: object, swap: bool) -> None:
    classes, schools = implicit([3, 2, 4, 3, 2, 3], label)
    found = related(schools, classes) if swap else related(classes, schools)
    names = ("second", "first") if swap else ("first", "second")
    assert (found.kind, found.inner, found.outer) == ("implicitly labelled", *names)
    assert found.cells == 17
    assert found.density == pytest.approx(17 / 24)
    assert "crossed (or implicitly labelled)" in str(found)


@pytest.mark.parametrize(
    ("classes", "schools"),
    [
        # One row in each cell: occasions of a subject.
        implicit([4, 4, 4, 4], rows=1),
        # Explicit or unordered labels.
        implicit([3, 3, 3], label=lambda number: ["M", "F", "X"][number - 1]),
        implicit([3, 3, 3], label=lambda number: 1000 + number),
        implicit([3, 3, 3], label=lambda number: f"{'abc'[number - 1]}{number}"),
    ],
)
def test_crossed_without_a_doubt(classes: list, schools: list) -> None:
    assert related(classes, schools).kind == "crossed"


def test_crossed_primary_and_secondary_schools_have_gaps() -> None:
    rng = np.random.default_rng(4)
    primary = rng.integers(1, 149, 3000)
    # Pupils of a primary school go to one of three neighbouring secondary schools.
    secondary = (primary // 8 + rng.integers(0, 3, 3000)) % 19 + 1
    found = related(primary.tolist(), secondary.tolist())
    assert (found.kind, found.inner, found.outer) == ("crossed", "first", "second")
    assert 0.1 < found.density < 0.25


def test_many_classes_in_few_schools_start_again() -> None:
    classes, schools = implicit([9, 12, 10])
    found = related(schools, classes)
    assert (found.kind, found.inner, found.outer) == ("implicitly labelled", "second", "first")


def test_numbered_schools_that_all_have_both_sexes_are_crossed() -> None:
    schools = [school for school in range(1, 31) for _ in range(8)]
    assert related(schools, ["F", "M"] * 120).kind == "crossed"


def test_density_of_a_crossing() -> None:
    found = related([1, 1, 2, 3], ["x", "y", "x", "y"])
    assert (found.cells, found.density) == (4, 4 / 6)
    assert str(found) == "first and second are crossed: 4 cells hold rows, 66.7 % of all."


@pytest.mark.parametrize(
    ("inner", "outer", "match"),
    [
        (pd.Series([1, 2]), pd.Series([1]), "2 and 1 rows"),
        (pd.Series(["a", None]), pd.Series([None, "x"]), "No row has a label in both"),
    ],
)
def test_errors(inner: pd.Series, outer: pd.Series, match: str) -> None:
    with pytest.raises(TableError, match=match):
        nesting(inner, outer)
