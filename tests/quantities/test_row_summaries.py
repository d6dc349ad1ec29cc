"""Summaries of rows against NumPy's own quantiles."""

import numpy as np
import pytest

from bayesml.errors import FitError
from bayesml.quantities.row_summaries import summarise_rows


@pytest.mark.parametrize("draws", [2, 3, 100, 101])
@pytest.mark.parametrize("prob", [0.5, 0.89, 0.999])
def test_numbers_are_those_of_numpy(draws: int, prob: float) -> None:
    values = np.random.default_rng(draws).normal(size=(3, 4, draws))
    found = summarise_rows(values, prob)
    quantiles = np.quantile(values, [(1 - prob) / 2, 0.5, (1 + prob) / 2], axis=-1)
    for name, wanted in {
        "mean": values.mean(axis=-1),
        "sd": values.std(axis=-1, ddof=1),
        "lower": quantiles[0],
        "median": quantiles[1],
        "upper": quantiles[2],
    }.items():
        np.testing.assert_allclose(getattr(found, name), wanted, rtol=1e-12, atol=1e-14)


def test_odd_draws() -> None:
    found = summarise_rows(np.array([[1.0, np.nan, 2.0], [np.inf, np.inf, 1.0]]), 0.9)
    assert np.isnan([found.mean[0], found.median[0], found.lower[0], found.upper[0]]).all()
    assert found.median[1] == np.inf
    one = summarise_rows(np.array([[3.0]]), 0.9)
    assert one.median.tolist() == [3.0]
    assert np.isnan(one.sd).all()


def test_a_probability_outside_0_to_1_is_refused() -> None:
    with pytest.raises(FitError, match="prob is 2"):
        summarise_rows(np.zeros((1, 3)), 2)
