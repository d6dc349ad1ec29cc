"""The scales that make normal effects Student-t, against SciPy."""

import numpy as np
import pytest
from scipy import integrate, special, stats

from bayesml.quantities.student_effects import mixing_rule, student_spread


@pytest.mark.parametrize("nu", [2.1, 3.0, 8.0, 40.0])
@pytest.mark.parametrize("outcome", [0.0, 2.0, 15.0])
def test_the_rule_makes_a_normal_density_a_student_t_one(nu: float, outcome: float) -> None:
    """A residual of SD 0.8 beside an effect of SD 1.5."""
    scales, log_weights = mixing_rule(np.array([nu]))
    assert np.exp(log_weights).sum() == pytest.approx(1.0, abs=1e-4)
    found = special.logsumexp(
        stats.norm.logpdf(outcome, 0, np.hypot(0.8, 1.5 * scales[:, 0])) + log_weights[:, 0]
    )
    width = 1.5 * np.sqrt((nu - 2) / nu)

    def integrand(effect: float) -> float:
        return float(stats.t.pdf(effect / width, nu) / width * stats.norm.pdf(outcome, effect, 0.8))

    ends = sorted({-8 * 1.5, 0.0, outcome - 4, outcome, outcome + 4, 8 * 1.5})
    parts = [
        integrate.quad(integrand, low, high, epsabs=0, limit=200)[0]
        for low, high in zip([-400.0, *ends], [*ends, 400.0], strict=True)
    ]
    assert found == pytest.approx(np.log(sum(parts)), abs=2e-4)


def test_every_draw_has_a_rule_of_its_own() -> None:
    nu = np.array([2.5, 30.0])
    scales, log_weights = mixing_rule(nu)
    for place, value in enumerate(nu):
        alone = mixing_rule(np.array([value]))
        np.testing.assert_array_equal(scales[:, place], alone[0][:, 0])
        np.testing.assert_array_equal(log_weights[:, place], alone[1][:, 0])


def test_draws_of_scales_keep_the_variance() -> None:
    drawn = student_spread(np.array([6.0]), 200_000, np.random.default_rng(3))
    # Four standard errors: (nu - 2) / chi-squared has the variance 2 / (nu - 4).
    assert (drawn**2).mean() == pytest.approx(1.0, abs=4 * np.sqrt(1.0 / 200_000))
