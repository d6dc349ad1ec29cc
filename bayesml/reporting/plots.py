"""Figures of a fit, as Figure objects of their own: pyplot's state is neither used nor changed."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesml.errors import FitError, did_you_mean, quoted
from bayesml.records.facts import GroupingFacts
from bayesml.records.fits import Fit
from bayesml.reporting.draws import Quantity, coefficients_of, spreads_of
from bayesml.reporting.pictures import data_uri
from bayesml.reporting.tables import share_text, shortened
from bayesml.specs.distributions import parse_prior

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_UNITS = 70
MOST_PANELS = 4
WIDTH = 8.1
INK, QUIET, ACCENT = "#1f2a37", "#8a94a3", "#1d6f8f"
CHAIN_COLOURS = ("#1d6f8f", "#d1761f", "#4b9560", "#a24b7b", "#6b5fb5", "#9a8a2b")

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "bayesml",
    "font.sans-serif": ["Helvetica Neue", "Helvetica", "Arial", "DejaVu Sans"],
    "font.size": 9,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "axes.unicode_minus": True,
}


@contextmanager
def _styled() -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # The browser picks the font, so glyphs and fonts that are missing here do not matter.
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        yield


@_styled()
def coefficient_plot(fit: Fit, prob: float = 0.89) -> "Figure | None":
    """Return a forest plot of the coefficients, None where there is none but the intercept."""
    quantities = [item for item in coefficients_of(fit) if item.label != "Intercept"]
    if not quantities:
        return None
    figure, (axes,) = _figure(0.55 + 0.28 * len(quantities) + 0.35, 1)
    rows = np.arange(len(quantities), dtype=float)[::-1]
    _intervals(axes, rows, np.stack([item.draws.ravel() for item in quantities], axis=1), prob)
    _zero_line(axes)
    _rows(axes, rows, [item.label for item in quantities])
    axes.set_ylim(-0.6, len(quantities) - 0.4)
    axes.set_xlabel(
        f"coefficient ({_link_words(fit)}); median, 50 % and {share_text(prob)} interval"
    )
    return figure


@_styled()
def caterpillar(fit: Fit, grouping: str, prob: float = 0.89, most: int = MOST_UNITS) -> "Figure":
    """Return a caterpillar plot: the varying terms of each unit, in the order of the first term.

    Parameters
    ----------
    fit : Fit
    grouping : str
        Name of the grouping.
    prob : float
        Probability of the equal-tailed intervals.
    most : int
        How many units are shown; of more units, those at evenly spaced ranks.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    FitError
        The fit has no grouping of this name.
    """
    facts = _grouping(fit, grouping)
    effects = fit.posterior[f"u_{facts.identifier}"]
    labels = [str(label) for label in effects.coords[facts.identifier].values]
    draws = effects.values.reshape(-1, *effects.shape[2:])
    shown = shown_units(np.median(draws[..., 0], axis=0), most)
    terms = facts.terms[:MOST_PANELS]
    figure, panels = _figure(0.9 + 0.145 * len(shown), len(terms), share_rows=True)
    rows = np.arange(len(shown), dtype=float)
    for panel, (axes, term) in enumerate(zip(panels, terms, strict=True)):
        _intervals(axes, rows, draws[:, shown, panel], prob, thin=True)
        _zero_line(axes)
        axes.set_title(shortened(term, 40), parse_math=False)
        axes.set_ylim(-1, len(shown))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    _rows(panels[0], rows, [labels[unit] for unit in shown], size=6.5)
    figure.supxlabel(
        f"deviation of the unit ({_link_words(fit)}); median and {share_text(prob)} interval",
        fontsize=9,
    )
    return figure


def shown_units(medians: np.ndarray, most: int = MOST_UNITS) -> np.ndarray:
    """Return the positions of at most `most` units, lowest median first, evenly by rank.

    Examples
    --------
    >>> shown_units(np.array([3.0, 1.0, 2.0]))
    array([1, 2, 0])
    """
    order = np.argsort(medians, kind="stable")
    if len(order) <= most:
        return order
    return order[np.linspace(0, len(order) - 1, most).round().astype(int)]


@_styled()
def spread_plot(fit: Fit) -> "Figure | None":
    """Return the posterior densities of the standard deviations, one line a chain, with priors."""
    quantities = spreads_of(fit)
    if not quantities:
        return None
    texts = {key: text for key, text, _ in fit.facts.priors}
    columns = min(3, len(quantities))
    figure, panels = _figure(
        1.75 * -(-len(quantities) // columns), columns, rows=-(-len(quantities) // columns)
    )
    for axes, item in zip(panels, quantities, strict=False):
        low, high = float(item.draws.min()), float(item.draws.max())
        margin = 0.15 * (high - low) or 0.1 * abs(high) or 1.0
        grid = np.linspace(max(0.0, low - margin), high + margin, 200)
        for number, chain in enumerate(item.draws):
            axes.plot(grid, density(chain, grid), color=_colour(number), lw=1.2)
        if item.label in texts:
            prior = parse_prior(texts[item.label], "positive", item.label)
            with np.errstate(divide="ignore"):
                heights = np.exp(prior.frozen.logpdf(grid))
            axes.plot(
                grid[heights < np.inf], heights[heights < np.inf], color=QUIET, ls=(0, (3, 2)), lw=1
            )
        axes.set_title(shortened(item.label, 36), parse_math=False)
        axes.set_ylim(bottom=0)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    for axes in panels[len(quantities) :]:
        axes.set_visible(False)
    return figure


def density(draws: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Return a kernel density estimate of positive draws, reflected at zero.

    Examples
    --------
    >>> grid = np.linspace(0, 8, 801)
    >>> heights = density(np.random.default_rng(1).exponential(size=4000), grid)
    >>> round(float(np.trapezoid(heights, grid)), 2)
    1.0
    """
    from scipy.stats import gaussian_kde

    draws = np.asarray(draws, dtype=float)
    if len(draws) < 2 or np.ptp(draws) == 0:
        return np.zeros_like(grid)
    return gaussian_kde(draws)(np.concatenate([grid, -grid])).reshape(2, -1).sum(axis=0)


@_styled()
def chain_plot(quantities: Sequence[Quantity]) -> "Figure":
    """Return, for each quantity, the trace of its chains beside the ranks of their draws.

    References
    ----------
    Vehtari et al. (2021), doi:10.1214/20-BA1221.
    """
    figure, panels = _figure(1.45 * len(quantities), 2, rows=len(quantities))
    for item, trace, ranks in zip(quantities, panels[::2], panels[1::2], strict=True):
        chains, draws = item.draws.shape
        order = item.draws.ravel().argsort(kind="stable").argsort(kind="stable")
        bins = max(2, min(20, draws // 5))
        edges = np.linspace(0, order.size, bins + 1)
        for number in range(chains):
            trace.plot(
                item.draws[number], color=_colour(number), lw=0.5, alpha=0.75, rasterized=True
            )
            counts, _ = np.histogram(order.reshape(chains, draws)[number], edges)
            ranks.stairs(counts, edges, baseline=None, color=_colour(number), lw=1.2)
        ranks.axhline(draws / bins, color=QUIET, ls=(0, (3, 2)), lw=0.8)
        ranks.set_ylim(bottom=0)
        ranks.set_yticks([])
        ranks.spines["left"].set_visible(False)
        trace.set_title(shortened(item.label, 44), parse_math=False)
        ranks.set_title("ranks by chain")
    panels[-2].set_xlabel("draw")
    panels[-1].set_xlabel("rank among all chains")
    return figure


@_styled()
def picture(figure: "Figure") -> str:
    """Return a figure as a data URI that holds everything it needs."""
    return data_uri(figure, dpi=120)


@cache
def _notebook_figure() -> "type[Figure]":
    """Return a kind of figure that notebooks show although nobody has imported pyplot."""
    from matplotlib.figure import Figure

    class NotebookFigure(Figure):
        def _repr_png_(self) -> bytes:
            picture = BytesIO()
            self.savefig(picture, format="png", dpi=90)
            return picture.getvalue()

    return NotebookFigure


def _figure(
    height: float, columns: int, rows: int = 1, share_rows: bool = False
) -> "tuple[Figure, list[Axes]]":
    figure = _notebook_figure()(figsize=(WIDTH, max(height, 1.3)), layout="constrained")
    panels: Any = figure.subplots(rows, columns, squeeze=False, sharey=share_rows)
    return figure, list(panels.ravel())


def _colour(number: int) -> str:
    return CHAIN_COLOURS[number % len(CHAIN_COLOURS)]


def _intervals(
    axes: "Axes", rows: np.ndarray, draws: np.ndarray, prob: float, thin: bool = False
) -> None:
    """Draw the median and interval of each column of draws, one row each."""
    lower, upper = np.quantile(draws, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
    marked = (lower > 0) | (upper < 0) | (not thin)
    colours = [ACCENT if mark else QUIET for mark in marked]
    axes.hlines(rows, lower, upper, colors=colours, lw=0.9 if thin else 1.3)
    if not thin:
        first, third = np.quantile(draws, [0.25, 0.75], axis=0)
        axes.hlines(rows, first, third, colors=colours, lw=3.6)
    size, edge = (6, 0.2) if thin else (22, 0.8)
    axes.scatter(
        np.median(draws, axis=0), rows, size, colours, edgecolors="white", lw=edge, zorder=3
    )


def _zero_line(axes: "Axes") -> None:
    axes.axvline(0, color=QUIET, lw=0.8, ls=(0, (3, 2)), zorder=0)


def _rows(axes: "Axes", rows: np.ndarray, labels: Sequence[str], size: float = 9) -> None:
    # Labels are the user's: a dollar sign in them starts no formula.
    axes.set_yticks(rows, [shortened(label, 32) for label in labels], parse_math=False)
    axes.tick_params(axis="y", length=0, labelsize=size)
    axes.spines["left"].set_visible(False)


def _link_words(fit: Fit) -> str:
    link = fit.facts.link
    return f"unit of {shortened(fit.facts.response, 24)}" if link == "identity" else f"{link} scale"


def _grouping(fit: Fit, name: str) -> GroupingFacts:
    found = fit.facts.grouping(name)
    if found is None:
        names = [item.name for item in fit.facts.groupings]
        raise FitError(f"The fit has no grouping {quoted(name)}. {did_you_mean(name, names)}")
    return found
