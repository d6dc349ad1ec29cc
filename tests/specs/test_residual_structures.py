"""Residual structures: a call reads back to the same record, and a wrong one is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesml.errors import SpecError
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.residual_structures import RESIDUAL_STRUCTURES, Residual, read_residual

column = st.text(min_size=1, max_size=8)


@given(
    st.sampled_from(RESIDUAL_STRUCTURES),
    st.lists(column, min_size=1, max_size=3, unique=True),
    column,
    st.booleans(),
)
def test_a_call_reads_back(structure: str, unit: list[str], time: str, ordered: bool) -> None:
    timed = structure in ("continuous_ar", "unstructured") or (structure == "ar1" and ordered)
    residual = Residual(structure, tuple(unit), time if timed else None)
    assert read_residual(residual.text) == residual


def test_the_specification_shows_the_structure() -> None:
    spec = ModelSpec("y ~ x", residual=Residual("ar1", ("school", "pupil"), "my week"))
    assert spec.text == "y ~ x, residual ar1(`my week`, school:pupil)"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("arma(week, person)", "structure 'arma' is unknown"),
        ("person", "Write ar1"),
        ("ar1(week, person, x)", "Write ar1"),
        ("ar1(week, unit=person)", "Write ar1"),
        ("ar1(2, person)", "the time 2 is not a column"),
        ("ar1(week, person + x)", "the unit person + x is not a column"),
        ("ar1(week, school:school)", "names a column of its unit twice"),
        ("continuous_ar(person)", "continuous_ar(time, person)"),
        ("unstructured(person)", "unstructured(time, person)"),
        ("compound_symmetric(week, person)", "write compound_symmetric(person)"),
        ("ar1(week, log(person))", "may not call 'log'"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, words: str) -> None:
    with pytest.raises(SpecError) as error:
        read_residual(text)
    assert words in str(error.value)


@pytest.mark.parametrize("unit", [(), ("",)])
def test_a_unit_is_needed(unit: tuple[str, ...]) -> None:
    with pytest.raises(SpecError, match="has no unit"):
        Residual("ar1", unit)


@pytest.mark.parametrize("family", ["binomial", "poisson", "ordinal"])
def test_families_without_residuals_refuse(family: str) -> None:
    with pytest.raises(SpecError, match="no residuals that could be correlated"):
        ModelSpec("y ~ x", family=family, residual=Residual("ar1", ("person",)))
