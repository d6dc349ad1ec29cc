"""Densities with two modes: where the search begins, what is kept, and what is proposed."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from bayesml.engines import marginal
from bayesml.engines.independence import Proposal
from bayesml.engines.independence_kernels import proposal_density
from bayesml.engines.marginal import find_modes
from bayesml.engines.marginal_models import MarginalModel, marginal_model, posterior_arrays
from bayesml.engines.mixtures import drawn, mixture_around
from bayesml.engines.mode_starts import starting_points
from bayesml.engines.posterior_modes import PosteriorMode, posterior_modes
from bayesml.engines.thinning import no_thinning
from tests.engines.gaussian_cases import density_and_gradient
from tests.engines.hard_tables import HARD

# The kernels are compiled once in a fresh clone.
pytestmark = pytest.mark.sampling

YEARS = "years from 2000 to 2020"


def test_a_second_start_where_a_term_is_far_from_0() -> None:
    hard = HARD[YEARS]
    model = marginal_model(hard.model.resolved, hard.model.design)
    first, far = starting_points(model)
    assert (np.abs(first[2:3]) < 1).all()
    posterior = posterior_arrays(model, far[None])
    sd, corr = posterior["sd_school"][0], posterior["corr_school"][0]
    covariance = np.outer(sd, sd) * corr
    years = hard.table["x"]
    # The effects at the mean year and their slope are uncorrelated, each of 0.3 SDs of the outcome.
    to_mean = np.array([[1, years.mean()], [0, years.std(ddof=0)]])
    there = to_mean @ covariance @ to_mean.T
    size = (0.3 * hard.table["y1"].std(ddof=0)) ** 2
    np.testing.assert_allclose(there, size * np.eye(2), atol=1e-6 * size)


def test_one_start_where_terms_are_near_0() -> None:
    for name in ("ordinary", "two crossed groupings of one scale each", "x of size 1e6"):
        model = HARD[name].model
        assert len(starting_points(marginal_model(model.resolved, model.design))) == 1


def test_both_modes_of_years_are_found() -> None:
    model = marginal_model(HARD[YEARS].model.resolved, HARD[YEARS].model.design)
    one, other = find_modes(model)
    for mode in (one, other):
        value, slope = density_and_gradient(model, mode.centre)
        assert np.abs(mode.spread.T @ slope).max() < 0.05
        log_mass = value + np.linalg.slogdet(mode.spread)[1]
        assert mode.log_mass == pytest.approx(log_mass, abs=1e-6)
    assert one.log_mass > other.log_mass
    assert np.exp(one.centre[1]) < 0.01
    assert np.exp(other.centre[1]) > 0.1


def test_a_poor_proposal_for_two_modes_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def poor(model: MarginalModel, mode: PosteriorMode, *rest: object) -> Proposal:
        return Proposal(mode, mixture_around([mode]), 0.12, no_thinning(len(mode.centre)))

    monkeypatch.setattr(marginal, "find_proposal", poor)
    fit = HARD[YEARS].model.fit(draws=30, tune=100, chains=1, seed=2, progress=False)
    assert fit.engine_reason.startswith("NUTS of nutpie")
    assert fit.engine_reason.endswith(
        "; an independence sampler was tried first, and its proposals were worth 12% of "
        "independent draws only. The density has 2 modes: chains may show one of them"
    )


def _two_bells(share: float) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """Log-density and gradient of N(0, 1), and a share of N(10, 2^2), in two dimensions."""
    places, sds = np.array([[0.0, 0.0], [10.0, 0.0]]), np.array([1.0, 2.0])

    def density(theta: np.ndarray) -> tuple[float, np.ndarray]:
        apart = theta - places
        logs = np.log([1 - share, share]) - 2 * np.log(sds) - 0.5 * (apart**2).sum(axis=1) / sds**2
        value = float(np.logaddexp(*logs))
        return value, -(np.exp(logs - value) / sds**2) @ apart

    return density


STARTS = [np.array(start) for start in ([9.0, 1.0], [0.5, 0.5], [-0.5, 0.2], [12.0, -1.0])]


def test_modes_are_told_apart_and_sorted_by_mass() -> None:
    one, other = posterior_modes(STARTS, _two_bells(0.2))
    np.testing.assert_allclose(one.centre, [0, 0], atol=1e-3)
    np.testing.assert_allclose(other.centre, [10, 0], atol=1e-3)
    assert other.log_mass - one.log_mass == pytest.approx(np.log(0.25), abs=1e-3)
    first, _ = posterior_modes(STARTS, _two_bells(0.9))
    np.testing.assert_allclose(first.centre, [10, 0], atol=1e-3)


def test_a_mode_of_next_to_no_mass_is_left_out() -> None:
    assert len(posterior_modes(STARTS, _two_bells(np.exp(-9)))) == 2
    assert len(posterior_modes(STARTS, _two_bells(np.exp(-11)))) == 1


FIRST = PosteriorMode(np.array([1.0, -1.0]), np.array([[2.0, 0.0], [0.5, 1.0]]), -3.0)
SECOND = PosteriorMode(np.array([7.0, 3.0]), np.array([[0.3, 0.1], [0.0, 0.6]]), -4.0)


def _in_the_open(theta: np.ndarray) -> np.ndarray:
    """The same mixture of both modes by SciPy."""
    masses = np.exp([mode.log_mass for mode in (FIRST, SECOND)])
    return np.asarray(
        sum(
            mass
            / masses.sum()
            * share
            * stats.multivariate_t.pdf(
                theta, mode.centre, scale**2 * mode.spread @ mode.spread.T, df=degrees
            )
            for mass, mode in zip(masses, (FIRST, SECOND), strict=True)
            for share, degrees, scale in ((0.8, 6.0, 1.1), (0.2, 3.0, 2.2))
        )
    )


def test_the_proposal_is_a_mixture_around_all_modes() -> None:
    mixture = mixture_around([FIRST, SECOND])
    z = np.random.default_rng(4).normal(0, 4, size=(200, 2))
    ours = np.array([proposal_density(item, mixture) for item in z])
    expected = _in_the_open(FIRST.centre + z @ FIRST.spread.T) * np.linalg.det(FIRST.spread)
    np.testing.assert_allclose(ours, np.log(expected), rtol=1e-10)


def test_draws_of_the_proposal_follow_it() -> None:
    mixture = mixture_around([FIRST, SECOND])
    z = drawn(np.random.default_rng(5), 40_000, mixture)
    theta = FIRST.centre + z @ FIRST.spread.T
    # E[g / q] over draws of q is the integral of g, here of a density around the second mode.
    for mode in (FIRST, SECOND):
        narrow = stats.multivariate_normal(mode.centre, 0.5 * mode.spread @ mode.spread.T)
        ratio = narrow.pdf(theta) / _in_the_open(theta)
        assert ratio.mean() == pytest.approx(1, abs=4 * ratio.std() / np.sqrt(len(z)))


def test_a_mode_of_little_mass_is_proposed_from_all_the_same() -> None:
    small = PosteriorMode(SECOND.centre, SECOND.spread, FIRST.log_mass - 9)
    share = mixture_around([FIRST, small]).components[:, 3]
    assert share.sum() == pytest.approx(1)
    assert share[2:].sum() == pytest.approx(0.1 / 1.1, rel=1e-3)
