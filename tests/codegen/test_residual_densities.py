"""Correlated residuals: the generated density is SciPy's multivariate normal, unit by unit."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from bayesml.codegen.examples import example_source
from bayesml.codegen.rendering import render
from bayesml.codegen.starters import starter_spec
from bayesml.design.sketching import resolve_without_table
from bayesml.specs.residual_structures import SATURATED, read_residual
from tests.codegen.scipy_log_joint import (
    OUTCOMES,
    Members,
    half_student_t,
    linear_predictors,
    lkj_cholesky,
    log_joint,
)
from tests.codegen.test_log_density import TOLERANCE, Density

pytestmark = pytest.mark.usefixtures("without_compiler")

INTERCEPT = {"Intercept": lambda row: 1.0}
PREDICTORS = {**INTERCEPT, "x": lambda row: row.x}
WITHOUT_ROWS = replace(OUTCOMES["gaussian"], density=lambda row, eta, values: 0.0)
RESIDUALS = {
    "ar1(week, child)": "child",
    "ar1(child)": "child",
    "continuous_ar(day, child)": "child",
    "compound_symmetric(child)": "school",
    "unstructured(week, child)": "school",
}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Twelve children in four schools, some weeks missing, rows in no order."""
    rng = np.random.default_rng(8)
    number = np.arange(60)
    whole = pd.DataFrame(
        {
            "child": number // 5,
            "school": number // 15,
            "week": number % 5,
            "day": 7.0 * (number % 5) + rng.uniform(0, 3, 60),
            "x": rng.normal(size=60),
            "score": rng.normal(1.0, 2.0, 60),
        }
    )
    kept = np.delete(rng.permutation(60), [3, 20, 21, 40, 55])
    return whole.iloc[kept].reset_index(drop=True)


def correlation(text: str, rows: pd.DataFrame, values: Mapping[str, Any]) -> np.ndarray:
    """The correlation matrix of the rows of one child, by a loop over pairs."""
    found = np.eye(len(rows))
    weeks, days = rows["week"].tolist(), rows["day"].tolist()
    for i in range(len(rows)):
        for j in range(len(rows)):
            if i == j:
                continue
            if text.startswith("ar1(week"):
                found[i, j] = values["phi"] ** abs(weeks[i] - weeks[j])
            elif text.startswith("ar1"):
                found[i, j] = values["phi"] ** abs(i - j)
            elif text.startswith("continuous"):
                found[i, j] = values["phi"] ** abs(days[i] - days[j])
            elif text.startswith("compound"):
                found[i, j] = values["corr_residual"]
            else:
                found[i, j] = values["corr_residual"][weeks[i], weeks[j]]
    return found


def expected_density(
    text: str, table: pd.DataFrame, values: dict[str, Any], labels: dict[str, list[Any]]
) -> float:
    group = RESIDUALS[text]
    groupings = [Members(group, lambda row: [(getattr(row, group), 1.0)], INTERCEPT)]
    sd = np.broadcast_to(np.asarray(values["sigma"], dtype=float), (5,))
    spread = float(table["score"].std())
    single = {**values, "sigma": float(sd[0])}
    total = log_joint(
        WITHOUT_ROWS, table, PREDICTORS, groupings, single, labels, form="non-centred"
    )
    if np.ndim(values["sigma"]):
        total += sum(half_student_t(float(value), 4, spread) for value in sd[1:])
        total += lkj_cholesky(np.linalg.cholesky(values["corr_residual"]), 2.0)
    elif "corr_residual" in values:
        total += stats.uniform(-0.25, 1.25).logpdf(values["corr_residual"])
    elif text.startswith("ar1"):
        total += stats.truncnorm(-2, 2, scale=0.5).logpdf(values["phi"])
    coefficients = dict(zip(labels["coef"], values["beta"], strict=True))
    eta = linear_predictors(table, coefficients, PREDICTORS, groupings, values, labels)
    for rows in table.assign(eta=eta).groupby("child"):
        of_child = rows[1]
        own = sd[of_child["week"]]
        covariance = correlation(text, of_child, values) * np.outer(own, own)
        total += stats.multivariate_normal.logpdf(of_child["score"], of_child["eta"], covariance)
    return float(total)


@pytest.mark.parametrize("text", RESIDUALS)
def test_log_density_equals_scipys(text: str, table: pd.DataFrame) -> None:
    model = made(text, table)
    density = Density(model)
    rng = np.random.default_rng(4)
    for _ in range(3):
        found, values = density.at(density.point(rng))
        expected = expected_density(text, table, values, density.labels())
        assert np.isfinite(expected)
        assert found == pytest.approx(expected, rel=TOLERANCE)


def made(text: str, table: pd.DataFrame) -> bml.Model:
    group = RESIDUALS[text]
    options: dict[str, Any] = {"residual": text, "parametrisation": "non-centred"}
    import warnings

    with warnings.catch_warnings():
        # Rows in no order, few schools.
        warnings.simplefilter("ignore", bml.BayesmlWarning)
        return bml.two_level(table, "score ~ x", group=group, **options)


@pytest.mark.parametrize("text", RESIDUALS)
def test_gradient_is_finite_at_the_initial_point(text: str, table: pd.DataFrame) -> None:
    import pytensor

    model = made(text, table).to_pymc()
    start = model.initial_point()
    gradient = pytensor.function(model.value_vars, model.dlogp())
    assert np.isfinite(gradient(*(start[value.name] for value in model.value_vars))).all()


def test_negative_correlations_have_a_density(table: pd.DataFrame) -> None:
    """Down to the bound where the covariance of the largest unit is singular."""
    density = Density(made("compound_symmetric(child)", table))
    point = [np.zeros(shape) for shape in density.shapes()]
    place = [value.name for value in density.pymc.value_vars].index("corr_residual_interval__")
    point[place] = np.asarray(-3.0)
    found, values = density.at(point)
    assert -0.25 < values["corr_residual"] < -0.18
    assert found == pytest.approx(
        expected_density("compound_symmetric(child)", table, values, density.labels()),
        rel=TOLERANCE,
    )


@pytest.mark.parametrize(
    "text",
    [
        "ar1(time, person)",
        "ar1(person)",
        "continuous_ar(time, person)",
        "compound_symmetric(person)",
        "unstructured(time, person)",
    ],
)
def test_the_example_of_a_script_has_the_arrays(text: str) -> None:
    """Without a table: the script's own data, whose density is that of 600 rows."""
    spec = replace(starter_spec("longitudinal"), residual=read_residual(text))
    if spec.residual is not None and spec.residual.structure in SATURATED:
        spec = replace(spec, groupings=())
    resolved = resolve_without_table(spec)
    namespace: dict[str, Any] = {"__name__": "script"}
    exec(render(resolved, example=example_source(resolved)), namespace)
    data, coords = namespace["example"]()
    model = namespace["build"](data, coords)
    assert -10_000 < model.compile_logp()(model.initial_point()) < -100
