"""Which occasions, outcomes or members no unit was seen at together."""

from collections.abc import Sequence

import numpy as np

from bayesml.errors import listed
from bayesml.specs.outcome_terms import ROW
from bayesml.specs.residual_structures import Residual


def never_together(unit: np.ndarray, occasion: np.ndarray, occasions: int) -> list[tuple[int, int]]:
    """Return the pairs of occasions that no unit has both of.

    Parameters
    ----------
    unit, occasion : array of int, shape (rows,)
        Numbers of the unit and the occasion of each row.
    occasions : int
        Number of occasions.
    """
    seen = np.zeros((int(unit.max()) + 1, occasions))
    seen[unit, occasion] = 1
    together = seen.T @ seen
    return [(i, j) for i in range(occasions) for j in range(i + 1, occasions) if not together[i, j]]


def note_of_pairs(
    residual: Residual, unit: np.ndarray, occasion: np.ndarray, labels: Sequence[str | int]
) -> str:
    """Return a note on correlations that only their prior says anything about, or nothing.

    Parameters
    ----------
    residual : Residual
    unit, occasion : array of int, shape (rows,)
    labels : sequence of str or int
        The occasions.
    """
    pairs = [f"{labels[i]} and {labels[j]}" for i, j in never_together(unit, occasion, len(labels))]
    if not pairs:
        return ""
    of_outcomes = residual.unit == (ROW,)
    return (
        f"No {'row' if of_outcomes else 'unit'} has both of {listed(pairs)}, so the correlation of "
        f"these residuals ({'corr_residual' if of_outcomes else residual.text}) is learnt from its "
        "prior and the other correlations only. Do not interpret it."
    )
