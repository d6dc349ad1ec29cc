"""Compiled models give nutpie's own draws, and never another model's."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import nutpie
import pymc as pm
import pytest
from pytensor.configdefaults import config

from bayesml.engines import compiling, recipes
from bayesml.engines.compiling import compile_model, replace_data
from bayesml.engines.nutpie_model import EntryPointModel
from bayesml.errors import SamplingError

NAMES = ["mean", "tau", "u"]
Build = Callable[..., Any]


@dataclass(frozen=True)
class StartsLikeStock(EntryPointModel):
    """The cached model, started where nutpie's own compilation starts."""

    stock: Any = field(kw_only=True)

    def initial_point(self, seed: int) -> np.ndarray:
        return self.stock.initial_point_func(seed)


def evaluate_stock(stock: Any, at: np.ndarray) -> tuple[float, np.ndarray]:
    double = ctypes.POINTER(ctypes.c_double)
    arguments = (ctypes.c_uint64, double, double, double, ctypes.c_void_p)
    function = ctypes.CFUNCTYPE(ctypes.c_int64, *arguments)(stock.compiled_logp_func.address)
    value, gradient = np.empty(1), np.empty(len(at))
    pointers = [array.ctypes.data_as(double) for array in (at, gradient, value)]
    assert function(len(at), *pointers, stock.user_data.ctypes.data) == 0
    return float(value[0]), gradient


def first_draws(sampler: Any) -> Any:
    return nutpie.sample(sampler, draws=4, tune=5, chains=1, cores=1, seed=3, progress_bar=False)[
        "posterior"
    ]


@pytest.mark.sampling
@pytest.mark.parametrize("likelihood", ["normal", "t"])
def test_density_and_draws_are_those_of_stock_nutpie(two_level: Build, likelihood: str) -> None:
    model = two_level(likelihood=likelihood)
    ours = compile_model(model, NAMES)
    assert ours.note == ""
    with config.change_flags(cxx=""):
        stock = nutpie.compile_pymc_model(model, var_names=NAMES)
    for seed in range(5):
        at = np.random.default_rng(seed).normal(size=9)
        density, gradient = ours.sampler.density_at(at)
        expected, expected_gradient = evaluate_stock(stock, at)
        # The sums are taken in another order, so the last digits may differ.
        assert density == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-10, atol=1e-10)
    parts = {item.name: getattr(ours.sampler, item.name) for item in fields(ours.sampler)}
    started, expected_draws = first_draws(StartsLikeStock(**parts, stock=stock)), first_draws(stock)
    for name in NAMES:
        # Nine trajectories have not yet blown the last digits up; other seeds are apart at once.
        np.testing.assert_allclose(started[name], expected_draws[name], rtol=1e-7)


@pytest.mark.sampling
def test_models_of_equal_shapes_do_not_mix(two_level: Build) -> None:
    normal, t = two_level(), two_level(likelihood="t")
    at = np.array([0.4, -0.2, 0.1, *np.linspace(-1, 1, 6)])
    for model in (normal, t, normal):
        density, gradient = compile_model(model, NAMES).sampler.density_at(at)
        with config.change_flags(cxx=""):
            point = dict(zip(["mean", "tau_log__", "sigma_log__"], at[:3], strict=True))
            expected = model.compile_logp(mode="FAST_COMPILE")(point | {"z": at[3:]})
        assert density == pytest.approx(float(expected), rel=1e-12)
        assert np.isfinite(gradient).all()


@pytest.mark.sampling
def test_the_gradient_is_the_slope_of_the_density(two_level: Build) -> None:
    sampler = compile_model(two_level(), NAMES).sampler
    at, step = np.array([0.4, -0.2, 0.1, *np.linspace(-1, 1, 6)]), 1e-5
    _, gradient = sampler.density_at(at)
    for place in range(len(at)):
        ahead, behind = at.copy(), at.copy()
        ahead[place] += step
        behind[place] -= step
        slope = (sampler.density_at(ahead)[0] - sampler.density_at(behind)[0]) / (2 * step)
        # Central differences err by the order of step squared and of rounding over step.
        assert gradient[place] == pytest.approx(slope, rel=1e-6, abs=1e-6)


@pytest.mark.sampling
def test_another_table_finds_the_machine_code(two_level: Build) -> None:
    compile_model(two_level(), NAMES)
    other = two_level(rows=90, seed=5)
    found = compile_model(other, NAMES)
    assert found.from_cache
    replaced = replace_data(
        compile_model(two_level(), NAMES),
        y=other["y"].get_value(),
        index=other["index"].get_value(),
    )
    at = np.zeros(9)
    assert found.sampler.density_at(at)[0] == replaced.sampler.density_at(at)[0]
    assert (
        found.sampler.density_at(at)[0]
        != compile_model(two_level(), NAMES).sampler.density_at(at)[0]
    )


@pytest.mark.sampling
def test_a_model_without_a_key_is_compiled(
    monkeypatch: pytest.MonkeyPatch, two_level: Build
) -> None:
    keyed = compile_model(two_level(), NAMES)
    monkeypatch.setattr("bayesml.engines.model_keys.model_key", lambda model, layout: None)
    plain = compile_model(two_level(), NAMES)
    assert plain.note == ""
    at = np.linspace(-1, 1, 9)
    assert plain.sampler.density_at(at)[0] == keyed.sampler.density_at(at)[0]


@pytest.mark.sampling
def test_a_recipe_that_cannot_be_read_is_written_anew(
    monkeypatch: pytest.MonkeyPatch, two_level: Build
) -> None:
    paths = []
    path_of = recipes._path
    monkeypatch.setattr(recipes, "_path", lambda key: paths.append(path_of(key)) or paths[-1])
    compile_model(two_level(), NAMES)
    good = paths[0].read_text()
    paths[0].write_text('{"arrays": []}')
    assert compile_model(two_level(), NAMES).note == ""
    assert paths[0].read_text() == good


@pytest.mark.sampling
def test_other_versions_use_stock_nutpie_and_say_so(
    monkeypatch: pytest.MonkeyPatch, two_level: Build
) -> None:
    monkeypatch.setattr(compiling, "_KNOWN_VERSIONS", {"pytensor": ("2.",)})
    compiled = compile_model(two_level(), NAMES)
    assert "pytensor" in compiled.note
    assert "2.x" in compiled.note
    assert not compiled.from_cache
    assert compiled.parameters == {"mean": (), "tau_log__": (), "sigma_log__": (), "z": (6,)}
    assert set(NAMES) <= set(first_draws(compiled.sampler).data_vars)


@pytest.mark.parametrize("names", [[], ["mean", "nowhere"]])
def test_only_known_names_can_be_kept(two_level: Build, names: list[str]) -> None:
    said = "'nowhere'" if names else "at least one"
    with pytest.raises(SamplingError, match=said):
        compile_model(two_level(), names)


@pytest.mark.sampling
@pytest.mark.parametrize(
    ("arrays", "said"), [({"x": np.zeros(3)}, "'x'"), ({"y": np.zeros((3, 1))}, "rank 1")]
)
def test_data_are_replaced_by_name_and_rank(
    two_level: Build, arrays: dict[str, np.ndarray], said: str
) -> None:
    with pytest.raises(SamplingError, match=said):
        replace_data(compile_model(two_level(), NAMES), **arrays)


@pytest.mark.sampling
def test_start_is_nearer_where_the_density_is_not_finite() -> None:
    with pm.Model() as model:
        # Finite within 0.01 of the initial point only.
        x = pm.Normal("x", 0, 1, shape=2)
        pm.Potential("narrow", pm.math.sum(pm.math.log(1e-4 - x**2)))
    sampler = compile_model(model, ["x"]).sampler
    points = np.array([sampler.initial_point(seed) for seed in range(20)])
    assert np.isfinite([sampler.density_at(point)[0] for point in points]).all()
    assert len(np.unique(points[:, 0])) == 20
