"""Gaussian multilevel models in sixty digits: densities, gradients and criteria by mpmath.

A model is stated by columns of the user's table, and V is written out, rows by rows: what doubles
lose by cancellation, sixty digits keep. The data themselves are doubles, hence exact.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from mpmath import mp, mpf

import bayesml as bml

DIGITS = 60
# Differences of a function known to sixty digits: their error is of order 1e-30.
_STEP = "1e-15"


@dataclass(frozen=True)
class Part:
    """A grouping: its column, its terms ("1" or columns), and the scale of each HalfNormal."""

    column: str
    terms: Sequence[str]
    scales: Sequence[float]


@dataclass(frozen=True)
class HardTable:
    """A table with a model, the prior of the intercept (at the means) and of the slopes.

    Parameters
    ----------
    table : DataFrame
        Outcome in `y1`.
    parts : sequence of Part
        Two terms of one part are correlated, with an LKJ(2) prior.
    sigma : float
        Scale of the HalfNormal prior of the residual SD.
    intercept : (mean, sd) or None
    slopes : mapping of column to SD
        Means are 0.
    """

    table: pd.DataFrame
    parts: Sequence[Part]
    sigma: float = 1.0
    intercept: tuple[float, float] | None = (0.0, 10.0)
    slopes: dict[str, float] = field(default_factory=dict)

    @property
    def formula(self) -> str:
        fixed = ["0" if self.intercept is None else "1", *self.slopes]
        bars = [
            f"({' + '.join(part.terms if '1' in part.terms else ['0', *part.terms])}"
            f" | {part.column})"
            for part in self.parts
        ]
        return f"y1 ~ {' + '.join([*fixed, *bars])}"

    @property
    def model(self) -> bml.Model:
        priors = {"sigma": f"HalfNormal({self.sigma!r})"}
        if self.intercept is not None:
            priors["Intercept"] = f"Normal({self.intercept[0]!r}, {self.intercept[1]!r})"
        for column, sd in self.slopes.items():
            priors[f"beta[{column}]"] = f"Normal(0, {sd!r})"
        for part in self.parts:
            for term, scale in zip(part.terms, part.scales, strict=True):
                name = "Intercept" if term == "1" else term
                priors[f"sd_{part.column}[{name}]"] = f"HalfNormal({scale!r})"
            if len(part.terms) == 2:
                priors[f"corr_{part.column}"] = "LKJ(2)"
        with warnings.catch_warnings():
            # Terms far from 0 are named when a model is made; here they are wanted.
            warnings.simplefilter("ignore", bml.BayesmlWarning)
            return bml.model(self.table, self.formula, priors=priors)

    def columns(self) -> list[list[mpf]]:
        """The fixed part's columns as the user has them."""
        ones = [] if self.intercept is None else [[mpf(1)] * len(self.table)]
        return ones + [_exact(self.table[column]) for column in self.slopes]


def _exact(values: Sequence[float]) -> list[mpf]:
    return [mpf(float(value)) for value in values]


def covariance(
    hard: HardTable, sds: Sequence[Sequence[mpf]], corrs: Sequence[mpf], sigma: mpf
) -> list[list[mpf]]:
    """V of the rows given the parameters, without the coefficients."""
    rows = len(hard.table)
    v = [[mpf(0)] * rows for _ in range(rows)]
    for i in range(rows):
        v[i][i] += sigma**2
    for part, sd, corr in zip(hard.parts, sds, corrs, strict=True):
        z = [[mpf(1)] * rows if term == "1" else _exact(hard.table[term]) for term in part.terms]
        units = list(hard.table[part.column])
        for i in range(rows):
            for j in range(i + 1):
                if units[i] != units[j]:
                    continue
                for a, left in enumerate(z):
                    for b, right in enumerate(z):
                        shared = sd[a] * sd[b] * (1 if a == b else corr)
                        v[i][j] += left[i] * right[j] * shared
                v[j][i] = v[i][j]
    return v


def _cholesky(v: list[list[mpf]]) -> list[list[mpf]]:
    size = len(v)
    factor = [[mpf(0)] * size for _ in range(size)]
    for i in range(size):
        for j in range(i + 1):
            total = v[i][j] - mp.fdot(factor[i][:j], factor[j][:j])
            factor[i][j] = mp.sqrt(total) if i == j else total / factor[j][j]
    return factor


def _solved(factor: list[list[mpf]], right: Sequence[mpf]) -> list[mpf]:
    out: list[mpf] = []
    for i, value in enumerate(right):
        out.append((value - mp.fdot(factor[i][:i], out)) / factor[i][i])
    return out


def _log_diagonal(factor: list[list[mpf]]) -> mpf:
    return mp.fsum(mp.log(factor[i][i]) for i in range(len(factor)))


def split(hard: HardTable, theta: Sequence[mpf]) -> tuple[list[list[mpf]], list[mpf], mpf]:
    """SDs and correlation of each part, and sigma, of unconstrained parameters."""
    place, sds, corrs = 0, [], []
    for part in hard.parts:
        sds.append([mp.exp(x) for x in theta[place : place + len(part.terms)]])
        place += len(part.terms)
    for part in hard.parts:
        if len(part.terms) == 2:
            corrs.append(mp.tanh(theta[place]))
            place += 1
        else:
            corrs.append(mpf(0))
    return sds, corrs, mp.exp(theta[place])


def _log_density(hard: HardTable, theta: Sequence[mpf]) -> mpf:
    sds, corrs, sigma = split(hard, theta)
    v = covariance(hard, sds, corrs, sigma)
    rows = len(v)
    mean = mpf(0)
    if hard.intercept is not None:
        mean = mpf(hard.intercept[0])
    for column, (_, sd) in zip(hard.columns(), _coefficient_sds(hard), strict=True):
        centre = mp.fsum(column) / rows if hard.intercept is not None else mpf(0)
        used = column if sd is None else [value - centre for value in column]
        spread = mpf(hard.intercept[1]) if sd is None else mpf(sd)
        for i in range(rows):
            for j in range(rows):
                v[i][j] += spread**2 * used[i] * used[j]
    factor = _cholesky(v)
    white = _solved(factor, [y - mean for y in _exact(hard.table["y1"])])
    total = -mp.fdot(white, white) / 2 - _log_diagonal(factor) - rows * mp.log(2 * mp.pi) / 2
    pairs = [
        (sd, scale)
        for part, own in zip(hard.parts, sds, strict=True)
        for sd, scale in zip(own, part.scales, strict=True)
    ]
    for sd, scale in [*pairs, (sigma, hard.sigma)]:
        total += mp.log(2 / (mpf(scale) * mp.sqrt(2 * mp.pi))) - (sd / mpf(scale)) ** 2 / 2
        total += mp.log(sd)  # d sd / d log sd
    for part, r in zip(hard.parts, corrs, strict=True):
        if len(part.terms) == 2:
            # LKJ(2): 3/4 (1 - r^2); d r / d atanh r = 1 - r^2
            total += mp.log(mpf(3) / 4) + 2 * mp.log(1 - r * r)
    return total


def _coefficient_sds(hard: HardTable) -> list[tuple[str, float | None]]:
    first = [] if hard.intercept is None else [("1", None)]
    return [*first, *hard.slopes.items()]


def exact_density(hard: HardTable, theta: np.ndarray) -> tuple[mpf, list[mpf]]:
    """The marginal log-density at unconstrained parameters, and its gradient."""
    with mp.workdps(DIGITS):
        point = _exact(theta)
        gradient, step = [], mpf(_STEP)
        for i in range(len(point)):
            above, below = list(point), list(point)
            above[i], below[i] = point[i] + step, point[i] - step
            gradient.append((_log_density(hard, above) - _log_density(hard, below)) / (2 * step))
        return _log_density(hard, point), gradient


def exact_criterion(
    hard: HardTable,
    sds: Sequence[Sequence[float]],
    corrs: Sequence[float],
    sigma: float,
    restricted: bool,
) -> tuple[mpf, list[mpf]]:
    """-2 log (restricted) likelihood as lme4 defines it, and the coefficients, on user's scales."""
    with mp.workdps(DIGITS):
        v = covariance(hard, [_exact(own) for own in sds], _exact(corrs), mpf(float(sigma)))
        factor = _cholesky(v)
        x = [_solved(factor, column) for column in hard.columns()]
        y = _solved(factor, _exact(hard.table["y1"]))
        normal = [[mp.fdot(left, right) for right in x] for left in x]
        inner = _cholesky(normal)
        half = _solved(inner, [mp.fdot(column, y) for column in x])
        squares = mp.fdot(y, y) - mp.fdot(half, half)
        freedom = len(y) - (len(x) if restricted else 0)
        value = freedom * mp.log(2 * mp.pi) + 2 * _log_diagonal(factor) + squares
        if restricted:
            value += 2 * _log_diagonal(inner)
        beta: list[mpf] = [mpf(0)] * len(x)
        for i in reversed(range(len(x))):
            rest = mp.fsum(inner[j][i] * beta[j] for j in range(i + 1, len(x)))
            beta[i] = (half[i] - rest) / inner[i][i]
        return value, beta
