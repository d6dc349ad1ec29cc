"""Read SPSS and Stata files, whose numeric codes may carry value labels."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from bayesml.errors import TableError, listed, quoted
from bayesml.tables.missing import as_text

type ValueLabels = dict[str, dict[float, str]]


def read_codes(path: Path, encoding: str) -> tuple[pd.DataFrame, ValueLabels, list[str]]:
    """Read an SPSS or Stata file as plain codes, with its value labels beside them.

    Codes that the file itself declares missing (SPSS user-missing values, Stata `.a` to `.z`) are
    missing; whole-number columns are integers.

    Parameters
    ----------
    path : Path
        An existing `.sav` or `.dta` file.
    encoding : str
        Used only where it is not `utf-8`; else the file's own encoding counts.

    Returns
    -------
    tuple of DataFrame, dict and list of str
        The codes, the labels by column and code, and the notes.

    Raises
    ------
    TableError
        If the file is damaged.
    """
    import pyreadstat

    reader = pyreadstat.read_sav if path.suffix.lower() == ".sav" else pyreadstat.read_dta
    own = None if encoding.lower() in ("utf-8", "utf8") else encoding
    try:
        frame, meta = reader(str(path), encoding=own)
        declared = (
            reader(str(path), user_missing=True, metadataonly=True, encoding=own)[1].missing_ranges
            if path.suffix.lower() == ".sav"
            else {}
        )
    # A damaged file may also fail while its texts are decoded: ValueError or TypeError.
    except (
        pyreadstat.ReadstatError,
        pyreadstat.PyreadstatError,
        ValueError,
        TypeError,
    ) as error:
        raise TableError(
            f"The file {quoted(path.name)} cannot be read ({error}). Open it in the program that "
            "wrote it and save it again, or pass the encoding it was written in as encoding=."
        ) from None
    for name in frame.columns:
        column = frame[name]
        if pd.api.types.is_float_dtype(column) and column.notna().all() and (column % 1 == 0).all():
            frame[name] = column.astype("int64")
    labels = {
        name: {float(code): str(text) for code, text in texts.items() if _is_number(code)}
        for name, texts in meta.variable_value_labels.items()
    }
    notes = []
    if declared:
        notes.append(f"The file itself declares missing codes for: {listed(declared)}.")
    return frame, labels, notes


def with_labels(frame: pd.DataFrame, labels: Mapping[str, Mapping[float, str]]) -> list[str]:
    """Turn labelled columns of `frame` into categoricals in the order of their codes, in place.

    A code without a label keeps its number as text. A column of which fewer than half of the
    occurring codes have a label stays numeric: such labels name special values of a measurement.
    Codes that do not occur make no category.

    Parameters
    ----------
    frame : DataFrame
        The codes; changed in place.
    labels : mapping of column to mapping of code to label
        The value labels.

    Returns
    -------
    list of str
        Notes on columns that stayed numeric and on codes without a label.
    """
    notes = []
    for name, texts in labels.items():
        column = frame[name]
        if not texts or not pd.api.types.is_numeric_dtype(column):
            continue
        codes = sorted(float(code) for code in column.dropna().unique())
        named = [code for code in codes if code in texts]
        bare = [code for code in codes if code not in texts]
        if 2 * len(named) < len(codes) or not codes:
            shown = listed(f"{as_text(code)} = {text}" for code, text in sorted(texts.items()))
            notes.append(
                f"Column {quoted(name)} has labels for few of its codes ({shown}): it stays "
                "numeric."
            )
            continue
        if bare:
            notes.append(
                f"Column {quoted(name)} has no label for the codes {listed(map(as_text, bare))}: "
                "they stand as their number."
            )
        shown_as = {code: texts.get(code, as_text(code)) for code in codes}
        counts = pd.Series(list(shown_as.values())).value_counts()
        # Two codes may share a label; merging them silently would lose a category.
        categories = [
            text if counts[text] == 1 else f"{text} ({as_text(code)})"
            for code, text in shown_as.items()
        ]
        rename = dict(zip(codes, categories, strict=True))
        frame[name] = pd.Categorical(column.map(rename), categories=categories)
    return notes


def _is_number(code: object) -> bool:
    return isinstance(code, int | float) and not isinstance(code, bool)
