"""Several outcomes as one: the terms of a formula, once for each outcome.

A model of several outcomes is a model of one long table that has a row for each row and outcome of
the user's table. There every coefficient, and every varying term, belongs to one outcome.
"""

from bayesml.errors import FormulaError, quoted
from bayesml.specs.parsing import parse, unparse
from bayesml.specs.syntax import Call, Name, Node, children

# Columns of the long table: which outcome, its value, and the row of the user's table.
OUTCOME, VALUE, ROW = "outcome", "response", "row"
# Dim of the members of a unit, whatever their column is called.
MEMBER = "member"
# Dim of the categories of a nominal outcome but the baseline.
CATEGORY = "category"


def outcomes_of(response: str) -> tuple[str, ...]:
    """Return the columns inside ``mvbind(...)``, none where the outcome is a single one.

    Examples
    --------
    >>> outcomes_of("mvbind(written, course)"), outcomes_of("y")
    (('written', 'course'), ())
    """
    node = parse(response)
    if not (isinstance(node, Call) and node.function == "mvbind"):
        return ()
    return tuple(item.name for item in node.arguments if isinstance(item, Name))


def check_mvbind(node: Node, formula: str) -> None:
    """Raise where ``mvbind(...)`` does not name two or more different columns.

    Raises
    ------
    FormulaError
    """
    if not (isinstance(node, Call) and node.function == "mvbind"):
        if _holds_mvbind(node):
            raise FormulaError(
                f"In {quoted(formula)} mvbind() stands inside {unparse(node)}. It is the whole "
                "left side: mvbind(written, course) ~ 1."
            )
        return
    for item in node.arguments:
        if not isinstance(item, Name):
            raise FormulaError(
                f"In {quoted(formula)} mvbind() holds {unparse(item)}, which is not a column. "
                "Compute it as a column of the table first."
            )
    names = [item.name for item in node.arguments if isinstance(item, Name)]
    if node.named or len(names) < 2:
        raise FormulaError(
            f"In {quoted(formula)} mvbind() has one outcome. Give two or more, such as "
            "mvbind(written, course), or write the outcome alone."
        )
    for name in names:
        if names.count(name) > 1:
            raise FormulaError(
                f"In {quoted(formula)} mvbind() names the outcome {quoted(name)} twice. Name each "
                "once."
            )


def _holds_mvbind(node: Node) -> bool:
    return any(
        (isinstance(child, Call) and child.function == "mvbind") or _holds_mvbind(child)
        for child in children(node)
    )
