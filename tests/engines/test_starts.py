"""Chains start where the density is not out of all proportion."""

import numpy as np
import pymc as pm
import pytest

from bayesml.engines.compiling import compile_model


@pytest.mark.sampling
def test_a_wide_prior_on_a_predictor_with_large_numbers() -> None:
    """Jitter of about 1 on the slope of x = 300 alone would ask for a mean of exp(300)."""
    x = np.linspace(-300, 300, 20)
    with pm.Model() as model:
        data = pm.Data("x", x)
        slope = pm.Normal("slope", 0, 2.5)
        pm.Poisson("y", pm.math.exp(slope * data), observed=pm.Data("counts", np.ones(20, int)))
    sampler = compile_model(model, ["slope"]).sampler
    middle, _ = sampler.density_at(sampler.layout.start)
    densities = [sampler.density_at(sampler.initial_point(seed))[0] for seed in range(50)]
    assert min(densities) > middle - abs(middle) - 10
    # They still start apart.
    assert len({sampler.initial_point(seed)[0] for seed in range(50)}) == 50
