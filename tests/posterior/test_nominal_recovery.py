"""How often intervals of nominal models hold the truth, over tables drawn from the prior.

Truths come from the prior, so an interval of 89 % holds them in 89 % of tables on average, whatever
the sample size. The band is the binomial's of 99.9 %: 78 to 97 of 100 tables.
"""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import bayesml as bml
from tests.posterior.recovery import Tally

TABLES = 100
SEED = 20_261
UNITS, SIZE = 10, 15
WAYS = ("a", "b", "c")
RUN = {"draws": 150, "tune": 150, "chains": 2, "progress": False}
PRIORS = {
    "Intercept": "Normal(0, 0.7)",
    "beta": "Normal(0, 0.7)",
    "sd": "HalfNormal(0.7)",
    "corr_unit": "LKJ(2)",
}


def simulated(rng: np.random.Generator) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return a table of ten units of fifteen rows, and the truths by the name in the summary."""
    unit = np.repeat(np.arange(UNITS), SIZE)
    x = rng.normal(size=unit.size)
    # The model's intercept is the one at the mean of x.
    x -= x.mean()
    beta = rng.normal(0, 0.7, size=(2, 2))
    sd = np.abs(rng.normal(0, 0.7, size=2))
    # LKJ(2) of two terms: (r + 1) / 2 is Beta(2, 2).
    r = 2 * stats.beta(2, 2).rvs(random_state=rng) - 1
    u = rng.multivariate_normal(np.zeros(2), np.outer(sd, sd) * [[1, r], [r, 1]], size=UNITS)
    scores = np.zeros((unit.size, 3))
    scores[:, 1:] = beta[:, 0] + np.outer(x, beta[:, 1]) + u[unit]
    shares = special.softmax(scores, axis=1)
    way = [rng.choice(WAYS, p=own) for own in shares]
    truths = {"corr_unit[b:Intercept, c:Intercept]": r}
    for place, name in enumerate(WAYS[1:]):
        truths |= {
            f"beta[{name}:Intercept]": beta[place, 0],
            f"beta[{name}:x]": beta[place, 1],
            f"sd_unit[{name}:Intercept]": sd[place],
        }
    return pd.DataFrame({"way": way, "x": x, "unit": unit}), truths


def coverage(tables: int) -> Tally:
    """Return how many intervals hold each truth."""
    rng = np.random.default_rng(SEED)
    tally = Tally()
    for number in range(tables):
        table, truths = simulated(rng)
        # A table without one of the categories says nothing of it: drawn again, as others are.
        while table["way"].nunique() < len(WAYS):
            table, truths = simulated(rng)
        model = bml.two_level(
            table,
            "way ~ x",
            group="unit",
            family="categorical",
            categories=list(WAYS),
            priors=PRIORS,
            parametrisation="non-centred",
        )
        tally.count(model.fit(seed=number, **RUN), truths)
    return tally


@pytest.mark.slow
@pytest.mark.sampling
@pytest.mark.timeout(3600)
def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    assert coverage(TABLES).outside(TABLES) == {}
