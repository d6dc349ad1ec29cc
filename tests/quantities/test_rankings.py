"""Ranks: known orders, ties, and counting by hand."""

import time

import numpy as np
import pytest

from bayesml.quantities.rankings import rank_draws, summarise_ranks, units_in_share


def counted_ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks by counting: 1, and 1 for every higher unit, and a half for every equal one."""
    higher = (values[:, None, :] > values[:, :, None]).sum(axis=2)
    equal = (values[:, None, :] == values[:, :, None]).sum(axis=2) - 1
    return 1 + higher + equal / 2


@pytest.mark.parametrize("ties", [False, True])
def test_ranks_are_counted(ties: bool) -> None:
    values = np.random.default_rng(1).normal(size=(40, 25))
    values = np.round(values) if ties else values
    assert np.array_equal(rank_draws(values), counted_ranks(values))
    assert np.array_equal(rank_draws(values, highest_first=False), counted_ranks(-values))
    assert (rank_draws(values).sum(axis=1) == 25 * 26 / 2).all()


def test_more_draws_than_a_block_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(2).normal(size=(50, 8))
    whole = rank_draws(values), summarise_ranks(rank_draws(values), 2, 0.8)
    monkeypatch.setattr("bayesml.quantities.rankings._BLOCK", 60)
    assert np.array_equal(rank_draws(values), whole[0])
    for name, numbers in vars(summarise_ranks(whole[0], 2, 0.8)).items():
        # Sums over rows are added in another order.
        assert numbers == pytest.approx(getattr(whole[1], name), rel=1e-12), name


def test_a_draw_with_nan_has_no_ranks() -> None:
    values = np.array([[1.0, np.nan, 0.0], [1.0, 2.0, 3.0]])
    ranks = rank_draws(values)
    assert np.isnan(ranks[0]).all()
    assert ranks[1].tolist() == [3.0, 2.0, 1.0]
    found = summarise_ranks(ranks, 1, 0.5)
    assert np.isnan(found.top).all()
    assert np.isnan(found.mean).all()


def test_a_distribution_of_ranks_that_is_known() -> None:
    # Unit 0 is first in 7 of 10 draws and second in 3; unit 1 the other way round; unit 2 is last.
    ranks = np.array([[1.0, 2.0, 3.0]] * 7 + [[2.0, 1.0, 3.0]] * 3)
    found = summarise_ranks(ranks, 1, 0.8)
    assert found.mean == pytest.approx([1.3, 1.7, 3.0])
    assert found.sd == pytest.approx([np.sqrt(0.21 * 10 / 9)] * 2 + [0.0])
    assert found.median.tolist() == [1.0, 2.0, 3.0]
    assert found.lower.tolist() == [1.0, 1.0, 3.0]
    assert found.upper.tolist() == [2.0, 2.0, 3.0]
    assert found.top == pytest.approx([0.7, 0.3, 0.0])
    assert summarise_ranks(ranks, 2, 0.8).top == pytest.approx([1.0, 1.0, 0.0])
    assert np.isnan(summarise_ranks(ranks[:1], 1, 0.8).sd).all()


@pytest.mark.parametrize(
    ("share", "units", "whole"),
    [(0.1, 65, 6), (0.1, 30, 3), (0.29, 100, 29), (0.1, 4, 1), (0.5, 5, 2), (0.999, 10, 9)],
)
def test_a_share_is_whole_units(share: float, units: int, whole: int) -> None:
    assert units_in_share(share, units) == whole


def test_many_units_take_under_two_seconds() -> None:
    values = np.random.default_rng(3).normal(size=(4000, 500))
    start = time.process_time()
    found = summarise_ranks(rank_draws(values), 50, 0.89)
    assert time.process_time() - start < 2
    # Units that are all alike have every rank equally often.
    assert found.mean == pytest.approx(np.full(500, 250.5), abs=6 * 144.3 / np.sqrt(4000))
