"""The rows and units of an example: which rows belong together, and which units they are in."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

from bayesml.codegen.environments import plain
from bayesml.specs.resolved import ResolvedGrouping, ResolvedSpec
from bayesml.specs.small_groups import DIRECTION, DYAD, PERSON, TWIN_PARTS

ROWS = 600
_MEMBERSHIP_UNITS = 60
# Persons of a round robin: everybody rates the others, twenty rows of a group.
_PERSONS = 5


@dataclass(frozen=True)
class Place:
    """Where the units of a grouping come from in the example.

    Parameters
    ----------
    grouping : ResolvedGrouping
    units : int
        Number of units.
    lines : tuple of str
        Source that makes the array of units, and that of weights.
    """

    grouping: ResolvedGrouping
    units: int
    lines: tuple[str, ...]

    @property
    def index(self) -> str:
        """Name of the array of units."""
        return f"unit_{self.grouping.identifier}"


def rows_together(resolved: ResolvedSpec) -> int:
    """Return how many rows beside each other are of one row of the table, or of one pair."""
    if resolved.outcomes and not resolved.nominal:
        return len(resolved.outcomes)
    return 2 if resolved.spec.structure in ("dyadic", "social_relations") else 1


def rows_per_unit(resolved: ResolvedSpec) -> int:
    """Return the number of rows of a unit of correlated residuals."""
    if resolved.residual is not None and resolved.residual.occasions:
        return len(resolved.residual.occasions)
    if rows_together(resolved) > 1:
        return rows_together(resolved)
    return 6 if resolved.spec.structure == "longitudinal" else 5


def example_rows(resolved: ResolvedSpec) -> int:
    """Return the number of rows: whole units only, where rows belong together."""
    size = rows_together(resolved) if resolved.residual is None else rows_per_unit(resolved)
    return ROWS // size * size


def places_of_units(resolved: ResolvedSpec) -> list[Place]:
    """Return the groupings of the example, inner ones before outer ones."""
    columns = {item.name: set(item.columns) for item in resolved.spec.every_grouping}
    slots = {item.name: len(item.members) for item in resolved.spec.every_grouping}
    ordered = sorted(resolved.groupings, key=lambda item: -len(columns[item.name]))
    structure, together = resolved.spec.structure, rows_together(resolved)
    places: list[Place] = []
    for grouping in ordered:
        name = grouping.identifier
        own = columns[grouping.name]
        inner = [place for place in places if own and own < columns[place.grouping.name]]
        if structure == "social_relations":
            units, lines = _round_robin(resolved, grouping)
        elif structure == "twins" and grouping.multiple:
            units, lines = ROWS, _relatedness(grouping, places)
        elif grouping.multiple:
            units, lines = _MEMBERSHIP_UNITS, _membership(name, slots[grouping.name], together)
        elif inner:
            units = ceil(inner[-1].units / 4)
            lines = [f"unit_{name} = {inner[-1].index} // 4  # {units} units"]
        elif not any(place.lines and "obs //" in place.lines[0] for place in places):
            size = {"longitudinal": 6, "twins": 2}.get(structure, 5)
            if structure == "dyadic" and resolved.residual is None:
                size = 1  # the pairs themselves, whose members have effects
            units = ROWS // (size * together)
            words = f"{size * together} rows"
            lines = [f"unit_{name} = obs // {size * together}  # {units} units of {words}"]
        else:
            units = 60
            lines = [f"unit_{name} = rng.integers({units}, size={_each('obs.size', together)}"]
        places.append(Place(grouping, units, tuple(lines)))
    return places


def _each(size: str, together: int, before: str = "", after: str = "") -> str:
    """Return the end of a call that draws something for each group of rows, and repeats it."""
    if together == 1:
        return f"{before}{size}{after})"
    axis = ", axis=0" if after else ""
    return f"{before}{size} // {together}{after}).repeat({together}{axis})"


def _membership(name: str, slots: int, together: int) -> list[str]:
    """Return the lines that draw the units and weights of a multiple membership."""
    first = _each("obs.size", together, "(", ", 1)")
    weights = f"rng.dirichlet(np.ones({slots}), size=obs.size)"
    if together > 1:
        weights = (
            f"rng.dirichlet(np.ones({slots}), size=obs.size // {together})"
            f".repeat({together}, axis=0)"
        )
    return [
        f"# Each row belongs to {slots} of {_MEMBERSHIP_UNITS} units, with weights that sum to 1",
        f"first_{name} = rng.integers({_MEMBERSHIP_UNITS}, size={first}",
        f"unit_{name} = (first_{name} + 7 * np.arange({slots})) % {_MEMBERSHIP_UNITS}",
        f"weight_{name} = {weights}",
    ]


def _relatedness(grouping: ResolvedGrouping, places: Sequence[Place]) -> list[str]:
    """Return the lines of what twins share by their genes: units of pairs, and of single twins."""
    name = grouping.identifier
    alike = dict(TWIN_PARTS.values())[grouping.name]
    lines = [
        f"# {plain(grouping.name)}: identical twins share the unit of their pair, fraternal ones "
        f"are correlated {alike:g} by it, and each has a unit of its own besides"
    ]
    if not any(place.grouping.multiple for place in places):
        lines = [
            "# The twins of a pair are rows beside each other; the first half are identical twins",
            f"identical = obs < {ROWS // 2}",
            *lines,
        ]
    weights = f"[{sqrt(alike):.6g}, {sqrt(1 - alike):.6g}]"
    if alike == 0.5:
        weights = "np.sqrt([0.5, 0.5])"
    return [
        *lines,
        f"unit_{name} = np.column_stack([obs // 2, np.where(identical, 0, obs)])",
        f"weight_{name} = np.where(identical[:, None], [1.0, 0.0], {weights})",
    ]


def _round_robin(resolved: ResolvedSpec, grouping: ResolvedGrouping) -> tuple[int, list[str]]:
    """Return number and lines of the units of round robins; of dyads with two rows a direction."""
    name = grouping.identifier
    repeats = round_robin_repeats(resolved)
    rows = _PERSONS * (_PERSONS - 1) * repeats
    groups = ROWS // rows
    if grouping.name == PERSON:
        twice, again = ("", "") if repeats == 1 else (", twice", ".repeat(2, axis=0)")
        return _PERSONS * groups, [
            f"# Everybody rates the other {_PERSONS - 1} of a group{twice}: actor and partner of "
            "each row, the two directions of a dyad beside each other",
            f"one, other = np.triu_indices({_PERSONS}, 1)",
            f"pairs = np.column_stack([one, other, other, one]).reshape(-1, 2){again}",
            f"unit_{name} = ({_PERSONS} * np.arange({groups})[:, None, None] + pairs)"
            ".reshape(-1, 2)",
            f"weight_{name} = np.ones((obs.size, 2))",
        ]
    if grouping.name == DYAD:
        size = 2 * repeats
        return ROWS // size, [
            f"unit_{name} = obs // {size}  # {ROWS // size} units of {size} rows",
            f"{DIRECTION} = 1 - 2 * (obs // {repeats} % 2)",
        ]
    return groups, [f"unit_{name} = obs // {rows}  # {groups} units of {rows} rows"]


def round_robin_repeats(resolved: ResolvedSpec) -> int:
    """Return how many rows each direction has: two where relationships are not the residuals."""
    return 1 if resolved.residual is not None else 2
