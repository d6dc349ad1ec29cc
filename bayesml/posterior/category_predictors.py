"""Category-specific effects in predictions: what a row's values are split by, beside draws."""

from typing import TYPE_CHECKING

import numpy as np

from bayesml.records.fits import Fit
from bayesml.specs.category_effects import CATEGORY_SPECIFIC

if TYPE_CHECKING:
    from bayesml.posterior.linear_predictors import PredictorBlock


def prediction_axis(fit: Fit, kind: str) -> tuple[str, list[str]]:
    """Return the name and the labels of the axis that a row's prediction has beside draws.

    Parameters
    ----------
    fit : Fit
    kind : {"mean", "outcome", "linear"}

    Returns
    -------
    (str, list of str)
        ``"category"`` of the means of ordered and nominal outcomes, and of the linear predictors
        of nominal ones, ``"cutpoint"`` of linear predictors with
        category-specific effects; empty where a prediction is one number.
    """
    if kind == "mean" and (categories := fit.facts.categories or fit.facts.nominal):
        return "category", list(categories)
    if kind == "linear" and fit.facts.nominal:
        # The baseline's linear predictor is 0.
        return "category", list(fit.facts.outcomes)
    if kind == "linear" and fit.facts.specific is not None:
        return "cutpoint", [str(label) for label in fit.posterior["cutpoint"].values]
    return "", []


def linear_of_block(block: "PredictorBlock", nominal: bool) -> np.ndarray:
    """Return the linear predictor, of each cutpoint or category where they differ.

    Parameters
    ----------
    block : PredictorBlock
    nominal : bool
        Whether the outcome has unordered categories.

    Returns
    -------
    array, shape (rows, draws), or (rows, cutpoints or categories, draws)
    """
    if nominal:
        return np.moveaxis(block.scores, 0, 1)
    specific = block.parts.get(CATEGORY_SPECIFIC)
    return block.eta if specific is None else block.eta[:, None] + specific.eta


def cutpoints_of_block(block: "PredictorBlock", cutpoints: np.ndarray) -> np.ndarray:
    """Return cutpoints, shape (draws, cutpoints), moved by the rows' category-specific effects.

    Then they have the shape (rows, draws, cutpoints).
    """
    specific = block.parts.get(CATEGORY_SPECIFIC)
    return cutpoints if specific is None else cutpoints - specific.eta.swapaxes(1, 2)
