"""The alternatives to a multilevel model beside it: complete, no and partial pooling."""

from dataclasses import dataclass, replace
from html import escape

import numpy as np
import pandas as pd

from bayesml.errors import FitError, did_you_mean, listed, quoted
from bayesml.posterior.model_rows import GroupingRows, ModelRows, rows_of_model
from bayesml.posterior.partial_pooling import (
    Outer,
    PartialPooling,
    outer_groupings,
    partial_of_fit,
    partial_of_reml,
)
from bayesml.posterior.residual_fits import require_independent_residuals
from bayesml.posterior.shrinkage_estimates import UNDETERMINED, unit_estimates
from bayesml.quantities.dummy_likelihoods import GroupedOutcome, dummy_likelihood
from bayesml.quantities.dummy_regression import DummyFit, free_columns
from bayesml.quantities.intervals import checked_prob
from bayesml.quantities.ordered_likelihoods import OrderedOutcome
from bayesml.quantities.unit_multiples import UnitMultiples, unit_multiples
from bayesml.records.fits import Fit
from bayesml.records.modelling import Model

_ROWS_SHOWN = 20
# Share of a predictor's spread below which differences between means are rounding of the table.
ROUNDED = 1e-3


@dataclass(frozen=True, eq=False)
class PoolingComparison:
    """Complete pooling, no pooling, the macro regression and partial pooling. Print it.

    Parameters
    ----------
    grouping : str
        The grouping whose units are compared.
    coefficients : DataFrame
        One row per `coef`: `complete_pooling`, `no_pooling`, `macro` and `partial_pooling`, each
        with its standard error (posterior SD) in a column that ends in ``_se``, and `note`.
    units : DataFrame
        One row per `unit` and `term`: the unit's coefficient by `complete_pooling`, `no_pooling`
        (with `no_pooling_se`) and `partial_pooling` (with its `sd`, `lower` and `upper`), `rows`,
        and `note`.
    source : str
        Where partial pooling comes from.
    notes : tuple of str
        What the reader must know.
    """

    grouping: str
    coefficients: pd.DataFrame
    units: pd.DataFrame
    source: str
    notes: tuple[str, ...]

    def __str__(self) -> str:
        few = self.units.head(_ROWS_SHOWN)
        lines = [
            f"Pooling over {self.grouping}; partial pooling: {self.source}",
            "Coefficients",
            self.coefficients.round(3).to_string(index=False, na_rep=""),
            f"Units ({len(few)} of {len(self.units)} rows)",
            few.round(3).to_string(index=False, na_rep=""),
        ]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def __repr__(self) -> str:
        return f"<bayesml PoolingComparison: {self.grouping}, {len(self.units)} rows of units>"

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        return (
            f"<div><p><strong>Pooling over {escape(self.grouping)}</strong>; partial pooling: "
            f"{escape(self.source)}</p>{self.coefficients.round(3).to_html(index=False)}"
            f"{self.units.head(_ROWS_SHOWN).round(3).to_html(index=False)}<ul>{notes}</ul></div>"
        )


def pooling(
    model: Model, fit: Fit | None = None, grouping: str | None = None, prob: float = 0.89
) -> PoolingComparison:
    """Return complete pooling, no pooling, the macro regression and partial pooling side by side.

    Complete pooling is the regression of all rows without groupings; its standard errors take rows
    of one unit for independent. No pooling gives every unit its own coefficients of the varying
    terms (dummies), beside common ones of the predictors that differ within units. The macro
    regression is that of the units' means of the outcome on their means of the predictors: it is
    about units, and reading it as if it were about rows is the ecological fallacy. Partial pooling
    is the multilevel model.

    A unit's coefficient of a term is everything that the linear predictor multiplies the term
    with: a predictor of the units is part of their intercepts, a cross-level interaction of their
    slopes, and the effect of a larger unit that contains a unit is part of the unit's. So the four
    can be compared.

    Ordered outcomes have cutpoints in place of the intercept. Here the intercept is minus the
    cutpoint that comes nearest to halving the rows, and the other cutpoints are told by how far
    they lie above it, so that a unit's intercept needs no origin: it is the link of the odds of
    lying above that cutpoint (of going beyond it, or of the category above it against the one
    below), in a unit whose predictors are 0. Of two categories it is the intercept of a binomial
    outcome. No pooling estimates the distances between the cutpoints, which all units share, along
    with the units' dummies: held at those of complete pooling, units would lie too close together.
    Where units have a handful of rows these distances, and with them the units', come out too wide.

    Parameters
    ----------
    model : Model
        With a Gaussian, binomial, Poisson or ordered outcome.
    fit : Fit, optional
        A fit of this model, from which partial pooling comes; without it, from REML (Gaussian).
    grouping : str, optional
        The grouping; None where the model has one. Other groupings play a part in partial pooling
        only.
    prob : float
        Posterior probability of the equal-tailed interval of partial pooling.

    Returns
    -------
    PoolingComparison
        With the DataFrames `coefficients` and `units`, `source` and `notes`; prints as text and in
        notebooks. Estimates of other than Gaussian outcomes are maximum likelihood; those of
        units with outcomes at one end only are infinite, and `note` says so.

    Raises
    ------
    FitError
        There is no such grouping, the fit is one of another model, there is no fit and REML cannot
        take its place, the family has no estimates without pooling, or cutpoints have no finite
        ones.

    Notes
    -----
    Gelman & Hill (2007), doi:10.1017/CBO9780511790942, chapter 12; Robinson (1950),
    doi:10.2307/2087176; Snijders & Bosker (2012), Multilevel Analysis, chapter 3.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> model = bml.two_level(exam, "normexam ~ standLRT", group="school")
    >>> print(bml.pooling(model, model.fit()))  # doctest: +SKIP
    """
    prob = checked_prob(prob)
    require_independent_residuals(model.spec, "pooling", "Use model.fit().")
    rows = rows_of_model(model).with_intercept()
    own = _own_grouping(rows, grouping)
    outcome = rows.outcome("bml.pooling")
    multiple = own.weights is not None
    multiples = unit_multiples(rows.x, own.index, own.terms, len(own.units), multiple)
    outer = outer_groupings(rows, own)
    middle = outcome.middle if isinstance(outcome, OrderedOutcome) else None
    partial = _partial(model, fit, rows, own, multiples, outer, prob, middle)
    complete = dummy_likelihood(outcome, rows.x, [], 0)
    separate = _no_pooling(rows, own, outcome, multiples)
    macro = _macro(rows, own, outcome)
    units = _unit_frame(own, outcome, multiples, complete, separate, partial)
    return PoolingComparison(
        own.name,
        _coefficient_frame(rows, own, outcome, complete, separate, macro, partial),
        units,
        partial.source,
        (*_notes(rows, own, outer, units), *partial.notes),
    )


def _own_grouping(rows: ModelRows, grouping: str | None) -> GroupingRows:
    names = [item.name for item in rows.groupings]
    if not names:
        raise FitError(
            "This model has no grouping, so nothing is pooled. Add one, such as (1 | g)."
        )
    if grouping is None and len(names) > 1:
        raise FitError(
            f"The model has the groupings {listed(names)}. Say whose units are to be compared: "
            f"grouping={names[0]!r}."
        )
    if grouping is not None and grouping not in names:
        raise FitError(
            f"{quoted(str(grouping))} is not a grouping of this model. "
            f"{did_you_mean(str(grouping), names)}"
        )
    return next(item for item in rows.groupings if grouping in (None, item.name))


def _partial(
    model: Model,
    fit: Fit | None,
    rows: ModelRows,
    own: GroupingRows,
    multiples: UnitMultiples,
    outer: list[Outer],
    prob: float,
    middle: int | None,
) -> PartialPooling:
    if fit is not None:
        _check_same(model, fit, own)
        return partial_of_fit(fit, own, multiples, outer, prob, middle)
    if rows.link != "identity":
        raise FitError(
            f"Without a fit, partial pooling comes from REML, which is for Gaussian outcomes; the "
            f"family is {quoted(rows.family)}. Pass a fit: bml.pooling(model, model.fit())."
        )
    return partial_of_reml(model, rows, own, multiples, outer)


def _check_same(model: Model, fit: Fit, own: GroupingRows) -> None:
    mine, other = model.facts, fit.facts
    for what, here, there in (
        ("formula", mine.formula, other.formula),
        ("family", mine.family, other.family),
        ("number of rows", mine.rows, other.rows),
        ("coefficients", listed(mine.coefficients), listed(other.coefficients)),
    ):
        if here != there:
            raise FitError(
                f"The fit is one of another model: its {what} is {there}, and that of the model "
                f"{here}. Use bml.pooling(model, model.fit())."
            )
    facts = other.grouping(own.name)
    name = facts.identifier if facts else own.name
    units = fit.posterior[f"u_{name}"].coords[name].values
    if [str(unit) for unit in units] != [str(unit) for unit in own.units]:
        raise FitError(
            f"The fit has other units of {own.name} than the model. Use bml.pooling(model, "
            "model.fit())."
        )


def _no_pooling(
    rows: ModelRows,
    own: GroupingRows,
    outcome: GroupedOutcome | OrderedOutcome,
    multiples: UnitMultiples,
) -> DummyFit:
    """Return the regression on dummies; common coefficients stand at their places in X."""
    columns = len(own.units) * len(own.labels)
    x = np.where(multiples.inside, 0.0, rows.x)
    return dummy_likelihood(outcome, x, own.blocks, columns)


def _macro(
    rows: ModelRows, own: GroupingRows, whole: GroupedOutcome | OrderedOutcome
) -> DummyFit | None:
    """Return the regression of the units' means; None where counts are shared between units."""
    units = len(own.units)
    x = np.array([own.mean(column) for column in rows.x.T]).reshape(-1, units).T
    ones, nothing = np.ones(units), np.zeros(units)
    outcome: GroupedOutcome | OrderedOutcome
    if isinstance(whole, OrderedOutcome):
        if own.weights is not None:
            return None
        # A unit's counts of the categories are as likely as its rows.
        outcome = replace(whole, offset=own.mean(rows.offset)[own.index])
        return dummy_likelihood(outcome, x[own.index], [], 0, free=_free_means(rows, x))
    if rows.link == "identity":
        outcome = GroupedOutcome(own.mean(rows.y - rows.offset), "identity", ones, nothing)
    elif own.weights is not None:
        return None
    elif rows.link == "log":
        exposure = np.log(own.sum(np.exp(rows.offset)))
        outcome = GroupedOutcome(own.sum(rows.y.astype(float)), rows.link, ones, exposure)
    else:
        trials = np.ones(len(rows.y)) if rows.trials is None else rows.trials.astype(float)
        outcome = GroupedOutcome(
            own.sum(rows.y.astype(float)), rows.link, own.sum(trials), own.mean(rows.offset)
        )
    return dummy_likelihood(outcome, x, [], 0, free=_free_means(rows, x))


def _free_means(rows: ModelRows, means: np.ndarray) -> np.ndarray:
    """Return which predictors the units' means can tell apart.

    Tables round: the means of a predictor that was centred within units are not quite 0, and a
    column that holds the units' means is not quite equal to them.
    """
    if "Intercept" not in rows.coefficients:
        return free_columns(means, [], tolerance=ROUNDED)
    place = rows.coefficients.index("Intercept")
    between = means - means.mean(axis=0)
    spread = rows.x.std(axis=0)
    between[:, np.abs(between).max(axis=0) <= ROUNDED * spread] = 0.0
    between[:, place] = 0.0
    free = free_columns(between, [], tolerance=ROUNDED)
    free[place] = True
    return free


def _coefficient_frame(
    rows: ModelRows,
    own: GroupingRows,
    outcome: GroupedOutcome | OrderedOutcome,
    complete: DummyFit,
    separate: DummyFit,
    macro: DummyFit | None,
    partial: PartialPooling,
) -> pd.DataFrame:
    gaps, middle = [], ""
    if isinstance(outcome, OrderedOutcome):
        gaps, middle = outcome.gap_labels, outcome.cutpoint_label(outcome.middle)
    labels = [*rows.coefficients, *gaps]
    unknown = np.full(len(labels), np.nan)
    columns: dict[str, np.ndarray] = {}
    for name, found in (("complete_pooling", complete), ("no_pooling", separate), ("macro", macro)):
        columns[name] = unknown if found is None else np.r_[found.common, found.gaps]
        columns[f"{name}_se"] = unknown if found is None else np.r_[found.common_se, found.gaps_se]
    columns |= {"partial_pooling": partial.coefficients, "partial_pooling_se": partial.errors}
    frame = pd.DataFrame({"coef": labels, **columns})
    notes = []
    for place in range(len(rows.coefficients)):
        said = [f"minus the cutpoint {middle}"] if middle and not place else []
        if any(np.array_equal(rows.x[:, place], term) for term in own.terms.T):
            said.append("no pooling: one for every unit")
        elif np.isnan(separate.common[place]):
            said.append("no pooling: absorbed by the units")
        if macro is None:
            said.append("macro: rows share their counts between units")
        elif np.isnan(macro.common[place]):
            said.append("macro: the means do not determine it")
        infinite = [
            name
            for name, found in (("complete", complete), ("no", separate))
            if np.isinf(found.common[place])
        ]
        said += [f"{name} pooling: infinite, it separates the outcomes" for name in infinite]
        notes.append("; ".join(said))
    return frame.assign(note=[*notes, *(f"above the cutpoint {middle}" for _ in gaps)])


def _unit_frame(
    own: GroupingRows,
    outcome: GroupedOutcome | OrderedOutcome,
    multiples: UnitMultiples,
    complete: DummyFit,
    separate: DummyFit,
    partial: PartialPooling,
) -> pd.DataFrame:
    inside = multiples.inside & np.isfinite(complete.common)
    line = np.tensordot(multiples.weights[:, inside], complete.common[inside], axes=(1, 0))
    estimates, errors, notes = unit_estimates(separate, outcome, own)
    units, terms = estimates.shape
    return pd.DataFrame(
        {
            "unit": np.repeat(own.units, terms),
            "term": list(own.labels) * units,
            "complete_pooling": line.ravel(),
            "no_pooling": estimates.ravel(),
            "no_pooling_se": errors.ravel(),
            "partial_pooling": partial.mean.ravel(),
            "sd": partial.sd.ravel(),
            "lower": partial.lower.ravel(),
            "upper": partial.upper.ravel(),
            "rows": np.repeat(own.rows_per_unit, terms),
            "note": notes.ravel(),
        }
    )


def _notes(
    rows: ModelRows, own: GroupingRows, outer: list[Outer], units: pd.DataFrame
) -> list[str]:
    notes = [
        "The standard errors of complete pooling take rows of one unit for independent, and are "
        "too small where units differ."
    ]
    others = [item.name for item in rows.groupings if item.name != own.name]
    if others:
        notes.append(
            f"Complete pooling, no pooling and the macro regression leave {listed(others)} out."
        )
    notes += [
        f"Not every term of {item.name} is constant within {own.name}: partial pooling leaves the "
        "others out of the units' coefficients."
        for item in outer
        if not item.multiples.inside.all()
    ]
    infinite = units[np.isinf(units["no_pooling"])]
    if len(infinite):
        notes.append(
            f"{len(infinite)} estimates without pooling are infinite, in the units "
            f"{listed(infinite['unit'].unique())}: their outcomes are all at one end, or separated."
        )
    lost = units[units["note"] == UNDETERMINED]
    if len(lost):
        notes.append(
            f"{len(lost)} estimates without pooling are not determined by the rows of the units "
            f"{listed(lost['unit'].unique())}."
        )
    return notes
