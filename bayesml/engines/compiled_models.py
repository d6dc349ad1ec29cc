"""What compiling leaves behind: a model that nutpie can sample, and where its numbers lie."""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ParameterLayout:
    """Where each parameter and each kept variable lies in the flat arrays.

    Attributes
    ----------
    parameters : dict[str, tuple[int, ...]]
        Shape of every unconstrained parameter by the name of its value variable, in flat order.
    kept : dict[str, tuple[int, ...]]
        Shape of every kept variable, in flat order.
    start : numpy.ndarray
        The unjittered initial point, one entry for each unconstrained parameter.
    widths : numpy.ndarray
        How far each entry of the initial point may be jittered to either side.
    """

    parameters: dict[str, tuple[int, ...]]
    kept: dict[str, tuple[int, ...]]
    start: np.ndarray
    widths: np.ndarray

    @property
    def size(self) -> int:
        """The number of unconstrained parameters."""
        return sum(prod(shape) for shape in self.parameters.values())

    @property
    def kept_size(self) -> int:
        """The number of kept values in one draw."""
        return sum(prod(shape) for shape in self.kept.values())

    def owners(self) -> list[str]:
        """Return, for each entry of the flat parameter array, the variable it belongs to."""
        return [name for name, shape in self.parameters.items() for _ in range(prod(shape))]


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
