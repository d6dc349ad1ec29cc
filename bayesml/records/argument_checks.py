"""Checks of the builders' arguments: names, lists of names, flags and plain values."""

from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import pandas as pd

from bayesml.errors import SpecError, listed, quoted
from bayesml.specs.families import family_named
from bayesml.specs.family_records import Family
from bayesml.tables.checks import require_columns


def require_flag(value: Any, name: str) -> None:
    """Raise where an argument is not True or False.

    Raises
    ------
    SpecError
    """
    if not isinstance(value, bool):
        raise SpecError(f"{name} is {quoted(value)}. Give True or False.")


def require_name(value: Any, name: str) -> str:
    """Return an argument that is the name of one column.

    Raises
    ------
    SpecError
    """
    if not isinstance(value, str):
        raise SpecError(
            f"{name} is {quoted(value)} of type {type(value).__name__}, not a column name. Give "
            "one column as text."
        )
    return value


def require_names(values: Any, name: str, example: str) -> list[str]:
    """Return an argument that is a list of column names.

    Raises
    ------
    SpecError
    """
    if isinstance(values, Mapping) or not isinstance(values, Iterable) or isinstance(values, str):
        raise SpecError(
            f"{name} is {quoted(values)} of type {type(values).__name__}. Give a list such as "
            f"{example}."
        )
    return [require_name(value, f"an item of {name}") for value in values]


def plain_value(value: Any, name: str) -> Any:
    """Return a text or number as Python's own type, None for a missing one.

    Raises
    ------
    SpecError
        The value is neither.
    """
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, Real) and not isinstance(value, bool):
        if value != value:
            return None
        return int(value) if isinstance(value, Integral) else float(value)
    raise SpecError(
        f"{name} holds {quoted(value)} of type {type(value).__name__}. Give text or numbers."
    )


def categories_given(values: Any) -> dict[str, Any]:
    """Return the categories of an outcome, by outcome where a mapping says them.

    Returns
    -------
    dict
        The entry `categories` or `categories_by_outcome` of a specification.

    Raises
    ------
    SpecError
        They are no list.
    """
    if isinstance(values, Mapping):
        own = tuple((str(name), _listed_categories(items)) for name, items in values.items())
        return {"categories_by_outcome": own}
    return {"categories": _listed_categories(values)}


def _listed_categories(values: Any) -> tuple[Any, ...]:
    if isinstance(values, str):
        raise SpecError(f"categories is the text {quoted(values)}. Give a list of categories.")
    if not isinstance(values, Iterable):
        raise SpecError(
            f"categories holds {quoted(values)} of type {type(values).__name__}. Give a list of "
            "categories, lowest first."
        )
    return tuple(plain_value(value, "categories") for value in values)


def grouping_names(groups: Any, frame: pd.DataFrame) -> list[str]:
    """Return the columns of several groupings.

    Raises
    ------
    SpecError, TableError
    """
    names = [groups] if isinstance(groups, str) else groups
    names = require_names(names, "groups", "['class', 'school']")
    require_columns(frame, names, "grouping")
    return names


def member_columns(members: Any, frame: pd.DataFrame) -> list[str]:
    """Return the columns of a multiple membership's slots.

    Raises
    ------
    SpecError, TableError
    """
    slots = require_names(members, "members", "['company', 'company2']")
    if len(slots) < 2:
        raise SpecError(
            f"members lists {listed(slots) or 'nothing'}. Give two or more columns of labels, one "
            "per slot."
        )
    require_columns(frame, slots, "member")
    return slots


def check_growth(growth: Any) -> None:
    """Raise where the degree of the growth curve cannot be used.

    Raises
    ------
    SpecError
    """
    if isinstance(growth, bool) or not isinstance(growth, int) or not 0 <= growth <= 5:
        raise SpecError(f"growth is {quoted(str(growth))}. Give a whole number from 0 to 5.")


def weight_columns(weights: Any) -> Any:
    """Return the columns of a multiple membership's weights, or the word for them.

    Raises
    ------
    SpecError
    """
    if isinstance(weights, str):
        if weights not in ("equal", "whole"):
            raise SpecError(
                f"weights is {quoted(weights)}. Give one column per slot in a list, 'equal' "
                "(shares of the slots in use), or 'whole' (every slot counts fully)."
            )
        return weights
    return tuple(require_names(weights, "weights", "['weight1', 'weight2']"))


def one_family(family: Any, structure: str) -> Family:
    """Return the record of the family of a builder that has one outcome.

    Raises
    ------
    SpecError
        It is a mapping by outcome, or there is no such family.
    """
    if family is not None and not isinstance(family, str):
        raise SpecError(f"{structure} has one outcome. Give one family: family='gaussian'.")
    return family_named(family or "gaussian")


def tells_rows_apart(record: Family, trials: Any, formula: str) -> bool:
    """Whether effects of single rows are told from how the likelihood scatters them.

    Parameters
    ----------
    record : Family
    trials : str, int or None
        As the builder got it.
    formula : str
        Whose outcome ``cbind(...)`` says the trials, too.
    """
    several = trials not in (None, 1) or formula.lstrip().startswith("cbind(")
    return record.takes_row_effects and (record.response == "count" or several)
