"""Leave-one-out against closed forms, ArviZ, and exact leave-one-out of real fits."""

import time
import tracemalloc
from collections.abc import Callable

import arviz_stats
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import integrate, stats

import bayesml as bml
from bayesml.errors import FitError
from bayesml.posterior.fitted_likelihoods import likelihood_draws, likelihood_rows
from bayesml.posterior.held_out_rows import row_log_likelihoods
from bayesml.records.fits import Fit
from benchmarks.leave_one_out_speed import simulated_fit
from tests.posterior.gaussian_posterior import Effects, dummies, intercepts, simulated

MakeFit = Callable[..., Fit]


def rows_of(log_likelihood_of: Fit) -> np.ndarray:
    """Return the whole matrix of log-likelihoods, which only tests may hold."""
    blocks = row_log_likelihoods(
        likelihood_rows(log_likelihood_of), likelihood_draws(log_likelihood_of)
    )
    return np.concatenate([values for _, values in blocks])


def test_known_units_against_the_closed_form(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(1)
    unit = np.repeat(np.arange(5), 16)
    x = np.column_stack([np.ones(80), rng.uniform(-1.5, 1.5, size=80)])
    covariance = np.array([[0.5, 0.1], [0.1, 0.3]])
    truth = simulated(x, [Effects("g", dummies(unit), x, covariance)], sigma=0.8, seed=2)
    table = pd.DataFrame({"y": truth.y, "x": x[:, 1], "g": unit})
    model = bml.two_level(table, "y ~ x", group="g", slopes=["x"])
    found = bml.loo(fake_fit(model, draws=2000, values=truth.draws(2, 2000, seed=3)))
    exact = np.array([truth.log_density(np.array([row])) for row in range(80)])
    assert (found.pareto_k < found.threshold).all()
    assert (np.abs(found.pointwise["elpd"] - exact) < 4 * found.pointwise["mcse"] + 1e-3).all()
    assert found.elpd == pytest.approx(exact.sum(), abs=4 * found.mcse)
    assert found.lpml == found.elpd
    np.testing.assert_allclose(found.cpo, np.exp(found.pointwise["elpd"]))
    assert found.se == pytest.approx(np.sqrt(80) * found.pointwise["elpd"].std(ddof=1))


def test_units_with_one_row_are_integrated_out(fake_fit: MakeFit) -> None:
    # Units 0 to 9 have six rows each, units 10 to 14 one.
    unit = np.concatenate([np.repeat(np.arange(10), 6), np.arange(10, 15)])
    truth = simulated(np.ones((65, 1)), [intercepts("g", unit, 1.2)], sigma=0.5, seed=4)
    model = bml.two_level(pd.DataFrame({"y": truth.y, "g": unit}), "y ~ 1", group="g")
    found = bml.loo(fake_fit(model, draws=2000, values=truth.draws(2, 2000, seed=5)))
    exact = np.array([truth.log_density(np.array([row])) for row in range(65)])
    assert (np.abs(found.pointwise["elpd"] - exact) < 4 * found.pointwise["mcse"] + 1e-3).all()
    # Given the effect, such a row's weights would have a tail without a mean.
    assert (found.pareto_k.iloc[60:] < 0.5).all()
    assert "The effects of 5 of g's units, which have one row each, are integrated out." in str(
        found
    )


def test_rows_of_small_units_are_estimated_anew(
    fake_fit: MakeFit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two rows a unit and a large SD: given the effect, weights have too heavy a tail."""
    unit = np.repeat(np.arange(18), 2)
    truth = simulated(np.ones((36, 1)), [intercepts("g", unit, 3.0)], sigma=0.7, seed=14)
    model = bml.two_level(pd.DataFrame({"y": truth.y, "g": unit}), "y ~ 1", group="g")
    fit = fake_fit(model, draws=1000, values=truth.draws(2, 1000, seed=15))
    found = bml.loo(fit)
    exact = np.array([truth.log_density(np.array([row])) for row in range(36)])
    assert (found.pareto_k < found.threshold).all()
    assert (np.abs(found.pointwise["elpd"] - exact) < 4 * found.pointwise["mcse"] + 1e-3).all()
    (note,) = found.notes
    assert "estimated anew with the effects of their smallest unit integrated out" in note
    monkeypatch.setattr("bayesml.posterior.leave_one_out._MOST_REPAIRED", 0)
    plain = bml.loo(fit)
    anew = plain.pareto_k > plain.threshold
    assert note.startswith(f"{anew.sum()} of the {anew.sum()} rows with the highest Pareto k")
    pd.testing.assert_frame_equal(plain.pointwise[~anew], found.pointwise[~anew])
    by_plain, by_anew = plain.pointwise["elpd"] - exact, found.pointwise["elpd"] - exact
    assert by_anew[anew].abs().max() < 0.1 * by_plain[anew].abs().max()


def test_a_count_is_estimated_anew(fake_fit: MakeFit) -> None:
    """With the parameters known, what is left is one integral over another."""
    table = pd.DataFrame({"n": [9, 14, 11, 0, 2, 1] * 5, "g": np.repeat(range(10), 3)})
    model = bml.two_level(table, "n ~ 1", group="g", family="poisson")
    rng = np.random.default_rng(16)
    # The effects given the counts, from a fine grid.
    grid = np.linspace(-6, 6, 4001)
    prior = stats.norm.logpdf(grid, 0, 1.8)
    effects = np.empty((2, 500, 10, 1))
    for unit, rows in table.groupby("g"):
        log_density = prior + stats.poisson.logpmf(
            rows["n"].to_numpy()[:, None], np.exp(0.7 + grid)
        ).sum(axis=0)
        weight = np.exp(log_density - log_density.max())
        effects[:, :, int(str(unit)), 0] = rng.choice(grid, p=weight / weight.sum(), size=(2, 500))
    fit = fake_fit(model, draws=500, values={"beta": 0.7, "sd_g": 1.8, "u_g": effects})
    found = bml.loo(fit)
    whole = found.pointwise[found.pareto_k == 0]
    assert len(whole)  # only what was estimated anew does not vary over the draws
    for row in whole.index:
        own = table.index[table["g"] == table["g"][row]]
        both = []
        for rows in (own, own.drop(row)):
            density = np.exp(
                prior
                + stats.poisson.logpmf(
                    table["n"].to_numpy()[rows][:, None], np.exp(0.7 + grid)
                ).sum(axis=0)
            )
            both.append(np.log(density.sum()))
        assert whole.loc[row, "elpd"] == pytest.approx(both[0] - both[1], abs=2e-3)


def test_an_effect_for_every_count_is_integrated_out(fake_fit: MakeFit) -> None:
    table = pd.DataFrame(
        {"n": [0, 3, 1, 12, 2, 0] * 4, "row": range(24), "g": np.repeat(range(6), 4)}
    )
    model = bml.model(table, "n ~ 1 + (1 | g) + (1 | row)", family="poisson")
    fit = fake_fit(model, draws=60, values={"beta": 0.7, "sd_row": 0.9, "u_g": 0.0})
    found = bml.loo(fit)

    def exact(count: int) -> float:
        value, _ = integrate.quad(
            lambda u: stats.poisson.pmf(count, np.exp(0.7 + u)) * stats.norm.pdf(u, 0, 0.9), -8, 8
        )
        return float(np.log(value))

    np.testing.assert_allclose(found.pointwise["elpd"], [exact(n) for n in table["n"]], atol=1e-3)
    # Nothing is left that varies over the draws.
    assert (found.pareto_k == 0).all()


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_student_t_effects_of_one_row_are_integrated_out(fake_fit: MakeFit, family: str) -> None:
    # Units 0 to 7 have two rows each, units 8 to 12 one.
    unit = np.concatenate([np.repeat(np.arange(8), 2), np.arange(8, 13)])
    outcome = np.r_[np.arange(16) % 5, 0, 3, 1, 20, 2]
    table = pd.DataFrame({"y": outcome + 0.0 if family == "gaussian" else outcome, "g": unit})
    model = bml.two_level(table, "y ~ 1", group="g", family=family, effects="student")
    values = {"beta": 0.7, "sd_g": 1.2, "nu_g": 3.5, "u_g": 0.1}
    if family == "gaussian":
        values["sigma"] = 0.6
    found = bml.loo(fake_fit(model, draws=60, values=values)).pointwise["elpd"]
    width = 1.2 * np.sqrt(1.5 / 3.5)

    def density(y: float, effect: float) -> float:
        if family == "gaussian":
            return float(stats.norm.pdf(y, 0.7 + effect, 0.6))
        return float(stats.poisson.pmf(y, np.exp(0.7 + effect)))

    for row in range(16, 21):
        y = float(outcome[row])
        value, _ = integrate.quad(
            lambda u, y=y: density(y, u) * stats.t.pdf(u / width, 3.5) / width,
            -60,
            60 if family == "gaussian" else 6,
            points=[-3, 0, 1, 3] + ([y - 0.7] if family == "gaussian" else []),
            limit=500,
        )
        assert found[row] == pytest.approx(np.log(value), abs=1e-3)
    # Rows of larger units are as they were, given the effect.
    assert found[3] == pytest.approx(np.log(density(3.0, 0.1)), abs=1e-6)


def test_rows_alone_in_two_units_of_student_t_effects_are_refused(fake_fit: MakeFit) -> None:
    table = pd.DataFrame({"y": np.arange(12) % 4, "a": np.r_[np.repeat(range(5), 2), 5, 6]})
    table["b"] = table["a"]
    table.loc[:9, "b"] = np.tile(range(5), 2)
    model = bml.model(
        table,
        "y ~ 1 + (1 | a) + (1 | b)",
        family="poisson",
        effects={"a": "student", "b": "student"},
    )
    with pytest.raises(FitError, match=r"alone in several units has Student-t"):
        bml.loo(fake_fit(model, draws=60))


def test_the_same_numbers_as_arviz(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(6)
    table = pd.DataFrame(
        {"y": rng.integers(0, 2, 90), "x": rng.normal(size=90), "g": np.repeat(range(9), 10)}
    )
    model = bml.two_level(table, "y ~ x", group="g", family="binomial")
    fit = fake_fit(model, draws=250, chains=4)
    found = bml.loo(fit)
    # The log-likelihood from the table, by SciPy.
    effects = fit.posterior["u_g"].sel(g_term="Intercept").values[:, :, table["g"].to_numpy()]
    beta = fit.posterior["beta"].values
    eta = beta[:, :, :1] + beta[:, :, 1:] * table["x"].to_numpy() + effects
    values = np.where(table["y"] == 1, stats.logistic.logcdf(eta), stats.logistic.logsf(eta))
    np.testing.assert_allclose(rows_of(fit), values.reshape(1000, 90).T, rtol=1e-9)
    tree = xr.DataTree.from_dict(
        {
            "posterior": fit.posterior,
            "log_likelihood": xr.Dataset({"y": (("chain", "draw", "obs"), values)}),
        }
    )
    # With independent draws the efficiency is about 1; ArviZ takes what it is given.
    expected = arviz_stats.loo(tree, reff=1.0, pointwise=True)
    np.testing.assert_allclose(found.pointwise["elpd"], expected.elpd_i, atol=5e-3)
    np.testing.assert_allclose(found.pareto_k, expected.pareto_k, atol=0.08)
    assert found.p == pytest.approx(expected.p, abs=0.05)


def test_rows_are_named_by_their_place_in_the_table(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(7)
    table = pd.DataFrame({"y": rng.normal(size=40), "x": rng.normal(size=40)})
    table["g"] = np.repeat(range(8), 5)
    table.loc[[0, 7], "x"] = np.nan
    with pytest.warns(bml.BayesmlWarning, match="2 of 40 rows were left out"):
        model = bml.two_level(table, "y ~ x", group="g")
    found = bml.loo(fake_fit(model, draws=100))
    assert found.pointwise.index.tolist() == [row for row in range(40) if row not in (0, 7)]
    by_unit = found.by_unit
    assert by_unit["rows"].tolist() == [4, 4, *[5] * 6]
    assert by_unit["elpd"].sum() == pytest.approx(found.elpd)
    kept = table.dropna()
    sums = found.pointwise["elpd"].groupby(kept["g"]).sum()
    np.testing.assert_allclose(by_unit["elpd"], sums)
    largest = found.pareto_k.groupby(kept["g"]).max()
    np.testing.assert_allclose(by_unit["pareto_k"], largest)


def test_a_row_that_the_fit_leans_on_is_named(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(8)
    table = pd.DataFrame({"y": rng.normal(size=40), "g": np.repeat(range(8), 5)})
    table.loc[12, "y"] = 60.0
    model = bml.two_level(table, "y ~ 1", group="g")
    effects = 0.5 * rng.normal(size=(2, 500, 8, 1))
    found = bml.loo(fake_fit(model, draws=500, values={"u_g": effects, "sigma": 1.0}))
    assert found.high_k.index[0] == 12
    assert "Pareto k is above 0.67 for " in found.verdict
    assert "(row 12 (" in str(found)
    assert "Use bml.kfold(model, k=10), which refits." in found.verdict
    assert found.by_unit.set_index("unit").loc[2, "high_k"] >= 1


def test_printing_and_tables(fake_fit: MakeFit) -> None:
    table = pd.DataFrame({"y": np.arange(40.0) % 7, "g": np.repeat(range(8), 5)})
    fit = fake_fit(
        bml.two_level(table, "y ~ 1", group="g"), draws=200, values={"u_g": 0.0, "sigma": 2.0}
    )
    found = bml.loo(fit)
    assert list(found.table.index) == ["elpd", "lpml", "p"]
    assert list(found.table.columns) == ["estimate", "se", "mcse"]
    text = str(found)
    assert text.startswith("Leave-one-out cross-validation by PSIS: y ~ 1 + (1 | g)\n40 rows, 400")
    assert "The importance weights are reliable: the largest Pareto k is" in text
    assert "<table" in found._repr_html_()
    assert repr(found).startswith("<bayesml loo by row: elpd -")


def test_models_without_groupings(fake_fit: MakeFit) -> None:
    table = pd.DataFrame({"y": np.arange(30.0) % 7, "x": np.arange(30.0)})
    found = bml.loo(fake_fit(bml.model(table, "y ~ x"), draws=100))
    assert len(found.pointwise) == 30
    assert found.by_unit.empty


def test_refusals(fake_fit: MakeFit, tmp_path: object) -> None:
    table = pd.DataFrame({"y": np.arange(40.0) % 7, "g": np.repeat(range(8), 5)})
    model = bml.two_level(table, "y ~ 1", group="g")
    with pytest.raises(FitError, match=r"This fit has 60 draws, and loo weights them.* least 100"):
        bml.loo(fake_fit(model, draws=30))
    whole = fake_fit(model, draws=100)
    path = whole.save(f"{tmp_path}/fit.nc", data=False)
    with pytest.raises(FitError, match=r"was saved without its rows \(save\(data=False\)\)"):
        bml.loo(bml.load(path))


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_time_and_memory(family: str) -> None:
    """4,000 draws of 10,000 rows and 500 units: under 10 s on two cores, and under 2 GiB."""
    fit = simulated_fit(family)
    tracemalloc.start()
    begin = time.process_time()
    bml.loo(fit)
    # The time of this process alone: other work on the machine is not counted.
    assert time.process_time() - begin < 10
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The whole matrix of log-likelihoods would be 320 MB.
    assert peak < 200e6


# Real fits


def exact_gaussian_loo(fit: Fit, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exact leave-one-out but for the variances, over whose draws it is averaged with weights.

    Given the variances, y is normal with coefficients and effects integrated out:
    log p(y_i | rest) = log N(y_i | y_i - (P y)_i / P_ii, 1 / P_ii) with P the precision. A row
    hardly moves the variances, so the weights 1 / p(y_i | rest, variances) are all but equal.
    Returns the densities and their Monte Carlo errors.
    """
    exam = bml.load_dataset("exam")
    y, x = exam["normexam"].to_numpy(float), exam["standLRT"].to_numpy(float)
    _, school = np.unique(exam["school"], return_inverse=True)
    rows, fixed = len(y), np.column_stack([np.ones(len(y)), x])
    z = dummies(school)
    design = np.column_stack([z, z * x[:, None], fixed])
    # The priors of the coefficients, the intercept's at the mean of the predictor.
    scale = 2.5 * y.std(ddof=1)
    shift = np.array([[1.0, x.mean()], [0.0, 1.0]])
    prior = shift.T @ np.diag([1 / scale**2, (x.std(ddof=1) / scale) ** 2]) @ shift
    centre = np.linalg.solve(shift, [y.mean(), 0.0])
    residual = y - fixed @ centre
    cross, pull = design.T @ design, design.T @ residual
    posterior = fit.posterior.stack(sample=("chain", "draw")).isel(sample=slice(None, None, 5))
    values = np.empty((len(chosen), posterior.sizes["sample"]))
    for draw in range(posterior.sizes["sample"]):
        one = posterior.isel(sample=draw)
        sd, corr = one["sd_school"].values, one["corr_school"].values
        effects = np.kron(np.linalg.inv(np.outer(sd, sd) * corr), np.eye(z.shape[1]))
        precision = np.zeros(cross.shape)
        precision[:-2, :-2], precision[-2:, -2:] = effects, prior
        variance = float(one["sigma"]) ** 2
        inverse = np.linalg.inv(cross / variance + precision)
        leverage = np.einsum("ij,jk,ik->i", design[chosen], inverse, design[chosen]) / variance
        fitted = design[chosen] @ (inverse @ pull) / variance
        spread = variance / (1 - leverage)
        values[:, draw] = stats.norm.logpdf(
            (residual[chosen] - fitted) / (1 - leverage), 0, np.sqrt(spread)
        )
    assert rows == 4059
    density = 1 / np.exp(-values).mean(axis=1)
    return np.log(density), values.std(axis=1) / np.sqrt(values.shape[1])


def hundred_rows(found: object) -> np.ndarray:
    """Return the 20 rows with the highest Pareto k, and 80 others."""
    k = found.pareto_k.to_numpy()  # type: ignore[attr-defined]
    highest = np.argsort(-k)[:20]
    rest = np.setdiff1d(np.arange(len(k)), highest)
    others = np.random.default_rng(9).choice(rest, size=80, replace=False)
    return np.concatenate([highest, others])


@pytest.mark.sampling
def test_exam_against_exact_densities(exam_fit: Fit) -> None:
    found = bml.loo(exam_fit)
    chosen = hundred_rows(found)
    exact, error = exact_gaussian_loo(exam_fit, chosen)
    elpd = found.pointwise["elpd"].to_numpy()[chosen]
    allowed = np.maximum(0.05, 4 * np.hypot(found.pointwise["mcse"].to_numpy()[chosen], error))
    assert (np.abs(elpd - exact) < allowed).all()
    assert abs(elpd.sum() - exact.sum()) < 0.5
