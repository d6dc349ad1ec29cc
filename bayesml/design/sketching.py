"""A specification resolved without a table: on an artificial one that fits it.

The generated source depends on the table through labels, parametrisation and the distributions of
the priors only, so an artificial table is enough to write it. Numbers of default priors that
depend on a real table are not meant to be used.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import special

from bayesml.design.building import build_design
from bayesml.design.resolving import resolve
from bayesml.design.stacking import one_outcome
from bayesml.errors import SpecError, TableError, quoted
from bayesml.specs.duration_calls import DurationCall
from bayesml.specs.formulas import parse_terms
from bayesml.specs.groupings import Grouping
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.parsing import parse
from bayesml.specs.residual_structures import Residual
from bayesml.specs.resolved import ResolvedSpec
from bayesml.specs.syntax import Binary, Call, Name, Node, Unary, column_names

WITHOUT_TABLE = (
    "Written without a table: predictors are taken as numbers, and every grouping is non-centred, "
    "which samples well where a unit has few rows. With a table, bayesml chooses per grouping."
)

_ROWS = 240
_UNITS = 4
_OCCASIONS = 6
_CATEGORIES = (1, 2, 3, 4)
_NOMINAL_CATEGORIES = ("a", "b", "c")


def resolve_without_table(spec: ModelSpec) -> ResolvedSpec:
    """Return a specification with every prior, parametrisation and name explicit, without a table.

    Written without a table: every predictor is taken as numeric (inside ``C()`` or with a
    baseline: as three levels), every grouping that is not set otherwise is non-centred, and
    default priors have the scales of an artificial table whose columns have SD 1.

    Parameters
    ----------
    spec : ModelSpec

    Returns
    -------
    ResolvedSpec
        The same for the same specification.

    Raises
    ------
    SpecError
        The specification contradicts itself, or only a real table can tell what it means.

    Examples
    --------
    >>> from bayesml.specs.groupings import Grouping
    >>> spec = ModelSpec("y ~ x", (Grouping("school", columns=("school",)),))
    >>> resolve_without_table(spec).coefficients
    ('Intercept', 'x')
    """
    special = [item for item in spec.every_grouping if item.by or item.effects != "normal"]
    if special:
        raise SpecError(
            f"A model whose grouping {quoted(special[0].name)} has kinds of units or Student-t "
            "effects cannot be written without a table in this version. Give the table as well."
        )
    groupings = tuple(
        replace(grouping, parametrisation="non-centred")
        if grouping.parametrisation == "auto"
        else grouping
        for grouping in spec.groupings
    )
    sketch = replace(spec, groupings=groupings)
    try:
        resolved = resolve(sketch, build_design(sketch, artificial_table(spec)))
    except TableError as error:
        raise SpecError(
            f"This model cannot be written without a table. Give the table as well. (On an "
            f"artificial one: {error})"
        ) from error
    return replace(resolved, spec=spec)


def artificial_table(spec: ModelSpec) -> pd.DataFrame:
    """Return a small table that fits a specification: positive predictors with SD 1.

    Parameters
    ----------
    spec : ModelSpec

    Returns
    -------
    DataFrame
        The same for the same specification.
    """
    rng = np.random.default_rng(1)
    table: dict[str, object] = {}
    labelled = {name for name, _ in spec.baseline}
    trees = [parse_terms(text) for text in (spec.fixed, *_terms(spec.every_grouping))]
    trees += [parse_terms(formula.fixed) for formula in spec.part_formulas.values()]
    trees += [parse(text) for text in spec.parts.offsets]
    for tree in trees:
        labelled |= set(_inside_c(tree))
        for name in column_names(tree):
            table[name] = _spread(rng)
    for column in (spec.exposure, spec.offset):
        if column is not None:
            table[column] = _spread(rng)
    for name in sorted(labelled):
        levels = sorted({dict(spec.baseline).get(name, "a"), "b", "c"})
        table[name] = np.array(levels, dtype=object)[rng.permutation(_ROWS) % len(levels)]
    for grouping in spec.every_grouping:
        table |= _group_columns(grouping, rng)
    if spec.residual is not None:
        table |= _residual_columns(spec.residual, _rows_per_unit(spec), rng)
    if spec.member is not None and spec.member not in table:
        table[spec.member] = 1 + rng.permutation(_ROWS) % 2
    if spec.families:
        for number, name in enumerate(spec.outcomes):
            table |= _outcome_columns(one_outcome(spec, number, name), rng)
    else:
        table |= _outcome_columns(spec, rng)
    return pd.DataFrame(table)


def _terms(groupings: Iterable[Grouping]) -> list[str]:
    return [text for grouping in groupings for text in grouping.terms]


def _spread(rng: np.random.Generator) -> np.ndarray:
    """Return evenly spread numbers with mean 5 and SD 1: positive, so that logs and roots exist."""
    numbers = rng.permutation(_ROWS).astype(float)
    return 5 + (numbers - numbers.mean()) / numbers.std()


def _inside_c(node: Node) -> list[str]:
    """Return the columns that a formula takes as categories with `C()`."""
    match node:
        case Call("C", (Name(name),), ()):
            return [name]
        case Binary(_, left, right):
            return [*_inside_c(left), *_inside_c(right)]
        case Unary(_, operand):
            return _inside_c(operand)
        case _:
            return []


def _group_columns(grouping: Grouping, rng: np.random.Generator) -> dict[str, object]:
    columns: dict[str, object] = {
        name: 1 + rng.permutation(_ROWS) % _UNITS for name in grouping.columns
    }
    slots = len(grouping.members)
    first = rng.permutation(_ROWS)
    for slot, name in enumerate(grouping.members):
        # Neighbouring units in neighbouring slots: no row names a unit twice.
        columns[name] = 1001 + (first + slot) % (slots + _UNITS)
    columns |= {name: np.full(_ROWS, 1 / slots) for name in grouping.weight_columns}
    return columns


def _rows_per_unit(spec: ModelSpec) -> int:
    """Return the number of rows whose residuals are correlated: two of a pair."""
    return 2 if spec.structure in ("dyadic", "social_relations") else _OCCASIONS


def _residual_columns(
    residual: Residual, occasions: int, rng: np.random.Generator
) -> dict[str, object]:
    """Return units of as many rows as there are occasions."""
    order = rng.permutation(_ROWS)
    columns: dict[str, object] = dict.fromkeys(residual.unit, 1 + order // occasions)
    if residual.time is not None:
        columns[residual.time] = 1 + order % occasions
    return columns


def _outcome_columns(spec: ModelSpec, rng: np.random.Generator) -> dict[str, object]:
    """Return the outcome, with a mean that differs from 0 on every link scale."""
    names = column_names(parse(spec.response))
    order = rng.permutation(_ROWS)
    kind = spec.family_record.response
    if kind == "nominal":
        labels = np.array(spec.categories or _NOMINAL_CATEGORIES, dtype=object)
        # The last one twice as often, so that log odds against the baseline differ from 0.
        codes = np.minimum(order % (len(labels) + 1), len(labels) - 1)
        return {names[0]: pd.Series(labels[codes]).infer_objects()}
    if kind == "ordered":
        categories = np.array(spec.categories or _CATEGORIES, dtype=object)
        values = pd.Series(categories[order % len(categories)]).infer_objects()
        return {names[0]: values}
    if kind == "count":
        return dict.fromkeys(names, order % 6)
    if kind == "unit":
        # As spread out as the others on the logit scale.
        return {name: special.expit(_spread(rng) - 5.5) for name in names}
    if spec.durations is not None:
        return _duration_columns(spec.durations, rng)
    if kind != "binary":
        return {name: _spread(rng) for name in names}
    if spec.success is not None:
        labels = np.array([f"not {spec.success}", spec.success], dtype=object)
        return {names[0]: labels[(order % 3 == 0).astype(int)]}
    if spec.response.startswith("cbind("):
        return {name: 1 + (order + number) % (3 + number) for number, name in enumerate(names)}
    columns: dict[str, object] = dict.fromkeys(names, (order % 3 == 0).astype(int))
    if isinstance(spec.trials, str):
        columns[spec.trials] = np.full(_ROWS, 10)
    return columns


def _duration_columns(call: DurationCall, rng: np.random.Generator) -> dict[str, object]:
    """Return columns of durations of which some are censored, and of which some entered late."""
    columns: dict[str, object] = {}
    order = rng.permutation(_ROWS)
    for name in column_names(call.time):
        columns[name] = _spread(rng)
    if call.upper is not None:
        # Some open intervals, and some exact durations.
        length = np.where(order % 4 == 0, np.nan, order % 3 / 2)
        lower = next(iter(columns.values()), _spread(rng))
        columns |= {name: np.asarray(lower) + length for name in column_names(call.upper)}
    if call.status is not None:
        columns |= {name: (order % 3 != 0).astype(int) for name in column_names(call.status)}
    if call.entry is not None:
        columns |= dict.fromkeys(column_names(call.entry), order % 2 * 0.5)
    return columns
