"""The arrays of a model on a table, and where they came from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from bayesml.design.matrices import Matrix
from bayesml.design.parametrisation import Reliability
from bayesml.design.residual_rows import (
    ResidualRows,
)
from bayesml.design.responses import Response
from bayesml.design.rows import RowsUsed
from bayesml.design.stacking import OutcomeRows
from bayesml.design.unit_kinds import UnitKinds
from bayesml.design.units import Units
from bayesml.specs.groupings import Grouping


@dataclass(frozen=True)
class VaryingPart:
    """One grouping on the table.

    Parameters
    ----------
    grouping : Grouping
    units : Units
        Units and membership of the rows.
    terms : array, shape (rows, terms), or (rows, slots, terms)
        Z: the terms that vary, on the user's scale; by slot where members have terms of their own.
    labels : tuple of str
        Labels of the terms.
    blocks : tuple of int
        Number of terms of each block of the covariance.
    matrices : tuple of Matrix
        The blocks' matrices, which replay on other rows.
    predictors : tuple of str
        Linear predictor of each term, empty for the main one.
    kinds : UnitKinds or None
        Kinds of units with SDs of their own.
    """

    grouping: Grouping
    units: Units
    terms: np.ndarray
    labels: tuple[str, ...]
    blocks: tuple[int, ...]
    matrices: tuple[Matrix, ...]
    predictors: tuple[str, ...]
    kinds: UnitKinds | None = None


@dataclass(frozen=True)
class Design:
    """The arrays of a model.

    Parameters
    ----------
    response : Response
        The outcome.
    fixed : Matrix
        X, on the user's scale.
    varying : tuple of VaryingPart
        One per grouping, in the order of the specification.
    offset : array, shape (rows,), or None
        Known part of the linear predictor: offsets plus log exposure.
    rows : RowsUsed
        Which rows take part.
    notes : tuple of str
        What the reader must know.
    reliabilities : tuple of Reliability
        How much the rows say about the effects of each grouping, roughly.
    residual : ResidualRows or None
        Units and occasions of correlated residuals.
    outcomes : OutcomeRows or None
        Which of several outcomes, or members of a unit, each row is of.
    parts : mapping of str to Matrix
        X of every parameter of the likelihood that has a linear predictor of its own.
    """

    response: Response
    fixed: Matrix
    varying: tuple[VaryingPart, ...]
    offset: np.ndarray | None
    rows: RowsUsed
    notes: tuple[str, ...]
    reliabilities: tuple[Reliability, ...]
    residual: ResidualRows | None = None
    outcomes: OutcomeRows | None = None
    parts: Mapping[str, Matrix] = field(default_factory=dict)
