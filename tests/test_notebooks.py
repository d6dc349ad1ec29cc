"""The notebooks run from top to bottom, and their committed output is whole."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["01_exam", "02_structures", "03_after_the_fit"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_output_is_whole(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    # Every cell but those that import or only fit shows something.
    assert all(
        cell.outputs for cell in code[1:] if not cell.source.startswith(("null =", "import os"))
    )


@pytest.mark.sampling
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAYESML_DRAWS", "50")
    notebook = nbformat.read(path, as_version=4)
    # A busy machine may take minutes to start a kernel.
    NotebookClient(
        notebook,
        timeout=900,
        startup_timeout=300,
        resources={"metadata": {"path": str(FOLDER)}},
    ).execute()
