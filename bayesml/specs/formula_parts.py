"""The parts of a formula: the outcome, the fixed part, offsets and groupings."""

from dataclasses import dataclass

from bayesml.specs.groupings import Grouping


@dataclass(frozen=True)
class FormulaParts:
    """The parts of a formula.

    Parameters
    ----------
    response : str
        Text of the outcome: a column, an expression of columns, ``cbind(successes, failures)`` or
        ``surv(time, status)``.
    fixed : str
        Text of the fixed part, without bars and offsets.
    offsets : tuple of str
        Texts inside ``offset(...)``.
    groupings : tuple of Grouping
        The groupings of the bars, bars of one grouping joined.
    specific : str
        Terms inside ``cs(...)``, with a coefficient for each cutpoint; empty where there are none.
    """

    response: str
    fixed: str
    offsets: tuple[str, ...]
    groupings: tuple[Grouping, ...]
    specific: str = ""

    @property
    def text(self) -> str:
        """The formula without its bars, in one canonical spelling."""
        return " ".join([self.response, "~", self.right_hand_side])

    @property
    def right_hand_side(self) -> str:
        """The fixed part with its category-specific effects and offsets."""
        specific = [f"cs({self.specific})"] if self.specific else []
        return " + ".join([self.fixed, *specific, *(f"offset({text})" for text in self.offsets)])
