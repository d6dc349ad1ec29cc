"""Tables and models as the commands get them: by the name of a file or of a shipped table."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bayesml.errors import BayesmlWarning

if TYPE_CHECKING:
    import pandas as pd

    from bayesml.records.modelling import Model

SHIPPED = "dataset:"


def open_table(name: str, na: Sequence[str] = ()) -> "pd.DataFrame":
    """Return the table of a file, or the shipped table that `dataset:exam` names.

    What the reader of the file noticed is passed on as warnings.

    Raises
    ------
    TableError
        There is no such table, or it cannot be read.
    """
    if name.startswith(SHIPPED):
        from bayesml.datasets import load_dataset

        return load_dataset(name.removeprefix(SHIPPED))
    from bayesml.tables import read_table

    frame = read_table(name, na=list(na))
    for note in frame.attrs["notes"]:
        announce(note)
    return frame


def open_model(model_file: str, table: str, na: Sequence[str] = ()) -> "Model":
    """Return the model that a TOML file describes, on a table.

    Raises
    ------
    BayesmlError
        The file, the table, or the two together cannot be used.
    """
    from bayesml.records.builders import model
    from bayesml.specs.model_files import read_spec

    spec = read_spec(model_file)
    return model(open_table(table, na), spec)


def announce(note: str) -> None:
    """Pass a note on to the reader; the command line shows it as `note: ...`."""
    warnings.warn(note, BayesmlWarning, stacklevel=3)


def write_text(text: str, path: str | None) -> None:
    """Print a text, or write it to a file and say so.

    Raises
    ------
    FitError
        The file cannot be written.
    """
    if path is None:
        print(text, end="" if text.endswith("\n") else "\n")
        return
    from bayesml.errors import FitError, quoted

    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise FitError(
            f"The file {quoted(path)} cannot be written: {error.strerror}. Choose another place."
        ) from None
    print(f"Written: {path}")
