"""Arithmetic of formulas on arrays: the outcome, offsets, and terms at given values."""

from collections.abc import Callable, Mapping

import numpy as np

from bayesml.errors import FormulaError, quoted
from bayesml.specs.parsing import unparse
from bayesml.specs.syntax import Binary, Call, Constant, Name, Node, Number, Unary

ELEMENTWISE: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "I": lambda x: x,
    "abs": np.abs,
    "cos": np.cos,
    "exp": np.exp,
    "log": np.log,
    "log10": np.log10,
    "log1p": np.log1p,
    "log2": np.log2,
    "sin": np.sin,
    "sqrt": np.sqrt,
    "tan": np.tan,
}

# Of several arguments: `pmax(week - 3, 0)` is 0 up to week 3 and counts the weeks from there.
PARALLEL: Mapping[str, Callable[..., np.ndarray]] = {"pmax": np.maximum, "pmin": np.minimum}

_OPERATORS: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "^": np.power,
    ":": np.multiply,
}


def evaluate(node: Node, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the value of an arithmetic expression of columns, elementwise.

    Parameters
    ----------
    node : Node
        Tree of the expression.
    columns : mapping of str to array
        Numeric columns by name, of one length, or scalars.

    Returns
    -------
    array

    Raises
    ------
    FormulaError
        The expression calls a function that is not elementwise, or names an unknown column.

    Examples
    --------
    >>> from bayesml.specs.parsing import parse
    >>> float(evaluate(parse("log(a) + b"), {"a": np.array(1.0), "b": np.array(2.0)}))
    2.0
    """
    match node:
        case Constant("pi"):
            return np.asarray(np.pi)
        case Name(name):
            if name not in columns:
                raise FormulaError(f"There is no value for {quoted(name)}. Give one.")
            return np.asarray(columns[name], dtype=float)
        case Number(text):
            return np.asarray(float(text))
        case Unary(operator, operand):
            value = evaluate(operand, columns)
            return -value if operator == "-" else value
        case Binary(operator, left, right) if operator in _OPERATORS:
            with np.errstate(all="ignore"):
                return _OPERATORS[operator](evaluate(left, columns), evaluate(right, columns))
        case Call(function, (argument,), ()) if function in ELEMENTWISE:
            with np.errstate(all="ignore"):
                return ELEMENTWISE[function](evaluate(argument, columns))
        case Call(function, (first, second), ()) if function in PARALLEL:
            return PARALLEL[function](evaluate(first, columns), evaluate(second, columns))
        case _:
            raise FormulaError(
                f"{unparse(node)} cannot be computed row by row. Allowed here: arithmetic and "
                f"{', '.join([*ELEMENTWISE, *PARALLEL])}."
            )
