"""Generated source is laid out as `ruff format` lays it out, whatever the length of the names."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.codegen.layout import LINE, fold, split_arguments, tidy

NAMES = ("g", "school_of_the_pupil", "school_of_the_pupil_in_the_district_of_the_town", "g" * 60)
BARS = (
    "(1 | {g})",
    "(x | {g})",
    "(x || {g})",
    "(x + z | {g}) + (0 + w | {g})",
    "(1 | mm({g}, second, weights=cbind(share, rest)))",
    "(x | mm({g}, second, weights=cbind(share, rest)))",
)


def changes(sources: list[str], folder: Path) -> str:
    """Return what ruff would change in the layout of these sources."""
    for number, source in enumerate(sources):
        (folder / f"source_{number}.py").write_text(source, encoding="utf-8")
    command = ["format", "--isolated", "--line-length", str(LINE), "--diff", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


@pytest.mark.parametrize("family", ["gaussian", "binomial", "poisson", "ordinal"])
@pytest.mark.parametrize("bar", BARS)
def test_sources_are_laid_out_as_ruff_does(bar: str, family: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = 60
    sources = []
    for name in NAMES:
        group = np.arange(rows) % 10
        frame = pd.DataFrame(
            {name: group, "second": (group + 1) % 10, **{k: rng.normal(size=rows) for k in "xzw"}}
        ).assign(share=0.25, rest=0.75)
        frame["y"] = rng.normal(size=rows) if family == "gaussian" else np.arange(rows) % 2
        for form in ("centred", "non-centred"):
            for priors in ({}, {f"sd_{name}[x]": "HalfNormal(2)"} if "x" in bar else {}):
                built = bml.model(
                    frame,
                    f"y ~ x + z + {bar.format(g=name)}",
                    family=family,
                    parametrisation=form,
                    priors=priors,
                )
                sources.append(built.source)
    assert len(sources) == 16
    assert changes(sources, tmp_path) == ""


@pytest.mark.parametrize(
    ("line", "folded"),
    [
        ("x = f(1)", ["x = f(1)"]),
        (
            "x = function(" + "a" * 60 + ", " + "b" * 30 + ")",
            ["x = function(", "    " + "a" * 60 + ", " + "b" * 30, ")"],
        ),
        (
            "x = function(" + "a" * 60 + ", " + "b" * 50 + ")",
            ["x = function(", "    " + "a" * 60 + ",", "    " + "b" * 50 + ",", ")"],
        ),
        (
            "x = " + "a" * 60 + " * " + "b" * 50,
            ["x = (", "    " + "a" * 60, "    * " + "b" * 50, ")"],
        ),
        (
            "x = " + "a" * 60 + " - " + "b" * 20 + " * " + "c" * 50,
            ["x = (", "    " + "a" * 60, "    - " + "b" * 20 + " * " + "c" * 50, ")"],
        ),
        (
            "x = (" + "a" * 60 + " * " + "b" * 50 + ").sum(axis=-1)",
            ["x = (", "    " + "a" * 60, "    * " + "b" * 50, ").sum(axis=-1)"],
        ),
        (
            "x = f(dims=(" + '"a' + "a" * 50 + '", "b' + "b" * 50 + '"))',
            ["x = f(", "    dims=(", '        "a' + "a" * 50 + '",', '        "b' + "b" * 50 + '",',
             "    )", ")"],
        ),
    ],
)  # fmt: skip
def test_long_lines(line: str, folded: list[str], tmp_path: Path) -> None:
    assert fold(line) == folded
    assert changes(["\n".join(folded) + "\n"], tmp_path) == ""


def test_comments_break_at_words() -> None:
    result = fold("    # " + "word " * 40)
    assert all(item.startswith("    # word") and len(item) <= LINE for item in result)
    assert sum(item.count("word") for item in result) == 40


def test_commas_inside_brackets_and_quotes_part_nothing() -> None:
    assert split_arguments('"a, b", (c, d), [e, f], g') == ['"a, b"', "(c, d)", "[e, f]", "g"]
    assert split_arguments(r'"a\", b", c') == [r'"a\", b"', "c"]


def test_blank_lines() -> None:
    text = "import a\n\n\n\n\nx = 1\n\n\n\ndef f():\n    return 1   \n\n"
    assert tidy(text) == "import a\n\nx = 1\n\n\ndef f():\n    return 1\n"
