"""Maximum likelihood of ordered outcomes with own coefficients for every unit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bayesml.errors import FitError
from bayesml.quantities.dummy_regression import Block, DummyFit, dummy_least_squares, free_columns
from bayesml.specs.families import FAMILIES

_MOST_STEPS = 200
# Relative change of the deviance at which the steps end.
_CLOSE = 1e-13
# Below this share of a row's largest information, what it says in a direction is rounding.
_NOTHING = 1e-12


@dataclass(frozen=True)
class OrderedOutcome:
    """Ordered outcomes of a generalised linear model whose intercept stands for one cutpoint.

    What the linear predictor with its intercept exceeds cutpoint k by is eta - gap[k]; the gap of
    the middle cutpoint, the one that comes nearest to halving the rows, is 0. So the intercept is
    minus the middle cutpoint, and of two categories the model is that of a binomial outcome.

    Parameters
    ----------
    y : array of int, shape (rows,)
        Category, from 0.
    family : str
    link : str
    offset : array, shape (rows,)
        Known part of the linear predictor.
    categories : tuple of str
    middle : int
        The cutpoint that the intercept stands for.
    known_gaps : array, shape (cutpoints,), or None
        None estimates the gaps.
    """

    y: np.ndarray
    family: str
    link: str
    offset: np.ndarray
    categories: tuple[str, ...]
    middle: int
    known_gaps: np.ndarray | None = None

    def at(self, rows: np.ndarray) -> "OrderedOutcome":
        """Return the outcomes of some rows."""
        return replace(self, y=self.y[rows], offset=self.offset[rows])

    @property
    def sides(self) -> np.ndarray:
        """1 where only an infinite predictor fits the row best, -1 where minus infinity does."""
        return np.where(self.y == 0, -1, np.where(self.y == len(self.categories) - 1, 1, 0))

    @property
    def cutpoints(self) -> int:
        """Number of cutpoints."""
        return len(self.categories) - 1

    @property
    def estimated(self) -> np.ndarray:
        """Which cutpoints have gaps that are estimated, shape (gaps,)."""
        places = np.arange(self.cutpoints)
        return places[:0] if self.known_gaps is not None else places[places != self.middle]

    @property
    def gap_labels(self) -> list[str]:
        """The cutpoints whose gaps are estimated, by the categories on either side."""
        return [f"cutpoints[{self.cutpoint_label(place)}]" for place in self.estimated]

    def cutpoint_label(self, place: int) -> str:
        """Return a cutpoint's categories, as in the posterior."""
        return f"{self.categories[place]}|{self.categories[place + 1]}"


def middle_cutpoint(y: np.ndarray, categories: int) -> int:
    """Return the cutpoint that comes nearest to halving the rows.

    Examples
    --------
    >>> middle_cutpoint(np.array([0, 0, 0, 1, 2, 2]), 3)
    0
    """
    shares = np.bincount(y, minlength=categories).cumsum()[:-1] / len(y)
    return int(np.abs(shares - 0.5).argmin())


def separating_rows(
    outcome: OrderedOutcome, predictors: np.ndarray, blocks: Sequence[Block]
) -> tuple[np.ndarray, list[Block]]:
    """Return rows of a linear programme in which a direction that fits no row worse is >= 0.

    A row of the table has one for each neighbour that its category must not lose to: what lies
    below the category's cutpoints must rise, what lies above must fall.

    Parameters
    ----------
    outcome : OrderedOutcome
    predictors : array, shape (rows, predictors)
    blocks : sequence of Block

    Returns
    -------
    array, shape (rows * cutpoints, predictors + gaps), and list of Block
        The rows of one row of the table stand together.
    """
    count = outcome.cutpoints
    signs = np.zeros((count + 1, count, count))
    for category in range(count + 1):
        for place in range(count):
            below = place < category
            if outcome.family == "adjacent_category":
                # The sum of the steps between the category and any other.
                steps = slice(place, category) if below else slice(category, place + 1)
                signs[category, place, steps] = 1.0 if below else -1.0
            elif place == category or (
                below and (place == category - 1 or outcome.family == "continuation_ratio")
            ):
                signs[category, place, place] = 1.0 if below else -1.0
    return _expanded(outcome, signs[outcome.y], predictors, blocks)


def ordered_steps(
    outcome: OrderedOutcome,
    predictors: np.ndarray,
    blocks: Sequence[Block],
    columns: int,
    free: np.ndarray,
) -> DummyFit:
    """Return the maximum-likelihood estimates by Fisher's scoring, as if all were finite.

    A row has a linear predictor for each cutpoint; its information about them, W = RR', makes of it
    as many rows of a least-squares problem: R'(eta + W^-1 score) on R' times its columns
    (McCullagh 1980, doi:10.1111/j.2517-6161.1980.tb01109.x; Yee & Wild 1996,
    doi:10.1111/j.2517-6161.1996.tb02095.x).

    Parameters
    ----------
    outcome : OrderedOutcome
    predictors : array, shape (rows, predictors)
        With the intercept, unless the units' columns hold it.
    blocks : sequence of Block
    columns : int
    free : array of bool, shape (predictors,)

    Returns
    -------
    DummyFit
        With `gaps` and `gaps_se`.

    Raises
    ------
    FitError
        The steps do not converge.
    """
    chosen, number = outcome.estimated, outcome.cutpoints
    still = free.copy()
    still[free] = free_columns(predictors[:, free], blocks)
    whole = np.concatenate([still, np.ones(len(chosen), dtype=bool)])
    eta, gaps = _start(outcome)
    deviance = np.inf
    for _ in range(_MOST_STEPS):
        root, inverse, score = _information(outcome, eta, gaps)
        known = np.where(np.isin(np.arange(number), chosen), 0.0, gaps)
        target = np.einsum("rkl,rl->rk", root, (eta - outcome.offset)[:, None] - gaps + known)
        target += np.einsum("rkl,rl->rk", inverse, score)
        wide, parts = _expanded(outcome, root, predictors, blocks)
        found = dummy_least_squares(target.ravel(), wide, parts, columns, free=whole, variance=1.0)
        new_gaps = known.copy()
        new_gaps[chosen] = found.common[len(free) :]
        # The fitted rows are R'(eta - gap): eta is what is left without the gaps.
        fitted = found.fitted.reshape(-1, number) + root @ (new_gaps - known)
        sums = root.sum(axis=2)
        fitted = (sums * fitted).sum(axis=1) / np.maximum((sums**2).sum(axis=1), 1e-300)
        new = fitted + outcome.offset
        reached = _deviance(outcome, new, new_gaps)
        for _ in range(40):  # a step too far is halved
            if np.isfinite(reached) and reached <= deviance + 1e-11 * (abs(reached) + 1):
                break
            new, new_gaps = (new + eta) / 2, (new_gaps + gaps) / 2
            reached = _deviance(outcome, new, new_gaps)
        settled = abs(deviance - reached) <= _CLOSE * (abs(reached) + 0.1)
        eta, gaps, deviance = new, new_gaps, reached
        if settled:
            return replace(
                found,
                common=found.common[: len(free)],
                common_se=found.common_se[: len(free)],
                gaps=found.common[len(free) :],
                gaps_se=found.common_se[len(free) :],
                fitted=fitted,
            )
    raise FitError(
        f"The maximum-likelihood estimates did not settle in {_MOST_STEPS} steps. Give the "
        "predictors similar scales."
    )


def _expanded(
    outcome: OrderedOutcome, factors: np.ndarray, predictors: np.ndarray, blocks: Sequence[Block]
) -> tuple[np.ndarray, list[Block]]:
    """Return the columns of factors (rows, new rows, cutpoints) times eta - gap."""
    rows, number, _ = factors.shape
    sums = factors.sum(axis=2)
    wide = (sums[:, :, None] * predictors[:, None]).reshape(rows * number, -1)
    gaps = -factors[:, :, outcome.estimated].reshape(rows * number, -1)
    parts = []
    for block in blocks:
        places = (block.rows[:, None] * number + np.arange(number)).ravel()
        values = (sums[block.rows][:, :, None] * block.values[:, None]).reshape(len(places), -1)
        parts.append(Block(places, block.columns, values))
    return np.column_stack([wide, gaps]), parts


def _start(outcome: OrderedOutcome) -> tuple[np.ndarray, np.ndarray]:
    counts = np.bincount(outcome.y, minlength=len(outcome.categories)) + 0.5
    cutpoints_of = FAMILIES[outcome.family].cutpoints_of
    assert cutpoints_of is not None
    cutpoints = cutpoints_of(outcome.link, counts / counts.sum())
    middle = cutpoints[outcome.middle]
    gaps = cutpoints - middle if outcome.known_gaps is None else outcome.known_gaps
    return np.full(len(outcome.y), -middle), np.asarray(gaps, dtype=float)


def _information(
    outcome: OrderedOutcome, eta: np.ndarray, gaps: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the root of each row's expected information, its inverse, and the score."""
    family = FAMILIES[outcome.family]
    assert family.category_shares is not None
    assert family.category_slopes is not None
    cutpoints = gaps[:, None]
    shares = family.category_shares(outcome.link, eta, cutpoints)
    slopes = family.category_slopes(outcome.link, eta, cutpoints)
    score = np.moveaxis(slopes, 2, 0)[np.arange(len(eta)), outcome.y]
    information = np.einsum("jr,jkr,jlr->rkl", shares, slopes, slopes)
    values, vectors = np.linalg.eigh(information)
    size = np.sqrt(np.maximum(values, 0.0))
    kept = values > _NOTHING * np.maximum(values[:, -1:], 1e-300)
    inverse = np.divide(1.0, size, out=np.zeros_like(size), where=kept)
    rotated = vectors.swapaxes(1, 2)
    return (vectors * size[:, None]) @ rotated, (vectors * inverse[:, None]) @ rotated, score


def _deviance(outcome: OrderedOutcome, eta: np.ndarray, gaps: np.ndarray) -> float:
    ends = np.concatenate([[-np.inf], gaps, [np.inf]])
    parameters = {
        "cutpoints": gaps[:, None, None],
        "lower": ends[outcome.y][:, None],
        "upper": ends[outcome.y + 1][:, None],
    }
    family = FAMILIES[outcome.family]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        rows = family.log_likelihood(outcome.link, outcome.y[:, None], eta[:, None], parameters)
    return -2 * float(rows.sum())
