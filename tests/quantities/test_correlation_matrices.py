"""Draws of the LKJ distribution have its marginals, and are correlation matrices."""

import numpy as np
import pytest
from scipy import stats

from bayesml.quantities.correlation_matrices import draw_lkj, lkj_marginal

# With fixed seeds a p-value below this is a wrong distribution, not bad luck.
UNLIKELY = 1e-4


@pytest.mark.parametrize(("eta", "size"), [(1.0, 2), (2.0, 2), (0.5, 3), (2.0, 3), (1.5, 5)])
def test_every_correlation_has_the_beta_marginal(eta: float, size: int) -> None:
    factor = draw_lkj(np.random.default_rng(5), eta, size, 4000)
    correlations = factor @ factor.swapaxes(1, 2)
    shape = eta + (size - 2) / 2
    for i, j in zip(*np.tril_indices(size, -1), strict=True):
        # The density of a correlation is proportional to (1 - r^2)^(shape - 1).
        found = stats.kstest((correlations[:, i, j] + 1) / 2, stats.beta(shape, shape).cdf)
        assert found.pvalue > UNLIKELY, (i, j)


def test_the_determinant_has_the_mean_that_the_density_implies() -> None:
    # E det(R) = c(eta) / c(eta + 1) for three variables, with the normalising constant c of
    # Lewandowski, Kurowicka & Joe (2009), theorem 5, by integration over the three partial
    # correlations: products of Beta functions.
    eta, size = 2.0, 3
    factor = draw_lkj(np.random.default_rng(6), eta, size, 40_000)
    determinants = (factor[:, range(size), range(size)] ** 2).prod(axis=1)

    def squared_complement(shape: float) -> float:
        """E(1 - p^2) of a partial correlation p = 2 b - 1 with b ~ Beta(shape, shape)."""
        return 2 * shape / (2 * shape + 1)

    # det R = (1 - r12^2)(1 - r13^2)(1 - p23^2) with independent factors.
    expected = squared_complement(eta + 0.5) ** 2 * squared_complement(eta)
    error = determinants.std() / np.sqrt(len(determinants))
    assert abs(determinants.mean() - expected) < 4 * error


def test_draws_are_cholesky_factors_of_correlation_matrices() -> None:
    factor = draw_lkj(np.random.default_rng(7), 1.0, 4, 200)
    correlations = factor @ factor.swapaxes(1, 2)
    np.testing.assert_allclose(np.diagonal(correlations, axis1=1, axis2=2), 1, atol=1e-12)
    assert (np.triu(factor, 1) == 0).all()
    assert (np.linalg.eigvalsh(correlations) > 0).all()


def test_one_variable_has_no_correlation() -> None:
    assert draw_lkj(np.random.default_rng(8), 2.0, 1, 3).tolist() == [[[1.0]]] * 3


def test_the_marginal_is_symmetric_on_minus_one_to_one() -> None:
    marginal = lkj_marginal(2.0, 2)
    assert marginal.support() == (-1, 1)
    # Density 3/4 (1 - r^2): P(r < 1/2) = 27/32.
    assert marginal.cdf(0.5) == pytest.approx(27 / 32, rel=1e-12)
