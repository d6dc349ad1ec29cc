"""Linear predictors of a likelihood's further parameters: `sigma ~ x + (1 | school)`.

A term belongs to a predictor. A grouping stays one record with one covariance; its terms may feed
the main linear predictor and those of further parameters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bayesml.errors import SpecError, did_you_mean, quoted
from bayesml.specs.family_records import Family, Parameter
from bayesml.specs.formula_parts import FormulaParts
from bayesml.specs.formulas import parse_formula, split_terms
from bayesml.specs.grouping_calls import group_text
from bayesml.specs.groupings import Grouping
from bayesml.specs.parsing import name_text, quoted_text

# The link of a parameter with a linear predictor, by where the parameter lives.
_LINKS = {"positive": "log", "share": "logit"}


def predictor_link(parameter: Parameter) -> str:
    """Return the link of a parameter that has a linear predictor, empty where it can have none.

    Examples
    --------
    >>> predictor_link(Parameter("sigma", "positive", "HalfNormal(1)"))
    'log'
    """
    return _LINKS.get(parameter.support, "")


def predicted_parameter(family: Family, name: str) -> Parameter:
    """Return a parameter of a family that may have a linear predictor.

    Raises
    ------
    SpecError
        The family has no such parameter, or it is not one number with a link.
    """
    allowed = [item.name for item in family.parameters if predictor_link(item)]
    for parameter in family.parameters:
        if parameter.name == name and predictor_link(parameter):
            return parameter
    if not allowed:
        raise SpecError(
            f"distributional names {quoted(name)}, but the family {quoted(family.name)} has no "
            "parameter that could have a formula of its own. Leave distributional out, or choose a "
            "family with one, such as 'gaussian' with sigma."
        )
    raise SpecError(
        f"distributional names {quoted(name)}, which is not a parameter of the family "
        f"{quoted(family.name)} that could have a formula of its own. {did_you_mean(name, allowed)}"
    )


def part_formula(parameter: str, text: object) -> FormulaParts:
    """Return the formula of one parameter, read from its right-hand side.

    Parameters
    ----------
    parameter : str
    text : str
        Such as ``"~ x + (1 | school)"``; the tilde may be left out.

    Raises
    ------
    SpecError, FormulaError
        The text is not a right-hand side, or has an offset.

    Examples
    --------
    >>> part_formula("sigma", "~ x + (1 | school)").fixed
    'x'
    """
    if not isinstance(text, str) or not text.strip().removeprefix("~").strip():
        raise SpecError(
            f"The formula of {quoted(parameter)} in distributional is {quoted(str(text))}. Give a "
            f"right-hand side, such as distributional={{{parameter!r}: '~ x'}}."
        )
    parts = parse_formula(f"{parameter} ~ {text.strip().removeprefix('~')}")
    if parts.specific:
        raise SpecError(
            f"The formula of {quoted(parameter)} has cs(), which only the formula of an ordered "
            "outcome may have. Take it out."
        )
    if parts.offsets:
        raise SpecError(
            f"The formula of {quoted(parameter)} has an offset, which only the main formula may "
            "have. Take it out, or add the column as a predictor."
        )
    return parts


def part_text(parts: FormulaParts) -> str:
    """Return a part's right-hand side with its bars, in one canonical spelling."""
    return f"~ {' + '.join([parts.fixed, *map(bar_text, parts.groupings)])}"


def joined_groupings(
    main: Sequence[Grouping], parts: Mapping[str, FormulaParts]
) -> tuple[Grouping, ...]:
    """Return the groupings of all predictors, those of one name joined into one.

    Parameters
    ----------
    main : sequence of Grouping
        Those of the main linear predictor.
    parts : mapping of str to FormulaParts
        The formulas of further parameters.

    Returns
    -------
    tuple of Grouping
        In their order of appearance, with `predictors` where not all terms are the main one's.

    Raises
    ------
    SpecError
        Two different groupings bear one name.
    """
    joined = {grouping.name: grouping for grouping in main}
    for predictor, formula in parts.items():
        for grouping in formula.groupings:
            own = (predictor,) * len(grouping.terms)
            known = joined.get(grouping.name)
            joined[grouping.name] = (
                replace(grouping, predictors=own)
                if known is None
                else _with_terms(known, grouping, predictor)
            )
    return tuple(joined.values())


def _with_terms(known: Grouping, added: Grouping, predictor: str) -> Grouping:
    """Return a grouping with the terms that a part adds; each entry stays a block of its own."""
    plain = added == Grouping(
        added.name, columns=(added.name,), terms=added.terms, correlated=added.correlated
    )
    same = replace(added, terms=known.terms, correlated=known.correlated) == replace(
        known, parametrisation="auto", predictors=()
    )
    # `(1 | classroom)` means the grouping of that name, however its units are told apart.
    if not plain and not same:
        raise SpecError(
            f"The grouping {quoted(known.name)} has other columns in the formula of "
            f"{quoted(predictor)} than in the main one. Write (1 | {name_text(known.name)}) for "
            "the same units, or rename it."
        )
    if known.correlated != added.correlated:
        known, added = split_terms(known), split_terms(added)
    before = known.predictors or ("",) * len(known.terms)
    return replace(
        known,
        terms=(*known.terms, *added.terms),
        predictors=(*before, *(predictor,) * len(added.terms)),
    )


def bar_text(grouping: Grouping) -> str:
    """Return a grouping in lme4 notation."""
    if grouping.multiple:
        inside = [name_text(member) for member in grouping.members]
        if grouping.weights == "whole":
            inside.append('weights="whole"')
        elif grouping.weight_columns:
            weights = ", ".join(name_text(column) for column in grouping.weight_columns)
            inside.append(f"weights=cbind({weights})")
        if grouping.absent is not None:
            absent = grouping.absent
            shown = quoted_text(absent) if isinstance(absent, str) else repr(absent)
            inside.append(f"absent={shown}")
        if grouping.normalise:
            inside.append("normalise=True")
        if grouping.name != grouping.members[0]:
            inside.append(f"name={quoted_text(grouping.name)}")
        if grouping.effects != "normal":
            inside.append(f'dist="{grouping.effects}"')
        group = f"mm({', '.join(inside)})"
    else:
        group = group_text(grouping)
    bar = "|" if grouping.correlated else "||"
    return " + ".join(f"({text.removeprefix('1 + ')} {bar} {group})" for text in grouping.terms)
