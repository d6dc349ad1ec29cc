"""The marginal density and the conditional draws multiply to the joint density of the model.

p(y, theta) p(u, beta | y, theta) = p(y, u, beta, theta) at every point (Besag 1989's candidate's
formula). The joint density is the independent one of SciPy that the generated source is held
against, row by row from the user's table. The conditional density comes from the map that makes
random effects and coefficients of standard normal numbers: nothing of either side is shared.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from bayesml.engines.marginal_models import MarginalModel, marginal_model, posterior_arrays
from tests.codegen.scipy_log_joint import OUTCOMES, Members, log_joint
from tests.codegen.test_log_density import (
    CURVE,
    FORMS,
    PREDICTORS,
    STRUCTURES,
    case,
    simulated_table,
)
from tests.engines.gaussian_cases import density_and_gradient

pytestmark = pytest.mark.sampling  # the kernels are compiled by numba, and sampled from

# Some 300 terms of size up to 100 on either side, and a determinant of order 40.
TOLERANCE = 1e-8


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return simulated_table()


def log_jacobian(model: MarginalModel, theta: np.ndarray) -> float:
    """Log of d(SDs, lower entries of the Cholesky factors, sigma) / d theta.

    A row of a Cholesky factor with partial correlations t_j = tanh(x_j) has the entries
    t_j sqrt(1 - t_1^2) ... sqrt(1 - t_{j-1}^2): a triangular map, row by row.
    """
    terms = sum(model.linear.sizes)
    total = theta[:terms].sum()
    place = terms
    for blocks in model.linear.blocks:
        for size in blocks:
            for row in range(size):
                x = theta[place : place + row]
                sech = 1 / np.cosh(x)
                for j in range(row):
                    total += 2 * np.log(sech[j]) + np.log(sech[:j]).sum()
                place += row
    return float(total + theta[place])


def joint_by_candidate(
    model: MarginalModel, theta: np.ndarray, rng: np.random.Generator
) -> tuple[float, dict[str, np.ndarray]]:
    """Return log p(y, theta) + log p(u, beta | y, theta) at a random point, and the point.

    The density is with respect to SDs, lower entries of Cholesky factors, sigma, u and beta.
    """
    from bayesml.engines.effect_draws import DrawKeeper
    from bayesml.engines.effect_kernels import draw_effects

    size = DrawKeeper(model, 1).normals_per_draw
    normals = np.vstack([rng.normal(size=size), np.zeros(size), np.eye(size)])
    keeper = DrawKeeper(model, len(normals))
    coefficients = np.empty((len(normals), keeper.coefficients))
    effects = np.empty((len(normals), keeper.columns))
    thetas = np.tile(theta, (len(normals), 1))
    draw_effects(model.elimination.plan, model.density, thetas, normals, coefficients, effects)
    keeper.keep(0, coefficients, effects)
    found = keeper.posterior(thetas)
    drawn = [
        found[name].reshape(len(normals), -1)
        for name in found
        if name == "beta" or name.startswith("u_")
    ]
    points = np.concatenate(drawn, axis=1)
    change = points[2:] - points[1]
    # The map is affine, so the mean and the columns must make the random point.
    np.testing.assert_allclose(points[0], points[1] + normals[0] @ change, rtol=1e-9, atol=1e-10)
    conditional = stats.norm.logpdf(normals[0]).sum() - np.linalg.slogdet(change)[1]
    value, _ = density_and_gradient(model, theta)
    total = value + conditional - log_jacobian(model, theta)
    return float(total), {name: values[0] for name, values in found.items()}


def check(
    made: bml.Model,
    groupings: list[Members],
    table: pd.DataFrame,
    predictors: Mapping[str, Any],
    offset: Any = lambda row: 0.0,
) -> None:
    model = marginal_model(made.resolved, made.design)
    rng = np.random.default_rng(17)
    for _ in range(2):
        theta = rng.normal(0, 0.5, model.dimensions)
        found, values = joint_by_candidate(model, theta, rng)
        expected = log_joint(
            OUTCOMES["gaussian"],
            table,
            predictors,
            groupings,
            values,
            {name: list(labels) for name, labels in made.coords.items()},
            form="centred",
            offset=offset,
        )
        assert np.isfinite(expected)
        assert found == pytest.approx(expected, rel=TOLERANCE)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form[0]}-{form[1]}")
def test_every_structure(structure: str, form: tuple[bool, str], table: pd.DataFrame) -> None:
    """The parametrisation of the conditional model must not matter."""
    correlated, parametrisation = form
    made, groupings = case(
        structure, table, "score", correlated, {"parametrisation": parametrisation}
    )
    predictors = {**PREDICTORS, **(CURVE if structure == "longitudinal" else {})}
    check(made, groupings, table, predictors)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_parametrisation_does_not_change_the_density(structure: str, table: pd.DataFrame) -> None:
    """Chosen from the data, by grouping or unit by unit: the marginal density is one number."""
    values = []
    theta = None
    for options in (
        {},
        {"parametrisation": "centred"},
        {"parametrisation": "partly centred"},
        {"parametrisation": "non-centred"},
    ):
        made, _ = case(structure, table, "score", True, options)
        model = marginal_model(made.resolved, made.design)
        if theta is None:
            theta = np.random.default_rng(2).normal(0, 0.5, model.dimensions)
        values.append(density_and_gradient(model, theta)[0])
    assert values == [values[0]] * 4


UNITS = {
    "school": lambda row: [(row.school, 1.0)],
    "area": lambda row: [(row.area, 1.0)],
    "child": lambda row: [(row.child, 1.0)],
}
VARYING = {
    "Intercept": ("1", lambda row: 1.0),
    "x": ("x", lambda row: float(row.x)),
    "week": ("week", lambda row: float(row.week)),
}
FIXED = {
    "1": {"Intercept": PREDICTORS["Intercept"]},
    "x": {"Intercept": PREDICTORS["Intercept"], "x": PREDICTORS["x"]},
    "x + sex": PREDICTORS,
    "0 + x": {"x": PREDICTORS["x"]},
}


@pytest.mark.parametrize("seed", range(12))
def test_random_specifications(seed: int, table: pd.DataFrame) -> None:
    rng = np.random.default_rng(seed)
    fixed = list(FIXED)[seed % 4]
    chosen = rng.permutation(list(UNITS))[: rng.integers(1, 4)]
    bars, groupings = [], []
    for name in chosen:
        terms = [term for term in VARYING if term == "Intercept" or rng.random() < 0.5]
        correlated = bool(rng.random() < 0.6)
        bar = "|" if correlated else "||"
        bars.append(f"({' + '.join(VARYING[term][0] for term in terms)} {bar} {name})")
        groupings.append(
            Members(name, UNITS[name], {term: VARYING[term][1] for term in terms}, correlated)
        )
    known = bool(rng.random() < 0.5)
    formula = " + ".join([f"score ~ {fixed}", *(["offset(days)"] if known else []), *bars])
    made = bml.model(table, formula)
    assert [item.name for item in made.resolved.groupings] == list(chosen)
    offset = (lambda row: float(row.days)) if known else (lambda row: 0.0)
    check(made, groupings, table, FIXED[fixed], offset)


def test_a_wrong_density_breaks_the_identity(table: pd.DataFrame) -> None:
    made, groupings = case("two_level", table, "score", True, {})
    model = marginal_model(made.resolved, made.design)
    rng = np.random.default_rng(17)
    theta = rng.normal(0, 0.5, model.dimensions)
    _, values = joint_by_candidate(model, theta, rng)
    right = posterior_arrays(model, theta[None])["sd_school"][0]
    np.testing.assert_allclose(values["sd_school"], right)
    wrong = model.density._replace(correlation_power=model.density.correlation_power + 1e-3)
    object.__setattr__(model, "density", wrong)
    found, values = joint_by_candidate(model, theta, np.random.default_rng(1))
    expected = log_joint(
        OUTCOMES["gaussian"],
        table,
        PREDICTORS,
        groupings,
        values,
        {name: list(labels) for name, labels in made.coords.items()},
        form="centred",
    )
    assert found != pytest.approx(expected, rel=TOLERANCE)
