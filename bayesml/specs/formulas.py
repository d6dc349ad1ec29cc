"""From an lme4-style formula to its parts: the outcome, the fixed part and the groupings."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bayesml.errors import FormulaError, quoted
from bayesml.specs.category_effects import specific_terms
from bayesml.specs.duration_calls import read_durations
from bayesml.specs.formula_parts import FormulaParts
from bayesml.specs.grouping_calls import read_gr
from bayesml.specs.groupings import Grouping
from bayesml.specs.member_terms import check_member_call
from bayesml.specs.membership_calls import read_membership
from bayesml.specs.outcome_terms import check_mvbind
from bayesml.specs.parsing import name_text, parse, unparse
from bayesml.specs.syntax import (
    Bar,
    Binary,
    Call,
    Name,
    Node,
    Number,
    Text,
    Unary,
    children,
    column_names,
)


def _summands(node: Node, sign: str = "+") -> Iterator[tuple[str, Node]]:
    """Yield the top-level terms of a sum with their signs."""
    if isinstance(node, Binary) and node.operator in {"+", "-"}:
        yield from _summands(node.left, sign)
        yield from _summands(node.right, _times(sign, node.operator))
    elif isinstance(node, Unary):
        yield from _summands(node.operand, _times(sign, node.operator))
    else:
        yield sign, node


def _times(sign: str, other: str) -> str:
    return "+" if sign == other else "-"


def _sum_text(terms: Sequence[tuple[str, Node]]) -> str:
    text = ""
    for sign, node in terms:
        piece = unparse(node)
        if not text:
            text = piece if sign == "+" else f"-{piece}"
        else:
            text += f" {sign} {piece}"
    return text


def _holds_bar(node: Node) -> bool:
    return isinstance(node, Bar) or any(map(_holds_bar, children(node)))


def check_terms(node: Node, formula: str, members: bool = False) -> None:
    """Raise where a right-hand side means something else than it says, or nothing.

    With `members` its terms may be members' own, ``mmc(x1, x2)``.

    Raises
    ------
    FormulaError
        A power of one variable outside ``I()``, a number other than 0 and 1, a quoted text, or a
        function that has no place in a term.
    """
    match node:
        case Binary("^", Name() | Call(), _):
            inner = unparse(node, expression=True)
            raise FormulaError(
                f"In {quoted(formula)} the term {unparse(node)} would cross a variable with "
                f"itself, which leaves it as it is. For the power write I({inner})."
            )
        case Binary("^", left, Number(text)) if text in {"2", "3", "4", "5"}:
            check_terms(left, formula, members)
        case Binary("^", _, right):
            raise FormulaError(
                f"In {quoted(formula)} the power {unparse(right)} is not allowed for crossing "
                "terms. Use a whole number from 2 to 5, or I() for arithmetic."
            )
        case Binary(_, left, right):
            check_terms(left, formula, members)
            check_terms(right, formula, members)
        case Unary(_, operand):
            check_terms(operand, formula, members)
        case Number(text) if text not in {"0", "1"}:
            raise FormulaError(
                f"In {quoted(formula)} the number {text} is not a term. Use 1 (with intercept) "
                f"or 0 (without), or I() for arithmetic such as I(x * {text})."
            )
        case Text(text):
            raise FormulaError(
                f"In {quoted(formula)} the quoted text {quoted(text)} is not a term. Put column "
                "names with unusual characters between backticks: `my column`."
            )
        case Call("cbind" | "surv" | "mm" | "gr" | "mvbind", _, _):
            place = "right of a bar" if node.function in {"mm", "gr"} else "left of '~'"
            raise FormulaError(
                f"In {quoted(formula)} {node.function}() stands among the predictors; it belongs "
                f"{place}. Move it there."
            )
        case Call("mmc", _, _):
            check_member_call(node, formula, members)
        case Bar() | Call("offset" | "cs", _, _):
            raise FormulaError(
                f"In {quoted(formula)} {unparse(node)} is part of another term or of a bar. Add it "
                "as a term of its own: y ~ x + cs(w) + (1 | g) + offset(z)."
            )
        case Call():
            _check_arguments(node, node, formula)


def _check_arguments(node: Node, call: Call, formula: str) -> None:
    for child in children(node):
        if isinstance(child, Bar) or (
            isinstance(child, Call)
            and child.function
            in {"offset", "cbind", "surv", "mm", "mmc", "gr", "mvbind", "C", "cs"}
        ):
            raise FormulaError(
                f"In {quoted(formula)} {unparse(child)} stands inside {unparse(call)}. Only "
                "arithmetic may; write it as a term of its own."
            )
        _check_arguments(child, call, formula)


def parse_terms(text: str) -> Node:
    """Return the checked tree of a right-hand side without bars.

    Raises
    ------
    FormulaError
        The text is not a right-hand side.
    """
    node = parse(text)
    check_terms(node, text, members=True)
    return node


def parse_formula(formula: str) -> FormulaParts:
    """Split a formula in lme4 notation into its parts.

    Parameters
    ----------
    formula : str
        Such as ``"y ~ x + (1 + x | school)"``. Bars: ``(terms | g)``, uncorrelated
        ``(terms || g)``, nested ``(1 | a/b)``, combined ``(1 | a:b)``, multiple membership
        ``(1 | mm(g1, g2, weights=cbind(w1, w2), absent=0, name="g"))``, members' own values
        ``(mmc(x1, x2) | mm(g1, g2))``, kinds of units with SDs of their own and Student-t effects
        ``(1 | gr(school, by=sector, dist="student"))``.
        ``cs(x + z)`` gives predictors of an ordered outcome a coefficient for each cutpoint.

    Returns
    -------
    FormulaParts

    Raises
    ------
    FormulaError
        The formula has no ``~``, a term that is not allowed, or a bar that cannot be read.

    Examples
    --------
    >>> parse_formula("y ~ x + (1 | school)").groupings[0].name
    'school'
    """
    tree = parse(formula)
    if not (isinstance(tree, Binary) and tree.operator == "~"):
        raise FormulaError(
            f"The formula {quoted(formula)} has no '~'. Write outcome ~ predictors, such as y ~ 1."
        )
    _check_response(tree.left, formula)
    fixed: list[tuple[str, Node]] = []
    specific: list[tuple[str, Node]] = []
    offsets: list[str] = []
    bars: list[Bar] = []
    for sign, node in _summands(tree.right):
        if isinstance(node, Bar):
            if sign == "-":
                raise FormulaError(
                    f"In {quoted(formula)} a bar is subtracted: {unparse(node)}. Leave it out."
                )
            bars.append(node)
        elif isinstance(node, Call) and node.function == "offset":
            if sign == "-" or len(node.arguments) != 1 or node.named:
                raise FormulaError(
                    f"In {quoted(formula)} an offset is added and has one argument: "
                    "+ offset(log(x))."
                )
            offsets.append(unparse(node.arguments[0], expression=True))
        elif isinstance(node, Call) and node.function == "cs":
            specific.append(("+", specific_terms(node, sign, formula)))
            check_terms(specific[-1][1], formula)
        else:
            check_terms(node, formula)
            fixed.append((sign, node))
    fixed_text = _sum_text(fixed) or "1"
    if fixed_text == "-1":
        fixed_text = "0"
    groupings = _joined([item for bar in bars for item in _bar_groupings(bar, formula)], formula)
    outcome = unparse(tree.left, expression=True)
    return FormulaParts(outcome, fixed_text, tuple(offsets), groupings, _sum_text(specific))


def _check_response(node: Node, formula: str) -> None:
    if isinstance(node, Binary) and node.operator == "~":
        raise FormulaError(f"The formula {quoted(formula)} has more than one '~'. Keep one.")
    if _holds_bar(node) or not column_names(node):
        raise FormulaError(
            f"In {quoted(formula)} the outcome {unparse(node)} is not a column. Put a column, an "
            "expression of columns, cbind(successes, failures) or surv(time, status) left of '~'."
        )
    read_durations(node, formula)
    check_mvbind(node, formula)
    if isinstance(node, Call) and node.function == "cbind" and len(node.arguments) != 2:
        raise FormulaError(
            f"In {quoted(formula)} cbind() has {len(node.arguments)} arguments. Give the "
            "successes and the failures: cbind(successes, failures)."
        )


def _bar_groupings(bar: Bar, formula: str) -> list[Grouping]:
    """Return the groupings of one bar; a nested bar `a/b` has two."""
    if _holds_bar(bar.terms) or _holds_bar(bar.group):
        raise FormulaError(f"In {quoted(formula)} a bar stands inside a bar. Write one per term.")
    terms = _canonical_terms(bar, formula)
    check_terms(bar.terms, formula, members=True)
    base = Grouping("bar", columns=("bar",), terms=terms, correlated=bar.correlated)
    group: Node = bar.group
    if isinstance(group, Call) and group.function == "gr":
        group, base = read_gr(group, base, formula)
        if isinstance(group, Binary) and group.operator == "/":
            raise FormulaError(
                f"In {quoted(formula)} {unparse(bar.group)} has several groupings. Write one bar "
                "for each: (1 | gr(a, by=x)) + (1 | gr(a:b, by=z))."
            )
    match group:
        case Call("mm", _, _):
            return [read_membership(group, base, formula)]
        case Binary("/", _, _):
            chain = _chain(group, "/", formula)
            return [
                replace(base, name=chain[level], columns=tuple(chain[: level + 1]))
                for level in range(len(chain))
            ]
        case Binary(":", _, _):
            chain = _chain(group, ":", formula)
            return [replace(base, name=":".join(chain), columns=tuple(chain))]
        case Name(name):
            return [replace(base, name=name, columns=(name,))]
        case _:
            raise FormulaError(
                f"In {quoted(formula)} the grouping {unparse(bar.group)} cannot be read. Write a "
                "column, a/b, a:b, gr(...) or mm(...) right of the bar."
            )


def _canonical_terms(bar: Bar, formula: str) -> tuple[str, ...]:
    terms = list(_summands(bar.terms))
    for _, node in terms:
        if isinstance(node, Call) and node.function == "offset":
            raise FormulaError(
                f"In {quoted(formula)} an offset stands inside the bar {unparse(bar)}. Move it "
                "out of the bar."
            )
    removed = any(
        isinstance(node, Number) and (node.text == "0") == (sign == "+") for sign, node in terms
    )
    named = [(sign, node) for sign, node in terms if not isinstance(node, Number)]
    if not named and removed:
        raise FormulaError(
            f"In {quoted(formula)} nothing varies in the bar {unparse(bar)}. Write (1 | g) for a "
            "varying intercept."
        )
    start = "0" if removed else "1"
    return (f"{start} + {_sum_text(named)}" if named else "1",)


def _chain(node: Node, operator: str, formula: str) -> list[str]:
    if isinstance(node, Name):
        return [node.name]
    if isinstance(node, Binary) and node.operator == operator:
        return _chain(node.left, operator, formula) + _chain(node.right, operator, formula)
    raise FormulaError(
        f"In {quoted(formula)} the grouping {unparse(node)} mixes operators or expressions. Join "
        f"column names with {operator!r} only."
    )


def _joined(groupings: list[Grouping], formula: str) -> tuple[Grouping, ...]:
    """Join the bars of one grouping into one record with a block-diagonal covariance."""
    joined: dict[str, Grouping] = {}
    for grouping in groupings:
        known = joined.get(grouping.name)
        if known is None:
            joined[grouping.name] = grouping
            continue
        if replace(known, terms=("1",), correlated=True) != replace(
            grouping, terms=("1",), correlated=True
        ):
            raise FormulaError(
                f"In {quoted(formula)} two different groupings are named {quoted(grouping.name)}. "
                "Rename one of the columns, or give mm(..., name='other')."
            )
        if known.correlated != grouping.correlated:
            # One flag serves the grouping: an uncorrelated bar becomes blocks of one term each.
            known, grouping = split_terms(known), split_terms(grouping)
        joined[grouping.name] = replace(known, terms=(*known.terms, *grouping.terms))
    return tuple(joined.values())


def split_terms(grouping: Grouping) -> Grouping:
    """Return an uncorrelated grouping as blocks of one term each."""
    if grouping.correlated:
        return grouping
    blocks: list[str] = []
    for text in grouping.terms:
        for sign, node in _summands(parse(text)):
            if isinstance(node, Number):
                blocks += ["1"] if node.text == "1" else []
            else:
                blocks.append(f"0 {sign} {unparse(node)}")
    return replace(grouping, terms=tuple(blocks), correlated=True)


def summand_texts(text: str) -> list[str]:
    """Return the terms that a right-hand side adds, each in canonical spelling; of "" none.

    Examples
    --------
    >>> summand_texts("1 + x*z + I(x^2)")
    ['1', 'x * z', 'I(x ** 2)']
    """
    if not text:
        return []
    return [unparse(node) for sign, node in _summands(parse(text)) if sign == "+"]


def terms_by(column: str, terms: str) -> str:
    """Return a right-hand side with an intercept and slopes for each level of a column.

    Parameters
    ----------
    column : str
        The column that tells the outcomes apart.
    terms : str
        Right-hand side without bars.

    Returns
    -------
    str
        Right-hand side without a common intercept.

    Examples
    --------
    >>> terms_by("outcome", "1 + x * z")
    '0 + outcome + outcome:(x * z)'
    >>> terms_by("outcome", "0 + x")
    '0 + outcome:x'
    """
    by = name_text(column)
    intercept, parts = True, []
    for sign, node in _summands(parse(terms)):
        if isinstance(node, Number):
            intercept = (node.text == "1") == (sign == "+")
            continue
        text = unparse(node)
        inside = text if isinstance(node, Name | Call) else f"({text})"
        parts.append(f"{'+' if sign == '+' else '-'} {by}:{inside}")
    return " ".join(["0", *([f"+ {by}"] if intercept else []), *parts])
