"""The groupings of twins and of round robins: their names, and the columns that they read."""

from bayesml.specs.groupings import Grouping
from bayesml.specs.member_terms import role_terms

# The groupings of each letter, and how alike fraternal twins are in them; identical ones agree.
TWIN_PARTS = {"A": ("additive", 0.5), "D": ("dominance", 0.25), "C": ("shared", 1.0)}
TWIN_MODELS = ("ACE", "ADE", "AE", "CE")

# The grouping of the persons of a round robin, and the columns that `with_dyads` adds.
PERSON = "person"
ADDED = ACTOR, PARTNER, DYAD, DIRECTION = "actor", "partner", "dyad", "direction"


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
