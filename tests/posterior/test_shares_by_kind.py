"""Shares of the variance where units of several kinds have SDs of their own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayesml as bml

DRAWS = 40


def table() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    unit = np.repeat(np.arange(24), 5)
    return pd.DataFrame(
        {
            "y": rng.normal(size=120),
            "n": rng.poisson(2, size=120),
            "x": rng.normal(1, 1, size=120),
            "unit": unit,
            "sector": np.where(unit % 3 == 0, "Church", "State"),
            "area": unit // 8,
        }
    )


def made(
    fake_fit: Callable[..., bml.Fit], outcome: str = "y", family: str = "gaussian", extra: str = ""
) -> bml.Fit:
    model = bml.two_level(
        table(),
        f"{outcome} ~ x{extra}",
        group="unit",
        slopes=["x"],
        by={"unit": "sector"},
        family=family,
    )
    rng = np.random.default_rng(5)
    corr = np.empty((2, DRAWS, 2, 2, 2))
    corr[...] = np.eye(2)
    for kind, value in enumerate((0.4, -0.3)):
        corr[:, :, kind, 0, 1] = corr[:, :, kind, 1, 0] = value
    values = {"sd_unit": np.exp(rng.normal(-0.5, 0.3, (2, DRAWS, 2, 2))), "corr_unit": corr}
    return fake_fit(model, draws=DRAWS, values=values)


def variance(fit: bml.Fit, kind: int, x: float) -> np.ndarray:
    """The variance between units of a kind, by hand: a^2 + 2 x r a b + x^2 b^2."""
    sd = fit.posterior["sd_unit"].values[:, :, kind]
    corr = fit.posterior["corr_unit"].values[:, :, kind, 0, 1]
    return sd[..., 0] ** 2 + 2 * x * corr * sd[..., 0] * sd[..., 1] + x**2 * sd[..., 1] ** 2


def test_every_kind_has_a_partition(fake_fit: Callable[..., bml.Fit]) -> None:
    fit = made(fake_fit)
    shares = bml.vpc(fit, at={"x": 0.5}, draws=True)
    assert shares.dims == ("chain", "draw", "sector", "grouping")
    level1 = fit.posterior["sigma"].values ** 2
    for number, kind in enumerate(["Church", "State"]):
        between = variance(fit, number, 0.5)
        own = shares.sel(sector=kind)
        np.testing.assert_allclose(own.sel(grouping="unit"), between / (between + level1))
        np.testing.assert_allclose(own.sel(grouping="residual"), level1 / (between + level1))
    shown = bml.vpc(fit, at={"x": 0.5})
    assert shown["sector"].tolist() == ["Church"] * 2 + ["State"] * 2
    assert shown.attrs["at"] == {"x": 0.5}
    alike = bml.icc(fit, at={"x": 0.5}, draws=True)
    np.testing.assert_allclose(alike, shares.sel(grouping=["unit"]))


def test_a_kind_may_be_chosen(fake_fit: Callable[..., bml.Fit]) -> None:
    fit = made(fake_fit)
    whole = bml.vpc(fit, draws=True)
    one = bml.vpc(fit, at={"sector": "State"}, draws=True)
    assert one["sector"].values.tolist() == ["State"]
    np.testing.assert_allclose(one, whole.sel(sector=["State"]))
    with pytest.raises(bml.FitError, match=r"'Stat' for 'sector'.*Did you mean 'State'\?"):
        bml.vpc(fit, at={"sector": "Stat"})


def test_a_kind_that_is_a_predictor_moves_the_mean_of_counts(
    fake_fit: Callable[..., bml.Fit],
) -> None:
    fit = made(fake_fit, "n", "poisson", " + sector")
    shares = bml.vpc(fit, at={"x": 1.0}, draws=True)
    beta = fit.posterior["beta"].transpose("chain", "draw", "coef").values
    for number, kind in enumerate(["Church", "State"]):
        v = variance(fit, number, 1.0)
        # Leckie et al. (2020): the mean is exp(eta + v / 2), the variance of means m^2 (e^v - 1).
        mean = np.exp(beta[..., 0] + beta[..., 1] + number * beta[..., 2] + v / 2)
        between = mean**2 * np.expm1(v)
        expected = between / (between + mean)
        np.testing.assert_allclose(shares.sel(sector=kind, grouping="unit"), expected, rtol=1e-9)
    assert "sector[State]" not in bml.vpc(fit).attrs["at"]


def test_what_needs_one_sd_says_so(fake_fit: Callable[..., bml.Fit]) -> None:
    fit = made(fake_fit)
    for function in (bml.design_effect, bml.reliability):
        with pytest.raises(bml.FitError, match=r"one SD for all units.*bml.icc\(fit\)"):
            function(fit)


def test_the_report_has_a_row_for_each_kind(
    fake_fit: Callable[..., bml.Fit], tmp_path: Path
) -> None:
    text = bml.report(made(fake_fit), tmp_path / "report.html").read_text(encoding="utf-8")
    start = text.index("Variance partition coefficients")
    table_text = text[start : text.index("</table>", start)]
    # A share of the grouping and one of level 1 for each.
    assert table_text.count(">Church<") == 2
    assert table_text.count(">State<") == 2
    assert "VPC of unit (Church)" in text


@pytest.mark.sampling
@pytest.mark.timeout(1200)
def test_unequal_kinds_are_found_and_predict_better() -> None:
    rng = np.random.default_rng(8)
    unit = np.repeat(np.arange(60), 8)
    sector = np.where(np.arange(60) % 2 == 0, "State", "Church")
    effects = np.where(sector == "State", 1.5, 0.2) * rng.normal(size=60)
    rows = pd.DataFrame(
        {
            "y": effects[unit] + rng.normal(size=480),
            "x": rng.normal(size=480),
            "school": unit,
            "sector": sector[unit],
        }
    )
    run = {"seed": 1, "chains": 2, "draws": 500, "tune": 500, "progress": False}
    even = bml.two_level(rows, "y ~ x", group="school").fit(engine="pymc", **run)
    uneven = bml.two_level(rows, "y ~ x", group="school", by={"school": "sector"}).fit(**run)
    found = bml.summary(uneven)
    assert found["r_hat"].max() < 1.02
    for kind, sd in (("State", 1.5), ("Church", 0.2)):
        row = found.loc[f"sd_school[{kind}:Intercept]"]
        # 3.5 posterior SDs: once in 2,000 tables.
        assert abs(row["mean"] - sd) < 3.5 * row["sd"]
    for measure in (bml.loo, lambda fit: bml.logo(fit, "school")):
        table = bml.compare({"one SD": measure(even), "by sector": measure(uneven)}).table
        assert table.index[0] == "by sector"
        assert table.loc["one SD", "elpd_diff"] < -2 * table.loc["one SD", "se_diff"]


def test_average_slopes_are_those_of_the_units(fake_fit: Callable[..., bml.Fit]) -> None:
    fit = made(fake_fit)
    beta, effects = fit.posterior["beta"].values, fit.posterior["u_unit"].values
    of_rows = beta[..., [1]] + effects[:, :, table()["unit"].to_numpy(), 1]
    for groups, expected in (("known", of_rows.mean(axis=-1)), ("population", beta[..., 1])):
        found = bml.slopes(fit, "x", groups=groups)
        assert found["mean"].tolist() == pytest.approx([expected.mean()], abs=1e-6)
    difference = bml.contrast(fit, "x", levels=(0, 2), groups="known")
    assert difference["mean"].tolist() == pytest.approx([2 * of_rows.mean()], abs=1e-6)
