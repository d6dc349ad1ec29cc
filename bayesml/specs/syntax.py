"""The nodes of a formula's syntax tree."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Name:
    """A column name."""

    name: str


@dataclass(frozen=True)
class Constant:
    """A number that has a name, such as pi; a column of that name is written in backticks."""

    name: str


@dataclass(frozen=True)
class Number:
    """A number as it was written."""

    text: str


@dataclass(frozen=True)
class Text:
    """A quoted string."""

    text: str


@dataclass(frozen=True)
class Call:
    """A function call with positional and named arguments."""

    function: str
    arguments: tuple["Node", ...]
    named: tuple[tuple[str, "Node"], ...] = ()


@dataclass(frozen=True)
class Binary:
    """Two nodes joined by an operator."""

    operator: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True)
class Unary:
    """A signed node."""

    operator: str
    operand: "Node"


@dataclass(frozen=True)
class Bar:
    """The content of a parenthesis `(terms | group)` or `(terms || group)`."""

    terms: "Node"
    group: "Node"
    correlated: bool


Node = Name | Constant | Number | Text | Call | Binary | Unary | Bar


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes just below a node."""
    match node:
        case Binary(_, left, right):
            return left, right
        case Unary(_, operand):
            return (operand,)
        case Bar(terms, group, _):
            return terms, group
        case Call(_, arguments, named):
            return *arguments, *(value for _, value in named)
        case _:
            return ()


def column_names(node: Node) -> list[str]:
    """Return the column names that a tree uses, in order of first use, each once."""
    found: dict[str, None] = {}

    def visit(item: Node) -> None:
        if isinstance(item, Name):
            found.setdefault(item.name)
        for child in children(item):
            visit(child)

    visit(node)
    return list(found)
