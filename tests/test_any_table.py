"""Tables of any types make a model or an error of ours: never a traceback of another library."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bayesml as bml
from bayesml.errors import BayesmlError, BayesmlWarning


def _objects(values: st.SearchStrategy[Any]) -> Callable[[int], st.SearchStrategy[Any]]:
    def of_rows(rows: int) -> st.SearchStrategy[Any]:
        return st.lists(values, min_size=rows, max_size=rows).map(
            lambda items: pd.Series(items, dtype=object)
        )

    return of_rows


def _typed(
    values: st.SearchStrategy[Any], *dtypes: str
) -> Callable[[int], st.SearchStrategy[pd.Series]]:
    def of_rows(rows: int) -> st.SearchStrategy[pd.Series]:
        lists = st.lists(values, min_size=rows, max_size=rows)
        return st.builds(
            lambda items, dtype: pd.Series(items).astype(dtype), lists, st.sampled_from(dtypes)
        )

    return of_rows


few, anything = st.integers(0, 3), st.floats(allow_nan=True, allow_infinity=True)
letters = st.sampled_from(["a", "b", "B", "", "a b"])
SENSIBLE = (
    _typed(few, "int64", "float64", "UInt8", "Int64"),
    _typed(st.floats(-3, 3), "float64", "float32"),
    _typed(letters, "str", "object", "category"),
)
ODD = (
    *SENSIBLE,
    _typed(anything, "float64"),
    _typed(st.booleans(), "bool", "boolean", "object"),
    _typed(st.none() | few, "Int64", "Float64", "object"),
    _typed(st.none() | st.booleans(), "boolean"),
    _typed(st.none() | letters, "string", "category", "object"),
    _typed(st.integers(-(2**63), 2**63 - 1), "int64"),
    _typed(st.complex_numbers(max_magnitude=9), "complex128"),
    _typed(few, "timedelta64[s]", "datetime64[s]", "Sparse[int64]"),
    _objects(st.none() | few | letters | st.booleans() | st.floats(-3, 3)),
    _objects(st.integers(-(10**40), 10**40) | st.decimals(-5, 5)),
    _objects(st.lists(few, max_size=2) | st.tuples(few)),
    _objects(st.none()),
)
CALLS = (
    lambda table, options: bml.two_level(table, "y ~ x", group="g", slopes=["x"], **options),
    lambda table, options: bml.three_level(table, "y ~ x", groups=["g", "h"], **options),
    lambda table, options: bml.cross_classified(table, "y ~ x * w", groups=["g", "h"], **options),
    lambda table, options: bml.multiple_membership(
        table, "y ~ x", members=["g", "h"], weights=["w", "v"], **options
    ),
    lambda table, options: bml.multiple_membership(
        table, "y ~ 1", members=["g", "h"], absent=0, slopes=["x"], **options
    ),
    lambda table, options: bml.longitudinal(table, "y ~ 1", unit="g", time="x", **options),
    lambda table, options: bml.model(table, "y ~ poly(x, 2) + C(w) + (1 | g/h)", **options),
    lambda table, options: bml.model(table, "log(y) ~ 0 + x:w + (0 + x || g:h)", **options),
)
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"family": "binomial"},
    {"family": "binomial", "trials": "v"},
    {"family": "binomial", "success": "a"},
    {"family": "poisson"},
    {"family": "poisson", "exposure": "v"},
    {"family": "ordinal"},
    {"family": "ordinal", "categories": ["a", "b", "B"]},
    {"offset": "v", "baseline": {"x": "b"}},
)


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Tables most of whose columns are sensible, and a few not."""
    rows = draw(st.sampled_from([1, 2, 7, 20]))
    odd = draw(st.sets(st.sampled_from("yxghwv"), max_size=2))
    columns = {
        name: draw(draw(st.sampled_from(ODD if name in odd else SENSIBLE))(rows))
        for name in "yxghwv"
    }
    table = pd.DataFrame(columns)
    if draw(st.integers(0, 9)) == 0:
        table.columns = draw(st.sampled_from([list("yxghww"), [0, *"xghwv"], list("yxgh0v")]))
    if draw(st.integers(0, 9)) == 0:
        table.index = pd.Index([0] * rows)
    return table


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(tables(), st.sampled_from(CALLS), st.sampled_from(OPTIONS))
def test_any_table_makes_a_model_or_an_error_of_ours(
    table: pd.DataFrame, call: Callable[..., bml.Model], options: dict[str, Any]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesmlWarning)
        try:
            made = call(table, options)
        except BayesmlError:
            return
    assert compile(made.source, "source", "exec")
    assert all(np.isfinite(array).all() for array in made.data.values())
    assert made.facts.rows == len(made.coords["obs"]) <= len(table)
