"""Declared missing codes, and cells that look like a missing code that nobody declared."""

import math
from collections.abc import Iterable, Mapping
from numbers import Real

import pandas as pd

from bayesml.errors import TableError, listed, quoted

# Compared in lower case. `None` is not here: it is an answer in many surveys.
SUSPECT_TEXTS = frozenset({".", "null", "nan", "na", "n/a", "#n/a", "<na>", "missing"})
SUSPECT_NUMBERS = (-9, -99, -999, -9999)

type MissingCode = str | float


def missing_codes(na: object) -> tuple[MissingCode, ...]:
    """Return the declared missing codes as a tuple; one code alone is allowed.

    Raises
    ------
    TableError
        If a code is neither a number nor text.
    """
    items = list(na) if isinstance(na, Iterable) and not isinstance(na, str) else [na]
    codes: list[MissingCode] = []
    for item in items:
        if isinstance(item, str):
            codes.append(item)
        elif isinstance(item, Real) and not isinstance(item, bool):
            codes.append(float(item))
        else:
            raise TableError(
                f"na holds {quoted(item)} ({type(item).__name__}): a missing code is a number or "
                'text. Write, for example, na=[-9, "."].'
            )
    return tuple(code for code in codes if code == code)


def as_text(number: float) -> str:
    """Return a code as it stands in a file: `9`, not `9.0`."""
    return str(int(number)) if float(number).is_integer() else str(number)


def set_missing(
    frame: pd.DataFrame,
    codes: tuple[MissingCode, ...],
    labels: Mapping[str, Mapping[float, str]] | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Set every cell that equals a declared code to missing, and count them by column.

    Parameters
    ----------
    frame : DataFrame
        The table as read; it is not changed.
    codes : tuple of float or str
        Declared codes. A code given as text also matches the number that it spells.
    labels : mapping of column to mapping of code to label, optional
        Value labels of SPSS and Stata; a text code also matches the number with that label.

    Returns
    -------
    tuple of DataFrame and list of str
        The table and its notes. A text column that holds only numbers once its codes are gone
        becomes numeric.
    """
    if not codes:
        return frame, []
    frame = frame.copy()
    texts = {text: _canonical(code) for code in codes for text in (str(code), _canonical(code))}
    numbers = [value for value in map(_number, codes) if value is not None]
    seen: set[str] = set()
    counts: dict[str, int] = {}
    for name in frame.columns:
        column = frame[name]
        if pd.api.types.is_bool_dtype(column):
            continue
        if not pd.api.types.is_numeric_dtype(column):
            spelt = column.astype("str").str.strip()
            hit = spelt.isin(list(texts)) & column.notna()
            if hit.any():
                seen.update(texts[text] for text in spelt[hit].unique())
                column = _without(column, hit)
        if pd.api.types.is_numeric_dtype(column):
            named = {
                code: texts[text]
                for code, text in (labels or {}).get(name, {}).items()
                if text in texts
            }
            hit = column.isin([*numbers, *named])
            for value in map(float, column[hit].unique()):
                seen.add(named.get(value, as_text(value)))
            column = column.mask(hit) if hit.any() else column
        lost = int(column.isna().sum()) - int(frame[name].isna().sum())
        if lost:
            counts[str(name)] = lost
            frame[name] = column
    notes = []
    if counts:
        cells = [f"{quoted(name)} {count}" for name, count in counts.items()]
        shown = ", ".join(cells[:5]) + (f", ... ({len(cells)} columns)" if len(cells) > 5 else "")
        notes.append(f"Cells that held a declared missing code and are missing now: {shown}.")
    unseen = sorted(set(texts.values()) - seen)
    if unseen:
        notes.append(f"Declared missing codes that occur in no column: {listed(unseen)}.")
    return frame, notes


def suspects(frame: pd.DataFrame) -> list[str]:
    """Return one note per column with cells that look like an undeclared missing code."""
    notes = []
    for name in frame.columns:
        column = frame[name]
        if pd.api.types.is_bool_dtype(column) or column.empty:
            continue
        if pd.api.types.is_numeric_dtype(column):
            found = _suspect_numbers(column)
        else:
            counts = column.astype("str")[column.notna()].value_counts()
            found = {
                quoted(text): int(count)
                for text, count in counts.items()
                if str(text).strip().lower() in SUSPECT_TEXTS
            }
        if found:
            cells = ", ".join(f"{code} ({count} cells)" for code, count in found.items())
            notes.append(
                f"Column {quoted(str(name))} holds {cells}, taken as written. "
                f"If that means missing, read the table with na=[{', '.join(found)}]."
            )
    return notes


def _suspect_numbers(column: pd.Series) -> dict[str, int]:
    counts = {code: int((column == code).sum()) for code in SUSPECT_NUMBERS}
    found = {str(code): count for code, count in counts.items() if count}
    if not found:
        return {}
    others = column[column.notna() & ~column.isin(list(SUSPECT_NUMBERS))]
    # -9 among other negative numbers is a value like any other.
    return found if not others.empty and bool((others >= 0).all()) else {}


def _number(code: MissingCode) -> float | None:
    try:
        value = float(code)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _canonical(code: MissingCode) -> str:
    number = _number(code)
    return str(code).strip() if number is None else as_text(number)


def _without(column: pd.Series, hit: pd.Series) -> pd.Series:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.mask(hit).cat.remove_unused_categories()
    cleaned = column.mask(hit)
    try:
        numeric = pd.to_numeric(cleaned)
    except (ValueError, TypeError):
        return cleaned
    # to_numeric takes the text "nan" for a missing value, which nobody declared.
    return numeric if int(numeric.isna().sum()) == int(cleaned.isna().sum()) else cleaned
