"""K-fold cross-validation against exact conditioning; real refits against leave-one-out."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from bayesml.errors import FitError
from bayesml.records.fits import Fit
from bayesml.study import cross_validation
from bayesml.study.cross_validation import (
    fit_without,
    held_out_scores,
    model_without,
)
from bayesml.study.unseen_rows import unfitted_rows
from tests.posterior.gaussian_posterior import Effects, GaussianModel, dummies, simulated

MakeFit = Callable[..., Fit]


@pytest.fixture(scope="module")
def truth() -> GaussianModel:
    """Twelve units of six rows, and three of one row, with a varying slope."""
    rng = np.random.default_rng(1)
    unit = np.concatenate([np.repeat(np.arange(12), 6), [12, 13, 14]])
    x = np.column_stack([np.ones(75), rng.uniform(-1, 1, size=75)])
    covariance = np.array([[0.5, 0.1], [0.1, 0.3]])
    return simulated(x, [Effects("g", dummies(unit), x, covariance)], sigma=0.7, seed=2)


@pytest.fixture(scope="module")
def model(truth: GaussianModel) -> bml.Model:
    unit = truth.groupings[0].membership.argmax(axis=1)
    table = pd.DataFrame({"y": truth.y, "x": truth.x[:, 1], "g": [f"u{n:02d}" for n in unit]})
    return bml.two_level(table, "y ~ x", group="g", slopes=["x"])


@pytest.fixture
def exact_fits(
    monkeypatch: pytest.MonkeyPatch, truth: GaussianModel, fake_fit: MakeFit
) -> list[np.ndarray]:
    """Put exact draws of the remaining rows in the place of sampling; return what was left out."""
    seen: list[np.ndarray] = []

    def instead(model: bml.Model, left_out: np.ndarray, **_: object) -> Fit:
        seen.append(left_out)
        kept = np.setdiff1d(np.arange(75), left_out)
        membership = truth.groupings[0].membership[kept]
        used = membership.any(axis=0)
        effects = Effects("g", membership[:, used], truth.x[kept], truth.groupings[0].covariance)
        rest = GaussianModel(truth.y[kept], truth.x[kept], [effects], truth.sigma)
        draws = rest.draws(2, 2000, seed=len(seen))
        return fake_fit(model_without(model, left_out), draws=2000, values=draws)

    monkeypatch.setattr(cross_validation, "fit_without", instead)
    return seen


def test_rows_against_the_closed_form(
    model: bml.Model, truth: GaussianModel, exact_fits: list[np.ndarray]
) -> None:
    found = bml.kfold(model, k=5, seed=3)
    assert sorted(np.concatenate(exact_fits).tolist()) == list(range(75))
    assert [len(rows) for rows in exact_fits] == [15] * 5
    for rows in exact_fits:
        rest = np.setdiff1d(np.arange(75), rows)
        whole = truth.covariance
        weights = np.linalg.solve(whole[np.ix_(rest, rest)], whole[np.ix_(rest, rows)]).T
        mean = weights @ truth.y[rest]
        variance = np.diag(whole)[rows] - (weights * whole[np.ix_(rows, rest)]).sum(axis=1)
        exact = stats.norm.logpdf(truth.y[rows], mean, np.sqrt(variance))
        # 4,000 independent draws: the mean density of a row has an error of one or two percent.
        np.testing.assert_allclose(found.pointwise["elpd"].iloc[rows], exact, atol=0.12)
        assert found.pointwise["fold"].iloc[rows].nunique() == 1
    assert found.kind == "kfold"
    assert list(found.pointwise.columns) == ["elpd", "cpo", "fold"]
    assert found.by_unit["rows"].sum() == 75
    assert found.by_unit["elpd"].sum() == pytest.approx(found.elpd)


def test_units_against_the_closed_form(
    model: bml.Model, truth: GaussianModel, exact_fits: list[np.ndarray]
) -> None:
    found = bml.kfold(model, by="g", k=15, seed=4)
    assert len(exact_fits) == 15
    unit = truth.groupings[0].membership.argmax(axis=1)
    exact = [truth.log_density(np.flatnonzero(unit == number)) for number in range(15)]
    np.testing.assert_allclose(found.pointwise["elpd"], exact, atol=0.12)
    assert found.pointwise.index.tolist() == [f"u{number:02d}" for number in range(15)]
    assert found.pointwise["rows"].tolist() == [6] * 12 + [1] * 3
    assert set(found.pointwise["method"]) == {"exact"}
    assert sorted(found.pointwise["fold"]) == list(range(1, 16))
    assert "Every part was predicted by a fit that had not seen it." in str(found)


def test_units_of_one_fold_are_predicted_one_by_one(
    model: bml.Model, truth: GaussianModel, exact_fits: list[np.ndarray]
) -> None:
    found = bml.kfold(model, by="g", k=4, seed=5)
    unit = truth.groupings[0].membership.argmax(axis=1)
    assert [len(np.unique(unit[rows])) for rows in exact_fits] == [4, 4, 4, 3]
    for rows in exact_fits:
        rest = np.setdiff1d(np.arange(75), rows)
        for number in np.unique(unit[rows]):
            own = np.flatnonzero(unit == number)
            whole = truth.covariance
            weights = np.linalg.solve(whole[np.ix_(rest, rest)], whole[np.ix_(rest, own)]).T
            spread = whole[np.ix_(own, own)] - weights @ whole[np.ix_(rest, own)]
            exact = stats.multivariate_normal.logpdf(
                truth.y[own], weights @ truth.y[rest], (spread + spread.T) / 2
            )
            assert found.pointwise["elpd"].iloc[number] == pytest.approx(exact, abs=0.12)


def test_the_same_seed_makes_the_same_folds(model: bml.Model, exact_fits: list[np.ndarray]) -> None:
    first, second = bml.kfold(model, k=3, seed=6), bml.kfold(model, k=3, seed=6)
    other = bml.kfold(model, k=3, seed=7)
    assert first.folds == second.folds
    np.testing.assert_array_equal(exact_fits[0], exact_fits[3])
    bml.compare({"a": first, "b": second})
    with pytest.raises(FitError, match="divided into different folds"):
        bml.compare([first, other])


def test_folds_that_did_not_converge_are_named(
    model: bml.Model, monkeypatch: pytest.MonkeyPatch, fake_fit: MakeFit
) -> None:
    # Draws that differ from chain to chain.
    sigma = np.array([1.0, 3.0])[:, None] + 0.1 * np.random.default_rng(8).random((2, 300))
    monkeypatch.setattr(
        cross_validation,
        "fit_without",
        lambda model, left_out, **_: fake_fit(
            model_without(model, left_out), draws=300, values={"sigma": sigma}
        ),
    )
    found = bml.kfold(model, k=2)
    assert found.notes[0].startswith("Fold 1: Do not rely on these results yet: ")
    assert found.notes[1].startswith("Fold 2: Do not rely on these results yet: ")
    assert len(found.notes) == 2


def test_a_model_on_some_rows() -> None:
    rng = np.random.default_rng(9)
    table = pd.DataFrame({"y": rng.normal(size=40), "x": rng.normal(size=40)})
    table["colour"] = ["red", "blue"] * 19 + ["green"] * 2
    table["g"] = np.repeat(range(10), 4)
    model = bml.two_level(table, "y ~ x + colour", group="g")
    smaller = model_without(model, np.arange(36, 40))
    # The level that only these rows had keeps its column, the unit does not stay.
    assert smaller.resolved.coefficients == model.resolved.coefficients
    assert smaller.coords["g"] == list(range(9))
    assert smaller.resolved.groupings[0].units == 9
    assert smaller.coords["obs"] == list(range(36))
    assert smaller.facts.priors == model.facts.priors
    np.testing.assert_array_equal(smaller.data["y"], table["y"].to_numpy()[:36])
    np.testing.assert_allclose(
        smaller.data["x_mean"], model.design.fixed.values[:36, 1:].mean(axis=0)
    )
    assert len(smaller.design.rows.frame) == 36


def test_units_keep_their_rows_where_others_leave() -> None:
    rng = np.random.default_rng(10)
    table = pd.DataFrame({"y": rng.normal(size=24), "one": rng.integers(0, 8, 24)})
    table["other"] = (table["one"] + 1 + rng.integers(0, 6, 24)) % 8
    model = bml.multiple_membership(table, "y ~ 1", members=["one", "other"], name="firm")
    kept = np.arange(0, 24, 3)
    smaller = model_without(model, np.setdiff1d(np.arange(24), kept))
    units, labels = smaller.design.varying[0].units, model.design.varying[0].units.labels
    assert set(units.labels) <= set(labels)
    for place, row in enumerate(kept):
        own = {units.labels[number] for number in units.index[place]}
        assert own == {table["one"][row], table["other"][row]}


def test_new_units_are_integrated_out(fake_fit: MakeFit) -> None:
    """A held-out row of an unknown unit: N(beta, sd^2 + sigma^2)."""
    table = pd.DataFrame({"y": np.linspace(-1, 2, 30), "g": np.repeat(range(10), 3)})
    model = bml.two_level(table, "y ~ 1", group="g")
    left_out = np.arange(27, 30)
    fit = fake_fit(
        model_without(model, left_out), draws=5, values={"beta": 0.3, "sd_g": 1.5, "sigma": 0.8}
    )
    rows = [np.array([row]) for row in left_out]
    found = held_out_scores(unfitted_rows(model), fit, rows, together=False)
    exact = stats.norm.logpdf(table["y"].to_numpy()[27:], 0.3, np.hypot(1.5, 0.8))
    np.testing.assert_allclose(found["elpd"], exact)
    together = held_out_scores(unfitted_rows(model), fit, [left_out], together=True)
    covariance = 1.5**2 * np.ones((3, 3)) + 0.8**2 * np.eye(3)
    joint = stats.multivariate_normal.logpdf(
        table["y"].to_numpy()[27:], np.full(3, 0.3), covariance
    )
    assert together["elpd"].tolist() == [pytest.approx(joint)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"by": "G"}, r"by is 'G', which is not a grouping.*Did you mean 'g'\?.*Leave by out"),
        ({"k": 1}, r"k is 1\. Give a whole number from 2 to 75, the rows"),
        ({"k": 76}, r"k is 76\. Give a whole number from 2 to 75, the rows"),
        ({"k": 2.5}, r"k is 2\.5\. Give a whole number"),
        ({"by": "g", "k": 16}, r"k is 16\. Give a whole number from 2 to 15, the units of g"),
        ({"seed": -1}, r"seed is -1\. Give a whole number from 0 up"),
    ],
)
def test_refusals(model: bml.Model, options: dict[str, object], said: str) -> None:
    with pytest.raises(FitError, match=said):
        bml.kfold(model, **options)  # type: ignore[arg-type]


def test_multiple_membership_cannot_be_divided() -> None:
    table = pd.DataFrame({"y": np.arange(24.0) % 5, "a": np.arange(24) % 8})
    table["b"] = (table["a"] + 3) % 8
    model = bml.multiple_membership(table, "y ~ 1", members=["a", "b"], name="firm")
    with pytest.raises(FitError, match=r"by is 'firm', a multiple membership.*Use bml\.logo"):
        bml.kfold(model, by="firm", k=2)
    plain = bml.model(table, "y ~ 1")
    with pytest.raises(FitError, match=r"not a grouping of this model\. The model has none"):
        bml.kfold(plain, by="firm", k=2)


# Real fits


@pytest.mark.sampling
def test_folds_of_units_agree_with_leaving_them_out_by_weights() -> None:
    sleep = bml.load_dataset("sleepstudy")
    model = bml.longitudinal(sleep, "Reaction ~ 1", unit="Subject", time="Days")
    run = {"draws": 500, "tune": 500, "chains": 4, "progress": False}
    found = bml.kfold(model, by="Subject", k=3, seed=1, **run)
    by_weights = bml.logo(model.fit(seed=1, **run), "Subject")
    difference = found.pointwise["elpd"] - by_weights.pointwise["elpd"]
    # A fold takes six subjects out, weights take one: the totals differ by a few units at most.
    assert abs(difference.sum()) < 15
    assert np.corrcoef(found.pointwise["elpd"], by_weights.pointwise["elpd"])[0, 1] > 0.95


@pytest.mark.slow
@pytest.mark.sampling
def test_exam_rows_against_fits_without_them() -> None:
    exam = bml.load_dataset("exam")
    model = bml.two_level(exam, "normexam ~ standLRT", group="school", slopes=["standLRT"])
    run = {"draws": 1000, "tune": 1000, "chains": 4, "progress": False}
    found = bml.loo(model.fit(seed=1, **run))
    k = found.pareto_k.to_numpy()
    highest = np.argsort(-k)[:20]
    rest = np.setdiff1d(np.arange(len(k)), highest)
    chosen = np.concatenate([highest, np.random.default_rng(9).choice(rest, 80, replace=False)])
    rows, total = unfitted_rows(model), 0.0
    for row in chosen:
        fit = fit_without(model, np.array([row]), seed=int(row), **run)
        exact = float(held_out_scores(rows, fit, [np.array([row])], False)["elpd"].iloc[0])
        estimate = found.pointwise.iloc[row]
        # The refit has an error of the same size as the estimate's.
        assert abs(estimate["elpd"] - exact) < max(0.05, 4 * np.sqrt(2) * estimate["mcse"])
        total += estimate["elpd"] - exact
    assert abs(total) < 0.5
