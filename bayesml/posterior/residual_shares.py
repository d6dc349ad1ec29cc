"""Correlations of two rows of a unit whose residuals are correlated."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from bayesml.errors import FitError, did_you_mean, quoted
from bayesml.posterior.fitted_rows import fitted_rows
from bayesml.posterior.residual_fits import occasion_labels, residual_record
from bayesml.posterior.share_cases import At
from bayesml.posterior.tidy_quantities import LabelledQuantity
from bayesml.posterior.variance_shares import variance_shares
from bayesml.records.fits import Fit
from bayesml.specs.residual_correlations import ResidualCorrelation

Lag = float | Sequence[float]


@dataclass(frozen=True)
class SharedUnits:
    """What two rows have in common that share a unit.

    Parameters
    ----------
    name : str
        Of the grouping, or of the unit of the residuals.
    effects : array of bool, shape (groupings,)
        Groupings whose effects they share.
    residual : bool
        Whether their residuals are correlated.
    """

    name: str
    effects: np.ndarray
    residual: bool


def residual_icc(
    fit: Fit, grouping: str | None, at: At | None, lag: Lag | None
) -> LabelledQuantity:
    """Return the correlations of two rows that share a unit, of residuals too; see `icc`.

    Raises
    ------
    FitError
        There is no such grouping, or `lag` is missing or cannot be used.
    """
    record, residual = residual_record(fit.spec), fit.spec.residual
    assert record is not None
    assert residual is not None
    chosen = _chosen(_shared_units(fit, ":".join(residual.unit)), grouping)
    parameter = fit.posterior[record.parameter].transpose("chain", "draw", ...).values
    chains, draws = parameter.shape[:2]
    if fit.facts.main_groupings:
        shares = variance_shares(fit, at, "latent")
        parts, level1 = shares.partition.shares, shares.partition.level1
        cases, attrs = dict(shares.cases), dict(shares.attrs)
    else:
        occasions = tuple(occasion_labels(fit))
        cases, attrs = {"occasion": occasions} if occasions else {}, {"scale": "response", "at": {}}
        level1 = np.ones((chains, draws, *([len(occasions)] if occasions else [])))
        parts = np.empty((*level1.shape, 0))
    flat = parameter.reshape(chains * draws, *parameter.shape[2:])
    if record.by_occasion:
        # Shares of two occasions' variances: their geometric mean is a share of the covariance.
        pairs = list(combinations(range(len(cases["occasion"])), 2))
        first, second = (np.array(side) for side in zip(*pairs, strict=True))
        names = cases.pop("occasion")
        cases["occasions"] = tuple(f"{names[a]}, {names[b]}" for a, b in pairs)
        parts = np.sqrt(parts[..., first, :] * parts[..., second, :])
        level1 = np.sqrt(level1[..., first] * level1[..., second])
        rho = parameter[..., first, second]
    elif record.markov and any(item.residual for item in chosen):
        distances = _distances(lag, residual.text, record)
        cases["lag"] = tuple(f"{gap:g}" for gap in distances)
        ends = [record.correlations(flat, np.array([0.0, gap]))[:, 0, 1] for gap in distances]
        rho = np.stack(ends, axis=-1).reshape(chains, draws, -1)
        parts = np.repeat(parts[..., None, :], len(distances), axis=-2)
        level1 = np.repeat(level1[..., None], len(distances), axis=-1)
    else:
        refuse_lag(lag, f"residual={quoted(residual.text)}")
        rho = record.correlations(flat, np.arange(2.0))[:, 0, 1].reshape(chains, draws)
    # Cases of the partition stand between the draws and those of the residuals.
    rho = rho.reshape(chains, draws, *[1] * (level1.ndim - rho.ndim), *rho.shape[2:])
    values = [
        parts[..., item.effects].sum(axis=-1) + (rho * level1 if item.residual else 0.0)
        for item in chosen
    ]
    parts_of = {"grouping": [item.name for item in chosen]}
    return LabelledQuantity("icc", np.stack(values, axis=-1), parts_of, cases, attrs)


def refuse_lag(lag: Lag | None, why: str) -> None:
    """Raise where a lag is given, and correlations do not depend on it.

    Parameters
    ----------
    lag : float, sequence of float, or None
    why : str
        What the model has in place of such residuals.

    Raises
    ------
    FitError
    """
    if lag is not None:
        raise FitError(
            f"lag is {quoted(lag)}, but only autoregressive residuals are correlated by how far "
            f"apart rows are, and this model has {why}. Leave lag out."
        )


def _distances(lag: Lag | None, text: str, record: ResidualCorrelation) -> list[float]:
    whole = record.name == "ar1"
    if lag is None:
        if whole:
            return [1.0]
        raise FitError(
            "The correlation of two rows of a unit depends on how far apart in time they are "
            f"({quoted(text)}). Say how far: bml.icc(fit, lag=1), or lag=[1, 2, 3]."
        )
    given = np.atleast_1d(np.asarray(lag, dtype=object)).ravel()
    try:
        found = [float(value) for value in given]
    except (TypeError, ValueError):
        found = [np.nan]
    if not found or any(
        not np.isfinite(value) or value <= 0 or (whole and value != round(value)) for value in found
    ):
        raise FitError(
            f"lag is {quoted(str(lag))}. Allowed: "
            f"{'whole numbers of occasions' if whole else 'distances in time'} above 0, one or a "
            "list of them."
        )
    return found


def _chosen(units: list[SharedUnits], grouping: str | None) -> list[SharedUnits]:
    names = [item.name for item in units]
    if grouping is not None and grouping not in names:
        raise FitError(
            f"{quoted(grouping)} is neither a grouping of this model nor the unit of its "
            f"residuals. {did_you_mean(grouping, names)}"
        )
    return [item for item in units if grouping in (None, item.name)]


def _shared_units(fit: Fit, unit: str) -> list[SharedUnits]:
    """Return the groupings, and the unit of the residuals unless it is one of them."""
    groupings = fit.facts.main_groupings
    if not groupings:
        return [SharedUnits(unit, np.zeros(0, dtype=bool), True)]
    rows = {item.facts.name: item for item in fitted_rows(fit, "icc").groupings}
    of_row = fit.data["constant_data"].to_dataset()["unit_residual"].values
    within, contains = [], []
    for item in groupings:
        index = rows[item.name].index
        within.append(not item.multiple and _lies_within(index, of_row))
        contains.append(not item.multiple and _lies_within(of_row, index))
    own = np.eye(len(groupings), dtype=bool)
    found = [
        SharedUnits(
            item.name,
            own[place] | np.array([other.name in item.within for other in groupings]),
            within[place],
        )
        for place, item in enumerate(groupings)
    ]
    if not any(np.array(within) & np.array(contains)):
        found.append(SharedUnits(unit, np.array(contains), True))
    return found


def _lies_within(inner: np.ndarray, outer: np.ndarray) -> bool:
    """Whether each unit of `inner` lies in one unit of `outer`."""
    first = np.unique(inner, return_index=True)[1]
    place = np.searchsorted(inner[first], inner)
    return bool((outer[first][place] == outer).all())
