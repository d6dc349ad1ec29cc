"""Numbers as readers want them: digits by uncertainty, columns in line."""

import math
from collections.abc import Iterable, Sequence

MOST_DECIMALS = 8
# A column of the terminal that is wider says no more.
WIDEST_LABEL = 48


def decimals_for(spread: float, digits: int = 2) -> int:
    """Return how many decimals show `digits` significant digits of a spread.

    Parameters
    ----------
    spread : float
        A standard deviation or the width of an interval; a spread of 0 or NaN gives 2 decimals.
    digits : int
        Significant digits of the spread.

    Examples
    --------
    >>> decimals_for(0.0123), decimals_for(4.5), decimals_for(120.0)
    (3, 1, 0)
    """
    spread = abs(spread)
    if not math.isfinite(spread) or spread == 0:
        return 2
    # Rounding first: 0.0996 with two digits is 0.10, which needs two decimals, not three.
    rounded = float(f"{spread:.{digits - 1}e}")
    return min(max(digits - 1 - math.floor(math.log10(rounded)), 0), MOST_DECIMALS)


def number_text(value: float, decimals: int) -> str:
    """Return a number with these decimals; nothing for NaN, and no minus before a zero.

    Examples
    --------
    >>> number_text(-1.2345, 2), number_text(float("nan"), 2), number_text(-0.001, 2)
    ('-1.23', '', '0.00')
    """
    if math.isnan(value):
        return ""
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    text = f"{value:,.{decimals}f}" if abs(value) < 1e9 else f"{value:.3g}"
    return text.lstrip("-") if float(text.replace(",", "")) == 0 else text


def interval_text(lower: float, upper: float, decimals: int) -> str:
    """Return an interval in brackets.

    Examples
    --------
    >>> interval_text(-0.5, 1.0, 1)
    '[-0.5, 1.0]'
    """
    return f"[{number_text(lower, decimals)}, {number_text(upper, decimals)}]"


def share_text(prob: float) -> str:
    """Return a probability in percent: `89 %`, `99.5 %`.

    Examples
    --------
    >>> share_text(0.89), share_text(0.995)
    ('89 %', '99.5 %')
    """
    return f"{100 * prob:.6g} %"


def count_text(value: float) -> str:
    """Return a count with thousands separated, and a decimal only where there is one.

    Examples
    --------
    >>> count_text(4059), count_text(62.446), count_text(60.0)
    ('4,059', '62.4', '60')
    """
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def shortened(text: str, most: int = WIDEST_LABEL) -> str:
    """Return a text on one line, cut in the middle where it is longer than `most`.

    Examples
    --------
    >>> shortened("a" * 60, 11)
    'aaaaa…aaaaa'
    """
    line = "".join(character if character.isprintable() else " " for character in str(text))
    if len(line) <= most:
        return line
    ending = (most - 1) // 2
    return f"{line[: most - 1 - ending]}…{line[-ending:]}"


def text_table(header: Sequence[str], rows: Iterable[Sequence[str]], labels: int = 1) -> str:
    """Return aligned text: the first `labels` columns to the left, the others at the point.

    Parameters
    ----------
    header : sequence of str
    rows : iterable of sequence of str
        Cells, numbers formatted already.
    labels : int
        How many columns hold words.

    Examples
    --------
    >>> print(text_table(["", "mean"], [["a", "1.25"], ["bb", "10.5"]]))
         mean
    a    1.25
    bb  10.5
    """
    body = [[shortened(cell) for cell in row] for row in rows]
    columns = [
        [row[place] for row in body]
        if place < labels
        else at_the_point([row[place] for row in body])
        for place in range(len(header))
    ]
    lines = []
    widths = [
        max([len(name), *map(len, column)]) for name, column in zip(header, columns, strict=True)
    ]
    for cells in [tuple(header), *zip(*columns, strict=True)]:
        padded = [
            cell.ljust(width) if place < labels else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def at_the_point(cells: Sequence[str]) -> list[str]:
    """Return the cells of a column with blanks at their end, so that decimal points line up.

    Examples
    --------
    >>> at_the_point(["1.25", "10.5", "3"])
    ['1.25', '10.5 ', '3   ']
    """
    tails = [after_the_point(cell) for cell in cells]
    longest = max(tails, default=0)
    return [cell + " " * (longest - tail) for cell, tail in zip(cells, tails, strict=True)]


def after_the_point(cell: str) -> int:
    """Return how many characters of a number stand from its decimal point on; 0 for words."""
    head, point, tail = cell.rpartition(".")
    return len(point + tail) if point and tail.isdigit() and head else 0
