"""Every unit's rows against replicated rows: means and SDs."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from bayesml.errors import FitError, did_you_mean, quoted
from bayesml.posterior.fitted_rows import UnitRows
from bayesml.posterior.predictor_terms import refuse_nominal
from bayesml.posterior.replicated_rows import (
    DRAWS,
    NEW,
    SAME,
    CheckedRows,
    checked_rows,
    checked_seed,
    one_row_a_unit,
    replications,
)
from bayesml.posterior.summaries import interval_words
from bayesml.quantities.check_statistics import tail_probability, unit_moments
from bayesml.quantities.intervals import checked_prob
from bayesml.records.facts import GroupingFacts
from bayesml.records.fits import Fit


def unit_checks(
    fit: Fit,
    grouping: str,
    draws: int = DRAWS,
    prob: float = 0.89,
    seed: int | None = None,
    units: str = SAME,
) -> pd.DataFrame:
    """Set the mean and the SD of every unit's rows against those of replicated rows.

    Parameters
    ----------
    fit : Fit
    grouping : str
        Name of a grouping.
    draws, prob, seed
        As in `posterior_checks`.
    units : {"same", "new"}
        "same" asks whether the fit reproduces each unit, "new" whether a unit like this one is to
        be expected among units drawn from Sigma.

    Returns
    -------
    DataFrame
        Two rows per unit: `unit`, `rows`, `statistic` (``mean`` or ``SD``; no SD of 0/1 outcomes,
        whose mean tells it, nor of units with one row), `observed`, `replicated`, `lower`,
        `upper` and `p_value`, as in `posterior_checks`; attributes `grouping`, `units` and those
        of `posterior_checks`.

    Raises
    ------
    FitError
        There is no such grouping, the fit has no rows, or an argument is out of range.

    Notes
    -----
    Marshall & Spiegelhalter (2007), doi:10.1214/07-BA218.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> fit = bml.two_level(exam, "normexam ~ 1", group="school").fit()  # doctest: +SKIP
    >>> bml.unit_checks(fit, "school", units="new").nsmallest(3, "p_value")  # doctest: +SKIP
    """
    prob, seed = checked_prob(prob), checked_seed(seed)
    if units not in (SAME, NEW):
        raise FitError(f"units is {quoted(str(units))}. Allowed: 'same', 'new'.")
    refuse_nominal(
        fit.facts, "bml.unit_checks", "Use bml.posterior_checks(fit), which has every category."
    )
    facts = checked_grouping(fit, grouping)
    checked = checked_rows(fit, draws)
    group = UnitMembers.of(checked, facts)
    rng = np.random.default_rng(seed)
    blocks = [
        unit_moments(block.outcome, group.members) for block in replications(checked, rng, units)
    ]
    labels = fit.posterior[f"u_{facts.identifier}"].coords[facts.identifier].values
    observed = unit_moments(checked.outcome[None], group.members)
    parts = []
    for place, statistic in enumerate(("mean", "SD")):
        if statistic == "SD" and checked.kind == "binary":
            continue
        drawn = np.concatenate([block[place] for block in blocks])
        aim = observed[place][0]
        known = np.flatnonzero(np.isfinite(aim))
        ends = np.quantile(drawn[:, known], [(1 - prob) / 2, (1 + prob) / 2], axis=0)
        parts.append(
            pd.DataFrame(
                {
                    "unit": labels[known],
                    "rows": group.size[known],
                    "statistic": statistic,
                    "observed": aim[known],
                    "replicated": drawn[:, known].mean(axis=0),
                    "lower": ends[0],
                    "upper": ends[1],
                    "p_value": [tail_probability(drawn[:, unit], aim[unit]) for unit in known],
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    table.attrs = {
        "grouping": facts.name,
        "units": units,
        "draws": checked.draws.number,
        "seed": seed,
        "prob": prob,
        "interval": interval_words(prob),
    }
    return table


def checked_grouping(fit: Fit, name: str) -> GroupingFacts:
    """Return the grouping of this name.

    Raises
    ------
    FitError
        The model has none of this name.
    """
    found = fit.facts.grouping(name)
    if found is None:
        names = [item.name for item in fit.facts.groupings]
        hint = did_you_mean(str(name), names) if names else "The model has none."
        raise FitError(f"{quoted(str(name))} is not a grouping of this model. {hint}")
    return found


@dataclass(frozen=True, eq=False)
class UnitMembers:
    """A grouping's units as rows of the table.

    Parameters
    ----------
    facts : GroupingFacts
    members : sparse array, shape (units, rows)
        Weight of every row in every unit.
    size : array of int, shape (units,)
        Number of rows.
    single : bool
        Whether no unit has a second row.
    varied : bool
        Whether the units' means of the predictors, or of the offset, differ.
    """

    facts: GroupingFacts
    members: sparse.csr_array
    size: np.ndarray
    single: bool
    varied: bool

    @classmethod
    def of(cls, checked: CheckedRows, facts: GroupingFacts) -> "UnitMembers":
        """Return the units of a grouping of the checked rows."""
        rows = next(item for item in checked.rows.groupings if item.facts.name == facts.name)
        members = members_of(rows)
        columns = np.column_stack([checked.rows.predictors, checked.rows.offset])
        means = unit_moments(columns.T, members)[0]
        size = np.maximum(np.abs(columns).max(axis=0), 1e-300)
        varied = bool((np.ptp(means, axis=1) > 1e-9 * size).any())
        return cls(facts, members, np.diff(members.indptr), one_row_a_unit(rows), varied)


def members_of(grouping: UnitRows) -> sparse.csr_array:
    """Return the weight of every row in every unit, shape (units, rows)."""
    rows = len(grouping.index)
    slots = grouping.index.size // rows
    weights = np.ones(rows) if grouping.weights is None else grouping.weights.ravel()
    used = weights > 0
    place = np.repeat(np.arange(rows), slots)[used]
    entries = (weights[used], (grouping.index.ravel()[used], place))
    return sparse.csr_array(entries, shape=(grouping.facts.units, rows))
