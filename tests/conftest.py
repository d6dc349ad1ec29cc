"""Settings that every test shares."""

import os
from typing import TYPE_CHECKING, Any

import hypothesis
import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bayesml.records.fits import Fit
    from bayesml.records.modelling import Model

# Set before anything imports matplotlib; child processes inherit it.
os.environ["MPLBACKEND"] = "Agg"

# The first call of a function may import or compile, so no example has a deadline.
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")


# Files that take minutes: they come first, so that two workers end at about the same time.
LONG = (
    "test_reference.py",
    "test_notebooks.py",
    "test_templates.py",
    "test_engines_agree.py",
    "test_support_table.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file on one worker, where they share fits, but for reference models."""
    for item in items:
        apart = item.path.name == "test_reference.py"
        item.add_marker(pytest.mark.xdist_group(item.nodeid if apart else str(item.path)))
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.fixture(scope="session")
def fake_fit() -> "Callable[..., Fit]":
    """Return a function that makes a fit without sampling, from draws that the caller chooses.

    ``fake_fit(model, draws=50, chains=2, seed=1, asked=None, values={...})``: `values` holds
    arrays of shape (chains, draws, ...) by posterior name, or anything that broadcasts to it; the
    other variables get arbitrary draws of the right kind (SDs positive, correlation matrices of
    unit diagonal). `asked` is the number of draws per chain that were asked for.
    """
    from bayesml.engines.chains import ChainDraws
    from bayesml.records.fits import Fit
    from bayesml.records.fitting import _record, assemble, posterior_dims

    def make(
        model: "Model",
        *,
        draws: int = 50,
        chains: int = 2,
        seed: int = 1,
        asked: int | None = None,
        values: "Mapping[str, Any] | None" = None,
    ) -> "Fit":
        rng = np.random.default_rng(seed)
        shapes = {
            name: (chains, draws, *(len(model.coords[dim]) for dim in dims))
            for name, dims in posterior_dims(model).items()
        }
        unknown = set(values or {}) - set(shapes)
        assert not unknown, f"no such variables: {unknown}"
        posterior = {
            name: np.broadcast_to((values or {})[name], shape).astype(float)
            if name in (values or {})
            else _arbitrary(name, shape, rng)
            for name, shape in shapes.items()
        }
        statistics = {
            "diverging": np.zeros((chains, draws), dtype=bool),
            "energy": rng.normal(size=(chains, draws)),
            "tree_depth": np.full((chains, draws), 3),
            "reached_max_treedepth": np.zeros((chains, draws), dtype=bool),
            "n_steps": np.full((chains, draws), 7),
            "step_size": np.full((chains, draws), 0.5),
            "acceptance_rate": np.full((chains, draws), 0.9),
            "lp": rng.normal(size=(chains, draws)),
        }
        runs = [
            ChainDraws(
                chain=chain,
                seed=seed + chain,
                draws=draws,
                tune=draws,
                posterior={name: array[chain] for name, array in posterior.items()},
                sample_stats={name: array[chain] for name, array in statistics.items()},
                seconds=1.0,
                complete=asked is None or draws == asked,
            )
            for chain in range(chains)
        ]
        tree = assemble(model, runs, draws)
        tree.attrs |= _record(model, seed, asked or draws, draws, chains, 0.9)
        tree.attrs |= {"engine": "pymc", "engine_reason": "made for a test"}
        return Fit(tree)

    return make


def _arbitrary(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if name.startswith("corr_") and len(shape) == 2:
        # The one correlation of residuals.
        return rng.uniform(0.1, 0.5, size=shape)
    if name.startswith("corr_"):
        terms = shape[-1]
        factor = rng.normal(size=(*shape[:-2], terms, terms)) + 2 * np.eye(terms)
        covariance = factor @ np.swapaxes(factor, -1, -2)
        sd = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
        return covariance / sd[..., :, None] / sd[..., None, :]
    if name.startswith("cutpoints"):
        return np.sort(rng.normal(size=shape), axis=-1)
    if name == "sigma" or name.startswith("sd_"):
        return np.exp(rng.normal(-0.5, 0.1, size=shape))
    if name == "nu" or name.startswith("nu_"):
        # With a variance, and a kurtosis.
        return np.exp(rng.normal(2.0, 0.1, size=shape))
    if name.startswith("u_"):
        return rng.normal(size=shape[2:]) + 0.2 * rng.normal(size=shape)
    return 0.5 + 0.1 * rng.normal(size=shape)
