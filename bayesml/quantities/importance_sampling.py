"""Leave-one-out predictive densities from the draws of one fit, by importance sampling.

Pareto smoothing is ArviZ's. Vehtari, Simpson, Gelman, Yao & Gabry (2024), Pareto smoothed
importance sampling, Journal of Machine Learning Research 25(72), arXiv:1507.02646.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

# With fewer the tail of the weights has too few draws to say anything.
FEWEST_DRAWS = 100


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
    """
    from arviz_stats.base.array import array_stats

    values = np.asarray(log_likelihood, dtype=float)
    parts, draws = values.shape
    elpd, mcse, pareto_k = np.full(parts, -np.inf), np.full(parts, np.inf), np.full(parts, np.inf)
    lpd = logsumexp(values, axis=1) - np.log(draws)
    for number, row in enumerate(values):
        if not np.isfinite(row).all():
            continue
        if np.ptp(row) < 1e-12:
            elpd[number], mcse[number], pareto_k[number] = row[0], 0.0, 0.0
            continue
        try:
            with np.errstate(all="ignore"):
                weights, k = array_stats.psislw(row, r_eff=efficiency)
        except ValueError:  # the largest weights are all the same: draws that do not move
            weights, k = np.array([np.nan]), np.nan
        if not np.isfinite(weights).all():
            weights = -row - logsumexp(-row)
        products = np.exp(weights + row - row.max())
        share = products.sum()
        elpd[number] = row.max() + np.log(share)
        spread = products - np.exp(weights) * share
        mcse[number] = np.sqrt((spread**2).sum() / min(efficiency, 1.0)) / share
        # No tail can be fitted to tied weights, so that nothing vouches for the estimate.
        pareto_k[number] = np.inf if np.isnan(k) else float(k)
    return LeftOut(elpd, lpd, mcse, pareto_k)


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
    moving = values[np.isfinite(values).all(axis=1) & (np.ptp(values, axis=1) > 1e-12)]
    if not len(moving):
        return 1.0
    shares = np.exp(moving - moving.max(axis=1, keepdims=True))
    sizes = array_stats.ess(
        shares.reshape(len(moving), chains, -1), method="mean", chain_axis=1, draw_axis=2
    )
    found = float(np.nanmean(sizes)) / values.shape[1] if np.isfinite(sizes).any() else 1.0
    return float(np.clip(found, 1 / values.shape[1], 1.0))
