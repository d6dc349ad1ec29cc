"""A grouping: a classification of the rows into units, and the terms that vary over them."""

from dataclasses import dataclass
from typing import Literal

from bayesml.errors import SpecError, quoted

Parametrisation = Literal["auto", "centred", "partly centred", "non-centred"]
Effects = Literal["normal", "student"]
EFFECTS = ("normal", "student")
PARAMETRISATIONS = ("auto", "centred", "partly centred", "non-centred")


@dataclass(frozen=True)
class Grouping:
    """A grouping of the rows, with the terms that vary over its units.

    Parameters
    ----------
    name : str
        Name of the grouping, used in the posterior (`sd_<name>`) and in every table.
    columns : tuple of str
        Columns that hold the labels. Several columns make the label explicit: a unit is a
        combination of their values, outermost first. Empty where `members` is given.
    terms : tuple of str
        Formulas of the varying terms, such as ``"1 + x"``. Terms of one entry are correlated with
        each other, terms of different entries are not (a block-diagonal covariance).
    correlated : bool
        False makes every term of the grouping independent of the others.
    members : tuple of str
        Multiple membership: one column of labels per slot.
    weights : tuple of str, "equal" or "whole"
        Multiple membership: one column of weights per slot, equal shares of the used slots, or
        every used slot counting fully.
    absent : str, int, float or None
        Multiple membership: the label of an unused slot. A missing label is always unused.
    normalise : bool
        Multiple membership: divide each row's weights by their sum.
    parametrisation : {"auto", "centred", "partly centred", "non-centred"}
        How the effects are sampled; "partly centred" is centred for the first term only, "auto"
        chooses from the data.
    by : str or None
        Column that says of which kind each unit is: units of each kind have SDs and correlations
        of their own.
    effects : {"normal", "student"}
        Distribution of the effects; "student" is a Student-t whose degrees of freedom are
        estimated, for units that lie far out.
    predictors : tuple of str
        Linear predictor that each entry of `terms` belongs to: empty for the main one, else the
        parameter's name. Written by a specification from its `distributional` formulas; empty
        means the main one throughout.

    Raises
    ------
    SpecError
        The parts contradict each other.

    Examples
    --------
    >>> Grouping("school", columns=("school",), terms=("1 + standLRT",)).terms
    ('1 + standLRT',)
    """

    name: str
    columns: tuple[str, ...] = ()
    terms: tuple[str, ...] = ("1",)
    correlated: bool = True
    members: tuple[str, ...] = ()
    weights: tuple[str, ...] | Literal["equal", "whole"] = "equal"
    absent: str | int | float | None = None
    normalise: bool = False
    parametrisation: Parametrisation = "auto"
    by: str | None = None
    effects: Effects = "normal"
    predictors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name:
            raise SpecError("A grouping has an empty name. Give it the name of its column.")
        if bool(self.columns) == bool(self.members):
            raise SpecError(
                f"Grouping {quoted(self.name)} needs either columns or members, not "
                f"{'both' if self.columns else 'neither'}. Give one of the two."
            )
        if not self.terms:
            raise SpecError(
                f"Grouping {quoted(self.name)} has no varying term. Use terms = ('1',) for a "
                "varying intercept."
            )
        if self.weights != "equal":
            if not self.members:
                raise SpecError(
                    f"Grouping {quoted(self.name)} has weights but no members. Weights belong to "
                    "multiple membership: name its columns in members."
                )
            if self.weights == "whole" and self.normalise:
                raise SpecError(
                    f"Grouping {quoted(self.name)} has weights = 'whole', where every member "
                    "counts fully, and normalise, which makes them shares. Leave one of them out."
                )
            if self.weights != "whole" and len(self.weights) != len(self.members):
                raise SpecError(
                    f"Grouping {quoted(self.name)} has {len(self.members)} member columns and "
                    f"{len(self.weights)} weight columns. Give one weight column per member "
                    "column, or weights='equal'."
                )
        for columns, what in ((self.columns, "column"), (self.members, "member")):
            repeated = {column for column in columns if columns.count(column) > 1}
            if repeated:
                raise SpecError(
                    f"Grouping {quoted(self.name)} names the {what} {quoted(min(repeated))} twice. "
                    "Name each once."
                )
        if self.parametrisation not in PARAMETRISATIONS:
            raise SpecError(
                f"Grouping {quoted(self.name)} has parametrisation "
                f"{quoted(str(self.parametrisation))}. Allowed: {', '.join(PARAMETRISATIONS)}."
            )
        self._check_distribution()

    def _check_distribution(self) -> None:
        """Raise where the kinds of units, or the distribution of the effects, cannot be used."""
        name = quoted(self.name)
        if self.effects not in EFFECTS:
            raise SpecError(
                f"Grouping {name} has effects {quoted(str(self.effects))}. Allowed: "
                f"{', '.join(EFFECTS)}."
            )
        if self.by == "" or not isinstance(self.by, str | None):
            raise SpecError(
                f"Grouping {name} has by = {quoted(str(self.by))}. Give the column that says of "
                "which kind each unit is."
            )
        if self.by is not None and self.members:
            raise SpecError(
                f"Grouping {name} has by = {quoted(self.by)}, but its rows belong to several units "
                "(multiple membership), which one column cannot tell the kinds of. Leave by out."
            )
        if self.by is not None and self.by in self.columns:
            raise SpecError(
                f"Grouping {name} has by = {quoted(self.by)}, the column of its own labels, so no "
                "two units would share an SD. Name a column with a few kinds of units."
            )
        if self.effects == "student" and self.parametrisation == "partly centred":
            raise SpecError(
                f"Grouping {name} has Student-t effects, which are not sampled partly centred. Use "
                "parametrisation 'auto', 'centred' or 'non-centred'."
            )

    @property
    def weight_columns(self) -> tuple[str, ...]:
        """Columns of weights; empty where the weights are said in a word."""
        return () if isinstance(self.weights, str) else self.weights

    @property
    def multiple(self) -> bool:
        """Whether a row may belong to several units."""
        return bool(self.members)
