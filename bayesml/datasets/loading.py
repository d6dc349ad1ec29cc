"""Load the shipped tables."""

import pandas as pd

from bayesml.datasets.catalogue import dataset, dataset_names, table_file


def load_dataset(name: str) -> pd.DataFrame:
    """Load one of the shipped tables.

    Parameters
    ----------
    name : str
        A name that `list_datasets` shows, for example `"exam"`.

    Returns
    -------
    DataFrame
        Labels such as school numbers are text; an empty cell and `NA` are missing. `attrs` holds
        `name`, `description`, `citation`, and `columns`, a mapping of column to what it holds.

    Raises
    ------
    TableError
        If there is no table of that name.

    Examples
    --------
    >>> from bayesml.datasets import load_dataset
    >>> exam = load_dataset("exam")
    >>> exam.shape, exam["school"].nunique()
    ((4059, 10), 65)
    """
    about = dataset(name)
    frame = pd.read_csv(
        table_file(name),
        dtype={column.name: "str" for column in about.columns if column.kind == "text"},
        keep_default_na=False,
        na_values=["", "NA"],
    )
    frame.attrs.update(
        name=about.name,
        description=about.description,
        citation=about.citation,
        columns={column.name: column.description for column in about.columns},
    )
    return frame


def list_datasets() -> pd.DataFrame:
    """List the shipped tables, one row each.

    Returns
    -------
    DataFrame
        `name`, `rows`, `columns` (how many), `groupings`, `outcome`, `description`, `citation`.

    Examples
    --------
    >>> from bayesml.datasets import list_datasets
    >>> "exam" in list(list_datasets()["name"])
    True
    """
    records = [dataset(name) for name in dataset_names()]
    return pd.DataFrame(
        {
            "name": [record.name for record in records],
            "rows": [record.rows for record in records],
            "columns": [len(record.columns) for record in records],
            "groupings": [", ".join(record.groupings) for record in records],
            "outcome": [record.outcome for record in records],
            "description": [record.description for record in records],
            "citation": [record.citation for record in records],
        }
    )
