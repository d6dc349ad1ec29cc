"""The section of a report on explained variance and differences between units."""

from bayesml.errors import FitError
from bayesml.posterior.explained_variance import r2
from bayesml.posterior.median_ratios import median_odds_ratio, median_rate_ratio
from bayesml.posterior.summaries import interval_words
from bayesml.records.fits import ROW_GROUPS, Fit
from bayesml.reporting.estimates import estimate_table
from bayesml.reporting.sections import SHARES, CaptionedTable, Section, scale_words

_RATIOS = {"logit": ("odds", median_odds_ratio), "log": ("rate", median_rate_ratio)}


def measures_section(fit: Fit, prob: float) -> Section:
    """Return R2, and the median odds or rate ratio between units where the link has one.

    Where a quantity is not defined for the model, its message stands in its place.
    """
    interval = interval_words(prob)
    sentences: list[str] = []
    tables = []
    if any(group not in fit.data.children for group in ROW_GROUPS):
        sentences.append("The fit was saved without its rows, which R2 needs.")
    else:
        try:
            shares = r2(fit, prob=prob)
        except FitError as error:
            sentences.append(str(error))
        else:
            tables.append(
                CaptionedTable(
                    "R2 of Nakagawa & Schielzeth: marginal (predictors) and conditional "
                    f"(predictors and units), with the {interval}",
                    estimate_table(shares.drop(columns="note"), prob, SHARES),
                )
            )
            sentences += [str(note) for note in shares.attrs.get("notes", ())]
    kind, compute = _RATIOS.get(fit.facts.link, ("", None))
    if compute is not None and fit.facts.groupings:
        try:
            ratios = compute(fit, prob=prob)
        except FitError as error:
            sentences.append(str(error))
        else:
            tables.append(
                CaptionedTable(
                    f"Median {kind} ratio between two units, the higher over the lower, with the "
                    f"{interval}",
                    estimate_table(ratios, prob, SHARES),
                )
            )
            if ratios.attrs.get("at"):
                sentences.append(scale_words(ratios).split(". ", 1)[-1])
    return Section(tuple(sentences), tuple(tables))
