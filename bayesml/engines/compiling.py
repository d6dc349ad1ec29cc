"""Compile a PyMC model for nutpie, with machine code that other processes and tables can reuse."""

import dataclasses
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pymc as pm

from bayesml.engines.compiled_models import CompiledModel
from bayesml.errors import SamplingError, listed

# The cached entry points lean on private parts of these packages; other versions are not tried.
_KNOWN_VERSIONS = {
    "nutpie": ("0.16.",),
    "pytensor": ("3.3.",),
    "numba": ("0.65.", "0.66.", "0.67.", "0.68."),
}


def compile_model(model: pm.Model, names: Sequence[str]) -> CompiledModel:
    """Compile a model so that only the variables `names` are stored.

    Parameters
    ----------
    model : pymc.Model
        The model. Data should come through `pm.Data`: another table of the same kind then finds
        the machine code of the first on disk.
    names : sequence of str
        Variables to keep: free variables, or deterministic ones.

    Returns
    -------
    CompiledModel
        With `note` set where nutpie's own compilation had to be used.

    Raises
    ------
    SamplingError
        If the model has no variable of a requested name, or nutpie cannot compile it.
    """
    started = time.perf_counter()
    names = tuple(names)
    known = {str(variable.name) for variable in [*model.free_RVs, *model.deterministics]}
    missing = [name for name in names if name not in known]
    if missing or not names:
        raise SamplingError(
            f"The model has no variables {listed(missing)} to keep."
            if missing
            else "No variable was asked for; name at least one variable to keep."
        )
    note = _untried_versions()
    if not note:
        try:
            sampler, parameters, from_cache = _compile_cached(model, names)
        except Exception as error:  # any failure of the private parts has the same remedy
            note = f"{type(error).__name__}: {error}"
        else:
            seconds = time.perf_counter() - started
            return CompiledModel(sampler, names, parameters, seconds, from_cache, "")
    sampler = _compile_stock(model, names)
    parameters = {
        str(model.rvs_to_values[rv].name): tuple(sampler.shapes[str(model.rvs_to_values[rv].name)])
        for rv in model.free_RVs
    }
    seconds = time.perf_counter() - started
    return CompiledModel(sampler, names, parameters, seconds, False, note)


def replace_data(compiled: CompiledModel, **arrays: np.ndarray) -> CompiledModel:
    """Return the same compiled model on other data arrays of the same rank, of any length.

    Raises
    ------
    SamplingError
        If the model has no data of that name, or the rank differs.
    """
    try:
        sampler = compiled.sampler.with_data(**arrays)
    except (KeyError, ValueError) as error:
        raise SamplingError(
            f"The data of the compiled model cannot be replaced: {error}"
        ) from error
    return dataclasses.replace(compiled, sampler=sampler)


def _untried_versions() -> str:
    """Return why the cached entry points may not be used, or an empty text."""
    for package, starts in _KNOWN_VERSIONS.items():
        try:
            found = version(package)
        except PackageNotFoundError:
            return f"{package} is not installed"
        if not found.startswith(starts):
            known = ", ".join(f"{start}x" for start in starts)
            return f"{package} {found} is installed; the quick way is known to work with {known}"
    return ""


def _compile_cached(
    model: pm.Model, names: tuple[str, ...]
) -> tuple[Any, dict[str, tuple[int, ...]], bool]:
    from bayesml.engines.c_functions import data_block
    from bayesml.engines.graphs import layout_of
    from bayesml.engines.model_keys import model_key, named_data
    from bayesml.engines.nutpie_model import EntryPointModel
    from bayesml.engines.recipes import compile_from_graphs, load_from_recipe

    layout = layout_of(model, names)
    key = model_key(model, layout)
    found = load_from_recipe(key, layout, named_data(model)) if key is not None else None
    entries = found or compile_from_graphs(key, model, layout)
    sampler = EntryPointModel(
        dims={},
        log_density=entries.log_density,
        kept_values=entries.kept_values,
        data=data_block(
            {name: data.get_value(borrow=True) for name, data in entries.arrays.items()}
        ),
        layout=layout,
    )
    return sampler, layout.parameters, entries.from_cache


def _compile_stock(model: pm.Model, names: tuple[str, ...]) -> Any:
    from pytensor.configdefaults import config

    try:
        import nutpie

        # Without C, as in `graphs.layout_of`: nutpie calls the initial point a few times only.
        with config.change_flags(cxx=""):
            return nutpie.compile_pymc_model(model, var_names=list(names))
    except Exception as error:
        raise SamplingError(
            f"nutpie cannot compile the model: {type(error).__name__}: {error}. "
            "PyMC's own sampler may still be able to sample it."
        ) from error
