"""Model matrices as R builds them, under the user's names, and again on other rows."""

import numpy as np
import pandas as pd
import pytest
from scipy import interpolate

from bayesml.design.matrices import build_matrix, sorted_levels
from bayesml.errors import FormulaError, SpecError, TableError

X = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
W = np.array([2.0, 3.0, 5.0, 7.0, 11.0, 13.0])
MALE = np.array([1.0, 0, 1, 0, 1, 0])
ONE = np.ones(6)


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "x": X,
            "w": W,
            "sex": np.where(MALE == 1, "M", "F"),
            "g": ["b", "A", "c", "B", "b", "A"],
            "digits": ["10", "2", "1", "2", "1", "10"],
            "k": [1, 2, 3, 1, 2, 3],
            "yes": MALE == 1,
            "size": pd.Categorical(
                ["small", "large", "mid", "mid", "large", "small"],
                categories=["small", "mid", "large", "never"],
            ),
            "pi": W,
        }
    )


def column(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=float)


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ("1", {"Intercept": ONE}),
        ("0", {}),
        ("x", {"Intercept": ONE, "x": X}),
        ("0 + x", {"x": X}),
        ("x - 1", {"x": X}),
        ("x + w", {"Intercept": ONE, "x": X, "w": W}),
        ("x:w", {"Intercept": ONE, "x:w": X * W}),
        ("x * w", {"Intercept": ONE, "x": X, "w": W, "x:w": X * W}),
        ("x * w - x:w", {"Intercept": ONE, "x": X, "w": W}),
        ("(x + w)^2", {"Intercept": ONE, "x": X, "w": W, "x:w": X * W}),
        ("sex", {"Intercept": ONE, "sex[M]": MALE}),
        ("0 + sex", {"sex[F]": 1 - MALE, "sex[M]": MALE}),
        ("sex * x", {"Intercept": ONE, "sex[M]": MALE, "x": X, "sex[M]:x": MALE * X}),
        ("x / sex", {"Intercept": ONE, "x": X, "x:sex[M]": MALE * X}),
        ("x:sex", {"Intercept": ONE, "x:sex[F]": (1 - MALE) * X, "x:sex[M]": MALE * X}),
        ("yes", {"Intercept": ONE, "yes": MALE}),
        ("g", {
            "Intercept": ONE,
            "g[B]": column([0, 0, 0, 1, 0, 0]),
            "g[b]": column([1, 0, 0, 0, 1, 0]),
            "g[c]": column([0, 0, 1, 0, 0, 0]),
        }),
        ("digits", {
            "Intercept": ONE,
            "digits[2]": column([0, 1, 0, 1, 0, 0]),
            "digits[10]": column([1, 0, 0, 0, 0, 1]),
        }),
        ("size", {
            "Intercept": ONE,
            "size[mid]": column([0, 0, 1, 1, 0, 0]),
            "size[large]": column([0, 1, 0, 0, 1, 0]),
        }),
        ("C(k)", {
            "Intercept": ONE,
            "C(k)[2]": column([0, 1, 0, 0, 1, 0]),
            "C(k)[3]": column([0, 0, 1, 0, 0, 1]),
        }),
        ("C(k):x", {
            "Intercept": ONE,
            "C(k)[1]:x": column([1, 0, 0, 1, 0, 0]) * X,
            "C(k)[2]:x": column([0, 1, 0, 0, 1, 0]) * X,
            "C(k)[3]:x": column([0, 0, 1, 0, 0, 1]) * X,
        }),
        ("k", {"Intercept": ONE, "k": column([1, 2, 3, 1, 2, 3])}),
        ("I(x^2)", {"Intercept": ONE, "I(x ** 2)": X**2}),
        ("I(x * pi)", {"Intercept": ONE, "I(x * pi)": X * np.pi}),
        ("I(x * `pi`)", {"Intercept": ONE, "I(x * pi)": X * W}),
        ("log(x)", {"Intercept": ONE, "log(x)": np.log(X)}),
        ("log2(x) + log10(x) + log1p(x)", {
            "Intercept": ONE, "log2(x)": np.log2(X), "log10(x)": np.log10(X),
            "log1p(x)": np.log1p(X),
        }),
        ("sin(x) + cos(x) + tan(x)", {
            "Intercept": ONE, "sin(x)": np.sin(X), "cos(x)": np.cos(X), "tan(x)": np.tan(X),
        }),
        ("exp(x) + sqrt(x) + abs(-x)", {
            "Intercept": ONE, "exp(x)": np.exp(X), "sqrt(x)": np.sqrt(X), "abs(-x)": X,
        }),
        ("center(x)", {"Intercept": ONE, "center(x)": X - 3.5}),
        ("scale(x)", {"Intercept": ONE, "scale(x)": (X - 3.5) / X.std(ddof=1)}),
    ],
)  # fmt: skip
def test_columns_and_labels(
    terms: str, expected: dict[str, np.ndarray], frame: pd.DataFrame
) -> None:
    found = build_matrix(terms, frame, {}, "the fixed part")
    assert list(found.labels) == list(expected)
    for values, wanted in zip(found.values.T, expected.values(), strict=True):
        np.testing.assert_allclose(values, wanted, rtol=1e-12)
    assert found.values.shape == (6, len(expected))


def test_orthogonal_polynomials_span_the_powers(frame: pd.DataFrame) -> None:
    """As R's poly(): orthonormal columns, orthogonal to a constant, the first rising with x."""
    found = build_matrix("poly(x, 2)", frame, {}, "the fixed part").values
    np.testing.assert_allclose(found.T @ found, np.diag([6.0, 1.0, 1.0]), atol=1e-12)
    powers = np.column_stack([ONE, X, X**2])
    rest = powers - found @ np.linalg.lstsq(found, powers, rcond=None)[0]
    np.testing.assert_allclose(rest, 0, atol=1e-10)
    assert found[5, 1] > found[0, 1]


def test_b_splines_are_scipys(frame: pd.DataFrame) -> None:
    """bs(x, df=4): cubic, one knot at the median, the first basis function left out."""
    found = build_matrix("bs(x, df=4)", frame, {}, "the fixed part").values[:, 1:]
    knots = np.array([1.0] * 4 + [3.5] + [6.0] * 4)
    basis = interpolate.BSpline.design_matrix(X, knots, 3).toarray()[:, 1:]
    np.testing.assert_allclose(found, basis, atol=1e-12)


@pytest.mark.parametrize(
    "terms",
    ["sex * x", "poly(x, 2)", "bs(x, df=4)", "cr(x, df=3)", "center(x) + scale(w)", "C(k) + size"],
)
def test_other_rows_get_the_columns_of_the_first_ones(terms: str, frame: pd.DataFrame) -> None:
    """Knots, means, contrasts and levels are those of the rows that the matrix was made from."""
    matrix = build_matrix(terms, frame, {"sex": "M"}, "the fixed part")
    some = frame.iloc[[4, 1]].reset_index(drop=True)
    np.testing.assert_allclose(matrix.replay(some), matrix.values[[4, 1]], atol=1e-12)


def test_rows_beyond_what_was_seen_are_refused(frame: pd.DataFrame) -> None:
    matrix = build_matrix("sex + bs(x, df=4)", frame, {}, "the fixed part")
    with pytest.raises(TableError, match="holds 'X' in row 2, which the model has not seen"):
        matrix.replay(frame.iloc[:2].assign(sex=["F", "X"]))
    with pytest.raises(TableError, match=r"bs\(x, df=4\).*within those of the rows"):
        matrix.replay(frame.assign(x=100 * X))


@pytest.mark.parametrize(
    ("terms", "baseline", "labels"),
    [
        ("sex", {"sex": "M"}, ("Intercept", "sex[F]")),
        ("size", {"size": "large"}, ("Intercept", "size[small]", "size[mid]")),
        ("C(k)", {"k": "2"}, ("Intercept", "C(k)[1]", "C(k)[3]")),
        ("x + sex:w", {"sex": "M"}, ("Intercept", "x", "sex[M]:w", "sex[F]:w")),
    ],
)
def test_baseline(
    terms: str, baseline: dict[str, str], labels: tuple[str, ...], frame: pd.DataFrame
) -> None:
    assert build_matrix(terms, frame, baseline, "the fixed part").labels == labels


def test_a_level_that_looks_like_code_is_a_label(frame: pd.DataFrame) -> None:
    odd = ["v0[T.l1]", "l0", "a:b", "x]", "`", '"); import os']
    table = frame.assign(sex=odd, **{"v1": X, "a:b": W})
    found = build_matrix("sex + v1 + `a:b`:sex", table, {"sex": "l0"}, "the fixed part")
    levels = sorted(set(odd) - {"l0"}, key=lambda level: (level.casefold(), level))
    assert found.labels[:6] == ("Intercept", *(f"sex[{level}]" for level in levels))
    assert found.labels[6] == "v1"
    assert found.labels[-1] == f"a:b:sex[{levels[-1]}]"
    np.testing.assert_array_equal(
        found.values[:, 1 + levels.index("a:b")], column([0, 0, 1, 0, 0, 0])
    )


@pytest.mark.parametrize(
    ("values", "ordered"),
    [
        (["b", "A", "c", "B"], ["A", "B", "b", "c"]),
        (["10", "9", "1"], ["1", "9", "10"]),
        (["10", "9", "x"], ["10", "9", "x"]),
        ([3, 1, 2.5], [1, 2.5, 3]),
        ([True, False], [False, True]),
        (["b", 1], [1, "b"]),
    ],
)
def test_levels_ignore_case_and_read_digits_as_numbers(
    values: list[object], ordered: list[object]
) -> None:
    assert sorted_levels(values) == ordered


@pytest.mark.parametrize(
    ("terms", "baseline", "error"),
    [
        ("log(sex)", {}, FormulaError),
        ("C(sex, x)", {}, FormulaError),
        ("poly(x)", {}, None),
        ("poly(x, w)", {}, FormulaError),
        ("I(x:w)", {}, FormulaError),
        ("x", {"x": "1"}, SpecError),
        ("sex", {"sex": "m"}, SpecError),
        ("log(x - 1)", {}, TableError),
    ],
)
def test_what_cannot_be_computed(
    terms: str, baseline: dict[str, str], error: type[Exception] | None, frame: pd.DataFrame
) -> None:
    if error is None:
        assert build_matrix(terms, frame, baseline, "the fixed part").values.shape == (6, 2)
        return
    with pytest.raises(error):
        build_matrix(terms, frame, baseline, "the fixed part")
