"""Where the search for the modes of a marginal density begins."""

import numpy as np

from bayesml.design.member_terms import all_slots
from bayesml.engines.marginal_models import MarginalModel

# A start with correlations beyond +-0.99 lies far from one without any: both are tried.
_FAR = float(np.arctanh(0.99))


def starting_points(model: MarginalModel) -> list[np.ndarray]:
    """Return rough first guesses: half of the outcome's spread at every term.

    The second, where a term of a grouping is far from 0, as calendar years are, has uncorrelated
    effects where the rows are, and hence almost perfectly correlated ones at the terms' own 0.
    There the data and a prior on correlations may disagree, and both have a mode then.
    """
    first = starting_point(model)
    far = _with_effects_at_the_rows(model, first)
    return [first] if far is None else [first, far]


def starting_point(model: MarginalModel) -> np.ndarray:
    """Return a rough first guess: half of the outcome's spread at every term."""
    spread = max(float(np.std(model.standardised.fixed[:, -1])), 1e-150)
    density = model.density
    start = np.zeros(model.dimensions)
    terms = len(density.term_scale)
    start[:terms] = np.log(0.3 * spread / density.term_scale)
    start[terms + len(density.correlation_power)] = np.log(0.7 * spread)
    first = terms + len(density.correlation_power) + 1 + len(density.sampled_code)
    residuals = density.residuals
    if len(residuals.log_sd):
        # Equal SDs to begin with; of several outcomes, each in proportion to its own.
        goal = np.full(len(residuals.log_sd), np.log(0.7 * spread))
        number = model.linear.number
        if number is not None and len(goal) == number.max() + 1:
            y = model.standardised.fixed[:, -1]
            goal = np.log([max(0.7 * float(np.std(y[number == k])), 1e-150) for k in set(number)])
        linear = residuals.log_sd.copy()
        linear[:, 0] += 1.0
        found = np.linalg.lstsq(linear, goal, rcond=None)[0]
        start[terms + len(density.correlation_power)] = found[0]
        start[first:] = found[1:]
    return start


def _with_effects_at_the_rows(model: MarginalModel, start: np.ndarray) -> np.ndarray | None:
    """Return a start whose effects are uncorrelated at the rows; None where it is not far off."""
    found = start.copy()
    spread = max(float(np.std(model.standardised.fixed[:, -1])), 1e-150)
    term, angle, furthest = 0, len(model.density.term_scale), 0.0
    for grouping, blocks in zip(model.linear.groupings, model.linear.blocks, strict=True):
        column = 0
        for size in blocks:
            terms = all_slots(grouping.terms)[:, column : column + size]
            column += size
            factor = _factor_of_orthogonal_effects(terms) if size > 1 else None
            if factor is not None:
                norms = np.linalg.norm(factor, axis=1)
                found[term : term + size] = np.log(0.3 * spread * norms)
                place = angle
                for row in range(size):
                    for other in range(row):
                        # tanh of the angle is a partial correlation; this loses no digits near 1.
                        rest = np.linalg.norm(factor[row, other + 1 :])
                        found[place] = np.arcsinh(factor[row, other] / rest)
                        furthest = max(furthest, abs(float(found[place])))
                        place += 1
            term += size
            angle += size * (size - 1) // 2
    return found if furthest > _FAR else None


def _factor_of_orthogonal_effects(terms: np.ndarray) -> np.ndarray | None:
    """Return the lower triangle of the covariance of effects on terms.

    It is that of independent effects of SD 1 on combinations of the terms that are orthogonal over
    the rows and of unit mean square. None where the terms are no basis.
    """
    scale = np.sqrt((terms**2).mean(axis=0))
    if len(terms) < terms.shape[1] or not (scale > 0).all():
        return None
    triangle = np.linalg.qr(terms / scale, mode="r")
    if not (np.abs(np.diag(triangle)) > 1e-12 * len(terms) ** 0.5).all():
        return None
    change = np.linalg.inv(triangle) * len(terms) ** 0.5 / scale[:, None]
    factor = np.linalg.qr(change.T, mode="r").T
    return np.asarray(factor * np.sign(np.diag(factor)))
