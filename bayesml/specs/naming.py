"""Column names to identifiers: the one place where a user's name becomes part of code."""

import keyword
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from bayesml.specs.families import FAMILIES
from bayesml.specs.outcome_terms import VALUE

LONGEST = 60

# Names that variables, dims, data arrays and Python already bear in a generated source.
_RESERVED_WORDS = """
    alpha beta beta_sigma sigma cutpoints shape phi corr_residual chain draw sample obs coef
    category predictor cutpoint outcome y offset trials x x_centred x_mean intercept slopes eta
    intercept_at_mean cutpoints_at_mean data coords d model pm pt np build example rng
    posterior value lower upper
    censoring upper_bound entry_time log_density log_survival log_cdf log_cumulative_hazard
    log_between log_duration
    own member outcome_number outcome_bis member_bis chol_residual has_intercept
"""
# The functions that the likelihoods of the families call.
_FUNCTIONS = frozenset(
    name
    for family in FAMILIES.values()
    for text in family.functions.values()
    for name in re.findall(r"^def (\w+)", text, flags=re.MULTILINE)
)
_PARAMETERS = frozenset(
    parameter.name for family in FAMILIES.values() for parameter in family.parameters
)
# What the numbers of priors are called: `sigma_scale`, `slopes_location`.
_PRIOR_NUMBERS = ("location", "scale", "alpha", "beta", "b", "lam", "lower", "upper", "nu")
_WITH_PRIORS = ("intercept", "slopes", *sorted(_PARAMETERS))
# Parameters that may have a linear predictor, and what that adds to a source.
_PREDICTED = tuple(sorted(_PARAMETERS))
_PART_WITH_PRIORS = tuple(
    f"{stem}_{name}" for stem in ("intercept", "slopes") for name in _PREDICTED
)
_PART_PREFIXES = ("beta_", "coef_", "predictor_", "eta_", "x_")

RESERVED = frozenset(
    [
        *_RESERVED_WORDS.split(),
        *_FUNCTIONS,
        *_PARAMETERS,
        "cutpoints_start",
        *(f"variance_{name}" for name in _WITH_PRIORS),
        *(
            f"{name}_{number}"
            for name in (*_WITH_PRIORS, *_PART_WITH_PRIORS)
            for number in _PRIOR_NUMBERS
        ),
        *_PREDICTED,
        *_PART_WITH_PRIORS,
        *(f"{prefix}{name}" for prefix in _PART_PREFIXES for name in _PREDICTED),
        *(f"x_{name}_{kind}" for name in _PREDICTED for kind in ("centred", "mean")),
        *(f"intercept_{name}_at_mean" for name in _PREDICTED),
        *(f"{name}_outcome" for name in (*_PARAMETERS, "intercept")),
    ]
)

# What category-specific effects add to a source.
SPECIFIC_NAMES = frozenset(
    [
        "row_cutpoints",
        "slopes_cs",
        *(f"{prefix}cs" for prefix in _PART_PREFIXES),
        *(f"x_cs_{kind}" for kind in ("centred", "mean")),
        *(f"slopes_cs_{number}" for number in _PRIOR_NUMBERS),
    ]
)

# What a grouping `g` adds: dims g, g_term, g_term_bis, and names with these prefixes.
_DIM_SUFFIXES = ("", "_term", "_term_bis", "_slot", "_rest", "_by")
_PREFIXES = (
    *("sd_", "corr_", "u_", "z_", "chol_", "coef_", "rest_", "variance_"),
    *("unit_", "terms_", "weight_", "shared_", "variance_sd_", "centre_", "first_", "grade_"),
    *("by_", "sd_unit_", "factor_", "scale_", "nu_", "nu_above_2_", "spread_", "mixing_"),
)


# Numbered names: elements of a vector whose priors differ, and units of outer groupings.
_NUMBERED = re.compile(r"component_|outer\d+_")


def identifier(name: str) -> str:
    """Return an identifier for any text: other characters become `_`, reserved names get one more.

    Examples
    --------
    >>> identifier("mean score"), identifier("beta"), identifier("class")
    ('mean_score', 'beta_', 'class_')
    """
    text = unicodedata.normalize("NFKC", str(name))
    text = re.sub(r"\W", "_", text)[:LONGEST] or "_"
    # Python and xarray agree on the identifier only in normalised form; a leading digit or a
    # name of underscores alone gets a letter.
    if not text.isidentifier() or not text.strip("_"):
        text = f"v_{text.strip('_')}" if text.strip("_") else "v_"
    if not text.isidentifier():
        text = re.sub(r"[^0-9A-Za-z_]", "_", text)
    if _NUMBERED.match(text):
        text = f"v_{text}"
    if keyword.iskeyword(text) or keyword.issoftkeyword(text) or text in RESERVED:
        text += "_"
    return text


def _grouping_names(name: str) -> set[str]:
    return (
        {name + suffix for suffix in _DIM_SUFFIXES}
        | {prefix + name for prefix in _PREFIXES}
        | {f"{stem}_{name}_{number}" for stem in ("sd", "nu") for number in _PRIOR_NUMBERS}
        | {f"terms_{name}_{predictor}" for predictor in _PREDICTED}
    )


def _free(name: str, taken: set[str], adds: Callable[[str], set[str]]) -> str:
    candidate, number = name, 2
    while adds(candidate) & taken:
        candidate = f"{name}_{number}"
        number += 1
    taken |= adds(candidate)
    return candidate


def assign_identifiers(
    groupings: Iterable[str], response: str, reserved: Iterable[str] = ()
) -> tuple[Mapping[str, str], str]:
    """Return identifiers of the groupings and of the outcome that clash with nothing.

    Parameters
    ----------
    groupings : iterable of str
        Names of the groupings.
    response : str
        Text of the outcome.
    reserved : iterable of str
        Names that this model's source bears besides those that all bear.

    Returns
    -------
    mapping of str to str, str
        Identifier of each grouping, and of the outcome.

    Examples
    --------
    >>> dict(assign_identifiers(["beta", "beta_"], "y")[0])
    {'beta': 'beta_', 'beta_': 'beta__2'}
    """
    taken = {*RESERVED, *reserved}
    assigned = {name: _free(identifier(name), taken, _grouping_names) for name in groupings}
    outcome = _free(identifier(response), taken, lambda name: {name})
    return MappingProxyType(assigned), outcome


# What an outcome with a likelihood of its own adds to a source, beside its own name.
_OUTCOME_PREFIXES = (
    *("", "y_", "rows_", "obs_", "eta_", "trials_"),
    *("cutpoints_", "cutpoint_", "cutpoints_start_"),
)


def outcome_identifiers(
    outcomes: Iterable[str], groupings: Iterable[str]
) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Return identifiers of the groupings and of outcomes that have a likelihood of their own.

    Parameters
    ----------
    outcomes : iterable of str
        Columns of the outcomes.
    groupings : iterable of str
        Names of the groupings.

    Returns
    -------
    mapping of str to str, tuple of str
        Identifier of each grouping, and of each outcome in order.

    Examples
    --------
    >>> outcome_identifiers(["score", "sigma"], ["school"])[1]
    ('score', 'sigma_')
    """
    # All outcomes together are called so in the results.
    taken = {*RESERVED, VALUE}
    assigned = {name: _free(identifier(name), taken, _grouping_names) for name in groupings}

    def adds(name: str) -> set[str]:
        ends = ("at_mean", *_PRIOR_NUMBERS)
        names = {prefix + name for prefix in _OUTCOME_PREFIXES}
        return names | {f"cutpoints_{name}_{end}" for end in ends}

    own = tuple(_free(identifier(name), taken, adds) for name in outcomes)
    return MappingProxyType(assigned), own
