"""The groupings of twins and of round robins: their names, and the columns that they read."""

from bayesml.specs.groupings import Grouping
from bayesml.specs.member_terms import role_terms

# The groupings of each letter, and how alike fraternal twins are in them; identical ones agree.
TWIN_PARTS = {"A": ("additive", 0.5), "D": ("dominance", 0.25), "C": ("shared", 1.0)}
TWIN_MODELS = ("ACE", "ADE", "AE", "CE")

# The grouping of the persons of a round robin, and the columns that `with_dyads` adds.
PERSON = "person"
ADDED = ACTOR, PARTNER, DYAD, DIRECTION = "actor", "partner", "dyad", "direction"

# What adds the columns that a structure reads, and how their names begin.
_ADDED_BY = {
    "twins": (
        'with_relatedness(table, pair=..., zygosity=..., identical="MZ")',
        ("additive_", "dominance_", "shared"),
    ),
    "social_relations": ("with_dyads(table, actor=..., partner=...)", ADDED),
    "dyadic": ("with_partners(table, columns, dyad=...)", ("actor_", "partner_")),
}


def added_by(structure: str, column: str) -> str:
    """Return a sentence on the function that adds a column to a table; empty where none does.

    Examples
    --------
    >>> added_by("social_relations", "dyad")
    'In Python bml.with_dyads(table, actor=..., partner=...) adds it. '
    """
    call, names = _ADDED_BY.get(structure, ("", ()))
    return f"In Python bml.{call} adds it. " if names and column.startswith(names) else ""


def twin_grouping(letter: str) -> Grouping:
    """Return the grouping of one part of the variance of twins: ``"A"``, ``"C"`` or ``"D"``.

    Examples
    --------
    >>> twin_grouping("A").members
    ('additive_pair', 'additive_own')
    """
    name, _ = TWIN_PARTS[letter]
    if letter == "C":
        return Grouping(name, columns=(name,))
    return Grouping(
        name,
        members=(f"{name}_pair", f"{name}_own"),
        weights=(f"{name}_pair_weight", f"{name}_own_weight"),
    )


def person_grouping() -> Grouping:
    """Return the grouping of the persons of a round robin, with an actor and a partner effect.

    Examples
    --------
    >>> person_grouping().terms
    ('0 + mmc(1, 0) + mmc(0, 1)',)
    """
    return Grouping(
        PERSON, members=(ACTOR, PARTNER), weights="whole", terms=(role_terms((ACTOR, PARTNER)),)
    )


def dyad_grouping() -> Grouping:
    """Return the grouping of the dyads, where relationships are effects and not residuals.

    A sum and a difference that are independent: the two directions have the same variance, and any
    correlation.

    Examples
    --------
    >>> dyad_grouping().terms
    ('1', '0 + direction')
    """
    return Grouping(DYAD, columns=(DYAD,), terms=("1", f"0 + {DIRECTION}"))
