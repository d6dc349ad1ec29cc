"""How often intervals of correlated residuals hold the truth, over tables drawn from the prior.

Outcomes are simulated here, occasion by occasion or from a covariance, not by the toolkit.
"""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from bayesml.quantities.correlation_matrices import draw_lkj
from tests.posterior.test_coverage import band

TABLES = 100
SEED = 31_000
PRIORS = {"Intercept": "Normal(0, 1)", "beta": "Normal(0, 1)", "sigma": "HalfNormal(1)"}
Truths = dict[str, float]


def autoregressive_table(rng: np.random.Generator) -> tuple[pd.DataFrame, Truths]:
    """Return 12 units of 8 occasions, some missing, with an intercept that varies."""
    unit, week = np.repeat(np.arange(12), 8), np.tile(np.arange(8), 12)
    x = rng.normal(size=96)
    beta, sd = rng.normal(size=2), abs(rng.normal())
    sigma, phi = abs(rng.normal()), float(stats.truncnorm(-2, 2, scale=0.5).rvs(random_state=rng))
    error = np.empty((12, 8))
    error[:, 0] = sigma * rng.normal(size=12)
    for at in range(1, 8):
        error[:, at] = phi * error[:, at - 1] + sigma * np.sqrt(1 - phi**2) * rng.normal(size=12)
    kept = np.sort(rng.permutation(96)[:84])
    # The model's intercept is the one at the mean of x over the rows used.
    eta = beta[0] + beta[1] * (x - x[kept].mean()) + (sd * rng.normal(size=12))[unit]
    table = pd.DataFrame({"y": eta + error.ravel(), "x": x, "unit": unit, "week": week})
    truths = {"beta[x]": beta[1], "sd_unit[Intercept]": sd, "sigma": sigma, "phi": phi}
    return table.iloc[kept], truths


def unstructured_table(rng: np.random.Generator) -> tuple[pd.DataFrame, Truths]:
    """Return 40 units of 3 occasions, some missing, with any covariance."""
    unit, week = np.repeat(np.arange(40), 3), np.tile(np.arange(3), 40)
    x = rng.normal(size=120)
    beta, sigma = rng.normal(size=2), np.abs(rng.normal(size=3))
    factor = draw_lkj(rng, 2.0, 3, 1)[0]
    error = rng.normal(size=(40, 3)) @ (sigma[:, None] * factor).T
    kept = np.sort(rng.permutation(120)[:105])
    eta = beta[0] + beta[1] * (x - x[kept].mean())
    table = pd.DataFrame({"y": eta + error.ravel(), "x": x, "unit": unit, "week": week})
    corr = factor @ factor.T
    truths = {"beta[x]": beta[1]}
    truths |= {f"sigma[{number}]": float(sigma[number]) for number in range(3)}
    pairs = [(0, 1), (0, 2), (1, 2)]
    return table.iloc[kept], truths | {f"corr_residual[{i}, {j}]": corr[i, j] for i, j in pairs}


Simulator = Callable[[np.random.Generator], tuple[pd.DataFrame, Truths]]
CASES: dict[str, tuple[Simulator, str, dict[str, str]]] = {
    "ar1(week, unit)": (autoregressive_table, " + (1 | unit)", {"sd_unit": "HalfNormal(1)"}),
    "unstructured(week, unit)": (unstructured_table, "", {}),
}


@pytest.mark.slow
@pytest.mark.sampling
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("text", CASES)
def test_intervals_hold_the_truth(text: str) -> None:
    simulate, bars, priors = CASES[text]
    rng = np.random.default_rng(SEED)
    hits: Counter[str] = Counter()
    for number in range(TABLES):
        table, truths = simulate(rng)
        model = bml.model(table, f"y ~ x{bars}", residual=text, priors={**PRIORS, **priors})
        fit = model.fit(draws=300, tune=400, chains=2, seed=number, progress=False)
        found = bml.summary(fit)
        hits.update(
            name
            for name, truth in truths.items()
            if found.loc[name, "lower"] <= truth <= found.loc[name, "upper"]
        )
    low, high = band(TABLES)
    assert {name: hits[name] for name in truths if not low <= hits[name] <= high} == {}, hits
