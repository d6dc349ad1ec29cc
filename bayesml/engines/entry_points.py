"""The C functions that nutpie calls, made from PyTensor's numba functions and cached on disk.

nutpie calls two C functions: one writes the log-density and its gradient, the other writes the
variables that are kept. Both receive one pointer to their data. Here that pointer leads to a flat
array of integers (for each data array: its address, then its shape), so the text of the function
depends on the number of parameters and on the ranks and dtypes of the data arrays, and on nothing
that differs between processes or tables. numba can therefore keep the machine code on disk.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numba.core.caching import FunctionCache
from numba.core.ccallback import CFunc
from pytensor.configdefaults import config
from pytensor.link.numba.cache import CACHED_SRC_FUNCTIONS, compile_numba_function_src

from bayesml.engines.c_functions import (
    KEPT_VARIABLES,
    LOG_DENSITY,
    ClosedFunction,
    EntryPoint,
    as_pointer,
)

# Raise it whenever the text of the generated functions changes its meaning in a way that the text
# itself does not show (say, the meaning of the numbers in `DataBlock.block`).
LAYOUT_VERSION = 3

_DTYPES = {"float64", "float32", "int64", "int32", "int16", "int8", "uint8", "bool"}

_SIGNATURES = {"log_density": LOG_DENSITY, "kept_variables": KEPT_VARIABLES}

_LOGP_SOURCE = """\
def log_density(size, x_, gradient_, value_, data_):
    if size != {size}:
        return -1
    try:
        x = carray(x_, ({size},))
        gradient = carray(gradient_, ({size},))
{arrays}
        value, slope = graph(x{arguments})
        if slope.size != {size}:
            return 2
        density = carray(value_, ())
        density[()] = value
        finite = np.isfinite(density[()])
        for i in range({size}):
            gradient[i] = slope[i]
            finite = finite and np.isfinite(slope[i])
        if not finite:
            return 3
    except Exception:
        return 1
    return 0
"""

_KEPT_SOURCE = """\
def kept_variables(size, kept_size, x_, kept_, data_):
    if size != {size} or kept_size != {kept_size}:
        return -1
    try:
        x = carray(x_, ({size},))
        kept = carray(kept_, ({kept_size},))
{arrays}
        (values,) = graph(x{arguments})
        if values.size != {kept_size}:
            return -3
        for i in range({kept_size}):
            kept[i] = values[i]
    except Exception:
        return -2
    return 0
"""


def log_density_source(
    size: int, layout: Sequence[tuple[str, int]], positions: Sequence[int]
) -> str:
    """Return the text of the function that writes the log-density and its gradient.

    Parameters
    ----------
    size : int
        Number of unconstrained parameters.
    layout : sequence of (dtype, ndim)
        All data arrays in the order of the block.
    positions : sequence of int
        Which of them the graph takes, in its order.
    """
    arrays, arguments = _array_lines(layout, positions)
    return _LOGP_SOURCE.format(size=size, arrays=arrays, arguments=arguments)


def kept_variables_source(
    size: int, kept_size: int, layout: Sequence[tuple[str, int]], positions: Sequence[int]
) -> str:
    """Return the text of the function that writes the kept variables, one after the other."""
    arrays, arguments = _array_lines(layout, positions)
    return _KEPT_SOURCE.format(size=size, kept_size=kept_size, arrays=arrays, arguments=arguments)


def graph_key(graph: Any) -> str | None:
    """Return PyTensor's own key of a numba function, None where it cannot be cached."""
    return CACHED_SRC_FUNCTIONS.get(graph.py_func) if config.numba__cache else None


def make_entry(source: str, graph: Any) -> EntryPoint:
    """Compile a C function around PyTensor's numba function, or load it from disk."""
    key = graph_key(graph)
    function = _python_function(source, graph, key)
    signature = _SIGNATURES[function.__name__]
    if key is None:
        return EntryPoint(_compiled(function, signature, keep=False), False)
    try:
        compiled = _compiled(function, signature, keep=True)
    except Exception:
        # A damaged file in the cache folder must not stand in the way: empty this entry and
        # compile. If it was not that, the same error comes again.
        FunctionCache(function).flush()
        compiled = _compiled(function, signature, keep=True)
    return EntryPoint(compiled, compiled.cache_hits > 0)


def load_entry(source: str, key: str) -> EntryPoint | None:
    """Load a C function by its text and the key of its graph; None where disk has no such."""
    function = _python_function(source, None, key)
    signature = _SIGNATURES[function.__name__]
    try:
        loaded = _compiled(function, signature, keep=True, kind=_LoadedFunction)
    except Exception:  # not there, or damaged, which is as good: it is made anew
        return None
    return EntryPoint(loaded, True)


class _LoadedFunction(CFunc):
    """A C function that comes from disk or not at all."""

    def _compile_uncached(self) -> Any:
        raise LookupError


def _compiled(
    function: Any, signature: Any, *, keep: bool, kind: type[CFunc] = ClosedFunction
) -> Any:
    compiled = kind(function, (signature.args, signature.return_type), {}, {})
    if keep:
        compiled.enable_caching()
    compiled.compile()
    return compiled


def _array_lines(layout: Sequence[tuple[str, int]], positions: Sequence[int]) -> tuple[str, str]:
    """Return the lines that rebuild the arrays from the block, and the arguments of the graph."""
    offsets: list[int] = []
    total = 0
    for dtype, ndim in layout:
        if dtype not in _DTYPES:
            raise TypeError(f"data array with dtype {dtype}")
        offsets.append(total)
        total += 1 + ndim
    lines = [f"data = carray(data_, ({total + 1},), np.int64)"] if positions else []
    for number, position in enumerate(positions):
        dtype, ndim = layout[position]
        start = offsets[position]
        shape = "".join(f"data[{start + 1 + axis}], " for axis in range(ndim))
        scalar = "np.bool_" if dtype == "bool" else f"np.{dtype}"
        lines.append(f"a{number} = carray(as_pointer(data[{start}]), ({shape}), {scalar})")
    indent = " " * 8
    arguments = "".join(f", a{number}" for number in range(len(positions)))
    return "\n".join(indent + line for line in lines), arguments


def _python_function(source: str, graph: Any, key: str | None) -> Any:
    """Return the function of a text, marked so that numba keeps its machine code on disk."""
    if key is not None:
        # The graph's own key enters the function's: another graph never meets this machine code.
        text = f"bayesml entry point {LAYOUT_VERSION}\n{numba.__version__}\n{key}\n{source}"
        key = hashlib.sha256(text.encode()).hexdigest()
    name = source.partition("(")[0].removeprefix("def ")
    environment = {
        # numba imports this module when it reads the machine code back.
        "__name__": __name__,
        "carray": numba.carray,  # type: ignore[attr-defined]
        "as_pointer": as_pointer,
        "np": np,
        "graph": graph,
    }
    return compile_numba_function_src(source, name, environment, cache_key=key)
