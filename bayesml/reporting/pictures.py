"""Pictures inside the page: figures, and equations as far as matplotlib's typesetting goes."""

import re
from base64 import b64encode
from io import StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIZE = 13
_LINE_HEIGHT = 0.36


def data_uri(figure: "Figure", **options: Any) -> str:
    """Return a figure as an SVG picture inside a data URI, the same for the same figure."""
    buffer = StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True, **options)
    # What stands before the picture names a DTD on a server, which nobody needs.
    text = buffer.getvalue()
    svg = text[text.index("<svg") :].encode("utf-8")
    return f"data:image/svg+xml;base64,{b64encode(svg).decode('ascii')}"


def equation_picture(latex: str) -> str:
    r"""Return an `aligned` environment as a data URI, or an empty text where it cannot be set.

    Parameters
    ----------
    latex : str
        Lines end in ``\\`` and line up at ``&``.

    Returns
    -------
    str
        A data URI of an SVG picture. Empty where the equation uses what matplotlib does not know,
        such as matrices; the source is then all there is.
    """
    lines = _lines(latex)
    if not lines:
        return ""
    import matplotlib
    from matplotlib.figure import Figure

    # Paths, unlike text, look the same in every browser; formulas depend on their glyphs.
    with matplotlib.rc_context(
        {"svg.fonttype": "path", "mathtext.fontset": "stix", "svg.hashsalt": "e"}
    ):
        figure = Figure(figsize=(7, _LINE_HEIGHT * len(lines)))
        for number, (left, right) in enumerate(lines):
            height = 1 - (number + 0.5) / len(lines)
            for text, side in ((left, "right"), (right, "left")):
                if text:
                    figure.text(
                        0.5,
                        height,
                        f"${text}$",
                        ha=side,
                        va="center",
                        fontsize=_SIZE,
                        color="#1f2a37",
                    )
        try:
            return data_uri(figure, bbox_inches="tight", pad_inches=0.02)
        except ValueError:
            return ""


def _lines(latex: str) -> list[tuple[str, str]]:
    """Return the two sides of each line, split at the first `&`."""
    text = re.sub(r"\\(begin|end)\{aligned\}", "", latex).strip()
    lines = []
    for line in re.split(r"\\\\(?:\[[^\]]*\])?", text):
        left, _, right = line.strip().partition("&")
        sides = (left.strip(), right.replace("&", " ").strip())
        if any(sides):
            lines.append(sides)
    return lines
