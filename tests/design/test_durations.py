"""Durations from columns: codes of censoring, bounds, entries, and what is refused."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.design.durations import duration_rows
from bayesml.design.row_subsets import design_of_rows
from bayesml.errors import TableError
from bayesml.specs.duration_calls import read_durations
from bayesml.specs.parsing import parse

TABLE = pd.DataFrame(
    {
        "time": [2.0, 3.0, 1.0, 4.0],
        "status": [1, 0, 1, 0],
        "start": [0.0, 1.0, 0.5, 0.0],
        "lower": [0.0, 1.0, 2.0, 3.0],
        "upper": [1.5, 2.5, 2.0, np.nan],
        "x": [0.3, 0.1, 0.7, 0.2],
        "g": [1, 1, 2, 2],
    }
)


def rows(response: str, table: pd.DataFrame = TABLE) -> Any:
    call = read_durations(parse(response), response)
    assert call is not None
    return duration_rows(call, table, np.arange(len(table)))


def test_right_censored() -> None:
    found = rows("surv(time, status)")
    np.testing.assert_array_equal(found.values, TABLE["time"])
    np.testing.assert_array_equal(found.bounds["censoring"], [1, 0, 1, 0])
    assert set(found.bounds) == {"censoring"}


def test_nothing_to_say_where_all_were_seen_whole() -> None:
    assert rows("surv(time, x > 0)".replace(" > 0", "*0 + 1")).bounds == {}
    assert rows("surv(time)").bounds == {}


def test_left_censored_and_entry() -> None:
    assert rows('surv(time, status, kind="left")').bounds["censoring"].tolist() == [1, 2, 1, 2]
    found = rows('surv(time, status, kind="left", entry=start)')
    # The second row had lasted until 1 and had ended by 3.
    assert found.bounds["censoring"].tolist() == [1, 3, 1, 2]
    assert found.values.tolist() == [2, 1, 1, 4]
    assert found.bounds["upper_bound"].tolist() == [2, 3, 1, 4]


def test_late_entry() -> None:
    found = rows("surv(start, time, status)")
    assert found.bounds["entry_time"].tolist() == [0, 1, 0.5, 0]


def test_intervals() -> None:
    found = rows('surv(lower, upper, kind="interval")')
    # From 0 (or empty): left-censored; equal bounds: seen; no upper bound: right-censored.
    assert found.bounds["censoring"].tolist() == [2, 3, 1, 0]
    assert found.values.tolist() == [1.5, 1, 2, 3]
    assert found.bounds["upper_bound"].tolist() == [1.5, 2.5, 2, 3]
    empty = TABLE.assign(lower=TABLE["lower"].replace(0.0, np.nan))
    same = rows('surv(lower, upper, kind="interval")', empty)
    assert same.values.tolist() == found.values.tolist()


def test_empty_bounds_leave_no_row_out() -> None:
    made = bml.model(TABLE, 'surv(lower, upper, kind="interval") ~ x', family="weibull")
    assert made.facts.rows == 4
    assert made.facts.censored == (
        "of 4 durations 1 right-censored, 1 left-censored, 1 known between two times"
    )
    assert made.facts.response == "lower to upper"
    missing = TABLE.assign(status=[1, np.nan, 1, 0])
    with pytest.warns(bml.BayesmlWarning, match="status: 1"):
        assert bml.model(missing, "surv(time, status) ~ x", family="weibull").facts.rows == 3


@pytest.mark.parametrize(
    ("response", "change", "words"),
    [
        ("surv(time, status)", {"time": [0.0, 3, 1, -4]}, "not above 0 in 2 of 4 rows: 0, -4"),
        ("surv(time, status)", {"status": [1, 2, 1, 2]}, "surv(time, status - 1)"),
        ("surv(time, status)", {"status": [0, 0, 0, 0]}, "All 4 durations 'time' are censored"),
        ("surv(time, status)", {"status": ["dead"] * 2 + ["alive"] * 2}, "holds labels ('alive'"),
        ("surv(start, time, status)", {"start": [0.0, 3, 0, 5]}, "not before 'time' in 2 of 4"),
        ("surv(start, time, status)", {"start": [0.0, -1, 0, 0]}, "entry 'start' is negative"),
        (
            'surv(lower, upper, kind="interval")',
            {"upper": [1.5, 0.5, 2.0, 9.0]},
            "is above the upper one in 1 of 4 rows: 1 in row 2",
        ),
        (
            'surv(lower, upper, kind="interval")',
            {"lower": [-1.0, 1, 2, 3]},
            "lower bound of 'lower to upper' is negative",
        ),
        (
            'surv(lower, upper, kind="interval")',
            {"upper": [0.0, 2, 2, 3]},
            "upper bound of 'lower to upper' is not above 0",
        ),
        (
            'surv(lower, upper, kind="interval")',
            {"upper": [np.nan, 2, 2, 3]},
            "reaches from 0 to no end and says nothing",
        ),
    ],
)
def test_what_is_refused(response: str, change: dict[str, Any], words: str) -> None:
    with pytest.raises(TableError) as caught:
        rows(response, TABLE.assign(**change))
    assert words in str(caught.value)


def test_one_duration_everywhere_is_nothing_to_model() -> None:
    with pytest.raises(TableError, match="'time' has the value 2 in every row"):
        bml.model(TABLE.assign(time=2.0), "surv(time) ~ x", family="exponential")


def test_fewer_rows_keep_what_is_known_of_them() -> None:
    made = bml.model(TABLE, "surv(start, time, status) ~ x", family="weibull")
    _, fewer = design_of_rows(made.resolved, made.design, np.array([1, 2]))
    assert fewer.response.bounds["censoring"].tolist() == [0, 1]
    assert fewer.response.bounds["entry_time"].tolist() == [1, 0.5]


def test_the_intercept_stands_at_time_under_observation_over_ends() -> None:
    made = bml.model(TABLE, "surv(start, time, status) ~ x", family="exponential")
    prior = made.resolved.intercept_prior
    assert prior is not None
    assert prior.values[0] == pytest.approx(np.log((10 - 1.5) / 2))
