"""The rules of the house, read from the source: which room may import which, and names.

The checks work on any folder that holds a package `bayesml`, so that they can be shown to catch
what they are for.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import bayesml

ROOT = Path(bayesml.__file__).parent.parent

# An import points only upwards in this list, or stays in its room.
ROOMS = (
    "errors",
    "tables",
    "datasets",
    "specs",
    "design",
    "codegen",
    "quantities",
    "engines",
    "records",
    "posterior",
    "reporting",
    "study",
    "commands",
    "cli",
)

# (module, imported module): why this one import may point downwards.
DOWNWARD_IMPORTS: dict[tuple[str, str], str] = {}

# What `import bayesml`, the reading of tables and `bayesml --help` load must start quickly.
LIGHT_ROOMS = tuple(sorted(set(ROOMS) - {"engines", "posterior", "reporting", "study"}))
SLOW_LIBRARIES = ("pymc", "pytensor", "numba", "arviz", "nutpie", "matplotlib")

EMPTY_NAMES = ("utils", "util", "helpers", "helper", "common", "misc")
MOST_LINES = 400


def modules_in(root: Path) -> dict[str, ast.Module]:
    """Return the syntax tree of every module of the package below `root`, by dotted name."""
    trees = {}
    for path in sorted((root / "bayesml").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        trees[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return trees


def room_of(module: str) -> str:
    """Return the room of a module: the word after `bayesml.`."""
    room = module.split(".")[1]
    return "cli" if room == "__main__" else room


def imported_by(module: str, tree: ast.AST, is_package: bool) -> Iterator[str]:
    """Yield the dotted name of everything that `tree` imports, wherever the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.split(".")
                kept = len(package) - node.level + is_package
                base = ".".join([*package[:kept], *([base] if base else [])])
            # `from bayesml import records` names a module; `from bayesml.records import x` may not
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (str(part.value) for part in node.args if isinstance(part, ast.Constant))


def inner_imports(root: Path) -> Iterator[tuple[str, str]]:
    """Yield (module, imported name) for the imports inside the package, but for its top."""
    trees = modules_in(root)
    for module, tree in trees.items():
        is_package = root.joinpath(*module.split(".")).is_dir()
        if module != "bayesml":
            for target in imported_by(module, tree, is_package):
                if target.split(".")[0] == "bayesml":
                    yield module, target


def home_of(target: str, trees: dict[str, ast.Module]) -> str:
    """Return the module that an imported dotted name lies in (or is)."""
    while target not in trees and "." in target:
        target = target.rpartition(".")[0]
    return target


def downward_imports(root: Path) -> list[str]:
    """Return the imports that point down the list of rooms, or go through the package's top."""
    trees = modules_in(root)
    found = [
        f"{module}: the room {room_of(module)!r} is not in the list of rooms"
        for module in trees
        if module != "bayesml" and room_of(module) not in ROOMS
    ]
    for module, target in inner_imports(root):
        home = home_of(target, trees)
        if home == "bayesml":
            if target != "bayesml.__version__":
                found.append(f"{module} imports {target}: name the module that holds it")
        elif room_of(home) in ROOMS and room_of(module) in ROOMS:
            down = ROOMS.index(room_of(home)) > ROOMS.index(room_of(module))
            if down and (module, home) not in DOWNWARD_IMPORTS:
                found.append(f"{module} imports {home}, which lies below it")
    return found


def public_names(tree: ast.Module) -> set[str]:
    """Return the public functions and classes of a module, each once (overloads repeat theirs)."""
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
    }


def repeated_names(root: Path) -> list[str]:
    """Return the public functions and classes that stand at the top of two modules."""
    counts = Counter(name for tree in modules_in(root).values() for name in public_names(tree))
    return sorted(name for name, count in counts.items() if count > 1)


def shadowing_modules(root: Path, public: list[str]) -> list[str]:
    """Return the modules that bear the name of a public function."""
    return [module for module in modules_in(root) if module.rpartition(".")[2] in public]


def empty_names(root: Path) -> list[str]:
    """Return the modules whose name does not say what they hold."""
    return [
        module for module in modules_in(root) if module.rpartition(".")[2].strip("_") in EMPTY_NAMES
    ]


def long_files(root: Path) -> list[str]:
    """Return the files that have grown into two."""
    return [
        f"{path.relative_to(root)}: {lines} lines"
        for path in sorted((root / "bayesml").rglob("*.py"))
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    ]


def top_statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when a module is imported, at any depth of `if` and `try`."""
    for node in body:
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from top_statements(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            for field in ("body", "orelse", "finalbody"):
                yield from top_statements(getattr(node, field, []))
            for handler in getattr(node, "handlers", []):
                yield from top_statements(handler.body)


def slow_top_imports(root: Path) -> list[str]:
    """Return the imports of slow libraries that run when a light room is imported."""
    found = []
    for module, tree in modules_in(root).items():
        if module != "bayesml" and room_of(module) not in LIGHT_ROOMS:
            continue
        statements = top_statements(tree.body)
        imports = [node for node in statements if isinstance(node, ast.Import | ast.ImportFrom)]
        found += [
            f"{module} imports {target} at its top"
            for node in imports
            for target in imported_by(module, node, is_package=False)
            if target.split(".")[0] in SLOW_LIBRARIES
        ]
    return found


# The house keeps its rules


def test_imports_point_upwards() -> None:
    assert downward_imports(ROOT) == []


def test_every_exception_is_in_use() -> None:
    trees = modules_in(ROOT)
    used = {(module, home_of(target, trees)) for module, target in inner_imports(ROOT)}
    assert set(DOWNWARD_IMPORTS) <= used
    assert all(DOWNWARD_IMPORTS.values())


def test_no_public_name_is_used_twice() -> None:
    assert repeated_names(ROOT) == []


def test_no_module_bears_the_name_of_a_public_function() -> None:
    assert shadowing_modules(ROOT, bayesml.__all__) == []


def test_modules_are_named_after_what_they_hold() -> None:
    assert empty_names(ROOT) == []


def test_files_are_small() -> None:
    assert long_files(ROOT) == []


def test_light_rooms_import_slow_libraries_only_inside_functions() -> None:
    assert slow_top_imports(ROOT) == []


# The checks catch what they are for


def house(root: Path, **sources: str) -> Path:
    """Write a package `bayesml` below `root`: `records__fits="..."` makes records/fits.py."""
    (root / "bayesml").mkdir()
    (root / "bayesml" / "__init__.py").write_text("from bayesml.cli import main\n")
    for name, source in sources.items():
        path = root.joinpath("bayesml", *name.split("__")).with_suffix(".py")
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(source)
    return root


UPWARD = "import math\nfrom bayesml.errors import SpecError\nfrom bayesml import __version__\n"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import bayesml.engines.nuts\n", "bayesml.engines.nuts"),
        ("from bayesml.engines.nuts import draw\n", "bayesml.engines.nuts"),
        ("from bayesml.engines import nuts\n", "bayesml.engines.nuts"),
        ("from bayesml import engines\n", "bayesml.engines"),
        ("from ..engines import nuts\n", "bayesml.engines.nuts"),
        ("from ..engines.nuts import draw\n", "bayesml.engines.nuts"),
        ("def f():\n    from bayesml.engines.nuts import draw\n", "bayesml.engines.nuts"),
        ("class A:\n    def f(self):\n        import bayesml.engines.nuts\n", "engines.nuts"),
        ("import importlib\nimportlib.import_module('bayesml.engines.nuts')\n", "engines.nuts"),
        ("from bayesml import load_dataset\n", "name the module that holds it"),
    ],
)
def test_a_downward_import_is_caught(tmp_path: Path, source: str, said: str) -> None:
    root = house(tmp_path, specs__terms=source, engines__nuts="def draw(): ...\n")
    (found,) = downward_imports(root)
    assert found.startswith("bayesml.specs.terms imports bayesml")
    assert said in found


def test_an_upward_import_passes(tmp_path: Path) -> None:
    inner = UPWARD + "from . import links\nfrom .links import logit\nfrom ..tables import reading\n"
    root = house(
        tmp_path,
        errors="class SpecError(ValueError): ...\n",
        tables__reading=UPWARD,
        specs__links=UPWARD + "def logit(): ...\n",
        specs__terms=inner,
    )
    assert downward_imports(root) == []


def test_a_package_may_import_its_own_modules(tmp_path: Path) -> None:
    root = house(tmp_path, specs__links="def logit(): ...\n")
    (root / "bayesml" / "specs" / "__init__.py").write_text("from .links import logit\n")
    assert downward_imports(root) == []


def test_an_unknown_room_is_caught(tmp_path: Path) -> None:
    (found,) = downward_imports(house(tmp_path, attic="x = 1\n"))
    assert "'attic' is not in the list of rooms" in found


def test_a_repeated_name_is_caught(tmp_path: Path) -> None:
    root = house(
        tmp_path,
        specs__terms="def summary(): ...\ndef _own(): ...\nclass Term:\n    def show(self): ...\n",
        posterior__summaries="class summary: ...\ndef _own(): ...\ndef show(): ...\n",
    )
    assert repeated_names(root) == ["summary"]


def test_a_shadowing_module_is_caught(tmp_path: Path) -> None:
    root = house(tmp_path, reporting__report="x = 1\n", reporting__documents="x = 1\n")
    assert shadowing_modules(root, ["report"]) == ["bayesml.reporting.report"]


def test_an_empty_name_is_caught(tmp_path: Path) -> None:
    root = house(tmp_path, specs___helpers="x = 1\n", design__utils="x = 1\n", tables__sizes="")
    assert empty_names(root) == ["bayesml.design.utils", "bayesml.specs._helpers"]


def test_a_long_file_is_caught(tmp_path: Path) -> None:
    root = house(tmp_path, cli="x = 1\n" * 400, errors="x = 1\n" * 401)
    assert long_files(root) == ["bayesml/errors.py: 401 lines"]


@pytest.mark.parametrize(
    "source",
    [
        "import pymc as pm\n",
        "import numpy\nfrom matplotlib.figure import Figure\n",
        "try:\n    import arviz\nexcept ImportError:\n    arviz = None\n",
        "try:\n    import json\nexcept ImportError:\n    import nutpie\n",
        "if True:\n    import pymc\n",
        "class Plot:\n    import matplotlib\n",
    ],
)
def test_a_slow_import_at_the_top_is_caught(tmp_path: Path, source: str) -> None:
    assert len(slow_top_imports(house(tmp_path, records__fits=source))) == 1


def test_a_slow_import_passes_where_it_does_not_run(tmp_path: Path) -> None:
    inside = "def f():\n    import pymc\n"
    for_types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pymc\n"
    root = house(
        tmp_path, records__fits=inside, specs__terms=for_types, engines__nuts="import pymc\n"
    )
    assert slow_top_imports(root) == []
