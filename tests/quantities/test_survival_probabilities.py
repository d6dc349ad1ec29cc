"""Survival and medians against SciPy, averages over effects against brute force."""

import numpy as np
import pytest
from scipy import special

from bayesml.quantities.log_likelihoods import RowLikelihood
from bayesml.quantities.survival_probabilities import (
    mean_over_normal,
    median_duration,
    survival_probability,
)
from bayesml.specs.families import FAMILIES
from tests.family_rows import DURATIONS, ROWS

ETA = np.array([[-0.4, 0.3, 1.5]])


@pytest.mark.parametrize("family", DURATIONS)
def test_survival_and_median_are_scipys(family: str) -> None:
    row, durations = ROWS[f"{family} log"], FAMILIES[family].durations
    assert durations is not None
    found = row.distribution(np.exp(ETA), row.parameters, 1)
    for time in (0.01, 1.0, 7.0):
        np.testing.assert_allclose(
            survival_probability(durations, time, ETA, row.parameters), found.sf(time), rtol=1e-9
        )
    assert (survival_probability(durations, 0.0, ETA, row.parameters) == 1).all()
    np.testing.assert_allclose(
        median_duration(durations, ETA, row.parameters), found.median(), rtol=1e-9
    )


@pytest.mark.parametrize("family", DURATIONS)
def test_averages_over_effects_are_those_of_many_units(family: str) -> None:
    row, durations = ROWS[f"{family} log"], FAMILIES[family].durations
    assert durations is not None
    variance = np.array([[0.5]])
    u = np.sqrt(0.5) * special.ndtri((np.arange(200_000) + 0.5) / 200_000)
    time = 1.3
    found = survival_probability(durations, time, ETA[:, :1], row.parameters, variance)
    brute = row.distribution(np.exp(ETA[0, 0] + u), row.parameters, 1).sf(time).mean()
    assert float(found[0, 0]) == pytest.approx(brute, rel=1e-5)
    median = float(median_duration(durations, ETA[:, :1], row.parameters, variance)[0, 0])
    at_median = row.distribution(np.exp(ETA[0, 0] + u), row.parameters, 1).sf(median).mean()
    assert at_median == pytest.approx(0.5, abs=1e-5)


def test_steep_functions_keep_their_average() -> None:
    # E Phi(a + b z) = Phi(a / sqrt(1 + b^2)).
    for sd in (0.2, 1.0, 5.0):
        found = mean_over_normal(special.ndtr, np.array(0.7), np.array(sd**2))
        assert float(found) == pytest.approx(special.ndtr(0.7 / np.sqrt(1 + sd**2)), abs=1e-8)


@pytest.mark.parametrize("family", DURATIONS)
def test_censored_log_likelihoods_are_scipys(family: str) -> None:
    row = ROWS[f"{family} log"]
    y, upper = np.array([2.0, 2.0, 2.0, 2.0, 5.0])[:, None], np.full((5, 1), 3.5)
    code = np.array([1, 0, 2, 3, 0])[:, None]
    entry = np.array([0.0, 0.0, 0.0, 1.0, 4.0])[:, None]
    given = {"censoring": code, "upper_bound": upper, "entry_time": entry}
    eta = np.broadcast_to(ETA, (5, 3))
    found = RowLikelihood(family, "log", y, {**row.parameters, **given})(eta)
    scipys = row.distribution(np.exp(ETA[0]), row.parameters, 1)
    expected = [
        scipys.logpdf(2.0),
        scipys.logsf(2.0),
        scipys.logcdf(2.0),
        np.log(scipys.sf(2.0) - scipys.sf(3.5)) - scipys.logsf(1.0),
        scipys.logsf(5.0) - scipys.logsf(4.0),
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-8)


@pytest.mark.parametrize("family", DURATIONS)
def test_tails_keep_their_digits(family: str) -> None:
    row = ROWS[f"{family} log"]
    y, upper = np.array([[1.0]]), np.array([[1.5]])
    code = {kind: np.array([[kind]]) for kind in (0, 2, 3)}
    # Far above and far below the data, where probabilities round to 0 and 1.
    for eta in (-3.0, 9.0):
        for kind, known in code.items():
            given = {"censoring": known, "upper_bound": upper, **row.parameters}
            found = RowLikelihood(family, "log", y, given)(np.full((1, 2), eta))
            assert np.isfinite(found).all(), (kind, eta)
    given = {"censoring": code[3], "upper_bound": upper, **row.parameters}
    scipys = row.distribution(np.exp(9.0), row.parameters, 1)
    # So near 0 the cdf has the digits that the survival function has lost.
    between = np.log(scipys.cdf(1.5) - scipys.cdf(1.0))
    found = RowLikelihood(family, "log", y, given)(np.full((1, 1), 9.0))
    assert float(found[0, 0]) == pytest.approx(float(between), rel=1e-7)
