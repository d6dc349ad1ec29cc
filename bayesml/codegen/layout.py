"""The layout of generated source: blank lines, and long lines folded as `ruff format` does it."""

import re
import textwrap
from collections.abc import Iterator
from itertools import pairwise

LINE = 100
_STEP = "    "
# The operators that bind least come first: a line is broken at these.
_OPERATORS = ((" + ", " - "), (" * ", " / ", " @ "))
# What may stand before a statement's expression: a target with = or +=, or return.
_ENTRY = re.compile(r'"\w+": .*,$')
_TARGET = re.compile(r"(\w+ \+?= |return )?")


def tidy(text: str) -> str:
    """Return the text with blank lines as Python style wants them, and long lines folded.

    Parameters
    ----------
    text : str
        Source with one statement a line; what is folded already stays as it is.
    """
    tidied: list[str] = []
    blank = 0
    for line in (line.rstrip() for line in text.strip().split("\n")):
        if not line:
            blank += 1
            continue
        if blank and tidied:
            tidied += [""] * (2 if line.startswith(("def ", "if ")) else 1)
        blank = 0
        tidied += fold(line)
    return "\n".join(tidied) + "\n"


def fold(line: str) -> list[str]:
    """Break a line that is longer than `LINE`: a comment at words, a statement at brackets."""
    if len(line) <= LINE:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    code = line.strip()
    if code.startswith('"'):
        # An entry of a dict; any other text is left as it is.
        return _fold_bracket(code[:-1], indent, ",") if _ENTRY.match(code) else [line]
    if code.startswith("#"):
        return textwrap.wrap(
            code.removeprefix("# "),
            LINE,
            initial_indent=f"{indent}# ",
            subsequent_indent=f"{indent}# ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    match = _TARGET.match(code)
    target = match[0] if match else ""
    expression = code[len(target) :]
    operands = _split_at_operators(expression) if target else []
    if len(operands) == 2 and expression[-1] in ")]":
        # One operator alone: what stands in the last bracket makes room for the rest.
        return _break_in_bracket(code, indent)
    if len(operands) > 1:
        return [f"{indent}{target}(", *_inside(expression, indent + _STEP), f"{indent})"]
    return _fold_bracket(code, indent)


def _fold_bracket(code: str, indent: str, end: str = "") -> list[str]:
    """Put the content of the last bracket that is worth it on lines of its own."""
    if len(indent) + len(code) + len(end) <= LINE:
        return [indent + code + end]
    operands = _split_at_operators(code)
    if len(operands) > 1:
        lines = [line for item in operands for line in _fold_bracket(item, indent)]
        return [*lines[:-1], lines[-1] + end]
    return _break_in_bracket(code, indent, end)


def _break_in_bracket(code: str, indent: str, end: str = "") -> list[str]:
    pairs = list(_outer_brackets(code))
    if not pairs:
        return [indent + code + end]
    first, last = pairs[-1]
    # `(a * b).sum(axis=-1)`, too long up to the last bracket: break in the one before it.
    follows = re.search(r"[)\]](\.\w+)?$", code[:first])
    if follows and len(pairs) > 1 and len(indent) + first >= LINE:
        first, last = pairs[-2]
    # A call's arguments share a line where they fit; the items of a list or tuple never do.
    display = not re.search(r"[\w)\]]$", code[:first])
    return [
        indent + code[: first + 1],
        *_inside(code[first + 1 : last], indent + _STEP, display),
        indent + code[last:] + end,
    ]


def _inside(body: str, indent: str, display: bool = False) -> list[str]:
    """Return the lines of what stands inside a bracket."""
    arguments = split_arguments(body)
    if len(indent) + len(body) <= LINE and not (display and len(arguments) > 1):
        return [indent + body]
    if len(arguments) > 1:
        return [line for item in arguments for line in _fold_bracket(item, indent, ",")]
    return _fold_bracket(body, indent)


def _plain_characters(text: str) -> Iterator[tuple[int, str, int]]:
    """Yield position, character and depth of brackets outside quotation marks."""
    depth, quoted = 0, False
    for position, character in enumerate(text):
        if character == '"' and text[position - 1 : position] != "\\":
            quoted = not quoted
        elif not quoted:
            depth -= character in ")]}"
            yield position, character, depth
            depth += character in "([{"


def _outer_brackets(text: str) -> Iterator[tuple[int, int]]:
    """Yield the positions of the outermost pairs of brackets."""
    start = 0
    for position, character, depth in _plain_characters(text):
        if depth == 0 and character in "([{":
            start = position
        elif depth == 0 and character in ")]}":
            yield start, position


def split_arguments(text: str) -> list[str]:
    """Split at the commas that are outside brackets and quotation marks."""
    commas = [
        position
        for position, character, depth in _plain_characters(text)
        if depth == 0 and character == ","
    ]
    edges = [-1, *commas, len(text)]
    parts = [text[a + 1 : b].strip() for a, b in pairwise(edges)]
    return [part for part in parts if part]


def _split_at_operators(text: str) -> list[str]:
    """Split before the operators outside brackets, at those that bind least."""
    spaces = [
        at for at, character, depth in _plain_characters(text) if (character, depth) == (" ", 0)
    ]
    for operators in _OPERATORS:
        starts = [at + 1 for at in spaces if text[at : at + 3] in operators]
        if starts:
            return [text[a:b].strip() for a, b in pairwise([0, *starts, len(text)])]
    return [text]
