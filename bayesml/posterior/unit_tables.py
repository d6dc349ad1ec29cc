"""Draws and tables of the units of a grouping, labelled with the user's names."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesml.errors import FitError, did_you_mean, listed, nearest, quoted
from bayesml.posterior.effect_distributions import require_shared_terms
from bayesml.posterior.evaluation_point import evaluation_point
from bayesml.posterior.summaries import interval_words
from bayesml.quantities.intervals import DrawSummary, summarise_draws
from bayesml.records.facts import GroupingFacts
from bayesml.records.fits import Fit

if TYPE_CHECKING:
    import xarray as xr

At = Mapping[str, object]

# Numbers that are summarised at a time.
_BLOCK = 4_000_000


@dataclass(frozen=True)
class UnitDraws:
    """The draws of a grouping's effects.

    Parameters
    ----------
    grouping : GroupingFacts
    units : array, shape (units,)
        Labels as the user wrote them.
    terms : tuple of str
    values : array, shape (chains, draws, units, terms)
        On the scale of the linear predictor, per unit of the term.
    at : mapping of str to float or str
        Covariates at which the terms of each unit are added up to one; empty where they are not.
    """

    grouping: GroupingFacts
    units: np.ndarray
    terms: tuple[str, ...]
    values: np.ndarray
    at: Mapping[str, float | str] = field(default_factory=dict)

    def position(self, unit: object) -> int:
        """Return the position of a unit by its label.

        Raises
        ------
        FitError
            There is no such unit.
        """
        labels = [str(label) for label in self.units]
        if str(unit) in labels:
            return labels.index(str(unit))
        close = nearest(str(unit), labels, most=1)
        hint = f"Did you mean {quoted(close[0])}?" if close else "Use one of these labels."
        raise FitError(
            f"{self.grouping.name} has no unit {quoted(str(unit))}. {hint} Its "
            f"{len(labels)} units: {listed(labels)}."
        )


def unit_draws(fit: Fit, grouping: str, term: str | None = None, at: At | None = None) -> UnitDraws:
    """Return the draws of the effects of a grouping: all terms, one, or their sum at covariates.

    Raises
    ------
    FitError
        There is no such grouping or term, or `at` cannot be used.
    """
    facts = found_grouping(fit, grouping)
    effects = fit.posterior[f"u_{facts.identifier}"].transpose("chain", "draw", ...)
    units, values = effects.coords[facts.identifier].values, effects.values
    if at is not None:
        return _summed(fit, facts, units, values, term, at)
    terms = facts.terms
    if term is not None:
        if term not in terms:
            raise FitError(
                f"{quoted(str(term))} is not a term that varies over {facts.name}. "
                f"{did_you_mean(str(term), terms)}"
            )
        values = values[..., [terms.index(term)]]
        terms = (term,)
    return UnitDraws(facts, units, terms, values)


def _summed(
    fit: Fit,
    facts: GroupingFacts,
    units: np.ndarray,
    values: np.ndarray,
    term: str | None,
    at: At,
) -> UnitDraws:
    """Return z' u of each unit: its whole deviation for rows with these covariates."""
    if term is not None:
        raise FitError(
            "term names one term, and at adds all of them up for rows with these covariates. Give "
            "one of the two."
        )
    if facts.terms == ("Intercept",):
        raise FitError(
            f"Only the intercept varies over {facts.name}, so its units differ by the same "
            "everywhere. Leave at out."
        )
    require_shared_terms(fit.facts, "The sum of a unit's effects", "bml.random_effects(fit)")
    point = evaluation_point(fit, at)
    row = point.terms[facts.name]
    chosen = ", ".join(f"{name} = {value}" for name, value in at.items())
    label = f"at {chosen or 'the means of the covariates'}"
    return UnitDraws(facts, units, (label,), (values @ row)[..., None], dict(point.at))


def found_grouping(fit: Fit, name: str) -> GroupingFacts:
    """Return a grouping of a fit by the user's name.

    Raises
    ------
    FitError
        There is no such grouping.
    """
    facts = fit.facts.grouping(name)
    if facts is None:
        names = [item.name for item in fit.facts.groupings]
        hint = did_you_mean(str(name), names) if names else "This model has none."
        raise FitError(f"{quoted(str(name))} is not a grouping of this model. {hint}")
    return facts


def unit_columns(fit: Fit, grouping: GroupingFacts) -> dict[str, pd.Series]:
    """Return what the table says about each unit: `rows`, and `weight` of multiple membership.

    A fit that was saved without its rows gives missing values.
    """
    held = "constant_data" in fit.data.children
    constant = fit.data["constant_data"].to_dataset() if held else None
    name = f"unit_{grouping.identifier}"
    if constant is None or name not in constant:
        missing = pd.Series(np.full(grouping.units, pd.NA), dtype="Int64")
        return {"rows": missing} | ({"weight": missing.astype(float)} if grouping.multiple else {})
    index = constant[name].values
    if not grouping.multiple:
        return {"rows": _counts(np.bincount(index, minlength=grouping.units))}
    weight = constant[f"weight_{grouping.identifier}"].values
    used = weight > 0
    rows = np.bincount(index[used], minlength=grouping.units)
    total = np.bincount(index[used], weight[used], minlength=grouping.units)
    return {"rows": _counts(rows), "weight": pd.Series(total)}


def _counts(values: np.ndarray) -> pd.Series:
    return pd.Series(values).astype("Int64")


def unit_summaries(values: np.ndarray, prob: float, shift: np.ndarray | None = None) -> DrawSummary:
    """Return the summaries of draws of units, a block of units at a time.

    Parameters
    ----------
    values : array, shape (chains, draws, units, terms)
    prob : float
        Probability of the interval.
    shift : array, shape (chains, draws, terms), or None
        Draws that are added to those of every unit.

    Returns
    -------
    DrawSummary
        Arrays of shape (units, terms).
    """
    chains, draws, units, terms = values.shape
    step = max(1, _BLOCK // max(chains * draws * terms, 1))
    blocks = []
    for start in range(0, units, step):
        block = values[:, :, start : start + step]
        blocks.append(summarise_draws(block if shift is None else block + shift[:, :, None], prob))
    return DrawSummary(
        *(
            np.concatenate([getattr(block, name) for block in blocks])
            for name in DrawSummary.__dataclass_fields__
        )
    )


def unit_table(effects: UnitDraws, **columns: object) -> pd.DataFrame:
    """Return a table with one row per unit and term: all terms of the first unit first.

    `columns` are arrays of shape (units, terms), or of shape (units,), which repeat over terms.
    """
    units, terms = len(effects.units), len(effects.terms)
    table = pd.DataFrame(
        {"unit": np.repeat(effects.units, terms), "term": list(effects.terms) * units}
    )
    for name, column in columns.items():
        if isinstance(column, pd.Series):
            table[name] = column.repeat(terms).reset_index(drop=True)
        else:
            values = np.asarray(column)
            table[name] = values.ravel() if values.ndim > 1 else np.repeat(values, terms)
    return table


def scope_notes(grouping: GroupingFacts) -> list[str]:
    """Return what effects of units leave out, where a larger grouping contains the units."""
    if not grouping.within:
        return []
    return [
        f"These are deviations of {grouping.name} within {listed(grouping.within)}: the effects "
        f"of {listed(grouping.within)} are not part of them."
    ]


def as_unit_array(fit: Fit, effects: UnitDraws, values: np.ndarray, name: str) -> "xr.DataArray":
    """Return draws of units with labels, dims chain, draw, unit, term."""
    import xarray as xr

    coords = {
        "chain": fit.posterior["chain"].values,
        "draw": fit.posterior["draw"].values,
        "unit": effects.units,
        "term": list(effects.terms),
    }
    attrs = {"grouping": effects.grouping.name}
    return xr.DataArray(values, coords=coords, dims=list(coords), name=name, attrs=attrs)


def unit_attrs(
    fit: Fit, effects: UnitDraws, prob: float, notes: Sequence[str]
) -> dict[Hashable, Any]:
    """Return the attributes of a table of units."""
    attrs: dict[Hashable, Any] = {
        "grouping": effects.grouping.name,
        "prob": float(prob),
        "interval": interval_words(prob),
        "link": fit.facts.link,
        "notes": list(notes),
    }
    return attrs | ({"at": dict(effects.at)} if effects.at else {})
