"""The classic picture of partial pooling: units between their own estimate and the common line."""

from typing import TYPE_CHECKING

import numpy as np

from bayesml.errors import FitError, did_you_mean, quoted
from bayesml.posterior.pooling_estimates import PoolingComparison
from bayesml.reporting.plots import (
    ACCENT,
    INK,
    MOST_PANELS,
    MOST_UNITS,
    QUIET,
    _figure,
    _rows,
    _styled,
    shown_units,
)
from bayesml.reporting.tables import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@_styled()
def shrinkage_plot(
    comparison: PoolingComparison, term: str | None = None, most: int = MOST_UNITS
) -> "Figure":
    """Return a plot of how far partial pooling draws each unit from its own estimate.

    Each unit is a line from its estimate without pooling (open) to that of partial pooling
    (filled); units with few rows, which are drawn the farthest, stand at the bottom. The dashed
    line is complete pooling, which is a bar of its own in each unit where predictors of the units
    are part of their coefficients. Of two varying terms a last panel shows both coefficients of
    each unit, joined by an arrow. Estimates that are infinite or not determined have no line, and
    far outliers lie beyond the axis; its label says how many.

    Parameters
    ----------
    comparison : PoolingComparison
        What `bml.pooling` returns.
    term : str, optional
        One varying term; None is every term.
    most : int
        How many units are shown; of more units, those at evenly spaced numbers of rows.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    FitError
        There is no such term.

    Notes
    -----
    Gelman & Hill (2007), doi:10.1017/CBO9780511790942, figure 12.1; Efron & Morris (1977),
    doi:10.1038/scientificamerican0577-119.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> model = bml.two_level(exam, "normexam ~ standLRT", group="school")
    >>> bml.shrinkage_plot(bml.pooling(model, model.fit()))  # doctest: +SKIP
    """
    table = comparison.units
    terms = list(dict.fromkeys(table["term"]))
    if term is not None:
        if term not in terms:
            raise FitError(
                f"{quoted(str(term))} is not a term that varies over {comparison.grouping}. "
                f"{did_you_mean(str(term), terms)}"
            )
        terms = [term]
    wide = {
        name: table.pivot(index="unit", columns="term", values=name)[terms].to_numpy(dtype=float)
        for name in ("complete_pooling", "no_pooling", "partial_pooling")
    }
    counts = table.pivot(index="unit", columns="term", values="rows")[terms[0]]
    shown = shown_units(counts.to_numpy(dtype=float), most)
    panels = terms[:MOST_PANELS]
    plane = len(terms) == 2
    figure, axes = _figure(0.9 + 0.145 * max(len(shown), 16), len(panels) + plane)
    for panel, name in enumerate(panels):
        columns = {key: values[shown, panel] for key, values in wide.items()}
        _lines(axes[panel], columns)
        axes[panel].set_title(shortened(name, 40), parse_math=False)
    labels = [f"{counts.index[unit]} ({counts.iloc[unit]:,.0f})" for unit in shown]
    _rows(axes[0], np.arange(len(shown), dtype=float), labels, size=6.5)
    for later in axes[1 : len(panels)]:
        later.set_yticks([])
        later.spines["left"].set_visible(False)
    if plane:
        _plane(axes[-1], wide["no_pooling"], wide["partial_pooling"], terms)
    figure.supxlabel(_words(comparison, len(shown), len(counts)), fontsize=9)
    return figure


def _lines(axes: "Axes", columns: dict[str, np.ndarray]) -> None:
    """Draw one line a unit, from its own estimate to that of partial pooling."""
    own, pooled, line = (
        columns[name] for name in ("no_pooling", "partial_pooling", "complete_pooling")
    )
    rows = np.arange(len(own), dtype=float)
    finite = np.isfinite(own)
    axes.hlines(rows[finite], own[finite], pooled[finite], colors=QUIET, lw=0.8)
    axes.scatter(
        own[finite], rows[finite], 10, facecolors="white", edgecolors=INK, lw=0.7, zorder=3
    )
    axes.scatter(pooled, rows, 10, ACCENT, edgecolors="white", lw=0.2, zorder=4)
    if np.ptp(line) > 0:  # predictors of the units set each at a place of its own
        axes.scatter(line, rows, 30, INK, marker="|", lw=0.9, zorder=2)
    else:
        axes.axvline(float(line[0]), color=INK, lw=0.8, ls=(0, (3, 2)), zorder=1)
    axes.set_ylim(-1, len(own))
    low, high = axis_limits(own, np.concatenate([pooled, line]))
    axes.set_xlim(low, high)
    beyond = int(((own[finite] < low) | (own[finite] > high)).sum())
    said = [f"own estimates beyond the axis: {beyond}"] if beyond else []
    said += [f"units without one: {int((~finite).sum())}"] if not finite.all() else []
    axes.set_xlabel("; ".join(said), size=7)


def axis_limits(own: np.ndarray, pooled: np.ndarray) -> tuple[float, float]:
    """Return limits that show all pooled estimates, and own ones but for far outliers.

    A unit of two rows may have an estimate of its own so far off that nothing else could be seen.
    Own estimates count up to three interquartile ranges from the quartiles.

    Examples
    --------
    >>> low, high = axis_limits(np.array([0.0, 1, 2, 3, 4, 900]), np.array([1.0, 2.0]))
    >>> low < 0, 4 < high < 10
    (True, True)
    """
    shown = pooled[np.isfinite(pooled)]
    finite = own[np.isfinite(own)]
    if len(finite):
        first, third = np.quantile(finite, [0.25, 0.75])
        near = np.abs(finite - np.clip(finite, first, third)) <= 3 * (third - first)
        shown = np.concatenate([shown, finite[near]])
    low, high = float(shown.min()), float(shown.max())
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def _plane(axes: "Axes", own: np.ndarray, pooled: np.ndarray, terms: list[str]) -> None:
    """Draw an arrow a unit between its two pairs of coefficients."""
    finite = np.isfinite(own).all(axis=1)
    axes.quiver(
        *own[finite].T,
        *(pooled - own)[finite].T,
        angles="xy",
        scale_units="xy",
        scale=1,
        color=QUIET,
        width=0.004,
    )
    first, second = own[finite].T
    axes.scatter(first, second, 10, facecolors="white", edgecolors=INK, lw=0.7, zorder=3)
    axes.scatter(pooled[:, 0], pooled[:, 1], 10, ACCENT, edgecolors="white", lw=0.2, zorder=4)
    axes.set_xlim(axis_limits(own[:, 0], pooled[:, 0]))
    axes.set_ylim(axis_limits(own[:, 1], pooled[:, 1]))
    axes.set_xlabel(shortened(terms[0], 30), parse_math=False)
    axes.set_ylabel(shortened(terms[1], 30), parse_math=False)


def _words(comparison: PoolingComparison, shown: int, units: int) -> str:
    some = f"{shown} of {units:,} units" if shown < units else f"all {units} units"
    return (
        f"{shortened(comparison.grouping, 24)}: {some} (rows), from no pooling (open) to partial "
        "pooling (filled); dashed or bars: complete pooling"
    )
