"""How often intervals of round robins and of twins hold the truth, over tables from the prior.

Truths come from the prior, so an interval of 89 % holds them in 89 % of tables on average, whatever
the sample size. The band is the binomial's of 99.9 %: 78 to 97 of 100 tables. Outcomes are drawn
here, effect by effect or from the covariance of a pair, not by the toolkit.
"""

from functools import partial

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from tests.posterior.recovery import Simulator, Truths, coverage
from tests.records.test_social_builders import round_robin
from tests.records.test_twin_builders import ALIKE

TABLES = 100
SEED = 47_000
DRAWS = 300
PAIRS = 60


def of_round_robins(rng: np.random.Generator) -> tuple[bml.Model, Truths]:
    """Return ten groups of four persons."""
    values = {
        "actor": abs(rng.normal()),
        "partner": abs(rng.normal()),
        # LKJ(2) of two terms
        "generalised": 2 * rng.beta(2, 2) - 1,
        "relationship": abs(rng.normal()),
        "dyadic": rng.uniform(-1, 1),
    }
    table = round_robin(10, 4, int(rng.integers(2**31)), values)
    mean = rng.normal()
    table["liking"] += mean - 3
    priors = {
        "Intercept": "Normal(0, 1)",
        "sd_person": "HalfNormal(1)",
        "sigma": "HalfNormal(1)",
    }
    model = bml.social_relations(
        table, "liking ~ 1", actor="rater", partner="target", priors=priors
    )
    return model, {
        "beta[Intercept]": mean,
        "sd_person[actor]": values["actor"],
        "sd_person[partner]": values["partner"],
        "corr_person[actor, partner]": values["generalised"],
        "sigma": values["relationship"],
        "corr_residual": values["dyadic"],
    }


def _effects_of_pairs(
    rng: np.random.Generator, kinds: list[str], sds: dict[str, float]
) -> np.ndarray:
    """Return what twins of each pair have by their genes and shared environment, a row a pair."""
    effects = np.zeros((len(kinds), 2))
    for letter, sd in sds.items():
        alike = np.array([ALIKE[letter][kind] for kind in kinds])
        first, second = rng.normal(size=(2, len(kinds)))
        effects += sd * np.column_stack([first, alike * first + np.sqrt(1 - alike**2) * second])
    return effects


def of_twins(rng: np.random.Generator, components: str) -> tuple[bml.Model, Truths]:
    """Return sixty pairs, half of them identical."""
    kinds = ["DZ", "MZ"] * (PAIRS // 2)
    age = rng.normal(size=(PAIRS, 2))
    # The model's prior of the intercept holds at the mean of the predictor.
    age -= age.mean()
    intercept, slope = rng.normal(size=2)
    sds = {letter: abs(rng.normal()) for letter in components.removesuffix("E")}
    own = abs(rng.normal())
    outcome = intercept + slope * age + _effects_of_pairs(rng, kinds, sds)
    outcome += own * rng.normal(size=age.shape)
    table = pd.DataFrame(
        {
            "family": np.repeat(np.arange(PAIRS), 2),
            "zygosity": np.repeat(kinds, 2),
            "age": age.ravel(),
            "bmi": outcome.ravel(),
        }
    )
    names = {"A": "sd_additive", "C": "sd_shared"}
    priors = {"Intercept": "Normal(0, 1)", "beta": "Normal(0, 1)"}
    priors |= {names[letter]: "HalfNormal(1)" for letter in sds}
    truths = {"beta[Intercept]": intercept, "beta[age]": slope}
    truths |= {f"{names[letter]}[Intercept]": sd for letter, sd in sds.items()}
    model = bml.twins(
        table,
        "bmi ~ age",
        pair="family",
        zygosity="zygosity",
        components=components,
        priors=priors | {"sigma": "HalfNormal(1)"},
    )
    return model, truths | {"sigma": own}


CASES: dict[str, Simulator] = {
    "social relations": of_round_robins,
    "twins ACE": partial(of_twins, components="ACE"),
    "twins AE": partial(of_twins, components="AE"),
    "twins CE": partial(of_twins, components="CE"),
}


@pytest.mark.slow
@pytest.mark.sampling
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning")
@pytest.mark.parametrize("name", CASES)
def test_intervals_hold_the_truth(name: str) -> None:
    tally = coverage(CASES[name], TABLES, SEED, DRAWS)
    assert tally.outside(TABLES) == {}, tally.held
    assert dict(tally.engines) == {"marginal": TABLES}
