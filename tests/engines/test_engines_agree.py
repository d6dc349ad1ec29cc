"""The marginal and the conditional engine draw from the same posterior."""

import arviz as az
import numpy as np
import pytest

import bayesml as bml
from tests.reference_agreement import ENTRIES, build, gaussian, scalar_draws

GAUSSIAN = [name for name in ENTRIES if gaussian(name)]
# A varying slope; and crossed groupings, one of whose SDs is near zero.
FAST = ["exam_slope", "scots_verbal"]
SEED = 11
DRAWS = {"chains": 4, "tune": 1000, "seed": SEED, "progress": False}


def _agree(name: str, draws: int) -> None:
    model = build(name)
    ours = model.fit(engine="marginal", draws=draws, **DRAWS)
    theirs = model.fit(engine="pymc", draws=draws, **DRAWS)
    assert (ours.engine, theirs.engine) == ("marginal", "pymc")
    one, other = scalar_draws(ours), scalar_draws(theirs)
    assert list(one) == list(other)
    for label in one:
        _same_moments(label, one[label], other[label])
    for grouping in model.resolved.groupings:
        _same_effects(f"u_{grouping.identifier}", ours, theirs)


def _same_moments(label: str, one: np.ndarray, other: np.ndarray) -> None:
    """Means within 4 Monte Carlo errors, SDs within 5 % or 4 Monte Carlo errors of their own."""
    error = float(np.hypot(az.mcse(one), az.mcse(other)))
    assert abs(one.mean() - other.mean()) < 4 * error, label
    spread = 4 * float(np.hypot(az.mcse(one, method="sd"), az.mcse(other, method="sd")))
    assert abs(one.std() - other.std()) < max(0.05 * other.std(), spread), label


def _same_effects(name: str, ours: bml.Fit, theirs: bml.Fit) -> None:
    """Thousands of effects at once: their standardised differences are about normal."""
    one, other = (fit.posterior[name].values for fit in (ours, theirs))
    first, second = (draws.reshape(*draws.shape[:2], -1) for draws in (one, other))
    picked = np.unique(np.linspace(0, first.shape[2] - 1, 40).astype(int))
    z = []
    for i in picked:
        a, b = first[:, :, i], second[:, :, i]
        z.append((a.mean() - b.mean()) / np.hypot(az.mcse(a), az.mcse(b)))
    assert np.abs(z).max() < 5, name
    assert np.mean(np.abs(z) > 2) < 0.25, name
    ratio = first.std(axis=(0, 1)) / second.std(axis=(0, 1))
    assert abs(np.median(ratio) - 1) < 0.05, name


@pytest.mark.sampling
@pytest.mark.parametrize("name", FAST)
def test_the_engines_agree(name: str) -> None:
    _agree(name, 1000)


@pytest.mark.slow
@pytest.mark.parametrize("name", GAUSSIAN)
def test_the_engines_agree_with_many_draws(name: str) -> None:
    _agree(name, 4000)


def test_every_gaussian_reference_model_is_compared() -> None:
    assert {*GAUSSIAN} == {name for name in ENTRIES if build(name).spec.family == "gaussian"}
    assert set(FAST) <= set(GAUSSIAN)
