"""Thinned proposals: the polynomial, what it is worth, and that chains stay exact."""

import dataclasses
from functools import cache

import arviz as az
import numpy as np
import pytest
from scipy import stats

from bayesml.engines.chains import ChainDraws
from bayesml.engines.independence import Proposal, find_proposal, sample_independently
from bayesml.engines.independence_kernels import Thinning, log_shares_kept
from bayesml.engines.marginal import find_mode
from bayesml.engines.marginal_models import MarginalModel, marginal_model
from bayesml.engines.progress import ProgressDisplay
from bayesml.engines.thinning import fitted_thinning, no_thinning, points_wanted
from tests.engines.gaussian_cases import model_of

# The kernels are compiled once in a fresh clone.
pytestmark = pytest.mark.sampling

WIDE = stats.multivariate_t(np.zeros(2), 1.3 * np.eye(2), df=5, seed=4)


def _skewed(z: np.ndarray) -> np.ndarray:
    """Log-density of two log-gammas, a little apart from normal as log SDs are."""
    return np.asarray(stats.loggamma(8).logpdf(z * np.sqrt(1 / 8) + np.log(8)).sum(axis=1))


def test_the_polynomial_is_that_of_numpy() -> None:
    z = np.random.default_rng(2).normal(size=(50, 2))
    coefficients = np.random.default_rng(3).normal(size=(4, 3))
    exponents = np.array([(i, j) for i in range(4) for j in range(3)])
    thinning = Thinning(exponents, coefficients.ravel(), np.array([-2.0, 3.0]))
    expected = np.polynomial.polynomial.polyval2d(z[:, 0], z[:, 1], coefficients)
    assert (expected > 3).any()
    assert (expected < -2).any()
    np.testing.assert_allclose(log_shares_kept(z, thinning), np.clip(expected, -2, 3), rtol=1e-12)
    assert (log_shares_kept(z, no_thinning(2)) == 0).all()


def test_how_many_points_the_highest_polynomial_takes() -> None:
    # Quartics of four parameters have 70 coefficients, cubics of seven 120, quadratics of nine 55
    assert points_wanted(4, 600) == 420
    assert points_wanted(7, 720) == 720
    assert points_wanted(9, 600) == 330
    assert points_wanted(30, 600) == 0


def test_a_skewed_density_is_followed_closely() -> None:
    z = WIDE.rvs(300)
    log_weights = _skewed(z) - WIDE.logpdf(z) + 1000
    thinning, worth = fitted_thinning(z, log_weights)
    plain = np.exp(log_weights - log_weights.max())
    assert worth > plain.mean() ** 2 / (plain**2).mean() + 0.1
    # By points that no polynomial has seen, the worth is what was said.
    fresh = WIDE.rvs(20_000)
    weights = np.exp(_skewed(fresh) - WIDE.logpdf(fresh))
    shares = np.exp(log_shares_kept(fresh, thinning))
    true = weights.mean() ** 2 / (shares.mean() * (weights**2 / shares).mean())
    assert true > 0.9
    assert worth == pytest.approx(true, abs=0.06)


def test_noise_is_not_followed() -> None:
    random = np.random.default_rng(5)
    z = WIDE.rvs(300)
    thinning, worth = fitted_thinning(z, random.normal(0, 0.3, 300))
    assert len(thinning.coefficients) == 0
    # exp(-s^2) is the worth of lognormal weights.
    assert worth == pytest.approx(np.exp(-0.09), abs=0.03)


def test_points_without_density_do_no_harm() -> None:
    z = WIDE.rvs(400)
    log_weights = np.where(z[:, 0] > -2.5, _skewed(z) - WIDE.logpdf(z), -np.inf)
    thinning, worth = fitted_thinning(z, log_weights)
    assert np.isfinite(thinning.coefficients).all()
    assert worth > 0.85
    thinning, worth = fitted_thinning(z, np.full(400, -np.inf))
    assert (len(thinning.coefficients), worth) == (0, 0.0)


# Chains


@cache
def _engine() -> tuple[MarginalModel, Proposal]:
    model = model_of("intercepts only")
    engine = marginal_model(model.resolved, model.design)
    return engine, find_proposal(engine, find_mode(engine), 3)


def _chains(proposal: Proposal, cores: int = 2, **changes: int) -> list[ChainDraws]:
    asked = {"seed": 3, "draws": 2000, "tune": 500} | changes
    return sample_independently(
        _engine()[0],
        proposal,
        chains=range(4),
        cores=cores,
        progress=ProgressDisplay(),
        **asked,
    )


def _scalars(chains: list[ChainDraws]) -> np.ndarray:
    """Return the two SDs and the coefficients, shape (scalars, chains, draws)."""
    return np.array(
        [
            np.column_stack(
                [chain.posterior[name].reshape(chain.draws, -1) for name in ("sd_school", "sigma")]
                + [chain.posterior["beta"]]
            )
            for chain in chains
        ]
    ).transpose(2, 0, 1)


def test_the_number_of_cores_changes_no_proposal_and_no_chain() -> None:
    engine, one = _engine()
    two = find_proposal(engine, one.mode, 3, cores=2)
    again = find_proposal(engine, one.mode, 3, cores=1)
    np.testing.assert_array_equal(two.mode.centre, again.mode.centre)
    for ours, other in zip(two.thinning, again.thinning, strict=True):
        np.testing.assert_array_equal(ours, other)
    assert two.efficiency == again.efficiency
    for few, many in zip(_chains(two, 1, draws=50), _chains(two, 2, draws=50), strict=True):
        for name, values in few.posterior.items():
            np.testing.assert_array_equal(values, many.posterior[name])


def test_a_wrong_polynomial_changes_no_posterior() -> None:
    """Chains take account of what is thinned, so a polynomial may be as wrong as it likes."""
    _, proposal = _engine()
    size = len(proposal.mode.centre)
    wrong = Thinning(
        np.concatenate([np.eye(size, dtype=np.int64), 2 * np.eye(size, dtype=np.int64)]),
        np.concatenate([np.full(size, 0.5), np.full(size, 0.2)]),
        np.array([-2.0, 2.0]),
    )
    plain, tilted = (
        _scalars(_chains(dataclasses.replace(proposal, thinning=item, efficiency=worth)))
        for item, worth in ((no_thinning(size), 0.5), (wrong, 0.9))
    )
    for one, other in zip(plain, tilted, strict=True):
        error = np.hypot(float(az.mcse(one)), float(az.mcse(other)))
        # Four scalars with seeds fixed: 4 standard errors
        assert abs(one.mean() - other.mean()) < 4 * error
        # At least 1,500 independent draws each: 4 standard errors of a normal's SD
        assert one.std() == pytest.approx(other.std(), rel=0.1)
        assert float(az.rhat(other)) < 1.02


def test_thinned_proposals_are_accepted_more_often() -> None:
    _, proposal = _engine()
    assert len(proposal.thinning.coefficients) > 0
    bare = dataclasses.replace(proposal, thinning=no_thinning(len(proposal.mode.centre)))
    rates = [
        np.mean([chain.sample_stats["acceptance_rate"].mean() for chain in _chains(item)])
        for item in (proposal, bare)
    ]
    assert rates[0] > rates[1] + 0.05
    # The same posterior, with more independent draws
    ours, plain = (_scalars(_chains(item)) for item in (proposal, bare))
    for one, other in zip(ours, plain, strict=True):
        error = np.hypot(float(az.mcse(one)), float(az.mcse(other)))
        assert abs(one.mean() - other.mean()) < 4 * error


def test_draws_after_several_steps_are_nearly_independent() -> None:
    _, proposal = _engine()
    single = _scalars(_chains(proposal, draws=1000))
    several = _chains(proposal, draws=1000, every=5)
    for one, other in zip(single, _scalars(several), strict=True):
        assert abs(one.mean() - other.mean()) < 4 * np.hypot(float(az.mcse(one)), az.mcse(other))
        # Four chains of 1,000: the estimate itself varies by a tenth.
        assert float(az.ess(other)) > 3000
    rates = np.array([chain.sample_stats["acceptance_rate"] for chain in several])
    assert ((rates > 0) & (rates <= 1)).all()
    assert len(np.unique(rates * 5)) > 5
