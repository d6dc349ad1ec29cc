"""The generated model of censored durations has the log-density that SciPy says."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.codegen.scipy_log_joint import Outcome, Row, log_joint
from tests.codegen.test_log_density import (
    PREDICTORS,
    TOLERANCE,
    Density,
    _without_compiler,
    case,
    simulated_table,
)
from tests.family_rows import DURATIONS, ROWS

__all__ = ["_without_compiler"]  # a fixture that every test here uses


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


# Outcome, log-likelihood of a row, and the time under observation over the number that ended.
KINDS: Mapping[str, tuple[str, Callable[[Row, Any], float], Callable[[pd.DataFrame], float]]] = {
    "right": ("surv(wait, ended)", _right, lambda t: t["wait"].sum() / t["ended"].sum()),
    "left": ('surv(wait, ended, kind="left")', _left, lambda t: t["wait"].mean()),
    "entry": (
        "surv(begin, wait, ended)",
        _entered,
        lambda t: (t["wait"] - t["begin"]).sum() / t["ended"].sum(),
    ),
    "interval": (
        'surv(earliest, latest, kind="interval")',
        _between,
        lambda t: t["earliest"].fillna(t["latest"]).sum() / t["latest"].notna().sum(),
    ),
    "left with entry": (
        'surv(wait, ended, kind="left", entry=begin)',
        _left_and_entered,
        lambda t: (
            t["wait"].where((t["ended"] == 1) | (t["begin"] == 0), t["begin"]) - t["begin"]
        ).mean(),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", DURATIONS)
def test_censored_log_density_equals_scipys(family: str, kind: str) -> None:
    table, row = simulated_table(), ROWS[f"{family} log"]
    left, density, location = KINDS[kind]

    def of_row(one: Row, eta: float, values: Mapping[str, np.ndarray]) -> float:
        return density(one, row.distribution(np.exp(eta), values, 1))

    outcome = Outcome(
        left, {"family": family}, of_row, lambda t: float(np.log(location(t))), priors=row.priors
    )
    options = {"parametrisation": "non-centred", **outcome.options}
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
