"""The families by name.

Adding a family is one record, in the module of its kind of outcome, and one row in the tests. The
generator, the design and the posterior read the record; none of them asks for a family by name.
"""

from bayesml.errors import SpecError, close_name, quoted
from bayesml.specs.binary_families import BINARY_FAMILIES
from bayesml.specs.count_families import COUNT_FAMILIES
from bayesml.specs.duration_families import DURATION_FAMILIES
from bayesml.specs.family_records import Family
from bayesml.specs.nominal_families import NOMINAL_FAMILIES
from bayesml.specs.ordered_families import ORDERED_FAMILIES
from bayesml.specs.positive_families import POSITIVE_FAMILIES
from bayesml.specs.real_families import REAL_FAMILIES

FAMILIES = {
    family.name: family
    for family in (
        *REAL_FAMILIES,
        *POSITIVE_FAMILIES,
        *BINARY_FAMILIES,
        *COUNT_FAMILIES,
        *ORDERED_FAMILIES,
        *NOMINAL_FAMILIES,
        *DURATION_FAMILIES,
    )
}

_ALIASES = {alias: family.name for family in FAMILIES.values() for alias in family.aliases}

# Models that have a name in other software, and are a family here with a table of another shape.
_RESHAPED = dict.fromkeys(
    ("cox", "coxph", "piecewise_exponential", "pem"),
    "A model like Cox's is a Poisson model of split durations: person_period(table, time, event, "
    "cuts=[...]), then family='poisson', exposure='exposure' and 0 + C(period) in the formula. ",
)


def family_named(name: str) -> Family:
    """Return the record of a family.

    Raises
    ------
    SpecError
        There is no family of this name.

    Examples
    --------
    >>> family_named("poisson").links
    ('log',)
    """
    if isinstance(name, str) and name in FAMILIES:
        return FAMILIES[name]
    if str(name) in _ALIASES:
        hint = f"Write {quoted(_ALIASES[str(name)])}. "
    elif str(name) in _RESHAPED:
        hint = _RESHAPED[str(name)]
    else:
        hint = close_name(str(name), list(FAMILIES))
    raise SpecError(f"The family {quoted(name)} is unknown. {hint}Allowed: {', '.join(FAMILIES)}.")
