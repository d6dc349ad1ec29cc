"""Integrated likelihoods against SciPy's densities and against brute-force integration."""

from itertools import product

import numpy as np
import pytest
from scipy import integrate, special, stats

from bayesml.quantities.integrated_likelihoods import (
    GroupEffects,
    integrated_group,
    integrated_rows,
)
from bayesml.quantities.log_likelihoods import RowLikelihood, category_bounds

BOUNDS = category_bounds(np.array([1]), np.array([[-0.5, 0.8]]))
ROWS = {
    "counts": RowLikelihood("poisson", "log", np.array([[7.0]]), {}),
    "no count": RowLikelihood("poisson", "log", np.array([[0.0]]), {}),
    "logit": RowLikelihood("binomial", "logit", np.array([[1.0]]), {}),
    "trials": RowLikelihood("binomial", "logit", np.array([[9.0]]), {"trials": np.array([[9.0]])}),
    "probit": RowLikelihood("binomial", "probit", np.array([[0.0]]), {}),
    "cloglog": RowLikelihood("binomial", "cloglog", np.array([[1.0]]), {}),
    "ordinal": RowLikelihood(
        "ordinal", "logit", np.array([[1.0]]), {"lower": BOUNDS[0], "upper": BOUNDS[1]}
    ),
}


def by_quad(row: RowLikelihood, eta: float, spread: float) -> float:
    """Integrate exp(log-likelihood) against the normal density with SciPy."""

    def integrand(x: float) -> float:
        value = row(np.array([[eta + spread * x]]))[0, 0]
        return float(np.exp(value + stats.norm.logpdf(x)))

    value, _ = integrate.quad(integrand, -12, 12, limit=500, epsabs=0, epsrel=1e-10)
    return float(np.log(value))


@pytest.mark.parametrize("name", list(ROWS))
def test_a_row_by_quadrature(name: str) -> None:
    for eta, spread in product([-2.0, 0.3, 2.5], [0.0, 0.3, 1.0, 2.5]):
        found = integrated_rows(ROWS[name], np.array([[eta]]), np.array([[spread]]))
        assert found[0, 0] == pytest.approx(by_quad(ROWS[name], eta, spread), abs=2e-3)


def test_a_gaussian_row_is_exact() -> None:
    y, sigma = np.array([[1.0], [2.0]]), np.array([0.5, 0.7])
    eta, spread = np.zeros((2, 2)), np.full((2, 2), 1.2)
    found = integrated_rows(RowLikelihood("gaussian", "identity", y, {"sigma": sigma}), eta, spread)
    np.testing.assert_allclose(found, stats.norm.logpdf(y, 0, np.hypot(sigma, 1.2)))


def nested_group(
    draws: int, inner_terms: int, outer_terms: int, seed: int = 3
) -> tuple[GroupEffects, np.ndarray, np.random.Generator]:
    """Return designs of seven rows in three inner units; the last row has no inner unit."""
    rng = np.random.default_rng(seed)
    unit = np.array([0, 0, 1, 1, 1, 2, 0])
    inner = 0.7 * rng.normal(size=(7, inner_terms, draws))
    inner[6] = 0.0
    outer = 0.6 * rng.normal(size=(7, outer_terms, draws))
    return GroupEffects(unit, inner, outer), rng.normal(size=(7, draws)), rng


@pytest.mark.parametrize(("inner_terms", "outer_terms"), [(1, 1), (2, 2), (2, 0), (0, 3), (1, 5)])
def test_a_gaussian_group_is_the_multivariate_normal(inner_terms: int, outer_terms: int) -> None:
    effects, eta, rng = nested_group(4, inner_terms, outer_terms)
    y, sigma = rng.normal(size=(7, 1)), np.array([0.4, 0.8, 1.1, 2.0])
    rows = RowLikelihood("gaussian", "identity", y, {"sigma": sigma})
    found = integrated_group(rows, eta, effects, rng)
    assert found.method == "exact"
    assert not found.error.any()
    same = effects.unit[:, None] == effects.unit
    for draw in range(4):
        inner, outer = effects.inner[:, :, draw], effects.outer[:, :, draw]
        covariance = same * (inner @ inner.T) + outer @ outer.T + sigma[draw] ** 2 * np.eye(7)
        expected = stats.multivariate_normal.logpdf(y[:, 0], eta[:, draw], covariance)
        assert found.log_likelihood[draw] == pytest.approx(expected, abs=1e-9)


def by_simulation(
    rows: RowLikelihood, eta: np.ndarray, effects: GroupEffects, draw: int, number: int = 400_000
) -> tuple[float, float]:
    """Average the likelihood over effects drawn from N(0, I); return its log and its error."""
    rng = np.random.default_rng(8)
    units = int(effects.unit.max()) + 1
    inner = rng.normal(size=(units, effects.inner.shape[1], number))
    outer = rng.normal(size=(effects.outer.shape[1], number))
    shift = np.einsum("iq,iqs->is", effects.inner[:, :, draw], inner[effects.unit])
    shift += effects.outer[:, :, draw] @ outer
    values = rows(eta[:, [draw]] + shift).sum(axis=0)
    log_mean = special.logsumexp(values) - np.log(number)
    relative = np.exp(values - log_mean)
    return float(log_mean), float(relative.std() / np.sqrt(number))


@pytest.mark.parametrize(
    ("inner_terms", "outer_terms", "method"),
    [
        (1, 0, "quadrature"),
        (2, 0, "quadrature"),
        (3, 0, "quadrature"),
        (1, 1, "quadrature"),
        (1, 2, "quadrature"),
        (0, 2, "quadrature"),
        (1, 3, "importance sampling"),
        (0, 4, "importance sampling"),
    ],
)
@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_other_groups_by_simulation(
    family: str, inner_terms: int, outer_terms: int, method: str
) -> None:
    effects, eta, rng = nested_group(2, inner_terms, outer_terms)
    y = np.array([[1.0], [1.0], [0.0], [1.0], [0.0], [0.0], [1.0]])
    link = "logit" if family == "binomial" else "log"
    rows = RowLikelihood(family, link, y, {})
    found = integrated_group(rows, eta, effects, rng)
    assert found.method == method
    for draw in range(2):
        expected, error = by_simulation(rows, eta, effects, draw)
        # Quadrature itself is good to about 0.001.
        allowed = 4 * np.hypot(error, found.error[draw]) + 1e-3
        assert abs(found.log_likelihood[draw] - expected) < allowed
    if method == "importance sampling":
        assert (found.error > 0).all()
        assert (found.error < 0.05).all()


def test_the_error_of_importance_sampling_is_its_error() -> None:
    effects, eta, rng = nested_group(400, 0, 3, seed=5)
    eta[:] = eta[:, :1]
    effects = GroupEffects(
        effects.unit, effects.inner, np.repeat(2 * effects.outer[:, :, :1], 400, axis=2)
    )
    rows = RowLikelihood("binomial", "logit", np.ones((7, 1)), {})
    found = integrated_group(rows, eta, effects, rng)
    # 400 repetitions of one integral: their spread is what each says of itself.
    spread = found.log_likelihood.std()
    assert np.sqrt((found.error**2).mean()) == pytest.approx(spread, rel=0.25)


def test_effects_without_variance_change_nothing() -> None:
    effects, eta, rng = nested_group(3, 1, 1)
    nothing = GroupEffects(effects.unit, 0 * effects.inner, 0 * effects.outer)
    rows = RowLikelihood("poisson", "log", np.arange(7.0)[:, None], {})
    found = integrated_group(rows, eta, nothing, rng)
    np.testing.assert_allclose(found.log_likelihood, rows(eta).sum(axis=0), rtol=1e-10)
