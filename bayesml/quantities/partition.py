"""The variance of an outcome, divided among its groupings and level 1."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# The trapezoidal rule at NODES points of (-REACH, REACH) integrates smooth functions of a normal
# variable to rounding error, and logistic ones of an SD of 30 to about 1e-5.
NODES = 401
REACH = 10.0
HERMITE_TERMS = 80
# Draws of 401 nodes in a block: 13 MB an array.
_BLOCK = 4_000


@dataclass(frozen=True)
class VariancePartition:
    """Shares of the variance, and what rows in common units have in common.

    Parameters
    ----------
    shares : array, shape (..., groupings)
        VPC: each grouping's share of the variance.
    interaction : array, shape (...)
        Share that crossed groupings have only together; 0 where effects add up.
    level1 : array, shape (...)
        Share of level 1. Shares, interaction and level 1 add up to 1.
    correlations : array, shape (..., groupings)
        ICC: correlation of two rows that share a unit of the grouping, and hence the units of all
        groupings that contain it.
    """

    shares: np.ndarray
    interaction: np.ndarray
    level1: np.ndarray
    correlations: np.ndarray


def varying_variance(sd: np.ndarray, corr: np.ndarray | None, z: np.ndarray) -> np.ndarray:
    """Return the variance that varying terms give a row: z' Sigma z.

    Sigma = diag(sd) R diag(sd); Goldstein, Browne & Rasbash (2002),
    doi:10.1207/S15328031US0104_02.

    Parameters
    ----------
    sd : array, shape (..., terms)
        SDs of the terms.
    corr : array, shape (..., terms, terms), or None
        Correlations R, None where the terms are independent.
    z : array, shape (terms,)
        The row's values of the terms.

    Returns
    -------
    array, shape (...)
        Squared units of the linear predictor.

    Examples
    --------
    >>> R = np.array([[1.0, 0.5], [0.5, 1.0]])
    >>> float(varying_variance(np.array([2.0, 1.0]), R, np.array([1.0, 3.0])))
    19.0
    """
    scaled = np.asarray(sd, dtype=float) * np.asarray(z, dtype=float)
    if corr is None:
        return (scaled**2).sum(axis=-1)
    variance = np.einsum("...i,...ij,...j->...", scaled, corr, scaled)
    # Rounding may leave a variance of 0 a little below it.
    return np.maximum(variance, 0.0)


def linear_partition(
    between: np.ndarray, level1: np.ndarray | float, containing: np.ndarray
) -> VariancePartition:
    """Return the partition where effects add up on the scale of the linear predictor.

    VPC_g = s2_g / (sum of all s2 + s2_1), and the ICC of g is the sum of the VPCs of g and of the
    groupings that contain it. Level 1 is the residual variance, or that of the latent outcome:
    pi^2 / 3 (logit), 1 (probit), pi^2 / 6 (complementary log-log); Goldstein, Browne & Rasbash
    (2002), doi:10.1207/S15328031US0104_02.

    Parameters
    ----------
    between : array, shape (..., groupings)
        Variance of each grouping.
    level1 : array, shape (...), or float
        Level-1 variance; where it is infinite, it has the whole variance.
    containing : array of bool, shape (groupings, groupings)
        ``containing[g, h]``: each unit of g lies in one unit of h.

    Returns
    -------
    VariancePartition
        NaN where the whole variance is 0.

    Examples
    --------
    >>> linear_partition(np.array([1.0, 2.0]), 1.0, np.zeros((2, 2), bool)).shares.tolist()
    [0.25, 0.5]
    """
    parts = np.asarray(between, dtype=float)
    level1 = np.broadcast_to(np.asarray(level1, dtype=float), parts.shape[:-1])
    total = parts.sum(axis=-1) + level1
    with np.errstate(all="ignore"):
        shares = parts / total[..., None]
        own = 1 / (1 + parts.sum(axis=-1) / level1)
    shared = np.asarray(containing, dtype=float) + np.eye(parts.shape[-1])
    return VariancePartition(shares, np.zeros_like(own), own, shares @ shared.T)


def log_link_partition(
    between: np.ndarray,
    eta: np.ndarray,
    containing: np.ndarray,
    linear: np.ndarray | float = 1.0,
    quadratic: np.ndarray | float = 0.0,
    factor: np.ndarray | float = 1.0,
) -> VariancePartition:
    """Return the exact partition of an outcome with log link and normal random effects.

    With S the sum of the variances s2 on the log scale, m = exp(eta + u) has the mean
    M = exp(eta + S / 2). Given m the outcome has the mean f m and the variance a m + b m^2: a
    Poisson outcome f = a = 1, b = 0, a negative binomial one b = 1 / shape. Level 1 has therefore
    the variance a M + b M^2 exp(S), and two rows have the covariance
    f^2 M^2 (exp(s2 of their common units) - 1). The ICC of a grouping g whose containing groupings
    have the variance C is f^2 M^2 (exp(C + s2_g) - 1) over the total, level 1 plus
    f^2 M^2 (exp(S) - 1), and its VPC is what g adds to the groupings that contain it,
    f^2 M^2 exp(C) (exp(s2_g) - 1) over the total. Crossed effects multiply: what no grouping has
    alone is the interaction.

    Stryhn, Sanchez, Morley, Booker & Dohoo (2006), Interpretation of variance parameters in
    multilevel Poisson regression models, 11th ISVEE. Leckie, Browne, Goldstein, Merlo & Austin
    (2020), Partitioning variation in multilevel models for count data, doi:10.1037/met0000265.

    Parameters
    ----------
    between : array, shape (..., groupings)
        Variance of each grouping, on the log scale.
    eta : array, shape (...)
        Linear predictor without random effects, with the offset.
    containing : array of bool, shape (groupings, groupings)
        ``containing[g, h]``: each unit of g lies in one unit of h.
    linear, quadratic, factor : array, shape (...), or float
        a, b and f.

    Returns
    -------
    VariancePartition

    Examples
    --------
    >>> found = log_link_partition(np.array([[np.log(2.0)]]), np.zeros(1), np.zeros((1, 1), bool))
    >>> round(float(found.level1[0]), 4)  # m = sqrt(2): m / (m + m^2)
    0.4142
    """
    parts = np.asarray(between, dtype=float)
    whole = parts.sum(axis=-1)
    outer = parts @ np.asarray(containing, dtype=float).T
    with np.errstate(all="ignore"):
        # All variances are divided by f^2 M^2 exp(S), so that none overflows: that of level 1 is
        # a / (f^2 M exp(S)) + b / f^2.
        level1 = linear * np.exp(-np.asarray(eta, dtype=float) - 1.5 * whole)
        level1 = (level1 + quadratic) / np.square(factor)
        total = level1 - np.expm1(-whole)
        rest = whole[..., None] - outer - parts
        shares = -np.expm1(-parts) * np.exp(-rest) / total[..., None]
        correlations = -np.expm1(-outer - parts) * np.exp(-rest) / total[..., None]
        # 1 / (1 + x / level1) also holds where level 1 is infinite: a mean of almost 0.
        own = 1 / (1 - np.expm1(-whole) / level1)
    interaction = np.maximum(1 - own - shares.sum(axis=-1), 0.0)
    return VariancePartition(shares, interaction, own, correlations)


def binary_partition(
    between: np.ndarray,
    eta: np.ndarray,
    containing: np.ndarray,
    probability: Callable[[np.ndarray], np.ndarray],
    dispersion: np.ndarray | float = 1.0,
) -> VariancePartition:
    """Return the partition of a 0/1 outcome on its own scale, with normal random effects.

    The outcome is 1 with probability p = h(eta + u), where u has the variance S, the sum of the
    variances s2. Its variance m (1 - m), m = E p, is E p (1 - p) at level 1 and Var p between
    units. Rows that share effects of the variance c have the covariance
    K(c) = sum over k >= 1 of a_k^2 (c / S)^k, where a_k are the coefficients of h(eta + u) in
    normalised Hermite polynomials of u / sqrt(S) (Mehler's formula). With C the variance of the
    groupings that contain g, the ICC of g is K(C + s2_g) / (m (1 - m)), and its VPC is
    (K(C + s2_g) - K(C)) / (m (1 - m)). Crossed effects act together too: what no grouping has
    alone is the interaction.

    This is what the simulation of Goldstein, Browne & Rasbash (2002),
    doi:10.1207/S15328031US0104_02, tends to. It is integrated numerically here, without Monte
    Carlo noise: the trapezoidal rule at 401 points, and 80 polynomials.

    Parameters
    ----------
    between : array, shape (..., groupings)
        Variance of each grouping, on the scale of the linear predictor.
    eta : array, shape (...)
        Linear predictor without random effects, with the offset.
    containing : array of bool, shape (groupings, groupings)
        ``containing[g, h]``: each unit of g lies in one unit of h.
    probability : callable
        The inverse link h, elementwise.
    dispersion : array, shape (...), or float
        The variance of the outcome given p over p (1 - p): 1 / (1 + phi) of a beta outcome, 1 of
        0/1 outcomes.

    Returns
    -------
    VariancePartition
        NaN where the outcome does not vary.

    Examples
    --------
    >>> from scipy.special import expit
    >>> found = binary_partition(np.array([1.0]), np.array(0.0), np.zeros((1, 1), bool), expit)
    >>> round(float(found.shares[0]), 3)  # on the latent scale 1 / (1 + pi^2 / 3) = 0.233
    0.174
    """
    parts = np.asarray(between, dtype=float)
    groupings = parts.shape[-1]
    flat = parts.reshape(-1, groupings)
    centre = np.broadcast_to(np.asarray(eta, dtype=float), parts.shape[:-1]).reshape(-1)
    outer = flat @ np.asarray(containing, dtype=float).T
    points = np.linspace(-REACH, REACH, NODES)
    weights = np.exp(-(points**2) / 2)
    weights /= weights.sum()
    basis = _hermite(points, HERMITE_TERMS) * weights[:, None]
    blocks = []
    for start in range(0, len(flat), _BLOCK):
        block = slice(start, start + _BLOCK)
        sums = flat[block].sum(axis=1)
        p = probability(centre[block, None] + np.sqrt(sums)[:, None] * points)
        level1 = (p * (1 - p)) @ weights
        p -= (p @ weights)[:, None]
        spread = p**2 @ weights
        squared = (p @ basis) ** 2
        # What the series leaves out is small, and belongs to the powers beyond it.
        rest = np.maximum(spread - squared.sum(axis=1), 0.0)
        series = np.column_stack([squared, rest])
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = np.where(sums > 0, 1 / sums, 0.0)[:, None]
            common = _power_series(series, (outer[block] + flat[block]) * scale)
            before = _power_series(series, outer[block] * scale)
            total = (level1 + spread)[:, None]
            blocks.append(
                np.column_stack([(common - before) / total, common / total, level1 / total[:, 0]])
            )
    found = np.concatenate(blocks).reshape(*parts.shape[:-1], 2 * groupings + 1)
    # What is told as shares of m (1 - m) becomes shares of what the outcome varies.
    own = found[..., -1] * dispersion
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 1 / (1 - found[..., -1] + own)
        found = found * np.asarray(scale)[..., None]
        own = own * scale
    shares = found[..., :groupings]
    interaction = np.maximum(1 - own - shares.sum(axis=-1), 0.0)
    return VariancePartition(shares, interaction, own, found[..., groupings:-1])


def _hermite(points: np.ndarray, terms: int) -> np.ndarray:
    """Return the Hermite polynomials of degree 1, 2, ..., orthonormal under the normal density."""
    table = np.ones((terms + 1, len(points)))
    table[1] = points
    for degree in range(1, terms):
        last = points * table[degree] - np.sqrt(degree) * table[degree - 1]
        table[degree + 1] = last / np.sqrt(degree + 1)
    return table[1:].T


def _power_series(coefficients: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return sum over k >= 1 of coefficients[:, k - 1] x^k for every column of x (Horner)."""
    # Rounding may take a share of variance a little beyond 1.
    x = np.clip(x, 0.0, 1.0)
    total = np.zeros_like(x)
    for column in coefficients.T[::-1]:
        total = (total + column[:, None]) * x
    return total
