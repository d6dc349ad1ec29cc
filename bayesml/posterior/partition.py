"""VPC and ICC of a fit: shares of the variance, and correlations of rows in common units."""

from typing import TYPE_CHECKING, Literal, overload

import numpy as np
import pandas as pd

from bayesml.posterior.residual_fits import require_independent_residuals
from bayesml.posterior.residual_shares import Lag, refuse_lag, residual_icc
from bayesml.posterior.share_cases import At
from bayesml.posterior.tidy_quantities import LabelledQuantity, quantity_draws, tidy_table
from bayesml.posterior.variance_shares import (
    check_scale,
    named_groupings,
    require_whole_units,
    variance_shares,
)
from bayesml.records.fits import Fit

if TYPE_CHECKING:
    import xarray as xr


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
    outcome; where sigma has a formula of its own, it is its mean over the units at these
    covariates, exp(2 x' beta_sigma + 2 v), with v the variance of what varies in log sigma; of
    residuals that are correlated within units it is their whole variance, and unstructured ones
    have a partition for each `occasion`. Binary,
    binomial (for one trial) and ordinal outcomes are partitioned on the latent
    scale, where level 1 is pi^2 / 3 (logit), 1 (probit) or pi^2 / 6 (cloglog), or on the response
    scale: the variance p (1 - p) of 0 and 1 within units against that of p between them, where p
    depends on the covariates; an ordered outcome is taken apart at each cutpoint ("above it or
    not"). Poisson counts are partitioned exactly on their own scale, where the VPC depends on the
    mean. On the response scale crossed groupings also share an ``interaction``.

    Where members of a row have effects in roles, as actor and partner of a round robin, each role
    has a share, and so have a dyad's effects, its direction being 1: both directions have the same
    variance. `social_relations_shares` has the correlations too.

    Adjacent categories have no share: each category has a utility with an error of its own, to
    which an effect adds in proportion to the category's number, so that no one latent outcome has
    a level-1 variance to compare with. Continuation ratios have a latent outcome for each step,
    not one for the row, and shares of it are not in this version. Both have
    `variance_components`, and with the link logit `median_odds_ratio`.

    Parameters
    ----------
    fit : Fit
    at : mapping of str to number or str, optional
        Values of covariates, ``{"year": 0}`` or ``{"urban": "Y"}``. The others stand at their
        means over the rows (categorical ones at the shares of their levels), as does the offset.
    prob : float
        Posterior probability of the equal-tailed interval.
    scale : {"latent", "response"}
        Scale of binary, binomial and ordinal outcomes; Gaussian and Poisson ones have one scale.
    draws : bool
        Return the draws instead of a table.

    Returns
    -------
    DataFrame or DataArray
        Rows by `grouping`, ``residual`` (level 1) last, with `mean`, `median`, `sd`, `lower`,
        `upper`. Several outcomes have a partition each, named in the column `outcome`, as have
        several kinds of units (`by=`), in a column of the name of theirs: the kind is the value
        of that covariate, and ``at={"sector": "State"}`` leaves one of them. With multiple
        membership there are two partitions, told apart by the column `membership`: ``whole`` is a
        row that belongs to one unit only, ``mean over rows`` has the mean sum of squared weights
        of the table. Ordinal outcomes on the response scale have one partition per `cutpoint`.
        Attributes: `prob`, `interval`, `scale`, and `at`, the value of every covariate that the
        shares depend on. The DataArray has the dims chain, draw, the cases, grouping.

    Raises
    ------
    FitError
        `at`, `prob` or `scale` cannot be used with this fit.

    Notes
    -----
    Goldstein, Browne & Rasbash (2002), doi:10.1207/S15328031US0104_02; for counts Leckie, Browne,
    Goldstein, Merlo & Austin (2020), doi:10.1037/met0000265. On the response scale the limit of
    Goldstein, Browne & Rasbash's simulation is computed by numerical integration
    (`bayesml.quantities.partition.binary_partition`), so it needs no seed. On the latent outcomes
    of steps see Tutz (1991), Computational Statistics and Data Analysis 11, 275-295.

    Examples
    --------
    >>> import bayesml as bml
    >>> eg = bml.load_dataset("egsingle")
    >>> fit = bml.three_level(
    ...     eg, "math ~ year", groups=["childid", "schoolid"], slopes={"childid": ["year"]}
    ... ).fit()  # doctest: +SKIP
    >>> bml.vpc(fit, at={"year": 0})  # doctest: +SKIP
    """
    shares = variance_shares(fit, at, scale, roles=True)
    found = shares.partition
    columns = [found.shares]
    names = list(shares.names)
    if shares.interacting:
        names.append("interaction")
        columns.append(found.interaction[..., None])
    names.append("residual")
    columns.append(found.level1[..., None])
    values = np.concatenate(columns, axis=-1)
    quantity = LabelledQuantity("vpc", values, {"grouping": names}, shares.cases, shares.attrs)
    return quantity_draws(fit, quantity) if draws else tidy_table(quantity, prob)


@overload
def icc(
    fit: Fit,
    grouping: str | None = ...,
    at: At | None = ...,
    prob: float = ...,
    scale: str = ...,
    draws: Literal[False] = ...,
    lag: Lag | None = ...,
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
    lag: Lag | None = ...,
) -> "xr.DataArray": ...
def icc(
    fit: Fit,
    grouping: str | None = None,
    at: At | None = None,
    prob: float = 0.89,
    scale: str = "latent",
    draws: bool = False,
    lag: Lag | None = None,
) -> "pd.DataFrame | xr.DataArray":
    """Return the intraclass correlation: that of two rows which share a unit of a grouping.

    Rows of one unit also share the units of all groupings that contain it: rows of one child are
    rows of one school. The ICC of a grouping is therefore its VPC plus those of the groupings that
    contain it. Both rows have the same covariate values; see `vpc` for the level-1 variance, and
    for counts.

    Residuals that are correlated within a unit add their correlation times the share of level 1:
    (s2 + rho s2_e) / (s2 + s2_e). Compound symmetry has one rho, `corr_residual`, which without
    groupings is the ICC of its unit: that of the varying intercept that would stand in its place,
    but free to be negative. Autoregressive residuals have rho = phi^lag, and `lag` says how far
    apart the rows are. Unstructured ones have an ICC for each two occasions. The unit of the
    residuals stands among the groupings.

    Parameters
    ----------
    fit : Fit
    grouping : str, optional
        Name of a grouping; None is every grouping.
    at : mapping of str to number or str, optional
        Values of covariates, as in `vpc`.
    prob : float
        Posterior probability of the equal-tailed interval.
    scale : {"latent", "response"}
        As in `vpc`.
    draws : bool
        Return the draws instead of a table.
    lag : float or sequence of float, optional
        How far apart the two rows are, where residuals are autoregressive: in occasions (whole
        numbers) of ``ar1``, None being neighbours; in units of time of ``continuous_ar``.

    Returns
    -------
    DataFrame or DataArray
        As `vpc` returns, without ``residual``; `lag` and `occasions` are cases where residuals are
        correlated so. With multiple membership both rows have the same weights.

    Raises
    ------
    FitError
        There is no such grouping, `at`, `prob`, `scale` or `lag` cannot be used with this fit, or
        residuals are autoregressive in continuous time and there is no `lag`.

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
    require_whole_units(fit, "icc")
    if fit.spec.residual is not None and not fit.facts.outcomes:
        check_scale(fit, scale)
        quantity = residual_icc(fit, grouping, at, lag)
        return quantity_draws(fit, quantity) if draws else tidy_table(quantity, prob)
    refuse_lag(lag, "independent residuals within units")
    chosen = [item.name for item in named_groupings(fit, grouping)]
    # Rows of one outcome are of different persons, whose residuals are independent.
    if not fit.facts.stacked:
        require_independent_residuals(
            fit.spec,
            "icc",
            "How two rows of a unit are correlated depends on which rows they are: use "
            "bml.vpc(fit) for the shares of the variance, and bml.summary(fit) for the "
            "correlation.",
        )
    shares = variance_shares(fit, at, scale)
    places = [i for i, item in enumerate(fit.facts.main_groupings) if item.name in chosen]
    values = shares.partition.correlations[..., places]
    quantity = LabelledQuantity("icc", values, {"grouping": chosen}, shares.cases, shares.attrs)
    return quantity_draws(fit, quantity) if draws else tidy_table(quantity, prob)
