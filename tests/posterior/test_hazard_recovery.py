"""How often intervals of hazards by period hold the truth, over tables from the prior.

Truths come from the prior, so an interval of 89 % holds them in 89 % of tables on average, whatever
the sample size. The band is the binomial's of 99.9 %: 78 to 97 of 100 tables. Outcomes are
simulated here with NumPy, not by the toolkit.
"""

import numpy as np
import pytest

import bayesml as bml
from tests.posterior.recovery import Simulator, Truths, coverage
from tests.posterior.recovery_tables import ROWS, VARYING, rows_of_units, varying_intercept

TABLES = 100
SEED = 41_000
CUTS = np.array([0.5, 1.2])
# The last period of whole numbers: who is still there is censored.
LAST = 4


def _cumulative(time: np.ndarray, hazards: np.ndarray) -> np.ndarray:
    """Return the integral from 0 to `time` of a hazard that is constant between cuts."""
    edges = np.array([0.0, *CUTS, np.inf])
    spent: np.ndarray = np.clip(time[:, None], edges[:-1], edges[1:]) - edges[:-1]
    return spent @ hazards


def _reached(total: np.ndarray, hazards: np.ndarray) -> np.ndarray:
    """Return the times at which the cumulative hazard reaches `total`."""
    steps = np.append(0.0, np.cumsum(hazards[:-1] * np.diff([0.0, *CUTS])))
    period = (total[:, None] > steps[1:]).sum(axis=1)
    start: np.ndarray = np.array([0.0, *CUTS])[period]
    return start + (total - steps[period]) / hazards[period]


def _piecewise(rng: np.random.Generator, late: bool) -> tuple[bml.Model, Truths]:
    table = rows_of_units(rng)
    logs, slope = rng.normal(0, 0.5, len(CUTS) + 1), rng.normal(0, 0.5)
    effects, of_units = varying_intercept(table, rng)
    factor = np.exp(slope * table["x"].to_numpy() + effects)
    entry = rng.uniform(0, 0.9, ROWS) * rng.integers(0, 2, ROWS) if late else np.zeros(ROWS)
    # Who comes under observation late is somebody whom the event had left until then.
    before = _cumulative(entry, np.exp(logs))
    time = _reached(before + rng.exponential(size=ROWS) / factor, np.exp(logs))
    last = entry + rng.exponential(2.0, ROWS)
    table = table.assign(
        entry=entry, time=np.minimum(time, last), status=(time <= last).astype(int)
    )
    long = bml.person_period(table, "time", "status", entry="entry" if late else None, cuts=CUTS)
    if long["period"].nunique() <= len(CUTS):
        # Nobody was seen in a period: drawn again, as what depends on outcomes alone may be.
        return _piecewise(rng, late)
    model = bml.two_level(
        long,
        "status ~ 0 + C(period) + x",
        group="unit",
        family="poisson",
        exposure="exposure",
        priors={"beta": "Normal(0, 0.5)"} | VARYING,
    )
    labels = ("0-0.5", "0.5-1.2", "1.2+")
    truths = {f"beta[C(period)[{label}]]": log for label, log in zip(labels, logs, strict=True)}
    return model, truths | of_units | {"beta[x]": slope}


def piecewise_exponential(rng: np.random.Generator) -> tuple[bml.Model, Truths]:
    """Right-censored durations with a hazard for each period, and a frailty that units share."""
    return _piecewise(rng, late=False)


def piecewise_entered_late(rng: np.random.Generator) -> tuple[bml.Model, Truths]:
    """Such durations, half of which came under observation late."""
    return _piecewise(rng, late=True)


def _discrete(rng: np.random.Generator, late: bool) -> tuple[bml.Model, Truths]:
    table = rows_of_units(rng)
    logs, slope = rng.normal(-0.8, 0.5, LAST), rng.normal(0, 0.5)
    effects, of_units = varying_intercept(table, rng)
    eta = logs + (slope * table["x"].to_numpy() + effects)[:, None]
    entry = rng.integers(0, 3, ROWS) if late else np.zeros(ROWS, dtype=int)
    period = np.arange(1, LAST + 1)
    happens = (rng.uniform(size=eta.shape) < 1 - np.exp(-np.exp(eta))) & (period > entry[:, None])
    time = np.where(happens.any(axis=1), 1 + happens.argmax(axis=1), LAST + 1)
    last = np.maximum(rng.integers(1, LAST + 1, ROWS), entry + 1)
    table = table.assign(
        entry=entry, time=np.minimum(time, last), status=(time <= last).astype(int)
    )
    long = bml.person_period(table, "time", "status", entry="entry" if late else None)
    if long["period"].nunique() < LAST:
        return _discrete(rng, late)
    model = bml.two_level(
        long,
        "status ~ 0 + C(period) + x",
        group="unit",
        family="binomial",
        link="cloglog",
        priors={"beta": "Normal(-0.8, 0.5)", "beta[x]": "Normal(0, 0.5)"} | VARYING,
    )
    truths = {f"beta[C(period)[{number}]]": logs[number - 1] for number in period}
    return model, truths | of_units | {"beta[x]": slope}


def discrete_hazard(rng: np.random.Generator) -> tuple[bml.Model, Truths]:
    """Periods until an event, right-censored, with proportional hazards and a shared frailty."""
    return _discrete(rng, late=False)


def discrete_entered_late(rng: np.random.Generator) -> tuple[bml.Model, Truths]:
    """Such periods, of which two thirds came under observation one or two periods late."""
    return _discrete(rng, late=True)


CASES: tuple[Simulator, ...] = (
    piecewise_exponential,
    piecewise_entered_late,
    discrete_hazard,
    discrete_entered_late,
)


@pytest.mark.slow
@pytest.mark.sampling
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning")
@pytest.mark.parametrize("simulate", CASES, ids=lambda case: case.__name__)
def test_intervals_hold_the_truth_as_often_as_they_say(simulate: Simulator) -> None:
    assert coverage(simulate, TABLES, SEED).outside(TABLES) == {}
