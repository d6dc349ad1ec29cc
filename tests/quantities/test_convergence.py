"""R-hat, effective sample sizes and BFMI against ArviZ and against hand-made chains."""

import numpy as np
import pytest
from arviz_stats.base.array import array_stats
from scipy.signal import lfilter

from bayesml.quantities.convergence import convergence_of, energy_bfmi, rank_r_hat

# Both sides compute the same sums in another order.
ROUNDING = 1e-10


def chains(shape: tuple[int, int, int], memory: float, seed: int) -> np.ndarray:
    """Return first-order autoregressive chains."""
    noise = np.random.default_rng(seed).normal(size=shape)
    return lfilter([1.0], [1.0, -memory], noise, axis=1)


@pytest.mark.parametrize("shape", [(4, 250, 70), (2, 101, 3), (3, 7, 2)])
@pytest.mark.parametrize("memory", [0.0, 0.9])
def test_r_hat_is_arviz_s(shape: tuple[int, int, int], memory: float) -> None:
    draws = chains(shape, memory, seed=3)
    draws[0] += 0.3
    expected = array_stats.rhat(draws, chain_axis=0, draw_axis=1)
    assert rank_r_hat(draws) == pytest.approx(expected, abs=ROUNDING)


def test_r_hat_of_ties_is_arviz_s() -> None:
    draws = np.round(chains((4, 100, 5), 0.5, seed=4))
    draws[1] += 1
    expected = array_stats.rhat(draws, chain_axis=0, draw_axis=1)
    assert rank_r_hat(draws) == pytest.approx(expected, abs=ROUNDING)


def test_r_hat_sees_chains_apart_and_chains_of_another_spread() -> None:
    draws = chains((4, 500, 3), 0.0, seed=5)
    draws[0, :, 1] += 1
    draws[0, :, 2] *= 4
    found = rank_r_hat(draws)
    assert found[0] < 1.01
    assert (found[1:] > 1.05).all()


def test_sizes_and_error_of_the_mean_are_arviz_s() -> None:
    draws = chains((4, 200, 4), 0.6, seed=6)
    found = convergence_of(draws)
    axes = {"chain_axis": 0, "draw_axis": 1}
    tail = array_stats.ess(draws, method="tail", prob=(0.05, 0.95), **axes)
    assert found.ess_bulk == pytest.approx(array_stats.ess(draws, method="bulk", **axes))
    assert found.ess_tail == pytest.approx(tail)
    assert found.mcse_mean == pytest.approx(array_stats.mcse(draws, method="mean", **axes))


def test_scalars_without_diagnostics_are_nan_and_leave_the_others_alone() -> None:
    draws = chains((4, 100, 4), 0.0, seed=7)
    alone = convergence_of(draws[:, :, [3]])
    draws[:, :, 0] = 1.0
    draws[2, 5, 1] = np.nan
    draws[2, 5, 2] = np.inf
    found = convergence_of(draws)
    for name in ("r_hat", "ess_bulk", "ess_tail", "mcse_mean"):
        assert np.isnan(getattr(found, name)[:3]).all()
        assert getattr(found, name)[3] == getattr(alone, name)[0]


def test_one_chain_has_sizes_but_no_r_hat() -> None:
    found = convergence_of(chains((1, 100, 2), 0.0, seed=8))
    assert np.isnan(found.r_hat).all()
    assert (found.ess_bulk > 20).all()


def test_three_draws_have_no_diagnostics() -> None:
    found = convergence_of(chains((4, 3, 2), 0.0, seed=9))
    assert np.isnan([found.r_hat, found.ess_bulk, found.ess_tail, found.mcse_mean]).all()


def test_no_scalars_give_no_numbers() -> None:
    assert convergence_of(np.empty((4, 100, 0))).r_hat.shape == (0,)


def test_bfmi_by_hand_and_as_arviz() -> None:
    # Steps 1, -2, 1: squares 1, 4, 1 with mean 2; variance of 0, 1, -1, 0 is 2 / 3.
    assert energy_bfmi(np.array([[0.0, 1.0, -1.0, 0.0]])) == pytest.approx([3.0])
    energy = chains((3, 300, 1), 0.95, seed=10)[..., 0]
    assert energy_bfmi(energy) == pytest.approx(array_stats.bfmi(energy))
    assert (energy_bfmi(energy) < 0.3).all()


def test_bfmi_of_an_energy_that_does_not_change_is_nan() -> None:
    assert np.isnan(energy_bfmi(np.ones((2, 10)))).all()
    assert np.isnan(energy_bfmi(np.ones((2, 1)))).all()
