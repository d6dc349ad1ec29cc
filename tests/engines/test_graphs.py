"""Where chains may start, and the shapes of what is kept."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytest

from bayesml.engines.graphs import layout_of


def test_layout_names_every_parameter_and_shape(two_level: Callable[..., Any]) -> None:
    layout = layout_of(two_level(units=5), ["u", "tau"])
    assert layout.parameters == {"mean": (), "tau_log__": (), "sigma_log__": (), "z": (5,)}
    assert layout.kept == {"u": (5,), "tau": ()}
    assert (layout.size, layout.kept_size) == (8, 6)
    assert layout.owners() == ["mean", "tau_log__", "sigma_log__", *["z"] * 5]


@pytest.mark.parametrize(
    ("scale", "width"), [(0.2, 0.2), (1.0, 1.0), (1.5, 1.0), (2.0, 1.0), (50.0, 25.0)]
)
def test_jitter_follows_the_scale_of_the_prior(scale: float, width: float) -> None:
    with pm.Model() as model:
        pm.Normal("a", 100, scale, shape=2)
        pm.StudentT("b", 4, mu=0, sigma=scale)
        pm.HalfNormal("c", scale)
    layout = layout_of(model, ["a"])
    np.testing.assert_allclose(layout.widths, [width, width, width, 1.0])
    np.testing.assert_allclose(layout.start[:3], [100, 100, 0])


def test_the_scale_may_be_a_parameter() -> None:
    with pm.Model() as model:
        sd = pm.HalfNormal("sd", 0.5)
        pm.Normal("u", 0, sd, shape=3)
    layout = layout_of(model, ["u"])
    # The jitter of u is the value of sd at the initial point: its log comes first.
    np.testing.assert_allclose(layout.widths[1:], np.exp(layout.start[0]))
