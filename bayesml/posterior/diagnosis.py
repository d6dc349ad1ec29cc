"""Can the draws of a fit be trusted? The checks, with what to do where one fails."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from bayesml.posterior.labelled_draws import effect_names, labelled_draws
from bayesml.quantities.convergence import convergence_of, energy_bfmi, rank_r_hat
from bayesml.records.fits import Fit

HIGHEST_R_HAT = 1.01
# Among thousands of random effects some exceed 1.01 by chance alone.
HIGHEST_EFFECT_R_HAT = 1.05
MOST_EFFECTS = 0.05
FEWEST_EFFECTIVE_DRAWS = 400
LOWEST_BFMI = 0.3
# Long paths cost time, not truth: a few of them are no problem.
MOST_SATURATED = 0.05
_ROWS_SHOWN = 10

_REMEDIES = {
    "incomplete": "Run the fit again (resume=True with parts=... continues where it stopped).",
    "one chain": "Fit with chains=4.",
    "not moving": "Check the model and its priors: the sampler could not move this parameter.",
    "r_hat": (
        "Fit with more draws and tune. If it stays above, the data hardly tell some parameters "
        "apart: look at the traces, give the SDs tighter priors, or leave terms out."
    ),
    "ess": "Fit with more draws.",
    "divergences": (
        "Fit with target_accept=0.99. If divergences remain, give the SDs tighter priors or check "
        "the model: a variance near 0 or terms that the data cannot tell apart are the usual cause."
    ),
    "tree depth": (
        "The estimates hold, but each draw is slow. Give predictors similar scales, or the SDs "
        "tighter priors."
    ),
    "bfmi": (
        "Fit with more tune. If it stays below, the tails of some SD are hard to reach: give the "
        "SDs tighter priors, or set parametrisation='centred' or 'non-centred'."
    ),
}


@dataclass(frozen=True)
class Problem:
    """A check that failed.

    Parameters
    ----------
    kind : str
        "incomplete", "one chain", "not moving", "r_hat", "ess_bulk", "ess_tail", "divergences",
        "tree depth" or "bfmi".
    parameter : str
        The worst parameter, chain or grouping; empty where the check is of the whole run.
    value, threshold : float
        Its value, and the limit that it broke.
    words : str
        What was found.
    remedy : str
        What to do.
    """

    kind: str
    parameter: str
    value: float
    threshold: float
    words: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.words} {self.remedy}"


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
    """

    problems: tuple[Problem, ...]
    verdict: str
    table: pd.DataFrame

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return not self.problems

    def __str__(self) -> str:
        lines = [self.verdict, *(f"- {problem}" for problem in self.problems)]
        if self.problems and len(self.table):
            lines += ["Worst parameters:", _rounded(self.table).to_string()]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<bayesml Diagnosis: {self.verdict}>"

    def _repr_html_(self) -> str:
        items = "".join(
            f"<li>{escape(item.words)} <em>{escape(item.remedy)}</em></li>"
            for item in self.problems
        )
        body = f"<ul>{items}</ul>{_rounded(self.table).to_html()}" if self.problems else ""
        return f"<div><p><strong>{escape(self.verdict)}</strong></p>{body}</div>"


def diagnose(fit: Fit) -> Diagnosis:
    """Check whether the draws can be trusted.

    Checked are the number of chains and draws against what was asked for; rank-normalised split
    R-hat (at most 1.01), bulk and tail effective sample sizes (at least 400 over all chains) of
    every parameter; the R-hat of every random effect (at most 5 % of a grouping's above 1.01, none
    above 1.05); divergences; saturated tree depth (at most
    5 % of the draws); and the energy's fraction of missing information (BFMI, at least 0.3 in
    every chain). Entries of correlation matrices that are fixed are left out.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    Diagnosis
        With `ok`, `verdict`, `problems` and `table`; prints as text and in notebooks.

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
        *_run_problems(fit),
        *_parameter_problems(table, chains=draws.values.shape[0]),
        *_effect_problems(fit),
        *_sampler_problems(fit),
    )
    return Diagnosis(problems, _verdict(fit, problems, table), _worst_first(table))


def _problem(kind: str, parameter: str, value: float, threshold: float, words: str) -> Problem:
    remedy = _REMEDIES["ess" if kind.startswith("ess") else kind]
    return Problem(kind, parameter, float(value), float(threshold), words, remedy)


def _run_problems(fit: Fit) -> Iterator[Problem]:
    sizes = fit.posterior.sizes
    if not fit.complete:
        asked = fit.chains_asked * fit.draws_asked
        yield _problem(
            "incomplete",
            "",
            fit.draws_made,
            asked,
            f"The run stopped early: {sizes['chain']} chains of {sizes['draw']:,} draws of the "
            f"{fit.chains_asked} x {fit.draws_asked:,} asked for.",
        )
    if sizes["chain"] == 1:
        yield _problem(
            "one chain", "", 1, 2, "There is one chain only, so R-hat cannot compare chains."
        )


def _parameter_problems(table: pd.DataFrame, chains: int) -> Iterator[Problem]:
    stuck = table.index[table["ess_bulk"].isna()]
    if len(stuck):
        yield _problem(
            "not moving",
            str(stuck[0]),
            np.nan,
            np.nan,
            f"{len(stuck)} of {len(table)} parameters are constant or not finite, or have fewer "
            f"than four draws: {_named(stuck)}.",
        )
    if chains > 1:
        high = table["r_hat"][table["r_hat"] > HIGHEST_R_HAT].sort_values(ascending=False)
        if len(high):
            yield _problem(
                "r_hat",
                str(high.index[0]),
                high.iloc[0],
                HIGHEST_R_HAT,
                f"R-hat is above {HIGHEST_R_HAT} for {len(high)} of {len(table)} parameters, so "
                f"the chains disagree: {_with_values(high, '.3f')}.",
            )
    for kind, part in (("ess_bulk", "centre"), ("ess_tail", "tails")):
        low = table[kind][table[kind] < FEWEST_EFFECTIVE_DRAWS].sort_values()
        if len(low):
            yield _problem(
                kind,
                str(low.index[0]),
                low.iloc[0],
                FEWEST_EFFECTIVE_DRAWS,
                f"Fewer than {FEWEST_EFFECTIVE_DRAWS} effective draws for the {part} of {len(low)} "
                f"of {len(table)} parameters: {_with_values(low, ',.0f')}.",
            )


def _effect_problems(fit: Fit) -> Iterator[Problem]:
    for name, grouping in effect_names(fit).items():
        if name not in fit.posterior or fit.posterior.sizes["chain"] == 1:
            continue
        draws = fit.posterior[name].transpose("chain", "draw", ...).values
        r_hat = rank_r_hat(draws.reshape(*draws.shape[:2], -1))
        stuck, high = int(np.isnan(r_hat).sum()), int((r_hat > HIGHEST_R_HAT).sum())
        if stuck:
            yield _problem(
                "not moving",
                f"u_{grouping}",
                np.nan,
                np.nan,
                f"{stuck:,} of {len(r_hat):,} random effects of {grouping} are constant or not "
                "finite, or have fewer than four draws.",
            )
        worst = float(np.nanmax(r_hat)) if high else 1.0
        if high > MOST_EFFECTS * len(r_hat) or worst > HIGHEST_EFFECT_R_HAT:
            yield _problem(
                "r_hat",
                f"u_{grouping}",
                worst,
                HIGHEST_R_HAT,
                f"R-hat is above {HIGHEST_R_HAT} for {high:,} of {len(r_hat):,} random effects of "
                f"{grouping} (largest {worst:.3f}).",
            )


def _sampler_problems(fit: Fit) -> Iterator[Problem]:
    stats = fit.sample_stats
    if "diverging" in stats:
        diverging = stats["diverging"].values.astype(bool)
        if diverging.any():
            yield _problem(
                "divergences",
                "",
                diverging.sum(),
                0,
                f"{diverging.sum():,} of {diverging.size:,} draws "
                f"({_percent(diverging.mean())}) diverged: parts of the posterior may be missed.",
            )
    if "reached_max_treedepth" in stats:
        saturated = stats["reached_max_treedepth"].values.astype(bool)
        if saturated.mean() > MOST_SATURATED:
            yield _problem(
                "tree depth",
                "",
                saturated.mean(),
                MOST_SATURATED,
                f"{saturated.sum():,} of {saturated.size:,} draws ({_percent(saturated.mean())}) "
                "reached the largest tree depth.",
            )
    if "energy" in stats:
        bfmi = energy_bfmi(stats["energy"].transpose("chain", "draw").values)
        low = np.flatnonzero(bfmi < LOWEST_BFMI)
        if len(low):
            worst = int(np.nanargmin(bfmi))
            yield _problem(
                "bfmi",
                f"chain {worst}",
                bfmi[worst],
                LOWEST_BFMI,
                f"BFMI is below {LOWEST_BFMI} in {len(low)} of {len(bfmi)} chains "
                f"(lowest {bfmi[worst]:.2f}).",
            )


def _verdict(fit: Fit, problems: tuple[Problem, ...], table: pd.DataFrame) -> str:
    sizes = fit.posterior.sizes
    run = f"{sizes['chain']} chain{'s' if sizes['chain'] > 1 else ''} of {sizes['draw']:,} draws"
    if not problems:
        worst = table["r_hat"].max()
        fewest = table[["ess_bulk", "ess_tail"]].min()
        return (
            f"No problem found: {run}, largest R-hat {worst:.3f}, smallest effective sample size "
            f"{fewest['ess_bulk']:,.0f} (bulk) and {fewest['ess_tail']:,.0f} (tail), no "
            "divergences."
        )
    if {problem.kind for problem in problems} == {"tree depth"}:
        return f"The draws can be used ({run}), but sampling was slow."
    count = "1 check" if len(problems) == 1 else f"{len(problems)} checks"
    return f"Do not rely on these results yet: {count} failed ({run})."


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


def _named(labels: pd.Index, most: int = 5) -> str:
    return ", ".join(map(str, labels[:most])) + (", ..." if len(labels) > most else "")


def _with_values(values: pd.Series, form: str, most: int = 5) -> str:
    shown = ", ".join(f"{label} {value:{form}}" for label, value in values.head(most).items())
    return shown + (", ..." if len(values) > most else "")


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
