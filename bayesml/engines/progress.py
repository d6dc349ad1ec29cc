"""Show how far each chain is: bars in a terminal, a table in a notebook, or plain lines of text.

The sampler's own threads only leave their latest numbers; the display is drawn by the thread that
waits for the chains, so an error in it stops the waiting and is seen.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from types import TracebackType
from typing import Any, Protocol, Self, TextIO

_SECONDS_BETWEEN_LINES = 5.0
_SECONDS_BETWEEN_PICTURES = 0.25


class ChainProgress(Protocol):
    """What a sampler says of one chain; nutpie's own records have these attributes."""

    @property
    def finished_draws(self) -> int: ...
    @property
    def total_draws(self) -> int: ...
    @property
    def divergences(self) -> int: ...
    @property
    def tuning(self) -> bool: ...
    @property
    def step_size(self) -> float: ...


@dataclass(frozen=True)
class ChainState:
    """A chain's progress as plain numbers, warm-up draws included."""

    finished_draws: int
    total_draws: int
    divergences: int = 0
    tuning: bool = False
    step_size: float = float("nan")


class ProgressDisplay:
    """Keep what is known of each chain, and draw nothing; the displays below draw it.

    Use it as a context manager: leaving the block, also through an error, ends the display.
    """

    def __init__(self, chains: Sequence[int] = ()) -> None:
        self.states: dict[int, ChainState | None] = dict.fromkeys(chains)
        self.text = ""
        self._began: dict[int, float] = {}
        self._seconds: dict[int, float] = {}
        self._shown = -float("inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def phase(self, text: str) -> None:
        """Say what happens before the chains run, such as compiling."""
        self.text = text
        self._show(at_once=True)

    def update(self, chain: int, progress: ChainProgress) -> None:
        """Note how far a chain is."""
        now = time.monotonic()
        began = self._began.setdefault(chain, now)
        self._seconds[chain] = now - began
        self.text = ""
        self.states[chain] = ChainState(
            int(progress.finished_draws),
            int(progress.total_draws),
            int(progress.divergences),
            bool(progress.tuning),
            float(progress.step_size),
        )
        self._show(at_once=False)

    def finish(self, chain: int) -> None:
        """Note that a chain is complete."""
        state = self.states.get(chain)
        if state is not None:
            self._seconds[chain] = time.monotonic() - self._began[chain]
            self.states[chain] = ChainState(
                state.total_draws, state.total_draws, state.divergences, False, state.step_size
            )
        self._show(at_once=True)

    def close(self) -> None:
        """Draw the last state and end the display."""

    def words(self, chain: int) -> str:
        """Return one line on a chain: draws, phase, speed, divergences.

        Examples
        --------
        >>> display = ProgressDisplay([0])
        >>> display.update(0, ChainState(500, 2000, divergences=3, tuning=True))
        >>> display.words(0)
        'chain 0: 500 of 2000 draws, warm-up, 3 divergences'
        """
        state = self.states.get(chain)
        if state is None:
            return f"chain {chain}: waiting"
        parts = [f"{state.finished_draws} of {state.total_draws} draws", _stage(state)]
        if speed := self.speed(chain):
            parts.append(f"{speed:.0f} draws/s")
        parts.append(_divergences(state))
        return f"chain {chain}: " + ", ".join(parts)

    def speed(self, chain: int) -> float:
        """Return the draws per second of a chain so far, 0 where that is not known yet."""
        state, seconds = self.states.get(chain), self._seconds.get(chain, 0.0)
        return state.finished_draws / seconds if state is not None and seconds > 0.2 else 0.0

    def _show(self, at_once: bool) -> None:
        now = time.monotonic()
        if at_once or now - self._shown >= self._pause():
            self._shown = now
            self._draw()

    def _pause(self) -> float:
        return _SECONDS_BETWEEN_PICTURES

    def _draw(self) -> None:
        """Draw the present state; the silent display does not."""


class TextProgress(ProgressDisplay):
    """Write a line for each chain every few seconds, for logs."""

    def __init__(self, chains: Sequence[int] = (), stream: TextIO | None = None) -> None:
        super().__init__(chains)
        self._stream = sys.stderr if stream is None else stream
        self._written: dict[int, str] = {}

    def _pause(self) -> float:
        return _SECONDS_BETWEEN_LINES

    def _draw(self) -> None:
        if self.text:
            print(self.text, file=self._stream, flush=True)
        for chain, state in self.states.items():
            line = self.words(chain)
            if state is not None and self._written.get(chain) != line:
                self._written[chain] = line
                print(line, file=self._stream, flush=True)


class TerminalProgress(ProgressDisplay):
    """Draw one bar for each chain in a terminal, with a spinner while the model compiles."""

    def __init__(self, chains: Sequence[int] = (), stream: TextIO | None = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        super().__init__(chains)
        self._bars = Progress(
            SpinnerColumn(finished_text="+"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[detail]}", markup=False),
            console=Console(stderr=stream is None, file=stream),
        )
        self._tasks: dict[int, Any] = {}
        self._phase: Any = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def close(self) -> None:
        """Draw the last state and give the terminal back."""
        self._draw()
        self._bars.stop()

    def _draw(self) -> None:
        if self.text and self._phase is None:
            self._phase = self._bars.add_task(self.text, total=None, detail="")
        elif self.text:
            self._bars.update(self._phase, description=self.text)
        elif self._phase is not None:
            self._bars.remove_task(self._phase)
            self._phase = None
        for chain, state in self.states.items():
            if state is None:
                continue
            if chain not in self._tasks:
                self._tasks[chain] = self._bars.add_task(f"chain {chain}", total=None, detail="")
            self._bars.update(
                self._tasks[chain],
                total=state.total_draws,
                completed=state.finished_draws,
                detail=self.words(chain).partition(": ")[2],
            )


class NotebookProgress(ProgressDisplay):
    """Draw one table in a notebook's output and replace it in place; needs no widgets."""

    def __init__(self, chains: Sequence[int] = ()) -> None:
        super().__init__(chains)
        self._handle: Any = None

    def close(self) -> None:
        """Draw the last state."""
        self._draw()

    def _draw(self) -> None:
        from IPython.display import HTML, display

        picture = HTML(self.html())
        if self._handle is None:
            self._handle = display(picture, display_id=True)
        else:
            self._handle.update(picture)

    def html(self) -> str:
        """Return the table as HTML."""
        rows = [f"<div>{escape(self.text)}</div>"] if self.text else []
        rows.append("<table>")
        for chain, state in self.states.items():
            if state is None:
                continue
            cells = (
                f"chain {chain}",
                f'<progress value="{state.finished_draws}" max="{state.total_draws}"></progress>',
                f"{state.finished_draws} of {state.total_draws} draws",
                _stage(state),
                f"{speed:.0f} draws/s" if (speed := self.speed(chain)) else "",
                _divergences(state),
            )
            rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
        return "".join([*rows, "</table>"])


def progress_display(progress: bool | None, chains: Sequence[int] = ()) -> ProgressDisplay:
    """Return the display that suits the place where the program runs.

    Parameters
    ----------
    progress : bool or None
        False: show nothing. True: show progress, as lines of text where there is neither a
        terminal nor a notebook. None: show it in terminals and notebooks only.
    chains : sequence of int
        The chains that will run.
    """
    if progress is False:
        return ProgressDisplay(chains)
    if _in_notebook():
        return NotebookProgress(chains)
    if progress is None and ("PYTEST_CURRENT_TEST" in os.environ or os.environ.get("CI")):
        return ProgressDisplay(chains)
    if sys.stderr is not None and sys.stderr.isatty():
        return TerminalProgress(chains)
    return TextProgress(chains) if progress else ProgressDisplay(chains)


def _stage(state: ChainState) -> str:
    if state.finished_draws >= state.total_draws:
        return "complete"
    return "warm-up" if state.tuning else "sampling"


def _divergences(state: ChainState) -> str:
    return "1 divergence" if state.divergences == 1 else f"{state.divergences} divergences"


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    running = shell.get_ipython() if shell is not None else None
    return running is not None and type(running).__name__ == "ZMQInteractiveShell"
