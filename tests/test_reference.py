"""Fits agree with what lme4, glmmTMB, ordinal and brms find on the same tables."""

import pytest

from tests.reference_agreement import ENTRIES, SEEDS, build, compare, worst_r_hat

FAST = [name for name, entry in ENTRIES.items() if entry.fast]
REST = [name for name, entry in ENTRIES.items() if not entry.fast]


def _agrees(name: str) -> None:
    model = build(name)
    for seed in SEEDS:
        fit = model.fit(seed=seed, progress=False)
        assert fit.complete
        assert int(fit.sample_stats["diverging"].sum()) == 0, f"divergences with seed {seed}"
        assert worst_r_hat(fit) < 1.01, f"R-hat with seed {seed}"
        outside = [row for row in compare(name, fit) if not row.holds]
        assert not outside, f"seed {seed}: {outside}"


@pytest.mark.sampling
@pytest.mark.parametrize("name", FAST)
def test_agrees(name: str) -> None:
    _agrees(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", REST)
def test_agrees_too(name: str) -> None:
    _agrees(name)
