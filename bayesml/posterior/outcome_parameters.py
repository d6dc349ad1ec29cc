"""Draws of the likelihood's parameters, with a place for every outcome where there are several."""

from typing import TYPE_CHECKING

import numpy as np

from bayesml.quantities.mixed_outcomes import parameters_by_outcome

if TYPE_CHECKING:
    from bayesml.records.fits import Fit


def parameter_values(fit: "Fit", name: str) -> np.ndarray:
    """Return the draws of a parameter of the likelihood, shape (chains, draws, ...).

    Outcomes of families that do not have it have NaN, so that the last axis counts all outcomes.

    Parameters
    ----------
    fit : Fit
    name : str
        Such as ``"sigma"``.
    """
    draws = fit.posterior[name].transpose("chain", "draw", ...)
    values = np.asarray(draws.values, dtype=float)
    if not fit.spec.families:
        return values
    having = fit.spec.outcomes_of_parameter(name)
    return parameters_by_outcome(values, having, len(fit.facts.outcomes))
