"""What the residuals of predicted rows are, where residuals are correlated within units.

New rows of a known unit are predicted given the residuals of its rows in the fit, which makes the
rows after its last one a forecast; the rows of a new unit are drawn jointly.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import pandas as pd

from bayesml.design.columns import plain_frame
from bayesml.design.replaying import check_complete
from bayesml.design.residual_rows import residual_unit_keys
from bayesml.design.rows import numeric_column, row_list
from bayesml.design.units import unit_label
from bayesml.errors import FitError, TableError, listed, quoted
from bayesml.posterior.fitted_likelihoods import likelihood_draws, likelihood_rows
from bayesml.posterior.likelihood_rows import LikelihoodDraws, LikelihoodRows, known_predictor
from bayesml.posterior.linear_predictors import flat_draws
from bayesml.posterior.residual_fits import correlated_residuals, residual_record
from bayesml.quantities.residual_covariances import CorrelatedResiduals, residuals_given_known
from bayesml.records.fits import Fit
from bayesml.specs.residual_structures import Residual
from bayesml.tables.checks import require_table

# Strategies under which rows share residuals with the rows of their unit.
_SHARED = ("known", "new", "known or new")


@dataclass(frozen=True)
class PredictedResiduals:
    """The residuals of predicted rows.

    Parameters
    ----------
    residuals : CorrelatedResiduals
        The rows' units and places, and the draws of the parameters.
    labels : tuple of str
        The units' labels, which seed their draws.
    known : mapping of int to array of int
        By unit, the rows of the fit that its residuals are conditioned on.
    rows : LikelihoodRows or None
        The rows of the fit, where some are needed.
    draws : LikelihoodDraws or None
    strategy : str
        What happens to the units: a strategy of `predict`, or "replicated" for the fit's own rows.
    """

    residuals: CorrelatedResiduals
    labels: tuple[str, ...]
    known: Mapping[int, np.ndarray]
    rows: LikelihoodRows | None
    draws: LikelihoodDraws | None
    strategy: str

    def of(self, block: slice, seed: int | None) -> np.ndarray:
        """Return the mean residuals of some rows, or draws where a seed is given.

        Returns
        -------
        array, shape (rows of the block, draws)
        """
        found = np.zeros((block.stop - block.start, len(self.residuals.sigma)))
        unit = self.residuals.unit
        for number in np.unique(unit[block]):
            observed = self.known.get(int(number))
            if observed is None and seed is None:
                continue
            # All rows of the unit, whichever block they are in: they are drawn together.
            members = np.flatnonzero(unit == number)
            values = self._of_unit(members, observed, seed, self.labels[number])
            inside = (members >= block.start) & (members < block.stop)
            found[members[inside] - block.start] = values[inside]
        return found

    def _of_unit(
        self, members: np.ndarray, observed: np.ndarray | None, seed: int | None, label: str
    ) -> np.ndarray:
        places, errors = np.empty(0), np.empty((0, len(self.residuals.sigma)))
        if observed is not None and self.rows is not None and self.draws is not None:
            assert self.rows.residual is not None
            places = self.rows.residual.place[observed]
            everything = {
                item.identifier: np.ones((len(observed), item.unit.shape[1]), dtype=bool)
                for item in self.rows.groupings
            }
            eta = known_predictor(self.rows, self.draws, observed, everything)
            errors = self.rows.outcome[observed, None] - eta
        rng = None
        if seed is not None:
            digest = sha256(f"residuals\0{label}".encode()).digest()
            rng = np.random.default_rng([seed, int.from_bytes(digest[:8], "little")])
        return residuals_given_known(
            self.residuals, places, errors, self.residuals.place[members], rng
        )


def residuals_of_fit(fit: Fit) -> PredictedResiduals:
    """Return the residuals of the fit's own rows, drawn anew: given no outcome."""
    rows = fit.data["constant_data"].to_dataset()
    unit = np.asarray(rows["unit_residual"].values, dtype=np.int64)
    place = np.asarray(rows["place_residual"].values, dtype=float)
    labels = tuple(json.loads(rows["unit_residual"].attrs["labels"]))
    return PredictedResiduals(_distribution(fit, unit, place), labels, {}, None, None, "replicated")


def residuals_of_new_rows(
    fit: Fit, table: object, chosen: Mapping[str, str], asked: object
) -> PredictedResiduals:
    """Return the residuals of new rows.

    Parameters
    ----------
    fit : Fit
    table : DataFrame, or anything with columns that `require_table` takes
    chosen : mapping of str to str
        Strategy by grouping.
    asked : str, mapping or None
        What the user asked for, which counts where the residuals' unit is not a grouping.

    Raises
    ------
    FitError
        A unit or an occasion is not known, a row repeats an occasion, or the fit was saved without
        its rows.
    TableError
        A column is missing or cannot be used.
    """
    residual, record = fit.spec.residual, residual_record(fit.spec)
    assert residual is not None
    assert record is not None
    strategy = _strategy(fit, residual, chosen, asked)
    shared = strategy in _SHARED
    timed = residual.time is not None and (shared or record.by_occasion)
    columns = dict.fromkeys(residual.unit, "grouping") if shared else {}
    if timed:
        columns[str(residual.time)] = "time of the residuals"
    frame = plain_frame(require_table(table), columns).reset_index(drop=True)
    check_complete(frame, columns)
    count = len(require_table(table))
    if shared:
        unit, found = pd.factorize(np.array(residual_unit_keys(residual, frame), dtype=object))
        labels = tuple(str(label) for label in found)
    else:
        # Every row by itself: nothing is said about which rows belong together.
        unit, labels = np.arange(count), tuple(f"row {number}" for number in range(count))
    place = _positions(unit)
    if timed and record.by_occasion:
        place = _occasion_numbers(fit, residual, frame)
    elif timed:
        place = numeric_column(frame, str(residual.time), "The time")
        if residual.structure == "ar1" and (place != np.round(place)).any():
            raise TableError(
                f"The time {quoted(str(residual.time))} is not a whole number in row "
                f"{row_list(place != np.round(place))}. The model counts occasions."
            )
    rows = draws = None
    known: dict[int, np.ndarray] = {}
    if strategy in ("known", "known or new"):
        rows, draws = likelihood_rows(fit), likelihood_draws(fit)
        known = _known_rows(fit, rows, labels, strategy)
        if not timed:
            for number, observed in known.items():
                place[unit == number] += len(observed)
    if timed and shared:
        _check_new(residual, rows, known, unit, place)
    if rows is not None and record.markov:
        known = {
            number: _neighbours(rows, observed, place[unit == number])
            for number, observed in known.items()
        }
    if residual.structure == "compound_symmetric":
        _check_sizes(fit, labels, known, unit)
    distribution = _distribution(fit, unit, place)
    return PredictedResiduals(distribution, labels, known, rows, draws, strategy)


def _distribution(fit: Fit, unit: np.ndarray, place: np.ndarray) -> CorrelatedResiduals:
    record = residual_record(fit.spec)
    assert record is not None
    parameters = {name: flat_draws(fit, name) for name in ("sigma", record.parameter)}
    return correlated_residuals(record, unit, place, parameters)


def _strategy(fit: Fit, residual: Residual, chosen: Mapping[str, str], asked: object) -> str:
    """Return what happens to the units of the residuals."""
    for grouping in fit.spec.groupings:
        if grouping.columns == residual.unit:
            return chosen[grouping.name]
    if isinstance(asked, str):
        return asked
    kinds = set(chosen.values())
    if not kinds or kinds & {"known", "known or new"}:
        return "known or new"
    return "new" if "new" in kinds else "population"


def _positions(unit: np.ndarray) -> np.ndarray:
    return pd.Series(unit).groupby(unit).cumcount().to_numpy(dtype=float)


def _occasion_numbers(fit: Fit, residual: Residual, frame: pd.DataFrame) -> np.ndarray:
    # The members of a pair are the occasions of their residuals.
    known = list(fit.facts.outcomes) or [str(label) for label in fit.posterior["occasion"].values]
    given = [str(unit_label(value)) for value in frame[residual.time].astype(object)]
    strange = [label for label in given if label not in known]
    if strange:
        raise FitError(
            f"The fit does not know the occasion {listed(dict.fromkeys(strange))} of "
            f"{quoted(str(residual.time))}, whose SD and correlations are its own. It knows "
            f"{listed(known, most=12)}. Use these, or a model with continuous_ar."
        )
    return np.array([known.index(label) for label in given], dtype=float)


def _known_rows(
    fit: Fit, rows: LikelihoodRows, labels: tuple[str, ...], strategy: str
) -> dict[int, np.ndarray]:
    assert rows.residual is not None
    constant = fit.data["constant_data"].to_dataset()
    known = json.loads(constant["unit_residual"].attrs["labels"])
    number_of = {label: number for number, label in enumerate(known)}
    strange = [label for label in labels if label not in number_of]
    if strategy == "known" and strange:
        raise FitError(
            f"The fit does not know these units of the residuals: {listed(strange)}. It knows "
            f"{listed(known, most=3)}. Use groups='known or new' to draw the unknown ones."
        )
    return {
        number: np.flatnonzero(rows.residual.unit == number_of[label])
        for number, label in enumerate(labels)
        if label in number_of
    }


def _check_new(
    residual: Residual,
    rows: LikelihoodRows | None,
    known: Mapping[int, np.ndarray],
    unit: np.ndarray,
    place: np.ndarray,
) -> None:
    repeated = pd.DataFrame({"unit": unit, "place": place}).duplicated(keep=False).to_numpy()
    if repeated.any():
        raise FitError(
            f"Rows {row_list(repeated)} of the new data repeat an occasion of one unit: the same "
            f"{quoted(str(residual.time))}. Leave one of them out."
        )
    seen = np.zeros(len(unit), dtype=bool)
    for number, observed in known.items():
        assert rows is not None
        assert rows.residual is not None
        here = np.flatnonzero(unit == number)
        seen[here] = np.isin(place[here], rows.residual.place[observed])
    if seen.any():
        raise FitError(
            f"Rows {row_list(seen)} of the new data are at occasions of their unit that the fit "
            "has, so that their residuals are known. Give other occasions, use bml.predict(fit) "
            "for the fit's own rows, or groups='new' for new units."
        )


def _check_sizes(
    fit: Fit, labels: tuple[str, ...], known: Mapping[int, np.ndarray], unit: np.ndarray
) -> None:
    """Raise where more rows of a unit than the fit has cannot all be correlated as it says."""
    counts = np.bincount(unit)
    for number, observed in known.items():
        counts[number] += len(observed)
    most, lowest = int(counts.argmax()), float(flat_draws(fit, "corr_residual").min())
    if counts[most] > 1 and 1 + (counts[most] - 1) * lowest <= 0:
        raise FitError(
            f"With the new rows {counts[most]} rows of {quoted(labels[most])} belong together, and "
            f"in some draws their residuals would have a correlation of {lowest:.2f}, which so "
            "many cannot all have. Leave out rows of this unit that the fit has, for which "
            "bml.predict(fit) serves, or give fewer."
        )


def _neighbours(rows: LikelihoodRows, observed: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return the rows just before and just after each place: all that matters."""
    assert rows.residual is not None
    order = observed[np.argsort(rows.residual.place[observed])]
    after = np.searchsorted(rows.residual.place[order], place)
    chosen = {*np.maximum(after - 1, 0), *np.minimum(after, len(order) - 1)}
    return order[sorted(chosen)]
