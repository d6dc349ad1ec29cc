"""The call `surv(...)` of an outcome: durations that may be known in part only."""

from dataclasses import dataclass

from bayesml.errors import FormulaError, did_you_mean, quoted
from bayesml.specs.parsing import unparse
from bayesml.specs.syntax import Call, Name, Node, Text

KINDS = ("right", "left", "interval")
_SHAPES = (
    "surv(time, status), with delayed entry surv(entry, time, status), or "
    'surv(lower, upper, kind="interval")'
)


@dataclass(frozen=True)
class DurationCall:
    """What an outcome `surv(...)` says.

    Parameters
    ----------
    time : Node
        The duration; of an interval its lower bound.
    upper : Node or None
        Upper bound of an interval.
    status : Node or None
        1 where the duration ended, 0 where it is censored; None where all ended.
    entry : Node or None
        When a row came under observation; None where all did at 0.
    kind : {"right", "left", "interval"}
        What a status of 0 means; "interval" has bounds in its place.
    """

    time: Node
    upper: Node | None = None
    status: Node | None = None
    entry: Node | None = None
    kind: str = "right"

    @property
    def label(self) -> str:
        """The duration as users read it."""
        text = unparse(self.time, expression=True)
        return text if self.upper is None else f"{text} to {unparse(self.upper, expression=True)}"

    @property
    def bounds(self) -> tuple[str, ...]:
        """The columns that may be empty: an open bound of an interval."""
        if self.upper is None:
            return ()
        return tuple(item.name for item in (self.time, self.upper) if isinstance(item, Name))


def read_durations(node: Node, formula: str) -> DurationCall | None:
    """Return what a call of `surv` says, None for any other outcome.

    Parameters
    ----------
    node : Node
        Left-hand side of the formula: ``surv(time, status)``, ``surv(entry, time, status)``,
        ``surv(lower, upper, kind="interval")``; ``kind="left"`` where a status of 0 means that
        the duration had ended before; ``entry=`` in any of them.
    formula : str
        The whole formula, for messages.

    Raises
    ------
    FormulaError
        The call has too few or too many arguments, or one that it does not know.
    """
    if not (isinstance(node, Call) and node.function == "surv"):
        return None
    named = dict(node.named)
    for key in named:
        if key not in ("kind", "entry"):
            raise FormulaError(
                f"In {quoted(formula)} surv() has no argument {quoted(key)}. "
                f"Allowed: kind, entry. Write {_SHAPES}."
            )
    kind = "right"
    if "kind" in named:
        given = named["kind"]
        kind = given.text if isinstance(given, Text) else unparse(given)
        if kind not in KINDS:
            raise FormulaError(
                f"In {quoted(formula)} kind is {quoted(kind)}. {did_you_mean(kind, KINDS)} "
                f"Allowed: {', '.join(KINDS)}."
            )
    entry, parts = named.get("entry"), node.arguments
    if kind == "interval" and len(parts) == 2:
        return DurationCall(parts[0], upper=parts[1], entry=entry, kind=kind)
    if kind != "interval" and len(parts) == 3 and entry is None:
        return DurationCall(parts[1], status=parts[2], entry=parts[0], kind=kind)
    if kind != "interval" and len(parts) == 2:
        return DurationCall(parts[0], status=parts[1], entry=entry, kind=kind)
    if kind == "right" and len(parts) == 1:
        return DurationCall(parts[0], entry=entry)
    given_words = f"{len(parts)} columns" + (" and entry=" if entry is not None else "")
    raise FormulaError(
        f"In {quoted(formula)} surv() of the kind {quoted(kind)} has {given_words}. "
        f"Write {_SHAPES}."
    )
