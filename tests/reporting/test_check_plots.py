"""Figures of checks: what stands in them, and where."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import bayesml as bml
from bayesml.errors import FitError
from bayesml.records.fits import Fit
from bayesml.reporting.check_plots import ALERT
from bayesml.reporting.plots import ACCENT, picture

MakeFit = Callable[..., Fit]


def made(family: str, fake_fit: MakeFit, **options: object) -> Fit:
    """Return a fit of 10 units with 12 rows each, near the truth."""
    rng = np.random.default_rng(1)
    unit = np.repeat(range(10), 12)
    outcome = {
        "gaussian": rng.normal(0.5, 1, size=120),
        "poisson": rng.poisson(np.exp(0.5), size=120),
        "binomial": rng.binomial(1, 0.6, size=120),
        "ordinal": rng.integers(0, 4, size=120),
    }[family]
    table = pd.DataFrame({"y": outcome, "g": unit, "n": 20})
    if "trials" in options:
        table["y"] = rng.binomial(20, 0.6, size=120)
    model = bml.two_level(table, "y ~ 1", group="g", family=family, **options)
    values: dict[str, object] = {"sd_g": 0.3, "u_g": 0.2 * rng.normal(size=(2, 50, 10, 1))}
    if family == "ordinal":
        values["cutpoints"] = [-1.0, 0.0, 1.0]
    if family == "gaussian":
        values["sigma"] = 1.0
    return fake_fit(model, values=values)


def colours(figure: Figure, panel: int = 0) -> list[str]:
    """Return the colour of every point of a panel."""
    return [
        to_hex(face)
        for points in figure.axes[panel].collections
        if len(points.get_offsets()) > 0 and hasattr(points, "get_sizes")
        for face in np.broadcast_to(points.get_facecolors(), (len(points.get_offsets()), 4))
    ]


def test_every_check_has_a_line_with_its_p_value(fake_fit: MakeFit) -> None:
    table = bml.posterior_checks(made("gaussian", fake_fit), seed=1)
    # An interval from 1 to 5: the half-width is 2, and the point stands 1.5 of them to the right.
    table.loc[0, ["observed", "replicated", "lower", "upper", "p_value"]] = [
        6.0,
        3.0,
        1.0,
        5.0,
        0.02,
    ]
    table.loc[1, ["observed", "replicated", "lower", "upper", "p_value"]] = [
        -99.0,
        0,
        -1,
        1,
        0.9995,
    ]
    table.loc[1, "words"] = "The outcome varies less than the model says."
    table.loc[2, ["observed", "replicated", "lower", "upper", "p_value"]] = [0, 0.001, 0, 0, 0.5]
    figure = bml.posterior_check_plot(table)
    (axes,) = figure.axes
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert len(labels) == len(table)
    assert labels[0] == "outcome: mean"
    assert "g: largest unit mean (new units)" in labels
    assert "g[Intercept]: skewness of effects" in labels
    texts = [text.get_text() for text in axes.texts]
    assert texts[:2] == ["p 0.020", "p 1.000"]
    assert [to_hex(text.get_color()) for text in axes.texts][1] == ALERT
    grey = axes.collections[0].get_segments()
    assert grey[0][:, 0] == pytest.approx([-1, 1])
    circles, right, left = axes.collections[1:4]
    places = {round(float(y)): float(x) for x, y in circles.get_offsets()}
    assert places[len(table) - 1] == pytest.approx(1.5)
    # All replications are alike, and so is the observed value: no distance.
    assert places[len(table) - 3] == 0
    assert len(right.get_offsets()) == 0
    assert left.get_offsets().tolist() == [[-4, len(table) - 2]]
    assert to_hex(left.get_facecolors()[0]) == ALERT
    assert "89 % interval" in axes.get_xlabel()


def test_a_table_of_something_else_is_refused(fake_fit: MakeFit) -> None:
    fit = made("gaussian", fake_fit)
    with pytest.raises(FitError, match=r"table of bml\.posterior_checks\(fit\).* no column 'part'"):
        bml.posterior_check_plot(bml.residuals(fit, seed=1))
    with pytest.raises(FitError, match=r"table of bml\.posterior_checks\(fit\).* no column 'part'"):
        bml.posterior_check_plot(fit)
    with pytest.raises(FitError, match=r"table of bml\.influence\(fit, 'school'\).* 'cook_fixed'"):
        bml.influence_plot(bml.residuals(fit, "g"))


def test_a_continuous_outcome_is_a_density_over_those_of_replications(fake_fit: MakeFit) -> None:
    (axes,) = bml.outcome_plot(made("gaussian", fake_fit), draws=30, seed=1).axes
    assert len(axes.lines) == 31
    assert to_hex(axes.lines[-1].get_color()) == ACCENT
    assert axes.get_xlabel() == "y"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "30 replications",
        "observed",
    ]
    x, height = axes.lines[-1].get_data()
    assert np.trapezoid(height, x) == pytest.approx(1, abs=0.02)


def test_counts_and_categories_are_shares_of_the_rows(fake_fit: MakeFit) -> None:
    for family in ("poisson", "binomial", "ordinal"):
        fit = made(family, fake_fit)
        (axes,) = bml.outcome_plot(fit, draws=40, seed=1).axes
        y = fit.data["observed_data"].to_dataset()[fit.facts.response_identifier].values
        bars = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in axes.patches}
        for value in np.unique(y):
            assert bars[int(value)] == pytest.approx((y == value).mean())
        assert sum(bars.values()) == pytest.approx(1)
        points = axes.collections[-1].get_offsets()
        assert points[:, 1].sum() == pytest.approx(1, abs=1e-9)
        assert axes.get_ylabel() == "share of the rows"
    labels = [text.get_text() for text in axes.get_xticklabels()]
    assert labels == ["0", "1", "2", "3"]


def test_many_counts_and_shares_are_taken_together(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"y": np.round(rng.gamma(1, 40, size=200)), "g": np.tile(range(10), 20)})
    table.loc[0, "y"] = 4000
    model = bml.two_level(table, "y ~ 1", group="g", family="poisson")
    fit = fake_fit(model, values={"beta": np.log(40), "sd_g": 0.3, "u_g": 0.0})
    (axes,) = bml.outcome_plot(fit, seed=1).axes
    assert len(axes.patches) <= 31
    assert sum(bar.get_height() for bar in axes.patches) == pytest.approx(1)
    assert axes.get_xlabel().startswith("y (steps of ")
    assert "or more)" in axes.get_xlabel()
    (axes,) = bml.outcome_plot(made("binomial", fake_fit, trials="n"), seed=1).axes
    assert axes.get_xlabel() == "share of y"
    table["n"] = rng.integers(30, 90, size=200)
    table["y"] = rng.binomial(table["n"], 0.4)
    model = bml.two_level(table, "y ~ 1", group="g", family="binomial", trials="n")
    (axes,) = bml.outcome_plot(fake_fit(model, values={"beta": -0.4, "u_g": 0.0}), seed=1).axes
    assert axes.get_xlabel() == "share of y (steps of 0.05, from the value shown)"
    assert sum(bar.get_height() for bar in axes.patches) == pytest.approx(1)


def test_units_stand_in_the_order_of_their_means(fake_fit: MakeFit) -> None:
    fit = made("gaussian", fake_fit)
    figure = bml.unit_check_plot(fit, "g", draws=80, seed=1)
    table = bml.unit_checks(fit, "g", draws=80, seed=1)
    means = table[table["statistic"] == "mean"]
    order = means.sort_values("observed")["unit"].tolist()
    assert [int(text.get_text()) for text in figure.axes[0].get_yticklabels()] == order
    points = figure.axes[0].collections[1].get_offsets()
    assert sorted(points[:, 0]) == pytest.approx(sorted(means["observed"]))
    # The interval of the lowest unit.
    lowest = means.sort_values("observed").iloc[0]
    segments = figure.axes[0].collections[0].get_segments()
    (found,) = [segment for segment in segments if segment[0, 1] == 0]
    assert found[:, 0] == pytest.approx([lowest["lower"], lowest["upper"]])
    outside = (means["observed"] < means["lower"]) | (means["observed"] > means["upper"])
    title = figure.axes[0].get_title(loc="left")
    assert title == f"mean: {outside.sum()} of 10 outside the interval"
    assert colours(figure).count(ALERT) == outside.sum()
    words = figure.get_supxlabel()
    assert words.startswith("y of each unit of g (points)")
    assert "replications of the same units" in words
    new = bml.unit_check_plot(fit, "g", draws=80, seed=1, units="new", most=4)
    assert len(new.axes[1].collections[1].get_offsets()) == 4
    assert "new units" in new.get_supxlabel()
    # The mean of a 0/1 outcome says all.
    assert len(bml.unit_check_plot(made("binomial", fake_fit), "g", draws=9, seed=1).axes) == 1


def test_residuals_of_rows_have_their_quantiles_and_fitted_values(fake_fit: MakeFit) -> None:
    fit = made("gaussian", fake_fit)
    figure = bml.residual_plot(fit, seed=3)
    normal, against = figure.axes
    table = bml.residuals(fit, seed=3)
    points = np.asarray(normal.collections[1].get_offsets())
    assert points[:, 1] == pytest.approx(np.sort(table["realised"]))
    assert (np.diff(points[:, 0]) > 0).all()
    assert (normal.get_xlabel(), normal.get_ylabel()) == (
        "normal quantile",
        "standardised residual",
    )
    points = np.asarray(against.collections[0].get_offsets())
    assert points[:, 0] == pytest.approx(table["fitted"])
    assert points[:, 1] == pytest.approx(table["realised"])
    assert against.get_xlabel() == "fitted value"
    # The mean of neighbours: 120 rows in 15 parts of 8.
    line = against.lines[1].get_xydata()
    order = np.argsort(table["fitted"], kind="stable")
    assert line[:, 1] == pytest.approx(table["realised"].to_numpy()[order].reshape(15, 8).mean(1))
    counts = bml.residual_plot(made("poisson", fake_fit), seed=3)
    assert counts.axes[0].get_ylabel() == "quantile residual"
    assert counts.axes[1].get_xscale() == "log"


def test_outliers_are_red_and_the_others_are_not(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(4)
    table = pd.DataFrame({"y": rng.normal(size=120), "g": np.repeat(range(10), 12)})
    model = bml.two_level(table, "y ~ 1", group="g")
    values = {"beta": 0.0, "u_g": 0.0, "sigma": 1.0}
    assert colours(bml.residual_plot(fake_fit(model, values=values), seed=1)).count(ALERT) <= 2
    table.loc[7, "y"] = 8.0
    wild = fake_fit(bml.two_level(table, "y ~ 1", group="g"), values=values)
    figure = bml.residual_plot(wild, seed=1)
    assert colours(figure)[-1] != colours(figure, 1)[-1]
    assert to_hex(figure.axes[0].collections[1].get_facecolors()[-1]) == ALERT


def test_residuals_of_units_have_a_line_of_panels_per_term(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(5)
    table = pd.DataFrame(rng.normal(size=(200, 2)), columns=["y", "x"])
    table["g"] = np.repeat(range(20), 10)
    model = bml.two_level(table, "y ~ x", group="g", slopes=["x"])
    effects = 0.2 * rng.normal(size=(2, 50, 20, 2)) + rng.normal(size=(20, 2))
    effects[:, :, 3] *= 30
    fit = fake_fit(model, values={"u_g": effects, "sd_g": 1.0})
    figure = bml.residual_plot(fit, "g")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[0] == "g: Intercept (1 not learnt)"
    assert titles[2] == "g: x (1 not learnt)"
    found = bml.residuals(fit, "g")
    for place, term in ((0, "Intercept"), (2, "x")):
        values = found.loc[found["term"] == term, "standardised"].dropna()
        points = np.asarray(figure.axes[place].collections[1].get_offsets())
        assert points[:, 1] == pytest.approx(np.sort(values))
    assert figure.axes[1].get_xlabel() == "mean of X beta over the unit's rows"
    # Without predictors that differ between units there is nothing but the units' size.
    plain = bml.residual_plot(made("ordinal", fake_fit), "g", seed=1)
    assert plain.axes[1].get_xlabel() == "rows of the unit"


def test_the_most_influential_units_come_first() -> None:
    table = pd.DataFrame(
        {
            "unit": list("abcd"),
            "cook_fixed": [0.1, 1.6, 0.4, 0.0],
            "cook_sd": [2.0, 0.2, 0.1, 0.0],
            "pareto_k": [0.9, 0.3, 0.2, 0.1],
        }
    )
    table.attrs = {"highest_k": 0.7, "highest_cook": 1.0, "grouping": "g"}
    figure = bml.influence_plot(table, most=3)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == list("abc")
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "coefficients",
        "standard deviations",
    ]
    sure, unsure = figure.axes[0].collections[1:3]
    assert sure.get_offsets().tolist() == [[1.6, 1.0], [0.4, 0.0]]
    assert unsure.get_offsets().tolist() == [[0.1, 2.0]]
    assert to_hex(unsure.get_edgecolors()[0]) == ALERT
    assert figure.axes[0].lines[0].get_xdata() == [1.0, 1.0]
    words = figure.get_supxlabel()
    assert "the 3 most influential of 4 units of g" in words
    assert "open: cannot be told" in words
    table["pareto_k"] = 0.1
    assert "open" not in bml.influence_plot(table).get_supxlabel()


def test_odd_names_and_few_draws_can_be_drawn(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(6)
    table = pd.DataFrame(
        {"$y^2_": rng.normal(size=60), "x$": rng.normal(size=60), "<b>\\frac{": np.arange(60) % 12}
    )
    model = bml.model(table, "`$y^2_` ~ `x$` + (`x$` | `<b>\\frac{`)")
    fit = fake_fit(model, draws=2, chains=1)
    name = "<b>\\frac{"
    figures = [
        bml.posterior_check_plot(bml.posterior_checks(fit, seed=1)),
        bml.outcome_plot(fit, seed=1),
        bml.unit_check_plot(fit, name, seed=1),
        bml.residual_plot(fit, seed=1),
        bml.residual_plot(fit, name, seed=1),
        bml.influence_plot(bml.influence(fake_fit(model, draws=60), name, seed=1)),
    ]
    for figure in figures:
        assert picture(figure).startswith("data:image/svg+xml;base64,")
