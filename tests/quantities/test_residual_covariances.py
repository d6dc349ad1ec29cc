"""Correlated residuals against SciPy's multivariate normal, unit by unit."""

import numpy as np
import pytest
from scipy import stats

from bayesml.quantities.residual_covariances import (
    CorrelatedResiduals,
    draw_residuals,
    log_densities_given_others,
    whitened,
)
from bayesml.specs.residual_correlations import RESIDUAL_CORRELATIONS

DRAWS = 3
UNIT = np.array([0, 1, 0, 1, 2, 0, 3, 3, 1])
PLACE = np.array([0.0, 1.0, 2.0, 3.0, 1.0, 1.0, 2.0, 0.0, 2.0])
NAMES = list(RESIDUAL_CORRELATIONS)


def residuals(name: str, draws: int = DRAWS) -> CorrelatedResiduals:
    rng = np.random.default_rng(2)
    values = {
        "ar1": rng.uniform(-0.8, 0.8, draws),
        "continuous_ar": rng.uniform(0.1, 0.9, draws),
        "compound_symmetric": rng.uniform(-0.3, 0.9, draws),
    }
    sigma = rng.uniform(0.5, 2, draws)
    if name == "unstructured":
        factor = rng.normal(size=(draws, 4, 4)) + 2 * np.eye(4)
        covariance = factor @ factor.swapaxes(1, 2)
        sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
        values[name] = covariance / sd[:, :, None] / sd[:, None, :]
        sigma = sd
    record = RESIDUAL_CORRELATIONS[name]
    return CorrelatedResiduals(UNIT, PLACE, record.correlations, sigma, values[name])


def dense(item: CorrelatedResiduals, draw: int) -> np.ndarray:
    """The covariance of all rows, by loops."""
    found = np.zeros((len(UNIT), len(UNIT)))
    for i, j in np.ndindex(found.shape):
        if UNIT[i] != UNIT[j]:
            continue
        value = item.values[draw]
        distance = abs(PLACE[i] - PLACE[j])
        if np.ndim(value):
            correlation = value[int(PLACE[i]), int(PLACE[j])]
        elif item.correlations is RESIDUAL_CORRELATIONS["compound_symmetric"].correlations:
            correlation = 1.0 if i == j else value
        else:
            correlation = value**distance
        sd = item.row_sd[:, draw]
        found[i, j] = correlation * sd[i] * sd[j]
    return found


@pytest.mark.parametrize("extra", [False, True], ids=["alone", "with more variance"])
@pytest.mark.parametrize("name", NAMES)
def test_a_row_given_the_others_is_a_ratio_of_densities(name: str, extra: bool) -> None:
    item, rng = residuals(name), np.random.default_rng(3)
    errors = rng.normal(size=(len(UNIT), DRAWS))
    more = np.where(np.arange(len(UNIT))[:, None] == 2, 0.7, 0.0) * np.ones((1, DRAWS))
    found = log_densities_given_others(item, errors, more if extra else None)
    for draw in range(DRAWS):
        covariance = dense(item, draw) + (np.diag(more[:, draw]) if extra else 0)
        whole = stats.multivariate_normal(None, covariance).logpdf(errors[:, draw])
        for row in range(len(UNIT)):
            rest = np.delete(np.arange(len(UNIT)), row)
            others = stats.multivariate_normal(None, covariance[np.ix_(rest, rest)])
            expected = whole - others.logpdf(errors[rest, draw])
            assert found[row, draw] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_whitened_rows_have_the_joint_density(name: str) -> None:
    item, rng = residuals(name), np.random.default_rng(4)
    errors = rng.normal(size=(len(UNIT), DRAWS))
    columns = rng.normal(size=(len(UNIT), 2, DRAWS))
    determinant, (white, both) = whitened(item, errors, columns)
    for draw in range(DRAWS):
        covariance = dense(item, draw)
        assert determinant[draw] == pytest.approx(np.linalg.slogdet(covariance)[1])
        expected = errors[:, draw] @ np.linalg.solve(covariance, errors[:, draw])
        assert (white[:, draw] ** 2).sum() == pytest.approx(expected)
        product = columns[:, :, draw].T @ np.linalg.solve(covariance, columns[:, :, draw])
        assert both[:, :, draw].T @ both[:, :, draw] == pytest.approx(product)


@pytest.mark.parametrize("name", NAMES)
def test_draws_have_the_covariance(name: str) -> None:
    item = residuals(name)
    number = 20_000
    repeated = item.draws(np.zeros(number, dtype=int))
    found = np.cov(draw_residuals(repeated, np.random.default_rng(5)))
    expected = dense(item, 0)
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    # An estimated correlation has a standard error of at most 1 / sqrt(number).
    assert np.abs(found - expected).max() < (5 * np.sqrt(2 / number) * scale).max()


def test_units_of_one_pattern_are_worked_together() -> None:
    """Autocorrelation depends on distances: the unit at 1, 2, 3 is like the one at 0, 1, 2."""
    sizes = [rows.shape for _, rows in residuals("ar1").patterns()]
    assert sorted(sizes) == [(1, 1), (1, 2), (2, 3)]
    sizes = [rows.shape for _, rows in residuals("unstructured").patterns()]
    assert sorted(sizes) == [(1, 1), (1, 2), (1, 3), (1, 3)]
