"""VPC and ICC of a fit: shares of the variance, and correlations of rows in common units."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import pandas as pd

from bayesml.errors import FitError, did_you_mean, quoted
from bayesml.posterior.evaluation_point import EvaluationPoint, evaluation_point
from bayesml.posterior.summaries import interval_words
from bayesml.quantities.intervals import summarise_draws
from bayesml.quantities.partition import (
    VariancePartition,
    linear_partition,
    poisson_partition,
    varying_variance,
)
from bayesml.records.fits import Fit

if TYPE_CHECKING:
    import xarray as xr

At = Mapping[str, object]

WHOLE, MEAN = "whole", "mean over rows"


@overload
def vpc(
    fit: Fit, at: At | None = ..., prob: float = ..., scale: str = ..., draws: Literal[False] = ...
) -> pd.DataFrame: ...
@overload
def vpc(
    fit: Fit, at: At | None = ..., prob: float = ..., scale: str = ..., *, draws: Literal[True]
) -> "xr.DataArray": ...
def vpc(
    fit: Fit,
    at: At | None = None,
    prob: float = 0.89,
    scale: str = "latent",
    draws: bool = False,
) -> "pd.DataFrame | xr.DataArray":
    """Return the variance partition coefficients: each grouping's share of the variance.

    With s2_g = z' Sigma_g z, the variance that the terms of a grouping give a row with the values
    z, the VPC is s2_g / (sum of all s2 + level-1 variance). Level 1 is sigma^2 of a Gaussian
    outcome. Binary, binomial (for one trial) and ordinal outcomes are partitioned on the latent
    scale, where level 1 is pi^2 / 3 (logit), 1 (probit) or pi^2 / 6 (cloglog). Poisson counts are
    partitioned exactly on their own scale, where the VPC depends on the mean; crossed groupings
    then share an ``interaction``.

    Parameters
    ----------
    fit : Fit
    at : mapping of str to number or str, optional
        Values of covariates, ``{"year": 0}`` or ``{"urban": "Y"}``. The others stand at their
        means over the rows (categorical ones at the shares of their levels), as does the offset.
    prob : float
        Posterior probability of the equal-tailed interval.
    scale : {"latent"}
        Scale of binary and ordinal outcomes; Gaussian and Poisson ones take "response" as well,
        which is the scale that they have anyway.
    draws : bool
        Return the draws instead of a table.

    Returns
    -------
    DataFrame or DataArray
        Rows by `grouping`, ``residual`` (level 1) last, with `mean`, `median`, `sd`, `lower`,
        `upper`. With multiple membership there are two partitions, told apart by the column
        `membership`: ``whole`` is a row that belongs to one unit only, ``mean over rows`` has the
        mean sum of squared weights of the table. Attributes: `prob`, `interval`, `scale`, and
        `at`, the value of every covariate that the shares depend on. The DataArray has the dims
        chain, draw, (membership,) grouping.

    Raises
    ------
    FitError
        `at`, `prob` or `scale` cannot be used with this fit.

    Notes
    -----
    Goldstein, Browne & Rasbash (2002), doi:10.1207/S15328031US0104_02; for counts Leckie, Browne,
    Goldstein, Merlo & Austin (2020), doi:10.1037/met0000265.

    Examples
    --------
    >>> import bayesml as bml
    >>> eg = bml.load_dataset("egsingle")
    >>> fit = bml.three_level(
    ...     eg, "math ~ year", groups=["childid", "schoolid"], slopes={"childid": ["year"]}
    ... ).fit()  # doctest: +SKIP
    >>> bml.vpc(fit, at={"year": 0})  # doctest: +SKIP
    """
    parts = _partitions(fit, at, scale)
    names = [grouping.name for grouping in fit.facts.groupings]
    columns = [[item.shares[..., i] for item in parts.items] for i in range(len(names))]
    if parts.interacting:
        names.append("interaction")
        columns.append([item.interaction for item in parts.items])
    names.append("residual")
    columns.append([item.level1 for item in parts.items])
    values = np.moveaxis(np.array(columns), (0, 1), (3, 2))
    return (
        _as_draws(fit, values, names, parts, "vpc") if draws else _table(values, names, parts, prob)
    )


@overload
def icc(
    fit: Fit,
    grouping: str | None = ...,
    at: At | None = ...,
    prob: float = ...,
    scale: str = ...,
    draws: Literal[False] = ...,
) -> pd.DataFrame: ...
@overload
def icc(
    fit: Fit,
    grouping: str | None = ...,
    at: At | None = ...,
    prob: float = ...,
    scale: str = ...,
    *,
    draws: Literal[True],
) -> "xr.DataArray": ...
def icc(
    fit: Fit,
    grouping: str | None = None,
    at: At | None = None,
    prob: float = 0.89,
    scale: str = "latent",
    draws: bool = False,
) -> "pd.DataFrame | xr.DataArray":
    """Return the intraclass correlation: that of two rows which share a unit of a grouping.

    Rows of one unit also share the units of all groupings that contain it: rows of one child are
    rows of one school. The ICC of a grouping is therefore its VPC plus those of the groupings that
    contain it. Both rows have the same covariate values; see `vpc` for the level-1 variance, and
    for counts.

    Parameters
    ----------
    fit : Fit
    grouping : str, optional
        Name of a grouping; None is every grouping.
    at : mapping of str to number or str, optional
        Values of covariates, as in `vpc`.
    prob : float
        Posterior probability of the equal-tailed interval.
    scale : {"latent"}
        As in `vpc`.
    draws : bool
        Return the draws instead of a table.

    Returns
    -------
    DataFrame or DataArray
        As `vpc` returns, without ``residual``. With multiple membership both rows have the same
        weights.

    Raises
    ------
    FitError
        There is no such grouping, or `at`, `prob` or `scale` cannot be used with this fit.

    Notes
    -----
    Goldstein, Browne & Rasbash (2002), doi:10.1207/S15328031US0104_02; for counts Leckie, Browne,
    Goldstein, Merlo & Austin (2020), doi:10.1037/met0000265.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> fit = bml.two_level(exam, "normexam ~ 1", group="school").fit()  # doctest: +SKIP
    >>> bml.icc(fit, "school")  # doctest: +SKIP
    """
    names = [item.name for item in fit.facts.groupings]
    if grouping is not None and grouping not in names:
        raise FitError(
            f"{quoted(grouping)} is not a grouping of this model. {did_you_mean(grouping, names)}"
        )
    parts = _partitions(fit, at, scale)
    values = np.stack([item.correlations for item in parts.items], axis=2)
    if grouping is not None:
        values = values[..., [names.index(grouping)]]
        names = [grouping]
    return (
        _as_draws(fit, values, names, parts, "icc") if draws else _table(values, names, parts, prob)
    )


@dataclass(frozen=True)
class _Partitions:
    """One partition per kind of membership, and the circumstances that hold for all."""

    items: tuple[VariancePartition, ...]
    memberships: tuple[str, ...]
    interacting: bool
    attrs: dict[Hashable, Any]


def _partitions(fit: Fit, at: At | None, scale: str) -> _Partitions:
    facts, spec, posterior = fit.facts, fit.spec, fit.posterior
    if not facts.groupings:
        raise FitError("This model has no grouping, so its variance has no parts. Add one.")
    family, link = spec.family_record, spec.link_record
    counts = family.response == "count" and link.name == "log"
    latent = link.latent_variance is not None
    _check_scale(scale, latent)
    point = evaluation_point(fit, at, fixed=counts)
    between = np.stack(
        [_between(fit, item.identifier, point.terms[item.name]) for item in facts.groupings],
        axis=-1,
    )
    containing = np.array(
        [[outer.name in inner.within for outer in facts.groupings] for inner in facts.groupings]
    )
    chain = containing | containing.T | np.eye(len(containing), dtype=bool)
    weights = {WHOLE: np.ones(len(facts.groupings))}
    if any(item.multiple for item in facts.groupings):
        weights[MEAN] = np.array([item.squared_weights for item in facts.groupings])
    items = []
    for weight in weights.values():
        if counts:
            eta = _mean_predictor(fit, point)
            items.append(poisson_partition(between * weight, eta, containing))
        elif latent:
            items.append(
                linear_partition(between * weight, float(link.latent_variance or 0), containing)
            )
        elif family.level1:
            sigma = posterior[family.level1].transpose("chain", "draw").values
            items.append(linear_partition(between * weight, sigma**2, containing))
        else:
            raise FitError(
                f"The family {quoted(family.name)} with link {quoted(link.name)} has no level-1 "
                "variance to compare with in this version. Use bml.variance_components(fit)."
            )
    return _Partitions(
        tuple(items),
        tuple(weights),
        counts and not chain.all(),
        {"scale": "latent" if latent else "response", "at": dict(point.at)},
    )


def _check_scale(scale: str, latent: bool) -> None:
    if scale not in ("latent", "response"):
        raise FitError(f"scale is {quoted(str(scale))}. Allowed in this version: 'latent'.")
    if scale == "response" and latent:
        raise FitError(
            "scale='response' is not in this version for binary and ordinal outcomes. Use "
            "scale='latent': the variance of the outcome's latent scale."
        )


def _between(fit: Fit, identifier: str, z: np.ndarray) -> np.ndarray:
    posterior = fit.posterior
    sd = posterior[f"sd_{identifier}"].transpose("chain", "draw", ...).values
    name = f"corr_{identifier}"
    corr = posterior[name].transpose("chain", "draw", ...).values if name in posterior else None
    return varying_variance(sd, corr, z)


def _mean_predictor(fit: Fit, point: EvaluationPoint) -> np.ndarray:
    """Return the linear predictor at the point, without random effects."""
    sizes = (fit.posterior.sizes["chain"], fit.posterior.sizes["draw"])
    eta = np.full(sizes, fit.facts.offset_mean)
    if "beta" in fit.posterior:
        eta += fit.posterior["beta"].transpose("chain", "draw", "coef").values @ point.coefficients
    return eta


def _table(values: np.ndarray, names: list[str], parts: _Partitions, prob: float) -> pd.DataFrame:
    """Return the summaries of draws of shape (chains, draws, memberships, names)."""
    numbers = summarise_draws(values, prob)
    columns = {"grouping": names * len(parts.memberships)}
    if len(parts.memberships) > 1:
        columns["membership"] = [kind for kind in parts.memberships for _ in names]
    table = pd.DataFrame(
        columns
        | {
            "mean": numbers.mean.ravel(),
            "median": numbers.median.ravel(),
            "sd": numbers.sd.ravel(),
            "lower": numbers.lower.ravel(),
            "upper": numbers.upper.ravel(),
        }
    )
    table.attrs = {"prob": float(prob), "interval": interval_words(prob), **parts.attrs}
    return table


def _as_draws(
    fit: Fit, values: np.ndarray, names: list[str], parts: _Partitions, name: str
) -> "xr.DataArray":
    import xarray as xr

    coords = {
        "chain": fit.posterior["chain"].values,
        "draw": fit.posterior["draw"].values,
        "membership": list(parts.memberships),
        "grouping": names,
    }
    array = xr.DataArray(
        values, coords=coords, dims=list(coords), name=name, attrs=dict(parts.attrs)
    )
    return array if len(parts.memberships) > 1 else array.isel(membership=0, drop=True)
