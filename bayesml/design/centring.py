"""What centred effects are sampled around: the part of X beta that is constant within a unit.

A coefficient of a unit-level predictor (the intercept among them) and the effects of the units are
nearly collinear; effects that are sampled around X beta part the two (hierarchical centring:
Gelfand, Sahu & Carlin 1995, doi:10.1093/biomet/82.3.479). It changes the path of the sampler, not
the model.
"""

from collections.abc import Sequence

import numpy as np

from bayesml.design.units import Units

# Relative size of what may vary within a unit before a column no longer counts as constant there.
TOLERANCE = 1e-9
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

    A column of X belongs to a term of a grouping where it is the term times a number per unit: for
    a varying intercept, where it is constant within units; for a varying slope of x, where it is x
    or x times a unit-level predictor. It is given to the grouping with the fewest units, whose
    effects tie up the coefficient the most, and to one only.

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
    """Fill the weights of one column in one grouping, and return whether it belongs there."""
    for term in range(weights.shape[1]):
        z = terms[:, term]
        if units.weights is not None:
            # A row's weights sum to 1, so a multiple of the term itself can move into the units.
            ratio = float(x @ z) / float(z @ z)
            if _vanishes(x - z * ratio, x):
                weights[:, term] = ratio
                return True
            continue
        count = len(units.labels)
        size = np.bincount(units.index, z * z, minlength=count)
        ratio_by_unit = np.bincount(units.index, x * z, minlength=count) / np.where(
            size > 0, size, 1.0
        )
        if _vanishes(x - z * ratio_by_unit[units.index], x):
            weights[:, term] = ratio_by_unit
            return True
    return False


def _vanishes(rest: np.ndarray, x: np.ndarray) -> bool:
    return bool(np.abs(rest).max() <= TOLERANCE * max(float(np.abs(x).max()), 1e-300))
