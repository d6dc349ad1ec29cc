"""Check that what a user passes is a table, and that it has the columns a model needs."""

from collections.abc import Iterable, Mapping

import pandas as pd

from bayesml.errors import TableError, did_you_mean, listed, quoted


def require_table(table: object) -> pd.DataFrame:
    """Return `table` as a DataFrame whose columns have names of their own.

    Parameters
    ----------
    table : DataFrame, mapping of name to column, or an object with `to_pandas`
        pandas, polars and pyarrow tables, or a mapping of column name to values of equal length.
        A DataFrame is returned as it is, not copied.

    Returns
    -------
    DataFrame
        At least one row and one column; column names are text and occur once.

    Raises
    ------
    TableError
        If `table` is no table, is empty, or has unusable column names.

    Examples
    --------
    >>> from bayesml.tables import require_table
    >>> require_table({"school": ["a", "b"], "score": [1.0, 2.0]}).shape
    (2, 2)
    """
    frame = _as_frame(table)
    if isinstance(frame.columns, pd.MultiIndex):
        raise TableError(
            f"The table has column names of {frame.columns.nlevels} parts, such as "
            f"{quoted(str(frame.columns[0]))}. A column needs one name: join the parts, for "
            'example table.columns = ["_".join(map(str, name)) for name in table.columns].'
        )
    odd = [name for name in frame.columns if not isinstance(name, str)]
    if odd:
        raise TableError(
            f"These column names are not text: {listed(odd)}. Formulas need names: set them, for "
            "example table.columns = [f'x{name}' for name in table.columns]."
        )
    twice = list(dict.fromkeys(frame.columns[frame.columns.duplicated()]))
    if twice:
        raise TableError(
            f"These column names stand more than once: {listed(twice)}. Every column needs a name "
            "of its own: rename or drop the copies."
        )
    if frame.empty:
        raise TableError(
            f"The table has {len(frame)} rows and {len(frame.columns)} columns: there is nothing "
            "to model. Pass a table with at least one row."
        )
    return frame


def require_columns(frame: pd.DataFrame, columns: Iterable[str], role: str) -> None:
    """Check that `frame` has every one of `columns`.

    Parameters
    ----------
    frame : DataFrame
        The table.
    columns : iterable of str
        Names that a model or function needs; one name alone is not an iterable of names.
    role : str
        What the columns are for, as the message shows it: `"group"`, `"outcome"`.

    Raises
    ------
    TableError
        If a column is not in the table; the message holds the nearest name and the columns.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayesml.tables import require_columns
    >>> require_columns(pd.DataFrame({"school": ["a"]}), ["school"], "group")
    """
    absent = [name for name in dict.fromkeys(columns) if name not in frame.columns]
    if not absent:
        return
    known = [str(name) for name in frame.columns]
    in_index = [name for name in absent if name in frame.index.names]
    if in_index:
        raise TableError(
            f"{role}: {listed(in_index)} is in the index of the table, not among its columns. "
            "Call table.reset_index() first."
        )
    one = len(absent) == 1
    # did_you_mean lists the columns where none is close; say them once, not twice.
    hints = [did_you_mean(str(name), known) for name in absent[:5]]
    close = " ".join(hint for hint in hints if hint.startswith("Did you mean"))
    raise TableError(
        f"{role}: the table has no column{'' if one else 's'} {listed(absent)}. "
        f"{close + ' ' if close else ''}Columns of the table: {listed(known, most=12)}."
    )


def _as_frame(table: object) -> pd.DataFrame:
    if isinstance(table, pd.DataFrame):
        return table
    if isinstance(table, Mapping):
        lengths = {str(name): len(values) for name, values in table.items() if _has_length(values)}
        if len(set(lengths.values())) > 1:
            shown = listed(f"{name}: {length}" for name, length in lengths.items())
            raise TableError(
                f"The columns have different lengths ({shown}). Every column needs one value per "
                "row: use NaN where a value is missing."
            )
        if len(lengths) < len(table):
            single = [str(name) for name in table if str(name) not in lengths]
            raise TableError(
                f"These columns hold one value in place of a list: {listed(single)}. Pass one "
                "value per row."
            )
        return pd.DataFrame(dict(table))
    to_pandas = getattr(table, "to_pandas", None)
    if callable(to_pandas):
        frame = to_pandas()
        if isinstance(frame, pd.DataFrame):
            return frame
    if isinstance(table, str):
        raise TableError(
            f"The text {quoted(table)} was given in place of a table. Read the file first: "
            f"read_table({quoted(table)})."
        )
    raise TableError(
        f"{quoted(type(table).__name__)} is not a table. Allowed: a pandas DataFrame, a polars or "
        "pyarrow table, or a mapping of column names to values. Pass one of these."
    )


def _has_length(values: object) -> bool:
    return hasattr(values, "__len__") and not isinstance(values, str)
