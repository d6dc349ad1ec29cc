"""SDs with a sign: the density against dense normals, where a sign is taken, and the posterior."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.engines.marginal import compile_around, density_of, find_mode
from bayesml.engines.marginal_models import MarginalModel, marginal_model, posterior_arrays
from bayesml.engines.signed_sd_kernels import without_signs
from bayesml.engines.signed_sds import units_of_signed_sds, with_signs
from tests.engines.gaussian_cases import CASES, Dense, Parameters, log_normal, model_of
from tests.engines.hard_tables import HARD
from tests.records.test_twin_builders import twin_table

# The kernels are compiled once in a fresh clone.
pytestmark = pytest.mark.sampling


class Signed(Dense):
    """A case at points whose SDs may be negative: Sigma = diag(s) R diag(s) all the same."""

    def __init__(self, name: str, units: np.ndarray) -> None:
        super().__init__(name)
        self.units = units

    def sds(self, point: np.ndarray) -> np.ndarray:
        logs = point[: len(self.units)]
        return np.where(self.units > 0, self.units * np.sinh(logs), np.exp(logs))

    def parameters(self, theta: np.ndarray) -> Parameters:
        found = super().parameters(theta)
        ends = np.cumsum([len(found.sds[name]) for name in self.names])
        parts = np.split(self.sds(theta), ends)[:-1]
        return replace(found, sds=dict(zip(self.names, parts, strict=True)))


def engine_of(model: bml.Model) -> MarginalModel:
    return marginal_model(model.resolved, model.design)


def expected(name: str, units: np.ndarray, point: np.ndarray) -> float:
    """Return the log-density at a point, by the dense normal with signed SDs."""
    engine, plain, signed = engine_of(model_of(name)), Dense(name), Signed(name, units)
    density = engine.density
    internal = point[len(point) - len(density.sampled_scale) :]
    sampled = internal * density.sampled_scale + density.sampled_shift
    mean, covariance = signed.outcome_moments(point, sampled)
    unsigned = point.copy()
    unsigned[: len(units)] = np.log(np.abs(signed.sds(point)))
    # d log(sinh w) / d w = 1 / tanh(w)
    jacobian = -np.log(np.abs(np.tanh(point[: len(units)][units > 0]))).sum()
    jacobian += np.log(np.abs(density.sampled_scale)).sum()
    return log_normal(plain.y, mean, covariance) + plain.log_priors(unsigned, sampled) + jacobian


def some_point(name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return units, 0 for some SDs, and a point with SDs on both sides of 0."""
    random = np.random.default_rng(seed)
    terms = len(engine_of(model_of(name)).density.term_scale)
    units = random.uniform(0.3, 2, terms) * (random.random(terms) < 0.8)
    return units, random.normal(-0.2, 0.6, engine_of(model_of(name)).dimensions)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_density_and_gradient_are_those_of_the_dense_normal(name: str, seed: int) -> None:
    units, point = some_point(name, seed)
    value, gradient = density_of(engine_of(model_of(name)), units)(point)
    assert value == pytest.approx(expected(name, units, point), rel=1e-9)
    for i in range(len(point)):
        # Five points: the error is of order h^4. Of the steps none may cross 0.
        h = 1e-3 * min(1.0, abs(point[i]))
        step = np.eye(len(point))[i]
        near, far = (
            expected(name, units, point + k * h * step)
            - expected(name, units, point - k * h * step)
            for k in (1, 2)
        )
        assert gradient[i] == pytest.approx((8 * near - far) / (12 * h), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("name", ["a slope", "three terms in two blocks", "crossed"])
def test_draws_have_the_covariance_of_the_signed_sds(name: str) -> None:
    engine = engine_of(model_of(name))
    for seed in range(4):
        units, point = some_point(name, seed)
        theta = np.empty(len(point))
        without_signs(engine.elimination.plan, engine.density, units, point, theta)
        found = posterior_arrays(engine, theta[None])
        signed = Signed(name, units)
        for grouping in signed.names:
            sd = found[f"sd_{grouping}"][0]
            corr = found.get(f"corr_{grouping}", np.eye(len(sd))[None])[0]
            covariance = signed.sigma_of(grouping, signed.parameters(point))
            np.testing.assert_allclose(np.outer(sd, sd) * corr, covariance, rtol=1e-10, atol=1e-14)


def slopes_model(correlated: bool = True, **priors: str) -> bml.Model:
    """Thirty schools that differ in their intercepts, not in their slopes."""
    random = np.random.default_rng(3)
    school = np.repeat(np.arange(30), 8)
    x = random.normal(0, 1, 240)
    y = random.normal(0, 0.7, 30)[school] + 0.3 * x + random.normal(0, 1, 240)
    table = pd.DataFrame({"school": school, "x": x, "y": y})
    bar = "|" if correlated else "||"
    return bml.model(table, f"y ~ x + (x {bar} school)", priors=priors)


def test_the_density_passes_through_zero_without_a_break() -> None:
    engine = engine_of(slopes_model(sd_school="HalfNormal(1)"))
    density = density_of(engine, np.array([0.0, 0.5]))
    point = np.array([-0.4, 0.0, 0.6, 0.1])

    def at(w: float) -> tuple[float, np.ndarray]:
        point[1] = w
        return density(point)

    below, above = at(-1e-7), at(1e-7)
    assert below[0] == pytest.approx(above[0], abs=1e-6)
    np.testing.assert_allclose(below[1], above[1], atol=1e-5)
    # Its slope at 0 is not 0 here: the correlation belongs to one of the two signs.
    assert abs(above[1][1]) > 0.1
    assert above[1][1] == pytest.approx((at(1e-3)[0] - at(-1e-3)[0]) / 2e-3, rel=1e-3)
    # And at 0 itself, and next to it, it is finite.
    for w in (0.0, 1e-300, -1e-15, 1e-12):
        value, gradient = at(w)
        assert value == pytest.approx(above[0], abs=1e-6)
        assert gradient == pytest.approx(above[1], abs=2e-3)


@pytest.mark.parametrize(
    ("prior", "signed"),
    [
        ("HalfNormal(1)", True),
        ("HalfStudentT(4, 1)", True),
        ("HalfCauchy(1)", True),
        ("Exponential(1)", True),
        ("Gamma(1, 1)", True),
        ("Gamma(0.5, 1)", False),
        ("Gamma(2, 2)", False),
        ("InverseGamma(2, 1)", False),
        ("LogNormal(-1, 1)", False),
        ("mlwin", False),
    ],
)
def test_an_sd_that_may_be_zero_has_a_sign_where_its_prior_is_finite_there(
    prior: str, signed: bool
) -> None:
    priors = {"sd_school[Intercept]": "HalfNormal(1)", "sd_school[x]": prior}
    engine = engine_of(slopes_model(correlated=prior != "mlwin", **priors))
    mode = find_mode(engine)
    units = units_of_signed_sds(engine, mode, density_of(engine))
    # That of the intercept is clear of 0.
    assert units[0] == 0
    assert (units[1] > 0) == signed
    if signed:
        point = with_signs(mode.centre, units)
        theta = np.empty(len(point))
        without_signs(engine.elimination.plan, engine.density, units, point, theta)
        np.testing.assert_allclose(theta, mode.centre, atol=1e-12)


def test_where_no_sd_may_be_zero_nothing_changes() -> None:
    exam = bml.load_dataset("exam")
    engine = engine_of(
        bml.two_level(exam, "normexam ~ standLRT", group="school", slopes=["standLRT"])
    )
    mode = find_mode(engine)
    compiled, units = compile_around(engine, mode)
    sampler: Any = compiled.sampler
    assert not units.any()
    np.testing.assert_array_equal(sampler.data.arrays["centre"], mode.centre)


# Posteriors

LEVELS = np.array([0.05, 0.1, 0.2, 0.4, 0.6])


def pairs_model() -> bml.Model:
    """Sixty pairs of twins, whose shared and additive parts can stand in for each other."""
    priors = {
        "sd_shared": "HalfNormal(1)",
        "sd_additive": "HalfNormal(1)",
        "sigma": "HalfNormal(1)",
        "Intercept": "Normal(22, 5)",
        "beta": "Normal(0, 1)",
    }
    table = twin_table(60, 7)
    return bml.twins(table, "bmi ~ age", pair="family", zygosity="zygosity", priors=priors)


@pytest.fixture(scope="module")
def below_levels() -> dict[str, np.ndarray]:
    """P(SD < level) by quadrature over the three parameters that are not integrated out."""
    engine = engine_of(pairs_model())
    density = density_of(engine)
    sds, sigmas = (np.arange(40) + 0.5) / 40 * 1.3, np.linspace(0.45, 1.15, 20)
    values = np.array(
        [
            [[density(np.log([a, b, s]))[0] - np.log(a * b * s) for s in sigmas] for b in sds]
            for a in sds
        ]
    )
    mass = np.exp(values - values.max())
    found = {}
    for axis, grouping in enumerate(engine.resolved.groupings):
        share = mass.sum(axis=tuple({0, 1, 2} - {axis}))
        below = np.append(0, np.cumsum(share)) / share.sum()
        found[grouping.identifier] = np.interp(LEVELS, np.arange(41) / 40 * 1.3, below)
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_two_sds_either_of_which_may_be_zero(
    seed: int, below_levels: dict[str, np.ndarray]
) -> None:
    """Sampled as logs, R-hat was 1.3, and the worst effective sample size 10."""
    fit = pairs_model().fit(draws=1000, chains=4, seed=seed, progress=False)
    assert fit.engine == "marginal"
    assert bml.diagnose(fit).ok, str(bml.diagnose(fit))
    for name, expected_shares in below_levels.items():
        draws = fit.posterior[f"sd_{name}"].values.reshape(-1, 1)
        # Four standard errors with 800 independent draws
        error = 4 * np.sqrt(expected_shares * (1 - expected_shares) / 800)
        assert (np.abs((draws < LEVELS).mean(axis=0) - expected_shares) < error).all()


@pytest.mark.parametrize("seed", [3, 5])
def test_slopes_of_an_x_far_from_zero_whose_sds_may_be_zero(seed: int) -> None:
    """Sampled as logs, R-hat was 1.0106 with the first seed: one mode, and too few draws of it."""
    fit = HARD["x of mean 1e6, varying"].model.fit(draws=1000, chains=4, seed=seed, progress=False)
    assert bml.diagnose(fit).ok, str(bml.diagnose(fit))
