"""The units of a grouping: their effects, and their own coefficients."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
import pandas as pd

from bayesml.errors import listed
from bayesml.posterior.predictor_arrays import predictor_coefficients
from bayesml.posterior.unit_tables import (
    At,
    UnitDraws,
    as_unit_array,
    scope_notes,
    unit_attrs,
    unit_columns,
    unit_draws,
    unit_summaries,
    unit_table,
)
from bayesml.records.fits import Fit

if TYPE_CHECKING:
    import xarray as xr


@overload
def random_effects(
    fit: Fit,
    grouping: str,
    term: str | None = ...,
    at: At | None = ...,
    prob: float = ...,
    draws: Literal[False] = ...,
) -> pd.DataFrame: ...
@overload
def random_effects(
    fit: Fit,
    grouping: str,
    term: str | None = ...,
    at: At | None = ...,
    prob: float = ...,
    *,
    draws: Literal[True],
) -> "xr.DataArray": ...
def random_effects(
    fit: Fit,
    grouping: str,
    term: str | None = None,
    at: At | None = None,
    prob: float = 0.89,
    draws: bool = False,
) -> "pd.DataFrame | xr.DataArray":
    """Return the random effects of a grouping: how far each unit is from the fixed part.

    Parameters
    ----------
    fit : Fit
    grouping : str
        Name of the grouping.
    term : str, optional
        One varying term, such as ``"Intercept"``; None is every term.
    at : mapping of str to number or str, optional
        Values of covariates, ``{"year": 0}``, as in `vpc`: the terms of a unit are added up to its
        whole deviation for rows with these values, in place of each term by itself.
    prob : float
        Posterior probability of the equal-tailed interval.
    draws : bool
        Return the draws instead of a table.

    Returns
    -------
    DataFrame or DataArray
        One row per `unit` and `term`: `mean`, `median`, `sd` (the comparative standard
        deviation), `lower`, `upper`, on the scale of the linear predictor per unit of the term,
        and `rows`, the number of rows of the unit (missing where the fit was saved without rows).
        Multiple membership adds `weight`, the sum of the unit's weights over the rows. Attributes:
        `grouping`, `prob`, `interval`, `link`, `notes`, and `at` where it was given. The DataArray
        has the dims chain, draw, unit, term.

    Raises
    ------
    FitError
        There is no such grouping or term, `at` cannot be used, or `prob` is not between 0 and 1.

    Notes
    -----
    The u of eta = X beta + Z u, u ~ N(0, Sigma); Goldstein (2011), Multilevel Statistical Models,
    doi:10.1002/9780470973394.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> fit = bml.two_level(exam, "normexam ~ 1", group="school").fit()  # doctest: +SKIP
    >>> bml.random_effects(fit, "school").sort_values("mean")  # doctest: +SKIP
    """
    effects = unit_draws(fit, grouping, term, at)
    if draws:
        return as_unit_array(fit, effects, effects.values, "random_effects")
    table = unit_table(
        effects,
        **vars(unit_summaries(effects.values, prob)),
        **unit_columns(fit, effects.grouping),
    )
    table.attrs = unit_attrs(fit, effects, prob, scope_notes(effects.grouping))
    return table


@overload
def group_coefficients(
    fit: Fit,
    grouping: str,
    term: str | None = ...,
    prob: float = ...,
    draws: Literal[False] = ...,
) -> pd.DataFrame: ...
@overload
def group_coefficients(
    fit: Fit, grouping: str, term: str | None = ..., prob: float = ..., *, draws: Literal[True]
) -> "xr.DataArray": ...
def group_coefficients(
    fit: Fit,
    grouping: str,
    term: str | None = None,
    prob: float = 0.89,
    draws: bool = False,
) -> "pd.DataFrame | xr.DataArray":
    """Return each unit's own coefficients: those of the fixed part plus its random effects.

    The coefficient of a varying term in unit j is beta + u_j, draw by draw, so that the interval
    holds the uncertainty of both. A term that varies but has no coefficient in the fixed part is
    given as u_j alone, and the column `part` says so.

    Parameters
    ----------
    fit : Fit
    grouping : str
        Name of the grouping.
    term : str, optional
        One varying term; None is every term.
    prob : float
        Posterior probability of the equal-tailed interval.
    draws : bool
        Return the draws instead of a table.

    Returns
    -------
    DataFrame or DataArray
        As `random_effects` returns, with the column `part`: ``beta + u`` or ``u``. The attribute
        `notes` names the terms that are u alone, the coefficients that do not vary over this
        grouping and so are not listed, and larger groupings whose effects are left out.

    Raises
    ------
    FitError
        There is no such grouping or term, or `prob` is not between 0 and 1.

    Notes
    -----
    Gelman & Hill (2007), Data Analysis Using Regression and Multilevel/Hierarchical Models,
    doi:10.1017/CBO9780511790942, section 12.4. Where a coefficient depends on a predictor of the
    units (a cross-level interaction), beta is its value where that predictor is 0.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> fit = bml.two_level(
    ...     exam, "normexam ~ standLRT", group="school", slopes=["standLRT"]
    ... ).fit()  # doctest: +SKIP
    >>> bml.group_coefficients(fit, "school", term="standLRT")  # doctest: +SKIP
    """
    effects = unit_draws(fit, grouping, term)
    predictors = dict(
        zip(
            effects.grouping.terms,
            effects.grouping.predictors or ("",) * len(effects.grouping.terms),
            strict=True,
        )
    )
    coefficients = {"": fit.facts.coefficients} | {
        part.parameter: part.coefficients for part in fit.facts.parts
    }
    places = []
    shift = np.zeros((*effects.values.shape[:2], len(effects.terms)))
    for column, label in enumerate(effects.terms):
        predictor = predictors[label]
        place = coefficient_place(label.removeprefix(f"{predictor}:"), coefficients[predictor])
        # An intercept that is 0 has cutpoints in its place.
        place = place if predictor or place in fit.facts.estimated else None
        places.append(place)
        if place is not None:
            shift[:, :, column] = predictor_coefficients(fit, predictor)[:, :, place]
    if draws:
        values = effects.values + shift[:, :, None]
        return as_unit_array(fit, effects, values, "group_coefficients")
    part = np.array(["u" if place is None else "beta + u" for place in places], dtype=object)
    table = unit_table(
        effects,
        **vars(unit_summaries(effects.values, prob, shift)),
        part=np.broadcast_to(part, (len(effects.units), len(part))),
        **unit_columns(fit, effects.grouping),
    )
    notes = _coefficient_notes(fit, effects, places)
    table.attrs = unit_attrs(fit, effects, prob, notes)
    return table


def coefficient_place(term: str, coefficients: Sequence[str]) -> int | None:
    """Return the position of a varying term among the coefficients, None where it has none.

    Formulas may write the variables of an interaction in either order.

    Examples
    --------
    >>> coefficient_place("x:sex[M]", ["Intercept", "sex[M]:x"]), coefficient_place("x", ["z"])
    (1, None)
    """
    if term in coefficients:
        return list(coefficients).index(term)
    factors = sorted(term.split(":"))
    same = [
        place for place, label in enumerate(coefficients) if sorted(label.split(":")) == factors
    ]
    return same[0] if len(same) == 1 else None


def _coefficient_notes(fit: Fit, effects: UnitDraws, places: Sequence[int | None]) -> list[str]:
    name, facts = effects.grouping.name, fit.facts
    notes = []
    alone = [term for term, place in zip(effects.terms, places, strict=True) if place is None]
    shifts = {"Intercept"} if facts.categories else set()
    shifts |= {f"{facts.outcomes[item.outcome]}:Intercept" for item in facts.ordered}
    for term in sorted(shifts & set(alone)):
        notes.append(
            f"An ordinal model has cutpoints in place of the intercept: {term} is u alone, the "
            "unit's shift on the latent scale."
        )
        alone.remove(term)
    if alone:
        notes.append(
            f"{listed(alone)} varies over {name} but is not in the fixed part: what is given is u "
            "alone, and its mean over all units is 0 by assumption."
        )
    everywhere = [coefficient_place(term, facts.coefficients) for term in effects.grouping.terms]
    fixed = [facts.coefficients[place] for place in facts.estimated if place not in everywhere]
    if fixed:
        notes.append(
            f"{listed(fixed)} is the same in every unit of {name} and is not listed: see "
            "bml.summary(fit)."
        )
    return [*notes, *scope_notes(effects.grouping)]
