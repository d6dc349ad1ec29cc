"""Which predictors are part of the units' own coefficients."""

import numpy as np
import pytest

from bayesml.quantities.unit_multiples import unit_multiples

INDEX = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
SIZE = np.array([4.0, 4, 4, 7, 7, 7, 1, 1, 1])
Z = np.array([1.0, 2, 3, 1, 5, 9, 2, 2, 4])
TERMS = np.column_stack([np.ones(9), Z])


def test_each_kind_of_predictor_finds_its_place() -> None:
    other = np.array([0.3, 1, 2, 0, 1, 1, 4, 2, 2])
    x = np.column_stack([np.ones(9), Z, SIZE, SIZE * Z, 2 * SIZE + 3 * Z, other])
    found = unit_multiples(x, INDEX, TERMS, 3, multiple=False)
    assert found.inside.tolist() == [True, True, True, True, True, False]
    first = found.weights[0]  # unit 0 has the size 4
    assert first == pytest.approx(
        np.array([[1.0, 0.0], [0.0, 1.0], [4.0, 0.0], [0.0, 4.0], [8.0, 3.0], [0.0, 0.0]])
    )
    # The weights give the columns back.
    rebuilt = (TERMS[:, None] * found.weights[INDEX]).sum(axis=2)
    assert rebuilt[:, :5] == pytest.approx(x[:, :5])


def test_a_term_that_is_constant_in_a_unit_keeps_its_place() -> None:
    z = np.array([2.0, 2, 2, 1, 5, 9, 2, 2, 4])  # the same for all rows of unit 0
    x = np.column_stack([z, SIZE])
    found = unit_multiples(x, INDEX, np.column_stack([np.ones(9), z]), 3, multiple=False)
    assert found.weights[0].tolist() == [[0.0, 1.0], [4.0, 0.0]]


def test_multiple_membership_takes_terms_themselves_only() -> None:
    slots = np.column_stack([INDEX, (INDEX + 1) % 3])
    found = unit_multiples(np.column_stack([np.ones(9), SIZE, Z]), slots, TERMS, 3, multiple=True)
    assert found.inside.tolist() == [True, False, True]
    assert found.weights[1].tolist() == [[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]
