"""The commands that show what is there: describe, templates, new, report."""

from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bayesml.commands.inputs import announce, open_table, write_text
from bayesml.errors import SpecError, did_you_mean, quoted

if TYPE_CHECKING:
    import pandas as pd


def run_describe(arguments: Namespace) -> int:
    """Print the structure of a table."""
    from bayesml.tables import describe

    table = open_table(arguments.table, arguments.na)
    absent = _as_in_table(arguments.absent, table, arguments.members or ())
    print(describe(table, arguments.groups, arguments.members, absent=absent))
    return 0


def _as_in_table(
    label: str | None, table: "pd.DataFrame", columns: Sequence[str]
) -> str | float | None:
    """Return a label from the command line as the columns hold it: a number or a text."""
    kinds = [table[name].dtype.kind for name in columns if name in table]
    if label is None or not set(kinds) & set("iuf"):
        return label
    try:
        return float(label)
    except ValueError:
        return label


def run_templates(arguments: Namespace) -> int:
    """List the templates with a line on each, or print one."""
    from bayesml.codegen.starters import templates_folder

    folder = templates_folder()
    files = {
        path.name: path
        for path in sorted(folder.iterdir())
        if path.suffix in {".toml", ".py"} and not path.name.startswith("_")
    }
    if arguments.name is None:
        widest = max(map(len, files), default=0)
        for name, path in files.items():
            print(f"{name:<{widest}}  {_first_words(path.read_text(encoding='utf-8'))}")
        return 0
    endings = ("", ".toml", ".py")
    found = next((arguments.name + end for end in endings if arguments.name + end in files), None)
    if found is None:
        raise SpecError(
            f"There is no template {quoted(arguments.name)}. "
            f"{did_you_mean(arguments.name, list(files))} List them with: bayesml templates"
        )
    write_text(files[found].read_text(encoding="utf-8"), None)
    return 0


def _first_words(text: str) -> str:
    """Return what a template says of itself first: its first comment, or its docstring's start."""
    if text.startswith("#"):
        return text.splitlines()[0].strip("# ")
    title = text.strip().removeprefix('"""').partition("\n\n")[0].partition('"""')[0]
    return " ".join(title.split())


def run_new(arguments: Namespace) -> int:
    """Print a model file with comments."""
    from bayesml.codegen.starter_choice import any_starter_toml

    write_text(any_starter_toml(arguments.structure, arguments.family), None)
    return 0


def run_report(arguments: Namespace) -> int:
    """Write a fit as one HTML page."""
    from bayesml.records.fits import load
    from bayesml.reporting.documents import report

    fit = load(arguments.fit)
    if not fit.complete:
        announce(
            f"The fit is incomplete: {fit.draws_made} draws of "
            f"{fit.chains_asked * fit.draws_asked}. The report says so on top."
        )
    print(f"Written: {report(fit, arguments.output, arguments.prob)}")
    return 0
