"""A predictor split into its parts within and between groups."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayesml.errors import BayesmlWarning, TableError, listed, quoted
from bayesml.tables.checks import require_columns, require_table


def within_between(
    table: object, columns: str | Sequence[str], group: str | Sequence[str]
) -> pd.DataFrame:
    """Return the table with each predictor split into its group mean and the distance from it.

    The coefficient of ``x_within`` is what a difference of 1 within a group goes with, that of
    ``x_between`` what one between group means goes with; a predictor that is not split mixes the
    two (Mundlak 1978, doi:10.2307/1913646; Enders & Tofighi 2007,
    doi:10.1037/1082-989X.12.2.121). In a longitudinal model the group is the person: time-varying
    predictors have both parts, time-invariant ones the second only. A varying slope belongs to the
    within part.

    Parameters
    ----------
    table : DataFrame, or anything with columns
    columns : str or sequence of str
        Numeric predictors.
    group : str or sequence of str
        Column of the groups; several columns make a group together.

    Returns
    -------
    DataFrame
        A copy with columns ``<column>_between``, the mean over the group's rows where the
        predictor is known, and ``<column>_within``, the predictor minus that mean; missing where
        the predictor or the group is missing.

    Raises
    ------
    TableError
        A column is not in the table or holds no numbers, or a new column exists already.

    Warns
    -----
    BayesmlWarning
        A predictor does not vary within any group: its within part is 0 in every row.

    Examples
    --------
    >>> import bayesml as bml
    >>> found = bml.within_between({"x": [1.0, 3.0, 5.0], "g": ["a", "a", "b"]}, "x", group="g")
    >>> found["x_between"].tolist(), found["x_within"].tolist()
    ([2.0, 2.0, 5.0], [-1.0, 1.0, 0.0])
    """
    frame = require_table(table)
    names = [columns] if isinstance(columns, str) else list(columns)
    groups = [group] if isinstance(group, str) else list(group)
    require_columns(frame, names, "predictor")
    require_columns(frame, groups, "group")
    added: dict[str, np.ndarray] = {}
    for name in names:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise TableError(
                f"The predictor {quoted(name)} holds labels, and only numbers have a mean. Code it "
                "as numbers, such as 0 and 1, and split those."
            )
        values = frame[name].astype(float)
        between = values.groupby([frame[key] for key in groups], sort=False).transform("mean")
        between = between.where(values.notna())
        added |= {
            f"{name}_within": (values - between).to_numpy(),
            f"{name}_between": between.to_numpy(),
        }
    known = [name for name in added if name in frame]
    if known:
        raise TableError(
            f"The table has the columns {listed(known)} already. Drop or rename them, or split "
            "another predictor."
        )
    _warn_of_constant(names, added, groups)
    return frame.assign(**added)


def _warn_of_constant(
    names: Sequence[str], added: dict[str, np.ndarray], groups: Sequence[str]
) -> None:
    for name in names:
        within, between = added[f"{name}_within"], added[f"{name}_between"]
        size = np.nanmax(np.abs(between), initial=0.0)
        if np.nanmax(np.abs(within), initial=0.0) <= 1e-12 * size:
            warnings.warn(
                f"The predictor {quoted(name)} does not vary within {listed(groups)}: its within "
                f"part is 0 in every row. Use {quoted(name)} itself.",
                BayesmlWarning,
                stacklevel=3,
            )
