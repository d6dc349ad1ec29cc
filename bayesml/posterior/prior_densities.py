"""The log prior density of a fit's hyper-parameters in every draw, prior by prior."""

from collections.abc import Mapping

import numpy as np

from bayesml.posterior.effect_distributions import correlations_by_kind, sds_by_kind
from bayesml.posterior.predictor_arrays import predictor_coefficients
from bayesml.records.facts import PartFacts
from bayesml.records.fits import Fit
from bayesml.records.prior_rows import ABOVE_2
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
        ``"beta[<category>:<coefficient>]"``, and the likelihood's parameters, or
        ``"Intercept_<parameter>"`` and
        ``"beta_<parameter>"`` of those with a formula of their own.
    """
    texts = prior_texts_of(fit)
    facts, posterior = fit.facts, fit.posterior
    found: dict[str, np.ndarray] = {}
    shift = np.zeros((posterior.sizes["chain"], posterior.sizes["draw"]))
    if "beta" in posterior and not facts.nominal:
        beta = _values(fit, "beta")
        # With an intercept this is the intercept at the mean of the predictors, for cutpoints the
        # shift that the means make.
        at_mean = beta @ np.array(facts.coefficient_means)
        shift = at_mean
        slopes = [number for number, label in enumerate(facts.coefficients) if label != "Intercept"]
        if "Intercept" in texts:
            found["Intercept"] = _density(texts["Intercept"], "real", at_mean)
        if slopes:
            found["beta"] = sum(
                (
                    _density(
                        texts[f"beta[{facts.coefficients[number]}]"], "real", beta[..., number]
                    )
                    for number in slopes
                ),
                np.zeros_like(shift),
            )
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
            above = _values(fit, f"nu_{grouping.identifier}") - 2
            found[key] = _density(texts[key].removesuffix(ABOVE_2), "positive", above)
    shift = shift[..., None]
    for part in facts.parts:
        if facts.nominal:
            found |= _category_densities(fit, part, texts)
        else:
            found |= _part_densities(fit, part, texts)
        if part.category_specific:
            shift = shift + _values(fit, "beta_cs") @ np.array(part.coefficient_means)
    for parameter in fit.spec.scalar_parameters:
        values = _values(fit, parameter.name)
        if parameter.name == "cutpoints":
            values = values - shift
        density = _density(texts[parameter.name], parameter.support, values)
        found[parameter.name] = density.reshape(*density.shape[:2], -1).sum(axis=-1)
    return found


def _part_densities(fit: Fit, part: PartFacts, texts: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return the densities of a part's intercept (at the mean of its predictors) and slopes."""
    found: dict[str, np.ndarray] = {}
    name = f"beta_{part.parameter}"
    if not part.coefficients:
        return found
    beta = _values(fit, name)
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


def _values(fit: Fit, name: str) -> np.ndarray:
    return np.asarray(fit.posterior[name].transpose("chain", "draw", ...).values, dtype=float)


def _density(text: str, support: Support, values: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(parse_prior(text, support).frozen.logpdf(values), dtype=float)
