"""Hazard ratios of covariates, and between units, of models with proportional hazards."""

from typing import TYPE_CHECKING, Literal, overload

import numpy as np
import pandas as pd

from bayesml.errors import FitError, quoted
from bayesml.posterior.level1_variances import parameter_draws_of
from bayesml.posterior.median_ratios import median_ratio_quantity
from bayesml.posterior.predictor_terms import require_one_predictor
from bayesml.posterior.share_cases import At
from bayesml.posterior.survival_rows import hazard_periods
from bayesml.posterior.tidy_quantities import LabelledQuantity, quantity_draws, tidy_table
from bayesml.records.fits import Fit
from bayesml.specs.families import FAMILIES

if TYPE_CHECKING:
    import xarray as xr


def _log_hazard_factor(fit: Fit, call: str) -> np.ndarray:
    """Return what one unit of the linear predictor adds to the log hazard, (chains, draws).

    Raises
    ------
    FitError
        Hazards are not proportional, or there are none.
    """
    shape = (fit.posterior.sizes["chain"], fit.posterior.sizes["draw"])
    family, link = fit.spec.family_record, fit.spec.link
    require_one_predictor(fit.facts, call, "Use bml.summary(fit).")
    if family.durations is not None and family.durations.log_hazard is not None:
        return np.broadcast_to(family.durations.log_hazard(parameter_draws_of(fit)), shape)
    if hazard_periods(fit) and link in ("log", "cloglog"):
        return np.ones(shape)
    proportional = ", ".join(
        name
        for name, item in FAMILIES.items()
        if item.durations is not None and item.durations.log_hazard is not None
    )
    if family.durations is not None:
        raise FitError(
            f"{call} needs proportional hazards, and those of the family {quoted(family.name)} "
            f"are not: covariates multiply durations. exp(beta) is the ratio of "
            f"{family.durations.scale} durations: bml.summary(fit), and between units "
            f"bml.median_rate_ratio(fit). Families with proportional hazards: {proportional}."
        )
    raise FitError(
        f"{call} needs durations with proportional hazards ({proportional}), or periods of "
        f"person_period with family 'poisson' and exposure=, or 'binomial' with link 'cloglog'. "
        f"This model is {family.name} with link {quoted(link)}. Use bml.summary(fit)."
    )


@overload
def hazard_ratio(fit: Fit, prob: float = ..., *, draws: Literal[False] = ...) -> pd.DataFrame: ...
@overload
def hazard_ratio(fit: Fit, prob: float = ..., *, draws: Literal[True]) -> "xr.DataArray": ...
def hazard_ratio(
    fit: Fit, prob: float = 0.89, *, draws: bool = False
) -> "pd.DataFrame | xr.DataArray":
    """Return the hazard ratio of each coefficient: what one more unit multiplies the hazard by.

    HR = exp(-beta) of the exponential, exp(-shape beta) of the Weibull family, whose coefficients
    are about the log of the mean duration: a ratio above 1 means shorter durations. Of tables of
    periods (`person_period`) HR = exp(beta), with family "poisson" or the link "cloglog".

    Parameters
    ----------
    fit : Fit
    prob : float
        Posterior probability of the equal-tailed interval.
    draws : bool
        Return the draws instead of a table.

    Returns
    -------
    DataFrame or DataArray
        Rows by `coef`, without the intercept, with `mean`, `median`, `sd`, `lower`, `upper`.
        Attributes `prob`, `interval`. The DataArray has the dims chain, draw, coef.

    Raises
    ------
    FitError
        Hazards are not proportional, or the model has no coefficient.

    Notes
    -----
    Given the effects of the units: averaged over units hazards are no longer proportional.

    Examples
    --------
    >>> import bayesml as bml
    >>> kidney = bml.load_dataset("kidney")
    >>> fit = bml.two_level(
    ...     kidney, "surv(time, status) ~ age + sex", group="id", family="weibull"
    ... ).fit()  # doctest: +SKIP
    >>> bml.hazard_ratio(fit)  # doctest: +SKIP
    """
    factor = _log_hazard_factor(fit, "bml.hazard_ratio")
    labels = [label for label in fit.facts.coefficients if label != "Intercept"]
    if not labels:
        raise FitError(
            "This model has no coefficient but the intercept, so there is no hazard ratio. Add a "
            "predictor, or use bml.median_hazard_ratio(fit) between units."
        )
    beta = fit.posterior["beta"].transpose("chain", "draw", "coef").sel(coef=labels).values
    with np.errstate(over="ignore"):
        values = np.exp(beta * factor[..., None])
    quantity = LabelledQuantity("hazard_ratio", values, {"coef": labels})
    return quantity_draws(fit, quantity) if draws else tidy_table(quantity, prob)


@overload
def median_hazard_ratio(
    fit: Fit,
    grouping: str | None = ...,
    at: At | None = ...,
    prob: float = ...,
    *,
    draws: Literal[False] = ...,
) -> pd.DataFrame: ...
@overload
def median_hazard_ratio(
    fit: Fit,
    grouping: str | None = ...,
    at: At | None = ...,
    prob: float = ...,
    *,
    draws: Literal[True],
) -> "xr.DataArray": ...
def median_hazard_ratio(
    fit: Fit,
    grouping: str | None = None,
    at: At | None = None,
    prob: float = 0.89,
    *,
    draws: bool = False,
) -> "pd.DataFrame | xr.DataArray":
    """Return the median hazard ratio: how far hazards differ between two units drawn at random.

    MHR = exp(sqrt(2 s2) Phi^-1(0.75)), s2 the variance of the units' effects on the log hazard:
    z' Sigma z, of the Weibull family times the square of its shape. The median of the ratio of
    the higher hazard to the lower, for two rows with the same covariates in different units of the
    grouping that share the units of all others.

    Parameters
    ----------
    fit : Fit
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
        Hazards are not proportional, there is no such grouping, or `at` cannot be used.

    Notes
    -----
    Austin, Wagner & Merlo (2017), The median hazard ratio: a useful measure of variance and
    general contextual effects in multilevel survival analysis, doi:10.1002/sim.7188.

    Examples
    --------
    >>> import bayesml as bml
    >>> kidney = bml.load_dataset("kidney")
    >>> fit = bml.two_level(
    ...     kidney, "surv(time, status) ~ age + sex", group="id", family="weibull"
    ... ).fit()  # doctest: +SKIP
    >>> bml.median_hazard_ratio(fit)  # doctest: +SKIP
    """
    factor = _log_hazard_factor(fit, "bml.median_hazard_ratio")
    quantity = median_ratio_quantity(fit, grouping, at, "median hazard ratio", factor**2)
    return quantity_draws(fit, quantity) if draws else tidy_table(quantity, prob)
