"""A roughly normal stand-in for an outcome on the link scale."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bayesml.design.responses import Response
from bayesml.specs.censoring import CENSORING, RIGHT
from bayesml.specs.modelspec import ModelSpec


@dataclass(frozen=True)
class Working:
    """A roughly normal stand-in for the outcome on the link scale.

    Parameters
    ----------
    start : array, shape (rows,)
        Linear predictor, without the offset, to begin with.
    at : callable
        From a linear predictor to the working response and its information (Breslow & Clayton
        1993, doi:10.1080/01621459.1993.10594284).
    residual_known : bool
        False where the level-1 variance is estimated too.
    """

    start: np.ndarray
    at: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    residual_known: bool


def working_response(spec: ModelSpec, response: Response, offset: np.ndarray | None) -> Working:
    """Return the stand-in for an outcome."""
    y = response.values.astype(float)
    kind = spec.family_record.response
    shift = np.zeros_like(y) if offset is None else offset
    if kind == "count":
        rate = np.log(max(y.sum(), 0.5) / np.exp(shift).sum())
        highest = np.log(y.max() + 1) + 1

        def count(eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            mean = np.exp(np.clip(eta + shift, -6.0, highest))
            return eta + (y - mean) / mean, mean

        return Working((np.log(y + 0.5) - shift + rate) / 2, count, True)
    if kind == "binary":
        trials = np.ones_like(y) if response.trials is None else response.trials.astype(float)

        def binary(eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            share = np.clip(spec.link_record.inverse(eta + shift), 0.005, 0.995)
            slope = _slope(spec, share)
            weight = slope**2 * trials / (share * (1 - share))
            return eta + (y / trials - share) / slope, weight

        share = np.clip(y.sum() / trials.sum(), 0.005, 0.995) * np.ones_like(y)
        return Working(spec.link_record.forward(share) - shift, binary, True)
    if spec.family_record.scaled or spec.family_record.durations is not None:
        # Normal on the link scale, or nearly so.
        latent = spec.link_record.forward(y) - shift
    elif kind == "positive":
        # By quasi-likelihood: the SD is in proportion to the mean, so every row says as much.
        lowest, top = np.quantile(np.log(y), [0.01, 0.99])

        def positive(eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            near = np.clip(eta + shift, lowest - 1, top + 1)
            step = np.clip(np.expm1(np.log(y) - near), -1.0, 4.0)
            return near - shift + step, np.ones_like(y)

        return Working(np.full_like(y, np.log(y.mean())) - shift, positive, False)
    elif kind == "unit":

        def unit(eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            share = np.clip(spec.link_record.inverse(eta + shift), 0.005, 0.995)
            slope = _slope(spec, share)
            return eta + (y - share) / slope, slope**2 / (share * (1 - share))

        mean = np.clip(y.mean(), 0.005, 0.995) * np.ones_like(y)
        return Working(spec.link_record.forward(mean) - shift, unit, False)
    elif kind == "ordered":
        codes = response.values.astype(np.int64)
        shares = np.bincount(codes) / len(y)
        middle = np.cumsum(shares) - shares / 2
        latent = spec.link_record.forward(middle)[codes]
    else:
        latent = y - shift
    constant = np.full_like(y, 1 / residual_spread(np.var(latent), latent))
    if CENSORING in response.bounds:
        # Durations that have not ended say little: as if each row said its share.
        constant *= (response.bounds[CENSORING] != RIGHT).mean()
    return Working(latent, lambda eta: (latent, constant), False)


def joined_working(parts: Sequence[Working], number: np.ndarray) -> Working:
    """Return the stand-in for outcomes that have families of their own.

    Parameters
    ----------
    parts : sequence of Working
        One per outcome, over its own rows, on scales that are alike.
    number : array of int, shape (rows,)
        Outcome of each row.
    """
    rows = [np.flatnonzero(number == place) for place in range(len(parts))]
    start = np.empty(len(number))
    for own, part in zip(rows, parts, strict=True):
        start[own] = part.start

    def at(eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        latent, weight = np.empty(len(number)), np.empty(len(number))
        for own, part in zip(rows, parts, strict=True):
            latent[own], weight[own] = part.at(eta[own])
        return latent, weight

    # One scale for all level-1 variances would be wrong: those of single outcomes stay.
    return Working(start, at, True)


def residual_spread(variance: float, values: np.ndarray) -> float:
    """Return a variance, but no less than what rounding leaves of values of this size."""
    return max(float(variance), 1e-20 * float(np.mean(values**2)), 1e-200)


def _slope(spec: ModelSpec, share: np.ndarray) -> np.ndarray:
    """Return d mean / d eta where the mean is `share`."""
    step = 1e-5
    eta = spec.link_record.forward(share)
    inverse = spec.link_record.inverse
    return (inverse(eta + step) - inverse(eta - step)) / (2 * step)
