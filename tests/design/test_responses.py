"""Outcomes of every family as numbers, from any column type that can hold them."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from bayesml.design.responses import find_response
from bayesml.specs.modelspec import ModelSpec

Rows = list[Any]


def response_of(formula: str, columns: dict[str, Any], **arguments: Any) -> Any:
    frame = pd.DataFrame(columns)
    return find_response(ModelSpec(f"{formula} ~ 1", **arguments), frame, np.arange(len(frame)))


@pytest.mark.parametrize(
    ("formula", "columns", "arguments", "values"),
    [
        ("y", {"y": [1.5, -2.0]}, {}, [1.5, -2.0]),
        ("y", {"y": pd.array([1, 2], dtype="Int64")}, {}, [1.0, 2.0]),
        ("log(y)", {"y": [1.0, np.e]}, {}, [0.0, 1.0]),
        ("y / (z + 1)", {"y": [6.0, 4.0], "z": [1.0, 3.0]}, {}, [3.0, 1.0]),
        ("I(y ^ 2 - pi)", {"y": [1.0, 2.0]}, {}, [1 - np.pi, 4 - np.pi]),
        ("y", {"y": [0, 3, 0]}, {"family": "poisson"}, [0, 3, 0]),
        ("y", {"y": [0.0, 3.0]}, {"family": "poisson"}, [0, 3]),
        ("y", {"y": [0, 1, 1]}, {"family": "binomial"}, [0, 1, 1]),
        ("y", {"y": [True, False]}, {"family": "binomial"}, [1, 0]),
        ("y", {"y": pd.array([True, False], dtype="boolean")}, {"family": "binomial"}, [1, 0]),
        ("y", {"y": ["Y", "N"]}, {"family": "binomial", "success": "Y"}, [1, 0]),
        ("y", {"y": ["Y", "N"]}, {"family": "binomial", "success": "N"}, [0, 1]),
        ("y", {"y": [1, 2, 2]}, {"family": "binomial", "success": "2"}, [0, 1, 1]),
        (
            "y",
            {"y": pd.Categorical(["b", "a"])},
            {"family": "binomial", "success": "a"},
            [0, 1],
        ),
    ],
)
def test_values(
    formula: str, columns: dict[str, Any], arguments: dict[str, Any], values: Rows
) -> None:
    found = response_of(formula, columns, **arguments)
    np.testing.assert_allclose(found.values, values)
    assert found.trials is None
    if arguments:
        assert found.values.dtype == np.int64


@pytest.mark.parametrize(
    ("formula", "arguments"),
    [
        ("y", {"trials": "n"}),
        ("cbind(y, n - y)", {}),
        ("cbind(y, failures)", {}),
    ],
)
def test_successes_out_of_trials(formula: str, arguments: dict[str, Any]) -> None:
    columns = {"y": [1, 0, 4], "n": [3, 2, 4], "failures": [2, 2, 0]}
    found = response_of(formula, columns, family="binomial", **arguments)
    np.testing.assert_array_equal(found.values, [1, 0, 4])
    np.testing.assert_array_equal(found.trials, [3, 2, 4])


def test_a_number_of_trials_for_all_rows() -> None:
    found = response_of("y", {"y": [1, 0, 4]}, family="binomial", trials=4)
    np.testing.assert_array_equal(found.trials, [4, 4, 4])


@pytest.mark.parametrize(
    ("column", "categories", "values", "order"),
    [
        ([3, 1, 2], (), [2, 0, 1], (1, 2, 3)),
        ([30.0, 10.0, 20.0], (), [2, 0, 1], (10, 20, 30)),
        ([3, 1, 2], (3, 2, 1), [0, 2, 1], (3, 2, 1)),
        ([3, 1, 2], ("3", "2", "1"), [0, 2, 1], (3, 2, 1)),
        (["lo", "hi", "mid"], ("lo", "mid", "hi"), [0, 2, 1], ("lo", "mid", "hi")),
        (
            pd.Categorical(["lo", "hi", "mid"], categories=["lo", "mid", "hi"], ordered=True),
            (),
            [0, 2, 1],
            ("lo", "mid", "hi"),
        ),
        (pd.Categorical(["lo", "hi"]), ("lo", "hi"), [0, 1], ("lo", "hi")),
        (pd.array([2, 1], dtype="Int64"), (), [1, 0], (1, 2)),
    ],
)
def test_ordered_categories(
    column: Any, categories: tuple[Any, ...], values: Rows, order: tuple[Any, ...]
) -> None:
    found = response_of("y", {"y": column}, family="ordinal", categories=categories)
    np.testing.assert_array_equal(found.values, values)
    assert found.categories == order
    assert found.notes == ()


def test_values_that_no_row_has_are_said() -> None:
    found = response_of("y", {"y": [1, 2, 10**12]}, family="ordinal")
    assert found.categories == (1, 2, 10**12)
    assert "between 2 and the next" in found.notes[0]


@pytest.mark.parametrize(
    ("values", "arguments", "words"),
    [
        ([0, 0], {"family": "binomial"}, "is a failure"),
        ([1, 1], {"family": "binomial"}, "is a success"),
        ([4, 4], {"family": "binomial", "trials": 4}, "is a success"),
        ([0, 0], {"family": "binomial", "trials": 4}, "is a failure"),
        ([0, 0], {"family": "poisson"}, "is 0"),
    ],
)
def test_outcomes_on_the_edge_are_said(values: Rows, arguments: dict[str, Any], words: str) -> None:
    assert words in response_of("y", {"y": values}, **arguments).notes[0]
