"""Finished chains survive on disk, and chains of another run are refused."""

from pathlib import Path

import numpy as np
import pytest

from bayesml.engines.chains import ChainDraws
from bayesml.errors import FitError
from bayesml.records.fitting import clear
from bayesml.records.parts import read_parts, record_seed, recorded_seed, write_part


def _chain(number: int) -> ChainDraws:
    rng = np.random.default_rng(number)
    return ChainDraws(
        chain=number,
        seed=number + 7,
        draws=5,
        tune=5,
        posterior={"beta": rng.normal(size=(5, 2))},
        sample_stats={"diverging": rng.random(5) < 0.5},
        seconds=0.5,
        complete=True,
    )


def test_round_trip(tmp_path: Path) -> None:
    for number in (2, 0):
        write_part(tmp_path, "mark", _chain(number))
    found = read_parts(tmp_path, "mark")
    assert [item.chain for item in found] == [0, 2]
    for item in found:
        expected = _chain(item.chain)
        np.testing.assert_array_equal(item.posterior["beta"], expected.posterior["beta"])
        np.testing.assert_array_equal(
            item.sample_stats["diverging"], expected.sample_stats["diverging"]
        )
        assert (item.seed, item.draws, item.complete) == (expected.seed, 5, True)


def test_another_run_is_refused(tmp_path: Path) -> None:
    write_part(tmp_path, "mark", _chain(0))
    with pytest.raises(FitError, match="belongs to a run with another model"):
        read_parts(tmp_path, "another mark")


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    path = write_part(tmp_path, "mark", _chain(0))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(FitError, match="cannot be read"):
        read_parts(tmp_path, "mark")


def test_the_seed_is_kept_and_cleared(tmp_path: Path) -> None:
    folder = tmp_path / "fit.nc.parts"
    assert recorded_seed(folder) is None
    record_seed(folder, 11)
    write_part(folder, "mark", _chain(1))
    assert recorded_seed(folder) == 11
    clear(folder)
    assert not folder.exists()
