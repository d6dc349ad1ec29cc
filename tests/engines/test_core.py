"""The dense core of the marginal engine against NumPy."""

import numpy as np
import pytest

from bayesml.engines.core_kernels import SMALL, core_inverse, factorise_core

# The kernels are compiled once in a fresh clone.
pytestmark = pytest.mark.sampling

SIZES = [1, 7, SMALL, SMALL + 1, 150]


def _matrix(size: int) -> np.ndarray:
    x = np.random.default_rng(size).normal(size=(size, 2 * size))
    return x @ x.T / size + np.diag(np.linspace(0.1, 10, size))


@pytest.mark.parametrize("size", SIZES)
def test_factor_determinant_and_solve(size: int) -> None:
    matrix = _matrix(size)
    core = matrix.copy()
    # What lies above the diagonal is not read.
    core[np.triu_indices(size, 1)] = np.nan
    fixed = np.random.default_rng(1).normal(size=(size + 3, 4))
    before = fixed.copy()
    log_determinant = factorise_core(core, fixed, 3)
    factor = np.linalg.cholesky(matrix)
    np.testing.assert_allclose(np.tril(core), factor, atol=1e-12)
    assert log_determinant == pytest.approx(np.linalg.slogdet(matrix)[1], abs=1e-11)
    np.testing.assert_array_equal(fixed[:3], before[:3])
    np.testing.assert_allclose(fixed[3:], np.linalg.solve(factor, before[3:]), atol=1e-11)


@pytest.mark.parametrize("size", SIZES)
def test_inverse(size: int) -> None:
    matrix = _matrix(size)
    core = np.full((size, size), np.nan)
    core[np.tril_indices(size)] = np.linalg.cholesky(matrix)[np.tril_indices(size)]
    inverse = core_inverse(core)
    # The condition number is about a hundred.
    np.testing.assert_allclose(inverse, np.linalg.inv(matrix), atol=1e-12)
    np.testing.assert_allclose(inverse @ matrix, np.eye(size), atol=1e-11)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("value", [-1.0, np.nan], ids=["indefinite", "nan"])
def test_no_number_where_there_is_no_factor(size: int, value: float) -> None:
    core = _matrix(size)
    core[-1, -1] = value
    assert np.isnan(factorise_core(core, np.zeros((size, 1)), 0))
    core = _matrix(size)
    core[size // 2, 0] = core[0, size // 2] = 1e3 * value
    assert np.isnan(factorise_core(core, np.zeros((size, 1)), 0))
