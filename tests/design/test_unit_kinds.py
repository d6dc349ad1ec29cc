"""Kinds of units: what is refused, in words, and what reaches the source, the priors and files."""

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.design.unit_kinds import terms_by_kind
from bayesml.errors import FitError, FormulaError, PriorError, SpecError, TableError
from bayesml.specs.formulas import parse_formula
from bayesml.specs.model_files import spec_from_toml, spec_to_toml
from bayesml.specs.predictors import bar_text


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    school = np.repeat(np.arange(12), 4)
    return pd.DataFrame(
        {
            "school": school,
            "sector": np.array(["State", "Church"])[school % 2],
            "x": rng.normal(size=48),
            "y": rng.normal(size=48),
        }
    )


@pytest.mark.parametrize(
    ("change", "arguments", "error", "words"),
    [
        ({}, {"by": {"school": "sectr"}}, TableError, "Did you mean 'sector'"),
        ({}, {"by": {"schol": "sector"}}, SpecError, "by names 'schol'"),
        ({}, {"by": "school"}, SpecError, "the column of its own labels"),
        ({}, {"by": 3}, SpecError, "Give a column, or a mapping"),
        ({}, {"effects": "cauchy"}, SpecError, "Allowed: normal, student"),
        ({}, {"effects": "student", "slopes": ["x"], "parametrisation": "centred"}, SpecError,
         "sampled non-centred only"),
        ({}, {"effects": "student", "parametrisation": "partly centred"}, SpecError,
         "not sampled partly centred"),
        ({"sector": None}, {"by": "sector"}, TableError, "is missing in row 1"),
        ({"sector": "State"}, {"by": "sector"}, TableError, "one level only, 'State'"),
        ({}, {"by": "sector", "priors": {"sd_school[State:x]": "HalfNormal(1)"}}, PriorError,
         "no prior 'sd_school[State:x]'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(
    table: pd.DataFrame,
    change: dict[str, object],
    arguments: dict[str, object],
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error) as raised:
        bml.two_level(table.assign(**change), "y ~ x", group="school", **arguments)
    assert words in str(raised.value)


def test_units_with_rows_of_several_kinds_are_named_at_most_five(table: pd.DataFrame) -> None:
    mixed = table.assign(sector=np.where(np.arange(48) % 4 == 0, "State", "Church"))
    with pytest.raises(TableError, match="12 of 12 units have rows of several kinds") as raised:
        bml.two_level(mixed, "y ~ x", group="school", by="sector")
    assert "0, 1, 2, 3, 4, ... (12 in all)" in str(raised.value)


def test_a_kind_with_few_units_is_named(table: pd.DataFrame) -> None:
    few = table.assign(sector=np.where(table["school"] < 3, "Church", "State"))
    with pytest.warns(bml.BayesmlWarning, match="Only 3 of the units of 'school' have sector 'Ch"):
        bml.two_level(few, "y ~ x", group="school", by="sector")


@pytest.mark.parametrize(
    ("bar", "words"),
    [
        ("(1 | gr(school, by=I(sector)))", "by is I(sector)"),
        ("(1 | gr(school, sector))", "has 2 groupings"),
        ("(1 | gr(school, cov=A))", "no argument 'cov'"),
        ('(1 | gr(school, dist="cauchy"))', "Allowed: gaussian, normal, student"),
        ("(1 | gr(a/b, by=sector))", "Write one bar for each"),
        ("gr(school)", "it belongs right of a bar"),
    ],
)
def test_calls_of_gr_that_cannot_be_read(bar: str, words: str) -> None:
    with pytest.raises(FormulaError) as raised:
        parse_formula(f"y ~ x + {bar}")
    assert words in str(raised.value)


def test_formula_builder_and_file_say_the_same(table: pd.DataFrame) -> None:
    built = bml.two_level(
        table, "y ~ x", group="school", slopes=["x"], by={"school": "sector"}, effects="student"
    )
    written = bml.model(table, 'y ~ x + (x | gr(school, by=sector, dist="student"))')
    assert built.spec.groupings == written.spec.groupings
    assert spec_from_toml(spec_to_toml(built.spec)) == built.spec
    (grouping,) = parse_formula(f"y ~ x + {bar_text(built.spec.groupings[0])}").groupings
    assert grouping == built.spec.groupings[0]


def test_a_prior_of_a_kind_and_of_all_kinds(table: pd.DataFrame) -> None:
    made = bml.two_level(
        table,
        "y ~ x",
        group="school",
        by="sector",
        effects="student",
        priors={
            "sd_school": "HalfNormal(2)",
            "sd_school[State:Intercept]": "Exponential(1)",
            "nu_school": "Exponential(0.1)",
        },
    )
    texts = dict(zip(made.priors["parameter"], made.priors["prior"], strict=True))
    assert texts["sd_school[Church:Intercept]"] == "HalfNormal(2)"
    assert texts["sd_school[State:Intercept]"] == "Exponential(1)"
    assert texts["nu_school"] == "Exponential(0.1) above 2"
    assert made.to_pymc().initial_point()


def test_prior_effects_have_the_sds_of_their_kind_and_of_student_effects(
    table: pd.DataFrame,
) -> None:
    made = bml.two_level(
        table,
        "y ~ x",
        group="school",
        by="sector",
        effects="student",
        priors={
            "sd_school[State:Intercept]": "Gamma(1000000, 1000000)",
            "sd_school[Church:Intercept]": "Gamma(9000000, 3000000)",
            "nu_school": "Gamma(2000000, 250000)",
        },
    )
    prior = made.prior_predictive(draws=4000, seed=1)["prior"]
    effects = prior["u_school"].values[0, :, :, 0]
    # SDs of 24,000 Student-t draws with 10 degrees of freedom: a standard error of 0.7 %.
    assert effects[:, 0::2].std() == pytest.approx(1.0, rel=0.03)
    assert effects[:, 1::2].std() == pytest.approx(3.0, rel=0.03)
    kurtosis = float((effects[:, 0::2] ** 4).mean())
    # 3 (nu - 2) / (nu - 4) = 4 at nu = 10, and 3 were they normal.
    assert 3.4 < kurtosis < 4.8


def test_terms_by_kind_are_zero_on_the_rows_of_other_kinds() -> None:
    z = np.array([[1.0, 2.0], [1.0, 3.0]])
    assert terms_by_kind(z, np.array([0, 1]), 2).tolist() == [[1, 2, 0, 0], [0, 0, 1, 3]]


def test_other_engines_decline_in_words(table: pd.DataFrame) -> None:
    from bayesml.engines.marginal_models import reason_against

    heavy = bml.two_level(table, "y ~ x", group="school", effects="student")
    assert "Student-t effects of school" in reason_against(heavy.resolved)
    with pytest.raises(FitError, match="Student-t effects"):
        bml.reml(heavy)
