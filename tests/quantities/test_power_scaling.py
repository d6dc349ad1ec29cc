"""Power-scaling sensitivity against refitting with a scaled component, which here is exact."""

import numpy as np
import pytest
from scipy import stats

from bayesml.quantities.power_scaling import power_scaling_sensitivity


@pytest.mark.parametrize(
    ("prior", "data", "gap"), [(1.0, 4.0, 1.0), (4.0, 1.0, 2.0), (1.0, 9.0, 0)]
)
def test_a_scaled_normal_prior(prior: float, data: float, gap: float) -> None:
    rng = np.random.default_rng(1)
    precision = prior + data
    draws = rng.normal(data * gap / precision, precision**-0.5, size=(4, 5000, 1))
    log_prior = stats.norm.logpdf(draws[..., 0], 0, prior**-0.5)
    found = power_scaling_sensitivity(draws, log_prior)[0]
    # The measure integrates over the range of the draws, the exact one over the whole line.
    assert found == pytest.approx(exact_sensitivity_within(draws, prior, data, gap), rel=0.1)


def exact_sensitivity_within(draws: np.ndarray, prior: float, data: float, gap: float) -> float:
    """The exact sensitivity with the integrals over the range of the draws."""
    grid = np.linspace(draws.min(), draws.max(), 100_001)
    step = grid[1] - grid[0]
    found = []
    for alpha in (0.99, 1.01):
        values = []
        for sign in (1, -1):
            at = sign * grid[::sign]
            cdfs = []
            for power in (1.0, alpha):
                precision = power * prior + data
                mean = sign * data * gap / precision
                cdfs.append(stats.norm.cdf(at, mean, precision**-0.5))
            p, q = cdfs
            middle = np.log2((p + q) / 2)
            forth = (p * (np.log2(p) - middle)).sum() + (q - p).sum() / (2 * np.log(2))
            back = (q * (np.log2(q) - middle)).sum() + (p - q).sum() / (2 * np.log(2))
            values.append(np.sqrt((forth + back) * step / ((p + q).sum() * step)))
        found.append(max(values) / abs(np.log2(alpha)))
    return float(np.mean(found))


def test_a_component_that_says_nothing() -> None:
    draws = np.random.default_rng(2).normal(size=(2, 500, 3))
    assert power_scaling_sensitivity(draws, np.full((2, 500), -3.0)).tolist() == [0, 0, 0]


def test_scalars_without_an_answer() -> None:
    rng = np.random.default_rng(3)
    draws = rng.normal(size=(2, 500, 3))
    draws[:, :, 1] = 1.0
    draws[0, 0, 2] = np.nan
    found = power_scaling_sensitivity(draws, rng.normal(size=(2, 500)))
    assert np.isfinite(found[0])
    assert np.isnan(found[1:]).all()
    infinite = np.zeros((2, 500))
    infinite[0, 0] = -np.inf
    assert np.isnan(power_scaling_sensitivity(draws, infinite)).all()
