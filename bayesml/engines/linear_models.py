"""A Gaussian model as centred and scaled arrays, and the way back to the user's scale."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bayesml.design.member_terms import all_slots
from bayesml.engines.elimination import Elimination, eliminate
from bayesml.engines.meetings import GroupingArrays
from bayesml.engines.residual_classes import ResidualClasses, eliminate_classes


@dataclass(frozen=True)
class LinearModel:
    """Arrays of a Gaussian model on the user's scale.

    Parameters
    ----------
    outcome : array, shape (rows,)
    offset : array, shape (rows,), or None
        Known part of the linear predictor.
    predictors : array, shape (rows, coefficients)
        X, the intercept's column first where there is one; of several outcomes the columns of the
        first outcome first, which are 0 in the rows of the others.
    intercept : bool
        Whether there is an intercept.
    groupings : tuple of GroupingArrays
    blocks : tuple of tuple of int
        Number of terms of each block of the covariance, by grouping.
    number : array of int, shape (rows,), or None
        Outcome of each row, where there are several.
    residual : ResidualClasses or None
        Residuals that are correlated or have several SDs; None where they are alike.
    """

    outcome: np.ndarray
    offset: np.ndarray | None
    predictors: np.ndarray
    intercept: bool
    groupings: tuple[GroupingArrays, ...]
    blocks: tuple[tuple[int, ...], ...]
    number: np.ndarray | None = None
    residual: ResidualClasses | None = None

    @property
    def sizes(self) -> list[int]:
        """Number of varying terms of each grouping."""
        return [item.size for item in self.groupings]

    @property
    def block_first(self) -> np.ndarray:
        """First term of each term's block, by position in its grouping; groupings one by one."""
        first = [
            np.repeat(np.concatenate([[0], np.cumsum(blocks)[:-1]]), blocks)
            for blocks in self.blocks
        ]
        return np.concatenate([*first, np.empty(0)]).astype(np.int64)


@dataclass(frozen=True)
class Standardised:
    """The arrays that cross-products are made of, and how they were made.

    Centring y and X keeps y'y and X'X from cancelling; Z is scaled only, since shifting a term
    would change what its SD and its correlations mean.

    Parameters
    ----------
    fixed : array, shape (rows, coefficients + 1)
        C = [X y].
    intercept : bool
        Whether the first predictor is the intercept.
    groupings : tuple of GroupingArrays
        With scaled terms.
    outcome_mean : array, shape (outcomes,)
        What was subtracted from each outcome minus its offset: its mean, 0 without an intercept.
    predictor_mean, predictor_scale : arrays, shape (coefficients,)
        What was subtracted from each predictor, and by what it was then divided; 0 and 1 for the
        intercept.
    term_scale : array, shape (terms,)
        What each varying term was divided by, all groupings one after the other.
    """

    fixed: np.ndarray
    intercept: bool
    groupings: tuple[GroupingArrays, ...]
    outcome_mean: np.ndarray
    predictor_mean: np.ndarray
    predictor_scale: np.ndarray
    term_scale: np.ndarray

    def coefficients(self, internal: np.ndarray) -> np.ndarray:
        """Return coefficients on the user's scale, shape (..., coefficients), intercept at 0."""
        beta = internal / self.predictor_scale
        if self.intercept:
            for own, mean in zip(self.own_columns, self.outcome_mean, strict=True):
                slopes = slice(own.start + 1, own.stop)
                beta[..., own.start] += mean - beta[..., slopes] @ self.predictor_mean[slopes]
        return beta

    @property
    def own_columns(self) -> list[slice]:
        """The columns of X of each outcome."""
        count = len(self.outcome_mean)
        width = len(self.predictor_mean) // count
        return [slice(k * width, (k + 1) * width) for k in range(count)]

    def covariance(self, internal: np.ndarray) -> np.ndarray:
        """Return the covariance of the coefficients on the user's scale, intercept at 0."""
        change = np.diag(1 / self.predictor_scale)
        if self.intercept:
            for own in self.own_columns:
                slopes = slice(own.start + 1, own.stop)
                change[own.start, slopes] = (
                    -self.predictor_mean[slopes] / self.predictor_scale[slopes]
                )
        return change @ internal @ change.T


def standardise(model: LinearModel) -> Standardised:
    """Return centred and scaled arrays."""
    y = model.outcome - (0.0 if model.offset is None else model.offset)
    x = model.predictors
    mean, scale = np.zeros(x.shape[1]), np.ones(x.shape[1])
    number = np.zeros(len(y), dtype=np.int64) if model.number is None else model.number
    outcomes = int(number.max()) + 1
    outcome_mean = np.zeros(outcomes)
    fixed = np.zeros((len(y), x.shape[1] + 1))
    width = x.shape[1] // outcomes
    for k in range(outcomes):
        rows = number == k
        slopes = slice(k * width + int(model.intercept), (k + 1) * width)
        own = x[rows, slopes]
        if model.intercept:
            mean[slopes] = own.mean(axis=0)
            outcome_mean[k] = y[rows].mean()
            fixed[rows, k * width] = x[rows, k * width]
        scale[slopes] = _positive(np.sqrt(((own - mean[slopes]) ** 2).mean(axis=0)))
        fixed[rows, slopes] = (own - mean[slopes]) / scale[slopes]
        fixed[rows, -1] = y[rows] - outcome_mean[k]
    scales: list[np.ndarray] = []
    groupings = []
    for item in model.groupings:
        scales.append(_positive(np.sqrt((all_slots(item.terms) ** 2).mean(axis=0))))
        groupings.append(replace(item, terms=item.terms / scales[-1]))
    return Standardised(
        fixed,
        model.intercept,
        tuple(groupings),
        outcome_mean,
        mean,
        scale,
        np.concatenate([*scales, np.empty(0)]),
    )


def eliminated(
    model: LinearModel, fixed: np.ndarray, groupings: Sequence[GroupingArrays]
) -> Elimination:
    """Return the order of elimination with the cross-products that the model's residuals need.

    Raises
    ------
    TooLarge
        Too many random effects are entangled, or the residuals have too many classes.
    """
    if model.residual is None:
        return eliminate(fixed, groupings)
    return eliminate_classes(fixed, groupings, model.residual)


def rounding_of_squares(arrays: Standardised, variance: float) -> float:
    """Return what rounding y'y costs a log-density whose residual variance is `variance`.

    The sum of squares is what y'y leaves after coefficients and effects: where the outcome is not
    centred, or groups lie a million residual SDs apart, that is a difference of large numbers.
    """
    y = arrays.fixed[:, -1]
    squares = float(y @ y)
    return float(np.finfo(float).eps) * squares / variance if variance > 0 else np.inf


def variance_within(arrays: Standardised) -> float:
    """Return the variance that predictors and the means of the smallest units leave of y.

    Infinite where no degrees of freedom remain, so that nothing is known of the residuals.
    """
    fixed = arrays.fixed
    freedom = len(fixed) - fixed.shape[1] + 1
    single = [item for item in arrays.groupings if item.weights is None]
    if single:
        finest = max(single, key=lambda item: item.units)
        rows = np.bincount(finest.index, minlength=finest.units)
        means = (
            np.column_stack(
                [np.bincount(finest.index, column, minlength=finest.units) for column in fixed.T]
            )
            / np.maximum(rows, 1)[:, None]
        )
        fixed = fixed - means[finest.index]
        freedom -= int((rows > 0).sum())
    if freedom <= 0:
        return np.inf
    x, y = fixed[:, :-1], fixed[:, -1]
    found = np.linalg.lstsq(x.T @ x, x.T @ y, rcond=None)[0]
    return float(((y - x @ found) ** 2).sum()) / freedom


def _positive(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, 1.0)


def per_grouping(values: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    """Split the last axis, over the terms of all groupings, into one array per grouping."""
    return np.split(values, np.cumsum(sizes)[:-1], axis=-1) if sizes else []
