"""Posterior predictive checks: would data drawn from the fit look like the data?"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bayesml.posterior.check_words import FITS, SUSPICIOUS, check_words
from bayesml.posterior.outcome_replications import checked_outcome
from bayesml.posterior.replicated_rows import (
    DRAWS,
    NEW,
    SAME,
    CheckedRows,
    Replications,
    checked_rows,
    checked_seed,
    outcome_moments,
    predictors_of,
    replications,
)
from bayesml.posterior.summaries import interval_words
from bayesml.posterior.unit_replications import UnitMembers
from bayesml.quantities.check_statistics import (
    bend,
    row_correlation,
    standardised_moment,
    tail_probability,
    unit_moments,
)
from bayesml.quantities.intervals import checked_prob
from bayesml.records.fits import Fit

# Shapes of a distribution of fewer units say nothing.
FEWEST_UNITS = 8
OUTCOME, RESIDUALS = "outcome", "residuals"

Statistics = dict[tuple[str, str], np.ndarray]


def posterior_checks(
    fit: Fit, draws: int = DRAWS, prob: float = 0.89, seed: int | None = None
) -> pd.DataFrame:
    """Set statistics of the data against those of data replicated from the posterior.

    For each of some draws of the parameters a new outcome is drawn for every row, and each
    statistic is computed of it. Checked are the distribution of the outcome (mean, SD, extremes;
    zeros and dispersion of counts and of shares of trials; the share of every category), the
    standardised residuals of the rows (shape, largest, spread against the fitted values, bend
    against X beta),
    for each grouping the units' means and SDs (of a nominal outcome their shares of every
    category, and no residuals), and for each varying term its random effects
    (normality, and whether they go with the units' fitted values or sizes).

    Parameters
    ----------
    fit : Fit
    draws : int
        Number of draws that are replicated, evenly spaced over all draws.
    prob : float
        Posterior probability of the equal-tailed interval of the replicated statistic.
    seed : int or None
        Seed of the replications; None draws one. It is recorded in the attributes.

    Returns
    -------
    DataFrame
        One row per check: `part` (``outcome``, ``residuals``, a grouping, or a grouping and its
        term; behind the name of the outcome where families differ), `statistic`, `units`,
        `observed`, `replicated` (the mean), `lower`, `upper`,
        `p_value` and `words`. Outcomes are in their own unit; of binomial outcomes with trials
        the share of successes, of ordered outcomes the category's number from 0. `units` says
        what was replicated: ``same`` units keep their effects (except in groupings with one row
        a unit, which are redrawn), ``new`` units have effects drawn from Sigma. `p_value` is
        P(replicated > observed), half the ties counted: near 0 where the data lie above the
        model, near 1 where below, and beyond 0.01 or 0.99 `words` says what looks wrong.
        Where a statistic depends on the parameters (residuals, effects, dispersion), `observed`
        is its posterior mean. Attributes: `draws`, `seed`, `prob`, `interval`, `note`.

    Raises
    ------
    FitError
        The fit has no rows, or an argument is out of range.

    Notes
    -----
    T(y_rep, theta) against T(y, theta): Gelman, Meng & Stern (1996), Statistica Sinica 6, 733-760.
    Replicating the units as well, since their own effects fit their means closely: Marshall &
    Spiegelhalter (2007), doi:10.1214/07-BA218. Random effects against N(0, Sigma) draw by draw:
    Yuan & Johnson (2012), doi:10.1111/j.1541-0420.2011.01668.x. The p-values are not uniform
    under the model but nearer to 0.5, as the data are used twice: a small one is strong evidence.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> fit = bml.two_level(exam, "normexam ~ 1", group="school").fit()  # doctest: +SKIP
    >>> bml.posterior_checks(fit, seed=1)[["part", "statistic", "p_value"]]  # doctest: +SKIP
    """
    prob, seed = checked_prob(prob), checked_seed(seed)
    checked = checked_rows(fit, draws)
    rng = np.random.default_rng(seed)
    if fit.spec.families:
        tables = []
        for number, name in enumerate(fit.facts.outcomes):
            own = _checks(checked_outcome(checked, number), rng, prob)
            tables.append(own.assign(part=[f"{name}: {part}" for part in own["part"]]))
        table = pd.concat(tables, ignore_index=True)
    else:
        table = _checks(checked, rng, prob)
    flagged = int((table["words"] != FITS).sum())
    table.attrs = {
        "draws": checked.draws.number,
        "seed": seed,
        "prob": prob,
        "interval": interval_words(prob),
        "note": f"{flagged} of {len(table)} checks lie beyond {SUSPICIOUS:g} or "
        f"{1 - SUSPICIOUS:g}; among so many, about {2 * SUSPICIOUS * len(table):.1f} would by "
        "chance at most.",
    }
    return table


def _checks(checked: CheckedRows, rng: np.random.Generator, prob: float) -> pd.DataFrame:
    """Return the checks of the rows of a fit, or of one of its outcomes."""
    tally = _Tally()
    for units in (SAME, NEW) if checked.rows.groupings else (SAME,):
        groups = [UnitMembers.of(checked, item.facts) for item in checked.rows.groupings]
        for block, made in _blocks(checked, rng, units):
            tally.add(units, *_statistics(checked, block, made, groups, units))
    return tally.table(prob)


_CONTINUOUS = ("real", "positive", "unit")


@dataclass(eq=False)
class _Tally:
    """Replicated and observed statistics, block by block."""

    found: dict[tuple[str, str, str], list[tuple[np.ndarray, np.ndarray]]] = field(
        default_factory=dict
    )

    def add(self, units: str, replicated: Statistics, observed: Statistics) -> None:
        for (part, statistic), values in replicated.items():
            aim = np.broadcast_to(observed[part, statistic], values.shape)
            self.found.setdefault((part, statistic, units), []).append((values, aim))

    def table(self, prob: float) -> pd.DataFrame:
        rows = []
        for (part, statistic, units), blocks in self.found.items():
            values = np.concatenate([block[0] for block in blocks])
            aim = np.concatenate([block[1] for block in blocks])
            p_value = tail_probability(values, aim)
            lower, upper = np.quantile(values, [(1 - prob) / 2, (1 + prob) / 2])
            rows.append(
                {
                    "part": part,
                    "statistic": statistic,
                    "units": units,
                    "observed": aim.mean(),
                    "replicated": values.mean(),
                    "lower": lower,
                    "upper": upper,
                    "p_value": p_value,
                    "words": check_words(statistic, p_value),
                }
            )
        return pd.DataFrame(rows)


def _blocks(
    checked: CheckedRows, rng: np.random.Generator, units: str
) -> Iterator[tuple[slice, Replications]]:
    start = 0
    for made in replications(checked, rng, units):
        yield slice(start, start + made.draws.number), made
        start += made.draws.number


def _statistics(
    checked: CheckedRows, block: slice, made: Replications, groups: list[UnitMembers], units: str
) -> tuple[Statistics, Statistics]:
    """Return the statistics of a block's replications, and those of the data."""
    kind, outcome = checked.kind, checked.outcome[None]
    categories = checked.categories
    replicated: Statistics = {}
    observed: Statistics = {}
    if kind == "nominal" and units == SAME:
        # The numbers of unordered categories have no mean, and rows no residual.
        return (
            _outcome_statistics(kind, made.outcome, categories),
            _outcome_statistics(kind, outcome, categories),
        )
    if units == SAME:
        # The data's residuals are from their own effects, the replications' from theirs.
        draws = checked.draws.take(block)
        own = outcome_moments(checked, draws, predictors_of(checked, draws))
        new = outcome_moments(checked, made.draws, made.eta)
        replicated |= _outcome_statistics(kind, made.outcome, categories)
        observed |= _outcome_statistics(kind, outcome, categories)
        fixed = predictors_of(checked, draws, effects=False)
        replicated |= _residual_statistics(kind, made.outcome, *new, fixed)
        observed |= _residual_statistics(kind, outcome, *own, fixed)
        for group in groups:
            if not group.single and kind != "binary":
                replicated |= _unit_spreads(group, made.outcome)
                observed |= _unit_spreads(group, outcome)
        return replicated, observed
    draws = checked.draws.take(block)
    fixed = predictors_of(checked, draws, effects=False)
    for group in groups:
        if kind == "nominal":
            replicated |= _unit_shares(group, made.outcome, categories)
            observed |= _unit_shares(group, outcome, categories)
        elif not group.single:
            replicated |= _unit_means(group, made.outcome)
            observed |= _unit_means(group, outcome)
        if group.facts.units >= FEWEST_UNITS:
            replicated |= _effect_statistics(group, _standardised(made, group), fixed)
            own_effects = Replications(draws, made.outcome, made.eta)
            observed |= _effect_statistics(group, _standardised(own_effects, group), fixed)
    return replicated, observed


def _outcome_statistics(kind: str, y: np.ndarray, categories: tuple[str, ...]) -> Statistics:
    found = {}
    if kind in ("ordered", "nominal"):
        for place, category in enumerate(categories):
            found[f"share of category: {category}"] = (y == place).mean(axis=1)
    elif kind == "binary":
        found["share of ones"] = y.mean(axis=1)
    else:
        found |= {"mean": y.mean(axis=1), "SD": y.std(axis=1, ddof=1)}
    if kind in _CONTINUOUS:
        found["smallest"] = y.min(axis=1)
    if kind in (*_CONTINUOUS, "count"):
        found["largest"] = y.max(axis=1)
    if kind == "count":
        found["share of zeros"] = (y == 0).mean(axis=1)
    if kind == "share":
        found["share without success"] = (y == 0).mean(axis=1)
        found["share with all successes"] = (y == 1).mean(axis=1)
    return {(OUTCOME, name): values for name, values in found.items()}


def _residual_statistics(
    kind: str, y: np.ndarray, mean: np.ndarray, sd: np.ndarray, fixed: np.ndarray
) -> Statistics:
    """Return statistics of (y - mean) / SD, which the parameters take part in."""
    r = (y - mean) / sd
    found = {}
    if kind in ("count", "share"):
        found["dispersion"] = (r**2).mean(axis=1)
    if kind in _CONTINUOUS:
        found["skewness"] = standardised_moment(r, 3)
        found["excess kurtosis"] = standardised_moment(r, 4)
    if kind != "binary":
        # A 0/1 outcome has two residuals only, both given by its mean.
        found["largest residual"] = np.abs(r).max(axis=1)
        found["spread against fitted"] = row_correlation(np.abs(r), mean)
    if np.ptp(fixed, axis=1).any():
        # Curved effects of predictors show against X beta; units' effects would blur them.
        found["bend against fixed part"] = bend(r, fixed)
    return {(RESIDUALS, name): values for name, values in found.items()}


def _unit_spreads(group: UnitMembers, y: np.ndarray) -> Statistics:
    sds = unit_moments(y, group.members)[1]
    sds = sds[:, np.isfinite(sds[0])]
    if sds.shape[1] < 2:
        return {}
    name = group.facts.name
    return {
        (name, "mean of unit SDs"): sds.mean(axis=1),
        (name, "SD of unit SDs"): sds.std(axis=1, ddof=1),
    }


def _unit_means(group: UnitMembers, y: np.ndarray) -> Statistics:
    means, name = unit_moments(y, group.members)[0], group.facts.name
    return {
        (name, "SD of unit means"): means.std(axis=1, ddof=1),
        (name, "smallest unit mean"): means.min(axis=1),
        (name, "largest unit mean"): means.max(axis=1),
    }


def _unit_shares(group: UnitMembers, y: np.ndarray, categories: tuple[str, ...]) -> Statistics:
    """Return how the units' shares of each category spread."""
    found: Statistics = {}
    for place, category in enumerate(categories):
        shares = unit_moments((y == place).astype(float), group.members)[0]
        found[group.facts.name, f"SD of unit shares: {category}"] = shares.std(axis=1, ddof=1)
        found[group.facts.name, f"largest unit share: {category}"] = shares.max(axis=1)
    return found


def _standardised(made: Replications, group: UnitMembers) -> np.ndarray:
    """Return every effect over its SD, shape (draws, units, terms); 0 where the SD is 0."""
    name = group.facts.identifier
    factor = made.draws.roots[name]
    sd = np.sqrt((factor**2).sum(axis=2))[:, None, :]
    effects = made.draws.effects[name]
    return np.divide(effects, sd, out=np.zeros_like(effects), where=sd > 0)


def _effect_statistics(group: UnitMembers, effects: np.ndarray, fixed: np.ndarray) -> Statistics:
    """Return statistics of standardised effects, which the parameters take part in."""
    found: Statistics = {}
    fitted = unit_moments(fixed, group.members)[0]
    size = np.broadcast_to(group.size.astype(float), fitted.shape)
    for term, values in zip(group.facts.terms, np.moveaxis(effects, 2, 0), strict=True):
        part = f"{group.facts.name}[{term}]"
        found[part, "skewness of effects"] = standardised_moment(values, 3)
        found[part, "excess kurtosis of effects"] = standardised_moment(values, 4)
        found[part, "largest effect"] = np.abs(values).max(axis=1)
        if group.varied:
            found[part, "effects against fitted"] = row_correlation(values, fitted)
        if np.ptp(group.size) > 0:
            found[part, "effects against size"] = row_correlation(values, size)
    return found
