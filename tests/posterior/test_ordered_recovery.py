"""How often intervals of ordered outcomes' parameters hold the truth, over tables from the prior.

Truths come from the prior, so an interval of 89 % holds them in 89 % of tables on average, whatever
the sample size. The band is the binomial's of 99.9 %: 78 to 97 of 100 tables. Outcomes come from
the words of each model, not from the families' own simulators.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy import special

import bayesml as bml
from tests.posterior.recovery import Tally

TABLES = 100
SEED = 20_261
UNITS, SIZE, CUTPOINTS = 10, 12, 3
RUN = {"draws": 150, "tune": 150, "chains": 2, "progress": False}
LABELS = ["0|1", "1|2", "2|3"]
# Narrow enough for most tables of 120 rows to hold every category.
PRIORS = {
    "beta": "Normal(0, 0.5)",
    "sd": "HalfNormal(0.5)",
    "cutpoints": "Normal(0, 1)",
}


def ordinal(latent: np.ndarray, cutpoints: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The category between whose cutpoints the latent outcome lies."""
    return (latent[:, None] + rng.logistic(size=(len(latent), 1)) > cutpoints).sum(axis=1)


def adjacent(latent: np.ndarray, cutpoints: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each category has the odds exp(eta - cutpoint) against the one below it."""
    odds = np.cumprod(np.exp(latent[:, None] - cutpoints), axis=1)
    odds = np.column_stack([np.ones(len(latent)), odds])
    below = np.cumsum(odds, axis=1) / odds.sum(axis=1, keepdims=True)
    return (rng.uniform(size=(len(latent), 1)) > below).sum(axis=1)


def continuation(latent: np.ndarray, cutpoints: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Of those that have come to a category the share expit(cutpoint - eta) stays in it."""
    stays = special.expit(cutpoints - latent[:, None]) * np.ones((len(latent), CUTPOINTS))
    reached = np.zeros(len(latent), dtype=int)
    for place in range(CUTPOINTS):
        goes_on = rng.uniform(size=len(latent)) > stays[:, place]
        reached += (reached == place) & goes_on
    return reached


@dataclass(frozen=True)
class Case:
    """A family, and whether each cutpoint has a coefficient of w of its own."""

    family: str
    specific: bool


CASES = {
    "ordinal": Case("ordinal", False),
    "adjacent_category": Case("adjacent_category", False),
    "continuation_ratio": Case("continuation_ratio", False),
    "adjacent_category cs": Case("adjacent_category", True),
    "continuation_ratio cs": Case("continuation_ratio", True),
}
DRAWN = {
    "ordinal": ordinal,
    "adjacent_category": adjacent,
    "continuation_ratio": continuation,
}


def simulated(case: Case, rng: np.random.Generator) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return a table of ten units of twelve rows, and the truths by the name in the summary."""
    unit = np.repeat(np.arange(UNITS), SIZE)
    x, w = rng.normal(size=(2, unit.size))
    # The priors of the cutpoints are those at the mean of the predictors.
    x, w = x - x.mean(), w - w.mean()
    beta, sd = float(rng.normal(0, 0.5)), float(abs(rng.normal(0, 0.5)))
    cutpoints = rng.normal(size=CUTPOINTS)
    if case.family == "ordinal":
        cutpoints = np.sort(cutpoints)
    truths = {"beta[x]": beta, "sd_unit[Intercept]": sd}
    truths |= {f"cutpoints[{label}]": cut for label, cut in zip(LABELS, cutpoints, strict=True)}
    of_rows = np.broadcast_to(cutpoints, (unit.size, CUTPOINTS))
    if case.specific:
        own = rng.normal(0, 0.5, size=CUTPOINTS)
        of_rows = of_rows - w[:, None] * own
        truths |= {f"beta_cs[{label}, w]": one for label, one in zip(LABELS, own, strict=True)}
    eta = beta * x + sd * rng.normal(size=UNITS)[unit]
    y = DRAWN[case.family](eta, of_rows, rng)
    return pd.DataFrame({"y": y, "x": x, "w": w, "unit": unit}), truths


def coverage(case: Case, tables: int) -> Tally:
    """Return how many intervals hold each truth, and counts of what went wrong.

    A table that lacks a category is drawn again: what depends on the outcome alone leaves
    intervals as good as they are.
    """
    rng = np.random.default_rng(SEED)
    tally = Tally()
    terms, priors = "x", PRIORS
    if case.specific:
        terms, priors = "x + cs(w)", {**PRIORS, "beta_cs": "Normal(0, 0.5)"}
    for number in range(tables):
        table, truths = simulated(case, rng)
        while table["y"].nunique() <= CUTPOINTS:
            tally.trouble["drawn again"] += 1
            table, truths = simulated(case, rng)
        model = bml.two_level(
            table, f"y ~ {terms}", group="unit", family=case.family, priors=priors
        )
        fit = model.fit(seed=number, **RUN)
        tally.count(fit, truths)
    return tally


@pytest.mark.slow
@pytest.mark.sampling
@pytest.mark.parametrize("name", CASES)
def test_intervals_hold_the_truth_as_often_as_they_say(name: str) -> None:
    assert coverage(CASES[name], TABLES).outside(TABLES) == {}
