"""From a resolved Gaussian model to the arrays of its marginal density, or a reason why not."""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaln

from bayesml.design.resolving import Design
from bayesml.engines.density_kernels import PRIOR_CODES, Density, prior_kernel
from bayesml.engines.elimination import Elimination, TooLarge, eliminate
from bayesml.engines.linear_models import (
    LinearModel,
    Standardised,
    per_grouping,
    rounding_of_squares,
    standardise,
    variance_within,
)
from bayesml.engines.meetings import GroupingArrays
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
        return len(density.term_scale) + len(density.correlation_power) + 1 + len(self.sampled)


def reason_against(resolved: ResolvedSpec) -> str:
    """Return why a model cannot be drawn from its marginal density; empty where it can.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> reason_against(bml.two_level(exam, "normexam ~ 1", group="school").resolved)
    ''
    """
    if resolved.family.name != "gaussian" or resolved.spec.link != "identity":
        return f"random effects of a {resolved.family.name} outcome have no exact integral"
    if resolved.residual is not None:
        return f"its residuals are correlated ({resolved.residual.residual.text})"
    if resolved.outcomes:
        return f"every {resolved.outcome_dim} has a residual SD of its own"
    if resolved.parts:
        names = " and ".join(part.parameter for part in resolved.parts)
        return f"{names} has a linear predictor of its own, so rows do not share one residual SD"
    positive = [
        (f"sd_{grouping.name}[{term}]", prior)
        for grouping in resolved.groupings
        for term, prior in zip(grouping.terms, grouping.sd_priors, strict=True)
    ]
    for key, prior in [*positive, *resolved.parameter_priors.items()]:
        if prior.distribution not in PRIOR_CODES:
            return f"the prior {prior.text} of {key} is not among those of the marginal engine"
    for key, prior in zip(resolved.coefficients, _coefficient_priors(resolved), strict=True):
        if prior.distribution not in {"Normal", *PRIOR_CODES}:
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
            GroupingArrays(len(part.units.labels), part.units.index, part.units.weights, part.terms)
            for part in design.varying
        ),
        blocks=tuple(part.blocks for part in design.varying),
    )


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
        elimination = eliminate(arrays.fixed[:, ordered], arrays.groupings)
    except TooLarge as error:
        raise NotMarginal(str(error)) from None
    return MarginalModel(
        resolved,
        linear,
        arrays,
        elimination,
        _density(resolved, linear, arrays, integrated, sampled),
        integrated,
        sampled,
    )


def _coefficient_priors(resolved: ResolvedSpec) -> list[Prior]:
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
        shift[0] = arrays.outcome_mean
    location = np.array([(priors[i].values[0] - shift[i]) * scale[i] for i in integrated])
    precision = np.array([1 / (priors[i].values[1] * scale[i]) ** 2 for i in integrated])
    positive = [prior for grouping in resolved.groupings for prior in grouping.sd_priors]
    positive += [resolved.parameter_priors["sigma"]]
    codes, arguments, constant = _coded(positive)
    sampled_codes, sampled_arguments, sampled_constant = _coded([priors[i] for i in sampled])
    power, correlation_constant = _correlation_priors(resolved)
    rows = len(linear.outcome)
    constant += sampled_constant + correlation_constant - np.log(scale[sampled]).sum()
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
    )


def _coded(priors: list[Prior]) -> tuple[np.ndarray, np.ndarray, float]:
    """Return codes and arguments of priors, and the sum of the constants of their densities."""
    codes = np.array([PRIOR_CODES[prior.distribution] for prior in priors], dtype=np.int64)
    arguments = np.ones((len(priors), 3))
    constant = 0.0
    for row, prior in enumerate(priors):
        arguments[row, : len(prior.values)] = prior.values
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
    constant = -((2 * power - 1) * np.log(2) + betaln(power, power)).sum()
    return power, float(constant)


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
            out[f"corr_{grouping.identifier}"] = _correlations(
                thetas[:, angle : angle + count], grouping.blocks
            )
        angle += count
    out["sigma"] = np.exp(thetas[:, terms + angles])
    return out


def _correlations(angles: np.ndarray, blocks: tuple[int, ...]) -> np.ndarray:
    size = sum(blocks)
    factor = np.zeros((len(angles), size, size))
    first, place = 0, 0
    for block in blocks:
        for row in range(first, first + block):
            left = np.ones(len(angles))
            for column in range(first, row):
                x = angles[:, place]
                factor[:, row, column] = np.tanh(x) * left
                left = left / np.cosh(np.clip(x, -350, 350))
                place += 1
            factor[:, row, row] = left
        first += block
    corr = factor @ factor.transpose(0, 2, 1)
    diagonal = np.arange(size)
    corr[:, diagonal, diagonal] = 1.0
    return np.clip(corr, -1.0, 1.0)
