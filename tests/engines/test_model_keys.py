"""Two models share a key only if they are the same but for the values of their data."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytest
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op

from bayesml.engines.graphs import layout_of
from bayesml.engines.model_keys import model_key, named_data

NAMES = ["mean", "tau", "u"]


def key_of(model: Any, names: list[str] | None = None) -> str | None:
    return model_key(model, layout_of(model, names or NAMES))


def test_other_data_have_the_same_key(two_level: Callable[..., Any]) -> None:
    key = key_of(two_level())
    assert key is not None
    assert key_of(two_level(rows=90, seed=2)) == key


@pytest.mark.parametrize(
    "change",
    [{"likelihood": "t"}, {"units": 7}, {"scale": 1.5}],
    ids=lambda change: next(iter(change)),
)
def test_another_model_has_another_key(
    two_level: Callable[..., Any], change: dict[str, Any]
) -> None:
    assert key_of(two_level(**change)) not in (None, key_of(two_level()))


def test_what_is_kept_enters_the_key(two_level: Callable[..., Any]) -> None:
    model = two_level()
    assert key_of(model, ["mean", "u"]) != key_of(model, ["u", "mean"])


def test_bounds_checks_enter_the_key(two_level: Callable[..., Any]) -> None:
    model = two_level()
    key = key_of(model)
    model.check_bounds = False
    assert key_of(model) != key


def one_parameter(**options: Any) -> Any:
    with pm.Model() as model:
        pm.Data("y", np.array([0.2, 0.4]))
        p = pm.Beta("p", 2, 2, **options)
        pm.Normal("obs", p, 1, observed=model["y"])
    return model


def test_the_transformation_enters_the_key() -> None:
    transforms = pm.distributions.transforms
    keys = {
        key_of(one_parameter(), ["p"]),
        key_of(one_parameter(default_transform=None), ["p"]),
        key_of(one_parameter(default_transform=transforms.Interval(-1, 1)), ["p"]),
        key_of(one_parameter(default_transform=transforms.Interval(-1, 2)), ["p"]),
    }
    assert len(keys) == 4
    assert None not in keys


def test_a_potential_enters_the_key() -> None:
    plain, bent, more_bent = one_parameter(), one_parameter(), one_parameter()
    with bent:
        pm.Potential("pull", -(bent["p"] ** 2))
    with more_bent:
        pm.Potential("pull", -2 * more_bent["p"] ** 2)
    assert len({key_of(model, ["p"]) for model in (plain, bent, more_bent)}) == 3


def test_constant_data_enter_the_key() -> None:
    def with_constant(y: list[float]) -> Any:
        with pm.Model() as model:
            pm.Normal("obs", pm.Normal("mean"), 1, observed=np.array(y))
        return model

    first, second = with_constant([0.0, 1.0]), with_constant([0.0, 1.1])
    assert key_of(first, ["mean"]) != key_of(second, ["mean"])


def with_own_density(power: int, data: list[float] | None = None) -> Any:
    with pm.Model() as model:
        mean = pm.Normal("mean")
        y = pm.Data("y", np.array(data or [0.0, 1.0]))
        pm.CustomDist("obs", mean, logp=lambda value, mu: -(abs(value - mu) ** power), observed=y)
    return model


def test_a_distribution_of_the_models_own_is_known_by_its_density() -> None:
    key = key_of(with_own_density(1), ["mean"])
    assert key is not None
    assert key_of(with_own_density(1, [4.0, 2.0, 3.0]), ["mean"]) == key
    assert key_of(with_own_density(2), ["mean"]) not in (None, key)


def test_a_parameter_may_have_a_distribution_of_its_own() -> None:
    def build(scale: float, on: str) -> Any:
        with pm.Model() as model:
            a, b = (
                pm.CustomDist(name, scale, logp=lambda value, scale: -abs(value) / scale)
                for name in "ab"
            )
            pm.Normal("obs", {"a": a, "b": b}[on], 1, observed=pm.Data("y", np.zeros(2)))
        return model

    keys = {key_of(build(scale, on), ["a", "b"]) for scale in (1.0, 2.0) for on in "ab"}
    assert len(keys) == 4
    assert None not in keys


class Halve(Op):
    """An operation that PyTensor does not know."""

    __props__ = ()

    def make_node(self, x: Any) -> Apply:
        return Apply(self, [x], [x.type()])

    def perform(self, node: Apply, inputs: Any, outputs: Any) -> None:
        outputs[0][0] = inputs[0] / 2


def test_an_operation_from_elsewhere_has_no_key() -> None:
    with pm.Model() as model:
        mean = pm.Normal("mean")
        pm.Deterministic("half", Halve()(mean))
        pm.Normal("obs", mean, 1, observed=[0.0, 1.0])
    assert key_of(model, ["mean"]) is not None
    assert key_of(model, ["half"]) is None


def test_named_data_finds_data_and_lengths_of_dims(two_level: Callable[..., Any]) -> None:
    assert set(named_data(two_level())) == {"y", "index", "unit"}
