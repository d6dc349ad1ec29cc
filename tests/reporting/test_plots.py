"""Figures: what they show, and that they leave no trace in matplotlib's state."""

import base64
from collections.abc import Callable

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

import bayesml as bml
from bayesml.errors import FitError
from bayesml.records.fits import Fit
from bayesml.records.modelling import Model
from bayesml.reporting.draws import quantities_of, spreads_of, worst_mixed
from bayesml.reporting.plots import (
    ACCENT,
    QUIET,
    caterpillar,
    chain_plot,
    coefficient_plot,
    density,
    picture,
    shown_units,
    spread_plot,
)


@pytest.fixture(scope="module")
def model() -> Model:
    exam = bml.load_dataset("exam")
    return bml.model(exam, "normexam ~ standLRT + (standLRT | school)")


@pytest.fixture(scope="module")
def fit(model: Model, fake_fit: Callable[..., Fit]) -> Fit:
    return fake_fit(model, draws=40, chains=3)


def test_units_are_shown_in_the_order_of_their_medians(model: Model, fake_fit) -> None:
    units = len(model.coords["school"])
    effects = np.zeros((2, 4, units, 2))
    effects[..., 0] = np.arange(units) - 30.0
    fit = fake_fit(model, draws=4, values={"u_school": effects})
    axes = caterpillar(fit, "school", most=units).axes
    assert [item.get_title(loc="left") for item in axes] == ["Intercept", "standLRT"]
    labels = [text.get_text() for text in axes[0].get_yticklabels()]
    assert labels == [str(label) for label in model.coords["school"]]
    # All draws of a unit are equal here, so its interval is its value.
    intervals = axes[0].collections[0].get_segments()
    ends = [(float(segment[0][0]), float(segment[1][0])) for segment in intervals]
    assert ends == [(unit - 30.0, unit - 30.0) for unit in range(units)]


def test_intervals_are_equal_tailed_and_marked_where_they_exclude_zero(
    model: Model, fake_fit
) -> None:
    effects = np.zeros((1, 101, len(model.coords["school"]), 2))
    effects[..., 0] = np.linspace(0, 1, 101)[:, None] - 0.05
    effects[..., 1] = np.linspace(0, 1, 101)[:, None]
    fit = fake_fit(model, draws=101, chains=1, values={"u_school": effects})
    for axes, lower in zip(caterpillar(fit, "school", prob=0.9).axes, (0.0, 0.05), strict=True):
        lines = axes.collections[0]
        segment = lines.get_segments()[0]
        assert segment[:, 0] == pytest.approx([lower, lower + 0.9])
        assert to_hex(lines.get_colors()[0]) == (ACCENT if lower > 0 else QUIET)


@pytest.mark.parametrize("most", [1, 2, 7, 65, 100])
def test_of_many_units_evenly_spaced_ranks_are_shown(most: int) -> None:
    medians = np.random.default_rng(1).normal(size=65)
    shown = shown_units(medians, most)
    assert len(shown) == len(set(shown)) == min(most, 65)
    assert (np.diff(medians[shown]) > 0).all()
    if 1 < most <= 65:
        assert medians[shown[0]] == medians.min()
        assert medians[shown[-1]] == medians.max()


def test_an_unknown_grouping_is_refused(fit: Fit) -> None:
    with pytest.raises(FitError, match=r"no grouping 'shcool'\. Did you mean 'school'"):
        caterpillar(fit, "shcool")


def test_the_forest_plot_leaves_the_intercept_out(fit: Fit, fake_fit) -> None:
    (axes,) = coefficient_plot(fit).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["standLRT"]
    empty = bml.model(bml.load_dataset("exam"), "normexam ~ 1 + (1 | school)")
    assert coefficient_plot(fake_fit(empty)) is None


def test_densities_have_a_line_per_chain_and_the_prior(fit: Fit) -> None:
    axes = spread_plot(fit).axes
    titles = [item.get_title(loc="left") for item in axes]
    assert titles == ["sd_school[Intercept]", "sd_school[standLRT]", "sigma"]
    assert [len(item.lines) for item in axes] == [3 + 1] * 3
    assert [item.label for item in spreads_of(fit)] == titles


def test_density_of_draws_near_zero_keeps_its_mass_above_zero() -> None:
    draws = np.abs(np.random.default_rng(2).normal(size=4000))
    grid = np.linspace(0, 6, 601)
    # The kernel's own width is all that lowers the peak of a half-normal, 0.798 at 0.
    assert density(draws, grid)[0] == pytest.approx(0.798, abs=0.08)
    assert np.trapezoid(density(draws, grid), grid) == pytest.approx(1, abs=0.01)
    assert not density(np.ones(10), grid).any()


def test_the_worst_parameter_comes_first(model: Model, fake_fit) -> None:
    levels = np.array([[1.0], [2.0]])
    sigma = np.random.default_rng(3).normal(levels, 0.01, size=(2, 50))
    fit = fake_fit(model, values={"sigma": sigma})
    assert worst_mixed(fit, 1)[0].label == "sigma"
    assert len(worst_mixed(fit, 100)) == len(quantities_of(fit)) == 6
    assert len(chain_plot(worst_mixed(fit)).axes) == 6


def test_constant_and_short_chains_can_be_plotted(model: Model, fake_fit) -> None:
    fit = fake_fit(model, draws=1, chains=1, values={"sigma": 2.0, "sd_school": 0.5})
    for figure in (spread_plot(fit), chain_plot(worst_mixed(fit)), caterpillar(fit, "school")):
        assert picture(figure).startswith("data:image/svg+xml;base64,")


def test_a_users_dollar_signs_and_foreign_letters_are_text(fake_fit) -> None:
    rng = np.random.default_rng(4)
    table = pd.DataFrame(
        {
            "y": rng.normal(size=40),
            "$x^2_": rng.normal(size=40),
            "学校 \\frac{": [f"</text><script>${number % 8}" for number in range(40)],
        }
    )
    built = bml.model(table, "y ~ `$x^2_` + (`$x^2_` | `学校 \\frac{`)")
    fit = fake_fit(built)
    for figure in (caterpillar(fit, "学校 \\frac{"), coefficient_plot(fit), spread_plot(fit)):
        text = base64.b64decode(picture(figure).partition(",")[2]).decode()
        assert "<script" not in text
    assert "$x^2_" in text


def test_figures_are_reproducible_and_leave_the_settings_alone(fit: Fit) -> None:
    from matplotlib import pyplot

    before = dict(matplotlib.rcParams)
    first, second = (picture(caterpillar(fit, "school")) for _ in range(2))
    assert first == second
    assert pyplot.get_fignums() == []
    assert dict(matplotlib.rcParams) == before


def test_notebooks_show_a_figure_without_pyplot(fit: Fit) -> None:
    from IPython.core.formatters import PNGFormatter

    shown = PNGFormatter()(coefficient_plot(fit, 0.89))
    assert shown.startswith(b"\x89PNG")
