"""How far each unit is drawn towards the others: its effect with and without pooling."""

from dataclasses import replace

import numpy as np
import pandas as pd

from bayesml.posterior.model_rows import GroupingRows, ModelRows, rows_in_fit
from bayesml.posterior.residual_fits import require_independent_residuals
from bayesml.posterior.unit_tables import (
    UnitDraws,
    unit_attrs,
    unit_columns,
    unit_draws,
    unit_summaries,
    unit_table,
)
from bayesml.quantities.dummy_likelihoods import GroupedOutcome, dummy_likelihood
from bayesml.quantities.dummy_regression import DummyFit, dummy_least_squares
from bayesml.quantities.intervals import checked_prob
from bayesml.quantities.ordered_likelihoods import OrderedOutcome, middle_cutpoint
from bayesml.records.fits import Fit

ONE_SIDED = "infinite: every outcome of the unit is at one end"
SEPARATED = "infinite: the unit's terms separate its outcomes"
UNDETERMINED = "the unit's rows do not determine it"


def shrinkage(fit: Fit, grouping: str, term: str | None = None, prob: float = 0.89) -> pd.DataFrame:
    """Return each unit's random effect beside its estimate without pooling, and how far it shrank.

    The estimate without pooling is that of maximum likelihood (least squares for a Gaussian
    outcome) from the unit's own rows, with everything else at its posterior mean: coefficients,
    cutpoints, offset and the effects of other groupings. Shrinkage is 1 - posterior mean / this
    estimate: 0 where a unit speaks for itself, 1 where its rows say nothing. With a varying
    intercept alone it is 1 - reliability, s2_u / (s2_u + s2_e / n_j); with several correlated terms
    one term borrows from another, and a shrinkage may lie outside 0 to 1.

    Parameters
    ----------
    fit : Fit
    grouping : str
        Name of the grouping.
    term : str, optional
        One varying term; None is every term.
    prob : float
        Posterior probability of the equal-tailed interval.

    Returns
    -------
    DataFrame
        One row per `unit` and `term`: `no_pooling` and its standard error `no_pooling_se`; `mean`,
        `sd`, `lower`, `upper` of the random effect; `shrinkage`; `rows`; and `note`, which says
        where the estimate without pooling is infinite (all outcomes of a unit are 0) or not
        determined; its shrinkage is then missing. The attribute `overall` holds the shrinkage of
        each term over all units, 1 - sum(w * mean * no_pooling) / sum(w * no_pooling^2) with
        w = 1 / no_pooling_se^2, which does not suffer from single estimates near 0.

    Raises
    ------
    FitError
        There is no such grouping or term, the family has no estimates without pooling, or the fit
        was saved without its rows.

    Notes
    -----
    Efron & Morris (1977), doi:10.1038/scientificamerican0577-119; Snijders & Bosker (2012),
    Multilevel Analysis, section 4.8. In multiple membership the estimates of all units are made
    together, each row counting by its weights.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> fit = bml.two_level(exam, "normexam ~ 1", group="school").fit()  # doctest: +SKIP
    >>> bml.shrinkage(fit, "school")[["unit", "rows", "shrinkage"]]  # doctest: +SKIP
    """
    prob = checked_prob(prob)
    require_independent_residuals(fit.spec, "shrinkage", "Use bml.random_effects(fit).")
    effects = unit_draws(fit, grouping)
    chosen = unit_draws(fit, grouping, term)
    rows = rows_in_fit(fit, "bml.shrinkage")
    own = next(item for item in rows.groupings if item.name == effects.grouping.name)
    rest, gaps = _rest(fit, rows, own.name), None
    if rows.categories:
        cutpoints = fit.posterior["cutpoints"].transpose(..., "cutpoint").values.mean(axis=(0, 1))
        middle = middle_cutpoint(rows.y.astype(int), len(rows.categories))
        rest, gaps = rest - cutpoints[middle], cutpoints - cutpoints[middle]
    outcome = rows.outcome("bml.shrinkage", offset=rest, gaps=gaps)
    found = _unit_estimates(fit, outcome, own)
    estimates, errors, notes = unit_estimates(found, outcome, own)
    places = [effects.terms.index(label) for label in chosen.terms]
    estimates, errors, notes = estimates[:, places], errors[:, places], notes[:, places]
    numbers = unit_summaries(chosen.values, prob)
    usable = np.isfinite(estimates) & (estimates != 0)
    ratio = np.divide(numbers.mean, estimates, out=np.full_like(estimates, np.nan), where=usable)
    table = unit_table(
        chosen,
        no_pooling=estimates,
        no_pooling_se=errors,
        mean=numbers.mean,
        sd=numbers.sd,
        lower=numbers.lower,
        upper=numbers.upper,
        shrinkage=1 - ratio,
        rows=unit_columns(fit, effects.grouping)["rows"],
        note=notes,
    )
    said = [_missing_note(chosen, notes)] if (notes != "").any() else []
    table.attrs = unit_attrs(fit, effects, prob, said)
    table.attrs["overall"] = _overall(chosen, numbers.mean, estimates, errors)
    return table


def _rest(fit: Fit, rows: ModelRows, grouping: str) -> np.ndarray:
    """Return the linear predictor of each row without the grouping, at the posterior means."""
    rest = rows.offset.astype(float).copy()
    if "beta" in fit.posterior:
        beta = fit.coefficient_draws
        rest += rows.x @ beta.mean(axis=(0, 1))
    for item, facts in zip(rows.groupings, fit.facts.groupings, strict=True):
        if item.name != grouping:
            effects = fit.posterior[f"u_{facts.identifier}"].transpose("chain", "draw", ...)
            rest += item.contribution(effects.values.mean(axis=(0, 1)))
    return rest


def _unit_estimates(
    fit: Fit, outcome: GroupedOutcome | OrderedOutcome, own: GroupingRows
) -> DummyFit:
    columns = len(own.units) * len(own.labels)
    nothing = np.empty((len(outcome.y), 0))
    if outcome.link != "identity":
        return dummy_likelihood(outcome, nothing, own.blocks, columns)
    sigma = fit.posterior["sigma"].values
    variance = float((sigma**2).mean())
    y = outcome.y - outcome.offset
    return dummy_least_squares(y, nothing, own.blocks, columns, variance=variance)


def unit_estimates(
    found: DummyFit, outcome: GroupedOutcome | OrderedOutcome, own: GroupingRows
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the units' estimates, their standard errors and notes, each (units, terms)."""
    shape = (len(own.units), len(own.labels))
    estimates = found.units.reshape(shape)
    infinite = np.isinf(estimates)
    notes = np.full(shape, "", dtype=object)
    notes[np.isnan(estimates)] = UNDETERMINED
    notes[infinite] = SEPARATED
    if outcome.link != "identity":
        notes[infinite & _one_sided(outcome, own)[:, None]] = ONE_SIDED
    return estimates, found.units_se.reshape(shape), notes


def _one_sided(outcome: GroupedOutcome | OrderedOutcome, own: GroupingRows) -> np.ndarray:
    """Return which units have no row but such at one and the same end."""
    sides = outcome.sides.astype(float)
    unweighted = (
        own if own.weights is None else replace(own, weights=(own.weights > 0).astype(float))
    )
    total, rows = unweighted.sum(sides), unweighted.rows_per_unit
    return (np.abs(total) == rows) & (rows > 0)


def _missing_note(chosen: UnitDraws, notes: np.ndarray) -> str:
    infinite = int(np.isin(notes, [ONE_SIDED, SEPARATED]).sum())
    lost = int((notes == UNDETERMINED).sum())
    return (
        f"Of the {notes.size} estimates of {chosen.grouping.name} without pooling, {infinite} are "
        f"infinite and {lost} are not determined by the units' rows; the column note says which."
    )


def _overall(
    chosen: UnitDraws, means: np.ndarray, estimates: np.ndarray, errors: np.ndarray
) -> dict[str, float]:
    """Return the shrinkage of each term over all units, each weighing by its information."""
    found = {}
    for place, label in enumerate(chosen.terms):
        usable = np.isfinite(estimates[:, place]) & (errors[:, place] > 0)
        own = estimates[usable, place] / errors[usable, place]
        pooled = means[usable, place] / errors[usable, place]
        size = float(own @ own)
        found[label] = 1 - float(pooled @ own) / size if size > 0 else float("nan")
    return found
