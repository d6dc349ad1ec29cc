"""describe: counts, relations, proposals, suggestions, printing."""

import time

import numpy as np
import pandas as pd
import pytest

from bayesml.datasets import load_dataset
from bayesml.errors import TableError
from bayesml.tables import GroupingSummary, Structure, describe

WAGE_MEMBERS = ["company", "company2", "company3", "company4"]


def test_counts_by_hand() -> None:
    table = {"school": ["a", "a", "a", "b", "c", "c", None], "x": range(7)}
    assert describe(table, "school").groupings == (
        GroupingSummary("school", 3, 1, 2.0, 2.0, 3, 1, 1),
    )


def test_counts_of_exam() -> None:
    found = describe(load_dataset("exam"), groups=["school"])
    assert found.n_rows == 4059
    school = found.groupings[0]
    assert (school.n_units, school.rows_min, school.rows_max) == (65, 2, 198)
    assert school.rows_mean == pytest.approx(4059 / 65)


def test_members_by_hand() -> None:
    table = {"first": ["a", "b", "a", None], "second": ["b", None, "a", None]}
    item = describe(table, members=["first", "second"]).groupings[0]
    # Row 3 names one unit twice: it belongs to it once.
    assert item.slots == (1, 2, 1)
    assert (item.n_units, item.n_missing, item.rows_min, item.rows_max) == (2, 1, 2, 2)
    assert item.members == ("first", "second")


def test_members_of_wage1() -> None:
    wage1 = load_dataset("wage1")
    found = describe(wage1, members=WAGE_MEMBERS, absent=0)
    item = found.groupings[0]
    assert item.n_units == 141
    assert item.slots == (0, *wage1["numjobs"].value_counts().sort_index())
    assert found.notes == ()


def test_a_likely_code_for_absent_is_named() -> None:
    found = describe(load_dataset("wage1"), members=WAGE_MEMBERS)
    assert found.groupings[0].n_units == 142
    assert "pass absent=0" in found.notes[0]


@pytest.mark.parametrize(
    ("name", "groups", "kind", "inner", "start"),
    [
        ("egsingle", ["schoolid", "childid"], "nested", "childid", "three_level: three_level("),
        ("mmmec", ["region", "nation"], "nested", "region", "three_level: three_level("),
        ("scotssec", ["second", "primary"], "crossed", "primary", "cross_classified: "),
    ],
)
def test_pairs(name: str, groups: list[str], kind: str, inner: str, start: str) -> None:
    found = describe(load_dataset(name), groups)
    assert (found.relations[0].kind, found.relations[0].inner) == (kind, inner)
    assert found.suggestion.startswith(start)
    # The inner grouping comes first in the call.
    assert f"groups=[{inner!r}," in found.suggestion


@pytest.mark.parametrize(
    ("name", "groups", "parts"),
    [
        ("exam", ["school"], ["two_level(table, ", "group='school'"]),
        ("kidney", ["id"], ["two_level(table, "]),
        ("sleepstudy", ["Subject"], ["longitudinal(table, ", "unit='Subject'", "time='Days'"]),
        ("oxboys", ["Subject"], ["longitudinal(table, ", "time='age'"]),
        ("orthodont", ["Subject"], ["longitudinal(table, ", "time='age'"]),
        ("ovary", ["Mare"], ["longitudinal(table, ", "time='Time'"]),
        ("grouseticks", ["INDEX", "BROOD", "LOCATION"], ["(1 | LOCATION / BROOD / INDEX)"]),
        ("academics", ["department", "university"], ["three_level(table, "]),
    ],
)
def test_suggestions(name: str, groups: list[str], parts: list[str]) -> None:
    suggestion = describe(load_dataset(name), groups).suggestion
    assert [part for part in parts if part not in suggestion] == [], suggestion


def test_suggestion_for_memberships() -> None:
    wage1 = load_dataset("wage1")
    assert "multiple_membership(table, " in describe(wage1, members=WAGE_MEMBERS).suggestion
    both = describe(wage1, groups="sex", members=["company", "company2"]).suggestion
    assert "(1 | sex) + (1 | mm(company, company2))" in both


def test_suggestion_for_implicit_labels() -> None:
    cells = [(school, number) for school in range(8) for number in range(1, 4)] * 5
    table = pd.DataFrame(cells, columns=["school", "class"])
    found = describe(table, ["class", "school"])
    assert found.relations[0].kind == "implicitly labelled"
    assert "three_level if label 1 of class" in found.suggestion
    assert "cross_classified(table" in found.suggestion


def test_suggestion_for_one_grouping_under_two_names() -> None:
    table = {"id": [1, 1, 2, 2], "name": ["a", "a", "b", "b"]}
    assert "keep one of them" in describe(table, ["id", "name"]).suggestion


def test_names_that_are_not_identifiers_are_quoted() -> None:
    table = pd.DataFrame({"a b": [1, 1, 2, 2, 3, 3], "c": list("xxxxyy"), "d": list("pppppp")})
    assert "`a b`" in describe(table, ["a b", "c", "d"]).suggestion


def test_proposals_are_labels_with_fewer_units_than_rows() -> None:
    table = pd.DataFrame(
        {
            "school": list("aabbcc"),
            "pupil": range(6),
            "constant": 1,
            "grade": [1, 2, 1, 2, 1, 2],
            "score": np.linspace(0, 1, 6),
            "passed": [True, False] * 3,
            "sex": pd.Categorical(["m", "f"] * 3),
            "town": pd.Series(["x", "y", None] * 2, dtype=object),
            "answers": [[1], [2]] * 3,
        }
    )
    found = describe(table)
    assert [item.name for item in found.groupings] == ["school", "grade", "sex", "town"]
    assert "describe(table, groups=['school'])" in found.suggestion


def test_many_proposals_are_cut_and_named() -> None:
    table = pd.DataFrame({f"q{i}": [1, 2, 1, 2] for i in range(10)})
    found = describe(table)
    assert len(found.groupings) == 8
    assert "not shown: 'q8', 'q9'" in found.notes[0]


def test_a_table_without_groupings() -> None:
    found = describe({"x": [0.5, 1.5]})
    assert found.groupings == ()
    assert "No column looks like a grouping" in str(found)


def test_notes() -> None:
    table = {"row": range(6), "sex": list("mfmfmf")}
    assert "Every unit of row has one row" in describe(table, "row").notes[0]
    assert "sex has 2 units" in describe(table, "sex").notes[0]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"groups": ["scool"]}, r"groups: the table has no column 'scool'. Did you mean 'school'"),
        ({"members": ["x"]}, "members: the table has no column 'x'"),
        ({"groups": ["school", "school"]}, "groups: 'school' is named more than once"),
        ({"groups": "blank"}, "Column 'blank' holds no label"),
        ({"members": ["blank"]}, "Column 'blank' holds no label"),
        ({"groups": "lists"}, r"'lists' holds values that cannot be labels, such as '\[1\]'"),
    ],
)
def test_errors(options: dict[str, object], match: str) -> None:
    table = pd.DataFrame({"school": ["a", "b"], "blank": [None, None], "lists": [[1], [2]]})
    with pytest.raises(TableError, match=match):
        describe(table, **options)  # type: ignore[arg-type]


def test_print() -> None:
    table = {"school": list("aaab"), "class": list("ppqr")}
    assert str(describe(table, ["school", "class"])) == (
        "4 rows\n"
        "\n"
        "grouping  units  rows per unit: min  median  mean  max  units with one row  "
        "rows without label\n"
        "school        2                   1     2.0   2.0    3                   1  "
        "                 0\n"
        "class         3                   1     1.0   1.3    2                   2  "
        "                 0\n"
        "\n"
        "Relations\n"
        "  class is nested in school.\n"
        "\n"
        "Notes\n"
        "  school has 2 units: its variance rests on the prior. Consider it as a predictor.\n"
        "  class has 3 units: its variance rests on the prior. Consider it as a predictor.\n"
        "\n"
        "Suggestion\n"
        "  three_level: three_level(table, \"outcome ~ ...\", groups=['class', 'school'])."
    )


def test_html_escapes_names() -> None:
    html = describe({"<b>": list("aabb")}, "<b>")._repr_html_()
    assert "&lt;b&gt;" in html
    assert "<b></b>" not in html
    assert "<td><b></td>" not in html
    assert html.count("<tr>") == 2


def test_to_frame() -> None:
    frame = describe(load_dataset("cbpp"), ["herd", "period"]).to_frame()
    assert frame.loc["herd", "units"] == 15
    assert frame.loc["period", "rows_min"] == 13
    assert frame.index.name == "grouping"


def test_structures_compare_by_value() -> None:
    exam = load_dataset("exam")
    first = describe(exam, ["school"])
    assert isinstance(first, Structure)
    assert first == describe(exam, "school")
    assert hash(first) == hash(describe(exam, "school"))
    assert first != describe(exam.iloc[1:], "school")


def test_75000_rows_take_well_under_a_second() -> None:
    rng = np.random.default_rng(1)
    n = 75_000
    table = pd.DataFrame(
        {
            "student": rng.integers(1, 3000, n),
            "teacher": rng.integers(1, 1200, n).astype(str),
            "y": rng.normal(size=n),
        }
    )
    start = time.perf_counter()
    found = describe(table, ["student", "teacher"])
    # Takes 0.03 s; the bound leaves room for a loaded machine but not for a loop over rows.
    assert time.perf_counter() - start < 0.5
    assert found.relations[0].kind == "crossed"
