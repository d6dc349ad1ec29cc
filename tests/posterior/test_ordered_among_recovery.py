"""An ordered outcome beside a score, by sampling: how often intervals of 100 tables hold the truth.

Truths come from the prior, so an interval of 89 % holds them in 89 % of tables on average. The band
is the binomial's of 99.9 %: 78 to 97 of 100 tables.
"""

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from tests.posterior.recovery import Tally

pytestmark = pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning")

FAMILIES = {"score": "gaussian", "grade": "ordinal"}
LABELS = ["low", "mid", "high"]
PRIORS = {
    "Intercept": "Normal(0, 1)",
    "beta": "Normal(0, 1)",
    "sd_unit": "HalfNormal(1)",
    "sigma": "HalfNormal(1)",
    "cutpoints": "Normal(0, 1)",
}
TABLES, UNITS, SIZE = 100, 20, 8
SEED = 31_700


def simulated(rng: np.random.Generator) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return scores and grades of rows in units, a fifth missing, and the truths by name."""
    beta, sd = rng.normal(size=(2, 2)), np.abs(rng.normal(size=2))
    sigma, cutpoints = abs(rng.normal()), np.sort(rng.normal(size=2))
    # The correlation of two terms under LKJ(2): a Beta(2, 2) stretched to (-1, 1).
    corr = 2 * rng.beta(2, 2) - 1
    unit = np.repeat(np.arange(UNITS), SIZE)
    x = rng.normal(size=len(unit)) + rng.normal(size=UNITS)[unit]
    covariance = np.outer(sd, sd) * np.array([[1, corr], [corr, 1]])
    u = rng.multivariate_normal([0, 0], covariance, size=UNITS)
    seen = rng.random((2, len(unit))) > 0.2
    # The priors of intercept and cutpoints hold at the mean of x over the outcome's own rows.
    means = [x[own].mean() for own in seen]
    score = rng.normal(beta[0, 0] + beta[0, 1] * (x - means[0]) + u[unit, 0], sigma)
    latent = beta[1, 1] * (x - means[1]) + u[unit, 1] + rng.logistic(size=len(unit))
    grade = np.array(LABELS, dtype=object)[(latent[:, None] > cutpoints).sum(axis=1)]
    frame = pd.DataFrame(
        {
            "unit": unit,
            "x": x,
            "score": np.where(seen[0], score, np.nan),
            "grade": np.where(seen[1], grade, None),
        }
    )
    shift = beta[1, 1] * means[1]
    return frame, {
        "beta[score:x]": beta[0, 1],
        "beta[grade:x]": beta[1, 1],
        "sd_unit[score:Intercept]": sd[0],
        "sd_unit[grade:Intercept]": sd[1],
        "corr_unit[score:Intercept, grade:Intercept]": corr,
        "sigma[score]": sigma,
        "cutpoints_grade[low|mid]": cutpoints[0] + shift,
        "cutpoints_grade[mid|high]": cutpoints[1] + shift,
    }


@pytest.mark.slow
@pytest.mark.sampling
@pytest.mark.timeout(7200)
def test_intervals_hold_the_truth() -> None:
    """A table that lacks a category is drawn again: what depends on the outcome alone may."""
    rng = np.random.default_rng(SEED)
    tally = Tally()
    for number in range(TABLES):
        frame, truths = simulated(rng)
        while frame["grade"].nunique() < len(LABELS):
            tally.trouble["drawn again"] += 1
            frame, truths = simulated(rng)
        model = bml.multivariate(
            frame,
            "x",
            outcomes=list(FAMILIES),
            family=FAMILIES,
            group="unit",
            categories={"grade": LABELS},
            priors=PRIORS,
            parametrisation="non-centred",
        )
        fit = model.fit(draws=150, tune=150, chains=2, seed=number, progress=False)
        tally.count(fit, truths)
    print(dict(tally.held), dict(tally.trouble))
    assert len(tally.held) == len(truths)
    assert tally.outside(TABLES) == {}
