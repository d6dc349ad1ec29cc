"""All starting points by name: of a structure and a family, and further ones."""

from collections.abc import Callable

from bayesml.codegen.further_starters import FURTHER, mixed_toml
from bayesml.codegen.starters import autoregressive_toml, starter_structures, starter_toml
from bayesml.errors import SpecError, close_name, quoted
from bayesml.specs.families import FAMILIES

# Starting points of one family, or of several: name of the model file, and of its script.
VARIANTS: dict[str, tuple[Callable[[], str], str]] = {
    "longitudinal_ar1": (autoregressive_toml, "longitudinal_ar1_gaussian"),
    "multivariate_mixed": (mixed_toml, "multivariate_mixed"),
}


def starter_families(name: str) -> tuple[str, ...]:
    """Return the families of a starting point; those of `VARIANTS` have none to choose.

    Examples
    --------
    >>> starter_families("dyadic")
    ('gaussian', 'binomial', 'poisson')
    """
    if name in VARIANTS:
        return ()
    return FURTHER[name].families if name in FURTHER else tuple(FAMILIES)


def starter_names() -> tuple[str, ...]:
    """Return the names of all starting points."""
    return (*starter_structures(), *FURTHER, *VARIANTS)


def any_starter_toml(name: str, family: str = "gaussian") -> str:
    """Return a starting point by name: that of a structure and a family, or a further one.

    Parameters
    ----------
    name : str
        A structure with a starting point for every family, or one of `FURTHER`.
    family : str
        Name of a family.

    Raises
    ------
    SpecError
        There is no such starting point.

    Examples
    --------
    >>> any_starter_toml("twins").splitlines()[4]
    'structure = "twins"'
    """
    if name in starter_structures():
        return starter_toml(name, family)
    if name not in starter_names():
        raise SpecError(
            f"The structure {quoted(name)} has no starting point. "
            f"{close_name(name, starter_names())}Allowed: {', '.join(starter_names())}."
        )
    if name in VARIANTS:
        if family != "gaussian":
            raise SpecError(
                f"The starting point {quoted(name)} takes no family. Leave --family out, and "
                "change the families in the file."
            )
        return VARIANTS[name][0]()
    families = FURTHER[name].families
    if family not in families:
        raise SpecError(
            f"The starting point {quoted(name)} has no family {quoted(family)}. "
            f"{close_name(family, families)}Allowed: {', '.join(families)}."
        )
    return FURTHER[name].toml(family)
