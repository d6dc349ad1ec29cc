"""Tables of estimates: which columns, which digits, which words."""

import math

import pandas as pd

from bayesml.reporting.estimates import (
    FIGURE_SPACE,
    POINT_SPACE,
    FormattedTable,
    component_table,
    estimate_table,
)

NUMBERS = {
    "mean": [0.55668, -12.34],
    "median": [0.55, -12.0],
    "sd": [0.02031, 3.4],
    "lower": [0.5231, -18.2],
    "upper": [0.5877, -6.5],
    "ess_bulk": [1705.9, 99.0],
    "r_hat": [1.0021, math.nan],
}


def test_each_row_has_the_digits_of_its_own_uncertainty() -> None:
    frame = pd.DataFrame(NUMBERS, index=pd.Index(["a", "b"], name="coefficient"))
    table = estimate_table(frame, 0.89)
    assert table.header == ("coefficient", "mean", "SD", "5.5 %", "94.5 %", "ESS", "R-hat")
    assert table.rows == (
        ("a", "0.557", "0.020", "0.523", "0.588", "1,705", "1.002"),
        ("b", "-12.3", "3.4", "-18.2", "-6.5", "99", ""),
    )
    assert table.labels == 1


def test_columns_that_are_missing_or_empty_are_left_out() -> None:
    frame = pd.DataFrame(
        {"grouping": ["school", "residual"], "membership": ["", ""], "mean": [0.25, 0.75]},
    )
    table = estimate_table(frame, 0.5)
    assert table.header == ("grouping", "mean")
    assert table.rows == (("school", "0.25"), ("residual", "0.75"))


def test_without_an_sd_the_interval_gives_the_digits() -> None:
    frame = pd.DataFrame({"mean": [0.12345], "lower": [0.10], "upper": [0.14]}, index=["a"])
    assert estimate_table(frame, 0.9).rows == (("0.123", "0.100", "0.140"),)


def test_components_are_said_in_words() -> None:
    frame = pd.DataFrame(
        {
            "grouping": ["school", "school", "residual"],
            "term": ["Intercept", "Intercept", ""],
            "term2": ["", "standLRT", ""],
            "parameter": ["sd", "corr", "sd"],
            "mean": [0.31, 0.45, 0.74],
            "sd": [0.03, 0.15, 0.01],
        }
    )
    table = component_table(frame, 0.89)
    assert table.labels == 2
    assert [row[:3] for row in table.rows] == [
        ("school", "SD of Intercept", "0.310"),
        ("school", "correlation of Intercept and standLRT", "0.45"),
        ("residual", "SD", "0.740"),
    ]


def test_print_has_minus_signs_and_blanks_as_wide_as_digits() -> None:
    table = FormattedTable(("", "x"), (("a-b", "-1.25"), ("c", "10.5"), ("d", "3"), ("e", "")), 1)
    assert table.typeset == (
        ("a-b", "−1.25"),
        ("c", f"10.5{FIGURE_SPACE}"),
        ("d", f"3{POINT_SPACE}{FIGURE_SPACE * 2}"),
        ("e", ""),
    )
