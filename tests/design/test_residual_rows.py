"""Correlated residuals on a table: what the rows become, and what is refused before compiling."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.errors import BayesmlWarning, PriorError, SpecError, TableError


def table() -> pd.DataFrame:
    """Ten children at up to four occasions."""
    rng = np.random.default_rng(1)
    number = np.arange(40)
    return pd.DataFrame(
        {
            "child": [f"c{item}" for item in number // 4],
            "week": number % 4,
            "day": 7.0 * (number % 4) + rng.uniform(0, 1, 40),
            "stage": np.array(["a", "b", "c", "d"])[number % 4],
            "x": rng.normal(size=40),
            "one": number,
            "score": rng.normal(size=40),
            "school": number // 8,
        }
    )


def made(text: str, rows: pd.DataFrame | None = None, bars: str = "", **more: Any) -> bml.Model:
    return bml.model(table() if rows is None else rows, f"score ~ x{bars}", residual=text, **more)


def test_rows_follow_the_occasions() -> None:
    rows = table().drop(index=[1, 2, 9]).iloc[::-1].reset_index(drop=True)
    with pytest.warns(BayesmlWarning, match="not in the order of 'week'"):
        model = made("ar1(week, child)", rows)
    data = model.data
    for row in range(len(rows)):
        child, week = rows.loc[row, ["child", "week"]]
        earlier = rows[(rows["child"] == child) & (rows["week"] < week)]
        assert data["follows"][row] == float(len(earlier) > 0)
        if len(earlier):
            last = earlier["week"].idxmax()
            assert data["previous"][row] == last
            assert data["gap"][row] == week - rows.loc[last, "week"]


def test_without_a_time_the_order_of_the_rows_counts() -> None:
    rows = table().sample(frac=1, random_state=3).reset_index(drop=True)
    data = made("ar1(child)", rows).data
    for row in range(len(rows)):
        earlier = rows[(rows["child"] == rows.loc[row, "child"]) & (rows.index < row)]
        assert data["follows"][row] == float(len(earlier) > 0)
        if len(earlier):
            assert data["previous"][row] == earlier.index.max()
    assert "gap" not in data


def test_patterns_of_missing_occasions() -> None:
    rows = table().drop(index=[1, 2, 9]).reset_index(drop=True)
    model = made("unstructured(stage, child)", rows)
    data = model.data
    assert model.coords["occasion"] == ["a", "b", "c", "d"]
    assert len(data["seen"]) == 3
    for row in range(len(rows)):
        stages = set(rows.loc[rows["child"] == rows.loc[row, "child"], "stage"])
        assert data["seen"][data["pattern"][row]].tolist() == [
            float(stage in stages) for stage in "abcd"
        ]


def changed(column: str, row: int, value: object) -> Callable[[], pd.DataFrame]:
    def change() -> pd.DataFrame:
        rows = table()
        values = rows[column].tolist()
        values[row] = value
        rows[column] = values
        return rows

    return change


REFUSED = [
    ("ar1(week, child)", changed("week", 1, 0), "", TableError, "Rows 1, 2 repeat an occasion"),
    ("continuous_ar(day, child)", changed("day", 1, table()["day"][0]), "", TableError, "repeat"),
    ("unstructured(stage, child)", changed("stage", 1, "a"), "", TableError, "'c0' of 'child'"),
    ("ar1(day, child)", table, "", TableError, "not a whole number in row 1, 2, 3"),
    ("ar1(stage, child)", table, "", TableError, "The time 'stage' holds"),
    (
        "continuous_ar(day, child)",
        changed("day", 3, np.inf),
        "",
        TableError,
        "infinite in row 4",
    ),
    ("unstructured(day, child)", table, "", TableError, "has 40 distinct values: "),
    (
        "unstructured(school, child)",
        lambda: table()[lambda t: t["week"] == 0],
        "",
        TableError,
        "has",
    ),
    ("ar1(one)", table, "", TableError, "Every unit of 'one' has one row"),
    ("ar1(nobody)", table, "", TableError, "nobody"),
    ("ar1(never, child)", table, "", TableError, "never"),
    ("ar1(child)", changed("child", 2, None), "", TableError, "no label in column 'child', row 3"),
    (
        "compound_symmetric(child)",
        table,
        " + (1 | child)",
        SpecError,
        "the varying intercept of 'child' are not identified together: an intercept that varies",
    ),
    ("unstructured(week, child)", table, " + (x | child)", SpecError, "are not identified"),
    (
        "unstructured(week, child)",
        table,
        " + (0 + week | child)",
        SpecError,
        "the varying term 'week' of 'child' are not identified together",
    ),
    (
        "ar1(week, child)",
        lambda: table()[lambda t: t["week"] < 2],
        " + (1 | child)",
        SpecError,
        "no unit has more than two rows",
    ),
    (
        "continuous_ar(day, child)",
        lambda: table().assign(day=table()["day"] * 1e-6),
        "",
        TableError,
        "Put the time into other units",
    ),
]


@pytest.mark.parametrize(
    ("text", "rows", "bars", "kind", "words"),
    [pytest.param(*row, id=f"{row[0]} {row[4][:30]}") for row in REFUSED],
)
def test_what_cannot_be_fitted_is_named(
    text: str,
    rows: Callable[[], pd.DataFrame],
    bars: str,
    kind: type[Exception],
    words: str,
) -> None:
    with pytest.raises(kind) as error:
        made(text, rows(), bars)
    assert words in str(error.value)


PRIORS = [
    ("ar1(child)", {"phi": "Normal(0, 1)"}, "does not fit a bounded parameter"),
    ("ar1(child)", {"phi": "Uniform(-2, 1)"}, "the parameter lies between -1 and 1"),
    ("continuous_ar(day, child)", {"phi": "TruncatedNormal(0, 1, -1, 1)"}, "between 0 and 1"),
    ("compound_symmetric(child)", {"corr_residual": "Uniform(-0.5, 1)"}, "between -0.333333 and 1"),
    ("compound_symmetric(child)", {"corr_residual": "LKJ(2)"}, "does not fit a bounded"),
    ("unstructured(week, child)", {"corr_residual": "Uniform(0, 1)"}, "does not fit a correlation"),
    ("unstructured(week, child)", {"sigma[9]": "HalfNormal(1)"}, "There is no prior 'sigma[9]'"),
    ("ar1(child)", {"corr_residual": "LKJ(2)"}, "There is no prior 'corr_residual'"),
]


@pytest.mark.parametrize(("text", "priors", "words"), PRIORS)
def test_priors_of_residuals_are_checked(text: str, priors: dict[str, str], words: str) -> None:
    with pytest.raises(PriorError) as error:
        made(text, priors=priors)
    assert words in str(error.value)


def test_priors_of_residuals_are_changed() -> None:
    model = made("unstructured(week, child)", priors={"sigma[2]": "HalfNormal(3)"})
    shown = model.priors.set_index("parameter")["prior"]
    assert shown["sigma[2]"] == "HalfNormal(3)"
    assert shown["sigma[1]"].startswith("HalfStudentT(4, ")
    assert shown["corr_residual"] == "LKJ(2)"
    model = made("ar1(child)", priors={"phi": "Beta(2, 2)"})
    assert 'pm.Beta("phi", d["phi_alpha"], d["phi_beta"])' in model.source


def test_rows_that_were_left_out_are_said_to_be_skipped() -> None:
    with pytest.warns(BayesmlWarning) as caught:
        made("ar1(child)", changed("x", 2, np.nan)())
    assert any("count as neighbours" in str(item.message) for item in caught)


def test_longitudinal_takes_a_name_or_a_call() -> None:
    def text(**options: Any) -> str:
        return bml.longitudinal(
            table(), "score ~ 1", unit="child", time="week", **options
        ).spec.text

    base = "score ~ 1 + week"
    assert text(residual="ar1") == f"{base} + (week | child), residual ar1(week, child)"
    assert text(residual="ar1(child)", growth=0) == ("score ~ 1 + (1 | child), residual ar1(child)")
    assert text(residual="unstructured") == f"{base}, residual unstructured(week, child)"
    assert text(residual="compound_symmetric", growth=2) == (
        f"{base} + I(week ** 2), residual compound_symmetric(child)"
    )


def test_names_of_the_source_are_free() -> None:
    """An outcome and a grouping may bear the names of the arrays that residuals need."""
    rows = table().rename(columns={"score": "gap", "school": "occasion"})
    model = bml.model(rows, "gap ~ x + (1 | occasion)", residual="unstructured(week, child)")
    assert model.resolved.response == "gap_2"
    assert "occasion_2" in model.coords
    compile(model.source, "<source>", "exec")


@pytest.mark.parametrize(
    "text",
    ["ar1(child)", "ar1(week, child)", "continuous_ar(week, child)", "compound_symmetric(child)"],
)
def test_the_equation_says_how_residuals_are_correlated(text: str) -> None:
    equation = made(text, bars=" + (1 | school)").equation
    assert r"\operatorname{Cor}(" in equation
    assert equation.count(r"\text{child}[i] = \text{child}[k]") == 1
