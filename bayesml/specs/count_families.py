"""Families of counts."""

import numpy as np
from scipy import special

from bayesml.specs.family_records import Family, Parameter, Parameters
from bayesml.specs.stable_logarithms import bounded_exp, softplus

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
    ways = special.gammaln(y + shape) - special.gammaln(shape) - special.gammaln(y + 1)
    return ways - y * softplus(-log_odds) - shape * softplus(log_odds)


COUNT_FAMILIES = (
    Family(
        name="poisson",
        description="counts",
        links=("log",),
        response="count",
        likelihood='pm.Poisson(NAME, pt.exp(eta), observed=d["y"], dims="obs")',
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
        'NAME, mu=pt.exp(eta), alpha=shape, observed=d["y"], dims="obs")',
        simulate=_simulate_negative_binomial,
        log_likelihood=_log_negative_binomial,
        variance=lambda mean, parameters, trials: np.maximum(
            mean + mean**2 / parameters["shape"], 1e-12
        ),
        example="y = rng.negative_binomial(3.0, 3.0 / (3.0 + {mean}))",
        equation=r"\mathrm{{NegativeBinomial}}({mean},\ \mathrm{{shape}})",
        # Gamma(.01, .01) of other software puts most of its mass near 0 and far above the data.
        parameters=(Parameter("shape", "positive", "InverseGamma(0.4, 0.3)"),),
        aliases=("negbinomial", "negbin", "nbinom2"),
    ),
)
