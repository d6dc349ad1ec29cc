"""What a predictor does to the outcome: contrasts between its values, and slopes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import pandas as pd

from bayesml.design.columns import plain_frame
from bayesml.design.rows import numeric_column
from bayesml.errors import FitError, close_name, listed, quoted
from bayesml.posterior.effect_rows import (
    EffectRows,
    averages,
    checked_variable,
    effect_rows,
    row_groups,
    settings,
)
from bayesml.posterior.effect_tables import EffectTable, effect_attributes
from bayesml.posterior.group_strategies import Groups, checked_groups
from bayesml.posterior.replicated_rows import checked_seed
from bayesml.posterior.summaries import interval_words
from bayesml.records.fits import Fit

if TYPE_CHECKING:
    import xarray as xr

MEASURES = ("difference", "ratio")
# Half the width of a difference quotient, as a share of the predictor's range: its error is of the
# order of the square.
_STEP = 1e-5


@overload
def contrast(
    fit: Fit,
    variable: str,
    levels: Sequence[Any] | None = ...,
    *,
    at: Mapping[str, object] | None = ...,
    by: str | None = ...,
    new_data: object = ...,
    groups: Groups | None = ...,
    kind: str = ...,
    measure: str = ...,
    prob: float = ...,
    draws: Literal[False] = ...,
    seed: int | None = ...,
) -> pd.DataFrame: ...
@overload
def contrast(
    fit: Fit,
    variable: str,
    levels: Sequence[Any] | None = ...,
    *,
    at: Mapping[str, object] | None = ...,
    by: str | None = ...,
    new_data: object = ...,
    groups: Groups | None = ...,
    kind: str = ...,
    measure: str = ...,
    prob: float = ...,
    draws: Literal[True],
    seed: int | None = ...,
) -> "xr.DataArray": ...
def contrast(
    fit: Fit,
    variable: str,
    levels: Sequence[Any] | None = None,
    *,
    at: Mapping[str, object] | None = None,
    by: str | None = None,
    new_data: object = None,
    groups: Groups | None = None,
    kind: str = "mean",
    measure: str = "difference",
    prob: float = 0.89,
    draws: bool = False,
    seed: int | None = None,
) -> "pd.DataFrame | xr.DataArray":
    """Compare the predictions of rows at different values of one predictor.

    Every row is predicted twice, with the predictor at either value and everything else as it is,
    and the predictions are averaged over the rows before they are compared.

    Parameters
    ----------
    fit : Fit
    variable : str
        Column of a predictor.
    levels : sequence, optional
        Its values: each is compared with the first. None is every level of a categorical
        predictor, the baseline first; a numeric predictor needs two values.
    at : mapping of str to value or list of values, optional
        Columns to set in every row; lists give every combination.
    by : str, optional
        Average within the units of this grouping, or the values of this column.
    new_data : DataFrame, optional
        Rows to average over; None is the fit's own rows.
    groups : str or mapping of str to str, optional
        What happens to the units; see `predict`.
    kind : {"mean", "linear"}
        Response scale or link scale. Means of ordered and nominal outcomes are the probabilities
        of the categories, a row each; linear predictors of nominal ones have a row for each
        category against the baseline, those with category-specific effects for each cutpoint.
    measure : {"difference", "ratio"}
        Average at a value minus, or divided by, the average at the first.
    prob : float
        Posterior probability of the equal-tailed interval.
    draws : bool
        Return the draws instead of a table.
    seed : int or None
        Seed of the effects of new units.

    Returns
    -------
    DataFrame or DataArray
        Columns: those of `at`, that of `by`, `contrast` (``"M - F"``, ``"M / F"``), for ordered
        and nominal outcomes `category` (or `cutpoint`), then `mean`, `median`, `sd`, `lower`,
        `upper`, and `probability`, the posterior probability of a contrast above 0 (of a ratio
        above 1). Attributes: `variable`, `measure`, `groups`, `kind`, `scale`, `rows` (their
        number), `prob`,
        `interval`, and `seed` where units were drawn. The DataArray has the dims chain, draw, row,
        and these columns as coordinates of row.

    Raises
    ------
    FitError, TableError
        The model has no such predictor, or an argument cannot be used.

    Notes
    -----
    Average contrasts of observed rows: Gelman & Pardoe (2007),
    doi:10.1111/j.1467-9531.2007.00181.x.

    Examples
    --------
    >>> import bayesml as bml
    >>> women = bml.load_dataset("contraception")
    >>> model = bml.two_level(
    ...     women, "use ~ age + urban", group="district", family="binomial", success="Y"
    ... )
    >>> bml.contrast(model.fit(), "urban", groups="marginal")  # doctest: +SKIP
    """
    if measure not in MEASURES:
        raise FitError(
            f"measure is {quoted(str(measure))}. {close_name(str(measure), MEASURES)}Allowed: "
            f"{', '.join(MEASURES)}."
        )
    interval_words(prob)
    rows, seed = _rows(fit, new_data, groups, kind, seed)
    number = checked_variable(rows, variable, "variable")
    values = _values(rows, variable, levels, number)
    parts = row_groups(rows, by)
    found = EffectTable(parts)
    sign = "-" if measure == "difference" else "/"
    for setting in _free_settings(rows, at, variable):
        first = averages(rows.values(setting | {variable: values[0]}), parts)
        for value in values[1:]:
            other = averages(rows.values(setting | {variable: value}), parts)
            with np.errstate(all="ignore"):
                compared = other - first if measure == "difference" else other / first
            found.add(setting, {"contrast": f"{value} {sign} {values[0]}"}, compared)
    attrs = effect_attributes(rows, variable) | {"measure": measure}
    return found.result(rows, attrs, float(measure == "ratio"), prob, draws, "contrast")


@overload
def slopes(
    fit: Fit,
    variable: str,
    *,
    at: Mapping[str, object] | None = ...,
    by: str | None = ...,
    new_data: object = ...,
    groups: Groups | None = ...,
    kind: str = ...,
    prob: float = ...,
    draws: Literal[False] = ...,
    seed: int | None = ...,
) -> pd.DataFrame: ...
@overload
def slopes(
    fit: Fit,
    variable: str,
    *,
    at: Mapping[str, object] | None = ...,
    by: str | None = ...,
    new_data: object = ...,
    groups: Groups | None = ...,
    kind: str = ...,
    prob: float = ...,
    draws: Literal[True],
    seed: int | None = ...,
) -> "xr.DataArray": ...
def slopes(
    fit: Fit,
    variable: str,
    *,
    at: Mapping[str, object] | None = None,
    by: str | None = None,
    new_data: object = None,
    groups: Groups | None = None,
    kind: str = "mean",
    prob: float = 0.89,
    draws: bool = False,
    seed: int | None = None,
) -> "pd.DataFrame | xr.DataArray":
    """Return the slope of the prediction on a numeric predictor, averaged over rows.

    The slope of each row is the derivative of its mean (or linear predictor) by the predictor,
    whatever terms it enters (powers, splines, interactions, varying slopes), by a central
    difference whose width is a hundred-thousandth of the predictor's range to either side. At the
    ends of its range the difference is one-sided, since splines are not defined beyond.

    Parameters
    ----------
    fit : Fit
    variable : str
        Column of a numeric predictor.
    at : mapping of str to value or list of values, optional
        Columns to set in every row, `variable` itself among them: ``at={"x": [0, 1]}``. None
        leaves every row as it is: the average marginal effect.
    by : str, optional
        Average within the units of this grouping (their own slopes where ``groups="known"``), or
        the values of this column.
    new_data : DataFrame, optional
        Rows to average over; None is the fit's own rows.
    groups : str or mapping of str to str, optional
        What happens to the units; see `predict`.
    kind : {"mean", "linear"}
        Response scale or link scale.
    prob : float
        Posterior probability of the equal-tailed interval.
    draws : bool
        Return the draws instead of a table.
    seed : int or None
        Seed of the effects of new units.

    Returns
    -------
    DataFrame or DataArray
        As `contrast`, without `contrast` and `measure`; `probability` is that of a slope above 0.
        Unit: that of the outcome (or of the link scale) per unit of the predictor.

    Raises
    ------
    FitError, TableError
        The model has no such numeric predictor, or an argument cannot be used.

    Notes
    -----
    Average marginal effects: Bartus (2005), doi:10.1177/1536867X0500500303.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> model = bml.two_level(exam, "normexam ~ standLRT", group="school", slopes=["standLRT"])
    >>> bml.slopes(model.fit(), "standLRT", by="school")  # doctest: +SKIP
    """
    interval_words(prob)
    rows, seed = _rows(fit, new_data, groups, kind, seed)
    if not checked_variable(rows, variable, "variable"):
        raise FitError(
            f"variable is {quoted(variable)}, which holds labels and has no slope. Use "
            f"bml.contrast(fit, {variable!r})."
        )
    parts = row_groups(rows, by)
    found = EffectTable(parts)
    for setting in settings(rows, at):
        found.add(setting, {}, averages(slope_blocks(rows, variable, setting), parts))
    return found.result(rows, effect_attributes(rows, variable), 0.0, prob, draws, "slope")


def slope_blocks(
    rows: EffectRows, variable: str, setting: Mapping[str, Any]
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield blocks of the rows' slopes on a variable, draws last."""
    below, above = slope_ends(rows, variable, setting)
    pairs = zip(
        rows.values({**setting, variable: below}),
        rows.values({**setting, variable: above}),
        strict=True,
    )
    for (place, low), (_, high) in pairs:
        width = (above - below)[place]
        yield place, (high - low) / width.reshape(-1, *(1,) * (high.ndim - 1))


def slope_ends(
    rows: EffectRows, variable: str, setting: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Return two values of a variable around that of each row, inside its range."""
    frame = rows.frame
    if variable in setting:
        values = np.full(len(frame), float(setting[variable]))
    else:
        column = plain_frame(frame, {variable: "predictor"})
        values = numeric_column(column, variable, "The predictor")
    low, high = rows.stored.ranges[variable]
    step = _STEP * (high - low if high > low else max(1.0, abs(high)))
    below, above = values - step, values + step
    inside = (values >= low) & (values <= high)
    return np.where(inside, np.maximum(below, low), below), np.where(
        inside, np.minimum(above, high), above
    )


def _rows(
    fit: Fit, new_data: object, groups: Groups | None, kind: str, seed: int | None
) -> tuple[EffectRows, int]:
    chosen = checked_groups(fit, groups, new_rows=new_data is not None)
    seed = checked_seed(seed)
    return effect_rows(fit, new_data, chosen, kind, seed), seed


def _values(
    rows: EffectRows, variable: str, levels: Sequence[Any] | None, number: bool
) -> list[Any]:
    if levels is None:
        if number:
            raise FitError(
                f"{quoted(variable)} is a number, so the values to compare must be said: "
                f"levels=(0, 1). For its slope use bml.slopes(fit, {variable!r})."
            )
        return list(rows.stored.levels(variable))
    values = [levels] if isinstance(levels, str) else list(levels)
    if len(values) < 2:
        raise FitError(
            f"levels is {listed(values)}, and a contrast takes two values or more. Give them: "
            "levels=(first, second)."
        )
    if number:
        settings(rows, {variable: values})
    return values


def _free_settings(
    rows: EffectRows, at: Mapping[str, object] | None, variable: str
) -> list[dict[str, Any]]:
    if isinstance(at, Mapping) and variable in at:
        raise FitError(
            f"at sets {quoted(variable)}, whose values are compared. Leave it out of at; its "
            "values are levels=(first, second)."
        )
    return settings(rows, at)
