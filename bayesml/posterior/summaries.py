"""A table of the posterior: one row per scalar."""

from collections.abc import Sequence

import pandas as pd

from bayesml.posterior.labelled_draws import LabelledDraws, labelled_draws
from bayesml.quantities.convergence import convergence_of
from bayesml.quantities.intervals import checked_prob, summarise_draws
from bayesml.records.fits import Fit


def summary(
    fit: Fit, prob: float = 0.89, variables: Sequence[str] | str | None = None
) -> pd.DataFrame:
    """Return posterior summaries and convergence diagnostics, one row per scalar.

    Parameters
    ----------
    fit : Fit
    prob : float
        Posterior probability of the equal-tailed interval.
    variables : sequence of str, str or None
        Names as in the posterior, such as ``["beta", "sd_school"]``; None is everything but the
        random effects ``u_<grouping>``.

    Returns
    -------
    DataFrame
        Index such as ``beta[standLRT]``, ``sd_school[Intercept]``,
        ``corr_school[Intercept, standLRT]``, ``sigma``, ``cutpoints[0|1]``, of an ordered outcome
        among several ``cutpoints_grade[0|1]``. Columns `mean`,
        `median`, `sd`, `lower` and `upper` in the variable's unit (the link scale for `beta`,
        `sd_` and `cutpoints`), `ess_bulk` and `ess_tail` (effective numbers of draws), `r_hat`,
        and `mcse_mean` (Monte Carlo standard error of the mean). The attributes `prob` and
        `interval` say what `lower` and `upper` are.

    Raises
    ------
    FitError
        `prob` is not between 0 and 1, or there is no such variable.

    Notes
    -----
    Rank-normalised split R-hat, bulk ESS and the ESS of the 5 and 95 % quantiles: Vehtari, Gelman,
    Simpson, Carpenter & Bürkner (2021), doi:10.1214/20-BA1221.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> fit = bml.two_level(exam, "normexam ~ standLRT", group="school").fit()  # doctest: +SKIP
    >>> bml.summary(fit).loc["beta[standLRT]", "mean"]  # doctest: +SKIP
    """
    table = summary_table(labelled_draws(fit, variables), prob)
    table.attrs |= {"prob": float(prob), "interval": interval_words(prob)}
    return table


def summary_table(draws: LabelledDraws, prob: float) -> pd.DataFrame:
    """Return the summaries of labelled draws, one row per label."""
    numbers = summarise_draws(draws.values, prob)
    sampled = convergence_of(draws.values)
    return pd.DataFrame(
        {
            "mean": numbers.mean,
            "median": numbers.median,
            "sd": numbers.sd,
            "lower": numbers.lower,
            "upper": numbers.upper,
            "ess_bulk": sampled.ess_bulk,
            "ess_tail": sampled.ess_tail,
            "r_hat": sampled.r_hat,
            "mcse_mean": sampled.mcse_mean,
        },
        index=pd.Index(draws.labels, name="parameter"),
    )


def interval_words(prob: float) -> str:
    """Return what the interval of a table is, in words.

    Examples
    --------
    >>> interval_words(0.89)
    '89 % equal-tailed interval'
    """
    return f"{100 * checked_prob(prob):.10g} % equal-tailed interval"
