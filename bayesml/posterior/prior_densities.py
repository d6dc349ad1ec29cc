"""The log prior density of a fit's hyper-parameters in every draw, prior by prior."""

from collections.abc import Mapping

import numpy as np

from bayesml.posterior.effect_distributions import correlations_by_kind, sds_by_kind
from bayesml.posterior.outcome_parameters import variable_values
from bayesml.posterior.predictor_arrays import predictor_coefficients
from bayesml.posterior.residual_fits import residual_record
from bayesml.records.facts import PartFacts, outcome_places
from bayesml.records.fits import Fit
from bayesml.records.prior_rows import ABOVE_2, AT_DISTANCE
from bayesml.specs.distributions import Prior, Support, parse_prior


def prior_texts_of(fit: Fit) -> dict[str, str]:
    """Return the text of every prior by its key, such as ``"sd_school[Intercept]"``."""
    return {key: text for key, text, _ in fit.facts.priors}


def log_prior_densities(fit: Fit) -> dict[str, np.ndarray]:
    """Return the log prior density of the hyper-parameters in every draw, by component.

    The densities are those of the priors as they are written: of SDs, of sigma, of the intercept
    and the cutpoints at the mean of the predictors, and of correlation matrices (LKJ, det(R) to
    the power eta - 1), up to a constant. The density of the random effects given their SDs is part
    of the model, not a prior to be doubted, and not among them.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    dict of str to array, shape (chains, draws)
        Keys ``"Intercept"``, ``"beta"`` (all other coefficients), ``"sd_<grouping>"``,
        ``"corr_<grouping>"``, of a nominal outcome ``"Intercept[<category>]"`` and
        ``"beta[<category>:<coefficient>]"``, of several outcomes ``"Intercept[<outcome>]"``, the
        likelihood's parameters, or ``"Intercept_<parameter>"`` and ``"beta_<parameter>"`` of those
        with a formula of their own, and ``"phi"`` or ``"corr_residual"``.
    """
    texts = prior_texts_of(fit)
    facts, posterior = fit.facts, fit.posterior
    found: dict[str, np.ndarray] = {}
    shift = np.zeros((posterior.sizes["chain"], posterior.sizes["draw"]))
    if "beta" in posterior and not facts.nominal:
        found |= _coefficient_densities(fit, texts)
        # For cutpoints this is the shift that the means of the predictors make.
        shift = _at_mean(fit, 0) if not facts.outcomes else shift
    for grouping in facts.groupings:
        sd = sds_by_kind(fit, grouping)
        key = f"sd_{grouping.name}"
        found[key] = sum(
            (
                _density(texts[f"{key}[{label}]"], "positive", sd[..., number])
                for number, label in enumerate(grouping.sd_labels)
            ),
            np.zeros_like(shift),
        )
        if grouping.correlated:
            key = f"corr_{grouping.name}"
            (eta,) = parse_prior(texts[key], "correlation").values
            corr = correlations_by_kind(fit, grouping)
            assert corr is not None
            # The determinant of a block-diagonal matrix is the product over its blocks.
            found[key] = (eta - 1) * np.linalg.slogdet(corr)[1]
        if grouping.student:
            key = f"nu_{grouping.name}"
            above = variable_values(fit, f"nu_{grouping.identifier}") - 2
            found[key] = _density(texts[key].removesuffix(ABOVE_2), "positive", above)
    shift = shift[..., None]
    for part in facts.parts:
        if facts.nominal:
            found |= _category_densities(fit, part, texts)
        else:
            found |= _part_densities(fit, part, texts)
        if part.category_specific:
            shift = shift + variable_values(fit, "beta_cs") @ np.array(part.coefficient_means)
    for parameter in fit.spec.scalar_parameters:
        if parameter.name == "cutpoints" and facts.ordered:
            found["cutpoints"] = _cutpoint_densities(fit, texts)
            continue
        values = variable_values(fit, parameter.name)
        if parameter.name == "cutpoints":
            values = values - shift
        keys = [key for key in texts if key.startswith(f"{parameter.name}[")]
        if keys:
            # Outcomes, or occasions, have a value each, with a prior of its own.
            found[parameter.name] = np.sum(
                [
                    _density(texts[key], parameter.support, values[..., number])
                    for number, key in enumerate(keys)
                ],
                axis=0,
            )
            continue
        density = _density(texts[parameter.name], parameter.support, values)
        found[parameter.name] = density.reshape(*density.shape[:2], -1).sum(axis=-1)
    return found | _residual_densities(fit, texts)


def _coefficient_densities(fit: Fit, texts: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return the densities of the intercept, or those of several outcomes, and of all slopes.

    The intercept's prior holds at the mean of the predictors over the outcome's own rows.
    """
    facts, beta = fit.facts, fit.coefficient_draws
    labels = facts.coefficients
    found: dict[str, np.ndarray] = {}
    for number, outcome in enumerate(facts.outcomes or ("",)):
        key = f"Intercept[{outcome}]" if outcome else "Intercept"
        if key in texts:
            found[key] = _density(texts[key], "real", _at_mean(fit, number))
    slopes = [number for number, label in enumerate(labels) if f"beta[{label}]" in texts]
    if slopes:
        found["beta"] = np.sum(
            [_density(texts[f"beta[{labels[n]}]"], "real", beta[..., n]) for n in slopes], axis=0
        )
    return found


def _cutpoint_densities(fit: Fit, texts: Mapping[str, str]) -> np.ndarray:
    """Return the density of the cutpoints of all ordered outcomes among several.

    Their priors hold at the mean of the predictors over the outcome's own rows.
    """
    posterior = fit.posterior
    total = np.zeros((posterior.sizes["chain"], posterior.sizes["draw"]))
    for item in fit.facts.ordered:
        at_mean = variable_values(fit, item.variable) - _at_mean(fit, item.outcome)[..., None]
        text = texts[f"cutpoints[{fit.facts.outcomes[item.outcome]}]"]
        total += _density(text, "real", at_mean).sum(axis=-1)
    return total


def _at_mean(fit: Fit, number: int) -> np.ndarray:
    """Return X beta at the mean of the predictors over an outcome's own rows, (chains, draws)."""
    facts = fit.facts
    labels, means = list(facts.coefficients), np.array(facts.coefficient_means)
    if not facts.outcomes:
        return fit.coefficient_draws @ means
    places = outcome_places(facts, labels, number)
    # The means are over the rows of all outcomes, of which the outcome's are this share.
    share = means[labels.index(f"{facts.outcomes[number]}:Intercept")]
    return fit.coefficient_draws[..., places] @ (means[places] / share)


def _residual_densities(fit: Fit, texts: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return the density of what correlates the residuals of rows, if anything does."""
    record = residual_record(fit.spec)
    if record is None:
        return {}
    values, text = variable_values(fit, record.parameter), texts[record.parameter]
    if record.bounds is None:
        (eta,) = parse_prior(text, "correlation").values
        return {record.parameter: (eta - 1) * np.linalg.slogdet(values)[1]}
    text, _, distance = text.partition(AT_DISTANCE)
    return {record.parameter: _density(text, "bounded", values ** float(distance or 1))}


def _part_densities(fit: Fit, part: PartFacts, texts: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return the densities of a part's intercept (at the mean of its predictors) and slopes."""
    found: dict[str, np.ndarray] = {}
    name = f"beta_{part.parameter}"
    if not part.coefficients:
        return found
    beta = variable_values(fit, name)
    intercept = f"Intercept_{part.parameter}"
    if intercept in texts:
        found[intercept] = _density(
            texts[intercept], "real", beta @ np.array(part.coefficient_means)
        )
    slopes = [number for number, label in enumerate(part.coefficients) if label != "Intercept"]
    if slopes:
        found[name] = np.sum(
            [
                _density(
                    texts[f"{name}[{part.coefficients[number]}]"], "real", beta[..., number]
                ).reshape(*beta.shape[:2], -1)
                for number in slopes
            ],
            axis=(0, -1),
        )
    return found


def _category_densities(
    fit: Fit, category: PartFacts, texts: Mapping[str, str]
) -> dict[str, np.ndarray]:
    """Return the densities of a category's intercept (at the mean of the predictors) and slopes."""
    found: dict[str, np.ndarray] = {}
    beta = predictor_coefficients(fit, category.parameter)
    key = f"Intercept[{category.parameter}]"
    if key in texts:
        at_mean = beta @ np.array(category.coefficient_means)
        found[key] = _density(texts[key], "real", at_mean)
    for number, label in enumerate(category.coefficients):
        if label != "Intercept":
            key = f"beta[{category.parameter}:{label}]"
            found[key] = _density(texts[key], "real", beta[..., number])
    return found


def widened_prior(text: str, support: Support) -> str:
    """Return a prior twice as wide, as text; empty where that is not one number's affair.

    Examples
    --------
    >>> widened_prior("HalfStudentT(4, 0.5)", "positive"), widened_prior("LKJ(2)", "correlation")
    ('HalfStudentT(4, 1)', 'LKJ(1)')
    """
    prior = parse_prior(text, support)
    factors: Mapping[str, tuple[float, ...]] = {
        "Normal": (1, 2),
        "StudentT": (1, 1, 2),
        "Cauchy": (1, 2),
        "Laplace": (1, 2),
        "HalfNormal": (2,),
        "HalfStudentT": (1, 2),
        "HalfCauchy": (2,),
        "Exponential": (0.5,),
        "LKJ": (0.5,),
    }
    if prior.distribution not in factors:
        return ""
    values = zip(prior.values, factors[prior.distribution], strict=True)
    return Prior(prior.distribution, tuple(value * factor for value, factor in values)).text


def _density(text: str, support: Support, values: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(parse_prior(text, support).frozen.logpdf(values), dtype=float)
