"""How often intervals of round robins and of twins hold the truth, over tables from the prior.

Truths come from the prior, so an interval of 89 % holds them in 89 % of tables on average, whatever
the sample size. The band is the binomial's of 99.9 %: 78 to 97 of 100 tables. Outcomes are drawn
here, effect by effect or from the covariance of a pair, not by the toolkit.
"""

from dataclasses import dataclass
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


def _relationships(rng: np.random.Generator) -> tuple[pd.DataFrame, Truths]:
    """Return the predictors of ten round robins of four persons, and the truths.

    What the two directions of a dyad share, and half their difference, have SDs of their own; they
    add up to one SD and a correlation.
    """
    actor, partner, shared, half = np.abs(rng.normal(0, 0.7, 4))
    generalised, mean = 2 * rng.beta(2, 2) - 1, rng.normal(0.3, 0.5)
    values = {
        "actor": actor,
        "partner": partner,
        "generalised": generalised,
        "relationship": np.hypot(shared, half),
        "dyadic": (shared**2 - half**2) / (shared**2 + half**2),
    }
    table = round_robin(10, 4, int(rng.integers(2**31)), values)
    table["eta"] = table["liking"] + mean - 3
    return table, {
        "beta[Intercept]": mean,
        "sd_person[actor]": actor,
        "sd_person[partner]": partner,
        "corr_person[actor, partner]": generalised,
        "sd_dyad[Intercept]": shared,
        "sd_dyad[direction]": half,
    }


_OF_RELATIONSHIPS = {
    "Intercept": "Normal(0.3, 0.5)",
    "sd_person": "HalfNormal(0.7)",
    "sd_dyad": "HalfNormal(0.7)",
}


def of_counts(rng: np.random.Generator) -> tuple[bml.Model, Truths]:
    """Return round robins of counts."""
    table, truths = _relationships(rng)
    table["calls"] = rng.poisson(np.exp(table["eta"]))
    model = bml.social_relations(
        table,
        "calls ~ 1",
        actor="rater",
        partner="target",
        family="poisson",
        priors=_OF_RELATIONSHIPS,
    )
    return model, truths


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


def of_twins(
    rng: np.random.Generator, components: str, threshold: bool = False
) -> tuple[bml.Model, Truths]:
    """Return sixty pairs, half of them identical, with an outcome or with a disease or none.

    A disease is had by those whose liability is above 0; its own part has the SD 1.
    """
    kinds = ["DZ", "MZ"] * (PAIRS // 2)
    age = rng.normal(size=(PAIRS, 2))
    # The model's prior of the intercept holds at the mean of the predictor.
    age -= age.mean()
    intercept, slope = rng.normal(size=2)
    sds = {letter: abs(rng.normal()) for letter in components.removesuffix("E")}
    own = 1.0 if threshold else abs(rng.normal())
    outcome = intercept + slope * age + _effects_of_pairs(rng, kinds, sds)
    outcome += own * rng.normal(size=age.shape)
    table = pd.DataFrame(
        {
            "family": np.repeat(np.arange(PAIRS), 2),
            "zygosity": np.repeat(kinds, 2),
            "age": age.ravel(),
            "bmi": outcome.ravel(),
            "ill": (outcome.ravel() > 0).astype(int),
        }
    )
    names = {"A": "sd_additive", "C": "sd_shared", "D": "sd_dominance"}
    priors = {"Intercept": "Normal(0, 1)", "beta": "Normal(0, 1)"}
    priors |= {names[letter]: "HalfNormal(1)" for letter in sds}
    truths = {"beta[Intercept]": intercept, "beta[age]": slope}
    truths |= {f"{names[letter]}[Intercept]": sd for letter, sd in sds.items()}
    if threshold:
        model = bml.twins(
            table,
            "ill ~ age",
            pair="family",
            zygosity="zygosity",
            components=components,
            family="binomial",
            link="probit",
            priors=priors,
        )
        return model, truths
    model = bml.twins(
        table,
        "bmi ~ age",
        pair="family",
        zygosity="zygosity",
        components=components,
        priors=priors | {"sigma": "HalfNormal(1)"},
    )
    return model, truths | {"sigma": own}


@dataclass(frozen=True)
class Case:
    """What draws tables, and the engine that is to sample them."""

    simulate: Simulator
    engine: str = "marginal"


CASES = {
    "social relations": Case(of_round_robins),
    "social relations, counts": Case(of_counts, "pymc"),
    "twins ACE": Case(partial(of_twins, components="ACE")),
    "twins ADE": Case(partial(of_twins, components="ADE")),
    "twins AE": Case(partial(of_twins, components="AE")),
    "twins CE": Case(partial(of_twins, components="CE")),
    "twins ACE, threshold": Case(partial(of_twins, components="ACE", threshold=True), "pymc"),
}


@pytest.mark.slow
@pytest.mark.sampling
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning")
@pytest.mark.parametrize("name", CASES)
def test_intervals_hold_the_truth(name: str) -> None:
    case = CASES[name]
    tally = coverage(case.simulate, TABLES, SEED, DRAWS)
    assert tally.outside(TABLES) == {}, tally.held
    assert dict(tally.engines) == {case.engine: TABLES}
