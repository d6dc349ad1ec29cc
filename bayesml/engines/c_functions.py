"""Data for C functions that nutpie calls, and the compiling of such functions.

Nothing here loads PyTensor: the marginal engine does without it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite.binding import Linkage  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.core.ccallback import CFunc
from numba.extending import intrinsic

# What nutpie calls: sizes, the parameters, what to write, and a pointer to the data.
LOG_DENSITY = types.int64(
    types.uint64,
    types.CPointer(types.double),
    types.CPointer(types.double),
    types.CPointer(types.double),
    types.voidptr,
)
KEPT_VARIABLES = types.int64(
    types.uint64,
    types.uint64,
    types.CPointer(types.double),
    types.CPointer(types.double),
    types.voidptr,
)


@intrinsic
def _as_pointer(typing_context, address):  # type: ignore[no-untyped-def]
    """Turn an integer address into a pointer that `numba.carray` takes."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), generate


# Compiled functions give it one argument; the typing context is numba's own.
as_pointer: Any = _as_pointer


@dataclass(frozen=True)
class DataBlock:
    """The data arrays of a model, and the flat integers that lead C code to them.

    Attributes
    ----------
    arrays : dict[str, numpy.ndarray]
        Read-only, C-contiguous arrays by key. They must live as long as `block` is in use.
    block : numpy.ndarray
        int64: for each array, in the order of `arrays`, its address and then its shape.
    """

    arrays: dict[str, np.ndarray]
    block: np.ndarray


def data_block(arrays: Mapping[str, np.ndarray]) -> DataBlock:
    """Copy the arrays to read-only, C-contiguous memory and write down where they lie."""
    own: dict[str, np.ndarray] = {}
    numbers: list[int] = []
    for key, value in arrays.items():
        array = np.array(value, order="C", copy=True)
        array.flags.writeable = False
        own[key] = array
        numbers += [array.ctypes.data, *array.shape]
    # One number more, as an empty array has no address that C code may be given.
    return DataBlock(own, np.array([*numbers, 0], dtype=np.int64))


class ClosedFunction(CFunc):
    """A C function whose machine code is its own, down to the functions that it calls.

    Those are compiled before it, and numba lets the linker choose between their machine code and
    the copy in this module. Optimised on their own they round differently in the last digit, so
    that the process which compiles would give other draws than those which load from disk. Names
    that occur nowhere else leave the linker no choice. They must be new names: the JIT linker puts
    local ones, too, in the place of functions of the same name that are loaded later, and local
    functions may have lost arguments.

    Attributes
    ----------
    optimised : bool
        Whether it is optimised together with the functions that it calls. Those are optimised
        already, and drawn together large ones take long.
    """

    optimised = True

    def _compile_uncached(self) -> Any:
        result = super()._compile_uncached()  # type: ignore[misc]
        library = result.library
        optimise = library._optimize_final_module

        def close_and_optimise() -> None:
            for called in library._final_module.functions:
                if not called.is_declaration and called.linkage == Linkage.linkonce_odr:
                    called.linkage = Linkage.internal
                    called.name = f"{called.name}.of.{library.name}"
            if self.optimised:
                optimise()

        library._optimize_final_module = close_and_optimise
        return result


@dataclass(frozen=True)
class EntryPoint:
    """One C function: its numba object (keeps the code alive) and whether disk held it."""

    function: Any
    from_cache: bool

    @property
    def address(self) -> int:
        """Where the machine code lies in memory."""
        return int(self.function.address)
