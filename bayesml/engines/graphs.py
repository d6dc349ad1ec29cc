"""The PyTensor functions of a model: log-density with gradient, and the variables that are kept."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.initial_point import make_initial_point_expression
from pymc.pytensorf import compile as compile_pymc
from pytensor.compile.maker import function
from pytensor.compile.mode import Mode
from pytensor.configdefaults import config
from pytensor.gradient import grad
from pytensor.graph.replace import clone_replace
from pytensor.graph.rewriting.db import RewriteDatabaseQuery
from pytensor.graph.rewriting.utils import rewrite_graph
from pytensor.link.vm import VMLinker

from bayesml.engines.compiled_models import ParameterLayout

# Evaluated once with NumPy: no C, no numba, and only those rewrites without which nothing runs.
_ONCE = Mode(
    VMLinker(use_cloop=False, c_thunks=False),
    RewriteDatabaseQuery(include=["minimum_compile", "py_only"]),
)
_LOCATION_SCALE = ("normal", "t", "laplace", "cauchy", "logistic", "gumbel")


def layout_of(model: pm.Model, names: Sequence[str]) -> ParameterLayout:
    """Evaluate the initial point once, and with it every shape that sampling needs.

    The jitter of a parameter without a transformation follows the scale of its own prior, so that
    chains start apart on any scale of the outcome; transformed parameters (logs of standard
    deviations, correlations) get 1 to either side, as PyMC does.
    """
    values = [model.rvs_to_values[rv] for rv in model.free_RVs]
    starts = make_initial_point_expression(
        free_rvs=model.free_RVs,
        rvs_to_transforms=model.rvs_to_transforms,
        initval_strategies=model.rvs_to_initial_values,
        return_transformed=True,
    )
    # One call for all: each back-transformation is then made once.
    expressions = model.replace_rvs_by_values(
        [*(_prior_scale(model, rv) for rv in model.free_RVs), *(model[name] for name in names)]
    )
    at_start: Any = clone_replace(expressions, dict(zip(values, starts, strict=True)))
    scales, kept = at_start[: len(values)], at_start[len(values) :]
    outputs = [*starts, *scales, *(variable.shape for variable in kept)]
    # Without a C compiler PyTensor evaluates with NumPy at once; with one it would first compile
    # the inner functions of some distributions for half a minute, to call them a single time.
    with config.change_flags(cxx=""):
        results = function([], outputs, mode=_ONCE, on_unused_input="ignore")()
    points = [np.asarray(value, dtype=float) for value in results[: len(values)]]
    widths = [
        np.broadcast_to(_width(np.asarray(scale, dtype=float)), point.shape)
        for scale, point in zip(results[len(values) : 2 * len(values)], points, strict=True)
    ]
    shapes = [tuple(int(n) for n in shape) for shape in results[2 * len(values) :]]
    return ParameterLayout(
        parameters={str(v.name): p.shape for v, p in zip(values, points, strict=True)},
        kept=dict(zip(names, shapes, strict=True)),
        start=_flat(points),
        widths=_flat(widths),
    )


def log_density_function(model: pm.Model, layout: ParameterLayout) -> Any:
    """Compile the log-density and its gradient as a function of the flat parameter array."""
    values = [model.rvs_to_values[rv] for rv in model.free_RVs]
    # Stabilised before the gradient is taken, so that the gradient is one of a stable expression.
    rewrites = ["canonicalize", "stabilize"]
    if not model.check_bounds:
        rewrites.append("local_remove_check_parameter")
    density: Any = rewrite_graph(model.logp(), include=rewrites)
    gradients: Any = grad(density, values)
    gradient: Any = pt.concatenate([part.ravel() for part in gradients])
    flat, parts = _flat_parameters(model, layout)
    density, gradient = clone_replace([density, gradient], parts)
    with model:
        return compile_pymc((flat,), (density, gradient), mode="NUMBA")


def kept_variables_function(model: pm.Model, layout: ParameterLayout) -> Any:
    """Compile the kept variables, one after the other, from the flat parameter array."""
    flat, parts = _flat_parameters(model, layout)
    kept: Any = clone_replace(
        model.replace_rvs_by_values([model[name] for name in layout.kept]), parts
    )
    joined = pt.concatenate([variable.ravel().astype("float64") for variable in kept])
    with model:
        return compile_pymc((flat,), (joined,), mode="NUMBA")


def _flat_parameters(model: pm.Model, layout: ParameterLayout) -> tuple[Any, dict[Any, Any]]:
    flat = pt.TensorType("float64", shape=(layout.size,))(name="unconstrained")
    parts: dict[Any, Any] = {}
    end = 0
    for rv, shape in zip(model.free_RVs, layout.parameters.values(), strict=True):
        start, end = end, end + prod(shape)
        parts[model.rvs_to_values[rv]] = flat[start:end].reshape(shape).astype(rv.dtype)
    return flat, parts


def _prior_scale(model: pm.Model, rv: Any) -> Any:
    """Return the scale of a location-scale prior, or 1 where there is none."""
    operation = rv.owner.op
    transformed = model.rvs_to_transforms.get(rv) is not None
    if transformed or getattr(operation, "name", None) not in _LOCATION_SCALE:
        return pt.as_tensor(1.0)
    return operation.dist_params(rv.owner)[-1]


def _width(scale: np.ndarray) -> np.ndarray:
    """Return the jitter: the prior's scale up to 1, and half of a scale beyond 2."""
    return np.minimum(scale, np.maximum(1.0, scale / 2))


def _flat(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.ravel(part) for part in parts]) if parts else np.empty(0)
