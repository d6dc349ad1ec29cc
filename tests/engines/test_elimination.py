"""The elimination of random effects against dense matrices."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesml.engines import elimination
from bayesml.engines.elimination import Elimination, TooLarge, eliminate
from bayesml.engines.elimination_kernels import back_substitute, factorise
from bayesml.engines.gradient_kernels import factor_gradient
from bayesml.engines.meetings import GroupingArrays
from tests.engines.dense_gaussian import Layout, dense_v, dense_z, flat, layouts, random_factors

# The kernels are compiled once in a fresh clone.
pytestmark = pytest.mark.sampling


def _memory(found: Elimination) -> list[np.ndarray]:
    plan = found.plan
    # Rubbish in the working memory must not matter.
    return [
        np.full(array.shape, np.nan)
        for array in (plan.cross_fronts, plan.cross_core, plan.cross_fixed, plan.cross_outcome)
    ]


def _factorised(
    layout: Layout, factors: Sequence[np.ndarray]
) -> tuple[Elimination, float, list[np.ndarray]]:
    found = eliminate(layout.fixed, layout.groupings)
    memory = _memory(found)
    return found, float(factorise(found.plan, flat(factors), *memory)), memory


def _dense(layout: Layout, factors: Sequence[np.ndarray]) -> tuple[float, np.ndarray, float]:
    v = dense_v(layout.groupings, factors)
    return (
        float(np.linalg.slogdet(v)[1]),
        layout.fixed.T @ np.linalg.solve(v, layout.fixed),
        float(np.linalg.norm(v, 2)),
    )


def _agrees(layout: Layout, factors: Sequence[np.ndarray]) -> None:
    _, log_determinant, memory = _factorised(layout, factors)
    expected, w, condition = _dense(layout, factors)
    # Both V = I + ... and M = I + ... have eigenvalues from 1 up to `condition`, of which M has
    # more at 1: its pivots lose digits in proportion.
    assert abs(log_determinant - expected) <= 1e-11 * (1 + abs(expected)) * max(1, condition / 1e4)
    size = np.sqrt(np.diag(layout.fixed.T @ layout.fixed))
    assert (np.abs(memory[3] - w) <= 1e-12 * np.outer(size, size) * max(1, condition / 1e4)).all()


@given(layout=layouts())
def test_log_determinant_and_reduced_products_of_any_structure(layout: Layout) -> None:
    _agrees(layout, random_factors(layout))


@given(layout=layouts(), size=st.sampled_from([0.0, 1e-8, 1e-3, 30.0, 1e3]))
def test_tiny_and_huge_standard_deviations(layout: Layout, size: float) -> None:
    factors = [factor * size for factor in random_factors(layout)]
    _agrees(layout, factors)


@given(layout=layouts(), where=st.integers(0, 100))
def test_one_grouping_without_variance(layout: Layout, where: int) -> None:
    factors = random_factors(layout)
    factors[where % len(factors)][:] = 0.0
    _agrees(layout, factors)


@given(layout=layouts(kinds=["any", "child", "parent", "same"]))
def test_nothing_but_simple_memberships(layout: Layout) -> None:
    _agrees(layout, random_factors(layout))


@given(layout=layouts(kinds=["members"], most=3))
def test_nothing_but_multiple_memberships(layout: Layout) -> None:
    _agrees(layout, random_factors(layout))


@given(layout=layouts())
def test_the_gradient_equals_a_complex_step_of_the_dense_function(layout: Layout) -> None:
    factors = random_factors(layout)
    found, _, memory = _factorised(layout, factors)
    random = np.random.default_rng(layout.seed + 2)
    columns = layout.fixed.shape[1]
    outer = random.normal(size=(columns, columns))
    outer = outer + outer.T
    gradient = np.full(len(flat(factors)), np.nan)
    factor_gradient(found.plan, flat(factors), *memory[:3], outer, gradient)
    assert np.isfinite(gradient).all()
    start = 0
    for g, sizes in enumerate(layout.blocks):
        k = sum(sizes)
        for row, column in zip(*np.tril_indices(k), strict=True):
            step = [factor.astype(complex) for factor in factors]
            step[g][row, column] += 1e-30j
            v = dense_v(layout.groupings, step)
            determinant = np.angle(np.linalg.slogdet(v)[0])
            w = layout.fixed.T @ np.linalg.solve(v, layout.fixed)
            expected = ((outer * w).sum().imag - 0.5 * determinant) / 1e-30
            scale = 1 + abs(expected) + np.linalg.norm(outer) * np.linalg.norm(layout.fixed) ** 2
            condition = np.linalg.norm(v, 2)
            assert gradient[start + row * k + column] == pytest.approx(
                expected, abs=1e-10 * scale * max(1, condition / 1e4)
            )
        start += k * k


@given(layout=layouts())
def test_back_substitution_gives_the_best_predictions(layout: Layout) -> None:
    factors = random_factors(layout)
    found, _, memory = _factorised(layout, factors)
    values = memory[2].copy()
    back_substitute(found.plan, memory[0], memory[1], values)
    v = dense_v(layout.groupings, factors)
    solved = np.linalg.solve(v, layout.fixed)
    condition = np.linalg.norm(v, 2)
    for g, (grouping, factor) in enumerate(zip(layout.groupings, factors, strict=True)):
        # u = (I x L) values is the conditional mean given C: (I x L L') Z' V^-1 C
        spread = np.kron(np.eye(grouping.units), factor)
        ours = spread @ values[found.columns_of(g)]
        expected = spread @ spread.T @ dense_z(grouping).T @ solved
        size = 1 + np.abs(expected).max()
        np.testing.assert_allclose(ours, expected, atol=1e-11 * size * max(1, condition / 1e4))


def _crossed(units: Sequence[int], rows: int, terms: int = 1, seed: int = 3) -> Layout:
    random = np.random.default_rng(seed)
    groupings = []
    for count in units:
        z = random.normal(size=(rows, terms))
        z[:, 0] = 1.0
        groupings.append(GroupingArrays(count, random.integers(0, count, size=rows), None, z))
    return Layout(
        random.normal(size=(rows, 3)), tuple(groupings), tuple((terms,) for _ in units), seed
    )


@pytest.mark.parametrize(
    ("units", "rows", "terms"),
    [((90, 60), 300, 1), ((70, 30, 25), 250, 2), ((50, 41), 120, 1), ((60, 40), 200, 1)],
)
def test_cores_above_and_at_the_size_where_lapack_takes_over(
    units: tuple[int, ...], rows: int, terms: int
) -> None:
    layout = _crossed(units, rows, terms)
    factors = random_factors(layout, 0.3)
    _agrees(layout, factors)
    found, _, memory = _factorised(layout, factors)
    assert len(found.plan.cross_core) == sum(units[1:]) * terms
    outer = -np.eye(3)
    gradient = np.empty(len(flat(factors)))
    factor_gradient(found.plan, flat(factors), *memory[:3], outer, gradient)
    step = [factor.astype(complex) for factor in factors]
    step[-1][0, 0] += 1e-30j
    v = dense_v(layout.groupings, step)
    w = np.trace(layout.fixed.T @ np.linalg.solve(v, layout.fixed)).imag
    expected = (-w - 0.5 * np.angle(np.linalg.slogdet(v)[0])) / 1e-30
    assert gradient[-(terms**2)] == pytest.approx(expected, rel=1e-9)


def test_nested_groupings_leave_no_core() -> None:
    random = np.random.default_rng(4)
    child = np.arange(60) // 2
    school, district = (child // 3), (child // 15)
    groupings = [
        GroupingArrays(int(index.max()) + 1, index, None, np.ones((60, 1)))
        for index in (school, child, district)
    ]
    found = eliminate(random.normal(size=(60, 2)), groupings)
    assert found.groupings == (1, 0, 2)
    assert found.plan.cross_core.shape == (0, 0)
    assert found.columns_of(0) == slice(30, 40)
    assert found.columns_of(1) == slice(0, 30)
    assert found.columns_of(2) == slice(40, 42)


def test_of_crossed_groupings_the_largest_is_eliminated() -> None:
    found = eliminate(np.ones((200, 1)), _crossed((5, 30, 12), 200).groupings)
    assert found.groupings[0] == 1
    assert found.plan.cross_core.shape == (17, 17)


def test_a_table_without_groupings() -> None:
    c = np.random.default_rng(5).normal(size=(10, 3))
    found = eliminate(c, [])
    memory = _memory(found)
    assert factorise(found.plan, np.empty(0), *memory) == 0.0
    np.testing.assert_allclose(memory[3], c.T @ c, rtol=1e-14)


@pytest.mark.parametrize(
    "value", [np.nan, np.inf, -np.inf, 1e150], ids=["nan", "inf", "minus inf", "overflow"]
)
def test_impossible_factors_give_no_number(value: float) -> None:
    layout = _crossed((6, 4), 30)
    found = eliminate(layout.fixed, layout.groupings)
    assert np.isnan(factorise(found.plan, np.array([value, 1.0]), *_memory(found)))


def test_a_large_core_is_refused_with_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elimination, "LARGEST_CORE", 16)
    layout = _crossed((5, 30, 12), 200)
    with pytest.raises(TooLarge) as caught:
        eliminate(layout.fixed, layout.groupings)
    assert str(caught.value) == (
        "17 random effects of 2 groupings, linked through common rows, would have to stand in one "
        "dense matrix: the limit is 16"
    )


def test_a_core_of_one_grouping_is_refused_in_the_singular(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(elimination, "LARGEST_CORE", 11)
    layout = _crossed((30, 12), 200)
    with pytest.raises(TooLarge) as caught:
        eliminate(layout.fixed, layout.groupings)
    assert "12 random effects of 1 grouping, " in str(caught.value)


def test_too_many_meetings_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elimination, "MOST_ENTRIES", 100)
    layout = _crossed((30, 12), 200)
    with pytest.raises(TooLarge) as caught:
        eliminate(layout.fixed, layout.groupings)
    assert str(caught.value).startswith("the units meet in ")
    assert str(caught.value).endswith(" places, and 100 is the limit")


def test_the_cross_products_are_those_of_the_rows() -> None:
    layout = _crossed((6, 4), 40, terms=2)
    found = eliminate(layout.fixed, layout.groupings)
    np.testing.assert_allclose(found.plan.cross_outcome, layout.fixed.T @ layout.fixed)
    for g, grouping in enumerate(layout.groupings):
        expected: Any = dense_z(grouping).T @ layout.fixed
        np.testing.assert_allclose(
            found.plan.cross_fixed[found.columns_of(g)], expected, atol=1e-12
        )
