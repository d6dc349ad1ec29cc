"""Nominal outcomes: the log-density is what SciPy says, in every structure.

Nothing here reads bayesml's arrays: categories, units and terms come from the user's table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import bayesml as bml
from tests.codegen.scipy_log_joint import Members, effects_log_density
from tests.codegen.test_log_density import (
    CENTRED,
    CURVE,
    FORMS,
    INTERCEPT,
    NON_CENTRED,
    PREDICTORS,
    STRUCTURES,
    TERMS,
    TOLERANCE,
    Density,
    case,
    simulated_table,
)

pytestmark = [
    pytest.mark.usefixtures("without_compiler"),
    pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning"),
]

# Ignoring case, "Bus" is the first.
CATEGORIES = ("Bus", "car", "Foot")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(21)
    travel = rng.choice(CATEGORIES, 60, p=[0.5, 0.3, 0.2])
    return simulated_table().assign(travel=travel, late=rng.choice(["yes", "no"], 60))


def by_category(grouping: Members, categories: Sequence[str]) -> Members:
    """The same grouping, with its terms once for each category but the baseline."""
    entries = grouping.sizes or (len(grouping.terms),)
    labels = list(grouping.terms)
    terms: dict[str, Any] = {}
    start = 0
    for size in entries:
        own = labels[start : start + size]
        terms |= {f"{c}:{label}": grouping.terms[label] for c in categories[1:] for label in own}
        start += size
    sizes = tuple(size * (len(categories) - 1) for size in entries) if grouping.sizes else ()
    return Members(grouping.name, grouping.units, terms, grouping.correlated, sizes)


def nominal_log_joint(
    table: pd.DataFrame,
    outcome: str,
    categories: Sequence[str],
    predictors: Mapping[str, Any],
    groupings: list[Members],
    values: Mapping[str, np.ndarray],
    labels: Mapping[str, list[Any]],
    form: str,
) -> float:
    """The log-joint density under the default priors, at parameters on the user's scale."""
    rows = list(table.itertuples())
    counts = table[outcome].value_counts()
    columns = {name: np.array([of(row) for row in rows]) for name, of in predictors.items()}
    scores = np.zeros((len(rows), len(categories)))
    total = 0.0
    for place, category in enumerate(categories[1:]):
        own = dict(zip(labels["coef"], values["beta"][place], strict=True))
        scores[:, place + 1] += sum(own[name] * columns[name] for name in own)
        if "Intercept" in own:
            at_mean = sum(own[name] * columns[name].mean() for name in own)
            location = np.log(counts[category] / counts[categories[0]])
            total += stats.norm.logpdf(at_mean, location, 2.5)
        for name in own:
            if name != "Intercept":
                total += stats.norm.logpdf(own[name], 0, 2.5 / columns[name].std(ddof=1))
    for grouping in groupings:
        whole = by_category(grouping, categories)
        z = {name: np.array([of(row) for row in rows]) for name, of in grouping.terms.items()}
        scales = np.array(
            [
                1.0 if name.endswith(":Intercept") else 1 / z[name.partition(":")[2]].std(ddof=1)
                for name in whole.terms
            ]
        )
        total += effects_log_density(whole, values, scales, 2.0, form)
        assert labels[f"{grouping.name}_term"] == list(whole.terms)
        for number, row in enumerate(rows):
            for unit, weight in grouping.units(row):
                effect = values[f"u_{grouping.name}"][labels[grouping.name].index(unit)]
                for column, label in enumerate(whole.terms):
                    category, _, name = label.partition(":")
                    place = list(categories).index(category)
                    scores[number, place] += weight * z[name][number] * effect[column]
    codes = [list(categories).index(value) for value in table[outcome]]
    return float(total + special.log_softmax(scores, axis=1)[np.arange(len(rows)), codes].sum())


def check(
    made: bml.Model,
    table: pd.DataFrame,
    categories: Sequence[str],
    predictors: Mapping[str, Any],
    groupings: list[Members],
    form: str,
) -> None:
    density = Density(made)
    rng = np.random.default_rng(3)
    for _ in range(2):
        found, values = density.at(density.point(rng))
        expected = nominal_log_joint(
            table,
            made.spec.response,
            categories,
            predictors,
            groupings,
            values,
            density.labels(),
            form,
        )
        assert np.isfinite(expected)
        assert found == pytest.approx(expected, rel=TOLERANCE)


# In the six forms in turn, so that every structure has each of them in the slow tests.
CORE = {(structure, FORMS[number]) for number, structure in enumerate(STRUCTURES)}


@pytest.mark.parametrize(
    ("structure", "form"),
    [
        pytest.param(*key, marks=() if key in CORE else pytest.mark.slow)
        for key in product(STRUCTURES, FORMS)
    ],
    ids=str,
)
def test_log_density_equals_scipys(
    structure: str, form: tuple[bool, str], table: pd.DataFrame
) -> None:
    correlated, parametrisation = form
    options = {"family": "categorical", "parametrisation": parametrisation}
    made, groupings = case(structure, table, "travel", correlated, options)
    predictors = {**PREDICTORS, **(CURVE if structure == "longitudinal" else {})}
    # Also that of a varying intercept alone: it has an effect for each category.
    groupings = [replace(item, correlated=correlated) for item in groupings]
    check(made, table, CATEGORIES, predictors, groupings, parametrisation)


def school(row: Any) -> list[tuple[Any, float]]:
    return [(row.school, 1.0)]


FURTHER = {
    # What is correlated: the categories of an entry.
    "entries": ("travel ~ 1 + (1 | school) + (0 + x | school)", (1, 1), TERMS, INTERCEPT),
    "no intercept": ("travel ~ 0 + x + (1 | school)", (), INTERCEPT, {"x": TERMS["x"]}),
    "intercept": ("travel ~ 1 + (x | school)", (), TERMS, INTERCEPT),
}


@pytest.mark.parametrize("name", FURTHER)
def test_entries_and_formulas_equal_scipys(name: str, table: pd.DataFrame) -> None:
    formula, sizes, terms, predictors = FURTHER[name]
    made = bml.model(table, formula, family="categorical", parametrisation="non-centred")
    groupings = [Members("school", school, terms, True, sizes)]
    check(made, table, CATEGORIES, predictors, groupings, NON_CENTRED)


def test_two_categories_in_the_users_order_equal_scipys(table: pd.DataFrame) -> None:
    order = ["yes", "no"]
    made = bml.two_level(
        table,
        "late ~ x",
        group="school",
        slopes=["x"],
        family="categorical",
        categories=order,
        parametrisation="centred",
    )
    assert made.resolved.baseline_category == "yes"
    check(made, table, order, TERMS, [Members("school", school, TERMS)], CENTRED)


def test_a_model_without_groupings_equals_scipys(table: pd.DataFrame) -> None:
    made = bml.model(table, "travel ~ x + sex", family="categorical")
    check(made, table, CATEGORIES, PREDICTORS, [], NON_CENTRED)


def test_the_likelihood_keeps_its_digits_at_extreme_scores(table: pd.DataFrame) -> None:
    import pytensor
    from pymc.pytensorf import rewrite_pregrad

    made = bml.model(table, "travel ~ 1", family="categorical").to_pymc()
    # The log of a softmax keeps its digits only once rewritten, as samplers do before use.
    density = rewrite_pregrad(made.observedlogp)
    function = pytensor.function(made.value_vars, [density, made.dlogp()])
    codes = np.array([CATEGORIES.index(value) for value in table["travel"]])
    for point in (np.array([300.0, -300.0]), np.array([-300.0, 300.0])):
        found, gradient = function(point)
        expected = special.log_softmax([0.0, *point])[codes].sum()
        assert float(found) == pytest.approx(float(expected), rel=1e-12)
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("structure", STRUCTURES)
def test_gradient_is_finite_at_the_initial_point(structure: str, table: pd.DataFrame) -> None:
    import pytensor

    made, _ = case(structure, table, "travel", True, {"family": "categorical"})
    model = made.to_pymc()
    start = model.initial_point()
    gradient = pytensor.function(model.value_vars, model.dlogp())
    found = gradient(*(start[value.name] for value in model.value_vars))
    assert np.isfinite(found).all()
