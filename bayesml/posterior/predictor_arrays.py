"""The linear predictors of a fit: their coefficients and their columns of X.

The main one has the empty name; a parameter with a formula of its own, or a category of a nominal
outcome, has its own. Categories share the columns of X, and their main linear predictor, that of
the baseline, has none.
"""

from typing import TYPE_CHECKING

import numpy as np

from bayesml.records.fits import Fit

if TYPE_CHECKING:
    import xarray as xr


def predictor_coefficients(fit: Fit, predictor: str = "") -> np.ndarray:
    """Return the draws of a linear predictor's coefficients, shape (chains, draws, coefficients).

    Parameters
    ----------
    fit : Fit
    predictor : str
        Empty for the main one, else the parameter or the category. Those of category-specific
        effects, ``"cs"``, have an axis of cutpoints before that of coefficients.
    """
    posterior, facts = fit.posterior, fit.facts
    sizes = (posterior.sizes["chain"], posterior.sizes["draw"])
    if facts.nominal:
        if not predictor or "beta" not in posterior:
            return np.empty((*sizes, 0))
        values = posterior["beta"].transpose("chain", "draw", "category", "coef").values
        return np.asarray(values[:, :, facts.outcomes.index(predictor)], dtype=float)
    if not predictor:
        return fit.coefficient_draws
    if f"beta_{predictor}" not in posterior:
        return np.empty((*sizes, 0))
    values = posterior[f"beta_{predictor}"].transpose("chain", "draw", ...).values
    return np.asarray(values, dtype=float)


def flat_coefficients(fit: Fit, predictor: str = "") -> np.ndarray:
    """Return the same, chain after chain, shape (chains x draws, coefficients)."""
    values = predictor_coefficients(fit, predictor)
    return values.reshape(fit.draws_made, *values.shape[2:])


def predictor_columns_of_rows(
    fit: Fit, constant: "xr.Dataset"
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return X of the main linear predictor, and that of every other one.

    Parameters
    ----------
    fit : Fit
    constant : Dataset
        The fit's group ``constant_data``.

    Returns
    -------
    array of shape (rows, coefficients), dict of str to array
    """
    none = np.empty((constant.sizes["obs"], 0))
    x = np.asarray(constant["x"].values, dtype=float) if "x" in constant else none
    if fit.facts.nominal:
        return none, dict.fromkeys(fit.facts.outcomes, x)
    return x, {
        part.parameter: np.asarray(constant[f"x_{part.parameter}"].values, dtype=float)
        if part.coefficients
        else none
        for part in fit.facts.parts
    }
