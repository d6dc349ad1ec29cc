"""Each check fails on draws made to fail it, and none on good ones."""

import html
import re
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

import bayesml as bml
from bayesml.posterior.diagnosis_findings import Problem
from bayesml.records.fits import Fit
from bayesml.records.modelling import Model
from bayesml.specs.distributions import parse_prior

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
    settings: dict[str, object] = {"draws": 500, "chains": 4, **changes}
    sizes = (settings["chains"], settings["draws"])
    values = {"corr_g": correlation(0.3 + 0.1 * np.random.default_rng(3).normal(size=sizes))}
    return fake_fit(model, **(settings | {"values": values | (changes.get("values") or {})}))


def correlation(r: np.ndarray) -> np.ndarray:
    """Return draws of 2 x 2 correlation matrices, shape (chains, draws, 2, 2)."""
    one = np.ones_like(r)
    return np.stack([np.stack([one, r], -1), np.stack([r, one], -1)], -2)


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
    assert found.problems == found.advice == ()
    assert str(found) == found.verdict
    assert found.verdict.endswith("no divergences.")
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


def test_as_many_draws_are_named_as_are_needed(model: Model, fake_fit: MakeFit) -> None:
    # 4 x 80 independent draws are 320 effective ones: 1.2 x 80 x 400 / 320 = 120 a chain.
    fit = good(model, fake_fit, draws=80)
    (named,) = re.findall(r"draws=(\d+)", problems(fit)["ess_bulk"].remedy)
    assert 100 <= int(named) <= 220
    # Chains that creep need so many that another form is named first.
    slow = np.cumsum(np.random.default_rng(1).normal(size=(4, 500)), axis=1) / 50
    effect = np.exp(-0.5 + 0.1 * slow)
    values = {"sd_g": np.stack([effect, np.ones((4, 500)) + 0.1 * slow[::-1]], -1)}
    found = {
        item.kind: item for item in bml.diagnose(good(model, fake_fit, values=values)).problems
    }
    assert "since that is many, better give its SD a tighter prior" in found["ess_bulk"].remedy
    assert re.search(r"priors=\{'sd_g\[(x|Intercept)\]': 'HalfNormal", found["ess_bulk"].remedy)


NO_EFFECT = "Student-t effects of two terms"


@pytest.mark.parametrize(
    ("form", "near_zero", "expected"),
    [
        ("auto", True, "non-centred"),
        ("auto", False, "centred"),
        ("centred", True, "non-centred"),
        ("centred", False, "non-centred"),
        ("non-centred", True, ""),
        ("non-centred", False, "centred"),
        ("partly centred", True, "non-centred"),
        ("partly centred", False, "centred"),
        ("marginal", True, ""),
        ("marginal", False, ""),
        (NO_EFFECT, True, ""),
        (NO_EFFECT, False, ""),
    ],
)
def test_the_form_that_is_proposed_suits_the_sd(
    fake_fit: MakeFit, form: str, near_zero: bool, expected: str
) -> None:
    """A single term of this table is between centred and non-centred, unless it is set."""
    rng = np.random.default_rng(4)
    table = pd.DataFrame(
        {"y": rng.normal(size=200), "x": rng.normal(size=200), "g": np.repeat(range(20), 10)}
    )
    slopes = ["x"] if form in ("partly centred", NO_EFFECT) else []
    model = bml.two_level(
        table,
        "y ~ x",
        group="g",
        slopes=slopes,
        parametrisation=form if "centred" in form else "auto",
        effects="student" if form == NO_EFFECT else "normal",
    )
    # Every chain climbs from the lowest value to the highest: exact quantiles, few effective draws.
    levels = (np.arange(500) + 0.5) / 500
    climbing = stats.halfnorm.ppf(levels) if near_zero else 1 + 0.1 * stats.norm.ppf(levels)
    spreads = np.broadcast_to(climbing[None, :, None], (4, 500, 1 + len(slopes)))
    fit = fake_fit(model, draws=500, chains=4, values={"sd_g": spreads})
    if form == "marginal":
        fit.data.attrs["engine"] = "marginal"
    found = {item.kind: item for item in bml.diagnose(fit).problems}
    assert "sd_g[Intercept]" in found["r_hat"].words
    assert "priors={'sd_g" in found["r_hat"].remedy
    named = re.findall(r"set parametrisation=\{'g': '([a-z -]+)'\}", found["r_hat"].remedy)
    assert named == [expected] * bool(expected)


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
    assert problem.parameter == ""


def test_divergences_name_the_sd_at_whose_small_values_they_gather(
    model: Model, fake_fit: MakeFit
) -> None:
    rng = np.random.default_rng(11)
    spreads = np.exp(rng.normal(-0.5, 0.3, size=(4, 500, 2)))
    diverging = spreads[..., 1] < np.quantile(spreads[..., 1], 0.02)
    fit = with_statistic(good(model, fake_fit, values={"sd_g": spreads}), "diverging", diverging)
    (problem,) = bml.diagnose(fit).problems
    assert problem.parameter == "sd_g[x]"
    assert "They gather at small values of sd_g[x]" in problem.words
    assert "leave the term x out of g" in problem.remedy
    # The prior that is named has half the median of the default.
    prior = parse_prior(dict(item[:2] for item in fit.facts.priors)["sd_g[x]"], "positive")
    assert f"HalfNormal({prior.frozen.ppf(0.5) / 2:.2g})" in problem.remedy
    # At large values of a coefficient there is no slope to drop.
    beta = rng.normal(size=(4, 500, 2))
    diverging = beta[..., 0] > np.quantile(beta[..., 0], 0.98)
    fit = with_statistic(good(model, fake_fit, values={"beta": beta}), "diverging", diverging)
    (problem,) = bml.diagnose(fit).problems
    assert "They gather at large values of beta[Intercept]" in problem.words
    assert "look at the traces" in problem.remedy


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
    assert "goes with" not in found["bfmi"].words


def test_slow_energy_names_the_parameter_that_goes_with_it(model: Model, fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(12)
    energy = np.cumsum(rng.normal(size=(4, 500)), axis=1)
    sigma = np.exp(0.05 * energy / energy.std() + 0.01 * rng.normal(size=(4, 500)))
    fit = with_statistic(good(model, fake_fit, values={"sigma": sigma}), "energy", energy)
    (problem,) = [item for item in bml.diagnose(fit).problems if item.kind == "bfmi"]
    assert "The energy goes with sigma" in problem.words


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


def marginal(fit: Fit, acceptance: np.ndarray) -> Fit:
    """Return the fit with the statistics of an independence sampler."""
    tree = fit.data.copy()
    stats = fit.sample_stats[["lp"]].assign(acceptance_rate=(("chain", "draw"), acceptance))
    tree["sample_stats"] = xr.DataTree(stats)
    return Fit(tree)


def test_the_acceptance_of_an_independence_sampler_is_reported(
    model: Model, fake_fit: MakeFit
) -> None:
    acceptance = np.full((4, 500), 0.87)
    found = bml.diagnose(marginal(good(model, fake_fit), acceptance))
    assert found.ok
    assert found.verdict.endswith("mean acceptance 0.87.")
    assert "divergences" not in found.verdict
    acceptance[2] = 0.05
    found = bml.diagnose(marginal(good(model, fake_fit), acceptance))
    (problem,) = found.problems
    assert (problem.kind, problem.parameter) == ("acceptance", "chain 2")
    assert problem.words.startswith("Chain 2 accepted 5 % of the proposed draws")
    assert problem.remedy == "Fit with engine='pymc'."
    # A centred or non-centred form means nothing to such a sampler.
    creeping = np.cumsum(np.random.default_rng(1).normal(size=(4, 500)), axis=1) / 50
    fit = good(model, fake_fit, values={"sd_g": np.exp(creeping)[..., None] * np.ones(2)})
    words = str(bml.diagnose(marginal(fit, np.full((4, 500), 0.9))))
    assert "tighter prior" in words
    assert "parametrisation" not in words


# What the data could not tell


def advice(fit: Fit) -> Problem:
    """Return the only piece of advice; the draws pass every check."""
    found = bml.diagnose(fit)
    assert found.ok, str(found)
    assert "Worth knowing:" in str(found)
    (item,) = found.advice
    assert str(item) in str(found)
    assert html.escape(item.words) in found._repr_html_()
    return item


def test_an_sd_at_its_prior_is_named(model: Model, fake_fit: MakeFit) -> None:
    fit = good(model, fake_fit)
    priors = dict(item[:2] for item in fit.facts.priors)
    draws = np.exp(np.random.default_rng(13).normal(-0.5, 0.1, size=(4, 500, 2)))
    for place, (term, remedy) in enumerate(
        [("Intercept", "With 20 units of g the prior decides"), ("x", "Drop the slope of x over g")]
    ):
        label = f"sd_g[{term}]"
        values = draws.copy()
        prior = parse_prior(priors[label], "positive").frozen
        values[..., place] = prior.ppf(np.random.default_rng(14).uniform(size=(4, 500)))
        found = advice(good(model, fake_fit, values={"sd_g": values}))
        assert (found.kind, found.parameter) == ("sd at its prior", label)
        assert f"its posterior is its prior, {priors[label]}" in found.words
        assert remedy in found.remedy
        assert f"priors={{'{label}': 'HalfNormal(" in found.remedy


def test_an_sd_near_zero_is_named(model: Model, fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(15)
    for place, (term, remedy) in enumerate(
        [("Intercept", "units of g may hardly differ"), ("x", "Drop the slope of x over g")]
    ):
        values = np.exp(rng.normal(-0.5, 0.1, size=(4, 500, 2)))
        values[..., place] = 0.05 * np.abs(rng.normal(size=(4, 500)))
        found = advice(good(model, fake_fit, values={"sd_g": values}))
        assert (found.kind, found.parameter) == ("sd near 0", f"sd_g[{term}]")
        assert found.value == pytest.approx(0.093, abs=0.02)
        assert "cannot be told from 0 (median 0.03" in found.words
        assert remedy in found.remedy
    # Small, but clear of 0.
    values = 0.05 * np.sqrt(rng.chisquare(2, size=(4, 500, 2)))
    assert bml.diagnose(good(model, fake_fit, values={"sd_g": values})).advice == ()


def test_a_correlation_at_its_prior_is_named(model: Model, fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(16)
    # LKJ(2) of two terms: a Beta(2, 2) stretched to (-1, 1).
    r = 2 * rng.beta(2, 2, size=(4, 500)) - 1
    found = advice(good(model, fake_fit, values={"corr_g": correlation(r)}))
    assert (found.kind, found.parameter) == ("correlation at its prior", "corr_g[Intercept, x]")
    assert "its posterior is its prior, LKJ(2)" in found.words
    assert "correlated=False" in found.remedy
    # Half the prior's SD is learnt enough.
    fit = good(model, fake_fit, values={"corr_g": correlation(r / 2)})
    assert bml.diagnose(fit).advice == ()


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_correlation_near_its_bound_is_named(model: Model, fake_fit: MakeFit, sign: int) -> None:
    r = sign * np.random.default_rng(17).beta(40, 2, size=(4, 500))
    found = advice(good(model, fake_fit, values={"corr_g": correlation(r)}))
    assert found.kind == "correlation near -1 or 1"
    assert f"corr_g[Intercept, x] is near {'1' if sign > 0 else '-1'}" in found.words
    assert "Centre x" in found.remedy


def test_two_slopes_that_cannot_be_told_apart(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(18)
    table = pd.DataFrame(rng.normal(size=(200, 3)), columns=["y", "x", "z"])
    model = bml.model(table.assign(g=np.repeat(range(20), 10)), "y ~ x + z + (0 + x + z | g)")
    values = {"corr_g": correlation(rng.beta(40, 2, size=(4, 500)))}
    found = advice(fake_fit(model, draws=500, chains=4, values=values))
    assert found.remedy == "Drop one of the two slopes over g, or fit with correlated=False."


def test_cutpoints_that_touch_are_named(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(19)
    table = pd.DataFrame(
        {"y": rng.integers(0, 4, size=200), "x": rng.normal(size=200), "g": np.tile(range(20), 10)}
    )
    model = bml.two_level(table, "y ~ x", group="g", family="ordinal")
    apart = np.array([-1.0, 0.0, 1.0]) + 0.1 * rng.normal(size=(4, 500, 3))
    values = {"cutpoints": np.sort(apart, axis=-1)}
    sound = fake_fit(model, draws=500, chains=4, values=values)
    assert bml.diagnose(sound).advice == ()
    apart[..., 2] = apart[..., 1] + 0.03 * rng.exponential(size=(4, 500))
    found = advice(fake_fit(model, draws=500, chains=4, values={"cutpoints": apart}))
    assert (found.kind, found.parameter) == ("cutpoints that touch", "cutpoints[1|2]")
    assert "cutpoints[1|2] and cutpoints[2|3] touch (median gap 0.02" in found.words
    assert "category '2' between them" in found.words


def test_draws_too_few_or_at_odds_are_not_judged(model: Model, fake_fit: MakeFit) -> None:
    # The SD of the slope has its peak at 0, but the run is short, or its chains disagree.
    rng = np.random.default_rng(20)
    spreads = np.exp(rng.normal(-0.5, 0.1, size=(4, 500, 2)))
    spreads[..., 1] = np.abs(rng.normal(size=(4, 500)))
    short = {"sd_g": spreads[:2, :20]}
    assert bml.diagnose(fake_fit(model, draws=20, chains=2, values=short)).advice == ()
    spreads[0, :, 1] += 3
    found = bml.diagnose(good(model, fake_fit, values={"sd_g": spreads}))
    assert not found.ok
    assert found.advice == ()


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
