"""Shares of actor, partner and relationship of a social-relations model, and its reciprocities."""

from typing import TYPE_CHECKING, Literal, overload

import numpy as np
import pandas as pd

from bayesml.errors import FitError, listed, quoted
from bayesml.posterior.effect_distributions import (
    covariance_draws,
    require_normal_effects,
    require_one_covariance,
)
from bayesml.posterior.level1_variances import parameter_draws_of
from bayesml.posterior.predictor_terms import require_one_predictor
from bayesml.posterior.share_parts import directions, role_groupings
from bayesml.posterior.tidy_quantities import LabelledQuantity, quantity_draws, tidy_table
from bayesml.records.facts import GroupingFacts
from bayesml.records.fits import Fit

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
        Of a model that `social_relations` made, or of the same model by a formula.
    prob : float
        Posterior probability of the equal-tailed interval.
    draws : bool
        Return the draws instead of a table.

    Returns
    -------
    DataFrame or DataArray
        Rows by `part`: ``actor`` and ``partner`` (the member columns), the group's name,
        ``relationship`` and, where rows repeat a direction, ``residual``: proportions; then the two
        correlations. The attribute `scale` says of what the proportions are: of the outcome, of the
        latent outcome (binary and ordinal ones), or of the linear predictor (counts and others,
        which have no level-1 variance there). The DataArray has the dims chain, draw, part.

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
    person = _person(fit)
    if person is None:
        raise FitError(
            "social_relations_shares needs a social-relations model, and no grouping of this one "
            f"({quoted(fit.spec.structure)}) has effects of two roles. Make it with "
            "bml.social_relations, or use bml.vpc(fit) for shares of the variance."
        )
    instead = "bml.variance_components(fit)"
    residual = fit.spec.residual
    if residual is not None and residual.structure != "compound_symmetric":
        raise FitError(
            "social_relations_shares takes residuals that are equally correlated within dyads, and "
            f"those of this model are {quoted(residual.text)}. Use {instead}."
        )
    require_one_predictor(fit.facts, "social_relations_shares", f"Use {instead}.")
    require_normal_effects(fit, "social_relations_shares", instead)
    require_one_covariance(fit, "social_relations_shares", instead)
    variances: dict[str, np.ndarray] = {}
    correlations: dict[str, np.ndarray] = {}
    for grouping in fit.facts.groupings:
        covariance = covariance_draws(fit, grouping)
        own = np.diagonal(covariance, axis1=-2, axis2=-1)
        if grouping.name == person.name:
            variances |= dict(zip(person.terms, np.moveaxis(own, -1, 0), strict=True))
            correlations[GENERALISED] = covariance[..., 0, 1] / np.sqrt(own[..., 0] * own[..., 1])
        elif len(grouping.terms) == 2 and directions(fit, grouping):
            # r_ij = s + d and r_ji = s - d, with s and d independent.
            total = own[..., 0] + own[..., 1]
            variances["relationship"] = total
            correlations[DYADIC] = (own[..., 0] - own[..., 1]) / total
        elif grouping.terms == ("Intercept",):
            variances[grouping.name] = own[..., 0]
        else:
            raise FitError(
                f"social_relations_shares takes varying intercepts of groups, and the terms of "
                f"{quoted(grouping.name)} are {listed(grouping.terms)}. Use {instead}."
            )
    level1, scale = _level1(fit, next(iter(variances.values())).shape)
    if residual is not None and level1 is not None:
        variances["relationship"] = level1
        correlations[DYADIC] = np.asarray(fit.posterior["corr_residual"].values, dtype=float)
    elif level1 is not None:
        variances["residual"] = level1
    last = ("relationship", "residual")
    parts = [name for name in variances if name not in last]
    parts += [name for name in last if name in variances]
    total = sum(variances.values(), np.zeros_like(variances[person.terms[0]]))
    columns = {name: variances[name] / total for name in parts} | correlations
    quantity = LabelledQuantity(
        "social_relations_shares",
        np.stack(list(columns.values()), axis=-1),
        {"part": list(columns)},
        {},
        {"scale": scale},
    )
    return quantity_draws(fit, quantity) if draws else tidy_table(quantity, prob)


def _person(fit: Fit) -> GroupingFacts | None:
    """Return the grouping whose units have correlated effects in two roles."""
    for name in role_groupings(fit):
        facts = fit.facts.grouping(name)
        if facts is not None and facts.blocks == (2,):
            return facts
    return None


def _level1(fit: Fit, shape: tuple[int, ...]) -> tuple[np.ndarray | None, str]:
    """Return the level-1 variance where the linear predictor has one, and of what it is a part."""
    family = fit.spec.family_record
    if family.level1 and fit.spec.link == "identity":
        parameters = parameter_draws_of(fit)
        return family.variance(np.zeros(shape), parameters, np.ones(1)), "outcome"
    if fit.spec.latent_variance is not None:
        return np.full(shape, fit.spec.latent_variance), "latent outcome"
    return None, "linear predictor"
