"""Arithmetic of formulas on arrays is NumPy's."""

import numpy as np
import pytest

from bayesml.design.expressions import ELEMENTWISE, evaluate
from bayesml.errors import FormulaError
from bayesml.specs.parsing import FUNCTIONS, parse

X = np.array([0.5, 1.0, 4.0])
W = np.array([2.0, -3.0, 0.25])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x", X),
        ("2", 2.0),
        ("pi", np.pi),
        ("`pi` + pi", W + np.pi),
        ("-x + w", -X + W),
        ("+x - w - 1", X - W - 1),
        ("x - (w - 1)", X - (W - 1)),
        ("x * w / 2", X * W / 2),
        ("x / w / 2", X / W / 2),
        ("x:w", X * W),
        ("-x^2", -(X**2)),
        ("x^2^3", X**8),
        ("x ** -1", 1 / X),
        ("I(x^2) + log(x * 2)", X**2 + np.log(2 * X)),
        ("pmax(x - 1, 0) + pmin(x, 2)", np.maximum(X - 1, 0) + np.minimum(X, 2)),
        ("log2(x) + log10(x) + log1p(x)", np.log2(X) + np.log10(X) + np.log1p(X)),
        ("exp(x) + sqrt(x) + abs(w)", np.exp(X) + np.sqrt(X) + np.abs(W)),
        ("sin(x) * cos(w) - tan(x)", np.sin(X) * np.cos(W) - np.tan(X)),
    ],
)
def test_values(text: str, expected: np.ndarray) -> None:
    found = evaluate(parse(text), {"x": X, "w": W, "pi": W})
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_what_leaves_the_numbers_is_not_finite_and_silent() -> None:
    found = evaluate(parse("log(w) + 1 / (x - 1)"), {"x": X, "w": W})
    np.testing.assert_array_equal(np.isfinite(found), [True, False, True])


@pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - set(ELEMENTWISE)))
def test_functions_of_whole_columns_are_refused(function: str) -> None:
    with pytest.raises(FormulaError, match="cannot be computed row by row"):
        evaluate(parse(f"{function}(x)"), {"x": X})


@pytest.mark.parametrize("text", ["log(x, 2)", "log(x, base=2)", "'a'", "y ~ x", "(x | w)"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(FormulaError, match="cannot be computed row by row"):
        evaluate(parse(text), {"x": X, "w": W, "y": X})


def test_a_column_without_a_value_is_named() -> None:
    with pytest.raises(FormulaError, match="no value for 'z'"):
        evaluate(parse("x + z"), {"x": X})
