"""The section of a report that sets the data against data replicated from the fit."""

import pandas as pd

from bayesml.errors import FitError
from bayesml.posterior.check_words import FITS, SUSPICIOUS
from bayesml.posterior.predictive_checks import posterior_checks
from bayesml.records.fits import ROW_GROUPS, Fit
from bayesml.reporting.check_plots import posterior_check_plot
from bayesml.reporting.plots import picture
from bayesml.reporting.sections import Plot, Section
from bayesml.reporting.tables import number_text, share_text

# Enough for p-values beyond 0.01, and quick.
_DRAWS = 250


def checks_section(fit: Fit, prob: float) -> Section:
    """Return which statistics of the data the model does not reproduce, and a plot of all.

    The replications are drawn with the seed of the fit, so that a report is the same again.
    """
    if any(group not in fit.data.children for group in ROW_GROUPS):
        return Section(
            (
                "The fit was saved without its rows, so the data cannot be set against data "
                "replicated from it.",
            )
        )
    try:
        table = posterior_checks(fit, draws=_DRAWS, prob=prob, seed=fit.seed)
    except FitError as error:
        # Not every outcome can be set against replications: censored durations cannot.
        return Section((str(error),))
    failed = table[table["words"] != FITS]
    plot = Plot(
        picture(posterior_check_plot(table)),
        f"{len(table)} statistics of the data as points against the {share_text(prob)} intervals "
        "of replicated data, with p-values.",
        f"Statistics of the data against {table.attrs['draws']} replications (seed "
        f"{table.attrs['seed']}), in half-widths of the {table.attrs['interval']}. Near p = 0 the "
        "data lie above the model, near 1 below; means of units are set against new units.",
    )
    return Section((_summary_words(table, failed),), plots=(plot,), notes=_findings(failed))


def _summary_words(table: pd.DataFrame, failed: pd.DataFrame) -> str:
    """Return how many statistics lie beyond the replications."""
    limits = f"p below {SUSPICIOUS:g} or above {1 - SUSPICIOUS:g}"
    if not len(failed):
        return (
            f"Data drawn from the fitted model look like the data in all {len(table)} statistics "
            f"({limits} would say otherwise)."
        )
    chance = number_text(2 * SUSPICIOUS * len(table), 1)
    return (
        f"Data drawn from the fitted model differ from the data in {len(failed)} of {len(table)} "
        f"statistics ({limits}); among so many, up to {chance} would by chance."
    )


def _findings(failed: pd.DataFrame) -> tuple[str, ...]:
    return tuple(
        f"{row.part}, {row.statistic} (p = {number_text(float(str(row.p_value)), 3)}): {row.words}"
        for row in failed.itertuples()
    )
