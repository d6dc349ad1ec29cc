"""VPC, ICC and R2 of residuals that are correlated within units, against whole covariances."""

import warnings
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.errors import FitError

MakeFit = Callable[..., bml.Fit]
MATRIX = np.array([[1.0, 0.5, 0.2], [0.5, 1.0, -0.1], [0.2, -0.1, 1.0]])
SIGMA = [1.0, 1.5, 0.8]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Children with three weeks each, four to a school."""
    rng = np.random.default_rng(3)
    child = np.arange(24).repeat(3)
    return pd.DataFrame(
        {
            "child": child,
            "school": child // 4,
            "week": np.tile([1, 2, 3], 24),
            "x": rng.normal(size=72),
            "score": rng.normal(size=72),
        }
    )


def made(
    table: pd.DataFrame, fake_fit: MakeFit, residual: str, groupings: str = "", **values: Any
) -> bml.Fit:
    # Six schools are few.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bml.BayesmlWarning)
        model = bml.model(table, f"score ~ x{groupings}", residual=residual)
    return fake_fit(model, draws=20, values=values)


def numbers(fit: bml.Fit) -> dict[str, np.ndarray]:
    return {
        str(name): np.asarray(values.transpose("chain", "draw", ...).values)
        for name, values in fit.posterior.items()
    }


def test_equal_correlations_are_the_icc_of_their_unit(
    table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    fit = made(table, fake_fit, "compound_symmetric(child)", corr_residual=-0.2)
    found = bml.icc(fit)
    assert found["grouping"].tolist() == ["child"]
    assert found["mean"].tolist() == [pytest.approx(-0.2)]
    assert bml.icc(fit, "child", draws=True).shape == (2, 20, 1)
    with pytest.raises(FitError, match=r"no grouping, so its variance.*bml\.icc\(fit\)"):
        bml.vpc(fit)
    with pytest.raises(FitError, match=r"'chil' is neither a grouping.*Did you mean 'child'\?"):
        bml.icc(fit, "chil")


def test_a_larger_grouping_adds_its_share(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    fit = made(table, fake_fit, "compound_symmetric(child)", " + (1 | school)", corr_residual=0.3)
    draws = numbers(fit)
    between, level1 = draws["sd_school"][..., 0] ** 2, draws["sigma"] ** 2
    found = bml.icc(fit, draws=True)
    assert found["grouping"].values.tolist() == ["school", "child"]
    whole = between + level1
    np.testing.assert_allclose(found[..., 0], between / whole)
    np.testing.assert_allclose(found[..., 1], (between + 0.3 * level1) / whole)


@pytest.mark.parametrize(
    ("residual", "lags"), [("ar1(week, child)", [1, 2]), ("continuous_ar(week, child)", [0.5, 2.0])]
)
def test_autoregressive_residuals_are_correlated_by_their_lag(
    table: pd.DataFrame, fake_fit: MakeFit, residual: str, lags: list[float]
) -> None:
    fit = made(table, fake_fit, residual, " + (1 | school) + (1 | child)", phi=0.6)
    draws = numbers(fit)
    school, child = draws["sd_school"][..., 0] ** 2, draws["sd_child"][..., 0] ** 2
    level1 = draws["sigma"] ** 2
    whole = school + child + level1
    found = bml.icc(fit, lag=lags, draws=True)
    assert found.dims == ("chain", "draw", "lag", "grouping")
    assert found["grouping"].values.tolist() == ["school", "child"]
    for place, lag in enumerate(lags):
        # Two rows of one school are of different children.
        np.testing.assert_allclose(found[:, :, place, 0], school / whole)
        expected = (school + child + 0.6**lag * level1) / whole
        np.testing.assert_allclose(found[:, :, place, 1], expected)
    table_of_one = bml.icc(fit, "child", lag=lags[1])
    assert table_of_one["lag"].tolist() == ["2"]
    assert table_of_one["mean"].iloc[0] == pytest.approx(float(found[:, :, 1, 1].mean()))
    # Rows of a school need no lag.
    assert bml.icc(fit, "school").columns.tolist()[:2] == ["grouping", "mean"]
    if residual.startswith("ar1"):
        # Neighbours.
        assert bml.icc(fit)["lag"].tolist() == ["1", "1"]
    else:
        with pytest.raises(FitError, match=r"how far apart in time.*Say how far.*lag=1"):
            bml.icc(fit)
    with pytest.raises(FitError, match=r"lag is '0'.*above 0, one or a list"):
        bml.icc(fit, lag=0)


def test_lags_that_mean_nothing_are_refused(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    fit = made(table, fake_fit, "ar1(week, child)", phi=0.6)
    for lag in (1.5, "one", np.nan, []):
        with pytest.raises(FitError, match=r"Allowed: whole numbers of occasions above 0"):
            bml.icc(fit, lag=lag)
    equal = made(table, fake_fit, "compound_symmetric(child)")
    with pytest.raises(FitError, match=r"lag is 1, but only autoregressive.*Leave lag out"):
        bml.icc(equal, lag=1)
    free = fake_fit(bml.model(table, "score ~ x + (1 | child)"))
    with pytest.raises(FitError, match=r"this model has independent residuals within units"):
        bml.icc(free, lag=1)


def test_occasions_have_a_partition_each(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    fit = made(
        table,
        fake_fit,
        "unstructured(week, child)",
        " + (1 | school)",
        sigma=SIGMA,
        corr_residual=MATRIX,
    )
    between = numbers(fit)["sd_school"][..., 0] ** 2
    shares = bml.vpc(fit, draws=True)
    assert shares.dims == ("chain", "draw", "occasion", "grouping")
    found = bml.icc(fit, draws=True)
    assert found["occasions"].values.tolist() == ["1, 2", "1, 3", "2, 3"]
    assert found["grouping"].values.tolist() == ["school", "child"]
    for place, sd in enumerate(SIGMA):
        np.testing.assert_allclose(shares[:, :, place, 0], between / (between + sd**2))
        np.testing.assert_allclose(shares[:, :, place, 1], sd**2 / (between + sd**2))
    for place, (a, b) in enumerate(combinations(range(3), 2)):
        size = np.sqrt((between + SIGMA[a] ** 2) * (between + SIGMA[b] ** 2))
        np.testing.assert_allclose(found[:, :, place, 0], between / size)
        covariance = between + MATRIX[a, b] * SIGMA[a] * SIGMA[b]
        np.testing.assert_allclose(found[:, :, place, 1], covariance / size)
    alone = made(table, fake_fit, "unstructured(week, child)", sigma=SIGMA, corr_residual=MATRIX)
    assert bml.icc(alone)["mean"].tolist() == pytest.approx([0.5, 0.2, -0.1])


@pytest.mark.parametrize("residual", ["ar1(week, child)", "unstructured(week, child)"])
def test_r2_takes_the_whole_variance_of_residuals(
    table: pd.DataFrame, fake_fit: MakeFit, residual: str
) -> None:
    # One row is left out, so that occasions do not have equal weights.
    kept = table.iloc[1:]
    values = {"sigma": SIGMA} if residual.startswith("un") else {"sigma": 1.2}
    fit = made(kept, fake_fit, residual, " + (1 | school)", **values)
    draws = numbers(fit)
    fixed = draws["beta"][..., 1] ** 2 * kept["x"].var()
    between = draws["sd_school"][..., 0] ** 2
    level1 = 1.44
    if residual.startswith("un"):
        level1 = np.array([SIGMA[week - 1] ** 2 for week in kept["week"]]).mean()
    found = bml.r2(fit, draws=True)
    np.testing.assert_allclose(found[..., 0], fixed / (fixed + between + level1))
    np.testing.assert_allclose(found[..., 1], (fixed + between) / (fixed + between + level1))
    assert any("Residuals are correlated" in note for note in bml.r2(fit).attrs["notes"])
    effects = draws["u_school"][..., kept["school"].to_numpy(), 0]
    eta = draws["beta"][..., :1] + draws["beta"][..., 1:] * kept["x"].to_numpy() + effects
    spread = eta.var(axis=-1, ddof=1)
    found = bml.r2(fit, "bayes", draws=True)[..., 0]
    np.testing.assert_allclose(found, spread / (spread + level1))
    errors = (kept["score"].to_numpy() - eta).var(axis=-1, ddof=1)
    rows = bml.r2(fit, "gelman_pardoe", draws=True).sel(part="residual")
    np.testing.assert_allclose(rows, 1 - errors / kept["score"].var())
    for method in ("rights_sterba", "snijders_bosker"):
        with pytest.raises(FitError, match=rf"The R2 of method='{method}' takes the rows.*r2\(fit"):
            bml.r2(fit, method)


@pytest.mark.sampling
def test_equal_correlations_are_those_of_a_varying_intercept() -> None:
    orthodont = bml.load_dataset("orthodont")
    run = {"draws": 2000, "tune": 500, "chains": 4, "seed": 2, "progress": False}
    flat = {"sd_Subject": "HalfNormal(10)", "sigma": "HalfNormal(10)"}
    intercept = bml.model(orthodont, "distance ~ age + (1 | Subject)", priors=flat).fit(**run)
    equal = bml.model(
        orthodont,
        "distance ~ age",
        residual="compound_symmetric(Subject)",
        priors={"sigma": "HalfNormal(10)"},
    ).fit(**run)
    first, second = bml.icc(intercept).iloc[0], bml.icc(equal).iloc[0]
    # The priors of the correlation differ; each mean has an error of about 0.002.
    assert second["mean"] == pytest.approx(first["mean"], abs=0.03)
    assert second["sd"] == pytest.approx(first["sd"], rel=0.15)
