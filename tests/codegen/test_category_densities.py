"""Models with category-specific effects have the log-density that the mathematics says."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from tests.codegen.scipy_log_joint import OUTCOMES, log_joint
from tests.codegen.test_log_density import (
    CURVE,
    PREDICTORS,
    STRUCTURES,
    TOLERANCE,
    Density,
    case,
    simulated_table,
)

pytestmark = pytest.mark.usefixtures("without_compiler")

SPECIFIC: dict[str, Callable[[Any], float]] = {
    "sex[M]": lambda row: float(row.sex == "M"),
    "days": lambda row: float(row.days),
    "x:days": lambda row: float(row.x * row.days),
}
FORMULA = "x + cs(sex + days + x:days)"
FAMILIES = [name for name in OUTCOMES if name.startswith(("adjacent", "continuation"))]
FORMS = ("centred", "partly centred", "non-centred")


def expected_log_joint(
    family: str,
    table: pd.DataFrame,
    predictors: Mapping[str, Callable[[Any], float]],
    groupings: list[Any],
    values: Mapping[str, np.ndarray],
    labels: Mapping[str, list[Any]],
    form: str,
    prior: Callable[[str, float], Any],
) -> float:
    """SciPy's density of a model whose cutpoints are those of the row that is looked at."""
    outcome, own = OUTCOMES[family], values["beta_cs"]
    columns = {
        label: np.array([SPECIFIC[label](row) for row in table.itertuples()])
        for label in labels["coef_cs"]
    }
    means = np.array([column.mean() for column in columns.values()])

    def density(row: Any, eta: float, at_means: Mapping[str, np.ndarray]) -> float:
        of_row = np.array([SPECIFIC[label](row) for label in labels["coef_cs"]])
        return outcome.density(row, eta, {"cutpoints": values["cutpoints"] - own @ of_row})

    # The prior of the cutpoints holds where every predictor is at its mean.
    at_means = {**values, "cutpoints": values["cutpoints"] - own @ means}
    total = log_joint(
        replace(outcome, density=density), table, predictors, groupings, at_means, labels, form
    )
    for place, (label, column) in enumerate(columns.items()):
        total += float(prior(label, 2.5 / column.std(ddof=1)).logpdf(own[:, place]).sum())
    return total


@pytest.mark.parametrize(
    ("structure", "family", "form"),
    [
        pytest.param(structure, family, FORMS[(i + j) % 3])
        for i, structure in enumerate(STRUCTURES)
        for j, family in enumerate(FAMILIES)
    ],
)
@pytest.mark.filterwarnings("ignore::bayesml.errors.BayesmlWarning")
def test_log_density_equals_scipys(structure: str, family: str, form: str) -> None:
    table, outcome = simulated_table(), OUTCOMES[family]
    options = {**outcome.options, "parametrisation": form}
    made, groupings = case(structure, table, outcome.formula_left, True, options, FORMULA)
    density = Density(made)
    predictors = {**PREDICTORS, **(CURVE if structure == "longitudinal" else {})}
    rng = np.random.default_rng(13)
    for _ in range(2):
        found, values = density.at(density.point(rng))
        assert values["beta_cs"].shape == (3, 3)
        expected = expected_log_joint(
            family,
            table,
            predictors,
            groupings,
            values,
            density.labels(),
            form,
            lambda label, scale: stats.norm(0, scale),
        )
        assert found == pytest.approx(expected, rel=TOLERANCE)


@pytest.mark.parametrize("family", FAMILIES)
def test_priors_of_different_kinds_and_no_other_predictor(family: str) -> None:
    table, outcome = simulated_table(), OUTCOMES[family]
    made = bml.model(
        table,
        "grade ~ cs(sex + days + x:days)",
        priors={"beta_cs": "Normal(0.5, 2)", "beta_cs[days]": "Laplace(0, 0.7)"},
        **outcome.options,
    )
    density = Density(made)
    found, values = density.at(density.point(np.random.default_rng(14)))
    priors = {"days": stats.laplace(0, 0.7)}
    expected = expected_log_joint(
        family,
        table,
        {},
        [],
        values,
        density.labels(),
        "centred",
        lambda label, scale: priors.get(label, stats.norm(0.5, 2)),
    )
    assert found == pytest.approx(expected, rel=TOLERANCE)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_is_finite_at_the_initial_point(family: str) -> None:
    import pytensor

    table = simulated_table()
    made = bml.model(table, "grade ~ cs(days) + (1 | school)", **OUTCOMES[family].options)
    model = made.to_pymc()
    gradient = pytensor.function(model.value_vars, model.dlogp())
    start = model.initial_point()
    found = gradient(*(start[value.name] for value in model.value_vars))
    assert np.isfinite(found).all()
