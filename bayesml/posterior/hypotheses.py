"""Hypotheses about parameters: an expression of labels, compared with another."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
import pandas as pd

from bayesml.errors import FitError, FormulaError, nearest, quoted
from bayesml.posterior.labelled_draws import effect_names, labelled_draws, shown_names
from bayesml.posterior.summaries import interval_words
from bayesml.quantities.convergence import convergence_of
from bayesml.quantities.intervals import summarise_draws
from bayesml.records.fits import Fit
from bayesml.specs.parsing import formula_error

if TYPE_CHECKING:
    import xarray as xr

_FUNCTIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "abs": np.abs,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
}
_COMPARISONS = (">=", "<=", "==", ">", "<", "=")
_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WORD = re.compile(r"[^\s()+*/^<>=-]+")
_DEEPEST = 50

Rope = float | Sequence[float] | None


@dataclass(frozen=True)
class _Claim:
    """A hypothesis on the draws: left minus right, and how they are compared."""

    text: str
    difference: np.ndarray
    comparison: str


@overload
def hypothesis(
    fit: Fit,
    expressions: str | Sequence[str],
    rope: Rope = ...,
    prob: float = ...,
    *,
    draws: Literal[False] = ...,
) -> pd.DataFrame: ...
@overload
def hypothesis(
    fit: Fit,
    expressions: str | Sequence[str],
    rope: Rope = ...,
    prob: float = ...,
    *,
    draws: Literal[True],
) -> "xr.DataArray": ...
def hypothesis(
    fit: Fit,
    expressions: str | Sequence[str],
    rope: Rope = None,
    prob: float = 0.89,
    *,
    draws: bool = False,
) -> "pd.DataFrame | xr.DataArray":
    """Return the posterior probability of hypotheses about parameters.

    Parameters
    ----------
    fit : Fit
    expressions : str or sequence of str
        Such as ``"beta[sex[M]] - beta[standLRT] > 0"`` or
        ``"sd_school[Intercept]**2 / (sd_school[Intercept]**2 + sigma**2) > 0.1"``: labels as
        `summary` prints them (random effects too: ``u_school[12, Intercept]``), numbers, ``+ - * /
        ^ **``, parentheses, ``abs exp log sqrt``, and one comparison: ``> < >= <=``, or ``=``
        where a `rope` says what counts as equal.
    rope : float or (float, float), optional
        Region of practical equivalence of left minus right: from -rope to rope, or from the first
        to the second number.
    prob : float
        Posterior probability of the equal-tailed interval.
    draws : bool
        Return the draws of left minus right instead of a table.

    Returns
    -------
    DataFrame or DataArray
        One row per hypothesis: `hypothesis`; `mean`, `median`, `sd`, `lower`, `upper` of left minus
        right; `probability`, the share of draws in which it holds (for ``=``, in which the
        difference is inside the region), with its Monte Carlo standard error `mcse_probability`
        (NaN where all draws agree); with a `rope` also `below`, `inside` and `above`, the shares of
        draws on either side of the region and inside it. The DataArray has the dims chain, draw,
        hypothesis.

    Raises
    ------
    FormulaError
        An expression cannot be read; the message marks the place.
    FitError
        An argument cannot be used.

    Notes
    -----
    Region of practical equivalence: Kruschke (2018), doi:10.1177/2515245918771304.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> fit = bml.two_level(exam, "normexam ~ standLRT", group="school").fit()  # doctest: +SKIP
    >>> bml.hypothesis(fit, "beta[standLRT] > 0.5", rope=0.02)  # doctest: +SKIP
    """
    interval = interval_words(prob)
    texts = [expressions] if isinstance(expressions, str) else list(expressions)
    if not texts:
        raise FitError("expressions is empty. Give a hypothesis such as 'beta[x] > 0'.")
    region = _checked_rope(rope)
    claims = [_claim(fit, text) for text in texts]
    for claim in claims:
        if claim.comparison in ("=", "==") and region is None:
            raise FitError(
                f"The hypothesis {quoted(claim.text)} says that two sides are equal, which no draw "
                "is to the last digit. Say what counts as equal: rope=0.1 is from -0.1 to 0.1."
            )
    values = np.stack([claim.difference for claim in claims], axis=-1)
    if draws:
        import xarray as xr

        coords = {
            "chain": fit.posterior["chain"].values,
            "draw": fit.posterior["draw"].values,
            "hypothesis": [claim.text for claim in claims],
        }
        return xr.DataArray(values, coords=coords, dims=list(coords), name="difference")
    table = _table(claims, values, region, prob)
    table.attrs = {"prob": float(prob), "interval": interval}
    if region is not None:
        table.attrs["rope"] = list(region)
    return table


def _checked_rope(rope: Rope) -> tuple[float, float] | None:
    if rope is None:
        return None
    ends: list[object] = [rope] if isinstance(rope, int | float | np.number) else list(rope)
    numbers = [float(end) for end in ends if isinstance(end, int | float | np.number)]
    if len(numbers) == 1 == len(ends) and numbers[0] > 0:
        return -numbers[0], numbers[0]
    if len(numbers) == 2 == len(ends) and numbers[0] < numbers[1]:
        return numbers[0], numbers[1]
    raise FitError(
        f"rope is {quoted(str(rope))}. Give a positive number, such as rope=0.1, or two in order: "
        "rope=(-0.1, 0.2)."
    )


def _table(
    claims: Sequence[_Claim], values: np.ndarray, region: tuple[float, float] | None, prob: float
) -> pd.DataFrame:
    numbers = summarise_draws(values, prob)
    holds = np.stack([_holds(claim, region) for claim in claims], axis=-1).astype(float)
    columns: dict[str, object] = {
        "hypothesis": [claim.text for claim in claims],
        "mean": numbers.mean,
        "median": numbers.median,
        "sd": numbers.sd,
        "lower": numbers.lower,
        "upper": numbers.upper,
        "probability": holds.mean(axis=(0, 1)),
        "mcse_probability": convergence_of(holds).mcse_mean,
    }
    if region is not None:
        below, above = values < region[0], values > region[1]
        columns["below"] = below.mean(axis=(0, 1))
        columns["inside"] = (~below & ~above).mean(axis=(0, 1))
        columns["above"] = above.mean(axis=(0, 1))
    return pd.DataFrame(columns)


def _holds(claim: _Claim, region: tuple[float, float] | None) -> np.ndarray:
    difference = claim.difference
    if claim.comparison in ("=", "=="):
        assert region is not None
        return (difference >= region[0]) & (difference <= region[1])
    return {
        ">": np.greater,
        ">=": np.greater_equal,
        "<": np.less,
        "<=": np.less_equal,
    }[claim.comparison](difference, 0)


# Reading


def _claim(fit: Fit, text: object) -> _Claim:
    if not isinstance(text, str):
        raise FitError(
            f"A hypothesis is text such as 'beta[x] > 0', not {type(text).__name__}. Pass a string."
        )
    reader = _Reader(text, _known(fit, text))
    left = reader.total()
    comparison = reader.comparison()
    right = reader.total()
    reader.end()
    sizes = (fit.posterior.sizes["chain"], fit.posterior.sizes["draw"])
    difference = np.broadcast_to(np.asarray(left - right, dtype=float), sizes)
    if not np.isfinite(difference).all():
        raise FitError(
            f"The hypothesis {quoted(text)} is not a finite number in "
            f"{int((~np.isfinite(difference)).sum())} of {difference.size} draws. Rewrite it so "
            "that it neither divides by 0 nor takes the logarithm or root of a negative number."
        )
    return _Claim(text, difference, comparison)


def _known(fit: Fit, text: str) -> dict[str, np.ndarray]:
    """Return the draws by label; those of random effects where the text names them."""
    shown = shown_names(fit)
    effects = [name for name in effect_names(fit) if shown.get(name, name) in text]
    chosen = [name for name in shown if not name.startswith("u_") or name in effects]
    found = labelled_draws(fit, chosen)
    return {label: found.values[..., number] for number, label in enumerate(found.labels)}


class _Reader:
    """Reads an expression from left to right and computes it on the draws."""

    def __init__(self, text: str, known: Mapping[str, np.ndarray]):
        self.text = text
        self.known = known
        # Labels may hold any character, so the longest that fits is taken.
        self.labels = sorted(known, key=len, reverse=True)
        self.at = 0
        self.depth = 0

    def fail(self, message: str) -> FormulaError:
        return formula_error(self.text, self.at, message)

    def skip(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def take(self, *options: str) -> str:
        self.skip()
        for option in options:
            if self.text.startswith(option, self.at):
                self.at += len(option)
                return option
        return ""

    def comparison(self) -> str:
        found = self.take(*_COMPARISONS)
        if not found:
            raise self.fail(
                "A comparison is missing here. Write one, such as 'beta[x] > 0': >, <, >=, <= or =."
            )
        return found

    def end(self) -> None:
        self.skip()
        if self.at < len(self.text):
            raise self.fail(
                "The hypothesis should end here: it has one comparison. Give several hypotheses "
                "as a list."
            )

    def total(self) -> np.ndarray:
        value = self.product()
        while sign := self.take("+", "-"):
            other = self.product()
            value = value + other if sign == "+" else value - other
        return value

    def product(self) -> np.ndarray:
        value = self.signed()
        while True:
            self.skip()
            if self.text.startswith("**", self.at) or not (sign := self.take("*", "/")):
                return value
            other = self.signed()
            with np.errstate(all="ignore"):
                value = value * other if sign == "*" else value / other

    def signed(self) -> np.ndarray:
        sign = self.take("+", "-")
        if not sign:
            return self.power()
        with self.deeper():
            value = self.signed()
        return -value if sign == "-" else value

    def power(self) -> np.ndarray:
        value = self.atom()
        if self.take("**", "^"):
            with self.deeper():
                exponent = self.signed()
            with np.errstate(all="ignore"):
                value = np.power(value, exponent)
        return value

    def atom(self) -> np.ndarray:
        if self.take("("):
            return self.inside()
        label = self.label()
        if label:
            self.at += len(label)
            return self.known[label]
        number = _NUMBER.match(self.text, self.at)
        if number:
            self.at = number.end()
            return np.asarray(float(number.group()))
        for name, function in _FUNCTIONS.items():
            if re.compile(rf"{name}\s*\(").match(self.text, self.at):
                self.take(name)
                self.take("(")
                with np.errstate(all="ignore"):
                    return function(self.inside())
        raise self.fail(self.expected())

    def label(self) -> str:
        for label in self.labels:
            stop = self.at + len(label)
            following = self.text[stop : stop + 1]
            whole = not (following == "[" or (following + label[-1]).replace("_", "a").isalnum())
            if self.text.startswith(label, self.at) and (whole or not following):
                return label
        return ""

    def inside(self) -> np.ndarray:
        with self.deeper():
            value = self.total()
        if not self.take(")"):
            raise self.fail("Expected ')' here.")
        return value

    def expected(self) -> str:
        word = _WORD.match(self.text, self.at)
        if not word:
            return "Expected a parameter or a number here."
        allowed = list(self.known)
        close = nearest(word.group(), allowed, most=1)
        hint = f"Did you mean {quoted(close[0])}? " if close else ""
        return (
            f"{quoted(word.group())} is not a parameter of this fit. {hint}Labels are those of "
            f"bml.summary(fit), such as {quoted(allowed[0])}; functions: {', '.join(_FUNCTIONS)}."
        )

    def deeper(self) -> "_Depth":
        return _Depth(self)


class _Depth:
    """Counts how deep an expression is nested, since reading it recurses."""

    def __init__(self, reader: _Reader):
        self.reader = reader

    def __enter__(self) -> None:
        self.reader.depth += 1
        if self.reader.depth > _DEEPEST:
            raise self.reader.fail(
                f"More than {_DEEPEST} parentheses or signs stand inside each other. Use fewer."
            )

    def __exit__(self, *_: object) -> None:
        self.reader.depth -= 1
