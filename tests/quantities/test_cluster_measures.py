"""Measures of clusters by hand."""

import numpy as np
import pytest

from bayesml.quantities.cluster_measures import (
    effective_unit_size,
    mean_reliability,
    median_ratio,
    shares_of_rows,
)


def test_median_ratio_is_1_without_variance_and_finite_with_too_much() -> None:
    found = median_ratio(np.array([0.0, 0.4752**2, 1e140]))
    assert found[0] == 1
    assert found[1] == pytest.approx(1.57, abs=0.005)
    assert np.isfinite(found[2])


def test_shares_of_rows_with_weights() -> None:
    index = np.array([0, 0, 1])
    other = np.array([[0, 1], [0, 2], [1, 1]])
    weights = np.array([[0.5, 0.5], [1.0, 0.0], [0.25, 0.75]])
    # Unit 0 has the shares 3/4 and 1/4; unit 1 lies in one unit, its two slots added up.
    found = shares_of_rows(index, 2, other, weights)
    assert found.tolist() == pytest.approx([0.75**2 + 0.25**2, 1.0])


def test_reliability_of_a_mean_is_spearman_brown() -> None:
    rho, sizes = 0.2, np.array([1, 4, 30])
    found = mean_reliability(np.array([rho]), np.zeros(3), np.array([1 - rho]), sizes)
    assert found == pytest.approx(sizes * rho / (1 + (sizes - 1) * rho))


def test_effective_size_of_units() -> None:
    assert effective_unit_size(np.array([0, 0, 0, 1])) == pytest.approx(10 / 4)
    index = np.array([[0, 1], [0, 1]])
    # Equal halves: every row meets both rows of both units in full.
    assert effective_unit_size(index, np.full((2, 2), 0.5)) == pytest.approx(2.0)
