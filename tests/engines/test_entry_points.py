"""The C functions read their data from a block of addresses and come back from disk."""

from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from pytensor.link.numba import cache

from bayesml.engines.c_functions import data_block
from bayesml.engines.compiled_models import ParameterLayout
from bayesml.engines.entry_points import (
    load_entry,
    log_density_source,
    make_entry,
)
from bayesml.engines.nutpie_model import EntryPointModel

LAYOUT = [("float64", 1), ("int64", 0), ("float64", 2)]


def graph(power: int, key: str) -> Any:
    """Return a stand-in for PyTensor's function: sum(weights * x ** power) + constant."""
    source = f"""\
def density(x, constant, weights, table):
    value = constant + table[1, 0] + (weights * x**{power}).sum()
    return np.asarray(value), {power} * weights * x ** ({power} - 1)
"""
    function = cache.compile_numba_function_src(source, "density", {"np": np}, cache_key=key)
    return numba.njit(cache=True)(function)


def evaluate(
    entry: Any, arrays: dict[str, np.ndarray], x: list[float]
) -> tuple[float, list[float]]:
    layout = ParameterLayout({"x": (len(x),)}, {}, np.zeros(len(x)), np.ones(len(x)))
    model = EntryPointModel(
        dims={}, log_density=entry, kept_values=entry, data=data_block(arrays), layout=layout
    )
    value, gradient = model.density_at(np.array(x))
    return value, gradient.tolist()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cache, "NUMBA_CACHE_PATH", tmp_path)
    return tmp_path


ARRAYS = {
    "weights": np.array([1.0, 10.0]),
    "constant": np.array(5),
    "table": np.array([[0.0, 1.0], [100.0, 2.0]]),
}


def test_source_depends_on_ranks_and_not_on_lengths() -> None:
    source = log_density_source(2, LAYOUT, [1, 0, 2])
    assert "a0 = carray(as_pointer(data[2]), (), np.int64)" in source
    assert "a2 = carray(as_pointer(data[3]), (data[4], data[5], ), np.float64)" in source


def test_an_unknown_dtype_is_refused() -> None:
    with pytest.raises(TypeError, match="complex128"):
        log_density_source(2, [("complex128", 1)], [0])


@pytest.mark.sampling
def test_the_function_reads_its_data(folder: Path) -> None:
    source = log_density_source(2, LAYOUT, [1, 0, 2])
    entry = make_entry(source, graph(2, "square"))
    # 5 + 100 + 1 * 3**2 + 10 * 2**2
    assert evaluate(entry, ARRAYS, [3.0, 2.0]) == (154.0, [6.0, 40.0])
    other = ARRAYS | {"constant": np.array(-5), "weights": np.array([2.0, 0.0])}
    assert evaluate(entry, other, [3.0, 2.0]) == (113.0, [12.0, 0.0])


@pytest.mark.sampling
def test_another_graph_never_meets_this_machine_code(folder: Path) -> None:
    source = log_density_source(2, LAYOUT, [1, 0, 2])
    assert load_entry(source, "square") is None
    assert not make_entry(source, graph(2, "square")).from_cache
    cubed = make_entry(source, graph(3, "cube"))
    assert not cubed.from_cache
    assert evaluate(cubed, ARRAYS, [3.0, 2.0])[0] == 212.0
    loaded = load_entry(source, "square")
    assert loaded is not None
    assert loaded.from_cache
    assert evaluate(loaded, ARRAYS, [3.0, 2.0])[0] == 154.0
    assert load_entry(log_density_source(3, LAYOUT, [1, 0, 2]), "square") is None


@pytest.mark.sampling
@pytest.mark.parametrize("ending", ["nbi", "nbc"])
def test_a_damaged_file_is_made_anew(folder: Path, ending: str) -> None:
    source = log_density_source(2, LAYOUT, [1, 0, 2])
    square = graph(2, "square")
    double = numba.float64
    square.compile(
        (double[::1], numba.types.Array(numba.int64, 0, "C"), double[::1], double[:, ::1])
    )
    of_graph = set(folder.iterdir())
    make_entry(source, square)
    (file,) = [file for file in set(folder.iterdir()) - of_graph if file.suffix == f".{ending}"]
    file.write_bytes(b"nonsense")
    assert load_entry(source, "square") is None
    entry = make_entry(source, square)
    assert evaluate(entry, ARRAYS, [3.0, 2.0])[0] == 154.0
    assert load_entry(source, "square") is not None
