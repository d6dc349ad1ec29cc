"""The outcome column as numbers that the family takes, checked before anything compiles."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bayesml.design.category_codes import (
    category_codes,
    matched_categories,
    nominal_categories,
)
from bayesml.design.columns import LARGEST, SMALLEST
from bayesml.design.durations import duration_rows
from bayesml.design.expressions import evaluate
from bayesml.design.matrices import column_levels, is_categorical
from bayesml.design.rows import numeric_column, row_list
from bayesml.errors import SpecError, TableError, listed, quoted
from bayesml.specs.censoring import CENSORING, ENDED
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.parsing import parse
from bayesml.specs.syntax import Call, Name, Node, column_names

# Up to here every whole number is a float.
EXACT = 2.0**53


@dataclass(frozen=True)
class Response:
    """The outcome.

    Parameters
    ----------
    values : array, shape (rows,)
        Outcomes; whole numbers for counts, successes and categories (from 0).
    trials : array, shape (rows,), or None
        Binomial trials, None for 0/1 outcomes.
    categories : tuple
        Categories of an ordered outcome, lowest first.
    notes : tuple of str
        What the reader must know.
    bounds : mapping of str to array, shape (rows,)
        What is known of durations that were not observed whole, see `DurationRows`.
    nominal : tuple of str
        Categories of a nominal outcome, the baseline first.
    by_outcome : tuple of tuple
        Categories of each of several outcomes that are fitted by likelihoods of their own, empty
        for those that are not ordered.
    """

    values: np.ndarray
    trials: np.ndarray | None = None
    categories: tuple[Any, ...] = ()
    notes: tuple[str, ...] = field(default=())
    bounds: Mapping[str, np.ndarray] = field(default_factory=dict)
    nominal: tuple[str, ...] = ()
    by_outcome: tuple[tuple[Any, ...], ...] = ()

    @property
    def censored(self) -> tuple[int, ...]:
        """The codes of censoring that occur; empty where every duration ended."""
        codes = np.unique(self.bounds.get(CENSORING, np.empty(0, dtype=int)))
        return tuple(int(code) for code in codes if code != ENDED)


def find_response(spec: ModelSpec, frame: pd.DataFrame, positions: np.ndarray) -> Response:
    """Return the outcome of a model, checked against the family.

    Raises
    ------
    TableError, SpecError
        The outcome is outside the family's support, or its coding is not known.
    """
    kind = spec.family_record.response
    if kind == "binary":
        binary = _binary(spec, frame, positions)
        _check_trials(spec, binary)
        return binary
    if kind == "ordered":
        return _ordered(spec, frame, positions)
    if kind == "nominal":
        codes, found_categories = nominal_categories(spec, frame, positions)
        return Response(codes, nominal=tuple(map(str, found_categories)))
    if spec.durations is not None:
        found = duration_rows(spec.durations, frame, positions)
        if np.ptp(found.values) < SMALLEST and not found.bounds:
            raise _constant(spec, found.values[0])
        return Response(found.values, bounds=found.bounds)
    values = _numbers(spec, parse(spec.response), frame, positions)
    if kind == "count":
        _support(
            spec,
            values,
            _whole(values, 0),
            positions,
            "counts 0, 1, 2, ... below 2^53",
        )
        if not values.any():
            return Response(
                values.astype(np.int64),
                notes=(f"Every value of the outcome {quoted(spec.response)} is 0.",),
            )
        return Response(values.astype(np.int64))
    if kind == "positive":
        _support(spec, values, values >= SMALLEST, positions, "numbers above 0")
    if kind == "unit":
        inside = (values >= SMALLEST) & (values <= 1 - np.finfo(float).eps)
        ends = (values == 0) | (values == 1)
        _support(
            spec,
            values,
            inside,
            positions,
            "numbers between 0 and 1, without the ends",
            "The density is 0 or infinite at the ends. Move them inwards if they stand for values "
            "nearby, (y * (n - 1) + 0.5) / n with n rows (Smithson & Verkuilen 2006), or give "
            "successes and trials= with family='binomial' or 'beta_binomial'"
            if (ends | inside).all()
            else "",
        )
    if np.ptp(values) < SMALLEST:
        raise _constant(spec, values[0])
    return Response(values)


def _constant(spec: ModelSpec, value: float) -> TableError:
    return TableError(
        f"The outcome {quoted(spec.response_label)} has the value {value:g} in every row. "
        "There is nothing to model."
    )


def bound_columns(spec: ModelSpec) -> tuple[str, ...]:
    """Return the columns of the outcome that may be empty: open bounds of intervals."""
    return () if spec.durations is None else spec.durations.bounds


def response_columns(spec: ModelSpec) -> list[str]:
    """Return the columns that the outcome and its trials come from."""
    names = column_names(parse(spec.response))
    if isinstance(spec.trials, str):
        names.append(spec.trials)
    return list(dict.fromkeys(names))


def _numbers(spec: ModelSpec, node: Node, frame: pd.DataFrame, positions: np.ndarray) -> np.ndarray:
    columns = {
        name: _outcome_column(spec, frame, name) for name in column_names(node) if name in frame
    }
    values = np.asarray(evaluate(node, columns), dtype=float)
    bad = ~np.isfinite(values) | (np.abs(values) > LARGEST)
    if bad.any():
        raise TableError(
            f"The outcome {quoted(spec.response)} is not a number below {LARGEST:g} in row "
            f"{row_list(bad, positions)}. Correct these rows or the expression."
        )
    return values


def _outcome_column(spec: ModelSpec, frame: pd.DataFrame, name: str) -> np.ndarray:
    if is_categorical(frame[name]):
        levels = column_levels(frame[name])
        raise TableError(
            f"The outcome {quoted(name)} holds labels ({listed(levels, 4)}), and the family "
            f"{quoted(spec.family)} takes numbers. Use family='ordinal' with categories=[...] for "
            "ordered labels, family='binomial' with success=... for two, or family='categorical'."
        )
    return numeric_column(frame, name, "The outcome")


def _whole(values: np.ndarray, least: float) -> np.ndarray:
    """Where values are whole numbers of at least this size that a float holds exactly."""
    return (values >= least) & (values < EXACT) & (values == np.round(values))


def _support(
    spec: ModelSpec,
    values: np.ndarray,
    inside: np.ndarray,
    positions: np.ndarray,
    allowed: str,
    advice: str = "",
) -> None:
    if not inside.all():
        bad = ~inside
        raise TableError(
            f"The outcome {quoted(spec.response)} has {int(bad.sum())} of {len(values)} rows "
            f"outside the support of the family {quoted(spec.family)}: "
            f"{', '.join(f'{value:g}' for value in values[bad][:5])} in row "
            f"{row_list(bad, positions)}. Allowed: {allowed}. "
            f"{advice or 'Correct these rows or choose another family'}."
        )


def _binary(spec: ModelSpec, frame: pd.DataFrame, positions: np.ndarray) -> Response:
    node = parse(spec.response)
    if isinstance(node, Call) and node.function == "cbind":
        successes = _numbers(spec, node.arguments[0], frame, positions)
        failures = _numbers(spec, node.arguments[1], frame, positions)
        _support(spec, failures, _whole(failures, 0), positions, "failures 0, 1, 2, ...")
        return _out_of(spec, successes, successes + failures, positions)
    if isinstance(node, Name) and is_categorical(frame[node.name]):
        return _two_valued(spec, frame[node.name])
    if spec.success is not None:
        column = frame[node.name] if isinstance(node, Name) else None
        if column is None:
            raise SpecError(
                f"success= names a value of a column, but the outcome is {quoted(spec.response)}. "
                "Leave success= out, or use a column."
            )
        return _two_valued(spec, column)
    values = _numbers(spec, node, frame, positions)
    if spec.trials is not None:
        if isinstance(spec.trials, str):
            trials = numeric_column(frame, spec.trials, "The column of trials")
        else:
            trials = np.full(len(values), float(spec.trials))
        return _out_of(spec, values, trials, positions)
    _support(
        spec,
        values,
        (values == 0) | (values == 1),
        positions,
        "0 and 1, or successes with trials=",
    )
    return Response(values.astype(np.int64), notes=_one_sided(spec, values, 1.0))


def _check_trials(spec: ModelSpec, response: Response) -> None:
    if not spec.family_record.needs_trials:
        return
    if response.trials is None or int(response.trials.max()) == 1:
        found = "of 0 and 1" if response.trials is None else "with one trial in every row"
        names = listed([item.name for item in spec.family_record.parameters])
        raise SpecError(
            f"The family {quoted(spec.family)} has an outcome {found}, {quoted(spec.response)}, "
            f"and one trial says nothing about {names}, which is how much trials of one row are "
            "alike. Give trials=, or use family='binomial'."
        )


def _out_of(
    spec: ModelSpec, successes: np.ndarray, trials: np.ndarray, positions: np.ndarray
) -> Response:
    whole = _whole(trials, 1)
    if not whole.all():
        raise TableError(
            f"The trials of {quoted(spec.response)} are not positive whole numbers in "
            f"{int((~whole).sum())} rows, first in row {row_list(~whole, positions)} "
            f"({trials[~whole][0]:g}). Correct or leave out these rows."
        )
    _support(spec, successes, _whole(successes, 0), positions, "successes 0, 1, ..., trials")
    more = successes > trials
    if more.any():
        raise TableError(
            f"The trials are smaller than the successes {quoted(spec.response)} in "
            f"{int(more.sum())} rows ({successes[more][0]:g} of {trials[more][0]:g}), row "
            f"{row_list(more, positions)}. Correct these rows."
        )
    return Response(
        successes.astype(np.int64),
        trials=trials.astype(np.int64),
        notes=_one_sided(spec, successes, trials),
    )


def _one_sided(spec: ModelSpec, values: np.ndarray, most: np.ndarray | float) -> tuple[str, ...]:
    if not values.any() or (values == most).all():
        what = "a success" if values.any() else "a failure"
        return (f"Every row of the outcome {quoted(spec.response)} is {what}.",)
    return ()


def _two_valued(spec: ModelSpec, column: pd.Series) -> Response:
    levels = column_levels(column)
    if spec.trials is not None:
        raise SpecError(
            f"The outcome {quoted(spec.response)} holds labels, but trials= needs numbers of "
            "successes. Leave trials= out, or use a numeric outcome."
        )
    if len(levels) > 2:
        raise TableError(
            f"The outcome {quoted(spec.response)} has {len(levels)} values ({listed(levels)}), and "
            "the family 'binomial' takes two. Use family='ordinal' for ordered categories, "
            "family='categorical' for others, or join categories."
        )
    if spec.success is None:
        raise SpecError(
            f"The outcome {quoted(spec.response)} has the values {listed(levels)}, and which of "
            f"them counts as 1 is not known. Add success={str(levels[-1])!r}."
        )
    chosen = [level for level in levels if str(level) == str(spec.success)]
    if not chosen:
        raise SpecError(
            f"success is {quoted(spec.success)}, which the outcome {quoted(spec.response)} never "
            f"has. Its values: {listed(levels)}."
        )
    values = (column.astype(object) == chosen[0]).to_numpy(dtype=np.int64)
    return Response(values, notes=_one_sided(spec, values, 1.0))


def _ordered(spec: ModelSpec, frame: pd.DataFrame, positions: np.ndarray) -> Response:
    node = parse(spec.response)
    if not isinstance(node, Name):
        raise SpecError(
            f"The ordinal outcome {quoted(spec.response)} is an expression. Give a column."
        )
    column = frame[node.name]
    notes: tuple[str, ...] = ()
    if spec.categories:
        categories = matched_categories(spec, column)
    elif isinstance(column.dtype, pd.CategoricalDtype) and column.cat.ordered:
        categories = list(column.cat.categories)
    elif is_categorical(column):
        raise SpecError(
            f"The ordinal outcome {quoted(node.name)} holds text without an order "
            f"({listed(column_levels(column))}). Give the order, lowest first: categories=[...]."
        )
    else:
        numbers = numeric_column(frame, node.name, "The outcome")
        _support(spec, numbers, _whole(numbers, -EXACT), positions, "whole numbers")
        categories = [int(value) for value in np.unique(numbers)]
        steps = np.diff(categories)
        wide = steps > steps.min(initial=2**62)
        if wide.any():
            after = categories[int(np.argmax(wide))]
            notes = (
                f"No row of {quoted(node.name)} has a value between {after} and the next larger "
                "one; the categories are the values that occur.",
            )
        column = pd.Series(numbers.astype(int))
    values = category_codes(node.name, column, categories, positions, "its cutpoint")
    return Response(values, categories=tuple(categories), notes=notes)
