"""How often intervals of every family's parameters hold the truth, over tables from the prior.

Truths come from the prior, so an interval of 89 % holds them in 89 % of tables on average, whatever
the sample size. The band is the binomial's of 99.9 %: 78 to 97 of 100 tables. Outcomes come from
SciPy's distributions, not from the families' own simulators.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from bayesml.errors import TableError
from tests.family_rows import INVERSE, ROWS, FamilyRow
from tests.posterior.recovery import Tally

TABLES = 100
SEED = 20_260
UNITS, SIZE = 10, 10
RUN = {"draws": 150, "tune": 150, "chains": 2, "progress": False}

# Informative enough for 100 rows to be outcomes that one meets, and for no chain to get lost.
PRIORS: dict[str, tuple[str, Any]] = {
    "Intercept": ("Normal(0.3, 0.5)", stats.norm(0.3, 0.5)),
    "beta": ("Normal(0, 0.5)", stats.norm(0, 0.5)),
    "sd": ("HalfNormal(0.5)", stats.halfnorm(scale=0.5)),
    "sigma": ("HalfNormal(0.7)", stats.halfnorm(scale=0.7)),
    "nu": ("Gamma(4, 0.5)", stats.gamma(4, scale=2)),
    "shape": ("Gamma(6, 2)", stats.gamma(6, scale=1 / 2)),
    "phi": ("Gamma(6, 1)", stats.gamma(6)),
    "zi": ("Beta(2, 5)", stats.beta(2, 5)),
}
# One link of each family: that of the others enters in one place.
FAMILIES = [
    name
    for name, row in ROWS.items()
    if row.family not in ("gaussian", "binomial", "poisson")
    and row is next(other for other in ROWS.values() if other.family == row.family)
]


def simulated(row: FamilyRow, rng: np.random.Generator) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return a table of ten units of ten rows, and the truths by the name in the summary."""
    unit = np.repeat(np.arange(UNITS), SIZE)
    x = rng.normal(size=unit.size)
    # The model's intercept is the one at the mean of x.
    x -= x.mean()
    truth = {name: float(PRIORS[name][1].rvs(random_state=rng)) for name in ("Intercept", "beta")}
    sd = float(PRIORS["sd"][1].rvs(random_state=rng))
    parameters = {name: float(PRIORS[name][1].rvs(random_state=rng)) for name in row.parameters}
    trials = rng.integers(2, 12, size=unit.size)
    eta = truth["Intercept"] + truth["beta"] * x + (sd * rng.normal(size=UNITS))[unit]
    y = row.distribution(INVERSE[row.link](eta), parameters, trials).rvs(
        size=unit.size, random_state=rng
    )
    truths = {
        "beta[Intercept]": truth["Intercept"],
        "beta[x]": truth["beta"],
        "sd_unit[Intercept]": sd,
        **parameters,
    }
    return pd.DataFrame({"y": y, "x": x, "unit": unit, "trials": trials}), truths


def fitted(row: FamilyRow, rng: np.random.Generator, seed: int) -> tuple[Any, dict[str, float]]:
    """Return the fit of a table, and the truths.

    A table that the family refuses (a beta outcome that rounds to 1) is drawn again: what depends
    on the outcome alone leaves intervals as good as they are.
    """
    priors = {name: PRIORS[name][0] for name in ("Intercept", "beta", "sd", *row.parameters)}
    options: Mapping[str, Any] = {"trials": "trials"} if row.options.get("trials") else {}
    while True:
        table, truths = simulated(row, rng)
        try:
            model = bml.two_level(
                table, "y ~ x", group="unit", family=row.family, priors=priors, **options
            )
        except TableError:
            continue
        return model.fit(seed=seed, **RUN), truths


def coverage(row: FamilyRow, tables: int) -> Tally:
    """Return how many intervals hold each truth, and counts of what went wrong."""
    rng = np.random.default_rng(SEED)
    tally = Tally()
    for number in range(tables):
        fit, truths = fitted(row, rng, number)
        tally.count(fit, truths)
    return tally


@pytest.mark.slow
@pytest.mark.sampling
@pytest.mark.parametrize("name", FAMILIES)
def test_intervals_hold_the_truth_as_often_as_they_say(name: str) -> None:
    assert coverage(ROWS[name], TABLES).outside(TABLES) == {}
