"""From the residuals of a resolved model to classes of rows, priors of parameters, and back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayesml.design.designs import Design
from bayesml.design.residual_rows import ResidualRows
from bayesml.engines.density_kernels import BOUNDED_CODES
from bayesml.engines.residual_classes import (
    ResidualClasses,
    autoregressive,
    by_pair,
    equally_correlated,
    residual_values,
    sds_of_their_own,
    strata,
)
from bayesml.engines.residual_kernels import ANGLE, BOUNDED, LOG, REAL, Residuals
from bayesml.quantities.correlation_matrices import correlations_of_angles
from bayesml.specs.distributions import Prior
from bayesml.specs.residual_correlations import ResidualCorrelation
from bayesml.specs.resolved import ResolvedSpec

# Distinct values of sigma: beyond, its predictors are hardly groups of rows.
MOST_STRATA = 50


def reason_against_residuals(resolved: ResolvedSpec) -> str:
    """Return why the residuals do not stay linear, as far as no table is needed; else empty."""
    for part in resolved.parts:
        if any(part.parameter in item.predictors for item in resolved.groupings):
            return f"{part.parameter} varies over units"
        if not part.coefficients:
            return f"{part.parameter} has a formula without coefficients"
    if resolved.residual is not None and resolved.residual.record.bounds is not None:
        prior = resolved.residual.prior
        if prior.distribution not in BOUNDED_CODES:
            return f"the prior {prior.text} of {resolved.residual.record.parameter}"
    return ""


def residual_classes(resolved: ResolvedSpec, design: Design) -> ResidualClasses | None:
    """Return the classes of rows of a model's residuals, None where they are alike."""
    residual = resolved.residual
    if residual is not None and design.residual is not None:
        bounds = None if residual.record.bounds is None else _bounds(residual.prior)
        # The prior holds one median gap apart.
        return classes_of_structure(
            residual.record, design.residual, len(residual.occasions), residual.median_gap, bounds
        )
    if design.outcomes is not None:
        count = len(design.outcomes.labels)
        return strata(sds_of_their_own(count), design.outcomes.number, (LOG,) * (count - 1))
    for part in resolved.parts:
        return classes_of_log_sd(design.parts[part.parameter].values, part.intercept)
    return None


def classes_of_structure(
    record: ResidualCorrelation,
    rows: ResidualRows,
    occasions: int,
    gap: float,
    bounds: tuple[float, float] | None,
) -> ResidualClasses:
    """Return the classes of rows whose residuals are correlated within units.

    Parameters
    ----------
    record : ResidualCorrelation
    rows : ResidualRows
    occasions : int
        Their number, where each has its own SD.
    gap : float
        The distance at which an autoregressive correlation is a parameter.
    bounds : (float, float) or None
        Of the correlation; None where it is a matrix.
    """
    unit = rows.units.index
    if record.by_occasion or bounds is None:
        return by_pair(unit, rows.place.astype(np.int64), occasions)
    if record.markov:
        return autoregressive(unit, rows.place / gap, bounds)
    return equally_correlated(unit, bounds)


def classes_of_log_sd(values: np.ndarray, intercept: bool) -> ResidualClasses:
    """Return the classes of rows by the X of log sigma, shape (rows, coefficients)."""
    if intercept:
        values = values - np.append(0.0, values[:, 1:].mean(axis=0))
    distinct, stratum = np.unique(values, axis=0, return_inverse=True)
    log_sd = distinct.copy()
    # Sigma is the exponential of the first coefficient.
    log_sd[:, 0] -= 1.0
    return strata(log_sd, stratum.reshape(-1), (REAL,) * (values.shape[1] - 1))


def _bounds(prior: Prior) -> tuple[float, float]:
    if prior.distribution == "Beta":
        return 0.0, 1.0
    return prior.values[-2], prior.values[-1]


def sigma_prior(resolved: ResolvedSpec) -> Prior | None:
    """Return the prior of sigma, the SD that others are relative to; None of its log's prior."""
    if resolved.parts:
        return None
    if resolved.residual is not None and resolved.residual.sigma_priors:
        return resolved.residual.sigma_priors[0]
    if resolved.outcomes and "sigma" in resolved.outcome_parameter_priors:
        return resolved.outcome_parameter_priors["sigma"][0]
    return resolved.parameter_priors["sigma"]


def residual_priors_of(resolved: ResolvedSpec) -> list[tuple[str, Prior]]:
    """Return the priors of log sigma or of the further SDs, and of a bounded correlation."""
    found: list[tuple[str, Prior]] = []
    for part in resolved.parts:
        first = [] if part.intercept_prior is None else [part.intercept_prior]
        found += [
            (f"beta_{part.parameter}[{label}]", prior)
            for label, prior in zip(part.coefficients, [*first, *part.slope_priors], strict=True)
        ]
    sds = resolved.outcome_parameter_priors.get("sigma", ())
    if resolved.residual is not None:
        sds = sds or resolved.residual.sigma_priors
    found += [("sigma", prior) for prior in sds[1:]]
    if resolved.residual is not None and resolved.residual.record.bounds is not None:
        found.append((resolved.residual.record.parameter, resolved.residual.prior))
    return found


@dataclass(frozen=True)
class CodedPriors:
    """Priors of log sigma, where sigma has none itself, and of the residual parameters.

    Parameters
    ----------
    priors : tuple of Prior or None
        One for each place; None for angles, and for log sigma where sigma has the prior.
    power : array
        Of the angles, as `correlation_power`.
    constant : float
        Of the Jacobians: log of the width between bounds.
    """

    priors: tuple[Prior | None, ...]
    power: np.ndarray
    constant: float


def coded_priors(resolved: ResolvedSpec, classes: ResidualClasses | None) -> CodedPriors:
    """Return the priors of a model's residual parameters, as the density reads them."""
    own = [prior for _, prior in residual_priors_of(resolved)]
    priors: list[Prior | None] = list(own) if resolved.parts else [None, *own]
    power, constant = np.empty(0), 0.0
    kind = np.empty(0) if classes is None else classes.residuals.kind
    if classes is not None and (kind == ANGLE).any():
        assert resolved.residual is not None
        size = int(classes.residuals.seen.shape[1])
        eta = resolved.residual.prior.values[0]
        power = np.array(
            [eta + (size - 2 - j) / 2 for i in range(size) for j in range(i)], dtype=float
        )
        priors += [None] * len(power)
    if classes is not None and (kind == BOUNDED).any():
        low, high = classes.residuals.bounds
        constant = float(np.log(high - low))
    return CodedPriors(tuple(priors), power, constant)


def named_residuals(
    resolved: ResolvedSpec,
    design: Design,
    residuals: Residuals,
    log_sigma: np.ndarray,
    parameters: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return draws of the residual parameters by the names of the posterior.

    Parameters
    ----------
    resolved : ResolvedSpec
    design : Design
    residuals : Residuals
    log_sigma : array, shape (draws,)
    parameters : array, shape (draws, parameters)
    """
    sigma = np.exp(log_sigma)
    found = residual_values(residuals, sigma, parameters)
    if resolved.parts:
        part = resolved.parts[0]
        beta = np.column_stack([log_sigma, parameters])
        if part.intercept:
            means = design.parts[part.parameter].values[:, 1:].mean(axis=0)
            beta[:, 0] -= beta[:, 1:] @ means
        return {f"beta_{part.parameter}": beta}
    several = bool(resolved.outcomes) or "angles" in found
    out = {"sigma": found["sd"] if several else sigma}
    if resolved.residual is None:
        return out
    out[resolved.residual.record.parameter] = _correlations(
        found, len(resolved.residual.occasions), resolved.residual.median_gap
    )
    return out


def _correlations(found: dict[str, np.ndarray], occasions: int, gap: float) -> np.ndarray:
    """Return draws of a structure's correlations: matrices, or one at a distance of 1."""
    if "angles" in found:
        return correlations_of_angles(found["angles"], (occasions,))
    return found["bounded"] ** (1 / gap)


def reason_against_profile(resolved: ResolvedSpec, design: Design) -> str:
    """Return why sigma cannot be profiled out of a likelihood; empty where it can."""
    for part in resolved.parts:
        if not has_a_constant(design.parts[part.parameter].values):
            return f"the formula of {part.parameter} has no intercept, nor a coefficient per group"
    return ""


def has_a_constant(values: np.ndarray) -> bool:
    """Return whether X of log sigma spans a constant, so that sigma can be profiled out."""
    return bool(np.abs(values @ _constant(values) - 1).max() <= 1e-8)


def _constant(values: np.ndarray) -> np.ndarray:
    """Return the coefficients that give a constant column."""
    return np.asarray(np.linalg.lstsq(values, np.ones(len(values)), rcond=None)[0])


def residual_estimates(
    resolved: ResolvedSpec,
    design: Design,
    residuals: Residuals,
    sigma: float,
    parameters: np.ndarray,
) -> list[tuple[str, str, str, float]]:
    """Return estimates of the residual parameters: term, second term, what it is, and its value.

    Parameters
    ----------
    resolved : ResolvedSpec
    design : Design
    residuals : Residuals
    sigma : float
    parameters : array, shape (parameters,)
        Logs of SDs are relative to sigma.
    """
    if resolved.parts:
        part = resolved.parts[0]
        values = design.parts[part.parameter].values
        return log_sd_estimates(part.parameter, part.coefficients, values, sigma, parameters)
    residual, labels = resolved.residual, resolved.outcomes
    if residual is None:
        return _sd_rows(labels, _own_values(residuals, sigma, parameters)["sd"][0])
    return structure_estimates(
        residual.record,
        labels or residual.occasions,
        residual.median_gap,
        residuals,
        sigma,
        parameters,
    )


def log_sd_estimates(
    parameter: str,
    coefficients: Sequence[str],
    values: np.ndarray,
    sigma: float,
    parameters: np.ndarray,
) -> list[tuple[str, str, str, float]]:
    """Return the coefficients of log sigma, with the intercept where all predictors are 0.

    Parameters
    ----------
    parameter : str
        Whose formula it is: ``sigma``.
    coefficients : sequence of str
    values : array, shape (rows, coefficients)
        X of log sigma.
    sigma : float
    parameters : array, shape (coefficients - 1,)
    """
    intercept = coefficients[0] == "Intercept"
    shift = values - np.append(0.0, values[:, 1:].mean(axis=0)) if intercept else values
    own = np.append(0.0, parameters) + _constant(shift) * np.log(sigma)
    if intercept:
        own[0] -= own[1:] @ values[:, 1:].mean(axis=0)
    return [
        (label, "", f"log {parameter}", float(value))
        for label, value in zip(coefficients, own, strict=True)
    ]


def structure_estimates(
    record: ResidualCorrelation,
    labels: Sequence[object],
    gap: float,
    residuals: Residuals,
    sigma: float,
    parameters: np.ndarray,
) -> list[tuple[str, str, str, float]]:
    """Return estimates of residuals that are correlated within units, as `residual_estimates`.

    Parameters
    ----------
    record : ResidualCorrelation
    labels : sequence
        Of occasions or outcomes that have SDs of their own.
    gap : float
        The distance at which an autoregressive correlation is a parameter.
    residuals : Residuals
    sigma : float
    parameters : array, shape (parameters,)
    """
    found = _own_values(residuals, sigma, parameters)
    names = [str(label) for label in labels]
    rows = _sd_rows(names, found["sd"][0] if names else np.array([sigma]))
    value = _correlations(found, len(names), gap)[0]
    if np.ndim(value):
        return rows + [
            (names[j], names[i], "corr", float(value[i, j]))
            for i in range(len(names))
            for j in range(i)
        ]
    name = "corr" if record.parameter == "corr_residual" else "phi"
    return [*rows, ("", "", name, float(value))]


def _own_values(
    residuals: Residuals, sigma: float, parameters: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the values of one draw, from parameters whose logs of SDs are relative to sigma."""
    own = np.where(residuals.kind == LOG, parameters + np.log(sigma), parameters)
    return residual_values(residuals, np.array([sigma]), own[None])


def _sd_rows(labels: Sequence[str], sds: np.ndarray) -> list[tuple[str, str, str, float]]:
    terms = labels if len(sds) > 1 else ("",)
    return [(term, "", "sd", float(sd)) for term, sd in zip(terms, sds, strict=True)]
