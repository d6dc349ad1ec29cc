"""Predictions of several outcomes of which some are ordered: a line for each of their categories.

Values of rows come with an axis of categories, NaN behind those that an outcome has; outcomes that
are not ordered have one entry, without a category.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesml.posterior.prediction_rows import PredictionRows
from bayesml.quantities.intervals import DrawSummary
from bayesml.records.fits import Fit


@dataclass(frozen=True)
class OutcomeEntries:
    """The entries that rows of several outcomes have in a prediction.

    Parameters
    ----------
    chosen : array of bool, shape (rows, categories)
        Which values of a row are entries.
    outcome, category : array of str, shape (entries,)
        The category is empty where the outcome has none.
    index : Index
        That of the rows, for each entry.
    starts : array of int, shape (rows + 1,)
        Number of each row's first entry, and of all entries.
    """

    chosen: np.ndarray
    outcome: np.ndarray
    category: np.ndarray
    index: pd.Index
    starts: np.ndarray


def outcome_entries(fit: Fit, rows: PredictionRows) -> OutcomeEntries:
    """Return the entries of rows: one for each category of an ordered outcome, else one.

    Parameters
    ----------
    fit : Fit
        With ordered outcomes among several.
    rows : PredictionRows
    """
    assert rows.outcome is not None
    labels = [fit.facts.categories_of(n) or ("",) for n in range(len(fit.facts.outcomes))]
    counts = np.array([len(own) for own in labels])[rows.outcome]
    chosen = np.arange(counts.max(initial=0)) < counts[:, None]
    names = np.array(fit.facts.outcomes, dtype=object)[rows.outcome]
    category = [label for number in rows.outcome for label in labels[number]]
    return OutcomeEntries(
        chosen,
        names.repeat(counts),
        np.array(category, dtype=object),
        rows.index.repeat(counts),
        np.concatenate([[0], counts.cumsum()]),
    )


def entries_table(
    fit: Fit, entries: OutcomeEntries, numbers: dict[str, np.ndarray]
) -> pd.DataFrame:
    """Return a table of the entries.

    Parameters
    ----------
    fit : Fit
    entries : OutcomeEntries
    numbers : dict of str to array, shape (rows, categories)
    """
    columns: dict[str, Any] = {
        fit.facts.outcome_dim: entries.outcome,
        "category": entries.category,
        **{name: values[entries.chosen] for name, values in numbers.items()},
    }
    return pd.DataFrame(columns, index=entries.index)


def drawn_shares(values: np.ndarray, categories: int) -> np.ndarray:
    """Return how often each number of a category was drawn.

    Parameters
    ----------
    values : array, shape (rows, draws)
    categories : int

    Returns
    -------
    array, shape (rows, categories)
    """
    return np.stack([(values == code).mean(axis=-1) for code in range(categories)], axis=-1)


def drawn_outcomes_table(
    fit: Fit,
    rows: PredictionRows,
    names: Sequence[str],
    parts: Sequence[tuple[DrawSummary, np.ndarray]],
) -> pd.DataFrame:
    """Return a table of drawn outcomes: numbers of some, the most frequent category of others.

    Parameters
    ----------
    fit : Fit
    rows : PredictionRows
    names : sequence of str
        Columns of numbers, as attributes of the summaries.
    parts : sequence of (summaries, array of shape (rows, categories))
        Summaries of blocks of rows, and shares of each category.

    Returns
    -------
    DataFrame
        Numbers are NaN of ordered outcomes; `mode` is empty, and `probability` NaN, of others.
    """
    assert rows.outcome is not None
    shares = np.concatenate([share for _, share in parts])
    labels = [fit.facts.categories_of(n) for n in range(len(fit.facts.outcomes))]
    ordered = np.array([bool(own) for own in labels])[rows.outcome]
    columns: dict[str, Any] = {
        fit.facts.outcome_dim: np.array(fit.facts.outcomes, dtype=object)[rows.outcome]
    }
    for name in names:
        values = np.concatenate([getattr(part, name) for part, _ in parts])
        columns[name] = np.where(ordered, np.nan, values)
    most = shares.argmax(axis=-1)
    pairs = zip(rows.outcome, most, strict=True)
    modes = [labels[number][code] if labels[number] else "" for number, code in pairs]
    columns["mode"] = np.array(modes, dtype=object)
    columns["probability"] = np.where(ordered, shares.max(axis=-1), np.nan)
    return pd.DataFrame(columns, index=rows.index)
