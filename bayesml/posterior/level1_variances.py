"""The level-1 variance of a fit, and the parameters of the likelihood that set it."""

from collections.abc import Mapping

import numpy as np

from bayesml.errors import FitError, quoted
from bayesml.posterior.effect_distributions import covariance_of_kind
from bayesml.posterior.evaluation_point import EvaluationPoint
from bayesml.posterior.outcome_parameters import parameter_values, variable_values
from bayesml.posterior.share_cases import ONLY, ShareCase
from bayesml.quantities.partition import varying_variance
from bayesml.records.fits import Fit
from bayesml.specs.family_records import Family
from bayesml.specs.links import LINKS


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
            if item.name != "cutpoints"
        }
    found = {
        item.name: variable_values(fit, item.name)
        for item in fit.spec.scalar_parameters
        if fit.posterior[item.name].ndim == 2
    }
    if point is None:
        return found
    for part in fit.facts.parts:
        name = part.parameter
        eta = np.zeros((fit.posterior.sizes["chain"], fit.posterior.sizes["draw"]))
        if part.coefficients:
            eta += variable_values(fit, f"beta_{name}") @ point.parts[name]
        for item in fit.facts.groupings:
            if name == fit.spec.family_record.level1 and item.places(name):
                own = covariance_of_kind(fit, item, case.kind_of(item))
                eta += varying_variance(*own, point.part_terms[name][item.name])
        found[name] = LINKS[part.link].inverse(eta)
    return found


def variance_of_mean(
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


def dispersion_of_shares(
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


def averages_a_curve(fit: Fit) -> bool:
    """Return whether shares average a curve over effects, or need the mean of an exponential."""
    return any(
        item.link.name == "log"
        or item.record.response == "unit"
        or (
            item.record.level1
            and any(own.student and own.places(item.record.level1) for own in fit.facts.groupings)
        )
        for item in fit.spec.outcome_families
    )
