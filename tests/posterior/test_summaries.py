"""The table of the posterior against hand-computed numbers and ArviZ."""

import time
from collections.abc import Callable
from pathlib import Path

import arviz_stats
import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.errors import FitError
from bayesml.posterior.summaries import interval_words
from bayesml.records.fits import Fit
from bayesml.records.modelling import Model

MakeFit = Callable[..., Fit]


@pytest.fixture(scope="module")
def exam_model() -> Model:
    exam = bml.load_dataset("exam")
    return bml.two_level(exam, "normexam ~ standLRT", group="school", slopes=["standLRT"])


def test_numbers_of_known_draws(exam_model: Model, fake_fit: MakeFit) -> None:
    # sigma runs through 0.00 ... 1.00, half of it in each chain
    draws = np.append(np.arange(101), 50).reshape(2, 51) / 100
    table = bml.summary(fake_fit(exam_model, draws=51, values={"sigma": draws}), prob=0.9)
    row = table.loc["sigma"]
    assert row["mean"] == pytest.approx(0.5)
    assert row["median"] == pytest.approx(0.5)
    assert row["sd"] == pytest.approx(np.sqrt(85850 / 101) / 100)
    assert row["lower"] == pytest.approx(0.0505)
    assert row["upper"] == pytest.approx(0.9495)
    assert row["r_hat"] > 1.5
    assert table.attrs["prob"] == 0.9
    assert table.attrs["interval"] == "90 % equal-tailed interval"


def test_columns_and_rows(exam_model: Model, fake_fit: MakeFit) -> None:
    table = bml.summary(fake_fit(exam_model))
    assert list(table.columns) == [
        "mean",
        "median",
        "sd",
        "lower",
        "upper",
        "ess_bulk",
        "ess_tail",
        "r_hat",
        "mcse_mean",
    ]
    assert list(table.index) == [
        "beta[Intercept]",
        "beta[standLRT]",
        "sd_school[Intercept]",
        "sd_school[standLRT]",
        "corr_school[Intercept, standLRT]",
        "sigma",
    ]
    assert list(bml.summary(fake_fit(exam_model), variables=["sigma"]).index) == ["sigma"]


def test_table_is_arviz_s(exam_model: Model, fake_fit: MakeFit) -> None:
    fit = fake_fit(exam_model, draws=300, chains=4)
    mine = bml.summary(fit, variables=["beta", "sd_school", "sigma"])
    theirs = arviz_stats.summary(
        fit.data,
        var_names=["beta", "sd_school", "sigma"],
        ci_prob=0.89,
        ci_kind="eti",
        round_to="none",
    )
    assert list(mine.index) == list(theirs.index)
    columns = {"lower": "eti89_lb", "upper": "eti89_ub"}
    for name in ("mean", "sd", "lower", "upper", "ess_bulk", "r_hat", "mcse_mean"):
        expected = theirs[columns.get(name, name)].to_numpy(float)
        assert mine[name].to_numpy() == pytest.approx(expected), name


def test_a_fit_from_a_file_says_the_same(
    exam_model: Model, fake_fit: MakeFit, tmp_path: Path
) -> None:
    fit = fake_fit(exam_model)
    again = bml.load(fit.save(tmp_path / "exam.nc", data=False))
    pd.testing.assert_frame_equal(bml.summary(again), bml.summary(fit))
    pd.testing.assert_frame_equal(bml.variance_components(again), bml.variance_components(fit))
    pd.testing.assert_frame_equal(
        bml.vpc(again, at={"standLRT": 1}), bml.vpc(fit, at={"standLRT": 1})
    )
    assert bml.diagnose(again).verdict == bml.diagnose(fit).verdict


def test_an_sd_of_exactly_zero_has_no_diagnostics(exam_model: Model, fake_fit: MakeFit) -> None:
    table = bml.summary(fake_fit(exam_model, values={"sd_school": 0.0}))
    row = table.loc["sd_school[Intercept]"]
    assert (row[["mean", "median", "sd", "lower", "upper"]] == 0).all()
    assert row[["r_hat", "ess_bulk", "ess_tail", "mcse_mean"]].isna().all()


def test_it_is_quick(fake_fit: MakeFit) -> None:
    table = bml.load_dataset("egsingle")
    model = bml.model(table, "math ~ year + (year | childid) + (year | schoolid)")
    fit = fake_fit(model, draws=1000, chains=4)
    bml.summary(fit, variables="sigma")  # imports
    start = time.process_time()
    bml.summary(fit)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("prob", "words"),
    [(0.89, "89 % equal-tailed interval"), (0.999, "99.9 % equal-tailed interval")],
)
def test_interval_in_words(prob: float, words: str) -> None:
    assert interval_words(prob) == words


def test_a_percentage_is_refused(exam_model: Model, fake_fit: MakeFit) -> None:
    with pytest.raises(FitError, match=r"prob is 89\. .* prob=0\.89"):
        bml.summary(fake_fit(exam_model), prob=89)
