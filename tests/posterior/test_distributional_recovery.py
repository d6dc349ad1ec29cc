"""How often intervals of formulas for sigma, zi and the like hold the truth, over simulated tables.

Truths come from the prior, so an interval of 89 % holds them in 89 % of tables on average, whatever
the sample size. The band is the binomial's of 99.9 %: 78 to 97 of 100 tables. Outcomes are
simulated here with NumPy, not by the toolkit.
"""

import numpy as np
import pytest

import bayesml as bml
from tests.posterior.recovery import Simulator, Truths, coverage
from tests.posterior.recovery_tables import (
    FIXED,
    ROWS,
    VARYING,
    fixed_part,
    rows_of_units,
    varying_intercept,
)

TABLES = 100
SEED = 41_000


def heteroscedastic(rng: np.random.Generator) -> tuple[bml.Model, Truths]:
    """A residual SD for each of two kinds of rows."""
    table = rows_of_units(rng)
    eta, truths = fixed_part(table, rng)
    effects, of_units = varying_intercept(table, rng)
    table["kind"] = np.where(rng.uniform(size=ROWS) < 0.4, "a", "b")
    second = (table["kind"] == "b").to_numpy().astype(float)
    at_mean, difference = rng.normal(-0.5, 0.5), rng.normal(0, 0.5)
    log_sigma = at_mean + difference * (second - second.mean())
    table["y"] = eta + effects + np.exp(log_sigma) * rng.normal(size=ROWS)
    model = bml.two_level(
        table,
        "y ~ x",
        group="unit",
        distributional={"sigma": "~ kind"},
        priors=FIXED
        | VARYING
        | {"Intercept_sigma": "Normal(-0.5, 0.5)", "beta_sigma": "Normal(0, 0.5)"},
    )
    return model, truths | of_units | {
        "beta_sigma[Intercept]": at_mean - difference * second.mean(),
        "beta_sigma[kind[b]]": difference,
    }


def location_scale(rng: np.random.Generator) -> tuple[bml.Model, Truths]:
    """A residual SD that depends on x and varies over units, uncorrelated with the intercept."""
    table = rows_of_units(rng)
    eta, truths = fixed_part(table, rng)
    effects, of_units = varying_intercept(table, rng)
    of_sigma, of_spread = varying_intercept(table, rng, "sigma:Intercept")
    intercept, slope = rng.normal(-0.5, 0.5), rng.normal(0, 0.5)
    log_sigma = intercept + slope * table["x"].to_numpy() + of_sigma
    table["y"] = eta + effects + np.exp(log_sigma) * rng.normal(size=ROWS)
    model = bml.two_level(
        table,
        "y ~ x",
        group="unit",
        distributional={"sigma": "~ x + (1 | unit)"},
        priors=FIXED
        | {
            "sd_unit[Intercept]": "HalfNormal(0.7)",
            "sd_unit[sigma:Intercept]": "HalfNormal(0.7)",
            "Intercept_sigma": "Normal(-0.5, 0.5)",
            "beta_sigma": "Normal(0, 0.5)",
        },
    )
    return model, truths | of_units | of_spread | {
        "beta_sigma[Intercept]": intercept,
        "beta_sigma[x]": slope,
    }


def varying_shape(rng: np.random.Generator) -> tuple[bml.Model, Truths]:
    """Gamma outcomes whose shape depends on x."""
    table = rows_of_units(rng)
    eta, truths = fixed_part(table, rng)
    effects, of_units = varying_intercept(table, rng)
    intercept, slope = rng.normal(0.8, 0.3), rng.normal(0, 0.5)
    shape = np.exp(intercept + slope * table["x"].to_numpy())
    table["y"] = rng.gamma(shape, np.exp(eta + effects) / shape)
    model = bml.two_level(
        table,
        "y ~ x",
        group="unit",
        family="gamma",
        distributional={"shape": "~ x"},
        priors=FIXED
        | VARYING
        | {"Intercept_shape": "Normal(0.8, 0.3)", "beta_shape": "Normal(0, 0.5)"},
    )
    return model, truths | of_units | {
        "beta_shape[Intercept]": intercept,
        "beta_shape[x]": slope,
    }


def varying_precision(rng: np.random.Generator) -> tuple[bml.Model, Truths]:
    """Beta outcomes whose precision depends on x."""
    table = rows_of_units(rng)
    eta, truths = fixed_part(table, rng)
    effects, of_units = varying_intercept(table, rng)
    intercept, slope = rng.normal(2.0, 0.3), rng.normal(0, 0.3)
    phi = np.exp(intercept + slope * table["x"].to_numpy())
    mean = 1 / (1 + np.exp(-eta - effects))
    # A share that rounds to 0 or 1 is no beta outcome; such draws are far fewer than one a table.
    table["y"] = np.clip(rng.beta(mean * phi, (1 - mean) * phi), 1e-12, 1 - 1e-12)
    model = bml.two_level(
        table,
        "y ~ x",
        group="unit",
        family="beta",
        distributional={"phi": "~ x"},
        priors=FIXED | VARYING | {"Intercept_phi": "Normal(2, 0.3)", "beta_phi": "Normal(0, 0.3)"},
    )
    return model, truths | of_units | {"beta_phi[Intercept]": intercept, "beta_phi[x]": slope}


def varying_zeros(rng: np.random.Generator) -> tuple[bml.Model, Truths]:
    """Counts with further zeros, whose share depends on x."""
    table = rows_of_units(rng)
    eta, truths = fixed_part(table, rng)
    effects, of_units = varying_intercept(table, rng)
    intercept, slope = rng.normal(-0.5, 0.7), rng.normal(0, 0.7)
    share = 1 / (1 + np.exp(-intercept - slope * table["x"].to_numpy()))
    table["y"] = rng.poisson(np.exp(eta + effects)) * (rng.uniform(size=ROWS) >= share)
    model = bml.two_level(
        table,
        "y ~ x",
        group="unit",
        family="zero_inflated_poisson",
        distributional={"zi": "~ x"},
        priors=FIXED | VARYING | {"Intercept_zi": "Normal(-0.5, 0.7)", "beta_zi": "Normal(0, 0.7)"},
    )
    return model, truths | of_units | {"beta_zi[Intercept]": intercept, "beta_zi[x]": slope}


CASES: tuple[Simulator, ...] = (
    heteroscedastic,
    location_scale,
    varying_shape,
    varying_precision,
    varying_zeros,
)


@pytest.mark.slow
@pytest.mark.sampling
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning")
@pytest.mark.parametrize("simulate", CASES, ids=lambda case: case.__name__)
def test_intervals_hold_the_truth_as_often_as_they_say(simulate: Simulator) -> None:
    assert coverage(simulate, TABLES, SEED).outside(TABLES) == {}
