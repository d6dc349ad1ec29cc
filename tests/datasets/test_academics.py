"""The generated table is the shipped one, and its truth can be found in it."""

import csv

import numpy as np
import pandas as pd
import pytest

from bayesml.datasets import ACADEMICS_TRUTH, generate_academics, load_dataset
from bayesml.datasets.academics import _growth
from bayesml.datasets.catalogue import table_file


def test_shipped_table_is_the_generated_one() -> None:
    text = generate_academics().to_csv(
        index=False, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n"
    )
    assert text.encode() == table_file("academics").read_bytes()
    pd.testing.assert_frame_equal(generate_academics(), load_dataset("academics"))


def test_another_seed_gives_another_table_of_the_same_shape() -> None:
    first, second = generate_academics(1), generate_academics(2)
    assert first.shape == second.shape == (1500, 10)
    assert not first["citations_log"].equals(second["citations_log"])
    pd.testing.assert_frame_equal(first, generate_academics(1))


def test_structure() -> None:
    table = generate_academics()
    assert table["university"].nunique() == 30
    assert table["department"].nunique() == 150
    assert table.groupby("department").size().min() >= 3
    assert table.groupby("department")["funding"].nunique().max() == 1
    assert table["years_active"].between(1, 10).all()
    assert set(table["seniority"]) == {"assistant", "associate", "full"}
    assert set(table["promoted"]) == {0, 1}
    assert (table["years_active"] <= np.maximum(1, np.ceil(table["seniority_years"]))).all()


def departments(table: pd.DataFrame) -> pd.DataFrame:
    """Return intercept and slope of citations on seniority in each department, by least squares."""
    rows = []
    for _, group in table.groupby("department"):
        x = np.column_stack([np.ones(len(group)), group["seniority_years"]])
        estimate, *_ = np.linalg.lstsq(x, group["citations_log"].to_numpy(), rcond=None)
        error = np.linalg.inv(x.T @ x)[1, 1]
        rows.append((group["funding"].iloc[0], estimate[1], error))
    return pd.DataFrame(rows, columns=["funding", "slope", "error"])


def test_slopes_of_departments_follow_funding() -> None:
    """Two-stage least squares over many tables finds slope, interaction and their spread."""
    truth = ACADEMICS_TRUTH["citations_log"]
    found = []
    for seed in range(20):
        slopes = departments(generate_academics(seed))
        x = np.column_stack([np.ones(len(slopes)), slopes["funding"]])
        weight = 1 / (
            truth["sd_department[seniority_years]"] ** 2 + truth["sigma"] ** 2 * slopes["error"]
        )
        root = np.sqrt(weight.to_numpy())
        estimate, *_ = np.linalg.lstsq(x * root[:, None], slopes["slope"] * root, rcond=None)
        residual = (slopes["slope"] - x @ estimate) * root
        found.append((*estimate, residual @ residual / (len(slopes) - 2)))
    means = np.mean(found, axis=0)
    errors = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
    expected = (truth["seniority_years"], truth["seniority_years:funding"], 1.0)
    # Four standard errors of the mean over the tables.
    np.testing.assert_array_less(np.abs(means - expected), 4 * errors)


@pytest.mark.parametrize("outcome", ["citations_log", "publications"])
def test_effects_are_drawn_from_the_stated_covariance(outcome: str) -> None:
    truth = ACADEMICS_TRUTH[outcome]
    n = 40_000
    units = np.arange(n)
    zero = np.zeros(n)

    def effects(years: float) -> np.ndarray:
        rng = np.random.default_rng(7)
        eta = _growth(truth, np.full(n, years), zero, units, units, rng)
        return eta - truth["Intercept"] - truth["seniority_years"] * years

    level, at_ten = effects(0.0), effects(10.0)
    slope = (at_ten - level) / 10
    sd0, sd1 = truth["sd_department[Intercept]"], truth["sd_department[seniority_years]"]
    between = truth["sd_university[Intercept]"]
    # Standard error of an SD from n normal draws is sd / sqrt(2 n) = 0.35 %; four of them.
    assert np.std(level) == pytest.approx(np.hypot(sd0, between), rel=0.014)
    assert np.std(slope) == pytest.approx(sd1, rel=0.014)
    covariance = np.mean(level * slope)
    # Standard error of a covariance is at most sd * sd / sqrt(n) * sqrt(2); four of them.
    assert covariance == pytest.approx(
        truth["corr_department"] * sd0 * sd1, abs=4 * np.hypot(sd0, between) * sd1 * 0.0071
    )


def test_truth_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        ACADEMICS_TRUTH["citations_log"]["sigma"] = 1.0  # type: ignore[index]
