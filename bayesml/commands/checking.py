"""The commands that look at a model before it is fitted: check, code."""

import warnings
from argparse import Namespace
from typing import TYPE_CHECKING

from bayesml.commands.inputs import announce, open_model, write_text
from bayesml.errors import BayesmlWarning, SpecError
from bayesml.reporting.tables import count_text, decimals_for, number_text, text_table

if TYPE_CHECKING:
    from bayesml.records.modelling import Model


def run_check(arguments: Namespace) -> int:
    """Print what would be fitted; nothing is compiled."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", BayesmlWarning)
        model = open_model(arguments.model, arguments.table, arguments.na)
    for item in caught:
        # The model's own notes stand in the output below; those of the table do not.
        if str(item.message) not in model.notes:
            announce(str(item.message))
    print(model_overview(model))
    return 0


def model_overview(model: "Model") -> str:
    """Return in words what would be fitted: rows, groupings, priors and what they imply, notes."""
    facts = model.facts
    left_out = facts.rows_in_table - facts.rows
    rows = f"{facts.rows:,} of {facts.rows_in_table:,} rows" if left_out else f"{facts.rows:,} rows"
    outcome = f"outcome {facts.response}, family {facts.family}, link {facts.link}; {rows}"
    parts = [f"{facts.formula}\n{outcome}"]
    if facts.missing:
        counts = ", ".join(f"{name} {number:,}" for name, number in facts.missing.items())
        parts.append(f"Rows left out: {left_out:,}, with values missing in: {counts}")
    if facts.coefficients:
        parts.append(f"Coefficients: {', '.join(facts.coefficients)}")
    if facts.groupings:
        header = ["grouping", "varies", "units", "rows per unit: min", "median", "max"]
        body = [
            [
                item.name,
                ", ".join(item.terms) + (" (correlated)" if item.correlated else ""),
                f"{item.units:,}",
                *(count_text(item.rows_per_unit[place]) for place in (0, 1, 3)),
            ]
            for item in facts.groupings
        ]
        parts.append(text_table(header, body, labels=2))
        parts.append("\n".join(f"{item.name}: {item.reason}" for item in facts.groupings))
    parts.append(f"Priors, and the 89 % interval that they imply\n{priors_text(model)}")
    if model.notes:
        parts.append("\n".join(f"note: {note}" for note in model.notes))
    return "\n\n".join(parts)


def priors_text(model: "Model") -> str:
    """Return the priors with numbers, and what they imply, as aligned text."""
    header = ["parameter", "prior", "origin", "lower", "median", "upper"]
    rows = []
    for row in model.priors.itertuples(index=False):
        lower, median, upper = map(float, row[3:6])
        decimals = decimals_for((upper - lower) / 4, digits=3)
        numbers = [number_text(value, decimals) for value in (lower, median, upper)]
        rows.append([str(cell) for cell in row[:3]] + numbers)
    return text_table(header, rows, labels=3)


def run_code(arguments: Namespace) -> int:
    """Print the model as PyMC code, and write the arrays that it reads."""
    if arguments.table is None:
        if arguments.arrays:
            raise SpecError("--arrays needs a TABLE. Put the table's name after the model file.")
        write_text(_code_without_table(arguments.model), arguments.output)
        return 0
    model = open_model(arguments.model, arguments.table, arguments.na)
    write_text(model.source, arguments.output)
    if arguments.arrays:
        from bayesml.codegen.array_files import save_arrays

        save_arrays(arguments.arrays, model.data, model.coords)
        announce(f"The arrays that the code reads are in {arguments.arrays}.")
    return 0


def _code_without_table(model_file: str) -> str:
    from bayesml.codegen.rendering import render
    from bayesml.design.sketching import resolve_without_table
    from bayesml.specs.model_files import read_spec

    return render(
        resolve_without_table(read_spec(model_file)),
        note="Written without a table: every grouping is non-centred. With the table, "
        "`bayesml code MODEL.toml TABLE` chooses the form that samples best.",
    )
