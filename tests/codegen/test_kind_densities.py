"""Kinds of units and Student-t effects: the log-density is what SciPy says, in every structure.

Nothing here reads bayesml's arrays of kinds: a unit's kind comes from the user's table.
"""

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from tests.codegen.scipy_log_joint import (
    OUTCOMES,
    Members,
    half_student_t,
    linear_predictors,
    lkj_cholesky,
)
from tests.codegen.test_log_density import (
    PREDICTORS,
    TOLERANCE,
    Density,
    simulated_table,
)

pytestmark = [
    pytest.mark.usefixtures("without_compiler"),
    pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning"),
]

INTERCEPT = {"Intercept": lambda row: 1.0}
TERMS = {**INTERCEPT, "x": lambda row: row.x}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    made = simulated_table()
    # Constant within schools, years of schools, and children, in that order.
    made["sector"] = np.where(made["school"].isin(["Ash", "Elm", "Fir"]), "State", "Church")
    made["kind"] = np.where(made["child"] % 3 == 0, "twin", "single")
    return made


# Formula of the bar, how its units are found, and the column of the kinds.
PLACES: Mapping[str, tuple[str, Any, str]] = {
    "two_level": ("school", lambda row: [(row.school, 1.0)], "sector"),
    "three_level": (
        "school:year_group",
        lambda row: [(f"{row.school}/{row.year_group}", 1.0)],
        "sector",
    ),
    "cross_classified": ("school", lambda row: [(row.school, 1.0)], "sector"),
    "longitudinal": ("child", lambda row: [(row.child, 1.0)], "kind"),
    "multiple_membership": (
        "first",
        lambda row: [(row.first, row.share), (row.second, row.rest)],
        "",
    ),
}
FORMS = {
    "one term": ("1", INTERCEPT, True),
    "two terms": ("1 + x", TERMS, True),
    "two terms apart": ("1 + x", TERMS, False),
}
CASES = [
    (structure, terms, what, parametrisation)
    for structure, terms, what, parametrisation in product(
        PLACES,
        FORMS,
        ("by", "student", "both"),
        ("centred", "partly centred", "non-centred"),
    )
    if not (structure == "multiple_membership" and what != "student")
    and not (what != "by" and parametrisation == "partly centred")
    and not (what != "by" and parametrisation == "centred" and terms != "one term")
]


def made_model(
    table: pd.DataFrame, structure: str, terms: str, what: str, parametrisation: str, family: str
) -> tuple[bml.Model, list[Members], str]:
    """Return the model, its groupings (the one with kinds first), and the column of the kinds."""
    group, units, kind = PLACES[structure]
    said = [f"by={kind}"] if what != "student" else []
    said += ['dist="student"'] if what != "by" else []
    inside, name = f"gr({group}, {', '.join(said)})", group
    if structure == "multiple_membership":
        name = "firm"
        inside = 'mm(first, second, weights=cbind(share, rest), dist="student", name="firm")'
    text, z, correlated = FORMS[terms]
    forms = {name: parametrisation}
    groupings = [Members(name.replace(":", "_"), units, z, correlated)]
    formula = f"{OUTCOMES[family].formula_left} ~ x + sex + "
    formula += f"({text} {'|' if correlated else '||'} {inside})"
    for other, column in (("three_level", "school"), ("cross_classified", "area")):
        if structure == other:
            formula += f" + (1 | {column})"
            forms[column] = "non-centred"
            groupings.append(
                Members(column, lambda row, c=column: [(getattr(row, c), 1.0)], INTERCEPT)
            )
    made = bml.model(table, formula, parametrisation=forms, **OUTCOMES[family].options)
    return made, groupings, kind if what != "student" else ""


def distribution_log_density(
    grouping: Members,
    values: Mapping[str, np.ndarray],
    scales: list[float],
    kind_of: Callable[[Any], int] | None,
    labels: list[Any],
    student: bool,
    form: str | np.ndarray,
) -> float:
    """The density of SDs, Cholesky factors, degrees of freedom and effects.

    A unit's effects are Normal(0, Sigma of its kind), or given c ~ chi-squared(nu) of the unit
    Normal(0, (nu - 2) / c Sigma), so that their SDs are those of Sigma; of one term the integral
    over c, a Student-t. Standardised effects multiply by the root of the covariance's determinant.
    """
    name = grouping.name
    sd, effects = values[f"sd_{name}"], values[f"u_{name}"]
    sd = sd if kind_of is not None else sd[None]
    corr = values.get(f"corr_{name}", np.eye(sd.shape[1]))
    corr = corr if corr.ndim == 3 else np.broadcast_to(corr, (len(sd), *corr.shape))
    total = 0.0
    for own, matrix in zip(sd, corr, strict=True):
        total += sum(half_student_t(s, 4, scale) for s, scale in zip(own, scales, strict=True))
        if f"corr_{name}" in values:
            total += lkj_cholesky(np.linalg.cholesky(matrix), 2.0)
    nu = float(values.get(f"nu_{name}", np.inf))
    if student:
        total += stats.gamma.logpdf(nu - 2, 2, scale=10)
    for place, label in enumerate(labels):
        k = 0 if kind_of is None else kind_of(label)
        sigma = np.outer(sd[k], sd[k]) * corr[k]
        if student and len(scales) == 1:
            scale = float(sd[k, 0] * np.sqrt((nu - 2) / nu))
            total += stats.t.logpdf(effects[place, 0], nu, scale=scale)
            total += np.log(scale) if form == "non-centred" else 0.0
            continue
        if student:
            c = float(values[f"mixing_{name}"][place])
            total += stats.chi2.logpdf(c, nu)
            sigma = sigma * (nu - 2) / c
        total += stats.multivariate_normal.logpdf(effects[place], np.zeros(len(scales)), sigma)
        if not isinstance(form, str):
            total += (1 - float(form[place, 0])) * np.log(sd[k, 0])
        elif form != "centred":
            total += 0.5 * np.linalg.slogdet(sigma)[1]
            total -= np.log(sd[k, 0]) if form == "partly centred" else 0.0
    return float(total)


def log_density_by_scipy(
    table: pd.DataFrame,
    family: str,
    groupings: list[Members],
    kind: str,
    student: bool,
    form: str | np.ndarray,
    values: Mapping[str, np.ndarray],
    labels: Mapping[str, list[Any]],
) -> float:
    """The log-joint density: the rows', the coefficients' and those of the groupings."""
    outcome = OUTCOMES[family]
    spread = float(table[outcome.formula_left].std()) if outcome.scaled else 1.0
    coefficients = dict(zip(labels["coef"], values["beta"], strict=True))
    columns = {n: np.array([PREDICTORS[n](r) for r in table.itertuples()]) for n in coefficients}
    slopes = [n for n in coefficients if n != "Intercept"]
    at_mean = coefficients["Intercept"] + sum(coefficients[n] * columns[n].mean() for n in slopes)
    assert outcome.location is not None
    total = stats.norm.logpdf(at_mean, outcome.location(table), 2.5 * spread)
    for n in slopes:
        total += stats.norm.logpdf(coefficients[n], 0, 2.5 * spread / columns[n].std(ddof=1))
    if outcome.scaled:
        total += half_student_t(float(values["sigma"]), 4, spread)
    for number, grouping in enumerate(groupings):
        scales = [spread / (1.0 if n == "Intercept" else table["x"].std()) for n in grouping.terms]
        own = labels[grouping.name]
        kind_of = None
        if kind and number == 0:
            levels = sorted(table[kind].unique())
            of_unit = {
                u: levels.index(getattr(row, kind))
                for row in table.itertuples()
                for u, _ in grouping.units(row)
            }
            kind_of = of_unit.__getitem__
        total += distribution_log_density(
            grouping,
            values,
            scales,
            kind_of,
            own,
            student and number == 0,
            form if number == 0 else "non-centred",
        )
    eta = linear_predictors(table, coefficients, PREDICTORS, groupings, values, labels)
    total += sum(
        outcome.density(row, value, values)
        for row, value in zip(table.itertuples(), eta, strict=True)
    )
    return float(total)


@pytest.mark.parametrize(
    ("structure", "terms", "what", "form"),
    [
        pytest.param(*case, id="-".join(case).replace(" ", "_"), marks=())
        if number % 5 == 0
        else pytest.param(*case, id="-".join(case).replace(" ", "_"), marks=pytest.mark.slow)
        for number, case in enumerate(CASES)
    ],
)
def test_log_density_with_kinds_and_student_effects_is_scipys(
    structure: str, terms: str, what: str, form: str, table: pd.DataFrame
) -> None:
    family = "gaussian" if terms == "one term" else "bernoulli logit"
    made, groupings, kind = made_model(table, structure, terms, what, form, family)
    density = Density(made)
    found, values = density.at(density.point(np.random.default_rng(3)))
    expected = log_density_by_scipy(
        table, family, groupings, kind, what != "by", form, values, density.labels()
    )
    assert np.isfinite(expected)
    assert found == pytest.approx(expected, rel=TOLERANCE)


def test_effects_between_centred_and_non_centred_keep_the_sd_of_their_kind(
    table: pd.DataFrame,
) -> None:
    made, groupings, kind = made_model(table, "two_level", "one term", "by", "auto", "gaussian")
    assert made.resolved.groupings[0].graded
    density = Density(made)
    found, values = density.at(density.point(np.random.default_rng(4)))
    grades = made.data["grade_school"]
    expected = log_density_by_scipy(
        table, "gaussian", groupings, kind, False, grades, values, density.labels()
    )
    assert found == pytest.approx(expected, rel=TOLERANCE)
