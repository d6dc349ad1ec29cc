"""Splitting columns by units, and what predictors say about units' coefficients."""

import numpy as np
import pandas as pd
import pytest

from bayesml.quantities.explained_variance import (
    Membership,
    explained,
    quadratic_forms,
    split_by_units,
    traces,
    unit_predictors,
)

RNG = np.random.default_rng(14)
CHILD = np.repeat(np.arange(20), RNG.integers(1, 6, size=20))
SCHOOL = np.sort(RNG.integers(0, 5, size=20))[CHILD]
AREA = RNG.integers(0, 6, size=len(CHILD))
X = RNG.normal(size=(len(CHILD), 2)) + SCHOOL[:, None]


def test_nested_parts_are_orthogonal_and_add_up() -> None:
    members = [Membership(CHILD, 20), Membership(SCHOOL, 5)]
    found = split_by_units(X, members, np.array([[False, True], [False, False]]))
    frame = pd.DataFrame(X)
    school = frame.groupby(SCHOOL).transform("mean").to_numpy()
    child = frame.groupby(CHILD).transform("mean").to_numpy()
    assert found.between[1] == pytest.approx(school - X.mean(axis=0))
    assert found.between[0] == pytest.approx(child - school)
    assert found.within == pytest.approx(X - child)
    assert found.orthogonal
    variances = sum((part**2).mean(axis=0) for part in (*found.between, found.within))
    assert variances == pytest.approx(X.var(axis=0))


def test_crossed_parts_are_those_of_dummy_variables() -> None:
    members = [Membership(SCHOOL, 5), Membership(AREA, 6)]
    found = split_by_units(X, members, np.zeros((2, 2), bool))
    dummies = np.column_stack([np.eye(5)[SCHOOL], np.eye(6)[AREA]])
    weights = np.linalg.lstsq(dummies, X - X.mean(axis=0))[0]
    school = dummies[:, :5] @ weights[:5]
    assert found.between[0] == pytest.approx(school - school.mean(axis=0), abs=1e-9)
    assert found.within == pytest.approx(X - X.mean(axis=0) - dummies @ weights, abs=1e-9)
    assert not found.orthogonal


def test_weighted_memberships_and_a_grouping_inside_crossed_ones() -> None:
    places = np.column_stack([AREA, (AREA + 1) % 6])
    weights = np.tile([0.25, 0.75], (len(AREA), 1))
    one = Membership(places, 6, weights)
    # A column that the places determine has nothing left within them.
    value = np.arange(6.0) ** 2
    column = (value[places] * weights).sum(axis=1)[:, None]
    found = split_by_units(column, [one], np.zeros((1, 1), bool))
    assert found.between[0] == pytest.approx(column - column.mean(), abs=1e-8)
    assert np.abs(found.within).max() < 1e-8
    containing = np.zeros((3, 3), bool)
    containing[0, 1] = True
    three = [Membership(CHILD, 20), Membership(SCHOOL, 5), Membership(AREA, 6)]
    split = split_by_units(X, three, containing)
    assert sum(split.between) + split.within == pytest.approx(X - X.mean(axis=0))
    assert not split.orthogonal


def test_a_constant_column_has_no_parts() -> None:
    members = [Membership(SCHOOL, 5), Membership(AREA, 6)]
    found = split_by_units(np.full((len(AREA), 1), 7.0), members, np.zeros((2, 2), bool))
    assert not np.any([*found.between, found.within])


def test_what_predictors_say_about_units() -> None:
    t = RNG.normal(size=len(CHILD))
    t[SCHOOL == 3] = 0.0  # a unit in which the term does not occur
    rich = RNG.normal(size=5)
    columns = np.column_stack([np.ones(len(t)), t, rich[SCHOOL], t * rich[SCHOOL], X[:, 0]])
    found = unit_predictors(columns, Membership(SCHOOL, 5), np.column_stack([np.ones(len(t)), t]))
    assert found[:, 0] == pytest.approx(
        np.column_stack([np.ones(5), 0 * rich, rich, 0 * rich, 0 * rich])
    )
    slopes = found[:, 1]
    assert slopes[:, [0, 2, 4]] == pytest.approx(0)
    assert slopes[:, 1] == pytest.approx(1)
    known = np.arange(5) != 3
    assert slopes[known, 3] == pytest.approx(rich[known])
    assert slopes[3, 3] == pytest.approx(rich[known].mean())


def test_forms_and_traces() -> None:
    matrix = np.array([[2.0, 1.0], [1.0, 3.0]])
    assert quadratic_forms(np.array([[1.0, 0.0], [1.0, -1.0]]), matrix).tolist() == [2.0, 3.0]
    z = RNG.normal(size=(50, 2))
    mean = np.mean([row @ matrix @ row for row in z])
    assert traces(matrix, z.T @ z / 50) == pytest.approx(mean)
    assert explained(np.array([1.0, 0.0]), np.array([3.0, 1.0])).tolist() == [0.25, 0.0]
    assert np.isnan(explained(np.zeros(1), np.zeros(1))).all()
