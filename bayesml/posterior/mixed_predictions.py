"""Means and draws of outcomes that have families of their own."""

from collections.abc import Mapping

import numpy as np

from bayesml.quantities.mixed_outcomes import CUTPOINTS, joined_outcomes
from bayesml.quantities.response_means import (
    category_probabilities,
    response_mean,
    response_mean_over_normal,
)
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.outcome_families import OutcomeFamily


def means_by_outcome(
    spec: ModelSpec,
    eta: np.ndarray,
    variance: np.ndarray | None,
    parameters: Mapping[str, np.ndarray],
    outcome: np.ndarray,
) -> np.ndarray:
    """Return the expected outcomes of rows, of ordered ones the probabilities of categories.

    Parameters
    ----------
    spec : ModelSpec
        With families by outcome.
    eta : array, shape (rows, draws)
        Linear predictor.
    variance : array that broadcasts to (rows, draws), or None
        Variance of the effects that are averaged over.
    parameters : mapping of str to array, shape (rows, draws)
        With ``trials``, shape (rows, 1), and cutpoints as `padded_cutpoints` gives them.
    outcome : array of int, shape (rows,)
        Number of each row's outcome.

    Returns
    -------
    array, shape (rows, draws), or (rows, categories, draws) where an outcome is ordered
        An outcome with fewer categories, or without any, has NaN after its own.
    """
    values = dict(parameters)
    if variance is not None:
        values["variance"] = np.broadcast_to(variance, eta.shape)
    most = values[CUTPOINTS].shape[-1] + 1 if CUTPOINTS in values else 0

    def mean(place: int, of_rows: np.ndarray, own: Mapping[str, np.ndarray]) -> np.ndarray:
        one = spec.family_of(place)
        if CUTPOINTS in own:
            shares = category_probabilities(
                one.record.name, one.link.name, of_rows, own[CUTPOINTS], own.get("variance")
            )
            return _padded(shares.swapaxes(0, 1), most)
        if variance is None:
            found = response_mean(one.link.name, of_rows)
        else:
            found = response_mean_over_normal(one.link.name, of_rows, own["variance"])
        found = np.asarray(found * one.record.mean_factor(own) * own["trials"])
        return _padded(found[None], most) if most else found

    found = joined_outcomes(outcome, eta, values, mean, axis=-2)
    return found.swapaxes(0, 1) if most else found


def _padded(values: np.ndarray, length: int) -> np.ndarray:
    """Return an array with NaN behind its first axis up to this length."""
    found = np.full((length, *values.shape[1:]), np.nan)
    found[: len(values)] = values
    return found


def outcomes_by_family(
    spec: ModelSpec,
    eta: np.ndarray,
    parameters: Mapping[str, np.ndarray],
    outcome: np.ndarray,
    rng: np.random.Generator,
    axis: int = -2,
) -> np.ndarray:
    """Return outcomes drawn for rows; arguments as in `means_by_outcome`, with rows on `axis`."""

    def drawn(place: int, of_rows: np.ndarray, own: Mapping[str, np.ndarray]) -> np.ndarray:
        one = spec.family_of(place)
        mean = of_rows if CUTPOINTS in own else response_mean(one.link.name, of_rows)
        if CUTPOINTS in own and axis == -1:
            own = {**own, CUTPOINTS: own[CUTPOINTS][:, None]}
        return one.record.simulate(rng, mean, {**own, "link": one.link.name}, own["trials"])

    return joined_outcomes(outcome, eta, parameters, drawn, axis)


def replicated_by_outcome(
    spec: ModelSpec,
    eta: np.ndarray,
    parameters: Mapping[str, np.ndarray],
    outcome: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return replications of every row, of shares where there are trials.

    Parameters
    ----------
    spec : ModelSpec
        With families by outcome.
    eta : array, shape (draws, rows)
    parameters : mapping of str to array, shape (draws, rows)
        With ``trials``, shape (1, rows).
    outcome : array of int, shape (rows,)
        Number of each row's outcome.
    rng : numpy Generator

    Returns
    -------
    array, shape (draws, rows)
    """
    found = outcomes_by_family(spec, eta, parameters, outcome, rng, axis=-1)
    return found / parameters["trials"]


def moments_by_outcome(
    spec: ModelSpec, eta: np.ndarray, parameters: Mapping[str, np.ndarray], outcome: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and SD of every row; arguments as in `replicated_by_outcome`."""

    def both(place: int, of_rows: np.ndarray, own: Mapping[str, np.ndarray]) -> np.ndarray:
        if CUTPOINTS in own:
            cutpoints = own[CUTPOINTS].T[..., None]
            return np.stack(category_moments(spec.family_of(place), of_rows, cutpoints))
        return np.stack(mean_and_sd(spec.family_of(place), of_rows, own, own["trials"]))

    mean, sd = joined_outcomes(outcome, eta, parameters, both, axis=-1)
    return mean, sd


def category_moments(
    one: OutcomeFamily, eta: np.ndarray, cutpoints: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and SD of the number of an ordered outcome's category, from 0.

    Parameters
    ----------
    one : OutcomeFamily
    eta : array, shape (draws, rows)
    cutpoints : array that broadcasts to (cutpoints, draws, rows)
    """
    mean, square = np.zeros_like(eta), np.zeros_like(eta)
    assert one.record.category_shares is not None
    with np.errstate(over="ignore", under="ignore"):
        shares = one.record.category_shares(one.link.name, eta, cutpoints)
    for place, share in enumerate(shares):
        mean += place * share
        square += place**2 * share
    return mean, np.sqrt(np.maximum(square - mean**2, 1e-24))


def mean_and_sd(
    one: OutcomeFamily, eta: np.ndarray, parameters: Mapping[str, np.ndarray], trials: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and SD of outcomes that are not ordered."""
    family = one.record
    with np.errstate(over="ignore"):
        # As far as the families' simulators go.
        mean = np.minimum(one.link.inverse(eta), 1e18)
    variance = family.variance(mean, parameters, trials)
    if family.level1:
        variance = np.where(np.isfinite(variance), variance, np.square(parameters[family.level1]))
    return mean * family.mean_factor(parameters), np.sqrt(variance)
