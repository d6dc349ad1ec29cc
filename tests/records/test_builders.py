"""The builders write groupings, and no more."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.errors import BayesmlWarning
from bayesml.specs.groupings import Grouping
from bayesml.specs.modelspec import ModelSpec


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Two schools' worth of everything: classes numbered within schools, pupils measured twice."""
    rng = np.random.default_rng(2)
    number = np.arange(96)
    return pd.DataFrame(
        {
            "y": rng.normal(size=96),
            "x": rng.normal(size=96),
            "z": rng.normal(size=96),
            "school": number // 16,
            "class": number // 8 % 2,
            "class_id": number // 8 + 100,
            "pupil": number // 4,
            "term": number % 4,
            "area": rng.permutation(np.array(list("nesw"))[number % 4]),
            "first": number % 7,
            "second": (number + 1 + number // 7 % 5) % 7,
        }
    )


def quiet(build: Any, *arguments: Any, **options: Any) -> tuple[bml.Model, list[str]]:
    """Return a model and what was said while it was made."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = build(*arguments, **options)
    assert all(item.category is BayesmlWarning for item in caught)
    return made, [str(item.message) for item in caught]


def test_two_level(table: pd.DataFrame) -> None:
    made = bml.two_level(table, "y ~ x + z", group="school", slopes=["x", "I(z^2)"])
    assert made.spec == ModelSpec(
        "y ~ x + z",
        (Grouping("school", columns=("school",), terms=("1 + x + I(z ** 2)",)),),
        structure="two_level",
    )
    assert made.spec.text == "y ~ x + z + (x + I(z ** 2) | school)"
    assert bml.two_level(table, "y~x+z", group="school", slopes="x").resolved.groupings[
        0
    ].terms == (
        "Intercept",
        "x",
    )


def test_the_same_model_by_formula(table: pd.DataFrame) -> None:
    by_builder = bml.two_level(table, "y ~ x", group="school", slopes=["x"], correlated=False)
    by_formula = bml.model(table, "y ~ x + (x || school)")
    assert by_builder.source == by_formula.source
    assert by_builder.spec.groupings == by_formula.spec.groupings


def test_a_specification_is_taken_as_it_is(table: pd.DataFrame) -> None:
    spec = ModelSpec("y ~ x", (Grouping("school", columns=("school",)),))
    assert bml.model(table, spec).spec is spec
    with pytest.raises(bml.SpecError, match=r"already says 'family'.*dataclasses.replace"):
        bml.model(table, spec, family="poisson")


@pytest.mark.parametrize("groups", [["class_id", "school"], ["school", "class_id"]])
def test_three_level_puts_the_inner_grouping_first(groups: list[str], table: pd.DataFrame) -> None:
    made, said = quiet(bml.three_level, table, "y ~ x", groups=groups, slopes={"school": ["x"]})
    assert made.spec.groupings == (
        Grouping("class_id", columns=("school", "class_id")),
        Grouping("school", columns=("school",), terms=("1 + x",)),
    )
    swapped = groups[0] == "school"
    assert [("was taken as the inner" in text) for text in said] == [True] * swapped
    # The labels tell the classes apart: they stay as the user wrote them.
    assert made.coords["class_id"] == list(range(100, 112))


def test_three_level_makes_labels_explicit_that_start_again(table: pd.DataFrame) -> None:
    made, said = quiet(bml.three_level, table, "y ~ x", groups=["class", "school"])
    assert made.resolved.groupings[0].units == 12
    assert made.coords["class_"][:3] == ["0/0", "0/1", "1/0"]
    assert len(said) == 1
    assert "were taken as different units there. Use cross_classified" in said[0]
    assert made.notes[0] == said[0]


def test_nested_bars_are_three_levels(table: pd.DataFrame) -> None:
    by_formula = bml.model(table, "y ~ x + (1 | school/class)")
    by_builder, _ = quiet(bml.three_level, table, "y ~ x", groups=["class", "school"])
    units = {grouping.name: grouping.units for grouping in by_formula.resolved.groupings}
    assert units == {"school": 6, "class": 12}
    for name in ("unit_school", "unit_class_"):
        np.testing.assert_array_equal(by_formula.data[name], by_builder.data[name])


def test_cross_classified_takes_labels_as_they_are(table: pd.DataFrame) -> None:
    made, said = quiet(bml.cross_classified, table, "y ~ x", groups=["area", "school"])
    assert [grouping.columns for grouping in made.spec.groupings] == [("area",), ("school",)]
    made, said = quiet(bml.cross_classified, table, "y ~ x", groups=["class", "school"])
    assert made.resolved.groupings[0].units == 2
    assert any("labels of class start again in every unit of school" in text for text in said)
    assert any("three_level" in text for text in said)


def test_combined_labels(table: pd.DataFrame) -> None:
    made = bml.model(table, "y ~ x + (1 | school:class)")
    (grouping,) = made.resolved.groupings
    assert (grouping.name, grouping.identifier, grouping.units) == (
        "school:class",
        "school_class",
        12,
    )


def test_multiple_membership(table: pd.DataFrame) -> None:
    made, _ = quiet(
        bml.multiple_membership,
        table,
        "y ~ x",
        members=["first", "second"],
        name="firm",
        slopes=["x"],
        groups=["school"],
    )
    assert made.spec.groupings == (
        Grouping("firm", members=("first", "second"), terms=("1 + x",)),
        Grouping("school", columns=("school",)),
    )
    by_formula = bml.model(table, "y ~ x + (x | mm(first, second, name='firm')) + (1 | school)")
    assert by_formula.source == made.source
    assert made.facts.groupings[0].squared_weights == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("formula", "growth", "text"),
    [
        ("y ~ 1", 0, "y ~ 1 + (1 | pupil)"),
        ("y ~ 1", 1, "y ~ 1 + term + (term | pupil)"),
        ("y ~ x", 2, "y ~ x + term + I(term ** 2) + (term + I(term ** 2) | pupil)"),
        ("y ~ term + x", 1, "y ~ term + x + (term | pupil)"),
        ("y ~ I(term^2) + x", 1, "y ~ I(term ** 2) + x + term + (term | pupil)"),
        ("y ~ 1 + offset(z)", 1, "y ~ 1 + term + offset(z) + (term | pupil)"),
    ],
)
def test_longitudinal_adds_time_where_it_is_missing(
    formula: str, growth: int, text: str, table: pd.DataFrame
) -> None:
    made = bml.longitudinal(table, formula, unit="pupil", time="term", growth=growth)
    assert made.spec.text == text


def test_longitudinal_takes_further_slopes(table: pd.DataFrame) -> None:
    made = bml.longitudinal(table, "y ~ x", unit="pupil", time="term", slopes=["x"])
    assert made.resolved.groupings[0].terms == ("Intercept", "term", "x")
    again = bml.longitudinal(table, "y ~ x", unit="pupil", time="term", slopes=["term", "x"])
    assert again.resolved.groupings[0].terms == ("Intercept", "term", "x")


def test_options_reach_the_specification(table: pd.DataFrame) -> None:
    counts = table.assign(n=2 + np.arange(96) % 3, k=1)
    made = bml.two_level(
        counts,
        "k ~ C(term)",
        group="pupil",
        family="binomial",
        link="probit",
        trials="n",
        offset="x",
        priors={"sd_pupil": "HalfNormal(1)"},
        baseline={"term": 3},
        correlated=True,
        parametrisation="centred",
        success=None,
    )
    assert made.spec == ModelSpec(
        "k ~ C(term)",
        (Grouping("pupil", columns=("pupil",), parametrisation="centred"),),
        family="binomial",
        link="probit",
        structure="two_level",
        trials="n",
        offset="x",
        priors=(("sd_pupil", "HalfNormal(1)"),),
        baseline=(("term", "3"),),
    )
    assert made.resolved.coefficients == ("Intercept", "C(term)[0]", "C(term)[1]", "C(term)[2]")


def test_numbers_of_numpy_become_pythons(table: pd.DataFrame) -> None:
    counts = table.assign(k=1)
    made = bml.two_level(counts, "k ~ x", group="pupil", family="binomial", trials=np.int64(3))
    assert type(made.spec.trials) is int
    grades = table.assign(grade=np.arange(96) % 3)
    order = np.array([2, 1, 0])
    ordinal = bml.two_level(grades, "grade ~ x", group="school", family="ordinal", categories=order)
    assert [type(value) for value in ordinal.spec.categories] == [int, int, int]
    made, _ = quiet(
        bml.multiple_membership, table, "y ~ x", members=["first", "second"], absent=np.nan
    )
    assert made.spec.groupings[0].absent is None


def test_the_table_is_left_alone(table: pd.DataFrame) -> None:
    before = table.copy(deep=True)
    quiet(bml.three_level, table, "y ~ C(term) + x", groups=["class", "school"])
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize(
    "convert",
    [
        dict,
        lambda frame: frame.to_dict("list"),
        lambda frame: frame.set_index(frame.index[::-1]),
        lambda frame: frame.convert_dtypes(),
        lambda frame: frame.astype({"school": "category", "x": "object", "pupil": "str"}),
    ],
)
def test_the_same_table_in_other_clothes_is_the_same_model(
    convert: Any, table: pd.DataFrame
) -> None:
    expected = bml.two_level(table, "y ~ x", group="school")
    found = bml.two_level(convert(table), "y ~ x", group="school")
    assert found.source == expected.source
    assert found.data.keys() == expected.data.keys()
    for name, array in expected.data.items():
        np.testing.assert_array_equal(found.data[name], array)
