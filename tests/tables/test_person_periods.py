"""Rows of periods: exposures, events, entries, and what is refused."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.errors import TableError

PEOPLE = pd.DataFrame(
    {"days": [20.0, 50.0, 30.0, 200.0], "ended": [1, 0, 1, 1], "late": [0.0, 40.0, 10.0, 95.0]}
)


def test_pieces_add_up_to_the_durations() -> None:
    long = bml.person_period(PEOPLE, time="days", event="ended", cuts=[30, 90])
    assert long.groupby("person")["exposure"].sum().tolist() == PEOPLE["days"].tolist()
    assert long.groupby("person")["ended"].sum().tolist() == [1, 0, 1, 1]
    assert list(long["period"].cat.categories) == ["0-30", "30-90", "90+"]
    # An event at a cut belongs to the period that it ends.
    assert long.loc[long["person"] == 3, "period"].tolist() == ["0-30"]
    assert long.loc[long["person"] == 4, "ended"].tolist() == [0, 0, 1]
    assert long.loc[long["person"] == 4, "stop"].tolist() == [30, 90, 200]


def test_late_entries() -> None:
    long = bml.person_period(PEOPLE, "days", "ended", entry="late", cuts=[30, 90])
    found = long.groupby("person")["exposure"].sum()
    np.testing.assert_allclose(found, PEOPLE["days"] - PEOPLE["late"])
    assert long.loc[long["person"] == 4, ["start", "stop"]].values.tolist() == [[95, 200]]


def test_discrete_time() -> None:
    people = {"year": [3, 1, 2], "left": [1, 1, 0], "since": [1, 0, 0], "x": [0.5, 0.1, 0.2]}
    long = bml.person_period(people, time="year", event="left")
    assert long["period"].tolist() == [1, 2, 3, 1, 1, 2]
    assert long["left"].tolist() == [0, 0, 1, 1, 0, 0]
    assert (long["exposure"] == 1).all()
    assert long["x"].tolist() == [0.5, 0.5, 0.5, 0.1, 0.2, 0.2]
    late = bml.person_period(people, time="year", event="left", entry="since")
    assert late["period"].tolist() == [2, 3, 1, 1, 2]


def test_the_poisson_likelihood_is_that_of_constant_hazards() -> None:
    rates = np.array([0.02, 0.005, 0.01])
    long = bml.person_period(PEOPLE, "days", "ended", cuts=[30, 90])
    mean = long["exposure"] * rates[long["period"].cat.codes]
    # Poisson log probability without the log exposure of the events, which has no rate in it.
    found = (long["ended"] * np.log(rates[long["period"].cat.codes]) - mean).sum()
    expected = 0.0
    for days, ended in zip(PEOPLE["days"], PEOPLE["ended"], strict=True):
        grid = np.clip([days, days - 30, days - 90], 0, [30, 60, np.inf])
        expected -= float(rates @ grid)
        expected += ended * np.log(rates[np.searchsorted([30, 90], days)])
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"days": [0.0, 1, 2, 3]}, {"cuts": [2]}, "'days' is not above 0 in 1 of 4 rows: 0 in row"),
        ({"ended": [1, 2, 1, 1]}, {"cuts": [2]}, "'ended' is neither 0 nor 1"),
        ({"late": [20.0, 0, 0, 0]}, {"cuts": [2], "entry": "late"}, "not before 'days'"),
        ({"days": [1.5, 1, 2, 3]}, {}, "not a whole number; give cuts=[...]"),
        ({"days": [5000, 1, 2, 3]}, {}, "as many periods"),
        ({"days": [np.nan, 1, 2, 3]}, {"cuts": [2]}, "'days' is missing or not a number"),
        ({}, {"cuts": [30, 20]}, "ascending order"),
        ({}, {"cuts": "soon"}, "ascending order"),
        ({"period": [1, 1, 1, 1]}, {"cuts": [2]}, "already has the column 'period'"),
        ({}, {"cuts": [2], "entry": "begin"}, "no column 'begin' (entry)"),
    ],
)
def test_what_is_refused(change: dict[str, Any], options: dict[str, Any], words: str) -> None:
    with pytest.raises(TableError) as caught:
        bml.person_period(PEOPLE.assign(**change), time="days", event="ended", **options)
    assert words in str(caught.value)
