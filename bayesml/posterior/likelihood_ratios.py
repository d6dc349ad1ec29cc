"""Likelihood-ratio tests between nested models."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import chi2

from bayesml.design.member_terms import all_slots, slot_loads
from bayesml.errors import FitError, listed, quoted
from bayesml.posterior.likelihood_fits import LikelihoodFit

if TYPE_CHECKING:
    from bayesml.engines.meetings import GroupingArrays


@dataclass(frozen=True)
class LikelihoodRatioTest:
    """A likelihood-ratio test of a smaller against a larger model.

    Parameters
    ----------
    smaller, larger : str
        The formulas.
    statistic : float
        Difference of -2 log likelihood.
    degrees : int
        Difference of the numbers of parameters.
    p_value : float
        By the chi-square distribution with `degrees` degrees of freedom: too large where an SD
        is tested against 0, the bound of what it may be.
    p_value_boundary : float
        Where one term's SD is tested against 0: by the equal mixture of chi-square distributions
        with `degrees` - 1 and `degrees` degrees of freedom. Otherwise the same as `p_value`.
    note : str
        What the reader must know.

    Notes
    -----
    Self & Liang (1987), doi:10.1080/01621459.1987.10478472; Stram & Lee (1994),
    doi:10.2307/2533455.
    """

    smaller: str
    larger: str
    statistic: float
    degrees: int
    p_value: float
    p_value_boundary: float
    note: str

    def __str__(self) -> str:
        lines = [
            f"smaller: {self.smaller}",
            f"larger:  {self.larger}",
            f"likelihood ratio {self.statistic:.4f} on {self.degrees} degrees of freedom, "
            f"p = {self.p_value:.4g}",
        ]
        if self.p_value_boundary != self.p_value:
            lines.append(f"p = {self.p_value_boundary:.4g} by the mixture for an SD at its bound")
        return "\n".join([*lines, *([f"note: {self.note}"] if self.note else [])])


def likelihood_ratio_test(smaller: LikelihoodFit, larger: LikelihoodFit) -> LikelihoodRatioTest:
    """Test a smaller against a larger model, both fitted by maximum likelihood to the same rows.

    Parameters
    ----------
    smaller, larger : LikelihoodFit
        From `ml`; every model of the smaller kind must be one of the larger kind. From `reml`
        where the fixed parts are the same.

    Returns
    -------
    LikelihoodRatioTest

    Raises
    ------
    FitError
        The models are fitted to different rows or by different methods, are not nested, or REML
        was used although their fixed parts differ.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> small = bml.ml(bml.model(exam, "normexam ~ standLRT + (1 | school)"))
    >>> large = bml.ml(bml.model(exam, "normexam ~ standLRT + (standLRT | school)"))
    >>> round(bml.likelihood_ratio_test(small, large).statistic, 1)
    40.4
    """
    if smaller.method != larger.method:
        raise FitError(
            f"One model was fitted by {smaller.method} and the other by {larger.method}. Fit both "
            "with bml.ml."
        )
    a, b = smaller.arrays, larger.arrays
    if len(a.outcome) != len(b.outcome) or not np.array_equal(a.outcome, b.outcome):
        raise FitError(
            f"The models are fitted to different rows ({smaller.rows} and {larger.rows}) or "
            "outcomes, so their likelihoods cannot be compared. Leave the rows with missing values "
            "out of the table before both."
        )
    same_fixed = _inside(a.predictors, b.predictors) and _inside(b.predictors, a.predictors)
    if smaller.method == "REML" and not same_fixed:
        raise FitError(
            "REML criteria are comparable only where the fixed parts are the same. Fit both models "
            "with bml.ml."
        )
    _check_nested(smaller, larger)
    _check_residuals(smaller, larger)
    degrees = larger.parameters - smaller.parameters
    if degrees < 1:
        raise FitError(
            f"The larger model has {larger.parameters} parameters and the smaller one "
            f"{smaller.parameters}. Give the smaller model first."
        )
    statistic = max(0.0, smaller.criterion - larger.criterion)
    added = _terms(larger) - _terms(smaller)
    p_value = float(chi2.sf(statistic, degrees))
    boundary, note = p_value, ""
    if added == 1:
        lower = float(chi2.sf(statistic, degrees - 1)) if degrees > 1 else float(statistic <= 0)
        boundary = (p_value + lower) / 2
    elif added > 1:
        note = (
            f"{added} SDs are tested against 0, their bound, at once: the p-value is too large, "
            "and no simple mixture corrects it."
        )
    return LikelihoodRatioTest(
        smaller.formula, larger.formula, statistic, degrees, p_value, boundary, note
    )


def _check_residuals(smaller: LikelihoodFit, larger: LikelihoodFit) -> None:
    """Raise unless the residuals are of one structure, or the smaller model's are all alike."""
    mine, theirs = smaller.arrays.residual, larger.arrays.residual
    if mine is None:
        return
    same = (
        theirs is not None
        and mine.classes == theirs.classes
        and np.array_equal(mine.number, theirs.number)
        and all(map(np.array_equal, mine.residuals, theirs.residuals))
        and mine.combination.shape == theirs.combination.shape
        and abs(mine.combination - theirs.combination).max() == 0
    )
    if not same:
        raise FitError(
            f"The residuals of {quoted(smaller.formula)} and of {quoted(larger.formula)} have "
            "different structures, and which of them contains the other is not known here. Compare "
            "models with one structure, or one with independent residuals of one SD to another."
        )


def _terms(fit: LikelihoodFit) -> int:
    return sum(fit.arrays.sizes)


def _inside(columns: np.ndarray, others: np.ndarray) -> bool:
    """Return whether all columns are linear combinations of the others."""
    if not columns.any():
        return True
    if not others.shape[1]:
        return False
    scale = np.linalg.norm(columns, axis=0)
    left, *_ = np.linalg.lstsq(others, columns, rcond=None)
    return bool((np.linalg.norm(columns - others @ left, axis=0) <= 1e-7 * scale).all())


def _blocks_of(sizes: tuple[int, ...]) -> np.ndarray:
    """Return the block of each term."""
    return np.repeat(np.arange(len(sizes)), sizes)


def _correlated_alike(
    terms: np.ndarray, blocks: tuple[int, ...], others: np.ndarray, other_blocks: tuple[int, ...]
) -> bool:
    """Return whether a covariance of the terms is one that the blocks of the others allow.

    The terms are combinations A of the others, so that effects of covariance S act as effects of
    covariance A S A' of the others; any S with all the correlations that there may be will show.
    """
    mine, theirs = _blocks_of(blocks), _blocks_of(other_blocks)
    combinations, *_ = np.linalg.lstsq(others, terms, rcond=None)
    share = np.linalg.norm(others, axis=0)[:, None] * np.abs(combinations)
    combinations[share < 1e-7 * np.linalg.norm(terms, axis=0)] = 0.0
    covariance = (mine[:, None] == mine) * 0.5 + np.diag(0.5 + np.arange(len(mine)))
    found = combinations @ covariance @ combinations.T
    size = np.sqrt(np.diag(found))
    forbidden = theirs[:, None] != theirs
    return bool((np.abs(found) <= 1e-7 * np.outer(size, size))[forbidden].all())


def _same_units(mine: "GroupingArrays", theirs: "GroupingArrays") -> bool:
    if mine.weights is None or theirs.weights is None:
        weighted_alike = mine.weights is theirs.weights
    else:
        weighted_alike = np.array_equal(mine.weights, theirs.weights)
    return (
        weighted_alike and mine.units == theirs.units and np.array_equal(mine.index, theirs.index)
    )


def _check_nested(smaller: LikelihoodFit, larger: LikelihoodFit) -> None:
    reasons = []
    known, theirs_known = (
        np.zeros(fit.rows) if fit.arrays.offset is None else fit.arrays.offset
        for fit in (smaller, larger)
    )
    if not _inside((known - theirs_known)[:, None], larger.arrays.predictors):
        reasons.append("their offsets differ")
    if not _inside(smaller.arrays.predictors, larger.arrays.predictors):
        names = set(larger.coefficients["coef"])
        missing = [name for name in smaller.coefficients["coef"] if name not in names]
        reasons.append(f"the larger one lacks {listed(missing or ['predictors'])}")
    for position, name in enumerate(smaller.grouping_names):
        if name not in larger.grouping_names:
            reasons.append(f"the larger one lacks the grouping {quoted(name)}")
            continue
        at = larger.grouping_names.index(name)
        mine, theirs = smaller.arrays.groupings[position], larger.arrays.groupings[at]
        if not _same_units(mine, theirs):
            reasons.append(
                f"the grouping {quoted(name)} has other units or weights in the larger one"
            )
            continue
        ours, others = (slot_loads(item.terms, item.weights) for item in (mine, theirs))
        slots = max(ours.shape[1], others.shape[1])
        # Of members' own terms the slots stand below each other.
        ours, others = (
            all_slots(np.broadcast_to(item, (len(item), slots, item.shape[2])))
            for item in (ours, others)
        )
        if not _inside(ours, others):
            reasons.append(f"the larger one lacks varying terms of {quoted(name)}")
        elif not _correlated_alike(
            ours, smaller.arrays.blocks[position], others, larger.arrays.blocks[at]
        ):
            reasons.append(f"the larger one lacks correlations of the terms of {quoted(name)}")
    if reasons:
        raise FitError(
            f"The models are not nested: {'; '.join(reasons)}. Compare them by AIC or BIC, or by "
            "bml.loo of Bayesian fits."
        )
