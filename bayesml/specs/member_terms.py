"""The call `mmc(...)` of a bar: a varying term whose value differs between a row's members."""

from collections.abc import Iterator, Sequence

from bayesml.errors import FormulaError, SpecError, listed, quoted
from bayesml.specs.groupings import Grouping
from bayesml.specs.parsing import parse, unparse
from bayesml.specs.syntax import Call, Name, Node, Number, Unary, children


def check_member_call(call: Call, formula: str, in_bar: bool) -> None:
    """Raise where `mmc(...)` stands outside a bar, or does not name a value for each member.

    Raises
    ------
    FormulaError
    """
    if not in_bar:
        raise FormulaError(
            f"In {quoted(formula)} {unparse(call)} stands outside a bar of a multiple membership. "
            "A member's own value varies over members: (mmc(x1, x2) | mm(a, b))."
        )
    strange = [unparse(item) for item in call.arguments if not _readable(item)]
    if call.named or strange or len(call.arguments) < 2:
        raise FormulaError(
            f"In {quoted(formula)} {unparse(call)} cannot be read"
            f"{f': {listed(strange)}' if strange else ''}. Give one column of numbers, or one "
            "number, for each member: mmc(x1, x2) or mmc(1, 0)."
        )


def _readable(node: Node) -> bool:
    return isinstance(node, Name | Number) or (
        isinstance(node, Unary) and isinstance(node.operand, Number)
    )


def member_calls(node: Node) -> Iterator[Call]:
    """Yield the calls of `mmc` in a tree."""
    if isinstance(node, Call) and node.function == "mmc":
        yield node
    for child in children(node):
        yield from member_calls(child)


def check_member_terms(grouping: Grouping) -> None:
    """Raise where a grouping's terms are members' own, and its rows have other members.

    Raises
    ------
    SpecError
    """
    for text in grouping.terms:
        for call in member_calls(parse(text)):
            if len(call.arguments) != len(grouping.members):
                has = f"{len(grouping.members)} member columns" if grouping.members else "none"
                raise SpecError(
                    f"The term {unparse(call)} of the grouping {quoted(grouping.name)} has "
                    f"{len(call.arguments)} values, one for each member, and the grouping has "
                    f"{has}. Give as many, as in (mmc(x1, x2) | mm(a, b))."
                )


def has_member_terms(grouping: Grouping) -> bool:
    """Whether some term of a grouping differs between the members of a row."""
    return any(True for text in grouping.terms for _ in member_calls(parse(text)))


def member_label(call: Call, members: Sequence[str]) -> str:
    """Return how a member's own term is called.

    Parameters
    ----------
    call : Call
    members : sequence of str
        The grouping's member columns.

    Examples
    --------
    >>> member_label(parse("mmc(1, 0)"), ["actor", "partner"])
    'actor'
    >>> member_label(parse("mmc(x1, x2)"), ["actor", "partner"])
    'mmc(x1, x2)'
    """
    texts = [unparse(item) for item in call.arguments]
    # The effect of one role only, actor or partner.
    if sorted(texts) == ["0"] * (len(texts) - 1) + ["1"] and len(texts) == len(members):
        return members[texts.index("1")]
    return unparse(call)


def place_of_call(call: Call, known: Sequence[Sequence[str]]) -> int:
    """Return the position of the values of `mmc(...)` among those of several variables."""
    return [tuple(values) for values in known].index(tuple(map(unparse, call.arguments)))


def role_terms(members: Sequence[str]) -> str:
    """Return the terms that give a unit an effect of its own in every role.

    Examples
    --------
    >>> role_terms(["actor", "partner"])
    '0 + mmc(1, 0) + mmc(0, 1)'
    """
    numbers = range(len(members))
    calls = [f"mmc({', '.join(str(int(place == own)) for place in numbers)})" for own in numbers]
    return " + ".join(["0", *calls])


def value_columns(texts: Sequence[str]) -> list[str]:
    """Return the columns among the values of `mmc(...)`."""
    return [node.name for text in texts if isinstance(node := parse(text), Name)]


def member_value(text: str) -> str | float:
    """Return what a value of `mmc(...)` is: the name of a column, or a number."""
    match parse(text):
        case Name(name):
            return name
        case Unary("-", Number(number)):
            return -float(number)
        case node:
            return float(unparse(node).removeprefix("+"))
