"""What the outcomes of a fit are, in sentences."""

import numpy as np

from bayesml.records.fits import Fit
from bayesml.reporting.tables import number_text


def outcome_sentence(fit: Fit) -> str:
    """Return the outcome, or all of them, with family, link and what is known of it."""
    facts = fit.facts
    words = f"The outcome is {facts.response} (family {facts.family}, link {facts.link})"
    if fit.spec.families:
        outcomes = ", ".join(facts.outcomes)
        ordered = "".join(
            f" {facts.outcomes[item.outcome]} has the categories {', '.join(item.categories)}, "
            "lowest first."
            for item in facts.ordered
        )
        return f"The outcomes are {outcomes} (family {facts.family}, link {facts.link}).{ordered}"
    if facts.categories:
        return f"{words}, with the categories {', '.join(facts.categories)}, lowest first."
    if facts.nominal:
        return (
            f"{words}, with the categories {', '.join(facts.nominal)}; every coefficient is one of "
            f"the log odds against {facts.baseline_category}."
        )
    spread = facts.response_sd if np.isfinite(facts.response_sd) else 0.0
    decimals = 3 if facts.family == "binomial" else 2 if spread == 0 or spread >= 0.1 else 4
    what = "share of successes" if facts.family == "binomial" else "mean"
    mean = number_text(facts.response_mean, decimals)
    known = f" ({facts.censored})" if facts.censored else ""
    return f"{words}: {what} {mean}, SD {number_text(facts.response_sd, decimals)}{known}."
