"""What counts as a table, and the messages where something does not."""

import pandas as pd
import pyarrow as pa
import pytest

from bayesml.errors import TableError
from bayesml.tables import require_columns, require_table

FRAME = pd.DataFrame({"school": ["a", "b"], "score": [1.0, 2.0]})


def test_a_dataframe_is_returned_as_it_is() -> None:
    assert require_table(FRAME) is FRAME


@pytest.mark.parametrize(
    "table",
    [
        {"school": ["a", "b"], "score": [1.0, 2.0]},
        {"school": pd.Series(["a", "b"]), "score": (1.0, 2.0)},
        pa.table({"school": ["a", "b"], "score": [1.0, 2.0]}),
    ],
)
def test_other_tables_are_converted(table: object) -> None:
    pd.testing.assert_frame_equal(require_table(table), FRAME)


@pytest.mark.parametrize(
    ("table", "parts"),
    [
        (FRAME.iloc[:0], ["0 rows and 2 columns", "at least one row"]),
        (pd.DataFrame(), ["0 rows and 0 columns"]),
        (FRAME.set_axis(["x", "x"], axis=1), ["more than once: 'x'", "rename or drop"]),
        (FRAME.set_axis([0, 1], axis=1), ["not text: 0, 1", "table.columns ="]),
        (
            FRAME.set_axis(pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")]), axis=1),
            ["names of 2 parts", "join the parts"],
        ),
        ({"a": [1], "b": [1, 2]}, ["different lengths", "a: 1", "b: 2"]),
        ({"a": [1, 2], "b": "x"}, ["in place of a list: 'b'", "one value per row"]),
        ({"a": 3}, ["in place of a list: 'a'"]),
        ("exam.csv", ["'exam.csv'", "read_table('exam.csv')"]),
        ([1, 2], ["'list' is not a table", "a pandas DataFrame"]),
        (None, ["'NoneType' is not a table"]),
    ],
)
def test_no_table(table: object, parts: list[str]) -> None:
    with pytest.raises(TableError) as caught:
        require_table(table)
    assert [part for part in parts if part not in str(caught.value)] == [], caught.value


def test_columns_that_are_there() -> None:
    require_columns(FRAME, ["score", "school", "score"], "group")
    require_columns(FRAME, [], "group")


@pytest.mark.parametrize(
    ("columns", "parts"),
    [
        (["scool"], ["group: the table has no column 'scool'.", "Did you mean 'school'?"]),
        (["scool"], ["Columns of the table: 'school', 'score'."]),
        (["zzz"], ["no column 'zzz'. Columns of the table: 'school', 'score'."]),
        (["zzz", "yyy"], ["no columns 'zzz', 'yyy'"]),
        ([f"q{i}" for i in range(9)], ["... (9 in all)"]),
        (["district"], ["'district' is in the index", "reset_index()"]),
    ],
)
def test_columns_that_are_not(columns: list[str], parts: list[str]) -> None:
    frame = FRAME.rename_axis("district")
    with pytest.raises(TableError) as caught:
        require_columns(frame, columns, "group")
    assert [part for part in parts if part not in str(caught.value)] == [], caught.value
