"""The symbols of an equation: links, means, coefficients and parameters."""

from bayesml.codegen.effect_notation import latex_text
from bayesml.specs.resolved import ResolvedSpec

LINKS = {
    "identity": "{}",
    "log": r"\log({})",
    "logit": r"\operatorname{{logit}}({})",
    "probit": r"\Phi^{{-1}}({})",
    "cloglog": r"\log(-\log(1 - {}))",
}

_GREEK = ("sigma", "phi", "nu", "alpha", "beta")
# What the mean of an outcome is called; ordered outcomes have none.
MEANS = {
    "real": r"\mu_{i}",
    "positive": r"\mu_{i}",
    "unit": r"\mu_{i}",
    "binary": "p_{i}",
    "count": r"\lambda_{i}",
    "ordered": "",
    "nominal": "",
}


def trials_text(resolved: ResolvedSpec) -> str:
    """Return the trials of a row: their number, or the column's name."""
    trials = resolved.spec.trials
    if isinstance(trials, int):
        return str(trials)
    return "n_{i}" if trials is None else rf"{latex_text(trials)}_{{i}}"


def up_to(last: int) -> str:
    """Return the numbers from 1 to the last, the middle ones left out where they are many."""
    numbers = ", ".join(str(number) for number in range(1, last + 1))
    return numbers if last < 4 else rf"1, \ldots, {last}"


def beta_symbol(number: int | str, predictor: str = "") -> str:
    """Return a coefficient: its number, and the parameter whose predictor it belongs to."""
    upper = rf"^{{{parameter_symbol(predictor)}}}" if predictor else ""
    return rf"\beta{upper}_{{{number}}}"


def parameter_symbol(parameter: str) -> str:
    """Return a parameter of the likelihood as a Greek letter, or as a word."""
    return rf"\{parameter}" if parameter in _GREEK else rf"\mathrm{{{parameter}}}"
