"""Model matrices by formulaic, with columns and levels under names that are safe to evaluate.

Every column becomes `v0, v1, ...` and every level `l0, l1, ...` before formulaic sees the table, so
that an odd name can neither break nor run anything; labels are translated back afterwards.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayesml.design.codings import Coding
from bayesml.design.columns import LARGEST
from bayesml.design.expressions import ELEMENTWISE, PARALLEL
from bayesml.design.rows import numeric_column, row_list
from bayesml.errors import FormulaError, SpecError, TableError, listed, quoted
from bayesml.specs.formulas import parse_terms
from bayesml.specs.member_terms import (
    member_calls,
    member_label,
    member_value,
    place_of_call,
)
from bayesml.specs.parsing import name_text, unparse
from bayesml.specs.syntax import Binary, Call, Name, Node, Unary, column_names


@dataclass(frozen=True)
class Matrix:
    """A model matrix with labels, and what is needed to build it again on other rows.

    Parameters
    ----------
    values : array, shape (rows, columns)
    labels : tuple of str
        Coefficient labels such as ``"Intercept"``, ``"sex[M]"``, ``"x:z"``.
    codings : tuple of Coding
        The variables, in the order of their internal names.
    spec : object
        formulaic's specification, which replays knots, means and contrasts on new rows.
    """

    values: np.ndarray
    labels: tuple[str, ...]
    codings: tuple[Coding, ...]
    spec: Any

    def replay(self, frame: pd.DataFrame, slot: int = 0) -> np.ndarray:
        """Return the same columns for other rows, or for another slot of a multiple membership.

        Raises
        ------
        TableError
            A level was not seen before, or a value lies where a spline is not defined.
        """
        coded = pd.DataFrame(
            {f"v{i}": _coded_column(frame, item, slot) for i, item in enumerate(self.codings)},
            index=frame.index,
        )
        try:
            with np.errstate(all="ignore"):
                matrix = self.spec.get_model_matrix(coded, context=_context())
        except Exception as error:
            raise TableError(
                f"These rows do not fit the model: {_reason(error, self.codings)}. Keep their "
                "values within those of the rows that the model was made from."
            ) from error
        names = [_translated(str(name), self.codings) for name in matrix.columns]
        # An ordered outcome's matrix has lost its intercept to the cutpoints.
        chosen = [names.index(label) for label in self.labels]
        values = np.array(matrix, dtype=float).reshape(len(frame), -1)[:, chosen]
        _check_finite(values, self.labels, "these rows", None)
        return values


def sorted_levels(values: Sequence[Any]) -> list[Any]:
    """Return labels in order: numbers ascending, text ignoring case, digits as numbers."""
    items = list(values)
    if all(isinstance(item, str) for item in items):
        if all(item.isascii() and item.isdigit() for item in items):
            return sorted(items, key=lambda item: (int(item), item))
        return sorted(items, key=lambda item: (item.casefold(), item))
    try:
        return sorted(items)
    except TypeError:
        return sorted(items, key=lambda item: str(item).casefold())


def column_levels(column: pd.Series) -> list[Any]:
    """Return the levels that occur in a column, a categorical's in its own order."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        present = set(pd.unique(column.dropna()))
        return [level for level in column.cat.categories if level in present]
    return sorted_levels(pd.unique(column.dropna()).tolist())


def is_categorical(column: pd.Series) -> bool:
    """Whether a column is text or a categorical, and so enters a formula by its levels."""
    return isinstance(column.dtype, pd.CategoricalDtype | pd.StringDtype) or (
        column.dtype == object
    )


def build_matrix(
    terms: str,
    frame: pd.DataFrame,
    baseline: Mapping[str, str],
    where: str,
    positions: np.ndarray | None = None,
    outcome: str = "",
    members: Sequence[str] = (),
) -> Matrix:
    """Return the model matrix of a right-hand side.

    Parameters
    ----------
    terms : str
        Right-hand side without bars, such as ``"1 + x * sex"``.
    frame : DataFrame
        Rows without missing values.
    baseline : mapping of str to str
        Baseline level by column, where it is not the first.
    where : str
        What the matrix is for, in messages: ``"the fixed part"``.
    positions : array of int or None
        Positions of the rows in the user's table, for messages; None where they are the same.
    outcome : str
        Column of the outcomes that coefficients belong to, empty where there is one outcome.
    members : sequence of str
        Member columns of a multiple membership; the matrix is that of the first.

    Returns
    -------
    Matrix
        Where there are outcomes, the columns of the first outcome come first.

    Raises
    ------
    TableError, FormulaError, SpecError
        A column cannot enter the formula, or a value is not finite.
    """
    tree = parse_terms(terms)
    codings: dict[str, Coding] = {}
    for call in member_calls(tree):
        label = member_label(call, members)
        codings[label] = Coding(label, label, members=tuple(map(unparse, call.arguments)))
    renamed = _rename(tree, frame, baseline, codings)
    if outcome in codings:
        codings[outcome] = replace(codings[outcome], outcomes=True)
    coded = pd.DataFrame(
        {f"v{i}": _coded_column(frame, coding) for i, coding in enumerate(codings.values())},
        index=frame.index,
    )
    import formulaic

    text = unparse(renamed).replace("^", "**")
    try:
        with np.errstate(all="ignore"):
            matrix = formulaic.Formula(text).get_model_matrix(
                coded, context=_context(), na_action="ignore", output="pandas"
            )
    except Exception as error:
        raise FormulaError(
            f"The terms {quoted(terms)} of {where} cannot be computed: "
            f"{_reason(error, list(codings.values()))}. "
            "Correct the call or compute the column first."
        ) from error
    items = tuple(codings.values())
    labels = tuple(_translated(str(name), items) for name in matrix.columns)
    _check_labels(labels, matrix.columns, where)
    values = np.array(matrix, dtype=float, order="C")
    if values.ndim != 2:
        values = values.reshape(len(frame), -1)
    _check_finite(values, labels, where, positions)
    if outcome in codings:
        order = sorted(range(len(labels)), key=lambda i: outcome_of(labels[i], items))
        values, labels = np.ascontiguousarray(values[:, order]), tuple(labels[i] for i in order)
    return Matrix(values, labels, items, matrix.model_spec)


def outcome_of(label: str, codings: Sequence[Coding]) -> int:
    """Return the number of the outcome that a label belongs to; 0 where there is one outcome."""
    levels = next((item.levels for item in codings if item.outcomes), ())
    begins = [number for number, level in enumerate(levels) if label.startswith(f"{level}:")]
    # Of outcomes "a" and "a:b" the longer one is meant.
    return max(begins, key=lambda number: len(str(levels[number])), default=0)


def _check_finite(
    values: np.ndarray, labels: Sequence[str], where: str, positions: np.ndarray | None
) -> None:
    finite = np.isfinite(values) & (np.abs(values) <= LARGEST)
    if not finite.all():
        column = int(np.flatnonzero(~finite.all(axis=0))[0])
        raise TableError(
            f"The term {quoted(labels[column])} of {where} is not a number below {LARGEST:g} in "
            f"row {row_list(~finite[:, column], positions)}. Correct the column or the expression."
        )


def _check_labels(labels: Sequence[str], names: Sequence[Any], where: str) -> None:
    """Raise where the user's names make two columns look alike."""
    twice = [label for label in dict.fromkeys(labels) if list(labels).count(label) > 1]
    if twice or any(
        label == "Intercept" != str(name) for label, name in zip(labels, names, strict=True)
    ):
        raise TableError(
            f"In {where} a column is called {quoted(twice[0] if twice else 'Intercept')}, like "
            "another term of the results. Rename the column."
        )


def _reason(error: Exception, codings: Sequence[Coding]) -> str:
    """Return the first line of formulaic's error in the user's names."""
    lines = str(error).splitlines() or [type(error).__name__]
    return _translated(lines[0], codings).rstrip(".")


def _context() -> dict[str, Any]:
    import formulaic.transforms as transforms

    splines = {
        name: transforms.TRANSFORMS[name] for name in ("bs", "cr", "center", "poly", "scale")
    }
    return {**ELEMENTWISE, **PARALLEL, **splines, "pi": np.pi}


def _rename(
    node: Node, frame: pd.DataFrame, baseline: Mapping[str, str], codings: dict[str, Coding]
) -> Node:
    """Replace columns by internal names and note how each is coded."""

    def variable(column: str, label: str, as_levels: bool) -> Name:
        if label not in codings:
            codings[label] = _coding(frame, column, label, as_levels, baseline)
        return Name(f"v{list(codings).index(label)}")

    match node:
        case Name(name) if name in frame.columns:
            return variable(name, name, is_categorical(frame[name]))
        case Call("C", (Name(name),), ()):
            return variable(name, f"C({name})", True)
        case Call("mmc", _, _):
            return Name(f"v{place_of_call(node, [item.members for item in codings.values()])}")
        case Call("C", _, _):
            raise FormulaError(
                f"{unparse(node)} is not allowed: C() takes one column. Set another baseline "
                "with baseline={'column': 'level'}."
            )
        case Call(function, arguments, named):
            for name in column_names(node):
                if name in frame.columns and is_categorical(frame[name]):
                    raise FormulaError(
                        f"{unparse(node)} computes with {quoted(name)}, which holds labels, not "
                        "numbers. Use the column alone."
                    )
            return Call(
                function,
                tuple(_rename(item, frame, baseline, codings) for item in arguments),
                tuple((key, _rename(item, frame, baseline, codings)) for key, item in named),
            )
        case Binary(operator, left, right):
            return Binary(
                operator,
                _rename(left, frame, baseline, codings),
                _rename(right, frame, baseline, codings),
            )
        case Unary(operator, operand):
            return Unary(operator, _rename(operand, frame, baseline, codings))
        case _:
            return node


def _coding(
    frame: pd.DataFrame, column: str, label: str, as_levels: bool, baseline: Mapping[str, str]
) -> Coding:
    if not as_levels:
        if column in baseline:
            raise SpecError(
                f"baseline names {quoted(column)}, which holds numbers and has no levels. "
                f"Write C({name_text(column)}) in the formula, or leave it out of baseline."
            )
        numeric_column(frame, column, "The predictor")
        return Coding(column, label)
    levels = column_levels(frame[column])
    if len(levels) < 2:
        raise TableError(
            f"The predictor {quoted(column)} has only one level, {listed(levels)}, in the rows "
            "used, so its effect cannot be told from the intercept. Leave it out."
        )
    if column in baseline:
        wanted = baseline[column]
        matches = [level for level in levels if str(level) == str(wanted)]
        if not matches:
            raise SpecError(
                f"baseline of {quoted(column)} is {quoted(wanted)}, which no row has. "
                f"Levels: {listed(levels, most=10)}."
            )
        levels = [matches[0], *(level for level in levels if level is not matches[0])]
    return Coding(column, label, tuple(levels))


def _coded_column(frame: pd.DataFrame, coding: Coding, slot: int = 0) -> Any:
    if coding.members:
        value = member_value(coding.members[slot])
        if isinstance(value, float):
            return np.full(len(frame), value)
        return numeric_column(frame, value, "The member's column")
    if not coding.levels:
        return numeric_column(frame, coding.column, "The predictor")
    codes = pd.Index(list(coding.levels), dtype=object).get_indexer(
        pd.Index(frame[coding.column].astype(object))
    )
    # Levels that a results file has kept, and labels read from a file, may be text of a number.
    by_text = {str(level): number for number, level in enumerate(coding.levels)}
    values = frame[coding.column].to_numpy(dtype=object)
    for position in np.flatnonzero(codes < 0):
        codes[position] = by_text.get(str(values[position]), -1)
    unknown = codes < 0
    if unknown.any():
        strange = pd.unique(frame[coding.column][unknown].astype(object)).tolist()
        raise TableError(
            f"Column {quoted(coding.column)} holds {listed(strange)} in row {row_list(unknown)}, "
            f"which the model has not seen. Levels: {listed(coding.levels, most=10)}."
        )
    names = pd.Index([f"l{i}" for i in range(len(coding.levels))])
    return pd.Categorical.from_codes(codes.astype(int), names)


_LEVEL = re.compile(r"\bv(\d+)\[(?:T\.)?l(\d+)\]")
_OF_OUTCOME = re.compile(r"v(\d+)\[(?:T\.)?l(\d+)\](:(.*))?\Z", re.DOTALL)
_VARIABLE = re.compile(r"\bv(\d+)\b")


def _translated(text: str, codings: Sequence[Coding]) -> str:
    """Return formulaic's text with the user's names and levels in place of the internal ones."""
    if text == "Intercept":
        return text
    own = _OF_OUTCOME.match(text)
    if own and codings[int(own[1])].outcomes:
        level_of = codings[int(own[1])].levels[int(own[2])]
        return f"{level_of}:{_translated(own[4], codings) if own[4] else 'Intercept'}"

    def level(match: re.Match[str]) -> str:
        coding = codings[int(match[1])]
        return f"{coding.label}[{coding.levels[int(match[2])]}]"

    # One pass over both patterns: a name put in must not be read as an internal name again.
    pattern = re.compile(f"{_LEVEL.pattern}|{_VARIABLE.pattern}")

    def replaced(match: re.Match[str]) -> str:
        if match[2] is not None:
            return level(match)
        return codings[int(match[3])].label

    return pattern.sub(replaced, text)


def without_intercept(matrix: Matrix) -> Matrix:
    """Drop the intercept's column: an ordinal model has cutpoints in its place."""
    if "Intercept" not in matrix.labels:
        return matrix
    position = matrix.labels.index("Intercept")
    return Matrix(
        np.delete(matrix.values, position, axis=1),
        tuple(label for label in matrix.labels if label != "Intercept"),
        matrix.codings,
        matrix.spec,
    )
