"""Read Parquet files, with what pandas stored as an index as a column."""

from pathlib import Path

import pandas as pd

from bayesml.errors import TableError, listed, quoted


def read_parquet(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Read a Parquet file.

    Parameters
    ----------
    path : Path
        An existing file.

    Returns
    -------
    tuple of DataFrame and list of str
        The table and its notes. Dictionary columns become categoricals, decimals and whole
        numbers with holes become decimal numbers.

    Raises
    ------
    TableError
        If the file is damaged or a column name stands more than once.
    """
    import pyarrow as pa

    try:
        frame, names = _frame_and_names(path)
    # A damaged file may also fail while its texts are decoded, which is a ValueError.
    except (pa.ArrowException, OSError, ValueError) as error:
        raise TableError(
            f"The Parquet file {quoted(path.name)} is damaged ({str(error).splitlines()[0]}). "
            "Write or copy it again."
        ) from None
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TableError(
            f"In {quoted(path.name)} these column names stand more than once: {listed(twice)}. "
            "Every column needs a name of its own: rename them and write the file again."
        )
    index = [name for name in names if name.startswith("__index_level_")]
    return frame, [f"Column {quoted(name)} is the row index that pandas stored." for name in index]


def _frame_and_names(path: Path) -> tuple[pd.DataFrame, list[str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # What pandas stored as an index is data here: a school must not hide in the index.
    table = pq.ParquetFile(path).read().replace_schema_metadata(None)
    for position, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            numbers = table.column(position).cast(pa.float64())
            table = table.set_column(position, field.name, numbers)
    return table.to_pandas(), list(table.schema.names)
