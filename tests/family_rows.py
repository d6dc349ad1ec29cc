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
        Whether default priors scale with SD(y).
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
        found = self.distribution(INVERSE[self.link](eta), parameters, trials)
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
            lambda table, link=link: {
                "logit": special.logit,
                "probit": special.ndtri,
                "cloglog": lambda p: np.log(-np.log1p(-p)),
            }[link](table["correct"].sum() / table["items"].sum()),
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
        {"shape": lambda s: stats.invgamma(0.4, scale=0.3)},
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
