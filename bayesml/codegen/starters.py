"""Starting points: for each structure and family a small model as a commented TOML text.

Five pieces for the structures, and what the record of a family says; a text is one of each.
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from bayesml.errors import SpecError, did_you_mean, quoted
from bayesml.specs.families import FAMILIES
from bayesml.specs.family_records import Family
from bayesml.specs.model_files import spec_from_toml
from bayesml.specs.modelspec import ModelSpec

_HEAD = """\
# {title}
# Change the column names to those of your table; delete what you do not need. Lines that begin
# with # are comments: remove the # to use the entry.
format = 1
structure = "{structure}"

# Outcome ~ predictors. x * z adds both and their product, I(age ** 2) a power, log(x) a logarithm;
# 1 is the intercept, which is there anyway.
formula = "{formula}"
{time}
{family}
# A known part of the linear predictor, with a coefficient of 1 (a column).
# offset = "offset_column"
"""

# What a model file may say of outcomes of one kind.
_OPTIONS = {
    "binary": """\
# The number of trials of each row (a column, or one number), where the outcome counts successes.
# trials = "trials"
# The value that counts as 1, where the outcome holds two labels.
# success = "yes"
""",
    "count": """\
# How long or how many each count was taken over; the model is then one of rates. Delete the line
# where all rows have the same exposure.
exposure = "exposure"
""",
    "ordered": """\
# The outcome's labels, lowest first. Delete the line where the outcome holds whole numbers.
categories = ["very low", "low", "high", "very high"]
""",
    "nominal": """\
# The outcome's labels, the baseline first: every other has coefficients and effects of its own,
# which are log odds against the baseline. Delete the line for the labels in alphabetical order.
categories = ["none", "pill", "other"]
""",
}

_DURATIONS = """\
# surv(time, status): a status of 1 is a duration that ended, 0 one that was still going on when it
# was last seen. surv(entry, time, status) has delayed entry, surv(lower, upper, kind="interval")
# durations between two times. Write the column alone where every duration was observed whole.
"""

_TRIALS = """\
# The number of trials of each row (a column, or one number).
trials = "trials"
"""

TERMS = """\
# What varies over the units: 1 is the intercept, x the coefficient of x. Terms in one entry are
# correlated with each other; ["1", "0 + x"] makes them independent.
"""

MORE = """\
# Whether the terms of an entry are correlated at all.
# correlated = false
# How the effects are sampled: "auto" chooses from the table, else "centred" or "non-centred".
# parametrisation = "auto"
"""

_STRUCTURES = {
    "two_level": (
        "Rows in one grouping: pupils in schools.",
        "response ~ x",
        "",
        f"""\
# The grouping: its column, and what varies over its units.
[[groupings]]
name = "school"
columns = ["school"]
{TERMS}terms = ["1 + x"]
{MORE}""",
    ),
    "three_level": (
        "Rows in two nested groupings: pupils in classrooms in schools.",
        "response ~ x",
        "",
        f"""\
# The inner grouping. Two columns make its labels explicit: classroom 1 of two schools are two
# classrooms.
[[groupings]]
name = "classroom"
columns = ["school", "classroom"]
# Only the intercept varies over classrooms.
terms = ["1"]

# The outer grouping.
[[groupings]]
name = "school"
columns = ["school"]
{TERMS}terms = ["1 + x"]
{MORE}""",
    ),
    "cross_classified": (
        "Rows in two groupings that cross: pupils by primary and by secondary school.",
        "response ~ x",
        "",
        f"""\
# The first grouping; its labels are taken as they are.
[[groupings]]
name = "primary"
columns = ["primary"]
{TERMS}terms = ["1 + x"]
{MORE}
# The second grouping; add more entries for more groupings.
[[groupings]]
name = "secondary"
columns = ["secondary"]
# Only the intercept varies over secondary schools.
terms = ["1"]
""",
    ),
    "multiple_membership": (
        "Rows that belong to several units: workers and their employers.",
        "response ~ x",
        "",
        f"""\
# The grouping: one column of labels for each slot, and one column of weights for each slot.
[[groupings]]
name = "company"
members = ["company1", "company2", "company3"]
# The weights of a row sum to 1; weights = "equal" shares equally among the slots in use.
weights = ["weight1", "weight2", "weight3"]
# The label of a slot that is not used; an empty cell is never used.
# absent = 0
# Divide the weights of each row by their sum.
# normalise = true
{TERMS}terms = ["1 + x"]
{MORE}""",
    ),
    "longitudinal": (
        "Occasions in units that are measured repeatedly: persons over time.",
        "response ~ x + time",
        '# A curve: "response ~ x + time + I(time ** 2)", with "1 + time + I(time ** 2)" below.',
        f"""\
# The unit that is measured repeatedly. The SD of its intercept holds where time is 0.
[[groupings]]
name = "person"
columns = ["person"]
{TERMS.replace("x the coefficient of x", "time the slope over time").replace("0 + x", "0 + time")}\
terms = ["1 + time"]
{MORE}""",
    ),
}

_TAIL = """\
# Priors in place of the defaults, which follow the table (Model.priors shows them with numbers).
# pc(U, alpha) is an exponential prior with a probability of alpha that the SD exceeds U.
# [priors]
{priors}

# The level that a predictor with labels is compared with, where it is not the first.
# [baseline]
# sex = "female"
"""


_RESIDUAL = """\
# How the residuals of a unit's rows are correlated: "ar1" counts
# whole-number occasions, or without the line of the time the order of the rows; "continuous_ar"
# takes any times; "compound_symmetric" (no time) and "unstructured" take the place of everything
# that varies over the unit: delete [[groupings]] then.
# [residual]
# structure = "ar1"
# unit = ["person"]
# time = "time"
"""


def templates_folder() -> Path:
    """Return the folder with the model files and scripts, in a checkout or as installed.

    Returns
    -------
    Path
        ``model_templates/`` inside the package where it was installed, else beside it.
    """
    package = Path(__file__).parent.parent
    installed = package / "model_templates"
    return installed if installed.is_dir() else package.parent / "model_templates"


def starter_structures() -> tuple[str, ...]:
    """Return the structures that have a starting point."""
    return tuple(_STRUCTURES)


def starter_groupings(structure: str) -> str:
    """Return the groupings of a starting point as commented TOML text.

    Examples
    --------
    >>> starter_groupings("two_level").splitlines()[1:4]
    ['[[groupings]]', 'name = "school"', 'columns = ["school"]']
    """
    return _STRUCTURES[structure][3]


def starter_toml(structure: str, family: str = "gaussian") -> str:
    """Return a model of a structure and a family as commented TOML text.

    Parameters
    ----------
    structure : {"two_level", "three_level", "cross_classified", "multiple_membership", \
"longitudinal"}
    family : str
        Name of a family.

    Returns
    -------
    str
        Text that `spec_from_toml` reads.

    Raises
    ------
    SpecError
        There is no such structure or family.

    Examples
    --------
    >>> spec_from_toml(starter_toml("two_level")).text
    'response ~ x + (x | school)'
    """
    for name, allowed, what in (
        (structure, list(_STRUCTURES), "structure"),
        (family, list(FAMILIES), "family"),
    ):
        if name not in allowed:
            raise SpecError(
                f"The {what} {quoted(name)} has no starting point. {did_you_mean(name, allowed)} "
                f"Allowed: {', '.join(allowed)}."
            )
    title, formula, time, groupings = _STRUCTURES[structure]
    head = starter_head(title, structure, formula, time, FAMILIES[family], list(FAMILIES))
    text = "\n".join([head, groupings, starter_tail(FAMILIES[family], _prior_lines(structure))])
    repeated = structure == "longitudinal" and FAMILIES[family].correlated_residuals
    return f"{text}\n{_RESIDUAL}" if repeated else text


def autoregressive_toml() -> str:
    """Return the growth model of `starter_toml` with autoregressive residuals.

    Examples
    --------
    >>> spec_from_toml(autoregressive_toml()).text
    'response ~ x + time + (time | person), residual ar1(time, person)'
    """
    lines = _RESIDUAL.splitlines()
    entry = lines[lines.index("# [residual]") :]
    text = starter_toml("longitudinal")
    return text.replace("\n".join(entry), "\n".join(line.removeprefix("# ") for line in entry))


def starter_spec(structure: str, family: str = "gaussian") -> ModelSpec:
    """Return the model of a starting point.

    Raises
    ------
    SpecError
        There is no such structure or family.

    Examples
    --------
    >>> starter_spec("longitudinal", "poisson").exposure
    'exposure'
    """
    return spec_from_toml(starter_toml(structure, family), f"the starting point {structure}")


def starter_head(
    title: str,
    structure: str,
    formula: str,
    after: str,
    family: Family,
    allowed: Sequence[str],
    surv: bool = True,
    trials: bool = False,
) -> str:
    """Return the first part of a model file: the outcome, the predictors and the family.

    Parameters
    ----------
    title, structure, formula : str
    after : str
        Entries and comments that follow the formula.
    family : Family
    allowed : sequence of str
        The families that the structure may have, the first of which names the others.
    surv : bool
        Whether durations may be censored.
    trials : bool
        Whether successes are out of several trials, whatever the family.
    """
    censored = surv and family.durations is not None
    head = _HEAD.format(
        title=title,
        structure=structure,
        formula=formula.replace("response", "surv(response, status)") if censored else formula,
        time=f"{after}\n" if after else "",
        family=_family_lines(family, allowed, censored, trials),
    )
    if family.response == "nominal":
        # Which of its linear predictors an offset would shift is not said.
        head = head[: head.index("\n# A known part")]
    return head


def _family_lines(family: Family, allowed: Sequence[str], censored: bool, trials: bool) -> str:
    links = list(family.links)
    words = " or ".join([", ".join(links[:-1]), links[-1]] if links[1:] else links)
    lines = f"""\
# Likelihood: {family.description}.
family = "{family.name}"
# The link: {words}.
link = "{links[0]}"
"""
    options = _DURATIONS if censored else _OPTIONS.get(family.response, "")
    if family.needs_trials or (trials and family.response == "binary"):
        options = _TRIALS
    if family.name == allowed[0] and allowed[1:]:
        words = (
            f"Other families: {', '.join(allowed[1:])}; `bayesml new STRUCTURE --family NAME` "
            "shows what each may have."
        )
        lines_of = textwrap.wrap(words, 98, break_on_hyphens=False)
        options = "".join(f"# {line}\n" for line in lines_of)
    return lines + options


def starter_tail(family: Family, priors: Sequence[str]) -> str:
    """Return the last part of a model file: the priors that may be changed, and the baseline."""
    lines = ['Intercept = "Normal(0, 5)"'] if family.intercept else []
    lines += ['beta = "Normal(0, 1)"', *priors]
    if family.response == "nominal":
        # A coefficient or varying term belongs to one category.
        lines = [line.replace("[", "[pill:") for line in lines]
    lines += [
        f'{item.name} = "{item.default.format(s="1")}"'
        for item in family.parameters
        # One with a formula has priors of its coefficients instead.
        if not any(line.startswith(f"Intercept_{item.name} ") for line in priors)
    ]
    return _TAIL.format(priors="\n".join(f"# {line}" for line in lines))


def _prior_lines(structure: str) -> list[str]:
    varying = {
        "two_level": ("school", "x"),
        "three_level": ("school", "x"),
        "cross_classified": ("primary", "x"),
        "multiple_membership": ("company", "x"),
        "longitudinal": ("person", "time"),
    }
    name, term = varying[structure]
    return [
        '"beta[x]" = "Normal(0, 0.5)"',
        f'sd_{name} = "pc(1, 0.05)"',
        f'"sd_{name}[{term}]" = "HalfNormal(0.5)"',
        f'corr_{name} = "LKJ(2)"',
    ]
