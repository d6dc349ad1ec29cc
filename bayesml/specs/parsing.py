"""The formula language: text to a syntax tree, and back to text.

The tree is the only thing that later rooms see, so a formula from a stranger runs no code: a call
of anything but the functions in `FUNCTIONS` is an error here.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from bayesml.errors import FormulaError, did_you_mean, quoted
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
    children,
)

# What a formula may call. The design matrix builder gives each of them its meaning.
FUNCTIONS = (
    *("C", "I", "abs", "bs", "cbind", "center", "cos", "cr", "cs", "exp", "gr", "log", "log10"),
    *("log1p", "log2", "mm", "mmc", "mvbind", "offset", "pmax", "pmin", "poly", "scale", "sin"),
    *("sqrt", "surv", "tan"),
)
CONSTANTS = ("pi",)


_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<number>(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?)
  | (?P<backtick>`([^`]|``)*`)
  | (?P<string>"([^"\\]|\\.)*"|'([^'\\]|\\.)*')
  | (?P<name>[^\W\d](\w|\.(?=\w))*)
  | (?P<operator>\|\||\*\*|[-+*/:^()|~,=])
    """,
    re.VERBOSE | re.DOTALL,
)

DEEPEST = 250  # layers of nodes: reading and writing a tree recurse

# Binding strength as in R: a larger number binds more tightly.
_STRENGTH = {"~": 1, "||": 2, "|": 2, "+": 3, "-": 3, "*": 4, "/": 4, ":": 5, "^": 7, "**": 7}
_SIGN_STRENGTH = 6


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    position: int


def formula_error(formula: str, position: int, message: str) -> FormulaError:
    """Return an error that reprints the formula with the bad place marked."""
    start = max(0, position - 60)
    shown = re.sub(r"\s", " ", formula[start : start + 120])
    return FormulaError(f"{message}\n    {shown}\n    {' ' * (position - start)}^")


def _tokens(formula: str) -> Iterator[_Token]:
    position = 0
    while position < len(formula):
        match = _TOKEN.match(formula, position)
        if match is None:
            raise formula_error(
                formula,
                position,
                f"The character {formula[position]!r} has no meaning in a formula. "
                "Put a column name with unusual characters between backticks: `my column`.",
            )
        kind = str(match.lastgroup)
        if kind != "space":
            yield _Token(kind, match.group(), position)
        position = match.end()
    yield _Token("end", "", len(formula))


class _Parser:
    """A precedence-climbing parser over the tokens of one formula."""

    def __init__(self, formula: str, functions: Sequence[str]):
        self.formula, self.functions = formula, functions
        self.tokens = list(_tokens(formula))
        self.index = 0
        self.open = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.index]

    def take(self) -> _Token:
        token = self.token
        self.index += 1
        return token

    def fail(self, message: str, token: _Token | None = None) -> FormulaError:
        return formula_error(self.formula, (token or self.token).position, message)

    def expect(self, text: str) -> None:
        if self.token.text != text or self.token.kind in {"string", "backtick"}:
            found = repr(self.token.text) if self.token.text else "the end"
            raise self.fail(f"Expected {text!r} here, found {found}.")
        self.take()

    def parse(self) -> Node:
        node = self.expression(0)
        if self.token.kind != "end":
            raise self.fail(
                f"Unexpected {self.token.text!r}. Join terms with +, *, : or / "
                "(attribute access, lambdas and comparisons are not part of a formula)."
            )
        return node

    def expression(self, minimum: int) -> Node:
        left = self.prefix()
        while self.token.kind == "operator":
            operator = self.token.text
            strength = _STRENGTH.get(operator, -1)
            if strength < 0 or strength < minimum:
                break
            if operator in {"|", "||"} and not self.open:
                raise self.fail("A bar stands in parentheses: (1 | g). Add them.")
            self.take()
            right_associative = operator in {"^", "**"}
            right = self.expression(strength if right_associative else strength + 1)
            if operator in {"|", "||"}:
                left = Bar(left, right, correlated=operator == "|")
            else:
                left = Binary("^" if operator == "**" else operator, left, right)
        return left

    def prefix(self) -> Node:
        token = self.take()
        if token.kind == "number":
            return Number(token.text)
        if token.kind == "string":
            return Text(re.sub(r"\\(.)", r"\1", token.text[1:-1], flags=re.DOTALL))
        if token.kind == "backtick":
            return Name(token.text[1:-1].replace("``", "`"))
        if token.kind == "name":
            if self.token.text == "(":
                return self.call(token)
            return (Constant if token.text in CONSTANTS else Name)(token.text)
        if token.text in {"+", "-"}:
            return Unary(token.text, self.expression(_SIGN_STRENGTH))
        if token.text == "~" and self.index == 1:
            raise self.fail("The outcome is missing before '~'.", token)
        if token.text == "(":
            self.open += 1
            node = self.expression(0)
            self.expect(")")
            self.open -= 1
            return node
        found = repr(token.text) if token.text else "the end of the formula"
        raise self.fail(f"Expected a term here, found {found}.", token)

    def call(self, token: _Token) -> Call:
        if token.text not in self.functions:
            raise self.fail(
                f"A formula may not call {token.text!r}. "
                f"{did_you_mean(token.text, self.functions)} "
                f"The functions are {', '.join(self.functions)}; "
                "compute anything else as a column of the table first.",
                token,
            )
        self.expect("(")
        arguments: list[Node] = []
        named: list[tuple[str, Node]] = []
        while self.token.text != ")" or self.token.kind != "operator":
            following = self.tokens[self.index + 1] if self.index + 1 < len(self.tokens) else None
            if self.token.kind == "name" and following is not None and following.text == "=":
                key = self.take().text
                self.take()
                named.append((key, self.expression(3)))
            else:
                arguments.append(self.expression(3))
            if self.token.text == ",":
                self.take()
                if self.token.text == ")":
                    raise self.fail("An argument is missing after the comma.")
            elif self.token.text != ")":
                found = repr(self.token.text) if self.token.text else "the end"
                raise self.fail(f"Expected ',' or ')' in the call of {token.text}, found {found}.")
        self.expect(")")
        if not arguments:
            raise self.fail(f"{token.text}() needs at least one argument.", token)
        return Call(token.text, tuple(arguments), tuple(named))


def parse(formula: str, functions: Sequence[str] = FUNCTIONS) -> Node:
    """Return the syntax tree of a formula or of a part of one.

    Parameters
    ----------
    formula : str
        Formula in lme4 notation, such as ``"y ~ x + (x | g)"``.
    functions : sequence of str
        What the text may call.

    Returns
    -------
    Node
        Root of the tree.

    Raises
    ------
    FormulaError
        The text is not a formula, or calls a function that formulas may not call.

    Examples
    --------
    >>> parse("x + z")
    Binary(operator='+', left=Name(name='x'), right=Name(name='z'))
    """
    if not isinstance(formula, str):
        raise FormulaError(
            f"A formula is text such as 'y ~ x', not {type(formula).__name__}. Pass a string."
        )
    if not formula.strip():
        raise FormulaError("The formula is empty. Write one such as 'y ~ 1'.")
    tree: Node | None = None
    with suppress(RecursionError):
        tree = _Parser(formula, functions).parse()
    if tree is None or _deeper_than(tree, DEEPEST):
        raise FormulaError(
            f"The formula {quoted(formula)} has more than {DEEPEST} terms or parentheses inside "
            "each other. Use fewer terms: combine columns of the table first."
        )
    return tree


def _deeper_than(tree: Node, most: int) -> bool:
    """Whether a tree has more layers than `most`, found without recursion."""
    layer: list[Node] = [tree]
    for _ in range(most):
        layer = [child for node in layer for child in children(node)]
        if not layer:
            return False
    return True


_PLAIN_NAME = re.compile(r"[^\W\d](\w|\.(?=\w))*\Z")


def name_text(name: str) -> str:
    """Return a column name as a formula writes it: bare where that is legal, else in backticks.

    A backtick inside the name is doubled, so every name can be written.

    Examples
    --------
    >>> name_text("age"), name_text("mean age")
    ('age', '`mean age`')
    """
    if _PLAIN_NAME.match(name) and name not in CONSTANTS:
        return name
    return f"`{name.replace('`', '``')}`"


def quoted_text(text: str) -> str:
    """Return a text as a formula quotes it, backslashes and quotation marks escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def unparse(node: Node, *, expression: bool = False) -> str:
    """Return the text of a tree, in one canonical spelling.

    Parameters
    ----------
    node : Node
        The tree.
    expression : bool
        Whether the node stands inside a call, where operators are arithmetic and power is ``**``.
    """
    match node:
        case Name(name):
            return name_text(name)
        case Constant(name) | Number(name):
            return name
        case Text(text):
            return quoted_text(text)
        case Call(function, arguments, named):
            inside = [unparse(item, expression=True) for item in arguments]
            inside += [f"{key}={unparse(item, expression=True)}" for key, item in named]
            return f"{function}({', '.join(inside)})"
        case Unary(operator, operand):
            return f"{operator}{_wrapped(operand, _SIGN_STRENGTH, expression)}"
        case Bar(terms, group, correlated):
            return f"({unparse(terms)} {'|' if correlated else '||'} {unparse(group)})"
        case Binary(operator, left, right):
            strength = _STRENGTH[operator]
            power = operator == "^"
            left_text = _wrapped(left, strength + power, expression)
            right_text = _wrapped(right, strength + (not power), expression)
            if operator == ":" or (operator == "^" and not expression):
                return f"{left_text}{operator}{right_text}"
            if operator == "^":
                return f"{left_text} ** {right_text}"
            return f"{left_text} {operator} {right_text}"


def _wrapped(node: Node, minimum: int, expression: bool) -> str:
    text = unparse(node, expression=expression)
    strength = 9
    if isinstance(node, Binary):
        strength = _STRENGTH[node.operator]
    elif isinstance(node, Unary):
        strength = _SIGN_STRENGTH
    return f"({text})" if strength < minimum else text
