"""Leave-one-group-out against closed forms, brute-force integration, and fits without the group."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special, stats

import bayesml as bml
from bayesml.errors import FitError
from bayesml.posterior.predictive_scores import CrossValidation
from bayesml.records.fits import Fit
from tests.posterior.gaussian_posterior import (
    Effects,
    GaussianModel,
    dummies,
    intercepts,
    simulated,
)

MakeFit = Callable[..., Fit]


def close_to(truth: GaussianModel, found: CrossValidation, groups: list[np.ndarray]) -> None:
    """Assert that every group has its exact density, within the error that is claimed."""
    exact = np.array([truth.log_density(rows) for rows in groups])
    error = np.abs(found.pointwise["elpd"].to_numpy() - exact)
    assert (error < 4 * found.pointwise["mcse"] + 1e-6).all()
    # The claim itself is worth something.
    assert (found.pointwise["mcse"] < 0.2).all()
    assert found.pointwise["rows"].tolist() == [len(rows) for rows in groups]


def test_two_levels_with_slopes(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(1)
    unit = rng.integers(0, 15, size=120)
    x = np.column_stack([np.ones(120), rng.normal(size=120)])
    covariance = np.array([[0.6, -0.2], [-0.2, 0.4]])
    truth = simulated(x, [Effects("g", dummies(unit), x, covariance)], sigma=0.7, seed=2)
    table = pd.DataFrame({"y": truth.y, "x": x[:, 1], "g": unit})
    fit = fake_fit(
        bml.two_level(table, "y ~ x", group="g", slopes=["x"]),
        draws=1000,
        values=truth.draws(2, 1000, seed=3),
    )
    found = bml.logo(fit, "g")
    close_to(truth, found, [np.flatnonzero(unit == number) for number in range(15)])
    assert set(found.pointwise["method"]) == {"exact"}
    assert found.pointwise.index.tolist() == list(range(15))
    assert found.by_unit["unit"].tolist() == list(range(15))
    assert "15 units of g, 2,000 draws" in str(found)


def test_inner_units_go_with_their_group(fake_fit: MakeFit) -> None:
    school = np.repeat(np.arange(8), 12)
    pupil = np.repeat(np.arange(32), 3)
    x = np.column_stack([np.ones(96), np.tile([-1.0, 0.0, 1.0], 32)])
    covariance = np.array([[0.3, 0.05], [0.05, 0.1]])
    groupings = [
        Effects("pupil", dummies(pupil), x, 2 * covariance),
        Effects("school", dummies(school), x, covariance),
    ]
    truth = simulated(x, groupings, sigma=0.5, seed=4)
    table = pd.DataFrame({"y": truth.y, "x": x[:, 1], "pupil": pupil, "school": school})
    slopes = {"pupil": ["x"], "school": ["x"]}
    model = bml.three_level(table, "y ~ x", groups=["pupil", "school"], slopes=slopes)
    fit = fake_fit(model, draws=2000, values=truth.draws(2, 2000, seed=5))
    found = bml.logo(fit, "school")
    close_to(truth, found, [np.flatnonzero(school == number) for number in range(8)])
    assert found.notes == (
        "Units of pupil that occur in one unit of school only are integrated out with it.",
    )
    # A pupil's school stays known from the others.
    pupils = bml.logo(fit, "pupil")
    close_to(truth, pupils, [np.flatnonzero(pupil == number) for number in range(32)])
    assert pupils.notes == ()


def test_crossed_units_stay_known(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(6)
    first, second = rng.integers(0, 10, size=150), rng.integers(0, 6, size=150)
    groupings = [intercepts("first", first, 0.8), intercepts("second", second, 0.5)]
    truth = simulated(np.ones((150, 1)), groupings, sigma=1.0, seed=7)
    table = pd.DataFrame({"y": truth.y, "first": first, "second": second})
    with pytest.warns(bml.BayesmlWarning, match="second and first are crossed"):
        model = bml.cross_classified(table, "y ~ 1", groups=["first", "second"])
    fit = fake_fit(model, draws=2000, values=truth.draws(2, 2000, seed=8))
    close_to(truth, bml.logo(fit, "first"), [np.flatnonzero(first == n) for n in range(10)])


def test_multiple_membership(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(9)
    one = rng.integers(0, 12, size=90)
    other = (one + rng.integers(1, 12, size=90)) % 12
    # The last three rows belong to unit 12 and to no other.
    one[-3:] = other[-3:] = 12
    weight = np.where(one == 12, 1.0, 0.7)
    membership = weight[:, None] * np.eye(13)[one] + (1 - weight)[:, None] * np.eye(13)[other]
    effects = Effects("firm", membership, np.ones((90, 1)), np.array([[0.8]]))
    truth = simulated(np.ones((90, 1)), [effects], sigma=1.2, seed=10)
    table = pd.DataFrame({"y": truth.y, "one": one, "other": other, "w1": weight, "w2": 1 - weight})
    table["other"] = table["other"].where(weight < 1, -1)
    model = bml.multiple_membership(
        table, "y ~ 1", members=["one", "other"], weights=["w1", "w2"], absent=-1, name="firm"
    )
    fit = fake_fit(model, draws=2000, values=truth.draws(2, 2000, seed=11))
    groups = [np.flatnonzero(membership[:, number] > 0) for number in range(13)]
    close_to(truth, bml.logo(fit, "firm"), groups)


def test_a_binary_group_is_the_integral_of_its_rows(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(12)
    table = pd.DataFrame({"y": rng.integers(0, 2, 60), "x": rng.normal(size=60)})
    table["g"] = rng.integers(0, 8, size=60)
    model = bml.two_level(table, "y ~ x", group="g", slopes=["x"], family="binomial")
    corr = np.array([[1.0, 0.4], [0.4, 1.0]])
    sd = np.array([1.1, 0.6])
    values = {"beta": [0.3, -0.5], "sd_g": sd, "corr_g": corr}
    found = bml.logo(fake_fit(model, draws=60, values=values), "g")
    assert set(found.pointwise["method"]) == {"quadrature"}
    prior = stats.multivariate_normal(np.zeros(2), np.outer(sd, sd) * corr)
    for unit, rows in table.groupby("g"):
        x, y = rows["x"].to_numpy(), rows["y"].to_numpy()

        def density(slope: float, intercept: float, x: np.ndarray = x, y: np.ndarray = y) -> float:
            share = special.expit(0.3 - 0.5 * x + intercept + slope * x)
            return float(
                np.prod(np.where(y == 1, share, 1 - share)) * prior.pdf([intercept, slope])
            )

        exact, _ = integrate.dblquad(density, -6, 6, -4, 4, epsabs=1e-9, epsrel=1e-6)
        assert found.pointwise.loc[unit, "elpd"] == pytest.approx(np.log(exact), abs=2e-3)
    # Nothing is left that varies over the draws.
    assert (found.pareto_k == 0).all()


def test_a_count_group_with_inner_units_by_brute_force(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(13)
    table = pd.DataFrame({"n": rng.poisson(2, 60), "brood": np.repeat(range(20), 3)})
    table["site"] = np.repeat(range(5), 12)
    model = bml.model(table, "n ~ 1 + (1 | brood) + (1 | site)", family="poisson")
    values = {"beta": 0.4, "sd_brood": 0.6, "sd_site": 0.8}
    found = bml.logo(fake_fit(model, draws=60, values=values), "site")
    # Gauss-Hermite rules so fine that they need not be placed.
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    log_weights = np.log(weights) - 0.5 * np.log(2 * np.pi)
    eta = 0.4 + 0.8 * nodes[:, None] + 0.6 * nodes
    for site, rows in table.groupby("site"):
        total = log_weights.copy()
        for _, brood in rows.groupby("brood"):
            inside = sum(stats.poisson.logpmf(n, np.exp(eta)) for n in brood["n"])
            total += special.logsumexp(inside + log_weights, axis=1)
        exact = special.logsumexp(total)
        assert found.pointwise.loc[site, "elpd"] == pytest.approx(exact, abs=2e-3)


def test_importance_sampling_says_how_good_it_is(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(14)
    table = pd.DataFrame({"n": rng.poisson(2, 60), "brood": np.repeat(range(20), 3)})
    table["site"] = np.repeat(range(5), 12)
    table["nest"] = np.arange(60) % 3 + 3 * table["brood"]
    model = bml.model(table, "n ~ 1 + (1 | nest) + (1 | brood) + (1 | site)", family="poisson")
    values = {"beta": 0.4, "sd_nest": 0.3, "sd_brood": 0.6, "sd_site": 0.8}
    fit = fake_fit(model, draws=60, values=values)
    found = bml.logo(fit, "site")
    assert set(found.pointwise["method"]) == {"importance sampling"}
    errors = found.pointwise["integration_error"]
    assert (errors > 0).all()
    # 120 draws of one integral each: their mean density is within four of its errors of the same
    # mean with other random numbers.
    again = bml.logo(fit, "site", seed=2)
    difference = (found.pointwise["lpd"] - again.pointwise["lpd"]).abs()
    assert (difference < 4 * np.sqrt(2 / 120) * errors).all()
    assert not difference.eq(0).any()
    same = bml.logo(fit, "site", seed=1)
    pd.testing.assert_frame_equal(found.pointwise, same.pointwise)


def test_refusals(fake_fit: MakeFit) -> None:
    table = pd.DataFrame({"y": np.arange(40.0) % 7, "school": np.repeat(range(8), 5)})
    fit = fake_fit(bml.two_level(table, "y ~ 1", group="school"), draws=100)
    with pytest.raises(
        FitError, match=r"'scool' is not a grouping.*Did you mean 'school'\? Write logo\(fit, 'sch"
    ):
        bml.logo(fit, "scool")
    with pytest.raises(FitError, match=r"This fit has 60 draws, and logo weights them"):
        bml.logo(fake_fit(bml.two_level(table, "y ~ 1", group="school"), draws=30), "school")
    plain = fake_fit(bml.model(table, "y ~ 1"), draws=100)
    with pytest.raises(FitError, match=r"which has none\. Use bml\.loo\(fit\)"):
        bml.logo(plain, "school")


# Real fits


def without_group(model: bml.Model, position: int, unit: int) -> float:
    """Return the log density of a unit's rows by a fit that has not seen them."""
    from bayesml.study.cross_validation import fit_without, held_out_scores
    from bayesml.study.unseen_rows import unfitted_rows

    rows = np.flatnonzero(model.design.varying[position].units.index == unit)
    fit = fit_without(model, rows, draws=1000, tune=1000, chains=4, seed=unit, progress=False)
    return float(held_out_scores(unfitted_rows(model), fit, [rows], True)["elpd"].iloc[0])


def ten_units(found: CrossValidation) -> np.ndarray:
    """Return the five units with the highest Pareto k, and five others."""
    order = np.argsort(-found.pareto_k.to_numpy())
    return np.concatenate([order[:5], order[5 :: max(1, (len(order) - 5) // 5)][:5]])


@pytest.mark.slow
@pytest.mark.sampling
def test_exam_without_a_school() -> None:
    exam = bml.load_dataset("exam")
    model = bml.two_level(exam, "normexam ~ standLRT", group="school", slopes=["standLRT"])
    found = bml.logo(model.fit(draws=1000, tune=1000, chains=4, seed=1, progress=False), "school")
    for unit in ten_units(found):
        row = found.pointwise.iloc[unit]
        exact = without_group(model, 0, int(unit))
        assert abs(row["elpd"] - exact) < max(0.1, 4 * row["mcse"])


@pytest.mark.slow
@pytest.mark.sampling
def test_contraception_without_a_district() -> None:
    model = bml.two_level(
        bml.load_dataset("contraception"),
        "use ~ age + livch + urban",
        group="district",
        slopes=["urban"],
        family="binomial",
        success="Y",
    )
    fit = model.fit(draws=1000, tune=1000, chains=4, seed=1, progress=False)
    found = bml.logo(fit, "district")
    for unit in ten_units(found):
        row = found.pointwise.iloc[unit]
        exact = without_group(model, 0, int(unit))
        assert abs(row["elpd"] - exact) < max(0.1, 4 * row["mcse"])
