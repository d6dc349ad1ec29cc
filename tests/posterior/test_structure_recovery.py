"""How often intervals of every structure's parameters hold the truth, over tables from the prior.

Truths come from the prior, so an interval of 89 % holds them in 89 % of tables on average, whatever
the sample size. The band is the binomial's of 99.9 %: 78 to 97 of 100 tables. Outcomes are
simulated here with NumPy, not by the toolkit.
"""

from math import gamma

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from tests.posterior.recovery import Simulator, Truths, coverage
from tests.posterior.recovery_tables import (
    FIXED,
    ROWS,
    SIZE,
    UNITS,
    VARYING,
    fixed_part,
    rows_of_units,
    varying_intercept,
)

TABLES = 100
SEED = 41_000


def compound_symmetric(rng: np.random.Generator) -> tuple[bml.Model, Truths]:
    """Residuals of a unit with one correlation, which may be negative."""
    table = rows_of_units(rng)
    eta, truths = fixed_part(table, rng)
    sigma, corr = abs(rng.normal(0, 0.7)), rng.uniform(-1 / (SIZE - 1), 1)
    matrix = (1 - corr) * np.eye(SIZE) + corr
    table["y"] = (
        eta + sigma * (rng.normal(size=(UNITS, SIZE)) @ np.linalg.cholesky(matrix).T).ravel()
    )
    model = bml.model(
        table,
        "y ~ x",
        residual="compound_symmetric(unit)",
        priors=FIXED | {"sigma": "HalfNormal(0.7)"},
    )
    return model, truths | {"sigma": sigma, "corr_residual": corr}


def continuous_autoregressive(rng: np.random.Generator) -> tuple[bml.Model, Truths]:
    """Residuals at irregular times, whose correlation is phi to the power of the time between."""
    table = rows_of_units(rng)
    eta, truths = fixed_part(table, rng)
    effects, of_units = varying_intercept(table, rng)
    sigma, phi = abs(rng.normal(0, 0.7)), rng.beta(2, 2)
    table["time"] = np.cumsum(rng.exponential(size=(UNITS, SIZE)) + 0.05, axis=1).ravel()
    error = np.empty(ROWS)
    for start in range(0, ROWS, SIZE):
        times = table["time"].to_numpy()[start : start + SIZE]
        matrix = phi ** np.abs(times[:, None] - times)
        error[start : start + SIZE] = np.linalg.cholesky(matrix) @ rng.normal(size=SIZE)
    table["y"] = eta + effects + sigma * error
    model = bml.two_level(
        table,
        "y ~ x",
        group="unit",
        residual="continuous_ar(time, unit)",
        priors=FIXED | VARYING | {"sigma": "HalfNormal(0.7)", "phi": "Beta(2, 2)"},
    )
    return model, truths | of_units | {"sigma": sigma, "phi": phi}


def two_outcomes(rng: np.random.Generator) -> tuple[bml.Model, Truths]:
    """Two Gaussian outcomes with correlated effects and residuals, one of them often missing."""
    table = rows_of_units(rng)
    seen = np.sort(rng.permutation(ROWS)[:70])
    truths: Truths = {}
    sd, corr = np.abs(rng.normal(0, 0.7, 2)), 2 * rng.beta(2, 2) - 1
    sigma, of_rows = np.abs(rng.normal(0, 0.7, 2)), 2 * rng.beta(2, 2) - 1
    effects = _pairs(rng, UNITS, sd, corr)[table["unit"].to_numpy()]
    errors = _pairs(rng, ROWS, sigma, of_rows)
    for number, name in enumerate(("first", "second")):
        rows = seen if number else np.arange(ROWS)
        intercept, slope = rng.normal(0.3, 0.5), rng.normal(0, 0.5)
        x = table["x"].to_numpy()
        value = intercept + slope * (x - x[rows].mean()) + effects[:, number] + errors[:, number]
        table[name] = np.nan
        table.loc[rows, name] = value[rows]
        truths |= {
            f"beta[{name}:x]": slope,
            f"sd_unit[{name}:Intercept]": sd[number],
            f"sigma[{name}]": sigma[number],
        }
    truths |= {
        "corr_unit[first:Intercept, second:Intercept]": corr,
        "corr_residual[first, second]": of_rows,
    }
    model = bml.multivariate(
        table,
        "x",
        outcomes=["first", "second"],
        group="unit",
        priors=FIXED | VARYING | {"sigma": "HalfNormal(0.7)"},
    )
    return model, truths


def _pairs(rng: np.random.Generator, number: int, sd: np.ndarray, corr: float) -> np.ndarray:
    """Return pairs of normal draws, shape (number, 2)."""
    first, second = rng.normal(size=(2, number))
    return np.column_stack([first, corr * first + np.sqrt(1 - corr**2) * second]) * sd


def _dyads(rng: np.random.Generator, distinguishable: bool) -> tuple[bml.Model, Truths]:
    dyads = 45
    table = pd.DataFrame(
        {"dyad": np.repeat(np.arange(dyads), 2), "role": np.tile(["a", "b"], dyads)}
    )
    x = rng.normal(size=(dyads, 2))
    x -= x.mean(axis=0)
    table["x"] = x.ravel()
    if not distinguishable:
        eta, truths = fixed_part(table, rng)
        sigma, corr = abs(rng.normal(0, 0.7)), rng.uniform(-1, 1)
        table["y"] = eta + _pairs(rng, dyads, np.full(2, sigma), corr).ravel()
        model = bml.dyadic(table, "y ~ x", dyad="dyad", priors=FIXED | {"sigma": "HalfNormal(0.7)"})
        return model, truths | {"sigma": sigma, "corr_residual": corr}
    sds, corr = np.abs(rng.normal(0, 0.7, 2)), 2 * rng.beta(2, 2) - 1
    intercepts, slopes = rng.normal(0.3, 0.5, 2), rng.normal(0, 0.5, 2)
    table["y"] = (intercepts + slopes * x + _pairs(rng, dyads, sds, corr)).ravel()
    model = bml.dyadic(
        table,
        "y ~ x",
        dyad="dyad",
        member="role",
        priors=FIXED | {"sigma": "HalfNormal(0.7)"},
    )
    truths = {"corr_residual[a, b]": corr}
    for number, name in enumerate("ab"):
        truths |= {
            f"beta[{name}:Intercept]": intercepts[number],
            f"beta[{name}:x]": slopes[number],
            f"sigma[{name}]": sds[number],
        }
    return model, truths


def exchangeable_dyads(rng: np.random.Generator) -> tuple[bml.Model, Truths]:
    """Pairs whose members are not told apart."""
    return _dyads(rng, distinguishable=False)


def distinguishable_dyads(rng: np.random.Generator) -> tuple[bml.Model, Truths]:
    """Pairs with a role for each member."""
    return _dyads(rng, distinguishable=True)


def student_effects(rng: np.random.Generator) -> tuple[bml.Model, Truths]:
    """Units with Student-t effects, whose SD is reported."""
    table = rows_of_units(rng)
    eta, truths = fixed_part(table, rng)
    sd, sigma, nu = abs(rng.normal(0, 0.7)), abs(rng.normal(0, 0.7)), 2 + rng.gamma(2, 10)
    effects = sd * np.sqrt((nu - 2) / nu) * rng.standard_t(nu, size=UNITS)
    table["y"] = eta + effects[table["unit"].to_numpy()] + sigma * rng.normal(size=ROWS)
    model = bml.two_level(
        table,
        "y ~ x",
        group="unit",
        effects="student",
        priors=FIXED | VARYING | {"sigma": "HalfNormal(0.7)"},
    )
    return model, truths | {"sd_unit[Intercept]": sd, "sigma": sigma, "nu_unit": nu}


def _weibull(rng: np.random.Generator, kind: str) -> tuple[bml.Model, Truths]:
    table = rows_of_units(rng)
    eta, truths = fixed_part(table, rng)
    effects, of_units = varying_intercept(table, rng)
    shape = rng.gamma(4, 1 / 2)
    # exp(eta) is the mean, as in brms.
    time = np.exp(eta + effects) / gamma(1 + 1 / shape) * rng.weibull(shape, size=ROWS)
    if kind == "left":
        first = rng.exponential(0.7, size=ROWS)
        table["time"], table["seen"] = np.maximum(time, first), (time > first).astype(int)
        outcome = 'surv(time, seen, kind="left")'
    else:
        width = rng.uniform(0.2, 1.5, size=ROWS)
        table["low"] = width * np.floor(time / width)
        table["high"] = table["low"] + width
        # The last visit was the third: later ends are open.
        late = table["low"] >= 3 * width
        table.loc[late, "low"] = 3 * width[late]
        table.loc[late, "high"] = np.nan
        outcome = 'surv(low, high, kind="interval")'
    model = bml.two_level(
        table,
        f"{outcome} ~ x",
        group="unit",
        family="weibull",
        priors=FIXED | VARYING | {"shape": "Gamma(4, 2)"},
    )
    return model, truths | of_units | {"shape": shape}


def kinds_with_counts(rng: np.random.Generator) -> tuple[bml.Model, Truths]:
    """Counts in units of two kinds, each with an SD of its own."""
    table = rows_of_units(rng)
    eta, truths = fixed_part(table, rng)
    sds = np.abs(rng.normal(0, 0.7, 2))
    kind = np.arange(UNITS) % 2
    effects = sds[kind] * rng.normal(size=UNITS)
    table["kind"] = np.where(kind, "b", "a")[table["unit"]]
    table["y"] = rng.poisson(np.exp(eta + effects[table["unit"]]))
    model = bml.two_level(
        table,
        "y ~ x",
        group="unit",
        family="poisson",
        by={"unit": "kind"},
        priors=FIXED | VARYING,
    )
    truths |= {"sd_unit[a:Intercept]": sds[0], "sd_unit[b:Intercept]": sds[1]}
    return model, truths


def growth_on_two_levels(rng: np.random.Generator) -> tuple[bml.Model, Truths]:
    """Occasions of children in schools; growth varies over both, with a correlation on each."""
    schools, children, occasions = 12, 36, 4
    child = np.repeat(np.arange(children), occasions)
    school = child // 3
    year = np.tile(np.arange(occasions), children)
    at_mean, slope, sigma = rng.normal(0.3, 0.5), rng.normal(0, 0.5), abs(rng.normal(0, 0.7))
    y = at_mean + slope * (year - year.mean()) + sigma * rng.normal(size=len(child))
    truths = {"beta[year]": slope, "sigma": sigma}
    for name, unit, units in (("child", child, children), ("school", school, schools)):
        sd, corr = np.abs(rng.normal(0, 0.7, 2)), 2 * rng.beta(2, 2) - 1
        effects = _pairs(rng, units, sd, corr)[unit]
        y += effects[:, 0] + year * effects[:, 1]
        truths |= {
            f"sd_{name}[Intercept]": sd[0],
            f"sd_{name}[year]": sd[1],
            f"corr_{name}[Intercept, year]": corr,
        }
    model = bml.three_level(
        pd.DataFrame({"y": y, "year": year, "child": child, "school": school}),
        "y ~ year",
        groups=["child", "school"],
        slopes={"child": ["year"], "school": ["year"]},
        priors=FIXED
        | {"sd_child": "HalfNormal(0.7)", "sd_school": "HalfNormal(0.7)"}
        | {"sigma": "HalfNormal(0.7)"},
    )
    return model, truths


def left_censored(rng: np.random.Generator) -> tuple[bml.Model, Truths]:
    """Durations some of which had ended when they were first looked at."""
    return _weibull(rng, "left")


def interval_censored(rng: np.random.Generator) -> tuple[bml.Model, Truths]:
    """Durations known to lie between two visits, or after the last."""
    return _weibull(rng, "interval")


CASES: tuple[Simulator, ...] = (
    compound_symmetric,
    continuous_autoregressive,
    two_outcomes,
    exchangeable_dyads,
    distinguishable_dyads,
    student_effects,
    kinds_with_counts,
    growth_on_two_levels,
    left_censored,
    interval_censored,
)


@pytest.mark.slow
@pytest.mark.sampling
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning")
@pytest.mark.parametrize("simulate", CASES, ids=lambda case: case.__name__)
def test_intervals_hold_the_truth_as_often_as_they_say(simulate: Simulator) -> None:
    assert coverage(simulate, TABLES, SEED).outside(TABLES) == {}
