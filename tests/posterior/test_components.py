"""The table of variance components."""

from collections.abc import Callable

import pytest

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
