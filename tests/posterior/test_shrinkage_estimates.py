"""Shrinkage against reliabilities, closed forms and NumPy on the stored draws."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special

import bayesml as bml
from bayesml.errors import FitError
from bayesml.records.fits import Fit

MakeFit = Callable[..., Fit]


def test_a_varying_intercept_shrinks_by_one_minus_its_reliability(fake_fit: MakeFit) -> None:
    table = bml.load_dataset("exam")
    model = bml.two_level(table, "normexam ~ standLRT", group="school")
    # Coefficients and variances by lme4's REML, effects by the closed form.
    beta, s2_u, s2_e = np.array([0.00232282, 0.56330691]), 0.09383899, 0.56586531
    school = table["school"].astype(str)
    rest = table["normexam"] - beta[0] - beta[1] * table["standLRT"]
    units = [str(label) for label in model.coords["school"]]
    own = rest.groupby(school).mean()[units].to_numpy()
    size = school.value_counts()[units].to_numpy()
    reliability = s2_u / (s2_u + s2_e / size)
    values = {
        "beta": beta,
        "u_school": (reliability * own)[:, None],
        "sigma": np.sqrt(s2_e),
        "sd_school": np.sqrt(s2_u),
    }
    found = bml.shrinkage(fake_fit(model, draws=4, values=values), "school")
    assert found["no_pooling"].to_numpy() == pytest.approx(own)
    assert found["no_pooling_se"].to_numpy() == pytest.approx(np.sqrt(s2_e / size))
    assert found["shrinkage"].to_numpy() == pytest.approx(1 - reliability)
    assert found["rows"].tolist() == size.tolist()
    assert (found["note"] == "").all()
    overall = 1 - (size * reliability * own**2).sum() / (size * own**2).sum()
    assert found.attrs["overall"] == {"Intercept": pytest.approx(overall)}


def test_slopes_and_other_groupings_by_numpy(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(1)
    number = 300
    table = pd.DataFrame(
        {
            "y": rng.normal(size=number),
            "x": rng.normal(size=number),
            "g": rng.integers(0, 15, number),
            "h": rng.integers(0, 10, number),
            "known": rng.normal(size=number),
        }
    )
    model = bml.model(table, "y ~ x + offset(known) + (x | g) + (1 | h)")
    fit = fake_fit(model, draws=20)
    found = bml.shrinkage(fit, "g", prob=0.7)
    means = {name: fit.posterior[name].values.mean(axis=(0, 1)) for name in fit.posterior}
    rest = table["y"] - table["known"] - means["beta"][0] - means["beta"][1] * table["x"]
    rest = rest - means["u_h"][table["h"], 0]
    variance = (fit.posterior["sigma"].values ** 2).mean()
    for unit in range(15):
        rows = (table["g"] == unit).to_numpy()
        z = np.column_stack([np.ones(rows.sum()), table["x"][rows]])
        own = np.linalg.lstsq(z, rest[rows], rcond=None)[0]
        part = found[found["unit"] == unit]
        assert part["no_pooling"].to_numpy() == pytest.approx(own)
        errors = np.sqrt(variance * np.diag(np.linalg.inv(z.T @ z)))
        assert part["no_pooling_se"].to_numpy() == pytest.approx(errors)
        assert part["shrinkage"].to_numpy() == pytest.approx(1 - means["u_g"][unit] / own)
        draws = fit.posterior["u_g"].values[:, :, unit].reshape(40, 2)
        assert part["upper"].to_numpy() == pytest.approx(np.quantile(draws, 0.85, axis=0))
    one = bml.shrinkage(fit, "g", term="x")
    assert one["no_pooling"].tolist() == found[found["term"] == "x"]["no_pooling"].tolist()
    assert list(one.attrs["overall"]) == ["x"]


def test_members_are_estimated_together(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(2)
    number = 80
    first = rng.integers(0, 8, number)
    second = (first + rng.integers(1, 8, number)) % 8
    share = rng.uniform(0.1, 0.9, number)
    table = pd.DataFrame(
        {"y": rng.normal(size=number), "a": first, "b": second, "w": share, "v": 1 - share}
    )
    model = bml.multiple_membership(
        table, "y ~ 1", members=["a", "b"], weights=["w", "v"], name="team"
    )
    fit = fake_fit(model, draws=5)
    matrix = np.zeros((number, 8))
    matrix[np.arange(number), first] += share
    matrix[np.arange(number), second] += 1 - share
    rest = table["y"] - fit.posterior["beta"].values.mean()
    expected = np.linalg.lstsq(matrix, rest, rcond=None)[0]
    found = bml.shrinkage(fit, "team")
    assert found["no_pooling"].to_numpy() == pytest.approx(expected)


def test_binary_units_at_one_end_are_said(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        {"y": rng.binomial(1, 0.5, 120), "x": rng.normal(size=120), "g": np.repeat(range(6), 20)}
    )
    table.loc[table["g"] == 1, "y"] = 0
    table.loc[table["g"] == 4, "y"] = 1
    model = bml.two_level(table, "y ~ 1", group="g", slopes=["x"], family="binomial")
    fit = fake_fit(model, values={"beta": 0.0})
    found = bml.shrinkage(fit, "g").set_index(["unit", "term"])
    assert found.loc[(1, "Intercept"), "no_pooling"] == -np.inf
    assert found.loc[(4, "Intercept"), "no_pooling"] == np.inf
    assert found.loc[(1, "Intercept"), "note"].startswith("infinite: every outcome of the unit")
    assert np.isnan(found.loc[(4, "x"), "no_pooling"])
    assert found.loc[(4, "x"), "note"] == "the unit's rows do not determine it"
    assert found.loc[[1, 4], "shrinkage"].isna().all()
    assert found.loc[[0, 2, 3, 5], ["no_pooling", "shrinkage"]].notna().all(axis=None)
    (note,) = found.attrs["notes"]
    assert note.startswith("Of the 12 estimates of g without pooling, 2 are infinite and 2 are not")
    assert np.isfinite(list(found.attrs["overall"].values())).all()


def test_binomial_units_by_the_closed_form(fake_fit: MakeFit) -> None:
    table = pd.DataFrame(
        {"k": [1, 2, 3, 4, 2, 2] * 4, "n": [5, 6, 7, 8, 4, 9] * 4, "g": list(range(6)) * 4}
    )
    model = bml.two_level(table, "k ~ 1", group="g", family="binomial", trials="n")
    found = bml.shrinkage(fake_fit(model, values={"beta": 0.3}), "g")
    share = np.array([1, 2, 3, 4, 2, 2]) / np.array([5, 6, 7, 8, 4, 9])
    assert found["no_pooling"].to_numpy() == pytest.approx(special.logit(share) - 0.3)


def test_ordered_units_take_the_cutpoints_of_the_posterior(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(5)
    unit = np.repeat(range(5), 24)
    y = rng.integers(0, 3, 120)
    y[unit == 2] = 2
    table = pd.DataFrame({"y": np.array(["a", "b", "c"])[y], "x": rng.normal(size=120), "g": unit})
    model = bml.two_level(table, "y ~ x", group="g", family="ordinal", categories=["a", "b", "c"])
    fit = fake_fit(model, values={"cutpoints": [-0.4, 0.9], "beta": 0.3})
    found = bml.shrinkage(fit, "g")["no_pooling"].to_numpy()
    assert found[2] == np.inf
    for label in (0, 1, 3, 4):
        own = unit == label
        bounds = np.array([-np.inf, -0.4, 0.9, np.inf])

        def minus_log_likelihood(effect: float, own: np.ndarray, bounds: np.ndarray) -> float:
            eta = effect + 0.3 * table["x"].to_numpy()[own]
            upper, lower = bounds[y[own] + 1] - eta, bounds[y[own]] - eta
            return -float(np.log(special.expit(upper) - special.expit(lower)).sum())

        best = optimize.minimize_scalar(
            minus_log_likelihood, (-1, 1), args=(own, bounds), options={"xtol": 1e-10}
        )
        assert found[label] == pytest.approx(best.x, abs=1e-6)


def test_what_has_no_estimate_without_pooling(fake_fit: MakeFit) -> None:
    table = pd.DataFrame({"y": [0, 3, 1] * 10, "g": np.repeat(range(6), 5)})
    model = bml.two_level(table, "y ~ 1", group="g", family="negative_binomial")
    with pytest.raises(FitError, match=r"bml\.shrinkage needs estim.*'negative_binomial'.*Allowed"):
        bml.shrinkage(fake_fit(model), "g")


def test_a_fit_without_rows_is_refused(fake_fit: MakeFit) -> None:
    model = bml.two_level(bml.load_dataset("exam"), "normexam ~ 1", group="school")
    tree = fake_fit(model, draws=2).data.copy()
    del tree["constant_data"]
    with pytest.raises(FitError, match=r"bml\.shrinkage needs the rows.*data=False.*fit\.save"):
        bml.shrinkage(Fit(tree), "school")


@pytest.mark.sampling
def test_sampled_effects_are_the_best_linear_predictions(exam_fit: Fit) -> None:
    # At the posterior means of the variances, u = Sigma Z' V^-1 (y - X beta).
    found = bml.shrinkage(exam_fit, "school")
    posterior = exam_fit.posterior
    mean = {name: posterior[name].values.mean(axis=(0, 1)) for name in posterior}
    sigma = np.outer(mean["sd_school"], mean["sd_school"]) * mean["corr_school"]
    constant = exam_fit.data["constant_data"].to_dataset()
    index, z = constant["unit_school"].values, constant["terms_school"].values
    y = exam_fit.data["observed_data"]["normexam"].values
    rest = y - constant["x"].values @ mean["beta"]
    for unit in range(65):
        own = z[index == unit]
        total = own @ sigma @ own.T + mean["sigma"] ** 2 * np.eye(len(own))
        best = sigma @ own.T @ np.linalg.solve(total, rest[index == unit])
        part = found.iloc[2 * unit : 2 * unit + 2]
        # The variances are uncertain, so the posterior mean is not quite that at their means.
        assert (np.abs(part["mean"] - best) < 0.2 * part["sd"]).all()
    assert 0 < found.attrs["overall"]["Intercept"] < found.attrs["overall"]["standLRT"] < 1
