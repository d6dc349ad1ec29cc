"""Read delimited text, after the header and every row have been checked."""

import csv
import io
import re
from pathlib import Path

import pandas as pd

from bayesml.errors import TableError, listed, quoted
from bayesml.tables.signatures import UTF16_MARKS

UNNAMED = "Unnamed: 0"
DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab"}
DECIMAL_COMMA = re.compile(r"[-+]?\d*,?\d+")


def read_text(path: Path, encoding: str) -> tuple[pd.DataFrame, list[str]]:
    """Read a comma, semicolon or tab separated file.

    Only an empty field and `NA` are missing; a text such as `None` stays a text.

    Parameters
    ----------
    path : Path
        An existing file; its ending names the expected delimiter.
    encoding : str
        How the characters are stored, for example `utf-8` or `latin-1`.

    Returns
    -------
    tuple of DataFrame and list of str
        The table and its notes.

    Raises
    ------
    TableError
        If the text cannot be decoded, a column has no name or the name of another, or a row has
        another number of fields than the header.
    """
    text = _decoded(path, encoding)
    body = text.lstrip("\r\n")
    skipped = text[: len(text) - len(body)].count("\n")
    if not body.strip():
        raise TableError(f"The file {quoted(path.name)} is empty. Export the table again.")
    delimiter = _delimiter(body, path.suffix.lower())
    names = _checked_rows(body, delimiter, skipped, path)
    notes = []
    if len(names) == 1:
        notes.append(
            f"One column only ({quoted(names[0])}): the header holds no comma, semicolon or tab."
        )
    if not names[0]:
        names[0] = UNNAMED
        notes.append(
            f"The first column has no name (row numbers written by R or pandas?); it is called "
            f"{quoted(UNNAMED)}."
        )
    frame = pd.read_csv(
        io.StringIO(body),
        sep=delimiter,
        names=names,
        header=0,
        index_col=False,
        keep_default_na=False,
        na_values=["", "NA"],
        skipinitialspace=True,
        # With one column a blank line is a missing value, not the absence of a row.
        skip_blank_lines=len(names) > 1,
        low_memory=False,
    )
    notes += _booleans_with_holes(frame)
    if delimiter == ";":
        notes += _decimal_commas(frame)
    return frame, notes


def _decoded(path: Path, encoding: str) -> str:
    raw = path.read_bytes()
    plain = encoding.lower().replace("_", "-") in ("utf-8", "utf8")
    try:
        text = raw.decode("utf-8-sig" if plain else encoding)
    except LookupError:
        raise TableError(
            f"The encoding {quoted(encoding)} is unknown. Common ones: 'utf-8', 'latin-1', "
            "'cp1252', 'utf-16'. Pass one of them as encoding=."
        ) from None
    except UnicodeError as error:
        start = getattr(error, "start", 0)
        other = "utf-16" if raw.startswith(UTF16_MARKS) else "cp1252" if plain else "utf-8"
        raise TableError(
            f"The file {quoted(path.name)} is not {encoding} text: line "
            f"{raw[:start].count(b'\n') + 1} holds the byte 0x{raw[start]:02x}. "
            f'Pass the encoding it was written in, for example encoding="{other}".'
        ) from None
    if "\x00" in text:
        raise TableError(
            f"The file {quoted(path.name)} is not {encoding} text: it holds zero bytes. Export "
            "the table as CSV, or pass the encoding it was written in, for example "
            'encoding="utf-16-le".'
        )
    return text


def _delimiter(body: str, ending: str) -> str:
    header = re.sub(r'"[^"]*"', "", body.splitlines()[0])
    usual = DELIMITERS[ending]
    for candidate in (usual, ",", ";", "\t"):
        if candidate in header:
            return candidate
    return usual


def _checked_rows(body: str, delimiter: str, skipped: int, path: Path) -> list[str]:
    """Return the column names, once every row is known to have as many fields."""
    reader = csv.reader(
        io.StringIO(body, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    names: list[str] = []
    n_rows = 0
    wrong: list[tuple[int, int]] = []
    line = 1
    try:
        names = [name.strip() for name in next(reader)]
        _check_names(names, path)
        line = reader.line_num + 1
        for row in reader:
            if len(row) == len(names):
                n_rows += 1
            elif len(row) > 1 or (row and row[0]):
                wrong.append((line + skipped, len(row)))
            line = reader.line_num + 1
    except csv.Error as error:
        raise TableError(
            f"Line {line + skipped} of {quoted(path.name)} cannot be read ({error}): a double "
            'quote inside a quoted text is written twice, "like ""this""", and every quote is '
            "closed. Correct that line."
        ) from None
    if wrong:
        raise TableError(_wrong_rows(wrong, len(names), n_rows, delimiter, path))
    if n_rows == 0:
        raise TableError(
            f"The file {quoted(path.name)} holds a header ({len(names)} columns) but no rows. "
            "Export the table again, with its data."
        )
    return names


def _check_names(names: list[str], path: Path) -> None:
    blank = [position for position, name in enumerate(names, 1) if not name and position > 1]
    if blank:
        raise TableError(
            f"In {quoted(path.name)} these columns have no name in the header: number "
            f"{listed(blank)}, of {len(names)}. Name them, or delete them from the file."
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TableError(
            f"In {quoted(path.name)} these column names stand more than once in the header: "
            f"{listed(twice)}. Every column needs a name of its own: rename them in the file."
        )


def _wrong_rows(
    wrong: list[tuple[int, int]], width: int, n_right: int, delimiter: str, path: Path
) -> str:
    lines = ", ".join(f"line {line} has {fields}" for line, fields in wrong[:5])
    more = f", ... ({len(wrong)} lines in all)" if len(wrong) > 5 else ""
    message = f"In {quoted(path.name)} the header has {width} fields, but {lines}{more}. "
    if n_right == 0 and all(fields == width + 1 for _, fields in wrong):
        return message + "If the first field is a row number, give it a name in the header too."
    name = DELIMITER_NAMES[delimiter]
    return message + (
        f"Fields are separated by a {name}; a text that holds a {name} stands in double quotes. "
        "Correct those lines."
    )


def _booleans_with_holes(frame: pd.DataFrame) -> list[str]:
    notes = []
    for name in frame.columns:
        column = frame[name]
        if column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) == "boolean":
            frame[name] = column.astype("float64")
            notes.append(
                f"Column {quoted(name)} holds TRUE/FALSE and holes: read as 1, 0, missing."
            )
    return notes


def _decimal_commas(frame: pd.DataFrame) -> list[str]:
    changed = []
    for name in frame.columns:
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column) or column.dtype == object:
            continue
        texts = column.dropna().str.strip()
        if texts.empty or not texts.str.fullmatch(DECIMAL_COMMA).all():
            continue
        frame[name] = pd.to_numeric(column.str.strip().str.replace(",", ".", regex=False))
        changed.append(name)
    return [f"Decimal commas were read as numbers in: {listed(changed)}."] if changed else []
