"""How often intervals of shares, ratios and R2 hold the truth, over tables drawn from the prior.

Truths come from the prior, so an interval of 89 % holds them in 89 % of tables on average, whatever
the sample size. The band is the binomial's of 99.9 %: 162 to 191 of 200 tables.
"""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from bayesml.records.fits import Fit

TABLES = 200
SEED = 20_240
RUN = {"chains": 2, "progress": False}


def band(tables: int, prob: float = 0.89) -> tuple[float, float]:
    """Return the numbers of intervals that hold the truth with probability 99.9 %."""
    low, high = stats.binom(tables, prob).interval(0.999)
    return float(low), float(high)


def test_the_band_is_that_of_the_binomial() -> None:
    low, high = band(200)
    assert (low / 200, high / 200) == pytest.approx((0.81, 0.955), abs=0.006)


def held(table: pd.DataFrame, truth: float) -> bool:
    """Whether the only row of a table holds the truth."""
    (row,) = table.to_dict("records")
    return bool(row["lower"] <= truth <= row["upper"])


def gaussian_table(rng: np.random.Generator) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return 15 units of 6 rows with a slope that varies, and the truths of the shares."""
    units, rows = np.repeat(np.arange(15), 6), 90
    x = rng.normal(size=rows) + rng.normal(size=15)[units]
    beta = rng.normal(size=2)
    sd, sigma = np.abs(rng.normal(size=2)), np.abs(rng.normal())
    u = rng.normal(size=(15, 2)) * sd
    # The model's intercept is the one at the mean of x.
    fitted = beta[0] + beta[1] * (x - x.mean()) + u[units, 0] + x * u[units, 1]
    table = pd.DataFrame({"y": fitted + sigma * rng.normal(size=rows), "x": x, "unit": units})
    fixed = beta[1] ** 2 * x.var(ddof=1)
    varying = (sd[0] ** 2 + x**2 * sd[1] ** 2).mean()
    total = fixed + varying + sigma**2
    means = table.groupby("unit")["x"].transform("mean").to_numpy()
    truths = {
        "vpc": sd[0] ** 2 / (sd[0] ** 2 + sigma**2),
        "marginal": fixed / total,
        "conditional": (fixed + varying) / total,
        "within": beta[1] ** 2 * (x - means).var(ddof=1) / total,
        "between": beta[1] ** 2 * means.var(ddof=1) / total,
        "slopes": sd[1] ** 2 * (x - means).var() / total,
        "bayes": fitted.var(ddof=1) / (fitted.var(ddof=1) + sigma**2),
    }
    return table, truths


def gaussian_intervals(fit: Fit) -> Mapping[str, pd.DataFrame]:
    shares = bml.vpc(fit, at={"x": 0})
    marginal = bml.r2(fit).set_index("part")
    parts = bml.r2(fit, method="rights_sterba")
    parts = parts[parts["of"] == "total"].set_index("part")
    return {
        "vpc": shares[shares["grouping"] == "unit"],
        "marginal": marginal.loc[["marginal"]],
        "conditional": marginal.loc[["conditional"]],
        **{name: parts.loc[[name]] for name in ("within", "between", "slopes")},
        "bayes": bml.r2(fit, method="bayes"),
    }


@pytest.mark.slow
@pytest.mark.sampling
def test_shares_and_r2_of_gaussian_models_hold_the_truth() -> None:
    rng = np.random.default_rng(SEED)
    hits: Counter[str] = Counter()
    for number in range(TABLES):
        table, truths = gaussian_table(rng)
        model = bml.model(
            table,
            "y ~ x + (x || unit)",
            priors={
                "Intercept": "Normal(0, 1)",
                "beta": "Normal(0, 1)",
                "sd_unit": "HalfNormal(1)",
                "sigma": "HalfNormal(1)",
            },
        )
        fit = model.fit(draws=500, tune=500, seed=number, **RUN)
        found = gaussian_intervals(fit)
        hits.update(name for name, truth in truths.items() if held(found[name], truth))
    low, high = band(TABLES)
    assert {name: hits[name] for name in truths if not low <= hits[name] <= high} == {}


@pytest.mark.slow
@pytest.mark.sampling
@pytest.mark.timeout(3600)
def test_median_odds_ratios_hold_the_truth() -> None:
    rng = np.random.default_rng(SEED + 1)
    units = np.repeat(np.arange(20), 8)
    hits: Counter[str] = Counter()
    for number in range(TABLES):
        intercept, sd = rng.normal(), np.abs(rng.normal())
        u = sd * rng.normal(size=20)
        p = 1 / (1 + np.exp(-intercept - u[units]))
        table = pd.DataFrame({"y": rng.binomial(1, p), "unit": units})
        model = bml.two_level(
            table,
            "y ~ 1",
            group="unit",
            family="binomial",
            priors={"Intercept": "Normal(0, 1)", "sd_unit": "HalfNormal(1)"},
        )
        fit = model.fit(draws=500, tune=500, seed=number, **RUN)
        response = bml.vpc(fit, scale="response")
        points, weights = np.polynomial.hermite_e.hermegauss(80)
        weights /= weights.sum()
        chances = 1 / (1 + np.exp(-intercept - sd * points))
        mean = weights @ chances
        truths = {
            "ratio": np.exp(np.sqrt(2) * sd * stats.norm.ppf(0.75)),
            "latent": sd**2 / (sd**2 + np.pi**2 / 3),
            "response": (weights @ chances**2 - mean**2) / (mean * (1 - mean)),
        }
        found = {
            "ratio": bml.median_odds_ratio(fit),
            "latent": bml.vpc(fit).iloc[:1],
            "response": response.iloc[:1],
        }
        hits.update(name for name, truth in truths.items() if held(found[name], truth))
    low, high = band(TABLES)
    assert {name: hits[name] for name in truths if not low <= hits[name] <= high} == {}
