"""Durations that are known in part only: what a family must say of them, and their likelihood.

Codes are those of R's package survival: 0 right-censored (still going on at y), 1 ended at y, 2
left-censored (had ended before y), 3 ended between y and an upper bound. A row that came under
observation late counts given that it lasted until then.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesml.specs.stable_logarithms import log_complement

RIGHT, ENDED, LEFT, INTERVAL = 0, 1, 2, 3

# What rows say beside y, where they say it: names in `data`, in fits and in likelihoods.
CENSORING, UPPER, ENTRY = "censoring", "upper_bound", "entry_time"

# Rows that were there from the start entered at 0, whose log is not finite.
EARLIEST = 1e-300

_Tail = Callable[[np.ndarray, np.ndarray, Mapping[str, Any]], np.ndarray]


@dataclass(frozen=True)
class Durations:
    """What a family says of censored durations.

    Parameters
    ----------
    log_survival, log_cdf : callable
        ``log_survival(t, eta, parameters)``: log probability of lasting longer than t, and of
        having ended by t, each with its digits in both tails.
    time_at : callable
        ``time_at(log_survival, eta, parameters)``: the time that a duration outlasts with this
        log probability.
    code : mapping of str to str
        PyTensor text of ``log_density``, ``log_survival`` and ``log_cdf``, each of
        ``(t, eta, ...)`` with the family's parameters in order.
    log_hazard : callable or None
        ``log_hazard(parameters)``: what one unit of the linear predictor adds to the log hazard;
        None where hazards are not proportional.
    scale : str
        What the exponential of the linear predictor is, for messages: "mean" or "median".
    """

    log_survival: _Tail
    log_cdf: _Tail
    time_at: _Tail
    code: Mapping[str, str]
    log_hazard: Callable[[Mapping[str, Any]], np.ndarray] | None
    scale: str


def with_censoring(log_density: _Tail, log_survival: _Tail, log_cdf: _Tail) -> Callable[..., Any]:
    """Return the log-likelihood of a family of durations, whatever is known of the rows.

    Returns
    -------
    callable
        ``log_likelihood(link, y, eta, parameters)``, where `parameters` may hold ``censoring``,
        ``upper_bound`` and ``entry_time``.
    """

    def log_likelihood(
        link: str, y: np.ndarray, eta: np.ndarray, parameters: Mapping[str, Any]
    ) -> np.ndarray:
        found = log_density(y, eta, parameters)
        if CENSORING in parameters:
            code = parameters[CENSORING]
            if (code == RIGHT).any():
                found = np.where(code == RIGHT, log_survival(y, eta, parameters), found)
            if (code == LEFT).any():
                found = np.where(code == LEFT, log_cdf(y, eta, parameters), found)
            if (code == INTERVAL).any():
                upper = parameters[UPPER]
                between = _log_between(y, upper, eta, parameters, log_survival, log_cdf)
                found = np.where(code == INTERVAL, between, found)
        if ENTRY in parameters:
            entry = np.maximum(parameters[ENTRY], EARLIEST)
            found = found - log_survival(entry, eta, parameters)
        return found

    return log_likelihood


def _log_between(
    lower: np.ndarray,
    upper: np.ndarray,
    eta: np.ndarray,
    parameters: Mapping[str, Any],
    log_survival: _Tail,
    log_cdf: _Tail,
) -> np.ndarray:
    """Return the log probability of ending between two times, from the tail that has its digits."""
    survives, longer = (log_survival(t, eta, parameters) for t in (lower, upper))
    ended, sooner = (log_cdf(t, eta, parameters) for t in (upper, lower))
    with np.errstate(invalid="ignore", divide="ignore"):
        above = survives + log_complement(np.minimum(longer - survives, 0.0))
        below = ended + log_complement(np.minimum(sooner - ended, 0.0))
    return np.where(survives < -np.log(2), above, below)


_BETWEEN = '''
def log_between(lower, upper, {arguments}):
    """Log probability of ending between two times, from the tail that has its digits."""
    survives, longer = log_survival(lower, {arguments}), log_survival(upper, {arguments})
    ended, sooner = log_cdf(upper, {arguments}), log_cdf(lower, {arguments})
    # Both are computed for every row: the smallest numbers keep gradients finite.
    above = survives + pt.log1mexp(pt.minimum(longer - survives, -1e-300))
    below = ended + pt.log1mexp(pt.minimum(sooner - ended, -1e-300))
    return pt.switch(survives < -np.log(2), above, below)
'''


def duration_functions(
    durations: Durations,
    parameters: tuple[str, ...],
    bounds: tuple[str, ...],
    kinds: tuple[int, ...],
) -> str:
    """Return the PyTensor text of the log-likelihood `log_duration` of censored rows.

    Parameters
    ----------
    durations : Durations
    parameters : tuple of str
        Names of the family's parameters.
    bounds : tuple of str
        What the rows say beside y, in the order of the arguments.
    kinds : tuple of int
        The codes of censoring that occur.

    Returns
    -------
    str
    """
    arguments = ", ".join(["eta", *parameters])
    cases = {
        RIGHT: f"log_survival(t, {arguments})",
        LEFT: f"log_cdf(t, {arguments})",
        INTERVAL: f"log_between(t, {UPPER}, {arguments})",
    }
    used = ["log_density"]
    if ENTRY in bounds or {RIGHT, INTERVAL} & set(kinds):
        used.append("log_survival")
    if {LEFT, INTERVAL} & set(kinds):
        used.append("log_cdf")
    text = "\n".join(durations.code[name] for name in used)
    if INTERVAL in kinds:
        text += "\n" + _BETWEEN.format(arguments=arguments)
    words = {
        RIGHT: "0 still going on at t",
        ENDED: "1 ended at t",
        LEFT: "2 had ended by t",
        INTERVAL: f"3 ended between t and {UPPER}",
    }
    codes = "; ".join(words[kind] for kind in sorted({*kinds, ENDED}))
    # Every line but the last one improves on `found`.
    steps = [f"log_density(t, {arguments})"]
    steps += [
        f"pt.switch(pt.eq({CENSORING}, {kind}), {cases[kind]}, found)"
        for kind in sorted(kinds)
        if kind in cases
    ]
    if ENTRY in bounds:
        steps.append(f"found - log_survival(pt.maximum({ENTRY}, {EARLIEST:g}), {arguments})")
    lines = [*(f"found = {step}" for step in steps[:-1]), f"return {steps[-1]}"]
    if ENTRY in bounds:
        lines.insert(
            -1, "# Given that the row lasted until it came under observation; 0: the start"
        )
    if kinds:
        lines.insert(0, f"# {codes}")
    body = "\n".join(f"    {line}" for line in lines)
    about = "Log-likelihood of durations" + (", of which some entered late" * (ENTRY in bounds))
    return f'''{text}

def log_duration(t, {", ".join([arguments, *bounds])}):
    """{about}."""
{body}
'''
