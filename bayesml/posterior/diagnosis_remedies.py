"""What to do where a check of the draws fails, in words that can be pasted."""

import math

from bayesml.posterior.effect_distributions import sds_by_kind
from bayesml.quantities.prior_distances import boundary_ratio
from bayesml.records.facts import GroupingFacts
from bayesml.records.fits import Fit
from bayesml.specs.distributions import parse_prior

FEWEST_EFFECTIVE_DRAWS = 400
# Lower 5 % point over the median: 0.09 for a half-normal, whose peak is at 0, and 0.27 for a
# Rayleigh, whose density is 0 there.
TOUCHES_ZERO = 0.15


def drawn_by_nuts(fit: Fit) -> bool:
    """Return whether the sampler's statistics are those of NUTS."""
    return any(name in fit.sample_stats for name in ("diverging", "energy", "tree_depth"))


def disagreement_remedy(fit: Fit, label: str) -> str:
    """Return what helps where chains disagree about a parameter."""
    sizes = fit.posterior.sizes
    twice = _round_number(2 * max(fit.draws_asked, sizes["draw"]))
    return (
        f"Fit with more draws and tune (draws={twice}, tune={twice}). If it stays above, the data "
        f"hardly tell some parameters apart: {sd_remedy(fit, label)}, or leave terms out."
    )


def few_draws_remedy(fit: Fit, label: str, effective: float) -> str:
    """Return how many draws a parameter needs, or what helps where those are many."""
    draws = int(fit.posterior.sizes["draw"])
    needed = _round_number(1.2 * draws * FEWEST_EFFECTIVE_DRAWS / max(effective, 1.0))
    words = f"Fit with more draws: about draws={needed}"
    if needed > 10 * draws:
        return f"{words}; since that is many, better {sd_remedy(fit, label)}."
    return f"{words}."


def divergence_remedy(fit: Fit, where: str, side: str) -> str:
    """Return what helps where draws diverge at small or large values of a parameter."""
    first = "Fit with target_accept=0.99. If divergences remain, "
    if where:
        rest = f"{sd_remedy(fit, where)}."
        grouping, term = grouping_of(fit, where)
        if grouping is not None and side == "small" and term not in ("", "Intercept"):
            rest = f"{sd_remedy(fit, where)}, or leave the term {term} out of {grouping.name}."
        return first + rest
    return (
        first + "give the SDs tighter priors or check the model: a variance near 0 or terms that "
        "the data cannot tell apart are the usual cause."
    )


def sd_remedy(fit: Fit, label: str) -> str:
    """Return what helps a parameter of a grouping, in words that can be pasted."""
    grouping, term = grouping_of(fit, label)
    if grouping is None:
        return "look at the traces or give the SDs tighter priors"
    ways = [f"give its SD a tighter prior ({tighter_prior(fit, grouping, term)})"]
    form = _better_form(fit, grouping, term)
    if form:
        ways.append(f"set parametrisation={{{grouping.name!r}: {form!r}}}")
    return " or ".join(ways)


def _better_form(fit: Fit, grouping: GroupingFacts, term: str) -> str:
    """Return the parametrisation that may help; empty where none would, or none is sampled.

    Effects that are centred make a funnel where an SD is near 0, non-centred ones where the rows
    say much of each unit. An SD of any term that is near 0 counts where no term is named.
    """
    if fit.engine == "marginal" or not drawn_by_nuts(fit):
        return ""
    draws = sds_by_kind(fit, grouping).reshape(-1, len(grouping.sd_labels))
    places = [grouping.sd_labels.index(term)] if term else range(len(grouping.sd_labels))
    if any(boundary_ratio(draws[:, place]) < TOUCHES_ZERO for place in places):
        return "" if grouping.non_centred else "non-centred"
    if grouping.centred:
        return "non-centred"
    # Student-t effects of several terms are non-centred always.
    return "" if grouping.student and len(grouping.terms) > 1 else "centred"


def grouping_of(fit: Fit, label: str) -> tuple[GroupingFacts | None, str]:
    """Return the grouping of a label such as `sd_school[x]`, with the term; None where none."""
    for grouping in fit.facts.groupings:
        for kind in ("sd", "corr", "u"):
            stem = f"{kind}_{grouping.name}"
            if label == stem:
                return grouping, ""
            if label.startswith(f"{stem}["):
                inside = label[len(stem) + 1 : -1]
                return grouping, inside if kind == "sd" else ""
    return None, ""


def tighter_prior(fit: Fit, grouping: GroupingFacts, term: str = "") -> str:
    """Return a `priors=` argument with half the prior median of an SD as its scale.

    Parameters
    ----------
    fit : Fit
    grouping : GroupingFacts
    term : str
        The varying term; empty is all of the grouping.
    """
    texts = {key: text for key, text, _ in fit.facts.priors}
    chosen = term or grouping.sd_labels[0]
    key = f"sd_{grouping.name}[{chosen}]"
    scale = float(parse_prior(texts[key], "positive", key).frozen.ppf(0.5)) / 2
    shown = f"sd_{grouping.name}[{term}]" if term else f"sd_{grouping.name}"
    return f"priors={{{shown!r}: 'HalfNormal({scale:.2g})'}}"


def _round_number(value: float) -> int:
    """Return a whole number with two significant digits, rounded up."""
    step = 10 ** max(math.floor(math.log10(max(value, 1.0))) - 1, 0)
    return math.ceil(value / step) * step
