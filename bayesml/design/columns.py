"""The columns that a model uses, each as plain numbers or plain labels."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from bayesml.design.rows import row_list
from bayesml.errors import TableError, listed, nearest, quoted
from bayesml.specs.small_groups import added_by

# Squares of larger numbers, and sums of them, leave what computers hold.
LARGEST = 1e100
# One over the square of a smaller spread does too.
SMALLEST = 1e-100


def plain_frame(
    table: pd.DataFrame, columns: Mapping[str, str], structure: str = ""
) -> pd.DataFrame:
    """Return the columns that a model uses as numbers, booleans, text or categories.

    Parameters
    ----------
    table : DataFrame
    columns : mapping of str to str
        What each column is for: ``"grouping"`` for labels, other words for what is computed with.
    structure : str
        Of the model, some of whose columns may be added by a function.

    Returns
    -------
    DataFrame
        Only these columns; columns of objects that are all numbers have become numbers.

    Raises
    ------
    TableError
        A column does not exist, holds values that are neither numbers nor text, mixes both, or
        holds numbers that are infinite or too large to compute with.
    """
    present = [str(name) for name in table.columns]
    plain = {}
    for name, role in columns.items():
        if name not in table.columns:
            close = nearest(name, present, most=1)
            hint = added_by(structure, name)
            hint += f"Did you mean {quoted(close[0])}? " if close else ""
            raise TableError(
                f"The table has no column {quoted(name)} ({role}). {hint}"
                f"Columns: {listed(present, most=20)}."
            )
        plain[name] = _plain(table[name], f"Column {quoted(name)} ({role})", role == "grouping")
    return pd.DataFrame(plain, index=table.index)


def _plain(column: pd.Series, what: str, labels: bool) -> pd.Series:
    kinds = pd.api.types
    dtype = column.dtype
    if isinstance(dtype, pd.SparseDtype):
        return _plain(column.astype(dtype.subtype), what, labels)
    if isinstance(dtype, pd.CategoricalDtype):
        # Categories are few, and one odd category makes the column odd.
        _plain(pd.Series(dtype.categories), what, labels=True)
        return column
    if kinds.is_complex_dtype(dtype):
        raise TableError(f"{what} holds complex numbers. Use real numbers.")
    if kinds.is_bool_dtype(dtype) or isinstance(dtype, pd.StringDtype):
        return column
    if kinds.is_numeric_dtype(dtype):
        return _finite(column, what)
    if kinds.is_object_dtype(dtype):
        return _from_objects(column, what, labels)
    if labels and kinds.is_datetime64_any_dtype(dtype):
        return column.astype("str")
    if kinds.is_datetime64_any_dtype(dtype):
        raise TableError(
            f"{what} holds dates. Convert it to a number first, such as days since the first one."
        )
    raise TableError(f"{what} holds {dtype} values. Convert it to numbers or text first.")


def _from_objects(column: pd.Series, what: str, labels: bool) -> pd.Series:
    """Return a column of Python objects as text, booleans or numbers."""
    present = column[column.notna().to_numpy(dtype=bool)]
    kinds = {_kind(value) for value in present}
    if kinds <= {"text"}:
        return column
    if kinds == {"true or false"}:
        return column.astype("boolean")
    if kinds == {"numbers"} and labels:
        return column
    if kinds == {"numbers"}:
        try:
            return _finite(column.astype("Float64"), what)
        except (OverflowError, TypeError, ValueError):
            raise TableError(
                f"{what} holds numbers that do not fit 64 bits ({listed(present.unique(), 3)}). "
                "Convert it with pandas.to_numeric, or choose another unit."
            ) from None
    first: dict[str, str] = {}
    for row, value in enumerate(column):
        kind = _kind(value)
        if kind in kinds:
            first.setdefault(kind, f"{quoted(_shown(value))} in row {row + 1}")
    shown = "; ".join(f"{kind}: {example}" for kind, example in first.items())
    problem = "mixes types" if len(kinds) > 1 else "holds what is neither number nor text"
    raise TableError(f"{what} {problem} ({shown}). Convert all of it to numbers or all to text.")


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool | np.bool_):
        return "true or false"
    return "numbers" if isinstance(value, Real) else f"{type(value).__name__}"


def _shown(value: Any) -> Any:
    return value if isinstance(value, str) else str(value)


def _finite(column: pd.Series, what: str) -> pd.Series:
    values = np.abs(column.to_numpy(dtype=float, na_value=np.nan))
    infinite = np.isinf(values)
    if infinite.any():
        raise TableError(
            f"{what} is infinite in row {row_list(infinite)}. Numbers must be finite: correct "
            "these rows or make them missing."
        )
    large = values > LARGEST
    if large.any():
        raise TableError(
            f"{what} is larger than {LARGEST:g} in row {row_list(large)}, which cannot be "
            "computed with. Choose another unit."
        )
    return column
