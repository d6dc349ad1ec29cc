"""Correlated and unequal residuals in the marginal engine, against multivariate normals."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import bayesml as bml
from bayesml.engines.marginal_models import MarginalModel, marginal_model, posterior_arrays
from tests.codegen.scipy_log_joint import lkj_cholesky
from tests.engines.gaussian_cases import (
    _log_jacobian,
    cholesky_of,
    density_and_gradient,
    log_normal,
)

# The kernels are compiled once in a fresh clone.
pytestmark = [
    pytest.mark.sampling,
    # Rows are shuffled, and there are few schools: the model says so.
    pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning"),
]

PRIORS = {
    "Intercept": "Normal(0.4, 1.5)",
    "beta": "Normal(-0.2, 0.8)",
    "sd_school": "HalfNormal(0.7)",
}
SIGMA = stats.halfnorm(scale=0.9)


@cache
def long_table() -> pd.DataFrame:
    """Children of schools at up to four weeks, some not seen; two of them once."""
    random = np.random.default_rng(4)
    child = np.repeat(np.arange(14), 4)
    table = pd.DataFrame(
        {
            "child": child,
            "week": np.tile([1, 2, 3, 5], 14),
            "school": child % 4,
            "x": random.normal(1.0, 0.8, 56),
            "kind": np.array(["a", "b", "c"])[child % 3],
            "member": np.tile(["p", "q", "p", "q"], 14),
        }
    )
    table["day"] = table["week"] * 7.0 + random.uniform(0, 2, 56)
    table["y"] = 2 + 0.5 * table["x"] + random.normal(0, 0.5, 14)[child] + random.normal(size=56)
    table["y2"] = 30 - table["x"] + random.normal(0, 9, 56)
    kept = np.sort(random.permutation(56)[:43])
    return table.iloc[kept].sample(frac=1, random_state=1).reset_index(drop=True)


def _distance(column: str) -> np.ndarray:
    table = long_table()
    place = table[column].to_numpy(dtype=float)
    apart = np.abs(place[:, None] - place[None, :])
    other = table["child"].to_numpy()[:, None] != table["child"].to_numpy()[None, :]
    return np.where(other, np.inf, apart)


def _logistic(x: float) -> float:
    return float(stats.logistic.cdf(x))


def _bounded(x: float, low: float, high: float) -> tuple[float, float]:
    """The value between bounds, and the log of its derivative."""
    p = _logistic(x)
    width = high - low
    return low + width * p, float(np.log(width) + stats.logistic.logpdf(x))


Written = tuple[np.ndarray, float]


def _ar1(log_sigma: float, rest: np.ndarray) -> Written:
    phi, jacobian = _bounded(rest[0], -1.0, 1.0)
    apart = _distance("week")
    corr = np.where(np.isinf(apart), 0.0, phi ** np.where(np.isinf(apart), 1, apart).astype(int))
    prior = float(stats.truncnorm.logpdf(phi, -2, 2, scale=0.5)) + jacobian
    sigma = np.exp(log_sigma)
    return corr * sigma**2, prior + SIGMA.logpdf(sigma) + log_sigma


def _continuous(log_sigma: float, rest: np.ndarray) -> Written:
    at_gap, jacobian = _bounded(rest[0], 0.0, 1.0)
    table = long_table().sort_values(["child", "day"])
    gaps = table.groupby("child")["day"].diff().dropna()
    phi = at_gap ** (1 / gaps.median())
    sigma = np.exp(log_sigma)
    return phi ** _distance("day") * sigma**2, jacobian + SIGMA.logpdf(sigma) + log_sigma


def _same_child() -> np.ndarray:
    return np.isfinite(_distance("week"))


def _symmetric(log_sigma: float, rest: np.ndarray) -> Written:
    low = -1 / (long_table().groupby("child").size().max() - 1)
    rho, jacobian = _bounded(rest[0], low, 1.0)
    corr = np.where(_same_child(), rho, 0.0)
    np.fill_diagonal(corr, 1.0)
    sigma = np.exp(log_sigma)
    prior = jacobian - np.log(1 - low) + SIGMA.logpdf(sigma) + log_sigma
    return corr * sigma**2, float(prior)


def _by_pair(number: np.ndarray, unit: np.ndarray, log_sigma: float, rest: np.ndarray) -> Written:
    size = int(number.max()) + 1
    logs = np.append(log_sigma, rest[: size - 1])
    angles = rest[size - 1 :]
    factor = cholesky_of(angles, size)
    whole = np.exp(logs)[:, None] * (factor @ factor.T) * np.exp(logs)
    covariance = np.where(unit[:, None] == unit[None, :], whole[number][:, number], 0.0)
    prior = SIGMA.logpdf(np.exp(logs)).sum() + logs.sum()
    prior += lkj_cholesky(factor, 2.0) + _log_jacobian(angles, size)
    return covariance, float(prior)


def _unstructured(log_sigma: float, rest: np.ndarray) -> Written:
    table = long_table()
    number = np.searchsorted([1, 2, 3, 5], table["week"].to_numpy())
    return _by_pair(number, table["child"].to_numpy(), log_sigma, rest)


def _by_kind(log_sigma: float, rest: np.ndarray) -> Written:
    kind = pd.get_dummies(long_table()["kind"]).to_numpy(dtype=float)[:, 1:]
    eta = log_sigma + (kind - kind.mean(axis=0)) @ rest
    prior = stats.t.logpdf(log_sigma, 3, 0.2, 1.0) + stats.norm.logpdf(rest, 0, 0.6).sum()
    return np.diag(np.exp(2 * eta)), float(prior)


def _each_kind(log_sigma: float, rest: np.ndarray) -> Written:
    kind = pd.get_dummies(long_table()["kind"]).to_numpy(dtype=float)
    logs = np.append(log_sigma, rest)
    return np.diag(np.exp(2 * kind @ logs)), float(stats.norm.logpdf(logs, 0, 0.6).sum())


def _outcomes(log_sigma: float, rest: np.ndarray) -> Written:
    rows = len(long_table())
    return _by_pair(np.tile([0, 1], rows), np.repeat(np.arange(rows), 2), log_sigma, rest)


def _outcomes_apart(log_sigma: float, rest: np.ndarray) -> Written:
    logs = np.append(log_sigma, rest)
    prior = SIGMA.logpdf(np.exp(logs)).sum() + logs.sum()
    return np.diag(np.exp(2 * np.tile(logs, len(long_table())))), float(prior)


@dataclass(frozen=True)
class Structure:
    """A structure as a user states it, its covariance with log prior, and bounds of the angles."""

    arguments: Mapping[str, Any]
    written: Callable[[float, np.ndarray], Written]
    priors: Mapping[str, str]
    outcomes: int = 1


_SIGMA = {"sigma": "HalfNormal(0.9)"}
_LOG = {"beta_sigma": "Normal(0, 0.6)"}
STRUCTURES = {
    "ar1": Structure({"residual": "ar1(week, child)"}, _ar1, _SIGMA),
    "continuous": Structure({"residual": "continuous_ar(day, child)"}, _continuous, _SIGMA),
    "symmetric": Structure({"residual": "compound_symmetric(child)"}, _symmetric, _SIGMA),
    "unstructured": Structure({"residual": "unstructured(week, child)"}, _unstructured, _SIGMA),
    "sigma by kind": Structure(
        {"distributional": {"sigma": "~ kind"}},
        _by_kind,
        _LOG | {"Intercept_sigma": "StudentT(3, 0.2, 1)"},
    ),
    "sigma of each kind": Structure({"distributional": {"sigma": "~ 0 + kind"}}, _each_kind, _LOG),
    "outcomes": Structure({}, _outcomes, _SIGMA, 2),
    "outcomes apart": Structure({"residual_correlation": False}, _outcomes_apart, _SIGMA, 2),
}
NAMES = st.sampled_from(list(STRUCTURES))
SEEDS = st.integers(0, 2**20)


@cache
def made(name: str) -> bml.Model:
    item = STRUCTURES[name]
    if item.outcomes == 2:
        return bml.multivariate(
            long_table(),
            "x",
            outcomes=["y", "y2"],
            group="school",
            priors=dict(item.priors) | PRIORS,
            **item.arguments,
        )
    return bml.model(
        long_table(),
        "y ~ x + (1 | school)",
        priors=dict(item.priors) | PRIORS,
        **item.arguments,
    )


@cache
def engine(name: str) -> MarginalModel:
    return marginal_model(made(name).resolved, made(name).design)


def expected(name: str, theta: np.ndarray) -> float:
    """The log-density, from rows by rows."""
    table, item = long_table(), STRUCTURES[name]
    school = (table["school"].to_numpy()[:, None] == np.arange(4)).astype(float)
    x = np.column_stack([np.ones(len(table)), table["x"] - table["x"].mean()])
    y = table["y"].to_numpy()
    sds, at = np.exp(theta[: item.outcomes]), item.outcomes
    between = np.diag(sds**2)
    prior = float(stats.halfnorm.logpdf(sds, scale=0.7).sum() + np.log(sds).sum())
    if item.outcomes == 2:
        factor = cholesky_of(theta[at : at + 1], 2)
        between = sds[:, None] * (factor @ factor.T) * sds
        prior += lkj_cholesky(factor, 2.0) + _log_jacobian(theta[at : at + 1], 2)
        at += 1
        y = table[["y", "y2"]].to_numpy().ravel()
    one = np.eye(item.outcomes)
    x, z = np.kron(x, one), np.kron(school, one)
    covariance, own = item.written(float(theta[at]), theta[at + 1 :])
    location = np.repeat([0.4, -0.2], item.outcomes)
    scale = np.repeat([1.5, 0.8], item.outcomes)
    long = (x * scale).astype(np.longdouble)
    total = long @ long.T + z @ np.kron(np.eye(4), between) @ z.T + covariance
    return log_normal(y, x @ location, total) + prior + own


def _point(name: str, seed: int, spread: float = 0.6) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, spread, engine(name).dimensions)


@given(name=NAMES, seed=SEEDS, spread=st.sampled_from([0.3, 1.0, 2.0]))
@settings(max_examples=120)
def test_the_density_is_that_of_rows_by_rows(name: str, seed: int, spread: float) -> None:
    theta = _point(name, seed, spread)
    value, _ = density_and_gradient(engine(name), theta)
    assert value == pytest.approx(expected(name, theta), rel=1e-9)


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_gradient_is_that_of_rows_by_rows(name: str) -> None:
    theta = _point(name, 3)
    _, gradient = density_and_gradient(engine(name), theta)
    h = 1e-3
    for i in range(len(theta)):
        step = np.zeros(len(theta))
        step[i] = h
        near, far = (
            expected(name, theta + k * step) - expected(name, theta - k * step) for k in (1, 2)
        )
        assert gradient[i] == pytest.approx((8 * near - far) / (12 * h), rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("name", ["ar1", "continuous", "symmetric"])
@pytest.mark.parametrize("far", [-12.0, 12.0])
def test_a_correlation_near_its_bound(name: str, far: float) -> None:
    theta = _point(name, 5)
    theta[-1] = far
    value, gradient = density_and_gradient(engine(name), theta)
    # 1 - phi is 1e-5: the matrix of rows by rows loses that many digits, in doubles as written
    assert value == pytest.approx(expected(name, theta), rel=1e-6)
    assert np.isfinite(gradient).all()


def test_names_and_shapes_are_those_of_the_conditional_engine() -> None:
    for name in STRUCTURES:
        model, found = made(name), posterior_arrays(engine(name), _point(name, 1)[None])
        effects = {f"u_{item.identifier}" for item in model.resolved.groupings}
        assert set(found) == {*model.resolved.posterior_names} - {"beta"} - effects
        if "corr_residual" in found and found["corr_residual"].ndim == 3:
            np.testing.assert_allclose(np.diagonal(found["corr_residual"][0]), 1.0)


def test_what_does_not_stay_linear_is_declined_in_words() -> None:
    table = long_table()
    for formula, words in (
        ("~ x", "sigma takes 43 different values"),
        ("~ 1 + (1 | school)", "sigma varies over units"),
    ):
        model = bml.model(table, "y ~ x + (1 | school)", distributional={"sigma": formula})
        if "43" in words:
            model = bml.model(
                pd.concat([table, table.assign(x=lambda t: t["x"] + 1)]),
                "y ~ x + (1 | school)",
                distributional={"sigma": formula},
            )
            words = "sigma takes 86 different values, and 50 is the limit"
        with pytest.raises(bml.FitError, match=words):
            model.fit(engine="marginal")
    crossed = bml.model(table, "y ~ x + (1 | kind:week)", residual="ar1(week, child)")
    with pytest.raises(bml.FitError, match="belong to different units of a grouping"):
        crossed.fit(engine="marginal")
