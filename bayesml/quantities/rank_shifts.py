"""Which parameter goes with what the sampler reports: shifts and correlations of ranks."""

import numpy as np
from scipy.stats import rankdata


def rank_shifts(draws: np.ndarray, marked: np.ndarray) -> np.ndarray:
    """Return how far the marked draws stand from the middle of all, in standard errors of ranks.

    With N draws, n of them marked, and R the mean rank of the marked ones,
    z = (R - (N + 1) / 2) / sqrt((N + 1) (N - n) / (12 n)): the Wilcoxon rank-sum statistic
    (Wilcoxon 1945, doi:10.2307/3001968), for independent draws without ties.

    Parameters
    ----------
    draws : array, shape (chains, draws, scalars)
    marked : array of bool, shape (chains, draws)
        Some draws, but not all.

    Returns
    -------
    array, shape (scalars,)
        Negative where the marked draws are small; NaN for scalars that are not finite.

    Examples
    --------
    >>> values = np.arange(100.0).reshape(1, 100, 1)
    >>> bool(rank_shifts(values, values[..., 0] < 10)[0] < -5)
    True
    """
    ranks = _ranks(draws)
    chosen = np.asarray(marked, dtype=bool).ravel()
    number, count = len(chosen), int(chosen.sum())
    spread = np.sqrt((number + 1) * (number - count) / (12 * count))
    return (ranks[chosen].mean(axis=0) - (number + 1) / 2) / spread


def rank_correlations(draws: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return Spearman's rank correlation of every scalar with one other quantity.

    Spearman (1904), doi:10.2307/1412159.

    Parameters
    ----------
    draws : array, shape (chains, draws, scalars)
    other : array, shape (chains, draws)

    Returns
    -------
    array, shape (scalars,)
        NaN for scalars that are constant or not finite.

    Examples
    --------
    >>> values = np.arange(10.0).reshape(1, 10, 1)
    >>> float(rank_correlations(values, -values[..., 0] ** 3)[0])
    -1.0
    """
    ranks = _ranks(draws)
    target = rankdata(np.asarray(other, dtype=float).ravel())
    centred, aim = ranks - ranks.mean(axis=0), target - target.mean()
    with np.errstate(invalid="ignore", divide="ignore"):
        return (aim @ centred) / np.sqrt((centred**2).sum(axis=0) * (aim**2).sum())


def _ranks(draws: np.ndarray) -> np.ndarray:
    flat = np.asarray(draws, dtype=float).reshape(-1, np.shape(draws)[-1])
    ranks = rankdata(flat, axis=0)
    ranks[:, ~np.isfinite(flat).all(axis=0)] = np.nan
    return ranks
