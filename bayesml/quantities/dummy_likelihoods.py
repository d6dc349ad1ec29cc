"""Maximum likelihood with own coefficients for every unit, and which of them are infinite."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse, special
from scipy.optimize import linprog

from bayesml.errors import FitError, listed
from bayesml.quantities.dummy_regression import (
    Block,
    DummyFit,
    dummy_least_squares,
    free_columns,
    project,
)
from bayesml.quantities.ordered_likelihoods import (
    OrderedOutcome,
    ordered_steps,
    separating_rows,
)

_MOST_STEPS = 100
# Relative change of the deviance at which the steps end.
_CLOSE = 1e-10
# Below this a direction of the linear programme, whose variables end at 1, is rounding.
_ZERO = 1e-6


@dataclass(frozen=True)
class GroupedOutcome:
    """Outcomes of a generalised linear model without further parameters.

    Parameters
    ----------
    y : array, shape (rows,)
        Numbers; successes where there are trials; counts.
    link : {"identity", "logit", "probit", "cloglog", "log"}
        The identity is a Gaussian outcome, the log a Poisson one, the others binomial ones.
    trials : array, shape (rows,)
        Trials of a binomial outcome, 1 elsewhere.
    offset : array, shape (rows,)
        Known part of the linear predictor.
    """

    y: np.ndarray
    link: str
    trials: np.ndarray
    offset: np.ndarray

    def at(self, rows: np.ndarray) -> "GroupedOutcome":
        """Return the outcomes of some rows."""
        return GroupedOutcome(self.y[rows], self.link, self.trials[rows], self.offset[rows])

    @property
    def sides(self) -> np.ndarray:
        """1 where only an infinite predictor fits the row best, -1 where minus infinity does."""
        upper = (self.y == self.trials) if self.link != "log" else np.zeros(len(self.y), bool)
        return np.where(self.y == 0, -1, np.where(upper, 1, 0))


# mean and its derivative, from the linear predictor
_MEANS: Mapping[str, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "logit": lambda eta: (special.expit(eta), special.expit(eta) * special.expit(-eta)),
    "probit": lambda eta: (special.ndtr(eta), np.exp(-(eta**2) / 2) / np.sqrt(2 * np.pi)),
    "cloglog": lambda eta: (-np.expm1(-np.exp(eta)), np.exp(eta - np.exp(eta))),
    "log": lambda eta: (np.exp(eta), np.exp(eta)),
}
LIKELIHOOD_LINKS = ("identity", *_MEANS)


def dummy_likelihood(
    outcome: GroupedOutcome | OrderedOutcome,
    predictors: np.ndarray,
    blocks: Sequence[Block],
    columns: int,
    free: np.ndarray | None = None,
) -> DummyFit:
    """Return the maximum-likelihood estimates with units' columns and common predictors.

    Iteratively reweighted least squares (McCullagh & Nelder 1989, doi:10.1007/978-1-4899-3242-6);
    of a Gaussian outcome, one step. Rows that some direction of the coefficients fits ever better
    (separation: a unit without a single success) are found first by a linear programme (Konis
    2007; Correia, Guimaraes & Zylkin 2019, arXiv:1903.01633). Their coefficients are infinite, and
    the others are estimated without them, which leaves their estimates as they are.

    Parameters
    ----------
    outcome : GroupedOutcome or OrderedOutcome
        Of an ordered outcome the intercept, where it is estimated, is among the predictors or the
        units' columns.
    predictors : array, shape (rows, predictors)
    blocks : sequence of Block
        Empty for one regression of all rows.
    columns : int
        Number of coefficients of all units.
    free : array of bool, shape (predictors,), optional
        Predictors to estimate; None finds out which can be.

    Returns
    -------
    DummyFit
        Infinite estimates have the standard error NaN. A coefficient that the rows left by the
        separation do not determine is NaN where it may go to either infinity.

    Raises
    ------
    FitError
        The steps do not converge, or cutpoints have no finite estimates.
    """
    free = free_columns(predictors, blocks) if free is None else free
    if outcome.link == "identity":
        y = outcome.y - outcome.offset
        return dummy_least_squares(y, predictors, blocks, columns, free=free)
    chosen = predictors[:, free]
    if isinstance(outcome, OrderedOutcome):
        units, common, separated = _infinite_categories(outcome, chosen, blocks, columns)
    else:
        units, common, separated = _infinite(outcome.sides, chosen, blocks, columns)
    kept = np.flatnonzero(~separated)
    parts = [_without(block, kept, len(outcome.y)) for block in blocks]
    left = [block for block in parts if block]
    if isinstance(outcome, OrderedOutcome):
        found = (
            ordered_steps(outcome.at(kept), predictors[kept], left, columns, free)
            if len(kept)
            else _nothing_left(columns, len(free))
        )
    else:
        found = _reweighted(outcome.at(kept), predictors[kept], left, columns, free)
    signs = np.zeros(len(free))
    signs[free] = common
    fitted = np.where(outcome.sides > 0, np.inf, -np.inf)
    fitted[kept] = found.fitted
    return replace(
        found,
        units=_with_infinite(found.units, units),
        units_se=np.where(units != 0, np.nan, found.units_se),
        common=_with_infinite(found.common, signs),
        common_se=np.where(signs != 0, np.nan, found.common_se),
        fitted=fitted,
    )


def _with_infinite(estimates: np.ndarray, signs: np.ndarray) -> np.ndarray:
    infinite = np.where(signs > 0, np.inf, np.where(signs < 0, -np.inf, np.nan))
    return np.where(signs == 0, estimates, infinite)


def _without(block: Block, kept: np.ndarray, rows: int) -> Block | None:
    """Return the block's rows that are kept, numbered anew; None where there is none."""
    number = np.full(rows, -1)
    number[kept] = np.arange(len(kept))
    new = number[block.rows]
    if not (new >= 0).any():
        return None
    return Block(new[new >= 0], block.columns, block.values[new >= 0])


def _nothing_left(columns: int, predictors: int) -> DummyFit:
    units, common = np.full(columns, np.nan), np.full(predictors, np.nan)
    return DummyFit(units, units, common, common, 1.0, np.zeros(0))


def _infinite_categories(
    outcome: OrderedOutcome, predictors: np.ndarray, blocks: Sequence[Block], columns: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the signs of infinite coefficients, and the rows they separate, as `_infinite`."""
    wide, parts = separating_rows(outcome, predictors, blocks)
    sides = np.ones(len(wide), dtype=int)
    units, common, separated = _infinite(sides, wide, parts, columns)
    if common[predictors.shape[1] :].any():
        raise FitError(
            "The cutpoints have no finite maximum-likelihood estimates: the predictors, or the "
            f"units, separate the categories {listed(outcome.categories)}. Join categories, or use "
            "bml.random_effects(fit, grouping)."
        )
    gone = separated.reshape(len(outcome.y), -1).any(axis=1)
    return units, common[: predictors.shape[1]], gone


def _reweighted(
    outcome: GroupedOutcome,
    predictors: np.ndarray,
    blocks: Sequence[Block],
    columns: int,
    free: np.ndarray,
) -> DummyFit:
    if not len(outcome.y):
        return _nothing_left(columns, len(free))
    still = free.copy()
    still[free] = free_columns(predictors[:, free], blocks)
    eta = _start(outcome)
    deviance = np.inf
    for _ in range(_MOST_STEPS):
        mean, slope = _MEANS[outcome.link](eta)
        variance = mean if outcome.link == "log" else mean * (1 - mean)
        variance = np.maximum(variance, 1e-300)
        weights = outcome.trials * slope**2 / variance
        share = outcome.y / outcome.trials
        target = eta - outcome.offset + (share - mean) / np.maximum(slope, 1e-300)
        found = dummy_least_squares(
            target, predictors, blocks, columns, weights=weights, free=still, variance=1.0
        )
        new = found.fitted + outcome.offset
        reached = _deviance(outcome, new)
        for _ in range(30):  # a step too far is halved
            if np.isfinite(reached) and reached <= deviance + 1e-8 * (abs(reached) + 1):
                break
            new = (new + eta) / 2
            reached = _deviance(outcome, new)
        settled = abs(deviance - reached) <= _CLOSE * (abs(reached) + 0.1)
        eta, deviance = new, reached
        if settled:
            return found
    raise FitError(
        f"The maximum-likelihood estimates did not settle in {_MOST_STEPS} steps. Give the "
        "predictors similar scales."
    )


def _start(outcome: GroupedOutcome) -> np.ndarray:
    if outcome.link == "log":
        return np.log(outcome.y + 0.5)
    share = (outcome.y + 0.5) / (outcome.trials + 1)
    if outcome.link == "logit":
        return special.logit(share)
    return special.ndtri(share) if outcome.link == "probit" else np.log(-np.log1p(-share))


def _deviance(outcome: GroupedOutcome, eta: np.ndarray) -> float:
    with np.errstate(over="ignore"):
        mean, _ = _MEANS[outcome.link](eta)
        if outcome.link == "log":
            terms = special.xlogy(outcome.y, outcome.y) - outcome.y * eta - outcome.y + mean
        else:
            failures = outcome.trials - outcome.y
            terms = -special.xlogy(outcome.y, np.clip(mean, 1e-300, 1))
            terms -= special.xlogy(failures, np.clip(_complement(outcome.link, eta), 1e-300, 1))
    return 2 * float(terms.sum())


def _complement(link: str, eta: np.ndarray) -> np.ndarray:
    """Return the probability of a failure, with its digits where it is small."""
    if link == "logit":
        return special.expit(-eta)
    return special.ndtr(-eta) if link == "probit" else np.exp(-np.exp(eta))


def _infinite(
    sides: np.ndarray, predictors: np.ndarray, blocks: Sequence[Block], columns: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the signs of infinite coefficients (units, common), and the rows they separate.

    The sign is NaN where directions of either sign fit the rows as well, or may do so because a
    common coefficient is infinite.
    """
    units, common = np.zeros(columns), np.zeros(predictors.shape[1])
    separated = np.zeros(len(sides), dtype=bool)
    design = _scaled_design(predictors, blocks, columns)
    while True:
        rows = np.flatnonzero(~separated)
        direction, gains = _direction(design[rows], sides[rows])
        if direction is None:
            break
        new = gains > _ZERO
        separated[rows[new]] = True
        own, shared = direction[:columns], direction[columns:]
        units = np.where((units == 0) & (np.abs(own) > _ZERO), np.sign(own), units)
        common = np.where((common == 0) & (np.abs(shared) > _ZERO), np.sign(shared), common)
    for block in blocks:
        determined = project(block, np.ones(len(block.rows))).determined
        units[block.columns[~determined]] = 0.0
        for place in np.flatnonzero(units[block.columns]):
            # Where a common predictor separates outcomes too, a unit's sign is not its own.
            if common.any() or _either_sign(block.values, sides[block.rows], int(place)):
                units[block.columns[place]] = np.nan
    for place in np.flatnonzero(common):
        if _either_sign(design, sides, columns + int(place)):
            common[place] = np.nan
    return units, common, separated


def _either_sign(design: Any, sides: np.ndarray, place: int) -> bool:
    """Whether a coefficient may go to either infinity, by directions of these columns alone."""
    goal = np.zeros(design.shape[1])
    goal[place] = 1.0
    ends = [_programme(design, sides, sign * goal) for sign in (1.0, -1.0)]
    return all(end is not None and abs(end[place]) > _ZERO for end in ends)


def _programme(design: Any, sides: np.ndarray, goal: np.ndarray) -> np.ndarray | None:
    """Return the direction of least `goal` that makes no row's fit worse; None if there is none."""
    one_sided = sides != 0
    signed = sparse.diags_array(sides[one_sided].astype(float)) @ design[one_sided]
    two_sided = bool((~one_sided).any())
    found = linprog(
        goal,
        A_ub=-signed,
        b_ub=np.zeros(signed.shape[0]),
        A_eq=design[~one_sided] if two_sided else None,
        b_eq=np.zeros(int((~one_sided).sum())) if two_sided else None,
        bounds=(-1, 1),
        method="highs",
    )
    return found.x


def _direction(design: sparse.csr_array, sides: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """Return a direction that fits one-sided rows ever better and leaves the others as they are."""
    gains = np.zeros(len(sides))
    if not sides.any():
        return None, gains
    # Rows with two sides gain nothing in any direction that is allowed.
    signed = sparse.diags_array(sides.astype(float)) @ design
    direction = _programme(design, sides, -np.asarray(signed.sum(axis=0)).ravel())
    if direction is None:
        return None, gains
    gains = signed @ direction
    return (direction, gains) if (gains > _ZERO).any() else (None, gains)


def _scaled_design(
    predictors: np.ndarray, blocks: Sequence[Block], columns: int
) -> sparse.csr_array:
    """Return units' columns and predictors as one sparse matrix, no entry above 1 in size."""
    rows, places, values = [], [], []
    for block in blocks:
        rows.append(np.repeat(block.rows, len(block.columns)))
        places.append(np.tile(block.columns, len(block.rows)))
        values.append(block.values.ravel())
    shape = (len(predictors), columns)
    entries = (
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(places)))
        if blocks
        else (np.empty(0), (np.empty(0, dtype=int), np.empty(0, dtype=int)))
    )
    whole = sparse.hstack([sparse.csr_array(entries, shape=shape), sparse.csr_array(predictors)])
    size = np.maximum(abs(whole).max(axis=0).toarray().ravel(), 1e-300)
    return sparse.csr_array(whole @ sparse.diags_array(1 / size))
