"""Residuals of rows and of units, against plain NumPy and closed forms."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit

import bayesml as bml
from bayesml.errors import FitError
from bayesml.records.fits import Fit

MakeFit = Callable[..., Fit]


def flat(fit: Fit, *names: str) -> list[np.ndarray]:
    """Return draws, chains one after the other."""
    values = [fit.posterior[name].values for name in names]
    return [value.reshape(-1, *value.shape[2:]) for value in values]


def test_residuals_of_rows_are_those_of_numpy(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(1)
    table = pd.DataFrame(rng.normal(size=(50, 2)), columns=["y", "x"])
    table["g"] = np.tile(range(5), 10)
    table.loc[7, "x"] = np.nan
    with pytest.warns(bml.BayesmlWarning):
        model = bml.two_level(table, "y ~ x", group="g", slopes=["x"])
    fit = fake_fit(model, draws=4, chains=2)
    used = table.dropna()
    y = used["y"].to_numpy()
    design = np.column_stack([np.ones(49), used["x"]])
    fitted, standardised = np.zeros(49), np.zeros(49)
    for beta, u, sigma in zip(*flat(fit, "beta", "u_g", "sigma"), strict=True):
        mean = design @ beta + (design * u[used["g"]]).sum(axis=1)
        fitted += mean / 8
        standardised += (y - mean) / sigma / 8
    found = bml.residuals(fit, seed=1)
    assert list(found["row"]) == list(used.index)
    assert found["observed"].to_numpy() == pytest.approx(y)
    assert found["fitted"].to_numpy() == pytest.approx(fitted)
    assert found["residual"].to_numpy() == pytest.approx(y - fitted)
    assert found["standardised"].to_numpy() == pytest.approx(standardised)
    assert (found.attrs["draws"], found.attrs["seed"]) == (8, 1)
    # The one draw that is named.
    beta, u, sigma = (values[found.attrs["draw"]] for values in flat(fit, "beta", "u_g", "sigma"))
    mean = design @ beta + (design * u[used["g"]]).sum(axis=1)
    assert found["realised"].to_numpy() == pytest.approx((y - mean) / sigma)
    drawn = {bml.residuals(fit, seed=seed).attrs["draw"] for seed in range(20)}
    assert drawn <= set(range(8))
    assert len(drawn) > 4


@pytest.mark.parametrize("family", ["poisson", "binomial"])
def test_residuals_of_counts_and_shares(family: str, fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"g": np.tile(range(5), 8), "days": rng.uniform(1, 3, size=40)})
    table["n"] = rng.integers(2, 9, size=40)
    table["y"] = rng.binomial(table["n"], 0.4)
    options = {"exposure": "days"} if family == "poisson" else {"trials": "n"}
    fit = fake_fit(bml.two_level(table, "y ~ 1", group="g", family=family, **options), draws=3)
    beta, u = flat(fit, "beta", "u_g")
    eta = beta + u[:, table["g"], 0]
    if family == "poisson":
        mean = table["days"].to_numpy() * np.exp(eta)
        shown, variance = table["y"].to_numpy(), mean
    else:
        mean = expit(eta)
        shown = (table["y"] / table["n"]).to_numpy()
        variance = mean * (1 - mean) / table["n"].to_numpy()
    found = bml.residuals(fit, seed=1)
    assert found["observed"].to_numpy() == pytest.approx(shown)
    assert found["fitted"].to_numpy() == pytest.approx(mean.mean(axis=0))
    expected = ((shown - mean) / np.sqrt(variance)).mean(axis=0)
    assert found["standardised"].to_numpy() == pytest.approx(expected)


@pytest.mark.parametrize("family", ["gaussian", "poisson", "ordinal", "binomial"])
def test_quantile_residuals_are_standard_normal_under_the_model(
    family: str, fake_fit: MakeFit
) -> None:
    rng = np.random.default_rng(3)
    unit = np.repeat(range(40), 25)
    u = rng.normal(0, 0.7, size=40)
    eta = 0.4 + u[unit]
    outcome = {
        "gaussian": rng.normal(eta, 1.3),
        "poisson": rng.poisson(np.exp(eta)),
        "ordinal": np.searchsorted([-0.5, 1.0], eta - 0.4 + rng.logistic(size=1000)),
        "binomial": rng.binomial(1, expit(eta)),
    }[family]
    table = pd.DataFrame({"y": outcome, "g": unit})
    model = bml.two_level(table, "y ~ 1", group="g", family=family)
    values: dict[str, object] = {"beta": 0.4, "u_g": u[:, None], "sd_g": 0.7}
    values |= {"sigma": 1.3} if family == "gaussian" else {}
    if family == "ordinal":
        values = {"cutpoints": [-0.5, 1.0], "u_g": u[:, None]}
    fit = fake_fit(model, draws=200, chains=2, values=values)
    found = bml.residuals(fit, draws=400, seed=4)["quantile"]
    assert stats.kstest(found, "norm").pvalue > 0.01
    # Without the units' effects the residuals of a unit are alike.
    wrong = fake_fit(model, draws=200, chains=2, values=values | {"u_g": 0.0})
    alike = bml.residuals(wrong, draws=400, seed=4)["quantile"].groupby(unit).mean().std()
    assert found.groupby(unit).mean().std() == pytest.approx(1 / 5, abs=0.06)
    assert alike > 0.28


def known_variances(fake_fit: MakeFit, seed: int) -> tuple[Fit, np.ndarray]:
    """Return a fit of 60 units with exact draws of their effects, and the number of their rows."""
    rng = np.random.default_rng(seed)
    size = rng.integers(2, 12, size=60)
    unit = np.repeat(range(60), size)
    u = rng.normal(0, 0.6, size=60)
    y = 2 + u[unit] + rng.normal(0, 1, size=len(unit))
    model = bml.two_level(pd.DataFrame({"y": y, "g": unit}), "y ~ 1", group="g")
    mean = np.bincount(unit, y - 2) / size
    share = 0.36 / (0.36 + 1 / size)
    noise = rng.normal(size=(2, 1000, 60))
    # Draws with the exact mean and SD, so that Monte Carlo error plays no part.
    noise = (noise - noise.mean(axis=(0, 1))) / noise.std(axis=(0, 1))
    effects = share * mean + np.sqrt(0.36 * (1 - share)) * noise
    values = {"beta": 2.0, "sd_g": 0.6, "sigma": 1.0, "u_g": effects[..., None]}
    return fake_fit(model, draws=1000, values=values), size


def test_residuals_of_units(fake_fit: MakeFit) -> None:
    fit, size = known_variances(fake_fit, 5)
    found = bml.residuals(fit, "g", prob=0.5)
    share = 0.36 / (0.36 + 1 / size)
    assert found["reliability"].to_numpy() == pytest.approx(share, abs=0.002)
    assert list(found["rows"]) == list(size)
    u = flat(fit, "u_g")[0][..., 0]
    assert found["residual"].to_numpy() == pytest.approx(u.mean(axis=0))
    assert found["sd"].to_numpy() == pytest.approx(u.std(axis=0, ddof=1))
    assert found["upper"].to_numpy() == pytest.approx(np.quantile(u, 0.75, axis=0))
    expected = u.mean(axis=0) / np.sqrt(0.36 * share)
    assert found["standardised"].to_numpy() == pytest.approx(expected, rel=0.01, abs=1e-6)
    assert found["fitted"].to_numpy() == pytest.approx(2)
    assert found.attrs["interval"] == "50 % equal-tailed interval"
    assert found.attrs["grouping"] == "g"


def test_standardised_residuals_of_units_are_standard_normal(fake_fit: MakeFit) -> None:
    found = np.concatenate(
        [
            bml.residuals(known_variances(fake_fit, seed)[0], "g")["standardised"]
            for seed in range(8)
        ]
    )
    assert stats.kstest(found, "norm").pvalue > 0.01
    assert found.std() == pytest.approx(1, abs=0.1)


def test_residuals_of_one_draw_are_standard_normal_with_few_rows_a_unit(
    fake_fit: MakeFit,
) -> None:
    rows, units = [], []
    for seed in range(10):
        fit, _ = known_variances(fake_fit, seed)
        rows.append(bml.residuals(fit, draws=400, seed=seed))
        units.append(bml.residuals(fit, "g", seed=seed))
    found, effects = pd.concat(rows), pd.concat(units)
    assert stats.kstest(found["realised"], "norm").pvalue > 0.01
    assert stats.kstest(found["quantile"], "norm").pvalue > 0.01
    assert stats.kstest(effects["realised"], "norm").pvalue > 0.01
    # Posterior means lie nearer to 0: the effects have taken part of every row's residual.
    assert found["standardised"].std() < 0.95


def test_several_terms_and_units_that_say_nothing(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(6)
    table = pd.DataFrame(rng.normal(size=(60, 2)), columns=["y", "x"])
    table["g"] = np.repeat(list("abcdef"), 10)
    model = bml.two_level(table, "y ~ x", group="g", slopes=["x"])
    effects = 0.1 * rng.normal(size=(2, 50, 6, 2))
    effects[:, :, 2] *= 50
    fit = fake_fit(model, values={"u_g": effects, "sd_g": 1.0})
    found = bml.residuals(fit, "g")
    assert list(found["unit"]) == list("aabbccddeeff")
    assert list(found["term"]) == ["Intercept", "x"] * 6
    # As wide as, or wider than, the distribution of the units.
    silent = found["unit"] == "c"
    assert found.loc[silent, "standardised"].isna().all()
    assert (found.loc[silent, "reliability"] == 0).all()
    assert found.loc[~silent, "standardised"].notna().all()
    beta = flat(fit, "beta")[0].mean(axis=0)
    fixed = (beta[0] + beta[1] * table["x"]).groupby(table["g"]).mean()
    assert found["fitted"].to_numpy() == pytest.approx(np.repeat(fixed.to_numpy(), 2))


def test_wrong_levels_and_arguments_are_refused(fake_fit: MakeFit) -> None:
    fit, _ = known_variances(fake_fit, 7)
    with pytest.raises(FitError, match=r"'school' is not a grouping of this model\. Allowed: 'g'"):
        bml.residuals(fit, "school")
    with pytest.raises(FitError, match=r"draws is 0"):
        bml.residuals(fit, draws=0)
    with pytest.raises(FitError, match=r"seed is 1\.5"):
        bml.residuals(fit, seed=1.5)
    with pytest.raises(FitError, match=r"prob is 2"):
        bml.residuals(fit, "g", prob=2)


@pytest.mark.sampling
def test_residuals_of_a_real_fit(exam_fit: Fit) -> None:
    rows = bml.residuals(exam_fit, seed=1)
    assert rows["standardised"].std() == pytest.approx(1, abs=0.03)
    assert rows["quantile"].std() == pytest.approx(1, abs=0.03)
    assert np.corrcoef(rows["standardised"], rows["quantile"])[0, 1] > 0.97
    schools = bml.residuals(exam_fit, "school")
    for _, term in schools.groupby("term"):
        assert term["standardised"].std() == pytest.approx(1, abs=0.2)
