"""The residual structure of a fit, and refusals of what takes rows as independent."""

from collections.abc import Mapping

import numpy as np

from bayesml.errors import FitError, listed, quoted
from bayesml.quantities.residual_covariances import CorrelatedResiduals
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.residual_correlations import RESIDUAL_CORRELATIONS, ResidualCorrelation


def residual_record(spec: ModelSpec) -> ResidualCorrelation | None:
    """Return the record of a model's residual structure, None where residuals are independent."""
    residual = spec.stacked.residual
    return None if residual is None else RESIDUAL_CORRELATIONS[residual.structure]


def require_independent_residuals(spec: ModelSpec, what: str, instead: str) -> None:
    """Refuse a model whose residuals are correlated, or that has several outcomes.

    Parameters
    ----------
    spec : ModelSpec
    what : str
        What is asked for, such as ``"r2"``.
    instead : str
        One sentence that says what to do.

    Raises
    ------
    FitError
    """
    if spec.outcomes:
        raise FitError(
            f"{what} is about one outcome, and this model has {len(spec.outcomes)} "
            f"({listed(spec.outcomes)}). {instead}"
        )
    if spec.residual is not None:
        raise FitError(
            f"{what} takes the rows of a unit as independent given its effects, and the residuals "
            f"of this model are correlated ({quoted(spec.residual.text)}). {instead}"
        )


def correlated_residuals(
    record: ResidualCorrelation,
    unit: np.ndarray,
    place: np.ndarray,
    parameters: Mapping[str, np.ndarray],
) -> CorrelatedResiduals:
    """Return the distribution of rows' residuals in every draw.

    Parameters
    ----------
    record : ResidualCorrelation
    unit : array of int, shape (rows,)
    place : array, shape (rows,)
        Position, time, or number of the occasion.
    parameters : mapping of str to array, shape (draws, ...)
        With ``sigma`` and the record's own parameter.
    """
    return CorrelatedResiduals(
        unit, place, record.correlations, parameters["sigma"], parameters[record.parameter]
    )
