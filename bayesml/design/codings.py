"""How the variables of a formula enter a model matrix."""

from dataclasses import dataclass
from typing import Any

from bayesml.specs.member_terms import value_columns


@dataclass(frozen=True)
class Coding:
    """How one variable of the formula enters the matrix.

    Parameters
    ----------
    column : str
        Column of the table.
    label : str
        Its text in coefficient labels: the column, or ``C(column)``.
    levels : tuple
        Levels of a categorical variable, the baseline first; empty for a number.
    outcomes : bool
        Whether the levels are the outcomes that coefficients belong to: their labels then begin
        with the level, ``"written:Intercept"``.
    members : tuple of str
        Of a member's own term ``mmc(x1, x2)``: the column, or the number, of every slot.
    """

    column: str
    label: str
    levels: tuple[Any, ...] = ()
    outcomes: bool = False
    members: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """Columns of the table that the variable is read from."""
        return value_columns(self.members) if self.members else [self.column]
