"""The units' own coefficients under partial pooling, from a fit or from REML."""

from dataclasses import dataclass

import numpy as np

from bayesml.posterior.likelihood_fits import reml
from bayesml.posterior.model_rows import GroupingRows, ModelRows
from bayesml.quantities.intervals import summarise_draws
from bayesml.quantities.unit_multiples import UnitMultiples, unit_multiples
from bayesml.records.fits import Fit
from bayesml.records.modelling import Model

# Numbers that are summarised at a time.
_BLOCK = 4_000_000


@dataclass(frozen=True)
class PartialPooling:
    """Estimates with partial pooling.

    Parameters
    ----------
    source : str
        Where they come from, in words.
    coefficients, errors : array, shape (coefficients + gaps,)
        Posterior means and SDs, or estimates and standard errors; of an ordered outcome, with the
        intercept first and the gaps of the cutpoints last.
    mean, sd, lower, upper : array, shape (units, terms)
        The units' coefficients. NaN where the source has no such number.
    notes : tuple of str
        What the reader must know.
    """

    source: str
    coefficients: np.ndarray
    errors: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    """A grouping whose units contain those at hand, and how its effects enter theirs.

    Parameters
    ----------
    name : str
    parent : array of int, shape (units,)
        Its unit that contains each unit.
    multiples : UnitMultiples
        What its terms add to the units' coefficients.
    """

    name: str
    parent: np.ndarray
    multiples: UnitMultiples


def outer_groupings(rows: ModelRows, own: GroupingRows) -> list[Outer]:
    """Return the groupings that contain a grouping's units."""
    found = []
    for other in rows.groupings:
        if other.name in own.within:
            parent = np.zeros(len(own.units), dtype=int)
            parent[own.index] = other.index
            multiples = unit_multiples(other.terms, own.index, own.terms, len(own.units), False)
            found.append(Outer(other.name, parent, multiples))
    return found


def partial_of_fit(
    fit: Fit,
    own: GroupingRows,
    multiples: UnitMultiples,
    outer: list[Outer],
    prob: float,
    middle: int | None = None,
) -> PartialPooling:
    """Return the posterior of the coefficients, and of each unit's own coefficients.

    Parameters
    ----------
    fit : Fit
    own : GroupingRows
    multiples : UnitMultiples
        Of X, with the intercept where there are cutpoints.
    outer : list of Outer
    prob : float
    middle : int, optional
        Of an ordered outcome, the cutpoint that the intercept stands for.
    """
    posterior = fit.posterior
    effects = {
        item.name: posterior[f"u_{item.identifier}"].transpose("chain", "draw", ...).values
        for item in fit.facts.groupings
    }
    beta, gaps = _coefficients(fit, middle)
    numbers: dict[str, list[np.ndarray]] = {"mean": [], "sd": [], "lower": [], "upper": []}
    chains, draws, units, terms = effects[own.name].shape
    step = max(1, _BLOCK // max(chains * draws * terms, 1))
    for start in range(0, units, step):
        part = slice(start, start + step)
        found = summarise_draws(_totals(beta, effects, own.name, multiples, outer, part), prob)
        for name, blocks in numbers.items():
            blocks.append(getattr(found, name))
    said = np.concatenate([beta, gaps], axis=2)
    units_found = {name: np.concatenate(blocks) for name, blocks in numbers.items()}
    return PartialPooling(
        "posterior means and SDs",
        said.mean(axis=(0, 1)),
        said.reshape(chains * draws, -1).std(axis=0, ddof=1)
        if said.size and chains * draws > 1
        else np.full(said.shape[2], np.nan),
        units_found["mean"],
        units_found["sd"],
        units_found["lower"],
        units_found["upper"],
    )


def _coefficients(fit: Fit, middle: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return draws of the coefficients, and of cutpoints less the one the intercept stands for."""
    beta = fit.coefficient_draws
    if middle is None:
        return beta, np.empty((*beta.shape[:2], 0))
    cutpoints = fit.posterior["cutpoints"].transpose("chain", "draw", ...).values
    own = cutpoints[:, :, middle, None]
    gaps = np.delete(cutpoints, middle, axis=2) - own
    return np.concatenate([-own, beta], axis=2), gaps


def partial_of_reml(
    model: Model, rows: ModelRows, own: GroupingRows, multiples: UnitMultiples, outer: list[Outer]
) -> PartialPooling:
    """Return REML's coefficients, and each unit's own ones with the best linear predictions."""
    found = reml(model)
    beta = found.coefficients["estimate"].to_numpy(dtype=float)
    effects = {}
    for item in rows.groupings:
        part = found.random_effects[found.random_effects["grouping"] == item.name]
        wide = part.pivot(index="unit", columns="term", values="estimate")
        placed = wide.reindex(index=list(item.units), columns=list(item.labels))
        effects[item.name] = placed.to_numpy(dtype=float)[None, None]
    whole = slice(0, len(own.units))
    total = _totals(beta[None, None], effects, own.name, multiples, outer, whole)[0, 0]
    unknown = np.full(total.shape, np.nan)
    errors = found.coefficients["se"].to_numpy(dtype=float)
    notes = (
        "REML gives the units' coefficients without intervals: pass a fit to have them.",
        *found.notes,
    )
    return PartialPooling("REML estimates", beta, errors, total, unknown, unknown, unknown, notes)


def _totals(
    beta: np.ndarray,
    effects: dict[str, np.ndarray],
    own: str,
    multiples: UnitMultiples,
    outer: list[Outer],
    part: slice,
) -> np.ndarray:
    """Return all that the linear predictor multiplies a unit's terms with, by draw and unit."""
    total = effects[own][:, :, part] + np.tensordot(beta, multiples.weights[part], axes=(2, 1))
    for item in outer:
        above = effects[item.name][:, :, item.parent[part]]
        total += np.einsum("cdjk,jkt->cdjt", above, item.multiples.weights[part])
    return total
