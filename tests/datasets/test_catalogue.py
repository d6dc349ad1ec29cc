"""The catalogue agrees with the files it describes."""

import csv
import gzip
import re
from pathlib import Path

import pytest

import bayesml.datasets
from bayesml.datasets import Dataset, dataset, dataset_names
from bayesml.datasets.catalogue import FOLDER, table_file
from bayesml.errors import TableError

NAMES = dataset_names()
TEXTBOOK = {
    "exam": 4059,
    "hsb82": 7185,
    "scotssec": 3435,
    "contraception": 1934,
    "bang": 2867,
    "mmmec": 354,
    "egsingle": 7230,
    "socatt": 1056,
    "sleepstudy": 180,
    "oxboys": 234,
    "orthodont": 108,
    "cbpp": 56,
    "grouseticks": 403,
    "wage1": 3022,
    "gcsemv": 1905,
    "kidney": 76,
    "ovary": 308,
}


def raw_text(name: str) -> str:
    path = table_file(name)
    raw = path.read_bytes()
    return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")


def raw_cells(name: str) -> list[list[str]]:
    """Return the cells with the quotes they have in the file; no cell of these holds a comma."""
    return [line.split(",") for line in raw_text(name).splitlines()]


def test_every_textbook_table_is_shipped_with_its_rows() -> None:
    assert {name: dataset(name).rows for name in TEXTBOOK} == TEXTBOOK
    assert set(NAMES) == {*TEXTBOOK, "academics"}


@pytest.mark.parametrize("name", NAMES)
def test_record_matches_file(name: str) -> None:
    record = dataset(name)
    rows = list(csv.reader(raw_text(name).splitlines()))
    assert [column.name for column in record.columns] == rows[0]
    assert record.rows == len(rows) - 1
    assert {*record.groupings, record.outcome} <= set(rows[0])
    assert all(column.description.endswith(".") for column in record.columns)


@pytest.mark.parametrize("name", NAMES)
def test_text_columns_are_those_in_quotes(name: str) -> None:
    header, *rows = raw_cells(name)
    assert all(len(row) == len(header) for row in rows)
    for position, column in enumerate(dataset(name).columns):
        cells = {row[position] for row in rows} - {"", "NA"}
        in_quotes = all(cell.startswith('"') and cell.endswith('"') for cell in cells)
        # A count of answers that the source quotes; as a number it is ordered by itself.
        expected = in_quotes and (name, column.name) != ("socatt", "numpos")
        assert (column.kind == "text") == expected, column.name


@pytest.mark.parametrize("name", NAMES)
def test_large_files_are_compressed_without_a_time(name: str) -> None:
    path = table_file(name)
    if path.suffix == ".gz":
        # Bytes 4 to 8 of a gzip file are the time of writing.
        assert path.read_bytes()[4:8] == bytes(4)
    else:
        assert path.stat().st_size <= 300_000


def test_every_table_file_has_a_record() -> None:
    files = {path.name.split(".")[0] for path in FOLDER.glob("*.csv*")}
    assert files == set(NAMES)


def test_sources_lists_every_table() -> None:
    text = Path(bayesml.datasets.__file__).with_name("SOURCES.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| (\w+) \| ([\d,]+) \|", text, flags=re.MULTILINE))
    assert {name: int(rows.replace(",", "")) for name, rows in listed.items()} == {
        name: dataset(name).rows for name in NAMES
    }
    assert all(dataset(name).citation in text for name in NAMES)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("exma", ["'exma'", "Did you mean 'exam'?", "list_datasets()"]),
        ("Exam", ["'Exam'", "Did you mean 'exam'?"]),
        ("zzzzzz", ["'zzzzzz'", "Allowed:", "'academics'", "read_table(path)"]),
        ("../tables/exam", ["There is no shipped table"]),
    ],
)
def test_unknown_name(name: str, parts: list[str]) -> None:
    with pytest.raises(TableError) as caught:
        dataset(name)
    assert [part for part in parts if part not in str(caught.value)] == []


def test_records_are_immutable_and_comparable() -> None:
    record = dataset("exam")
    assert isinstance(record, Dataset)
    assert record == dataset("exam")
    assert len({record, dataset("exam"), dataset("cbpp")}) == 2
    with pytest.raises(AttributeError):
        record.rows = 1  # type: ignore[misc]
