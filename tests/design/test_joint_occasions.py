"""Pairs of occasions that no unit has both of are named when the model is made."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bayesml as bml
from bayesml.design.joint_occasions import never_together


@given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 3)), min_size=1))
def test_pairs_are_those_that_no_unit_has(rows: set[tuple[int, int]]) -> None:
    unit, occasion = np.array(sorted(rows)).T
    of_units = [{o for u, o in rows if u == number} for number in range(7)]
    expected = [
        (i, j)
        for i in range(4)
        for j in range(i + 1, 4)
        if not any({i, j} <= own for own in of_units)
    ]
    assert never_together(unit, occasion, 4) == expected


def rotating_panel() -> pd.DataFrame:
    """Every unit is seen at two neighbouring weeks of three."""
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "y": rng.normal(size=40),
            "unit": np.repeat(np.arange(20), 2),
            "week": np.ravel([(1, 2) if number % 2 else (2, 3) for number in range(20)]),
        }
    )


def test_a_rotating_panel_is_told() -> None:
    with pytest.warns(bml.BayesmlWarning, match="No unit has both of '1 and 3', so the corr"):
        bml.model(rotating_panel(), "y ~ 1", residual="unstructured(week, unit)")


def outcomes(*seen: str) -> pd.DataFrame:
    """Rows that have these outcomes in turn."""
    rng = np.random.default_rng(2)
    table = pd.DataFrame(rng.normal(size=(40, 3)), columns=list("abc")).assign(g=np.arange(40) // 4)
    for row in range(40):
        for name in set("abc") - set(seen[row % len(seen)]):
            table.loc[row, name] = np.nan
    return table


@pytest.mark.filterwarnings("ignore:Outcomes are missing")
def test_outcomes_of_different_rows_are_told() -> None:
    with pytest.warns(bml.BayesmlWarning, match="No row has both of 'b and c'"):
        bml.multivariate(outcomes("ab", "ac"), "1", outcomes=["a", "b", "c"], group="g")


@pytest.mark.filterwarnings("ignore:Outcomes are missing")
def test_outcomes_that_never_meet_have_no_correlation() -> None:
    table = outcomes("a", "b")
    with pytest.raises(bml.TableError, match=r"No row has two.*residual_correlation=False"):
        bml.multivariate(table, "1", outcomes=["a", "b"], group="g")
    model = bml.multivariate(table, "1", outcomes=["a", "b"], group="g", residual_correlation=False)
    assert "corr_residual" not in model.resolved.posterior_names
    assert "corr_g" in model.resolved.posterior_names
