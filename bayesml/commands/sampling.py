"""The commands that sample: fit, demo."""

import shlex
import shutil
import textwrap
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from bayesml.commands.inputs import open_model
from bayesml.errors import FitError, quoted

if TYPE_CHECKING:
    from bayesml.records.fits import Fit
    from bayesml.records.modelling import Model

COMPLETE, INCOMPLETE = 0, 3
DEMO_FORMULA = "normexam ~ standLRT + (standLRT | school)"


def run_fit(arguments: Namespace) -> int:
    """Sample the posterior and write it; finished chains survive whatever happens on the way."""
    output = Path(arguments.output)
    parts = output.with_name(f"{output.name}.parts")
    _refuse_to_overwrite(arguments, output, parts)
    model = open_model(arguments.model, arguments.table, arguments.na)
    print(model, flush=True)
    try:
        fit = model.fit(
            draws=arguments.draws,
            tune=arguments.tune,
            chains=arguments.chains,
            cores=arguments.cores,
            seed=arguments.seed,
            target_accept=arguments.target_accept,
            progress=not arguments.no_progress,
            parts=parts,
            resume=arguments.resume,
        )
    except KeyboardInterrupt:
        print(_how_to_resume(arguments, parts), flush=True)
        raise
    fit.save(output, data=not arguments.no_data)
    print(f"\n{_verdict(fit)}\n\nWritten: {output}")
    if not fit.complete:
        print(_how_to_resume(arguments, parts))
        return INCOMPLETE
    from bayesml.records.fitting import clear

    clear(parts)
    page = output.with_suffix(".html")
    print(f"Next: {shlex.join(['bayesml', 'report', str(output), '-o', str(page)])}")
    return COMPLETE


def _refuse_to_overwrite(arguments: Namespace, output: Path, parts: Path) -> None:
    if arguments.force and arguments.resume:
        raise FitError("--force starts anew and --resume goes on. Give one of them.")
    if arguments.force:
        return
    finished = _finished(parts)
    if arguments.resume:
        if output.exists() and not finished:
            raise FitError(
                f"{quoted(str(output))} is there and no chains of an unfinished run are. "
                "There is nothing to resume; --force fits anew."
            )
        return
    if finished:
        raise FitError(
            f"{quoted(str(parts))} holds {finished} finished chains of an earlier run. Add "
            "--resume to run the missing ones only, or --force to start anew."
        )
    if output.exists():
        raise FitError(
            f"{quoted(str(output))} exists. Add --force to replace it, or give another name "
            "with -o."
        )


def _finished(parts: Path) -> int:
    return len(list(parts.glob("chain-*.npz")))


def _how_to_resume(arguments: Namespace, parts: Path) -> str:
    words = [word for word in arguments.words if word not in {"--force", "--resume"}]
    return (
        f"{_finished(parts)} of {arguments.chains} chains are finished and kept in {parts}. "
        f"Run the others with:\n  {shlex.join(['bayesml', *words, '--resume'])}"
    )


def _verdict(fit: "Fit") -> str:
    from bayesml.posterior.diagnosis import diagnose

    return wrapped(str(diagnose(fit)))


def run_demo(arguments: Namespace) -> int:
    """Go the whole way on the table of exam results: data, model, fit, results, report."""
    from bayesml.datasets import load_dataset
    from bayesml.records.builders import model
    from bayesml.reporting.documents import report
    from bayesml.tables import describe

    folder = Path(arguments.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FitError(
            f"The folder {quoted(str(folder))} cannot be made: {error.strerror}. "
            "Choose another with --folder."
        ) from None
    table = load_dataset("exam")
    print(f"{table.attrs['description']}\n\n{describe(table, ['school'])}\n")
    chosen: Model = model(table, DEMO_FORMULA)
    print(f"{chosen}\n", flush=True)
    fit = chosen.fit(
        draws=arguments.draws,
        tune=max(arguments.draws, 500),
        chains=arguments.chains,
        seed=arguments.seed,
        progress=True,
    )
    print(f"{results_text(fit)}\n")
    saved = fit.save(folder / "exam.nc")
    page = report(fit, folder / "exam.html")
    print(f"Written: {saved}\n         {page}")
    return COMPLETE if fit.complete else INCOMPLETE


def results_text(fit: "Fit", prob: float = 0.89) -> str:
    """Return the verdict, the coefficients, the variances and their partition as text."""
    from bayesml.posterior.components import variance_components
    from bayesml.posterior.partition import vpc
    from bayesml.posterior.summaries import interval_words, summary
    from bayesml.reporting.estimates import component_table, estimate_table
    from bayesml.reporting.sections import scale_words

    shares = vpc(fit, prob=prob)
    interval = interval_words(prob)
    parts = (
        ("Coefficients", "", estimate_table(summary(fit, prob, ["beta"]), prob)),
        ("Variance components", "", component_table(variance_components(fit, prob), prob)),
        ("Variance partition (VPC)", f" {scale_words(shares)}", estimate_table(shares, prob)),
    )
    return "\n\n".join(
        [
            _verdict(fit),
            *(
                f"{wrapped(f'{title}, with the {interval}.{words}')}\n{table.text}"
                for title, words, table in parts
            ),
        ]
    )


def wrapped(text: str) -> str:
    """Return a text with its sentences folded at the width of the terminal; tables stay whole."""
    width = min(shutil.get_terminal_size().columns, 100)
    lines = []
    for line in text.splitlines():
        # Two blanks in a row are the gap between two columns.
        if len(line) <= width or "  " in line.strip():
            lines.append(line)
        else:
            indent = "  " if line.startswith("- ") else ""
            lines += textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False)
    return "\n".join(lines)
