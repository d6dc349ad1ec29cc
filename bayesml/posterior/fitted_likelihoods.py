"""The rows and the draws of a fit, as log-likelihoods need them."""

from typing import TYPE_CHECKING

import numpy as np

from bayesml.design.unit_kinds import terms_by_kind
from bayesml.errors import FitError
from bayesml.posterior.effect_distributions import (
    effects_by_kind,
    factors_by_kind,
    predictors_by_kind,
)
from bayesml.posterior.likelihood_rows import (
    GroupingSlots,
    LikelihoodDraws,
    LikelihoodRows,
    PartRows,
    ResidualPlaces,
)
from bayesml.posterior.outcome_parameters import parameter_values
from bayesml.posterior.predictor_arrays import flat_coefficients, predictor_columns_of_rows
from bayesml.posterior.residual_fits import residual_record
from bayesml.records.fits import Fit
from bayesml.specs.censoring import CENSORING, ENTRY, UPPER
from bayesml.specs.modelspec import ModelSpec

if TYPE_CHECKING:
    import xarray as xr


def likelihood_rows(fit: Fit) -> LikelihoodRows:
    """Return the rows that a fit was made from.

    Raises
    ------
    FitError
        The fit was saved without its rows.
    """
    if "observed_data" not in fit.data.children or "constant_data" not in fit.data.children:
        raise FitError(
            f"The fit of {fit.facts.formula!r} was saved without its rows (save(data=False)), and "
            "a log-likelihood needs the outcome and the predictors of every row. Save it with "
            "data=True, or fit the model again."
        )
    observed = fit.data["observed_data"].to_dataset()
    constant = fit.data["constant_data"].to_dataset()
    outcome = observed[fit.facts.response_identifier]
    rows = outcome.sizes["obs"]
    groupings = []
    for grouping in fit.facts.groupings:
        name = grouping.identifier
        unit = np.asarray(constant[f"unit_{name}"].values, dtype=np.int64).reshape(rows, -1)
        weight = np.ones(unit.shape)
        if f"weight_{name}" in constant:
            weight = np.asarray(constant[f"weight_{name}"].values, dtype=float)
        kind = constant[f"by_{name}"].values if grouping.kinds else None
        groupings.append(
            GroupingSlots(
                grouping.name,
                name,
                unit,
                weight,
                terms_by_kind(constant[f"terms_{name}"].values, kind, len(grouping.kinds)),
                unit,
                grouping.multiple,
                predictors_by_kind(grouping),
            )
        )
    x, of_parts = predictor_columns_of_rows(fit, constant)
    return LikelihoodRows(
        family=fit.facts.family,
        link=fit.facts.link,
        outcome=np.asarray(outcome.values),
        trials=np.asarray(constant["trials"].values) if "trials" in constant else None,
        offset=np.asarray(constant["offset"].values) if "offset" in constant else None,
        x=x,
        groupings=tuple(groupings),
        positions=np.asarray(outcome["obs"].values, dtype=np.int64),
        bounds=row_bounds(constant),
        residual=_residual_places(fit, constant),
        outcome_number=np.asarray(constant["outcome_number"].values, dtype=np.int64)
        if "outcome_number" in constant
        else None,
        parts={
            part.parameter: PartRows(part.link, of_parts[part.parameter])
            for part in fit.facts.parts
        },
        families=families_of_outcomes(fit.spec),
    )


def families_of_outcomes(spec: ModelSpec) -> tuple[tuple[str, str], ...]:
    """Return family and link of each outcome where they differ; else nothing."""
    if not spec.families:
        return ()
    return tuple((item.record.name, item.link.name) for item in spec.outcome_families)


def _residual_places(fit: Fit, constant: "xr.Dataset") -> ResidualPlaces | None:
    record = residual_record(fit.spec)
    if record is None:
        return None
    return ResidualPlaces(
        np.asarray(constant["unit_residual"].values, dtype=np.int64),
        np.asarray(constant["place_residual"].values, dtype=float),
        record,
    )


def row_bounds(constant: "xr.Dataset") -> dict[str, np.ndarray]:
    """Return what a fit holds of durations that were not observed whole, by name."""
    names = (CENSORING, UPPER, ENTRY)
    return {name: np.asarray(constant[name].values) for name in names if name in constant}


def likelihood_draws(fit: Fit) -> LikelihoodDraws:
    """Return the draws of a fit that log-likelihoods need."""
    posterior = fit.posterior
    sizes = posterior.sizes
    number = sizes["chain"] * sizes["draw"]

    def flat(name: str) -> np.ndarray:
        values = posterior[name].transpose("chain", "draw", ...).values
        return np.asarray(values, dtype=float).reshape(number, *values.shape[2:])

    def of_likelihood(name: str) -> np.ndarray:
        values = parameter_values(fit, name)
        return values.reshape(number, *values.shape[2:])

    effects, factors = {}, {}
    for grouping in fit.facts.groupings:
        name = grouping.identifier
        effects[name] = effects_by_kind(flat(f"u_{name}"), grouping)
        factors[name] = factors_by_kind(fit, grouping)
    parameters = {item.name: of_likelihood(item.name) for item in fit.spec.scalar_parameters}
    record = residual_record(fit.spec)
    if record is not None:
        parameters[record.parameter] = flat(record.parameter)
    return LikelihoodDraws(
        chains=sizes["chain"],
        beta=flat_coefficients(fit),
        parameters=parameters,
        effects=effects,
        factors=factors,
        part_betas={
            part.parameter: flat_coefficients(fit, part.parameter) for part in fit.facts.parts
        },
        freedom={
            item.identifier: flat(f"nu_{item.identifier}")
            for item in fit.facts.groupings
            if item.student
        },
    )
