"""The files of model_templates/ are what the generator writes, and run without bayesml."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from bayesml.codegen.starter_choice import (
    VARIANTS,
    any_starter_toml,
    starter_families,
    starter_names,
)
from bayesml.codegen.starters import starter_spec, templates_folder
from bayesml.specs.families import FAMILIES
from bayesml.specs.model_files import read_spec, spec_from_toml
from bayesml.specs.residual_structures import Residual

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "model_templates"
RUNNER = Path(__file__).parent / "run_scripts.py"
SCRIPTS = [f"{name}_{family}" for name in starter_names() for family in starter_families(name)]
SCRIPTS += [script for _, script in VARIANTS.values()]

# Every structure and every family once; compiling one takes about a minute.
SAMPLED = ["two_level_gaussian", "longitudinal_ordinal"]
SAMPLED_SLOWLY = [
    "three_level_poisson", "cross_classified_binomial", "multiple_membership_gaussian",
]  # fmt: skip
# Several outcomes, couples, twins and round robins: residuals that are correlated, and effects.
SAMPLED_TOGETHER = ["multivariate_gaussian", "multivariate_mixed"]
SAMPLED_IN_PAIRS = [
    "dyadic_gaussian", "dyadic_exchangeable_gaussian", "dyadic_poisson", "twins_gaussian",
    "social_relations_gaussian",
]  # fmt: skip
# The coefficients that the examples simulate with, without intercept.
TRUTH = [0.5, -0.3]
# Of several outcomes, or members, those of the first one first.
TRUTHS: dict[str, list[float | None]] = {
    "multivariate_gaussian": [None, 0.5, None, -0.3],
    "multivariate_mixed": [None, 0.5, None, -0.3],
    "dyadic_gaussian": [None, 0.5, -0.3, 0.1, None, -0.1, 0.5, -0.3],
    "dyadic_poisson": [None, 0.5, -0.3, 0.1, None, -0.1, 0.5, -0.3],
    "dyadic_exchangeable_gaussian": [None, 0.5, -0.3, 0.1],
}


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    """tools/write_templates.py as a module."""
    path = ROOT / "tools" / "write_templates.py"
    spec = importlib.util.spec_from_file_location("write_templates", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_scripts(task: str, names: list[str], folder: Path, flags: str) -> dict[str, dict[str, Any]]:
    """Run scripts in one clean process that cannot import bayesml; return what each printed."""
    done = subprocess.run(
        [sys.executable, "-I", str(RUNNER), task, *(str(FOLDER / f"{name}.py") for name in names)],
        cwd=folder,
        env={**os.environ, "PYTENSOR_FLAGS": flags},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {line.pop("script"): line for line in lines}


def test_the_files_are_what_the_generator_writes(writer: ModuleType) -> None:
    written = writer.template_files()
    assert len(written) == len(starter_names()) + len(SCRIPTS) + 1
    assert len(SCRIPTS) == 5 * len(FAMILIES) + 14 + 3 + 1 + len(FAMILIES) + 17 + 1 + 2
    assert written == writer.template_files()
    found = {path.name for path in FOLDER.iterdir() if path.suffix in {".toml", ".py", ".md"}}
    assert found == set(written)
    different = [
        name for name, text in written.items() if (FOLDER / name).read_bytes() != text.encode()
    ]
    assert different == [], "run `make templates`"


def test_the_folder_is_found() -> None:
    assert templates_folder() == FOLDER


@pytest.mark.parametrize("name", starter_names())
def test_model_files_are_the_starting_points(name: str) -> None:
    assert read_spec(FOLDER / f"{name}.toml") == spec_from_toml(any_starter_toml(name))


def test_the_autoregressive_model_file_says_so() -> None:
    spec = read_spec(FOLDER / "longitudinal_ar1.toml")
    assert spec == replace(
        starter_spec("longitudinal"), residual=Residual("ar1", ("person",), "time")
    )


def test_the_model_file_of_several_outcomes_says_so() -> None:
    spec = read_spec(FOLDER / "multivariate.toml")
    assert (spec.structure, spec.outcomes) == ("multivariate", ("written", "course"))
    assert spec.groupings == starter_spec("two_level").groupings


def test_scripts_pass_the_linter() -> None:
    for command in (
        ["check", "--isolated", "--line-length", "100", "--select", "E,W,F,I,UP,B,SIM,RUF,NPY"],
        ["format", "--isolated", "--line-length", "100", "--check"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, str(FOLDER)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_script_has_a_finite_density_without_bayesml(tmp_path: Path) -> None:
    # Evaluated by Python alone: nothing is compiled.
    found = run_scripts("density", SCRIPTS, tmp_path, "mode=FAST_COMPILE,linker=py,cxx=")
    assert list(found) == SCRIPTS
    for name, values in found.items():
        # Normalised densities of 600 rows: far from 0, and not that of a model without data.
        assert -10_000 < values["start"] < -100, name
        assert -10_000 < values["moved"] < -100, name
        assert values["start"] != values["moved"], name


def test_a_script_that_imports_bayesml_is_caught(tmp_path: Path) -> None:
    script = tmp_path / "cheat.py"
    script.write_text("import bayesml\n")
    done = subprocess.run(
        [sys.executable, "-I", str(RUNNER), "density", str(script)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "imports bayesml" in done.stderr


@pytest.mark.sampling
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "names",
    [
        SAMPLED,
        pytest.param(SAMPLED_TOGETHER, marks=pytest.mark.slow),
        pytest.param(SAMPLED_SLOWLY, marks=pytest.mark.slow),
        pytest.param(SAMPLED_IN_PAIRS, marks=pytest.mark.slow),
    ],
    ids=["two", "outcomes", "three", "pairs"],
)
def test_scripts_sample_without_bayesml(names: list[str], tmp_path: Path) -> None:
    found = run_scripts("sample", names, tmp_path, "cxx=")
    assert list(found) == names
    for name, values in found.items():
        assert values["finite"], name
        # 2 x 100 draws: R-hat of a well-behaved chain stays below 1.2.
        assert values["rhat"] < 1.2, name
        means, sds = np.ravel(values["mean"]), np.ravel(values["sd"])
        intercept = len(means) - (2 if name.startswith("longitudinal") else 1)
        truth = [*([None] if intercept else []), *TRUTH][: len(means)]
        for true, mean, sd in zip(TRUTHS.get(name, truth), means, sds, strict=True):
            # The data are fixed; 4 posterior SDs is far for a truth, near for a wrong model.
            assert true is None or abs(mean - true) < 4 * sd, name
