"""Draws of the likelihood's parameters, with a place for every outcome where there are several."""

from typing import TYPE_CHECKING

import numpy as np

from bayesml.quantities.mixed_outcomes import (
    CUTPOINTS,
    padded_cutpoints,
    parameters_by_outcome,
)

if TYPE_CHECKING:
    from bayesml.records.fits import Fit


def parameter_values(fit: "Fit", name: str) -> np.ndarray:
    """Return the draws of a parameter of the likelihood, shape (chains, draws, ...).

    Outcomes of families that do not have it have NaN, so that the last axis counts all outcomes;
    cutpoints of several outcomes have an axis of outcomes before their own, see
    `padded_cutpoints`.

    Parameters
    ----------
    fit : Fit
    name : str
        Such as ``"sigma"``.
    """
    if name == CUTPOINTS and fit.facts.ordered:
        own = {item.outcome: variable_values(fit, item.variable) for item in fit.facts.ordered}
        return padded_cutpoints(own, len(fit.facts.outcomes))
    values = variable_values(fit, name)
    if not fit.spec.families:
        return values
    having = fit.spec.outcomes_of_parameter(name)
    return parameters_by_outcome(values, having, len(fit.facts.outcomes))


def variable_values(fit: "Fit", name: str) -> np.ndarray:
    """Return the draws of a variable of the posterior, shape (chains, draws, ...)."""
    draws = fit.posterior[name].transpose("chain", "draw", ...)
    return np.asarray(draws.values, dtype=float)
