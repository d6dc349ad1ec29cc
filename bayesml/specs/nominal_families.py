"""Families of unordered categories: log odds of each category against a baseline category.

Every category but the baseline has a linear predictor of its own; that of the baseline is 0. The
functions of a record take those of the other categories as parameters, in the order of the
categories, and the baseline's in the place where other families have their linear predictor.
"""

import numpy as np

from bayesml.specs.family_records import Family, Parameters
from bayesml.specs.stable_logarithms import softplus

# The one name among the parameters that is not a category: `simulate` is told the link's name.
LINK = "link"


def _scores(baseline: np.ndarray, parameters: Parameters) -> list[np.ndarray]:
    """Return the linear predictors of all categories, the baseline first."""
    return [baseline, *(value for name, value in parameters.items() if name != LINK)]


def _simulate_categorical(
    rng: np.random.Generator, mean: np.ndarray, parameters: Parameters, trials: np.ndarray
) -> np.ndarray:
    scores = np.stack(np.broadcast_arrays(*_scores(np.zeros_like(mean), parameters)))
    # The largest of scores with extreme value errors: a draw by their softmax.
    return (scores + rng.gumbel(size=scores.shape)).argmax(axis=0)


def _log_categorical(
    link: str, y: np.ndarray, eta: np.ndarray, parameters: Parameters
) -> np.ndarray:
    """Return -log(1 + the odds of all other categories against y)."""
    scores = _scores(eta, parameters)
    own = sum(np.where(y == place, score, 0.0) for place, score in enumerate(scores))
    odds = np.full(np.shape(own), -np.inf)
    for place, score in enumerate(scores):
        odds = np.logaddexp(odds, np.where(y == place, -np.inf, score - own))
    return -softplus(odds)


NOMINAL_FAMILIES = (
    Family(
        name="categorical",
        description="unordered categories, each against a baseline",
        links=("logit",),
        response="nominal",
        likelihood="pm.Categorical({{ name }}, logit_p=pt.concatenate("
        "[pt.zeros_like({{ eta }}[:, :1]), {{ eta }}], axis=1), {{ observed }})",
        simulate=_simulate_categorical,
        log_likelihood=_log_categorical,
        variance=lambda mean, parameters, trials: np.ones_like(mean),
        example="y = (np.column_stack([np.zeros(obs.size), eta])"
        " + rng.gumbel(size=(obs.size, {categories}))).argmax(axis=1)",
        equation=r"\log\frac{{\Pr({outcome} = c)}}{{\Pr({outcome} = {baseline})}}",
        latent=True,
        aliases=("nominal", "multinomial", "multinomial_logit"),
    ),
)
