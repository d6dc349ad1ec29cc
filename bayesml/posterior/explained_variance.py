"""R2 of a fit, by the methods that multilevel papers report."""

from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any, Literal, overload

import pandas as pd

from bayesml.errors import FitError, did_you_mean, listed, quoted
from bayesml.posterior.effect_distributions import (
    require_normal_effects,
    require_one_covariance,
    require_shared_terms,
)
from bayesml.posterior.explained_outcomes import nakagawa_by_outcome
from bayesml.posterior.explained_parts import (
    R2Draws,
    rights_sterba_r2,
    snijders_bosker_r2,
)
from bayesml.posterior.explained_rows import bayes_r2, gelman_pardoe_r2
from bayesml.posterior.fitted_rows import FittedRows, fitted_rows
from bayesml.posterior.level1_variances import require_finite_variance
from bayesml.posterior.predictor_terms import require_one_predictor
from bayesml.posterior.residual_fits import require_independent_residuals
from bayesml.posterior.tidy_quantities import LabelledQuantity, quantity_draws, tidy_table
from bayesml.records.fits import Fit

if TYPE_CHECKING:
    import xarray as xr

_METHODS: Mapping[str, Callable[[Fit, FittedRows], R2Draws]] = {
    "nakagawa": nakagawa_by_outcome,
    "rights_sterba": rights_sterba_r2,
    "gelman_pardoe": gelman_pardoe_r2,
    "snijders_bosker": snijders_bosker_r2,
    "bayes": bayes_r2,
}
# Methods that say what rows of a unit have in common: effects alone.
_INDEPENDENT = ("rights_sterba", "snijders_bosker")
# Methods for which members of a row may have terms of their own, as in round robins.
_ANY_TERMS = ("nakagawa", "bayes")


@overload
def r2(
    fit: Fit, method: str = ..., prob: float = ..., draws: Literal[False] = ...
) -> pd.DataFrame: ...
@overload
def r2(
    fit: Fit, method: str = ..., prob: float = ..., *, draws: Literal[True]
) -> "xr.DataArray": ...
def r2(
    fit: Fit, method: str = "nakagawa", prob: float = 0.89, draws: bool = False
) -> "pd.DataFrame | xr.DataArray":
    """Return R2: how much of the variance predictors and groupings explain.

    With f = Var(X beta) over the rows (divisor n - 1), s2_g the mean over the rows of
    z' Sigma_g z, and e the level-1 variance (sigma^2; pi^2 / 3, 1 or pi^2 / 6 on the latent scale
    of logit, probit and cloglog; log(1 + 1 / mean count) for counts; plus the variance of groupings
    with one row a unit):

    ``"nakagawa"``
        ``marginal`` f / (f + sum s2 + e) and ``conditional`` (f + sum s2) / (f + sum s2 + e).
        Nakagawa & Schielzeth (2013), doi:10.1111/j.2041-210x.2012.00261.x; slopes: Johnson (2014),
        doi:10.1111/2041-210X.12225; counts: Nakagawa, Johnson & Schielzeth (2017),
        doi:10.1098/rsif.2017.0213. Several outcomes, or members of a unit, have both, each over
        its own rows, and so have the categories of a nominal outcome, each against the baseline on
        the latent scale; the other methods are for one outcome.
    ``"rights_sterba"``
        Every part's share of the whole variance (`of` is ``total``) and of its level's variance
        (``level``): X beta ``within`` units of all groupings and ``between`` those of each;
        ``slopes``, what varying terms add within units; ``means``, what they add between them; and
        the ``residual``. Predictors that are not centred within units are split by their means in
        units, and named in a note. Crossed groupings are fitted together.
        Rights & Sterba (2019), doi:10.1037/met0000184; three levels: Rights & Sterba (2021),
        doi:10.1080/00273171.2021.1985948.
    ``"gelman_pardoe"``
        For the coefficients of each grouping's units and for the rows 1 - V(error) / V(all), with
        V the variance over the units or rows in a draw. `expected` is
        1 - E V(error) / E V(all), the paper's R2, which may be below 0; `pooling` is
        1 - V(E error) / E V(error), 0 where units are estimated apart and 1 where they are pooled
        completely. The rows only with a Gaussian outcome.
        Gelman & Pardoe (2006), doi:10.1198/004017005000000517.
    ``"snijders_bosker"``
        Varying intercepts only. How much less one errs with the predictors: for a row
        (``residual``) f / (f + sum s2 + e), and for the mean of a unit's rows, with the variances
        that such means have. From one model, not from two fits, so never below 0.
        Snijders & Bosker (1994), doi:10.1177/0049124194022003004.
    ``"bayes"``
        Var(mu) / (Var(mu) + mean Var(y | mu)) over the rows, on the scale of the outcome, given
        the known units. Not for ordered outcomes.
        Gelman, Goodrich, Gabry & Vehtari (2019), doi:10.1080/00031305.2018.1549100.

    Residuals that are correlated within units have one variance at level 1, that of a row, the mean
    over the rows where occasions have their own; what they have in common is not explained. Methods
    that split the variance of units' means (``"rights_sterba"``, ``"snijders_bosker"``) do not take
    them. Members' own terms, as those of actor and partner, are taken by ``"nakagawa"`` and
    ``"bayes"``.

    Parameters
    ----------
    fit : Fit
        With its rows.
    method : {"nakagawa", "rights_sterba", "gelman_pardoe", "snijders_bosker", "bayes"}
    prob : float
        Posterior probability of the equal-tailed interval.
    draws : bool
        Return the draws instead of a table.

    Returns
    -------
    DataFrame or DataArray
        One row per part: its labels (`part`; `grouping`, `level`, `of`; `term`;
        `outcome`, `member` or `category` where there are several), `mean`, `median`,
        `sd`, `lower`, `upper`, and `note`, a short remark where an assumption fails or a scale is
        not the outcome's. Level 1 is called ``residual``. Attributes `prob`, `interval`, `method`
        and `notes`, the remarks in full. The DataArray has the dims chain, draw, part; where
        there are several labels ``part`` joins them, and each is a coordinate (`part` as `kind`).

    Raises
    ------
    FitError
        The method is unknown or not defined for this model, or the fit was saved without its rows.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> fit = bml.two_level(exam, "normexam ~ standLRT", group="school").fit()  # doctest: +SKIP
    >>> bml.r2(fit, method="rights_sterba")  # doctest: +SKIP
    """
    compute = _METHODS.get(method) if isinstance(method, str) else None
    if compute is None:
        raise FitError(
            f"method is {quoted(str(method))}. {did_you_mean(str(method), list(_METHODS))} "
            f"Allowed: {', '.join(map(repr, _METHODS))}."
        )
    require_finite_variance(fit)
    if not fit.facts.nominal:
        require_one_predictor(
            fit.facts, "r2", "Use bml.vpc(fit, at=...), which gives shares at chosen covariates."
        )
    if not fit.facts.outcomes:
        if method in _INDEPENDENT:
            what = f"The R2 of method={quoted(method)}"
            require_independent_residuals(fit.spec, what, "Use bml.r2(fit).")
    elif method != "nakagawa":
        raise FitError(
            f"The R2 of method={quoted(method)} is about one outcome, and this model has "
            f"coefficients for each of {listed(fit.facts.outcomes)}. Use bml.r2(fit)."
        )
    require_one_covariance(fit, "r2", "bml.variance_components(fit)")
    if method not in _ANY_TERMS:
        require_shared_terms(fit.facts, f"The R2 of method={quoted(method)}", "bml.r2(fit)")
    if any(item.link.name == "log" for item in fit.spec.outcome_families):
        require_normal_effects(fit, "r2 of this outcome", "bml.variance_components(fit)")
    found = compute(fit, fitted_rows(fit, "r2"))
    sizes = fit.posterior.sizes
    values = found.values.reshape(sizes["chain"], sizes["draw"], -1)
    parts: dict[str, list[Any]] = dict(found.parts)
    extra: dict[str, list[Any]] = {**found.extra, "note": found.note}
    if draws and len(parts) > 1:
        # One label that is unique serves as the index.
        labels = [" ".join(filter(None, row)) for row in zip(*parts.values(), strict=True)]
        named = {"kind" if name == "part" else name: items for name, items in parts.items()}
        parts = {"part": labels, **named}
    elif draws:
        parts = {"part": next(iter(parts.values()))}
    attrs: dict[Hashable, Any] = {"method": method, "notes": found.notes}
    quantity = LabelledQuantity("r2", values, parts, {}, attrs, extra)
    return quantity_draws(fit, quantity) if draws else tidy_table(quantity, prob)
