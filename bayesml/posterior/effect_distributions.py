"""The distribution of a grouping's effects: SDs of every kind of units, and Student-t effects.

Of a grouping whose units are of several kinds every kind has terms of its own: Z has a column for
each kind and term, which is 0 on the rows of other kinds, and Sigma is block-diagonal.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bayesml.design.rows import row_list
from bayesml.design.units import unit_label
from bayesml.errors import FitError, listed, quoted
from bayesml.quantities.correlation_matrices import covariance_factor
from bayesml.records.facts import GroupingFacts, ModelFacts
from bayesml.records.fits import Fit


def sds_by_kind(fit: Fit, grouping: GroupingFacts) -> np.ndarray:
    """Return the SDs, those of the first kind of units first: shape (chains, draws, SDs)."""
    sd = fit.posterior[f"sd_{grouping.identifier}"].transpose("chain", "draw", ...).values
    return np.asarray(sd, dtype=float).reshape(*sd.shape[:2], -1)


def correlations_by_kind(fit: Fit, grouping: GroupingFacts) -> np.ndarray | None:
    """Return the correlations of the SDs' terms, None where all are independent.

    Returns
    -------
    array, shape (chains, draws, SDs, SDs)
        Block-diagonal where there are several kinds of units.
    """
    if not grouping.correlated:
        return None
    name = f"corr_{grouping.identifier}"
    corr = np.asarray(fit.posterior[name].transpose("chain", "draw", ...).values, dtype=float)
    if not grouping.kinds:
        return corr
    terms, whole = len(grouping.terms), len(grouping.sd_labels)
    blocks = np.zeros((*corr.shape[:2], whole, whole))
    for kind in range(len(grouping.kinds)):
        own = slice(kind * terms, (kind + 1) * terms)
        blocks[:, :, own, own] = corr[:, :, kind]
    return blocks


def covariance_of_kind(
    fit: Fit, grouping: GroupingFacts, kind: int | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return SDs and correlations of the terms, of one kind of units where there are several.

    Returns
    -------
    array, shape (chains, draws, terms), and array, shape (chains, draws, terms, terms), or None
    """
    sd, corr = sds_by_kind(fit, grouping), correlations_by_kind(fit, grouping)
    if kind is None:
        return sd, corr
    own = slice(kind * len(grouping.terms), (kind + 1) * len(grouping.terms))
    return sd[..., own], None if corr is None else corr[..., own, own]


def covariance_draws(fit: Fit, grouping: GroupingFacts) -> np.ndarray:
    """Return Sigma of one grouping's terms, shape (chains, draws, terms, terms)."""
    sd, corr = sds_by_kind(fit, grouping), correlations_by_kind(fit, grouping)
    if corr is None:
        corr = np.eye(sd.shape[-1])
    return sd[..., :, None] * corr * sd[..., None, :]


def factors_by_kind(fit: Fit, grouping: GroupingFacts) -> np.ndarray:
    """Return L with L L' = Sigma of every draw, shape (chains x draws, SDs, SDs).

    Block-diagonal where there are several kinds of units.
    """
    sd, corr = sds_by_kind(fit, grouping), correlations_by_kind(fit, grouping)
    return covariance_factor(
        sd.reshape(fit.draws_made, -1),
        None if corr is None else corr.reshape(fit.draws_made, *corr.shape[2:]),
    )


def kinds_of_rows(facts: GroupingFacts, frame: pd.DataFrame) -> np.ndarray | None:
    """Return of which kind each row's unit is, None where all have the same SDs.

    Raises
    ------
    FitError
        The fit does not know the kind.
    """
    if not facts.kinds:
        return None
    labels = [str(unit_label(value)) for value in frame[facts.by].astype(object)]
    found = pd.Index(facts.kinds).get_indexer(pd.Index(labels, dtype=object)).astype(int)
    if (found < 0).any():
        strange = list(dict.fromkeys(np.array(labels, dtype=object)[found < 0]))
        raise FitError(
            f"Column {quoted(facts.by)} names kinds of {quoted(facts.name)} that the fit does not "
            f"know: {listed(strange)}, in row {row_list(found < 0)}. It knows "
            f"{listed(facts.kinds)}. Correct these rows, or leave them out."
        )
    return found


def effects_by_kind(effects: np.ndarray, grouping: GroupingFacts) -> np.ndarray:
    """Return effects, shape (..., units, terms), once for every kind: shape (..., units, SDs).

    A row's Z is 0 for the kinds that its unit is not of, so that repeated effects count once.
    """
    return np.tile(effects, max(1, len(grouping.kinds)))


def predictors_by_kind(grouping: GroupingFacts) -> tuple[str, ...]:
    """Return the linear predictor of each column of `terms_by_kind`; empty as in the facts."""
    return grouping.predictors * max(1, len(grouping.kinds))


def require_one_covariance(fit: Fit, what: str, instead: str) -> None:
    """Raise where units of several kinds have SDs of their own.

    Parameters
    ----------
    fit : Fit
    what, instead : str
        What was asked for, and what serves in its place, for the message.

    Raises
    ------
    FitError
    """
    uneven = [item for item in fit.facts.groupings if item.kinds]
    if uneven:
        raise FitError(
            f"{what} takes one SD for all units, and those of {quoted(uneven[0].name)} have SDs by "
            f"{quoted(uneven[0].by)} ({listed(uneven[0].kinds)}). Use {instead}."
        )


def require_shared_terms(facts: ModelFacts, what: str, instead: str) -> None:
    """Raise where a varying term has another value for every member of a row.

    Parameters
    ----------
    facts : ModelFacts
    what, instead : str
        What was asked for, and what serves in its place, for the message.

    Raises
    ------
    FitError
    """
    own = [item for item in facts.groupings if item.by_member]
    if own:
        raise FitError(
            f"{what} takes terms that are the same for every member of a row, and those of "
            f"{quoted(own[0].name)} ({listed(own[0].terms)}) differ between members. Use {instead}."
        )


def require_normal_effects(fit: Fit, what: str, instead: str) -> None:
    """Raise where effects are Student-t.

    Parameters
    ----------
    fit : Fit
    what, instead : str
        What was asked for, and what serves in its place, for the message.

    Raises
    ------
    FitError
    """
    heavy = [item.name for item in fit.facts.groupings if item.student]
    if heavy:
        raise FitError(
            f"{what} takes normal effects, and those of {listed(heavy)} are Student-t. Use "
            f"{instead}."
        )


def require_no_average(fit: Fit, chosen: Mapping[str, str]) -> None:
    """Raise where predictions would average over Student-t effects.

    Parameters
    ----------
    fit : Fit
    chosen : mapping of str to str
        Strategy by grouping.

    Raises
    ------
    FitError
    """
    averaged = [
        item.name
        for item in fit.facts.groupings
        if item.student and chosen[item.name] == "marginal"
    ]
    if averaged:
        raise FitError(
            f"The effects of {listed(averaged)} are Student-t, and groups='marginal' averages over "
            "normal ones. Use groups='new', which draws units."
        )
