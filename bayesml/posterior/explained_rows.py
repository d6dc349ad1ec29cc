"""R2 from the effects that were drawn: Gelman & Pardoe by level, and the Bayes R2."""

from collections.abc import Iterator

import numpy as np

from bayesml.errors import FitError, quoted
from bayesml.posterior.explained_parts import R2Draws, correlation_notes
from bayesml.posterior.fitted_rows import (
    FittedRows,
    UnitRows,
    coefficient_draws,
    effect_draws,
    linear_predictor_blocks,
)
from bayesml.posterior.level1_variances import parameter_draws_of
from bayesml.posterior.model_variances import level1_of_rows
from bayesml.quantities.explained_variance import Membership, explained, unit_predictors
from bayesml.records.fits import Fit


def gelman_pardoe_r2(fit: Fit, rows: FittedRows) -> R2Draws:
    """Return R2 and pooling factor of the rows and of the units of each grouping; see `r2`."""
    labels: list[tuple[str, str]] = []
    columns, expected, pooling = [], [], []
    for item in rows.groupings:
        errors = effect_draws(fit, item.facts)
        for place, (term, fitted) in enumerate(_unit_predictions(fit, rows, item)):
            error = errors[:, :, place]
            unexplained = error.var(axis=1, ddof=1)
            fitted += error
            whole = fitted.var(axis=1, ddof=1)
            labels.append((item.facts.name, term))
            with np.errstate(invalid="ignore", divide="ignore"):
                columns.append(1 - unexplained / whole)
                expected.append(float(1 - unexplained.mean() / whole.mean()))
                pooled = error.mean(axis=0).var(ddof=1) / unexplained.mean()
            pooling.append(float(1 - pooled))
    notes = []
    if not labels and not fit.spec.family_record.level1:
        raise FitError(
            "This model has no grouping, and the R2 of Gelman & Pardoe is for units and for "
            "Gaussian outcomes. Use bml.r2(fit, method='bayes')."
        )
    if fit.spec.family_record.level1:
        labels.append(("residual", ""))
        unexplained, mean_error = _row_errors(fit, rows)
        total = float(rows.outcome.astype(float).var(ddof=1))
        columns.append(1 - unexplained / total)
        expected.append(float(1 - unexplained.mean() / total))
        pooling.append(float(1 - mean_error.var(ddof=1) / unexplained.mean()))
    else:
        notes.append(
            "The rows have no R2 of this kind: it is for outcomes that are a linear predictor plus "
            "an error. Use method='bayes' for theirs."
        )
    notes += correlation_notes(fit)
    if any(item.weights is not None for item in rows.groupings):
        notes.append(
            "Units of a multiple membership have no rows of their own: no predictor explains them."
        )
    return R2Draws(
        np.column_stack(columns),
        {
            "grouping": [grouping for grouping, _ in labels],
            "term": [term for _, term in labels],
        },
        notes,
        [""] * len(labels),
        {"expected": expected, "pooling": pooling},
    )


def _unit_predictions(
    fit: Fit, rows: FittedRows, item: UnitRows
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each term, and what predictors and larger groupings say about the units' coefficients.

    Yields
    ------
    str, array of shape (draws, units)
    """
    beta = coefficient_draws(fit)
    if item.weights is not None:
        for term in item.facts.terms:
            yield term, np.zeros((len(beta), item.facts.units))
        return
    known = unit_predictors(rows.predictors, Membership(item.index, item.facts.units), item.terms)
    first = np.unique(item.index, return_index=True)[1]
    for place, term in enumerate(item.facts.terms):
        fitted = beta @ known[:, place].T
        for outer in rows.groupings:
            if outer.facts.name in item.facts.within and term in outer.facts.terms:
                effects = effect_draws(fit, outer.facts)[:, :, outer.facts.terms.index(term)]
                fitted += effects[:, outer.index[first]]
        # Constants do not matter, but would leave rounding where nothing is explained.
        fitted -= fitted[:, :1].copy()
        yield term, fitted


def _row_errors(fit: Fit, rows: FittedRows) -> tuple[np.ndarray, np.ndarray]:
    """Return the variance of each draw's residuals, and the mean residual of each row."""
    unexplained = []
    total = np.zeros(len(rows.outcome))
    number = 0
    for block, eta in linear_predictor_blocks(fit, rows):
        errors = np.subtract(rows.outcome, eta, out=eta)
        total += errors.sum(axis=0)
        unexplained.append(_row_variances(errors)[1])
        number += block.stop - block.start
    return np.concatenate(unexplained), total / number


def _row_variances(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of each draw over the rows; `values` are centred in place."""
    centre = values.mean(axis=1)
    values -= centre[:, None]
    return centre, np.einsum("ij,ij->i", values, values) / (values.shape[1] - 1)


def bayes_r2(fit: Fit, rows: FittedRows) -> R2Draws:
    """Return the Bayes R2, given the known units; see `r2`."""
    family, link = fit.spec.family_record, fit.spec.link_record
    if family.response == "ordered":
        raise FitError(
            "The Bayes R2 compares variances of an outcome's mean, and the ordered categories of "
            f"{quoted(fit.facts.response)} have none. Use bml.r2(fit, method='nakagawa'), on the "
            "latent scale."
        )
    draws = {name: values.reshape(-1) for name, values in parameter_draws_of(fit).items()}
    level1 = None
    if family.level1:
        level1 = level1_of_rows(fit, rows)
    columns = []
    for block, eta in linear_predictor_blocks(fit, rows):
        with np.errstate(over="ignore"):
            mean = link.inverse(eta)
        here = {name: values[block, None] for name, values in draws.items()}
        # The quick ways below are for families without parameters of their own.
        general = rows.trials is not None or family.response == "positive"
        if general or (draws and level1 is None):
            trials = np.ones(1) if rows.trials is None else rows.trials
            rest = family.variance(mean, here, trials).mean(axis=1)
            mean = mean * family.mean_factor(here)
        centre, spread = _row_variances(mean)
        if level1 is not None:
            rest = level1[block]
        elif family.response == "count" and not draws:
            rest = centre
        elif not general and not draws:
            # The mean of p (1 - p), without another pass over the rows.
            rest = centre * (1 - centre) - spread * (1 - 1 / len(rows.outcome))
        columns.append(explained(spread, rest))
    notes = ["Given the effects of the known units, not for new ones."]
    if rows.trials is not None:
        notes.append("Of the share of successes in each row's trials.")
    if rows.offset.any():
        notes.append("The offset is part of the mean, and of what is explained.")
    notes += correlation_notes(fit)
    remark = "share of successes" if rows.trials is not None else ""
    return R2Draws(np.concatenate(columns)[:, None], {"part": ["conditional"]}, notes, [remark], {})
