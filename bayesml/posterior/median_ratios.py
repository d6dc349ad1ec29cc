"""Median odds and rate ratios: the variance between units as a ratio of two of them."""

from typing import TYPE_CHECKING, Literal, overload

import numpy as np
import pandas as pd

from bayesml.errors import FitError, quoted
from bayesml.posterior.effect_distributions import (
    require_normal_effects,
    require_one_covariance,
    require_shared_terms,
)
from bayesml.posterior.evaluation_point import evaluation_point
from bayesml.posterior.predictor_terms import refuse_nominal
from bayesml.posterior.share_cases import At
from bayesml.posterior.share_parts import between_variances
from bayesml.posterior.tidy_quantities import LabelledQuantity, quantity_draws, tidy_table
from bayesml.posterior.variance_shares import (
    MEAN,
    WHOLE,
    named_groupings,
)
from bayesml.quantities.cluster_measures import median_ratio
from bayesml.records.fits import Fit

if TYPE_CHECKING:
    import xarray as xr


@overload
def median_odds_ratio(
    fit: Fit,
    grouping: str | None = ...,
    at: At | None = ...,
    prob: float = ...,
    draws: Literal[False] = ...,
) -> pd.DataFrame: ...
@overload
def median_odds_ratio(
    fit: Fit,
    grouping: str | None = ...,
    at: At | None = ...,
    prob: float = ...,
    *,
    draws: Literal[True],
) -> "xr.DataArray": ...
def median_odds_ratio(
    fit: Fit,
    grouping: str | None = None,
    at: At | None = None,
    prob: float = 0.89,
    draws: bool = False,
) -> "pd.DataFrame | xr.DataArray":
    """Return the median odds ratio: how far the odds differ between two units drawn at random.

    MOR = exp(sqrt(2 s2) Phi^-1(0.75)), the median of the ratio of the higher odds to the lower,
    for two rows with the same covariates in different units of the grouping that share the units
    of all others. s2 = z' Sigma z, so with varying slopes it depends on covariates. For an ordered
    outcome the odds are those of lying above any cutpoint, for adjacent categories those of the
    higher one of two neighbours, for continuation ratios those of going on beyond a category.

    Parameters
    ----------
    fit : Fit
        With the link logit: binomial or ordered categories.
    grouping : str, optional
        Name of a grouping; None is every grouping.
    at : mapping of str to number or str, optional
        Values of covariates with varying slopes, as in `vpc`.
    prob : float
        Posterior probability of the equal-tailed interval.
    draws : bool
        Return the draws instead of a table.

    Returns
    -------
    DataFrame or DataArray
        Rows by `grouping`, with `mean`, `median`, `sd`, `lower`, `upper`; ratios of at least 1.
        With multiple membership both ``whole`` memberships and the ``mean over rows``, as in
        `vpc`. Attributes `prob`, `interval`, `at`. The DataArray has the dims chain, draw,
        (membership,) grouping.

    Raises
    ------
    FitError
        The link is not logit, there is no such grouping, or `at` cannot be used.

    Notes
    -----
    Larsen & Merlo (2005), doi:10.1093/aje/kwi017.

    Examples
    --------
    >>> import bayesml as bml
    >>> women = bml.load_dataset("contraception")
    >>> fit = bml.two_level(
    ...     women, "use ~ age", group="district", family="binomial", success="Y"
    ... ).fit()  # doctest: +SKIP
    >>> bml.median_odds_ratio(fit)  # doctest: +SKIP
    """
    quantity = _median_ratio(fit, grouping, at, "median odds ratio", "logit")
    return quantity_draws(fit, quantity) if draws else tidy_table(quantity, prob)


@overload
def median_rate_ratio(
    fit: Fit,
    grouping: str | None = ...,
    at: At | None = ...,
    prob: float = ...,
    draws: Literal[False] = ...,
) -> pd.DataFrame: ...
@overload
def median_rate_ratio(
    fit: Fit,
    grouping: str | None = ...,
    at: At | None = ...,
    prob: float = ...,
    *,
    draws: Literal[True],
) -> "xr.DataArray": ...
def median_rate_ratio(
    fit: Fit,
    grouping: str | None = None,
    at: At | None = None,
    prob: float = 0.89,
    draws: bool = False,
) -> "pd.DataFrame | xr.DataArray":
    """Return the median rate ratio: how far the rates differ between two units drawn at random.

    MRR = exp(sqrt(2 s2) Phi^-1(0.75)), the median of the ratio of the higher rate to the lower,
    for two rows with the same covariates and exposure in different units of the grouping that
    share the units of all others. s2 = z' Sigma z, on the log scale.

    Parameters
    ----------
    fit : Fit
        With the link log: counts.
    grouping : str, optional
        Name of a grouping; None is every grouping.
    at : mapping of str to number or str, optional
        Values of covariates with varying slopes, as in `vpc`.
    prob : float
        Posterior probability of the equal-tailed interval.
    draws : bool
        Return the draws instead of a table.

    Returns
    -------
    DataFrame or DataArray
        As `median_odds_ratio` returns.

    Raises
    ------
    FitError
        The link is not log, there is no such grouping, or `at` cannot be used.

    Notes
    -----
    Austin, Stryhn, Leckie & Merlo (2018), doi:10.1002/sim.7532.

    Examples
    --------
    >>> import bayesml as bml
    >>> ticks = bml.load_dataset("grouseticks")
    >>> fit = bml.two_level(
    ...     ticks, "TICKS ~ cHEIGHT", group="BROOD", family="poisson"
    ... ).fit()  # doctest: +SKIP
    >>> bml.median_rate_ratio(fit)  # doctest: +SKIP
    """
    quantity = _median_ratio(fit, grouping, at, "median rate ratio", "log")
    return quantity_draws(fit, quantity) if draws else tidy_table(quantity, prob)


_RATIO_CALLS = {"logit": "bml.median_odds_ratio(fit)", "log": "bml.median_rate_ratio(fit)"}


def _median_ratio(
    fit: Fit, grouping: str | None, at: At | None, name: str, link: str
) -> LabelledQuantity:
    spec = fit.spec
    _require_one_outcome(fit, name)
    if spec.link_record.name != link:
        call = _RATIO_CALLS.get(spec.link_record.name, "bml.vpc(fit)")
        raise FitError(
            f"The {name} needs the link {quoted(link)}, and this model is {spec.family} with link "
            f"{quoted(spec.link_record.name)}. Use {call}."
        )
    return median_ratio_quantity(fit, grouping, at, name)


def median_ratio_quantity(
    fit: Fit,
    grouping: str | None,
    at: At | None,
    name: str,
    scale: np.ndarray | float = 1.0,
) -> LabelledQuantity:
    """Return a median ratio between two units of each grouping.

    Parameters
    ----------
    fit : Fit
    grouping, at
        As in `median_odds_ratio`.
    name : str
    scale : array, shape (chains, draws), or float
        What variances on the link scale are multiplied by.
    """
    _require_one_outcome(fit, name)
    instead = "bml.variance_components(fit)"
    require_one_covariance(fit, f"The {name}", instead)
    require_normal_effects(fit, f"The {name}", instead)
    require_shared_terms(fit.facts, f"The {name}", instead)
    chosen = named_groupings(fit, grouping)
    point = evaluation_point(fit, at)
    places = [i for i, item in enumerate(fit.facts.main_groupings) if item in chosen]
    variances = between_variances(fit, point)[..., places] * np.asarray(scale)[..., None]
    cases: dict[str, tuple[str, ...]] = {}
    if any(item.multiple for item in chosen):
        cases["membership"] = (WHOLE, MEAN)
        squared = np.array([item.squared_weights for item in chosen])
        variances = variances[:, :, None, :] * np.array([np.ones(len(chosen)), squared])
    return LabelledQuantity(
        name.replace(" ", "_"),
        median_ratio(variances),
        {"grouping": [item.name for item in chosen]},
        cases,
        {"at": dict(point.at)},
    )


def _require_one_outcome(fit: Fit, name: str) -> None:
    refuse_nominal(
        fit.facts,
        f"The {name}",
        "Use bml.variance_components(fit): it is exp(0.954 sd) of a category's intercept, for the "
        "odds of that category against the baseline.",
    )
    if fit.facts.outcomes:
        raise FitError(
            f"The {name} is about one outcome, and this model has {len(fit.facts.outcomes)}. Use "
            "bml.variance_components(fit): it is exp(0.954 sd) of the outcome's intercept."
        )
