"""Units against each other by eye and in pairs: comparative intervals, and differences."""

from typing import TYPE_CHECKING, Literal, overload

import numpy as np
import pandas as pd

from bayesml.errors import FitError, quoted
from bayesml.posterior.unit_tables import (
    At,
    UnitDraws,
    scope_notes,
    unit_attrs,
    unit_columns,
    unit_draws,
    unit_summaries,
    unit_table,
)
from bayesml.quantities.intervals import summarise_draws
from bayesml.quantities.rankings import COMPARATIVE
from bayesml.records.fits import Fit

if TYPE_CHECKING:
    import xarray as xr


def comparative_intervals(
    fit: Fit, grouping: str, term: str | None = None, at: At | None = None
) -> pd.DataFrame:
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
    at : mapping of str to number or str, optional
        Values of covariates, ``{"year": 0}``, as in `vpc`: the terms of a unit are added up to its
        whole deviation for rows with these values, in place of each term by itself.

    Returns
    -------
    DataFrame
        One row per `unit` and `term`: `mean`, `sd` (the comparative SD: the posterior SD of the
        random effect), `lower` and `upper` (mean -+ 1.39 sd), `rows`. The attribute `assumption`
        says what the 5 % rest on, with the range of the SDs.

    Raises
    ------
    FitError
        There is no such grouping or term, or `at` cannot be used.

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
    effects = unit_draws(fit, grouping, term, at)
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
    } | ({"at": dict(effects.at)} if effects.at else {})
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
    at: At | None = ...,
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
    at: At | None = ...,
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
    at: At | None = None,
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
    at : mapping of str to number or str, optional
        Values of covariates, ``{"year": 0}``, as in `vpc`: the terms of a unit are added up to its
        whole deviation for rows with these values, in place of each term by itself.
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
        There is no such grouping, unit or term, `at` cannot be used, or both labels name one
        unit.

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
    effects = unit_draws(fit, grouping, term, at)
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
    table.attrs = unit_attrs(fit, effects, prob, scope_notes(effects.grouping))
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
