"""Draws of coefficients and random effects given the parameters, against their closed form."""

from collections.abc import Mapping

import numpy as np
import pytest

from bayesml.engines import effect_draws
from bayesml.engines.chains import ChainDraws
from bayesml.engines.effect_draws import DrawKeeper, with_effects
from bayesml.engines.effect_kernels import draw_effects
from bayesml.engines.marginal_models import MarginalModel, marginal_model
from tests.engines.gaussian_cases import CASES, Dense, model_of

# The kernels are compiled once in a fresh clone.
pytestmark = pytest.mark.sampling


def _engine(name: str) -> MarginalModel:
    model = model_of(name)
    return marginal_model(model.resolved, model.design)


def _chain(thetas: np.ndarray, number: int = 0) -> ChainDraws:
    count = len(thetas)
    return ChainDraws(number, 1, count, count, {"theta": thetas}, {}, 0.0, True)


def _point(engine: MarginalModel) -> np.ndarray:
    return np.random.default_rng(3).normal(-0.3, 0.4, engine.dimensions)


def _stacked(dense: Dense, posterior: Mapping[str, np.ndarray]) -> np.ndarray:
    """Integrated coefficients, the intercept at the predictors' means, and all effects."""
    draws = len(posterior["sigma"])
    parts = [np.empty((draws, 0))]
    if "beta" in posterior:
        beta = posterior["beta"].copy()
        if "1" in dense.order:
            beta[:, 0] += beta[:, 1:] @ dense.x[:, 1:].mean(axis=0)
        parts.append(beta[:, [dense.order.index(label) for label in dense.integrated]])
    parts += [posterior[f"u_{name}"].reshape(draws, -1) for name in dense.names]
    return np.column_stack(parts)


def _sampled(engine: MarginalModel, theta: np.ndarray) -> np.ndarray:
    density = engine.density
    internal = theta[len(theta) - len(density.sampled_scale) :]
    return internal * density.sampled_scale + density.sampled_shift


@pytest.mark.parametrize("name", CASES)
def test_the_draws_have_exactly_the_conditional_moments(name: str) -> None:
    """Draws are linear in the normal numbers: their mean and covariance need no simulation."""
    engine, dense = _engine(name), Dense(name)
    theta = _point(engine)
    mean, covariance = dense.effects_moments(theta, _sampled(engine, theta))
    width = DrawKeeper(engine, 1).normals_per_draw
    normals = np.vstack([np.zeros(width), np.eye(width)])
    thetas = np.tile(theta, (width + 1, 1))
    keeper = DrawKeeper(engine, width + 1)
    coefficients = np.empty((width + 1, keeper.coefficients))
    effects = np.empty((width + 1, keeper.columns))
    draw_effects(engine.elimination.plan, engine.density, thetas, normals, coefficients, effects)
    keeper.keep(0, coefficients, effects)
    found = _stacked(dense, keeper.posterior(thetas))
    assert found.shape[1] == len(mean) == width
    np.testing.assert_allclose(found[0], mean, rtol=1e-9, atol=1e-10)
    spread = found[1:] - found[0]
    np.testing.assert_allclose(spread.T @ spread, covariance, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("name", ["a slope", "nested and crossed", "members", "an offset"])
def test_random_draws_have_the_conditional_moments(name: str) -> None:
    engine, dense = _engine(name), Dense(name)
    theta = _point(engine)
    mean, covariance = dense.effects_moments(theta, _sampled(engine, theta))
    count = 20_000
    found = with_effects(engine, _chain(np.tile(theta, (count, 1))), seed=5)
    draws = _stacked(dense, found.posterior)
    # Whitened, they are independent standard normal numbers. Bounds: 5 standard errors.
    factor = np.linalg.cholesky(covariance)
    white = np.linalg.solve(factor, (draws - mean).T)
    assert np.abs(white.mean(axis=1)).max() < 5 / np.sqrt(count)
    apart = np.cov(white) - np.eye(len(mean))
    assert np.abs(np.diag(apart)).max() < 5 * np.sqrt(2 / count)
    assert np.abs(apart - np.diag(np.diag(apart))).max() < 5 / np.sqrt(count)


def test_sampled_coefficients_pass_through_on_the_users_scale() -> None:
    name = "the intercept and a slope are sampled"
    engine, dense = _engine(name), Dense(name)
    thetas = np.random.default_rng(6).normal(-0.3, 0.4, (30, engine.dimensions))
    found = with_effects(engine, _chain(thetas), seed=1)
    beta = found.posterior["beta"]
    at_mean = beta[:, 0] + beta[:, 1:] @ dense.x[:, 1:].mean(axis=0)
    expected = np.array([_sampled(engine, theta) for theta in thetas])
    np.testing.assert_allclose(at_mean, expected[:, 0], rtol=1e-12)
    np.testing.assert_allclose(beta[:, dense.order.index("z")], expected[:, 1], rtol=1e-12)


@pytest.mark.parametrize("name", ["nested", "members with a slope, in schools"])
@pytest.mark.parametrize("numbers", [1, 100, 1000])
def test_blocks_of_draws_change_nothing(
    name: str, numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = _engine(name)
    thetas = np.random.default_rng(7).normal(-0.3, 0.4, (23, engine.dimensions))
    whole = with_effects(engine, _chain(thetas), seed=2)
    monkeypatch.setattr(effect_draws, "_BLOCK", numbers)
    in_blocks = with_effects(engine, _chain(thetas), seed=2)
    assert list(whole.posterior) == list(in_blocks.posterior)
    for variable, values in whole.posterior.items():
        np.testing.assert_array_equal(values, in_blocks.posterior[variable])


def test_seed_and_chain_make_the_random_numbers() -> None:
    engine = _engine("a slope")
    thetas = np.tile(_point(engine), (10, 1))

    def effects(seed: int, chain: int) -> np.ndarray:
        return with_effects(engine, _chain(thetas, chain), seed).posterior["u_school"]

    np.testing.assert_array_equal(effects(1, 0), effects(1, 0))
    assert not np.isclose(effects(1, 0), effects(1, 1)).any()
    assert not np.isclose(effects(1, 0), effects(2, 0)).any()
    # Within a chain every draw has numbers of its own
    assert len(np.unique(effects(1, 0))) == effects(1, 0).size


def test_an_effect_whose_sd_is_nought_is_nought() -> None:
    engine = _engine("crossed")
    theta = _point(engine)
    theta[0] = -700.0  # exp(-700) is 1e-304
    found = with_effects(engine, _chain(np.tile(theta, (5, 1))), seed=1).posterior
    assert np.abs(found["u_school"]).max() < 1e-300
    assert np.abs(found["u_area"]).min() > 0


def test_no_draws_give_empty_arrays() -> None:
    engine = _engine("nested")
    found = with_effects(engine, _chain(np.empty((0, engine.dimensions))), seed=1)
    assert {name: values.shape[0] for name, values in found.posterior.items()} == dict.fromkeys(
        model_of("nested").resolved.posterior_names, 0
    )
    assert found.posterior["u_klass"].shape[1:] == (len(Dense("nested").labels["klass"]), 2)
