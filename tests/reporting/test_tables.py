"""Digits by uncertainty, and columns in line."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesml.reporting.tables import (
    MOST_DECIMALS,
    after_the_point,
    at_the_point,
    count_text,
    decimals_for,
    interval_text,
    number_text,
    share_text,
    shortened,
    text_table,
)


@pytest.mark.parametrize(
    ("spread", "decimals"),
    [
        (0.0123, 3),
        (0.0996, 2),  # rounds to 0.10
        (0.994, 2),
        (0.999, 1),  # rounds to 1.0
        (9.96, 0),  # rounds to 10
        (12.0, 0),
        (4500.0, 0),
        (0.0, 2),
        (math.nan, 2),
        (math.inf, 2),
        (1e-30, MOST_DECIMALS),
        (-0.5, 2),
    ],
)
def test_a_spread_is_shown_with_two_significant_digits(spread: float, decimals: int) -> None:
    assert decimals_for(spread) == decimals


@given(st.floats(min_value=1e-7, max_value=90))
def test_the_decimals_lose_no_more_than_the_third_digit(spread: float) -> None:
    shown = float(f"{spread:.{decimals_for(spread)}f}")
    # Two significant digits: off by at most half a unit of the second one.
    assert abs(shown - spread) <= 0.05 * spread * (1 + 1e-9)


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (1234.5, 1, "1,234.5"),
        (-0.004, 2, "0.00"),
        (-0.006, 2, "-0.01"),
        (math.nan, 2, ""),
        (math.inf, 0, "inf"),
        (-math.inf, 0, "-inf"),
        (2.5e12, 0, "2.5e+12"),
    ],
)
def test_numbers(value: float, decimals: int, text: str) -> None:
    assert number_text(value, decimals) == text


def test_intervals_shares_and_counts() -> None:
    assert interval_text(-0.004, 1.5, 2) == "[0.00, 1.50]"
    assert [share_text(prob) for prob in (0.89, 0.5, 0.995)] == ["89 %", "50 %", "99.5 %"]
    assert [count_text(value) for value in (2.0, 62.446, 12345)] == ["2", "62.4", "12,345"]


def test_long_and_unprintable_labels_stay_on_one_short_line() -> None:
    assert shortened("a\nb\x1b[31m") == "a b [31m"
    text = shortened("x" * 300, 20)
    assert len(text) == 20
    assert "…" in text


def test_decimal_points_line_up_whatever_the_digits() -> None:
    lines = text_table(
        ["name", "mean"], [["a", "1.250"], ["bb", "-10.5"], ["c", "3"], ["d", "-"]]
    ).splitlines()
    assert lines == ["name     mean", "a       1.250", "bb    -10.5", "c       3", "d       -"]


def test_words_are_not_taken_for_numbers() -> None:
    assert at_the_point(["a.b", "1.5"]) == ["a.b  ", "1.5"]
    assert after_the_point(".5") == 0


def test_a_table_without_rows_is_its_header() -> None:
    assert text_table(["a", "b"], []) == "a  b"
