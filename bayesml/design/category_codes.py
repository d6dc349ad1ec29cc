"""The categories of an outcome as numbers from 0, each checked to occur."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesml.design.matrices import column_levels
from bayesml.design.rows import row_list
from bayesml.errors import SpecError, TableError, listed, quoted
from bayesml.specs.category_effects import CATEGORY_SPECIFIC
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.nominal_families import LINK
from bayesml.specs.parsing import parse
from bayesml.specs.syntax import Name

# A number that is taken for a nominal outcome by mistake has more values.
MOST = 50


def category_codes(
    name: str, column: pd.Series, categories: Sequence[Any], positions: np.ndarray, learnt: str
) -> np.ndarray:
    """Return the number of each row's category.

    Parameters
    ----------
    name : str
        The outcome.
    column : Series
    categories : sequence
    positions : array of int
        Positions of the rows in the user's table, for messages.
    learnt : str
        What could not be learnt of a category without rows.

    Raises
    ------
    TableError
        A row has none of the categories, a category has no row, or there is only one.
    """
    values = pd.Index(categories, dtype=object).get_indexer(pd.Index(column.astype(object)))
    outside = values < 0
    if outside.any():
        found = pd.unique(column[outside].astype(object)).tolist()
        raise TableError(
            f"The outcome {quoted(name)} has {int(outside.sum())} of {len(values)} rows "
            f"outside the categories: {listed(found)} in row {row_list(outside, positions)}. "
            f"Categories: {listed(categories, 12)}. Add them to categories=, or leave the rows out."
        )
    counts = np.bincount(values, minlength=len(categories))
    if (counts == 0).any():
        empty = [categories[int(i)] for i in np.flatnonzero(counts == 0)]
        raise TableError(
            f"No row of the outcome {quoted(name)} has the category {listed(empty)}, so "
            f"{learnt} cannot be learnt. Leave it out of the categories "
            "(table[...].cat.remove_unused_categories() or categories=)."
        )
    if len(categories) < 2:
        raise TableError(
            f"The outcome {quoted(name)} has one category only, {listed(categories)}. "
            "There is nothing to model."
        )
    return np.asarray(values, dtype=np.int64)


def matched_categories(spec: ModelSpec, column: pd.Series) -> list[Any]:
    """Return the categories as the column holds them: a TOML text may name a number."""
    by_text = {str(level): level for level in column_levels(column)}
    return [by_text.get(str(category), category) for category in spec.categories]


def nominal_categories(
    spec: ModelSpec, frame: pd.DataFrame, positions: np.ndarray
) -> tuple[np.ndarray, tuple[Any, ...]]:
    """Return the codes and the categories of a nominal outcome, the baseline first.

    The baseline is the first of `categories`, else the first level: text sorts ignoring case, a
    pandas categorical keeps its order.

    Raises
    ------
    TableError, SpecError
        The outcome is an expression, or its categories cannot be used.
    """
    node = parse(spec.response)
    if not isinstance(node, Name):
        raise SpecError(
            f"The nominal outcome {quoted(spec.response)} is an expression. Give a column."
        )
    column = frame[node.name]
    categories = matched_categories(spec, column) if spec.categories else column_levels(column)
    if len(categories) > MOST:
        raise TableError(
            f"The outcome {quoted(node.name)} has {len(categories)} categories "
            f"({listed(categories, 3)}), and up to {MOST} can be used: each but the baseline has "
            "coefficients of its own. Join categories, or choose a family of numbers."
        )
    codes = category_codes(node.name, column, categories, positions, "its coefficients")
    labels = [str(category) for category in categories]
    for label in ("", LINK, CATEGORY_SPECIFIC):
        if label in labels:
            raise TableError(
                f"A category of the outcome {quoted(node.name)} is called {quoted(label)}, which "
                "cannot name a linear predictor. Rename it."
            )
    return codes, tuple(categories)
