"""A varying term far from 0 is named, since its intercept is that of no row."""

import warnings

import numpy as np
import pandas as pd
import pytest

import bayesml as bml

TABLE = pd.DataFrame(
    {
        "school": np.repeat(np.arange(8), 6),
        "year": 2000.0 + np.tile([0, 4, 8, 12, 16, 20], 8),
        "score": np.random.default_rng(1).normal(size=48),
    }
)


def notes(formula: str, shift: float = 0.0) -> list[str]:
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        made = bml.model(TABLE.assign(year=TABLE["year"] - shift), formula)
    return [note for note in made.notes if "far from 0" in note]


def test_calendar_years_are_named() -> None:
    assert notes("score ~ year + (year | school)") == [
        "The varying term 'year' of 'school' is far from 0 (mean 2010, SD 6.8), and the SD and "
        "the correlation of its intercept are those at 0. Chains may miss parts of such a "
        "posterior: subtract a value near the mean."
    ]


@pytest.mark.parametrize(
    ("formula", "shift"),
    [
        ("score ~ year + (year | school)", 2010),
        ("score ~ year + (year | school)", 1900),  # mean 110, 16 SDs from 0
        ("score ~ year + (1 | school)", 0),
        ("score ~ year + (0 + year | school)", 0),
        ("score ~ year + (year || school)", 0),
        ("score ~ year + (1 | school) + (0 + year | school)", 0),
    ],
)
def test_others_are_not(formula: str, shift: float) -> None:
    assert notes(formula, shift) == []


def test_the_limit_is_twenty_sds() -> None:
    formula = "score ~ year + (year | school)"
    spread = float(TABLE["year"].std(ddof=0))
    assert notes(formula, 2010 - 19.9 * spread) == []
    assert len(notes(formula, 2010 + 20.1 * spread)) == 1
