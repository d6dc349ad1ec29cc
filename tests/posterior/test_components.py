"""The table of variance components."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from bayesml.records.fits import Fit

MakeFit = Callable[..., Fit]


def test_every_component_of_a_three_level_model(fake_fit: MakeFit) -> None:
    table = bml.load_dataset("egsingle")
    model = bml.three_level(
        table,
        "math ~ year",
        groups=["childid", "schoolid"],
        slopes={"childid": ["year"]},
    )
    values = {
        "sd_childid": [0.8, 0.1],
        "corr_childid": [[1.0, 0.55], [0.55, 1.0]],
        "sd_schoolid": [0.4],
        "sigma": 0.55,
    }
    found = bml.variance_components(fake_fit(model, draws=10, values=values), prob=0.5)
    assert list(found.columns) == [
        "grouping",
        "term",
        "term2",
        "parameter",
        "mean",
        "median",
        "sd",
        "lower",
        "upper",
        "ess_bulk",
        "r_hat",
    ]
    rows = found[["grouping", "term", "term2", "parameter", "mean"]].to_numpy().tolist()
    assert rows == [
        ["childid", "Intercept", "", "sd", pytest.approx(0.8)],
        ["childid", "year", "", "sd", pytest.approx(0.1)],
        ["childid", "Intercept", "year", "corr", pytest.approx(0.55)],
        ["schoolid", "Intercept", "", "sd", pytest.approx(0.4)],
        ["residual", "", "", "sd", pytest.approx(0.55)],
    ]
    assert found.attrs == {"prob": 0.5, "interval": "50 % equal-tailed interval"}


def test_a_family_without_a_level_1_sd_has_no_residual(fake_fit: MakeFit) -> None:
    table = bml.load_dataset("contraception")
    model = bml.model(
        table, "use ~ urban + (1 + urban || district)", family="binomial", success="Y"
    )
    found = bml.variance_components(fake_fit(model))
    assert found["grouping"].tolist() == ["district", "district"]
    assert found["term"].tolist() == ["Intercept", "urban[Y]"]
    assert found["parameter"].tolist() == ["sd", "sd"]
    assert found["r_hat"].notna().all()


def test_priors_stand_beside_the_posterior(fake_fit: MakeFit) -> None:
    table = bml.load_dataset("egsingle")
    model = bml.model(
        table,
        "math ~ year + (year | childid) + (1 | schoolid)",
        priors={
            "sd_childid[year]": "HalfNormal(0.2)",
            "corr_childid": "LKJ(3)",
            "sd_schoolid": "pc(1, 0.05)",
            "sigma": "mlwin",
        },
    )
    fit = fake_fit(model, draws=200)
    found = bml.variance_components(fit, prob=0.8, prior=True).set_index(["grouping", "parameter"])
    plain = bml.variance_components(fit, prob=0.8)
    pd.testing.assert_frame_equal(found.reset_index()[plain.columns.tolist()], plain)
    assert found["prior"].tolist()[1:] == [
        "HalfNormal(0.2)",
        "LKJ(3)",
        "Exponential(2.99573)",
        "mlwin",
    ]
    tails = [0.1, 0.5, 0.9]
    columns = ["prior_lower", "prior_median", "prior_upper"]
    assert found[columns].to_numpy()[1] == pytest.approx(stats.halfnorm(scale=0.2).ppf(tails))
    # One correlation of LKJ(3) in two dimensions is 2 Beta(3, 3) - 1.
    assert found[columns].to_numpy()[2] == pytest.approx(2 * stats.beta(3, 3).ppf(tails) - 1)
    assert found[columns].to_numpy()[3] == pytest.approx(
        stats.expon(scale=1 / 2.99573).ppf(tails), rel=1e-5
    )
    # Half-Student-t, by draws of a Student-t.
    scale = float(found["prior"].iloc[0].split(", ")[1].rstrip(")"))
    drawn = np.abs(stats.t(4, scale=scale).rvs(400_000, random_state=1))
    assert found[columns].to_numpy()[0] == pytest.approx(np.quantile(drawn, tails), rel=0.01)
    widths = found["prior_upper"] - found["prior_lower"]
    expected = 1 - (found["upper"] - found["lower"]) / widths
    assert found["learnt"].to_numpy() == pytest.approx(expected.to_numpy())
    # Gamma^-1(.001, .001) has no finite width to speak of: everything was learnt.
    assert found["learnt"].iloc[4] == pytest.approx(1)


def test_correlations_of_blocks_have_priors_of_their_size(fake_fit: MakeFit) -> None:
    table = bml.load_dataset("egsingle").assign(
        later=lambda rows: rows["year"] ** 2, older=lambda rows: rows["grade"] ** 3.0
    )
    model = bml.model(table, "math ~ year + (year + later | childid) + (0 + older | childid)")
    found = bml.variance_components(fake_fit(model), prior=True)
    correlations = found[found["parameter"] == "corr"]
    # Three terms: Beta(2.5, 2.5) stretched; a block of one term has no correlation.
    three = correlations[correlations["term2"].isin(["year", "later"])]
    assert len(three) == 3
    upper = 2 * stats.beta(2.5, 2.5).ppf(0.945) - 1
    assert three["prior_upper"].to_numpy() == pytest.approx(upper)


def test_a_posterior_equal_to_its_prior_taught_nothing(fake_fit: MakeFit) -> None:
    table = bml.load_dataset("contraception")
    model = bml.two_level(
        table,
        "use ~ urban",
        group="district",
        family="binomial",
        success="Y",
        priors={"sd_district": "HalfNormal(1)"},
    )
    draws = stats.halfnorm.rvs(size=(2, 20_000, 1), random_state=3)
    found = bml.variance_components(
        fake_fit(model, draws=20_000, values={"sd_district": draws}), prior=True
    )
    assert found["learnt"].tolist() == pytest.approx([0], abs=0.02)
