"""Shares of actor, partner and relationship of a social-relations model, and its reciprocities."""

from typing import TYPE_CHECKING, Literal, overload

import numpy as np
import pandas as pd

from bayesml.errors import FitError, quoted
from bayesml.posterior.effect_distributions import (
    covariance_draws,
    require_normal_effects,
    require_one_covariance,
)
from bayesml.posterior.level1_variances import parameter_draws_of
from bayesml.posterior.predictor_terms import require_one_predictor
from bayesml.posterior.tidy_quantities import LabelledQuantity, quantity_draws, tidy_table
from bayesml.records.fits import Fit
from bayesml.specs.small_groups import DYAD, PERSON

if TYPE_CHECKING:
    import xarray as xr

GENERALISED, DYADIC = "generalised reciprocity", "dyadic reciprocity"


@overload
def social_relations_shares(
    fit: Fit, prob: float = ..., draws: Literal[False] = ...
) -> pd.DataFrame: ...
@overload
def social_relations_shares(
    fit: Fit, prob: float = ..., *, draws: Literal[True]
) -> "xr.DataArray": ...
def social_relations_shares(
    fit: Fit, prob: float = 0.89, draws: bool = False
) -> "pd.DataFrame | xr.DataArray":
    """Return the variance partition of a social-relations model, and its reciprocities.

    The variance of one row is s2_actor + s2_partner + s2_group + s2_relationship (+ s2_residual);
    each part is given as a share of it. Predictors have explained their part before.
    ``generalised reciprocity`` is the correlation of a person's actor and partner effects: whether
    who likes others is liked. ``dyadic reciprocity`` is the correlation of the relationship effects
    of the two directions of a dyad: whether A likes B more than either accounts for, where B so
    likes A.

    Parameters
    ----------
    fit : Fit
        Of a model that `social_relations` made.
    prob : float
        Posterior probability of the equal-tailed interval.
    draws : bool
        Return the draws instead of a table.

    Returns
    -------
    DataFrame or DataArray
        Rows by `part`: ``actor``, ``partner``, the group's name, ``relationship`` and, where rows
        repeat a direction, ``residual``: proportions; then the two correlations. The attribute
        `scale` says of what the proportions are: of the outcome, of the latent outcome (binary and
        ordinal ones), or of the linear predictor (counts and others, which have no level-1 variance
        there). The DataArray has the dims chain, draw, part.

    Raises
    ------
    FitError
        The model is not a social-relations model, has Student-t effects, or a parameter of its
        likelihood depends on the row.

    Notes
    -----
    With one row for each direction of a Gaussian outcome, ``relationship`` includes what is not
    stable from one measurement to the next. Kenny & La Voie (1984),
    doi:10.1016/S0065-2601(08)60144-6.

    Examples
    --------
    >>> import bayesml as bml
    >>> fit = bml.social_relations(
    ...     table, "liking ~ 1", actor="rater", partner="target"
    ... ).fit()  # doctest: +SKIP
    >>> bml.social_relations_shares(fit)  # doctest: +SKIP
    """
    if fit.spec.structure != "social_relations":
        raise FitError(
            "social_relations_shares needs a social-relations model, and this one is "
            f"{quoted(fit.spec.structure)}. Make it with bml.social_relations, or use bml.vpc(fit) "
            "for shares of the variance."
        )
    instead = "bml.variance_components(fit)"
    require_one_predictor(fit.facts, "social_relations_shares", f"Use {instead}.")
    require_normal_effects(fit, "social_relations_shares", instead)
    require_one_covariance(fit, "social_relations_shares", instead)
    variances: dict[str, np.ndarray] = {}
    correlations: dict[str, np.ndarray] = {}
    for grouping in fit.facts.groupings:
        covariance = covariance_draws(fit, grouping)
        own = np.diagonal(covariance, axis1=-2, axis2=-1)
        if grouping.name == PERSON:
            variances["actor"], variances["partner"] = own[..., 0], own[..., 1]
            correlations[GENERALISED] = covariance[..., 0, 1] / np.sqrt(own[..., 0] * own[..., 1])
        elif grouping.name == DYAD:
            # r_ij = s + d and r_ji = s - d, with s and d independent.
            total = own[..., 0] + own[..., 1]
            variances["relationship"] = total
            correlations[DYADIC] = (own[..., 0] - own[..., 1]) / total
        else:
            variances[grouping.name] = own[..., 0]
    level1, scale = _level1(fit)
    if fit.spec.residual is not None and level1 is not None:
        variances["relationship"] = level1
        correlations[DYADIC] = np.asarray(fit.posterior["corr_residual"].values, dtype=float)
    elif level1 is not None:
        variances["residual"] = level1
    last = ("relationship", "residual")
    parts = [name for name in variances if name not in last]
    parts += [name for name in last if name in variances]
    total = sum(variances.values(), np.zeros_like(variances["actor"]))
    columns = {name: variances[name] / total for name in parts} | correlations
    quantity = LabelledQuantity(
        "social_relations_shares",
        np.stack(list(columns.values()), axis=-1),
        {"part": list(columns)},
        {},
        {"scale": scale},
    )
    return quantity_draws(fit, quantity) if draws else tidy_table(quantity, prob)


def _level1(fit: Fit) -> tuple[np.ndarray | None, str]:
    """Return the level-1 variance where the linear predictor has one, and of what it is a part."""
    family, shape = fit.spec.family_record, fit.posterior["sd_person"].shape[:2]
    if family.level1 and fit.spec.link == "identity":
        parameters = parameter_draws_of(fit)
        return family.variance(np.zeros(shape), parameters, np.ones(1)), "outcome"
    if fit.spec.latent_variance is not None:
        return np.full(shape, fit.spec.latent_variance), "latent outcome"
    return None, "linear predictor"
