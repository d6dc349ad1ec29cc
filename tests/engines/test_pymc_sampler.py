"""PyMC's own sampler gives the same kind of record."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytest

from bayesml.engines.chains import ChainDraws, sample_chains
from bayesml.engines.compiling import compile_model
from bayesml.engines.pymc_sampler import sample_chains_with_pymc
from bayesml.errors import SamplingError

NAMES = ["mean", "tau", "u"]
SHORT: dict[str, Any] = {"seed": 4, "draws": 40, "tune": 60}


@pytest.mark.sampling
def test_the_records_look_like_those_of_nutpie(two_level: Callable[..., Any]) -> None:
    model = two_level()
    seen: list[ChainDraws] = []
    results = sample_chains_with_pymc(model, NAMES, chains=[0, 1], on_finished=seen.append, **SHORT)
    nutpie = sample_chains(compile_model(model, NAMES), chains=[0, 1], cores=1, **SHORT)
    assert seen == results
    for ours, theirs in zip(results, nutpie, strict=True):
        assert ours.complete
        assert (ours.chain, ours.seed, ours.draws) == (theirs.chain, theirs.seed, theirs.draws)
        for group in ("posterior", "sample_stats"):
            assert {k: (v.shape, v.dtype) for k, v in getattr(ours, group).items()} == {
                k: (v.shape, v.dtype) for k, v in getattr(theirs, group).items()
            }
    (again,) = sample_chains_with_pymc(model, NAMES, chains=[1], **SHORT)
    np.testing.assert_array_equal(again.posterior["u"], results[1].posterior["u"])


@pytest.mark.sampling
def test_an_impossible_outcome_is_an_error() -> None:
    with pm.Model() as model:
        rate = pm.HalfNormal("rate", 1)
        pm.Exponential("obs", rate, observed=[-1.0])
    with pytest.raises(SamplingError, match="PyMC's sampler stopped"):
        sample_chains_with_pymc(model, ["rate"], chains=[0], **SHORT)
