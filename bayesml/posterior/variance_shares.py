"""The partition of the variance of a fit, draw by draw, on the scale that was asked for."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from bayesml.errors import FitError, did_you_mean, quoted
from bayesml.posterior.effect_distributions import (
    correlations_by_kind,
    covariance_of_kind,
    require_normal_effects,
    require_shared_terms,
    sds_by_kind,
)
from bayesml.posterior.evaluation_point import EvaluationPoint, evaluation_point
from bayesml.posterior.outcome_parameters import parameter_values
from bayesml.posterior.residual_fits import residual_record
from bayesml.posterior.share_cases import (
    At,
    ShareCase,
    at_of_case,
    averages_a_curve,
    check_scale,
    mean_offset,
    of_cases,
    share_cases,
    told_by_outcome,
)
from bayesml.quantities.partition import (
    HERMITE_TERMS,
    NODES,
    VariancePartition,
    binary_partition,
    linear_partition,
    log_link_partition,
    varying_variance,
)
from bayesml.records.facts import GroupingFacts
from bayesml.records.fits import Fit
from bayesml.specs.family_records import Family
from bayesml.specs.links import LINKS

WHOLE, MEAN = "whole", "mean over rows"
# The only case of a fit of one outcome whose units are all of one kind.
ONLY = ShareCase()
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
        ``cutpoint`` for ordered outcomes on the response scale.
    interacting : bool
        Whether crossed groupings have a share that they have only together.
    attrs : mapping
        Scale, covariate values, and how the shares were computed.
    """

    partition: VariancePartition
    cases: Mapping[str, tuple[str, ...]]
    interacting: bool
    attrs: Mapping[Hashable, Any]


def variance_shares(
    fit: Fit,
    at: At | None,
    scale: str,
    memberships: Sequence[str] = (WHOLE, MEAN),
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
        raise FitError("This model has no grouping, so its variance has no parts. Add one.")
    instead = (
        "bml.social_relations_shares(fit)"
        if facts.structure == "social_relations"
        else "bml.variance_components(fit)"
    )
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
    return Shares(partition, {**dims, **found[0].cases}, interacting, attrs)


def _shares(
    fit: Fit, at: At | None, scale: str, memberships: Sequence[str], case: ShareCase
) -> Shares:
    """Return the partition of the variance of one case."""
    facts, spec, outcome = fit.facts, fit.spec, case.outcome
    groupings = facts.main_groupings
    one = spec.family_of(outcome)
    family, link = one.record, one.link
    record = residual_record(spec)
    if record is not None and record.by_occasion and outcome is None:
        raise FitError(
            f"The level-1 variance of this model differs between occasions "
            f"({quoted(spec.residual.text if spec.residual else '')}), so its groupings have no "
            "one share of the variance. Use bml.variance_components(fit)."
        )
    counts = link.name == "log"
    latent = one.latent_variance is not None
    check_scale(fit, scale)
    # Outcomes between 0 and 1 have no other scale.
    on_response = (scale == "response" and latent) or family.response == "unit"
    modelled = bool(family.level1) and not spec.level1
    point = evaluation_point(
        fit, at, fixed=counts or on_response, outcome=outcome, parts=bool(spec.distributional)
    )
    between = between_variances(fit, point, case)
    containing = np.array(
        [[outer.name in inner.within for outer in groupings] for inner in groupings]
    )
    chain = containing | containing.T | np.eye(len(containing), dtype=bool)
    attrs: dict[Hashable, Any] = {
        "scale": "latent" if latent and not on_response else "response",
        "at": dict(point.at),
    }
    cases: dict[str, tuple[str, ...]] = {}
    if any(item.multiple for item in groupings):
        squared = np.array([item.squared_weights for item in groupings])
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
                *_variance_of_mean(fit, point, "membership" in cases, case),
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
            dispersion = _dispersion(family, parameters, between.ndim - 1)
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
        level1 = family.variance(np.zeros(between.shape[:2]), parameters, np.ones(1))
        if modelled:
            attrs["level1"] = (
                f"mean over the units of {family.level1}^2 at these covariates"
                if any(item.places(family.level1) for item in facts.groupings)
                else f"{family.level1}^2 at these covariates"
            )
        found = linear_partition(
            between, level1[..., None] if "membership" in cases else level1, containing
        )
    else:
        raise FitError(
            f"The family {quoted(family.name)} with link {quoted(link.name)} has no level-1 "
            "variance to compare with in this version. Use bml.variance_components(fit)."
        )
    return Shares(found, cases, (counts or on_response) and not chain.all(), attrs)


def _dispersion(
    family: Family, parameters: Mapping[str, np.ndarray], axes: int
) -> np.ndarray | float:
    """Return the variance of an outcome of one trial and mean p over p (1 - p)."""
    if family.response == "ordered":
        return 1.0
    draws = {
        name: values.reshape(*values.shape, *(1,) * (axes - values.ndim))
        for name, values in parameters.items()
    }
    return family.variance(np.array(0.5), draws, np.ones(1)) / 0.25


def parameter_draws_of(
    fit: Fit, point: EvaluationPoint | None = None, case: ShareCase = ONLY
) -> dict[str, np.ndarray]:
    """Return the draws of the likelihood's parameters that are numbers, shape (chains, draws).

    Parameters
    ----------
    fit : Fit
    point : EvaluationPoint or None
        Where parameters with a formula of their own stand; they are left out without it. The
        level-1 SD is then the root of the mean of its square over the units, exp(eta + v) with
        log sigma = eta + N(0, v); effects on other parameters are 0.
    case : ShareCase
        The outcome, where there are several, and the kinds of units.
    """
    if case.outcome is not None:
        return {
            item.name: parameter_values(fit, item.name)[..., case.outcome]
            for item in fit.spec.family_of(case.outcome).record.parameters
        }
    found = {
        item.name: _values(fit, item.name)
        for item in fit.spec.scalar_parameters
        if fit.posterior[item.name].ndim == 2
    }
    if point is None:
        return found
    for part in fit.facts.parts:
        name = part.parameter
        eta = np.zeros((fit.posterior.sizes["chain"], fit.posterior.sizes["draw"]))
        if part.coefficients:
            eta += _values(fit, f"beta_{name}") @ point.parts[name]
        for item in fit.facts.groupings:
            if name == fit.spec.family_record.level1 and item.places(name):
                own = covariance_of_kind(fit, item, case.kind_of(item))
                eta += varying_variance(*own, point.part_terms[name][item.name])
        found[name] = LINKS[part.link].inverse(eta)
    return found


def _variance_of_mean(
    fit: Fit, point: EvaluationPoint, extended: bool, case: ShareCase
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a and b of the variance a m + b m^2 of an outcome, and its mean over m.

    All families with log link have such a variance: two values of m give a and b.
    """
    family = fit.spec.family_of(case.outcome).record
    draws = parameter_draws_of(fit, point, case)
    if extended:
        draws = {name: values[..., None] for name, values in draws.items()}
    require_finite_variance(fit)
    one, two = (family.variance(np.array(m), draws, np.ones(1)) for m in (1.0, 2.0))
    quadratic = (two - 2 * one) / 2
    return one - quadratic, quadratic, family.mean_factor(draws)


def require_finite_variance(fit: Fit) -> None:
    """Raise where draws give the outcome an infinite variance.

    Raises
    ------
    FitError
    """
    numbers: list[int | None] = [*range(len(fit.facts.outcomes))] or [None]
    families = [fit.spec.family_of(number).record for number in numbers]
    ones = [
        family.variance(np.array(1.0), parameter_draws_of(fit, case=ShareCase(number)), np.ones(1))
        for number, family in zip(numbers, families, strict=True)
        if family.response == "positive"
    ]
    infinite = float(np.mean(np.isinf(ones).any(axis=0))) if ones else 0.0
    if infinite:
        name = next(family.name for family in families if family.response == "positive")
        raise FitError(
            f"The variance of the family {quoted(name)} is infinite in {infinite:.0%} of "
            "the draws (a shape of 2 or less), so shares of it say nothing. Use "
            "bml.variance_components(fit), whose SDs are on the scale of log durations."
        )


def require_whole_units(fit: Fit, function: str) -> None:
    """Raise where twins share parts of a unit, so that no two rows are alike in one way.

    Raises
    ------
    FitError
    """
    if fit.spec.structure == "twins":
        raise FitError(
            f"{function} is not defined for twins: identical and fraternal pairs are alike to a "
            "different degree. Use bml.heritability(fit), which has the correlation of each."
        )


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


def between_variances(fit: Fit, point: EvaluationPoint, case: ShareCase = ONLY) -> np.ndarray:
    """Return z' Sigma z of every grouping that has main terms, shape (chains, draws, groupings)."""
    return np.stack(
        [
            varying_variance(
                *covariance_of_kind(fit, item, case.kind_of(item)), point.terms[item.name]
            )
            for item in fit.facts.main_groupings
        ],
        axis=-1,
    )


def _values(fit: Fit, name: str) -> np.ndarray:
    return np.asarray(fit.posterior[name].transpose("chain", "draw", ...).values, dtype=float)


def covariance_draws(fit: Fit, grouping: GroupingFacts) -> np.ndarray:
    """Return Sigma of one grouping's terms, shape (chains, draws, terms, terms)."""
    sd, corr = sds_by_kind(fit, grouping), correlations_by_kind(fit, grouping)
    if corr is None:
        corr = np.eye(sd.shape[-1])
    return sd[..., :, None] * corr * sd[..., None, :]


def mean_predictor(fit: Fit, point: EvaluationPoint, outcome: int | None = None) -> np.ndarray:
    """Return the linear predictor at the point, without random effects and cutpoints.

    Returns
    -------
    array, shape (chains, draws)
    """
    sizes = (fit.posterior.sizes["chain"], fit.posterior.sizes["draw"])
    eta = np.full(sizes, mean_offset(fit, outcome))
    if "beta" in fit.posterior:
        eta += fit.coefficient_draws @ point.coefficients
    return eta
