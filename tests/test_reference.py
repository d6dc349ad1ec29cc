"""Fits agree with what lme4, glmmTMB, ordinal and brms find on the same tables.

Gaussian models are drawn by the marginal engine, as users get them, and in `make test-all` by the
conditional one as well.
"""

import pytest

from tests.reference_agreement import (
    ENTRIES,
    SEEDS,
    build,
    compare,
    divergences,
    gaussian,
    worst_r_hat,
)

GAUSSIAN = [name for name in ENTRIES if gaussian(name)]
# 1,721 children with two terms each take the marginal engine ten times as long as the others.
# Without it the chains of the two papers of 1,905 pupils take a minute.
QUICK = [name for name in GAUSSIAN if not name.startswith(("egsingle", "gcsemv"))]
FAST = [name for name, entry in ENTRIES.items() if entry.fast or name in QUICK]
REST = [name for name in ENTRIES if name not in FAST]


def _agrees(name: str, engine: str) -> None:
    model = build(name)
    for seed in SEEDS:
        fit = model.fit(seed=seed, progress=False, engine=engine)
        assert fit.complete
        assert fit.engine == ("marginal" if gaussian(name) and engine == "auto" else "pymc")
        assert divergences(fit) == 0, f"divergences with seed {seed}"
        assert worst_r_hat(fit) < 1.01, f"R-hat with seed {seed}"
        outside = [row for row in compare(name, fit) if not row.holds]
        assert not outside, f"seed {seed}: {outside}"


@pytest.mark.sampling
@pytest.mark.parametrize("name", FAST)
def test_agrees(name: str) -> None:
    _agrees(name, "auto")


@pytest.mark.slow
@pytest.mark.parametrize("name", REST)
def test_agrees_too(name: str) -> None:
    _agrees(name, "auto")


@pytest.mark.slow
@pytest.mark.parametrize("name", GAUSSIAN)
def test_the_conditional_model_agrees(name: str) -> None:
    _agrees(name, "pymc")
