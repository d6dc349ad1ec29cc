"""Least squares without dummies, against least squares with them."""

import numpy as np
import pytest

from bayesml.quantities.dummy_regression import (
    Block,
    dummy_least_squares,
    free_columns,
    membership_block,
    single_blocks,
)

UNITS = 12


@pytest.fixture(scope="module")
def rows() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    number = 150
    index = np.concatenate([np.arange(UNITS).repeat(3), rng.integers(0, UNITS, number - 36)])
    second = (index + rng.integers(1, UNITS, number)) % UNITS
    share = rng.uniform(0.2, 1.0, number)
    x = rng.normal(size=(number, 3))
    return {
        "y": rng.normal(size=number) + index,
        "x": x,
        "index": index,
        "slots": np.column_stack([index, second]),
        "shares": np.column_stack([share, 1 - share]),
        "terms": np.column_stack([np.ones(number), rng.normal(2, 1, number)]),
        "weights": rng.uniform(0.5, 2, number),
    }


def dummies(rows: dict[str, np.ndarray], multiple: bool) -> np.ndarray:
    """Return the matrix of dummies times terms, row by row."""
    matrix = np.zeros((len(rows["y"]), UNITS, 2))
    for row in range(len(matrix)):
        if multiple:
            for unit, share in zip(rows["slots"][row], rows["shares"][row], strict=True):
                matrix[row, unit] += share * rows["terms"][row]
        else:
            matrix[row, rows["index"][row]] = rows["terms"][row]
    return matrix.reshape(len(matrix), -1)


def blocks_of(rows: dict[str, np.ndarray], multiple: bool) -> list[Block]:
    if multiple:
        return [membership_block(rows["slots"], rows["shares"], rows["terms"], UNITS)]
    return single_blocks(rows["index"], rows["terms"], UNITS)


@pytest.mark.parametrize("multiple", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_estimates_and_errors_are_those_of_the_whole_matrix(
    rows: dict[str, np.ndarray], multiple: bool, weighted: bool
) -> None:
    matrix = np.column_stack([dummies(rows, multiple), rows["x"]])
    weights = rows["weights"] if weighted else None
    root = np.sqrt(rows["weights"]) if weighted else np.ones(len(matrix))
    whole = np.linalg.lstsq(matrix * root[:, None], rows["y"] * root, rcond=None)[0]
    residuals = (rows["y"] - matrix @ whole) * root
    variance = residuals @ residuals / (len(matrix) - matrix.shape[1])
    errors = np.sqrt(variance * np.diag(np.linalg.inv((matrix * root[:, None] ** 2).T @ matrix)))
    found = dummy_least_squares(
        rows["y"], rows["x"], blocks_of(rows, multiple), 2 * UNITS, weights=weights
    )
    assert found.units == pytest.approx(whole[: 2 * UNITS], rel=1e-8, abs=1e-8)
    assert found.common == pytest.approx(whole[2 * UNITS :], rel=1e-8, abs=1e-8)
    assert found.variance == pytest.approx(variance)
    assert found.units_se == pytest.approx(errors[: 2 * UNITS], rel=1e-8)
    assert found.common_se == pytest.approx(errors[2 * UNITS :], rel=1e-8)
    assert found.fitted == pytest.approx(matrix @ whole, abs=1e-8)


def test_without_units_it_is_ordinary_least_squares(rows: dict[str, np.ndarray]) -> None:
    # Predictors of very different size, as tables have them.
    x = np.column_stack([np.ones(len(rows["y"])), rows["x"] * np.array([1e7, 1.0, 1e-7])])
    found = dummy_least_squares(rows["y"], x, [], 0)
    inverse = np.linalg.inv((x / np.abs(x).max(axis=0)).T @ (x / np.abs(x).max(axis=0)))
    size = np.abs(x).max(axis=0)
    expected = inverse / size / size[:, None] @ x.T @ rows["y"]
    assert found.common == pytest.approx(expected, rel=1e-7)
    residuals = rows["y"] - x @ expected
    variance = residuals @ residuals / (len(x) - 4)
    assert found.common_se == pytest.approx(np.sqrt(variance * np.diag(inverse)) / size, rel=1e-7)


def test_what_the_rows_do_not_determine_is_nan() -> None:
    # Unit 0 has one value of the slope's term that is not 0, unit 1 only zeros, unit 2 both.
    index = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    z = np.array([2.0, 2.0, 2.0, 0.0, 0.0, 0.0, 1.0, 1.0])
    y = np.array([1.0, 2.0, 3.0, 4.0, 6.0, 1.0, 5.0, 7.0])
    blocks = single_blocks(index, np.column_stack([np.ones(8), z]), 4)
    found = dummy_least_squares(y, np.empty((8, 0)), blocks, 8)
    assert np.isnan(found.units).tolist() == [True, True, False, True, False, False, True, True]
    assert found.units[[2, 4, 5]] == pytest.approx([5.0, 1.0, 5.0])
    assert np.isnan(found.units_se).tolist() == np.isnan(found.units).tolist()
    # 8 rows less 4 that the means take: residuals -1, 0, 1, -1, 1, 0, -1, 1.
    assert found.variance == pytest.approx(6 / 4)
    assert found.fitted == pytest.approx([2, 2, 2, 5, 5, 1, 6, 6])


def test_no_row_left_for_the_variance() -> None:
    blocks = single_blocks(np.arange(3), np.ones((3, 1)), 3)
    found = dummy_least_squares(np.array([1.0, 2.0, 3.0]), np.empty((3, 0)), blocks, 3)
    assert found.units.tolist() == [1.0, 2.0, 3.0]
    assert np.isnan(found.variance)
    assert np.isnan(found.units_se).all()


def test_predictors_of_units_and_repeats_are_absorbed(rows: dict[str, np.ndarray]) -> None:
    x = np.column_stack(
        [rows["x"][:, 0], rows["index"] ** 2.0, rows["x"][:, 1], rows["x"][:, 0] * 1e-4]
    )
    blocks = single_blocks(rows["index"], rows["terms"][:, :1], UNITS)
    assert free_columns(x, blocks).tolist() == [True, False, True, False]
    found = dummy_least_squares(rows["y"], x, blocks, UNITS)
    assert np.isnan(found.common).tolist() == [False, True, False, True]
    assert np.isnan(found.common_se).tolist() == [False, True, False, True]
    assert free_columns(x[:, :1] + 1e-5 * x[:, 2:3], [], 1e-3).tolist() == [True]
    nearly = np.column_stack([x[:, 0], x[:, 0] + 1e-5 * x[:, 2]])
    assert free_columns(nearly, []).tolist() == [True, True]
    assert free_columns(nearly, [], 1e-3).tolist() == [True, False]
