"""K-fold of what belongs together: outcomes of a row, correlated residuals of a unit."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from bayesml.errors import FitError
from bayesml.records.fits import Fit
from bayesml.study import cross_validation
from bayesml.study.cross_validation import model_without

MakeFit = Callable[..., Fit]
Known = Callable[..., list[np.ndarray]]
RESIDUAL = np.array([[1.0, 0.4], [0.4, 1.0]])
SIGMA = np.array([0.8, 1.3])


@pytest.fixture
def known_fits(monkeypatch: pytest.MonkeyPatch, fake_fit: MakeFit) -> Known:
    """Put fits with known parameters in the place of sampling; return what was left out."""

    def with_values(**values: Any) -> list[np.ndarray]:
        seen: list[np.ndarray] = []

        def instead(model: bml.Model, left_out: np.ndarray, **_: object) -> Fit:
            seen.append(left_out)
            return fake_fit(model_without(model, left_out), draws=5, values=values)

        monkeypatch.setattr(cross_validation, "fit_without", instead)
        return seen

    return with_values


def pairs() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"a": rng.normal(size=30), "b": rng.normal(1, 2, 30), "x": 0.0})
    table["g"] = np.arange(30) // 5
    table.loc[[3, 17], "b"] = np.nan
    return table


@pytest.fixture
def two_outcomes() -> bml.Model:
    with warnings.catch_warnings():
        # Outcomes that are missing, few groups.
        warnings.simplefilter("ignore", bml.BayesmlWarning)
        return bml.multivariate(pairs(), "1", outcomes=["a", "b"], group="g")


VALUES: dict[str, Any] = {
    "beta": np.array([[0.1], [0.9]]),
    "sd_g": [0.5, 0.7],
    "corr_g": np.array([[1.0, 0.3], [0.3, 1.0]]),
    "u_g": [0.2, -0.1],
    "sigma": SIGMA,
    "corr_residual": RESIDUAL,
}


def test_rows_of_the_table_are_left_out_with_all_their_outcomes(
    two_outcomes: bml.Model, known_fits: Known
) -> None:
    seen = known_fits(**VALUES)
    found = bml.kfold(two_outcomes, k=4, seed=1)
    table = pairs()
    assert found.by == "row"
    assert found.pointwise.index.tolist() == list(range(30))
    assert found.pointwise["rows"].tolist() == [1 if row in (3, 17) else 2 for row in range(30)]
    covariance = RESIDUAL * np.outer(SIGMA, SIGMA)
    for row in range(30):
        y = table.loc[row, ["a", "b"]].to_numpy(dtype=float)
        # The groups are known from their other rows.
        mean = np.array([0.3, 0.8])
        there = ~np.isnan(y)
        exact = stats.multivariate_normal.logpdf(
            y[there], mean[there], covariance[np.ix_(there, there)]
        )
        assert found.pointwise.loc[row, "elpd"] == pytest.approx(exact)
    # Both outcomes of a row are in one fold.
    position = two_outcomes.design.rows.positions // 2
    folds = [set(position[rows]) for rows in seen]
    assert sum(map(len, folds)) == len(set.union(*folds)) == 30


def test_units_of_several_outcomes_are_integrated_out(
    two_outcomes: bml.Model, known_fits: Known
) -> None:
    known_fits(**VALUES)
    found = bml.kfold(two_outcomes, by="g", k=6)
    sigma = VALUES["corr_g"] * np.outer(VALUES["sd_g"], VALUES["sd_g"])
    table = pairs()
    for unit in range(6):
        y = table.loc[table["g"] == unit, ["a", "b"]].to_numpy(dtype=float)
        covariance = np.kron(np.ones((5, 5)), sigma) + np.kron(
            np.eye(5), RESIDUAL * np.outer(SIGMA, SIGMA)
        )
        there = ~np.isnan(y.ravel())
        exact = stats.multivariate_normal.logpdf(
            y.ravel()[there], np.tile([0.1, 0.9], 5)[there], covariance[np.ix_(there, there)]
        )
        assert found.pointwise.loc[unit, "elpd"] == pytest.approx(exact)


def test_outcomes_of_different_families(known_fits: Known) -> None:
    table = pairs().assign(b=lambda t: (t["a"] > 0.2).astype(int))
    model = bml.multivariate(
        table, "1", outcomes=["a", "b"], group="g", family={"a": "gaussian", "b": "binomial"}
    )
    known_fits(beta=np.array([[0.1], [0.9]]), u_g=[0.2, -0.1], sigma=0.8)
    found = bml.kfold(model, k=3)
    chance = 1 / (1 + np.exp(-0.8))
    exact = stats.norm.logpdf(table["a"], 0.3, 0.8) + stats.bernoulli.logpmf(table["b"], chance)
    np.testing.assert_allclose(found.pointwise["elpd"], exact)


def children(rows: int = 24) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    return pd.DataFrame(
        {
            "y": rng.normal(size=rows),
            "week": np.arange(rows) % 4,
            "day": (np.arange(rows) % 4) * 7.0 + rng.uniform(0, 2, rows),
            "child": [f"c{n // 4}" for n in range(rows)],
            "school": np.arange(rows) // 12,
        }
    )


@pytest.mark.parametrize("structure", ["ar1(week, child)", "continuous_ar(day, child)"])
@pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning")
def test_units_of_residuals_are_left_out_whole(structure: str, known_fits: Known) -> None:
    model = bml.model(children(), "y ~ 1 + (1 | school)", residual=structure)
    seen = known_fits(beta=0.2, phi=0.8, sigma=1.1, u_school=0.3, sd_school=0.5)
    found = bml.kfold(model, k=3)
    assert found.by == "child"
    assert found.pointwise.index.tolist() == [f"c{number}" for number in range(6)]
    assert [len(rows) for rows in seen] == [8, 8, 8]
    time = children()["week" if structure.startswith("ar1") else "day"].to_numpy()
    for number in range(6):
        own = slice(4 * number, 4 * number + 4)
        apart = np.abs(np.subtract.outer(time[own], time[own]))
        covariance = 1.1**2 * 0.8**apart
        exact = stats.multivariate_normal.logpdf(children()["y"][own], np.full(4, 0.5), covariance)
        assert found.pointwise.loc[f"c{number}", "elpd"] == pytest.approx(exact)
    schools = bml.kfold(model, by="school", k=2)
    for number in range(2):
        own = slice(12 * number, 12 * number + 12)
        apart = np.abs(np.subtract.outer(time[own], time[own]))
        same = np.kron(np.eye(3), np.ones((4, 4)))
        covariance = 1.1**2 * same * 0.8**apart + 0.25
        exact = stats.multivariate_normal.logpdf(children()["y"][own], np.full(12, 0.2), covariance)
        assert schools.pointwise.loc[number, "elpd"] == pytest.approx(exact)


@pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning")
def test_units_that_cut_residuals_apart_are_refused() -> None:
    model = bml.model(children(), "y ~ 1 + (1 | week)", residual="ar1(week, child)")
    with pytest.raises(FitError, match=r"unit of 'week', and the residuals.*Leave by out"):
        bml.kfold(model, by="week", k=2)


@pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning")
def test_the_prior_of_continuous_time_holds_at_the_gap_of_the_whole_table() -> None:
    table = children()
    table.loc[table["child"] == "c0", "day"] *= 10
    model = bml.model(table, "y ~ 1", residual="continuous_ar(day, child)")
    rest = model_without(model, np.arange(4, 24))
    assert float(rest.data["median_gap"]) == float(model.data["median_gap"])
    np.testing.assert_allclose(
        rest.data["gap"][1:], np.diff(table["day"][:4]) / float(model.data["median_gap"])
    )


@pytest.mark.sampling
@pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning")
def test_refits_agree_with_leaving_units_out_by_weights() -> None:
    model = bml.model(
        bml.load_dataset("orthodont"),
        "distance ~ age * Sex + (1 | Subject)",
        residual="ar1(Subject)",
    )
    run = {"draws": 1000, "tune": 500, "chains": 4, "seed": 1, "progress": False}
    by_weights = bml.logo(model.fit(**run), "Subject").pointwise["elpd"]
    refitted = bml.kfold(model, k=27, **run).pointwise["elpd"]
    # One unit weighs so much that importance sampling is off by some tenths there.
    difference = refitted.to_numpy() - by_weights.to_numpy()
    assert np.abs(np.median(difference)) < 0.05
    assert refitted.sum() == pytest.approx(by_weights.sum(), abs=2.0)


@pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning")
def test_couples_are_left_out_together(known_fits: Known) -> None:
    rng = np.random.default_rng(5)
    table = pd.DataFrame(
        {"y": rng.normal(size=16), "couple": np.arange(16) // 2, "role": ["wife", "husband"] * 8}
    )
    model = bml.dyadic(table, "y ~ 1", dyad="couple", member="role")
    roles = list(model.facts.outcomes)
    covariance = RESIDUAL * np.outer(SIGMA, SIGMA)
    known_fits(beta=np.array([[0.1], [0.9]]), sigma=SIGMA, corr_residual=RESIDUAL)
    found = bml.kfold(model, k=4)
    assert found.by == "couple"
    for couple in range(8):
        own = table[table["couple"] == couple].set_index("role")["y"][roles]
        exact = stats.multivariate_normal.logpdf(own, [0.1, 0.9], covariance)
        assert found.pointwise.loc[str(couple), "elpd"] == pytest.approx(exact)
