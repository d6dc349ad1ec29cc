"""Maximum likelihood with dummies: closed forms, another optimiser, and estimates at infinity."""

import numpy as np
import pytest
from scipy import optimize, special, stats

from bayesml.errors import FitError
from bayesml.quantities.dummy_likelihoods import GroupedOutcome, dummy_likelihood
from bayesml.quantities.dummy_regression import single_blocks

UNITS = 6


def outcome_of(
    y: np.ndarray, link: str, trials: np.ndarray | None = None, offset: np.ndarray | None = None
) -> GroupedOutcome:
    return GroupedOutcome(
        np.asarray(y, dtype=float),
        link,
        np.ones(len(y)) if trials is None else trials.astype(float),
        np.zeros(len(y)) if offset is None else offset,
    )


def intercepts(index: np.ndarray) -> list:
    return single_blocks(index, np.ones((len(index), 1)), int(index.max()) + 1)


_LINKS = {
    "logit": (special.logit, special.expit),
    "probit": (stats.norm.ppf, stats.norm.cdf),
    "cloglog": (lambda p: np.log(-np.log1p(-p)), lambda eta: -np.expm1(-np.exp(eta))),
}


@pytest.mark.parametrize("link", list(_LINKS))
def test_intercepts_of_units_are_the_links_of_their_shares(link: str) -> None:
    rng = np.random.default_rng(1)
    index, trials = np.arange(UNITS).repeat(5), rng.integers(1, 9, 5 * UNITS)
    y = rng.binomial(trials, 0.5)
    forward, inverse = _LINKS[link]
    number = np.bincount(index, trials)
    share = np.bincount(index, y) / number
    found = dummy_likelihood(
        outcome_of(y, link, trials), np.empty((len(y), 0)), intercepts(index), UNITS
    )
    assert found.units == pytest.approx(forward(share), abs=1e-8)
    step = 1e-5
    slope = (inverse(found.units + step) - inverse(found.units - step)) / (2 * step)
    information = number * slope**2 / (share * (1 - share))
    assert found.units_se == pytest.approx(1 / np.sqrt(information), rel=1e-4)


def test_intercepts_of_counts_are_log_rates() -> None:
    rng = np.random.default_rng(2)
    index, exposure = np.arange(UNITS).repeat(4), rng.uniform(1, 5, 4 * UNITS)
    y = rng.poisson(2 * exposure)
    found = dummy_likelihood(
        outcome_of(y, "log", offset=np.log(exposure)),
        np.empty((len(y), 0)),
        intercepts(index),
        UNITS,
    )
    total = np.bincount(index, y)
    assert found.units == pytest.approx(np.log(total / np.bincount(index, exposure)), abs=1e-9)
    assert found.units_se == pytest.approx(1 / np.sqrt(total), rel=1e-6)


def minus_log_likelihood(coefficients: np.ndarray, matrix: np.ndarray, case: dict) -> float:
    eta = matrix @ coefficients + case["offset"]
    if case["link"] == "log":
        return -float(stats.poisson.logpmf(case["y"], np.exp(eta)).sum())
    mean = _LINKS[case["link"]][1](eta)
    return -float(stats.binom.logpmf(case["y"], case["trials"], mean).sum())


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "log"])
def test_slopes_and_common_coefficients_against_another_optimiser(link: str) -> None:
    rng = np.random.default_rng(3)
    index = np.arange(UNITS).repeat(30)
    rows = len(index)
    z, x, offset = rng.normal(size=rows), rng.normal(size=(rows, 2)), rng.normal(0, 0.3, rows)
    matrix = np.zeros((rows, UNITS, 2))
    matrix[np.arange(rows), index, 0], matrix[np.arange(rows), index, 1] = 1.0, z
    matrix = np.column_stack([matrix.reshape(rows, -1), x])
    eta = matrix @ rng.normal(0, 0.4, matrix.shape[1]) + offset
    trials = rng.integers(1, 5, rows)
    mean = np.exp(eta) if link == "log" else _LINKS[link][1](eta)
    y = rng.poisson(mean) if link == "log" else rng.binomial(trials, mean)
    case = {"y": y, "link": link, "trials": trials, "offset": offset}
    best = optimize.minimize(
        minus_log_likelihood,
        np.zeros(matrix.shape[1]),
        (matrix, case),
        method="BFGS",
        options={"gtol": 1e-6, "maxiter": 1000},
    )
    blocks = single_blocks(index, np.column_stack([np.ones(rows), z]), UNITS)
    trials = np.ones(rows) if link == "log" else trials
    found = dummy_likelihood(outcome_of(y, link, trials, offset), x, blocks, 2 * UNITS)
    estimates = np.concatenate([found.units, found.common])
    # The other optimiser ends where its numerical gradient does.
    assert estimates == pytest.approx(best.x, abs=2e-4)
    reached = minus_log_likelihood(estimates, matrix, case)
    assert reached <= best.fun + 1e-9
    if link in ("logit", "log"):  # expected and observed information are the same

        def gradient(at: np.ndarray) -> np.ndarray:
            return optimize.approx_fprime(at, minus_log_likelihood, 1e-6, matrix, case)

        steps = np.eye(len(estimates)) * 1e-4
        hessian = [(gradient(estimates + one) - gradient(estimates - one)) / 2e-4 for one in steps]
        errors = np.sqrt(np.diag(np.linalg.inv(np.array(hessian))))
        assert np.concatenate([found.units_se, found.common_se]) == pytest.approx(errors, rel=0.02)


def test_units_at_one_end_are_infinite_and_leave_the_others_alone() -> None:
    rng = np.random.default_rng(4)
    index = np.arange(UNITS).repeat(20)
    x = rng.normal(size=(len(index), 1))
    y = rng.binomial(1, 0.5, len(index))
    y[index == 2], y[index == 4] = 0, 1
    found = dummy_likelihood(outcome_of(y, "logit"), x, intercepts(index), UNITS)
    assert found.units[[2, 4]].tolist() == [-np.inf, np.inf]
    assert np.isnan(found.units_se[[2, 4]]).all()
    assert (found.fitted[index == 2] == -np.inf).all()
    assert (found.fitted[index == 4] == np.inf).all()
    kept = ~np.isin(index, [2, 4])
    alone = dummy_likelihood(outcome_of(y[kept], "logit"), x[kept], intercepts(index[kept]), UNITS)
    assert found.common == pytest.approx(alone.common, abs=1e-9)
    rest = [0, 1, 3, 5]
    assert found.units[rest] == pytest.approx(alone.units[rest], abs=1e-9)
    assert found.units_se[rest] == pytest.approx(alone.units_se[rest], rel=1e-9)


def test_units_without_a_count_are_minus_infinity() -> None:
    index = np.array([0, 0, 1, 1, 2])
    y = np.array([0, 0, 3, 1, 0])
    found = dummy_likelihood(outcome_of(y, "log"), np.empty((5, 0)), intercepts(index), 3)
    assert found.units.tolist() == [-np.inf, pytest.approx(np.log(2.0)), -np.inf]
    nothing = dummy_likelihood(outcome_of(y * 0, "log"), np.empty((5, 0)), intercepts(index), 3)
    assert nothing.units.tolist() == [-np.inf] * 3


def test_a_slope_that_separates_a_unit_is_infinite() -> None:
    index = np.arange(2).repeat(6)
    z = np.array([0.0, 0, 0, 1, 1, 1] * 2)
    # In unit 0 every row with z = 1 is a success, without it a third; unit 1 has both everywhere.
    y = np.array([0, 0, 1, 1, 1, 1, 0, 0, 1, 0, 1, 1])
    blocks = single_blocks(index, np.column_stack([np.ones(12), z]), 2)
    found = dummy_likelihood(outcome_of(y, "logit"), np.empty((12, 0)), blocks, 4)
    logit = special.logit
    assert found.units[0] == pytest.approx(logit(1 / 3))
    assert found.units[1] == np.inf
    assert found.units[2:] == pytest.approx([logit(1 / 3), logit(2 / 3) - logit(1 / 3)])


def test_a_common_predictor_that_separates_the_outcomes_is_infinite() -> None:
    y = np.array([0, 0, 0, 1, 1, 1])
    x = np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])[:, None]
    found = dummy_likelihood(outcome_of(y, "logit"), x, [], 0)
    assert found.common.tolist() == [np.inf]
    assert np.isnan(found.common_se).all()


def test_what_may_go_to_either_infinity_is_not_determined() -> None:
    # All outcomes of unit 0 are 0: its intercept falls, and its slope may fall or rise.
    index = np.arange(2).repeat(4)
    z = np.array([0.0, 1, 2, 1, 0, 1, 2, 1])
    y = np.array([0, 0, 0, 0, 1, 0, 1, 1])
    blocks = single_blocks(index, np.column_stack([np.ones(8), z]), 2)
    found = dummy_likelihood(outcome_of(y, "log"), np.empty((8, 0)), blocks, 4)
    assert found.units[0] == -np.inf
    assert np.isnan(found.units[1])
    assert np.isfinite(found.units[2:]).all()
    # Without an intercept the slope can only fall.
    alone = single_blocks(index, z[:, None], 2)
    found = dummy_likelihood(outcome_of(y, "log"), np.empty((8, 0)), alone, 2)
    assert found.units[0] == -np.inf


def ridge(matrix: np.ndarray, y: np.ndarray, link: str, penalty: float) -> np.ndarray:
    """Return the penalised estimates by Newton steps of bounded length."""
    found = np.zeros(matrix.shape[1])
    for _ in range(400):
        eta = matrix @ found
        mean = special.expit(eta) if link == "logit" else np.exp(eta)
        weight = mean * (1 - mean) if link == "logit" else mean
        gradient = matrix.T @ (y - mean) - penalty * found
        hessian = (matrix.T * weight) @ matrix + penalty * np.eye(len(found))
        step = np.linalg.solve(hessian, gradient)
        found = found + step * min(1, 2 / np.abs(step).max())
        if np.abs(step).max() < 1e-9:
            break
    return found


@pytest.mark.parametrize("seed", range(40))
def test_infinite_estimates_are_those_that_a_vanishing_penalty_lets_go(seed: int) -> None:
    rng = np.random.default_rng(seed)
    units, rows = int(rng.integers(2, 5)), int(rng.integers(8, 30))
    link = ("logit", "log")[seed % 2]
    index = np.r_[np.arange(units), rng.integers(0, units, rows - units)]
    x = rng.normal(size=(rows, 1))
    y = rng.binomial(1, 0.3, rows) if link == "logit" else rng.poisson(0.5, rows)
    terms = np.column_stack([np.ones(rows), rng.integers(0, 3, rows)])[:, : 1 + seed % 3 % 2]
    matrix = np.zeros((rows, units, terms.shape[1]))
    matrix[np.arange(rows), index] = terms
    matrix = np.column_stack([matrix.reshape(rows, -1), x])
    blocks = single_blocks(index, terms, units)
    found = dummy_likelihood(outcome_of(y, link), x, blocks, units * terms.shape[1])
    estimates = np.concatenate([found.units, found.common])
    strong, weak = ridge(matrix, y, link, 1e-5), ridge(matrix, y, link, 1e-8)
    finite, infinite = np.isfinite(estimates), np.isinf(estimates)
    assert weak[finite] == pytest.approx(estimates[finite], rel=0.01, abs=0.01)
    # The penalised estimates move on in the direction of the infinity.
    assert ((weak - strong) * np.sign(np.where(infinite, estimates, 0)) > 0.02)[infinite].all()


def test_a_gaussian_outcome_takes_its_offset_off() -> None:
    index = np.array([0, 0, 1, 1])
    outcome = outcome_of(np.array([1.0, 3.0, 5.0, 9.0]), "identity", offset=np.full(4, 1.0))
    found = dummy_likelihood(outcome, np.empty((4, 0)), intercepts(index), 2)
    assert found.units == pytest.approx([1.0, 6.0])
    assert found.variance == pytest.approx((1 + 1 + 4 + 4) / 2)


def test_steps_that_do_not_settle_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bayesml.quantities.dummy_likelihoods._MOST_STEPS", 1)
    with pytest.raises(FitError, match=r"did not settle in 1 steps.*similar scales"):
        dummy_likelihood(outcome_of(np.array([0, 1, 1, 0, 3]), "log"), np.ones((5, 1)), [], 0)
