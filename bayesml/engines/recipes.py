"""Remember on disk which machine code a model has, so that its graphs need not be derived again.

A recipe is a small JSON file beside the machine code. It names, for the key of a model, the keys of
its two compiled graphs and the data arrays that these take, in order. It holds no code.
"""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pymc as pm
from pytensor.link.numba import cache

from bayesml.engines.c_functions import EntryPoint
from bayesml.engines.compiled_models import ParameterLayout
from bayesml.engines.entry_points import (
    graph_key,
    kept_variables_source,
    load_entry,
    log_density_source,
    make_entry,
)
from bayesml.engines.graphs import (
    kept_variables_function,
    log_density_function,
)


@dataclass(frozen=True)
class ModelEntries:
    """The two C functions of a model, and the data variables that they read, in order."""

    log_density: EntryPoint
    kept_values: EntryPoint
    arrays: dict[str, Any]

    @property
    def from_cache(self) -> bool:
        """Whether both came from disk."""
        return self.log_density.from_cache and self.kept_values.from_cache


@dataclass(frozen=True)
class _Recipe:
    arrays: list[list[Any]]  # name, dtype, ndim
    log_density_key: str
    log_density_arrays: list[int]
    kept_key: str
    kept_arrays: list[int]


def load_from_recipe(
    key: str, layout: ParameterLayout, data: Mapping[str, Any]
) -> ModelEntries | None:
    """Return the machine code of a model that was compiled before, or None."""
    recipe = _read(_path(key))
    if recipe is None or _described({name: data.get(name) for name, *_ in recipe.arrays}) != (
        recipe.arrays
    ):
        return None
    density_source, kept_source = _sources(recipe, layout)
    log_density = load_entry(density_source, recipe.log_density_key)
    kept_values = load_entry(kept_source, recipe.kept_key)
    if log_density is None or kept_values is None:
        return None
    return ModelEntries(
        log_density, kept_values, {str(name): data[name] for name, *_ in recipe.arrays}
    )


def compile_from_graphs(key: str | None, model: pm.Model, layout: ParameterLayout) -> ModelEntries:
    """Derive the graphs of a model, compile them, and keep the recipe if the model has a key."""
    density = log_density_function(model, layout)
    kept = kept_variables_function(model, layout)
    shared = list(dict.fromkeys([*density.get_shared(), *kept.get_shared()]))
    arrays = {variable.name or f"unnamed {n}": variable for n, variable in enumerate(shared)}
    if len(arrays) < len(shared):
        raise ValueError("two data variables share a name")
    place = {variable: n for n, variable in enumerate(shared)}
    recipe = _Recipe(
        arrays=_described(arrays),
        log_density_key=graph_key(density.vm.jit_fn) or "",
        log_density_arrays=[place[variable] for variable in density.get_shared()],
        kept_key=graph_key(kept.vm.jit_fn) or "",
        kept_arrays=[place[variable] for variable in kept.get_shared()],
    )
    density_source, kept_source = _sources(recipe, layout)
    entries = ModelEntries(
        make_entry(density_source, density.vm.jit_fn),
        make_entry(kept_source, kept.vm.jit_fn),
        arrays,
    )
    if key is not None and recipe.log_density_key and recipe.kept_key:
        _write(_path(key), recipe)
    return entries


def _described(arrays: Mapping[str, Any]) -> list[list[Any]]:
    return [
        [name, data.get_value(borrow=True).dtype.name, data.get_value(borrow=True).ndim]
        for name, data in arrays.items()
        if data is not None
    ]


def _sources(recipe: _Recipe, layout: ParameterLayout) -> tuple[str, str]:
    described: Sequence[tuple[str, int]] = [(dtype, ndim) for _, dtype, ndim in recipe.arrays]
    return (
        log_density_source(layout.size, described, recipe.log_density_arrays),
        kept_variables_source(layout.size, layout.kept_size, described, recipe.kept_arrays),
    )


def _path(key: str) -> Path:
    return Path(cache.NUMBA_CACHE_PATH) / f"bayesml-{key}.json"


def _read(path: Path) -> _Recipe | None:
    """Return the recipe of a file, None where there is none or it cannot be read."""
    try:
        return _Recipe(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _write(path: Path, recipe: _Recipe) -> None:
    """Write a recipe so that other processes see all of it or nothing."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(recipe), file)
        Path(name).replace(path)
    except OSError:
        return  # a folder that cannot be written to costs time, nothing else
