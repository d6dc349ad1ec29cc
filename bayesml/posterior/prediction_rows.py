"""The rows of a prediction as arrays: the fit's own rows, or new ones in the fit's design."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bayesml.design.columns import plain_frame
from bayesml.design.columns_used import offset_columns
from bayesml.design.nominal_outcomes import terms_by_category
from bayesml.design.replaying import (
    check_complete,
    key_label,
    replay_terms,
    replay_units,
    trials_columns,
)
from bayesml.design.rows import row_list
from bayesml.design.stored_designs import StoredDesign, stored_design
from bayesml.design.unit_kinds import terms_by_kind
from bayesml.design.units import Units
from bayesml.errors import FitError, listed, quoted
from bayesml.posterior.effect_distributions import (
    kinds_of_rows,
    predictors_by_kind,
)
from bayesml.posterior.group_strategies import LABELLED
from bayesml.posterior.predictor_arrays import predictor_columns_of_rows
from bayesml.records.facts import GroupingFacts
from bayesml.records.fits import Fit
from bayesml.specs.formulas import parse_terms
from bayesml.specs.outcome_terms import OUTCOME
from bayesml.specs.syntax import column_names
from bayesml.tables.checks import require_table


@dataclass(frozen=True)
class RowsOfGrouping:
    """How one grouping enters the rows.

    Parameters
    ----------
    facts : GroupingFacts
    strategy : str
        One of `STRATEGIES`, but not "population".
    terms : array, shape (rows, terms), or (rows, slots, terms)
        Z, with columns for every kind of units where there are several; by slot where members have
        terms of their own.
    labels : tuple of str
        Labels of the rows' units; empty for "marginal", which needs none.
    positions : array of int, shape (labels,)
        Position of each unit in the posterior; -1 for a unit that is drawn.
    index : array of int, shape (rows, slots)
        Number of the label in each slot.
    weights : array, shape (rows, slots)
    """

    facts: GroupingFacts
    strategy: str
    terms: np.ndarray
    labels: tuple[str, ...]
    positions: np.ndarray
    index: np.ndarray
    weights: np.ndarray

    @property
    def size(self) -> int:
        """Number of columns of Z."""
        return int(self.terms.shape[-1])

    def places(self, predictor: str = "") -> list[int]:
        """Return the columns of Z that enter a linear predictor."""
        of_columns = predictors_by_kind(self.facts) or ("",) * self.size
        return [place for place, name in enumerate(of_columns) if name == predictor]


@dataclass(frozen=True)
class PredictionRows:
    """The rows of a prediction.

    Parameters
    ----------
    index : Index
        What the rows are called.
    fixed : array, shape (rows, coefficients)
        X.
    groupings : tuple of RowsOfGrouping
        Groupings whose effects take part; those of the strategy "population" do not.
    offset : array, shape (rows,)
    trials : array of int, shape (rows,), or None
    outcome : array of int, shape (rows,), or None
        Number of each row's outcome, where there are several; the rows of one row of the table
        stand beside each other.
    parts : mapping of str to array, shape (rows, coefficients)
        X of every parameter that has a linear predictor of its own.
    """

    index: pd.Index
    fixed: np.ndarray
    groupings: tuple[RowsOfGrouping, ...]
    offset: np.ndarray
    trials: np.ndarray | None
    outcome: np.ndarray | None = None
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)


def fit_design(fit: Fit) -> StoredDesign:
    """Return what the fit keeps of its design.

    Raises
    ------
    FitError
        The fit is from a version that kept nothing.
    """
    text = fit.data.attrs.get("design")
    if text is None:
        raise FitError(
            "This fit was made by a version that did not keep its design, so new rows cannot be "
            "predicted. Fit the model again."
        )
    return stored_design(text, fit.spec)


def rows_of_fit(fit: Fit, chosen: Mapping[str, str]) -> PredictionRows:
    """Return the rows that the fit was made from.

    Raises
    ------
    FitError
        The fit was saved without its rows.
    """
    data = _constant_data(fit)
    rows = data.sizes["obs"]
    fixed, parts = predictor_columns_of_rows(fit, data)
    groupings = []
    for facts in fit.facts.groupings:
        name = facts.identifier
        if chosen[facts.name] != "population":
            unit = data[f"unit_{name}"].values
            kind = data[f"by_{name}"].values if facts.kinds else None
            weight = data[f"weight_{name}"].values if f"weight_{name}" in data else None
            labels = tuple(str(label) for label in fit.posterior[name].values)
            groupings.append(
                _rows_of_grouping(
                    facts,
                    chosen[facts.name],
                    terms_by_kind(data[f"terms_{name}"].values, kind, len(facts.kinds)),
                    Units(labels, unit, weight),
                    np.arange(len(labels)),
                )
            )
    offset = data["offset"].values if "offset" in data else np.zeros(rows)
    trials = data["trials"].values if "trials" in data else None
    index = pd.Index(data["obs"].values, name="row")
    outcome = None
    if fit.facts.outcome_column:
        outcome = data["outcome_number"].values
    if fit.facts.stacked:
        index = pd.Index(index // len(fit.facts.outcomes), name="row")
    return PredictionRows(index, fixed, tuple(groupings), offset, trials, outcome, parts)


def _constant_data(fit: Fit) -> Any:
    if "constant_data" not in fit.data.children:
        raise FitError(
            "This fit was saved without its rows (data=False), so its own rows cannot be "
            "predicted. Give new_data with the rows that you want."
        )
    return fit.data["constant_data"].to_dataset()


def frame_of_fit(fit: Fit, stored: StoredDesign) -> pd.DataFrame:
    """Return the predictors of the rows that the fit was made from.

    Raises
    ------
    FitError
        The fit was saved without its rows.
    """
    data = _constant_data(fit)
    columns: dict[str, Any] = {}
    for name in data.data_vars:
        if str(name).startswith("predictor_"):
            column, values = data[name].attrs["column"], data[name].values
            if values.dtype.kind == "i":
                levels = np.array(stored.levels(column), dtype=object)
                columns[column] = levels[values]
            else:
                columns[column] = values.astype(float)
    return pd.DataFrame(columns, index=pd.Index(data["obs"].values, name="row"))


def new_rows(fit: Fit, table: object, chosen: Mapping[str, str], *, trials: bool) -> PredictionRows:
    """Return rows of a new table in the fit's design.

    Parameters
    ----------
    fit : Fit
    table : DataFrame, or anything with columns that `require_table` takes
    chosen : mapping of str to str
        Strategy by grouping.
    trials : bool
        Whether binomial trials are needed.

    Raises
    ------
    TableError
        A column is missing, or holds values that the model does not know.
    FitError
        Units are unknown under the strategy "known".
    """
    given = require_table(table)
    stored = fit_design(fit)
    columns = needed_columns(fit, chosen, trials=trials)
    frame = plain_frame(given, columns)
    check_complete(frame, columns)
    frame = frame.reset_index(drop=True)
    index, outcome = given.index, None
    if fit.facts.stacked:
        # Every outcome of every row.
        count = len(fit.facts.outcomes)
        outcome = np.tile(np.arange(count), len(frame))
        frame = frame.loc[frame.index.repeat(count)].reset_index(drop=True)
        frame[OUTCOME] = pd.Categorical.from_codes(outcome, pd.Index(fit.facts.outcomes))
        index = index.repeat(count)
    elif fit.facts.outcome_column:
        labels = pd.Index(fit.facts.outcomes)
        outcome = labels.get_indexer(pd.Index(frame[fit.facts.outcome_column].astype(str)))
    active = [name for name, strategy in chosen.items() if strategy != "population"]
    terms = replay_terms(fit.spec, stored, frame, active, trials=trials)
    groupings = []
    for facts, grouping in zip(fit.facts.groupings, fit.spec.every_grouping, strict=True):
        strategy = chosen[facts.name]
        if strategy == "population":
            continue
        if strategy in LABELLED or grouping.multiple:
            units = replay_units(grouping, stored, frame)
        else:
            units = Units(("",), np.zeros(len(frame), dtype=int))
        positions = _positions(fit, facts, stored, units, strategy)
        kind = kinds_of_rows(facts, frame)
        groupings.append(
            _rows_of_grouping(
                facts,
                strategy,
                terms_of_grouping(fit, stored, terms.varying[facts.name], facts, kind),
                units,
                positions,
            )
        )
    fixed, parts = columns_of_predictors(fit, terms.fixed, terms.parts)
    return PredictionRows(
        index, fixed, tuple(groupings), terms.offset, terms.trials, outcome, parts
    )


def columns_of_predictors(
    fit: Fit, fixed: np.ndarray, parts: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
    """Return X of the main linear predictor and of the others: a nominal outcome's share one."""
    if not fit.facts.nominal:
        return fixed, parts
    return np.empty((len(fixed), 0)), dict.fromkeys(fit.facts.outcomes, fixed)


def terms_of_grouping(
    fit: Fit,
    stored: StoredDesign,
    values: np.ndarray,
    facts: GroupingFacts,
    kind: np.ndarray | None,
) -> np.ndarray:
    """Return Z of a grouping with a column for each category and term, and for each kind of units.

    Parameters
    ----------
    fit : Fit
    stored : StoredDesign
    values : array, shape (rows, terms)
        Z with the columns of one category and kind.
    facts : GroupingFacts
    kind : array of int, shape (rows,), or None
        Of each row's unit.
    """
    if fit.facts.nominal:
        sizes = [len(matrix.labels) for matrix in stored.varying[facts.name]]
        values = terms_by_category(values, sizes, len(fit.facts.outcomes))
    return terms_by_kind(values, kind, len(facts.kinds))


def needed_columns(fit: Fit, chosen: Mapping[str, str], *, trials: bool) -> dict[str, str]:
    """Return the columns that new rows need, with what each is for."""
    spec = fit.spec
    needed = dict.fromkeys(column_names(parse_terms(spec.fixed)), "predictor")
    if spec.member is not None:
        needed[spec.member] = "member"
    for formula in spec.part_formulas.values():
        for name in column_names(parse_terms(formula.fixed)):
            needed.setdefault(name, "predictor")
    for grouping in spec.every_grouping:
        if chosen[grouping.name] != "population":
            for text in grouping.terms:
                for name in column_names(parse_terms(text)):
                    needed.setdefault(name, "varying term")
            if grouping.by is not None:
                needed.setdefault(grouping.by, "kind of units")
    for name in trials_columns(spec) if trials else []:
        needed.setdefault(name, "trials")
    for name, role in offset_columns(spec).items():
        needed.setdefault(name, role)
    for grouping in spec.every_grouping:
        strategy = chosen[grouping.name]
        if strategy in LABELLED or (strategy == "marginal" and grouping.multiple):
            weights = grouping.weight_columns
            for name in (*grouping.columns, *grouping.members, *weights):
                needed.setdefault(name, "grouping")
    return needed


def _positions(
    fit: Fit, facts: GroupingFacts, stored: StoredDesign, units: Units, strategy: str
) -> np.ndarray:
    """Return each unit's position in the posterior; -1 where it is drawn."""
    if strategy not in ("known", "known or new"):
        return np.full(len(units.labels), -1)
    if facts.name in stored.unit_keys:
        known = [key_label(key) for key in stored.unit_keys[facts.name]]
    else:
        known = [str(label) for label in fit.posterior[facts.identifier].values]
    where = {label: number for number, label in enumerate(known)}
    positions = np.array([where.get(label, -1) for label in units.labels], dtype=int)
    if strategy == "known" and (positions < 0).any():
        strange = [label for label, at in zip(units.labels, positions, strict=True) if at < 0]
        hit = positions[units.index] < 0
        if units.weights is not None:
            hit = (hit & (units.weights > 0)).any(axis=1)
        raise FitError(
            f"The fit does not know these units of {quoted(facts.name)}: {listed(strange)}, in row "
            f"{row_list(hit)}. It knows {listed(known, most=3)}. Use groups='known or new' to draw "
            "the unknown units from the estimated variance, 'new' to draw all, or 'population' or "
            "'marginal', which need no units."
        )
    return positions


def _rows_of_grouping(
    facts: GroupingFacts,
    strategy: str,
    terms: np.ndarray,
    units: Units,
    positions: np.ndarray,
) -> RowsOfGrouping:
    rows = len(terms)
    index = units.index.reshape(rows, -1)
    weights = np.ones(index.shape) if units.weights is None else units.weights
    if strategy == "new":
        positions = np.full(len(units.labels), -1)
    return RowsOfGrouping(facts, strategy, terms, units.labels, positions, index, weights)
