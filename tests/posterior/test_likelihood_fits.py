"""REML and maximum likelihood against lme4, and against likelihoods written out."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import bayesml as bml
from bayesml.errors import FitError
from bayesml.posterior.likelihood_fits import LikelihoodFit
from tests.reference_agreement import ENTRIES, HERE, build, reference

# The kernels are compiled once in a fresh clone.
pytestmark = pytest.mark.sampling

REFERENCES = [
    name
    for name, entry in ENTRIES.items()
    if entry.source == "reference.json" and "reml_criterion" in reference(name)
]


@cache
def _reml(name: str) -> LikelihoodFit:
    return bml.reml(build(name))


def _label(text: str, name: str) -> str:
    return "Intercept" if text == "(Intercept)" else ENTRIES[name].names.get(text, text)


def _rounding(name: str) -> float:
    """Half of the last digit that the reference prints."""
    return 5e-5 if name == "wage1_multiple_membership" else 5e-9


def test_every_gaussian_reference_is_here() -> None:
    assert HERE.is_dir()
    assert len(REFERENCES) == 14


@pytest.mark.parametrize("name", REFERENCES)
def test_criterion(name: str) -> None:
    found = _reml(name)
    theirs = reference(name)["reml_criterion"]
    assert found.method == "REML"
    assert found.criterion <= theirs + 1e-3
    # lme4 stops within 1e-3 of the optimum, so no criterion can be far below
    assert found.criterion >= theirs - 1e-3
    assert not found.singular
    assert found.notes == ()


@pytest.mark.parametrize("name", REFERENCES)
def test_coefficients_and_their_standard_errors(name: str) -> None:
    table = _reml(name).coefficients.set_index("coef")
    found = reference(name)
    assert set(table.index) == {_label(text, name) for text in found["fixed"]}
    for text, estimate in found["fixed"].items():
        se = found["fixed_se"][text]
        row = table.loc[_label(text, name)]
        assert row["estimate"] == pytest.approx(estimate, abs=1e-4 * se + _rounding(name))
        assert row["se"] == pytest.approx(se, rel=1e-3, abs=_rounding(name))


@pytest.mark.parametrize("name", REFERENCES)
def test_variance_components(name: str) -> None:
    components = _reml(name).variance_components
    theirs = reference(name)["random"]
    assert len(components) == len(theirs)
    residual = next(row["sdcor"] for row in theirs if row["group"] == "Residual")
    for row in theirs:
        found = _component(components, row, name)
        if "term2" in row:
            assert found == pytest.approx(row["sdcor"], abs=1e-3)
        else:
            small = row["sdcor"] < residual / 10
            assert found == pytest.approx(row["sdcor"], rel=0.01 if small else 1e-3)


def _component(components: pd.DataFrame, row: Mapping[str, Any], name: str) -> float:
    group = ENTRIES[name].groups.get(row["group"], row["group"])
    if group == "Residual":
        match = components[components["grouping"] == "residual"]
    else:
        parameter = "corr" if "term2" in row else "sd"
        match = components[
            (components["grouping"] == group) & (components["parameter"] == parameter)
        ]
        match = match[match["term"] == _label(row["term1"], name)]
        if "term2" in row:
            match = match[match["term2"] == _label(row["term2"], name)]
    assert len(match) == 1
    return float(match["estimate"].iloc[0])


@cache
def _table() -> pd.DataFrame:
    random = np.random.default_rng(31)
    rows = 60
    school, area = random.integers(0, 8, rows), random.integers(0, 6, rows)
    x = random.normal(0, 1, rows)
    y = 10 + 2 * x + random.normal(0, 1.0, 8)[school] + random.normal(0, 0.8, 8)[school] * x
    y = y + random.normal(0, 0.7, 6)[area] + random.normal(0, 0.9, rows)
    return pd.DataFrame(
        {
            "y": y,
            "x": x,
            "school": [f"s{i}" for i in school],
            "area": [f"a{i}" for i in area],
            "known": random.normal(0, 2, rows),
        }
    )


def _columns(labels: pd.Series, terms: np.ndarray) -> np.ndarray:
    units = sorted(set(labels))
    membership = (labels.to_numpy()[:, None] == np.array(units)).astype(float)
    return (membership[:, :, None] * terms[:, None, :]).reshape(len(labels), -1)


def _dense_criterion(
    y: np.ndarray, x: np.ndarray, v: np.ndarray, restricted: bool
) -> tuple[float, np.ndarray, np.ndarray]:
    """-2 log (restricted) likelihood given the covariance of y, and GLS with its covariance."""
    solved = np.linalg.solve(v, x)
    information = x.T @ solved
    beta = np.linalg.solve(information, solved.T @ y)
    apart = y - x @ beta
    value = np.linalg.slogdet(v)[1] + apart @ np.linalg.solve(v, apart)
    if restricted:
        value += np.linalg.slogdet(information)[1]
    count = len(y) - (x.shape[1] if restricted else 0)
    return float(value + count * np.log(2 * np.pi)), beta, np.linalg.inv(information)


@pytest.mark.parametrize("restricted", [True, False], ids=["reml", "ml"])
def test_a_crossed_model_with_a_slope_against_scipy(restricted: bool) -> None:
    table = _table()
    y, x = table["y"].to_numpy(), np.column_stack([np.ones(len(table)), table["x"]])
    z = _columns(table["school"], x)
    z2 = _columns(table["area"], np.ones((len(table), 1)))

    def covariance(p: np.ndarray) -> np.ndarray:
        factor = np.array([[p[0], 0], [p[1], p[2]]])
        spread = z @ np.kron(np.eye(8), factor)
        return spread @ spread.T + p[3] ** 2 * z2 @ z2.T + p[4] ** 2 * np.eye(len(y))

    best = min(
        (
            optimize.minimize(
                lambda p: _dense_criterion(y, x, covariance(p), restricted)[0],
                np.array(start),
                method="Nelder-Mead",
                options={"maxiter": 5000, "maxfev": 5000, "xatol": 1e-7, "fatol": 1e-10},
            )
            for start in ([1, 0, 1, 1, 1], [0.5, 0.3, 0.5, 0.3, 0.8])
        ),
        key=lambda found: found.fun,
    )
    _, beta, spread = _dense_criterion(y, x, covariance(best.x), restricted)
    model = bml.model(table, "y ~ x + (x | school) + (1 | area)")
    found = (bml.reml if restricted else bml.ml)(model)
    assert found.method == ("REML" if restricted else "ML")
    assert found.criterion == pytest.approx(best.fun, abs=1e-6)
    np.testing.assert_allclose(found.coefficients["estimate"], beta, rtol=1e-4)
    np.testing.assert_allclose(found.coefficients["se"], np.sqrt(np.diag(spread)), rtol=1e-4)
    factor = np.array([[best.x[0], 0], [best.x[1], best.x[2]]])
    sigma = factor @ factor.T
    sds = np.sqrt(np.diag(sigma))
    expected = [*sds, sigma[0, 1] / sds.prod(), abs(best.x[3]), abs(best.x[4])]
    np.testing.assert_allclose(found.variance_components["estimate"], expected, rtol=1e-3)
    # BLUPs: Sigma Z' V^-1 (y - X beta)
    v = covariance(best.x)
    solved = np.linalg.solve(v, y - x @ beta)
    effects = found.random_effects
    schools = effects[effects["grouping"] == "school"]["estimate"]
    np.testing.assert_allclose(schools, np.kron(np.eye(8), sigma) @ z.T @ solved, atol=1e-3)
    areas = effects[effects["grouping"] == "area"]["estimate"]
    np.testing.assert_allclose(areas, best.x[3] ** 2 * z2.T @ solved, atol=1e-3)
    assert found.parameters == 2 + 3 + 1 + 1
    assert found.rows == 60
    assert found.loglik == -found.criterion / 2
    assert found.deviance == found.criterion
    assert found.aic == found.criterion + 2 * 7
    assert found.bic == pytest.approx(found.criterion + 7 * np.log(60), rel=1e-12)


def test_labels_of_the_tables() -> None:
    found = bml.ml(bml.model(_table(), "y ~ x + (x | school) + (1 | area)"))
    components = found.variance_components
    assert list(components.columns) == ["grouping", "term", "term2", "parameter", "estimate"]
    assert components.iloc[:, :4].to_numpy().tolist() == [
        ["school", "Intercept", "", "sd"],
        ["school", "x", "", "sd"],
        ["school", "Intercept", "x", "corr"],
        ["area", "Intercept", "", "sd"],
        ["residual", "", "", "sd"],
    ]
    effects = found.random_effects
    assert list(effects.columns) == ["grouping", "unit", "term", "estimate"]
    assert effects.iloc[:2, :3].to_numpy().tolist() == [
        ["school", "s0", "Intercept"],
        ["school", "s0", "x"],
    ]
    assert len(effects) == 8 * 2 + 6
    text = str(found)
    assert "y ~ x + (x | school) + (1 | area)" in text
    assert "ML; 60 rows, 7 parameters; -2 log likelihood" in text
    assert f"AIC {found.aic:.2f}, BIC {found.bic:.2f}" in text


@pytest.mark.parametrize("restricted", [True, False], ids=["reml", "ml"])
def test_an_offset_is_known(restricted: bool) -> None:
    table = _table()
    moved = table.assign(y=table["y"] + table["known"])
    fit = bml.reml if restricted else bml.ml
    plain = fit(bml.model(table, "y ~ x + (1 | school)"))
    offset = fit(bml.model(moved, "y ~ x + offset(known) + (1 | school)"))
    assert offset.criterion == pytest.approx(plain.criterion, abs=1e-8)
    np.testing.assert_allclose(
        offset.coefficients["estimate"], plain.coefficients["estimate"], rtol=1e-7
    )


@pytest.mark.parametrize("restricted", [True, False], ids=["reml", "ml"])
def test_no_intercept(restricted: bool) -> None:
    table = _table()
    x = table[["x"]].to_numpy()
    z = _columns(table["school"], np.ones((60, 1)))
    best = optimize.minimize(
        lambda p: _dense_criterion(
            table["y"].to_numpy(), x, p[0] ** 2 * z @ z.T + p[1] ** 2 * np.eye(60), restricted
        )[0],
        np.array([8.0, 1.0]),
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-11},
    )
    found = (bml.reml if restricted else bml.ml)(bml.model(table, "y ~ 0 + x + (1 | school)"))
    assert found.criterion == pytest.approx(best.fun, abs=1e-6)
    np.testing.assert_allclose(found.variance_components["estimate"], np.abs(best.x), rtol=1e-4)


def test_no_coefficients_at_all() -> None:
    table = _table()
    centred = table.assign(y=table["y"] - 10)
    found = bml.ml(bml.model(centred, "y ~ 0 + (1 | school)"))
    z = _columns(table["school"], np.ones((60, 1)))
    best = optimize.minimize(
        lambda p: (
            -stats.multivariate_normal.logpdf(
                centred["y"], np.zeros(60), p[0] ** 2 * z @ z.T + p[1] ** 2 * np.eye(60)
            )
        ),
        np.array([1.0, 1.0]),
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-11},
    )
    assert found.criterion == pytest.approx(2 * best.fun, abs=1e-6)
    assert found.coefficients.empty
    assert bml.reml(bml.model(centred, "y ~ 0 + (1 | school)")).criterion == pytest.approx(
        found.criterion
    )


def test_without_groupings_it_is_least_squares() -> None:
    table = _table()
    x = np.column_stack([np.ones(60), table["x"]])
    beta, squares, *_ = np.linalg.lstsq(x, table["y"].to_numpy(), rcond=None)
    found = bml.reml(bml.model(table, "y ~ x"))
    np.testing.assert_allclose(found.coefficients["estimate"], beta, rtol=1e-10)
    sigma = np.sqrt(squares[0] / 58)
    assert found.variance_components["estimate"].tolist() == [pytest.approx(sigma, rel=1e-10)]
    se = sigma * np.sqrt(np.diag(np.linalg.inv(x.T @ x)))
    np.testing.assert_allclose(found.coefficients["se"], se, rtol=1e-10)
    likelihood = bml.ml(bml.model(table, "y ~ x"))
    density = stats.norm.logpdf(table["y"] - x @ beta, 0, np.sqrt(squares[0] / 60)).sum()
    assert likelihood.loglik == pytest.approx(density, rel=1e-12)
    assert likelihood.random_effects.empty


def test_balanced_one_way_layout_has_the_textbook_estimates() -> None:
    """Searle, Casella & McCulloch (1992, section 4.1): REML is the analysis of variance."""
    random = np.random.default_rng(5)
    units, size = 12, 6
    y = np.repeat(random.normal(0, 2, units), size) + random.normal(0, 1, units * size)
    table = pd.DataFrame({"y": y, "g": np.repeat([f"g{i}" for i in range(units)], size)})
    means = y.reshape(units, size).mean(axis=1)
    within = ((y.reshape(units, size) - means[:, None]) ** 2).sum() / (units * (size - 1))
    between = size * ((means - y.mean()) ** 2).sum() / (units - 1)
    found = bml.reml(bml.model(table, "y ~ 1 + (1 | g)"))
    expected = [np.sqrt((between - within) / size), np.sqrt(within)]
    np.testing.assert_allclose(found.variance_components["estimate"], expected, rtol=1e-6)
    assert found.coefficients["se"][0] == pytest.approx(np.sqrt(between / y.size), rel=1e-6)
    smaller = (units - 1) / units * between
    likelihood = bml.ml(bml.model(table, "y ~ 1 + (1 | g)"))
    expected = [np.sqrt((smaller - within) / size), np.sqrt(within)]
    np.testing.assert_allclose(likelihood.variance_components["estimate"], expected, rtol=1e-6)


def _flat_table() -> pd.DataFrame:
    """Units whose means are all the same: their SD is estimated as nought."""
    random = np.random.default_rng(8)
    noise = random.normal(size=(10, 6))
    noise -= noise.mean(axis=1, keepdims=True)
    return pd.DataFrame(
        {
            "y": 5 + noise.ravel(),
            "x": random.normal(size=60),
            "g": np.repeat([f"g{i}" for i in range(10)], 6),
        }
    )


def test_an_sd_of_nought_is_said_in_words() -> None:
    for fit in (bml.ml, bml.reml):
        found = fit(bml.model(_flat_table(), "y ~ 1 + (1 | g)"))
        assert found.variance_components["estimate"][0] == pytest.approx(0, abs=1e-6)
        assert found.singular
        assert found.notes == (
            "The fit is singular: the SD of 'Intercept' over the units of 'g' is 0. The data show "
            "no such variation; a Bayesian fit says how large it may be.",
        )
        assert "note: The fit is singular" in str(found)


def test_a_correlation_of_minus_one_is_said_in_words() -> None:
    random = np.random.default_rng(12)
    school = np.repeat(np.arange(20), 15)
    x = np.tile(np.linspace(-1, 1, 15), 20)
    u = random.normal(0, 1.5, 20)
    y = 3 + x + u[school] * (1 - x) + random.normal(0, 0.3, 300)
    # Intercept and slope of a school are u and -u
    table = pd.DataFrame({"y": y, "x": x, "school": [f"s{i:02d}" for i in school]})
    found = bml.reml(bml.model(table, "y ~ x + (x | school)"))
    assert found.singular
    row = found.variance_components[found.variance_components["parameter"] == "corr"].iloc[0]
    assert row["estimate"] == pytest.approx(-1, abs=1e-6)
    assert found.notes == (
        "The fit is singular: the terms 'Intercept', 'x' of 'school' are perfectly correlated. "
        "Fewer terms may do.",
    )


def test_both_terms_of_nought() -> None:
    table = _flat_table()
    # Residuals that are orthogonal to x within every unit leave no slope either
    for unit in table["g"].unique():
        rows = table["g"] == unit
        x = table.loc[rows, "x"] - table.loc[rows, "x"].mean()
        slope = (x * table.loc[rows, "y"]).sum() / (x**2).sum()
        table.loc[rows, "y"] -= slope * x
    found = bml.reml(bml.model(table, "y ~ x + (x | g)"))
    assert found.singular
    assert sum("is 0" in note for note in found.notes) == 2
    assert np.isfinite(found.criterion)
    assert found.random_effects["estimate"].abs().max() < 1e-4


def test_other_families_are_refused() -> None:
    table = _table().assign(passed=lambda t: (t["y"] > 10).astype(int))
    model = bml.model(table, "passed ~ x + (1 | school)", family="binomial")
    for fit, name in ((bml.reml, "reml"), (bml.ml, "ml")):
        with pytest.raises(FitError) as caught:
            fit(model)
        assert str(caught.value) == (
            f"{name} is for Gaussian outcomes, and this model is binomial with link logit. Use "
            "model.fit(), which samples it."
        )


def test_a_large_core_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bayesml.engines.elimination.LARGEST_CORE", 5)
    model = bml.model(_table(), "y ~ x + (x | school) + (1 | area)")
    for fit, name in ((bml.reml, "REML"), (bml.ml, "ML")):
        with pytest.raises(FitError) as caught:
            fit(model)
        assert str(caught.value).startswith(f"{name} cannot take this model: 6 random effects")
        assert str(caught.value).endswith("Use model.fit(engine='pymc').")


def test_an_outcome_far_from_zero_loses_no_digits() -> None:
    table = _table()
    near = bml.reml(bml.model(table, "y ~ x + (x | school)"))
    far = bml.reml(bml.model(table.assign(y=table["y"] + 1e6), "y ~ x + (x | school)"))
    assert far.criterion == pytest.approx(near.criterion, abs=1e-6)
    np.testing.assert_allclose(
        far.variance_components["estimate"], near.variance_components["estimate"], rtol=1e-4
    )


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_a_predictor_on_another_scale(scale: float) -> None:
    table = _table()
    near = bml.reml(bml.model(table, "y ~ x + (x | school)"))
    far = bml.reml(bml.model(table.assign(x=table["x"] * scale), "y ~ x + (x | school)"))
    # |X' V^-1 X| has the scale's square
    assert far.criterion == pytest.approx(near.criterion + 2 * np.log(scale), abs=1e-6)
    ours, theirs = far.variance_components["estimate"], near.variance_components["estimate"]
    np.testing.assert_allclose(ours, theirs * np.array([1, 1 / scale, 1, 1]), rtol=1e-4)
    assert far.coefficients["estimate"][1] * scale == pytest.approx(
        near.coefficients["estimate"][1], rel=1e-6
    )


@pytest.mark.parametrize("by_units", [False, True], ids=["predictors", "units too"])
def test_an_outcome_without_residuals_is_an_error(by_units: bool) -> None:
    table = _table()
    effects = {name: value for value, name in enumerate(sorted(set(table["school"])))}
    table["y"] = 3 + 2 * table["x"] + (table["school"].map(effects) ** 1.5 if by_units else 0)
    for fit in (bml.reml, bml.ml):
        with pytest.raises(FitError) as caught:
            fit(bml.model(table, "y ~ x + (1 | school)"))
        assert str(caught.value) == (
            "In 'y ~ x + (1 | school)' the predictors and the units reproduce every outcome "
            "exactly: the residual SD is 0, and the likelihood has no bound. Look for a predictor "
            "that was made from the outcome, or an outcome that is the same in all rows of a unit."
        )


NLME = ["ovary_ar1", "orthodont_ar1", "orthodont_heteroscedastic"]


@pytest.mark.sampling
@pytest.mark.parametrize("name", NLME)
def test_reml_of_residual_structures_is_that_of_nlme(name: str) -> None:
    """The references hold three to ten digits of SDs, and three or more decimals of loglik."""
    known, found = reference(name), bml.reml(build(name))
    table = found.variance_components
    if "loglik" in known:
        assert found.loglik == pytest.approx(known["loglik"], abs=5e-4)
        phi = table.loc[table["parameter"] == "phi", "estimate"].item()
        assert phi == pytest.approx(known["phi"], abs=2e-6)
    sds = [row.get("sdcor", row.get("vcov", 0) ** 0.5) for row in known["random"]]
    ours = np.where(table["parameter"] == "log sigma", np.exp(table["estimate"]), table["estimate"])
    np.testing.assert_allclose(ours[: len(sds)], sds, rtol=1e-4)
    names = [ENTRIES[name].names.get(label, label) for label in known["fixed"]]
    names = ["Intercept" if label == "(Intercept)" else label for label in names]
    coefficients = found.coefficients.set_index("coef")["estimate"]
    # Four digits are given of the heteroscedastic model
    np.testing.assert_allclose(coefficients[names], [*known["fixed"].values()], rtol=2e-4)


@pytest.mark.sampling
def test_ml_of_two_outcomes_is_that_of_glmmtmb() -> None:
    found = bml.ml(build("gcsemv_bivariate"))
    # The reference's log likelihood is rounded to whole numbers, its variances to 0.01
    assert found.loglik == pytest.approx(-13400, abs=0.5)
    ours = found.variance_components["estimate"].to_numpy()
    sds = np.sqrt([46.57, 75.19, 124.43, 180.07])
    np.testing.assert_allclose(ours[[0, 1, 3, 4]], sds, rtol=1e-3)
    np.testing.assert_allclose(ours[[2, 5]], [0.421, 0.486], atol=6e-4)


@pytest.mark.sampling
@pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning")
def test_residual_structures_are_compared_where_they_are_nested() -> None:
    table = bml.load_dataset("orthodont")
    plain, serial, heteroscedastic = (
        bml.ml(bml.model(table, "distance ~ age + (1 | Subject)", **arguments))
        for arguments in (
            {},
            {"residual": "ar1(Subject)"},
            {"distributional": {"sigma": "~ Sex"}},
        )
    )
    assert bml.likelihood_ratio_test(plain, serial).degrees == 1
    with pytest.raises(FitError, match="have different structures"):
        bml.likelihood_ratio_test(serial, heteroscedastic)
