"""Starting points of small groups and of spread: every entry works, as the builders write it."""

import re
import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.cli import STARTING_POINTS
from bayesml.codegen.further_starters import FURTHER
from bayesml.codegen.starter_choice import (
    VARIANTS,
    any_starter_toml,
    starter_families,
    starter_names,
)
from bayesml.design.sketching import resolve_without_table
from bayesml.errors import SpecError
from bayesml.specs.families import FAMILIES
from bayesml.specs.model_files import spec_from_toml
from bayesml.specs.modelspec import ModelSpec
from tests.records.test_social_builders import round_robin
from tests.records.test_twin_builders import twin_table

# Every further starting point with each of its families, and the others once.
ALL = [(name, family) for name in FURTHER for family in starter_families(name)]
ALL += [(name, "gaussian") for name in VARIANTS]
ENTRY = re.compile(r"^(\"[^\"]+\"|\w+) = ")


@pytest.mark.parametrize(("name", "family"), ALL)
def test_every_entry_is_explained(name: str, family: str) -> None:
    lines = any_starter_toml(name, family).splitlines()
    assert lines[0].startswith("# ")
    assert max(map(len, lines)) <= 100
    assert not any(pair == ("", "") for pair in pairwise(lines))
    for key in ("formula", "family", "[residual]", "[distributional]", "[[groupings]]", "member ="):
        for place in [at for at, line in enumerate(lines) if line.startswith(key)]:
            assert lines[place - 1].startswith("# "), key


@pytest.mark.parametrize(("name", "family"), ALL)
def test_every_commented_prior_works(name: str, family: str) -> None:
    head, _, tail = any_starter_toml(name, family).partition("# [priors]\n")
    priors, _, end = tail.partition("\n\n")
    lines = [line.removeprefix("# ") for line in priors.splitlines()]
    assert all(ENTRY.match(line) for line in lines)
    spec = spec_from_toml("\n".join([head, "[priors]", *lines, "", end]))
    assert len(spec.priors) == len(lines) >= 3
    # A key that does not exist in the model is an error here.
    assert resolve_without_table(spec).spec.priors == spec.priors


@pytest.mark.parametrize(("name", "family"), ALL)
def test_the_file_has_the_family(name: str, family: str) -> None:
    spec = spec_from_toml(any_starter_toml(name, family))
    assert spec.families or spec.family == family
    assert (spec.durations is not None) == ('formula = "surv(' in any_starter_toml(name, family))


@pytest.mark.parametrize("name", FURTHER)
def test_families_that_a_starting_point_has_not_are_those_that_fail(name: str) -> None:
    """The text of another family is a model that cannot be; where it can, it may be left out."""
    left_out = set(FAMILIES) - set(starter_families(name))
    refused = {"multivariate", "dyadic_exchangeable", "social_relations"}
    if name == "multivariate":
        # Ordered outcomes stand among several too, but a script of them is not there.
        left_out -= {key for key, item in FAMILIES.items() if item.response == "ordered"}
    for family in left_out if name in refused else ():
        with pytest.raises(SpecError):
            resolve_without_table(spec_from_toml(FURTHER[name].toml(family)))


def built(name: str) -> ModelSpec:
    """Return what the builder writes for a table with the columns of the starting point."""
    rng = np.random.default_rng(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bml.BayesmlWarning)
        if name == "twins":
            twins = twin_table(20, 1).rename(columns={"bmi": "response", "age": "x"})
            return bml.twins(twins, "response ~ x", pair="family", zygosity="zygosity").spec
        if name == "social_relations":
            ratings = round_robin(6, 4, 1).rename(columns={"liking": "response", "family": "team"})
            ratings["x"] = rng.normal(size=len(ratings))
            return bml.social_relations(
                ratings, "response ~ x", actor="rater", partner="target", group="team"
            ).spec
        table = pd.DataFrame(
            {
                "response": rng.normal(size=40),
                "x": rng.normal(size=40),
                "stress": rng.normal(size=40),
                "couple": np.arange(40) // 2,
                "role": np.tile(["wife", "husband"], 20),
                "school": np.arange(40) // 5,
            }
        )
        if name == "multivariate":
            marks = table.assign(written=table["response"], course=rng.normal(size=40))
            return bml.multivariate(
                marks, "x", outcomes=["written", "course"], group="school", slopes=["x"]
            ).spec
        if name.startswith("dyadic"):
            member = "role" if name == "dyadic" else None
            return bml.dyadic(
                table, "response ~ x", dyad="couple", member=member, actor_partner=["stress"]
            ).spec
        return bml.two_level(
            table,
            "response ~ x",
            group="school",
            slopes=["x"],
            distributional={"sigma": "~ x + (1 | school)"},
        ).spec


@pytest.mark.parametrize("name", FURTHER)
def test_the_file_is_what_the_builder_writes(name: str) -> None:
    assert spec_from_toml(any_starter_toml(name)) == built(name)


def test_starting_points_by_name() -> None:
    assert starter_names() == STARTING_POINTS
    assert any_starter_toml("dyadic") == FURTHER["dyadic"].toml("gaussian")
    assert 'family = "poisson"' in any_starter_toml("two_level", "poisson")
    with pytest.raises(SpecError, match=r"'dyadic' has no family 'beta'\. Allowed: gaussian, bin"):
        any_starter_toml("dyadic", "beta")
    with pytest.raises(SpecError, match=r"'multivariate_mixed' takes no family\. Leave"):
        any_starter_toml("multivariate_mixed", "poisson")
    with pytest.raises(SpecError, match=r"'triads' has no starting point\. Allowed: two_level, "):
        any_starter_toml("triads")
