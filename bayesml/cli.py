"""The command `bayesml`: its arguments, and what its messages and exit codes are."""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TextIO

from bayesml import __version__
from bayesml.errors import BayesmlError, BayesmlWarning, did_you_mean, quoted

DONE, WRONG, PARTLY, INTERRUPTED = 0, 2, 3, 130

STARTING_POINTS = (
    *("two_level", "three_level", "cross_classified", "multiple_membership", "longitudinal"),
    *("multivariate", "dyadic", "dyadic_exchangeable", "twins", "social_relations"),
    *("location_scale", "longitudinal_ar1", "multivariate_mixed"),
)

_TABLE = "a .csv, .tsv, .txt, .parquet, .dta or .sav file, or a shipped table such as dataset:exam"
_DESCRIPTION = """\
Bayesian multilevel models: from a table, over readable PyMC code, to a report.

A model is a small TOML file. The usual order of work:
  bayesml describe pupils.csv                        what the data are
  bayesml new two_level > model.toml                 a model file to edit
  bayesml check model.toml pupils.csv                what would be fitted, in an instant
  bayesml fit model.toml pupils.csv -o fit.nc        sample the posterior
  bayesml report fit.nc -o report.html               a page to read and to share
"""
_EPILOG = """\
"bayesml COMMAND --help" explains a command, with an example.
Exit codes: 0 done, 2 something has to be corrected, 3 a fit is incomplete, 130 stopped by Ctrl-C.
"""


@dataclass(frozen=True)
class Command:
    """One command: where it is done, and how it is explained.

    Parameters
    ----------
    home : str
        ``module:function`` below `bayesml.commands`.
    summary : str
        One line.
    explanation : str
        What it does, in a few sentences.
    example : str
        A line that works.
    arguments : callable
        Adds the command's arguments to its parser.
    """

    home: str
    summary: str
    explanation: str
    example: str
    arguments: Callable[[argparse.ArgumentParser], None]


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--draws", type=int, default=1000, help="draws per chain (default 1000)")
    parser.add_argument("--chains", type=int, default=4, help="number of chains (default 4)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the draws (default 1)")
    parser.add_argument(
        "--folder", default="demo-output", help="where the results go (default demo-output)"
    )


def _describe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", metavar="TABLE", help=_TABLE)
    parser.add_argument(
        "--groups", nargs="+", metavar="COLUMN", help="grouping columns; without it, proposals"
    )
    parser.add_argument(
        "--members", nargs="+", metavar="COLUMN", help="the columns of one multiple membership"
    )
    parser.add_argument(
        "--absent", metavar="LABEL", help="label in the member columns that means: no unit"
    )
    _missing_codes(parser)


def _missing_codes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--na", nargs="+", default=(), metavar="CODE", help="further missing codes, such as -9"
    )


def _templates(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="print this template")


def _new(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("structure", metavar="STRUCTURE", help=", ".join(STARTING_POINTS))
    parser.add_argument(
        "--family", default="gaussian", help="family of the outcome (default gaussian)"
    )


def _model_and_table(parser: argparse.ArgumentParser, optional: bool = False) -> None:
    parser.add_argument("model", metavar="MODEL.toml", help="the model file; see: bayesml new")
    parser.add_argument("table", metavar="TABLE", nargs="?" if optional else None, help=_TABLE)
    _missing_codes(parser)


def _code(parser: argparse.ArgumentParser) -> None:
    _model_and_table(parser, optional=True)
    parser.add_argument(
        "--arrays", metavar="FILE.npz", help="write the arrays that the code reads (needs a TABLE)"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write the code to this file")


def _fit(parser: argparse.ArgumentParser) -> None:
    _model_and_table(parser)
    parser.add_argument(
        "-o", "--output", metavar="FIT.nc", default="fit.nc", help="results (default fit.nc)"
    )
    parser.add_argument("--draws", type=int, default=1000, help="draws per chain (default 1000)")
    parser.add_argument("--tune", type=int, default=1000, help="warm-up draws (default 1000)")
    parser.add_argument("--chains", type=int, default=4, help="number of chains (default 4)")
    parser.add_argument("--cores", type=int, help="chains at the same time (default: every core)")
    parser.add_argument("--seed", type=int, help="seed of the draws (default: one is drawn)")
    parser.add_argument(
        "--target-accept", type=float, metavar="P", help="0.5 to below 1 (default 0.9 or 0.97)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="keep the finished chains, run the missing ones"
    )
    parser.add_argument("--force", action="store_true", help="replace results that exist")
    parser.add_argument("--no-progress", action="store_true", help="show no progress")
    parser.add_argument("--no-data", action="store_true", help="leave the rows out of the results")


def _report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("fit", metavar="FIT.nc", help="results that bayesml fit wrote")
    parser.add_argument(
        "-o", "--output", metavar="FILE", default="report.html", help="default report.html"
    )
    parser.add_argument(
        "--prob", type=float, default=0.89, metavar="P", help="probability of intervals (0.89)"
    )


COMMANDS = {
    "demo": Command(
        "sampling:run_demo",
        "the whole way on a classic table: describe, fit, results, report",
        "Fit normexam ~ standLRT + (standLRT | school) to exam results of 4,059 pupils in 65\n"
        "London schools, print the results, and write the fit and a report.",
        "bayesml demo --draws 500 --folder first-look",
        _demo,
    ),
    "describe": Command(
        "looking:run_describe",
        "what the data are: units, rows per unit, nesting, crossing",
        "Print the structure of a table, and which kind of model fits it.",
        "bayesml describe dataset:egsingle --groups childid schoolid",
        _describe,
    ),
    "templates": Command(
        "looking:run_templates",
        "list the model templates, or print one",
        "List the templates: model files with comments, and standalone PyMC scripts.",
        "bayesml templates two_level_gaussian.py > my_model.py",
        _templates,
    ),
    "new": Command(
        "looking:run_new",
        "print a model file with comments, to edit",
        f"Print a commented model file. Structures: {', '.join(STARTING_POINTS)}.",
        "bayesml new three_level --family binomial > model.toml",
        _new,
    ),
    "check": Command(
        "checking:run_check",
        "what would be fitted: rows, groupings, priors and what they imply",
        "Check a model file against a table and print what would be fitted. Nothing is compiled\n"
        "and nothing is sampled, so this takes a second.",
        "bayesml check model.toml pupils.csv",
        _model_and_table,
    ),
    "code": Command(
        "checking:run_code",
        "print the model as PyMC code",
        "Print the PyMC code of a model. With a TABLE it is the code that bayesml fit runs;\n"
        "without one, the number of units is unknown and the code is non-centred.",
        "bayesml code model.toml pupils.csv --arrays arrays.npz -o model.py",
        _code,
    ),
    "fit": Command(
        "sampling:run_fit",
        "sample the posterior and write it to a file",
        "Sample the posterior. Each finished chain is kept in FIT.nc.parts/ until FIT.nc is\n"
        "written whole: after Ctrl-C, a crash or a power cut, the same command with --resume\n"
        "runs the missing chains only, and the draws are the same as without the stop.",
        "bayesml fit model.toml pupils.csv -o fit.nc --seed 1",
        _fit,
    ),
    "report": Command(
        "looking:run_report",
        "write a fit as one HTML page",
        "Write a page with the diagnostics, tables, plots, priors and code of a fit. The page\n"
        "needs no other file and no network.",
        "bayesml report fit.nc -o report.html",
        _report,
    ),
}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        "bayesml",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"bayesml {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for name, command in COMMANDS.items():
        own = commands.add_parser(
            name,
            help=command.summary,
            description=command.explanation,
            epilog=f"example:\n  {command.example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.arguments(own)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        The words after `bayesml`; by default those of the process.

    Returns
    -------
    int
        0 done, 2 an error that the user can correct, 3 an incomplete fit, 130 stopped by Ctrl-C.

    Examples
    --------
    >>> main(["describe", "dataset:nothing"])
    2
    """
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        # A label that the terminal cannot show is no reason to stop.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        with _notes_on(sys.stderr):
            code = _run(words)
            sys.stdout.flush()
    except BayesmlError as error:
        sys.stdout.flush()
        print(f"bayesml: {error}", file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        print("bayesml: stopped.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough; what is still in the buffer goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    else:
        return code
    return DONE


def _run(words: list[str]) -> int:
    parser = build_parser()
    if not words:
        parser.print_help()
        return DONE
    if not words[0].startswith("-") and words[0] not in COMMANDS:
        raise BayesmlError(
            f"There is no command {quoted(words[0])}. {did_you_mean(words[0], list(COMMANDS))}"
        )
    arguments = parser.parse_args(words)
    arguments.words = words
    module, function = COMMANDS[arguments.command].home.split(":")
    return getattr(import_module(f"bayesml.commands.{module}"), function)(arguments)


@contextmanager
def _notes_on(stream: TextIO) -> Iterator[None]:
    """Show warnings of bayesml as `note: ...`, each once, without Python's file and line."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", BayesmlWarning)
        usual, said = warnings.showwarning, set[str]()

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if not issubclass(category, BayesmlWarning):
                usual(message, category, filename, lineno, file, line)
            elif str(message) not in said:
                said.add(str(message))
                print(f"note: {message}", file=stream, flush=True)

        warnings.showwarning = show
        yield


if __name__ == "__main__":
    sys.exit(main())
