"""The generated model of censored durations has the log-density that SciPy says."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.codegen.scipy_log_joint import Outcome, Row, log_joint
from tests.codegen.test_log_density import (
    PREDICTORS,
    TOLERANCE,
    Density,
    case,
    simulated_table,
)
from tests.family_rows import DURATIONS, ROWS

pytestmark = pytest.mark.usefixtures("without_compiler")


def _right(row: Row, found: Any) -> float:
    return float(found.logpdf(row.wait) if row.ended else found.logsf(row.wait))


def _left(row: Row, found: Any) -> float:
    return float(found.logpdf(row.wait) if row.ended else found.logcdf(row.wait))


def _entered(row: Row, found: Any) -> float:
    return _right(row, found) - float(found.logsf(row.begin))


def _between(row: Row, found: Any) -> float:
    if np.isnan(row.earliest):
        return float(found.logcdf(row.latest))
    if np.isnan(row.latest):
        return float(found.logsf(row.earliest))
    if row.earliest == row.latest:
        return float(found.logpdf(row.earliest))
    return float(np.log(found.cdf(row.latest) - found.cdf(row.earliest)))


def _left_and_entered(row: Row, found: Any) -> float:
    given = float(found.logsf(row.begin))
    if row.ended:
        return float(found.logpdf(row.wait)) - given
    return float(np.log(found.cdf(row.wait) - found.cdf(row.begin))) - given


def _wait(table: pd.DataFrame) -> pd.Series:
    return table["wait"]


def _earliest(table: pd.DataFrame) -> pd.Series:
    return table["earliest"].fillna(table["latest"])


def _lasted(table: pd.DataFrame) -> pd.Series:
    return table["wait"].where((table["ended"] == 1) | (table["begin"] == 0), table["begin"])


# Outcome, log-likelihood of a row, the time under observation over the number that ended, and the
# time that stands for a row where priors follow the logs.
Column = Callable[[pd.DataFrame], Any]
KINDS: Mapping[str, tuple[str, Callable[[Row, Any], float], Column, Column]] = {
    "right": ("surv(wait, ended)", _right, lambda t: t["wait"].sum() / t["ended"].sum(), _wait),
    "left": ('surv(wait, ended, kind="left")', _left, lambda t: t["wait"].mean(), _wait),
    "entry": (
        "surv(begin, wait, ended)",
        _entered,
        lambda t: (t["wait"] - t["begin"]).sum() / t["ended"].sum(),
        _wait,
    ),
    "interval": (
        'surv(earliest, latest, kind="interval")',
        _between,
        lambda t: _earliest(t).sum() / t["latest"].notna().sum(),
        _earliest,
    ),
    "left with entry": (
        'surv(wait, ended, kind="left", entry=begin)',
        _left_and_entered,
        lambda t: (_lasted(t) - t["begin"]).mean(),
        _lasted,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", DURATIONS)
def test_censored_log_density_equals_scipys(family: str, kind: str) -> None:
    table, row = simulated_table(), ROWS[f"{family} log"]
    left, density, location, logged = KINDS[kind]

    def of_row(one: Row, eta: float, values: Mapping[str, np.ndarray]) -> float:
        return density(one, row.distribution(np.exp(eta), values, 1))

    outcome = Outcome(
        left, {"family": family}, of_row, lambda t: float(np.log(location(t))), priors=row.priors
    )
    options = {"parametrisation": "non-centred", **outcome.options}
    if row.scaled:
        table = table.assign(**{left: logged(table)})
        outcome = replace(
            outcome,
            scaled=True,
            options={"family": family, "link": "log"},
            location=lambda t: float(np.log(t[left]).mean()),
        )
    made, groupings = case("two_level", table, left, True, options)
    compiled, rng = Density(made), np.random.default_rng(3)
    for _ in range(2):
        found, values = compiled.at(compiled.point(rng))
        expected = log_joint(
            outcome,
            table,
            PREDICTORS,
            groupings,
            values,
            compiled.labels(),
            form="non-centred",
        )
        assert np.isfinite(expected)
        assert found == pytest.approx(expected, rel=TOLERANCE)
