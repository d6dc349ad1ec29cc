"""How often intervals of round robins and of twins hold the truth, over tables from the prior.

Outcomes are drawn here, effect by effect or from the covariance of a pair, not by the toolkit.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from tests.posterior.test_coverage import band
from tests.records.test_social_builders import round_robin
from tests.records.test_twin_builders import twin_table

TABLES = 100
SEED = 47_000
Truths = dict[str, float]


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


def of_twins(rng: np.random.Generator) -> tuple[bml.Model, Truths]:
    """Return sixty pairs, half of them identical."""
    a, c, e = np.abs(rng.normal(size=3))
    intercept, slope = rng.normal(), rng.normal()
    table = twin_table(60, int(rng.integers(2**31)), a, c, e)
    age = (table["age"] - 40) / 10
    # The model's prior of the intercept holds at the mean of the predictor.
    added = intercept + slope * (age - age.mean())
    table = table.assign(age=age, bmi=table["bmi"] - 20 - 0.05 * table["age"] + added)
    priors = {
        "Intercept": "Normal(0, 1)",
        "beta": "Normal(0, 1)",
        "sd_additive": "HalfNormal(1)",
        "sd_shared": "HalfNormal(1)",
        "sigma": "HalfNormal(1)",
    }
    model = bml.twins(table, "bmi ~ age", pair="family", zygosity="zygosity", priors=priors)
    return model, {
        "beta[age]": slope,
        "sd_additive[Intercept]": a,
        "sd_shared[Intercept]": c,
        "sigma": e,
    }


CASES: dict[str, Callable[[np.random.Generator], tuple[bml.Model, Truths]]] = {
    "social relations": of_round_robins,
    "twins": of_twins,
}


def hits_of(case: str, tables: int = TABLES, **run: Any) -> Counter[str]:
    rng = np.random.default_rng(SEED)
    hits: Counter[str] = Counter()
    for number in range(tables):
        model, truths = CASES[case](rng)
        fit = model.fit(
            **{"draws": 300, "tune": 400, "chains": 2, "seed": number, "progress": False} | run
        )
        assert fit.engine == "marginal"
        found: pd.DataFrame = bml.summary(fit)
        hits.update(
            name
            for name, truth in truths.items()
            if found.loc[name, "lower"] <= truth <= found.loc[name, "upper"]
        )
    return hits


@pytest.mark.slow
@pytest.mark.sampling
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("case", CASES)
def test_intervals_hold_the_truth(case: str) -> None:
    hits = hits_of(case)
    low, high = band(TABLES)
    _, truths = CASES[case](np.random.default_rng(SEED))
    assert {name: hits[name] for name in truths if not low <= hits[name] <= high} == {}, hits
