"""Recognise a model: a key that two models share only if they compile to the same machine code.

Deriving the log-density and its gradient, and rewriting them, takes PyTensor a few seconds, and the
same model gives the same result each time. The key is a hash of the whole graph of the model with
every constant, operation and transformation in it, but without the values of the data, which
are read when the machine code runs. Where a model holds anything that cannot be described in full
(an operation defined elsewhere, a nameless data array), there is no key and nothing is skipped.
"""

import hashlib
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import pymc as pm
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.configdefaults import config
from pytensor.graph.basic import Constant, NominalVariable
from pytensor.graph.op import HasInnerGraph
from pytensor.graph.traversal import toposort
from pytensor.graph.type import Type
from pytensor.tensor.random.type import RandomType

from bayesml.engines.compiled_models import ParameterLayout

# Only operations of these packages are fixed by their version.
_PACKAGES = ("pytensor", "pymc", "numpy", "builtins")
_VERSIONS = ("pymc", "pytensor", "numba", "llvmlite", "numpy", "nutpie")
_SETTINGS = (
    "floatX",
    "numba__fastmath",
    "numba__vectorize_target",
    "optimizer",
    "optimizer_excluding",
    "optimizer_including",
)
# Attributes in which an operation keeps what it has worked out from the others.
_DERIVED = ("_fn", "_hash", "_cached_hash", "__doc__")


class _NoKey(Exception):
    """A part of the model cannot be described in full."""


def model_key(model: pm.Model, layout: ParameterLayout) -> str | None:
    """Return the key of a model, or None where it holds something that has no full description.

    Parameters
    ----------
    model : pymc.Model
    layout : ParameterLayout
        Of this model and of the variables that are kept.
    """
    described: list[Any] = []
    ends: list[Any] = []
    try:
        for rv in model.basic_RVs:
            value, transform = model.rvs_to_values[rv], model.rvs_to_transforms.get(rv)
            density, parts = _density_key(rv)
            described.append((rv.name, value.name, str(value.type), len(ends), density))
            ends += [*parts, value]
            if transform is not None:
                inputs = rv.owner.inputs
                described.append((type(transform).__qualname__, transform.ndim_supp))
                ends += [transform.backward(value, *inputs), transform.log_jac_det(value, *inputs)]
        described.append((len(ends), len(model.potentials)))
        ends += [*model.potentials, *(model[name] for name in layout.kept)]
        graph = _graph_key(model.basic_RVs, ends)
    except (_NoKey, RecursionError):
        return None
    text = repr(
        (
            [version(package) for package in _VERSIONS],
            [str(getattr(config, setting, None)) for setting in _SETTINGS],
            platform.python_version(),
            model.check_bounds,
            [(name, shape) for name, shape in layout.parameters.items()],
            [(name, shape) for name, shape in layout.kept.items()],
            described,
            graph,
        )
    )
    return hashlib.sha256(text.encode()).hexdigest()


def named_data(model: pm.Model) -> dict[str, Any]:
    """Return the shared variables (data and lengths of dims) by name; a key makes them unique."""
    data = {str(variable.name): variable for variable in model.data_vars}
    lengths = {str(variable.name): variable for variable in model.dim_lengths.values()}
    return lengths | data


def _density_key(rv: Any) -> tuple[str, list[Any]]:
    """Describe how a random variable is distributed: in words, and by expressions."""
    operation = rv.owner.op
    try:
        return f"{_operation_key(operation)}.{rv.owner.outputs.index(rv)}", rv.owner.inputs
    except _NoKey:
        # A distribution that was written for this model: what it does is its log-density.
        kind = f"density of {getattr(operation, 'signature', None)} {operation.ndim_supp}"
        value = rv.type(f"value of {rv.name}")
        return kind, [*rv.owner.inputs, pm.logp(rv, value, warn_rvs=False)]


def _graph_key(inputs: Sequence[Any], outputs: Sequence[Any]) -> str:
    """Describe a graph as text: its nodes in order, each with what it does and what it takes."""
    known: dict[Any, str] = {variable: f"i{n}:{variable.type}" for n, variable in enumerate(inputs)}
    shared: dict[str, Any] = {}
    lines = []
    for number, node in enumerate(toposort(outputs, blockers=list(inputs) or None)):
        taken = [_variable_key(variable, known, shared) for variable in node.inputs]
        made = [str(variable.type) for variable in node.outputs]
        lines.append(f"{_operation_key(node.op)} {taken} {made}")
        known |= {output: f"n{number}.{place}" for place, output in enumerate(node.outputs)}
    lines.append(str([_variable_key(variable, known, shared) for variable in outputs]))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _variable_key(variable: Any, known: dict[Any, str], shared: dict[str, Any]) -> str:
    if variable in known:
        return known[variable]
    if isinstance(variable, Constant):
        return f"c{variable.type}:{_value_key(variable.data)}"
    if isinstance(variable.type, RandomType):
        return "random"  # where random numbers come from has no part in a density
    if isinstance(variable, NominalVariable):
        return f"l{variable.id}:{variable.type}"
    if variable.name is None:
        raise _NoKey(variable)
    # Two different variables of one name would be one and the same to the key.
    if shared.setdefault(variable.name, variable) is not variable:
        raise _NoKey(variable.name)
    kind = "shared" if isinstance(variable, SharedVariable) else "free"
    return f"{kind}:{variable.name}:{variable.type}"


def _operation_key(operation: Any) -> str:
    parts: dict[str, Any] = {}
    if getattr(operation, "__props__", None) is not None:
        parts |= {name: getattr(operation, name) for name in operation.__props__}
    else:
        parts |= vars(operation)
    inner = ""
    if isinstance(operation, HasInnerGraph):
        parts.pop("fgraph", None)
        inner = _graph_key(operation.fgraph.inputs, operation.fgraph.outputs)
    described = [
        (name, _value_key(value)) for name, value in sorted(parts.items()) if name not in _DERIVED
    ]
    return f"{_importable(type(operation))}{described}{inner}"


def _value_key(value: Any) -> str:
    """Describe a value of which every part matters, or raise."""
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return f"{type(value).__name__}:{value!r}"
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        if array.dtype.hasobject:
            raise _NoKey(value)
        content = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
        return f"array:{array.dtype.str}{array.shape}{content}"
    if isinstance(value, np.dtype):
        return f"dtype:{value.str}"
    if isinstance(value, slice):
        return f"slice:{[_value_key(part) for part in (value.start, value.stop, value.step)]}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}:{[_value_key(part) for part in value]}"
    if isinstance(value, set | frozenset):
        return f"set:{sorted(_value_key(part) for part in value)}"
    if isinstance(value, Mapping):
        return f"map:{sorted((_value_key(k), _value_key(v)) for k, v in value.items())}"
    if isinstance(value, Type):
        return f"type:{_importable(type(value))}:{value}"
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return f"name:{_importable(value)}"
    if hasattr(value, "make_node"):
        return _operation_key(value)
    if hasattr(value, "__dict__"):
        slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
        state = vars(value) | {name: getattr(value, name, None) for name in slots}
        return f"object:{_importable(type(value))}{_value_key(state)}"
    raise _NoKey(value)


def _importable(thing: Any) -> str:
    """Return the address of a class or function of a known package, or raise."""
    module, path = getattr(thing, "__module__", None), getattr(thing, "__qualname__", "")
    if not isinstance(module, str) or module.partition(".")[0] not in _PACKAGES:
        raise _NoKey(thing)
    found: Any = sys.modules.get(module)
    for step in path.split("."):
        found = getattr(found, step, None)
    if found is not thing:
        raise _NoKey(thing)
    return f"{module}.{path}"
