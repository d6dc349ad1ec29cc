"""Matrices and default priors of the formulas of further parameters."""

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.design.stored_designs import design_text, stored_design


def table() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "y": rng.normal(100, 20, 80),
            "x": rng.normal(2, 3, 80),
            "sex": np.array(["F", "M"])[np.arange(80) % 2],
            "school": np.arange(80) // 8,
        }
    )


def made(formula: str, **options: object) -> bml.Model:
    return bml.two_level(
        table(), "y ~ x", group="school", distributional={"sigma": formula}, **options
    )


def priors(model: bml.Model) -> dict[str, str]:
    return dict(zip(model.priors["parameter"], model.priors["prior"], strict=True))


def test_default_priors_follow_the_table() -> None:
    found = priors(made("~ x + (1 + x | school)"))
    spread, sd_x = table()["y"].std(), table()["x"].std()
    assert found["Intercept_sigma"] == f"StudentT(3, {np.log(spread):g}, 1)"
    assert found["beta_sigma[x]"] == f"Normal(0, {1 / sd_x:g})"
    assert found["sd_school[sigma:Intercept]"] == "HalfStudentT(4, 0.5)"
    assert found["sd_school[sigma:x]"] == f"HalfStudentT(4, {0.5 / sd_x:g})"
    assert found["sd_school[Intercept]"] == f"HalfStudentT(4, {spread:g})"
    assert "sigma" not in found


def test_a_column_per_level_has_the_location_of_the_intercept() -> None:
    found = priors(made("~ 0 + sex"))
    location = np.log(table()["y"].std())
    assert found["beta_sigma[sex[F]]"] == found["beta_sigma[sex[M]]"] == f"Normal({location:g}, 1)"


def test_general_keys_speak_of_the_main_terms() -> None:
    found = priors(
        made(
            "~ x + (1 | school)",
            priors={
                "sd_school": "HalfNormal(3)",
                "sd_school[sigma:Intercept]": "HalfNormal(0.1)",
                "beta_sigma": "Normal(0, 9)",
            },
        )
    )
    assert found["sd_school[Intercept]"] == "HalfNormal(3)"
    assert found["sd_school[sigma:Intercept]"] == "HalfNormal(0.1)"
    assert found["beta_sigma[x]"] == "Normal(0, 9)"
    alone = bml.model(
        table(),
        "y ~ x",
        distributional={"sigma": "~ 1 + (1 | school)"},
        priors={"sd_school": "HalfNormal(3)"},
    )
    assert priors(alone)["sd_school[sigma:Intercept]"] == "HalfNormal(3)"


def test_the_scalar_parameter_has_no_prior_any_more() -> None:
    with pytest.raises(bml.PriorError, match="no prior 'sigma' in this model"):
        made("~ x", priors={"sigma": "HalfNormal(1)"})


def test_the_marginal_engine_declines_with_a_reason() -> None:
    with pytest.raises(bml.FitError, match="sigma takes 80 different values, and 50 is the limit"):
        made("~ x").fit(engine="marginal")


def test_a_design_replays_on_other_rows() -> None:
    model = made("~ x + sex + (x | school)")
    stored = stored_design(design_text(model.design), model.spec)
    rows = table().iloc[:5]
    np.testing.assert_allclose(
        stored.parts["sigma"].replay(rows), model.design.parts["sigma"].values[:5]
    )
    assert model.design.varying[0].labels == ("Intercept", "sigma:Intercept", "sigma:x")
    assert model.design.varying[0].blocks == (1, 2)


def test_predictors_are_checked_as_in_the_main_formula() -> None:
    with pytest.raises(bml.TableError, match="repeats"):
        made("~ x + I(2 * x)")


def test_an_interaction_may_not_bear_the_label_of_a_term_of_sigma() -> None:
    frame = table().rename(columns={"x": "sigma"}).assign(x=1.0 * np.arange(80))
    with pytest.raises(bml.SpecError, match="two terms called 'sigma:x'"):
        bml.model(
            frame,
            "y ~ x + (1 + sigma:x | school)",
            distributional={"sigma": "~ 1 + (1 + x | school)"},
        )


def test_a_prior_predictive_has_the_spread_that_the_part_says() -> None:
    model = made(
        "~ 0 + sex",
        priors={
            "beta_sigma[sex[F]]": "Normal(0, 0.001)",
            "beta_sigma[sex[M]]": "Normal(2, 0.001)",
            "sd_school": "HalfNormal(0.001)",
            "beta": "Normal(0, 0.0001)",
            "Intercept": "Normal(0, 0.0001)",
        },
    )
    found = model.prior_predictive(draws=2000, seed=1)
    spread = found["prior_predictive"]["y_"].std(dim=("chain", "draw")).values
    # 80 rows of 2,000 draws each: the mean SD of 40 rows is good to 0.3 %.
    assert spread[::2].mean() == pytest.approx(1.0, rel=0.02)
    assert spread[1::2].mean() == pytest.approx(np.exp(2), rel=0.02)
