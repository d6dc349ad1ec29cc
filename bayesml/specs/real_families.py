"""Families of real outcomes."""

import numpy as np

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


REAL_FAMILIES = (
    Family(
        name="gaussian",
        description="real numbers",
        links=("identity",),
        response="real",
        likelihood='pm.Normal(NAME, {{ mean }}, {{ spread }}, observed=d["y"], dims="obs")',
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
)
