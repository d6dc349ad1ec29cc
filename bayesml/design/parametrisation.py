"""Centred or non-centred, per grouping, by how much the data say about each unit.

A crude approximate fit is enough: the effects' variances by a few rounds of expectation and
maximisation on a working response, every term on its own. A unit's reliability is then
information / (information + 1 / variance): near 1 the data fix the effect and the centred form
samples well, near 0 the prior does and the non-centred form samples well (Papaspiliopoulos,
Roberts & Skold 2007, doi:10.1214/088342307000000014).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayesml.design.responses import Response
from bayesml.design.units import Units
from bayesml.specs.modelspec import ModelSpec

ROUNDS = 40
# Above this mean reliability the centred form was the more efficient one on the reference tables.
THRESHOLD = 0.6
# With fewer units the SD's posterior reaches down to zero, where the centred form has a funnel.
FEWEST_UNITS = 12


@dataclass(frozen=True)
class Reliability:
    """What the crude fit says about one grouping.

    Parameters
    ----------
    sd : array, shape (terms,)
        Rough SD of each term on the link scale; not an estimate to report.
    reliability : array, shape (terms,)
        Mean over the units of information / (information + 1 / variance).
    """

    sd: np.ndarray
    reliability: np.ndarray


def centred_terms(result: Reliability, units: int) -> tuple[int, str]:
    """Return how many terms are centred (all, the first, or none), and why in words."""
    first, lowest = float(result.reliability[0]), float(result.reliability.min())
    if units < FEWEST_UNITS:
        return 0, f"non-centred: fewer than {FEWEST_UNITS} units"
    if lowest >= THRESHOLD:
        return len(result.reliability), f"centred: the units' mean reliability is {lowest:.2f}"
    if first >= THRESHOLD:
        return 1, (
            f"partly centred: the units' mean reliability is {first:.2f} for the first term, "
            f"{lowest:.2f} for another"
        )
    return 0, f"non-centred: the units' mean reliability is {lowest:.2f}"


def working_response(
    spec: ModelSpec, response: Response, offset: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return a roughly normal stand-in for the outcome on the link scale, and its weights."""
    y = response.values.astype(float)
    kind = spec.family_record.response
    shift = 0.0 if offset is None else offset
    if kind == "count":
        return np.log(y + 0.5) - shift, y + 0.5
    if kind == "binary" and response.trials is not None:
        trials = response.trials
        share = (y + 0.5) / (trials + 1)
        return (
            spec.link_record.forward(share) - shift,
            _link_weight(spec, share, trials.astype(float)),
        )
    if kind == "binary":
        share = np.clip(y.mean(), 0.01, 0.99) * np.ones_like(y)
        weight = _link_weight(spec, share, np.ones_like(y))
        slope = np.sqrt(share * (1 - share) / weight)
        # One Fisher-scoring step from the common mean.
        return spec.link_record.forward(share) + (y - share) / (share * (1 - share)) * slope, weight
    if kind == "ordered":
        shares = np.bincount(response.values) / len(y)
        middle = np.cumsum(shares) - shares / 2
        latent = spec.link_record.forward(middle)[response.values]
        variance = spec.link_record.latent_variance or 1.0
        return latent, np.full_like(y, 1 / variance)
    return y - shift, np.full_like(y, 1 / max(np.var(y), 1e-300))


def _link_weight(spec: ModelSpec, share: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """Return the Fisher information about the linear predictor: (d mean / d eta)^2 / variance."""
    step = 1e-5
    eta = spec.link_record.forward(share)
    inverse = spec.link_record.inverse
    slope = (inverse(eta + step) - inverse(eta - step)) / (2 * step)
    return slope**2 * spec.family_record.weight(share, trials)


def reliabilities(
    outcome: np.ndarray,
    weight: np.ndarray,
    predictors: np.ndarray,
    groupings: Sequence[tuple[Units, np.ndarray]],
    residual_known: bool,
) -> list[Reliability]:
    """Return the reliability of each grouping from a crude approximate fit.

    Parameters
    ----------
    outcome, weight : array, shape (rows,)
        Working response and its information.
    predictors : array, shape (rows, coefficients)
    groupings : sequence of (Units, array of shape (rows, terms))
    residual_known : bool
        False where the level-1 variance is estimated too.

    Returns
    -------
    list of Reliability
    """
    root = np.sqrt(weight)[:, None]
    if predictors.shape[1]:
        solution = np.linalg.lstsq(predictors * root, outcome * root[:, 0], rcond=None)[0]
        residual = outcome - predictors @ solution
    else:
        residual = outcome.copy()
    parts = [_entries(units, z) for units, z in groupings]
    spread = max(float(np.average(residual**2, weights=weight)), 1e-300)
    variances = [
        np.array([0.25 * spread / max(float((z**2).mean()), 1e-300) for z in part.z.T])
        for part in parts
    ]
    effects = [np.zeros((part.units, part.z.shape[1])) for part in parts]
    scale = np.ones(1)
    information = [np.ones_like(effect) for effect in effects]
    for _ in range(ROUNDS):
        for number, part in enumerate(parts):
            for term in range(part.z.shape[1]):
                z = part.z[:, term]
                fitted = np.zeros_like(residual)
                np.add.at(fitted, part.row, z * effects[number][part.unit, term])
                partial = residual + fitted
                w = weight[part.row] * scale
                info = np.bincount(part.unit, w * z**2, minlength=part.units)
                score = np.bincount(part.unit, w * z * partial[part.row], minlength=part.units)
                variance = 1 / (info + 1 / variances[number][term])
                effects[number][:, term] = variance * score
                variances[number][term] = max(
                    float(np.mean(effects[number][:, term] ** 2 + variance)), 1e-12 * spread
                )
                information[number][:, term] = info
                fitted = np.zeros_like(residual)
                np.add.at(fitted, part.row, z * effects[number][part.unit, term])
                residual = partial - fitted
        if not residual_known:
            lost = sum(
                float(np.sum(i / (i + 1 / v))) for i, v in zip(information, variances, strict=True)
            )
            left = max(len(residual) - lost, 0.1 * len(residual))
            scale = left / np.maximum(np.sum(weight * residual**2), 1e-300) * np.ones(1)
    return [
        Reliability(np.sqrt(v), (i / (i + 1 / v)).mean(axis=0))
        for i, v in zip(information, variances, strict=True)
    ]


@dataclass(frozen=True)
class _Entries:
    """The non-zero entries of one grouping's part of the design."""

    row: np.ndarray
    unit: np.ndarray
    z: np.ndarray
    units: int


def _entries(units: Units, z: np.ndarray) -> _Entries:
    if units.weights is None:
        return _Entries(np.arange(len(z)), units.index, z, len(units.labels))
    row, slot = np.nonzero(units.weights)
    weighted = z[row] * units.weights[row, slot][:, None]
    return _Entries(row, units.index[row, slot], weighted, len(units.labels))
