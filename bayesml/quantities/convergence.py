"""Did the chains agree, and how many independent draws are theirs worth?

R-hat is computed here for thousands of scalars at once, since every random effect has one; the
effective sample sizes, which only the few named parameters get, are ArviZ's.

Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021), Rank-normalization, folding, and
localization: an improved R-hat for assessing convergence of MCMC. doi:10.1214/20-BA1221
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

# Scalars handled at once: bounds the memory at about 20 MB for 4 chains of 1,000 draws.
_BLOCK = 64
_FEWEST_DRAWS = 4
TAIL = (0.05, 0.95)


@dataclass(frozen=True)
class Convergence:
    """Convergence and precision of draws.

    Parameters
    ----------
    r_hat : array
        Rank-normalised split R-hat; 1 where the chains agree.
    ess_bulk, ess_tail : array
        Effective number of draws for the centre, and for the 5 and 95 % quantiles (the smaller).
    mcse_mean : array
        Monte Carlo standard error of the mean, in the unit of the draws.
    """

    r_hat: np.ndarray
    ess_bulk: np.ndarray
    ess_tail: np.ndarray
    mcse_mean: np.ndarray


def convergence_of(draws: np.ndarray) -> Convergence:
    """Return R-hat, effective sample sizes and the Monte Carlo error of the mean.

    All are NaN for a scalar that is constant (an SD fixed at 0) or not finite, and where a chain
    has fewer than four draws; R-hat also where there is only one chain.

    Parameters
    ----------
    draws : array, shape (chains, draws, scalars)

    Returns
    -------
    Convergence
        Arrays of shape (scalars,).
    """
    values = np.asarray(draws, dtype=float)
    sizes = np.full((3, values.shape[2]), np.nan)
    usable = np.flatnonzero(_moving(values))
    if len(usable) and values.shape[1] >= _FEWEST_DRAWS:
        from arviz_stats.base.array import array_stats

        used = values[:, :, usable]
        axes = {"chain_axis": 0, "draw_axis": 1}
        # A tail that never changes within a half chain divides 0 by 0: NaN says so.
        with np.errstate(all="ignore"):
            sizes[0, usable] = array_stats.ess(used, method="bulk", **axes)
            sizes[1, usable] = array_stats.ess(used, method="tail", prob=TAIL, **axes)
            sizes[2, usable] = array_stats.mcse(used, method="mean", **axes)
    return Convergence(rank_r_hat(values), *sizes)


def rank_r_hat(draws: np.ndarray) -> np.ndarray:
    """Return the rank-normalised split R-hat of many scalars.

    Each chain is cut into halves. With z the normal scores of the ranks over all draws, W the mean
    of the halves' variances and B / n the variance of their means,
    R-hat = sqrt((n - 1) / n + B / (n W)); the larger of that of the draws and that of their
    distances from the median (Vehtari et al. 2021, doi:10.1214/20-BA1221).

    Parameters
    ----------
    draws : array, shape (chains, draws, scalars)

    Returns
    -------
    array, shape (scalars,)
        NaN with one chain, with fewer than four draws, and for scalars that are constant or not
        finite.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> bool(rank_r_hat(rng.normal(size=(4, 500, 1)))[0] < 1.01)
    True
    """
    values = np.asarray(draws, dtype=float)
    chains, number, scalars = values.shape
    found = np.full(scalars, np.nan)
    if chains < 2 or number < _FEWEST_DRAWS:
        return found
    usable = np.flatnonzero(_moving(values))
    half = number // 2
    for start in range(0, len(usable), _BLOCK):
        block = usable[start : start + _BLOCK]
        taken = np.moveaxis(values[:, :, block], 2, 0)
        halves = np.concatenate([taken[:, :, :half], taken[:, :, -half:]], axis=1)
        centre = np.median(halves, axis=(1, 2), keepdims=True)
        with np.errstate(all="ignore"):
            found[block] = np.maximum(
                _r_hat(_normal_scores(halves)), _r_hat(_normal_scores(np.abs(halves - centre)))
            )
    return found


def _moving(draws: np.ndarray) -> np.ndarray:
    """Whether a scalar is finite throughout and not constant."""
    lowest, highest = draws.min(axis=(0, 1)), draws.max(axis=(0, 1))
    return np.isfinite(lowest) & np.isfinite(highest) & (highest > lowest)


def _normal_scores(values: np.ndarray) -> np.ndarray:
    """Return the normal scores of the ranks over all draws of a scalar; ties share a mean rank."""
    flat = values.reshape(len(values), -1)
    number = flat.shape[1]
    order = np.argsort(flat, axis=1)
    ordered = np.take_along_axis(flat, order, axis=1)
    changes = np.ones((len(flat), number + 1), dtype=bool)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=changes[:, 1:-1])
    place = np.arange(number, dtype=np.int32)
    first = np.maximum.accumulate(np.where(changes[:, :-1], place, 0), axis=1)
    ends = np.where(changes[:, 1:], place, number)[:, ::-1]
    last = np.minimum.accumulate(ends, axis=1)[:, ::-1]
    # Mean ranks are whole or half numbers, so a table of scores serves all of them. Blom's offset
    # 3/8 keeps the largest rank away from probability 1.
    ranks = 1 + np.arange(2 * number - 1) / 2
    table = ndtri((ranks - 0.375) / (number + 0.25))
    scores = np.empty_like(flat)
    np.put_along_axis(scores, order, table[first + last], axis=1)
    return scores.reshape(values.shape)


def _r_hat(values: np.ndarray) -> np.ndarray:
    number = values.shape[2]
    within = values.var(axis=2, ddof=1).mean(axis=1)
    between = values.mean(axis=2).var(axis=1, ddof=1)
    return np.sqrt((number - 1) / number + between / within)


def energy_bfmi(energy: np.ndarray) -> np.ndarray:
    """Return the Bayesian fraction of missing information of each chain.

    BFMI = mean of (E_t - E_{t-1})^2 / variance of E; below 0.3 the sampler changes the energy too
    slowly to reach the tails (Betancourt 2016, arXiv:1604.00695).

    Parameters
    ----------
    energy : array, shape (chains, draws)

    Returns
    -------
    array, shape (chains,)
        NaN where a chain has fewer than two draws or the energy never changes.
    """
    values = np.asarray(energy, dtype=float)
    if values.shape[1] < 2:
        return np.full(len(values), np.nan)
    with np.errstate(all="ignore"):
        return (np.diff(values, axis=1) ** 2).mean(axis=1) / values.var(axis=1, ddof=1)
