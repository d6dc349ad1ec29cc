"""Category-specific effects of ordered outcomes: `cs(x)`, a coefficient of x for each cutpoint."""

from bayesml.errors import FormulaError, SpecError, listed, quoted
from bayesml.specs.families import FAMILIES
from bayesml.specs.family_records import Family
from bayesml.specs.parsing import unparse
from bayesml.specs.syntax import Binary, Call, Node, Number, Unary

# Name of their part of the model, beside those of parameters that have a formula of their own.
CATEGORY_SPECIFIC = "cs"


def specific_terms(call: Call, sign: str, formula: str) -> Node:
    """Return the terms inside `cs(...)`.

    Parameters
    ----------
    call : Call
        A call of `cs`.
    sign : {"+", "-"}
        Whether the formula adds or subtracts it.
    formula : str
        The whole formula, for messages.

    Raises
    ------
    FormulaError
        It is subtracted, has more than one argument, or holds an intercept.
    """
    shown = unparse(call)
    if sign == "-" or len(call.arguments) != 1 or call.named:
        raise FormulaError(
            f"In {quoted(formula)} {shown} cannot be read: cs() is added and has one argument. "
            "Join several terms inside it, + cs(x + z)."
        )
    (terms,) = call.arguments
    if _has_number(terms):
        raise FormulaError(
            f"In {quoted(formula)} {shown} holds an intercept, and the cutpoints are an intercept "
            "for each category already. Leave the number out of cs()."
        )
    return terms


def _has_number(node: Node) -> bool:
    """Whether one of the terms that a sum adds is a number."""
    match node:
        case Binary("+" | "-", left, right):
            return _has_number(left) or _has_number(right)
        case Unary(_, operand):
            return _has_number(operand)
        case _:
            return isinstance(node, Number)


def check_category_specific(family: Family) -> None:
    """Raise where a family has no category-specific effects.

    Raises
    ------
    SpecError
    """
    if family.functions_by_row:
        return
    allowed = listed([name for name, item in FAMILIES.items() if item.functions_by_row])
    if family.response == "ordered":
        raise SpecError(
            f"cs() gives a predictor a coefficient for each cutpoint, and in the family "
            f"{quoted(family.name)} the cutpoints of some rows would cross, so that a category "
            f"between them had a negative probability. Write x in place of cs(x), or use one "
            f"of {allowed}, where cutpoints may cross."
        )
    raise SpecError(
        f"cs() gives a predictor a coefficient for each cutpoint, which the family "
        f"{quoted(family.name)} does not have. Write x in place of cs(x), or use one of {allowed}."
    )
