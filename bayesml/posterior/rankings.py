"""Units against each other: ranks, differences, and intervals that may be compared by eye."""

from typing import TYPE_CHECKING, Literal, overload

import numpy as np
import pandas as pd

from bayesml.errors import FitError, quoted
from bayesml.posterior.unit_tables import (
    UnitDraws,
    as_unit_array,
    scope_notes,
    unit_attrs,
    unit_columns,
    unit_draws,
    unit_summaries,
    unit_table,
)
from bayesml.quantities.intervals import checked_prob, summarise_draws
from bayesml.quantities.rankings import (
    COMPARATIVE,
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
        There is no such grouping or term, or an argument is out of range.

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
    effects = unit_draws(fit, grouping, term)
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
    attrs = unit_attrs(fit, effects.grouping, prob, scope_notes(effects.grouping))
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


def comparative_intervals(fit: Fit, grouping: str, term: str | None = None) -> pd.DataFrame:
    """Return intervals of the units that may be compared by eye: mean +- 1.39 comparative SDs.

    Two units whose intervals do not overlap differ at about the 5 % level. An ordinary 95 %
    interval says whether a unit differs from 0, and is too wide for comparing two units.

    Parameters
    ----------
    fit : Fit
    grouping : str
        Name of the grouping.
    term : str, optional
        One varying term; None is every term.

    Returns
    -------
    DataFrame
        One row per `unit` and `term`: `mean`, `sd` (the comparative SD: the posterior SD of the
        random effect), `lower` and `upper` (mean -+ 1.39 sd), `rows`. The attribute `assumption`
        says what the 5 % rest on, with the range of the SDs.

    Raises
    ------
    FitError
        There is no such grouping or term.

    Notes
    -----
    With equal and independent errors s, |a - b| > 1.96 sqrt(2) s is the same as intervals of
    half-width 1.96 sqrt(2) s / 2 = 1.39 s that do not overlap. Goldstein & Healy (1995),
    doi:10.2307/2983411. For one pair the assumption is not needed: use `compare_units`.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> fit = bml.two_level(exam, "normexam ~ 1", group="school").fit()  # doctest: +SKIP
    >>> bml.comparative_intervals(fit, "school")  # doctest: +SKIP
    """
    effects = unit_draws(fit, grouping, term)
    numbers = unit_summaries(effects.values, 0.5)
    table = unit_table(
        effects,
        mean=numbers.mean,
        sd=numbers.sd,
        lower=numbers.mean - COMPARATIVE * numbers.sd,
        upper=numbers.mean + COMPARATIVE * numbers.sd,
        rows=unit_columns(fit, effects.grouping)["rows"],
    )
    table.attrs = {
        "grouping": effects.grouping.name,
        "interval": f"mean +- {COMPARATIVE} comparative SDs",
        "assumption": _assumption(numbers.sd),
        "link": fit.facts.link,
        "notes": scope_notes(effects.grouping),
    }
    return table


def _assumption(sd: np.ndarray) -> str:
    return (
        f"Intervals of +-{COMPARATIVE} comparative SDs (Goldstein & Healy 1995) assume that the "
        "units' errors are independent and equally large: no overlap then means a difference at "
        f"the 5 % level for one pair, not for the most extreme of many. The SDs are {sd.min():.3g} "
        f"to {sd.max():.3g} here. P(a > b) of bml.compare_units needs no such assumption."
    )


@overload
def compare_units(
    fit: Fit,
    grouping: str,
    a: object,
    b: object,
    term: str | None = ...,
    prob: float = ...,
    draws: Literal[False] = ...,
) -> pd.DataFrame: ...
@overload
def compare_units(
    fit: Fit,
    grouping: str,
    a: object,
    b: object,
    term: str | None = ...,
    prob: float = ...,
    *,
    draws: Literal[True],
) -> "xr.DataArray": ...
def compare_units(
    fit: Fit,
    grouping: str,
    a: object,
    b: object,
    term: str | None = None,
    prob: float = 0.89,
    draws: bool = False,
) -> "pd.DataFrame | xr.DataArray":
    """Return the difference between two units, and the probability that one is above the other.

    Parameters
    ----------
    fit : Fit
    grouping : str
        Name of the grouping.
    a, b : object
        Labels of two units, as they stand in the table.
    term : str, optional
        One varying term; None is every term.
    prob : float
        Posterior probability of the equal-tailed interval of the difference.
    draws : bool
        Return the draws of the difference instead of a table.

    Returns
    -------
    DataFrame or DataArray
        One row per `term`: the labels `a` and `b`; `mean`, `median`, `sd`, `lower` and `upper` of
        the difference of random effects u_a - u_b; `p_greater`, the probability that a is above b
        (a tie counts half); the comparative intervals (posterior mean +- 1.39 comparative SDs)
        `a_lower`, `a_upper`, `b_lower`, `b_upper`; and `overlap`, whether these overlap. The
        attribute `assumption` says what the comparative intervals rest on; the difference and
        `p_greater` come from the joint draws and need no assumption. The DataArray has the dims
        chain, draw, term.

    Raises
    ------
    FitError
        There is no such grouping, unit or term, or both labels name one unit.

    Notes
    -----
    Goldstein & Healy (1995), doi:10.2307/2983411. A pair that was picked because it looks extreme
    among many differs less than this says.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> fit = bml.two_level(exam, "normexam ~ 1", group="school").fit()  # doctest: +SKIP
    >>> bml.compare_units(fit, "school", 53, 54)[["mean", "p_greater"]]  # doctest: +SKIP
    """
    effects = unit_draws(fit, grouping, term)
    places = [effects.position(a), effects.position(b)]
    if places[0] == places[1]:
        raise FitError(
            f"a and b both name the unit {quoted(str(a))} of {effects.grouping.name}. Give two "
            "units."
        )
    pair = effects.values[:, :, places]
    difference = pair[:, :, 0] - pair[:, :, 1]
    if draws:
        return _difference_array(fit, effects, difference)
    numbers = summarise_draws(difference, prob)
    single = summarise_draws(pair, prob)
    half = COMPARATIVE * single.sd
    lower, upper = single.mean - half, single.mean + half
    table = pd.DataFrame(
        {
            "a": np.repeat(effects.units[places[:1]], len(effects.terms)),
            "b": np.repeat(effects.units[places[1:]], len(effects.terms)),
            "term": list(effects.terms),
            **vars(numbers),
            "p_greater": ((difference > 0) + 0.5 * (difference == 0)).mean(axis=(0, 1)),
            "a_lower": lower[0],
            "a_upper": upper[0],
            "b_lower": lower[1],
            "b_upper": upper[1],
            "overlap": (lower[0] <= upper[1]) & (lower[1] <= upper[0]),
        }
    )
    table.attrs = unit_attrs(fit, effects.grouping, prob, scope_notes(effects.grouping))
    table.attrs["assumption"] = _assumption(single.sd)
    return table


def _difference_array(fit: Fit, effects: UnitDraws, values: np.ndarray) -> "xr.DataArray":
    import xarray as xr

    coords = {
        "chain": fit.posterior["chain"].values,
        "draw": fit.posterior["draw"].values,
        "term": list(effects.terms),
    }
    attrs = {"grouping": effects.grouping.name}
    return xr.DataArray(values, coords=coords, dims=list(coords), name="difference", attrs=attrs)
