"""Are ranks uniform? Exact bands for the ECDF of ranks, and the p-value that belongs to them."""

import numpy as np
from scipy import stats

# Halvings, on the log scale, of the interval in which the width of a band is looked for.
_HALVINGS = 30
# Two ways to compute one tail probability differ by rounding.
_ROUNDING = 1e-10


def uniformity_p_value(ranks: np.ndarray, largest: int) -> float:
    """Return how often uniform ranks leave the narrowest band that holds these ranks' ECDF.

    At each position i = 1, ..., largest the number of ranks below i is Binomial(n, i / (largest +
    1)) where ranks are uniform. The statistic is the smallest two-sided tail probability over the
    positions; its distribution is exact, dependence between positions included.

    Parameters
    ----------
    ranks : array of int, shape (n,)
        From 0 to `largest`.
    largest : int
        Largest possible rank: the number of draws among which a truth was ranked.

    Returns
    -------
    float
        Between 0 and 1; uniform but for steps where ranks are uniform.

    Notes
    -----
    Säilynoja, Bürkner & Vehtari (2022), Graphical test for discrete uniformity and its
    applications in goodness-of-fit evaluation and multiple sample comparison.
    doi:10.1007/s11222-022-10090-6

    Examples
    --------
    >>> uniformity_p_value(np.arange(100), 99) > 0.99
    True
    >>> uniformity_p_value(np.full(100, 50), 99) < 1e-9
    True
    """
    values = np.asarray(ranks)
    below = np.searchsorted(np.sort(values), np.arange(1, largest + 1), side="left")
    lower, upper = _tails(len(values), largest)
    place = np.arange(largest)
    smallest = 2 * float(np.minimum(lower[place, below], upper[place, below]).min())
    inside = np.minimum(lower, upper) * 2 > smallest * (1 + _ROUNDING)
    return min(1.0, max(0.0, 1.0 - _chance_inside(inside)))


def rank_band(number: int, largest: int, probability: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the band that holds the whole ECDF of uniform ranks with a given probability.

    Parameters
    ----------
    number : int
        Number of ranks.
    largest : int
        Largest possible rank.
    probability : float
        At least this is the chance that the ECDF stays inside everywhere. With k parameters,
        1 - 0.05 / k keeps a false alarm among all of them below 5 %.

    Returns
    -------
    (array of int, array of int), shape (largest,)
        Fewest and most ranks below 1, 2, ..., `largest`.

    Notes
    -----
    Säilynoja, Bürkner & Vehtari (2022), doi:10.1007/s11222-022-10090-6, section 2.

    Examples
    --------
    >>> lower, upper = rank_band(200, 99, 0.95)
    >>> int(lower[49]) + int(upper[49])  # symmetric around 100 ranks below 50
    200
    """
    lower, upper = _tails(number, largest)
    tail = 2 * np.minimum(lower, upper)
    # The pointwise probability outside: too large at first, and small enough by Bonferroni.
    wide, narrow = (1.0 - probability) / largest, 1.0
    for _ in range(_HALVINGS):
        middle = np.sqrt(narrow * wide)
        if _chance_inside(tail > middle) >= probability:
            wide = middle
        else:
            narrow = middle
    inside = tail > wide
    return inside.argmax(axis=1), number - inside[:, ::-1].argmax(axis=1)


def _tails(number: int, largest: int) -> tuple[np.ndarray, np.ndarray]:
    """Return P(X <= count) and P(X >= count), shape (positions, number + 1)."""
    shares = np.arange(1, largest + 1)[:, None] / (largest + 1)
    counts = np.arange(number + 1)
    return stats.binom.cdf(counts, number, shares), stats.binom.sf(counts - 1, number, shares)


def _chance_inside(inside: np.ndarray) -> float:
    """Return the probability that the number of uniform ranks below each position is allowed.

    The points of a Poisson process have independent increments, and given how many there are in
    all, they are uniform.

    Parameters
    ----------
    inside : array of bool, shape (positions, number + 1)
        The allowed numbers.
    """
    positions, number = inside.shape[0], inside.shape[1] - 1
    counts = np.arange(number + 1)
    more = counts[:, None] - counts
    step = stats.poisson.pmf(more, number / (positions + 1))
    chance = np.zeros(number + 1)
    chance[0] = 1.0
    for allowed in inside:
        chance = np.where(allowed, step @ chance, 0.0)
    return float((step @ chance)[number] / stats.poisson.pmf(number, number))
