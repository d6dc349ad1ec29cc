"""The kernels for one grouping, many units side by side, against dense matrices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesml.engines.effect_kernels import scaled_effects
from bayesml.engines.elimination import eliminate
from bayesml.engines.meetings import GroupingArrays
from bayesml.engines.one_grouping_kernels import LANES, gradient_of_sums, reduce_units
from bayesml.engines.reduction_kernels import Memory, working_memory
from tests.engines.dense_gaussian import Layout, dense_v, dense_z, flat, layouts, random_factors

# The kernels are compiled once in a fresh clone.
pytestmark = pytest.mark.sampling


def _layout(units: int, sizes: tuple[int, ...], columns: int = 3, seed: int = 6) -> Layout:
    """Return one grouping on so many rows that about one unit in three has none."""
    random = np.random.default_rng(seed)
    rows = units + 3
    terms = random.normal(size=(rows, sum(sizes)))
    terms[:, 0] = 1.0
    grouping = GroupingArrays(units, random.integers(0, units, size=rows), None, terms)
    return Layout(random.normal(size=(rows, columns)), (grouping,), (sizes,), seed)


def _reduced(layout: Layout, factor: np.ndarray) -> tuple[float, Memory]:
    plan = eliminate(layout.fixed, layout.groupings).plan
    memory = working_memory(plan, True)
    for array in memory:  # rubbish in the working memory must not matter
        array[...] = np.nan
    found = reduce_units(
        plan.cross_units,
        plan.cross_outcome,
        flat([factor]),
        memory.reduced,
        memory.products,
        memory.traces,
    )
    return float(found), memory


def _agrees(layout: Layout, factor: np.ndarray) -> None:
    """Compare log |V|, W and the gradient, by complex steps, with the dense ones."""
    log_determinant, memory = _reduced(layout, factor)
    v = dense_v(layout.groupings, [factor])
    # As in `test_elimination`: pivots lose digits in proportion to the largest eigenvalue.
    loss = max(1.0, float(np.linalg.norm(v, 2)) / 1e4)
    expected = np.linalg.slogdet(v)[1]
    assert abs(log_determinant - expected) <= 1e-11 * (1 + abs(expected)) * loss
    w = layout.fixed.T @ np.linalg.solve(v, layout.fixed)
    size = np.sqrt(np.diag(layout.fixed.T @ layout.fixed))
    assert (np.abs(memory.reduced - w) <= 1e-12 * np.outer(size, size) * loss).all()
    random = np.random.default_rng(layout.seed + 2)
    outer = random.normal(size=w.shape)
    outer = outer + outer.T
    gradient = np.full(factor.size, np.nan)
    gradient_of_sums(memory.products, memory.traces, outer, gradient)
    scale = np.linalg.norm(outer) * np.linalg.norm(layout.fixed) ** 2
    for row, column in zip(*np.tril_indices(len(factor)), strict=True):
        step = factor.astype(complex)
        step[row, column] += 1e-30j
        v = dense_v(layout.groupings, [step])
        w = layout.fixed.T @ np.linalg.solve(v, layout.fixed)
        slope = ((outer * w).sum().imag - 0.5 * np.angle(np.linalg.slogdet(v)[0])) / 1e-30
        assert gradient[row * len(factor) + column] == pytest.approx(
            slope, abs=1e-10 * (1 + abs(slope) + scale) * loss
        )


@given(
    layout=layouts(kinds=["any"], most=1), size=st.sampled_from([0.0, 1e-8, 1e-3, 1.0, 30.0, 1e3])
)
def test_log_determinant_reduced_products_and_gradient(layout: Layout, size: float) -> None:
    _agrees(layout, random_factors(layout)[0] * size)


@pytest.mark.parametrize("units", [1, LANES - 1, LANES, LANES + 1, 2 * LANES + 3])
@pytest.mark.parametrize("sizes", [(1,), (2,), (3,), (1, 2), (4,)], ids=str)
def test_numbers_of_units_around_those_done_side_by_side(
    units: int, sizes: tuple[int, ...]
) -> None:
    layout = _layout(units, sizes)
    _agrees(layout, random_factors(layout)[0])


def test_many_large_pivots_do_not_overflow() -> None:
    layout = _layout(3 * LANES, (1,))
    rows = np.bincount(layout.groupings[0].index)
    expected = np.log1p(1e80 * rows).sum()
    assert expected > 2 * np.log(np.finfo(float).max)  # their product is no number
    found, _ = _reduced(layout, np.array([[1e40]]))
    assert found == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(
    "value", [np.nan, np.inf, -np.inf, 1e150], ids=["nan", "inf", "minus inf", "overflow"]
)
def test_impossible_factors_give_no_number(value: float) -> None:
    assert np.isnan(_reduced(_layout(5, (1,)), np.array([[value]]))[0])


@pytest.mark.parametrize("sizes", [(1,), (2,), (3,)], ids=str)
def test_effects_have_their_conditional_mean_and_covariance(sizes: tuple[int, ...]) -> None:
    """A draw is linear in the normal numbers: the mean at 0, and a square root of the covariance.

    Given coefficients b, u ~ N(Lambda M^-1 Lambda' Z'(y - X b), s^2 Lambda M^-1 Lambda').
    """
    layout = _layout(LANES + 5, sizes)
    factor = random_factors(layout)[0]
    found = eliminate(layout.fixed, layout.groupings)
    k, units = sum(sizes), LANES + 5
    coefficients, sigma = np.array([0.7, -1.3]), 0.4
    memory = working_memory(found.plan, False)
    draw = np.empty((units * k + 1, units * k))
    for row, normal in zip(draw, np.eye(units * k + 1, units * k, -1), strict=True):
        scaled_effects(found.plan, flat([factor]), sigma, coefficients, normal, memory, row)
    z, spread = dense_z(layout.groupings[0]), np.kron(np.eye(units), factor)
    m = np.eye(units * k) + spread.T @ z.T @ z @ spread
    rest = layout.fixed[:, -1] - layout.fixed[:, :-1] @ coefficients
    mean = spread @ np.linalg.solve(m, spread.T @ z.T @ rest)
    np.testing.assert_allclose(draw[0], mean, atol=1e-11 * (1 + np.abs(mean).max()))
    root = draw[1:] - draw[0]
    covariance = sigma**2 * spread @ np.linalg.solve(m, spread.T)
    np.testing.assert_allclose(
        root.T @ root, covariance, atol=1e-11 * (1 + np.abs(covariance).max())
    )


def test_other_structures_have_no_units_side_by_side() -> None:
    random = np.random.default_rng(7)
    rows = 40
    ones = np.ones((rows, 1))
    one = GroupingArrays(5, random.integers(0, 5, size=rows), None, ones)
    members = GroupingArrays(
        5, random.integers(0, 5, size=(rows, 2)), np.full((rows, 2), 0.5), ones
    )
    for groupings in ([], [one, one], [members]):
        assert eliminate(random.normal(size=(rows, 2)), groupings).plan.cross_units.size == 0
