"""Influence of units, against the posterior without them in closed form or by quadrature."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import bayesml as bml
from bayesml.errors import FitError
from bayesml.records.fits import Fit

MakeFit = Callable[..., Fit]

SPREAD, NOISE = 0.8, 1.1


def generalised_least_squares(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance of the coefficients where the variances are known."""
    x = np.column_stack([np.ones(len(table)), table["x"]])
    same = np.equal.outer(table["g"].to_numpy(), table["g"].to_numpy())
    precision = np.linalg.inv(SPREAD**2 * same + NOISE**2 * np.eye(len(table)))
    covariance = np.linalg.inv(x.T @ precision @ x)
    return covariance @ x.T @ precision @ table["y"].to_numpy(), covariance


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    unit = np.repeat(range(12), 6)
    x = rng.normal(size=72) + 0.1 * unit
    x[:6] += 2
    u = rng.normal(0, SPREAD, size=12)
    y = 1 + 0.5 * x + u[unit] + rng.normal(0, NOISE, size=72)
    y[:6] += 2
    return pd.DataFrame({"y": y, "x": x, "g": unit})


def posterior_fit(table: pd.DataFrame, fake_fit: MakeFit) -> Fit:
    """Return a fit whose coefficients are exact draws, the variances being known."""
    mean, covariance = generalised_least_squares(table)
    rng = np.random.default_rng(2)
    beta = rng.multivariate_normal(mean, covariance, size=(2, 2000))
    values = {"beta": beta, "sd_g": SPREAD, "sigma": NOISE}
    return fake_fit(bml.two_level(table, "y ~ x", group="g"), draws=2000, chains=2, values=values)


def test_shift_and_distance_are_those_of_the_posterior_without_the_unit(
    table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    found = bml.influence(posterior_fit(table, fake_fit), "g", draws=4000, seed=1)
    mean, covariance = generalised_least_squares(table)
    for row in found.itertuples():
        without, _ = generalised_least_squares(table[table["g"] != row.unit])
        shift = without - mean
        expected = shift @ np.linalg.inv(covariance) @ shift / 2
        assert row.cook_fixed == pytest.approx(expected, abs=0.02 + 0.1 * expected)
        scaled = shift / np.sqrt(np.diag(covariance))
        most = int(np.argmax(np.abs(scaled)))
        assert row.shift == pytest.approx(scaled[most], abs=0.05 + 0.1 * abs(scaled[most]))
        if abs(scaled[most]) > 0.2:
            assert row.parameter == ("beta[Intercept]", "beta[x]")[most]
    assert found["cook_sd"].to_numpy() == pytest.approx(0, abs=1e-12)
    # The unit that lies apart comes first and is named, most others are not.
    assert found.loc[0, "unit"] == 0
    assert found.loc[0, "words"].startswith("Without this unit beta[x] would go down by")
    assert (found["words"] == "").sum() >= 8
    assert (found["rows"] == 6).all()
    assert found.attrs == {
        "grouping": "g",
        "draws": 4000,
        "seed": 1,
        "highest_k": 0.7,
        "highest_cook": 4 / 12,
    }


def test_a_binary_outcome_against_quadrature(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(3)
    unit = np.repeat(range(8), 6)
    y = rng.binomial(1, expit(0.5 + rng.normal(0, 0.8, size=8))[unit])
    y[:6] = 0
    model = bml.two_level(pd.DataFrame({"y": y, "g": unit}), "y ~ 1", group="g", family="binomial")
    grid = np.linspace(-4, 5, 901)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    share = expit(grid[:, None] + 0.8 * nodes)
    successes = np.bincount(unit, y)
    likelihood = np.array(
        [(share**s * (1 - share) ** (6 - s)) @ weights / weights.sum() for s in successes]
    )

    def mean_and_sd(units: list[int]) -> tuple[float, float]:
        density = likelihood[units].prod(axis=0)
        density /= density.sum()
        mean = density @ grid
        return mean, np.sqrt(density @ (grid - mean) ** 2)

    mean, sd = mean_and_sd(list(range(8)))
    density = likelihood.prod(axis=0)
    beta = rng.choice(grid, size=(2, 2000), p=density / density.sum())[..., None]
    fit = fake_fit(model, draws=2000, chains=2, values={"beta": beta, "sd_g": 0.8})
    found = bml.influence(fit, "g", draws=4000).set_index("unit")
    for left_out in range(8):
        without, _ = mean_and_sd([item for item in range(8) if item != left_out])
        assert found.loc[left_out, "shift"] == pytest.approx((without - mean) / sd, abs=0.06)
    assert found["cook_fixed"].idxmax() == 0


def test_a_unit_that_the_draws_cannot_do_without_comes_first(
    table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    # Six of seven rows are of one unit, so nearly all that is known of the slope.
    rng = np.random.default_rng(4)
    more = table[table["g"] == 5].sample(394, replace=True, random_state=1)
    more = more.assign(x=rng.normal(size=394), y=rng.normal(size=394))
    heavy = pd.concat([table, more]).reset_index(drop=True)
    found = bml.influence(posterior_fit(heavy, fake_fit), "g")
    assert found.loc[0, "unit"] == 5
    assert found.loc[0, "pareto_k"] > found.attrs["highest_k"]
    assert found.loc[0, "words"].startswith("These draws cannot tell")
    assert found.loc[0, "rows"] == 400
    assert (found["pareto_k"] > found.attrs["highest_k"]).sum() == 1


def test_few_draws_and_wrong_arguments_are_refused(
    table: pd.DataFrame, fake_fit: MakeFit, tmp_path: object
) -> None:
    model = bml.two_level(table, "y ~ x", group="g")
    fit = fake_fit(model, draws=50, chains=2)
    with pytest.raises(FitError, match=r"draws is 99\. Give a whole number from 100 up"):
        bml.influence(fit, "g", draws=99)
    with pytest.raises(FitError, match=r"draws is False"):
        bml.influence(fit, "g", draws=False)
    with pytest.raises(FitError, match=r"seed is -3"):
        bml.influence(fit, "g", seed=-3)
    with pytest.raises(FitError, match=r"'school' is not a grouping of this model\. Allowed: 'g'"):
        bml.influence(fit, "school")
    with pytest.raises(
        FitError, match=r"The fit has 98 draws.* at least 100\. Fit with more draws"
    ):
        bml.influence(fake_fit(model, draws=49, chains=2), "g")
    path = fit.save(f"{tmp_path}/fit.nc", data=False)
    with pytest.raises(FitError, match=r"saved without its rows"):
        bml.influence(bml.load(path), "g")


@pytest.mark.sampling
def test_influence_in_a_real_fit_is_that_of_a_fit_without_the_unit(growth_fit: Fit) -> None:
    found = bml.influence(growth_fit, "Subject", draws=2000, seed=1)
    assert found["words"].str.startswith("Without").any()
    # Draws that lie far out are few, so a larger k understates a large shift.
    row = found.loc[found["pareto_k"] < 0.5].iloc[0]
    assert abs(row["shift"]) > 0.4
    sleep = bml.load_dataset("sleepstudy")
    rest = sleep[sleep["Subject"].astype(str) != str(row["unit"])]
    model = bml.longitudinal(rest, "Reaction ~ 1", unit="Subject", time="Days")
    without = model.fit(draws=500, tune=500, chains=4, seed=2, progress=False)

    def draws(fit: Fit) -> np.ndarray:
        if row["parameter"].startswith("beta"):
            values = fit.posterior["beta"].sel(coef=row["parameter"][5:-1]).values
        elif row["parameter"].startswith("log sd"):
            term = row["parameter"].partition("[")[2][:-1]
            values = np.log(fit.posterior["sd_Subject"].sel(Subject_term=term).values)
        else:
            values = np.log(fit.posterior["sigma"].values)
        return values.ravel()

    whole = draws(growth_fit)
    shift = (draws(without).mean() - whole.mean()) / whole.std()
    # About 0.03 SDs of Monte Carlo error on either side, and more in the weights.
    assert row["shift"] == pytest.approx(shift, abs=0.25)
