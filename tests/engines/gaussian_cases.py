"""Gaussian models of every structure on a small table, beside their dense counterparts.

A case states its model twice: as a user would, and as columns, units and SciPy priors. The dense
counterpart reads the table; of the engine it knows only how the parameters are ordered.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

import bayesml as bml
from bayesml.engines.density_kernels import marginal_density
from bayesml.engines.marginal_models import MarginalModel
from tests.codegen.scipy_log_joint import half_student_t, lkj_cholesky

LogDensity = Callable[[float], float]

PRIORS: Mapping[str, LogDensity] = {
    "HalfNormal(0.7)": lambda x: stats.halfnorm.logpdf(x, scale=0.7),
    "HalfStudentT(3, 1.2)": lambda x: half_student_t(x, 3, 1.2),
    "HalfStudentT(4, 0.9)": lambda x: half_student_t(x, 4, 0.9),
    "HalfCauchy(0.8)": lambda x: stats.halfcauchy.logpdf(x, scale=0.8),
    "Exponential(1.5)": lambda x: stats.expon.logpdf(x, scale=1 / 1.5),
    "Gamma(2.5, 3)": lambda x: stats.gamma.logpdf(x, 2.5, scale=1 / 3),
    "InverseGamma(3, 2)": lambda x: stats.invgamma.logpdf(x, 3, scale=2),
    "LogNormal(-0.4, 0.6)": lambda x: stats.lognorm.logpdf(x, 0.6, scale=np.exp(-0.4)),
    # Gamma(.001, .001) on the precision: the variance's density times |d sd^2 / d sd|
    "mlwin": lambda x: stats.invgamma.logpdf(x**2, 0.001, scale=0.001) + np.log(2 * x),
    "Normal(0.4, 1.5)": lambda x: stats.norm.logpdf(x, 0.4, 1.5),
    "Normal(-0.2, 0.8)": lambda x: stats.norm.logpdf(x, -0.2, 0.8),
    "StudentT(3, 0.5, 2)": lambda x: stats.t.logpdf(x, 3, 0.5, 2),
    "StudentT(5, 2, 1.5)": lambda x: stats.t.logpdf(x, 5, 2, 1.5),
    "Cauchy(0.1, 1.1)": lambda x: stats.cauchy.logpdf(x, 0.1, 1.1),
    "Laplace(-0.3, 0.9)": lambda x: stats.laplace.logpdf(x, -0.3, 0.9),
}
_NORMAL = {"Normal(0.4, 1.5)": (0.4, 1.5), "Normal(-0.2, 0.8)": (-0.2, 0.8)}


@dataclass(frozen=True)
class Varying:
    """A grouping: its columns of labels, with weights, its terms with their priors, its blocks."""

    columns: Sequence[str]
    terms: Mapping[str, str]
    blocks: tuple[int, ...] = (1,)
    eta: float = 2.0
    weights: Sequence[str] = ()


@dataclass(frozen=True)
class Case:
    """A model in a formula, and once more as columns and priors.

    `coefficients` maps a column of the table ("1" is the intercept) to its prior.
    """

    formula: str
    coefficients: Mapping[str, str]
    groupings: Mapping[str, Varying]
    sigma: str = "HalfNormal(0.7)"
    offset: str | None = None
    priors: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_priors(self) -> dict[str, str]:
        """The priors by the user's keys."""
        found = {"sigma": self.sigma}
        for column, text in self.coefficients.items():
            found["Intercept" if column == "1" else f"beta[{column}]"] = text
        for name, grouping in self.groupings.items():
            for term, text in grouping.terms.items():
                found[f"sd_{name}[{'Intercept' if term == '1' else term}]"] = text
            if max(grouping.blocks) > 1:
                found[f"corr_{name}"] = f"LKJ({grouping.eta})"
        return found | dict(self.priors)


@cache
def small_table() -> pd.DataFrame:
    """Forty-eight rows: classes in schools, areas across, firms with weights."""
    random = np.random.default_rng(20)
    rows = 48
    klass = random.integers(0, 15, rows)
    school = (klass * 7 + 3) % 6
    x, z = random.normal(1.0, 0.8, rows), random.normal(-2.0, 1.4, rows)
    # a slot whose weight is 0 names no firm
    second = random.random(rows) < 0.6
    share = random.uniform(0.2, 0.8, rows)
    table = pd.DataFrame(
        {
            "x": x,
            "z": z,
            "klass": [f"k{i}" for i in klass],
            "school": [f"s{i}" for i in school],
            "area": [f"a{i}" for i in random.integers(0, 5, rows)],
            "firm": [f"f{i}" for i in random.integers(0, 7, rows)],
            "firm2": [
                f"f{i}" if there else None
                for i, there in zip(random.integers(7, 12, rows), second, strict=True)
            ],
            "w1": np.where(second, share, 1.0),
            "w2": np.where(second, 1 - share, 0.0),
            "known": random.normal(0.5, 1.0, rows),
        }
    )
    table["y"] = (
        2.0
        + 0.5 * x
        - 0.3 * z
        + random.normal(0, 0.6, 6)[school]
        + random.normal(0, 0.4, 15)[klass] * x
        + random.normal(0, 0.7, rows)
    )
    return table


_XZ = {"1": "Normal(0.4, 1.5)", "x": "Normal(-0.2, 0.8)", "z": "Normal(0.4, 1.5)"}
_X = {"1": "Normal(0.4, 1.5)", "x": "Normal(-0.2, 0.8)"}
_FIRM = "mm(firm, firm2, weights=cbind(w1, w2), name='firm')"
_FIRMS = ("firm", "firm2")
_W = ("w1", "w2")

CASES: Mapping[str, Case] = {
    "intercepts only": Case(
        "y ~ x + z + (1 | school)", _XZ, {"school": Varying(["school"], {"1": "HalfNormal(0.7)"})}
    ),
    "one row a few units": Case(
        "y ~ 1 + (1 | klass)",
        {"1": "Normal(0.4, 1.5)"},
        {"klass": Varying(["klass"], {"1": "HalfStudentT(3, 1.2)"})},
        "HalfCauchy(0.8)",
    ),
    "a slope": Case(
        "y ~ x + (x | school)",
        _X,
        {
            "school": Varying(
                ["school"], {"1": "HalfCauchy(0.8)", "x": "Exponential(1.5)"}, (2,), 3.5
            )
        },
        "HalfStudentT(4, 0.9)",
    ),
    "three terms": Case(
        "y ~ x + z + (x + z | klass)",
        _XZ,
        {
            "klass": Varying(
                ["klass"],
                {"1": "Gamma(2.5, 3)", "x": "HalfNormal(0.7)", "z": "InverseGamma(3, 2)"},
                (3,),
                1.3,
            )
        },
        "Exponential(1.5)",
    ),
    "three terms in two blocks": Case(
        "y ~ x + (1 + x | school) + (0 + z | school)",
        _X,
        {
            "school": Varying(
                ["school"],
                {"1": "HalfNormal(0.7)", "x": "LogNormal(-0.4, 0.6)", "z": "HalfCauchy(0.8)"},
                (2, 1),
                0.8,
            )
        },
        "Gamma(2.5, 3)",
    ),
    "the block of two comes last": Case(
        "y ~ x + (1 | school) + (0 + x + z | school)",
        _X,
        {
            "school": Varying(
                ["school"],
                {"1": "HalfNormal(0.7)", "x": "HalfCauchy(0.8)", "z": "Exponential(1.5)"},
                (1, 2),
                2.0,
            )
        },
    ),
    "uncorrelated": Case(
        "y ~ x + (x || school)",
        _X,
        {"school": Varying(["school"], {"1": "HalfNormal(0.7)", "x": "mlwin"}, (1, 1))},
        "LogNormal(-0.4, 0.6)",
    ),
    "nested": Case(
        "y ~ x + (x | school) + (x | klass)",
        _X,
        {
            "school": Varying(["school"], {"1": "HalfNormal(0.7)", "x": "Exponential(1.5)"}, (2,)),
            "klass": Varying(
                ["klass"], {"1": "HalfCauchy(0.8)", "x": "HalfNormal(0.7)"}, (2,), 4.0
            ),
        },
    ),
    "crossed": Case(
        "y ~ x + (1 | school) + (z | area)",
        _X,
        {
            "school": Varying(["school"], {"1": "HalfNormal(0.7)"}),
            "area": Varying(["area"], {"1": "HalfCauchy(0.8)", "z": "Exponential(1.5)"}, (2,)),
        },
        "InverseGamma(3, 2)",
    ),
    "nested and crossed": Case(
        "y ~ x + (1 | school) + (1 | klass) + (1 | area)",
        _X,
        {
            "school": Varying(["school"], {"1": "HalfNormal(0.7)"}),
            "klass": Varying(["klass"], {"1": "HalfNormal(0.7)"}),
            "area": Varying(["area"], {"1": "Gamma(2.5, 3)"}),
        },
        "mlwin",
    ),
    "members": Case(
        f"y ~ x + (1 | {_FIRM})",
        _X,
        {"firm": Varying(_FIRMS, {"1": "HalfNormal(0.7)"}, weights=_W)},
    ),
    "members with a slope, in schools": Case(
        f"y ~ x + (x | {_FIRM}) + (1 | school)",
        _X,
        {
            "firm": Varying(
                _FIRMS, {"1": "HalfNormal(0.7)", "x": "Exponential(1.5)"}, (2,), weights=_W
            ),
            "school": Varying(["school"], {"1": "HalfCauchy(0.8)"}),
        },
    ),
    "no intercept, an offset": Case(
        "y ~ 0 + x + z + offset(known) + (0 + x | school)",
        {"x": "Normal(-0.2, 0.8)", "z": "Normal(0.4, 1.5)"},
        {"school": Varying(["school"], {"x": "HalfNormal(0.7)"})},
        offset="known",
    ),
    "an offset": Case(
        "y ~ x + offset(known) + (1 | school)",
        _X,
        {"school": Varying(["school"], {"1": "HalfNormal(0.7)"})},
        offset="known",
    ),
    "slopes are sampled": Case(
        "y ~ x + z + (1 | school)",
        {"1": "Normal(0.4, 1.5)", "x": "StudentT(3, 0.5, 2)", "z": "Laplace(-0.3, 0.9)"},
        {"school": Varying(["school"], {"1": "HalfNormal(0.7)"})},
    ),
    "the intercept and a slope are sampled": Case(
        "y ~ x + z + offset(known) + (x | school)",
        {"1": "StudentT(5, 2, 1.5)", "x": "Normal(-0.2, 0.8)", "z": "Cauchy(0.1, 1.1)"},
        {"school": Varying(["school"], {"1": "HalfNormal(0.7)", "x": "Exponential(1.5)"}, (2,))},
        offset="known",
    ),
    "every coefficient is sampled": Case(
        "y ~ 0 + x + z + (1 | klass) + (1 | area)",
        {"x": "StudentT(3, 0.5, 2)", "z": "Cauchy(0.1, 1.1)"},
        {
            "klass": Varying(["klass"], {"1": "HalfNormal(0.7)"}),
            "area": Varying(["area"], {"1": "HalfNormal(0.7)"}),
        },
    ),
    "no coefficients": Case(
        "y ~ 0 + (1 | school)", {}, {"school": Varying(["school"], {"1": "HalfNormal(0.7)"})}
    ),
    "no groupings": Case("y ~ x + z", _XZ, {}),
}


@cache
def model_of(name: str) -> bml.Model:
    """Return a case's model, as a user would write it."""
    return bml.model(small_table(), CASES[name].formula, priors=CASES[name].all_priors)


class Dense:
    """A case written out: X, Z and priors from the table, matrices of rows by rows."""

    def __init__(self, name: str) -> None:
        self.case, self.model, self.table = CASES[name], model_of(name), small_table()
        rows = len(self.table)
        case = self.case
        self.offset = (
            np.zeros(rows) if case.offset is None else self.table[case.offset].to_numpy(copy=True)
        )
        self.y = self.table["y"].to_numpy(copy=True)
        self.order = [
            "1" if label == "Intercept" else label for label in self.model.resolved.coefficients
        ]
        self.x = np.column_stack(
            [self.column(label) for label in self.order] + [np.empty((rows, 0))]
        )
        self.names = [item.name for item in self.model.resolved.groupings]
        self.labels = {
            item.name: list(part.units.labels)
            for item, part in zip(
                self.model.resolved.groupings, self.model.design.varying, strict=True
            )
        }

    def column(self, name: str) -> np.ndarray:
        """Return a term's column."""
        return np.ones(len(self.table)) if name == "1" else self.table[name].to_numpy(copy=True)

    def z(self, name: str) -> np.ndarray:
        """Return a grouping's Z, the terms of a unit next to each other."""
        grouping, labels = self.case.groupings[name], self.labels[name]
        membership = np.zeros((len(self.table), len(labels)))
        for slot, column in enumerate(grouping.columns):
            for row, label in enumerate(self.table[column]):
                if label in labels:
                    weight = self.table[grouping.weights[slot]][row] if grouping.weights else 1.0
                    membership[row, labels.index(label)] += weight
        terms = np.column_stack([self.column(term) for term in grouping.terms])
        return (membership[:, :, None] * terms[:, None, :]).reshape(len(self.table), -1)

    @property
    def sampled(self) -> list[str]:
        """The coefficients that no Normal prior lets integrate out."""
        return [label for label in self.order if self.case.coefficients[label] not in _NORMAL]

    @property
    def integrated(self) -> list[str]:
        """The coefficients with a Normal prior."""
        return [label for label in self.order if label not in self.sampled]

    @property
    def centred(self) -> np.ndarray:
        """X at whose means the intercept's prior holds."""
        if "1" not in self.order:
            return self.x
        mean = self.x.mean(axis=0)
        mean[0] = 0.0
        return self.x - mean

    def parameters(self, theta: np.ndarray) -> "Parameters":
        """Read unconstrained parameters: log SDs, atanh partial correlations, log sigma."""
        case = self.case
        terms = sum(len(case.groupings[name].terms) for name in self.names)
        place, angle = 0, terms
        sds, factors = {}, {}
        for name in self.names:
            grouping = case.groupings[name]
            sds[name] = np.exp(theta[place : place + len(grouping.terms)])
            place += len(grouping.terms)
            factors[name] = []
            for size in grouping.blocks:
                count = size * (size - 1) // 2
                factors[name].append(cholesky_of(theta[angle : angle + count], size))
                angle += count
        return Parameters(sds, factors, float(np.exp(theta[angle])), theta[angle + 1 :], terms)

    def sigma_of(self, name: str, parameters: "Parameters") -> np.ndarray:
        """Return a grouping's covariance matrix."""
        total = np.zeros((len(parameters.sds[name]),) * 2)
        first = 0
        for factor in parameters.factors[name]:
            part = slice(first, first + len(factor))
            scaled = parameters.sds[name][part, None] * factor
            total[part, part] = scaled @ scaled.T
            first += len(factor)
        return total

    def effects_covariance(self, parameters: "Parameters") -> np.ndarray:
        """Return the covariance of all random effects, groupings one after the other."""
        blocks = [
            np.kron(np.eye(len(self.labels[name])), self.sigma_of(name, parameters))
            for name in self.names
        ]
        size = sum(len(block) for block in blocks)
        total, first = np.zeros((size, size)), 0
        for block in blocks:
            total[first : first + len(block), first : first + len(block)] = block
            first += len(block)
        return total

    @property
    def all_z(self) -> np.ndarray:
        """Z of all groupings."""
        return np.column_stack([self.z(name) for name in self.names] + [np.empty((len(self.y), 0))])

    def coefficients_prior(self) -> tuple[np.ndarray, np.ndarray]:
        """Return location and SD of the integrated coefficients, the intercept at the means."""
        values = [_NORMAL[self.case.coefficients[label]] for label in self.integrated]
        return np.array([v[0] for v in values]), np.array([v[1] for v in values])

    def log_priors(self, theta: np.ndarray, sampled: np.ndarray) -> float:
        """Return the log prior of SDs, correlations, sigma and sampled coefficients, at theta.

        `sampled` are those coefficients on the user's scale; Jacobians of SDs and correlations
        are included, that of the coefficients is not.
        """
        found = self.parameters(theta)
        total = PRIORS[self.case.sigma](found.sigma) + np.log(found.sigma)
        angle = found.terms
        for name in self.names:
            grouping = self.case.groupings[name]
            for sd, text in zip(found.sds[name], grouping.terms.values(), strict=True):
                total += PRIORS[text](sd) + np.log(sd)
            for factor in found.factors[name]:
                size = len(factor)
                count = size * (size - 1) // 2
                if size > 1:
                    total += lkj_cholesky(factor, grouping.eta)
                    total += _log_jacobian(theta[angle : angle + count], size)
                angle += count
        for label, value in zip(self.sampled, sampled, strict=True):
            total += PRIORS[self.case.coefficients[label]](value)
        return float(total)

    def outcome_moments(
        self, theta: np.ndarray, sampled: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and covariance of y given theta, everything else integrated out."""
        found = self.parameters(theta)
        location, scale = self.coefficients_prior()
        x = self.centred[:, [self.order.index(label) for label in self.integrated]]
        s = self.centred[:, [self.order.index(label) for label in self.sampled]]
        mean = self.offset + x @ location + s @ sampled
        # In long doubles: rounding this matrix alone would cost cond x 1e-16.
        x, z = (x * scale).astype(np.longdouble), self.all_z.astype(np.longdouble)
        covariance = x @ x.T + z @ self.effects_covariance(found).astype(np.longdouble) @ z.T
        return mean, covariance + np.longdouble(found.sigma) ** 2 * np.eye(len(self.y))

    def effects_moments(
        self, theta: np.ndarray, sampled: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and covariance of (coefficients, random effects) given theta and y.

        Integrated coefficients, then effects by grouping, on the user's scale but with the
        intercept at the means of the predictors; the normal equations in their precisions.
        """
        found = self.parameters(theta)
        location, scale = self.coefficients_prior()
        x = self.centred[:, [self.order.index(label) for label in self.integrated]]
        s = self.centred[:, [self.order.index(label) for label in self.sampled]]
        both = np.column_stack([x, self.all_z])
        prior = np.zeros((both.shape[1],) * 2)
        p = len(location)
        prior[:p, :p] = np.diag(1 / scale**2)
        prior[p:, p:] = np.linalg.inv(self.effects_covariance(found))
        precision = prior + both.T @ both / found.sigma**2
        right = both.T @ (self.y - self.offset - s @ sampled) / found.sigma**2
        right[:p] += location / scale**2
        covariance = np.linalg.inv(precision)
        return covariance @ right, covariance


@dataclass(frozen=True)
class Parameters:
    """SDs and Cholesky factors of correlations by grouping, sigma, what is left, and a count."""

    sds: Mapping[str, np.ndarray]
    factors: Mapping[str, list[np.ndarray]]
    sigma: float
    rest: np.ndarray
    terms: int


def cholesky_of(angles: Any, size: int) -> np.ndarray:
    """Return a correlation matrix's Cholesky factor from atanh of its partial correlations."""
    out = np.zeros((size, size), dtype=np.result_type(float, np.asarray(angles)))
    place = 0
    for row in range(size):
        left = 1.0
        for column in range(row):
            r = np.tanh(angles[place])
            out[row, column] = r * left
            left = left * np.sqrt(1 - r * r)
            place += 1
        out[row, row] = left
    return out


def _log_jacobian(angles: np.ndarray, size: int) -> float:
    """Return log |d(entries below the diagonal) / d(angles)|, by complex steps."""
    where = np.tril_indices(size, -1)
    slopes = []
    for i in range(len(angles)):
        step = angles.astype(complex)
        step[i] += 1e-30j
        slopes.append(cholesky_of(step, size)[where].imag / 1e-30)
    return float(np.linalg.slogdet(np.array(slopes))[1])


def log_normal(y: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> float:
    """Return the log-density of a multivariate normal, in long doubles."""
    factor = np.tril(covariance).astype(np.longdouble)
    white = (y - mean).astype(np.longdouble)
    for j in range(len(y)):
        factor[j:, j] -= factor[j:, :j] @ factor[j, :j]
        factor[j:, j] /= np.sqrt(factor[j, j])
        white[j] = (white[j] - factor[j, :j] @ white[:j]) / factor[j, j]
    return float(
        -0.5 * (len(y) * np.log(2 * np.pi) + white @ white) - np.log(np.diag(factor)).sum()
    )


def density_and_gradient(engine: MarginalModel, theta: np.ndarray) -> tuple[float, np.ndarray]:
    """Return what the compiled kernel says."""
    gradient = np.full(len(theta), np.nan)
    theta = np.ascontiguousarray(theta, dtype=float)
    value = marginal_density(engine.elimination.plan, engine.density, theta, gradient)
    return float(value), gradient
