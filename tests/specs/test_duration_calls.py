"""Outcomes `surv(...)`: what they say, and what they may not say."""

import pytest

from bayesml.errors import FormulaError, SpecError
from bayesml.specs.duration_calls import read_durations
from bayesml.specs.model_files import spec_from_toml, spec_to_toml
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.parsing import parse
from bayesml.specs.syntax import Name


def test_what_a_call_says() -> None:
    call = read_durations(parse("surv(time, status)"), "")
    assert call is not None
    assert (call.time, call.status, call.entry, call.upper) == (
        Name("time"), Name("status"), None, None,
    )  # fmt: skip
    late = read_durations(parse("surv(start, stop, status)"), "")
    assert late is not None
    assert (late.entry, late.time, late.status) == (Name("start"), Name("stop"), Name("status"))
    assert late == read_durations(parse("surv(stop, status, entry=start)"), "")
    between = read_durations(parse("surv(a, b, kind='interval', entry=start)"), "")
    assert between is not None
    assert (between.time, between.upper, between.entry) == (Name("a"), Name("b"), Name("start"))
    assert between.bounds == ("a", "b")
    assert between.label == "a to b"
    left = read_durations(parse("surv(time, status, kind='left')"), "")
    assert left is not None
    assert left.kind == "left"
    assert read_durations(parse("log(time)"), "") is None


@pytest.mark.parametrize(
    "response",
    [
        "surv(time, status)",
        "surv(start, stop, status)",
        'surv(a, b, kind="interval", entry=start)',
        "surv(time / 365, 1 - alive)",
    ],
)
def test_model_files_keep_it(response: str) -> None:
    spec = ModelSpec(f"{response} ~ x", family="weibull")
    assert spec_from_toml(spec_to_toml(spec)) == spec
    assert spec.response == response


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("surv(a, b, c, d) ~ x", "has 4 columns. Write surv"),
        ("surv(a, b, c, entry=d) ~ x", "has 3 columns and entry="),
        ('surv(a, kind="interval") ~ x', "of the kind 'interval' has 1 columns"),
        ('surv(a, b, kind="interval2") ~ x', "kind is 'interval2'. Did you mean 'interval'"),
        ("surv(a, b, type=2) ~ x", "no argument 'type'. Allowed: kind, entry"),
        ("y ~ surv(a, b)", "stands among the predictors; it belongs left of '~'"),
        ("y ~ log(surv(a, b))", "stands inside"),
    ],
)
def test_what_it_may_not_say(formula: str, words: str) -> None:
    with pytest.raises(FormulaError) as caught:
        ModelSpec(formula, family="weibull")
    assert words in str(caught.value)


def test_families_without_durations_refuse_it() -> None:
    with pytest.raises(SpecError, match=r"Set family= to one of .*weibull"):
        ModelSpec("surv(time, status) ~ x", family="poisson")
