"""Rows with some columns set to other values, and averages of their predictions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from bayesml.design.member_terms import varying_values
from bayesml.design.stored_designs import StoredDesign
from bayesml.errors import FitError, close_name, did_you_mean, listed, quoted
from bayesml.posterior.category_predictors import linear_of_block
from bayesml.posterior.effect_distributions import kinds_of_rows
from bayesml.posterior.linear_predictors import (
    PredictorBlock,
    flat_parameters,
    mean_of_block,
    predictor_blocks,
)
from bayesml.posterior.prediction_rows import (
    PredictionRows,
    columns_of_predictors,
    fit_design,
    frame_of_fit,
    new_rows,
    rows_of_fit,
    terms_of_grouping,
)
from bayesml.posterior.threaded_blocks import worked_blocks
from bayesml.records.facts import GroupingFacts
from bayesml.records.fits import Fit
from bayesml.specs.parsing import parse
from bayesml.specs.syntax import column_names
from bayesml.tables.checks import require_table

EFFECT_KINDS = ("mean", "linear")


@dataclass(frozen=True)
class EffectRows:
    """The rows over which an effect is averaged.

    Parameters
    ----------
    fit : Fit
    stored : StoredDesign
    frame : DataFrame
        Their columns; of the fit's own rows the predictors only.
    own : bool
        Whether they are the fit's own rows.
    chosen : mapping of str to str
        Strategy by grouping.
    kind : {"mean", "linear"}
    seed : int
    """

    fit: Fit
    stored: StoredDesign
    frame: pd.DataFrame
    own: bool
    chosen: Mapping[str, str]
    kind: str
    seed: int

    def having(self, changes: Mapping[str, Any]) -> PredictionRows:
        """Return the rows with these columns changed."""
        frame = self.frame.assign(**changes)
        if not self.own:
            return new_rows(
                self.fit,
                frame,
                self.chosen,
                trials=self.kind == "mean" and self.fit.facts.trials,
            )
        rows = rows_of_fit(self.fit, self.chosen)
        frame = frame.reset_index(drop=True)
        groupings = []
        for part in rows.groupings:
            values = varying_values(self.stored.varying[part.facts.name], frame)
            kind = self._kinds(part.facts, frame, changes)
            terms = terms_of_grouping(self.fit, self.stored, values, part.facts, kind)
            groupings.append(replace(part, terms=terms))
        fixed, parts = columns_of_predictors(
            self.fit,
            self.stored.fixed.replay(frame),
            {name: matrix.replay(frame) for name, matrix in self.stored.parts.items()},
        )
        return replace(rows, fixed=fixed, parts=parts, groupings=tuple(groupings))

    def _kinds(
        self, facts: GroupingFacts, frame: pd.DataFrame, changes: Mapping[str, Any]
    ) -> np.ndarray | None:
        """Return of which kind each row's unit is: what the fit holds, unless it is changed."""
        if not facts.kinds:
            return None
        if facts.by in changes:
            return kinds_of_rows(facts, frame)
        data = self.fit.data["constant_data"].to_dataset()
        return np.asarray(data[f"by_{facts.identifier}"].values)

    def values(self, changes: Mapping[str, Any]) -> Iterator[tuple[slice, np.ndarray]]:
        """Return blocks of the rows' means or linear predictors, draws last, one after another."""
        rows = self.having(changes)
        fit = self.fit
        parameters, nominal = flat_parameters(fit), bool(fit.facts.nominal)

        def work(block: PredictorBlock) -> tuple[slice, np.ndarray]:
            if self.kind == "linear":
                return block.rows, linear_of_block(block, nominal)
            return block.rows, mean_of_block(fit, block, rows.trials, parameters)

        parts = self.kind != "linear" or nominal
        return worked_blocks(predictor_blocks(fit, rows, self.seed, parts=parts), work)

    @property
    def draws_numbers(self) -> bool:
        """Whether effects of new units are drawn, so that the seed matters."""
        return any(strategy in ("new", "known or new") for strategy in self.chosen.values())


def effect_rows(
    fit: Fit, new_data: object, chosen: Mapping[str, str], kind: str, seed: int
) -> EffectRows:
    """Return the rows over which an effect is averaged.

    Raises
    ------
    FitError
        `kind` is not one of `EFFECT_KINDS`, the model has several outcomes, each with effects of
        its own, or the fit was saved without its rows.
    """
    if fit.facts.outcomes and not fit.facts.nominal:
        raise FitError(
            f"An average effect is one of one outcome, and every {fit.facts.outcome_dim} of this "
            f"model has its own coefficients ({listed(fit.facts.outcomes)}). Use bml.summary(fit, "
            "variables=['beta']), or bml.hypothesis(fit, ...) to compare them."
        )
    if kind not in EFFECT_KINDS:
        raise FitError(
            f"kind is {quoted(str(kind))}. {close_name(str(kind), EFFECT_KINDS)}Allowed: "
            "'mean' (response scale) and 'linear' (link scale)."
        )
    stored = fit_design(fit)
    own = new_data is None
    frame = frame_of_fit(fit, stored) if own else require_table(new_data)
    return EffectRows(fit, stored, frame, own, chosen, kind, seed)


def checked_variable(rows: EffectRows, name: object, argument: str) -> bool:
    """Return whether a column enters the model as a number.

    Raises
    ------
    FitError
        The model has no such predictor, or it enters the offset too.
    """
    spec = rows.fit.spec
    columns = list(dict.fromkeys(coding.column for coding in rows.stored.codings))
    offsets = {column for text in spec.parts.offsets for column in column_names(parse(text))}
    offsets |= {str(spec.exposure), str(spec.offset)} - {"None"}
    if name in offsets:
        raise FitError(
            f"{argument} names {quoted(str(name))}, which enters the offset. The offset is known, "
            "not estimated: predict rows with other values with bml.predict."
        )
    if name not in columns:
        hint = did_you_mean(str(name), columns) if columns else "The model has none."
        raise FitError(
            f"{argument} names {quoted(str(name))}, which is not a predictor of this model. {hint}"
        )
    return any(coding.column == name and not coding.levels for coding in rows.stored.codings)


def settings(rows: EffectRows, at: Mapping[str, object] | None) -> list[dict[str, Any]]:
    """Return every combination of the values that columns are set to.

    Raises
    ------
    FitError
        A column is not a predictor, or a value cannot be set.
    """
    if at is None:
        return [{}]
    if not isinstance(at, Mapping):
        raise FitError(f"at is {quoted(str(at))}. Give columns with values: at={{'x': [0, 1]}}.")
    choices: list[list[Any]] = []
    for name, given in at.items():
        number = checked_variable(rows, name, "at")
        single = isinstance(given, str) or not isinstance(
            given, Sequence | np.ndarray | pd.Series | pd.Index
        )
        values = [given] if single else list(given)  # type: ignore[call-overload]
        if not values:
            raise FitError(f"at gives no value of {quoted(name)}. Give one or more.")
        if number:
            _check_numbers(name, values)
        choices.append(values)
    return [dict(zip(at, combination, strict=True)) for combination in product(*choices)]


def _check_numbers(name: str, values: Sequence[Any]) -> None:
    for value in values:
        number = isinstance(value, int | float | np.number | np.bool_)
        if not number or not np.isfinite(float(value)):
            raise FitError(
                f"{quoted(name)} is a number in this model, and {quoted(str(value))} is not one. "
                "Give a finite number."
            )


@dataclass(frozen=True)
class RowGroups:
    """The parts of the rows that are averaged separately.

    Parameters
    ----------
    column : str
        Heading; empty where there is one part.
    labels : tuple
    index : array of int, shape (rows,)
        Part of each row.
    """

    column: str
    labels: tuple[Any, ...]
    index: np.ndarray


def row_groups(rows: EffectRows, by: str | None) -> RowGroups:
    """Return the parts of the rows by unit of a grouping, or by value of a column.

    Raises
    ------
    FitError
        `by` is neither a grouping nor a column, or its units share rows.
    """
    if by is None:
        return RowGroups("", ("",), np.zeros(len(rows.frame), dtype=int))
    facts = rows.fit.facts.grouping(by)
    if facts is not None and facts.multiple:
        raise FitError(
            f"by is {quoted(by)}, a multiple membership: its units share rows. Choose another "
            "grouping or a column."
        )
    if facts is not None and (rows.own or by not in rows.frame.columns):
        return _units(rows, by)
    if by not in rows.frame.columns:
        allowed = [item.name for item in rows.fit.facts.groupings if not item.multiple]
        allowed += [str(name) for name in rows.frame.columns]
        raise FitError(
            f"by is {quoted(str(by))}, which is neither a grouping of this model nor a column of "
            f"the rows. {did_you_mean(str(by), allowed)}"
        )
    index, labels = pd.factorize(rows.frame[by], sort=True)
    if (index < 0).any():
        raise FitError(
            f"by is {quoted(by)}, which is missing in {int((index < 0).sum())} rows. Fill the "
            "values in, or leave these rows out."
        )
    return RowGroups(by, tuple(labels.tolist()), index)


def _units(rows: EffectRows, by: str) -> RowGroups:
    """Return the units of a grouping as the fit or the new rows name them."""
    chosen = dict.fromkeys(rows.chosen, "population") | {by: "known"}
    if rows.own:
        (part,) = rows_of_fit(rows.fit, chosen).groupings
        labels = tuple(rows.fit.posterior[part.facts.identifier].values.tolist())
    else:
        (part,) = new_rows(rows.fit, rows.frame, chosen | {by: "new"}, trials=False).groupings
        labels = part.labels
    used, index = np.unique(part.index[:, 0], return_inverse=True)
    return RowGroups(by, tuple(labels[unit] for unit in used), index.reshape(-1))


def averages(blocks: Iterator[tuple[slice, np.ndarray]], groups: RowGroups) -> np.ndarray:
    """Return the mean over the rows of each part, shape (parts, ..., draws)."""
    total: np.ndarray | None = None
    counts = np.bincount(groups.index, minlength=len(groups.labels)).astype(float)
    for place, values in blocks:
        if total is None:
            total = np.zeros((len(groups.labels), *values.shape[1:]))
        index = groups.index[place]
        used = np.unique(index)
        for part in used:
            total[part] += (values if len(used) == 1 else values[index == part]).sum(axis=0)
    assert total is not None
    return total / counts.reshape(-1, *(1,) * (total.ndim - 1))
