"""How text, and the effects of a grouping, are written in LaTeX."""

from bayesml.specs.resolved import ResolvedGrouping

_INDICES = "jklmn"
# What may not stand inside \text{}; an ampersand would align, wherever it stands.
_SYMBOLS = {
    "\\": r"\backslash ",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "^": r"\wedge ",
    "~": r"\sim ",
}


def latex_text(label: str) -> str:
    r"""Return any text as LaTeX for mathematics: in `\text{}`, special characters outside of it.

    Examples
    --------
    >>> print(latex_text("mean_score"))
    \text{mean}\_\text{score}
    """
    parts: list[str] = []
    plain = ""
    for character in (c if c.isprintable() else " " for c in label):
        if character in _SYMBOLS:
            parts += [rf"\text{{{plain}}}" if plain else "", _SYMBOLS[character]]
            plain = ""
        else:
            plain += " and " if character == "&" else character
    return "".join([*parts, rf"\text{{{plain}}}" if plain else ""])


class EffectNotation:
    """How the effects of one grouping are written.

    Parameters
    ----------
    grouping : ResolvedGrouping
    number : int
        Its place among the groupings, which decides the letter of its index.
    """

    def __init__(self, grouping: ResolvedGrouping, number: int):
        self.grouping = grouping
        self.name = latex_text(grouping.name)
        self.index = _INDICES[number] if number < len(_INDICES) else f"j_{{{number + 1}}}"
        start = 0 if grouping.terms[0] == "Intercept" else 1
        self.numbers = range(start, start + len(grouping.terms))

    def effect(self, number: int, index: str) -> str:
        """Return one effect: of a term, for a unit."""
        return rf"u^{{{self.name}}}_{{{number},{index}}}"

    @property
    def kind(self) -> str:
        """Of which kind a unit is; empty where all units have the same SDs."""
        return rf",{latex_text(self.grouping.by)}[{self.index}]" if self.grouping.kinds else ""

    @property
    def nu(self) -> str:
        """The degrees of freedom of Student-t effects."""
        return rf"\nu_{{{self.name}}}"

    def sd(self, number: int, kind: str | None = None) -> str:
        """Return the SD of a term, of a unit's kind or of a kind that is named."""
        own = self.kind if kind is None else kind and rf",{latex_text(kind)}"
        if own:
            return rf"\sigma_{{{self.name},{number}{own}}}"
        return rf"\sigma_{{{self.name},{number}}}"

    def effects(self, predictor: str = "") -> list[str]:
        """Return the summands of a linear predictor."""
        index = self.index if self.grouping.multiple else f"{self.index}[i]"
        summands = []
        for feed in self.grouping.feeds:
            for place in range(feed.start, feed.stop) if feed.predictor == predictor else ():
                label = self.grouping.terms[place].removeprefix(f"{predictor}:")
                row = rf"i,{self.index}" if self.grouping.by_member else "i"
                own = "" if label == "Intercept" else rf"\,{latex_text(label)}_{{{row}}}"
                summands.append(self.effect(self.numbers[place], index) + own)
        if not summands:
            return []
        if not self.grouping.multiple:
            return summands
        inside = " + ".join(summands)
        inside = f"({inside})" if len(summands) > 1 else inside
        weight = rf"w^{{{self.name}}}_{{i,{self.index}}}"
        return [rf"\sum_{{{self.index} \in {self.name}[i]}} {weight}\,{inside}"]

    def blocks(self) -> list[tuple[int, ...]]:
        """Return the numbers of the terms of each block of the covariance."""
        found, start = [], 0
        for size in self.grouping.blocks:
            found.append(tuple(self.numbers[start : start + size]))
            start += size
        return found

    def correlations(self, block: int) -> str:
        """Return the correlation matrix of a block, of a unit's kind."""
        several = sum(size > 1 for size in self.grouping.blocks) > 1
        return rf"R_{{{self.name}{f',{block + 1}' if several else ''}{self.kind}}}"

    def distribution(self) -> list[str]:
        """Return the lines of the effects' distribution: blocks are independent of each other."""
        lines = []
        student = self.grouping.student
        factor = rf"\tfrac{{{self.nu} - 2}}{{c_{{{self.index}}}}}\," if student else ""
        if student:
            lines.append(rf"c_{{{self.index}}} &\sim \chi^{{2}}({self.nu})")
        for number, block in enumerate(self.blocks()):
            if len(block) == 1:
                effect, variance = (
                    self.effect(block[0], self.index),
                    rf"{factor}{self.sd(block[0])}^{{2}}",
                )
                lines.append(rf"{effect} &\sim \mathrm{{Normal}}(0,\ {variance})")
                continue
            effects = r",\ ".join(self.effect(item, self.index) for item in block)
            matrix = self.correlations(number)
            scales = matrix.replace("R", "D", 1)
            sds = r",\ ".join(self.sd(item) for item in block)
            covariance = rf"{factor}{scales}\,{matrix}\,{scales}"
            lines += [
                rf"({effects})^{{\top}} &\sim \mathrm{{Normal}}(0,\ {covariance})",
                rf"{scales} &= \mathrm{{diag}}({sds})",
            ]
        return lines
