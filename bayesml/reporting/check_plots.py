"""Figures of posterior predictive checks, residuals and influence, each a Figure of its own."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesml.errors import FitError, quoted
from bayesml.posterior.check_words import FITS
from bayesml.posterior.replicated_rows import (
    SAME,
    CheckedRows,
    checked_rows,
    checked_seed,
    replications,
)
from bayesml.posterior.unit_replications import unit_checks
from bayesml.records.fits import Fit
from bayesml.reporting.plots import (
    ACCENT,
    INK,
    MOST_UNITS,
    QUIET,
    _figure,
    _rows,
    _styled,
    shown_units,
)
from bayesml.reporting.tables import number_text, share_text, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ALERT = "#b3361f"
BAND = "#dfe4ea"
# More values are taken together in steps.
_MOST_BARS = 30
_MOST_LABELS = 8
_FARTHEST = 4.0
DASHED: dict[str, Any] = {"color": QUIET, "lw": 0.8, "ls": (0, (3, 2)), "zorder": 1}


@_styled()
def posterior_check_plot(checks: pd.DataFrame) -> "Figure":
    """Return every check of `posterior_checks` on one scale, with its p-value.

    Each statistic is shown as its distance from the replications' mean, in half-widths of their
    interval, so that the interval is about as wide as the grey bar for all of them; a point beyond
    the axis is drawn at its edge as a triangle. Checks that fail are red.

    Parameters
    ----------
    checks : DataFrame
        What `bml.posterior_checks` returns.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    FitError
        The table is not one of `posterior_checks`.

    Examples
    --------
    >>> import bayesml as bml
    >>> fit = bml.load("exam.nc")  # doctest: +SKIP
    >>> bml.posterior_check_plot(bml.posterior_checks(fit))  # doctest: +SKIP
    """
    require_check_table(checks, ("part", "statistic", "p_value", "words"), "posterior_checks(fit)")
    figure, (axes,) = _figure(0.7 + 0.2 * len(checks), 1)
    rows = np.arange(len(checks), dtype=float)[::-1]
    half = ((checks["upper"] - checks["lower"]) / 2).to_numpy()
    centre, observed = checks["replicated"].to_numpy(), checks["observed"].to_numpy()
    # Replications that are all the same leave no scale: the point stands at the edge, if apart.
    flat = half <= 1e-10 * np.maximum(np.abs(centre), 1e-2)
    half = np.where(flat, 1.0, half)
    left, right = (
        np.where(flat, 0.0, (checks[name].to_numpy() - centre) / half)
        for name in ("lower", "upper")
    )
    distance = np.where(np.isclose(observed, centre), 0.0, observed - centre)
    inside = (observed >= checks["lower"]) & (observed <= checks["upper"])
    distance = np.where(flat & inside, 0.0, distance)
    place = np.where(flat, np.sign(distance) * (_FARTHEST + 1), distance / half)
    bad = (checks["words"] != FITS).to_numpy()
    axes.hlines(rows, left, right, color=BAND, lw=7, zorder=0)
    for marker, chosen in (
        ("o", np.abs(place) <= _FARTHEST),
        (">", place > _FARTHEST),
        ("<", place < -_FARTHEST),
    ):
        axes.scatter(
            np.clip(place[chosen], -_FARTHEST, _FARTHEST),
            rows[chosen],
            26,
            np.where(bad[chosen], ALERT, ACCENT),
            marker=marker,
            zorder=3,
        )
    axes.axvline(0, **DASHED)
    axes.set_yticks(rows, _check_labels(checks), parse_math=False, fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlim(-_FARTHEST - 0.3, _FARTHEST + 1.4)
    axes.set_ylim(-0.8, len(checks) - 0.2)
    for row, value, flagged in zip(rows, checks["p_value"], bad, strict=True):
        axes.text(
            _FARTHEST + 1.35,
            row,
            f"p {number_text(float(value), 3)}",
            ha="right",
            va="center",
            fontsize=8,
            color=ALERT if flagged else INK,
        )
    axes.set_xticks(np.arange(-4, 5, 2))
    axes.set_xlabel(
        "observed minus replicated, in half-widths of the replications' "
        f"{share_text(checks.attrs.get('prob', 0.89))} interval (grey)"
    )
    return figure


def _check_labels(checks: pd.DataFrame) -> list[str]:
    labels = []
    for row in checks.itertuples():
        new = " (new units)" if row.units != SAME and "unit" in str(row.statistic) else ""
        statistic = shortened(str(row.statistic), 36)
        labels.append(f"{shortened(str(row.part), 24)}: {statistic}{new}")
    return labels


@_styled()
def outcome_plot(fit: Fit, draws: int = 50, seed: int | None = None) -> "Figure":
    """Return the distribution of the outcome over those of replicated outcomes.

    Continuous outcomes: densities, one line per replication. Counts, shares of trials and
    categories: the share of the rows with every value, or with values of every step where there
    are many, and the replications' mean and 89 % interval.

    Parameters
    ----------
    fit : Fit
    draws : int
        Number of replications.
    seed : int or None
        Seed of the replications; None draws one.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    FitError
        The fit has no rows, or an argument is out of range.

    Notes
    -----
    Gabry, Simpson, Vehtari, Betancourt & Gelman (2019), doi:10.1111/rssa.12378.

    Examples
    --------
    >>> import bayesml as bml
    >>> fit = bml.load("exam.nc")  # doctest: +SKIP
    >>> bml.outcome_plot(fit, seed=1)  # doctest: +SKIP
    """
    rng = np.random.default_rng(checked_seed(seed))
    checked = checked_rows(fit, draws)
    drawn = [block.outcome for block in replications(checked, rng, SAME)]
    figure, (axes,) = _figure(3.2, 1)
    replicated = np.concatenate(drawn)
    step = ""
    if checked.kind == "real":
        _densities(axes, checked.outcome, replicated)
    else:
        step = _value_shares(axes, checked, replicated)
    what = "share of " if checked.kind == "share" else ""
    axes.set_xlabel(f"{what}{shortened(fit.facts.response, 60)}{step}", parse_math=False)
    axes.legend(frameon=False, fontsize=8)
    return figure


def _densities(axes: "Axes", outcome: np.ndarray, drawn: np.ndarray) -> None:
    from scipy.stats import gaussian_kde

    low, high = np.quantile(drawn, [0.001, 0.999])
    low, high = min(low, outcome.min()), max(high, outcome.max())
    grid = np.linspace(low, high, 200)
    for number, replicated in enumerate(drawn):
        if np.ptp(replicated) > 0:
            label = f"{len(drawn)} replications" if number == 0 else None
            heights = gaussian_kde(replicated)(grid)
            axes.plot(grid, heights, color=QUIET, lw=0.5, alpha=0.5, label=label)
    if np.ptp(outcome) > 0:
        axes.plot(grid, gaussian_kde(outcome)(grid), color=ACCENT, lw=2, label="observed")
    axes.set_ylim(bottom=0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylabel("density")


def _value_shares(axes: "Axes", checked: CheckedRows, replicated: np.ndarray) -> str:
    """Draw the share of every value, and what replications have; return the steps in words."""
    categories = checked.categories
    values, again, words = _in_steps(checked, replicated)
    shown = np.arange(len(categories)) if categories else np.union1d(values, again)
    observed = np.array([(values == value).mean() for value in shown])
    shares = np.array([(again == value).mean(axis=1) for value in shown])
    lower, upper = np.quantile(shares, [0.055, 0.945], axis=1)
    width = 0.8 * (float(np.diff(shown).min()) if len(shown) > 1 else 1.0)
    axes.bar(shown, observed, width, color=BAND, edgecolor="none", label="observed")
    axes.vlines(shown, lower, upper, color=ACCENT, lw=1.6)
    axes.scatter(
        shown,
        shares.mean(axis=1),
        22,
        ACCENT,
        zorder=3,
        label=f"{len(again)} replications: mean and 89 % interval",
    )
    axes.set_ylabel("share of the rows")
    axes.set_ylim(bottom=0)
    if categories:
        labels = [shortened(category, 18) for category in categories]
        axes.set_xticks(shown, labels, parse_math=False)
        if len(labels) > _MOST_LABELS:
            axes.tick_params(axis="x", labelrotation=90)
    elif len(shown) == 2:
        axes.set_xticks(shown)
    return words


def _in_steps(checked: CheckedRows, replicated: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
    """Return outcomes rounded down to steps, so that there are few values; the last is open."""
    outcome = checked.outcome
    if checked.kind == "share":
        step = 0.05
        if len(np.unique(np.concatenate([outcome, replicated.ravel()]).round(9))) <= _MOST_BARS:
            return outcome.round(9), replicated.round(9), ""
        # Rounding of k / n must not take a share of exactly 0.05 below its step.
        parts = [np.floor(array / step + 1e-9) * step for array in (outcome, replicated)]
        return parts[0].round(9), parts[1].round(9), f" (steps of {step:g}, from the value shown)"
    if checked.kind != "count":
        return outcome, replicated, ""
    # A few large counts would leave no room for the others.
    high = max(np.quantile(outcome, 0.975), np.quantile(replicated, 0.975), 1.0)
    width = np.ceil((high + 1) / _MOST_BARS)
    last = np.floor(high / width) * width
    parts = [np.minimum(np.floor(array / width) * width, last) for array in (outcome, replicated)]
    steps = f"steps of {width:g}, from the value shown; " if width > 1 else ""
    largest = max(outcome.max(), replicated.max())
    final = f"last: {last:g} or more" if largest >= last + width else ""
    words = f"{steps}{final}".removesuffix("; ")
    return parts[0], parts[1], f" ({words})" if words else ""


@_styled()
def unit_check_plot(
    fit: Fit,
    grouping: str,
    draws: int = 500,
    prob: float = 0.89,
    seed: int | None = None,
    units: str = SAME,
    most: int = MOST_UNITS,
) -> "Figure":
    """Return every unit's mean and SD against those of replicated rows.

    Parameters
    ----------
    fit : Fit
    grouping : str
        Name of a grouping.
    draws, prob, seed, units
        As in `unit_checks`.
    most : int
        How many units are shown; of more units, those at evenly spaced means.

    Returns
    -------
    matplotlib.figure.Figure
        Units in the order of their observed means; observed values outside the interval are red.

    Raises
    ------
    FitError
        As `unit_checks` raises.

    Examples
    --------
    >>> import bayesml as bml
    >>> fit = bml.load("exam.nc")  # doctest: +SKIP
    >>> bml.unit_check_plot(fit, "school", seed=1)  # doctest: +SKIP
    """
    table = unit_checks(fit, grouping, draws, prob, seed, units)
    means = table[table["statistic"] == "mean"].set_index("unit")
    labels = means.index[shown_units(means["observed"].to_numpy(), most)]
    kinds = [kind for kind in ("mean", "SD") if (table["statistic"] == kind).any()]
    figure, panels = _figure(0.9 + 0.145 * len(labels), len(kinds), share_rows=True)
    places = pd.Series(np.arange(len(labels), dtype=float), index=labels)
    for axes, kind in zip(panels, kinds, strict=True):
        rows = table[(table["statistic"] == kind) & table["unit"].isin(labels)]
        height = places.loc[rows["unit"]].to_numpy()
        outside = (rows["observed"] < rows["lower"]) | (rows["observed"] > rows["upper"])
        axes.hlines(height, rows["lower"], rows["upper"], color=BAND, lw=4)
        axes.scatter(rows["observed"], height, 9, np.where(outside, ALERT, ACCENT), zorder=3)
        axes.set_title(
            f"{kind}: {int(outside.sum())} of {len(rows)} outside the interval", parse_math=False
        )
        axes.set_ylim(-1, len(labels))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    _rows(panels[0], places.to_numpy(), [str(label) for label in labels], size=6.5)
    drawn = "new units" if units != SAME else "the same units"
    figure.supxlabel(
        f"{shortened(fit.facts.response, 30)} of each unit of {shortened(grouping, 30)} (points) "
        f"and {share_text(prob)} interval of replications of {drawn} (grey)",
        fontsize=9,
        parse_math=False,
    )
    return figure


def require_check_table(table: pd.DataFrame, columns: tuple[str, ...], call: str) -> None:
    """Refuse a table that another function made.

    Raises
    ------
    FitError
        A column is missing.
    """
    missing = (
        [name for name in columns if name not in table]
        if isinstance(table, pd.DataFrame)
        else list(columns)
    )
    if missing:
        raise FitError(
            f"The plot needs the table of bml.{call}; this one has no column {quoted(missing[0])}. "
            "Give that table."
        )
