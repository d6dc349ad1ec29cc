"""Means and draws of outcomes that have families of their own."""

from collections.abc import Mapping

import numpy as np

from bayesml.quantities.mixed_outcomes import joined_outcomes
from bayesml.quantities.response_means import response_mean, response_mean_over_normal
from bayesml.specs.modelspec import ModelSpec


def means_by_outcome(
    spec: ModelSpec,
    eta: np.ndarray,
    variance: np.ndarray | None,
    parameters: Mapping[str, np.ndarray],
    outcome: np.ndarray,
) -> np.ndarray:
    """Return the expected outcomes of rows.

    Parameters
    ----------
    spec : ModelSpec
        With families by outcome.
    eta : array, shape (rows, draws)
        Linear predictor.
    variance : array that broadcasts to (rows, draws), or None
        Variance of the effects that are averaged over.
    parameters : mapping of str to array, shape (rows, draws)
    outcome : array of int, shape (rows,)
        Number of each row's outcome.

    Returns
    -------
    array, shape (rows, draws)
    """
    values = dict(parameters)
    if variance is not None:
        values["variance"] = np.broadcast_to(variance, eta.shape)

    def mean(place: int, of_rows: np.ndarray, own: Mapping[str, np.ndarray]) -> np.ndarray:
        one = spec.family_of(place)
        if variance is None:
            found = response_mean(one.link.name, of_rows)
        else:
            found = response_mean_over_normal(one.link.name, of_rows, own["variance"])
        return np.asarray(found * one.record.mean_factor(own))

    return joined_outcomes(outcome, eta, values, mean, axis=-2)


def outcomes_by_family(
    spec: ModelSpec,
    eta: np.ndarray,
    parameters: Mapping[str, np.ndarray],
    outcome: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return outcomes drawn for rows; arguments as in `means_by_outcome`."""

    def drawn(place: int, of_rows: np.ndarray, own: Mapping[str, np.ndarray]) -> np.ndarray:
        one = spec.family_of(place)
        mean = response_mean(one.link.name, of_rows)
        return one.record.simulate(rng, mean, {**own, "link": one.link.name}, np.asarray(1))

    return joined_outcomes(outcome, eta, parameters, drawn, axis=-2)
