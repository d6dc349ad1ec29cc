"""Compile a PyMC model for nutpie, with machine code that other processes and tables can reuse."""

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pymc as pm

from bayesml.errors import SamplingError, listed

# The cached entry points lean on private parts of these packages; other versions are not tried.
_KNOWN_VERSIONS = {"nutpie": "0.16.", "pytensor": "3.3.", "numba": "0."}


@dataclass(frozen=True)
class CompiledModel:
    """A model that nutpie can sample.

    Attributes
    ----------
    sampler : object
        What `nutpie.sample` takes.
    names : tuple[str, ...]
        The variables whose draws are kept, in the order of the request.
    parameters : dict[str, tuple[int, ...]]
        Name and shape of each unconstrained parameter.
    seconds : float
        How long compiling took.
    from_cache : bool
        Whether the machine code came from disk.
    note : str
        Empty, or the reason why the ordinary and slower nutpie compilation was used.
    """

    sampler: Any
    names: tuple[str, ...]
    parameters: dict[str, tuple[int, ...]]
    seconds: float
    from_cache: bool
    note: str


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
    known = {str(variable.name) for variable in model.unobserved_value_vars}
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
    for package, start in _KNOWN_VERSIONS.items():
        try:
            found = version(package)
        except PackageNotFoundError:
            return f"{package} is not installed"
        if not found.startswith(start):
            return f"{package} {found} is installed, cached entry points are known to {start}x"
    return ""


def _compile_cached(
    model: pm.Model, names: tuple[str, ...]
) -> tuple[Any, dict[str, tuple[int, ...]], bool]:
    from bayesml.engines.entry_points import (
        data_block,
        kept_variables_entry,
        kept_variables_source,
        log_density_entry,
        log_density_source,
    )
    from bayesml.engines.graphs import kept_variables_function, layout_of, log_density_function
    from bayesml.engines.nutpie_model import EntryPointModel

    layout = layout_of(model, names)
    density = log_density_function(model, layout)
    kept = kept_variables_function(model, layout)
    shared: dict[Any, str] = {}
    for variable in [*density.get_shared(), *kept.get_shared()]:
        shared.setdefault(variable, variable.name or f"unnamed {len(shared)}")
    if len(set(shared.values())) < len(shared):
        raise ValueError("two data variables share a name")
    block = data_block({key: variable.get_value(borrow=True) for variable, key in shared.items()})
    described = [(array.dtype.name, array.ndim) for array in block.arrays.values()]
    order = {variable: position for position, variable in enumerate(shared)}
    log_density = log_density_entry(
        log_density_source(layout.size, described, [order[v] for v in density.get_shared()]),
        density.vm.jit_fn,
    )
    kept_values = kept_variables_entry(
        kept_variables_source(
            layout.size, layout.kept_size, described, [order[v] for v in kept.get_shared()]
        ),
        kept.vm.jit_fn,
    )
    sampler = EntryPointModel(
        dims={}, log_density=log_density, kept_values=kept_values, data=block, layout=layout
    )
    return sampler, layout.parameters, log_density.from_cache and kept_values.from_cache


def _compile_stock(model: pm.Model, names: tuple[str, ...]) -> Any:
    try:
        import nutpie

        return nutpie.compile_pymc_model(model, var_names=list(names))
    except Exception as error:
        raise SamplingError(
            f"nutpie cannot compile the model: {type(error).__name__}: {error}. "
            "PyMC's own sampler may still be able to sample it."
        ) from error
