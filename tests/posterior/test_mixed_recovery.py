"""Outcomes of different families by sampling: a known correlation, and intervals of 100 tables."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from tests.posterior.test_coverage import band

pytestmark = pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning")

FAMILIES = {"score": "gaussian", "passed": "binomial"}
PRIORS = {
    "Intercept": "Normal(0, 1)",
    "beta": "Normal(0, 1)",
    "sd_unit": "HalfNormal(1)",
    "sigma": "HalfNormal(1)",
}
TABLES = 100
SEED = 31_500


def mixed_table(
    rng: np.random.Generator,
    units: int,
    rows: int,
    beta: np.ndarray,
    sd: np.ndarray,
    corr: float,
    sigma: float,
) -> pd.DataFrame:
    """Return scores and passes of rows in units, a fifth missing; `beta` is at the mean of x."""
    unit = np.repeat(np.arange(units), rows)
    x = rng.normal(size=len(unit)) + rng.normal(size=units)[unit]
    covariance = np.outer(sd, sd) * np.array([[1, corr], [corr, 1]])
    u = rng.multivariate_normal([0, 0], covariance, size=units)
    frame = pd.DataFrame({"unit": unit, "x": x})
    for place, name in enumerate(FAMILIES):
        seen = rng.random(len(unit)) > 0.2
        # The prior of an intercept holds at the mean of x over the outcome's own rows.
        eta = beta[place] @ [np.ones(len(x)), x - x[seen].mean()] + u[unit, place]
        drawn = rng.normal(eta, sigma)
        if name == "passed":
            drawn = rng.binomial(1, 1 / (1 + np.exp(-eta))).astype(float)
        frame[name] = np.where(seen, drawn, np.nan)
    return frame


def mixed_model(frame: pd.DataFrame) -> bml.Model:
    return bml.multivariate(
        frame,
        "x",
        outcomes=list(FAMILIES),
        family=FAMILIES,
        group="unit",
        priors=PRIORS,
        parametrisation="non-centred",
    )


@pytest.mark.slow
@pytest.mark.sampling
@pytest.mark.timeout(1800)
def test_the_correlation_of_a_score_and_a_pass_is_found() -> None:
    beta, sd = np.array([[0.5, 1.0], [-0.3, 0.7]]), np.array([1.0, 1.2])
    frame = mixed_table(np.random.default_rng(7), 150, 15, beta, sd, 0.7, 1.0)
    fit = mixed_model(frame).fit(draws=500, tune=500, chains=2, seed=1, progress=False)
    table = bml.summary(fit)
    truths = {
        "corr_unit[score:Intercept, passed:Intercept]": 0.7,
        "sd_unit[score:Intercept]": 1.0,
        "sd_unit[passed:Intercept]": 1.2,
        "beta[score:x]": 1.0,
        "beta[passed:x]": 0.7,
        "sigma[score]": 1.0,
    }
    for name, truth in truths.items():
        # Three posterior SDs: six parameters of one table.
        assert abs(table.loc[name, "mean"] - truth) < 3 * table.loc[name, "sd"], name
    # 150 units tell the correlation apart from 0, and from 1.
    corr = table.loc["corr_unit[score:Intercept, passed:Intercept]"]
    assert 0.4 < corr["lower"] < corr["upper"] < 0.95
    # How much of the binary outcome's variance lies between units, on the latent scale.
    shares = bml.vpc(fit).set_index(["grouping", "outcome"])
    truth = sd[1] ** 2 / (sd[1] ** 2 + np.pi**2 / 3)
    assert shares.loc[("unit", "passed"), "mean"] == pytest.approx(truth, abs=0.1)


@pytest.mark.slow
@pytest.mark.sampling
@pytest.mark.timeout(3600)
def test_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(SEED)
    hits: Counter[str] = Counter()
    for number in range(TABLES):
        beta, sd, sigma = rng.normal(size=(2, 2)), np.abs(rng.normal(size=2)), abs(rng.normal())
        # The correlation of two terms under LKJ(2): a Beta(2, 2) stretched to (-1, 1).
        corr = 2 * rng.beta(2, 2) - 1
        frame = mixed_table(rng, 20, 8, beta, sd, corr, sigma)
        fit = mixed_model(frame).fit(draws=300, tune=300, chains=2, seed=number, progress=False)
        table = bml.summary(fit)
        shares = bml.vpc(fit).set_index(["grouping", "outcome"])
        rows = {
            "beta[score:x]": (table.loc["beta[score:x]"], beta[0, 1]),
            "beta[passed:x]": (table.loc["beta[passed:x]"], beta[1, 1]),
            "sd score": (table.loc["sd_unit[score:Intercept]"], sd[0]),
            "sd passed": (table.loc["sd_unit[passed:Intercept]"], sd[1]),
            "corr": (table.loc["corr_unit[score:Intercept, passed:Intercept]"], corr),
            "sigma": (table.loc["sigma[score]"], sigma),
            "vpc score": (shares.loc[("unit", "score")], sd[0] ** 2 / (sd[0] ** 2 + sigma**2)),
            "vpc passed": (
                shares.loc[("unit", "passed")],
                sd[1] ** 2 / (sd[1] ** 2 + np.pi**2 / 3),
            ),
        }
        hits.update(n for n, (row, truth) in rows.items() if row["lower"] <= truth <= row["upper"])
    low, high = band(TABLES)
    assert len(hits) == 8
    assert {name: count for name, count in hits.items() if not low <= count <= high} == {}
