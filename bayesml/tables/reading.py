"""Read a table from a CSV, Parquet, Stata or SPSS file."""

import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from bayesml.errors import TableError, listed, nearest, quoted
from bayesml.tables.labelled_files import ValueLabels, read_codes, with_labels
from bayesml.tables.missing import MissingCode, missing_codes, set_missing, suspects
from bayesml.tables.parquet_files import read_parquet
from bayesml.tables.signatures import content_of
from bayesml.tables.text_files import read_text

ENDINGS = {
    ".csv": None,
    ".tsv": None,
    ".txt": None,
    ".parquet": "a Parquet file",
    ".dta": "a Stata file",
    ".sav": "an SPSS file",
}


def read_table(
    path: str | os.PathLike[str],
    *,
    na: Iterable[MissingCode] | MissingCode = (),
    encoding: str = "utf-8",
) -> pd.DataFrame:
    """Read a table from a file; nothing that the reader changed goes unsaid.

    Parameters
    ----------
    path : str or path
        A file that ends in `.csv`, `.tsv`, `.txt` (text with a header line; separated by comma or
        tab as the ending says, or by what the header holds), `.parquet`, `.dta` (Stata) or `.sav`
        (SPSS).
    na : number, text, or list of these, optional
        Further missing codes, applied in every column, for example `na=[-9, "."]`. Without it
        only an empty field and `NA` are missing in text files, and in the other formats only
        what the file itself declares missing.
    encoding : str, optional
        How the characters of a text file are stored, for example `"latin-1"`.

    Returns
    -------
    DataFrame
        One row per row of the file. `frame.attrs["notes"]` is a list of sentences: cells that
        look like a missing code, columns without a name, labels that were not used.
        `frame.attrs["source"]` is the name of the file. Value labels of Stata and SPSS become
        categoricals in the order of their codes; whole numbers with holes become decimal numbers.

    Raises
    ------
    TableError
        If the file is missing, empty, not what its ending says, or not one table with one name
        per column.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from bayesml.tables import read_table
    >>> file = pathlib.Path(tempfile.mkdtemp(), "pupils.csv")
    >>> _ = file.write_text("school,score\\na,1.5\\na,.\\nb,3\\n")
    >>> read_table(file, na=["."])["score"].tolist()
    [1.5, nan, 3.0]
    """
    file = _existing(Path(path))
    codes = missing_codes(na)
    labels: ValueLabels = {}
    match file.suffix.lower():
        case ".parquet":
            frame, notes = read_parquet(file)
        case ".sav" | ".dta":
            frame, labels, notes = read_codes(file, encoding)
        case _:
            frame, notes = read_text(file, encoding)
    if frame.empty:
        raise TableError(
            f"The file {quoted(file.name)} holds {len(frame.columns)} columns and {len(frame)} "
            "rows: there is nothing to model. Export the table again, with its data."
        )
    frame, found = set_missing(frame, codes, labels)
    notes += found
    notes += with_labels(frame, labels)
    notes += suspects(frame)
    blank = int(frame.isna().all(axis=1).sum())
    if blank:
        notes.append(f"Rows in which every cell is missing: {blank}.")
    frame.attrs["notes"] = notes
    frame.attrs["source"] = file.name
    return frame


def _existing(file: Path) -> Path:
    if not file.exists():
        raise TableError(_missing_file(file))
    ending = file.suffix.lower()
    if file.is_dir():
        raise TableError(f"{quoted(str(file))} is a folder. Pass the name of a file in it.")
    if ending not in ENDINGS:
        raise TableError(
            f"The file {quoted(file.name)} ends in {quoted(ending)}. Allowed endings: "
            f"{listed(ENDINGS, most=len(ENDINGS))}. Save the table as CSV and pass that file."
        )
    with file.open("rb") as stream:
        head = stream.read(4096)
    if not head:
        raise TableError(f"The file {quoted(file.name)} is empty. Export the table again.")
    content, expected = content_of(head), ENDINGS[ending]
    # Text in UTF-16 or UTF-32 is full of zero bytes; decoding it tells more than this check.
    if content != expected and not (expected is None and content == "a binary file"):
        raise TableError(
            f"The file {quoted(file.name)} is not {expected or 'a text table'}, though its name "
            f"ends in {quoted(ending)}: it begins like {content or 'text'}. Export the table in "
            "the format that the ending says, or correct the ending."
        )
    return file


def _missing_file(file: Path) -> str:
    message = f"There is no file {quoted(str(file))}. "
    if not file.parent.is_dir():
        return message + f"There is no folder {quoted(str(file.parent))} either. Check the path."
    tables = sorted(item.name for item in file.parent.iterdir() if item.suffix.lower() in ENDINGS)
    close = nearest(file.name, tables)
    if close:
        return message + f"Did you mean {listed(close)}?"
    if tables:
        return message + f"Tables in that folder: {listed(tables)}. Check the name."
    return message + "That folder holds no table. Check the path."
