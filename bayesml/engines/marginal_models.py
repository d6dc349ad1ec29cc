"""From a resolved Gaussian model to the arrays of its marginal density, or a reason why not."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaln

from bayesml.design.designs import Design
from bayesml.engines.density_kernels import (
    BOUNDED_CODES,
    FLAT_LOG,
    NO_PRIOR,
    PRIOR_CODES,
    Density,
    prior_kernel,
)
from bayesml.engines.elimination import Elimination, TooLarge
from bayesml.engines.linear_models import (
    LinearModel,
    Standardised,
    eliminated,
    per_grouping,
    rounding_of_squares,
    standardise,
    variance_within,
)
from bayesml.engines.meetings import GroupingArrays, in_order
from bayesml.engines.residual_classes import ALIKE, rows_apart
from bayesml.engines.residual_models import (
    MOST_STRATA,
    coded_priors,
    named_residuals,
    reason_against_residuals,
    residual_classes,
    residual_priors_of,
    sigma_prior,
)
from bayesml.quantities.correlation_matrices import correlations_of_angles
from bayesml.specs.distributions import Prior
from bayesml.specs.resolved import ResolvedSpec

# Error of the log-density by rounding, from which on a model is declined: it moves no posterior.
MOST_ROUNDING = 1e-4


class NotMarginal(Exception):
    """The random effects of a model cannot be integrated out exactly; says why."""


@dataclass(frozen=True)
class MarginalModel:
    """A Gaussian model whose random effects and Normal coefficients are integrated out.

    Parameters
    ----------
    resolved : ResolvedSpec
    design : Design
    linear : LinearModel
        Arrays on the user's scale.
    standardised : Standardised
        Centred and scaled arrays.
    elimination : Elimination
    density : Density
        What the kernels read beside the cross-products.
    integrated, sampled : arrays of int
        Positions among the coefficients.
    """

    resolved: ResolvedSpec
    design: Design
    linear: LinearModel
    standardised: Standardised
    elimination: Elimination
    density: Density
    integrated: np.ndarray
    sampled: np.ndarray

    @property
    def dimensions(self) -> int:
        """Number of parameters that are sampled."""
        density = self.density
        before = len(density.term_scale) + len(density.correlation_power) + 1
        return before + len(self.sampled) + len(density.residuals.kind)


def reason_against(resolved: ResolvedSpec) -> str:
    """Return why a model cannot be drawn from its marginal density; empty where it can.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> reason_against(bml.two_level(exam, "normexam ~ 1", group="school").resolved)
    ''
    """
    if resolved.outcome_identifiers:
        return f"outcomes of different families ({resolved.spec.family}) have no exact integral"
    if resolved.family.name != "gaussian" or resolved.spec.link != "identity":
        return f"random effects of a {resolved.family.name} outcome have no exact integral"
    reason = reason_against_residuals(resolved)
    if reason:
        return reason
    for grouping in resolved.groupings:
        if grouping.student:
            return f"Student-t effects of {grouping.name} have no exact integral"
        if grouping.kinds:
            return f"the units of {grouping.name} have SDs by {grouping.by}"
    positive = [
        (f"sd_{grouping.name}[{term}]", prior)
        for grouping in resolved.groupings
        for term, prior in zip(grouping.terms, grouping.sd_priors, strict=True)
    ]
    sigma = sigma_prior(resolved)
    if sigma is not None:
        positive.append(("sigma", sigma))
    for key, prior in [*positive, *residual_priors_of(resolved)]:
        if prior.distribution not in {*PRIOR_CODES, *BOUNDED_CODES} or (
            prior.distribution in BOUNDED_CODES and key not in ("phi", "corr_residual")
        ):
            return f"the prior {prior.text} of {key} is not among those of the marginal engine"
    for key, prior in zip(resolved.coefficients, _coefficient_priors(resolved), strict=True):
        if prior.distribution not in PRIOR_CODES:
            return f"the prior {prior.text} of {key} is not among those of the marginal engine"
    return ""


def linear_model(resolved: ResolvedSpec, design: Design) -> LinearModel:
    """Return the arrays of a Gaussian model."""
    return LinearModel(
        outcome=np.asarray(design.response.values, dtype=float),
        offset=design.offset,
        predictors=design.fixed.values,
        intercept=resolved.intercept,
        groupings=tuple(
            in_order(
                GroupingArrays(
                    len(part.units.labels), part.units.index, part.units.weights, part.terms
                )
            )
            for part in design.varying
        ),
        blocks=tuple(part.blocks for part in design.varying),
        number=None if design.outcomes is None else design.outcomes.number,
        residual=residual_classes(resolved, design),
    )


def reason_of_rows(linear: LinearModel) -> str:
    """Return what in the rows keeps the residuals from being classes of rows; else empty."""
    residual = linear.residual
    if residual is None:
        return ""
    if len(residual.residuals.log_sd) > MOST_STRATA:
        return (
            f"sigma takes {len(residual.residuals.log_sd)} different values, and {MOST_STRATA} is "
            "the limit: its predictors must be groups of rows"
        )
    if rows_apart(residual, linear.groupings):
        return "rows with correlated residuals belong to different units of a grouping"
    return ""


def marginal_model(resolved: ResolvedSpec, design: Design) -> MarginalModel:
    """Return the marginal density of a Gaussian model.

    Parameters
    ----------
    resolved : ResolvedSpec
    design : Design

    Returns
    -------
    MarginalModel

    Raises
    ------
    NotMarginal
        The outcome is not Gaussian, a prior is not among those that the kernels know, too many
        random effects are entangled, or sums of squares would lose their digits.
    """
    reason = reason_against(resolved)
    if reason:
        raise NotMarginal(reason)
    linear = linear_model(resolved, design)
    reason = reason_of_rows(linear)
    if reason:
        raise NotMarginal(reason)
    arrays = standardise(linear)
    if rounding_of_squares(arrays, variance_within(arrays)) > MOST_ROUNDING:
        raise NotMarginal(
            "the outcome is so large beside what predictors and units leave of it that sums of "
            "squares lose their digits (an intercept, or an outcome that is centred, would help)"
        )
    priors = _coefficient_priors(resolved)
    normal = np.array([prior.distribution == "Normal" for prior in priors], dtype=bool)
    integrated, sampled = np.flatnonzero(normal), np.flatnonzero(~normal)
    ordered = np.concatenate([integrated, sampled, [len(priors)]]).astype(int)
    try:
        elimination = eliminated(linear, arrays.fixed[:, ordered], arrays.groupings)
    except TooLarge as error:
        raise NotMarginal(str(error)) from None
    return MarginalModel(
        resolved,
        design,
        linear,
        arrays,
        elimination,
        _density(resolved, linear, arrays, integrated, sampled),
        integrated,
        sampled,
    )


def _coefficient_priors(resolved: ResolvedSpec) -> list[Prior]:
    if resolved.outcomes:
        width = len(resolved.slopes)
        found: list[Prior] = []
        for k in range(len(resolved.outcomes)):
            found += resolved.intercept_priors[k : k + 1]
            found += resolved.slope_priors[k * width : (k + 1) * width]
        return found
    first = [] if resolved.intercept_prior is None else [resolved.intercept_prior]
    return [*first, *resolved.slope_priors]


def _density(
    resolved: ResolvedSpec,
    linear: LinearModel,
    arrays: Standardised,
    integrated: np.ndarray,
    sampled: np.ndarray,
) -> Density:
    priors = _coefficient_priors(resolved)
    scale = arrays.predictor_scale
    # Prior locations refer to y and the predictors' means; internally the outcome's mean is 0.
    shift = np.zeros(len(priors))
    if resolved.intercept:
        shift[[own.start for own in arrays.own_columns]] = arrays.outcome_mean
    location = np.array([(priors[i].values[0] - shift[i]) * scale[i] for i in integrated])
    precision = np.array([1 / (priors[i].values[1] * scale[i]) ** 2 for i in integrated])
    positive = [prior for grouping in resolved.groupings for prior in grouping.sd_priors]
    sigma = sigma_prior(resolved)
    positive += [] if sigma is None else [sigma]
    codes, arguments, constant = _coded(positive)
    if sigma is None:
        codes, arguments = np.append(codes, FLAT_LOG), np.append(arguments, np.ones((1, 3)), axis=0)
    own = coded_priors(resolved, linear.residual)
    residual_codes, residual_arguments, residual_constant = _coded(own.priors)
    first_angle = len(own.priors) - len(own.power)
    residual_arguments[first_angle:, 0] = own.power
    residual_constant += own.constant + _constant_of_angles(own.power)
    sampled_codes, sampled_arguments, sampled_constant = _coded([priors[i] for i in sampled])
    power, correlation_constant = _correlation_priors(resolved)
    rows = len(linear.outcome)
    constant += (
        residual_constant + sampled_constant + correlation_constant - np.log(scale[sampled]).sum()
    )
    constant += 0.5 * np.log(precision).sum() - 0.5 * rows * np.log(2 * np.pi)
    return Density(
        term_scale=arrays.term_scale,
        block_first=linear.block_first,
        correlation_power=power,
        prior_code=codes,
        prior_arguments=arguments,
        precision=precision,
        location=location,
        sampled_code=sampled_codes,
        sampled_arguments=sampled_arguments,
        sampled_scale=1 / scale[sampled],
        sampled_shift=shift[sampled],
        constant=np.array([float(rows), constant]),
        residual_code=residual_codes,
        residual_arguments=residual_arguments,
        residuals=ALIKE if linear.residual is None else linear.residual.residuals,
    )


def _coded(priors: Sequence[Prior | None]) -> tuple[np.ndarray, np.ndarray, float]:
    """Return codes and arguments of priors, and the sum of the constants of their densities."""
    known = PRIOR_CODES | BOUNDED_CODES
    codes = np.array(
        [NO_PRIOR if prior is None else known[prior.distribution] for prior in priors],
        dtype=np.int64,
    )
    arguments = np.ones((len(priors), 3))
    constant = 0.0
    for row, prior in enumerate(priors):
        if prior is None:
            continue
        values = prior.values[:2] if prior.distribution in BOUNDED_CODES else prior.values
        arguments[row, : len(values)] = values
        # The constant is what the density has beyond its kernel, compared near the median, where
        # neither is so large that their difference loses its digits.
        median = float(prior.frozen.ppf(0.5))
        x = median if abs(median) < 1e50 else 1.0
        kernel = prior_kernel(codes[row], arguments[row], x)[0]
        constant += float(prior.frozen.logpdf(x)) - kernel
    return codes, arguments, constant


def _correlation_priors(resolved: ResolvedSpec) -> tuple[np.ndarray, float]:
    """Return the powers of 1 - r^2 of the LKJ priors, partial correlation by partial correlation.

    The partial correlations of column j of a block of k terms are independent, each a Beta
    (eta + (k - 2 - j) / 2) stretched to (-1, 1).
    """
    powers = [
        grouping.eta + (size - 2 - column) / 2
        for grouping in resolved.groupings
        for size in grouping.blocks
        for row in range(size)
        for column in range(row)
    ]
    power = np.array(powers, dtype=float)
    return power, _constant_of_angles(power)


def _constant_of_angles(power: np.ndarray) -> float:
    return -float(((2 * power - 1) * np.log(2) + betaln(power, power)).sum())


def posterior_arrays(model: MarginalModel, thetas: np.ndarray) -> dict[str, np.ndarray]:
    """Return SDs, correlations and sigma on the user's scale.

    Parameters
    ----------
    model : MarginalModel
    thetas : array, shape (draws, dimensions)

    Returns
    -------
    dict of str to array
        ``sd_<grouping>``, ``corr_<grouping>``, ``sigma`` with draws first.
    """
    terms = len(model.density.term_scale)
    angles = len(model.density.correlation_power)
    out: dict[str, np.ndarray] = {}
    sds = per_grouping(np.exp(thetas[:, :terms]), model.linear.sizes)
    angle = terms
    for grouping, sd in zip(model.resolved.groupings, sds, strict=True):
        out[f"sd_{grouping.identifier}"] = sd
        count = sum(size * (size - 1) // 2 for size in grouping.blocks)
        if grouping.correlated:
            out[f"corr_{grouping.identifier}"] = correlations_of_angles(
                thetas[:, angle : angle + count], grouping.blocks
            )
        angle += count
    log_sigma = thetas[:, terms + angles]
    parameters = thetas[:, terms + angles + 1 + len(model.sampled) :]
    return out | named_residuals(
        model.resolved, model.design, model.density.residuals, log_sigma, parameters
    )
