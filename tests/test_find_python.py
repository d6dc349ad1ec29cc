"""The script with which `make` looks for an interpreter, run as on machines unlike this one."""

import os
import subprocess
import sys
from pathlib import Path

import bayesml

SCRIPT = Path(bayesml.__file__).parent.parent / "tools" / "find_python.sh"


def look(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script with `folder` first on the search path."""
    path = os.pathsep.join([str(folder), "/usr/bin", "/bin"])
    return subprocess.run(
        ["sh", str(SCRIPT)],
        env={"PATH": path, "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def program(path: Path, text: str) -> Path:
    """Write a shell script that can be run."""
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def without_ensurepip(folder: Path) -> Path:
    """Return a Python that cannot make environments, as on Debian without python3-venv."""
    modules = folder / "modules"
    modules.mkdir()
    (modules / "ensurepip.py").write_text("raise ImportError\n", encoding="utf-8")
    run = f"PYTHONPATH='{modules}' exec '{sys.executable}' \"$@\""
    return program(folder / "python3.13", run)


def test_an_interpreter_that_only_seems_there_is_passed_over(tmp_path: Path) -> None:
    program(tmp_path / "python3.13", "echo 'python3.13: command not found' >&2; exit 127")
    program(tmp_path / "python3.12", f"exec '{sys.executable}' \"$@\"")
    found = look(tmp_path)
    assert found.stdout == f"{sys.executable}\n"
    assert found.stderr == ""


def test_an_old_interpreter_named_by_hand_is_refused(tmp_path: Path) -> None:
    old = program(tmp_path / "old", "exit 1")
    found = look(tmp_path, PYTHON=str(old))
    assert found.returncode == 1
    assert found.stdout == ""
    assert f"PYTHON='{old}' is not a working Python 3.12 or newer" in found.stderr


def test_an_interpreter_without_ensurepip_is_told_what_to_install(tmp_path: Path) -> None:
    found = look(tmp_path, PYTHON=str(without_ensurepip(tmp_path)))
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert found.returncode == 1
    assert "ensurepip is missing" in found.stderr
    assert f"apt install python{version}-venv" in found.stderr
