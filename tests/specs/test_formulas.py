"""From formulas to their parts, and from parts back to formulas."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesml.errors import FormulaError
from bayesml.specs.formulas import parse_formula, summand_texts
from bayesml.specs.groupings import Grouping
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.parsing import name_text


@pytest.mark.parametrize(
    ("formula", "response", "fixed", "offsets"),
    [
        ("y ~ x", "y", "x", ()),
        ("y ~ 1", "y", "1", ()),
        ("y ~ 0 + x", "y", "0 + x", ()),
        ("y ~ -1", "y", "0", ()),
        ("y ~ x - 1", "y", "x - 1", ()),
        ("y ~ (1 | g)", "y", "1", ()),
        ("y ~ x*z - x:z", "y", "x * z - x:z", ()),
        ("y ~ x - (z + w)", "y", "x - z - w", ()),
        ("y ~ x - (z - w)", "y", "x - z + w", ()),
        ("y ~ -(x - z)", "y", "-x + z", ()),
        ("log(y) ~ x", "log(y)", "x", ()),
        ("cbind(s, n - s) ~ x", "cbind(s, n - s)", "x", ()),
        ("y ~ offset(log(days)) + x + offset(w)", "y", "x", ("log(days)", "w")),
        ("y ~ (x + z)^2 + I(x^2) + poly(x, 2)", "y", "(x + z)^2 + I(x ** 2) + poly(x, 2)", ()),
        ("`odd y` ~ `odd x`", "`odd y`", "`odd x`", ()),
    ],
)
def test_outcome_fixed_part_and_offsets(
    formula: str, response: str, fixed: str, offsets: tuple[str, ...]
) -> None:
    parts = parse_formula(formula)
    assert (parts.response, parts.fixed, parts.offsets) == (response, fixed, offsets)


def grouping(name: str, *columns: str, terms: tuple[str, ...] = ("1",), **more: object) -> Grouping:
    return Grouping(name, columns=columns or (name,), terms=terms, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bars", "groupings"),
    [
        ("(1 | g)", [grouping("g")]),
        ("(x | g)", [grouping("g", terms=("1 + x",))]),
        ("(1 + x | g)", [grouping("g", terms=("1 + x",))]),
        ("(0 + x | g)", [grouping("g", terms=("0 + x",))]),
        ("(x - 1 | g)", [grouping("g", terms=("0 + x",))]),
        ("(-1 + x | g)", [grouping("g", terms=("0 + x",))]),
        ("(x || g)", [grouping("g", terms=("1 + x",), correlated=False)]),
        ("(x * z | g)", [grouping("g", terms=("1 + x * z",))]),
        ("(1 | a) + (1 | b)", [grouping("a"), grouping("b")]),
        ("(1 | a/b)", [grouping("a"), grouping("b", "a", "b")]),
        ("(x | a/b/c)", [
            grouping("a", terms=("1 + x",)),
            grouping("b", "a", "b", terms=("1 + x",)),
            grouping("c", "a", "b", "c", terms=("1 + x",)),
        ]),
        ("(1 | a:b)", [grouping("a:b", "a", "b")]),
        ("(1 | g) + (0 + x | g)", [grouping("g", terms=("1", "0 + x"))]),
        ("(1 | g) + (0 + x || g)", [grouping("g", terms=("1", "0 + x"))]),
        ("(x || g) + (0 + z | g)", [grouping("g", terms=("1", "0 + x", "0 + z"))]),
        ("(1 | mm(a, b))", [Grouping("a", members=("a", "b"))]),
        (
            "(x | mm(a, b, weights=cbind(u, v), absent=0, normalise=True, name='firm'))",
            [
                Grouping(
                    "firm",
                    members=("a", "b"),
                    weights=("u", "v"),
                    absent=0,
                    normalise=True,
                    terms=("1 + x",),
                )
            ],
        ),
        ("(1 | mm(a, b, weights='equal'))", [Grouping("a", members=("a", "b"))]),
        ("(1 | mm(a, b, absent=-1))", [Grouping("a", members=("a", "b"), absent=-1)]),
        ("(1 | mm(a, b, absent='none'))", [Grouping("a", members=("a", "b"), absent="none")]),
        ("(1 | mm(a, b, absent=-0.5))", [Grouping("a", members=("a", "b"), absent=-0.5)]),
    ],
)  # fmt: skip
def test_bars(bars: str, groupings: list[Grouping]) -> None:
    assert list(parse_formula(f"y ~ x + {bars}").groupings) == groupings


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("y", "has no '~'"),
        ("x + z", "has no '~'"),
        ("y ~ x ~ z", "more than one '~'"),
        ("1 ~ x", "the outcome 1 is not a column"),
        ("(1 | g) ~ x", "is not a column"),
        ("cbind(a) ~ x", "cbind() has 1 arguments"),
        ("cbind(a, b, c) ~ x", "cbind() has 3 arguments"),
        ("y ~ x^2", "write I(x ** 2)"),
        ("y ~ log(x)^2", "write I(log(x) ** 2)"),
        ("y ~ (x + z)^9", "whole number from 2 to 5"),
        ("y ~ (x + z)^z", "whole number from 2 to 5"),
        ("y ~ x + 2", "the number 2 is not a term"),
        ("y ~ 2 * x", "the number 2 is not a term"),
        ("y ~ 'x'", "column names with unusual characters between backticks"),
        ("y ~ cbind(a, b)", "belongs left of '~'"),
        ("y ~ mm(a, b)", "belongs right of a bar"),
        ("y ~ x * (1 | g)", "part of another term"),
        ("y ~ I((1 | g))", "(1 | g) stands inside I("),
        ("y ~ x:(1 | g)", "part of another term"),
        ("y ~ x - (1 | g)", "a bar is subtracted"),
        ("y ~ x - offset(z)", "an offset is added"),
        ("y ~ offset(x, z)", "one argument"),
        ("y ~ log(offset(x))", "offset(x) stands inside log("),
        ("y ~ x + I(C(x) + 1)", "C(x) stands inside I("),
        ("y ~ x:offset(z)", "part of another term"),
        ("y ~ x + (0 | g)", "nothing varies"),
        ("y ~ x + (-1 | g)", "nothing varies"),
        ("y ~ x + (offset(z) | g)", "an offset stands inside the bar"),
        ("y ~ x + ((1 | g) | h)", "inside a bar"),
        ("y ~ x + (1 | log(g))", "grouping log(g) cannot be read"),
        ("y ~ x + (1 | 3)", "grouping 3 cannot be read"),
        ("y ~ x + (1 | a + b)", "cannot be read"),
        ("y ~ x + (1 | a/b:c)", "mixes operators"),
        ("y ~ x + (1 | a:b/c)", "mixes operators"),
        ("y ~ x + (1 | mm('a', b))", "lists columns of labels"),
        ("y ~ x + (1 | mm(a, b, weight=u))", "no argument 'weight'"),
        ("y ~ x + (1 | mm(a, b, weights=u + v))", "weights=cbind(w1, w2)"),
        ("y ~ x + (1 | mm(a, b, normalise=3))", "Allowed: True or False"),
        ("y ~ x + (1 | mm(a, b, absent=log(x)))", "a number or a quoted text"),
        ("y ~ x + (1 | mm(a, b)) + (1 | a)", "two different groupings are named 'a'"),
    ],
)
def test_what_a_formula_may_not_say(formula: str, words: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse_formula(formula)
    assert words in str(caught.value)


def test_summands_of_a_right_hand_side() -> None:
    assert summand_texts("1 + x*z - w + I(x^2)") == ["1", "x * z", "I(x ** 2)"]
    assert summand_texts("x - (z - w)") == ["x", "w"]


name = st.text(min_size=1, max_size=8)
term = st.sampled_from(["1", "0 + x", "1 + x", "1 + x + z", "1 + x:z"])
label = st.text(max_size=5) | st.integers(-5, 5) | st.floats(-5, 5)


@st.composite
def specs(draw: st.DrawFn) -> ModelSpec:
    """Specifications that a formula can express."""
    groupings = []
    used = draw(st.lists(name, min_size=2, max_size=5, unique=True))
    for kind in draw(st.lists(st.sampled_from(["one", "combined", "mm"]), max_size=2, unique=True)):
        more: dict[str, object] = {"correlated": draw(st.booleans())}
        if kind == "one":
            groupings.append(Grouping(used[0], columns=(used[0],), terms=(draw(term),), **more))
        elif kind == "combined":
            combined = ":".join(used[:2])
            groupings.append(
                Grouping(combined, columns=tuple(used[:2]), terms=(draw(term),), **more)
            )
        else:
            members = tuple(used)
            weights = draw(st.just("equal") | st.permutations(used).map(tuple))
            groupings.append(
                Grouping(
                    "firm " + draw(name),
                    members=members,
                    terms=(draw(term),),
                    weights=weights,
                    absent=draw(st.none() | label),
                    normalise=draw(st.booleans()),
                    **more,
                )
            )
    fixed = " + ".join(name_text(item) for item in used)
    outcome = name_text(draw(name))
    return ModelSpec(f"{outcome} ~ {fixed} + offset(log({outcome}))", tuple(groupings))


@given(specs())
def test_the_text_of_a_specification_reads_back(spec: ModelSpec) -> None:
    parts = parse_formula(spec.text)
    if len({grouping.name for grouping in spec.groupings}) < len(spec.groupings):
        return
    assert ModelSpec(parts.text, parts.groupings) == spec
