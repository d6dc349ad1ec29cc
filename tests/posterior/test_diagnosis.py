"""Each check fails on draws made to fail it, and none on good ones."""

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesml as bml
from bayesml.posterior.diagnosis import Problem
from bayesml.records.fits import Fit
from bayesml.records.modelling import Model

MakeFit = Callable[..., Fit]


@pytest.fixture(scope="module")
def model() -> Model:
    rng = np.random.default_rng(4)
    table = pd.DataFrame(
        {"y": rng.normal(size=200), "x": rng.normal(size=200), "g": np.repeat(range(20), 10)}
    )
    return bml.two_level(table, "y ~ x", group="g", slopes=["x"])


def good(model: Model, fake_fit: MakeFit, **changes: object) -> Fit:
    """Return a fit whose draws pass every check, but for the changes."""
    return fake_fit(model, **({"draws": 500, "chains": 4} | changes))


def with_statistic(fit: Fit, name: str, values: np.ndarray) -> Fit:
    """Return the fit with another statistic of the sampler."""
    tree = fit.data.copy()
    stats = fit.sample_stats.assign({name: (("chain", "draw"), values)})
    tree["sample_stats"] = xr.DataTree(stats)
    return Fit(tree)


def problems(fit: Fit) -> dict[str, Problem]:
    """Return the problems by kind, for runs in which each kind occurs once."""
    found = bml.diagnose(fit).problems
    by_kind = {problem.kind: problem for problem in found}
    assert len(by_kind) == len(found)
    return by_kind


def test_good_draws_pass(model: Model, fake_fit: MakeFit) -> None:
    found = bml.diagnose(good(model, fake_fit))
    assert found.ok
    assert found.problems == ()
    assert str(found) == found.verdict
    assert found.verdict.startswith("No problem found: 4 chains of 500 draws, largest R-hat 1.0")
    assert "corr_g[Intercept, x]" in found.table.index
    assert found.table.notna().all(axis=None)


def test_chains_that_disagree(model: Model, fake_fit: MakeFit) -> None:
    sigma = np.random.default_rng(5).normal(1, 0.1, size=(4, 500))
    sigma[0] += 1
    fit = good(model, fake_fit, values={"sigma": sigma})
    found = bml.diagnose(fit)
    assert not found.ok
    r_hat, bulk, tail = found.problems
    assert (r_hat.kind, r_hat.parameter, r_hat.threshold) == ("r_hat", "sigma", 1.01)
    assert r_hat.value > 1.5
    assert r_hat.words.startswith("R-hat is above 1.01 for 1 of 6 parameters")
    assert (bulk.kind, bulk.parameter, bulk.threshold) == ("ess_bulk", "sigma", 400)
    assert (tail.kind, tail.parameter) == ("ess_tail", "sigma")
    assert found.table.index[0] == "sigma"
    assert found.verdict.startswith("Do not rely on these results yet: 3 checks failed")
    for text in (str(found), found._repr_html_()):
        assert r_hat.remedy in text
        assert "sigma" in text


def test_few_effective_draws(model: Model, fake_fit: MakeFit) -> None:
    # Four chains of 60 independent draws: too few, although the chains agree.
    found = {item.kind: item for item in bml.diagnose(good(model, fake_fit, draws=60)).problems}
    assert {"ess_bulk", "ess_tail"} <= set(found)
    assert found["ess_bulk"].value < 400
    assert "6 of 6 parameters" in found["ess_bulk"].words
    assert "more draws" in found["ess_bulk"].remedy


def test_random_effects_are_counted(model: Model, fake_fit: MakeFit) -> None:
    effects = np.random.default_rng(6).normal(size=(4, 500, 20, 2))
    effects[1, :, 3:5, 0] += 2
    found = problems(good(model, fake_fit, values={"u_g": effects}))
    assert list(found) == ["r_hat"]
    assert found["r_hat"].parameter == "u_g"
    assert found["r_hat"].words.startswith("R-hat is above 1.01 for 2 of 40 random effects of g")
    # One effect of 40 a little above 1.01 is no more than chance brings.
    effects[1, :, 3:5, 0] -= 2
    effects[1, :, 3, 0] += 0.3
    assert problems(good(model, fake_fit, values={"u_g": effects})) == {}


def test_draws_that_do_not_move_or_are_not_finite(model: Model, fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(7)
    beta = rng.normal(size=(4, 500, 2))
    beta[2, 7, 1] = np.nan
    fit = good(model, fake_fit, values={"sigma": 1.0, "beta": beta})
    found = problems(fit)
    assert list(found) == ["not moving"]
    assert "2 of 6 parameters" in found["not moving"].words
    assert "beta[x], sigma" in found["not moving"].words
    stuck = problems(good(model, fake_fit, values={"u_g": 0.0}))
    assert stuck["not moving"].words.startswith("40 of 40 random effects of g are constant")


def test_divergences(model: Model, fake_fit: MakeFit) -> None:
    diverging = np.zeros((4, 500), dtype=bool)
    diverging[2, :8] = True
    fit = with_statistic(good(model, fake_fit), "diverging", diverging)
    (problem,) = bml.diagnose(fit).problems
    assert (problem.kind, problem.value, problem.threshold) == ("divergences", 8, 0)
    assert problem.words.startswith("8 of 2,000 draws (0.4 %) diverged")
    assert "target_accept=0.99" in problem.remedy


def test_tree_depth_is_a_matter_of_speed(model: Model, fake_fit: MakeFit) -> None:
    saturated = np.zeros((4, 500), dtype=bool)
    saturated[0, :100] = True  # 5 % is still allowed
    fit = good(model, fake_fit)
    assert bml.diagnose(with_statistic(fit, "reached_max_treedepth", saturated)).ok
    saturated[0, 100] = True
    found = bml.diagnose(with_statistic(fit, "reached_max_treedepth", saturated))
    assert [problem.kind for problem in found.problems] == ["tree depth"]
    assert found.verdict == "The draws can be used (4 chains of 500 draws), but sampling was slow."


def test_slow_energy(model: Model, fake_fit: MakeFit) -> None:
    energy = np.random.default_rng(8).normal(size=(4, 500))
    energy[3] = np.cumsum(energy[3])
    found = problems(with_statistic(good(model, fake_fit), "energy", energy))
    assert list(found) == ["bfmi"]
    assert found["bfmi"].parameter == "chain 3"
    assert "in 1 of 4 chains" in found["bfmi"].words


def test_a_run_that_stopped_early(model: Model, fake_fit: MakeFit) -> None:
    found = problems(good(model, fake_fit, asked=1000))
    assert list(found) == ["incomplete"]
    assert "4 chains of 500 draws of the 4 x 1,000 asked for" in found["incomplete"].words


def test_one_chain(model: Model, fake_fit: MakeFit) -> None:
    found = bml.diagnose(good(model, fake_fit, chains=1, draws=1000))
    assert [problem.kind for problem in found.problems] == ["one chain"]
    assert "R-hat cannot compare chains" in str(found)
    assert "1 chain of 1,000 draws" in found.verdict


def test_a_sampler_without_statistics_passes(model: Model, fake_fit: MakeFit) -> None:
    fit = good(model, fake_fit)
    tree = fit.data.copy()
    tree["sample_stats"] = xr.DataTree(fit.sample_stats.drop_vars(list(fit.sample_stats)))
    assert bml.diagnose(Fit(tree)).ok


def test_a_thousand_random_effects_take_seconds(fake_fit: MakeFit) -> None:
    rows = 3000
    table = pd.DataFrame(
        {"y": np.random.default_rng(9).normal(size=rows), "g": np.repeat(range(1000), 3)}
    )
    fit = fake_fit(bml.two_level(table, "y ~ 1", group="g"), draws=1000, chains=4)
    start = time.process_time()
    bml.diagnose(fit)
    # ArviZ's loop over scalars takes about twice that for R-hat alone.
    assert time.process_time() - start < 5
