"""Families of positive outcomes, and of outcomes between 0 and 1."""

import numpy as np
from scipy import special

from bayesml.specs.censoring import with_censoring
from bayesml.specs.family_records import Family, Parameter, Parameters
from bayesml.specs.link_functions import BETA_SHAPES
from bayesml.specs.lognormal_durations import LOGNORMAL_DURATIONS, lognormal_log_density
from bayesml.specs.stable_logarithms import beta_shapes, bounded_exp

# A prior may ask for outcomes beyond what an outcome may be.
_SMALLEST, _LARGEST = 1e-100, 1e100
_BELOW_ONE = 1 - 2.0**-52


def _simulate_gamma(
    rng: np.random.Generator, mean: np.ndarray, parameters: Parameters, trials: np.ndarray
) -> np.ndarray:
    shape = np.broadcast_to(np.asarray(parameters["shape"], dtype=float), np.shape(mean))
    spread = np.maximum(rng.standard_gamma(shape) / shape, _SMALLEST)
    with np.errstate(over="ignore", under="ignore"):
        return np.clip(np.minimum(mean, _LARGEST) * spread, _SMALLEST, _LARGEST)


def _log_gamma(link: str, y: np.ndarray, eta: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return a (d - exp(d)) + a log a - log Gamma(a) - log y, d = log y - eta and a the shape."""
    shape = np.asarray(parameters["shape"], dtype=float)
    log_y = np.log(y)
    ratio = log_y - eta
    constant = shape * np.log(shape) - special.gammaln(shape)
    return shape * (ratio - bounded_exp(ratio)) + constant - log_y


def _simulate_lognormal(
    rng: np.random.Generator, mean: np.ndarray, parameters: Parameters, trials: np.ndarray
) -> np.ndarray:
    with np.errstate(divide="ignore"):
        latent = np.log(mean) + parameters["sigma"] * rng.standard_normal(np.shape(mean))
    return np.exp(np.clip(latent, np.log(_SMALLEST), np.log(_LARGEST)))


def _lognormal_variance(mean: np.ndarray, parameters: Parameters, trials: np.ndarray) -> np.ndarray:
    """Return m^2 exp(sigma^2) (exp(sigma^2) - 1), m = exp(eta) being the median."""
    square = np.square(parameters["sigma"])
    with np.errstate(over="ignore"):
        return np.square(mean) * np.exp(square) * np.expm1(square)


def _simulate_beta(
    rng: np.random.Generator, mean: np.ndarray, parameters: Parameters, trials: np.ndarray
) -> np.ndarray:
    phi = np.asarray(parameters["phi"], dtype=float)
    alpha, beta = np.maximum(mean * phi, _SMALLEST), np.maximum((1 - mean) * phi, _SMALLEST)
    return np.clip(rng.beta(alpha, beta), _SMALLEST, _BELOW_ONE)


def _log_beta(link: str, y: np.ndarray, eta: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return (a - 1) log y + (b - 1) log(1 - y) - log B(a, b), a = p phi and b = (1 - p) phi."""
    alpha, beta = beta_shapes(link, eta, np.asarray(parameters["phi"], dtype=float))
    density = (alpha - 1) * np.log(y) + (beta - 1) * np.log1p(-y)
    return density - special.betaln(alpha, beta)


POSITIVE_FAMILIES = (
    Family(
        name="gamma",
        description="positive numbers whose SD is in proportion to their mean",
        links=("log",),
        response="positive",
        likelihood="pm.Gamma({{ name }}, alpha={{ shape }}, "
        "beta={{ shape }} * pt.exp(-{{ eta }}), {{ observed }})",
        simulate=_simulate_gamma,
        log_likelihood=_log_gamma,
        variance=lambda mean, parameters, trials: np.square(mean) / parameters["shape"],
        example="y = rng.gamma(4.0, {mean} / 4.0)",
        equation=r"\mathrm{{Gamma}}(\mathrm{{shape}},\ \mathrm{{shape}} / {mean})",
        # 1 / shape is the squared coefficient of variation, here of mean 4 / 3.
        parameters=(Parameter("shape", "positive", "InverseGamma(0.4, 0.3)"),),
        aliases=("Gamma",),
    ),
    Family(
        name="lognormal",
        description="positive numbers whose logarithm is normal, durations that may be censored",
        links=("log",),
        response="positive",
        likelihood="pm.LogNormal({{ name }}, {{ eta }}, {{ sigma }}, {{ observed }})",
        simulate=_simulate_lognormal,
        log_likelihood=with_censoring(
            lognormal_log_density, LOGNORMAL_DURATIONS.log_survival, LOGNORMAL_DURATIONS.log_cdf
        ),
        variance=_lognormal_variance,
        example="y = rng.lognormal(eta, 0.5)",
        equation=r"\mathrm{{LogNormal}}(\log {mean},\ \sigma^{{2}})",
        parameters=(Parameter("sigma", "positive", "HalfStudentT(4, {s})"),),
        scaled=True,
        mean_factor=lambda parameters: np.exp(np.square(parameters["sigma"]) / 2),
        durations=LOGNORMAL_DURATIONS,
        aliases=("LogNormal", "log_normal"),
    ),
    Family(
        name="beta",
        description="numbers between 0 and 1, without the ends",
        links=("logit", "probit", "cloglog"),
        response="unit",
        likelihood="alpha, beta = {{ link }}_beta_shapes({{ eta }}, {{ phi }})\n"
        "pm.Beta({{ name }}, alpha=alpha, beta=beta, {{ observed }})",
        simulate=_simulate_beta,
        log_likelihood=_log_beta,
        variance=lambda mean, parameters, trials: (
            np.maximum(mean * (1 - mean), 1e-12) / (1 + np.asarray(parameters["phi"]))
        ),
        example="y = rng.beta(5.0 * ({mean}), 5.0 * (1 - ({mean})))",
        equation=r"\mathrm{{Beta}}(\phi\,{mean},\ \phi\,(1 - {mean}))",
        parameters=(Parameter("phi", "positive", "InverseGamma(0.4, 0.3)"),),
        functions=BETA_SHAPES,
        aliases=("Beta",),
    ),
)
