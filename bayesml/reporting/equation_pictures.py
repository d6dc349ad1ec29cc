"""A LaTeX equation as a picture, as far as matplotlib's own typesetting goes."""

import re
from base64 import b64encode
from io import BytesIO

_SIZE = 13
_LINE_HEIGHT = 0.36


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
        buffer = BytesIO()
        try:
            figure.savefig(
                buffer,
                format="svg",
                bbox_inches="tight",
                pad_inches=0.02,
                transparent=True,
                metadata={"Date": None},
            )
        except ValueError:
            return ""
    return f"data:image/svg+xml;base64,{b64encode(buffer.getvalue()).decode('ascii')}"


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
