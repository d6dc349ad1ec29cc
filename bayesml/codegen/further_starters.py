"""Starting points beyond a structure and a family: small groups, several outcomes, spread."""

from collections.abc import Callable

from bayesml.codegen.starters import (
    _HEAD,
    _MORE,
    _TAIL,
    _TERMS,
    multivariate_toml,
    starter_structures,
    starter_toml,
)
from bayesml.errors import SpecError, did_you_mean, quoted
from bayesml.specs.families import FAMILIES

_LIKELIHOOD = f'# Likelihood: {FAMILIES["gaussian"].description}.\nfamily = "gaussian"\n'

_PARTNERS = """\
# actor_stress is a person's own value, partner_stress that of the other one; in Python
# with_partners(table, "stress", dyad="couple") adds such columns.
# The column that tells the two members of a pair apart: each has coefficients and a residual SD of
# its own. Delete the line where members are alike, such as twins or friends, and see below.
member = "role"
"""

_COUPLES = """\
# The residuals of a pair are correlated, negatively too. Of members that are alike the structure is
# "compound_symmetric", without the line of the time.
[residual]
structure = "unstructured"
unit = ["couple"]
time = "role"

# A grouping that contains the pairs.
# [[groupings]]
# name = "site"
# columns = ["site"]
# terms = ["1"]
"""

_GENES = """\
# In Python with_relatedness(table, pair="family", zygosity="zygosity", identical="MZ") adds the
# columns of the groupings.
"""

_TWINS = """\
# Additive genes (A): identical twins share a unit, fraternal ones half of it.
[[groupings]]
name = "additive"
members = ["additive_pair", "additive_own"]
weights = ["additive_pair_weight", "additive_own_weight"]
terms = ["1"]

# The environment that twins share (C). For dominance (D) in its place write an entry like that of
# the additive genes, with "dominance" for "additive"; for AE delete this one.
[[groupings]]
name = "shared"
columns = ["shared"]
terms = ["1"]
"""

_RATINGS = """\
# In Python with_dyads(table, actor="rater", partner="target") adds the columns actor, partner and
# dyad that are read here.
"""

_ROUND_ROBIN = """\
# Every person has an effect as actor and one as partner, which are correlated; both members of a
# row count fully.
[[groupings]]
name = "person"
members = ["actor", "partner"]
weights = "whole"
terms = ["0 + mmc(1, 0) + mmc(0, 1)"]

# The group that both persons belong to; delete the entry where there is one group.
[[groupings]]
name = "team"
columns = ["team"]
terms = ["1"]

# The relationship effects are the residuals; those of the two directions of a dyad are correlated,
# negatively too.
[residual]
structure = "compound_symmetric"
unit = ["dyad"]
"""

_SPREAD = f"""\
# The grouping: its column, and what varies over its units.
[[groupings]]
name = "school"
columns = ["school"]
{_TERMS}terms = ["1 + x"]
{_MORE}
# The residual SD has a formula of its own, on the scale of its log: what spreads rows out, and how
# much that differs between units. Other parameters of a likelihood may have one, too.
[distributional]
sigma = "~ x + (1 | school)"
"""


def _text(
    structure: str, title: str, formula: str, after: str, rest: str, priors: list[str]
) -> str:
    head = _HEAD.format(
        title=title, structure=structure, formula=formula, time=after, family=_LIKELIHOOD
    )
    lines = ['Intercept = "Normal(0, 5)"', 'beta = "Normal(0, 1)"', *priors]
    return "\n".join([head, rest, _TAIL.format(priors="\n".join(f"# {line}" for line in lines))])


def dyadic_toml() -> str:
    """Return a model of couples with actor and partner effects as commented TOML text.

    Examples
    --------
    >>> from bayesml.specs.model_files import spec_from_toml
    >>> spec_from_toml(dyadic_toml()).member
    'role'
    """
    return _text(
        "dyadic",
        "Pairs whose members are told apart: wife and husband.",
        "response ~ x + actor_stress + partner_stress",
        _PARTNERS,
        _COUPLES,
        ['sigma = "HalfStudentT(4, 1)"', 'corr_residual = "LKJ(2)"'],
    )


def twins_toml() -> str:
    """Return an ACE model of twins as commented TOML text.

    Examples
    --------
    >>> from bayesml.specs.model_files import spec_from_toml
    >>> [grouping.name for grouping in spec_from_toml(twins_toml()).groupings]
    ['additive', 'shared']
    """
    return _text(
        "twins",
        "Identical and fraternal twins: variance of genes, shared and own environment (ACE).",
        "response ~ x",
        _GENES,
        _TWINS,
        [
            '"beta[x]" = "Normal(0, 0.5)"',
            'sd_additive = "pc(1, 0.05)"',
            'sd_shared = "HalfNormal(0.5)"',
            'sigma = "HalfStudentT(4, 1)"',
        ],
    )


def social_relations_toml() -> str:
    """Return a social-relations model of round robins as commented TOML text.

    Examples
    --------
    >>> from bayesml.specs.model_files import spec_from_toml
    >>> spec_from_toml(social_relations_toml()).residual.text
    'compound_symmetric(dyad)'
    """
    return _text(
        "social_relations",
        "Round robins, where everybody rates everybody else: actor, partner and relationship.",
        "response ~ x",
        _RATINGS,
        _ROUND_ROBIN,
        [
            '"beta[x]" = "Normal(0, 0.5)"',
            'sd_person = "pc(1, 0.05)"',
            '"sd_person[actor]" = "HalfNormal(0.5)"',
            'corr_person = "LKJ(2)"',
            'sd_team = "HalfNormal(0.5)"',
            'sigma = "HalfStudentT(4, 1)"',
            'corr_residual = "Uniform(0, 1)"',
        ],
    )


def location_scale_toml() -> str:
    """Return a model whose residual SD differs between units as commented TOML text.

    Examples
    --------
    >>> from bayesml.specs.model_files import spec_from_toml
    >>> spec_from_toml(location_scale_toml()).distributional
    (('sigma', '~ x + (1 | school)'),)
    """
    return _text(
        "two_level",
        "Rows in one grouping whose units differ in their mean and in their spread.",
        "response ~ x",
        "",
        _SPREAD,
        [
            '"beta[x]" = "Normal(0, 0.5)"',
            'sd_school = "pc(1, 0.05)"',
            '"sd_school[x]" = "HalfNormal(0.5)"',
            '"sd_school[sigma:Intercept]" = "HalfNormal(0.5)"',
            'Intercept_sigma = "Normal(0, 1)"',
            'beta_sigma = "Normal(0, 0.5)"',
            'corr_school = "LKJ(2)"',
        ],
    )


FURTHER: dict[str, Callable[[], str]] = {
    "multivariate": multivariate_toml,
    "dyadic": dyadic_toml,
    "twins": twins_toml,
    "social_relations": social_relations_toml,
    "location_scale": location_scale_toml,
}


def any_starter_toml(name: str, family: str = "gaussian") -> str:
    """Return a starting point by name: that of a structure and a family, or a further one.

    Parameters
    ----------
    name : str
        A structure with a starting point for every family, or one of `FURTHER`.
    family : str
        Name of a family; the further ones are Gaussian.

    Raises
    ------
    SpecError
        There is no such starting point.

    Examples
    --------
    >>> any_starter_toml("twins").splitlines()[4]
    'structure = "twins"'
    """
    if name not in FURTHER:
        if name not in starter_structures():
            allowed = (*starter_structures(), *FURTHER)
            raise SpecError(
                f"The structure {quoted(name)} has no starting point. "
                f"{did_you_mean(name, allowed)} Allowed: {', '.join(allowed)}."
            )
        return starter_toml(name, family)
    if family != "gaussian":
        raise SpecError(
            f"The starting point {quoted(name)} is one of the family 'gaussian', not of "
            f"{quoted(family)}. Leave --family out, and change the family in the file where it "
            "says that others are possible."
        )
    return FURTHER[name]()
