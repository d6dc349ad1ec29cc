"""The call `mm(...)` of a formula: a multiple membership."""

from dataclasses import replace

from bayesml.errors import FormulaError, quoted
from bayesml.specs.grouping_calls import read_distribution
from bayesml.specs.groupings import Grouping
from bayesml.specs.parsing import unparse
from bayesml.specs.syntax import Call, Name, Node, Number, Text, Unary


def read_membership(call: Call, base: Grouping, formula: str) -> Grouping:
    """Return a grouping with the members, weights and name that a call of `mm` says.

    Parameters
    ----------
    call : Call
        ``mm(column, ..., weights=cbind(column, ...), absent=0, normalise=True, name="firm")``.
    base : Grouping
        With the varying terms of the bar.
    formula : str
        The whole formula, for messages.

    Raises
    ------
    FormulaError
        An argument is unknown or cannot be read.
    """
    members = []
    for argument in call.arguments:
        if not isinstance(argument, Name):
            raise FormulaError(
                f"In {quoted(formula)} mm() lists columns of labels, not {unparse(argument)}."
            )
        members.append(argument.name)
    allowed = ("weights", "absent", "normalise", "name", "dist")
    values = dict(call.named)
    for key in values:
        if key not in allowed:
            raise FormulaError(
                f"In {quoted(formula)} mm() has no argument {quoted(key)}. "
                f"Allowed: {', '.join(allowed)}."
            )
    grouping = replace(base, name=members[0], columns=(), members=tuple(members))
    if "name" in values:
        grouping = replace(grouping, name=_plain_text(values["name"]))
    if "dist" in values:
        grouping = replace(grouping, effects=read_distribution(values["dist"], formula))
    if "absent" in values:
        grouping = replace(grouping, absent=_plain_value(values["absent"], formula))
    if "normalise" in values:
        normalise = _plain_text(values["normalise"])
        if normalise.lower() not in {"true", "false", "1", "0"}:
            raise FormulaError(
                f"In {quoted(formula)} normalise is {quoted(normalise)}. Allowed: True or False."
            )
        grouping = replace(grouping, normalise=normalise.lower() in {"true", "1"})
    match values.get("weights"):
        case None | Text("equal") | Name("equal"):
            pass
        case Text("whole") | Name("whole"):
            grouping = replace(grouping, weights="whole")
        case Name(name):
            grouping = replace(grouping, weights=(name,))
        case Call("cbind", arguments, ()) if all(isinstance(item, Name) for item in arguments):
            names = tuple(item.name for item in arguments if isinstance(item, Name))
            grouping = replace(grouping, weights=names)
        case other:
            raise FormulaError(
                f"In {quoted(formula)} the weights {unparse(other)} cannot be read. Write "
                "weights=cbind(w1, w2) with one column per slot, or weights='equal' or 'whole'."
            )
    return grouping


def _plain_text(node: Node) -> str:
    match node:
        case Text(text) | Number(text) | Name(text):
            return text
        case _:
            return unparse(node)


def _plain_value(node: Node, formula: str) -> str | int | float:
    match node:
        case Text(text):
            return text
        case Number(text):
            return int(text) if text.isdigit() else float(text)
        case Unary("-", Number(text)):
            return -int(text) if text.isdigit() else -float(text)
        case _:
            raise FormulaError(
                f"In {quoted(formula)} absent is {unparse(node)}. Give a number or a quoted text."
            )
