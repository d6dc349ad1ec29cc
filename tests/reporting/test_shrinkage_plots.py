"""The shrinkage plot shows the numbers of the comparison."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.errors import FitError
from bayesml.records.fits import Fit
from bayesml.reporting.plots import picture
from bayesml.reporting.shrinkage_plots import axis_limits

MakeFit = Callable[..., Fit]


@pytest.fixture(scope="module")
def comparison(fake_fit: MakeFit) -> bml.PoolingComparison:
    exam = bml.load_dataset("exam")
    model = bml.two_level(exam, "normexam ~ standLRT", group="school", slopes=["standLRT"])
    return bml.pooling(model, fake_fit(model, draws=4))


def test_lines_run_from_no_pooling_to_partial_pooling(comparison: bml.PoolingComparison) -> None:
    axes = bml.shrinkage_plot(comparison).axes
    assert [item.get_title(loc="left") for item in axes] == ["Intercept", "standLRT", ""]
    for panel, term in zip(axes[:2], ["Intercept", "standLRT"], strict=True):
        table = comparison.units[comparison.units["term"] == term]
        ordered = table.sort_values("rows", kind="stable")
        segments = np.array(panel.collections[0].get_segments())
        ends = pd.DataFrame(segments[:, :, 0], columns=["own", "pooled"])
        assert sorted(ends["own"]) == pytest.approx(sorted(table["no_pooling"]))
        assert sorted(ends["pooled"]) == pytest.approx(sorted(table["partial_pooling"]))
        labels = [text.get_text() for text in axes[0].get_yticklabels()]
        pairs = zip(ordered["unit"], ordered["rows"], strict=True)
        assert sorted(labels) == sorted(f"{unit} ({rows})" for unit, rows in pairs)
        counts = [int(label.partition("(")[2].rstrip(")")) for label in labels]
        assert counts == sorted(counts)
        # Each line belongs to the unit beside it.
        by_unit = table.set_index("unit")["no_pooling"]
        for label, own in zip(labels, ends["own"], strict=True):
            assert own == pytest.approx(by_unit[label.partition(" ")[0]])
    assert axes[2].get_xlabel() == "Intercept"
    assert axes[2].get_ylabel() == "standLRT"


def test_one_term_and_fewer_units(comparison: bml.PoolingComparison) -> None:
    figure = bml.shrinkage_plot(comparison, term="standLRT", most=10)
    (axes,) = figure.axes
    assert len(axes.get_yticklabels()) == 10
    assert "10 of 65 units" in figure.get_supxlabel()
    # The slope of the school of two pupils is far off: the axis leaves it out and says so.
    assert axes.get_xlabel() == "own estimates beyond the axis: 1"
    assert picture(figure).startswith("data:image/svg+xml;base64,")
    with pytest.raises(FitError, match=r"'standlrt' is not a term that varies over school"):
        bml.shrinkage_plot(comparison, term="standlrt")


def test_infinite_estimates_have_no_line(fake_fit: MakeFit) -> None:
    table = pd.DataFrame({"y": [0, 1] * 10 + [0, 0, 0, 0, 1, 1, 1, 1], "g": np.repeat(range(7), 4)})
    model = bml.two_level(table, "y ~ 1", group="g", family="binomial")
    figure = bml.shrinkage_plot(bml.pooling(model, fake_fit(model)))
    (axes,) = figure.axes
    assert len(axes.collections[0].get_segments()) == 5
    assert axes.get_xlabel() == "units without one: 2"
    assert picture(figure).startswith("data:image/svg+xml;base64,")


def test_limits_without_any_finite_estimate() -> None:
    low, high = axis_limits(np.array([np.inf, np.nan]), np.array([2.0, 2.0]))
    assert low < 2 < high
