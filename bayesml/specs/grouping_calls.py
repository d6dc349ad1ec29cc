"""The call `gr(...)` of a formula: a grouping with kinds of units, or with Student-t effects."""

from dataclasses import replace

from bayesml.errors import FormulaError, quoted
from bayesml.specs.groupings import Effects, Grouping
from bayesml.specs.parsing import name_text, unparse
from bayesml.specs.syntax import Call, Name, Node, Text

# What brms calls the distributions of effects.
DISTRIBUTIONS: dict[str, Effects] = {
    "gaussian": "normal",
    "normal": "normal",
    "student": "student",
}


def read_gr(call: Call, base: Grouping, formula: str) -> tuple[Node, Grouping]:
    """Return the grouping's node inside a call of `gr`, and what the call says of its effects.

    Parameters
    ----------
    call : Call
        ``gr(school, by=sector, dist="student")``.
    base : Grouping
        With the varying terms of the bar.
    formula : str
        The whole formula, for messages.

    Raises
    ------
    FormulaError
        An argument is unknown or cannot be read.
    """
    if len(call.arguments) != 1:
        raise FormulaError(
            f"In {quoted(formula)} {unparse(call)} has {len(call.arguments)} groupings. Give one, "
            "such as gr(school, by=sector), and name the arguments by= and dist=."
        )
    values = dict(call.named)
    for key in values:
        if key not in ("by", "dist"):
            raise FormulaError(
                f"In {quoted(formula)} gr() has no argument {quoted(key)}. Allowed: by, dist."
            )
    if "dist" in values:
        base = replace(base, effects=read_distribution(values["dist"], formula))
    match values.get("by"):
        case None:
            pass
        case Name(name):
            base = replace(base, by=name)
        case other:
            raise FormulaError(
                f"In {quoted(formula)} by is {unparse(other)}. Give the column that says of which "
                "kind each unit is: gr(school, by=sector)."
            )
    return call.arguments[0], base


def read_distribution(node: Node, formula: str) -> Effects:
    """Return the distribution of the effects that an argument `dist` names.

    Raises
    ------
    FormulaError
        There is no such distribution.
    """
    text = node.text if isinstance(node, Text) else unparse(node)
    if text not in DISTRIBUTIONS:
        raise FormulaError(
            f"In {quoted(formula)} dist is {unparse(node)}. Allowed: "
            f"{', '.join(DISTRIBUTIONS)}, between quotation marks."
        )
    return DISTRIBUTIONS[text]


def group_text(grouping: Grouping) -> str:
    """Return what stands right of a bar for units of one column each, or of combined columns.

    Examples
    --------
    >>> group_text(Grouping("school", columns=("school",), by="sector"))
    'gr(school, by=sector)'
    """
    group = ":".join(name_text(column) for column in grouping.columns)
    said = [f"by={name_text(grouping.by)}"] if grouping.by is not None else []
    said += [] if grouping.effects == "normal" else [f'dist="{grouping.effects}"']
    return f"gr({', '.join([group, *said])})" if said else group
