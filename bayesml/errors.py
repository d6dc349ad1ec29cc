"""The exceptions of bayesml, and the helpers that word their messages.

Every message says what is wrong (with the value), where (column, grouping, key or line), what is
allowed, and one action.
"""

import difflib
from collections.abc import Iterable, Sequence


class BayesmlError(Exception):
    """Base of every exception that bayesml raises on purpose."""


class TableError(BayesmlError, ValueError):
    """A table or file cannot be read, or holds values that the model cannot use."""


class SpecError(BayesmlError, ValueError):
    """A model specification contradicts itself, the family, or the table."""


class FormulaError(SpecError):
    """A formula cannot be parsed, or asks for something that formulas may not do."""


class PriorError(SpecError):
    """A prior has an unknown key, an unknown distribution, or unusable arguments."""


class TomlError(SpecError):
    """A TOML model file has an unknown key, a wrong type, or a missing entry."""


class FitError(BayesmlError, ValueError):
    """A fit cannot be made, read, or asked for what it does not hold."""


class SamplingError(BayesmlError, RuntimeError):
    """Sampling ended without usable draws."""


class BayesmlWarning(UserWarning):
    """A result stands, but the reader must know something about it."""


def quoted(value: object) -> str:
    """Return a value as it is shown inside a message: `'text'` or `3`, cut at 60 characters."""
    text = repr(str(value)) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:56]}...{text[-1]}"


def listed(values: Iterable[object], most: int = 5) -> str:
    """Return at most `most` values in words, with the count where there are more."""
    items = [quoted(value) for value in values]
    shown = ", ".join(items[:most])
    return shown if len(items) <= most else f"{shown}, ... ({len(items)} in all)"


def nearest(name: str, allowed: Sequence[str], most: int = 3) -> list[str]:
    """Return the allowed names that look most like `name`, best first."""
    by_lower = {str(item).lower(): str(item) for item in reversed(allowed)}
    matches = difflib.get_close_matches(str(name).lower(), list(by_lower), n=most, cutoff=0.6)
    return [by_lower[match] for match in matches]


def did_you_mean(name: str, allowed: Sequence[str]) -> str:
    """Return `Did you mean 'x'?` where a name is close, else the list of allowed names."""
    return close_name(name, allowed).rstrip() or f"Allowed: {listed(allowed, most=12)}."


def close_name(name: str, allowed: Sequence[str]) -> str:
    """Return `Did you mean 'x'? ` where a name is close, else nothing: what is allowed follows."""
    return "".join(f"Did you mean {quoted(near)}? " for near in nearest(name, allowed, most=1))
