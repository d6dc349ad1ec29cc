"""Starting points of small groups and of spread: every entry works, as the builders write it."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.cli import STARTING_POINTS
from bayesml.codegen.further_starters import FURTHER, any_starter_toml
from bayesml.codegen.starters import starter_structures
from bayesml.design.sketching import resolve_without_table
from bayesml.errors import SpecError
from bayesml.specs.model_files import spec_from_toml
from bayesml.specs.modelspec import ModelSpec
from tests.records.test_social_builders import round_robin
from tests.records.test_twin_builders import twin_table

NAMES = [name for name in FURTHER if name != "multivariate"]
ENTRY = re.compile(r"^(\"[^\"]+\"|\w+) = ")


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_is_explained(name: str) -> None:
    lines = FURTHER[name]().splitlines()
    assert lines[0].startswith("# ")
    assert max(map(len, lines)) <= 100
    for key in ("formula", "family", "[residual]", "[distributional]", "[[groupings]]", "member ="):
        for place in [at for at, line in enumerate(lines) if line.startswith(key)]:
            assert lines[place - 1].startswith("# "), key


@pytest.mark.parametrize("name", NAMES)
def test_every_commented_prior_works(name: str) -> None:
    head, _, tail = FURTHER[name]().partition("# [priors]\n")
    lines = [line.removeprefix("# ") for line in tail.partition("\n\n")[0].splitlines()]
    assert all(ENTRY.match(line) for line in lines)
    spec = spec_from_toml("\n".join([head, "[priors]", *lines]))
    assert len(spec.priors) == len(lines) >= 4
    # A key that does not exist in the model is an error here.
    assert resolve_without_table(spec).spec.priors == spec.priors


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
        if name == "dyadic":
            return bml.dyadic(
                table, "response ~ x", dyad="couple", member="role", actor_partner=["stress"]
            ).spec
        return bml.two_level(
            table,
            "response ~ x",
            group="school",
            slopes=["x"],
            distributional={"sigma": "~ x + (1 | school)"},
        ).spec


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_what_the_builder_writes(name: str) -> None:
    assert spec_from_toml(FURTHER[name]()) == built(name)


def test_couples_that_are_alike() -> None:
    """What the comments of the starting point say to do where members are not told apart."""
    text = FURTHER["dyadic"]().replace('member = "role"\n', "").replace('time = "role"\n', "")
    spec = spec_from_toml(text.replace('"unstructured"', '"compound_symmetric"'))
    assert spec.residual is not None
    assert spec.residual.text == "compound_symmetric(couple)"
    assert resolve_without_table(spec).residual is not None


def test_starting_points_by_name() -> None:
    assert (*starter_structures(), *FURTHER) == STARTING_POINTS
    assert any_starter_toml("dyadic") == FURTHER["dyadic"]()
    assert 'family = "poisson"' in any_starter_toml("two_level", "poisson")
    with pytest.raises(SpecError, match="'twins' is one of the family 'gaussian', not of 'pois"):
        any_starter_toml("twins", "poisson")
    with pytest.raises(SpecError, match=r"'triads' has no starting point\. .*two_level, "):
        any_starter_toml("triads")
