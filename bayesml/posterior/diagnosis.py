"""Can the draws of a fit be trusted? The checks, with what to do where one fails."""

from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from bayesml.posterior.diagnosis_advice import model_advice
from bayesml.posterior.diagnosis_findings import (
    HIGHEST_R_HAT,
    Problem,
    effect_problems,
    parameter_problems,
    run_problems,
    sampler_problems,
)
from bayesml.posterior.diagnosis_remedies import FEWEST_EFFECTIVE_DRAWS, drawn_by_nuts
from bayesml.posterior.labelled_draws import labelled_draws
from bayesml.quantities.convergence import convergence_of
from bayesml.records.fits import Fit

_ROWS_SHOWN = 10


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """Whether the draws can be trusted, and why not. Print it.

    Parameters
    ----------
    problems : tuple of Problem
        The checks that failed, each once, with its worst parameter.
    verdict : str
        The result in one sentence.
    table : DataFrame
        The worst parameters first: `r_hat`, `ess_bulk`, `ess_tail`.
    advice : tuple of Problem
        What the data could not tell, although the draws are sound: an SD or a correlation that
        is not learnt, cutpoints that touch.
    """

    problems: tuple[Problem, ...]
    verdict: str
    table: pd.DataFrame
    advice: tuple[Problem, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return not self.problems

    def __str__(self) -> str:
        lines = [self.verdict, *(f"- {problem}" for problem in self.problems)]
        if self.problems and len(self.table):
            lines += ["Worst parameters:", _rounded(self.table).to_string()]
        if self.advice:
            lines += ["Worth knowing:", *(f"- {item}" for item in self.advice)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<bayesml Diagnosis: {self.verdict}>"

    def _repr_html_(self) -> str:
        body = f"<p><strong>{escape(self.verdict)}</strong></p>"
        if self.problems:
            body += f"{_listed_html(self.problems)}{_rounded(self.table).to_html()}"
        if self.advice:
            body += f"<p>Worth knowing:</p>{_listed_html(self.advice)}"
        return f"<div>{body}</div>"


def _listed_html(problems: tuple[Problem, ...]) -> str:
    items = "".join(
        f"<li>{escape(item.words)} <em>{escape(item.remedy)}</em></li>" for item in problems
    )
    return f"<ul>{items}</ul>"


def diagnose(fit: Fit) -> Diagnosis:
    """Check whether the draws can be trusted, and say what the data could not tell.

    Checked are the number of chains and draws against what was asked for; rank-normalised split
    R-hat (at most 1.01), bulk and tail effective sample sizes (at least 400 over all chains) of
    every parameter; the R-hat of every random effect (at most 5 % of a grouping's above 1.01, none
    above 1.05); divergences; saturated tree depth (at most 5 % of the draws); and the energy's
    fraction of missing information (BFMI, at least 0.3 in every chain). A sampler other than NUTS
    has none of the last three: its acceptance is checked (at least 10 % in every chain) and
    reported. Entries of correlation matrices that are fixed are left out.

    The advice does not count as failure. It names SDs whose posterior is their prior (largest gap
    between the distribution functions below 0.1) or cannot be told from 0 (5 % quantile below 15 %
    of the median), correlations that are at their prior or near -1 or 1 (median beyond 0.9), and
    cutpoints whose gap cannot be told from 0. Parameters with fewer than 100 effective draws, or
    an R-hat above 1.05, are not judged.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    Diagnosis
        With `ok`, `verdict`, `problems`, `advice` and `table`; prints as text and in notebooks.
        Every problem and piece of advice names its parameter and the remedy.

    Notes
    -----
    Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021), doi:10.1214/20-BA1221; BFMI: Betancourt
    (2016), arXiv:1604.00695.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> fit = bml.two_level(exam, "normexam ~ 1", group="school").fit()  # doctest: +SKIP
    >>> print(bml.diagnose(fit))  # doctest: +SKIP
    """
    draws = labelled_draws(fit)
    found = convergence_of(draws.values)
    table = pd.DataFrame(
        {"r_hat": found.r_hat, "ess_bulk": found.ess_bulk, "ess_tail": found.ess_tail},
        index=pd.Index(draws.labels, name="parameter"),
    )
    problems = (
        *run_problems(fit),
        *parameter_problems(fit, table),
        *effect_problems(fit),
        *sampler_problems(fit, draws),
    )
    advice = tuple(model_advice(fit, table))
    return Diagnosis(problems, _verdict(fit, problems, table), _worst_first(table), advice)


def _verdict(fit: Fit, problems: tuple[Problem, ...], table: pd.DataFrame) -> str:
    sizes = fit.posterior.sizes
    run = f"{sizes['chain']} chain{'s' if sizes['chain'] > 1 else ''} of {sizes['draw']:,} draws"
    if not problems:
        worst = table["r_hat"].max()
        fewest = table[["ess_bulk", "ess_tail"]].min()
        return (
            f"No problem found: {run}, largest R-hat {worst:.3f}, smallest effective sample size "
            f"{fewest['ess_bulk']:,.0f} (bulk) and {fewest['ess_tail']:,.0f} (tail), "
            f"{_sampler_words(fit)}."
        )
    if {problem.kind for problem in problems} == {"tree depth"}:
        return f"The draws can be used ({run}), but sampling was slow."
    count = "1 check" if len(problems) == 1 else f"{len(problems)} checks"
    return f"Do not rely on these results yet: {count} failed ({run})."


def _sampler_words(fit: Fit) -> str:
    stats = fit.sample_stats
    if "acceptance_rate" in stats and not drawn_by_nuts(fit):
        return f"mean acceptance {float(stats['acceptance_rate'].mean()):.2f}"
    return "no divergences"


def _worst_first(table: pd.DataFrame) -> pd.DataFrame:
    """Return the parameters that are nearest to, or farthest beyond, a limit."""
    burdens = pd.DataFrame(
        {
            "r_hat": (table["r_hat"] - 1) / (HIGHEST_R_HAT - 1),
            "ess_bulk": FEWEST_EFFECTIVE_DRAWS / table["ess_bulk"],
            "ess_tail": FEWEST_EFFECTIVE_DRAWS / table["ess_tail"],
        }
    )
    burden = burdens.max(axis=1).fillna(np.inf)
    return table.loc[burden.sort_values(ascending=False, kind="stable").index].head(_ROWS_SHOWN)


def _rounded(table: pd.DataFrame) -> pd.DataFrame:
    return table.round({"r_hat": 3, "ess_bulk": 0, "ess_tail": 0})
