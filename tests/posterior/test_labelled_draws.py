"""Labels of draws: the user's names, and only what is estimated."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.errors import FitError
from bayesml.posterior.labelled_draws import labelled_draws
from bayesml.records.fits import Fit

MakeFit = Callable[..., Fit]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "y": rng.normal(size=120),
            "x": rng.normal(size=120),
            "w": rng.normal(size=120),
            "my school": np.repeat([f"s{i}" for i in range(12)], 10),
            "answer": rng.choice(["no", "perhaps", "yes"], size=120),
        }
    )


def test_labels_bear_the_user_s_names(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    fit = fake_fit(bml.model(table, "y ~ x + (x | `my school`)"))
    assert labelled_draws(fit).labels == (
        "beta[Intercept]",
        "beta[x]",
        "sd_my school[Intercept]",
        "sd_my school[x]",
        "corr_my school[Intercept, x]",
        "sigma",
    )


def test_cutpoints_are_labelled_by_their_categories(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    model = bml.two_level(
        table,
        "answer ~ x",
        group="my school",
        family="ordinal",
        categories=["no", "perhaps", "yes"],
    )
    assert labelled_draws(fake_fit(model), "cutpoints").labels == (
        "cutpoints[no|perhaps]",
        "cutpoints[perhaps|yes]",
    )


def test_correlations_come_from_the_lower_triangle_of_each_block(
    table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    fit = fake_fit(bml.model(table, "y ~ 1 + (1 + x + w | `my school`)"), draws=3)
    found = labelled_draws(fit, "corr_my_school")
    assert found.labels == (
        "corr_my school[Intercept, x]",
        "corr_my school[Intercept, w]",
        "corr_my school[x, w]",
    )
    matrix = fit.posterior["corr_my_school"].values
    assert np.array_equal(found.values[..., 0], matrix[:, :, 1, 0])
    assert np.array_equal(found.values[..., 1], matrix[:, :, 2, 0])
    assert np.array_equal(found.values[..., 2], matrix[:, :, 2, 1])


def test_correlations_that_the_model_fixes_at_zero_are_left_out(
    table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    fit = fake_fit(bml.model(table, "y ~ 1 + (1 + x | `my school`) + (0 + w | `my school`)"))
    assert labelled_draws(fit, "corr_my school").labels == ("corr_my school[Intercept, x]",)


def test_random_effects_come_when_they_are_asked_for(
    table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    fit = fake_fit(bml.model(table, "y ~ x + (x | `my school`)"), draws=3)
    found = labelled_draws(fit, ["u_my school", "sigma"])
    assert found.labels[:3] == (
        "u_my school[s0, Intercept]",
        "u_my school[s0, x]",
        "u_my school[s1, Intercept]",
    )
    assert found.labels[-1] == "sigma"
    assert np.array_equal(found.values[..., 2], fit.posterior["u_my_school"].values[:, :, 1, 0])


def test_an_unknown_variable_is_refused(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    fit = fake_fit(bml.model(table, "y ~ x + (1 | `my school`)"))
    with pytest.raises(FitError, match=r"variables names 'sigmas'.*Did you mean 'sigma'\?"):
        labelled_draws(fit, ["beta", "sigmas"])
