"""Residuals that are correlated within units: draws, densities, and what other rows tell.

Units whose rows stand at the same places have one covariance, which is factorised once for all of
them. Rows are on the first axis and draws on the last one, as in the other log-likelihoods.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bayesml.quantities.correlation_matrices import covariance_root

# Numbers in a block of covariance matrices: 16 MB.
_BLOCK = 2_000_000
_LOG_2PI = np.log(2 * np.pi)


@dataclass(frozen=True)
class CorrelatedResiduals:
    """The distribution of residuals: units, places within them, and draws of the parameters.

    Parameters
    ----------
    unit : array of int, shape (rows,)
    place : array, shape (rows,)
        Position, time, or number of the occasion.
    correlations : callable
        ``correlations(values, place)``, shape (draws, rows, rows), of rows of one unit.
    sigma : array, shape (draws,) or (draws, occasions)
        Marginal SD, or the SD at each occasion.
    values : array, shape (draws, ...)
        The parameter of the correlations.
    """

    unit: np.ndarray
    place: np.ndarray
    correlations: Callable[[np.ndarray, np.ndarray], np.ndarray]
    sigma: np.ndarray
    values: np.ndarray

    @property
    def row_sd(self) -> np.ndarray:
        """Marginal SD of every row, shape (rows, draws)."""
        if self.sigma.ndim == 1:
            return np.broadcast_to(self.sigma, (len(self.place), len(self.sigma)))
        return self.sigma[:, self.place.astype(int)].T

    def rows(self, chosen: np.ndarray) -> "CorrelatedResiduals":
        """Return the same for some rows."""
        return CorrelatedResiduals(
            self.unit[chosen], self.place[chosen], self.correlations, self.sigma, self.values
        )

    def draws(self, chosen: slice | np.ndarray) -> "CorrelatedResiduals":
        """Return the same for some draws."""
        return CorrelatedResiduals(
            self.unit, self.place, self.correlations, self.sigma[chosen], self.values[chosen]
        )

    def covariance(self, place: np.ndarray, chosen: slice) -> np.ndarray:
        """Return the covariance of rows of one unit, shape (draws, rows, rows)."""
        found = self.correlations(self.values[chosen], place)
        sd = self.sigma[chosen]
        if sd.ndim == 1:
            return found * sd[:, None, None] ** 2
        sd = sd[:, place.astype(int)]
        return found * sd[:, :, None] * sd[:, None, :]

    def patterns(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield places, and rows of the units that have them, shape (units, rows of a unit)."""
        order = np.lexsort((self.place, self.unit))
        starts = np.flatnonzero(np.diff(self.unit[order], prepend=-1))
        found: dict[bytes, list[np.ndarray]] = {}
        for start, stop in pairwise([*starts, len(order)]):
            rows = order[start:stop]
            found.setdefault(self._key(rows), []).append(rows)
        for members in found.values():
            yield self.place[members[0]], np.stack(members)

    def _key(self, rows: np.ndarray) -> bytes:
        place = self.place[rows]
        # Autocorrelation depends on distances only; occasions have SDs of their own.
        return (place if self.sigma.ndim == 2 else place - place[0]).tobytes()

    def blocks(self, size: int) -> list[slice]:
        """Return slices of the draws that keep covariance matrices of this size in bounds."""
        step = max(1, _BLOCK // size**2)
        number = len(self.sigma)
        return [slice(start, min(start + step, number)) for start in range(0, number, step)]


def draw_residuals(residuals: CorrelatedResiduals, rng: np.random.Generator) -> np.ndarray:
    """Return draws of the residuals, jointly over the rows of a unit.

    Parameters
    ----------
    residuals : CorrelatedResiduals
    rng : numpy Generator

    Returns
    -------
    array, shape (rows, draws)
    """
    found = np.empty((len(residuals.place), len(residuals.sigma)))
    for place, rows in residuals.patterns():
        for block in residuals.blocks(len(place)):
            factor = np.linalg.cholesky(residuals.covariance(place, block))
            normal = rng.standard_normal((*rows.shape, len(factor)))
            found[rows, block] = np.einsum("dij,ujd->uid", factor, normal, optimize=True)
    return found


def residuals_given_known(
    residuals: CorrelatedResiduals,
    known: np.ndarray,
    errors: np.ndarray,
    place: np.ndarray,
    rng: np.random.Generator | None,
) -> np.ndarray:
    """Return the mean, or draws, of the residuals of new rows of a unit given its known ones.

    Parameters
    ----------
    residuals : CorrelatedResiduals
        Its units and places are not used.
    known : array, shape (known rows,)
        Places of the rows whose residuals are known; there may be none.
    errors : array, shape (known rows, draws)
        Their residuals.
    place : array, shape (new rows,)
        Places of the new rows, other ones than the known.
    rng : numpy Generator or None
        Draws jointly over the new rows; None returns their mean.

    Returns
    -------
    array, shape (new rows, draws)
    """
    count = len(known)
    both = np.concatenate([known, place])
    found = np.empty((len(place), len(residuals.sigma)))
    for block in residuals.blocks(len(both)):
        covariance = residuals.covariance(both, block)
        own = covariance[:, count:, count:]
        mean = np.zeros((len(own), len(place)))
        if count:
            across = covariance[:, count:, :count]
            weights = np.linalg.solve(covariance[:, :count, :count], across.swapaxes(1, 2))
            mean = np.einsum("dkn,kd->dn", weights, errors[:, block])
            own = own - across @ weights
        if rng is not None:
            normal = rng.standard_normal(mean.shape)
            mean = mean + np.einsum("dnm,dm->dn", covariance_root(own), normal)
        found[:, block] = mean.T
    return found


def log_densities_given_others(
    residuals: CorrelatedResiduals, errors: np.ndarray, extra: np.ndarray | None = None
) -> np.ndarray:
    """Return log p(row | the other rows of its unit, parameters) of a multivariate normal.

    With Q the inverse of the unit's covariance and e its residuals, a row given the others is
    normal with variance 1 / Q_ii, and (Q e)_i / Q_ii from its mean: Bürkner, Gabry & Vehtari
    (2021), doi:10.1007/s00180-020-01045-4.

    Parameters
    ----------
    residuals : CorrelatedResiduals
    errors : array, shape (rows, draws)
        Outcome less linear predictor.
    extra : array, shape (rows, draws), or None
        Variance that a row has beside its residual's, independent of all others.

    Returns
    -------
    array, shape (rows, draws)
    """
    found = np.empty(errors.shape)
    for place, rows in residuals.patterns():
        for members in _sharing(rows, extra):
            for block in residuals.blocks(len(place)):
                covariance = residuals.covariance(place, block)
                if extra is not None:
                    own = extra[members[0], block].T
                    covariance = covariance + own[:, :, None] * np.eye(len(place))
                precision = np.linalg.inv(covariance)
                diagonal = np.diagonal(precision, axis1=1, axis2=2).T
                away = np.einsum("dij,ujd->uid", precision, errors[members, block], optimize=True)
                found[members, block] = 0.5 * (np.log(diagonal) - _LOG_2PI - away**2 / diagonal)
    return found


def _sharing(rows: np.ndarray, extra: np.ndarray | None) -> list[np.ndarray]:
    """Return the units of a pattern in sets that have one covariance."""
    if extra is None:
        return [rows]
    plain = ~extra[rows].any(axis=(1, 2))
    sets = [rows[plain]] if plain.any() else []
    return sets + [rows[[unit]] for unit in np.flatnonzero(~plain)]


def whitened(
    residuals: CorrelatedResiduals, *values: np.ndarray
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return values multiplied by the inverse Cholesky factor of their unit's covariance.

    Parameters
    ----------
    residuals : CorrelatedResiduals
    *values : array, shape (rows, ..., draws)

    Returns
    -------
    array, shape (draws,)
        Log determinant of the whole covariance.
    list of array
        The values, of which those of residuals are independent and standard normal. The rows of a
        unit are taken in the order of their places.
    """
    total = np.zeros(len(residuals.sigma))
    found = [np.empty(np.shape(item)) for item in values]
    for place, rows in residuals.patterns():
        for block in residuals.blocks(len(place)):
            factor = np.linalg.cholesky(residuals.covariance(place, block))
            diagonal = np.diagonal(factor, axis1=1, axis2=2)
            total[block] += 2 * len(rows) * np.log(diagonal).sum(axis=1)
            inverse = np.linalg.inv(factor)
            for item, out in zip(values, found, strict=True):
                out[rows, ..., block] = np.einsum(
                    "dij,uj...d->ui...d", inverse, item[rows, ..., block], optimize=True
                )
    return total, found
