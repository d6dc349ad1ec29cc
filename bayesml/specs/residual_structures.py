"""Structures of the residuals within a unit: which rows are correlated, and how."""

import re
from dataclasses import dataclass

from bayesml.errors import SpecError, did_you_mean, quoted
from bayesml.specs.parsing import name_text, parse, unparse
from bayesml.specs.syntax import Binary, Call, Name, Node

RESIDUAL_STRUCTURES = ("ar1", "continuous_ar", "compound_symmetric", "unstructured")
# Structures that leave nothing for an intercept of the same unit to explain.
SATURATED = ("compound_symmetric", "unstructured")
# Structures that need to know when each row was measured, and those that have no use for it.
_TIMED = ("continuous_ar", "unstructured")
_TIMELESS = ("compound_symmetric",)
_SHAPES = "ar1(time, unit), ar1(unit), continuous_ar(time, unit), compound_symmetric(unit) or "
_SHAPES += "unstructured(occasion, unit)"


@dataclass(frozen=True)
class Residual:
    """Correlated residuals of the rows of a unit; rows of different units are independent.

    Parameters
    ----------
    structure : {"ar1", "continuous_ar", "compound_symmetric", "unstructured"}
        Autoregression over whole-number occasions (or the order of the rows), autoregression over
        continuous time, one correlation for all pairs, or one for each pair of occasions.
    unit : tuple of str
        Columns that hold the unit's label; several together name a unit, outermost first.
    time : str or None
        Column of the time or occasion. "continuous_ar" and "unstructured" need it, "ar1" takes
        the order of the rows without it, "compound_symmetric" has none.

    Raises
    ------
    SpecError
        The parts contradict each other.

    Examples
    --------
    >>> Residual("ar1", ("Mare",), "Time").text
    'ar1(Time, Mare)'
    """

    structure: str
    unit: tuple[str, ...]
    time: str | None = None

    def __post_init__(self) -> None:
        _require_structure(self.structure)
        if not self.unit or not all(self.unit):
            raise SpecError(
                f"The residual structure {quoted(self.structure)} has no unit: rows of one unit "
                "are correlated. Name the unit's column."
            )
        if len(set(self.unit)) < len(self.unit):
            raise SpecError(
                f"The residual structure {quoted(self.structure)} names a column of its unit "
                "twice. Name each once."
            )
        if self.structure in _TIMED and not self.time:
            raise SpecError(
                f"The residual structure {quoted(self.structure)} needs a column of time: write "
                f"{self.structure}(time, {_unit_text(self.unit)})."
            )
        if self.structure in _TIMELESS and self.time is not None:
            raise SpecError(
                f"The residual structure {quoted(self.structure)} has one correlation for all "
                f"pairs of rows and no time: write {self.structure}({_unit_text(self.unit)})."
            )

    @property
    def text(self) -> str:
        """The structure as a call, which `read_residual` reads back."""
        time = [name_text(self.time)] if self.time is not None else []
        return f"{self.structure}({', '.join([*time, _unit_text(self.unit)])})"

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the structure reads."""
        return (*self.unit, *([self.time] if self.time is not None else []))


def read_residual(text: str) -> Residual:
    """Return the residual structure that a call such as ``ar1(Time, Mare)`` describes.

    Parameters
    ----------
    text : str
        ``structure(time, unit)`` or ``structure(unit)``; a unit of several columns is written
        ``school:pupil``, and a column with unusual characters between backticks.

    Returns
    -------
    Residual

    Raises
    ------
    SpecError
        The text is not such a call.
    FormulaError
        The text cannot be parsed.

    Examples
    --------
    >>> read_residual("unstructured(age, school:pupil)").unit
    ('school', 'pupil')
    """
    call = re.match(r"\s*(\w+)\s*\(", text)
    if call is None:
        raise SpecError(f"residual is {quoted(text)}. Write {_SHAPES}.")
    _require_structure(call[1])
    node = parse(text, RESIDUAL_STRUCTURES)
    if not isinstance(node, Call) or node.named or not 1 <= len(node.arguments) <= 2:
        raise SpecError(f"residual is {quoted(text)}. Write {_SHAPES}.")
    *times, unit = node.arguments
    time: str | None = None
    if times:
        if not isinstance(times[0], Name):
            raise SpecError(
                f"In residual = {quoted(text)} the time {unparse(times[0])} is not a column. "
                "Put it into a column of the table and name that."
            )
        time = times[0].name
    return Residual(node.function, _unit_columns(unit, text), time)


def _require_structure(name: str) -> None:
    if name not in RESIDUAL_STRUCTURES:
        raise SpecError(
            f"The residual structure {quoted(str(name))} is unknown. "
            f"{did_you_mean(str(name), RESIDUAL_STRUCTURES)} "
            f"Allowed: {', '.join(RESIDUAL_STRUCTURES)}."
        )


def _unit_columns(node: Node, text: str) -> tuple[str, ...]:
    match node:
        case Name(name):
            return (name,)
        case Binary(":", left, right):
            return (*_unit_columns(left, text), *_unit_columns(right, text))
        case _:
            raise SpecError(
                f"In residual = {quoted(text)} the unit {unparse(node)} is not a column, nor "
                f"columns joined by a colon. Write {_SHAPES}."
            )


def _unit_text(unit: tuple[str, ...]) -> str:
    return ":".join(name_text(column) for column in unit)
