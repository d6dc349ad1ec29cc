"""Posteriors of simulated durations, censored and entered late, hold the truth as often as said."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from bayesml.specs.families import FAMILIES

TABLES, UNITS, SIZE, PROB = 100, 20, 12, 0.89
DURATIONS = [name for name, family in FAMILIES.items() if family.durations is not None]
PRIORS = {"Intercept": "Normal(1, 0.5)", "beta": "Normal(0, 0.5)", "sd": "HalfNormal(0.5)"}


def truth_of(family: str, rng: np.random.Generator) -> tuple[dict[str, float], dict[str, str]]:
    """Return parameters drawn from the priors, and the priors."""
    truth = {
        "Intercept": rng.normal(1, 0.5),
        "x": rng.normal(0, 0.5),
        "sd": abs(rng.normal(0, 0.5)),
    }
    priors = dict(PRIORS)
    for parameter in FAMILIES[family].parameters:
        if parameter.name == "shape":
            truth["shape"], priors["shape"] = rng.gamma(4, 1 / 2), "Gamma(4, 2)"
        else:
            truth[parameter.name] = abs(rng.normal(0, 1))
            priors[parameter.name] = "HalfNormal(1)"
    return truth, priors


def observed(family: str, truth: dict[str, float], rng: np.random.Generator) -> pd.DataFrame:
    """Return rows that lasted until their entry, some of them seen to the end."""
    rows = UNITS * SIZE
    x = rng.normal(size=rows)
    x -= x.mean()
    unit = np.repeat(np.arange(UNITS), SIZE)
    eta = truth["Intercept"] + truth["x"] * x + truth["sd"] * rng.normal(size=UNITS)[unit]
    scale = np.exp(eta)
    entry = scale * rng.uniform(0, 0.6, rows) * rng.integers(0, 2, rows)
    time = np.zeros(rows)
    while (short := time <= entry).any():
        drawn = FAMILIES[family].simulate(rng, scale, truth, np.ones(rows))
        time[short] = drawn[short]
    last = entry + scale * rng.exponential(2.0, rows)
    return pd.DataFrame(
        {
            "entry": entry,
            "time": np.minimum(time, last),
            "status": (time <= last).astype(int),
            "x": x,
            "unit": unit,
        }
    )


def covered(family: str, seed: int, tables: int = TABLES) -> dict[str, int]:
    """Return how many of the tables' intervals hold each parameter."""
    rng = np.random.default_rng(seed)
    hits: dict[str, int] = {}
    for _ in range(tables):
        truth, priors = truth_of(family, rng)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", bml.BayesmlWarning)
            model = bml.two_level(
                observed(family, truth, rng),
                "surv(entry, time, status) ~ x",
                group="unit",
                family=family,
                priors=priors,
                parametrisation="non-centred",
            )
            fit = model.fit(
                draws=250, tune=300, chains=2, seed=int(rng.integers(2**31)), progress=False
            )
        draws = {
            "Intercept": fit.posterior["beta"].sel(coef="Intercept"),
            "x": fit.posterior["beta"].sel(coef="x"),
            "sd": fit.posterior["sd_unit"],
            **{item.name: fit.posterior[item.name] for item in FAMILIES[family].parameters},
        }
        for name, values in draws.items():
            lower, upper = np.quantile(values.values, [(1 - PROB) / 2, (1 + PROB) / 2])
            hits[name] = hits.get(name, 0) + int(lower <= truth[name] <= upper)
    return hits


@pytest.mark.slow
@pytest.mark.parametrize("family", DURATIONS)
def test_intervals_hold_the_truth(family: str) -> None:
    hits = covered(family, seed=11)
    lowest, highest = stats.binom.ppf([0.0005, 0.9995], TABLES, PROB)
    for name, count in hits.items():
        assert lowest <= count <= highest, f"{name}: {count} of {TABLES}"
