"""Exact draws and exact predictive densities of Gaussian models whose variances are known.

With known variances the coefficients and effects are jointly normal given the outcome, and so is
every part of the outcome given the rest. Nothing here reads bayesml's likelihoods.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

# Prior SD of each coefficient: all but flat.
WIDE = 30.0


@dataclass(frozen=True)
class Effects:
    """A grouping: `membership` (rows, units) of weights, `terms` (rows, terms), covariance."""

    name: str
    membership: np.ndarray
    terms: np.ndarray
    covariance: np.ndarray

    @property
    def design(self) -> np.ndarray:
        """Columns of Z, the terms of each unit next to each other."""
        rows = len(self.terms)
        return (self.membership[:, :, None] * self.terms[:, None, :]).reshape(rows, -1)

    @property
    def units(self) -> int:
        """Number of units."""
        return self.membership.shape[1]


@dataclass(frozen=True)
class GaussianModel:
    """y ~ N(X beta + Z u, sigma^2) with known variances."""

    y: np.ndarray
    x: np.ndarray
    groupings: Sequence[Effects]
    sigma: float

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of y with coefficients and effects integrated out."""
        total = WIDE**2 * self.x @ self.x.T + self.sigma**2 * np.eye(len(self.y))
        for item in self.groupings:
            blocks = np.kron(np.eye(item.units), item.covariance)
            total += item.design @ blocks @ item.design.T
        return total

    def log_density(self, rows: np.ndarray) -> float:
        """log p(y[rows] | all other rows), by conditioning the multivariate normal."""
        rest = np.setdiff1d(np.arange(len(self.y)), rows)
        whole = self.covariance
        weights = np.linalg.solve(whole[np.ix_(rest, rest)], whole[np.ix_(rest, rows)]).T
        mean = weights @ self.y[rest]
        spread = whole[np.ix_(rows, rows)] - weights @ whole[np.ix_(rest, rows)]
        return float(stats.multivariate_normal.logpdf(self.y[rows], mean, (spread + spread.T) / 2))

    def draws(self, chains: int, number: int, seed: int) -> dict[str, Any]:
        """Return independent draws of beta and effects given y, and the constant variances."""
        design = np.column_stack([self.x, *(item.design for item in self.groupings)])
        prior = np.zeros((design.shape[1],) * 2)
        start = self.x.shape[1]
        prior[:start, :start] = np.eye(start) / WIDE**2
        for item in self.groupings:
            size = item.design.shape[1]
            inside = slice(start, start + size)
            prior[inside, inside] = np.kron(np.eye(item.units), np.linalg.inv(item.covariance))
            start += size
        precision = design.T @ design / self.sigma**2 + prior
        mean = np.linalg.solve(precision, design.T @ self.y / self.sigma**2)
        factor = np.linalg.cholesky(np.linalg.inv(precision))
        noise = np.random.default_rng(seed).normal(size=(chains, number, len(mean)))
        all_draws = mean + noise @ factor.T
        found: dict[str, Any] = {"beta": all_draws[:, :, : self.x.shape[1]], "sigma": self.sigma}
        start = self.x.shape[1]
        for item in self.groupings:
            terms = len(item.covariance)
            stop = start + item.units * terms
            found[f"u_{item.name}"] = all_draws[:, :, start:stop].reshape(
                chains, number, item.units, terms
            )
            sd = np.sqrt(np.diag(item.covariance))
            found[f"sd_{item.name}"] = sd
            if terms > 1:
                found[f"corr_{item.name}"] = item.covariance / np.outer(sd, sd)
            start = stop
        return found


def dummies(units: np.ndarray) -> np.ndarray:
    """Return the membership matrix of single units numbered from 0."""
    return np.eye(int(units.max()) + 1)[units]


def simulated(
    x: np.ndarray, groupings: Sequence[Effects], sigma: float, seed: int
) -> GaussianModel:
    """Return a model whose outcome is drawn from it, with coefficients 0.5."""
    rng = np.random.default_rng(seed)
    y = 0.5 * x.sum(axis=1) + rng.normal(0, sigma, size=len(x))
    for item in groupings:
        effects = rng.multivariate_normal(
            np.zeros(len(item.covariance)), item.covariance, item.units
        )
        y += item.design @ effects.ravel()
    return GaussianModel(y, x, groupings, sigma)


def intercepts(name: str, units: np.ndarray, sd: float) -> Effects:
    """Return varying intercepts."""
    return Effects(name, dummies(units), np.ones((len(units), 1)), np.array([[sd**2]]))


def named(values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return values as arrays."""
    return {name: np.asarray(value, dtype=float) for name, value in values.items()}
