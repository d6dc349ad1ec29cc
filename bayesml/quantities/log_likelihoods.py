"""Log-likelihoods of rows by their family, arrays in, arrays out.

Rows stand on the second-last axis and draws on the last one; further axes (nodes of a quadrature)
come first, so that a row's outcome and a draw's parameters broadcast against any linear predictor.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bayesml.quantities.mixed_outcomes import CUTPOINTS, cutpoints_of_outcome, joined_outcomes
from bayesml.specs.families import FAMILIES

# Slopes and curvatures beyond it are as good as infinite.
_STEEPEST = 1e9


@dataclass(frozen=True)
class RowLikelihood:
    """The log-likelihood of rows as a function of their linear predictor.

    Parameters
    ----------
    family, link : str
        Names as in the families' records.
    outcome : array, shape (rows, 1)
        Outcomes: numbers, counts, successes, or categories from 0.
    parameters : mapping of str to array
        Arrays that broadcast against (rows, draws): ``sigma``; ``trials``; ``lower`` and ``upper``
        of ordered outcomes, as `category_bounds` gives them, and their ``cutpoints``, shape
        (cutpoints, 1, draws), or (cutpoints, rows, draws) where they differ between rows.
    """

    family: str
    link: str
    outcome: np.ndarray
    parameters: Mapping[str, np.ndarray]

    def __call__(self, eta: np.ndarray) -> np.ndarray:
        """Return log p(y | eta), shape of `eta` (..., rows, draws)."""
        with np.errstate(over="ignore", under="ignore", divide="ignore"):
            return FAMILIES[self.family].log_likelihood(
                self.link, self.outcome, eta, self.parameters
            )

    def derivatives(self, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the slope and the negative curvature of log p(y | eta), by finite differences.

        Good to about six digits: enough to find a mode and the width of what surrounds it.

        Returns
        -------
        (array, array)
            Of the shape of `eta`; the second is at least 0. Log-likelihoods of some families
            (Student-t, zero-inflated, beta and beta-binomial) curve upwards in places: 0 there.
        """
        step = 1e-3
        with np.errstate(invalid="ignore"):
            below, here, above = self(eta - step), self(eta), self(eta + step)
            slope = (above - below) / (2 * step)
            curvature = np.maximum((2 * here - below - above) / step**2, 0.0)
        # Far out a likelihood underflows: bounded, it still points the way back.
        slope = np.nan_to_num(slope, posinf=_STEEPEST, neginf=-_STEEPEST)
        curvature = np.nan_to_num(curvature, posinf=_STEEPEST)
        return np.clip(slope, -_STEEPEST, _STEEPEST), np.minimum(curvature, _STEEPEST)

    def rows(self, chosen: np.ndarray) -> "RowLikelihood":
        """Return the log-likelihood of some of the rows."""
        # Rows stand on the second-last axis, with one entry where all of them have the same.
        parameters = {
            name: value[..., chosen, :] if np.ndim(value) > 1 and value.shape[-2] > 1 else value
            for name, value in self.parameters.items()
        }
        return RowLikelihood(self.family, self.link, self.outcome[chosen], parameters)


@dataclass(frozen=True)
class MixedLikelihood(RowLikelihood):
    """The log-likelihood of rows of outcomes that have families of their own.

    Parameters
    ----------
    number : array of int, shape (rows,)
        Outcome of each row.
    families : tuple of (str, str)
        Family and link of each outcome.

    Notes
    -----
    Of ordered outcomes `parameters` holds ``lower`` and ``upper`` by row, NaN in rows of others,
    and ``cutpoints`` as `padded_cutpoints` gives them.
    """

    number: np.ndarray
    families: tuple[tuple[str, str], ...]

    def __call__(self, eta: np.ndarray) -> np.ndarray:
        """Return log p(y | eta), shape of `eta` (..., rows, draws)."""

        def of_outcome(
            place: int, values: np.ndarray, parameters: Mapping[str, np.ndarray]
        ) -> np.ndarray:
            family, link = self.families[place]
            outcome = self.outcome[self.number == place]
            own = dict(parameters)
            if CUTPOINTS in own:
                own[CUTPOINTS] = own[CUTPOINTS].T[:, None]
            return RowLikelihood(family, link, outcome, own)(values)

        return joined_outcomes(self.number, eta, self.parameters, of_outcome, axis=-2)

    def rows(self, chosen: np.ndarray) -> "MixedLikelihood":
        """Return the log-likelihood of some of the rows."""
        fewer = RowLikelihood("", "", self.outcome, self._of_rows).rows(chosen)
        return replace(
            self,
            outcome=fewer.outcome,
            parameters={**self.parameters, **fewer.parameters},
            number=self.number[chosen],
        )

    @property
    def _of_rows(self) -> dict[str, np.ndarray]:
        """Return the parameters but the cutpoints, which have no axis of rows."""
        return {name: value for name, value in self.parameters.items() if name != CUTPOINTS}

    def of_outcomes(self) -> list[tuple[np.ndarray, RowLikelihood]]:
        """Return the rows of each outcome with their log-likelihood."""
        found = []
        for place in np.unique(self.number):
            rows = np.flatnonzero(self.number == place)
            family, link = self.families[place]
            own = RowLikelihood(family, link, self.outcome, self._of_rows).rows(rows)
            if CUTPOINTS in self.parameters:
                cutpoints = cutpoints_of_outcome(self.parameters[CUTPOINTS], int(place))
                parameters = {**own.parameters, CUTPOINTS: cutpoints.T[:, None]}
                own = replace(own, parameters=parameters)
            found.append((rows, own))
        return found


def category_bounds(outcome: np.ndarray, cutpoints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cutpoints below and above the category of each row.

    Parameters
    ----------
    outcome : array of int, shape (rows,)
        Categories from 0.
    cutpoints : array, shape (draws, categories - 1)

    Returns
    -------
    (array, array), shape (rows, draws)
        Minus infinity below the first category, infinity above the last.

    Examples
    --------
    >>> lower, upper = category_bounds(np.array([0, 1]), np.array([[0.5]]))
    >>> lower.ravel().tolist(), upper.ravel().tolist()
    ([-inf, 0.5], [0.5, inf])
    """
    edge = np.full((len(cutpoints), 1), np.inf)
    bounds = np.concatenate([-edge, cutpoints, edge], axis=1).T
    category = np.asarray(outcome, dtype=int)
    return bounds[category], bounds[category + 1]
