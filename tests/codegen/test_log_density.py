"""The generated PyMC model has the log-density that the mathematics says, for every structure.

The functions run without numba and without a C compiler: they are called a few times only.
"""

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from tests.codegen.scipy_log_joint import (
    OUTCOMES,
    Members,
    log_joint,
)

pytestmark = pytest.mark.usefixtures("without_compiler")

# A sum of some 200 terms of size up to 100, each good to about 1e-15 of its size: 1e-8 leaves
# room for cancellation in tails, and no wrong constant is that small.
TOLERANCE = 1e-8

STRUCTURES = ("two_level", "three_level", "cross_classified", "multiple_membership", "longitudinal")
CENTRED, PARTLY, NON_CENTRED = "centred", "partly centred", "non-centred"
FORMS = tuple(product((True, False), (CENTRED, PARTLY, NON_CENTRED)))  # correlated, form


def simulated_table() -> pd.DataFrame:
    """Return a table with a column for every family and a grouping for every structure."""
    rng = np.random.default_rng(20)
    rows = 60
    number = np.arange(rows)
    items = rng.integers(1, 9, rows)
    return pd.DataFrame(
        {
            "school": np.array(["Ash", "Birch", "Elm", "Fir", "Lime", "Oak"])[number % 6],
            "year_group": number // 6 % 2 + 1,  # 1 and 2 in every school: implicit labels
            "area": rng.permutation(number % 5),
            "first": rng.permutation(number % 7 + 1),
            "second": rng.permutation(number % 3 + 8),
            "share": rng.uniform(0.5, 0.9, rows),
            "child": number // 5,
            "week": number % 5 / 4,
            "x": rng.normal(0.5, 1.5, rows),
            "sex": rng.choice(["F", "M"], rows),
            "score": rng.normal(1.0, 2.0, rows),
            "passed": rng.integers(0, 2, rows),
            "items": items,
            "correct": rng.binomial(items, 0.6),
            "days": rng.uniform(0.5, 3.0, rows),
            "events": rng.poisson(2.0, rows),
            "grade": np.concatenate([[1, 2, 3, 4], rng.integers(1, 5, rows - 4)]),
            "wait": rng.weibull(1.3, rows) * 3,
            "ended": (number % 3 > 0).astype(int),
            "begin": rng.uniform(0, 0.1, rows) * (number % 2),
        }
    ).assign(
        rest=lambda frame: 1 - frame["share"],
        # Exact durations, open intervals, intervals from 0 and others in turn.
        earliest=lambda frame: frame["wait"].where(number % 4 != 2),
        latest=lambda frame: (frame["wait"] * (1 + number % 4 / 2)).where(number % 4 != 3),
        cost=rng.gamma(2.0, 1.5, rows),
        part=rng.beta(2.0, 3.0, rows),
    )


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return simulated_table()


TERMS = {"Intercept": lambda row: 1.0, "x": lambda row: row.x}
PREDICTORS = {**TERMS, "sex[M]": lambda row: float(row.sex == "M")}
CURVE = {
    "Intercept": lambda row: 1.0,
    "week": lambda row: float(row.week),
    "I(week ** 2)": lambda row: float(row.week**2),
}
INTERCEPT = {"Intercept": lambda row: 1.0}


def _school(row: Any) -> list[tuple[Any, float]]:
    return [(row.school, 1.0)]


def _year_group(row: Any) -> list[tuple[Any, float]]:
    return [(f"{row.school}/{row.year_group}", 1.0)]


def _area(row: Any) -> list[tuple[Any, float]]:
    return [(row.area, 1.0)]


def _firms(row: Any) -> list[tuple[Any, float]]:
    return [(row.first, row.share), (row.second, row.rest)]


def _child(row: Any) -> list[tuple[Any, float]]:
    return [(row.child, 1.0)]


def case(
    structure: str,
    table: pd.DataFrame,
    left: str,
    correlated: bool,
    options: Mapping[str, Any],
    right: str = "x + sex",
) -> tuple[bml.Model, list[Members]]:
    """Return bayesml's model, and the groupings as the SciPy density needs them."""
    formula = f"{left} ~ {right}"
    options = {"correlated": correlated, **options}
    if structure == "two_level":
        made = bml.two_level(table, formula, group="school", slopes=["x"], **options)
        return made, [Members("school", _school, TERMS, correlated)]
    if structure == "three_level":
        slopes = {"year_group": ["x"], "school": ["x"]}
        with pytest.warns(bml.BayesmlWarning, match="taken as different units"):
            made = bml.three_level(
                table, formula, groups=["year_group", "school"], slopes=slopes, **options
            )
        return made, [
            Members("year_group", _year_group, TERMS, correlated),
            Members("school", _school, TERMS, correlated),
        ]
    if structure == "cross_classified":
        slopes = {"school": ["x"]}
        made = bml.cross_classified(
            table, formula, groups=["school", "area"], slopes=slopes, **options
        )
        return made, [
            Members("school", _school, TERMS, correlated),
            Members("area", _area, INTERCEPT),
        ]
    if structure == "multiple_membership":
        made = bml.multiple_membership(
            table,
            formula,
            members=["first", "second"],
            weights=["share", "rest"],
            name="firm",
            slopes=["x"],
            groups=["area"],
            **options,
        )
        return made, [Members("firm", _firms, TERMS, correlated), Members("area", _area, INTERCEPT)]
    made = bml.longitudinal(table, formula, unit="child", time="week", growth=2, **options)
    return made, [Members("child", _child, CURVE, correlated)]


class Density:
    """The compiled log-density of a model, and its parameters by name, at unconstrained points."""

    def __init__(self, model: bml.Model):
        import pytensor
        from pymc.pytensorf import rewrite_pregrad

        self.pymc = model.to_pymc()
        density = self.pymc.logp(jacobian=False)
        if model.spec.family == "binomial":
            # log(1 - sigmoid(x)) keeps its digits only once rewritten, as samplers do before use.
            density = rewrite_pregrad(density)
        reported = [*self.pymc.free_RVs, *self.pymc.deterministics]
        self.names = [variable.name for variable in reported]
        self.function = pytensor.function(
            self.pymc.value_vars,
            [density, *self.pymc.replace_rvs_by_values(reported)],
        )

    def shapes(self) -> list[tuple[int, ...]]:
        """The shape of every unconstrained value."""
        return [
            tuple(len(self.pymc.coords[dim]) for dim in self.pymc.named_vars_to_dims[rv.name])
            if rv.name in self.pymc.named_vars_to_dims
            else self.pymc.rvs_to_values[rv].type.shape
            for rv in self.pymc.free_RVs
        ]

    def point(self, rng: np.random.Generator) -> list[np.ndarray]:
        return [np.asarray(rng.normal(0, 0.3, shape)) for shape in self.shapes()]

    def at(self, point: list[np.ndarray]) -> tuple[float, dict[str, np.ndarray]]:
        density, *values = self.function(*point)
        return float(density), dict(zip(self.names, values, strict=True))

    def labels(self) -> dict[str, list[Any]]:
        return {name: list(values) for name, values in self.pymc.coords.items()}


# Every structure with every family, and every link with a structure, in one of the six forms in
# turn, so that every structure has all six; the rest of the product takes minutes.
OTHER_LINKS = {name for name in OUTCOMES if name.endswith((" probit", " cloglog"))}
CORE = {
    (structure, family, FORMS[(i + j) % 6])
    for i, structure in enumerate(STRUCTURES)
    for j, family in enumerate(OUTCOMES)
    if family not in OTHER_LINKS or i == j % 5
}


@pytest.mark.parametrize(
    ("structure", "family", "form"),
    [
        pytest.param(*key, id="-".join(map(str, (key[0], key[1], *key[2]))))
        if key in CORE
        else pytest.param(
            *key, id="-".join(map(str, (key[0], key[1], *key[2]))), marks=pytest.mark.slow
        )
        for key in product(STRUCTURES, OUTCOMES, FORMS)
    ],
)
def test_log_density_equals_scipys(
    structure: str, family: str, form: tuple[bool, str], table: pd.DataFrame
) -> None:
    correlated, parametrisation = form
    outcome = OUTCOMES[family]
    options = {**outcome.options, "parametrisation": parametrisation}
    made, groupings = case(structure, table, outcome.formula_left, correlated, options)
    density = Density(made)
    rng = np.random.default_rng(3)
    predictors = {**PREDICTORS, **(CURVE if structure == "longitudinal" else {})}
    for _ in range(2):
        found, values = density.at(density.point(rng))
        expected = log_joint(
            outcome,
            table,
            predictors,
            groupings,
            values,
            density.labels(),
            form=parametrisation,
        )
        assert np.isfinite(expected)
        assert found == pytest.approx(expected, rel=TOLERANCE)


GRADIENTS = [
    (STRUCTURES[number % 5], family, FORMS[number % 6]) for number, family in enumerate(OUTCOMES)
] + [("three_level", "gaussian", form) for form in FORMS]


@pytest.mark.parametrize(("structure", "family", "form"), GRADIENTS, ids=str)
def test_gradient_is_finite_at_the_initial_point(
    structure: str, family: str, form: tuple[bool, str], table: pd.DataFrame
) -> None:
    import pytensor

    correlated, parametrisation = form
    outcome = OUTCOMES[family]
    options = {**outcome.options, "parametrisation": parametrisation}
    made, _ = case(structure, table, outcome.formula_left, correlated, options)
    model = made.to_pymc()
    start = model.initial_point()
    gradient = pytensor.function(model.value_vars, model.dlogp())
    found = gradient(*(start[value.name] for value in model.value_vars))
    assert len(found) == sum(np.size(value) for value in start.values())
    assert np.isfinite(found).all()
