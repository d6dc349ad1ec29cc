"""What each residual structure is: its parameter, its prior, and the correlations that it implies.

Adding a structure is one record here, its statements in `residual.jinja`, and the arrays that
they read in `bayesml.design.residual_rows`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Correlations = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class ResidualCorrelation:
    """A residual structure.

    Parameters
    ----------
    name : str
        One of `RESIDUAL_STRUCTURES`.
    parameter : str
        Name of its correlations in the posterior, and prior key.
    words : str
        What it is, for comments in the generated source.
    correlations : callable
        ``correlations(values, place)``: correlation matrices, shape (draws, rows, rows), of rows
        of one unit at these places (positions, times, or numbers of occasions) from the draws of
        the parameter, shape (draws, ...).
    equation : str
        LaTeX of the correlation of rows i and k of one unit.
    symbol : str
        LaTeX of the parameter.
    bounds : callable or None
        ``bounds(largest)``: the range of the parameter where the largest unit has this many rows;
        None where it is a correlation matrix.
    default : str
        Default prior; `{lower}` and `{upper}` are the bounds.
    by_occasion : bool
        Whether each occasion has an SD of its own.
    markov : bool
        Whether a row given its neighbours in time is independent of all other rows.
    at_median_gap : bool
        Whether the prior is that of the correlation one median gap apart.
    """

    name: str
    parameter: str
    words: str
    correlations: Correlations
    equation: str
    symbol: str
    bounds: Callable[[int], tuple[float, float]] | None
    default: str
    by_occasion: bool = False
    markov: bool = False
    at_median_gap: bool = False


def _decaying(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    return values[:, None, None] ** np.abs(place[:, None] - place[None, :])


def _equal(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    one = np.eye(len(place))
    return one + (1 - one) * values[:, None, None]


def _by_pair(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    number = place.astype(int)
    return values[:, number[:, None], number[None, :]]


RESIDUAL_CORRELATIONS = {
    item.name: item
    for item in (
        ResidualCorrelation(
            name="ar1",
            parameter="phi",
            words="autoregressive of order 1",
            correlations=_decaying,
            equation=r"\phi^{|t_{i} - t_{k}|}",
            symbol=r"\phi",
            bounds=lambda largest: (-1.0, 1.0),
            default="TruncatedNormal(0, 0.5, {lower}, {upper})",
            markov=True,
        ),
        ResidualCorrelation(
            name="continuous_ar",
            parameter="phi",
            words="autoregressive in continuous time",
            correlations=_decaying,
            equation=r"\phi^{|t_{i} - t_{k}|}",
            symbol=r"\phi",
            bounds=lambda largest: (0.0, 1.0),
            default="Uniform({lower}, {upper})",
            markov=True,
            at_median_gap=True,
        ),
        ResidualCorrelation(
            name="compound_symmetric",
            parameter="corr_residual",
            words="equally correlated",
            correlations=_equal,
            equation=r"\rho",
            symbol=r"\rho",
            # Below it the covariance of the largest unit would not be positive definite.
            bounds=lambda largest: (-1 / (largest - 1), 1.0),
            default="Uniform({lower}, {upper})",
        ),
        ResidualCorrelation(
            name="unstructured",
            parameter="corr_residual",
            words="correlated, with one correlation for each pair of occasions",
            correlations=_by_pair,
            equation=r"R_{t[i], t[k]}",
            symbol="R",
            bounds=None,
            default="LKJ(2)",
            by_occasion=True,
        ),
    )
}
