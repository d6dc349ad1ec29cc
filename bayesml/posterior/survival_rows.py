"""The rows whose survival is asked for: new rows, a row at the means, or rows of periods."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesml.errors import FitError, quoted
from bayesml.posterior.effect_distributions import require_shared_terms
from bayesml.posterior.evaluation_point import evaluation_point
from bayesml.posterior.group_strategies import Groups, checked_groups
from bayesml.posterior.linear_predictors import predictor_blocks
from bayesml.posterior.prediction_rows import PredictionRows, RowsOfGrouping, new_rows
from bayesml.posterior.predictor_terms import require_one_predictor
from bayesml.quantities.survival_probabilities import mean_over_normal
from bayesml.records.fits import Fit
from bayesml.specs.censoring import Durations
from bayesml.specs.families import FAMILIES
from bayesml.specs.stable_logarithms import bounded_exp, log_shares
from bayesml.tables.checks import require_table
from bayesml.tables.person_periods import PERSON, STOP


@dataclass(frozen=True)
class AskedRows:
    """Rows with the strategy of each grouping.

    Parameters
    ----------
    rows : PredictionRows
    strategies : mapping of str to str
    at : mapping of str to number or str
        Covariates of a row at the means.
    periods : DataFrame or None
        Person and end of the period of each row, where rows are periods.
    """

    rows: PredictionRows
    strategies: Mapping[str, str]
    at: Mapping[str, float | str]
    periods: pd.DataFrame | None = None

    def attrs(self, seed: int) -> dict[Any, Any]:
        """Return what results record beside the strategies."""
        drawn = any(
            (part.positions < 0).any() and part.strategy != "marginal"
            for part in self.rows.groupings
        )
        return ({"at": dict(self.at)} if self.at else {}) | ({"seed": seed} if drawn else {})


def require_durations(fit: Fit, call: str) -> Durations:
    """Return what the family of a fit says of durations.

    Raises
    ------
    FitError
        It says nothing, or a parameter of the likelihood depends on the row.
    """
    require_one_predictor(fit.facts, call, "Use bml.predict(fit, kind='outcome').")
    durations = fit.spec.family_record.durations
    if durations is None:
        names = [name for name, family in FAMILIES.items() if family.durations is not None]
        more = ""
        if hazard_periods(fit):
            more = " Of a table of periods bml.survival(fit, periods) gives the curve."
        raise FitError(
            f"{call} needs a family of durations ({', '.join(names)}), and this model is "
            f"{fit.spec.family}. Use bml.predict(fit, ...).{more}"
        )
    return durations


def hazard_periods(fit: Fit) -> bool:
    """Return whether a fit may be one of periods: counts of events, or events of 0 and 1."""
    family = fit.spec.family_record
    exposed = fit.spec.exposure is not None and family.response == "count"
    plain = family.response == "binary" and not fit.facts.trials
    return not family.parameters and (exposed or plain)


def asked_rows(
    fit: Fit,
    new_data: object,
    at: Mapping[str, object] | None,
    groups: Groups | None,
    call: str,
) -> AskedRows:
    """Return the rows whose survival is asked for.

    Raises
    ------
    FitError
        Both `new_data` and `at` are given, or the family says nothing of survival.
    """
    chosen = checked_groups(fit, groups, new_rows=True)
    if new_data is not None and at is not None:
        raise FitError(
            "Both new_data and at are given. Give the rows as new_data, or at= for one row with "
            "the other covariates at their means."
        )
    if fit.spec.family_record.durations is not None:
        if new_data is not None:
            return AskedRows(new_rows(fit, new_data, chosen, trials=False), chosen, {})
        return _row_at_means(fit, at, chosen)
    if not hazard_periods(fit) or new_data is None:
        if hazard_periods(fit):
            raise FitError(
                f"{call} of the family {quoted(fit.spec.family)} needs rows of periods. Give "
                "new_data=bml.person_period(rows, time=..., cuts=...), made as the table of the "
                "fit was."
            )
        require_durations(fit, call)
    frame = require_table(new_data)
    absent = [name for name in (PERSON, STOP) if name not in frame.columns]
    if absent:
        raise FitError(
            f"The rows have no column {quoted(absent[0])}, and survival is counted from period to "
            "period of each person. Give new_data=bml.person_period(rows, time=..., cuts=...)."
        )
    rows = new_rows(fit, new_data, chosen, trials=False)
    return AskedRows(rows, chosen, {}, frame[[PERSON, STOP]].reset_index(drop=True))


def _row_at_means(
    fit: Fit, at: Mapping[str, object] | None, chosen: Mapping[str, str]
) -> AskedRows:
    for name, strategy in chosen.items():
        if strategy in ("known", "known or new"):
            raise FitError(
                f"groups is {quoted(strategy)} for {quoted(name)}, and a row at the means belongs "
                "to no unit. Give new_data with the labels of units, or groups='new', 'marginal' "
                "or 'population'."
            )
    require_shared_terms(fit.facts, "A row at the means", "new_data, with the members of each row")
    point = evaluation_point(fit, at, fixed=True)
    assert point.coefficients is not None
    groupings = tuple(
        RowsOfGrouping(
            facts,
            chosen[facts.name],
            point.terms[facts.name][None],
            ("new",),
            np.array([-1]),
            np.zeros((1, 1), dtype=int),
            np.ones((1, 1)),
        )
        for facts in fit.facts.groupings
        if chosen[facts.name] != "population"
    )
    offset = np.array([fit.facts.offset_mean])
    rows = PredictionRows(pd.RangeIndex(1), point.coefficients[None], groupings, offset, None)
    return AskedRows(rows, chosen, point.at)


def period_survival(
    fit: Fit, asked: AskedRows, seed: int
) -> list[tuple[Any, list[tuple[float, np.ndarray]]]]:
    """Return the survival of persons at the end of each of their periods, by person.

    The log survival of a period is minus the expected events (piecewise exponential), or the log
    probability of no event (discrete time).

    Raises
    ------
    FitError
        Effects that are averaged over differ between a person's periods.
    """
    assert asked.periods is not None
    blocks = list(predictor_blocks(fit, asked.rows, seed))
    eta = np.concatenate([block.eta for block in blocks])
    variance = None
    if blocks[0].variance is not None:
        variance = np.concatenate(
            [np.broadcast_to(np.asarray(item.variance), item.eta.shape) for item in blocks]
        )
    counts, link = fit.spec.family_record.response == "count", fit.spec.link

    def log_survival(predictor: np.ndarray) -> np.ndarray:
        return -bounded_exp(predictor) if counts else log_shares(link, predictor)[1]

    curves: list[tuple[Any, list[tuple[float, np.ndarray]]]] = []
    stops = asked.periods[STOP].to_numpy(dtype=float)
    codes, persons = pd.factorize(asked.periods[PERSON].to_numpy())
    for code, person in enumerate(persons):
        places = np.flatnonzero(codes == code)
        rows = places[np.argsort(stops[places], kind="stable")]
        own = None
        if variance is not None:
            own = variance[rows[0]]
            if not np.allclose(variance[rows], own):
                raise FitError(
                    f"The effects of person {quoted(person)} differ from period to period, so they "
                    "cannot be averaged over by themselves. Use groups='new' or 'population'."
                )
        found = []
        for last in range(1, len(rows) + 1):
            some = eta[rows[:last]]

            def lasting(shift: np.ndarray, some: np.ndarray = some) -> np.ndarray:
                return np.exp(log_survival(some + shift).sum(axis=0))

            share = mean_over_normal(lasting, np.zeros(eta.shape[1]), own)
            found.append((float(stops[rows[last - 1]]), share))
        curves.append((person, found))
    return curves
