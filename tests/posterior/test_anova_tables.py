"""The analysis of variance of real tables against SciPy and closed forms, and what it refuses."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from bayesml.errors import FitError
from bayesml.records.fits import Fit

MakeFit = Callable[..., Fit]


@pytest.mark.parametrize(
    ("dataset", "outcome", "icc"),
    # REML's shares are .180 and .168; the ANOVA estimates lie beside them.
    [("hsb82", "mAch", 0.180), ("exam", "normexam", 0.168)],
)
def test_real_tables_against_scipy_and_the_closed_form(
    dataset: str, outcome: str, icc: float
) -> None:
    table = bml.load_dataset(dataset)
    found = bml.variance_table(bml.two_level(table, f"{outcome} ~ 1", group="school"))
    assert found["source"].tolist() == ["between school", "within school", "total"]
    groups = [part[outcome].to_numpy() for _, part in table.groupby("school", observed=True)]
    expected = stats.f_oneway(*groups)
    rows = found.set_index("source")
    between = rows.loc["between school"]
    assert between["F"] == pytest.approx(expected.statistic)
    assert between["p"] == pytest.approx(expected.pvalue, rel=1e-6)
    sizes = np.array([len(group) for group in groups])
    number = sizes.sum()
    within = sum(((group - group.mean()) ** 2).sum() for group in groups)
    assert rows.loc["within school", "sum_of_squares"] == pytest.approx(within)
    assert rows.loc["total", "df"] == number - 1
    assert rows.loc["total", "sum_of_squares"] == pytest.approx(table[outcome].var() * (number - 1))
    size = (number - (sizes**2).sum() / number) / (len(sizes) - 1)
    mean_square = within / (number - len(sizes))
    variance = (between["mean_square"] - mean_square) / size
    assert between["variance"] == pytest.approx(variance)
    closed = (between["F"] - 1) / (between["F"] - 1 + size)
    assert between["icc"] == between["share"] == pytest.approx(closed)
    assert between["icc"] == pytest.approx(icc, abs=0.02)
    assert rows.loc["total", "share"] == 1
    assert found.attrs == {"rows_per_unit": {"school": pytest.approx(size)}, "notes": []}


def test_nested_groupings_in_one_table(fake_fit: MakeFit) -> None:
    table = bml.load_dataset("egsingle")
    model = bml.three_level(table, "math ~ 1", groups=["childid", "schoolid"])
    found = bml.variance_table(model)
    assert found["source"].tolist() == [
        "between schoolid",
        "between childid within schoolid",
        "within childid",
        "total",
    ]
    children = table.groupby(["schoolid", "childid"], observed=True).ngroups
    assert found["df"].tolist() == [59, children - 60, len(table) - children, len(table) - 1]
    assert found["sum_of_squares"][:3].sum() == pytest.approx(found["sum_of_squares"][3])
    assert found["share"][:3].sum() == pytest.approx(1)
    assert found["icc"][1] == pytest.approx(found["share"][:2].sum())
    ratio = found["mean_square"][1] / found["mean_square"][2]
    assert found["F"][1] == pytest.approx(ratio)
    assert found["p"][1] == pytest.approx(stats.f.sf(ratio, found["df"][1], found["df"][2]))
    # Schools alone, from a fit: children are part of what lies within.
    alone = bml.variance_table(fake_fit(model, draws=2), "schoolid")
    assert alone["sum_of_squares"][0] == pytest.approx(found["sum_of_squares"][0])
    assert alone.attrs["notes"] == ["The grouping 'childid' is left out: it is part of the rest."]


def test_crossed_groupings_are_taken_one_at_a_time() -> None:
    table = bml.load_dataset("scotssec")
    model = bml.cross_classified(table, "attain ~ 1", groups=["primary", "second"])
    with pytest.raises(FitError, match=r"'primary', 'second' are not nested.*grouping='primary'"):
        bml.variance_table(model)
    found = bml.variance_table(model, "second")
    groups = [part["attain"].to_numpy() for _, part in table.groupby("second", observed=True)]
    assert found["F"][0] == pytest.approx(stats.f_oneway(*groups).statistic)


def test_binary_outcomes_are_said_to_be_on_the_probability_scale() -> None:
    table = bml.load_dataset("contraception")
    model = bml.two_level(table, "use ~ 1", group="district", family="binomial", success="Y")
    found = bml.variance_table(model)
    assert found.attrs["notes"] == ["The outcome is 0/1: variances are on the probability scale."]
    used = (table["use"].astype(str) == "Y").astype(float)
    groups = [used[table["district"] == unit] for unit in table["district"].unique()]
    assert found["F"][0] == pytest.approx(stats.f_oneway(*groups).statistic)


def test_a_variance_below_zero_is_said() -> None:
    table = pd.DataFrame({"y": [1.0, 2, 3, 4] * 5, "g": np.repeat(range(5), 4)})
    found = bml.variance_table(bml.two_level(table, "y ~ 1", group="g"))
    assert found["variance"][0] == pytest.approx(-(5 / 3) / 4)
    assert found.attrs["notes"][0].startswith("The variance between units of g is estimated below")


@pytest.mark.parametrize(
    ("make", "grouping", "words"),
    [
        (lambda t: bml.model(t, "y ~ 1"), None, r"has no grouping.*Add one"),
        (
            lambda t: bml.two_level(t, "y ~ 1", group="school"),
            "schol",
            r"'schol' is not a grouping.*Did you mean 'school'\?",
        ),
        (
            lambda t: bml.multiple_membership(t, "y ~ 1", members=["a", "b"], name="team"),
            None,
            r"several units of team at once.*Use bml\.vpc\(fit\)",
        ),
        (
            lambda t: bml.model(t, "y ~ 1 + (1 | school) + (1 | mm(a, b, name='team'))"),
            "team",
            r"several units of team.*Name another grouping: 'school'",
        ),
        (
            lambda t: bml.two_level(t, "k ~ 1", group="school", family="binomial", trials=9),
            None,
            r"successes out of trials\. Use bml\.vpc",
        ),
        (
            lambda t: bml.two_level(t, "k ~ 1", group="school", family="ordinal"),
            None,
            r"ordered categories\. Use bml\.vpc",
        ),
    ],
)
def test_what_has_no_analysis_of_variance(make: Callable, grouping: str | None, words: str) -> None:
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "y": rng.normal(size=40),
            "k": np.arange(40) % 5,
            "school": np.repeat(range(8), 5),
            "a": np.arange(40) % 7,
            "b": np.arange(40) % 7 + 7,
        }
    )
    with pytest.raises(FitError, match=words):
        bml.variance_table(make(table), grouping)


def test_a_fit_without_rows_is_refused(fake_fit: MakeFit) -> None:
    model = bml.two_level(bml.load_dataset("exam"), "normexam ~ 1", group="school")
    tree = fake_fit(model, draws=2).data.copy()
    del tree["observed_data"]
    with pytest.raises(FitError, match=r"bml\.variance_table needs the rows.*data=False"):
        bml.variance_table(Fit(tree))
