"""The checks of the draws: what may be wrong with a run, which parameter, and what to do."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesml.posterior.diagnosis_remedies import (
    FEWEST_EFFECTIVE_DRAWS,
    disagreement_remedy,
    divergence_remedy,
    drawn_by_nuts,
    few_draws_remedy,
    sd_remedy,
)
from bayesml.posterior.labelled_draws import LabelledDraws, effect_names
from bayesml.quantities.convergence import energy_bfmi, rank_r_hat
from bayesml.quantities.rank_shifts import rank_correlations, rank_shifts
from bayesml.records.fits import Fit

HIGHEST_R_HAT = 1.01
# Among thousands of random effects some exceed 1.01 by chance alone.
HIGHEST_EFFECT_R_HAT = 1.05
MOST_EFFECTS = 0.05
LOWEST_BFMI = 0.3
# Long paths cost time, not truth: a few of them are no problem.
MOST_SATURATED = 0.05
# An independence sampler that accepts less has found a poor approximation.
LOWEST_ACCEPTANCE = 0.1
# Standard errors of a mean rank, and correlation of ranks: what names a parameter.
CLEAR_SHIFT = 4.0
CLEAR_CORRELATION = 0.4
_FEWEST_DIVERGENT = 5


@dataclass(frozen=True)
class Problem:
    """A check that failed, or a result that the reader must know of.

    Parameters
    ----------
    kind : str
        Of the run: "incomplete", "one chain", "not moving", "r_hat", "ess_bulk", "ess_tail",
        "divergences", "tree depth", "bfmi" or "acceptance"; of the model: "sd at its prior",
        "sd near 0", "correlation at its prior", "correlation near -1 or 1" or
        "cutpoints that touch".
    parameter : str
        The parameter, chain or grouping (the worst of several); empty where the check is of the
        whole run.
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


def run_problems(fit: Fit) -> Iterator[Problem]:
    """Yield what is missing of the run: draws, or all chains but one."""
    sizes = fit.posterior.sizes
    if not fit.complete:
        asked = fit.chains_asked * fit.draws_asked
        yield Problem(
            "incomplete",
            "",
            fit.draws_made,
            asked,
            f"The run stopped early: {sizes['chain']} chains of {sizes['draw']:,} draws of the "
            f"{fit.chains_asked} x {fit.draws_asked:,} asked for.",
            "Run the fit again (resume=True with parts=... continues where it stopped).",
        )
    if sizes["chain"] == 1:
        yield Problem(
            "one chain",
            "",
            1,
            2,
            "There is one chain only, so R-hat cannot compare chains.",
            "Fit with chains=4.",
        )


def parameter_problems(fit: Fit, table: pd.DataFrame) -> Iterator[Problem]:
    """Yield the parameters that do not move, whose chains disagree, or that have few draws.

    Parameters
    ----------
    fit : Fit
    table : DataFrame
        `r_hat`, `ess_bulk` and `ess_tail` by parameter.
    """
    stuck = table.index[table["ess_bulk"].isna()]
    if len(stuck):
        yield Problem(
            "not moving",
            str(stuck[0]),
            np.nan,
            np.nan,
            f"{len(stuck)} of {len(table)} parameters are constant or not finite, or have fewer "
            f"than four draws: {_named(stuck)}.",
            "Check the model and its priors: the sampler could not move this parameter.",
        )
    if fit.posterior.sizes["chain"] > 1:
        high = table["r_hat"][table["r_hat"] > HIGHEST_R_HAT].sort_values(ascending=False)
        if len(high):
            worst = str(high.index[0])
            yield Problem(
                "r_hat",
                worst,
                float(high.iloc[0]),
                HIGHEST_R_HAT,
                f"R-hat is above {HIGHEST_R_HAT} for {len(high)} of {len(table)} parameters, so "
                f"the chains disagree: {_with_values(high, '.3f')}.",
                disagreement_remedy(fit, worst),
            )
    for kind, part in (("ess_bulk", "centre"), ("ess_tail", "tails")):
        low = table[kind][table[kind] < FEWEST_EFFECTIVE_DRAWS].sort_values()
        if len(low):
            yield Problem(
                kind,
                str(low.index[0]),
                float(low.iloc[0]),
                FEWEST_EFFECTIVE_DRAWS,
                f"Fewer than {FEWEST_EFFECTIVE_DRAWS} effective draws for the {part} of {len(low)} "
                f"of {len(table)} parameters: {_with_values(low, ',.0f')}.",
                few_draws_remedy(fit, str(low.index[0]), float(low.iloc[0])),
            )


def effect_problems(fit: Fit) -> Iterator[Problem]:
    """Yield the groupings whose random effects do not move or differ between chains."""
    for name, grouping in effect_names(fit).items():
        if name not in fit.posterior or fit.posterior.sizes["chain"] == 1:
            continue
        draws = fit.posterior[name].transpose("chain", "draw", ...).values
        r_hat = rank_r_hat(draws.reshape(*draws.shape[:2], -1))
        stuck, high = int(np.isnan(r_hat).sum()), int((r_hat > HIGHEST_R_HAT).sum())
        if stuck:
            yield Problem(
                "not moving",
                f"u_{grouping}",
                np.nan,
                np.nan,
                f"{stuck:,} of {len(r_hat):,} random effects of {grouping} are constant or not "
                "finite, or have fewer than four draws.",
                "Check the model and its priors: the sampler could not move these effects.",
            )
        worst = float(np.nanmax(r_hat)) if high else 1.0
        if high > MOST_EFFECTS * len(r_hat) or worst > HIGHEST_EFFECT_R_HAT:
            yield Problem(
                "r_hat",
                f"u_{grouping}",
                worst,
                HIGHEST_R_HAT,
                f"R-hat is above {HIGHEST_R_HAT} for {high:,} of {len(r_hat):,} random effects of "
                f"{grouping} (largest {worst:.3f}).",
                disagreement_remedy(fit, f"u_{grouping}"),
            )


def sampler_problems(fit: Fit, draws: LabelledDraws) -> Iterator[Problem]:
    """Yield what the sampler says of itself, as far as it says anything.

    Parameters
    ----------
    fit : Fit
    draws : LabelledDraws
        Draws of the parameters, to name the one that is hard to sample.
    """
    stats = fit.sample_stats
    if "diverging" in stats:
        diverging = stats["diverging"].transpose("chain", "draw").values.astype(bool)
        if diverging.any():
            where, side = _gathered(draws, diverging)
            place = f" They gather at {side} values of {where}." if where else ""
            yield Problem(
                "divergences",
                where,
                float(diverging.sum()),
                0,
                f"{diverging.sum():,} of {diverging.size:,} draws "
                f"({_percent(diverging.mean())}) diverged: parts of the posterior may be missed."
                + place,
                divergence_remedy(fit, where, side),
            )
    if "reached_max_treedepth" in stats:
        saturated = stats["reached_max_treedepth"].values.astype(bool)
        if saturated.mean() > MOST_SATURATED:
            yield Problem(
                "tree depth",
                "",
                float(saturated.mean()),
                MOST_SATURATED,
                f"{saturated.sum():,} of {saturated.size:,} draws ({_percent(saturated.mean())}) "
                "reached the largest tree depth.",
                "The estimates hold, but each draw is slow. Give predictors similar scales, or "
                "the SDs tighter priors.",
            )
    if "energy" in stats:
        yield from _energy_problems(fit, draws)
    if "acceptance_rate" in stats and not drawn_by_nuts(fit):
        accepted = stats["acceptance_rate"].transpose("chain", "draw").values.mean(axis=1)
        worst = int(np.argmin(accepted))
        if accepted[worst] < LOWEST_ACCEPTANCE:
            yield Problem(
                "acceptance",
                f"chain {worst}",
                float(accepted[worst]),
                LOWEST_ACCEPTANCE,
                f"Chain {worst} accepted {_percent(accepted[worst])} of the proposed draws, so it "
                "stays at one draw for long.",
                "Fit with engine='pymc'.",
            )


def _energy_problems(fit: Fit, draws: LabelledDraws) -> Iterator[Problem]:
    energy = fit.sample_stats["energy"].transpose("chain", "draw").values
    bfmi = energy_bfmi(energy)
    low = np.flatnonzero(bfmi < LOWEST_BFMI)
    if not len(low):
        return
    worst = int(np.nanargmin(bfmi))
    hard = ""
    if len(draws.labels):
        related = np.nan_to_num(np.abs(rank_correlations(draws.values, energy)))
        if related.max() > CLEAR_CORRELATION:
            hard = draws.labels[int(related.argmax())]
    place = f" The energy goes with {hard}, so its tails are hard to reach." if hard else ""
    yield Problem(
        "bfmi",
        f"chain {worst}",
        float(bfmi[worst]),
        LOWEST_BFMI,
        f"BFMI is below {LOWEST_BFMI} in {len(low)} of {len(bfmi)} chains "
        f"(lowest {bfmi[worst]:.2f})." + place,
        "Fit with more tune. If it stays below, the tails of some SD are hard to reach: "
        f"{sd_remedy(fit, hard)}.",
    )


def _gathered(draws: LabelledDraws, diverging: np.ndarray) -> tuple[str, str]:
    """Return the parameter at whose small or large values draws diverged, empty where none is."""
    if diverging.sum() < _FEWEST_DIVERGENT or diverging.all() or not draws.labels:
        return "", ""
    shifts = np.nan_to_num(rank_shifts(draws.values, diverging))
    # An SD near 0 makes the funnel: where one is shifted, what goes with it is shifted too.
    spreads = np.array([label.startswith("sd_") for label in draws.labels])
    clear = np.abs(shifts) > CLEAR_SHIFT
    candidates = clear & spreads if (clear & spreads).any() else clear
    if not candidates.any():
        return "", ""
    worst = int(np.argmax(np.where(candidates, np.abs(shifts), 0)))
    return draws.labels[worst], "small" if shifts[worst] < 0 else "large"


def _named(labels: pd.Index, most: int = 5) -> str:
    return ", ".join(map(str, labels[:most])) + (", ..." if len(labels) > most else "")


def _with_values(values: pd.Series, form: str, most: int = 5) -> str:
    shown = ", ".join(f"{label} {value:{form}}" for label, value in values.head(most).items())
    return shown + (", ..." if len(values) > most else "")


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
