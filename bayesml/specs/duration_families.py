"""Families of durations: positive numbers that may be censored.

All have a log link: covariates and effects multiply durations (accelerated failure time). Of the
exponential and the Weibull distribution they multiply hazards, too.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import special

from bayesml.specs.censoring import Durations, with_censoring
from bayesml.specs.family_records import Family, Parameter, Parameters
from bayesml.specs.stable_logarithms import bounded_exp, log_complement, softplus

# Below it 1 - exp(-H) is the cumulative hazard H to the last digit.
_TINY_LOG_HAZARD = -37.0

Values = Mapping[str, Any]


def _log_hazard_cdf(log_hazard: np.ndarray) -> np.ndarray:
    """Return log(1 - exp(-H)) from the log of the cumulative hazard H."""
    with np.errstate(divide="ignore"):
        ended = log_complement(-bounded_exp(log_hazard))
    return np.where(log_hazard < _TINY_LOG_HAZARD, log_hazard, ended)


_HAZARD_CDF = """
    # A cumulative hazard near 0 is itself the probability of having ended.
    ended = pt.log1mexp(-pt.exp(pt.maximum({0}, -37)))
    return pt.switch({0} < -37, {0}, ended)
"""


# Exponential: S(t) = exp(-t / mean)


def _exponential_log_density(t: np.ndarray, eta: np.ndarray, values: Values) -> np.ndarray:
    return -eta - bounded_exp(np.log(t) - eta)


def _exponential_log_survival(t: np.ndarray, eta: np.ndarray, values: Values) -> np.ndarray:
    return -bounded_exp(np.log(t) - eta)


def _exponential_log_cdf(t: np.ndarray, eta: np.ndarray, values: Values) -> np.ndarray:
    return _log_hazard_cdf(np.log(t) - eta)


_EXPONENTIAL_CODE = {
    "log_density": '''
def log_density(t, eta):
    """Log density of an exponential duration with mean exp(eta)."""
    return -eta - t * pt.exp(-eta)
''',
    "log_survival": '''
def log_survival(t, eta):
    """Log probability of lasting longer than t."""
    return -t * pt.exp(-eta)
''',
    "log_cdf": f'''
def log_cdf(t, eta):
    """Log probability of having ended by t."""
    log_hazard = pt.log(t) - eta
{_HAZARD_CDF.format("log_hazard").strip(chr(10))}
''',
}


# Weibull: S(t) = exp(-(t / scale)^shape), mean = scale Gamma(1 + 1 / shape)


def _weibull_log_hazard(t: np.ndarray, eta: np.ndarray, values: Values) -> np.ndarray:
    shape = np.asarray(values["shape"], dtype=float)
    return shape * (np.log(t) - eta + special.gammaln(1 + 1 / shape))


def _weibull_log_density(t: np.ndarray, eta: np.ndarray, values: Values) -> np.ndarray:
    log_hazard = _weibull_log_hazard(t, eta, values)
    return np.log(values["shape"]) + log_hazard - np.log(t) - bounded_exp(log_hazard)


def _weibull_log_survival(t: np.ndarray, eta: np.ndarray, values: Values) -> np.ndarray:
    return -bounded_exp(_weibull_log_hazard(t, eta, values))


def _weibull_log_cdf(t: np.ndarray, eta: np.ndarray, values: Values) -> np.ndarray:
    return _log_hazard_cdf(_weibull_log_hazard(t, eta, values))


def _weibull_time(log_survival: np.ndarray, eta: np.ndarray, values: Values) -> np.ndarray:
    shape = np.asarray(values["shape"], dtype=float)
    return bounded_exp(eta - special.gammaln(1 + 1 / shape) + np.log(-log_survival) / shape)


def _simulate_weibull(
    rng: np.random.Generator, mean: np.ndarray, parameters: Parameters, trials: np.ndarray
) -> np.ndarray:
    shape = np.broadcast_to(np.asarray(parameters["shape"], dtype=float), np.shape(mean))
    return mean * np.exp(-special.gammaln(1 + 1 / shape)) * rng.weibull(shape)


def _weibull_variance(mean: np.ndarray, parameters: Parameters, trials: np.ndarray) -> np.ndarray:
    shape = np.asarray(parameters["shape"], dtype=float)
    ratio = special.gammaln(1 + 2 / shape) - 2 * special.gammaln(1 + 1 / shape)
    return mean**2 * np.expm1(ratio)


_WEIBULL_CODE = {
    "log_density": '''
def log_cumulative_hazard(t, eta, shape):
    """Log of the cumulative hazard of a Weibull duration with mean exp(eta)."""
    return shape * (pt.log(t) - eta + pt.gammaln(1 + 1 / shape))


def log_density(t, eta, shape):
    """Log density of a Weibull duration."""
    log_hazard = log_cumulative_hazard(t, eta, shape)
    return pt.log(shape) + log_hazard - pt.log(t) - pt.exp(log_hazard)
''',
    "log_survival": '''
def log_survival(t, eta, shape):
    """Log probability of lasting longer than t."""
    return -pt.exp(log_cumulative_hazard(t, eta, shape))
''',
    "log_cdf": f'''
def log_cdf(t, eta, shape):
    """Log probability of having ended by t."""
    log_hazard = log_cumulative_hazard(t, eta, shape)
{_HAZARD_CDF.format("log_hazard").strip(chr(10))}
''',
}


# Log-logistic: S(t) = 1 / (1 + (t / median)^shape)


def _loglogistic_log_odds(t: np.ndarray, eta: np.ndarray, values: Values) -> np.ndarray:
    """Return the log odds of having ended by t."""
    return values["shape"] * (np.log(t) - eta)


def _loglogistic_log_density(t: np.ndarray, eta: np.ndarray, values: Values) -> np.ndarray:
    log_odds = _loglogistic_log_odds(t, eta, values)
    return np.log(values["shape"]) + log_odds - np.log(t) - 2 * softplus(log_odds)


def _loglogistic_log_survival(t: np.ndarray, eta: np.ndarray, values: Values) -> np.ndarray:
    return -softplus(_loglogistic_log_odds(t, eta, values))


def _loglogistic_log_cdf(t: np.ndarray, eta: np.ndarray, values: Values) -> np.ndarray:
    return -softplus(-_loglogistic_log_odds(t, eta, values))


def _loglogistic_time(log_survival: np.ndarray, eta: np.ndarray, values: Values) -> np.ndarray:
    log_odds = log_complement(log_survival) - log_survival
    return bounded_exp(eta + log_odds / values["shape"])


def _simulate_loglogistic(
    rng: np.random.Generator, mean: np.ndarray, parameters: Parameters, trials: np.ndarray
) -> np.ndarray:
    return mean * np.exp(rng.logistic(size=np.shape(mean)) / parameters["shape"])


def _angle_ratio(power: float, shape: np.ndarray) -> np.ndarray:
    """Return E (t / median)^power = b / sin(b), b = pi power / shape; infinite from pi on."""
    angle = np.pi * power / shape
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(angle < np.pi, angle / np.sin(angle), np.inf)


def _loglogistic_mean_factor(parameters: Parameters) -> np.ndarray:
    return _angle_ratio(1.0, np.asarray(parameters["shape"], dtype=float))


def _loglogistic_variance(
    mean: np.ndarray, parameters: Parameters, trials: np.ndarray
) -> np.ndarray:
    """Return the variance, infinite where the shape is 2 or less."""
    shape = np.asarray(parameters["shape"], dtype=float)
    square = _angle_ratio(2.0, shape)
    # Where the square has no mean, that of the duration does not matter.
    first = _angle_ratio(1.0, np.maximum(shape, 2.0))
    return mean**2 * (square - first**2)


_LOGLOGISTIC_CODE = {
    "log_density": '''
def log_density(t, eta, shape):
    """Log density of a log-logistic duration with median exp(eta)."""
    log_odds = shape * (pt.log(t) - eta)
    return pt.log(shape) + log_odds - pt.log(t) - 2 * pt.softplus(log_odds)
''',
    "log_survival": '''
def log_survival(t, eta, shape):
    """Log probability of lasting longer than t."""
    return -pt.softplus(shape * (pt.log(t) - eta))
''',
    "log_cdf": '''
def log_cdf(t, eta, shape):
    """Log probability of having ended by t."""
    return -pt.softplus(shape * (eta - pt.log(t)))
''',
}


DURATION_FAMILIES = (
    Family(
        name="exponential",
        description="durations with a constant hazard, which may be censored",
        links=("log",),
        response="positive",
        likelihood="pm.Exponential({{ name }}, scale=pt.exp({{ eta }}), {{ observed }})",
        simulate=lambda rng, mean, parameters, trials: rng.exponential(mean),
        log_likelihood=with_censoring(
            _exponential_log_density, _exponential_log_survival, _exponential_log_cdf
        ),
        variance=lambda mean, parameters, trials: np.square(mean),
        example="y = rng.exponential({mean})",
        equation=r"\mathrm{{Exponential}}({mean})",
        durations=Durations(
            log_survival=_exponential_log_survival,
            log_cdf=_exponential_log_cdf,
            time_at=lambda log_survival, eta, values: bounded_exp(eta + np.log(-log_survival)),
            code=_EXPONENTIAL_CODE,
            log_hazard=lambda values: np.array(-1.0),
            scale="mean",
        ),
    ),
    Family(
        name="weibull",
        description="durations whose hazard rises or falls, which may be censored",
        links=("log",),
        response="positive",
        likelihood="pm.Weibull({{ name }}, alpha={{ shape }}, "
        "beta=pt.exp({{ eta }} - pt.gammaln(1 + 1 / {{ shape }})), {{ observed }})",
        simulate=_simulate_weibull,
        log_likelihood=with_censoring(
            _weibull_log_density, _weibull_log_survival, _weibull_log_cdf
        ),
        variance=_weibull_variance,
        example="y = {mean} / 0.902745 * rng.weibull(1.5, size=obs.size)",
        equation=r"\mathrm{{Weibull}}(\mathrm{{mean}}\ {mean},\ \mathrm{{shape}})",
        parameters=(Parameter("shape", "positive", "Gamma(2, 1)"),),
        durations=Durations(
            log_survival=_weibull_log_survival,
            log_cdf=_weibull_log_cdf,
            time_at=_weibull_time,
            code=_WEIBULL_CODE,
            log_hazard=lambda values: -np.asarray(values["shape"], dtype=float),
            scale="mean",
        ),
    ),
    Family(
        name="loglogistic",
        description="durations whose hazard rises and falls again, which may be censored",
        links=("log",),
        response="positive",
        likelihood="pm.CustomDist("
        "{{ name }}, {{ eta }}, {{ shape }}, logp=log_density, {{ observed }})",
        simulate=_simulate_loglogistic,
        log_likelihood=with_censoring(
            _loglogistic_log_density, _loglogistic_log_survival, _loglogistic_log_cdf
        ),
        variance=_loglogistic_variance,
        mean_factor=_loglogistic_mean_factor,
        example="y = {mean} * np.exp(rng.logistic(size=obs.size) / 2.5)",
        equation=r"\mathrm{{LogLogistic}}(\mathrm{{median}}\ {mean},\ \mathrm{{shape}})",
        functions={"log": _LOGLOGISTIC_CODE["log_density"]},
        parameters=(Parameter("shape", "positive", "Gamma(2, 1)"),),
        aliases=("llogis", "fisk", "log_logistic"),
        durations=Durations(
            log_survival=_loglogistic_log_survival,
            log_cdf=_loglogistic_log_cdf,
            time_at=_loglogistic_time,
            code=_LOGLOGISTIC_CODE,
            log_hazard=None,
            scale="median",
        ),
    ),
)
