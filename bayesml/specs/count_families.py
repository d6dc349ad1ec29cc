"""Families of counts."""

from collections.abc import Callable

import numpy as np
from scipy import special

from bayesml.specs.family_records import Family, Parameter, Parameters
from bayesml.specs.stable_logarithms import bounded_exp, log_rising, softplus

# Beyond about 9.2e18 NumPy cannot draw a count; a prior may well ask for more.
_LARGEST_MEAN = 1e18


def _simulate_poisson(
    rng: np.random.Generator, mean: np.ndarray, parameters: Parameters, trials: np.ndarray
) -> np.ndarray:
    return rng.poisson(np.minimum(mean, _LARGEST_MEAN)).astype(float)


def _log_poisson(link: str, y: np.ndarray, eta: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return y eta - exp(eta) - log y!, the offset being part of eta."""
    return y * eta - bounded_exp(eta) - special.gammaln(y + 1)


def _simulate_negative_binomial(
    rng: np.random.Generator, mean: np.ndarray, parameters: Parameters, trials: np.ndarray
) -> np.ndarray:
    shape = np.broadcast_to(np.asarray(parameters["shape"], dtype=float), np.shape(mean))
    # A Poisson outcome whose rate has a gamma distribution of mean 1.
    spread = rng.standard_gamma(shape) / shape
    return rng.poisson(np.minimum(mean * spread, _LARGEST_MEAN)).astype(float)


def _log_negative_binomial(
    link: str, y: np.ndarray, eta: np.ndarray, parameters: Parameters
) -> np.ndarray:
    """Return log of Gamma(y + a) / (Gamma(a) y!) (m / (m + a))^y (a / (m + a))^a, m = exp(eta)."""
    shape = np.asarray(parameters["shape"], dtype=float)
    log_odds = eta - np.log(shape)
    ways = log_rising(shape, y) - special.gammaln(y + 1)
    return ways - y * softplus(-log_odds) - shape * softplus(log_odds)


def _inflated(
    simulate: Callable[..., np.ndarray],
) -> Callable[[np.random.Generator, np.ndarray, Parameters, np.ndarray], np.ndarray]:
    """Return the simulator of counts that are 0 anyway with probability `zi`."""

    def drawn(
        rng: np.random.Generator, mean: np.ndarray, parameters: Parameters, trials: np.ndarray
    ) -> np.ndarray:
        counted = rng.uniform(size=np.shape(mean)) >= parameters["zi"]
        return np.where(counted, simulate(rng, mean, parameters, trials), 0.0)

    return drawn


def _log_inflated(
    log_count: Callable[[str, np.ndarray, np.ndarray, Parameters], np.ndarray],
) -> Callable[[str, np.ndarray, np.ndarray, Parameters], np.ndarray]:
    """Return the log of zi [y = 0] + (1 - zi) p(y)."""

    def logarithm(link: str, y: np.ndarray, eta: np.ndarray, parameters: Parameters) -> np.ndarray:
        zi = np.asarray(parameters["zi"], dtype=float)
        counted = np.log1p(-zi) + log_count(link, y, eta, parameters)
        return np.where(y == 0, np.logaddexp(np.log(zi), counted), counted)

    return logarithm


def _left(parameters: Parameters) -> np.ndarray:
    """Return the share of counts that are not 0 anyway."""
    return 1 - np.asarray(parameters["zi"], dtype=float)


# The prior of brms: any share of further zeros is as probable as any other.
_ZI = Parameter("zi", "share", "Beta(1, 1)")
# Gamma(.01, .01) of other software puts most of its mass near 0 and far above the data.
_SHAPE = Parameter("shape", "positive", "InverseGamma(0.4, 0.3)")

COUNT_FAMILIES = (
    Family(
        name="poisson",
        description="counts",
        links=("log",),
        response="count",
        likelihood="pm.Poisson({{ name }}, pt.exp({{ eta }}), {{ observed }})",
        simulate=_simulate_poisson,
        log_likelihood=_log_poisson,
        variance=lambda mean, parameters, trials: np.maximum(mean, 1e-12),
        example="y = rng.poisson({mean})",
        equation=r"\mathrm{{Poisson}}({mean})",
    ),
    Family(
        name="negative_binomial",
        description="counts that scatter more than Poisson counts",
        links=("log",),
        response="count",
        likelihood="pm.NegativeBinomial("
        "{{ name }}, mu=pt.exp({{ eta }}), alpha={{ shape }}, {{ observed }})",
        simulate=_simulate_negative_binomial,
        log_likelihood=_log_negative_binomial,
        variance=lambda mean, parameters, trials: np.maximum(
            mean + mean**2 / parameters["shape"], 1e-12
        ),
        example="y = rng.negative_binomial(3.0, 3.0 / (3.0 + {mean}))",
        equation=r"\mathrm{{NegativeBinomial}}({mean},\ \mathrm{{shape}})",
        parameters=(_SHAPE,),
        aliases=("negbinomial", "negbin", "nbinom2"),
    ),
    Family(
        name="zero_inflated_poisson",
        description="Poisson counts, and further zeros",
        links=("log",),
        response="count",
        likelihood="pm.ZeroInflatedPoisson("
        "{{ name }}, psi=1 - {{ zi }}, mu=pt.exp({{ eta }}), {{ observed }})",
        simulate=_inflated(_simulate_poisson),
        log_likelihood=_log_inflated(_log_poisson),
        variance=lambda mean, parameters, trials: np.maximum(
            _left(parameters) * (mean + parameters["zi"] * mean**2), 1e-12
        ),
        example="y = rng.poisson({mean}) * rng.binomial(1, 0.7, size=obs.size)",
        equation=r"\mathrm{{ZeroInflatedPoisson}}({mean},\ \mathrm{{zi}})",
        parameters=(_ZI,),
        mean_factor=_left,
        aliases=("zip", "zipoisson"),
    ),
    Family(
        name="zero_inflated_negative_binomial",
        description="negative binomial counts, and further zeros",
        links=("log",),
        response="count",
        likelihood="pm.ZeroInflatedNegativeBinomial("
        "{{ name }}, psi=1 - {{ zi }}, mu=pt.exp({{ eta }}), alpha={{ shape }}, {{ observed }})",
        simulate=_inflated(_simulate_negative_binomial),
        log_likelihood=_log_inflated(_log_negative_binomial),
        variance=lambda mean, parameters, trials: np.maximum(
            _left(parameters) * (mean + (1 / parameters["shape"] + parameters["zi"]) * mean**2),
            1e-12,
        ),
        example="y = rng.negative_binomial(3.0, 3.0 / (3.0 + {mean})) "
        "* rng.binomial(1, 0.7, size=obs.size)",
        equation=r"\mathrm{{ZeroInflatedNegativeBinomial}}"
        r"({mean},\ \mathrm{{shape}},\ \mathrm{{zi}})",
        parameters=(_SHAPE, _ZI),
        mean_factor=_left,
        aliases=("zinb", "zero_inflated_negbinomial"),
    ),
)
