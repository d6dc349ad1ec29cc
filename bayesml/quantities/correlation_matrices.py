"""Random correlation matrices: the LKJ distribution."""

import numpy as np
from scipy import stats


def draw_lkj(rng: np.random.Generator, eta: float, size: int, draws: int) -> np.ndarray:
    """Return draws of correlation matrices with density proportional to det(R)^(eta - 1).

    The onion method of Lewandowski, Kurowicka & Joe (2009), doi:10.1016/j.jmva.2009.04.008: the
    Cholesky factor grows by a row whose squared length is a Beta variable and whose direction is
    uniform.

    Parameters
    ----------
    rng : numpy Generator
    eta : float
        Concentration; 1 is uniform, more draws correlations to 0.
    size : int
        Number of variables.
    draws : int

    Returns
    -------
    array, shape (draws, size, size)
        Cholesky factors L, lower triangular with rows of length 1; R = L L'.

    Examples
    --------
    >>> factor = draw_lkj(np.random.default_rng(1), 2.0, 3, 10)
    >>> bool(np.allclose((factor @ factor.swapaxes(1, 2))[:, [0, 1, 2], [0, 1, 2]], 1))
    True
    """
    factor = np.zeros((draws, size, size))
    factor[:, 0, 0] = 1.0
    concentration = eta + (size - 2) / 2
    for row in range(1, size):
        # Squared length of the part that the row shares with the earlier variables.
        squared = rng.beta(row / 2, concentration, size=draws)
        direction = rng.normal(size=(draws, row))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        factor[:, row, :row] = np.sqrt(squared)[:, None] * direction
        factor[:, row, row] = np.sqrt(1 - squared)
        concentration -= 0.5
    return factor


def lkj_marginal(eta: float, size: int) -> stats.rv_continuous:
    """Return the distribution of one correlation of an LKJ matrix: a Beta stretched to (-1, 1).

    Both shapes are eta + (size - 2) / 2; Lewandowski, Kurowicka & Joe (2009),
    doi:10.1016/j.jmva.2009.04.008.

    Parameters
    ----------
    eta : float
        Concentration.
    size : int
        Number of variables, at least 2.

    Returns
    -------
    SciPy distribution

    Examples
    --------
    >>> round(float(lkj_marginal(1.0, 2).cdf(0.5)), 3)  # uniform on (-1, 1)
    0.75
    """
    shape = eta + (size - 2) / 2
    return stats.beta(shape, shape, loc=-1, scale=2)


def covariance_factor(sd: np.ndarray, corr: np.ndarray | None) -> np.ndarray:
    """Return L with L L' = diag(sd) R diag(sd), also where R is singular up to rounding.

    Parameters
    ----------
    sd : array, shape (draws, terms)
    corr : array, shape (draws, terms, terms), or None

    Returns
    -------
    array, shape (draws, terms, terms)
    """
    if corr is None:
        return sd[:, :, None] * np.eye(sd.shape[1])
    return sd[:, :, None] * covariance_root(corr)


def covariance_root(covariance: np.ndarray) -> np.ndarray:
    """Return S with S S' = Sigma, also where Sigma is singular, up to rounding.

    Parameters
    ----------
    covariance : array, shape (..., terms, terms)

    Returns
    -------
    array, of the same shape
    """
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :])


def correlations_of_angles(angles: np.ndarray, blocks: tuple[int, ...]) -> np.ndarray:
    """Return correlation matrices of atanh of the partial correlations, row by row.

    Parameters
    ----------
    angles : array, shape (draws, angles)
    blocks : tuple of int
        Sizes of the blocks of the matrix that are not zero.

    Returns
    -------
    array, shape (draws, size, size)
    """
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
