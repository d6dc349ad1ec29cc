"""Model files: every specification reads back equal, and a wrong entry is named."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesml.errors import SpecError, TomlError
from bayesml.specs.groupings import EFFECTS, PARAMETRISATIONS, Grouping
from bayesml.specs.model_files import read_spec, spec_from_toml, spec_to_toml
from bayesml.specs.modelspec import STRUCTURES, ModelSpec
from bayesml.specs.parsing import name_text
from bayesml.specs.residual_structures import RESIDUAL_STRUCTURES, Residual

name = st.text(min_size=1, max_size=10)
label = st.text(max_size=5) | st.integers(-(2**60), 2**60) | st.floats(-1e9, 1e9)
texts = st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3)


@st.composite
def groupings(draw: st.DrawFn) -> Grouping:
    columns = tuple(draw(st.lists(name, min_size=1, max_size=3, unique=True)))
    more = {
        "terms": draw(st.sampled_from([("1",), ("1 + x",), ("1", "0 + x")])),
        "correlated": draw(st.booleans()),
        "parametrisation": draw(st.sampled_from(PARAMETRISATIONS)),
    }
    if more["parametrisation"] != "partly centred":
        more["effects"] = draw(st.sampled_from(EFFECTS))
    if draw(st.booleans()):
        kinds = draw(st.none() | name.filter(lambda column: column not in columns))
        return Grouping(draw(name), columns=columns, by=kinds, **more)
    return Grouping(
        draw(name),
        members=columns,
        weights=draw(st.just("equal") | st.just(tuple(f"w {column}" for column in columns))),
        absent=draw(st.none() | label),
        normalise=draw(st.booleans()),
        **more,
    )


@st.composite
def residuals(draw: st.DrawFn) -> Residual:
    structure = draw(st.sampled_from(RESIDUAL_STRUCTURES))
    timed: dict[str, st.SearchStrategy[str | None]] = {
        "ar1": st.none() | name,
        "compound_symmetric": st.none(),
    }
    unit = draw(st.lists(name, min_size=1, max_size=2, unique=True))
    return Residual(structure, tuple(unit), draw(timed.get(structure, name)))


@st.composite
def specs(draw: st.DrawFn) -> ModelSpec:
    family = draw(st.sampled_from(["gaussian", "binomial", "poisson", "ordinal"]))
    own: dict[str, object] = {}
    if family == "gaussian":
        own["residual"] = draw(st.none() | residuals())
    if family == "binomial":
        own["link"] = draw(st.sampled_from(["", "logit", "probit", "cloglog"]))
        own["trials"] = draw(st.none() | name | st.integers(1, 10**9))
        own["success"] = draw(st.none() | st.text(max_size=5))
    if family == "poisson":
        own["exposure"] = draw(st.none() | name)
    if family == "ordinal":
        own["categories"] = tuple(draw(st.lists(label, max_size=4, unique_by=str)))
    return ModelSpec(
        f"{name_text(draw(name))} ~ {name_text(draw(name))}",
        tuple(draw(st.lists(groupings(), max_size=3, unique_by=lambda item: item.name))),
        family=family,
        structure=draw(st.sampled_from(STRUCTURES)),
        offset=draw(st.none() | name),
        priors=tuple(sorted(draw(texts).items())),
        baseline=tuple(sorted(draw(texts).items())),
        **own,  # type: ignore[arg-type]
    )


@given(specs())
def test_every_specification_reads_back_equal(spec: ModelSpec) -> None:
    assert spec_from_toml(spec_to_toml(spec)) == spec


def test_a_file_as_a_user_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "model.toml"
    path.write_text(
        """
        format = 1
        formula = "attain ~ verbal + sex"
        family = "gaussian"

        [[groupings]]
        columns = ["second"]
        terms = ["1 + verbal"]

        [[groupings]]
        members = ["primary", "primary2"]

        [priors]
        sd_second = "HalfNormal(0.5)"

        [baseline]
        sex = "M"
        """,
        encoding="utf-8",
    )
    assert read_spec(path) == ModelSpec(
        "attain ~ verbal + sex",
        (
            Grouping("second", columns=("second",), terms=("1 + verbal",)),
            Grouping("primary", members=("primary", "primary2")),
        ),
        priors=(("sd_second", "HalfNormal(0.5)"),),
        baseline=(("sex", "M"),),
    )


HEAD = 'format = 1\nformula = "y ~ x"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("format = ", "not valid TOML"),
        ('formula = "y ~ x"', "has format = nothing"),
        ('format = 2\nformula = "y ~ x"', "reads format = 1"),
        ("format = true", "must be a whole number"),
        ("format = 1", "has no formula"),
        ("format = 1\nformula = 3", "'formula' is 3. It must be a text"),
        (HEAD + 'famly = "gaussian"', "unknown key 'famly'. Did you mean 'family'?"),
        (HEAD + "trials = 1.5", "'trials' is 1.5. It must be a text or a whole number"),
        (HEAD + "trials = true", "'trials' is true"),
        (HEAD + "trials = 1979-05-27", "'trials' is 1979-05-27"),
        (HEAD + 'categories = "low"', "must be a list"),
        (HEAD + "categories = [[1]]", "key 'categories' holds a list"),
        (HEAD + "groupings = [1]", "groupings entry 1 is 1, not a table"),
        (HEAD + '[groupings]\ncolumns = ["g"]', "'groupings' is a table. It must be a list"),
        (HEAD + '[[groupings]]\nterms = ["1"]', "neither columns nor members"),
        (HEAD + "[[groupings]]\ncolumns = [1]", "key 'columns' holds 1. Every item is a text"),
        (HEAD + '[[groupings]]\ncolumns = "g"', "'columns' is \"g\". It must be a list"),
        (HEAD + '[[groupings]]\ncolumn = ["g"]', "Did you mean 'columns'?"),
        (HEAD + '[[groupings]]\ncolumns = ["g"]\ncorrelated = 1', "It must be true or false"),
        (HEAD + '[[groupings]]\nmembers = ["a"]\nweights = "same"', "weights = 'same'"),
        (HEAD + "[priors]\nsigma = 1", "[priors]: 'sigma' is 1, not a text"),
        (HEAD + "[baseline]\nsex = false", "[baseline]: 'sex' is false, not a text"),
    ],
)
def test_a_wrong_entry_is_named(text: str, words: str) -> None:
    with pytest.raises(TomlError) as caught:
        spec_from_toml(text, where="m.toml")
    assert words in str(caught.value)
    assert "m.toml" in str(caught.value)


@pytest.mark.parametrize(
    "entry", ['columns = []\nname = "g"', 'columns = ["g"]\nterms = []', 'columns = ["g", "g"]']
)
def test_entries_that_contradict_each_other_are_spec_errors(entry: str) -> None:
    with pytest.raises(SpecError):
        spec_from_toml(f"{HEAD}[[groupings]]\n{entry}")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TomlError, match=r"cannot be read: No such file"):
        read_spec(tmp_path / "absent.toml")
    binary = tmp_path / "latin.toml"
    binary.write_bytes(b'formula = "\xe9 ~ x"')
    with pytest.raises(TomlError, match="not UTF-8"):
        read_spec(binary)


@given(st.text(max_size=60))
def test_any_text_is_a_specification_or_an_error_of_ours(text: str) -> None:
    with pytest.raises(SpecError):
        spec_from_toml(text)
