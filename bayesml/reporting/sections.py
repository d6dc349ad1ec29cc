"""The sections of a report: what each says, from a fit alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayesml.errors import FitError
from bayesml.posterior.components import variance_components
from bayesml.posterior.diagnosis import diagnose
from bayesml.posterior.diagnosis_remedies import drawn_by_nuts
from bayesml.posterior.partition import icc, vpc
from bayesml.posterior.prior_sensitivity import sensitivity_words
from bayesml.posterior.summaries import interval_words, summary
from bayesml.records.facts import GroupingFacts
from bayesml.records.fits import Fit
from bayesml.reporting.draws import worst_mixed
from bayesml.reporting.estimates import FormattedTable, component_table, estimate_table
from bayesml.reporting.outcome_sentences import outcome_sentence
from bayesml.reporting.plots import (
    MOST_PANELS,
    MOST_UNITS,
    caterpillar,
    chain_plot,
    coefficient_plot,
    picture,
    spread_plot,
)
from bayesml.reporting.tables import count_text, interval_text, number_text, share_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FULL = ("mean", "median", "sd", "lower", "upper", "ess_bulk", "r_hat")
SHARES = ("mean", "median", "sd", "lower", "upper")


@dataclass(frozen=True)
class CaptionedTable:
    """A table with the sentence above it."""

    caption: str
    content: FormattedTable


@dataclass(frozen=True)
class Plot:
    """A picture as a data URI, its description for those who do not see it, and its caption."""

    source: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Section:
    """What a section shows: sentences, tables, plots, notes."""

    sentences: tuple[str, ...] = ()
    tables: tuple[CaptionedTable, ...] = ()
    plots: tuple[Plot, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """The diagnostics in words."""

    good: bool
    heading: str
    problems: tuple[str, ...]
    explanation: str
    advice: tuple[str, ...] = ()


@dataclass(frozen=True)
class KeyNumber:
    """A number for the head of the page."""

    name: str
    value: str
    detail: str = ""


def _plots(alt: str, caption: str, figure: "Figure | None") -> tuple[Plot, ...]:
    return () if figure is None else (Plot(picture(figure), alt, caption),)


def verdict_section(fit: Fit) -> Verdict:
    """Return whether the draws can be trusted, and what to do where not."""
    found = diagnose(fit)
    sampler = (
        "divergent draws (none), saturated tree depth and the energy of the sampler"
        if drawn_by_nuts(fit)
        else "and the share of proposed draws that the sampler accepted (at least 10 %)"
    )
    return Verdict(
        found.ok,
        found.verdict,
        tuple(str(problem) for problem in found.problems),
        "Checked are R-hat (at most 1.01: the chains agree), the effective sample sizes (at least "
        f"400: means and interval ends are precise enough), {sampler}. These checks tell whether "
        "the computation succeeded, not whether the model suits the data.",
        (*(str(item) for item in found.advice), *sensitivity_words(fit)),
    )


def key_numbers(fit: Fit, prob: float) -> tuple[KeyNumber, ...]:
    """Return the numbers of the head of the page: rows, units, draws, the largest VPC."""
    facts = fit.facts
    left_out = facts.rows_in_table - facts.rows
    numbers = [KeyNumber("rows", f"{facts.rows:,}", f"{left_out:,} left out" if left_out else "")]
    numbers += [
        KeyNumber(
            f"units of {item.name}",
            f"{item.units:,}",
            f"{count_text(item.rows_per_unit[0])} to {count_text(item.rows_per_unit[3])} rows each",
        )
        for item in facts.groupings[:3]
    ]
    shares = _shares(fit, prob, vpc)
    if isinstance(shares, pd.DataFrame) and facts.groupings:
        row = shares.reset_index(drop=True).iloc[0]
        # Several outcomes or kinds of units have a partition each: the first one's is shown.
        case = [str(row[name]) for name in shares.columns[1 : shares.columns.get_loc("mean")]]
        numbers.append(
            KeyNumber(
                f"VPC of {row['grouping']}{' (' + ', '.join(case) + ')' if case else ''}",
                number_text(float(row["mean"]), 2),
                f"{share_text(prob)}: {interval_text(float(row['lower']), float(row['upper']), 2)}",
            )
        )
    sizes = fit.posterior.sizes
    numbers.append(
        KeyNumber("draws", f"{fit.draws_made:,}", f"{sizes['chain']} chains × {sizes['draw']:,}")
    )
    return tuple(numbers)


def data_section(fit: Fit) -> Section:
    """Return the rows, the rows left out by column, the groupings, and the notes."""
    facts = fit.facts
    left_out = facts.rows_in_table - facts.rows
    used = f"{facts.rows:,} rows were used"
    if left_out:
        used += (
            f" of the {facts.rows_in_table:,} rows of the table; {left_out:,} were left out "
            "because a value is missing."
        )
    else:
        used += "; none was left out."
    sentences = [used, outcome_sentence(fit)]
    tables = []
    if facts.missing:
        tables.append(
            CaptionedTable(
                "Missing values by column, among the rows that were left out",
                FormattedTable(
                    ("column", "missing values"),
                    tuple((name, f"{count:,}") for name, count in facts.missing.items()),
                    1,
                ),
            )
        )
    if facts.groupings:
        tables.append(CaptionedTable("Groupings", _grouping_table(facts.groupings)))
        sentences += [_grouping_words(item) for item in facts.groupings]
    return Section(tuple(sentences), tuple(tables), notes=facts.notes)


def _grouping_table(groupings: tuple[GroupingFacts, ...]) -> FormattedTable:
    header = ("grouping", "what varies", "units", "rows per unit: least", "median", "mean", "most")
    rows = tuple(
        (
            item.name,
            ", ".join(item.terms),
            f"{item.units:,}",
            *(count_text(value) for value in item.rows_per_unit),
        )
        for item in groupings
    )
    return FormattedTable(header, rows, 2)


def _grouping_words(item: GroupingFacts) -> str:
    words = []
    if item.multiple:
        words.append(
            "rows may belong to several units (multiple membership; the mean sum of squared "
            f"weights is {number_text(item.squared_weights, 2)})"
        )
    if item.within:
        words.append(f"its units lie within those of {' and '.join(item.within)}")
    if len(item.terms) > 1:
        words.append("its terms are correlated" if item.correlated else "its terms are independent")
    words.append(f"sampled {item.reason}")
    return f"{item.name}: {'; '.join(words)}."


def coefficients_section(fit: Fit, prob: float) -> Section:
    """Return the coefficients, and cutpoints where there are any, as tables and a plot."""
    interval = interval_words(prob)
    tables, facts = [], fit.facts
    if "beta" in fit.posterior and facts.estimated:
        frame = summary(fit, prob, ["beta"])
        names = [facts.coefficients[place] for place in facts.estimated]
        frame.index = pd.Index(names, name="coefficient")
        tables.append(
            CaptionedTable(
                f"Posterior of the coefficients, with the {interval}",
                estimate_table(frame, prob, FULL),
            )
        )
    for part in facts.parts:
        if part.coefficients and not facts.nominal:
            what = f"coefficients of {part.parameter} (on the {part.link} scale)"
            if part.category_specific:
                what = "category-specific coefficients, one for each cutpoint"
            frame = summary(fit, prob, [f"beta_{part.parameter}"])
            tables.append(
                CaptionedTable(
                    f"Posterior of the {what}, with the {interval}",
                    estimate_table(frame, prob, FULL),
                )
            )
    cutpoints = ["cutpoints"] if "cutpoints" in fit.posterior else []
    cutpoints += [item.variable for item in facts.ordered]
    if cutpoints:
        tables.append(
            CaptionedTable(
                f"Posterior of the cutpoints, with the {interval}",
                estimate_table(summary(fit, prob, cutpoints), prob, FULL),
            )
        )
    plots = _plots(
        f"Forest plot of the coefficients but the intercept with {share_text(prob)} intervals; "
        "the numbers are in the table above.",
        f"Coefficients without the intercept: median, 50 % interval (thick) and {interval} (thin), "
        "per unit of each predictor: lengths compare only where units do.",
        coefficient_plot(fit, prob),
    )
    sentences = () if tables else ("The model has no coefficients.",)
    if facts.link != "identity":
        sentences = (*sentences, f"Coefficients are on the {facts.link} scale.")
    return Section(sentences, tuple(tables), plots)


def variances_section(fit: Fit, prob: float) -> Section:
    """Return SDs and correlations as a table, and the posterior densities of the SDs."""
    frame = variance_components(fit, prob)
    if not len(frame):
        return Section(("The model has no variance components.",))
    caption = f"Standard deviations and correlations, with the {interval_words(prob)}"
    sentences = []
    if any(len(item.terms) > 1 for item in fit.facts.groupings):
        sentences.append(
            "The SD of an intercept holds where the predictors that vary are 0; correlations refer "
            "to the same point."
        )
    plots = _plots(
        "Densities of the standard deviations, one line per chain, with the prior as a dashed "
        "line; the numbers are in the table above.",
        "Posterior density of each standard deviation, one line per chain, and its prior "
        "(dashed). Where the posterior is not much narrower than the prior, the data say little.",
        spread_plot(fit),
    )
    table = CaptionedTable(caption, component_table(frame, prob, FULL))
    return Section(tuple(sentences), (table,), plots)


def _shares(fit: Fit, prob: float, compute: Callable[..., pd.DataFrame]) -> pd.DataFrame | str:
    """Return the shares, or in words why there are none."""
    try:
        return compute(fit, prob=prob)
    except FitError as error:
        return str(error)


def partition_section(fit: Fit, prob: float) -> Section:
    """Return VPC and ICC, and the covariate values at which they hold."""
    shares = _shares(fit, prob, vpc)
    if isinstance(shares, str):
        return Section((shares,))
    interval = interval_words(prob)
    tables = [
        CaptionedTable(
            f"Variance partition coefficients (VPC): shares of the variance, with the {interval}",
            estimate_table(shares, prob, SHARES),
        )
    ]
    correlations = _shares(fit, prob, icc)
    if isinstance(correlations, pd.DataFrame):
        tables.append(
            CaptionedTable(
                "Intraclass correlations (ICC): of two rows that share a unit, with the "
                f"{interval}",
                estimate_table(correlations, prob, SHARES),
            )
        )
        return Section((scale_words(shares),), tuple(tables))
    return Section((scale_words(shares), correlations), tuple(tables))


def scale_words(shares: pd.DataFrame) -> str:
    """Return on which scale, and at which covariate values, shares of the variance hold."""
    words = (
        "Shares are of the variance of the latent scale."
        if shares.attrs.get("scale") == "latent"
        else "Shares are of the variance of the outcome, given the predictors."
    )
    at = shares.attrs.get("at") or {}
    if not at:
        return words
    values = ", ".join(
        f"{name} = {value if isinstance(value, str) else f'{_without_rounding(value):.3g}'}"
        for name, value in at.items()
    )
    return f"{words} They depend on covariates and hold at {values}."


def _without_rounding(value: float) -> float:
    """Return 0 for the mean of a centred column, which rounding leaves a little beside it."""
    return 0.0 if abs(value) < 1e-12 else value


def units_section(fit: Fit, prob: float) -> Section:
    """Return a caterpillar plot of each grouping."""
    plots: list[Plot] = []
    for item in fit.facts.groupings:
        some = (
            f"{MOST_UNITS} of the {item.units:,} units, at evenly spaced ranks"
            if item.units > MOST_UNITS
            else f"all {item.units} units"
        )
        order = f", in the order of {item.terms[0]}" if len(item.terms) > 1 else ""
        first = f" (the first {MOST_PANELS} terms)" if len(item.terms) > MOST_PANELS else ""
        plots += _plots(
            f"Caterpillar plot of {item.name}: {some}{order}.",
            f"{item.name}: {some}{order}{first}. Median and {interval_words(prob)} of each unit's "
            "deviation; intervals that exclude 0 are coloured.",
            caterpillar(fit, item.name, prob),
        )
    return Section(plots=tuple(plots))


def chains_section(fit: Fit) -> Section:
    """Return trace and ranks of the parameters that mixed worst, and the sampler's numbers."""
    worst = worst_mixed(fit)
    plots: tuple[Plot, ...] = ()
    if worst:
        names = ", ".join(item.label for item in worst)
        plots = _plots(
            f"Traces and rank histograms by chain of {names}.",
            "The parameters with the highest R-hat: draws in their order (left), and how the ranks "
            "of each chain's draws are spread (right). Chains that agree are flat there.",
            chain_plot(worst),
        )
    return Section(
        tables=(CaptionedTable("The sampler, by chain", _chain_table(fit)),), plots=plots
    )


def _chain_table(fit: Fit) -> FormattedTable:
    stats = fit.sample_stats
    wanted: dict[str, tuple[str, Callable[[np.ndarray], str]]] = {
        "diverging": ("divergent draws", lambda values: f"{int(values.sum()):,}"),
        "acceptance_rate": ("acceptance", lambda values: number_text(float(values.mean()), 2)),
        "step_size": ("step size", lambda values: number_text(float(values[-1]), 3)),
        "n_steps": ("steps per draw", lambda values: number_text(float(values.mean()), 1)),
        "reached_max_treedepth": ("at largest depth", lambda values: f"{int(values.sum()):,}"),
    }
    shown = {name: item for name, item in wanted.items() if name in stats}
    seconds = np.atleast_1d(stats.attrs.get("seconds_by_chain", []))
    rows = []
    for place, chain in enumerate(stats["chain"].values):
        cells = [words(stats[name].isel(chain=place).values) for name, (_, words) in shown.items()]
        time = [number_text(float(seconds[place]), 1)] if place < len(seconds) else []
        rows.append((str(chain), *cells, *time))
    header = ["chain", *(heading for heading, _ in shown.values())]
    header += ["seconds"] if len(seconds) else []
    return FormattedTable(tuple(header), tuple(rows), 1)
