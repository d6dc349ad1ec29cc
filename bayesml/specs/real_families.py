"""Families of real outcomes."""

import numpy as np
from scipy import special

from bayesml.specs.family_records import Family, Parameter, Parameters

_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


def _simulate_gaussian(
    rng: np.random.Generator, mean: np.ndarray, parameters: Parameters, trials: np.ndarray
) -> np.ndarray:
    return rng.normal(mean, parameters["sigma"])


def _log_gaussian(link: str, y: np.ndarray, eta: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return -((y - eta) / sigma)^2 / 2 - log(sigma) - log(2 pi) / 2."""
    sigma = parameters["sigma"]
    return -0.5 * ((y - eta) / sigma) ** 2 - (np.log(sigma) + _HALF_LOG_2PI)


def _simulate_student(
    rng: np.random.Generator, mean: np.ndarray, parameters: Parameters, trials: np.ndarray
) -> np.ndarray:
    nu = np.broadcast_to(np.asarray(parameters["nu"], dtype=float), np.shape(mean))
    return mean + parameters["sigma"] * rng.standard_t(nu)


def _log_student(link: str, y: np.ndarray, eta: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return -(nu + 1) / 2 log(1 + r^2 / nu) - log B(nu / 2, 1 / 2) - log(nu sigma^2) / 2."""
    sigma = np.asarray(parameters["sigma"], dtype=float)
    nu = np.asarray(parameters["nu"], dtype=float)
    constant = special.betaln(nu / 2, 0.5) + np.log(nu) / 2 + np.log(sigma)
    return -(nu + 1) / 2 * np.log1p(((y - eta) / sigma) ** 2 / nu) - constant


def _student_variance(mean: np.ndarray, parameters: Parameters, trials: np.ndarray) -> np.ndarray:
    """Return sigma^2 nu / (nu - 2), infinite where nu is 2 or less."""
    nu = np.asarray(parameters["nu"], dtype=float)
    excess = np.where(nu > 2, nu - 2, np.inf)
    factor = np.where(nu > 2, 1 + 2 / excess, np.inf)
    return np.broadcast_to(np.square(parameters["sigma"]) * factor, np.shape(mean))


REAL_FAMILIES = (
    Family(
        name="gaussian",
        description="real numbers",
        links=("identity",),
        response="real",
        likelihood="pm.Normal({{ name }}, {{ eta }}, {{ sigma }}, {{ observed }})",
        simulate=_simulate_gaussian,
        log_likelihood=_log_gaussian,
        variance=lambda mean, parameters, trials: np.broadcast_to(
            np.square(parameters["sigma"]), np.shape(mean)
        ),
        example="y = rng.normal(eta, 1.0)",
        equation=r"\mathrm{{Normal}}({mean},\ \sigma^{{2}})",
        parameters=(Parameter("sigma", "positive", "HalfStudentT(4, {s})"),),
        scaled=True,
        level1="sigma",
        correlated_residuals=True,
        aliases=("normal",),
    ),
    Family(
        name="student",
        description="real numbers with heavy tails",
        links=("identity",),
        response="real",
        likelihood="pm.StudentT("
        "{{ name }}, nu={{ nu }}, mu={{ eta }}, sigma={{ sigma }}, {{ observed }})",
        simulate=_simulate_student,
        log_likelihood=_log_student,
        variance=_student_variance,
        example="y = eta + rng.standard_t(5.0, size=obs.size)",
        equation=r"\mathrm{{StudentT}}(\nu,\ {mean},\ \sigma^{{2}})",
        parameters=(
            Parameter("sigma", "positive", "HalfStudentT(4, {s})"),
            # Juarez & Steel (2010), doi:10.1198/jbes.2009.07145.
            Parameter("nu", "positive", "Gamma(2, 0.1)"),
        ),
        scaled=True,
        level1="sigma",
        heavy_tails=True,
        aliases=("t", "student_t", "StudentT"),
    ),
)
