"""Correlated residuals of a fit: their draws, and refusals of what takes rows as independent."""

import numpy as np

from bayesml.errors import FitError, listed, quoted
from bayesml.posterior.linear_predictors import flat_draws
from bayesml.quantities.residual_covariances import CorrelatedResiduals
from bayesml.records.fits import Fit
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


def fitted_residuals(fit: Fit) -> CorrelatedResiduals | None:
    """Return the residuals' distribution in every draw, None where they are independent.

    Parameters
    ----------
    fit : Fit
        With its rows.
    """
    record = residual_record(fit.spec)
    if record is None:
        return None
    rows = fit.data["constant_data"].to_dataset()
    return CorrelatedResiduals(
        np.asarray(rows["unit_residual"].values, dtype=np.int64),
        np.asarray(rows["place_residual"].values, dtype=float),
        record.correlations,
        flat_draws(fit, "sigma"),
        flat_draws(fit, record.parameter),
    )
