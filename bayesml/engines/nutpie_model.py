"""What nutpie samples: entry points, their data, and where chains start."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from nutpie import _lib
from nutpie.sample import CompiledModel as NutpieModel

from bayesml.engines.c_functions import DataBlock, EntryPoint, data_block
from bayesml.engines.compiled_models import ParameterLayout

_HALVINGS = 20


@dataclass(frozen=True)
class EntryPointModel(NutpieModel):
    """A model for `nutpie.sample` that consists of two C functions and a block of data."""

    log_density: EntryPoint = dataclasses.field(kw_only=True)
    kept_values: EntryPoint = dataclasses.field(kw_only=True)
    data: DataBlock = dataclasses.field(kw_only=True)
    layout: ParameterLayout = dataclasses.field(kw_only=True)

    @property
    def n_dim(self) -> int:
        """The number of unconstrained parameters."""
        return self.layout.size

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the kept variables."""
        return self.layout.kept

    @property
    def coords(self) -> dict[str, Any]:
        """No labels: the caller has them."""
        return {}

    def with_data(self, **updates: Any) -> "EntryPointModel":
        """Return the model on other data arrays; machine code is reused as it is."""
        arrays = dict(self.data.arrays)
        for name, value in updates.items():
            if name not in arrays:
                raise KeyError(f"no data variable {name!r}")
            new = np.asarray(value, dtype=arrays[name].dtype)
            if new.ndim != arrays[name].ndim:
                raise ValueError(f"data variable {name!r} must have rank {arrays[name].ndim}")
            arrays[name] = new
        return dataclasses.replace(self, data=data_block(arrays))

    def density_at(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """Evaluate the log-density and its gradient at one unconstrained point."""
        import ctypes

        point = np.ascontiguousarray(point, dtype=float)
        gradient = np.full(self.n_dim, np.nan)
        value = np.full(1, np.nan)
        double = ctypes.POINTER(ctypes.c_double)
        function = ctypes.CFUNCTYPE(
            ctypes.c_int64, ctypes.c_uint64, double, double, double, ctypes.c_void_p
        )(self.log_density.address)
        function(
            self.n_dim,
            point.ctypes.data_as(double),
            gradient.ctypes.data_as(double),
            value.ctypes.data_as(double),
            self.data.block.ctypes.data,
        )
        return float(value[0]), gradient

    def initial_point(self, seed: int) -> np.ndarray:
        """Return a jittered starting point, nearer to the unjittered one where it must be.

        The jitter is halved until the gradient is finite and the log-density is not out of all
        proportion to that of the unjittered point, so that chains start apart where the model
        allows it. A wide prior on the coefficient of a predictor with large numbers would
        otherwise start a chain where the density is astronomically small, and leave it there.
        """
        middle, _ = self.density_at(self.layout.start)
        lowest = middle - abs(middle) - 10 * self.n_dim if np.isfinite(middle) else -np.inf
        jitter = np.random.default_rng(seed).uniform(-1, 1, self.n_dim) * self.layout.widths
        for halving in range(_HALVINGS):
            point = self.layout.start + jitter / 2**halving
            value, gradient = self.density_at(point)
            if np.isfinite(value) and value >= lowest and np.isfinite(gradient).all():
                return point
        return self.layout.start.copy()

    def _make_sampler(self, settings: Any, init_mean: Any, cores: int, *rest: Any) -> Any:
        return _lib.PySampler.from_pymc(settings, cores, self._make_model(init_mean), *rest)

    def _make_model(self, init_mean: Any) -> Any:
        data = self.data.block.ctypes.data
        kept = self.layout.kept
        # nutpie wants a name and a size for every axis; labels are attached by the caller.
        axes = {
            name: [f"axis {axis} of {name}" for axis in range(len(shape))]
            for name, shape in kept.items()
        }
        sizes = {
            axis: length
            for name, shape in kept.items()
            for axis, length in zip(axes[name], shape, strict=True)
        }
        variables = _lib.PyVariable.new_variables(
            list(kept), ["float64"] * len(kept), list(kept.values()), sizes, axes
        )
        return _lib.PyMcModel(
            _lib.LogpFunc(self.log_density.address, data, self),
            _lib.ExpandFunc(
                self.n_dim, self.layout.kept_size, self.kept_values.address, data, self
            ),
            variables,
            self.n_dim,
            sizes,
            {},
            self.initial_point,
            _no_transform_adapter,
        )


def _no_transform_adapter(*arguments: Any, **options: Any) -> Any:
    raise NotImplementedError("sampling through a normalising flow is not offered")
