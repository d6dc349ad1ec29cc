"""Families of 0/1 outcomes and of successes out of trials."""

import numpy as np
from scipy import special

from bayesml.specs.family_records import Family, Parameter, Parameters
from bayesml.specs.link_functions import BETA_SHAPES, LOG_NORMAL_CDF
from bayesml.specs.stable_logarithms import beta_shapes, log_rising, log_shares, softplus


def _simulate_binomial(
    rng: np.random.Generator, mean: np.ndarray, parameters: Parameters, trials: np.ndarray
) -> np.ndarray:
    return rng.binomial(np.asarray(trials, dtype=int), mean)


def _log_binomial(link: str, y: np.ndarray, eta: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return log C(n, y) + y log p + (n - y) log(1 - p); one trial where there are no others."""
    if "trials" not in parameters:
        return _log_bernoulli(link, y, eta)
    trials = parameters["trials"]
    ways = special.gammaln(trials + 1) - special.gammaln(y + 1) - special.gammaln(trials - y + 1)
    success, failure = log_shares(link, eta)
    return ways + y * success + (trials - y) * failure


def _log_bernoulli(link: str, y: np.ndarray, eta: np.ndarray) -> np.ndarray:
    if link == "cloglog":
        success, failure = log_shares(link, eta)
        return np.where(y == 1, success, failure)
    # logit and probit are symmetric: a failure at eta is a success at -eta.
    signed = np.where(y == 1, eta, -eta)
    return -softplus(-signed) if link == "logit" else special.log_ndtr(signed)


def _simulate_beta_binomial(
    rng: np.random.Generator, mean: np.ndarray, parameters: Parameters, trials: np.ndarray
) -> np.ndarray:
    phi = np.asarray(parameters["phi"], dtype=float)
    # NumPy's beta variables need shapes above 0.
    alpha, beta = np.maximum(mean * phi, 1e-300), np.maximum((1 - mean) * phi, 1e-300)
    return rng.binomial(np.asarray(trials, dtype=int), rng.beta(alpha, beta))


def _log_beta_binomial(
    link: str, y: np.ndarray, eta: np.ndarray, parameters: Parameters
) -> np.ndarray:
    """Return log C(n, y) + log B(y + a, n - y + b) - log B(a, b), a = p phi and b = (1 - p) phi."""
    trials, phi = parameters["trials"], np.asarray(parameters["phi"], dtype=float)
    ways = special.gammaln(trials + 1) - special.gammaln(y + 1) - special.gammaln(trials - y + 1)
    alpha, beta = beta_shapes(link, eta, phi)
    return ways + log_rising(alpha, y) + log_rising(beta, trials - y) - log_rising(phi, trials)


# PyMC keeps the digits of a probability near 0 and 1 where it is given as log odds.
_PROBIT_LOG_ODDS = f'''{LOG_NORMAL_CDF}

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

_LOG_ODDS = (
    "logit_p={% if link == 'logit' %}{{ eta }}{% else %}{{ link }}_log_odds({{ eta }}){% endif %}"
)

BINARY_FAMILIES = (
    Family(
        name="binomial",
        description="outcomes of 0 and 1, or successes out of trials",
        links=("logit", "probit", "cloglog"),
        response="binary",
        likelihood="{% if trials %}"
        "pm.Binomial({{ name }}, n={{ trials }}, " + _LOG_ODDS + ", {{ observed }})"
        "{% else %}"
        "pm.Bernoulli({{ name }}, " + _LOG_ODDS + ", {{ observed }})"
        "{% endif %}",
        simulate=_simulate_binomial,
        log_likelihood=_log_binomial,
        variance=lambda mean, parameters, trials: np.maximum(mean * (1 - mean), 1e-12) / trials,
        example="y = rng.binomial({trials}, {mean})",
        equation=r"\mathrm{{Binomial}}({trials},\ {mean})",
        functions={"probit": _PROBIT_LOG_ODDS, "cloglog": _CLOGLOG_LOG_ODDS},
        latent=True,
        aliases=("bernoulli",),
    ),
    Family(
        name="beta_binomial",
        description="successes out of trials that scatter more than binomial ones",
        links=("logit", "probit", "cloglog"),
        response="binary",
        likelihood="alpha, beta = {{ link }}_beta_shapes({{ eta }}, {{ phi }})\n"
        "pm.BetaBinomial({{ name }}, alpha=alpha, beta=beta, n={{ trials }}, {{ observed }})",
        simulate=_simulate_beta_binomial,
        log_likelihood=_log_beta_binomial,
        variance=lambda mean, parameters, trials: (
            np.maximum(mean * (1 - mean), 1e-12)
            / trials
            * (1 + (trials - 1) / (1 + np.asarray(parameters["phi"])))
        ),
        example="y = rng.binomial({trials}, rng.beta(5.0 * ({mean}), 5.0 * (1 - ({mean}))))",
        equation=r"\mathrm{{BetaBinomial}}({trials},\ \phi\,{mean},\ \phi\,(1 - {mean}))",
        # 1 / phi has the mean 4 / 3 and much of its mass near 0: hardly any further scatter.
        parameters=(Parameter("phi", "positive", "InverseGamma(0.4, 0.3)"),),
        functions=BETA_SHAPES,
        latent=True,
        needs_trials=True,
        aliases=("betabinomial", "beta-binomial"),
    ),
)
