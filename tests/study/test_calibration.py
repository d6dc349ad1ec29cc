"""Posteriors hold simulated truths as often as they say; wrong ones are found out."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import bayesml as bml
from bayesml.records.modelling import Model
from tests.study.calibration_tables import (
    Study,
    crossed,
    multiple_membership,
    simulate,
    three_level,
    two_level,
)

STUDIES = (two_level, three_level, crossed, multiple_membership)


@pytest.fixture
def fits_made_of(fake_fit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that has every fit take its draws from a function of the model."""

    def use(values: Callable[[Model, int, int], dict[str, np.ndarray]]) -> None:
        def fit(model: Model, *, draws: int, chains: int, seed: int, **rest: Any) -> Any:
            made = values(model, chains * draws, seed)
            shaped = {
                name: array.reshape(chains, draws, *array.shape[1:]) for name, array in made.items()
            }
            return fake_fit(model, draws=draws, chains=chains, seed=seed, values=shaped)

        monkeypatch.setattr(Model, "fit", fit)

    return use


def from_the_prior(model: Model, draws: int, seed: int) -> dict[str, np.ndarray]:
    prior = model.prior_predictive(draws=draws, seed=seed)["prior"].to_dataset()
    return {str(name): array.values[0] for name, array in prior.data_vars.items()}


def test_engine_that_ignores_the_data_is_found_by_the_likelihood(fits_made_of: Any) -> None:
    # Draws from the prior are calibrated for every parameter: only the rows tell.
    fits_made_of(from_the_prior)
    found = bml.calibration(two_level(rows=60, units=6).model, tables=40, draws=19, seed=5)
    assert not found.ok
    assert found.p_values["log-likelihood"] < 1e-6
    others = found.p_values.drop("log-likelihood")
    assert (others * len(others) > 0.05).all()
    assert "the ranks of log-likelihood are not uniform" in str(found)
    assert found.ranks.shape == (40, 9)
    assert list(found.ranks.columns[:4]) == [
        "beta[Intercept]",
        "beta[x]",
        "sd_school[Intercept]",
        "sd_school[x]",
    ]


def test_shifted_posterior_is_found(fits_made_of: Any) -> None:
    def shifted(model: Model, draws: int, seed: int) -> dict[str, np.ndarray]:
        made = from_the_prior(model, draws, seed)
        made["beta"] = made["beta"] + np.array([0.0, 0.8])
        return made

    fits_made_of(shifted)
    found = bml.calibration(two_level(rows=60, units=6).model, tables=40, draws=19, seed=5)
    assert found.p_values["beta[x]"] < 1e-4
    assert found.p_values["sigma"] > 0.01


@pytest.mark.parametrize(
    ("share_below", "fewest", "most"), [(0.0, 0, 0), (1.0, 99, 99), (0.3, 12, 48)]
)
def test_ranks_count_the_draws_below_the_truth(
    fits_made_of: Any, share_below: float, fewest: int, most: int
) -> None:
    study = two_level(rows=60, units=6)
    made = simulate(study, 3, seed=1)
    sigma = made["prior"]["sigma"].values[0]

    def around(model: Model, draws: int, seed: int) -> dict[str, np.ndarray]:
        random = np.random.default_rng(seed)
        below = random.random(draws) < share_below
        scale = np.where(below, sigma.min() / 2, 2 * sigma.max())
        return from_the_prior(model, draws, seed) | {"sigma": scale * random.uniform(1, 1.5, draws)}

    fits_made_of(around)
    found = bml.calibration(study.model, tables=3, chains=1, simulated=made)
    # A share of 0.3 of 99 draws has a standard error of 4.6 draws: four of them either way.
    assert found.ranks["sigma"].between(fewest, most).all()


def test_draws_that_hardly_move_are_refitted_and_named(fits_made_of: Any) -> None:
    asked = []

    def sluggish(model: Model, draws: int, seed: int) -> dict[str, np.ndarray]:
        asked.append(draws)
        values = from_the_prior(model, draws, seed)
        values["sigma"] = 1 + np.cumsum(np.random.default_rng(seed).normal(size=draws)) ** 2
        return values

    fits_made_of(sluggish)
    found = bml.calibration(two_level(rows=60, units=6).model, tables=2, draws=19, chains=1)
    assert found.refitted == 2
    assert found.short == (0, 1)
    assert asked[:5] == [190, 380, 760, 1520, 3040]
    assert "2 tables had draws worth less than 19" in str(found)


def test_band_belongs_to_the_p_values(fits_made_of: Any) -> None:
    fits_made_of(from_the_prior)
    found = bml.calibration(two_level(rows=60, units=6).model, tables=40, draws=19, seed=2)
    band = found.band
    assert (band["lower"] <= band["expected"]).all()
    assert (band["expected"] <= band["upper"]).all()
    inside = {
        name: bool(
            (
                (np.array([(ranks < i).mean() for i in band.index]) >= band["lower"] - 1e-9)
                & (np.array([(ranks < i).mean() for i in band.index]) <= band["upper"] + 1e-9)
            ).all()
        )
        for name, ranks in found.ranks.items()
    }
    assert inside == {name: p > 0.05 / 9 for name, p in found.p_values.items()}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tables": 1}, "tables is 1. Give a whole number from 2 up"),
        ({"draws": 0}, "draws is 0. Give a whole number from 1 up"),
        ({"chains": 1.5}, "chains is 1.5. Give a whole number"),
        ({"probability": 95}, "probability is 95. Give a number between 0 and 1"),
        ({"tables": 9}, "simulated holds 4 draws of 'beta', and tables is 9"),
    ],
)
def test_errors_say_what_to_do(options: dict[str, Any], words: str) -> None:
    study = two_level(rows=60, units=6)
    made = study.model.prior_predictive(draws=4, seed=1)
    with pytest.raises(bml.FitError, match=words.replace("(", r"\(")):
        bml.calibration(study.model, **{"tables": 4, "simulated": made} | options)


def test_simulation_of_another_model_is_refused() -> None:
    study = two_level(rows=60, units=6)
    made = multiple_membership().model.prior_predictive(draws=4, seed=1)
    with pytest.raises(bml.FitError, match="simulated has no 'sd_school', 'corr_school'"):
        bml.calibration(study.model, tables=4, simulated=made)


# Real fits


@pytest.mark.sampling
def test_marginal_engine_is_calibrated_and_a_wrong_prior_is_found() -> None:
    right = two_level(rows=60, units=6)
    made = simulate(right, 40, seed=2026)
    found = bml.calibration(right.model, tables=40, draws=49, seed=7, simulated=made)
    assert "marginal" in found.engine_reason
    assert found.smallest_p > 1e-3, str(found)
    wrong = two_level(rows=60, units=6, sd_school="HalfNormal(0.2)")
    assert (
        bml.calibration(wrong.model, tables=40, draws=49, seed=7, simulated=made).smallest_p < 1e-4
    )


@pytest.mark.slow
@pytest.mark.sampling
@pytest.mark.parametrize("build", STUDIES, ids=lambda build: build.__name__)
def test_marginal_engine_is_calibrated(build: Callable[[], Study]) -> None:
    study = build()
    found = bml.calibration(
        study.model, tables=200, seed=7, simulated=simulate(study, 200, seed=2026)
    )
    print(found, found.p_values, sep="\n", file=sys.stderr)
    assert "marginal" in found.engine_reason
    assert not found.short
    assert found.diverging < 1e-3
    # Seeds are fixed, so this is no gamble: a right engine passes with 99.9 % beforehand.
    assert found.smallest_p > 1e-3, str(found)


@pytest.mark.slow
@pytest.mark.sampling
@pytest.mark.parametrize("fault", ["rows", "correlation", "precision"])
def test_wrong_density_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A density with a small fault of each kind: degrees of freedom, prior, integrated part."""
    from bayesml.engines import marginal_models

    right = marginal_models._density

    def wrong(*arguments: Any) -> Any:
        density = right(*arguments)
        if fault == "rows":
            return density._replace(constant=density.constant + np.array([8.0, 0.0]))
        if fault == "correlation":
            return density._replace(correlation_power=density.correlation_power + 6)
        return density._replace(precision=density.precision * 20)

    study = two_level(rows=60, units=6)
    made = simulate(study, 200, seed=2026)
    monkeypatch.setattr(marginal_models, "_density", wrong)
    found = bml.calibration(study.model, tables=200, draws=49, seed=7, simulated=made)
    assert found.smallest_p < 1e-3, str(found)
