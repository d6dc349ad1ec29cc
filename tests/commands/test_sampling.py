"""Texts of the commands that sample."""

import os
import shutil

import pytest

from bayesml.commands.sampling import wrapped


@pytest.mark.parametrize(("columns", "width"), [(40, 40), (500, 100)])
def test_sentences_are_folded_and_tables_are_not(monkeypatch, columns: int, width: int) -> None:
    monkeypatch.setattr(
        shutil, "get_terminal_size", lambda *_, **__: os.terminal_size((columns, 24))
    )
    sentence = "- " + "word " * 50 + "end"
    table = "name" + "  1.25" * 50
    lines = wrapped(f"{sentence}\n{table}\n\nshort").splitlines()
    assert lines[-3:] == [table, "", "short"]
    folded = lines[:-3]
    assert len(folded) > 1
    assert all(len(line) <= width for line in folded)
    assert all(line.startswith("  word") for line in folded[1:])
    assert " ".join(" ".join(folded).split()) == sentence
