"""Blocks of rows of a nominal outcome: the linear predictors of all categories together."""

from collections.abc import Sequence

import numpy as np

from bayesml.posterior.effect_distributions import factors_by_kind
from bayesml.posterior.prediction_rows import RowsOfGrouping
from bayesml.quantities.nominal_shares import roots_of_rows
from bayesml.records.fits import Fit


class CategorySpread:
    """Covariance that one grouping gives to the categories' linear predictors of rows.

    Parameters
    ----------
    fit : Fit
    part : RowsOfGrouping
        Whose effects are averaged over.
    """

    def __init__(self, fit: Fit, part: RowsOfGrouping):
        root = factors_by_kind(fit, part.facts)
        self.covariance = np.moveaxis(root @ root.swapaxes(1, 2), 0, 2)
        self.places = [part.places(category) for category in fit.facts.outcomes]
        # Categories share their columns of Z.
        self.terms = part.terms[:, self.places[0]]
        self.squared = (part.weights**2).sum(axis=1)

    def of(self, block: slice) -> np.ndarray:
        """Return the covariance, shape (categories, categories, rows or 1, draws)."""
        terms, squared = self.terms[block], self.squared[block]
        if (terms == terms[0]).all() and (squared == squared[0]).all():
            terms, squared = terms[:1], squared[:1]
        count = len(self.places)
        found = np.empty((count, count, len(terms), self.covariance.shape[2]))
        for first, rows in enumerate(self.places):
            for second, columns in enumerate(self.places[: first + 1]):
                between = self.covariance[np.ix_(rows, columns)]
                value = np.einsum("rs,std,rt,r->rd", terms, between, terms, squared, optimize=True)
                found[first, second] = found[second, first] = value
        return found


def summed(spreads: Sequence[CategorySpread], block: slice) -> np.ndarray | None:
    """Return the covariance that several groupings give together; None where there are none."""
    whole: np.ndarray | None = None
    for spread in spreads:
        own = spread.of(block)
        whole = own if whole is None else whole + own
    return whole


def drawn_scores(
    scores: np.ndarray, covariance: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    """Return linear predictors with effects that are averaged over drawn anew for every row.

    Parameters
    ----------
    scores : array, shape (categories, rows, draws)
    covariance : array or None
        As `summed` returns it.
    rng : numpy Generator
    """
    if covariance is None:
        return scores
    normal = rng.standard_normal(scores.shape)
    return scores + np.einsum("abrd,brd->ard", roots_of_rows(covariance), normal)
