"""Leave-one-out predictive densities from the draws of one fit, by importance sampling.

Pareto smoothing of many rows at once: ArviZ's takes one at a time. Vehtari, Simpson, Gelman, Yao &
Gabry (2024), Pareto smoothed importance sampling, Journal of Machine Learning Research 25(72),
arXiv:1507.02646.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

# With fewer the tail of the weights has too few draws to say anything.
FEWEST_DRAWS = 100
# Numbers in a block of rows by draws: 4 MB an array, which stays near the processor.
_BLOCK = 500_000
# Log-likelihoods that differ by less are the same up to rounding.
_CONSTANT = 1e-12


@dataclass(frozen=True)
class LeftOut:
    """Predictive densities of parts of the data that were left out, one entry a part.

    Parameters
    ----------
    elpd : array, shape (parts,)
        log p(y_i | the rest).
    lpd : array, shape (parts,)
        log p(y_i | all the data): the log mean likelihood over the draws.
    mcse : array, shape (parts,)
        Monte Carlo standard error of `elpd`.
    pareto_k : array, shape (parts,)
        Shape of the tail of the importance weights.
    """

    elpd: np.ndarray
    lpd: np.ndarray
    mcse: np.ndarray
    pareto_k: np.ndarray


def highest_reliable_k(draws: int) -> float:
    """Return the Pareto k up to which an estimate from so many draws is reliable.

    min(1 - 1 / log10(draws), 0.7): Vehtari et al. (2024), arXiv:1507.02646.

    Examples
    --------
    >>> highest_reliable_k(100), highest_reliable_k(4_000)
    (0.5, 0.7)
    """
    return float(min(1 - 1 / np.log10(draws), 0.7))


def left_out_densities(log_likelihood: np.ndarray, efficiency: float = 1.0) -> LeftOut:
    """Return what each part's predictive density would be, had it been left out of the fit.

    The draws are weighted by 1 / p(y_i | theta), the largest weights smoothed by a generalised
    Pareto distribution: elpd_i = log(sum_s w_s p(y_i | theta_s) / sum_s w_s). exp(elpd_i) is the
    conditional predictive ordinate (CPO), and the sum of elpd_i the log pseudo-marginal likelihood
    (LPML). Vehtari, Gelman & Gabry (2017), doi:10.1007/s11222-016-9696-4. The Monte Carlo error is
    by the delta method: sqrt(sum_s w_s^2 (p_s - CPO)^2 / efficiency) / CPO with w summing to 1.

    Parameters
    ----------
    log_likelihood : array, shape (parts, draws)
    efficiency : float
        Effective number of draws over their number.

    Returns
    -------
    LeftOut
        Where the log-likelihood is the same in every draw, nothing depends on the part: k is 0.
        Where the largest weights are tied, so that no tail can be fitted, k is infinite; where the
        log-likelihood is not finite, `elpd` is minus infinity too.

    Raises
    ------
    ValueError
        There are fewer than 100 draws.
    """
    values = np.asarray(log_likelihood, dtype=float)
    parts, draws = values.shape
    elpd, mcse, pareto_k = np.full(parts, -np.inf), np.full(parts, np.inf), np.full(parts, np.inf)
    lpd = logsumexp(values, axis=1) - np.log(draws)
    usable = np.flatnonzero(np.isfinite(values).all(axis=1))
    size = max(1, _BLOCK // draws)
    for start in range(0, len(usable), size):
        chosen = usable[start : start + size]
        rows = values[chosen]
        weights, pareto_k[chosen] = smoothed_log_weights(-rows, efficiency)
        products = weights + rows
        largest = products.max(axis=1, keepdims=True)
        shares = np.exp(products - largest)
        share = shares.sum(axis=1, keepdims=True)
        elpd[chosen] = (largest + np.log(share))[:, 0]
        # Each weight times (p_s - CPO), relative to the CPO.
        errors = shares / share - np.exp(weights)
        mcse[chosen] = np.sqrt((errors**2).sum(axis=1) / min(efficiency, 1.0))
        constant = np.ptp(rows, axis=1) < _CONSTANT
        mcse[chosen[constant]], pareto_k[chosen[constant]] = 0.0, 0.0
    return LeftOut(elpd, lpd, mcse, pareto_k)


def smoothed_log_weights(
    log_ratios: np.ndarray, efficiency: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return Pareto-smoothed importance weights of many parts at once.

    The largest weights, 3 sqrt(draws / efficiency) of them, are replaced by the expected order
    statistics of a generalised Pareto distribution fitted to them (Zhang & Stephens 2009,
    doi:10.1198/tech.2009.08017). Vehtari et al. (2024), arXiv:1507.02646. The same numbers as
    ArviZ's `psislw`, which takes one part at a time and several times as long.

    Parameters
    ----------
    log_ratios : array, shape (parts, draws)
        Finite, with any constant.
    efficiency : float
        Effective number of draws over their number.

    Returns
    -------
    log_weights : array, shape (parts, draws)
        exp of each row sums to 1.
    pareto_k : array, shape (parts,)
        Infinite where the largest ratios are tied; these weights are not smoothed.

    Raises
    ------
    ValueError
        There are fewer than 100 draws.
    """
    weights = np.array(log_ratios, dtype=float)
    parts, draws = weights.shape
    if draws < FEWEST_DRAWS:
        raise ValueError(f"{draws} draws are too few to smooth: give at least {FEWEST_DRAWS}.")
    weights -= weights.max(axis=1, keepdims=True)
    length = int(3 * np.sqrt(draws / efficiency) if draws * efficiency > 225 else draws / 5)
    length = min(length, draws - 1)
    places = np.argpartition(weights, draws - length - 1, axis=1)[:, draws - length - 1 :]
    tail = np.take_along_axis(weights, places, axis=1)
    order = np.argsort(tail, axis=1)
    places = np.take_along_axis(places, order, axis=1)[:, 1:]
    tail = np.take_along_axis(tail, order, axis=1)
    threshold = np.exp(tail[:, :1])
    shape, scale = _pareto_fit(np.exp(tail[:, 1:]) - threshold)
    fitted = np.flatnonzero(np.isfinite(shape) & (scale > 0))
    with np.errstate(all="ignore"):
        k = shape[fitted, None]
        quantile = np.arange(0.5, length) / length
        smoothed = np.log(
            threshold[fitted]
            + scale[fitted, None] * np.expm1(-k * np.log1p(-quantile)) / np.where(k == 0, 1.0, k)
        )
    # No weight is raised above the largest one.
    weights[fitted[:, None], places[fitted]] = np.minimum(smoothed, 0.0)
    weights -= np.log(np.exp(weights).sum(axis=1, keepdims=True))
    pareto_k = np.full(parts, np.inf)
    pareto_k[fitted] = shape[fitted]
    return weights, pareto_k


def _pareto_fit(excesses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return shape and scale of generalised Pareto distributions, rows sorted upwards.

    The estimate of Zhang & Stephens (2009), with the prior of Vehtari et al. (2024) that draws the
    shape to 0.5 with the weight of ten observations. NaN where the lowest quarter is tied.
    """
    parts, number = excesses.shape
    quarter = excesses[:, int(number / 4 + 0.5) - 1]
    usable = np.flatnonzero((quarter > excesses[:, 0]) & (excesses[:, -1] > 0))
    shape, scale = np.full(parts, np.nan), np.full(parts, np.nan)
    x, quarter = excesses[usable], quarter[usable]
    grid = 30 + int(number**0.5)
    with np.errstate(all="ignore"):
        theta = 1 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))
        theta = theta / (3 * quarter[:, None]) + 1 / x[:, -1:]
        k = np.column_stack([np.log1p(-column[:, None] * x).mean(axis=1) for column in theta.T])
        likelihood = number * (np.log(-theta / k) - k - 1)
        weight = np.exp(likelihood - likelihood.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        best = (theta * weight).sum(axis=1)
        estimate = np.log1p(-best[:, None] * x).mean(axis=1)
        scale[usable] = -estimate / best
        shape[usable] = (number * estimate + 10 * 0.5) / (number + 10)
    return shape, scale


def sampling_efficiency(log_likelihood: np.ndarray, chains: int) -> float:
    """Return the effective number of draws over their number, as the mean over some rows.

    Parameters
    ----------
    log_likelihood : array, shape (rows, chains * draws)
        Chain after chain.
    chains : int

    Returns
    -------
    float
        At most 1; 1 where no row's likelihood moves.
    """
    from arviz_stats.base.array import array_stats

    values = np.asarray(log_likelihood, dtype=float)
    finite = values[np.isfinite(values).all(axis=1)]
    moving = finite[np.ptp(finite, axis=1) > _CONSTANT]
    if not len(moving):
        return 1.0
    shares = np.exp(moving - moving.max(axis=1, keepdims=True))
    sizes = array_stats.ess(
        shares.reshape(len(moving), chains, -1), method="mean", chain_axis=1, draw_axis=2
    )
    found = float(np.nanmean(sizes)) / values.shape[1] if np.isfinite(sizes).any() else 1.0
    return float(np.clip(found, 1 / values.shape[1], 1.0))
