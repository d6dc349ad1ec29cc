"""Starting points beyond a structure and a family: small groups, several outcomes, spread."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bayesml.codegen.starters import (
    MORE,
    TERMS,
    starter_groupings,
    starter_head,
    starter_tail,
)
from bayesml.specs.families import FAMILIES
from bayesml.specs.family_records import Family

_TOGETHER = """\
# Two or more columns in mvbind(). Each outcome has its own coefficients and effects of the units,
# which are correlated with those of the others; an outcome that is missing in a row is absent.
"""

_RESIDUALS_TOGETHER = """\
# Whether the residuals of a row's outcomes are correlated, too.
# residual_correlation = false
"""

_BY_OUTCOME = ("# [family]\n", '# written = "gaussian"\n', '# course = "poisson"\n')

_FAMILIES_BY_OUTCOME = f"""\
# Outcomes of different families, in place of the lines of family and link above: effects are
# correlated across all of them, residuals are independent. A table [link] says links in the same
# way.
{"".join(_BY_OUTCOME)}# Ordered outcomes, course = "ordinal", name their categories, lowest first.
# [categories]
# course = ["low", "mid", "high"]
"""

_FAMILY_OF_EACH = """\
# The family of each outcome: effects are correlated across all of them, residuals are independent.
# A table [link] says links in the same way.
"""

_PARTNERS = """\
# actor_stress is a person's own value, partner_stress that of the other one; in Python
# with_partners(table, "stress", dyad="couple") adds such columns.
"""

_TOLD_APART = """\
# The column that tells the two members of a pair apart, each of which has coefficients of its own.
member = "role"
"""

_ALIKE = """\
# Each has a residual SD of its own, too. Where members are alike, such as friends, take the
# starting point "dyadic_exchangeable".
"""

_RESIDUAL_OF_PAIRS = """\
# The residuals of a pair are correlated, negatively too.
[residual]
structure = "unstructured"
unit = ["couple"]
time = "role"

"""

_RESIDUAL_OF_EQUALS = """\
# The residuals of a pair are correlated, negatively too. Members that are told apart have
# coefficients and SDs of their own: see the starting point "dyadic".
[residual]
structure = "compound_symmetric"
unit = ["couple"]

"""

_EFFECTS_OF_PAIRS = """\
# Every member has an effect of its own, by which counts vary more than their likelihood says; those
# of a pair are correlated, negatively too.
[[groupings]]
name = "couple"
columns = ["couple"]
terms = ["1"]

"""

_SITES = """\
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
# In Python with_dyads(table, actor="rater", partner="target") adds the columns actor, partner, dyad
# and direction that are read here.
"""

_PERSONS = """\
# Every person has an effect as actor and one as partner, which are correlated; both members of a
# row count fully.
[[groupings]]
name = "person"
members = ["actor", "partner"]
weights = "whole"
terms = ["0 + mmc(1, 0) + mmc(0, 1)"]

"""

_RELATIONSHIPS = """\
# The relationship effects: what the two directions of a dyad share, and by how much they differ.
# Other outcomes than counts take several rows for each direction: of items, or of times.
[[groupings]]
name = "dyad"
columns = ["dyad"]
terms = ["1", "0 + direction"]

"""

_TEAM = """\
# The group that both persons belong to; delete the entry where there is one group.
[[groupings]]
name = "team"
columns = ["team"]
terms = ["1"]
"""

_RELATIONSHIPS_LEFT = """\

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
{TERMS}terms = ["1 + x"]
{MORE}
# The residual SD has a formula of its own, on the scale of its log: what spreads rows out, and how
# much that differs between units. Other parameters of a likelihood may have one, too.
[distributional]
sigma = "~ x + (1 | school)"
"""


@dataclass(frozen=True)
class FurtherStart:
    """A starting point of a structure that has families of its own.

    Parameters
    ----------
    structure : str
        The structure that its file names.
    title, formula : str
        What the data are, and outcome and predictors.
    after, rest : callable
        What follows the formula, and what follows the family, for a family.
    priors : callable
        Entries of priors that may be changed, for a family, beside those of every model.
    takes : callable
        Whether it has a family.
    end : str
        What stands at the end of the file.
    trials : bool
        Whether successes are out of several trials.
    """

    structure: str
    title: str
    formula: str
    after: Callable[[Family], str]
    rest: Callable[[Family], str]
    priors: Callable[[Family], Sequence[str]]
    takes: Callable[[Family], bool]
    end: str = ""
    trials: bool = False

    @property
    def families(self) -> tuple[str, ...]:
        """Names of the families that it has."""
        return tuple(name for name, family in FAMILIES.items() if self.takes(family))

    def toml(self, family: str) -> str:
        """Return its text for one of its families."""
        record = FAMILIES[family]
        head = starter_head(
            self.title,
            self.structure,
            self.formula,
            self.after(record).removesuffix("\n"),
            record,
            self.families,
            surv=self.structure != "multivariate",
            trials=self.trials,
        )
        parts = [head, self.rest(record), starter_tail(record, self.priors(record))]
        return "\n".join([*parts, *([self.end] if self.end else [])])


def _priors_of_outcomes(family: Family) -> list[str]:
    return [
        '"beta[written:x]" = "Normal(0, 0.5)"',
        'sd_school = "pc(1, 0.05)"',
        '"sd_school[written:x]" = "HalfNormal(0.5)"',
        'corr_school = "LKJ(2)"',
        *(['corr_residual = "LKJ(2)"'] if family.correlated_residuals else []),
    ]


def _priors_of_round_robins(family: Family) -> list[str]:
    relationships = (
        ['corr_residual = "Uniform(0, 1)"']
        if family.correlated_residuals
        else ['sd_dyad = "HalfNormal(0.5)"', '"sd_dyad[direction]" = "HalfNormal(0.3)"']
    )
    return [
        '"beta[x]" = "Normal(0, 0.5)"',
        'sd_person = "pc(1, 0.05)"',
        '"sd_person[actor]" = "HalfNormal(0.5)"',
        'corr_person = "LKJ(2)"',
        'sd_team = "HalfNormal(0.5)"',
        *relationships,
    ]


FURTHER: dict[str, FurtherStart] = {
    "multivariate": FurtherStart(
        "multivariate",
        "Several outcomes of the same rows: the written and the course mark of pupils.",
        "mvbind(written, course) ~ x",
        lambda family: _TOGETHER + (_RESIDUALS_TOGETHER if family.correlated_residuals else ""),
        lambda _: starter_groupings("two_level"),
        _priors_of_outcomes,
        lambda family: family.intercept and family.response != "nominal",
        _FAMILIES_BY_OUTCOME,
    ),
    "dyadic": FurtherStart(
        "dyadic",
        "Pairs whose members are told apart: wife and husband.",
        "response ~ x + actor_stress + partner_stress",
        lambda family: _PARTNERS + _TOLD_APART + (_ALIKE if family.correlated_residuals else ""),
        lambda family: (
            (_RESIDUAL_OF_PAIRS if family.correlated_residuals else _EFFECTS_OF_PAIRS) + _SITES
        ),
        lambda family: [
            'corr_residual = "LKJ(2)"' if family.correlated_residuals else 'corr_couple = "LKJ(2)"'
        ],
        lambda family: family.correlated_residuals or family.takes_row_effects,
        trials=True,
    ),
    "dyadic_exchangeable": FurtherStart(
        "dyadic",
        "Pairs whose members are alike: friends, or flatmates.",
        "response ~ x + actor_stress + partner_stress",
        lambda _: _PARTNERS,
        lambda _: _RESIDUAL_OF_EQUALS + _SITES,
        lambda _: ['corr_residual = "Uniform(-1, 1)"'],
        lambda family: family.correlated_residuals,
    ),
    "twins": FurtherStart(
        "twins",
        "Identical and fraternal twins: variance of genes, shared and own environment (ACE).",
        "response ~ x",
        lambda _: _GENES,
        lambda _: _TWINS,
        lambda _: [
            '"beta[x]" = "Normal(0, 0.5)"',
            'sd_additive = "pc(1, 0.05)"',
            'sd_shared = "HalfNormal(0.5)"',
        ],
        lambda _: True,
    ),
    "social_relations": FurtherStart(
        "social_relations",
        "Round robins, where everybody rates everybody else: actor, partner and relationship.",
        "response ~ x",
        lambda _: _RATINGS,
        lambda family: "".join(
            [_PERSONS, _TEAM, _RELATIONSHIPS_LEFT]
            if family.correlated_residuals
            else [_PERSONS, _RELATIONSHIPS, _TEAM]
        ),
        _priors_of_round_robins,
        lambda family: family.response != "nominal",
    ),
    "location_scale": FurtherStart(
        "two_level",
        "Rows in one grouping whose units differ in their mean and in their spread.",
        "response ~ x",
        lambda _: "",
        lambda _: _SPREAD,
        lambda _: [
            '"beta[x]" = "Normal(0, 0.5)"',
            'sd_school = "pc(1, 0.05)"',
            '"sd_school[x]" = "HalfNormal(0.5)"',
            '"sd_school[sigma:Intercept]" = "HalfNormal(0.5)"',
            'Intercept_sigma = "Normal(0, 1)"',
            'beta_sigma = "Normal(0, 0.5)"',
            'corr_school = "LKJ(2)"',
        ],
        lambda family: family.correlated_residuals,
    ),
}


def mixed_toml() -> str:
    """Return a model of a real outcome and of a count as commented TOML text.

    Examples
    --------
    >>> from bayesml.specs.model_files import spec_from_toml
    >>> spec_from_toml(mixed_toml()).families
    (('written', 'gaussian'), ('course', 'poisson'))
    """
    start = replace(
        FURTHER["multivariate"],
        title="Several outcomes of different families: a mark, and a number of courses.",
        after=lambda _: _TOGETHER,
        priors=lambda family: _priors_of_outcomes(family)[:-1],
        end=_FAMILY_OF_EACH + "".join(line.removeprefix("# ") for line in _BY_OUTCOME),
    )
    text = start.toml("gaussian")
    # Each outcome has a likelihood of its own, and an offset would shift all of them.
    likelihood, groupings = text.index("# Likelihood: "), text.index(starter_groupings("two_level"))
    return text[:likelihood] + text[groupings:]
