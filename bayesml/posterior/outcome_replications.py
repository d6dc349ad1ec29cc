"""The rows and effects of one of several outcomes, ready to be replicated by themselves."""

from dataclasses import replace

import numpy as np

from bayesml.posterior.fitted_rows import UnitRows, rows_of_outcome
from bayesml.posterior.replicated_rows import CheckedRows, ChosenDraws, outcomes_of_rows
from bayesml.quantities.correlation_matrices import covariance_root
from bayesml.records.facts import outcome_places


def checked_outcome(checked: CheckedRows, number: int) -> CheckedRows:
    """Return the rows of one outcome, with the effects of this outcome only.

    Units that have no row of the outcome are left out.

    Parameters
    ----------
    checked : CheckedRows
        The rows of all outcomes.
    number : int
        Of the outcome.
    """
    fit = checked.fit
    kept = outcomes_of_rows(checked) == number
    rows = rows_of_outcome(fit, checked.rows, number)
    draws, groupings = checked.draws, []
    for item in rows.groupings:
        used = np.unique(item.index if item.weights is None else item.index[item.weights > 0])
        places = outcome_places(fit.facts, item.facts.terms, number)
        groupings.append(_own_units(item, used, places))
        draws = _own_effects(draws, item.facts.identifier, used, places)
    return CheckedRows(fit, replace(rows, groupings=tuple(groupings)), draws, checked.outcome[kept])


def _own_units(item: UnitRows, used: np.ndarray, places: np.ndarray) -> UnitRows:
    facts = replace(
        item.facts, units=len(used), terms=tuple(item.facts.terms[place] for place in places)
    )
    # Slots that no weight uses may name a unit that is left out.
    index = np.searchsorted(used, item.index).clip(max=len(used) - 1)
    return replace(item, facts=facts, index=index, terms=item.terms[:, places])


def _own_effects(
    draws: ChosenDraws, name: str, used: np.ndarray, places: np.ndarray
) -> ChosenDraws:
    root = draws.roots[name][:, places]
    own = covariance_root(root @ root.swapaxes(1, 2))
    effects = draws.effects[name][:, used][:, :, places]
    return replace(
        draws,
        effects={**draws.effects, name: effects},
        roots={**draws.roots, name: own},
    )
