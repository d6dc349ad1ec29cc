"""Comparisons: differences with their standard errors, words, and what cannot be compared."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.errors import FitError
from bayesml.posterior.model_comparison import Comparison
from bayesml.posterior.predictive_scores import CrossValidation
from bayesml.records.fits import Fit

MakeFit = Callable[..., Fit]


def result(elpd: np.ndarray, **changes: object) -> CrossValidation:
    """Return a result with these densities of rows."""
    frame = pd.DataFrame(
        {"elpd": elpd, "cpo": np.exp(elpd), "lpd": elpd + 0.01, "mcse": 0.01, "pareto_k": 0.1}
    )
    entries: dict[str, object] = {
        "kind": "loo",
        "by": "row",
        "formula": "y ~ 1",
        "pointwise": frame,
        "by_unit": pd.DataFrame(),
        "draws": 4000,
        "mark": "one",
        "continuous": True,
    }
    return CrossValidation(**(entries | changes))  # type: ignore[arg-type]


def pair(shift: float, noise: float, rows: int = 400) -> Comparison:
    """Compare two models whose densities differ by shift and noise."""
    rng = np.random.default_rng(1)
    first = rng.normal(-1, 1, size=rows)
    return bml.compare(
        {"a": result(first), "b": result(first - shift + noise * rng.normal(size=rows))}
    )


def test_numbers() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=150), rng.normal(-1, 1, size=150)
    found = bml.compare({"b": result(b), "a": result(a)})
    assert found.table.index.tolist() == ["a", "b"]
    assert found.table.loc["a", "elpd_diff"] == 0
    assert found.table.loc["b", "elpd_diff"] == pytest.approx((b - a).sum())
    expected = np.sqrt(150) * np.std(b - a, ddof=1)
    assert found.table.loc["b", "se_diff"] == pytest.approx(expected)
    assert found.table.loc["a", "se"] == pytest.approx(np.sqrt(150) * np.std(a, ddof=1))
    assert found.table.loc["a", "p"] == pytest.approx(1.5)


def test_words_for_a_clear_difference() -> None:
    found = pair(shift=0.2, noise=0.1)
    assert found.verdict.startswith("'a' predicts best. 'b' predicts worse than the first:")
    assert found.table.loc["b", "words"] == "predicts worse than the first"


def test_words_for_a_small_difference() -> None:
    found = pair(shift=0.005, noise=0.001)
    assert "a difference below 4 is small" in found.table.loc["b", "words"]
    assert "not every difference is more than noise" in found.verdict


def test_words_for_noise() -> None:
    found = pair(shift=0.03, noise=1.0)
    assert "by noise alone (within 2 standard errors)" in found.table.iloc[1]["words"]
    assert "not every difference is more than noise" in found.verdict


def test_few_parts_are_pointed_out() -> None:
    assert "With 40 parts (fewer than 100) the standard errors may be" in pair(1.0, 0.1, 40).verdict
    assert "fewer than 100" not in pair(1.0, 0.1, 100).verdict


def test_unreliable_weights_are_pointed_out() -> None:
    doubtful = result(np.zeros(120))
    doubtful.pointwise.loc[3, "pareto_k"] = 0.9
    found = bml.compare([result(np.ones(120)), doubtful])
    assert found.table["high_k"].tolist() == [0, 1]
    assert "Some Pareto k are too high (column high_k)" in found.verdict


def test_names() -> None:
    a, b = result(np.zeros(120), formula="y ~ x"), result(np.ones(120))
    assert bml.compare([a, b]).table.index.tolist() == ["y ~ 1", "y ~ x"]
    assert bml.compare([b, b, a]).table.index.tolist() == ["model 1", "model 2", "model 3"]


def test_fits_stand_for_their_loo(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(3)
    table = pd.DataFrame({"y": rng.normal(size=60), "x": rng.normal(size=60)})
    table["g"] = np.repeat(range(10), 6)
    first = fake_fit(bml.two_level(table, "y ~ 1", group="g"), draws=100)
    second = fake_fit(bml.two_level(table, "y ~ x", group="g"), draws=100)
    found = bml.compare([first, second])
    assert set(found.table.index) == {"y ~ 1 + (1 | g)", "y ~ x + (1 | g)"}
    assert found.table["elpd"].max() == pytest.approx(
        max(bml.loo(first).elpd, bml.loo(second).elpd)
    )
    assert "elpd_diff" in str(found)
    assert "<table" in found._repr_html_()


def test_models_of_different_data(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(4)
    table = pd.DataFrame({"y": rng.normal(size=60), "g": np.repeat(range(10), 6)})

    def fit(rows: pd.DataFrame, **options: object) -> Fit:
        return fake_fit(bml.two_level(rows, "y ~ 1", group="g", **options), draws=100)

    whole = fit(table)
    with pytest.raises(FitError, match=r"are models of different data.*\(59 and 60 parts\)"):
        bml.compare([whole, fit(table.iloc[:-1])])
    with pytest.raises(FitError, match=r"are models of different data.*\(60 and 60 parts\)"):
        bml.compare([whole, fit(table.assign(y=2 * table["y"]))])
    counts = table.assign(y=np.arange(60) % 5)
    with pytest.raises(FitError, match=r"has probabilities, that of .* has a density"):
        bml.compare([fit(counts), fit(counts, family="poisson")])


def test_groups_that_differ(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(5)
    table = pd.DataFrame({"y": rng.normal(size=60), "g": np.repeat(range(10), 6)})
    table["h"] = np.arange(60) % 10
    one = bml.logo(fake_fit(bml.two_level(table, "y ~ 1", group="g"), draws=100), "g")
    other = bml.logo(fake_fit(bml.two_level(table, "y ~ 1", group="h"), draws=100), "h")
    with pytest.raises(FitError, match=r"their rows, outcomes, groups or trials differ"):
        bml.compare([one, other])


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ([result(np.zeros(9))], r"was given 1 model\. Give at least two"),
        ([], r"was given 0 models\. Give at least two"),
        ({"a": result(np.zeros(9))}, r"was given 1 model\."),
        (result(np.zeros(9)), r"takes a list or dict of fits or results, not CrossValidation"),
        ("ab", r"takes a list or dict of fits or results, not str"),
        ([result(np.zeros(9)), 3], r"given 'int', which is neither a fit nor a result of loo"),
        (
            [result(np.zeros(9)), result(np.zeros(9), kind="logo", by="g")],
            r"different kinds: 'loo by row', 'logo by g'.*Use one function for all models",
        ),
        (
            [
                result(np.zeros(9), kind="kfold", folds="a"),
                result(np.zeros(9), kind="kfold", folds="b"),
            ],
            r"divided into different folds\. Give kfold the same k, by and seed",
        ),
    ],
)
def test_refusals(models: object, said: str) -> None:
    with pytest.raises(FitError, match=said):
        bml.compare(models)  # type: ignore[arg-type]
