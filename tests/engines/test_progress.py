"""Progress is shown where somebody can see it, in words that fit the place."""

import io
import json
import sys
from pathlib import Path

import pytest

from bayesml.engines import progress as progress_module
from bayesml.engines.progress import (
    ChainState,
    NotebookProgress,
    ProgressDisplay,
    TerminalProgress,
    TextProgress,
    progress_display,
)

WARMING = ChainState(500, 2000, divergences=1, tuning=True, step_size=0.3)
DONE = ChainState(2000, 2000, divergences=3)


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress_module, "time", clock)
    return clock


def test_words_say_draws_phase_speed_and_divergences(clock: Clock) -> None:
    display = ProgressDisplay([0, 1])
    display.update(0, ChainState(0, 2000))
    clock.now += 2
    display.update(0, WARMING)
    assert display.words(0) == "chain 0: 500 of 2000 draws, warm-up, 250 draws/s, 1 divergence"
    assert display.words(1) == "chain 1: waiting"
    display.update(0, ChainState(1500, 2000))
    assert "1500 of 2000 draws, sampling" in display.words(0)
    display.finish(0)
    assert display.words(0).startswith("chain 0: 2000 of 2000 draws, complete")


def test_lines_come_every_few_seconds(clock: Clock) -> None:
    stream = io.StringIO()
    with TextProgress([0, 1], stream) as display:
        display.phase("compiling the model")
        display.update(0, ChainState(0, 2000))
        for _ in range(40):
            clock.now += 0.2
            display.update(0, WARMING)
        display.finish(0)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "compiling the model"
    assert lines[-1] == "chain 0: 2000 of 2000 draws, complete, 250 draws/s, 1 divergence"
    assert 3 <= len(lines) <= 4
    assert all(line.startswith("chain 0: ") for line in lines[1:])


def test_a_terminal_gets_one_bar_for_each_chain(clock: Clock) -> None:
    stream = io.StringIO()
    with TerminalProgress([0, 1], stream) as display:
        display.phase("compiling the model")
        display.update(0, WARMING)
        display.update(1, DONE)
        display.finish(1)
    last = stream.getvalue()
    assert "chain 0" in last
    assert "500 of 2000 draws, warm-up" in last
    assert "3 divergences" in last


def test_a_notebook_gets_a_table(clock: Clock) -> None:
    display = NotebookProgress([0, 1])
    display.text = "a < b"
    display.states[0] = WARMING
    html = display.html()
    assert "a &lt; b" in html
    assert '<progress value="500" max="2000"></progress>' in html
    assert html.count("<tr>") == 1


def test_the_display_suits_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert type(progress_display(None)) is ProgressDisplay
    assert type(progress_display(False)) is ProgressDisplay
    assert type(progress_display(True)) is TextProgress
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert type(progress_display(True)) is TerminalProgress
    assert type(progress_display(None)) is ProgressDisplay
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    monkeypatch.delenv("CI", raising=False)
    assert type(progress_display(None)) is TerminalProgress
    monkeypatch.setenv("CI", "true")
    assert type(progress_display(None)) is ProgressDisplay
    monkeypatch.setattr(progress_module, "_in_notebook", lambda: True)
    assert type(progress_display(None)) is NotebookProgress
    assert type(progress_display(False)) is ProgressDisplay


@pytest.mark.sampling
@pytest.mark.filterwarnings("ignore")  # of the notebook's own machinery
def test_it_shows_in_a_notebook_without_widgets(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    root = Path(progress_module.__file__).parents[2]
    source = f"""\
import sys; sys.path.insert(0, {str(root)!r})
from bayesml.engines.progress import ChainState, progress_display
with progress_display(None, [0]) as display:
    display.phase("compiling the model")
    display.update(0, ChainState(10, 20))
    display.finish(0)
print(type(display).__name__)
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=60).execute()
    outputs = notebook.cells[0].outputs
    assert "NotebookProgress" in json.dumps(outputs)
    (table,) = [output for output in outputs if output.output_type == "display_data"]
    assert "20 of 20 draws" in table.data["text/html"]
    assert "compiling" not in table.data["text/html"]
