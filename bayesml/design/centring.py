"""What centred effects are sampled around: the part of X beta that units have in common.

A coefficient and the effects of the units are nearly collinear as far as its predictor differs
between units; effects that are sampled around the units' means of X beta part the two
(hierarchical centring: Gelfand, Sahu & Carlin 1995, doi:10.1093/biomet/82.3.479). It changes the
path of the sampler, not the model.
"""

from collections.abc import Sequence

import numpy as np

from bayesml.design.units import Units

# Relative size of what may vary within a unit before a column no longer counts as constant there.
TOLERANCE = 1e-9
# Weights that are shares are written with two digits.
UNEVEN = 0.05
# Below this mean reliability the effects hardly tie up a coefficient.
WEAK = 0.25


def centres(
    predictors: np.ndarray,
    parts: Sequence[tuple[Units, np.ndarray]],
    centred_terms: Sequence[int],
    outer: Sequence[Sequence[int]],
    reliability: Sequence[float],
) -> list[np.ndarray]:
    """Return, per grouping, the weights of the coefficients in the centre of each effect.

    The weights of a column of X are its least-squares projection on the centred terms within each
    unit: for a varying intercept, the unit's mean. A column is given to the grouping with the
    fewest units, whose effects tie up the coefficient the most, and to the groupings inside it.

    Parameters
    ----------
    predictors : array, shape (rows, coefficients)
    parts : sequence of (Units, array of shape (rows, terms))
    centred_terms : sequence of int
        How many leading terms of each grouping are centred.
    outer : sequence of sequence of int
        Positions of the groupings around whose effects each grouping is centred. What belongs to
        one of them is part of the inner centre too.
    reliability : sequence of float
        Mean reliability of each grouping's first term; weakly informed groupings come last.

    Returns
    -------
    list of array, shape (units, centred terms, coefficients)
        All zeros where nothing of X belongs to the grouping.
    """
    found = [
        np.zeros((len(units.labels), count, predictors.shape[1]))
        for (units, _), count in zip(parts, centred_terms, strict=True)
    ]
    order = sorted(
        range(len(parts)),
        key=lambda number: (reliability[number] < WEAK, len(parts[number][0].labels)),
    )
    for column in range(predictors.shape[1]):
        for number in order:
            if _assign(predictors[:, column], *parts[number], found[number][:, :, column]):
                for inner in range(len(parts)):
                    if number in outer[inner]:
                        _assign(predictors[:, column], *parts[inner], found[inner][:, :, column])
                break
    return found


def _assign(x: np.ndarray, units: Units, terms: np.ndarray, weights: np.ndarray) -> bool:
    """Fill the weights of one column in one grouping, and return whether it has a place there."""
    count = weights.shape[1]
    if not count:
        return False
    if terms.ndim == 3:
        return False
    if units.weights is not None:
        # Where all rows' weights sum to the same, a multiple of a term can move into the units.
        sums = units.weights.sum(axis=1)
        if np.ptp(sums) > UNEVEN:
            return False
        for term in range(count):
            ratio = float(x @ terms[:, term]) / float(terms[:, term] @ terms[:, term])
            if _vanishes(x - terms[:, term] * ratio, x):
                weights[:, term] = ratio / float(np.median(sums))
                return True
        return False
    z = terms[:, :count]
    gram = np.zeros((len(units.labels), count, count))
    score = np.zeros((len(units.labels), count))
    for term in range(count):
        score[:, term] = np.bincount(units.index, z[:, term] * x, minlength=len(score))
        for other in range(count):
            gram[:, term, other] = np.bincount(
                units.index, z[:, term] * z[:, other], minlength=len(score)
            )
    # A unit with few rows may not tell its terms apart: the ridge keeps its weights finite.
    ridge = 1e-12 * np.trace(gram, axis1=1, axis2=2)[:, None, None] * np.eye(
        count
    ) + 1e-300 * np.eye(count)
    weights[:] = np.linalg.solve(gram + ridge, score[:, :, None])[:, :, 0]
    return True


def _vanishes(rest: np.ndarray, x: np.ndarray) -> bool:
    return bool(np.abs(rest).max() <= TOLERANCE * max(float(np.abs(x).max()), 1e-300))
