"""Starting points: commented TOML texts whose entries all work."""

import re

import pytest

from bayesml.codegen.rendering import render
from bayesml.codegen.starter_choice import any_starter_toml
from bayesml.codegen.starters import starter_spec, starter_structures, starter_toml
from bayesml.design.sketching import resolve_without_table
from bayesml.errors import SpecError
from bayesml.specs.families import FAMILIES
from bayesml.specs.model_files import spec_from_toml

ALL = [(structure, family) for structure in starter_structures() for family in FAMILIES]
ENTRY = re.compile(r"^# (\"[^\"]+\"|\w+) = ")


@pytest.mark.parametrize(("structure", "family"), ALL)
def test_the_text_is_the_spec(structure: str, family: str) -> None:
    spec = starter_spec(structure, family)
    assert (spec.structure, spec.family) == (structure, family)
    assert spec == spec_from_toml(starter_toml(structure, family))
    # A slope varies somewhere, correlated with its intercept.
    assert [term for grouping in spec.groupings for term in grouping.terms if "+" in term]


@pytest.mark.parametrize(("structure", "family"), ALL)
def test_every_entry_is_explained(structure: str, family: str) -> None:
    lines = starter_toml(structure, family).splitlines()
    assert lines[0].startswith("# ")
    assert max(map(len, lines)) <= 100
    # An offset shifts one linear predictor, and nominal outcomes have several.
    nominal = FAMILIES[family].response == "nominal"
    keys = ["formula", "family", "terms", "# correlated", "# parametrisation"]
    for key in [*keys, *([] if nominal else ["# offset"])]:
        places = [at for at, line in enumerate(lines) if line.startswith(f"{key} = ")]
        assert places, key
        for above in (lines[place - 1] for place in places):
            assert above.startswith("# "), key
            assert not ENTRY.match(above), key


@pytest.mark.parametrize(("structure", "family"), ALL)
def test_every_commented_prior_works(structure: str, family: str) -> None:
    text = starter_toml(structure, family)
    head, _, tail = text.partition("# [priors]\n")
    priors, _, _ = tail.partition("\n\n")
    lines = [line.removeprefix("# ") for line in priors.splitlines()]
    spec = spec_from_toml("\n".join([head, "[priors]", *lines]))
    assert len(spec.priors) == len(lines) >= 6
    # A key that does not exist in the model is an error here.
    resolved = resolve_without_table(spec)
    assert resolved.slope_priors[0].text == "Normal(0, 0.5)"


@pytest.mark.parametrize(("structure", "family"), ALL)
def test_every_commented_option_works(structure: str, family: str) -> None:
    # One option at a time: trials and success exclude each other.
    head, _, _ = starter_toml(structure, family).partition("# Priors")
    options = [line for line in head.splitlines() if ENTRY.match(line)]
    assert len(options) >= (2 if FAMILIES[family].response == "nominal" else 3)
    for option in options:
        text = head.replace(option, option.removeprefix("# "))
        above = head.splitlines()[head.splitlines().index(option) - 1]
        if other := re.match(r'# With family = "(\w+)"', above):
            text = text.replace('family = "gaussian"\n', f'family = "{other[1]}"\n', 1)
            text = text.replace('link = "identity"\n', "")
        spec = spec_from_toml(text)
        assert resolve_without_table(spec).spec == spec


def test_the_curve_of_a_growth_model_works() -> None:
    text = starter_toml("longitudinal")
    (comment,) = [line for line in text.splitlines() if line.startswith("# A curve")]
    formula, terms = re.findall(r'"([^"]+)"', comment)
    text = text.replace('"response ~ x + time"', f'"{formula}"').replace('"1 + time"', f'"{terms}"')
    resolved = resolve_without_table(spec_from_toml(text))
    assert resolved.groupings[0].terms == ("Intercept", "time", "I(time ** 2)")


@pytest.mark.parametrize(
    ("structure", "family", "said"),
    [
        ("two_levels", "gaussian", "structure 'two_levels' .* Did you mean 'two_level'"),
        ("two_level", "poison", "family 'poison' .* Did you mean 'poisson'"),
    ],
)
def test_unknown_starting_points(structure: str, family: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        starter_toml(structure, family)


def test_every_entry_for_several_outcomes_works() -> None:
    text = any_starter_toml("multivariate")
    assert max(map(len, text.splitlines())) <= 100
    head, _, tail = text.partition("# [priors]\n")
    lines = [line.removeprefix("# ") for line in tail.partition("\n\n")[0].splitlines()]
    spec = spec_from_toml("\n".join([head, "[priors]", *lines]))
    assert len(spec.priors) == len(lines) == 8
    # A key that does not exist in the model is an error here; the slopes are written's first.
    resolved = resolve_without_table(spec)
    assert [prior.text for prior in resolved.slope_priors] == ["Normal(0, 0.5)", "Normal(0, 1)"]
    independent = head.replace("# residual_correlation", "residual_correlation")
    assert not spec_from_toml(independent).residual_correlation


def test_outcomes_of_different_families_are_a_table_at_the_end() -> None:
    head, _, tail = any_starter_toml("multivariate").partition("# [family]\n")
    head = head.replace('family = "gaussian"\n', "", 1).replace('link = "identity"\n', "", 1)
    families, said, categories = tail.partition('# Ordered outcomes, course = "ordinal"')
    assert said
    lines = ["[family]", *(line.removeprefix("# ") for line in families.splitlines())]
    spec = spec_from_toml("\n".join([head, *lines]))
    assert spec.families == (("written", "gaussian"), ("course", "poisson"))
    assert "eta_course" in render(resolve_without_table(spec))
    lines = [line.replace("poisson", "ordinal") for line in lines]
    lines += [line.removeprefix("# ") for line in categories.splitlines()[1:]]
    spec = spec_from_toml("\n".join([head, *lines]))
    assert spec.categories_by_outcome == (("course", ("low", "mid", "high")),)
    assert "cutpoints_course" in render(resolve_without_table(spec))
