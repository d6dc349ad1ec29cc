"""Rows, coefficients and effects drawn from their priors, for tables of known truth."""

import numpy as np
import pandas as pd

from tests.posterior.recovery import Truths

UNITS, SIZE = 15, 6
ROWS = UNITS * SIZE
FIXED = {"Intercept": "Normal(0.3, 0.5)", "beta": "Normal(0, 0.5)"}
VARYING = {"sd_unit": "HalfNormal(0.7)"}


def rows_of_units(rng: np.random.Generator) -> pd.DataFrame:
    """Return units of six rows; the predictor's mean is 0, where the intercept's prior holds."""
    x = rng.normal(size=ROWS)
    return pd.DataFrame({"unit": np.repeat(np.arange(UNITS), SIZE), "x": x - x.mean()})


def fixed_part(table: pd.DataFrame, rng: np.random.Generator) -> tuple[np.ndarray, Truths]:
    """Return the linear predictor of the fixed part, and its coefficients."""
    intercept, slope = rng.normal(0.3, 0.5), rng.normal(0, 0.5)
    eta = intercept + slope * table["x"].to_numpy()
    return eta, {"beta[Intercept]": intercept, "beta[x]": slope}


def varying_intercept(
    table: pd.DataFrame, rng: np.random.Generator, label: str = "Intercept"
) -> tuple[np.ndarray, Truths]:
    """Return an effect of the units by row, and its SD."""
    sd = abs(rng.normal(0, 0.7))
    effects = sd * rng.normal(size=UNITS)
    return effects[table["unit"].to_numpy()], {f"sd_unit[{label}]": sd}
