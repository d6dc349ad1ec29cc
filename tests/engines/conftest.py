"""Small models that the tests of the engines share."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

Build = Callable[..., Any]


@pytest.fixture
def two_level() -> Build:
    """Return a function that builds a two-level model on simulated data.

    `rows` and `seed` change the data only; `likelihood`, `units` and `scale` change the model.
    """

    def build(
        rows: int = 60,
        seed: int = 1,
        likelihood: str = "normal",
        units: int = 6,
        scale: float = 1.0,
    ) -> Any:
        import pymc as pm

        random = np.random.default_rng(seed)
        unit = np.arange(rows) % units
        y = 1.0 + random.normal(0, 0.8, units)[unit] + random.normal(0, 1.0, rows)
        with pm.Model(coords={"unit": range(units)}) as model:
            data = pm.Data("y", y)
            index = pm.Data("index", unit)
            mean = pm.Normal("mean", 0, 3)
            tau = pm.HalfNormal("tau", scale)
            sigma = pm.HalfNormal("sigma", 2)
            z = pm.Normal("z", 0, 1, dims="unit")
            u = pm.Deterministic("u", z * tau, dims="unit")
            eta = mean + u[index]
            if likelihood == "normal":
                pm.Normal("obs", eta, sigma, observed=data)
            else:
                pm.StudentT("obs", 4, mu=eta, sigma=sigma, observed=data)
        return model

    return build
