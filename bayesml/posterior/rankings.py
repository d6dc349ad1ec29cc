"""Ranks of units, with their uncertainty."""

from typing import TYPE_CHECKING, Literal, overload

import numpy as np
import pandas as pd

from bayesml.errors import FitError, quoted
from bayesml.posterior.unit_tables import (
    At,
    UnitDraws,
    as_unit_array,
    scope_notes,
    unit_attrs,
    unit_columns,
    unit_draws,
    unit_table,
)
from bayesml.quantities.intervals import checked_prob
from bayesml.quantities.rankings import (
    RankSummary,
    rank_draws,
    summarise_ranks,
    units_in_share,
)
from bayesml.records.fits import Fit

if TYPE_CHECKING:
    import xarray as xr

_DIRECTIONS = ("highest", "lowest")


@overload
def ranks(
    fit: Fit,
    grouping: str,
    top: float = ...,
    term: str | None = ...,
    at: At | None = ...,
    direction: str = ...,
    prob: float = ...,
    draws: Literal[False] = ...,
) -> pd.DataFrame: ...
@overload
def ranks(
    fit: Fit,
    grouping: str,
    top: float = ...,
    term: str | None = ...,
    at: At | None = ...,
    direction: str = ...,
    prob: float = ...,
    *,
    draws: Literal[True],
) -> "xr.DataArray": ...
def ranks(
    fit: Fit,
    grouping: str,
    top: float = 0.1,
    term: str | None = None,
    at: At | None = None,
    direction: str = "highest",
    prob: float = 0.89,
    draws: bool = False,
) -> "pd.DataFrame | xr.DataArray":
    """Return the posterior of each unit's rank, and its probability of being among the first.

    The units are ranked by their random effects within each draw; every term is ranked by itself.
    Ranks are far less certain than estimates: the columns `lower`, `upper` and `among_top`, and
    the attribute `warning`, say how uncertain.

    Parameters
    ----------
    fit : Fit
    grouping : str
        Name of the grouping.
    top : float or int
        What counts as the top: a share of the units below 1 (of which whole units count, at least
        one), or a number of units.
    term : str, optional
        One varying term; None is every term.
    at : mapping of str to number or str, optional
        Values of covariates, ``{"year": 0}``, as in `vpc`: the terms of a unit are added up to its
        whole deviation for rows with these values, in place of each term by itself.
    direction : {"highest", "lowest"}
        Which end has rank 1.
    prob : float
        Posterior probability of the equal-tailed interval of the rank, and what a probability must
        reach before `among_top` says ``yes`` (or 1 - `prob`: ``no``).
    draws : bool
        Return the ranks of every draw instead of a table.

    Returns
    -------
    DataFrame or DataArray
        One row per `unit` and `term`, by mean rank: `mean`, `median` and `sd` of the rank, the
        interval from `lower` to `upper`, `p_top` (the probability of a rank within the top),
        `among_top` (``yes``, ``no`` or ``uncertain``), `effect` (the posterior mean of the random
        effect) and `rows`. Attributes: `warning`, `top_units`, `direction`, `grouping`, `prob`,
        `interval`, `link`, `notes`. The DataArray has the dims chain, draw, unit, term; units
        that are equal in a draw share their mean rank.

    Raises
    ------
    FitError
        There is no such grouping or term, or an argument is out of range or cannot be used.

    Notes
    -----
    Goldstein & Spiegelhalter (1996), League tables and their limitations, doi:10.2307/2983325.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> fit = bml.two_level(exam, "normexam ~ standLRT", group="school").fit()  # doctest: +SKIP
    >>> bml.ranks(fit, "school", top=0.1)  # doctest: +SKIP
    """
    prob = checked_prob(prob)
    if direction not in _DIRECTIONS:
        raise FitError(
            f"direction is {quoted(str(direction))}. Allowed: 'highest' (rank 1 is the highest) "
            "and 'lowest'."
        )
    effects = unit_draws(fit, grouping, term, at)
    first = _units_at_top(top, effects)
    chains, number, units, terms = effects.values.shape
    flat = effects.values.reshape(-1, units, terms)
    found, ranked = [], []
    for place in range(terms):
        of_term = rank_draws(flat[..., place], direction == "highest")
        if draws:
            ranked.append(of_term.reshape(chains, number, units))
        else:
            found.append(summarise_ranks(of_term, first, prob))
    if draws:
        return as_unit_array(fit, effects, np.stack(ranked, axis=-1), "ranks")
    return _rank_table(fit, effects, found, first, direction, prob)


def _units_at_top(top: float, effects: UnitDraws) -> int:
    """Return how many units are the top, from a share or a number of units."""
    units = len(effects.units)
    whole = isinstance(top, int | np.integer) and not isinstance(top, bool)
    if whole and 1 <= top < units:
        return int(top)
    if isinstance(top, float | np.floating) and 0 < top < 1:
        return units_in_share(float(top), units)
    raise FitError(
        f"top is {quoted(top)}. Give a share of the units between 0 and 1, such as top=0.1, or a "
        f"whole number of the {units} units of {effects.grouping.name} from 1 to {units - 1}."
    )


def _rank_table(
    fit: Fit, effects: UnitDraws, found: list[RankSummary], first: int, direction: str, prob: float
) -> pd.DataFrame:
    columns = {
        name: np.stack([getattr(item, name) for item in found], axis=1)
        for name in ("mean", "median", "sd", "lower", "upper", "top")
    }
    chance = columns.pop("top")
    verdict = np.full(chance.shape, "uncertain", dtype=object)
    verdict[chance >= prob] = "yes"
    verdict[chance <= 1 - prob] = "no"
    table = unit_table(
        effects,
        **columns,
        p_top=chance,
        among_top=verdict,
        effect=effects.values.mean(axis=(0, 1)),
        rows=unit_columns(fit, effects.grouping)["rows"],
    )
    term_order = {term: place for place, term in enumerate(effects.terms)}
    order = np.lexsort((table["mean"], table["term"].map(term_order)))
    table = table.iloc[order].reset_index(drop=True)
    attrs = unit_attrs(fit, effects, prob, scope_notes(effects.grouping))
    warning = _warning(effects, columns["upper"] - columns["lower"] + 1, verdict, first, prob)
    table.attrs = {"warning": warning, "top_units": first, "direction": direction, **attrs}
    return table


def _warning(
    effects: UnitDraws, widths: np.ndarray, verdict: np.ndarray, first: int, prob: float
) -> str:
    units, terms = widths.shape
    sentences = []
    for place, term in enumerate(effects.terms):
        which = f" by {term}" if terms > 1 else ""
        unsure = int((verdict[:, place] == "uncertain").sum())
        sentences.append(
            f"The {100 * prob:.10g} % interval of a rank{which} covers "
            f"{float(np.mean(widths[:, place])):.0f} of {units} places on average, and of {unsure} "
            f"units it is uncertain whether they are among the first {first}."
        )
    return (
        f"Ranks are uncertain. {' '.join(sentences)} Do not publish a league table of {units} "
        "units without these intervals (Goldstein & Spiegelhalter 1996)."
    )
