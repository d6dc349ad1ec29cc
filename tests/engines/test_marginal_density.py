"""The marginal log-density of real models against multivariate normals written out."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

import bayesml as bml
from bayesml.engines.marginal_models import MarginalModel, marginal_model, posterior_arrays
from tests.engines.gaussian_cases import (
    CASES,
    Dense,
    cholesky_of,
    density_and_gradient,
    log_normal,
    model_of,
    small_table,
)

# The kernels are compiled once in a fresh clone.
pytestmark = pytest.mark.sampling


@cache
def _engine(name: str) -> MarginalModel:
    model = model_of(name)
    return marginal_model(model.resolved, model.design)


@cache
def _dense(name: str) -> Dense:
    return Dense(name)


def _point(name: str, seed: int, spread: float) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(-0.3, spread, _engine(name).dimensions)


def _sampled(engine: MarginalModel, theta: np.ndarray) -> np.ndarray:
    """The sampled coefficients on the user's scale, the intercept at the predictors' means."""
    density = engine.density
    internal = theta[len(theta) - len(density.sampled_scale) :]
    return internal * density.sampled_scale + density.sampled_shift


def _expected(name: str, theta: np.ndarray) -> tuple[float, float]:
    """The log-density with its Jacobians, and the condition number of y's covariance."""
    engine, dense = _engine(name), _dense(name)
    sampled = _sampled(engine, theta)
    mean, covariance = dense.outcome_moments(theta, sampled)
    jacobian = float(np.log(np.abs(engine.density.sampled_scale)).sum())
    value = log_normal(dense.y, mean, covariance) + dense.log_priors(theta, sampled) + jacobian
    return value, float(np.linalg.cond(covariance.astype(float)))


NAMES = st.sampled_from(list(CASES))
SEEDS = st.integers(0, 2**20)


@pytest.mark.parametrize("name", CASES)
def test_every_case_at_one_point(name: str) -> None:
    theta = _point(name, 1, 0.5)
    value, _ = density_and_gradient(_engine(name), theta)
    assert value == pytest.approx(_expected(name, theta)[0], rel=1e-11)


@given(name=NAMES, seed=SEEDS, spread=st.sampled_from([0.3, 1.0, 2.5]))
@settings(max_examples=200)
def test_the_density_is_that_of_the_dense_normal(name: str, seed: int, spread: float) -> None:
    theta = _point(name, seed, spread)
    value, _ = density_and_gradient(_engine(name), theta)
    expected, condition = _expected(name, theta)
    if condition < 1e8:
        assert value == pytest.approx(expected, rel=1e-9)


@given(name=NAMES, seed=SEEDS, tiny=st.sampled_from([-12.0, -30.0, -200.0]))
def test_an_sd_near_zero(name: str, seed: int, tiny: float) -> None:
    theta = _point(name, seed, 0.5)
    terms = len(_engine(name).density.term_scale)
    if terms:
        theta[seed % terms] = tiny
    value, gradient = density_and_gradient(_engine(name), theta)
    assert value == pytest.approx(_expected(name, theta)[0], rel=1e-9)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("angle", [8.0, -8.0, 15.0, -15.0])
def test_a_correlation_near_its_bound(angle: float) -> None:
    theta = _point("a slope", 5, 0.5)
    theta[2] = angle
    value, gradient = density_and_gradient(_engine("a slope"), theta)
    # 1 - tanh(15)^2 is 4e-13 and keeps three digits, so the dense density does as well.
    tolerance = 1e-9 if abs(angle) < 10 else 1e-5
    assert value == pytest.approx(_expected("a slope", theta)[0], rel=tolerance)
    # In the tail the LKJ(3.5) prior alone rules: its log falls by 2 x 3.5 per unit of the angle
    assert gradient[2] == pytest.approx(-7.0 * np.sign(angle), rel=1e-3)


@given(name=NAMES, seed=SEEDS)
@settings(max_examples=30)
def test_the_gradient_equals_differences_of_the_dense_density(name: str, seed: int) -> None:
    theta = _point(name, seed, 0.5)
    _, gradient = density_and_gradient(_engine(name), theta)
    h = 1e-3
    for i in range(len(theta)):
        step = np.zeros(len(theta))
        step[i] = h
        near, far = (
            _expected(name, theta + k * step)[0] - _expected(name, theta - k * step)[0]
            for k in (1, 2)
        )
        # Five points: the error is of order h^4
        assert gradient[i] == pytest.approx((8 * near - far) / (12 * h), rel=1e-6, abs=1e-5)


@given(name=NAMES, seed=SEEDS)
@settings(max_examples=60)
def test_candidates_identity_at_random_effects(name: str, seed: int) -> None:
    """p(y | t) = p(y, beta, u | t) / p(beta, u | y, t), whatever beta and u are."""
    engine, dense = _engine(name), _dense(name)
    theta = _point(name, seed, 0.5)
    sampled = _sampled(engine, theta)
    found = dense.parameters(theta)
    location, scale = dense.coefficients_prior()
    p = len(location)
    mean, covariance = dense.effects_moments(theta, sampled)
    random = np.random.default_rng(seed + 1)
    point = mean + 2 * np.sqrt(np.diag(covariance)) * random.normal(size=len(mean))
    beta, effects = point[:p], point[p:]
    x = dense.centred[:, [dense.order.index(label) for label in dense.integrated]]
    s = dense.centred[:, [dense.order.index(label) for label in dense.sampled]]
    eta = dense.offset + x @ beta + s @ sampled + dense.all_z @ effects
    residual = np.diag(np.full(len(dense.y), found.sigma**2))
    joint = log_normal(dense.y, eta, residual)
    joint += log_normal(beta, location, np.diag(scale**2))
    joint += log_normal(effects, np.zeros(len(effects)), dense.effects_covariance(found))
    jacobian = float(np.log(np.abs(engine.density.sampled_scale)).sum())
    expected = joint - log_normal(point, mean, covariance) + dense.log_priors(theta, sampled)
    value, _ = density_and_gradient(engine, theta)
    assert value == pytest.approx(expected + jacobian, rel=1e-9)


def test_the_parameters_on_the_users_scale_are_those_of_the_density() -> None:
    for name in CASES:
        engine, dense = _engine(name), _dense(name)
        theta = _point(name, 2, 0.7)
        found = posterior_arrays(engine, theta[None])
        parameters = dense.parameters(theta)
        assert found["sigma"][0] == pytest.approx(parameters.sigma, rel=1e-14)
        for grouping in dense.names:
            sds = parameters.sds[grouping]
            np.testing.assert_allclose(found[f"sd_{grouping}"][0], sds, rtol=1e-14)
            correlation = dense.sigma_of(grouping, parameters) / np.outer(sds, sds)
            if max(dense.case.groupings[grouping].blocks) > 1:
                np.testing.assert_allclose(found[f"corr_{grouping}"][0], correlation, atol=1e-14)
            else:
                assert f"corr_{grouping}" not in found


@pytest.mark.parametrize("eta", [0.7, 1.0, 2.0, 6.0])
@pytest.mark.parametrize("size", [2, 3])
def test_the_prior_of_correlations_is_a_density_in_proportion_to_a_determinant(
    eta: float, size: int
) -> None:
    """LKJ: p(R) = c |R|^(eta - 1) with c from quadrature, not from a formula."""
    formula = "y ~ 1 + (x | school)" if size == 2 else "y ~ 1 + (x + z | school)"
    model = bml.model(small_table(), formula, priors={"corr_school": f"LKJ({eta})"})
    flat = bml.model(small_table(), formula, priors={"corr_school": "LKJ(1)"})
    engine, other = (marginal_model(item.resolved, item.design) for item in (model, flat))
    angles = slice(size, size + size * (size - 1) // 2)
    theta = np.random.default_rng(7).normal(0, 0.5, engine.dimensions)

    def log_det(angle: np.ndarray) -> float:
        return 2 * float(np.log(np.diag(cholesky_of(angle, size))).sum())

    # Everything but the two priors cancels: log c(eta) - log c(1) + (eta - 1) log |R|
    values = []
    for seed in range(5):
        theta[angles] = np.random.default_rng(seed).normal(0, 0.8, angles.stop - angles.start)
        ours = density_and_gradient(engine, theta)[0] - density_and_gradient(other, theta)[0]
        values.append(ours - (eta - 1) * log_det(theta[angles]))
    assert np.ptp(values) < 1e-10
    assert values[0] == pytest.approx(_log_constant(size, eta) - _log_constant(size, 1.0), abs=1e-6)


def _log_constant(size: int, eta: float) -> float:
    """-log of the integral of |R|^(eta - 1) over all correlation matrices, by quadrature."""
    if size == 2:
        total, _ = integrate.quad(lambda r: (1 - r * r) ** (eta - 1), -1, 1)
        return -float(np.log(total))
    # Given r12 and r13, |R| = (1 - r12^2)(1 - r13^2)(1 - p^2), with r23's slope on p the root
    squares = [
        integrate.quad(lambda r, power=power: (1 - r * r) ** power, -1, 1)[0]
        for power in (eta - 0.5, eta - 0.5, eta - 1)
    ]
    return -float(np.log(squares).sum())


def test_an_outcome_far_from_zero_loses_no_digits() -> None:
    """An outcome of mean 1e6 and SD 1 has the density of its centred twin."""
    table = small_table().copy()
    shifted = table.assign(y=table["y"] + 1e6)
    priors = {"sd_school": "HalfNormal(1)", "sigma": "HalfNormal(1)", "beta": "Normal(0, 2)"}
    near = bml.model(table, "y ~ x + (1 | school)", priors=priors | {"Intercept": "Normal(2, 5)"})
    far = bml.model(
        shifted, "y ~ x + (1 | school)", priors=priors | {"Intercept": "Normal(1000002, 5)"}
    )
    theta = np.array([-0.4, -0.2])
    values = [
        density_and_gradient(marginal_model(item.resolved, item.design), theta)[0]
        for item in (near, far)
    ]
    # 1e6 + y keeps ten decimals of y
    assert values[0] == pytest.approx(values[1], rel=1e-9)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_a_predictor_on_another_scale_has_the_density_of_its_rescaled_twin(scale: float) -> None:
    table = small_table().copy()
    other = table.assign(x=table["x"] * scale)
    common = {"sd_school[Intercept]": "HalfNormal(1)", "sigma": "HalfNormal(1)"}
    common |= {"Intercept": "Normal(2, 5)"}
    formula = "y ~ x + (x | school)"
    plain = bml.model(
        table,
        formula,
        priors=common | {"sd_school[x]": "HalfNormal(1)", "beta": "Normal(0, 2)"},
    )
    scaled = bml.model(
        other,
        formula,
        priors=common
        | {"sd_school[x]": f"HalfNormal({1 / scale})", "beta": f"Normal(0, {2 / scale})"},
    )
    theta = np.array([-0.4, -0.9, 0.3, -0.2])
    moved = theta - np.array([0, np.log(scale), 0, 0])
    one, slope = density_and_gradient(marginal_model(plain.resolved, plain.design), theta)
    two, slope2 = density_and_gradient(marginal_model(scaled.resolved, scaled.design), moved)
    assert one == pytest.approx(two, rel=1e-11)
    np.testing.assert_allclose(slope, slope2, rtol=1e-8, atol=1e-8)


def test_impossible_parameters_have_no_density() -> None:
    engine = _engine("a slope")
    for place, value in ((0, 800.0), (3, 800.0), (3, -800.0), (0, np.nan)):
        theta = np.zeros(4)
        theta[place] = value
        density, _ = density_and_gradient(engine, theta)
        assert not np.isfinite(density)


def test_one_unit_with_most_rows_and_half_the_units_alone() -> None:
    random = np.random.default_rng(9)
    unit = np.concatenate(
        [np.zeros(180, dtype=int), np.repeat(np.arange(1, 6), 2), np.arange(6, 16)]
    )
    table = pd.DataFrame({"x": random.normal(size=200), "unit": [f"u{i}" for i in unit]})
    table["y"] = table["x"] + random.normal(0, 0.5, 16)[unit] + random.normal(size=200)
    model = bml.model(
        table,
        "y ~ x + (x | unit)",
        priors={"sd": "HalfNormal(1)", "sigma": "HalfNormal(1)", "corr_unit": "LKJ(1)"},
    )
    engine = marginal_model(model.resolved, model.design)
    theta = np.array([-0.5, -1.0, 0.4, 0.1])
    # LKJ(1) of two terms is uniform: what is left is the normal and three half-normals
    sd, sigma, r = np.exp(theta[:2]), np.exp(theta[3]), np.tanh(theta[2])
    membership = (unit[:, None] == np.arange(16)).astype(float)
    covariance = np.outer(sd, sd) * np.array([[1, r], [r, 1]])
    terms = np.column_stack([np.ones(200), table["x"]])
    z = (membership[:, :, None] * terms[:, None, :]).reshape(200, -1)
    intercept, slope = model.resolved.intercept_prior, model.resolved.slope_priors[0]
    assert intercept is not None
    x = np.column_stack([np.ones(200), table["x"] - table["x"].mean()])
    scale = np.array([intercept.values[1], slope.values[1]])
    v = z @ np.kron(np.eye(16), covariance) @ z.T + sigma**2 * np.eye(200) + (x * scale**2) @ x.T
    expected = log_normal(table["y"].to_numpy(), x @ [intercept.values[0], 0.0], v)
    half_normals = np.log(2 / np.sqrt(2 * np.pi)) - np.append(sd, sigma) ** 2 / 2
    expected += float((half_normals + np.log(np.append(sd, sigma))).sum())
    expected += np.log(0.5) + np.log(1 - r * r)
    assert density_and_gradient(engine, theta)[0] == pytest.approx(expected, rel=1e-11)
