"""Posterior draws summed up in a few numbers."""

import numpy as np
import pytest

from bayesml.errors import FitError
from bayesml.quantities.intervals import checked_prob, summarise_draws


def test_summary_of_numbers_that_can_be_checked_by_hand() -> None:
    # 0 ... 100 over two chains: the 5 and 95 % quantiles are 5 and 95.
    draws = np.append(np.arange(101.0), 50.0).reshape(2, 51, 1)
    found = summarise_draws(draws, 0.9)
    assert found.mean == pytest.approx([50.0])
    assert found.median == pytest.approx([50.0])
    assert found.lower == pytest.approx([5.05])  # position 0.05 * 101 among the ordered draws
    assert found.upper == pytest.approx([94.95])
    # sum of squares 2 (1 + ... + 50^2) = 85,850 over 101
    assert found.sd == pytest.approx([np.sqrt(85850 / 101)])


def test_shape_is_that_of_the_trailing_dimensions() -> None:
    assert summarise_draws(np.zeros((2, 3, 4, 5)), 0.5).lower.shape == (4, 5)
    assert summarise_draws(np.zeros((2, 3)), 0.5).sd.shape == ()


def test_nan_stays_with_its_scalar() -> None:
    draws = np.ones((2, 5, 2))
    draws[1, 3, 0] = np.nan
    found = summarise_draws(draws, 0.89)
    for values in (found.mean, found.median, found.sd, found.lower, found.upper):
        assert np.isnan(values).tolist() == [True, False]


def test_one_draw_has_no_sd() -> None:
    found = summarise_draws(np.full((1, 1, 1), 3.0), 0.89)
    assert found.mean == 3.0
    assert np.isnan(found.sd)


@pytest.mark.parametrize("prob", [0, 1, 89, -0.5, "0.89", None, np.nan, True])
def test_a_probability_out_of_range_is_refused(prob: object) -> None:
    with pytest.raises(FitError, match=r"prob is .* between 0 and 1, such as prob=0\.89"):
        checked_prob(prob)  # type: ignore[arg-type]
