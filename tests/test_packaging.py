"""What is shipped: versions, pins, and files that hold nothing of the machine they were made on."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import bayesml

ROOT = Path(bayesml.__file__).parent.parent

# Written in halves, so that this file does not hold what it looks for.
FORBIDDEN = {
    "a path of a machine": ["/ho" + "me/", "/ro" + "ot/", "/Us" + "ers/", "/t" + "mp/", f"{ROOT}/"],
    "a registry host": ["python" + "hosted", "py" + "pi.org", "conda" + ".anaconda.org"],
}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pinned_versions(name: str) -> dict[str, str]:
    """Return {package: version} of a file of `name==version` lines."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    shape = re.compile(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)")
    matches = [shape.fullmatch(line) for line in pins]
    assert [line for line, match in zip(pins, matches, strict=True) if not match] == []
    versions = {canonicalize_name(match[1]): match[2] for match in matches if match}
    assert len(versions) == len(pins), f"{name} pins a package twice"
    return versions


def tracked_files() -> list[Path]:
    """Return the files under version control."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: an unpacked source distribution has no tracked files")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_every_requirement_has_a_pin_within_its_range(project: dict[str, Any]) -> None:
    pins = pinned_versions("constraints.txt")
    extras = project["project"]["optional-dependencies"]
    for text in project["project"]["dependencies"] + extras["test"] + extras["dev"]:
        requirement = Requirement(text)
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin is not None, f"constraints.txt has no line for {requirement.name}"
        assert pin in requirement.specifier, f"constraints.txt has {pin}, pyproject.toml {text}"


def test_every_requirement_is_bounded_below_and_above(project: dict[str, Any]) -> None:
    for text in project["project"]["dependencies"]:
        operators = {part.operator for part in Requirement(text).specifier}
        assert operators == {">=", "<"}, text


def test_the_comparison_with_bambi_pins_only_what_it_adds() -> None:
    added = pinned_versions("benchmarks/requirements.txt")
    assert "bambi" in added
    assert set(added).isdisjoint(pinned_versions("constraints.txt"))


def test_the_version_is_one(project: dict[str, Any]) -> None:
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["hatch"]["version"]["path"] == "bayesml/__init__.py"
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (\S+)$", citation, re.MULTILINE) == [bayesml.__version__]
    assert bayesml.__version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_tracked_file_names(what: str) -> None:
    patterns = [pattern.encode() for pattern in FORBIDDEN[what]]
    found = [
        f"{path.relative_to(ROOT)}: {pattern.decode()}"
        for path in tracked_files()
        for pattern in patterns
        if pattern in path.read_bytes()
    ]
    assert found == []


def test_no_lock_file_is_tracked() -> None:
    assert [path for path in tracked_files() if path.name == "uv" + ".lock"] == []


def test_wheel_and_source_distribution_hold_what_the_package_needs(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    (source,) = tmp_path.glob("*.tar.gz")
    stem = f"bayes_multilevel-{bayesml.__version__}"
    assert wheel.name == f"{stem}-py3-none-any.whl"

    templates = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "model_templates").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "bayesml").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert templates
    assert "bayesml/py.typed" in package
    shipped = {
        name for name in zipfile.ZipFile(wheel).namelist() if not name.startswith(f"{stem}.")
    }
    assert shipped == package | {f"bayesml/{name}" for name in templates}
    with tarfile.open(source) as archive:
        held = {name.removeprefix(f"{stem}/") for name in archive.getnames()}
    assert package | templates <= held
    assert {"LICENSE", "README.md", "pyproject.toml", "constraints.txt"} <= held
