"""The residual structure of a fit, and refusals of what takes rows as independent."""

from collections.abc import Mapping

import numpy as np

from bayesml.design.residual_rows import ResidualRows
from bayesml.design.units import Units
from bayesml.errors import FitError, listed, quoted
from bayesml.quantities.residual_covariances import CorrelatedResiduals
from bayesml.records.fits import Fit
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.residual_correlations import RESIDUAL_CORRELATIONS, ResidualCorrelation


def residual_record(spec: ModelSpec) -> ResidualCorrelation | None:
    """Return the record of a model's residual structure, None where residuals are independent."""
    residual = spec.stacked.residual
    return None if residual is None else RESIDUAL_CORRELATIONS[residual.structure]


def occasion_labels(fit: Fit) -> list[str]:
    """Return the occasions that have residual SDs of their own; none where all have the same."""
    if "occasion" not in fit.posterior.coords:
        return []
    return [str(label) for label in fit.posterior["occasion"].values]


def labels_of_residuals(fit: Fit) -> list[str]:
    """Return what has a residual SD of its own: outcomes, members or occasions; none if one SD."""
    if fit.spec.families:
        numbers = fit.spec.outcomes_of_parameter(fit.spec.level1)
        return [fit.facts.outcomes[number] for number in numbers]
    return list(fit.facts.outcomes) or occasion_labels(fit)


def residual_rows_of(fit: Fit) -> ResidualRows:
    """Return the rows of a fit as its residual structure, which it has, sees them."""
    assert fit.spec.residual is not None
    rows = fit.data["constant_data"].to_dataset()
    unit = np.asarray(rows["unit_residual"].values, dtype=np.int64)
    units = Units(tuple(range(int(unit.max()) + 1)), unit)
    place = np.asarray(rows["place_residual"].values, dtype=float)
    return ResidualRows(fit.spec.residual, units, place)


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
    require_one_outcome(spec, what, instead)
    if spec.residual is not None:
        raise FitError(
            f"{what} takes the rows of a unit as independent given its effects, and the residuals "
            f"of this model are correlated ({quoted(spec.residual.text)}). {instead}"
        )


def require_one_outcome(spec: ModelSpec, what: str, instead: str) -> None:
    """Refuse a model of several outcomes; the arguments are those of the function above.

    Raises
    ------
    FitError
    """
    if spec.outcomes:
        raise FitError(
            f"{what} is about one outcome, and this model has {len(spec.outcomes)} "
            f"({listed(spec.outcomes)}). {instead}"
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
