"""Student-t effects as normal ones that are scaled unit by unit."""

import numpy as np


def student_spread(nu: np.ndarray, units: int, rng: np.random.Generator) -> np.ndarray:
    """Return draws of what normal effects are multiplied by to become Student-t, with the same SD.

    A unit's factor is sqrt((nu - 2) / c) with c chi-squared with nu degrees of freedom: effects of
    SD s become s sqrt((nu - 2) / nu) times a Student-t variable, whose SD is s again.

    Parameters
    ----------
    nu : array, shape (draws,)
        Degrees of freedom, above 2.
    units : int
    rng : numpy Generator

    Returns
    -------
    array, shape (draws, units)

    Examples
    --------
    >>> student_spread(np.array([5.0]), 3, np.random.default_rng(1)).shape
    (1, 3)
    """
    mixing = rng.chisquare(nu[:, None], size=(len(nu), units))
    return np.sqrt((nu[:, None] - 2) / mixing)
