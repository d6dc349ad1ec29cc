"""The variances that a model implies over its rows, which methods of R2 compare."""

from dataclasses import dataclass

import numpy as np

from bayesml.design.member_terms import slot_loads
from bayesml.errors import FitError, quoted
from bayesml.posterior.effect_distributions import covariance_draws
from bayesml.posterior.fitted_rows import FittedRows, UnitRows, coefficient_draws
from bayesml.posterior.level1_variances import parameter_draws_of
from bayesml.posterior.outcome_parameters import parameter_values
from bayesml.posterior.residual_fits import residual_record
from bayesml.posterior.share_cases import ShareCase
from bayesml.quantities.explained_variance import quadratic_forms, traces
from bayesml.records.fits import Fit

# Numbers in a block of linear predictors: 16 MB.
_BLOCK = 2_000_000


@dataclass(frozen=True)
class ModelVariances:
    """The variances that a model implies over its rows, on the scale of the linear predictor.

    Parameters
    ----------
    fixed : array, shape (draws,)
        Variance of X beta over the rows, without the offset; divisor n - 1.
    between : array, shape (draws, groupings)
        Mean over the rows of each grouping's variance.
    level1 : array, shape (draws,)
        Level-1 variance; that of groupings with one row a unit is part of it.
    groupings : tuple of UnitRows
        Those of `between`.
    single : tuple of str
        Groupings with one row a unit.
    """

    fixed: np.ndarray
    between: np.ndarray
    level1: np.ndarray
    groupings: tuple[UnitRows, ...]
    single: tuple[str, ...]


def model_variances(fit: Fit, rows: FittedRows) -> ModelVariances:
    """Return the variances that the model implies over its rows.

    Parameters
    ----------
    fit : Fit
    rows : FittedRows

    Returns
    -------
    ModelVariances
    """
    beta = coefficient_draws(fit, rows.predictor)
    centred = rows.predictors - rows.predictors.mean(axis=0)
    several = tuple(item for item in rows.groupings if not _single(item))
    single = tuple(item for item in rows.groupings if _single(item))
    level1 = level1_of_rows(fit, rows)
    for item in single:
        level1 = level1 + _mean_variance(fit, item)
    between = [_mean_variance(fit, item) for item in several]
    return ModelVariances(
        fixed=quadratic_forms(beta, covariance_of(centred)),
        between=np.array(between).reshape(len(several), len(beta)).T,
        level1=level1,
        groupings=several,
        single=tuple(item.facts.name for item in single),
    )


def _single(item: UnitRows) -> bool:
    """Whether each row is a unit of its own, so that its effect is part of level 1."""
    return item.weights is None and len(np.unique(item.index)) == len(item.index)


def _mean_variance(fit: Fit, item: UnitRows) -> np.ndarray:
    sigma = covariance_draws(fit, item.facts)
    # The units of a row's slots are independent of each other.
    loads = slot_loads(item.terms, item.weights)
    moments = np.einsum("rst,rsu->tu", loads, loads) / len(loads)
    return traces(sigma, moments).reshape(-1)


def moments_of(columns: np.ndarray) -> np.ndarray:
    """Return the second moments of columns, with the number of rows as the divisor."""
    return columns.T @ columns / len(columns)


def covariance_of(centred: np.ndarray) -> np.ndarray:
    """Return the covariance of columns of mean 0, with the divisor n - 1 that software uses."""
    return centred.T @ centred / max(1, len(centred) - 1)


def level1_of_rows(fit: Fit, rows: FittedRows) -> np.ndarray:
    """Return the level-1 variance on the scale of the linear predictor, shape (draws,).

    Where occasions have SDs of their own, the mean of their squares over the rows.
    """
    one = fit.spec.family_of(rows.outcome_number)
    family = one.record
    own = parameter_draws_of(fit, case=ShareCase(rows.outcome_number))
    draws = {name: values.reshape(-1) for name, values in own.items()}
    sizes = fit.posterior.sizes
    number = sizes["chain"] * sizes["draw"]
    record = residual_record(fit.spec)
    if record is not None and record.by_occasion and rows.outcome_number is None:
        occasion = fit.data["constant_data"].to_dataset()["place_residual"].values.astype(int)
        sigma = parameter_values(fit, family.level1).reshape(number, -1)
        return sigma**2 @ (np.bincount(occasion, minlength=sigma.shape[1]) / len(occasion))
    if family.level1:
        return family.variance(np.zeros(number), draws, np.ones(1))
    if one.latent_variance is not None:
        return np.full(number, one.latent_variance)
    if one.link.name != "log":
        ordered = family.response == "ordered"
        instead = "bml.variance_components(fit)" if ordered else "bml.r2(fit, method='bayes')"
        raise FitError(
            f"The family {quoted(family.name)} with link {quoted(one.link.name)} has no level-1 "
            f"variance on the scale of the linear predictor. Use {instead}."
        )
    # Lognormal: an outcome of mean m and variance v has the variance log(1 + v / m^2) on the log
    # scale, log(1 + 1 / m) of Poisson counts.
    mean = _mean_counts(fit, rows)
    variance = family.variance(mean, draws, np.ones(1))
    return np.log1p(variance / (mean * family.mean_factor(draws)) ** 2)


def _mean_counts(fit: Fit, rows: FittedRows) -> np.ndarray:
    """Return the mean count over the rows and over the distribution of the effects."""
    beta = coefficient_draws(fit, rows.predictor)
    # One linear function of known numbers per row: X beta, and half of each variance.
    columns, numbers = [rows.predictors], [beta]
    for item in rows.groupings:
        sigma = covariance_draws(fit, item.facts)
        sigma = sigma.reshape(len(beta), *sigma.shape[2:])
        loads = slot_loads(item.terms, item.weights)
        first, second = np.triu_indices(loads.shape[2])
        twice = np.where(first == second, 0.5, 1.0)
        columns.append((loads[..., first] * loads[..., second]).sum(axis=1) * twice)
        numbers.append(sigma[:, first, second])
    design = np.ascontiguousarray(np.column_stack(columns).T)
    draws = np.column_stack(numbers)
    size = max(1, _BLOCK // len(rows.outcome))
    means = []
    with np.errstate(over="ignore"):
        for start in range(0, len(draws), size):
            eta = draws[start : start + size] @ design
            eta += rows.offset
            means.append(np.exp(eta, out=eta).mean(axis=1))
    return np.concatenate(means)
