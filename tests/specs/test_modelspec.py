"""Specifications and groupings that contradict themselves."""

from typing import Any

import pytest

from bayesml.errors import SpecError
from bayesml.specs.groupings import Grouping
from bayesml.specs.modelspec import ModelSpec

SCHOOL = Grouping("school", columns=("school",))


def test_the_formula_is_kept_in_canonical_spelling() -> None:
    assert ModelSpec("y~x").formula == "y ~ x"
    assert ModelSpec("y~x") == ModelSpec("y ~  x", link="identity")


@pytest.mark.parametrize(
    ("grouping", "text"),
    [
        (SCHOOL, "(1 | school)"),
        (Grouping("school", columns=("school",), terms=("1 + x",)), "(x | school)"),
        (
            Grouping("school", columns=("school",), terms=("1 + x",), correlated=False),
            "(x || school)",
        ),
        (
            Grouping("school", columns=("school",), terms=("1", "0 + x")),
            "(1 | school) + (0 + x | school)",
        ),
        (Grouping("class", columns=("school", "class")), "(1 | school:class)"),
        (
            Grouping("firm", members=("a", "b"), weights=("u", "v"), absent="none"),
            '(1 | mm(a, b, weights=cbind(u, v), absent="none", name="firm"))',
        ),
    ],
)
def test_groupings_in_lme4_notation(grouping: Grouping, text: str) -> None:
    assert ModelSpec("y ~ x", (grouping,)).text == f"y ~ x + {text}"


def test_with_priors_changes_only_these() -> None:
    spec = ModelSpec("y ~ x", priors=(("beta", "Normal(0, 1)"),))
    changed = spec.with_priors({"sigma": "HalfNormal(1)"})
    assert changed.prior_texts == {"beta": "Normal(0, 1)", "sigma": "HalfNormal(1)"}
    assert spec.prior_texts == {"beta": "Normal(0, 1)"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"structure": "nested"}, "structure 'nested' is unknown. Allowed: two_level"),
        ({"formula": "y ~ x + (1 | g)"}, "has bars"),
        ({"groupings": (SCHOOL, SCHOOL)}, "Two groupings are named 'school'"),
        ({"trials": 3}, "trials= belongs to the family 'binomial'"),
        ({"success": "a"}, "success= belongs to the family 'binomial'"),
        ({"exposure": "a"}, "exposure= belongs to the family 'poisson'"),
        ({"categories": ("a", "b")}, "categories= belongs to the family 'ordinal'"),
        ({"family": "binomial", "trials": 0}, "trials is 0"),
        ({"family": "binomial", "trials": True}, "trials is True"),
        ({"formula": "cbind(a, b) ~ 1"}, "Set family='binomial'"),
        (
            {"formula": "cbind(a, b) ~ 1", "family": "binomial", "trials": "n"},
            "Leave trials= out",
        ),
        ({"family": "ordinal", "categories": (1, 2, "1")}, "lists a value twice"),
        (
            {"family": "ordinal", "member": "role"},
            "have cutpoints, which the members of a unit cannot have each for themselves",
        ),
    ],
)
def test_contradictions(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError) as caught:
        ModelSpec(**{"formula": "y ~ x", **arguments})
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "", "columns": ("a",)}, "empty name"),
        ({"name": "g"}, "needs either columns or members, not neither"),
        ({"name": "g", "columns": ("a",), "members": ("b",)}, "not both"),
        ({"name": "g", "columns": ("a",), "terms": ()}, "no varying term"),
        ({"name": "g", "columns": ("a",), "weights": ("w",)}, "weights but no members"),
        ({"name": "g", "members": ("a", "b"), "weights": ("w",)}, "2 member columns and 1 weight"),
        ({"name": "g", "columns": ("a", "a")}, "names the column 'a' twice"),
        ({"name": "g", "members": ("a", "a")}, "names the member 'a' twice"),
        ({"name": "g", "columns": ("a",), "parametrisation": "both"}, "Allowed: auto, centred"),
    ],
)
def test_contradictions_within_a_grouping(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError) as caught:
        Grouping(**arguments)
    assert words in str(caught.value)
