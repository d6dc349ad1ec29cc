"""REML estimates beside a posterior."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.errors import FitError
from bayesml.records.fits import Fit
from tests.engines.gaussian_cases import CASES, model_of, small_table
from tests.reference_agreement import ENTRIES, build, reference

MakeFit = Callable[..., Fit]

# The kernels are compiled once in a fresh clone.
pytestmark = pytest.mark.sampling


@pytest.mark.parametrize("name", [name for name in CASES if name != "no groupings"])
def test_the_estimates_are_those_of_reml_on_the_table(name: str, fake_fit: MakeFit) -> None:
    model = model_of(name)
    table = bml.compare_reml(fake_fit(model))
    found = bml.reml(model)
    assert list(table.columns) == ["reml", "se", "mean", "median", "sd", "lower", "upper", "inside"]
    assert table.attrs["notes"] == list(found.notes)
    seen = 0
    for row in found.coefficients.itertuples():
        ours = table.loc[f"beta[{row.coef}]"]
        assert ours["reml"] == pytest.approx(row.estimate, rel=1e-9)
        assert ours["se"] == pytest.approx(row.se, rel=1e-9)
        seen += 1
    for row in found.variance_components.itertuples():
        label = f"sd_{row.grouping}[{row.term}]"
        if row.parameter == "corr":
            label = f"corr_{row.grouping}[{row.term}, {row.term2}]"
        ours = table.loc["sigma" if row.grouping == "residual" else label]
        np.testing.assert_allclose(ours["reml"], row.estimate, rtol=1e-9)
        assert np.isnan(ours["se"])
        seen += 1
    assert seen == len(table)


def test_the_posterior_is_that_of_the_summary(fake_fit: MakeFit) -> None:
    fit = fake_fit(model_of("a slope"))
    table, summary = bml.compare_reml(fit, prob=0.5), bml.summary(fit, prob=0.5)
    assert list(table.index) == list(summary.index)
    for column in ("mean", "median", "sd", "lower", "upper"):
        np.testing.assert_array_equal(table[column], summary[column])
    assert table.attrs["prob"] == 0.5
    assert table.attrs["interval"] == "50 % equal-tailed interval"
    inside = (summary["lower"] <= table["reml"]) & (table["reml"] <= summary["upper"])
    np.testing.assert_array_equal(table["inside"], inside)
    assert table["inside"].dtype == bool


def test_inside_and_outside(fake_fit: MakeFit) -> None:
    model = model_of("intercepts only")
    sigma = bml.reml(model).variance_components["estimate"].iloc[-1]
    for value, inside in ((sigma, True), (2 * sigma, False)):
        draws = value * np.exp(np.linspace(-0.1, 0.1, 100)).reshape(2, 50)
        table = bml.compare_reml(fake_fit(model, values={"sigma": draws}))
        assert table.loc["sigma", "inside"] == inside


def test_a_loaded_fit_gives_the_same(fake_fit: MakeFit, tmp_path: Path) -> None:
    fit = fake_fit(model_of("members with a slope, in schools"))
    fit.save(tmp_path / "fit.nc")
    here, there = bml.compare_reml(fit), bml.compare_reml(bml.load(tmp_path / "fit.nc"))
    np.testing.assert_array_equal(here["reml"], there["reml"])


def test_a_singular_fit_is_noted(fake_fit: MakeFit) -> None:
    table = small_table().copy()
    # No differences between the means of the schools at all
    table["y"] = table["z"] - table.groupby("school")["z"].transform("mean")
    found = bml.compare_reml(fake_fit(bml.model(table, "y ~ 1 + (1 | school)")))
    assert found.attrs["notes"][0].startswith("The fit is singular: the SD of 'Intercept'")
    assert found.loc["sd_school[Intercept]", "reml"] == pytest.approx(0, abs=1e-6)


def test_another_family_is_refused(fake_fit: MakeFit) -> None:
    table = bml.load_dataset("exam").assign(passed=lambda t: (t["normexam"] > 0).astype(int))
    model = bml.two_level(table, "passed ~ standLRT", group="school", family="binomial")
    with pytest.raises(FitError) as caught:
        bml.compare_reml(fake_fit(model))
    assert str(caught.value) == (
        "compare_reml is for Gaussian outcomes, and this fit is binomial with link logit. Use "
        "bml.summary(fit)."
    )


def test_a_fit_without_rows_is_refused(fake_fit: MakeFit, tmp_path: Path) -> None:
    fake_fit(model_of("a slope")).save(tmp_path / "fit.nc", data=False)
    with pytest.raises(FitError) as caught:
        bml.compare_reml(bml.load(tmp_path / "fit.nc"))
    assert str(caught.value) == (
        "compare_reml needs the rows of the table, and this fit was saved without them "
        "(data=False). Use a fit that holds them: fit.save(path) keeps the rows."
    )


@pytest.mark.parametrize("prob", [0.0, 1.0, 1.5, -0.1])
def test_a_probability_outside_its_range_is_refused(prob: float, fake_fit: MakeFit) -> None:
    with pytest.raises(FitError, match="prob"):
        bml.compare_reml(fake_fit(model_of("a slope")), prob=prob)


@pytest.mark.parametrize("name", ["ovary_ar1", "orthodont_ar1", "orthodont_heteroscedastic"])
def test_residual_structures_stand_beside_the_estimates_of_nlme(
    name: str, fake_fit: MakeFit
) -> None:
    known, model = reference(name), build(name)
    table = bml.compare_reml(fake_fit(model))
    assert table["reml"].notna().all()
    labels = ["Intercept" if x == "(Intercept)" else x for x in known["fixed"]]
    labels = [ENTRIES[name].names.get(label, label) for label in labels]
    estimates = table.loc[[f"beta[{label}]" for label in labels]]
    np.testing.assert_allclose(estimates["reml"], [*known["fixed"].values()], rtol=2e-4)
    np.testing.assert_allclose(estimates["se"], [*known["fixed_se"].values()], rtol=2e-3)
    sds = [row.get("sdcor", row.get("vcov", 0) ** 0.5) for row in known["random"]]
    effects = [row for row in known["random"] if not row["group"].startswith("Residual")]
    own = table.loc[table.index.str.startswith("sd_"), "reml"]
    np.testing.assert_allclose(own, sds[: len(effects)], rtol=1e-4)
    if "phi" in known:
        assert table.loc["phi", "reml"] == pytest.approx(known["phi"], abs=2e-6)
        assert table.loc["sigma", "reml"] == pytest.approx(sds[-1], rel=1e-4)
    else:
        logs = table.loc[["beta_sigma[Sex[Male]]", "beta_sigma[Sex[Female]]"], "reml"]
        np.testing.assert_allclose(np.exp(logs), sds[len(effects) :], rtol=1e-4)


@pytest.mark.parametrize("text", ["compound_symmetric(Subject)", "unstructured(age, Subject)"])
def test_correlations_of_residuals_are_those_of_reml(text: str, fake_fit: MakeFit) -> None:
    model = bml.model(bml.load_dataset("orthodont"), "distance ~ age", residual=text)
    table, found = bml.compare_reml(fake_fit(model)), bml.reml(model)
    components = found.variance_components
    for parameter, name in (("sd", "sigma"), ("corr", "corr_residual")):
        own = components[components["parameter"] == parameter]
        labels = [
            name
            + (f"[{row.term}, {row.term2}]" if row.term2 else f"[{row.term}]" if row.term else "")
            for row in own.itertuples()
        ]
        np.testing.assert_allclose(table.loc[labels, "reml"], own["estimate"], atol=1e-5)
    assert len(table) == len(found.coefficients) + len(components)


def test_what_reml_cannot_take_is_refused(fake_fit: MakeFit) -> None:
    table = bml.load_dataset("orthodont")
    model = bml.model(
        table, "distance ~ age + (1 | Subject)", distributional={"sigma": "~ 1 + (1 | Subject)"}
    )
    with pytest.raises(FitError, match=r"REML cannot.*: sigma varies over units\. Use bml"):
        bml.compare_reml(fake_fit(model))
    model = bml.multivariate(table, "Sex", outcomes=["distance", "age"], group="Subject")
    with pytest.raises(FitError, match=r"compare_reml is about one outcome, and this model has 2"):
        bml.compare_reml(fake_fit(model))


def test_members_of_couples_have_estimates_of_their_own(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "couple": np.repeat(np.arange(40), 2),
            "role": np.tile(["husband", "wife"], 40),
            "y": np.repeat(rng.normal(size=40), 2) + rng.normal(size=80),
        }
    )
    model = bml.dyadic(table, "y ~ 1", dyad="couple", member="role")
    found = bml.compare_reml(fake_fit(model))["reml"]
    # The restricted estimate of a mean and a free covariance is the sample's, with n - 1.
    wide = table.pivot(index="couple", columns="role", values="y")
    for name in ("husband", "wife"):
        assert found[f"sigma[{name}]"] == pytest.approx(wide[name].std(), rel=1e-4)
        assert found[f"beta[{name}:Intercept]"] == pytest.approx(wide[name].mean(), abs=1e-6)
    expected = wide.corr().loc["husband", "wife"]
    assert found["corr_residual[husband, wife]"] == pytest.approx(expected, abs=1e-4)
