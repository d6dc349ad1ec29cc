"""The top of the package: its names, and what importing it costs."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import bayesml

HEAVY = ("pymc", "pytensor", "numba", "arviz", "nutpie", "matplotlib", "pandas", "scipy")

# Started by people at a prompt: each of these must answer at once.
LIGHT_STARTS = {
    "import bayesml": "import bayesml",
    "bayesml --help": (
        "import bayesml.cli\n"
        "try:\n    bayesml.cli.main(['--help'])\n"
        "except SystemExit as stop:\n    assert not stop.code, stop.code"
    ),
}


def last_line_of(program: str) -> str:
    """Return the last line that a fresh interpreter prints when it runs `program`."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.rstrip().rsplit("\n", maxsplit=1)[-1]


@pytest.mark.parametrize("start", LIGHT_STARTS.values(), ids=LIGHT_STARTS.keys())
def test_start_loads_no_heavy_library(start: str) -> None:
    ask = f"\nimport sys\nprint(*sorted(set({HEAVY!r}) & set(sys.modules)), end='.')"
    assert last_line_of(start + ask) == "."


@pytest.mark.parametrize("start", LIGHT_STARTS.values(), ids=LIGHT_STARTS.keys())
def test_start_takes_under_half_a_second(start: str) -> None:
    # Processor time, with the start of Python in it: other jobs on the machine do not change it.
    ask = "\nimport time\nprint('\\n', time.process_time())"
    assert min(float(last_line_of(start + ask)) for _ in range(3)) < 0.5


@pytest.mark.parametrize("name", [name for name in bayesml.__all__ if name != "__version__"])
def test_public_name_is_there(name: str) -> None:
    value = getattr(bayesml, name)
    assert value.__name__ == name
    assert value.__doc__


def test_public_names_are_listed() -> None:
    assert set(bayesml.__all__) <= set(dir(bayesml))
    assert len(set(bayesml.__all__)) == len(bayesml.__all__)


def test_type_checkers_see_the_same_names_from_the_same_modules() -> None:
    tree = ast.parse(Path(bayesml.__file__).read_text(encoding="utf-8"))
    blocks = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    declared = {
        (alias.asname, node.module)
        for block in blocks
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert declared == set(bayesml._MODULE_OF.items())


def test_unknown_name_is_refused_by_its_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'sumary'") as caught:
        bayesml.sumary  # noqa: B018
    # What Python needs to add "Did you mean: 'summary'?"
    assert caught.value.name == "sumary"
    assert "summary" in dir(caught.value.obj)


def test_loading_every_module_hides_no_public_function() -> None:
    for home in {*bayesml._MODULE_OF.values()}:
        import_module(home)
    assert callable(bayesml.model)
    assert callable(bayesml.report)
    assert callable(bayesml.summary)


def test_every_call_that_a_text_names_exists() -> None:
    """A message that ends in a call that does not exist leaves its reader alone."""
    package = Path(bayesml.__file__).parent
    texts = [*package.rglob("*.py"), package.parent / "README.md", package.parent / "CHANGELOG.md"]
    named = {
        (path.name, name)
        for path in texts
        for name in re.findall(r"\bbml\.(\w+)", path.read_text(encoding="utf-8"))
    }
    assert len(named) > 100
    assert {item for item in named if item[1] not in bayesml.__all__} == set()
