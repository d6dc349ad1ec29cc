"""One row a family: what SciPy says of it. Every test of families runs over these rows.

`test_families.py` (moments of simulated outcomes, mean and variance), `test_log_likelihoods.py`
(log-likelihood of rows) and `test_log_density.py` (the generated model) read them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

INVERSE: dict[str, Callable[..., Any]] = {
    "identity": lambda eta: eta,
    "log": np.exp,
    "logit": special.expit,
    "probit": stats.norm.cdf,
    "cloglog": lambda eta: -np.expm1(-np.exp(eta)),
}


_REST: dict[str, Callable[..., Any]] = {
    "logit": lambda eta: special.expit(-eta),
    "probit": stats.norm.sf,
    "cloglog": lambda eta: np.exp(-np.exp(eta)),
}


@dataclass(frozen=True)
class FamilyRow:
    """A family with one of its links.

    Parameters
    ----------
    column : str
        Outcome in the table of `test_log_density.py`.
    parameters : mapping
        Values at which it is tried out.
    distribution : callable
        From the inverse link of the linear predictor, the parameters and the trials to a SciPy
        distribution.
    location : callable
        Prior mean of the intercept, from the table.
    priors : mapping
        SciPy distribution of each parameter's default prior, from SD(y).
    options : mapping
        Arguments of the builder.
    scaled : bool
        Whether default priors scale with the SD of the outcome on the link scale.
    """

    family: str
    link: str
    column: str
    parameters: Mapping[str, float]
    distribution: Callable[[Any, Mapping[str, Any], Any], Any]
    location: Callable[[pd.DataFrame], float]
    priors: Mapping[str, Callable[[float], Any]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    scaled: bool = False

    @property
    def name(self) -> str:
        """Family and link, for test ids."""
        return f"{self.family} {self.link}"

    def log_probability(self, y: Any, eta: Any, parameters: Mapping[str, Any], trials: Any) -> Any:
        """Log density or probability of outcomes at linear predictors."""
        # One minus the mean, where that has digits of its own.
        rest = {"rest": _REST[self.link](eta)} if self.link in _REST else {}
        found = self.distribution(INVERSE[self.link](eta), {**parameters, **rest}, trials)
        return found.logpdf(y) if hasattr(found.dist, "pdf") else found.logpmf(y)


def _half_student_t(scale: float) -> Any:
    """A distribution with the density of |t|; only `logpdf` is used."""

    class Half:
        def logpdf(self, x: Any) -> Any:
            return np.log(2) + stats.t.logpdf(x, 4, scale=scale)

    return Half()


def _log_rate(table: pd.DataFrame) -> float:
    return float(np.log(table["events"].mean()))


def _negative_binomial(mean: Any, parameters: Mapping[str, Any], trials: Any) -> Any:
    shape = parameters["shape"]
    return stats.nbinom(shape, shape / (shape + mean))


def _weibull(mean: Any, parameters: Mapping[str, Any], trials: Any) -> Any:
    shape = parameters["shape"]
    return stats.weibull_min(shape, scale=mean / special.gamma(1 + 1 / shape))


# Durations by the inverse link of their linear predictor, a mean or a median.
DURATIONS: dict[str, Callable[[Any, Mapping[str, Any], Any], Any]] = {
    "exponential": lambda mean, parameters, trials: stats.expon(scale=mean),
    "weibull": _weibull,
    "lognormal": lambda mean, parameters, trials: stats.lognorm(parameters["sigma"], scale=mean),
    "loglogistic": lambda mean, parameters, trials: stats.fisk(parameters["shape"], scale=mean),
}
# A log-logistic duration has a kurtosis from a shape of 4 on.
_DURATION_PARAMETERS = {
    "exponential": {},
    "weibull": {"shape": 1.4},
    "loglogistic": {"shape": 6.0},
}
_DURATION_PRIORS: dict[str, Callable[[float], Any]] = {
    "shape": lambda s: stats.gamma(2),
}


class _Inflated:
    """A SciPy distribution of counts, with further zeros."""

    def __init__(self, counts: Any, zi: Any):
        self.counts, self.zi, self.dist = counts, zi, counts.dist

    def logpmf(self, y: Any) -> Any:
        counted = np.log1p(-self.zi) + self.counts.logpmf(y)
        return np.where(y == 0, np.log(self.zi + (1 - self.zi) * self.counts.pmf(0)), counted)

    def rvs(self, size: int, random_state: np.random.Generator) -> Any:
        drawn = self.counts.rvs(size=size, random_state=random_state)
        return drawn * (random_state.uniform(size=size) >= self.zi)

    def stats(self, moments: str) -> tuple[float, ...]:
        one, two, three, four = ((1 - self.zi) * self.counts.moment(k) for k in (1, 2, 3, 4))
        variance = two - one**2
        fourth = four - 4 * one * three + 6 * one**2 * two - 3 * one**4
        return (one, variance, fourth / variance**2 - 3)[: len(moments)]


def _beta_shapes(mean: Any, parameters: Mapping[str, Any]) -> tuple[Any, Any]:
    return mean * parameters["phi"], parameters.get("rest", 1 - mean) * parameters["phi"]


_FORWARD: dict[str, Callable[..., Any]] = {
    "logit": special.logit,
    "probit": special.ndtri,
    "cloglog": lambda p: np.log(-np.log1p(-p)),
}
_INVERSE_GAMMA = stats.invgamma(0.4, scale=0.3)


FAMILY_ROWS = (
    FamilyRow(
        "gaussian",
        "identity",
        "score",
        {"sigma": 2.0},
        lambda mean, parameters, trials: stats.norm(mean, parameters["sigma"]),
        lambda table: float(table["score"].mean()),
        {"sigma": _half_student_t},
        scaled=True,
    ),
    *(
        FamilyRow(
            "binomial",
            link,
            "correct",
            {},
            lambda mean, parameters, trials: stats.binom(trials, mean),
            lambda table, link=link: _FORWARD[link](table["correct"].sum() / table["items"].sum()),
            options={"trials": "items"},
        )
        for link in ("logit", "probit", "cloglog")
    ),
    FamilyRow(
        "poisson",
        "log",
        "events",
        {},
        lambda mean, parameters, trials: stats.poisson(mean),
        _log_rate,
    ),
    FamilyRow(
        "negative_binomial",
        "log",
        "events",
        {"shape": 2.5},
        _negative_binomial,
        _log_rate,
        {"shape": lambda s: _INVERSE_GAMMA},
    ),
    FamilyRow(
        "student",
        "identity",
        "score",
        {"sigma": 2.0, "nu": 7.0},
        lambda mean, parameters, trials: stats.t(
            parameters["nu"], loc=mean, scale=parameters["sigma"]
        ),
        lambda table: float(table["score"].mean()),
        {"sigma": _half_student_t, "nu": lambda s: stats.gamma(2, scale=10)},
        scaled=True,
    ),
    FamilyRow(
        "zero_inflated_poisson",
        "log",
        "events",
        {"zi": 0.2},
        lambda mean, parameters, trials: _Inflated(stats.poisson(mean), parameters["zi"]),
        _log_rate,
        {"zi": lambda s: stats.beta(1, 1)},
    ),
    FamilyRow(
        "zero_inflated_negative_binomial",
        "log",
        "events",
        {"shape": 2.5, "zi": 0.2},
        lambda mean, parameters, trials: _Inflated(
            _negative_binomial(mean, parameters, trials), parameters["zi"]
        ),
        _log_rate,
        {"shape": lambda s: _INVERSE_GAMMA, "zi": lambda s: stats.beta(1, 1)},
    ),
    FamilyRow(
        "gamma",
        "log",
        "cost",
        {"shape": 3.0},
        lambda mean, parameters, trials: stats.gamma(
            parameters["shape"], scale=mean / parameters["shape"]
        ),
        lambda table: float(np.log(table["cost"].mean())),
        {"shape": lambda s: _INVERSE_GAMMA},
    ),
    FamilyRow(
        "lognormal",
        "log",
        "cost",
        {"sigma": 0.4},
        lambda mean, parameters, trials: stats.lognorm(parameters["sigma"], scale=mean),
        lambda table: float(np.log(table["cost"]).mean()),
        {"sigma": _half_student_t},
        scaled=True,
    ),
    *(
        FamilyRow(
            "beta",
            link,
            "part",
            {"phi": 4.0},
            lambda mean, parameters, trials: stats.beta(*_beta_shapes(mean, parameters)),
            lambda table, link=link: float(_FORWARD[link](table["part"].mean())),
            {"phi": lambda s: _INVERSE_GAMMA},
        )
        for link in _FORWARD
    ),
    *(
        FamilyRow(
            "beta_binomial",
            link,
            "correct",
            {"phi": 4.0},
            lambda mean, parameters, trials: stats.betabinom(
                trials, *_beta_shapes(mean, parameters)
            ),
            lambda table, link=link: float(
                _FORWARD[link](table["correct"].sum() / table["items"].sum())
            ),
            {"phi": lambda s: _INVERSE_GAMMA},
            options={"trials": "items"},
        )
        for link in _FORWARD
    ),
    *(
        FamilyRow(
            family,
            "log",
            "wait",
            parameters,
            DURATIONS[family],
            lambda table: float(np.log(table["wait"].mean())),
            {name: _DURATION_PRIORS[name] for name in parameters},
        )
        for family, parameters in _DURATION_PARAMETERS.items()
    ),
)
ROWS = {row.name: row for row in FAMILY_ROWS}
