"""The design of a fit as text: what building its matrices on other rows takes.

New rows need, beyond the specification, the levels of labels and the numbers that formulaic took
from the table (knots, means, coefficients of polynomials). They are stored as JSON. The formulas
themselves are read again from the specification, through the parser, so that a results file from a
stranger runs no code.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesml.design.codings import Coding
from bayesml.design.designs import Design
from bayesml.design.matrices import Matrix, is_categorical
from bayesml.design.rows import numeric_column
from bayesml.design.units import Units, unit_label
from bayesml.specs.formulas import parse_terms
from bayesml.specs.groupings import Grouping
from bayesml.specs.member_terms import place_of_call
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.parsing import unparse
from bayesml.specs.syntax import Binary, Call, Name, Node, Unary


@dataclass(frozen=True)
class StoredDesign:
    """What a fit knows of its design matrices.

    Parameters
    ----------
    fixed : Matrix
        X without its rows.
    varying : mapping of str to tuple of Matrix
        Z of each grouping by name, a matrix per block, without rows.
    ranges : mapping of str to (float, float)
        Smallest and largest value of each numeric predictor.
    unit_keys : mapping of str to tuple of tuple of str
        Of groupings whose labels come from several columns: these columns' labels of each unit.
    parts : mapping of str to Matrix
        X of every parameter that has a linear predictor of its own, without rows.
    """

    fixed: Matrix
    varying: Mapping[str, tuple[Matrix, ...]]
    ranges: Mapping[str, tuple[float, float]]
    unit_keys: Mapping[str, tuple[tuple[str, ...], ...]]
    parts: Mapping[str, Matrix]

    @property
    def codings(self) -> list[Coding]:
        """The variables of all matrices."""
        matrices = [
            self.fixed,
            *self.parts.values(),
            *(matrix for part in self.varying.values() for matrix in part),
        ]
        return [coding for matrix in matrices for coding in matrix.codings]

    def levels(self, column: str) -> tuple[Any, ...]:
        """Return the levels of a column, empty where it enters as a number only."""
        return next((c.levels for c in self.codings if c.column == column and c.levels), ())


# Storing


def design_text(design: Design) -> str:
    """Return what replaying a design takes as JSON text.

    Parameters
    ----------
    design : Design

    Returns
    -------
    str
    """
    frame = design.rows.frame
    numeric = dict.fromkeys(
        column
        for matrix in design_matrices(design)
        for coding in matrix.codings
        for column in coding.columns
        if not is_categorical(frame[column])
    )
    ranges = {name: numeric_column(frame, name, "The predictor") for name in numeric}
    return json.dumps(
        {
            "fixed": _matrix_entry(design.fixed),
            "varying": {
                part.grouping.name: [_matrix_entry(matrix) for matrix in part.matrices]
                for part in design.varying
            },
            "ranges": {name: [float(v.min()), float(v.max())] for name, v in ranges.items()},
            "unit_keys": {
                part.grouping.name: _unit_keys(part.grouping, part.units, frame)
                for part in design.varying
                if len(part.grouping.columns) > 1
            },
            "parts": {name: _matrix_entry(matrix) for name, matrix in design.parts.items()},
        },
        ensure_ascii=False,
    )


def predictor_columns(design: Design) -> dict[str, np.ndarray]:
    """Return the rows' predictors: numbers as they are, labels as numbers of their levels.

    Parameters
    ----------
    design : Design

    Returns
    -------
    dict of str to array, shape (rows,)
        By column name. A label is the position of its level in `StoredDesign.levels`.
    """
    frame = design.rows.frame
    found: dict[str, np.ndarray] = {}
    codings = [coding for matrix in design_matrices(design) for coding in matrix.codings]
    for coding, name in ((item, name) for item in codings for name in item.columns):
        if name in found:
            continue
        if is_categorical(frame[name]):
            levels = pd.Index(list(coding.levels), dtype=object)
            found[name] = levels.get_indexer(pd.Index(frame[name].astype(object))).astype(int)
        else:
            found[name] = numeric_column(frame, name, "The predictor")
    return found


def design_matrices(design: Design) -> list[Matrix]:
    """Return every matrix of a design: of X, of the parts, and of the groupings' blocks."""
    return [
        design.fixed,
        *design.parts.values(),
        *(matrix for part in design.varying for matrix in part.matrices),
    ]


def _matrix_entry(matrix: Matrix) -> dict[str, Any]:
    return {
        "labels": list(matrix.labels),
        "codings": [
            [
                item.column,
                item.label,
                [_plain_level(level) for level in item.levels],
                *([item.outcomes] if item.outcomes or item.members else []),
                *([list(item.members)] if item.members else []),
            ]
            for item in matrix.codings
        ],
        "state": _as_json(dict(matrix.spec.transform_state)),
    }


def _plain_level(level: Any) -> Any:
    """Return a level as JSON holds it; levels of other kinds are told apart by their text."""
    if isinstance(level, np.generic):
        level = level.item()
    return level if isinstance(level, str | bool | int | float) else str(level)


def _unit_keys(grouping: Grouping, units: Units, frame: pd.DataFrame) -> list[list[str]]:
    _, first = np.unique(units.index, return_index=True)
    columns = [frame[name].astype(object).iloc[first] for name in grouping.columns]
    return [[str(unit_label(value)) for value in key] for key in zip(*columns, strict=True)]


def _as_json(value: Any) -> Any:
    """Return formulaic's numbers as JSON; arrays and mappings (with any key) bear a mark."""
    if isinstance(value, np.ndarray):
        return {"array": value.tolist()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {"items": [[_as_json(key), _as_json(item)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict) and "array" in value:
        return np.array(value["array"])
    if isinstance(value, dict):
        return {_from_json(key): _from_json(item) for key, item in value["items"]}
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    return value


# Reading


def stored_design(text: str, spec: ModelSpec) -> StoredDesign:
    """Return the design that `design_text` wrote, of the same specification.

    Parameters
    ----------
    text : str
    spec : ModelSpec

    Returns
    -------
    StoredDesign
    """
    entries = json.loads(text)
    spec = spec.stacked
    return StoredDesign(
        _matrix(spec.fixed, entries["fixed"]),
        {
            grouping.name: tuple(
                _matrix(terms, entry)
                for terms, entry in zip(
                    grouping.terms, entries["varying"][grouping.name], strict=True
                )
            )
            for grouping in spec.every_grouping
        },
        {name: (low, high) for name, (low, high) in entries["ranges"].items()},
        {name: tuple(tuple(key) for key in keys) for name, keys in entries["unit_keys"].items()},
        {
            name: _matrix(formula.fixed, entries["parts"][name])
            for name, formula in spec.part_formulas.items()
        },
    )


def _matrix(terms: str, entry: Mapping[str, Any]) -> Matrix:
    from formulaic import Formula
    from formulaic.model_spec import ModelSpec as FormulaicSpec
    from formulaic.parser.types import Factor

    codings = tuple(
        Coding(column, label, tuple(levels), *further[:1], *map(tuple, further[1:]))
        for column, label, levels, *further in entry["codings"]
    )
    labels = tuple(entry["labels"])
    text = unparse(_coded(parse_terms(terms), codings)).replace("^", "**")
    levels = {
        f"v{number}": (
            Factor.Kind.CATEGORICAL,
            {"categories": [f"l{level}" for level in range(len(coding.levels))]},
        )
        for number, coding in enumerate(codings)
        if coding.levels
    }
    spec = FormulaicSpec(
        formula=Formula(text),
        na_action="ignore",
        output="pandas",
        transform_state=_from_json(entry["state"]),
        encoder_state=levels,
    )
    return Matrix(np.empty((0, len(labels))), labels, codings, spec)


def _coded(node: Node, codings: Sequence[Coding]) -> Node:
    """Replace columns by internal names, as when the matrix was built."""
    labels = [coding.label for coding in codings]
    match node:
        case Name(name) if name in labels:
            return Name(f"v{labels.index(name)}")
        case Call("C", (Name(name),), ()):
            return Name(f"v{labels.index(f'C({name})')}")
        case Call("mmc", _, _):
            return Name(f"v{place_of_call(node, [item.members for item in codings])}")
        case Call(function, arguments, named):
            return Call(
                function,
                tuple(_coded(item, codings) for item in arguments),
                tuple((key, _coded(item, codings)) for key, item in named),
            )
        case Binary(operator, left, right):
            return Binary(operator, _coded(left, codings), _coded(right, codings))
        case Unary(operator, operand):
            return Unary(operator, _coded(operand, codings))
        case _:
            return node
