"""Families of ordered categories."""

import numpy as np
from scipy import special, stats

from bayesml.specs.family_records import Family, Parameter, Parameters
from bayesml.specs.link_functions import LOG_NORMAL_CDF
from bayesml.specs.stable_logarithms import log_complement, softplus


def _simulate_ordinal(
    rng: np.random.Generator, mean: np.ndarray, parameters: Parameters, trials: np.ndarray
) -> np.ndarray:
    cutpoints = np.asarray(parameters["cutpoints"])
    quantile = stats.logistic.ppf if parameters.get("link") == "logit" else stats.norm.ppf
    latent = mean + quantile(rng.uniform(size=np.shape(mean)))
    return (latent[..., None] > cutpoints).sum(axis=-1)


def _log_ordinal(link: str, y: np.ndarray, eta: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return log(F(upper - eta) - F(lower - eta))."""
    lower, upper = parameters["lower"], parameters["upper"]
    if link == "logit":
        gap = log_complement(lower - upper)
        return gap - softplus(lower - eta) - softplus(eta - upper)
    below, above = lower - eta, upper - eta
    # Mirrored into the lower tail, where the difference keeps its digits.
    mirrored = below > 0
    low = special.log_ndtr(np.where(mirrored, -above, below))
    high = special.log_ndtr(np.where(mirrored, -below, above))
    return high + log_complement(low - high)


_CUMULATIVE_LOGIT = '''
def cumulative_logit(value, eta, cutpoints):
    """Log probability of the categories: logistic(upper - eta) - logistic(lower - eta)."""
    bounds = pt.concatenate([[-np.inf], cutpoints, [np.inf]])
    gap = pt.log1mexp(bounds[:-1] - bounds[1:])
    lower, upper = bounds[value], bounds[value + 1]
    return (gap[value] - pt.softplus(lower - eta) - pt.softplus(eta - upper)).sum()
'''

_CUMULATIVE_PROBIT = f'''{LOG_NORMAL_CDF}

def cumulative_probit(value, eta, cutpoints):
    """Log probability of the categories: normal cdf(upper - eta) - normal cdf(lower - eta)."""
    bounds = pt.concatenate([[-1e3], cutpoints, [1e3]])
    lower, upper = bounds[value] - eta, bounds[value + 1] - eta
    # Both bounds are mirrored into the lower tail, where the difference keeps its digits.
    mirrored = lower > 0
    below = log_normal_cdf(pt.switch(mirrored, -upper, lower))
    above = log_normal_cdf(pt.switch(mirrored, -lower, upper))
    return (above + pt.log1mexp(below - above)).sum()
'''

ORDERED_FAMILIES = (
    Family(
        name="ordinal",
        description="ordered categories, by cutpoints in place of an intercept",
        links=("logit", "probit"),
        response="ordered",
        # The signature takes all rows at once: else PyMC repeats the cutpoints for every row.
        likelihood="pm.CustomDist(NAME, eta, cutpoints, logp=cumulative_{{ link }}, "
        'signature="(n),(k)->(n)", dtype="int64", observed=d["y"], dims="obs")',
        simulate=_simulate_ordinal,
        log_likelihood=_log_ordinal,
        variance=lambda mean, parameters, trials: np.ones_like(mean),
        example="y = np.searchsorted(cutpoints, eta + {latent})",
        parameters=(Parameter("cutpoints", "real", "StudentT(3, 0, 2.5)"),),
        intercept=False,
        functions={"logit": _CUMULATIVE_LOGIT, "probit": _CUMULATIVE_PROBIT},
        latent=True,
        aliases=("cumulative",),
    ),
)
