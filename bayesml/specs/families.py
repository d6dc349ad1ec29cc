"""The families: one record a likelihood.

Adding a family is one record here and one row in the tests. The generator, the design and the
posterior read the record; none of them asks for a family by name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy import stats

from bayesml.errors import SpecError, did_you_mean, quoted
from bayesml.specs.distributions import Support
from bayesml.specs.links import LINKS, Link

ResponseKind = Literal["real", "binary", "count", "ordered"]


@dataclass(frozen=True)
class Parameter:
    """A parameter of the likelihood other than its linear predictor.

    Parameters
    ----------
    name : str
        Name in the posterior and prior key.
    support : {"real", "positive"}
        Where it lives.
    default : str
        Default prior; `{s}` stands for SD(y).
    """

    name: str
    support: Support
    default: str


@dataclass(frozen=True)
class Family:
    """A likelihood.

    Parameters
    ----------
    name : str
        Name as users write it.
    links : tuple of str
        Links that it may have, the default first.
    response : {"real", "binary", "count", "ordered"}
        What outcomes it takes.
    likelihood : str
        Template of the PyMC statement: `NAME` is the observed variable's name, `eta` the linear
        predictor, `d` the data; conditions on `link` and `trials`.
    simulate : callable
        ``simulate(rng, mean, parameters, trials)`` draws outcomes; `mean` is on the response
        scale, for ordered outcomes the linear predictor.
    weight : callable
        ``weight(mean, trials)``: Fisher information of one row about its mean on the response
        scale, apart from the dispersion.
    parameters : tuple of Parameter
        Further parameters.
    intercept : bool
        Whether it has an intercept; ordered outcomes have cutpoints instead.
    functions : mapping
        Code that the likelihood calls, a text per link, placed above `build` in the source.
    scaled : bool
        Whether default priors scale with SD(y).
    level1 : str
        Name of the parameter that is the level-1 SD, empty where the level-1 variance is fixed by
        the link or depends on the mean.
    correlated_residuals : bool
        Whether residuals on the outcome's scale may be correlated within a unit.
    """

    name: str
    links: tuple[str, ...]
    response: ResponseKind
    likelihood: str
    simulate: Callable[
        [np.random.Generator, np.ndarray, Mapping[str, np.ndarray], np.ndarray], np.ndarray
    ]
    weight: Callable[[np.ndarray, np.ndarray], np.ndarray]
    parameters: tuple[Parameter, ...] = ()
    intercept: bool = True
    functions: Mapping[str, str] = field(default_factory=dict)
    scaled: bool = False
    level1: str = ""
    correlated_residuals: bool = False

    def link(self, name: str = "") -> Link:
        """Return the link of this name, or the default link.

        Raises
        ------
        SpecError
            The family has no such link.
        """
        if not name:
            return LINKS[self.links[0]]
        if name not in self.links:
            raise SpecError(
                f"The family {quoted(self.name)} has no link {quoted(name)}. "
                f"Allowed: {', '.join(self.links)}."
            )
        return LINKS[name]


def _simulate_gaussian(
    rng: np.random.Generator,
    mean: np.ndarray,
    parameters: Mapping[str, np.ndarray],
    trials: np.ndarray,
) -> np.ndarray:
    return rng.normal(mean, parameters["sigma"])


def _simulate_binomial(
    rng: np.random.Generator,
    mean: np.ndarray,
    parameters: Mapping[str, np.ndarray],
    trials: np.ndarray,
) -> np.ndarray:
    return rng.binomial(np.asarray(trials, dtype=int), mean)


def _simulate_poisson(
    rng: np.random.Generator,
    mean: np.ndarray,
    parameters: Mapping[str, np.ndarray],
    trials: np.ndarray,
) -> np.ndarray:
    # Beyond about 9.2e18 NumPy cannot draw a count; a prior may well ask for more.
    return rng.poisson(np.minimum(mean, 1e18)).astype(float)


def _simulate_ordinal(
    rng: np.random.Generator,
    mean: np.ndarray,
    parameters: Mapping[str, np.ndarray],
    trials: np.ndarray,
) -> np.ndarray:
    cutpoints = np.asarray(parameters["cutpoints"])
    quantile = stats.logistic.ppf if parameters.get("link") == "logit" else stats.norm.ppf
    latent = mean + quantile(rng.uniform(size=np.shape(mean)))
    return (latent[..., None] > cutpoints).sum(axis=-1)


_CUMULATIVE_LOGIT = '''
def cumulative_logit(value, eta, cutpoints):
    """Log probability of the categories: logistic(upper - eta) - logistic(lower - eta)."""
    bounds = pt.concatenate([[-np.inf], cutpoints, [np.inf]])
    gap = pt.log1mexp(bounds[:-1] - bounds[1:])
    lower, upper = bounds[value], bounds[value + 1]
    return (gap[value] - pt.softplus(lower - eta) - pt.softplus(eta - upper)).sum()
'''

_LOG_NORMAL_CDF = '''
def log_normal_cdf(x):
    """Log of the standard normal cdf, with all its digits in both tails."""
    z = x / np.sqrt(2)
    # Each branch sees only values that it can compute, else gradients would be NaN.
    low, high = pt.minimum(z, -1), pt.maximum(z, -1)
    return pt.switch(z < -1, pt.log(pt.erfcx(-low) / 2) - low**2, pt.log1p(-pt.erfc(high) / 2))
'''

# PyMC keeps the digits of a probability near 0 and 1 where it is given as log odds.
_PROBIT_LOG_ODDS = f'''{_LOG_NORMAL_CDF}

def probit_log_odds(eta):
    """Log odds of the probability that the normal cdf gives."""
    return log_normal_cdf(eta) - log_normal_cdf(-eta)
'''

_CLOGLOG_LOG_ODDS = '''
def cloglog_log_odds(eta):
    """Log odds of the probability 1 - exp(-exp(eta))."""
    rate = pt.exp(eta)
    return rate + pt.log1mexp(-rate)
'''

_CUMULATIVE_PROBIT = f'''{_LOG_NORMAL_CDF}

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

_LOG_ODDS = "logit_p={% if link == 'logit' %}eta{% else %}{{ link }}_log_odds(eta){% endif %}"

FAMILIES = {
    family.name: family
    for family in (
        Family(
            name="gaussian",
            links=("identity",),
            response="real",
            likelihood='pm.Normal(NAME, eta, sigma, observed=d["y"], dims="obs")',
            simulate=_simulate_gaussian,
            weight=lambda mean, trials: np.ones_like(mean),
            parameters=(Parameter("sigma", "positive", "HalfStudentT(4, {s})"),),
            scaled=True,
            level1="sigma",
            correlated_residuals=True,
        ),
        Family(
            name="binomial",
            links=("logit", "probit", "cloglog"),
            response="binary",
            likelihood="{% if trials %}"
            'pm.Binomial(NAME, n=d["trials"], ' + _LOG_ODDS + ', observed=d["y"], dims="obs")'
            "{% else %}"
            "pm.Bernoulli(NAME, " + _LOG_ODDS + ', observed=d["y"], dims="obs")'
            "{% endif %}",
            simulate=_simulate_binomial,
            weight=lambda mean, trials: trials / np.maximum(mean * (1 - mean), 1e-12),
            functions={"probit": _PROBIT_LOG_ODDS, "cloglog": _CLOGLOG_LOG_ODDS},
        ),
        Family(
            name="poisson",
            links=("log",),
            response="count",
            likelihood='pm.Poisson(NAME, pt.exp(eta), observed=d["y"], dims="obs")',
            simulate=_simulate_poisson,
            weight=lambda mean, trials: 1 / np.maximum(mean, 1e-12),
        ),
        Family(
            name="ordinal",
            links=("logit", "probit"),
            response="ordered",
            # The signature takes all rows at once: else PyMC repeats the cutpoints for every row.
            likelihood="pm.CustomDist(NAME, eta, cutpoints, logp=cumulative_{{ link }}, "
            'signature="(n),(k)->(n)", dtype="int64", observed=d["y"], dims="obs")',
            simulate=_simulate_ordinal,
            weight=lambda mean, trials: np.ones_like(mean),
            parameters=(Parameter("cutpoints", "real", "StudentT(3, 0, 2.5)"),),
            intercept=False,
            functions={"logit": _CUMULATIVE_LOGIT, "probit": _CUMULATIVE_PROBIT},
        ),
    )
}


def family_named(name: str) -> Family:
    """Return the record of a family.

    Raises
    ------
    SpecError
        There is no family of this name.

    Examples
    --------
    >>> family_named("poisson").links
    ('log',)
    """
    if not isinstance(name, str) or name not in FAMILIES:
        aliases = {"normal": "gaussian", "bernoulli": "binomial", "cumulative": "ordinal"}
        hint = (
            f"Write {quoted(aliases[str(name)])}."
            if str(name) in aliases
            else did_you_mean(str(name), list(FAMILIES))
        )
        raise SpecError(
            f"The family {quoted(name)} is unknown. {hint} Allowed: {', '.join(FAMILIES)}."
        )
    return FAMILIES[name]
