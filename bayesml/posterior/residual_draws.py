"""Residuals at every level: of the rows, and of the units of a grouping."""

import numpy as np
import pandas as pd

from bayesml.posterior.effect_distributions import require_one_covariance, require_shared_terms
from bayesml.posterior.predictor_arrays import predictor_coefficients
from bayesml.posterior.predictor_terms import refuse_nominal
from bayesml.posterior.replicated_rows import (
    DRAWS,
    CheckedRows,
    checked_rows,
    checked_seed,
    chosen_places,
    draw_blocks,
    outcome_moments,
    predictors_of,
    simulated_outcomes,
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
    among units like this one (the diagnostic standard error), standard normal where a Gaussian
    model holds.

    Posterior means lie nearer to the fitted values, or to 0, than the truth does, the more so the
    fewer rows a unit has. `realised` and `quantile` come from one draw of the parameters and
    effects, chosen by the seed: they are standard normal where the model holds, also with two
    rows a unit (Yuan & Johnson 2012).

    Parameters
    ----------
    fit : Fit
    level : str or None
        Name of a grouping; None is the rows.
    draws : int
        Rows only: number of draws used for the posterior means, evenly spaced over all draws, and
        of replications for `quantile`.
    prob : float
        Units only: posterior probability of the equal-tailed interval of u.
    seed : int or None
        Chooses the one draw, and replicates from it; None draws a seed.

    Returns
    -------
    DataFrame
        Rows, in the order of the table: `row` (its position, from 0), `observed`, `fitted` (the
        posterior mean of m), `residual`, `standardised`, `realised` ((y - m) / s of one draw) and
        `quantile`, the randomised quantile residual of that draw, for discrete outcomes too; it is
        bounded at about the normal scores of 1 / `draws`. Binomial outcomes are shares of the
        trials, ordered ones the category's number from 0. Attributes `draws`, `draw` (the one, of
        all chains) and `seed`.

        Units: `unit`, `term`, `rows`, `fitted` (mean over the unit's rows of X beta and the
        offset, link scale), `residual`, `sd`, `lower`, `upper`, `standardised`, `realised` (u / sd
        of one draw) and `reliability` = 1 - Var(u) / E(sd^2), the share of the variance that the
        unit's rows have made known; `standardised` is NaN below 0.01. Attributes `grouping`,
        `prob`, `interval`, `draw` and `seed`.

    Raises
    ------
    FitError
        There is no such grouping, the fit has no rows, or an argument is out of range.

    Notes
    -----
    Dunn & Smyth (1996), doi:10.1080/10618600.1996.10474708. Langford & Lewis (1998),
    doi:10.1111/1467-985X.00094. Snijders & Berkhof (2008), doi:10.1007/978-0-387-73186-5_3.
    Yuan & Johnson (2012), doi:10.1111/j.1541-0420.2011.01668.x.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> fit = bml.two_level(exam, "normexam ~ standLRT", group="school").fit()  # doctest: +SKIP
    >>> bml.residuals(fit).nlargest(5, "standardised")  # doctest: +SKIP
    >>> bml.residuals(fit, "school").nlargest(5, "standardised")  # doctest: +SKIP
    """
    seed = checked_seed(seed)
    if level is not None:
        return _unit_residuals(fit, checked_grouping(fit, level), checked_prob(prob), seed)
    refuse_nominal(
        fit.facts, "bml.residuals of rows", "Use bml.posterior_checks(fit), or name a grouping."
    )
    return _row_residuals(checked_rows(fit, draws), seed)


def _row_residuals(checked: CheckedRows, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    outcome, number = checked.outcome, checked.draws.number
    fitted, standardised = np.zeros(len(outcome)), np.zeros(len(outcome))
    for block in draw_blocks(checked):
        mean, sd = outcome_moments(checked, block, predictors_of(checked, block))
        fitted += mean.sum(axis=0) / number
        standardised += ((outcome - mean) / sd).sum(axis=0) / number
    place = int(rng.integers(number))
    one = checked.draws.take(np.array([place]))
    eta = predictors_of(checked, one)
    mean, sd = outcome_moments(checked, one, eta)
    below, equal = np.zeros(len(outcome)), np.zeros(len(outcome))
    for _ in range(number):
        drawn = simulated_outcomes(checked, one, eta, rng)[0]
        below += drawn < outcome
        equal += drawn == outcome
    observed = checked.fit.data["observed_data"].to_dataset()
    table = pd.DataFrame(
        {
            "row": observed["obs"].values,
            "observed": outcome,
            "fitted": fitted,
            "residual": outcome - fitted,
            "standardised": standardised,
            "realised": ((outcome - mean) / sd)[0],
            "quantile": quantile_scores(below, equal, number, rng),
        }
    )
    chosen = int(chosen_places(checked.fit.draws_made, number)[place])
    table.attrs = {"draws": number, "draw": chosen, "seed": seed}
    return table


def _unit_residuals(fit: Fit, facts: GroupingFacts, prob: float, seed: int) -> pd.DataFrame:
    require_one_covariance(fit, "A table of units' residuals", "bml.random_effects(fit)")
    require_shared_terms(fit.facts, "A table of units' residuals", "bml.random_effects(fit)")
    checked = checked_rows(fit, 1)
    name = facts.identifier
    effects = fit.posterior[f"u_{name}"].transpose("chain", "draw", name, f"{name}_term")
    sd = fit.posterior[f"sd_{name}"].transpose("chain", "draw", f"{name}_term").values
    numbers = summarise_draws(effects.values, prob)
    whole = (sd**2).mean(axis=(0, 1))
    units, terms = numbers.mean.shape
    place = int(np.random.default_rng(seed).integers(fit.draws_made))
    one = effects.values.reshape(-1, units, terms)[place]
    scale = np.broadcast_to(sd.reshape(-1, terms)[place], one.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        reliability = np.clip(1 - numbers.sd**2 / whole, 0.0, 1.0)
        standardised = np.where(
            reliability >= LEAST_LEARNT, numbers.mean / np.sqrt(whole * reliability), np.nan
        )
        realised = np.where(scale > 0, one / scale, np.nan)
    group = UnitMembers.of(checked, facts)
    table = pd.DataFrame(
        {
            "unit": np.repeat(effects.coords[name].values, terms),
            "term": list(facts.terms) * units,
            "rows": np.repeat(group.size, terms),
            "fitted": _fixed_by_unit(fit, checked, group).ravel(),
            "residual": numbers.mean.ravel(),
            "sd": numbers.sd.ravel(),
            "lower": numbers.lower.ravel(),
            "upper": numbers.upper.ravel(),
            "standardised": standardised.ravel(),
            "realised": realised.ravel(),
            "reliability": reliability.ravel(),
        }
    )
    table.attrs = {
        "grouping": facts.name,
        "prob": prob,
        "interval": interval_words(prob),
        "draw": place,
        "seed": seed,
    }
    return table


def _fixed_by_unit(fit: Fit, checked: CheckedRows, group: UnitMembers) -> np.ndarray:
    """Return the mean over each unit's rows of the posterior mean of X beta and the offset.

    Returns
    -------
    array, shape (units, terms)
        The same for every term, but for those of a nominal outcome's categories.
    """
    rows, facts = checked.rows, fit.facts
    predictors = group.facts.predictors if facts.nominal else ("",) * len(group.facts.terms)
    found = {}
    for name in dict.fromkeys(predictors):
        x = rows.parts[name] if name else rows.predictors
        fixed = rows.offset + x @ predictor_coefficients(fit, name).mean(axis=(0, 1))
        found[name] = unit_moments(fixed[None], group.members)[0][0]
    return np.column_stack([found[name] for name in predictors])
