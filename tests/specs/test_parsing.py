"""The formula language: what it reads, what it refuses, and that its text reads back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesml.errors import FormulaError
from bayesml.specs.parsing import DEEPEST, FUNCTIONS, name_text, parse, unparse
from bayesml.specs.syntax import (
    Bar,
    Binary,
    Call,
    Constant,
    Name,
    Node,
    Number,
    Text,
    Unary,
    column_names,
)

X, Y, Z = Name("x"), Name("y"), Name("z")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("x", X),
        ("  x\n", X),
        ("1", Number("1")),
        ("1.5e-3", Number("1.5e-3")),
        (".5", Number(".5")),
        ("'a b'", Text("a b")),
        (r'"say \"a\\b\""', Text('say "a\\b"')),
        ("`my column`", Name("my column")),
        ("`tick``tock`", Name("tick`tock")),
        ("first.second", Name("first.second")),
        ("größe", Name("größe")),
        ("pi", Constant("pi")),
        ("`pi`", Name("pi")),
        ("x + y - z", Binary("-", Binary("+", X, Y), Z)),
        ("x + y * z", Binary("+", X, Binary("*", Y, Z))),
        ("x * y:z", Binary("*", X, Binary(":", Y, Z))),
        ("x / y / z", Binary("/", Binary("/", X, Y), Z)),
        ("-x^y", Unary("-", Binary("^", X, Y))),
        ("-x:y", Binary(":", Unary("-", X), Y)),
        ("x ** y ^ z", Binary("^", X, Binary("^", Y, Z))),
        ("(x + y) * z", Binary("*", Binary("+", X, Y), Z)),
        ("log(x)", Call("log", (X,))),
        ("bs(x, df=4)", Call("bs", (X,), (("df", Number("4")),))),
        ("y ~ x", Binary("~", Y, X)),
        ("(x | z)", Bar(X, Z, correlated=True)),
        ("(x + y || z)", Bar(Binary("+", X, Y), Z, correlated=False)),
    ],
)
def test_text_is_read_as_this_tree(text: str, tree: Node) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("y~x+(1|g)", "y ~ x + (1 | g)"),
        ("I(x^2)", "I(x ** 2)"),
        ("(x+z)**2", "(x + z)^2"),
        ("((x))", "x"),
        ("x*( z + w )", "x * (z + w)"),
        ("x-(z-w)", "x - (z - w)"),
        ("'single'", '"single"'),
        ("`plain`", "plain"),
        ("`not plain`:x", "`not plain`:x"),
        ("mm( a,b , weights = cbind(u,v) )", "mm(a, b, weights=cbind(u, v))"),
    ],
)
def test_canonical_spelling(text: str, canonical: str) -> None:
    assert unparse(parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("x +", "the end of the formula"),
        ("~ x", "outcome is missing"),
        ("x y", "Unexpected 'y'"),
        ("x $ y", "'$' has no meaning"),
        ("x[0]", "'[' has no meaning"),
        ("(x", "Expected ')'"),
        ("x)", "Unexpected ')'"),
        ("log()", "at least one argument"),
        ("log(x,)", "missing after the comma"),
        ("log(x y)", "Expected ',' or ')'"),
        ("lg(x)", "Did you mean 'log'"),
        ("np.log(x)", "may not call 'np.log'"),
        ("open('f')", "may not call 'open'"),
        ("x.__class__()", "may not call 'x.__class__'"),
        ("__import__('os')", "may not call '__import__'"),
        ('__import__("os").system("ls")', "'.' has no meaning"),
        ("().__class__", "'.' has no meaning"),
        ("lambda x: x", "Unexpected 'x'"),
        ("[x for x in y]", "'[' has no meaning"),
        ("{x}", "'{' has no meaning"),
        ('f"{x}"', "Unexpected"),
        ("x if y else z", "Unexpected 'if'"),
        ("x == y", "Unexpected '='"),
        ("x; y", "';' has no meaning"),
        ("y ~ x | g", "in parentheses"),
        ("`open", "'`' has no meaning"),
        ("'open", '"\'" has no meaning'),
    ],
)
def test_other_text_is_refused_with_the_place(text: str, words: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse(text)
    assert words in str(caught.value)


def test_the_message_marks_the_bad_place() -> None:
    with pytest.raises(FormulaError) as caught:
        parse("y ~ x + lg(z)")
    _, formula, mark = str(caught.value).split("\n")
    assert formula.strip() == "y ~ x + lg(z)"
    assert formula[mark.index("^") :].startswith("lg(z)")


@pytest.mark.parametrize("value", [None, 3, ["y ~ x"], b"y ~ x"])
def test_a_formula_is_text(value: object) -> None:
    with pytest.raises(FormulaError, match="A formula is text"):
        parse(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["(" * 5000 + "x" + ")" * 5000, "-" * 5000 + "x"])
def test_deep_nesting_is_refused_not_followed(text: str) -> None:
    with pytest.raises(FormulaError, match="inside each other"):
        parse(text)


def test_long_sums_have_a_limit_that_recursion_can_bear() -> None:
    text = " + ".join(f"x{number}" for number in range(DEEPEST))
    assert unparse(parse(text)) == text
    with pytest.raises(FormulaError, match="more than"):
        parse(f"{text} + z")


names = st.builds(Name, st.text(min_size=1, max_size=12) | st.sampled_from(["pi", "log", "a`b"]))
leaves = (
    names
    | st.just(Constant("pi"))
    | st.builds(Number, st.sampled_from(["0", "1", "2", "3.5", "1e3", ".5"]))
    | st.builds(Text, st.text(max_size=8))
)
keys = st.sampled_from(["df", "degree", "name", "weights"])


def _deeper(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return (
        st.builds(Binary, st.sampled_from(["+", "-", "*", "/", ":", "^"]), inner, inner)
        | st.builds(Unary, st.sampled_from(["+", "-"]), inner)
        | st.builds(
            Call,
            st.sampled_from(FUNCTIONS),
            st.lists(inner, min_size=1, max_size=3).map(tuple),
            st.lists(st.tuples(keys, inner), max_size=2).map(tuple),
        )
    )


trees = st.recursive(leaves, _deeper, max_leaves=12)
bars = st.builds(Bar, trees, trees, st.booleans())


@given(trees | bars | st.builds(Binary, st.just("~"), trees, trees))
def test_every_tree_reads_back_from_its_text(tree: Node) -> None:
    assert parse(unparse(tree)) == tree


@given(trees)
def test_arithmetic_reads_back_from_its_text(tree: Node) -> None:
    assert parse(unparse(tree, expression=True)) == tree


@given(st.text(max_size=40) | st.text("xy1 ~+-*/:^()|,='\"`\\._", max_size=30))
def test_any_text_is_a_tree_or_a_formula_error(text: str) -> None:
    try:
        tree = parse(text)
    except FormulaError:
        return
    assert parse(unparse(tree)) == tree


@given(st.text(min_size=1))
def test_every_name_can_be_written(name: str) -> None:
    assert parse(name_text(name)) == Name(name)


def test_column_names_in_order_each_once() -> None:
    tree = parse("y ~ x + log(z, base=w) + I(x * pi) + `pi` + (v | mm(a, b))")
    assert column_names(tree) == ["y", "x", "z", "w", "pi", "v", "a", "b"]
