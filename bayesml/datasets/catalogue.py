"""What is known about each shipped table: columns, groupings, source."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bayesml.errors import TableError, did_you_mean, quoted

FOLDER = Path(__file__).parent / "tables"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a shipped table.

    Attributes
    ----------
    name : str
        As in the table.
    kind : {"text", "number"}
        Labels are text, also where they look like numbers.
    description : str
        What it holds, with its unit.
    """

    name: str
    kind: Literal["text", "number"]
    description: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """One shipped table.

    Attributes
    ----------
    name : str
        What `load_dataset` takes.
    rows : int
        Number of rows.
    groupings : tuple of str
        Columns whose units group the rows, inner first where nested.
    outcome : str
        The column that textbooks model.
    description, citation : str
        What it is, and what to cite.
    columns : tuple of Column
        In the order of the table.
    """

    name: str
    rows: int
    groupings: tuple[str, ...]
    outcome: str
    description: str
    citation: str
    columns: tuple[Column, ...]


def dataset_names() -> list[str]:
    """Return the names of the shipped tables, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def dataset(name: str) -> Dataset:
    """Return what is known about one shipped table.

    Raises
    ------
    TableError
        If there is no such table.

    Examples
    --------
    >>> from bayesml.datasets import dataset
    >>> dataset("scotssec").groupings
    ('primary', 'second')
    """
    names = dataset_names()
    if name not in names:
        raise TableError(
            f"There is no shipped table {quoted(name)}. {did_you_mean(str(name), names)} "
            "list_datasets() shows them all; read_table(path) reads a file of your own."
        )
    entry = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    columns = tuple(
        Column(column, kind, text)
        for column, about in entry["columns"].items()
        for kind, text in about.items()
    )
    return Dataset(
        name=name,
        rows=entry["rows"],
        groupings=tuple(entry["groupings"]),
        outcome=entry["outcome"],
        description=entry["description"],
        citation=entry["citation"],
        columns=columns,
    )


def table_file(name: str) -> Path:
    """Return the file of a shipped table; large ones are compressed."""
    plain = FOLDER / f"{name}.csv"
    return plain if plain.exists() else FOLDER / f"{name}.csv.gz"
