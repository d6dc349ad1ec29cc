"""Figures of residuals at every level, and of the influence of whole units."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayesml.posterior.residual_draws import residuals
from bayesml.quantities.check_statistics import normal_order_band
from bayesml.records.fits import Fit
from bayesml.reporting.check_plots import ALERT, BAND, DASHED, require_check_table
from bayesml.reporting.plots import ACCENT, INK, MOST_PANELS, _figure, _rows, _styled
from bayesml.reporting.tables import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_INFLUENTIAL = 25


@_styled()
def residual_plot(fit: Fit, level: str | None = None, seed: int | None = None) -> "Figure":
    """Return a normal Q-Q plot of residuals beside the residuals against the fitted values.

    Q-Q plots show residuals of one draw of the posterior, which are standard normal where the
    model holds (`realised`, and `quantile` of discrete outcomes; see `residuals`), and of units of
    Gaussian models the standardised posterior means. The grey band holds each ordered value with a
    probability of 99 %; values outside are red. The thick line against the fitted values is the
    mean of neighbours, the thin ones their SD on either side. Units are in panels by varying term.

    Parameters
    ----------
    fit : Fit
    level : str or None
        Name of a grouping; None is the rows.
    seed : int or None
        Seed of the quantile residuals; None draws one.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    FitError
        As `residuals` raises.

    Examples
    --------
    >>> import bayesml as bml
    >>> fit = bml.load("exam.nc")  # doctest: +SKIP
    >>> bml.residual_plot(fit, "school")  # doctest: +SKIP
    """
    table = residuals(fit, level, seed=seed)
    response = fit.spec.family_record.response
    if level is None:
        column = "realised" if response == "real" else "quantile"
        kind = f"{'standardised' if response == 'real' else 'quantile'} residual"
        parts = [
            _Part("rows", table[column].to_numpy(), table["fitted"].to_numpy(), "fitted value")
        ]
    else:
        column = "standardised" if response == "real" else "realised"
        kind = "standardised effect"
        parts = []
        for term in table["term"].unique()[:MOST_PANELS]:
            rows = table[table["term"] == term]
            title = f"{shortened(level, 24)}: {shortened(term, 24)}"
            against, words = rows["fitted"].to_numpy(), "mean of X beta over the unit's rows"
            if np.ptp(against) <= 1e-9 * np.abs(against).max():
                against, words = rows["rows"].to_numpy().astype(float), "rows of the unit"
            parts.append(_Part(title, rows[column].to_numpy(), against, words))
    figure, panels = _figure(2.5 * len(parts) + 0.2, 2, rows=len(parts))
    for place, part in enumerate(parts):
        known = np.isfinite(part.values)
        left, right = panels[2 * place : 2 * place + 2]
        _normal_plot(left, part.values[known])
        _against(right, part.against[known], part.values[known])
        left_out = f" ({int((~known).sum())} not learnt)" if not known.all() else ""
        left.set_title(f"{part.title}{left_out}", parse_math=False)
        right.set_title("against fitted values" if "rows of" not in part.words else "against size")
        left.set_xlabel("normal quantile")
        right.set_xlabel(part.words)
        if level is None and response == "count" and part.against.min() > 0:
            right.set_xscale("log")
        for axes in (left, right):
            axes.set_ylabel(kind)
    return figure


@dataclass(frozen=True, eq=False)
class _Part:
    """Residuals of one panel, and what they are shown against."""

    title: str
    values: np.ndarray
    against: np.ndarray
    words: str


def _normal_plot(axes: "Axes", values: np.ndarray) -> None:
    middle, lower, upper = normal_order_band(len(values), 0.99)
    axes.fill_between(middle, lower, upper, color=BAND, lw=0, zorder=0)
    axes.axline((0, 0), slope=1, **DASHED)
    ordered = np.sort(values)
    outside = (ordered < lower) | (ordered > upper)
    colours = np.where(outside, ALERT, ACCENT)
    axes.scatter(middle, ordered, 7, colours, lw=0, zorder=3, rasterized=True)


def _against(axes: "Axes", fitted: np.ndarray, values: np.ndarray) -> None:
    alpha = 1.0 if len(values) < 500 else 0.35
    axes.scatter(fitted, values, 7, ACCENT, lw=0, alpha=alpha, zorder=2, rasterized=True)
    axes.axhline(0, **DASHED)
    bins = min(20, len(values) // 8)
    if bins < 3 or np.ptp(fitted) == 0:
        return
    order = np.argsort(fitted, kind="stable")
    parts = np.array_split(order, bins)
    at = np.array([fitted[part].mean() for part in parts])
    mean = np.array([values[part].mean() for part in parts])
    spread = np.array([values[part].std(ddof=1) for part in parts])
    axes.plot(at, mean, color=INK, lw=1.6, zorder=4)
    for side in (-1, 1):
        axes.plot(at, mean + side * spread, color=INK, lw=0.7, zorder=4)


@_styled()
def influence_plot(influences: pd.DataFrame, most: int = _MOST_INFLUENTIAL) -> "Figure":
    """Return Cook's distance of the most influential units, for coefficients and for SDs.

    Units whose Pareto k is too high are open and red: their distance cannot be told from these
    draws. The dashed line is 4 / number of units.

    Parameters
    ----------
    influences : DataFrame
        What `bml.influence` returns.
    most : int
        How many units are shown.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    FitError
        The table is not one of `influence`.

    Examples
    --------
    >>> import bayesml as bml
    >>> fit = bml.load("exam.nc")  # doctest: +SKIP
    >>> bml.influence_plot(bml.influence(fit, "school"))  # doctest: +SKIP
    """
    require_check_table(
        influences, ("unit", "cook_fixed", "cook_sd", "pareto_k"), "influence(fit, 'school')"
    )
    table = influences.head(most)
    figure, panels = _figure(0.9 + 0.19 * len(table), 2, share_rows=True)
    rows = np.arange(len(table), dtype=float)[::-1]
    unsure = (table["pareto_k"] > influences.attrs["highest_k"]).to_numpy()
    titles = {"cook_fixed": "coefficients", "cook_sd": "standard deviations"}
    for axes, (name, title) in zip(panels, titles.items(), strict=True):
        distance = table[name].to_numpy()
        axes.hlines(rows, 0, distance, color=BAND, lw=2)
        axes.scatter(distance[~unsure], rows[~unsure], 22, ACCENT, zorder=3)
        axes.scatter(
            distance[unsure], rows[unsure], 22, "white", edgecolors=ALERT, lw=1.2, zorder=3
        )
        axes.axvline(influences.attrs["highest_cook"], **DASHED)
        axes.set_title(title)
        axes.set_xlim(left=0)
        axes.set_ylim(-0.8, len(table) - 0.2)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    _rows(panels[0], rows, [str(unit) for unit in table["unit"]], size=8)
    shown = f"the {len(table)} most influential of {len(influences)} units"
    open_words = "; open: cannot be told (Pareto k too high)" if unsure.any() else ""
    figure.supxlabel(
        f"Cook's distance without the unit, {shown} of "
        f"{shortened(str(influences.attrs['grouping']), 30)}{open_words}",
        fontsize=9,
        parse_math=False,
    )
    return figure
