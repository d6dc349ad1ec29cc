"""The partition of the variance of a fit, draw by draw, on the scale that was asked for."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from bayesml.errors import FitError, did_you_mean, listed, quoted
from bayesml.posterior.effect_distributions import (
    require_normal_effects,
    require_shared_terms,
)
from bayesml.posterior.evaluation_point import evaluation_point, mean_predictor
from bayesml.posterior.level1_variances import (
    averages_a_curve,
    dispersion_of_shares,
    parameter_draws_of,
    variance_of_mean,
)
from bayesml.posterior.outcome_parameters import parameter_values
from bayesml.posterior.predictor_terms import refuse_nominal
from bayesml.posterior.residual_fits import occasion_labels, residual_record
from bayesml.posterior.share_cases import (
    At,
    ShareCase,
    at_of_case,
    of_cases,
    share_cases,
    told_by_outcome,
)
from bayesml.posterior.share_parts import (
    at_of_directions,
    require_role_terms,
    role_groupings,
    share_parts,
)
from bayesml.quantities.partition import (
    HERMITE_TERMS,
    NODES,
    VariancePartition,
    binary_partition,
    linear_partition,
    log_link_partition,
)
from bayesml.records.facts import GroupingFacts
from bayesml.records.fits import Fit

WHOLE, MEAN = "whole", "mean over rows"
SCALES = ("latent", "response")
_FIELDS = fields(VariancePartition)


@dataclass(frozen=True)
class Shares:
    """Partitions of the variance, with the cases for which they hold.

    Parameters
    ----------
    partition : VariancePartition
        Arrays of shape (chains, draws, ...), one axis per case, and groupings where it has them.
    cases : mapping of str to tuple of str
        Outcomes and kinds of units, ``membership`` where the model has multiple membership,
        ``cutpoint`` for ordered outcomes on the response scale, ``occasion`` of residuals with an
        SD for each.
    interacting : bool
        Whether crossed groupings have a share that they have only together.
    attrs : mapping
        Scale, covariate values, and how the shares were computed.
    names : tuple of str
        Of the groupings, or of roles of members.
    """

    partition: VariancePartition
    cases: Mapping[str, tuple[str, ...]]
    interacting: bool
    attrs: Mapping[Hashable, Any]
    names: tuple[str, ...]


def variance_shares(
    fit: Fit,
    at: At | None,
    scale: str,
    memberships: Sequence[str] = (WHOLE, MEAN),
    roles: bool = False,
) -> Shares:
    """Return the partition of the variance at a row, draw by draw.

    Parameters
    ----------
    fit : Fit
    at : mapping of str to number or str, or None
        Values of covariates; the others stand at their means.
    scale : {"latent", "response"}
    memberships : sequence of str
        Which partitions a model with multiple membership gets.
    roles : bool
        Whether members may have effects in roles, each with a share of its own.

    Returns
    -------
    Shares

    Raises
    ------
    FitError
        The model has no grouping, or `at` or `scale` cannot be used with it.
    """
    facts = fit.facts
    if not facts.main_groupings:
        raise FitError(
            "This model has no grouping, so its variance has no parts. "
            + ("Add one." if residual_record(fit.spec) is None else "Use bml.icc(fit).")
        )
    instead = (
        "bml.vpc(fit), or bml.social_relations_shares(fit)"
        if role_groupings(fit)
        else "bml.variance_components(fit)"
    )
    if roles:
        require_role_terms(fit, "A share of the variance by grouping", instead)
        at = at_of_directions(fit, at)
    else:
        require_shared_terms(facts, "A share of the variance by grouping", instead)
    if averages_a_curve(fit) or scale == "response":
        require_normal_effects(
            fit, "A share of the variance of this outcome", "bml.variance_components(fit)"
        )
    cases, dims = share_cases(fit, at)
    found = [
        _shares(fit, at_of_case(fit, at, case) if case.kinds else at, scale, memberships, case)
        for case in cases
    ]
    if not dims:
        return found[0]
    sizes = [len(labels) for labels in dims.values()]
    partition = VariancePartition(
        *(of_cases([getattr(item.partition, f.name) for item in found], sizes) for f in _FIELDS)
    )
    points = {name: value for item in found for name, value in item.attrs["at"].items()}
    for column in cases[0].kinds:
        points.pop(column, None)
    attrs = {**found[0].attrs, "at": points}
    if fit.spec.families:
        attrs |= told_by_outcome(facts.outcomes, [item.attrs for item in found])
    interacting = any(item.interacting for item in found)
    return Shares(partition, {**dims, **found[0].cases}, interacting, attrs, found[0].names)


def check_scale(fit: Fit, scale: str) -> None:
    """Raise where there is no such scale, or the outcome has no shares on it.

    Raises
    ------
    FitError
    """
    if scale not in SCALES:
        raise FitError(f"scale is {quoted(str(scale))}. Allowed: 'latent', 'response'.")
    if scale == "response":
        refuse_nominal(fit.facts, "The response scale", "Use scale='latent'.")
    if scale == "response" and fit.facts.ordered:
        names = listed([fit.facts.outcomes[item.outcome] for item in fit.facts.ordered])
        raise FitError(
            f"On the response scale every cutpoint of {names} has a share of its own, and other "
            "outcomes have one, so they are not set side by side in this version. Use "
            "scale='latent', or fit a model of its own for it."
        )


def _shares(
    fit: Fit, at: At | None, scale: str, memberships: Sequence[str], case: ShareCase
) -> Shares:
    """Return the partition of the variance of one case."""
    facts, spec, outcome = fit.facts, fit.spec, case.outcome
    one = spec.family_of(outcome)
    family, link = one.record, one.link
    counts = link.name == "log"
    latent = one.latent_variance is not None
    check_scale(fit, scale)
    # Outcomes between 0 and 1 have no other scale.
    on_response = (scale == "response" and latent) or family.response == "unit"
    modelled = bool(family.level1) and not spec.level1
    point = evaluation_point(
        fit, at, fixed=counts or on_response, outcome=outcome, parts=bool(spec.distributional)
    )
    parts = share_parts(fit, point, case)
    between, containing = parts.between, parts.containing
    chain = containing | containing.T | np.eye(len(containing), dtype=bool)
    attrs: dict[Hashable, Any] = {
        "scale": "latent" if latent and not on_response else "response",
        "at": dict(point.at),
    }
    cases: dict[str, tuple[str, ...]] = {}
    if parts.shared:
        squared = parts.squared_weights
        weights = [np.ones(len(squared)) if kind == WHOLE else squared for kind in memberships]
        if len(memberships) > 1:
            cases["membership"] = tuple(memberships)
        # Memberships are an axis of their own, dropped again where there is only one.
        between = between[:, :, None, :] * np.array(weights)
        between = between if len(memberships) > 1 else between[:, :, 0]
    if counts or on_response:
        eta = mean_predictor(fit, point, outcome)
        if "membership" in cases:
            eta = eta[..., None]
        if counts:
            found = log_link_partition(
                between,
                eta,
                containing,
                *variance_of_mean(fit, point, "membership" in cases, case),
            )
        else:
            if "cutpoints" in fit.posterior:
                cut = fit.posterior["cutpoints"].transpose("chain", "draw", "cutpoint")
                cases["cutpoint"] = tuple(str(label) for label in cut["cutpoint"].values)
                values = cut.values
                values = values[:, :, None, :] if "membership" in cases else values
                eta = eta[..., None] - values
                between = np.broadcast_to(
                    between[..., None, :], (*between.shape[:-1], values.shape[-1], len(containing))
                )
            parameters = parameter_draws_of(fit, point, case)
            dispersion = dispersion_of_shares(family, parameters, between.ndim - 1)
            found = binary_partition(between, eta, containing, link.inverse, dispersion)
            attrs["computed_by"] = (
                f"numerical integration ({NODES} points, {HERMITE_TERMS} Hermite polynomials), "
                "no simulation"
            )
            if facts.trials:
                attrs["trials"] = "one trial"
    elif latent:
        found = linear_partition(between, float(one.latent_variance or 0), containing)
    elif family.level1:
        parameters = parameter_draws_of(fit, point, case)
        record = residual_record(spec)
        by_occasion = record is not None and record.by_occasion and outcome is None
        shape = between.shape[:2]
        if by_occasion:
            parameters |= {family.level1: parameter_values(fit, family.level1)}
            cases["occasion"] = tuple(occasion_labels(fit))
            shape = (*shape, len(cases["occasion"]))
        level1 = family.variance(np.zeros(shape), parameters, np.ones(1))
        if modelled:
            attrs["level1"] = (
                f"mean over the units of {family.level1}^2 at these covariates"
                if any(item.places(family.level1) for item in facts.groupings)
                else f"{family.level1}^2 at these covariates"
            )
        if "membership" in cases:
            level1 = level1[:, :, None]
        if by_occasion:
            between = between[..., None, :]
        sizes = np.broadcast_shapes(between.shape[:-1], level1.shape)
        whole = np.broadcast_to(between, (*sizes, len(containing)))
        found = linear_partition(whole, level1, containing)
    else:
        raise FitError(
            f"The family {quoted(family.name)} with link {quoted(link.name)} has no level-1 "
            "variance to compare with in this version. Use bml.variance_components(fit)."
        )
    interacting = (counts or on_response) and not chain.all()
    return Shares(found, cases, bool(interacting), attrs, parts.names)


def require_whole_units(fit: Fit, function: str) -> None:
    """Raise where rows share parts of units, so that no two rows are alike in one way.

    Raises
    ------
    FitError
    """
    torn = [item.name for item in fit.facts.main_groupings if shares_parts(fit, item)]
    if torn:
        raise FitError(
            f"{function} is not defined where rows share parts of their units, as twins do: in "
            f"{quoted(torn[0])} the squared weights of a row with several members add up to 1, and "
            "rows are alike to different degrees. Use bml.heritability(fit) for twins, or "
            "bml.variance_components(fit)."
        )


def shares_parts(fit: Fit, grouping: GroupingFacts) -> bool:
    """Return whether squared weights add up to 1 in rows with several members.

    So every row has the whole variance, and two rows with a member in common a part of it: half
    the additive genetic variance of fraternal twins.
    """
    slots = grouping.rows_per_unit[2] * grouping.units
    several = grouping.multiple and slots > fit.facts.rows * (1 + 1e-9)
    return several and abs(grouping.squared_weights - 1) < 1e-6


def named_groupings(fit: Fit, grouping: str | None) -> tuple[GroupingFacts, ...]:
    """Return the grouping of this name, or all of them.

    Raises
    ------
    FitError
        There is no such grouping, or none at all.
    """
    groupings = fit.facts.main_groupings
    names = [item.name for item in groupings]
    if not names:
        raise FitError("This model has no grouping, so nothing varies over units. Add one.")
    known = fit.facts.grouping(grouping) if grouping is not None else None
    if known is not None and grouping not in names:
        raise FitError(
            f"Only {' and '.join(dict.fromkeys(known.predictors))} varies over "
            f"{quoted(known.name)}, which has no share of the variance between units. Use "
            "bml.variance_components(fit)."
        )
    if grouping is not None and grouping not in names:
        raise FitError(
            f"{quoted(grouping)} is not a grouping of this model. {did_you_mean(grouping, names)}"
        )
    return tuple(item for item in groupings if grouping in (None, item.name))
