"""Chains stand on their own, stop as asked, and say when they are incomplete."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import pytest

import bayesml
from bayesml.engines import chains as chains_module
from bayesml.engines.chains import ChainDraws, chain_seed, sample_chains
from bayesml.engines.compiled_models import CompiledModel
from bayesml.engines.compiling import compile_model
from bayesml.errors import SamplingError

NAMES = ["mean", "tau", "u"]
SHORT: dict[str, Any] = {"seed": 11, "draws": 60, "tune": 100, "cores": 2}


@pytest.fixture
def compiled(two_level: Callable[..., Any]) -> CompiledModel:
    return compile_model(two_level(), NAMES)


def test_chain_seeds_are_fixed_for_good() -> None:
    # Draws of saved fits rest on these numbers.
    assert [chain_seed(1, chain) for chain in range(3)] == [
        4215923173971654960,
        2021340933837429789,
        637987770806161565,
    ]


def test_chain_seeds_differ_and_fit_into_63_bits() -> None:
    seeds = {chain_seed(seed, chain) for seed in range(40) for chain in range(40)}
    assert len(seeds) == 1600
    assert max(seeds) < 2**63


@pytest.mark.parametrize(("seed", "chain"), [(-1, 0), (1, -2)])
def test_negative_seeds_are_refused(seed: int, chain: int) -> None:
    with pytest.raises(SamplingError, match="from 0"):
        chain_seed(seed, chain)


@pytest.mark.parametrize(
    "change", [{"chains": [0, 0]}, {"draws": 0}, {"tune": 4}, {"cores": 0}], ids=str
)
def test_impossible_requests_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(SamplingError, match="at least one draw"):
        sample_chains(None, **(SHORT | {"chains": [0]} | change))  # type: ignore[arg-type]


@pytest.mark.sampling
def test_a_chain_does_not_depend_on_the_others(compiled: CompiledModel) -> None:
    four = sample_chains(compiled, chains=range(4), **SHORT)
    (alone,) = sample_chains(compiled, chains=[2], **(SHORT | {"cores": 1}))
    assert [chain.chain for chain in four] == [0, 1, 2, 3]
    for name in NAMES:
        np.testing.assert_array_equal(alone.posterior[name], four[2].posterior[name])
        assert not np.array_equal(four[0].posterior[name], four[1].posterior[name])
    np.testing.assert_array_equal(alone.sample_stats["lp"], four[2].sample_stats["lp"])
    assert alone.seed == four[2].seed


@pytest.mark.sampling
def test_what_a_complete_chain_holds(compiled: CompiledModel) -> None:
    (chain,) = sample_chains(compiled, chains=[0], **SHORT)
    assert chain.complete
    assert (chain.draws, chain.tune) == (60, 100)
    assert {name: array.shape for name, array in chain.posterior.items()} == {
        "mean": (60,),
        "tau": (60,),
        "u": (60, 6),
    }
    statistics = chain.sample_stats
    assert {name: array.shape for name, array in statistics.items()} == dict.fromkeys(
        [
            "diverging",
            "energy",
            "energy_error",
            "tree_depth",
            "reached_max_treedepth",
            "n_steps",
            "step_size",
            "acceptance_rate",
            "lp",
        ],
        (60,),
    )
    assert statistics["diverging"].dtype == statistics["reached_max_treedepth"].dtype == bool
    assert (statistics["n_steps"] >= 1).all()
    assert statistics["tree_depth"].max() <= 10
    assert ((statistics["acceptance_rate"] >= 0) & (statistics["acceptance_rate"] <= 1)).all()
    assert (chain.posterior["u"].std(axis=0) > 0).all()


@pytest.mark.sampling
def test_tree_depth_is_limited(compiled: CompiledModel) -> None:
    (chain,) = sample_chains(compiled, chains=[0], max_treedepth=1, **SHORT)
    assert chain.sample_stats["n_steps"].max() == 1
    assert chain.sample_stats["reached_max_treedepth"].any()


@pytest.mark.sampling
def test_draws_follow_the_known_posterior() -> None:
    y = np.array([1.2, -0.3, 2.2, 0.9])
    with pm.Model() as model:
        mean = pm.Normal("mean", 0, 2)
        pm.Normal("obs", mean, 1, observed=pm.Data("y", y))
    results = sample_chains(
        compile_model(model, ["mean"]), chains=range(4), seed=5, draws=1000, tune=300, cores=2
    )
    draws = np.concatenate([chain.posterior["mean"] for chain in results])
    variance = 1 / (1 / 4 + len(y))
    # Five standard errors, with a quarter of the draws taken as independent.
    assert draws.mean() == pytest.approx(variance * y.sum(), abs=5 * np.sqrt(variance / 1000))
    assert draws.var() == pytest.approx(variance, rel=5 * np.sqrt(2 / 1000))


@pytest.mark.sampling
def test_a_new_process_gives_the_same_draws(compiled: CompiledModel, tmp_path: Path) -> None:
    (here,) = sample_chains(compiled, chains=[1], **SHORT)
    conftest = Path(__file__).with_name("conftest.py")
    script = f"""\
import importlib.util, numpy as np
spec = importlib.util.spec_from_file_location("models", {str(conftest)!r})
models = importlib.util.module_from_spec(spec)
spec.loader.exec_module(models)
from bayesml.engines.chains import sample_chains
from bayesml.engines.compiling import compile_model
compiled = compile_model(models.two_level.__wrapped__()(), {NAMES!r})
(chain,) = sample_chains(compiled, chains=[1], **{SHORT!r})
np.save({str(tmp_path / "u.npy")!r}, chain.posterior["u"])
"""
    subprocess.run(
        [sys.executable, "-c", script], check=True, cwd=Path(bayesml.__file__).parent.parent
    )
    np.testing.assert_array_equal(np.load(tmp_path / "u.npy"), here.posterior["u"])


@pytest.mark.sampling
def test_finished_chains_are_handed_over_once(compiled: CompiledModel) -> None:
    seen: list[ChainDraws] = []
    results = sample_chains(compiled, chains=[3, 1, 0], on_finished=seen.append, **SHORT)
    assert sorted(chain.chain for chain in seen) == [0, 1, 3]
    assert {id(chain) for chain in seen} == {id(chain) for chain in results}


@pytest.mark.sampling
def test_an_error_in_the_caller_stops_all_chains(compiled: CompiledModel) -> None:
    def fail(chain: ChainDraws) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        sample_chains(compiled, chains=range(4), on_finished=fail, **SHORT)


@pytest.mark.sampling
def test_an_interrupted_run_never_poses_as_complete(
    compiled: CompiledModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = 0

    def interrupt(seconds: float) -> None:
        nonlocal waited
        waited += 1
        if waited > 20:
            raise KeyboardInterrupt
        chains_module.time.sleep(seconds)

    monkeypatch.setattr(chains_module, "_wait", interrupt)
    finished: list[ChainDraws] = []
    results = sample_chains(
        compiled,
        chains=range(3),
        seed=1,
        draws=10_000_000,
        tune=20,
        cores=2,
        on_finished=finished.append,
    )
    assert finished == []
    assert [chain.complete for chain in results] == [False, False, False]
    assert 0 < results[0].draws < 10_000_000
    assert results[0].posterior["u"].shape == (results[0].draws, 6)
    assert results[0].sample_stats["lp"].shape == (results[0].draws,)
    # The third chain never began.
    assert results[2].draws == 0
    assert results[2].posterior["u"].shape == (0, 6)


@pytest.mark.sampling
def test_an_impossible_outcome_names_the_trouble() -> None:
    with pm.Model() as model:
        rate = pm.HalfNormal("rate", 1)
        pm.Normal("elsewhere")
        pm.Exponential("obs", rate, observed=pm.Data("y", np.array([1.0, -1.0])))
    compiled = compile_model(model, ["rate"])
    with pytest.raises(SamplingError, match="log-density at the initial point is -inf"):
        sample_chains(compiled, chains=[0], **SHORT)


@pytest.mark.sampling
def test_infinite_data_name_the_variables_that_suffer() -> None:
    with pm.Model() as model:
        mean = pm.Normal("mean")
        pm.Normal("elsewhere")
        pm.Normal("obs", mean, 1, observed=pm.Data("y", np.array([1.0, np.inf])))
    compiled = compile_model(model, ["mean"])
    with pytest.raises(SamplingError, match="not finite for 'mean'") as caught:
        sample_chains(compiled, chains=[0], **SHORT)
    assert "elsewhere" not in str(caught.value)
