"""Median odds and rate ratios: a published number, simulation, and refusals."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.errors import FitError
from bayesml.records.fits import Fit

MakeFit = Callable[..., Fit]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "y": rng.integers(0, 2, size=120),
            "n": rng.poisson(2, size=120),
            "grade": rng.choice(["low", "mid", "high"], size=120),
            "x": rng.normal(size=120),
            "clinic": np.repeat(np.arange(30), 4),
            "town": np.repeat(np.arange(6), 20),
        }
    )


def test_median_odds_ratio_of_a_published_sd(fake_fit: MakeFit) -> None:
    women = bml.load_dataset("contraception")
    model = bml.two_level(women, "use ~ urban", group="district", family="binomial", success="Y")
    fit = fake_fit(model, draws=2, values={"sd_district": 0.4752})
    found = bml.median_odds_ratio(fit)
    assert found["grouping"].tolist() == ["district"]
    assert found["mean"].iloc[0] == pytest.approx(1.57, abs=0.005)
    assert bml.vpc(fit)["mean"].iloc[0] == pytest.approx(0.0642, abs=5e-5)


def test_median_of_simulated_ratios(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    model = bml.model(table, "n ~ x + (x || town) + (1 | clinic)", family="poisson")
    values = {"sd_town": [0.5, 0.4], "sd_clinic": 0.8}
    fit = fake_fit(model, draws=2, values=values)
    found = bml.median_rate_ratio(fit, at={"x": 1.5}).set_index("grouping")["mean"]
    rng = np.random.default_rng(2)
    effects = rng.normal(size=(3, 2, 2_000_000))
    towns = 0.5 * effects[0] + 1.5 * 0.4 * effects[1]
    simulated = np.median(np.exp(np.abs(towns[0] - towns[1])))
    assert found["town"] == pytest.approx(simulated, rel=0.005)
    clinics = 0.8 * effects[2]
    assert found["clinic"] == pytest.approx(
        np.median(np.exp(np.abs(clinics[0] - clinics[1]))), rel=0.005
    )
    assert bml.median_rate_ratio(fit, "town", at={"x": 1.5}).attrs["at"] == {"x": 1.5}


def test_summaries_and_draws_are_of_the_ratio(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    model = bml.two_level(table, "y ~ x", group="clinic", family="binomial")
    fit = fake_fit(model, draws=200)
    draws = bml.median_odds_ratio(fit, draws=True)
    assert draws.dims == ("chain", "draw", "grouping")
    sd = fit.posterior["sd_clinic"].values[..., 0]
    by_hand = np.exp(np.sqrt(2) * sd * 0.6744897501960817)
    assert draws.values[..., 0] == pytest.approx(by_hand)
    row = bml.median_odds_ratio(fit, prob=0.5).iloc[0]
    assert row[["lower", "upper"]].tolist() == pytest.approx(
        np.quantile(by_hand, [0.25, 0.75]).tolist()
    )


def test_ordered_outcomes_and_memberships(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    other = table.assign(second=(table["clinic"] + 7) % 30)
    model = bml.multiple_membership(
        other,
        "grade ~ 1",
        members=["clinic", "second"],
        name="care",
        family="ordinal",
        categories=["low", "mid", "high"],
    )
    found = bml.median_odds_ratio(fake_fit(model, draws=2, values={"sd_care": 1.0}))
    assert found["membership"].tolist() == ["whole", "mean over rows"]
    # Two halves have half the variance of a whole.
    assert np.log(found["mean"].iloc[0]) / np.log(found["mean"].iloc[1]) == pytest.approx(2**0.5)


@pytest.mark.parametrize(
    ("formula", "options", "ratio", "said"),
    [
        (
            "x ~ 1 + (1 | town)",
            {},
            bml.median_odds_ratio,
            r"odds ratio needs the link 'logit', and this model is gaussian with link 'identity'. "
            r"Use bml\.vpc\(fit\)",
        ),
        (
            "n ~ 1 + (1 | town)",
            {"family": "poisson"},
            bml.median_odds_ratio,
            r"Use bml\.median_rate_ratio\(fit\)",
        ),
        (
            "y ~ 1 + (1 | town)",
            {"family": "binomial"},
            bml.median_rate_ratio,
            r"rate ratio needs the link 'log', .* Use bml\.median_odds_ratio\(fit\)",
        ),
        (
            "y ~ 1 + (1 | town)",
            {"family": "binomial", "link": "cloglog"},
            bml.median_odds_ratio,
            r"binomial with link 'cloglog'. Use bml\.vpc\(fit\)",
        ),
        ("y ~ x", {"family": "binomial"}, bml.median_odds_ratio, "no grouping, so nothing varies"),
    ],
)
def test_wrong_use_names_the_right_call(
    table: pd.DataFrame,
    fake_fit: MakeFit,
    formula: str,
    options: dict[str, str],
    ratio: Callable[..., pd.DataFrame],
    said: str,
) -> None:
    fit = fake_fit(bml.model(table, formula, **options), draws=2)
    with pytest.raises(FitError, match=said):
        ratio(fit)


def test_an_unknown_grouping_is_named(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    fit = fake_fit(bml.model(table, "n ~ 1 + (1 | town)", family="poisson"), draws=2)
    with pytest.raises(FitError, match=r"'towns' is not a grouping.*Did you mean 'town'\?"):
        bml.median_rate_ratio(fit, "towns")
