"""Formulas of further parameters: how they are read, joined, written and refused."""

from typing import Any

import pytest

from bayesml.errors import BayesmlError
from bayesml.specs.groupings import Grouping
from bayesml.specs.model_files import spec_from_toml, spec_to_toml
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.residual_structures import Residual

NESTED = Grouping("class", columns=("school", "class"))
SCHOOL = Grouping("school", columns=("school",), terms=("1 + x",))


def spec(formula: str, *groupings: Grouping, **arguments: Any) -> ModelSpec:
    return ModelSpec("y ~ x", groupings, distributional=(("sigma", formula),), **arguments)


@pytest.mark.parametrize("text", ["~ z + (1 | school)", "z+(1|school)", " ~z + (1|school)"])
def test_right_hand_sides_are_kept_in_one_spelling(text: str) -> None:
    assert spec(text).distributional == (("sigma", "~ z + (1 | school)"),)


def test_a_grouping_stays_one_record_whose_terms_feed_two_predictors() -> None:
    (found,) = spec("~ 1 + (x | school)", SCHOOL).every_grouping
    assert found.terms == ("1 + x", "1 + x")
    assert found.predictors == ("", "sigma")


def test_a_grouping_is_known_by_its_name_however_its_units_are_told_apart() -> None:
    (found,) = spec("~ 1 + (1 | class)", NESTED).every_grouping
    assert found.columns == ("school", "class")


def test_a_grouping_of_the_part_alone_is_a_grouping_like_any_other() -> None:
    first, second = spec("~ 1 + (1 | area)", SCHOOL).every_grouping
    assert (first.name, first.predictors) == ("school", ())
    assert (second.name, second.predictors) == ("area", ("sigma",))


def test_uncorrelated_terms_stay_apart_where_one_formula_correlates_them() -> None:
    (found,) = spec("~ 1 + (x || school)", SCHOOL).every_grouping
    assert found.terms == ("1 + x", "1", "0 + x")
    assert found.predictors == ("", "sigma", "sigma")
    assert found.correlated


def test_toml_round_trip_and_text() -> None:
    made = spec("~ z + (1 | school)", SCHOOL)
    assert spec_from_toml(spec_to_toml(made)) == made
    assert made.text == "y ~ x + (x | school); sigma ~ z + (1 | school)"
    assert made.level1 == ""
    assert [parameter.name for parameter in made.scalar_parameters] == []
    assert ModelSpec("y ~ x").level1 == "sigma"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: spec(""), "formula of 'sigma' in distributional is ''"),
        (lambda: spec("~ x + offset(z)"), "formula of 'sigma' has an offset"),
        (
            lambda: ModelSpec("y ~ x", distributional=(("sigmo", "~ x"),)),
            "not a parameter of the family 'gaussian' that could have a formula of its own.",
        ),
        (
            lambda: ModelSpec("y ~ x", family="poisson", distributional=(("sigma", "~ x"),)),
            "the family 'poisson' has no parameter that could have a formula",
        ),
        (
            lambda: ModelSpec("y ~ x", family="ordinal", distributional=(("cutpoints", "~ x"),)),
            "the family 'ordinal' has no parameter that could",
        ),
        (
            lambda: ModelSpec("y ~ x", distributional=(("sigma", "~ x"), ("sigma", "~ z"))),
            "names a parameter twice",
        ),
        (
            lambda: spec("~ 1 + (1 | a:class)", Grouping("a:class", columns=("b", "class"))),
            "grouping 'a:class' has other columns in the formula of 'sigma'",
        ),
        (
            lambda: ModelSpec("y ~ x", (Grouping("g", columns=("g",), predictors=("sigma",)),)),
            "A grouping of a specification names predictors",
        ),
        (
            lambda: spec("~ x", residual=Residual("compound_symmetric", ("school",))),
            "takes one SD for all rows",
        ),
        (
            lambda: spec_from_toml('format = 1\nformula = "y ~ x"\n[distributional]\nsigma = 1'),
            "[distributional]: 'sigma' is 1, not a text",
        ),
    ],
)
def test_contradictions_are_named(make: Any, words: str) -> None:
    with pytest.raises(BayesmlError) as caught:
        make()
    assert words in str(caught.value)
