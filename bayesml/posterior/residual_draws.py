"""Residuals at every level: of the rows, and of the units of a grouping."""

import numpy as np
import pandas as pd

from bayesml.posterior.replicated_rows import (
    DRAWS,
    SAME,
    CheckedRows,
    checked_rows,
    checked_seed,
    outcome_moments,
    predictors_of,
    replications,
)
from bayesml.posterior.summaries import interval_words
from bayesml.posterior.unit_replications import UnitMembers, checked_grouping
from bayesml.quantities.check_statistics import quantile_scores, unit_moments
from bayesml.quantities.intervals import checked_prob, summarise_draws
from bayesml.records.facts import GroupingFacts
from bayesml.records.fits import Fit

# A unit whose posterior is its prior to 99 % has no residual to speak of.
LEAST_LEARNT = 0.01


def residuals(
    fit: Fit,
    level: str | None = None,
    draws: int = DRAWS,
    prob: float = 0.89,
    seed: int | None = None,
) -> pd.DataFrame:
    """Return the residuals of the rows, or of the units of a grouping.

    Rows: with m and s the mean and SD of a row's outcome given the parameters and the effects of
    its units, `residual` is the posterior mean of y - m and `standardised` that of (y - m) / s.
    Units: `residual` is the posterior mean of the random effect u, and
    `standardised` = E(u) / sqrt(E(sd^2) - Var(u)), the posterior mean over what its SD would be
    among units like this one (the diagnostic standard error), standard normal under the model.

    Parameters
    ----------
    fit : Fit
    level : str or None
        Name of a grouping; None is the rows.
    draws : int
        Rows only: number of draws used, evenly spaced over all draws.
    prob : float
        Units only: posterior probability of the equal-tailed interval of u.
    seed : int or None
        Rows only: seed of the replications behind `quantile`; None draws one.

    Returns
    -------
    DataFrame
        Rows, in the order of the table: `row` (its position, from 0), `observed`, `fitted` (the
        posterior mean of m), `residual`, `standardised`, and `quantile`, the randomised quantile
        residual: standard normal under the model for discrete outcomes too, and bounded at about
        the normal scores of 1 / `draws`. Binomial outcomes are shares of the trials, ordered ones
        the category's number from 0. Attributes `draws` and `seed`.

        Units: `unit`, `term`, `rows`, `fitted` (mean over the unit's rows of X beta and the
        offset, link scale), `residual`, `sd`, `lower`, `upper`, `standardised`, and
        `reliability` = 1 - Var(u) / E(sd^2), the share of the variance that the unit's rows have
        made known; `standardised` is NaN below 0.01. Attributes `grouping`, `prob`, `interval`.

    Raises
    ------
    FitError
        There is no such grouping, the fit has no rows, or an argument is out of range.

    Notes
    -----
    Dunn & Smyth (1996), doi:10.1080/10618600.1996.10474708. Langford & Lewis (1998),
    doi:10.1111/1467-985X.00094. Snijders & Berkhof (2008), doi:10.1007/978-0-387-73186-5_3.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> fit = bml.two_level(exam, "normexam ~ standLRT", group="school").fit()  # doctest: +SKIP
    >>> bml.residuals(fit).nlargest(5, "standardised")  # doctest: +SKIP
    >>> bml.residuals(fit, "school").nlargest(5, "standardised")  # doctest: +SKIP
    """
    if level is not None:
        return _unit_residuals(fit, checked_grouping(fit, level), checked_prob(prob))
    return _row_residuals(checked_rows(fit, draws), checked_seed(seed))


def _row_residuals(checked: CheckedRows, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    outcome, number = checked.outcome, checked.draws.number
    fitted, standardised = np.zeros(len(outcome)), np.zeros(len(outcome))
    below, equal = np.zeros(len(outcome)), np.zeros(len(outcome))
    start = 0
    for made in replications(checked, rng, SAME):
        stop = start + made.draws.number
        draws = checked.draws.take(slice(start, stop))
        mean, sd = outcome_moments(checked, draws, predictors_of(checked, draws))
        fitted += mean.sum(axis=0) / number
        standardised += ((outcome - mean) / sd).sum(axis=0) / number
        below += (made.outcome < outcome).sum(axis=0)
        equal += (made.outcome == outcome).sum(axis=0)
        start = stop
    observed = checked.fit.data["observed_data"].to_dataset()
    table = pd.DataFrame(
        {
            "row": observed["obs"].values,
            "observed": outcome,
            "fitted": fitted,
            "residual": outcome - fitted,
            "standardised": standardised,
            "quantile": quantile_scores(below, equal, number, rng),
        }
    )
    table.attrs = {"draws": number, "seed": seed}
    return table


def _unit_residuals(fit: Fit, facts: GroupingFacts, prob: float) -> pd.DataFrame:
    checked = checked_rows(fit, 1)
    name = facts.identifier
    effects = fit.posterior[f"u_{name}"].transpose("chain", "draw", name, f"{name}_term")
    sd = fit.posterior[f"sd_{name}"].transpose("chain", "draw", f"{name}_term").values
    numbers = summarise_draws(effects.values, prob)
    whole = (sd**2).mean(axis=(0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        reliability = np.clip(1 - numbers.sd**2 / whole, 0.0, 1.0)
        standardised = np.where(
            reliability >= LEAST_LEARNT, numbers.mean / np.sqrt(whole * reliability), np.nan
        )
    group = UnitMembers.of(checked, facts)
    units, terms = numbers.mean.shape
    table = pd.DataFrame(
        {
            "unit": np.repeat(effects.coords[name].values, terms),
            "term": list(facts.terms) * units,
            "rows": np.repeat(group.size, terms),
            "fitted": np.repeat(_fixed_by_unit(fit, checked, group), terms),
            "residual": numbers.mean.ravel(),
            "sd": numbers.sd.ravel(),
            "lower": numbers.lower.ravel(),
            "upper": numbers.upper.ravel(),
            "standardised": standardised.ravel(),
            "reliability": reliability.ravel(),
        }
    )
    table.attrs = {"grouping": facts.name, "prob": prob, "interval": interval_words(prob)}
    return table


def _fixed_by_unit(fit: Fit, checked: CheckedRows, group: UnitMembers) -> np.ndarray:
    """Return the mean over each unit's rows of the posterior mean of X beta and the offset."""
    rows = checked.rows
    fixed = rows.offset.astype(float)
    if "beta" in fit.posterior:
        beta = fit.posterior["beta"].mean(("chain", "draw")).values
        fixed = fixed + rows.predictors @ beta
    return unit_moments(fixed[None], group.members)[0][0]
