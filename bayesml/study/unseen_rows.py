"""The rows of a model's table, which parts of them are left out together, and what is known."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bayesml.errors import FitError, did_you_mean, quoted
from bayesml.posterior.fitted_likelihoods import families_of_outcomes, likelihood_rows
from bayesml.posterior.held_out import cuts_residual_units
from bayesml.posterior.leave_group_out import rows_of_units
from bayesml.posterior.likelihood_rows import (
    GroupingSlots,
    LikelihoodRows,
    PartRows,
    ResidualPlaces,
)
from bayesml.posterior.residual_fits import residual_record
from bayesml.records.fits import Fit
from bayesml.records.modelling import Model


@dataclass(frozen=True)
class LeftOutParts:
    """The parts of the data that are left out together, and predicted jointly.

    Parameters
    ----------
    by : str
        What they are: ``"row"``, a grouping, or the unit of correlated residuals.
    labels : list
        One per part.
    members : list of array of int
        The rows of each part.
    joint : bool
        Whether a part may have several rows.
    """

    by: str
    labels: list[object]
    members: list[np.ndarray]
    joint: bool


def left_out_parts(model: Model, rows: LikelihoodRows, by: str | None) -> LeftOutParts:
    """Return the parts of the data that are left out together.

    Without a grouping these are the rows of the table, with all of their outcomes; where residuals
    are correlated within units, these units.

    Raises
    ------
    FitError
        `by` is no grouping of the model or a multiple membership, or residuals correlate rows of
        different units of it.
    """
    if by is not None:
        return _of_grouping(model, rows, by)
    design, outcomes = model.design, model.facts.outcomes
    if model.facts.stacked:
        # Rows were numbered by row of the table, and by outcome within it.
        place, table_row = np.unique(rows.positions // len(outcomes), return_inverse=True)
        return LeftOutParts("row", place.tolist(), rows_of(table_row.reshape(-1)), True)
    if design.residual is not None:
        keys = design.residual.unit_keys(design.rows.frame)
        unit = ":".join(design.residual.residual.unit)
        return LeftOutParts(unit, list(keys), rows_of(design.residual.units.index), True)
    members = [np.array([row]) for row in range(len(rows.outcome))]
    return LeftOutParts("row", rows.positions.tolist(), members, False)


def rows_of(part: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each part, from the part of each row.

    Examples
    --------
    >>> [rows.tolist() for rows in rows_of(np.array([0, 1, 0]))]
    [[0, 2], [1]]
    """
    order = np.argsort(part, kind="stable")
    return np.split(order, np.cumsum(np.bincount(part))[:-1])


def _of_grouping(model: Model, rows: LikelihoodRows, by: str) -> LeftOutParts:
    names = [item.name for item in rows.groupings]
    if by not in names:
        hint = did_you_mean(str(by), names) if names else "The model has none."
        raise FitError(
            f"by is {quoted(str(by))}, which is not a grouping of this model. {hint} Leave by out "
            "to divide the rows."
        )
    grouping = rows.groupings[names.index(by)]
    if grouping.multiple:
        raise FitError(
            f"by is {quoted(by)}, a multiple membership: its rows belong to several units, so they "
            "cannot be divided by unit. Use bml.logo(fit, ...), or leave by out to divide the rows."
        )
    labels = list(model.design.varying[names.index(by)].units.labels)
    members = rows_of_units(grouping, len(labels))
    residual = rows.residual
    if residual is not None and any(cuts_residual_units(residual, part) for part in members):
        raise FitError(
            f"kfold leaves out the rows of a unit of {quoted(by)}, and the residuals of this model "
            "correlate some of them with rows of another unit, which stay. Leave by out, which "
            "leaves out whole units of the residuals."
        )
    return LeftOutParts(by, labels, members, True)


def unfitted_rows(model: Model) -> LikelihoodRows:
    """Return the rows of a model's table as log-likelihoods need them."""
    design = model.design
    groupings = []
    for grouping, part in zip(model.resolved.groupings, design.varying, strict=True):
        unit = np.asarray(part.units.index, dtype=np.int64).reshape(len(part.terms), -1)
        weight = np.ones(unit.shape) if part.units.weights is None else part.units.weights
        groupings.append(
            GroupingSlots(
                grouping.name,
                grouping.identifier,
                unit,
                np.asarray(weight, dtype=float),
                part.terms,
                unit,
                grouping.multiple,
                grouping.predictors,
            )
        )
    return LikelihoodRows(
        family=model.spec.family,
        link=model.spec.link,
        outcome=np.asarray(design.response.values),
        trials=design.response.trials,
        offset=design.offset,
        x=np.empty((len(design.fixed.values), 0)) if model.spec.nominal else design.fixed.values,
        groupings=tuple(groupings),
        positions=np.asarray(design.rows.positions, dtype=np.int64),
        bounds=design.response.bounds,
        parts={
            part.parameter: PartRows(
                part.link,
                design.fixed.values if model.spec.nominal else design.parts[part.parameter].values,
            )
            for part in model.facts.parts
        },
        outcome_number=None if design.outcomes is None else design.outcomes.number,
        families=families_of_outcomes(model.spec),
        residual=_residual_places(model),
    )


def _residual_places(model: Model) -> ResidualPlaces | None:
    record, rows = residual_record(model.spec), model.design.residual
    if record is None or rows is None:
        return None
    return ResidualPlaces(np.asarray(rows.units.index, dtype=np.int64), rows.place, record)


def unseen_rows(rows: LikelihoodRows, fit: Fit) -> LikelihoodRows:
    """Return the rows with their units as the fit numbers them, -1 for those it does not hold."""
    seen = likelihood_rows(fit)
    # Both number rows by their position in the user's table.
    place = pd.Index(rows.positions).get_indexer(pd.Index(seen.positions))
    groupings = []
    for whole, part in zip(rows.groupings, seen.groupings, strict=True):
        numbers = np.full(whole.label.max() + 1, -1)
        used = part.weight > 0
        numbers[whole.label[place][used]] = part.unit[used]
        groupings.append(replace(whole, unit=numbers[whole.label]))
    return replace(rows, groupings=tuple(groupings), complete=False)


def some_rows(rows: LikelihoodRows, chosen: np.ndarray) -> LikelihoodRows:
    """Return some of the rows, whose residuals are independent."""
    groupings = tuple(
        replace(
            item,
            unit=item.unit[chosen],
            weight=item.weight[chosen],
            terms=item.terms[chosen],
            label=item.label[chosen],
        )
        for item in rows.groupings
    )
    return replace(
        rows,
        outcome=rows.outcome[chosen],
        trials=None if rows.trials is None else rows.trials[chosen],
        offset=None if rows.offset is None else rows.offset[chosen],
        x=rows.x[chosen],
        groupings=groupings,
        positions=rows.positions[chosen],
        bounds={name: value[chosen] for name, value in rows.bounds.items()},
        parts={name: replace(part, x=part.x[chosen]) for name, part in rows.parts.items()},
        outcome_number=None if rows.outcome_number is None else rows.outcome_number[chosen],
    )
