"""From a resolved specification to PyMC source text: the model itself.

Each concern has one template. What the user named enters the text only as identifiers and, with
everything unusual escaped, in comments; labels are data.
"""

import textwrap
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from bayesml.specs.prior_arrays import PriorStatement, prior_statements
from bayesml.specs.resolved import ResolvedGrouping, ResolvedSpec

LINE = 100


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("bayesml.codegen", "templates"),
        undefined=StrictUndefined,
        keep_trailing_newline=False,
        autoescape=False,  # noqa: S701  (the result is Python, not HTML)
    )
    environment.filters["number"] = lambda value: f"{value:g}"
    return environment


def plain(text: str) -> str:
    """Return a user's text as it may stand in a comment or docstring: one line, nothing special."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown.replace("\\", "/").replace('"', "'")


def render(resolved: ResolvedSpec, *, example: str = "", note: str = "") -> str:
    """Return the PyMC source of a model.

    Parameters
    ----------
    resolved : ResolvedSpec
    example : str
        Source of a function `example()` that is added at the end.
    note : str
        A sentence that is added to the docstring.

    Returns
    -------
    str
        A Python module with `build(data, coords)`. A pure function of the resolved
        specification: sizes come from `coords`, numbers from `data`.
    """
    templates = _environment()
    fixed = templates.get_template("fixed.jinja").module
    grouping = templates.get_template("grouping.jinja").module
    groupings = [
        grouping.grouping(  # type: ignore[attr-defined]
            item,
            _variable(f"sd_{item.identifier}", item.sd_priors, f"{item.identifier}_term", True),
            _grouping_words(item),
        )
        for item in resolved.groupings
    ]
    body: dict[str, Any] = {
        "fixed": fixed.fixed(  # type: ignore[attr-defined]
            resolved,
            _intercept(resolved),
            _variable("slopes", resolved.slope_priors, "predictor", False),
        ).strip(),
        "groupings": [text.strip() for text in groupings],
        "response": _response(resolved),
        "reported": _reported(resolved, grouping),
        "functions": _functions(resolved),
    }
    code = "\n".join(
        [body["functions"], body["fixed"], *body["groupings"], body["response"], body["reported"]]
    )
    title = plain(f"{resolved.spec.text}, {resolved.spec.family} {resolved.spec.link}.")
    text = templates.get_template("script.py.jinja").render(
        title="\n".join(textwrap.wrap(title, LINE - 3, break_on_hyphens=False)),
        note="\n".join(textwrap.wrap(note, LINE)),
        uses_np=bool(example) or "np." in code,
        example=example,
        uses_pt="pt." in code,
        **body,
    )
    return _tidy(text)


def _tidy(text: str) -> str:
    """Return the text with blank lines as Python style wants them, and long lines folded."""
    tidied: list[str] = []
    blank = 0
    for line in (line.rstrip() for line in text.strip().split("\n")):
        if not line:
            blank += 1
            continue
        if blank and tidied:
            top_level = not line.startswith(" ") and line.startswith(("def ", "if "))
            tidied += [""] * (2 if top_level else 1)
        blank = 0
        tidied += fold(line)
    return "\n".join(tidied) + "\n"


def fold(line: str) -> list[str]:
    """Break a line that is too long at its outermost call: the arguments on lines of their own."""
    start = line.find("(")
    if len(line) <= LINE or start < 0 or line.lstrip().startswith(("#", '"')):
        return [line]
    end = _closing(line, start)
    if end != len(line) - 1:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()))
    inside = line[start + 1 : end]
    if len(indent) + 4 + len(inside) <= LINE:
        return [line[: start + 1], f"{indent}    {inside}", f"{indent})"]
    arguments = [f"{indent}    {argument}," for argument in _split_arguments(inside)]
    return [line[: start + 1], *(part for item in arguments for part in fold(item)), f"{indent})"]


def _closing(line: str, start: int) -> int:
    depth = 0
    for position in range(start, len(line)):
        depth += (line[position] in "([{") - (line[position] in ")]}")
        if depth == 0:
            return position
    return -1


def _split_arguments(text: str) -> list[str]:
    """Split at the commas that are outside brackets and quotation marks."""
    parts, depth, quoted, last = [], 0, False, 0
    for position, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif not quoted and character in "([{":
            depth += 1
        elif not quoted and character in ")]}":
            depth -= 1
        elif not quoted and depth == 0 and character == ",":
            parts.append(text[last:position].strip())
            last = position + 1
    return [part for part in [*parts, text[last:].strip()] if part]


def _intercept(resolved: ResolvedSpec) -> str:
    if resolved.intercept_prior is None:
        return ""
    (statement,) = prior_statements("intercept", [resolved.intercept_prior], scalar=True)
    return statement.code(name="intercept_at_mean")


def _variable(stem: str, priors: tuple[Any, ...], dims: str, stored: bool) -> str:
    """Return the expression of a vector variable, from one statement or from components."""
    if not priors:
        return ""
    statements = prior_statements(stem, priors)
    if len(statements) == 1 and not statements[0].derived:
        return statements[0].code(dims)
    if len(statements) == 1:
        return f'pm.Deterministic("{stem}", {statements[0].code(dims)}, dims="{dims}")'
    inside = "".join(f"\n    {item.code()}," for item in statements)
    if not stored:
        return f"pt.stack([{inside}\n])"
    inside = "".join(f"\n        {item.code()}," for item in statements)
    return (
        f'pm.Deterministic(\n    "{stem}",\n    pt.stack([{inside}\n    ]),\n    dims="{dims}",\n)'
    )


def _grouping_words(grouping: ResolvedGrouping) -> str:
    terms = " and ".join(plain(term) for term in grouping.terms)
    words = [f"{plain(grouping.name)}: {terms} {'vary' if len(grouping.terms) > 1 else 'varies'}"]
    if grouping.multiple:
        words.append("multiple membership")
    if len(grouping.terms) > 1:
        words.append("correlated" if grouping.correlated else "uncorrelated")
        if grouping.correlated and len(grouping.blocks) > 1:
            words[-1] = "correlated within blocks"
    words.append("centred" if grouping.centred else "non-centred")
    return ", ".join(words)


def _response(resolved: ResolvedSpec) -> str:
    lines = ["# Response"]
    if resolved.categories:
        lines.append(_cutpoints(resolved))
    for parameter in resolved.family.parameters:
        if parameter.name == "cutpoints":
            continue
        (statement,) = prior_statements(
            parameter.name, [resolved.parameter_priors[parameter.name]], scalar=True
        )
        code = statement.code()
        if statement.derived:
            code = f'pm.Deterministic("{parameter.name}", {code})'
        lines.append(f"{parameter.name} = {code}")
    template = _environment().from_string(resolved.family.likelihood)
    statement_text = template.render(trials=resolved.trials, link=resolved.spec.link)
    lines.append(statement_text.replace("NAME", f'"{resolved.response}"', 1))
    return "\n".join(lines)


def _cutpoints(resolved: ResolvedSpec) -> str:
    (statement,) = prior_statements(
        "cutpoints", [resolved.parameter_priors["cutpoints"]], scalar=True
    )
    code = statement.code("cutpoint", name="cutpoints_at_mean")
    inside = code.removeprefix("pm.").removesuffix(")")
    distribution, arguments = inside.split("(", 1)
    return "\n".join(
        [
            f"cutpoints = pm.{distribution}(",
            *(f"    {argument}," for argument in _split_arguments(arguments)),
            "    transform=pm.distributions.transforms.ordered,",
            '    initval=data["cutpoints_start"],',
            ")",
        ]
    )


def _functions(resolved: ResolvedSpec) -> str:
    text = resolved.family.functions.get(resolved.spec.link, "")
    return f"\n{text}\n" if text else "\n"


def _reported(resolved: ResolvedSpec, grouping: Any) -> str:
    text = str(grouping.reported(resolved)).strip()
    return f"# Reported on the user's scale\n{text}" if text else ""
