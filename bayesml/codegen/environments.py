"""The templates of the source, and what a user's text may look like in them."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined


@cache
def rendering_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("bayesml.codegen", "templates"),
        undefined=StrictUndefined,
        keep_trailing_newline=False,
        autoescape=False,  # the result is Python, not HTML
    )
    environment.filters["number"] = lambda value: f"{value:g}"
    return environment


def plain(text: str) -> str:
    """Return a user's text as it may stand in a comment or docstring: one line, nothing special."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown.replace("\\", "/").replace('"', "'")
