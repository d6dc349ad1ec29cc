"""Specifications resolved without a table give the source that a table would give."""

import numpy as np
import pytest

from bayesml.codegen.rendering import render
from bayesml.design.building import build_design
from bayesml.design.resolving import resolve
from bayesml.design.sketching import artificial_table, resolve_without_table
from bayesml.errors import PriorError, SpecError
from bayesml.specs.groupings import Grouping
from bayesml.specs.modelspec import ModelSpec

SCHOOL = Grouping("school", columns=("school",), terms=("1 + x",))
FIRMS = Grouping("firm", members=("a", "b"), weights=("v", "w"), absent=0)

SPECS = {
    "null": ModelSpec("y ~ 1"),
    "no intercept": ModelSpec("y ~ 0 + x", (SCHOOL,)),
    "transformed": ModelSpec("log(y) ~ sqrt(x) + log(z) + I(x ** 2) + poly(w, 2)", (SCHOOL,)),
    "nested": ModelSpec(
        "y ~ x",
        tuple(Grouping("cba"[k], columns=tuple("abc"[: 3 - k])) for k in range(3)),
    ),
    "crossed": ModelSpec("y ~ x", tuple(Grouping(k, columns=(k,)) for k in "abcd")),
    "members": ModelSpec("y ~ x", (FIRMS, Grouping("area", columns=("area",)))),
    "labels": ModelSpec("y ~ C(year) * sex", (SCHOOL,), baseline=(("sex", "male"),)),
    "offsets": ModelSpec("y ~ x + offset(log(z))", (SCHOOL,), family="poisson", exposure="days"),
    "grouping that is a predictor": ModelSpec("y ~ school", (SCHOOL,)),
    "cbind": ModelSpec("cbind(s, f) ~ x", (SCHOOL,), family="binomial"),
    "trials": ModelSpec("y ~ x", (SCHOOL,), family="binomial", trials="n"),
    "trials number": ModelSpec("y ~ x", (SCHOOL,), family="binomial", trials=7),
    "success": ModelSpec("y ~ x", (SCHOOL,), family="binomial", success="yes"),
    "ordered": ModelSpec("y ~ x", (SCHOOL,), family="ordinal"),
    "ordered labels": ModelSpec(
        "y ~ x", (SCHOOL,), family="ordinal", categories=("lo", "mid", "hi")
    ),
    "category-specific": ModelSpec("y ~ z + cs(x * w)", (SCHOOL,), family="continuation_ratio"),
    "odd names": ModelSpec('`a b` ~ `x"y`', (Grouping("beta", columns=("beta",)),)),
}


@pytest.mark.parametrize("name", SPECS)
def test_every_kind_of_model_is_resolved_the_same_every_time(name: str) -> None:
    spec = SPECS[name]
    resolved = resolve_without_table(spec)
    assert resolved == resolve_without_table(spec)
    assert resolved.spec == spec
    assert not any(grouping.centred_terms for grouping in resolved.groupings)


@pytest.mark.parametrize("name", SPECS)
def test_the_source_is_that_of_a_table(name: str) -> None:
    # The artificial table with other numbers stands for a real one.
    spec = SPECS[name]
    table = artificial_table(spec)
    numeric = table.select_dtypes(float).columns
    outcome = [column for column in table if column in spec.response]
    scale = 1.5 if "poly" not in spec.formula else 1.0
    for column in set(numeric) - set(outcome) - {"v", "w"}:
        table[column] = table[column] * scale
    forms = tuple(
        Grouping(**{**vars(item), "parametrisation": "non-centred"}) for item in spec.groupings
    )
    given = ModelSpec(**{**_fields(spec), "groupings": forms})
    assert render(resolve_without_table(spec)) == render(resolve(given, build_design(given, table)))


def _fields(spec: ModelSpec) -> dict[str, object]:
    return {name: getattr(spec, name) for name in spec.__dataclass_fields__}


def test_a_parametrisation_that_was_asked_for_stays() -> None:
    centred = Grouping("school", columns=("school",), parametrisation="centred")
    assert resolve_without_table(ModelSpec("y ~ x", (centred,))).groupings[0].centred


def test_numeric_columns_have_unit_sd() -> None:
    table = artificial_table(ModelSpec("y ~ x", (SCHOOL,)))
    assert table["x"].std(ddof=0) == pytest.approx(1, abs=1e-12)
    assert (table["x"] > 0).all()
    assert np.isclose(table["x"].mean(), 5)


def test_wrong_priors_are_errors_without_a_table_too() -> None:
    with pytest.raises(PriorError, match="no prior 'sd_scool'"):
        resolve_without_table(
            ModelSpec("y ~ x", (SCHOOL,), priors=(("sd_scool", "HalfNormal(1)"),))
        )


def test_what_only_a_table_can_tell_is_said() -> None:
    # Predictors lie between 3.2 and 6.8, so this logarithm does not exist.
    with pytest.raises(SpecError, match="cannot be written without a table"):
        resolve_without_table(ModelSpec("y ~ log(x - 6)", (SCHOOL,)))
