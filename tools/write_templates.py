"""Write model_templates/: a commented model file per structure, a script per structure and family.

Run it with `make templates`; a test compares the files with what this writes.
"""

import textwrap
from pathlib import Path

from bayesml.codegen.examples import example_source
from bayesml.codegen.further_starters import FURTHER
from bayesml.codegen.rendering import render
from bayesml.codegen.starter_choice import VARIANTS, any_starter_toml, starter_families
from bayesml.codegen.starters import starter_structures
from bayesml.design.sketching import WITHOUT_TABLE, resolve_without_table
from bayesml.specs.families import FAMILIES
from bayesml.specs.model_files import spec_from_toml

FOLDER = Path(__file__).parent.parent / "model_templates"

README = """\
# Model templates

Two kinds of starting points, one for each structure of the data:

| structure | data |
|---|---|
{rows}

**Model files** (`.toml`) say what the model is. Copy one, put in the names of your columns, and let
bayesml do the rest; `bayesml new STRUCTURE --family FAMILY` prints the same for each family:

```
bayesml new two_level --family binomial > model.toml
bayesml check model.toml table.csv
bayesml fit model.toml table.csv -o fit.nc
```

**Scripts** (`STRUCTURE_FAMILY.py`) are the PyMC code of the same models, for use without bayesml.
They need PyMC only:

```
python two_level_gaussian.py
```

`build(data, coords)` is the model. `example()` simulates data that fit it, and shows how each
array is made: replace it by your own table. `bayesml code model.toml table.csv --arrays arrays.npz`
writes the arrays of a table, and `python two_level_gaussian.py arrays.npz` reads them, provided
that the model is the script's.

{families}
"""


def template_files() -> dict[str, str]:
    """Return the text of every file of model_templates/ by name."""
    files: dict[str, str] = {}
    rows: list[str] = []
    for name in (*starter_structures(), *FURTHER):
        text = any_starter_toml(name)
        files[f"{name}.toml"] = text
        rows.append(f"| `{name}` | {_title(text)} |")
        for family in starter_families(name):
            files[f"{name}_{family}.py"] = _script(any_starter_toml(name, family))
    for name, (text_of, script) in VARIANTS.items():
        text = text_of()
        files[f"{name}.toml"] = text
        files[f"{script}.py"] = _script(text)
        rows.append(f"| `{name}` | {_title(text)} |")
    words = (
        f"The families are {', '.join(FAMILIES)}; not every structure takes each. "
        "All files are written by `make templates`."
    )
    families = "\n".join(textwrap.wrap(words, 100, break_on_hyphens=False))
    files["README.md"] = README.format(rows="\n".join(rows), families=families)
    return files


def _title(text: str) -> str:
    return text.splitlines()[0].removeprefix("# ")


def _script(text: str) -> str:
    """Return the script of a model file."""
    resolved = resolve_without_table(spec_from_toml(text))
    return render(resolved, example=example_source(resolved), note=WITHOUT_TABLE)


def main() -> None:
    """Write the files, and delete those that no longer belong there."""
    files = template_files()
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.iterdir():
        if path.suffix in {".toml", ".py", ".md"} and path.name not in files:
            path.unlink()
    for name, text in files.items():
        (FOLDER / name).write_text(text, encoding="utf-8", newline="\n")
    print(f"{len(files)} files are in model_templates/.")


if __name__ == "__main__":
    main()
