"""Reading files: each format, each note, each error message."""

import decimal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyreadstat
import pytest

from bayesml.errors import TableError
from bayesml.tables import read_table

type Files = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Files:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def notes_of(frame: pd.DataFrame) -> str:
    return "\n".join(frame.attrs["notes"])


# Text files


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "g,x\nu,1.5\nv,2\n"),
        ("a.CSV", "g,x\nu,1.5\nv,2\n"),
        ("a.csv", "g;x\nu;1.5\nv;2\n"),
        ("a.csv", "g;x\nu;1,5\nv;2\n"),
        ("a.csv", "g\tx\nu\t1.5\nv\t2\n"),
        ("a.tsv", "g\tx\nu\t1.5\nv\t2\n"),
        ("a.txt", "g\tx\nu\t1.5\nv\t2\n"),
        ("a.txt", "g,x\nu,1.5\nv,2\n"),
        ("a.csv", "\ufeffg,x\r\nu,1.5\r\nv,2\r\n"),
        ("a.csv", '"g", "x"\n"u", 1.5\n"v", 2'),
        ("a.csv", "\n\ng,x\n\nu,1.5\n\nv,2\n\n"),
        ("a.csv", " g ,x \nu,1.5\nv,2\n"),
    ],
)
def test_text_tables_read_alike(write: Files, name: str, text: str) -> None:
    frame = read_table(write(name, text))
    assert list(frame.columns) == ["g", "x"]
    assert frame["g"].tolist() == ["u", "v"]
    assert frame["x"].tolist() == [1.5, 2.0]


def test_a_clean_table_has_no_notes(write: Files) -> None:
    frame = read_table(write("clean.csv", "g,x\nu,1\nv,-3\n"))
    assert frame.attrs == {"notes": [], "source": "clean.csv"}


def test_only_empty_and_na_are_missing(write: Files) -> None:
    frame = read_table(write("a.csv", 'g,x\nNone,1\nNA,\n"",NA\nnan,4\n'))
    assert frame["g"].isna().tolist() == [False, True, True, False]
    assert frame["x"].isna().tolist() == [False, True, True, False]
    assert frame["g"].tolist()[::3] == ["None", "nan"]
    assert frame["x"].dtype == np.float64


def test_quoted_delimiters_and_line_ends_stay_in_the_text(write: Files) -> None:
    frame = read_table(write("a.csv", 'g,x\n"a, ""b""",1\n"two\nlines",2\n'))
    assert frame["g"].tolist() == ['a, "b"', "two\nlines"]


def test_other_encodings(write: Files) -> None:
    path = write("a.csv", "g,x\nKöln,1\n".encode("latin-1"))
    assert read_table(path, encoding="latin-1")["g"].tolist() == ["Köln"]
    path = write("b.csv", "g,x\nKöln,1\n".encode("utf-16"))
    assert read_table(path, encoding="utf-16")["g"].tolist() == ["Köln"]


def test_one_column_keeps_its_empty_lines_and_says_so(write: Files) -> None:
    frame = read_table(write("a.csv", "x\n1\n\n3\n"))
    assert frame["x"].isna().tolist() == [False, True, False]
    assert "One column only ('x')" in notes_of(frame)


def test_row_names_of_r_are_named_in_a_note(write: Files) -> None:
    frame = read_table(write("a.csv", '"","x"\n"1",5\n"2",6\n'))
    assert list(frame.columns) == ["Unnamed: 0", "x"]
    assert "first column has no name" in notes_of(frame)
    assert "'Unnamed: 0'" in notes_of(frame)


def test_decimal_commas_are_noted_and_lists_are_left_alone(write: Files) -> None:
    frame = read_table(write("a.csv", "g;x;y\n1,2,3;1,5;a\n4;-2,25;b\n"))
    assert frame["x"].tolist() == [1.5, -2.25]
    assert frame["g"].tolist() == ["1,2,3", "4"]
    assert "Decimal commas were read as numbers in: 'x'" in notes_of(frame)


def test_logical_columns(write: Files) -> None:
    frame = read_table(write("a.csv", "a,b\nTRUE,TRUE\nFALSE,\nTRUE,FALSE\n"))
    assert frame["a"].dtype == np.dtype(bool)
    assert frame["b"].tolist()[::2] == [1.0, 0.0]
    assert "'b' holds TRUE/FALSE and holes" in notes_of(frame)


def test_empty_rows_are_counted(write: Files) -> None:
    frame = read_table(write("a.csv", "a,b\n1,2\n,\n,\n"))
    assert len(frame) == 3
    assert "every cell is missing: 2" in notes_of(frame)


# Missing codes


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (["1", ".", "2", "."], "'.' (2 cells)"),
        (["a", "null", "b"], "'null' (1 cells)"),
        (["a", "NULL", "b"], "'NULL' (1 cells)"),
        (["1", "NaN", "2"], "'NaN' (1 cells)"),
        (["1", "N/A", "2"], "'N/A' (1 cells)"),
        (["a", "Missing", "b"], "'Missing' (1 cells)"),
        (["1", "-9", "2"], "-9 (1 cells)"),
        (["1", "-99.0", "2"], "-99 (1 cells)"),
        (["1", "-999", "-9999"], "-999 (1 cells), -9999 (1 cells)"),
        (["-9", "-3", "4"], None),
        (["-9", "-9"], None),
        (["None", "99", "b"], None),
        (["99", "999", "1"], None),
    ],
)
def test_what_looks_missing_is_named(write: Files, cells: list[str], found: str | None) -> None:
    frame = read_table(write("a.csv", "id,x\n" + "".join(f"k,{cell}\n" for cell in cells)))
    assert int(frame["x"].isna().sum()) == 0
    if found is None:
        assert frame.attrs["notes"] == []
    else:
        assert f"Column 'x' holds {found}, taken as written" in notes_of(frame)


@pytest.mark.parametrize("na", [[-9, "."], ["-9", "."], (-9.0, "."), {"-9", "."}])
def test_declared_codes_are_missing_in_every_column(write: Files, na: list[object]) -> None:
    path = write("a.csv", "g,x,y\na,1,-9\n.,-9,5\nb,.,-9\n")
    frame = read_table(path, na=na)  # type: ignore[arg-type]
    assert frame["g"].isna().tolist() == [False, True, False]
    assert frame["x"].tolist()[0] == 1.0
    assert frame.isna().sum().to_dict() == {"g": 1, "x": 2, "y": 2}
    assert frame["x"].dtype == np.float64
    assert "'g' 1, 'x' 2, 'y' 2" in notes_of(frame)


def test_one_code_needs_no_list(write: Files) -> None:
    path = write("a.csv", "g,x\na,1\nb,-9\n")
    assert int(read_table(path, na=-9)["x"].isna().sum()) == 1
    assert int(read_table(path, na="-9")["x"].isna().sum()) == 1


def test_a_code_in_text_among_numbers_matches_the_number(write: Files) -> None:
    frame = read_table(write("a.csv", "g,x\na,9.0\nb,.\nc,2\n"), na=[9, "."])
    assert frame["x"].isna().tolist() == [True, True, False]


def test_a_declared_code_that_never_occurs_is_named(write: Files) -> None:
    frame = read_table(write("a.csv", "g,x\na,1\nb,-9\n"), na=[-9, 999, "?"])
    assert "occur in no column: '999', '?'" in notes_of(frame)


def test_an_undeclared_nan_is_not_swallowed_with_a_declared_code(write: Files) -> None:
    frame = read_table(write("a.csv", "g,x\na,1\nb,.\nc,nan\n"), na=["."])
    assert int(frame["x"].isna().sum()) == 1
    assert "'nan' (1 cells)" in notes_of(frame)


# Parquet


def test_parquet(tmp_path: Path) -> None:
    table = pa.table(
        {
            "g": pa.array(["a", "b", None]).dictionary_encode(),
            "n": pa.array([1, None, -9], pa.int64()),
            "d": pa.array([decimal.Decimal("1.50")] * 3),
            "t": ["None", "x", "y"],
        }
    )
    path = tmp_path / "a.parquet"
    pq.write_table(table, path)
    frame = read_table(path, na=-9)
    assert isinstance(frame["g"].dtype, pd.CategoricalDtype)
    assert frame["n"].isna().tolist() == [False, True, True]
    assert frame["n"].dtype == frame["d"].dtype == np.float64
    assert frame["t"].tolist() == ["None", "x", "y"]


def test_parquet_shows_the_index_that_pandas_stored(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1, 2]}, index=pd.Index(["u", "v"], name="school"))
    frame.to_parquet(tmp_path / "a.parquet")
    assert set(read_table(tmp_path / "a.parquet").columns) == {"school", "x"}
    frame.index.name = None
    frame.to_parquet(tmp_path / "b.parquet")
    assert "row index that pandas stored" in notes_of(read_table(tmp_path / "b.parquet"))


# Stata and SPSS

CODES = pd.DataFrame(
    {
        "school": [1.0, 2, 2, 3],
        "edu": [3.0, 1, 2, 1],
        "income": [10.0, 25, 31, -9],
        "mood": [1.0, 2, 7, np.nan],
        "name": ["a", "", "c", "None"],
    }
)
LABELS: dict[str, dict[int | float, str]] = {
    "edu": {1.0: "low", 2.0: "mid", 3.0: "high", 4.0: "never"},
    "income": {-9.0: "refused"},
    "mood": {1.0: "bad", 2.0: "good"},
}


@pytest.fixture(params=["sav", "dta"])
def labelled(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"a.{request.param}"
    write = pyreadstat.write_sav if request.param == "sav" else pyreadstat.write_dta
    data = CODES if request.param == "sav" else CODES.astype({"edu": "int32", "income": "int32"})
    whole: dict[str, dict[int | float, str]] = {
        name: {int(code): text for code, text in texts.items()} for name, texts in LABELS.items()
    }
    labels = LABELS if request.param == "sav" else whole
    write(data, str(path), variable_value_labels=labels)
    return path


def test_value_labels_become_categories_in_the_order_of_codes(labelled: Path) -> None:
    frame = read_table(labelled)
    assert frame["edu"].tolist() == ["high", "low", "mid", "low"]
    assert list(frame["edu"].cat.categories) == ["low", "mid", "high"]
    assert not frame["edu"].cat.ordered


def test_a_code_without_a_label_stands_as_its_number(labelled: Path) -> None:
    frame = read_table(labelled)
    assert list(frame["mood"].cat.categories) == ["bad", "good", "7"]
    assert frame["mood"].isna().tolist() == [False, False, False, True]
    assert "'mood' has no label for the codes '7'" in notes_of(frame)


def test_labels_of_a_few_codes_leave_a_number(labelled: Path) -> None:
    frame = read_table(labelled)
    assert frame["income"].tolist() == [10, 25, 31, -9]
    assert "'income' has labels for few of its codes ('-9 = refused')" in notes_of(frame)
    assert "'income' holds -9 (1 cells)" in notes_of(frame)


def test_whole_numbers_are_integers(labelled: Path) -> None:
    frame = read_table(labelled)
    assert frame["school"].dtype == np.int64
    assert frame["name"].tolist()[3] == "None"


@pytest.mark.parametrize("na", [[-9, 1], ["refused", "low"]])
def test_codes_may_be_declared_by_number_or_label(labelled: Path, na: list[float | str]) -> None:
    frame = read_table(labelled, na=na)
    assert int(frame["edu"].isna().sum()) == 2
    assert list(frame["edu"].cat.categories) == ["mid", "high"]
    assert int(frame["income"].isna().sum()) == 1


def test_user_missing_values_of_spss_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.sav"
    pyreadstat.write_sav(CODES, str(path), missing_ranges={"income": [-9]})
    frame = read_table(path)
    assert frame["income"].isna().tolist() == [False, False, False, True]
    assert "declares missing codes for: 'income'" in notes_of(frame)


def test_two_codes_with_one_label_stay_two_categories(tmp_path: Path) -> None:
    path = tmp_path / "a.sav"
    pyreadstat.write_sav(
        CODES, str(path), variable_value_labels={"edu": {1: "other", 2: "other", 3: "high"}}
    )
    categories = list(read_table(path)["edu"].cat.categories)
    assert categories == ["other (1)", "other (2)", "high"]


@pytest.mark.parametrize("version", [114, 117, 118, 119])
def test_stata_as_pandas_writes_it(tmp_path: Path, version: int) -> None:
    path = tmp_path / "a.dta"
    data = pd.DataFrame(
        {"sex": pd.Categorical(["m", "f", "m"], categories=["m", "f"]), "x": [1.5, np.nan, 3.0]}
    )
    data.to_stata(path, write_index=False, version=version)  # type: ignore[arg-type]
    frame = read_table(path)
    assert list(frame["sex"].cat.categories) == ["m", "f"]
    assert frame["x"].isna().tolist() == [False, True, False]


# Errors

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
XLSX = b"PK\x03\x04\x14\x00\x06\x00"

ERRORS: list[tuple[str, str | bytes, dict[str, object], list[str]]] = [
    ("a.csv", b"", {}, ["'a.csv' is empty", "Export"]),
    ("a.csv", "\n \n", {}, ["'a.csv' is empty"]),
    ("a.csv", "g,x\n", {}, ["a header (2 columns) but no rows", "Export"]),
    ("a.csv", "x\n", {}, ["a header (1 columns) but no rows"]),
    ("a.csv", "g,x,g,x\n1,2,3,4\n", {}, ["more than once in the header: 'g', 'x'", "rename"]),
    ("a.csv", "g, g\n1,2\n", {}, ["more than once in the header: 'g'"]),
    ("a.csv", "g,,x,\n1,2,3,4\n", {}, ["no name in the header: number 2, 4, of 4", "Name them"]),
    ("a.csv", PNG, {}, ["is not a text table", "'.csv'", "a PNG image", "correct the ending"]),
    ("a.csv", XLSX, {}, ["an Excel workbook or a zip archive"]),
    ("a.tsv", b"PAR1....PAR1", {}, ["it begins like a Parquet file"]),
    ("a.txt", b"$FL2@(#)", {}, ["it begins like an SPSS file"]),
    ("a.csv", b"<stata_dta><header>", {}, ["it begins like a Stata file"]),
    ("a.csv", b"\x72\x02\x01\x00\x04\x00", {}, ["it begins like a Stata file"]),
    ("a.csv", b"g,x\n1,\x00\n", {}, ["is not utf-8 text", "zero bytes"]),
    ("a.parquet", "g,x\n1,2\n", {}, ["is not a Parquet file", "begins like text"]),
    ("a.parquet", b"PAR1junk", {}, ["Parquet file 'a.parquet' is damaged", "again"]),
    ("a.dta", "g,x\n1,2\n", {}, ["is not a Stata file", "begins like text"]),
    ("a.dta", b"<stata_dta><header>", {}, ["'a.dta' cannot be read", "save it again"]),
    ("a.sav", "g,x\n1,2\n", {}, ["is not an SPSS file", "begins like text"]),
    ("a.sav", b"$FL2@(#) SPSS", {}, ["'a.sav' cannot be read", "save it again"]),
    ("a.xlsx", XLSX, {}, ["ends in '.xlsx'", "'.csv'", "'.parquet'", "Save the table as CSV"]),
    ("table", "g,x\n1,2\n", {}, ["ends in ''", "'.csv'"]),
    (
        "a.csv",
        "g,x\nK\xf6ln,1\n".encode("latin-1"),
        {},
        ["is not utf-8 text", "line 2", "0xf6", 'encoding="cp1252"'],
    ),
    ("a.csv", "g,x\nu,1\n".encode("utf-16"), {}, ["is not utf-8 text", 'encoding="utf-16"']),
    ("a.csv", "g,x\nK\xf6ln,1\n", {"encoding": "ascii"}, ["not ascii text", 'encoding="utf-8"']),
    ("a.csv", "g,x\nu,1\n", {"encoding": "utf8000"}, ["'utf8000' is unknown", "'latin-1'"]),
    (
        "a.csv",
        "g,x\nu,1\nv,2,3\nw,4\nx,5,6,7\n",
        {},
        ["the header has 2 fields", "line 3 has 3, line 5 has 4", "a comma", "Correct"],
    ),
    (
        "a.csv",
        "\ng,x\nu,1\n\n" + "v,2,3\n" * 7,
        {},
        ["line 5 has 3, line 6 has 3", "... (7 lines in all)"],
    ),
    ("a.csv", "g;x\nu;1\nv\n", {}, ["line 3 has 1", "a semicolon"]),
    ("a.csv", "x,y\n1,5,6\n2,7,8\n", {}, ["line 2 has 3", "If the first field is a row number"]),
    ("a.csv", 'g,x\nu,1\n"v,2\nw,3\n', {}, ["Line 3 of 'a.csv' cannot be read", "double quote"]),
    ("a.csv", 'g,x\n"a"b,1\n', {}, ["Line 2 of 'a.csv'"]),
    ("a.csv", "g,x\nu,1\n", {"na": [None]}, ["na holds None (NoneType)", "na=[-9"]),
    ("a.csv", "g,x\nu,1\n", {"na": [True]}, ["na holds True (bool)"]),
]


@pytest.mark.parametrize(("name", "content", "options", "parts"), ERRORS)
def test_errors(
    write: Files, name: str, content: str | bytes, options: dict[str, object], parts: list[str]
) -> None:
    path = write(name, content)
    with pytest.raises(TableError) as caught:
        read_table(path, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert [part for part in parts if part not in message] == [], message


def test_missing_file_names_the_nearest(write: Files) -> None:
    path = write("pupils.csv", "g,x\nu,1\n")
    with pytest.raises(TableError, match=r"There is no file .* Did you mean 'pupils.csv'\?"):
        read_table(path.with_name("pupil.csv"))


def test_missing_file_lists_the_tables_of_the_folder(write: Files) -> None:
    path = write("pupils.csv", "g,x\nu,1\n")
    with pytest.raises(TableError, match=r"Tables in that folder: 'pupils.csv'"):
        read_table(path.with_name("zzz.sav"))


def test_missing_file_in_a_folder_without_tables(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"holds no table"):
        read_table(tmp_path / "a.csv")


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"There is no folder .* either"):
        read_table(tmp_path / "nowhere" / "a.csv")


def test_a_folder_is_not_a_table(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="is a folder"):
        read_table(tmp_path)


def test_duplicate_names_in_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["x", "x"]), path)
    with pytest.raises(TableError, match=r"stand more than once: 'x'"):
        read_table(path)


@pytest.mark.parametrize("ending", ["parquet", "dta", "sav"])
def test_no_rows(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    empty = pd.DataFrame({"x": pd.Series([], dtype="float64")})
    match ending:
        case "parquet":
            empty.to_parquet(path)
        case "dta":
            empty.to_stata(path, write_index=False)
        case _:
            pyreadstat.write_sav(empty, str(path))
    with pytest.raises(TableError, match="1 columns and 0 rows"):
        read_table(path)
