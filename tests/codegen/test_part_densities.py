"""Models with formulas for further parameters have the log-density that the mathematics says."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from tests.codegen.scipy_log_joint import Members, effects_log_density
from tests.codegen.test_log_density import TOLERANCE, Density, simulated_table

pytestmark = pytest.mark.usefixtures("without_compiler")

Row = Any


ONE: Callable[[Row], float] = lambda row: 1.0  # noqa: E731
X: Callable[[Row], float] = lambda row: row.x  # noqa: E731
MALE: Callable[[Row], float] = lambda row: float(row.sex == "M")  # noqa: E731
FEMALE: Callable[[Row], float] = lambda row: float(row.sex == "F")  # noqa: E731


def _school(row: Row) -> list[tuple[Any, float]]:
    return [(row.school, 1.0)]


def _year_group(row: Row) -> list[tuple[Any, float]]:
    return [(f"{row.school}/{row.year_group}", 1.0)]


def _area(row: Row) -> list[tuple[Any, float]]:
    return [(row.area, 1.0)]


def _firm(row: Row) -> list[tuple[Any, float]]:
    return [(row.first, row.share), (row.second, row.rest)]


Coefficients = Mapping[str, Callable[[Row], float]]

# Builder, fixed part of log sigma, groupings, and the predictor of every term.
CASES: dict[str, tuple[Callable[..., bml.Model], Coefficients, list[Members], list[list[str]]]] = {
    "two_level": (
        lambda table, **options: bml.two_level(
            table,
            "score ~ x",
            group="school",
            slopes=["x"],
            distributional={"sigma": "~ x + sex + (x | school)"},
            **options,
        ),
        {"Intercept": ONE, "x": X, "sex[M]": MALE},
        [
            Members(
                "school",
                _school,
                {"Intercept": ONE, "x": X, "sigma:Intercept": ONE, "sigma:x": X},
                sizes=(2, 2),
            )
        ],
        [["", "", "sigma", "sigma"]],
    ),
    "three_level": (
        lambda table, **options: bml.three_level(
            table,
            "score ~ x",
            groups=["year_group", "school"],
            distributional={"sigma": "~ 0 + sex + (1 | year_group) + (0 + x | area)"},
            **options,
        ),
        {"sex[F]": FEMALE, "sex[M]": MALE},
        [
            Members(
                "year_group", _year_group, {"Intercept": ONE, "sigma:Intercept": ONE}, sizes=(1, 1)
            ),
            Members("school", _school, {"Intercept": ONE}),
            Members("area", _area, {"sigma:x": X}),
        ],
        [["", "sigma"], [""], ["sigma"]],
    ),
    "multiple_membership": (
        lambda table, **options: bml.multiple_membership(
            table,
            "score ~ x",
            members=["first", "second"],
            weights=["share", "rest"],
            name="firm",
            slopes=["x"],
            distributional={"sigma": "~ 1 + (1 | firm)"},
            **options,
        ),
        {"Intercept": ONE},
        [Members("firm", _firm, {"Intercept": ONE, "x": X, "sigma:Intercept": ONE}, sizes=(2, 1))],
        [["", "", "sigma"]],
    ),
    "no grouping": (
        lambda table, **options: bml.model(
            table, "score ~ x", distributional={"sigma": "x"}, **options
        ),
        {"Intercept": ONE, "x": X},
        [],
        [],
    ),
}


def expected_log_joint(
    case: str,
    table: pd.DataFrame,
    values: Mapping[str, np.ndarray],
    labels: Mapping[str, list[Any]],
    form: str,
) -> float:
    """The log-joint density under the default priors, row by row."""
    _, coefficients, groupings, predictors = CASES[case]
    rows = list(table.itertuples())
    spread = float(table["score"].std())
    beta, gamma = values["beta"], values["beta_sigma"]
    mean_x = float(table["x"].mean())
    total = float(
        stats.norm.logpdf(beta[0] + beta[1] * mean_x, table["score"].mean(), 2.5 * spread)
    )
    total += float(stats.norm.logpdf(beta[1], 0, 2.5 * spread / table["x"].std()))
    columns = {name: np.array([f(row) for row in rows]) for name, f in coefficients.items()}
    if "Intercept" in columns:
        at_mean = sum(g * c.mean() for g, c in zip(gamma, columns.values(), strict=True))
        total += float(stats.t.logpdf(at_mean, 3, np.log(spread), 1))
    for value, (name, column) in zip(gamma, columns.items(), strict=True):
        if name != "Intercept":
            # Without an intercept a column per level: each is a log SD.
            where, scale = (0, 1 / column.std(ddof=1))
            if "Intercept" not in columns:
                where, scale = float(np.log(spread)), 1.0
            total += float(stats.norm.logpdf(value, where, scale))
    for grouping, of_terms in zip(groupings, predictors, strict=True):
        z = np.array([[term(row) for term in grouping.terms.values()] for row in rows])
        sizes = [1.0 if np.ptp(column) == 0 else column.std(ddof=1) for column in z.T]
        scales = [
            (0.5 if name else spread) / size for name, size in zip(of_terms, sizes, strict=True)
        ]
        # The option is for the groupings of the main formula.
        own = form if "" in of_terms else "non-centred"
        total += effects_log_density(grouping, values, np.array(scales), 2.0, own)
    for number, row in enumerate(rows):
        eta = {
            "": beta[0] + beta[1] * row.x,
            "sigma": sum(g * c[number] for g, c in zip(gamma, columns.values(), strict=True)),
        }
        for grouping, of_terms in zip(groupings, predictors, strict=True):
            for unit, weight in grouping.units(row):
                effect = values[f"u_{grouping.name}"][labels[grouping.name].index(unit)]
                for name, term, u in zip(of_terms, grouping.terms.values(), effect, strict=True):
                    eta[name] += weight * term(row) * u
        total += float(stats.norm.logpdf(row.score, eta[""], np.exp(eta["sigma"])))
    return total


@pytest.mark.parametrize("form", ["centred", "non-centred"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore::bayesml.errors.BayesmlWarning")
def test_log_density_equals_scipys(case: str, form: str) -> None:
    table = simulated_table()
    made = CASES[case][0](table, parametrisation=form)
    density = Density(made)
    rng = np.random.default_rng(5)
    for _ in range(2):
        found, values = density.at(density.point(rng))
        labels = density.labels()
        expected = expected_log_joint(case, table, values, labels, form)
        assert found == pytest.approx(expected, rel=TOLERANCE)
