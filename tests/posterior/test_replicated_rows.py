"""Replications: mean and SD of every family, which draws, which units."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.posterior.replicated_rows import (
    NEW,
    SAME,
    checked_rows,
    chosen_places,
    draw_blocks,
    outcome_moments,
    predictors_of,
    replications,
    simulated_outcomes,
)
from bayesml.records.fits import Fit
from bayesml.specs.families import FAMILIES

MakeFit = Callable[..., Fit]

OUTCOMES = {
    "real": lambda rng: rng.normal(size=24),
    "positive": lambda rng: rng.gamma(2.0, size=24),
    "unit": lambda rng: rng.beta(2.0, 2.0, size=24),
    "binary": lambda rng: rng.binomial(1, 0.5, size=24),
    "count": lambda rng: rng.poisson(2, size=24),
    "ordered": lambda rng: np.arange(24) % 4,
}
# The numbers of unordered categories have no mean.
KINDS = [
    (family.name, link, family.needs_trials)
    for family in FAMILIES.values()
    for link in family.links
    if family.response != "nominal"
]
KINDS += [("binomial", link, True) for link in FAMILIES["binomial"].links]


@pytest.mark.parametrize(("family", "link", "trials"), KINDS)
def test_mean_and_sd_are_those_of_the_simulator(
    family: str, link: str, trials: bool, fake_fit: MakeFit
) -> None:
    """A family whose variance is not sigma^2, or 1, over its information fails here."""
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"g": np.tile(range(6), 4), "x": rng.normal(size=24), "n": 7})
    table["y"] = OUTCOMES[FAMILIES[family].response](rng)
    options = {"trials": "n"} if trials else {}
    model = bml.two_level(table, "y ~ x", group="g", family=family, link=link, **options)
    # A log-logistic outcome has a kurtosis from a shape of 4 on.
    shaped = any(item.name == "shape" for item in FAMILIES[family].parameters)
    values = {"shape": 6.0} if shaped else {}
    checked = checked_rows(fake_fit(model, draws=2, chains=1, values=values), 2)
    draws = checked.draws
    eta = predictors_of(checked, draws)
    mean, sd = outcome_moments(checked, draws, eta)
    drawn = np.array([simulated_outcomes(checked, draws, eta, rng) for _ in range(8000)])
    error = 5 * drawn.std(axis=0) / np.sqrt(8000) + 1e-12
    assert (np.abs(drawn.mean(axis=0) - mean) < error).all()
    # The SD of a rare event is known to about 4 % from 8,000 draws.
    assert sd == pytest.approx(drawn.std(axis=0), rel=0.15, abs=0.01)


def test_draws_are_evenly_spaced_over_all_chains(fake_fit: MakeFit) -> None:
    table = pd.DataFrame({"y": np.arange(20.0), "g": np.repeat(range(5), 4)})
    fit = fake_fit(bml.two_level(table, "y ~ 1", group="g"), draws=10, chains=3)
    checked = checked_rows(fit, 4)
    sigma = fit.posterior["sigma"].values.ravel()
    assert checked.draws.number == 4
    assert checked.draws.parameters["sigma"].tolist() == sigma[[0, 10, 19, 29]].tolist()
    assert chosen_places(30, 100).tolist() == list(range(30))


def test_blocks_hold_all_draws_once(fake_fit: MakeFit, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.DataFrame({"y": np.arange(20.0), "g": np.repeat(range(5), 4)})
    checked = checked_rows(fake_fit(bml.two_level(table, "y ~ 1", group="g"), draws=11), 22)
    whole = [block.beta for block in draw_blocks(checked)]
    assert len(whole) == 1
    monkeypatch.setattr("bayesml.posterior.replicated_rows._BLOCK", 100)
    parts = [block.beta for block in draw_blocks(checked)]
    assert [len(part) for part in parts] == [5, 5, 5, 5, 2]
    assert np.concatenate(parts).tolist() == whole[0].tolist()
    found = [made.outcome.shape for made in replications(checked, np.random.default_rng(1), SAME)]
    assert found == [(5, 20)] * 4 + [(2, 20)]


def test_new_units_have_the_covariance_of_sigma(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(2)
    table = pd.DataFrame(rng.normal(size=(3000, 2)), columns=["y", "x"])
    table["g"] = np.arange(3000) % 1000
    model = bml.two_level(table, "y ~ x", group="g", slopes=["x"])
    values = {"sd_g": [0.5, 2.0], "corr_g": [[1, -0.8], [-0.8, 1]], "u_g": 9.0}
    checked = checked_rows(fake_fit(model, draws=10, chains=1, values=values), 10)
    (made,) = replications(checked, rng, NEW)
    effects = made.draws.effects["g"].reshape(-1, 2)
    assert np.cov(effects.T) == pytest.approx(np.array([[0.25, -0.8], [-0.8, 4.0]]), rel=0.05)
    (made,) = replications(checked, rng, SAME)
    assert (made.draws.effects["g"] == 9).all()


@pytest.mark.filterwarnings("ignore:Outcomes are missing")
def test_each_outcome_scatters_by_its_own_sigma(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"a": rng.normal(size=24), "b": rng.normal(size=24)})
    table["g"] = np.tile(range(6), 4)
    table.loc[3, "b"] = np.nan
    model = bml.multivariate(table, "1", outcomes=["a", "b"], group="g", residual_correlation=False)
    checked = checked_rows(fake_fit(model, draws=3, chains=1, values={"sigma": [1.0, 10.0]}), 3)
    eta = predictors_of(checked, checked.draws)
    _, sd = outcome_moments(checked, checked.draws, eta)
    number = checked.fit.data["constant_data"]["outcome_number"].values
    assert len(number) == 47
    np.testing.assert_allclose(sd, np.broadcast_to(np.where(number == 0, 1.0, 10.0), sd.shape))
    drawn = simulated_outcomes(checked, checked.draws, eta, rng) - eta
    assert drawn[:, number == 0].std() == pytest.approx(1.0, rel=0.4)
    assert drawn[:, number == 1].std() == pytest.approx(10.0, rel=0.4)
