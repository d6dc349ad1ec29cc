"""The rows that a fit keeps: outcome, predictors, and the units that each row belongs to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from bayesml.errors import FitError
from bayesml.posterior.predictor_arrays import flat_coefficients, predictor_columns_of_rows
from bayesml.records.facts import GroupingFacts
from bayesml.records.fits import ROW_GROUPS, Fit

# Numbers in a block of linear predictors: 8 MB.
_BLOCK = 1_000_000


@dataclass(frozen=True)
class UnitRows:
    """Which units of one grouping the rows belong to, and the values of its terms.

    Parameters
    ----------
    facts : GroupingFacts
    index : array of int, shape (rows,) or (rows, slots)
    weights : array, shape (rows, slots), or None
        Weights of a multiple membership.
    terms : array, shape (rows, terms), or (rows, slots, terms)
        By slot where members have terms of their own.
    """

    facts: GroupingFacts
    index: np.ndarray
    weights: np.ndarray | None
    terms: np.ndarray

    @property
    def squared_weights(self) -> np.ndarray:
        """Sum of squared weights of each row, shape (rows,); 1 unless multiple membership."""
        if self.weights is None:
            return np.ones(len(self.index))
        return (self.weights**2).sum(axis=1)

    @property
    def sizes(self) -> np.ndarray:
        """Number of rows of each unit, shape (units,); not for multiple membership."""
        return np.bincount(self.index, minlength=self.facts.units)


@dataclass(frozen=True)
class FittedRows:
    """The rows of a fit.

    Parameters
    ----------
    outcome : array, shape (rows,)
    predictors : array, shape (rows, coefficients)
    offset : array, shape (rows,)
        The known part of the linear predictor, 0 where there is none.
    trials : array, shape (rows,), or None
    groupings : tuple of UnitRows
    parts : mapping of str to array, shape (rows, coefficients)
        X of every parameter that has a linear predictor of its own.
    outcome_number : int or None
        Which of several outcomes, or members of a unit, the rows are of; None: of all.
    predictor : str
        The category of a nominal outcome whose linear predictor `predictors` is of; else empty.
    """

    outcome: np.ndarray
    predictors: np.ndarray
    offset: np.ndarray
    trials: np.ndarray | None
    groupings: tuple[UnitRows, ...]
    parts: Mapping[str, np.ndarray]
    outcome_number: int | None = None
    predictor: str = ""


def fitted_rows(fit: Fit, wanted_by: str) -> FittedRows:
    """Return the rows of a fit.

    Parameters
    ----------
    fit : Fit
    wanted_by : str
        What needs them, for the message: ``"r2"``.

    Raises
    ------
    FitError
        The fit was saved without its rows.
    """
    if any(group not in fit.data.children for group in ROW_GROUPS):
        raise FitError(
            f"{wanted_by} needs the rows of the table, and this fit was saved without them "
            "(data=False). Use a fit that holds them: fit.save(path) keeps the rows."
        )
    rows = fit.data["constant_data"].to_dataset()
    outcome = fit.data["observed_data"].to_dataset()[fit.facts.response_identifier].values
    groupings = []
    for item in fit.facts.groupings:
        name = item.identifier
        weights = rows[f"weight_{name}"].values if f"weight_{name}" in rows else None
        terms = rows[f"terms_{name}"].transpose("obs", ..., f"{name}_term").values
        groupings.append(UnitRows(item, rows[f"unit_{name}"].values, weights, terms))
    x, of_parts = predictor_columns_of_rows(fit, rows)
    return FittedRows(
        outcome=outcome,
        predictors=x,
        offset=rows["offset"].values if "offset" in rows else np.zeros(len(outcome)),
        trials=rows["trials"].values if "trials" in rows else None,
        groupings=tuple(groupings),
        parts=of_parts,
    )


def rows_of_outcome(fit: Fit, rows: FittedRows, number: int) -> FittedRows:
    """Return the rows of one of several outcomes, or of one member of every unit.

    The columns of the other outcomes' coefficients and terms are 0 there.

    Parameters
    ----------
    fit : Fit
    rows : FittedRows
        All rows.
    number : int
        Of the outcome, from 0.
    """
    kept = fit.data["constant_data"].to_dataset()["outcome_number"].values == number
    return replace(
        rows,
        outcome=rows.outcome[kept],
        predictors=rows.predictors[kept],
        offset=rows.offset[kept],
        trials=None if rows.trials is None else rows.trials[kept],
        groupings=tuple(
            replace(
                item,
                index=item.index[kept],
                weights=None if item.weights is None else item.weights[kept],
                terms=item.terms[kept],
            )
            for item in rows.groupings
        ),
        outcome_number=number,
    )


def rows_of_category(fit: Fit, rows: FittedRows, number: int) -> FittedRows:
    """Return the rows as the linear predictor of one category of a nominal outcome sees them.

    The columns of the other categories' terms are 0 there.

    Parameters
    ----------
    fit : Fit
    rows : FittedRows
    number : int
        Of the category, without the baseline, from 0.
    """
    category = fit.facts.outcomes[number]
    groupings = []
    for item in rows.groupings:
        terms = np.zeros_like(item.terms)
        own = item.facts.places(category)
        terms[:, own] = item.terms[:, own]
        groupings.append(replace(item, terms=terms))
    return replace(
        rows,
        predictors=rows.parts[category],
        groupings=tuple(groupings),
        outcome_number=number,
        predictor=category,
    )


def coefficient_draws(fit: Fit, predictor: str = "") -> np.ndarray:
    """Return the draws of the coefficients, shape (draws of all chains, coefficients)."""
    return flat_coefficients(fit, predictor)


def effect_draws(fit: Fit, grouping: GroupingFacts) -> np.ndarray:
    """Return the draws of one grouping's effects, shape (draws of all chains, units, terms)."""
    name = grouping.identifier
    values = fit.posterior[f"u_{name}"].transpose("chain", "draw", name, f"{name}_term").values
    return values.reshape(-1, *values.shape[2:])


def linear_predictor_blocks(fit: Fit, rows: FittedRows) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the linear predictor of the known units, a block of draws at a time.

    Cutpoints are not taken off.

    Yields
    ------
    slice, array of shape (draws of the block, rows)
        The slice counts the draws of all chains, one chain after the other.
    """
    beta = coefficient_draws(fit)
    effects = [effect_draws(fit, item.facts) for item in rows.groupings]
    slots = max([1, *(item.index.size // len(item.index) for item in rows.groupings)])
    size = max(1, _BLOCK // (len(rows.outcome) * slots))
    design = np.ascontiguousarray(rows.predictors.T)
    for start in range(0, len(beta), size):
        block = slice(start, min(start + size, len(beta)))
        eta = beta[block] @ design
        if rows.offset.any():
            eta += rows.offset
        for item, draws in zip(rows.groupings, effects, strict=True):
            for term in item.facts.places():
                shared = np.take(np.ascontiguousarray(draws[block, :, term]), item.index, axis=1)
                if item.facts.by_member:
                    shared = shared * item.terms[..., term]
                if item.weights is not None:
                    shared = (shared * item.weights).sum(axis=-1)
                if item.facts.terms[term] != "Intercept" and not item.facts.by_member:
                    shared *= item.terms[:, term]
                eta += shared
        yield block, eta
