"""The same design on some of its rows: its columns, levels and priors stay as they are."""

from dataclasses import replace

import numpy as np

from bayesml.design.designs import Design, VaryingPart
from bayesml.design.parametrisation import Reliability
from bayesml.design.residual_rows import ResidualRows
from bayesml.specs.resolved import ResolvedSpec


def design_of_rows(
    resolved: ResolvedSpec, design: Design, kept: np.ndarray
) -> tuple[ResolvedSpec, Design]:
    """Return a model on some of its rows, as if the others had never been seen.

    Units without a row leave the model. Priors keep their numbers, so that only the data differ;
    predictors are centred at the mean of the rows that stay.

    Parameters
    ----------
    resolved : ResolvedSpec
    design : Design
    kept : array of int
        Positions of the rows that stay, among the rows of the design.

    Returns
    -------
    (ResolvedSpec, Design)
    """
    pairs = [
        _part_of_rows(part, reliability, kept)
        for part, reliability in zip(design.varying, design.reliabilities, strict=True)
    ]
    response = design.response
    rows = replace(
        design.rows,
        frame=design.rows.frame.iloc[kept].reset_index(drop=True),
        positions=design.rows.positions[kept],
    )
    smaller = replace(
        design,
        response=replace(
            response,
            values=response.values[kept],
            trials=None if response.trials is None else response.trials[kept],
            bounds={name: value[kept] for name, value in response.bounds.items()},
        ),
        fixed=replace(design.fixed, values=design.fixed.values[kept]),
        varying=tuple(part for part, _ in pairs),
        parts={
            name: replace(matrix, values=matrix.values[kept])
            for name, matrix in design.parts.items()
        },
        offset=None if design.offset is None else design.offset[kept],
        rows=rows,
        reliabilities=tuple(reliability for _, reliability in pairs),
        residual=None if design.residual is None else _residual_of_rows(design.residual, kept),
        outcomes=None
        if design.outcomes is None
        else replace(design.outcomes, number=design.outcomes.number[kept]),
    )
    groupings = tuple(
        replace(grouping, units=len(part.units.labels))
        for grouping, (part, _) in zip(resolved.groupings, pairs, strict=True)
    )
    return replace(resolved, groupings=groupings), smaller


def _residual_of_rows(residual: ResidualRows, kept: np.ndarray) -> ResidualRows:
    used, index = np.unique(residual.units.index[kept], return_inverse=True)
    labels = tuple(residual.units.labels[number] for number in used)
    return replace(
        residual,
        units=replace(residual.units, labels=labels, index=index.reshape(-1)),
        place=residual.place[kept],
        # The prior of the correlation holds at the distance of the whole table.
        gap=residual.median_gap,
    )


def _part_of_rows(
    part: VaryingPart, reliability: Reliability, kept: np.ndarray
) -> tuple[VaryingPart, Reliability]:
    units = part.units
    index = units.index[kept]
    weights = None if units.weights is None else units.weights[kept]
    used = np.unique(index if weights is None else index[weights > 0])
    place = np.zeros(len(units.labels), dtype=np.int64)
    place[used] = np.arange(len(used))
    new = place[index]
    if weights is not None:
        new[weights == 0] = 0
    smaller = replace(
        part,
        units=replace(
            units,
            labels=tuple(units.labels[number] for number in used),
            index=new,
            weights=weights,
        ),
        terms=part.terms[kept],
    )
    return smaller, replace(reliability, by_unit=reliability.by_unit[used])
