"""Families of ordered categories: by their cumulative shares, their steps or their odds.

A larger linear predictor makes higher categories more probable in all of them.
"""

import numpy as np
from scipy import special, stats

from bayesml.specs.family_records import Family, Parameter, Parameters
from bayesml.specs.link_functions import LOG_NORMAL_CDF
from bayesml.specs.links import LINKS
from bayesml.specs.stable_logarithms import (
    bounded_exp,
    log_complement,
    log_shares,
    softplus,
)

# Quantiles of the latent error whose distribution function is the inverse link.
_LATENT_QUANTILES = {
    "logit": stats.logistic.ppf,
    "probit": stats.norm.ppf,
    "cloglog": stats.gumbel_l.ppf,
}
# Logs of the density of that error.
_LOG_DENSITIES = {
    "logit": lambda x: -softplus(x) - softplus(-x),
    "probit": lambda x: -(x**2) / 2 - np.log(2 * np.pi) / 2,
    "cloglog": lambda x: x - bounded_exp(x),
}
_TINY_RATE = -37.0


def _simulate_ordinal(
    rng: np.random.Generator, mean: np.ndarray, parameters: Parameters, trials: np.ndarray
) -> np.ndarray:
    cutpoints = np.asarray(parameters["cutpoints"])
    quantile = _LATENT_QUANTILES[parameters.get("link", "logit")]
    latent = mean + quantile(rng.uniform(size=np.shape(mean)))
    return (latent[..., None] > cutpoints).sum(axis=-1)


def _log_ordinal(link: str, y: np.ndarray, eta: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return log(F(upper - eta) - F(lower - eta))."""
    lower, upper = parameters["lower"], parameters["upper"]
    if link == "logit":
        gap = log_complement(lower - upper)
        return gap - softplus(lower - eta) - softplus(eta - upper)
    below, above = lower - eta, upper - eta
    if link == "cloglog":
        # exp(-exp(below)) (1 - exp(exp(below) - exp(above)))
        between = above + log_complement(below - above)
        inside = np.where(between < _TINY_RATE, between, log_complement(-bounded_exp(between)))
        return inside - bounded_exp(below)
    # Mirrored into the lower tail, where the difference keeps its digits.
    mirrored = below > 0
    low = special.log_ndtr(np.where(mirrored, -above, below))
    high = special.log_ndtr(np.where(mirrored, -below, above))
    return high + log_complement(low - high)


def _cumulative_shares(link: str, eta: np.ndarray, cutpoints: np.ndarray) -> np.ndarray:
    up_to = LINKS[link].inverse(cutpoints - eta)
    ends = np.zeros((1, *np.shape(up_to)[1:]))
    return np.diff(np.concatenate([ends, up_to, ends + 1]), axis=0)


def _cumulative_slopes(link: str, eta: np.ndarray, cutpoints: np.ndarray) -> np.ndarray:
    """Return -f / p below the cutpoint, f / p above it: f moves from one to the other."""
    ends = np.full((1, *np.shape(cutpoints)[1:]), np.inf)
    bounds = np.concatenate([-ends, cutpoints, ends])
    shares = _log_ordinal(link, np.zeros(0), eta, {"lower": bounds[:-1], "upper": bounds[1:]})
    density = _LOG_DENSITIES[link](cutpoints - eta)
    slopes = np.zeros((len(shares), *density.shape))
    for place, own in enumerate(density):
        slopes[place, place] = -np.exp(own - shares[place])
        slopes[place + 1, place] = np.exp(own - shares[place + 1])
    return slopes


def _simulate_adjacent(
    rng: np.random.Generator, mean: np.ndarray, parameters: Parameters, trials: np.ndarray
) -> np.ndarray:
    cutpoints = np.asarray(parameters["cutpoints"], dtype=float)
    start = np.zeros((*cutpoints.shape[:-1], 1))
    sums = np.concatenate([start, cutpoints.cumsum(axis=-1)], axis=-1)
    scores = np.asarray(mean)[..., None] * np.arange(sums.shape[-1]) - sums
    # The largest of scores with extreme value errors: a draw by their softmax.
    return (scores + rng.gumbel(size=scores.shape)).argmax(axis=-1)


def _log_adjacent(link: str, y: np.ndarray, eta: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return -log(1 + the odds of all other categories against y)."""
    cutpoints = parameters["cutpoints"]
    own = sum(np.where(y > place, eta - cut, 0.0) for place, cut in enumerate(cutpoints))
    score = np.zeros_like(eta)
    odds = np.where(y == 0, -np.inf, -own)
    for place, cutpoint in enumerate(cutpoints, start=1):
        score = score + (eta - cutpoint)
        odds = np.logaddexp(odds, np.where(y == place, -np.inf, score - own))
    return -softplus(odds)


def _adjacent_shares(link: str, eta: np.ndarray, cutpoints: np.ndarray) -> np.ndarray:
    steps = eta - cutpoints
    scores = np.concatenate([np.zeros((1, *steps.shape[1:])), steps.cumsum(axis=0)])
    return special.softmax(scores, axis=0)


def _adjacent_slopes(link: str, eta: np.ndarray, cutpoints: np.ndarray) -> np.ndarray:
    shares = _adjacent_shares(link, eta, cutpoints)
    above = shares[::-1].cumsum(axis=0)[-2::-1]
    return np.stack(
        [(place > np.arange(len(above)))[:, None] - above for place in range(len(shares))]
    )


def _simulate_continuation(
    rng: np.random.Generator, mean: np.ndarray, parameters: Parameters, trials: np.ndarray
) -> np.ndarray:
    cutpoints = np.asarray(parameters["cutpoints"], dtype=float)
    shape = np.broadcast_shapes((*np.shape(mean), 1), cutpoints.shape)
    quantile = _LATENT_QUANTILES[parameters.get("link", "logit")]
    latent = np.asarray(mean)[..., None] + quantile(rng.uniform(size=shape))
    return np.cumprod(latent > cutpoints, axis=-1).sum(axis=-1)


def _log_continuation(
    link: str, y: np.ndarray, eta: np.ndarray, parameters: Parameters
) -> np.ndarray:
    """Return the sum over the cutpoints below y of log(1 - F), and log F of its own."""
    total = np.zeros_like(eta)
    for place, cutpoint in enumerate(parameters["cutpoints"]):
        stay, move = log_shares(link, cutpoint - eta)
        total = total + np.where(y > place, move, np.where(y == place, stay, 0.0))
    return total


def _continuation_shares(link: str, eta: np.ndarray, cutpoints: np.ndarray) -> np.ndarray:
    stay, move = log_shares(link, cutpoints - eta)
    ends = np.zeros((1, *stay.shape[1:]))
    reached = np.concatenate([ends, move.cumsum(axis=0)])
    return np.exp(reached + np.concatenate([stay, ends]))


def _continuation_slopes(link: str, eta: np.ndarray, cutpoints: np.ndarray) -> np.ndarray:
    gap = cutpoints - eta
    stay, move = log_shares(link, gap)
    density = _LOG_DENSITIES[link](gap)
    slopes = np.zeros((len(gap) + 1, *gap.shape))
    for place in range(len(gap)):
        slopes[place, place] = -np.exp(density[place] - stay[place])
        slopes[place + 1 :, place] = np.exp(density[place] - move[place])
    return slopes


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

_CUMULATIVE_CLOGLOG = '''
def cumulative_cloglog(value, eta, cutpoints):
    """Log probability of the categories: F(upper - eta) - F(lower - eta), F = 1 - exp(-exp)."""
    last = cutpoints.size
    # The lowest category has no lower bound, the highest no upper one: numbers in their place
    # keep the gradient finite.
    lower = pt.concatenate([cutpoints[:1] - 1, cutpoints])[value] - eta
    upper = pt.concatenate([cutpoints, cutpoints[-1:] + 1])[value] - eta
    below = pt.switch(pt.gt(value, 0), pt.exp(lower), 0.0)
    inside = pt.log1mexp(below - pt.exp(upper))
    return (pt.switch(pt.lt(value, last), inside, 0.0) - below).sum()
'''

_ADJACENT_CATEGORY = '''
def adjacent_category_logit(value, eta, cutpoints):
    """Log probability of the categories: log odds of k + 1 against k are eta - cutpoints[k]."""
    sums = pt.concatenate([[0.0], pt.cumsum(cutpoints)])
    scores = eta[:, None] * pt.arange(sums.size) - sums
    return (value * eta - sums[value] - pt.logsumexp(scores, axis=1)).sum()
'''

_ADJACENT_CATEGORY_BY_ROW = '''
def adjacent_category_logit(value, eta, cutpoints):
    """Log probability of the categories: log odds of k + 1 against k are eta - cutpoints[:, k]."""
    steps = eta[:, None] - cutpoints
    scores = pt.concatenate([pt.zeros_like(steps[:, :1]), pt.cumsum(steps, axis=1)], axis=1)
    return (scores[pt.arange(value.size), value] - pt.logsumexp(scores, axis=1)).sum()
'''

# Logs of the probabilities to stay in a category, and to go on beyond it.
_STEPS = {
    "logit": "-pt.softplus(-gap), -pt.softplus(gap)",
    "probit": "log_normal_cdf(gap), log_normal_cdf(-gap)",
    "cloglog": "pt.log1mexp(-pt.exp(pt.maximum(gap, -700))), -pt.exp(gap)",
}


def _continuation_ratio(link: str) -> str:
    above = f"{LOG_NORMAL_CDF}\n" if link == "probit" else ""
    return f'''{above}
def continuation_ratio_{link}(value, eta, cutpoints):
    """Log probability of the categories: each cutpoint is where some stay and others go on."""
    gap = cutpoints - eta[:, None]
    stay, go_on = {_STEPS[link]}
    place, reached = pt.arange(cutpoints.shape[-1]), value[:, None]
    passed = pt.switch(pt.lt(place, reached), go_on, 0.0)
    return (passed + pt.switch(pt.eq(place, reached), stay, 0.0)).sum()
'''


def _likelihood(function: str) -> str:
    # The signature takes all rows at once: else PyMC repeats the cutpoints for every row.
    return (
        "pm.CustomDist({{ name }}, {{ eta }}, {{ cutpoints }}, "
        f"logp={function}_{{{{ link }}}}, "
        'signature="(n),({% if by_row %}n,{% endif %}k)->(n)", dtype="int64", {{ observed }})'
    )


_CUTPOINTS = Parameter("cutpoints", "real", "StudentT(3, 0, 2.5)")

ORDERED_FAMILIES = (
    Family(
        name="ordinal",
        description="ordered categories, by cutpoints in place of an intercept",
        links=("logit", "probit", "cloglog"),
        response="ordered",
        likelihood=_likelihood("cumulative"),
        simulate=_simulate_ordinal,
        log_likelihood=_log_ordinal,
        category_shares=_cumulative_shares,
        category_slopes=_cumulative_slopes,
        cutpoints_of=lambda link, shares: LINKS[link].forward(shares.cumsum()[:-1]),
        variance=lambda mean, parameters, trials: np.ones_like(mean),
        example="y = np.searchsorted(cutpoints, eta + {latent})",
        equation=r"\Pr({outcome} \leq c)",
        parameters=(_CUTPOINTS,),
        intercept=False,
        functions={
            "logit": _CUMULATIVE_LOGIT,
            "probit": _CUMULATIVE_PROBIT,
            "cloglog": _CUMULATIVE_CLOGLOG,
        },
        latent=True,
        ordered_cutpoints=True,
        aliases=("cumulative",),
    ),
    Family(
        name="adjacent_category",
        description="ordered categories, by the odds of neighbours",
        links=("logit",),
        response="ordered",
        likelihood=_likelihood("adjacent_category"),
        simulate=_simulate_adjacent,
        log_likelihood=_log_adjacent,
        category_shares=_adjacent_shares,
        category_slopes=_adjacent_slopes,
        cutpoints_of=lambda link, shares: np.log(shares[:-1] / shares[1:]),
        variance=lambda mean, parameters, trials: np.ones_like(mean),
        example="scores = np.c_[0 * eta, (eta[:, None] - cutpoints).cumsum(axis=1)]\n"
        "y = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)",
        equation=r"\Pr({outcome} = c \mid {outcome} \in [c,\ c + 1])",
        parameters=(_CUTPOINTS,),
        intercept=False,
        functions={"logit": _ADJACENT_CATEGORY},
        functions_by_row={"logit": _ADJACENT_CATEGORY_BY_ROW},
        aliases=("acat", "adjacent"),
    ),
    Family(
        name="continuation_ratio",
        description="ordered categories that are reached one after the other",
        links=("logit", "probit", "cloglog"),
        response="ordered",
        likelihood=_likelihood("continuation_ratio"),
        simulate=_simulate_continuation,
        log_likelihood=_log_continuation,
        category_shares=_continuation_shares,
        category_slopes=_continuation_slopes,
        cutpoints_of=lambda link, shares: LINKS[link].forward(
            shares[:-1] / shares[::-1].cumsum()[:0:-1]
        ),
        variance=lambda mean, parameters, trials: np.ones_like(mean),
        example="y = np.cumprod(eta[:, None] + {latents} > cutpoints, axis=1).sum(axis=1)",
        equation=r"\Pr({outcome} = c \mid {outcome} \geq c)",
        parameters=(_CUTPOINTS,),
        intercept=False,
        functions={link: _continuation_ratio(link) for link in _STEPS},
        functions_by_row={link: _continuation_ratio(link) for link in _STEPS},
        # With cloglog brms has two: this is its sratio. With logit and probit they are the same.
        aliases=("sratio", "cratio", "sequential"),
    ),
)
