"""Rows made roughly independent, to see how much autocorrelated rows say about effects.

Neighbouring rows that are alike say little more about a slow term than one of them does: a
centred form that suits independent rows would then sample badly.
"""

from collections.abc import Sequence

import numpy as np

from bayesml.design.residual_rows import ResidualRows, neighbours
from bayesml.design.units import Units
from bayesml.design.working_responses import Working

# An autocorrelation is estimated crudely, so a larger one is not believed.
_MOST = 0.95


def whitened_rows(
    rows: ResidualRows,
    working: Working,
    predictors: np.ndarray,
    groupings: Sequence[tuple[Units, np.ndarray]],
) -> tuple[Working, np.ndarray, list[tuple[Units, np.ndarray]]]:
    """Return working response, X and Z with a crude first-order autocorrelation taken out.

    Parameters
    ----------
    rows : ResidualRows
        Autoregressive residuals; other structures are left as they are.
    working : Working
        Of a Gaussian outcome.
    predictors : array, shape (rows, coefficients)
    groupings : sequence of (Units, array of shape (rows, terms))

    Returns
    -------
    Working, array, list
        Each row less the share phi of the row before it, over sqrt(1 - phi^2).
    """
    if rows.residual.structure not in ("ar1", "continuous_ar"):
        return working, predictors, list(groupings)
    previous, follows, gap = neighbours(rows)
    units = rows.units
    outcome, weight = working.at(working.start)
    left = _residuals(outcome, predictors, units, groupings)
    square = float((left[follows] ** 2).sum())
    typical = float(np.median(gap[follows]))
    share = float((left[follows] * left[previous[follows]]).sum()) / square if square else 0.0
    # In short series the residuals' autocorrelation lies below that of the errors, by about this.
    share += (1 + 4 * share) * len(units.labels) / len(outcome)
    share = float(np.clip(share, 0.0, _MOST)) ** (1 / typical)
    carry = follows * share**gap
    scale = np.sqrt(1 - carry**2)

    def whiten(values: np.ndarray) -> np.ndarray:
        shape = (-1, *[1] * (values.ndim - 1))
        return (values - carry.reshape(shape) * values[previous]) / scale.reshape(shape)

    own = whiten(outcome)
    return (
        Working(own, lambda eta: (own, weight), working.residual_known),
        whiten(predictors),
        [(own_units, whiten(terms)) for own_units, terms in groupings],
    )


def _residuals(
    outcome: np.ndarray,
    predictors: np.ndarray,
    units: Units,
    groupings: Sequence[tuple[Units, np.ndarray]],
) -> np.ndarray:
    """Return least-squares residuals, with coefficients for each unit of what varies over units."""
    left = outcome
    if predictors.shape[1]:
        left = outcome - predictors @ np.linalg.lstsq(predictors, outcome, rcond=None)[0]
    for other, terms in groupings:
        if other.weights is not None or not np.array_equal(other.index, units.index):
            continue
        left = left.copy()
        for unit in range(len(units.labels)):
            here = np.flatnonzero(units.index == unit)
            z = terms[here]
            left[here] -= z @ np.linalg.lstsq(z, left[here], rcond=None)[0]
    return left
