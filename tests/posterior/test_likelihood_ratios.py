"""Likelihood-ratio tests against SciPy, simulation, and models that are not nested."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from bayesml.errors import FitError
from bayesml.posterior.likelihood_fits import LikelihoodFit
from bayesml.posterior.likelihood_ratios import LikelihoodRatioTest

# The kernels are compiled once in a fresh clone.
pytestmark = pytest.mark.sampling


@cache
def _table() -> pd.DataFrame:
    random = np.random.default_rng(41)
    rows = 120
    school, area = random.integers(0, 12, rows), random.integers(0, 7, rows)
    x, z = random.normal(size=rows), random.normal(size=rows)
    firm = random.integers(0, 9, rows)
    table = pd.DataFrame(
        {
            "x": x,
            "z": z,
            "double": 2 * x + 3,
            "school": [f"s{i}" for i in school],
            "area": [f"a{i}" for i in area],
            "firm": [f"f{i}" for i in firm],
            "firm2": [f"f{i}" for i in (firm + 1 + random.integers(0, 8, rows)) % 9],
            "w1": random.uniform(0.3, 0.7, rows),
            "known": random.normal(size=rows),
        }
    )
    table["w2"] = 1 - table["w1"]
    table["v1"], table["v2"] = table["w2"], table["w1"]
    table["y"] = 1 + 0.2 * x + random.normal(0, 0.5, 12)[school] * (1 + 1.5 * z)
    table["y"] += random.normal(size=rows)
    return table


@cache
def _ml(formula: str) -> LikelihoodFit:
    return bml.ml(bml.model(_table(), formula))


@cache
def _reml(formula: str) -> LikelihoodFit:
    return bml.reml(bml.model(_table(), formula))


def test_a_coefficient_by_the_chi_square_distribution() -> None:
    small, large = _ml("y ~ x + (1 | school)"), _ml("y ~ x + z + (1 | school)")
    found = bml.likelihood_ratio_test(small, large)
    assert found.smaller == "y ~ x + (1 | school)"
    assert found.larger == "y ~ x + z + (1 | school)"
    assert found.statistic == pytest.approx(2 * (large.loglik - small.loglik))
    assert found.degrees == 1
    assert found.p_value == pytest.approx(stats.chi2.sf(found.statistic, 1))
    assert found.p_value_boundary == found.p_value
    assert found.note == ""
    assert str(found).splitlines() == [
        "smaller: y ~ x + (1 | school)",
        "larger:  y ~ x + z + (1 | school)",
        f"likelihood ratio {found.statistic:.4f} on 1 degrees of freedom, p = {found.p_value:.4g}",
    ]


@pytest.mark.parametrize(
    ("small", "large", "degrees"),
    [
        ("y ~ x", "y ~ x + (1 | school)", 1),
        ("y ~ x + (1 | area)", "y ~ x + (1 | school) + (1 | area)", 1),
        ("y ~ x + (1 | school)", "y ~ x + (z || school)", 1),
        ("y ~ x + (1 | school)", "y ~ x + (z | school)", 2),
        ("y ~ x + (x | school)", "y ~ x + (x + z | school)", 3),
        ("y ~ x + (1 | school)", "y ~ x + z + (z | school)", 3),
    ],
)
def test_one_more_sd_by_the_mixture(small: str, large: str, degrees: int) -> None:
    """Stram & Lee (1994): one half of each of degrees - 1 and degrees."""
    found = bml.likelihood_ratio_test(_ml(small), _ml(large))
    assert found.degrees == degrees
    statistic = found.statistic
    lower = stats.chi2.sf(statistic, degrees - 1) if degrees > 1 else float(statistic <= 0)
    assert found.p_value == pytest.approx(stats.chi2.sf(statistic, degrees))
    assert found.p_value_boundary == pytest.approx((found.p_value + lower) / 2)
    assert found.note == ""
    assert f"p = {found.p_value_boundary:.4g} by the mixture" in str(found)


def test_a_correlation_alone_has_no_boundary() -> None:
    found = bml.likelihood_ratio_test(_ml("y ~ x + (x || school)"), _ml("y ~ x + (x | school)"))
    assert found.degrees == 1
    assert found.p_value_boundary == found.p_value


def test_two_more_sds_have_a_note() -> None:
    found = bml.likelihood_ratio_test(_ml("y ~ x"), _ml("y ~ x + (x | school)"))
    assert found.degrees == 3
    assert found.p_value_boundary == found.p_value
    assert found.note == (
        "2 SDs are tested against 0, their bound, at once: the p-value is too large, and no simple "
        "mixture corrects it."
    )
    assert str(found).endswith(f"note: {found.note}")


def test_reml_fits_of_the_same_fixed_part() -> None:
    small, large = _reml("y ~ x + (1 | school)"), _reml("y ~ x + (x | school)")
    found = bml.likelihood_ratio_test(small, large)
    assert found.statistic == pytest.approx(small.criterion - large.criterion)


def test_the_same_columns_in_other_words_are_the_same_fixed_part() -> None:
    """3 + 2 x spans with the intercept what x spans."""
    small, large = _reml("y ~ double + (1 | school)"), _reml("y ~ x + (x | school)")
    assert bml.likelihood_ratio_test(small, large).degrees == 2


@pytest.mark.parametrize(
    ("small", "large"),
    [
        ("y ~ x + (x || school)", "y ~ x + z + (x | school)"),
        ("y ~ x + (x | school)", "y ~ x + z + (x + z | school)"),
        ("y ~ x + (x | school)", "y ~ x + (x | school) + (0 + z | school)"),
        # 3 + 2 x is a combination of what varies in the larger model
        ("y ~ x + (double | school)", "y ~ x + z + (x | school)"),
        ("y ~ 1 + offset(3 * x) + (1 | school)", "y ~ x + (1 | school)"),
        ("y ~ 0 + (1 | school)", "y ~ 1 + (1 | school)"),
    ],
)
def test_models_that_are_nested_in_other_words(small: str, large: str) -> None:
    assert bml.likelihood_ratio_test(_ml(small), _ml(large)).degrees >= 1


@pytest.mark.parametrize(
    ("small", "large", "message"),
    [
        (
            "y ~ z + (1 | school)",
            "y ~ x + (x | school)",
            "The models are not nested: the larger one lacks 'z'. Compare them by AIC or BIC, or "
            "by bml.loo of Bayesian fits.",
        ),
        (
            "y ~ x + (1 | area)",
            "y ~ x + (x | school)",
            "The models are not nested: the larger one lacks the grouping 'area'. Compare",
        ),
        (
            "y ~ x + (1 | area)",
            "y ~ x + z + (1 | school) + (1 | firm)",
            "lacks the grouping 'area'",
        ),
        (
            "y ~ x + (0 + z | school)",
            "y ~ x + z + (1 + x | school)",
            "the larger one lacks varying terms of 'school'",
        ),
        (
            "y ~ x + z + (1 | school)",
            "y ~ x + (1 | school)",
            "the larger one lacks 'z'",
        ),
        (
            "y ~ x + (1 | school)",
            "y ~ x + (1 | school)",
            "The larger model has 4 parameters and the smaller one 4. Give the smaller model",
        ),
        (
            "y ~ x + (x | school)",
            "y ~ x + z + (x || school) + (1 | area)",
            "The models are not nested: the larger one lacks correlations of the terms of "
            "'school'. Compare",
        ),
        (
            "y ~ x + (double | school)",
            "y ~ x + z + (x || school) + (1 | area)",
            "lacks correlations of the terms of 'school'",
        ),
        (
            "y ~ x + (1 + x | school) + (0 + z | school)",
            "y ~ x + z + (1 | school) + (0 + x + z | school) + (1 | area)",
            "lacks correlations of the terms of 'school'",
        ),
        (
            "y ~ x + offset(known) + (1 | school)",
            "y ~ x + (x | school)",
            "The models are not nested: their offsets differ. Compare",
        ),
        (
            "y ~ x + (1 | mm(firm, firm2, weights=cbind(v1, v2), name='firm'))",
            "y ~ x + z + (1 | mm(firm, firm2, weights=cbind(w1, w2), name='firm'))",
            "the grouping 'firm' has other units or weights in the larger one",
        ),
        (
            "y ~ x + (1 | firm)",
            "y ~ x + z + (1 | mm(firm, firm2, weights=cbind(w1, w2), name='firm'))",
            "the grouping 'firm' has other units or weights in the larger one",
        ),
    ],
)
def test_models_that_are_not_nested(small: str, large: str, message: str) -> None:
    with pytest.raises(FitError) as caught:
        bml.likelihood_ratio_test(_ml(small), _ml(large))
    assert message in str(caught.value)


def test_a_known_part_that_is_a_predictor_of_the_larger_model_is_nested() -> None:
    small, large = _ml("y ~ x + offset(known) + (1 | school)"), _ml("y ~ x + known + (1 | school)")
    assert bml.likelihood_ratio_test(small, large).degrees == 1


def test_different_methods_are_refused() -> None:
    with pytest.raises(FitError) as caught:
        bml.likelihood_ratio_test(_reml("y ~ x + (1 | school)"), _ml("y ~ x + (x | school)"))
    assert str(caught.value) == (
        "One model was fitted by REML and the other by ML. Fit both with bml.ml."
    )


def test_different_rows_are_refused() -> None:
    fewer = bml.ml(bml.model(_table().iloc[1:], "y ~ x + z + (1 | school)"))
    with pytest.raises(FitError) as caught:
        bml.likelihood_ratio_test(_ml("y ~ x + (1 | school)"), fewer)
    assert str(caught.value) == (
        "The models are fitted to different rows (120 and 119) or outcomes, so their likelihoods "
        "cannot be compared. Leave the rows with missing values out of the table before both."
    )


def test_different_outcomes_are_refused() -> None:
    other = bml.ml(bml.model(_table(), "log(y + 20) ~ x + z + (1 | school)"))
    with pytest.raises(FitError, match=r"different rows \(120 and 120\) or outcomes"):
        bml.likelihood_ratio_test(_ml("y ~ x + (1 | school)"), other)


def test_reml_fits_of_different_fixed_parts_are_refused() -> None:
    with pytest.raises(FitError) as caught:
        bml.likelihood_ratio_test(_reml("y ~ x + (1 | school)"), _reml("y ~ x + z + (1 | school)"))
    assert str(caught.value) == (
        "REML criteria are comparable only where the fixed parts are the same. Fit both models "
        "with bml.ml."
    )


def _balanced(random: np.random.Generator, units: int, size: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "y": random.normal(size=units * size),
            "g": np.repeat([f"g{i:02d}" for i in range(units)], size),
        }
    )


def _closed_form(between: np.ndarray, within: np.ndarray, units: int, size: int) -> np.ndarray:
    """The likelihood-ratio statistic of a balanced one-way layout, from its sums of squares."""
    rows = units * size
    apart, inner = between / units, within / (rows - units)
    smaller = rows * np.log((between + within) / rows)
    larger = (rows - units) * np.log(inner) + units * np.log(apart)
    return np.where(apart > inner, smaller - larger, 0.0)


def _statistic(table: pd.DataFrame) -> LikelihoodRatioTest:
    fits = (bml.ml(bml.model(table, f"y ~ 1{bar}")) for bar in ("", " + (1 | g)"))
    return bml.likelihood_ratio_test(*fits)


def test_the_statistic_of_a_balanced_layout_has_a_closed_form() -> None:
    random = np.random.default_rng(16)
    noughts = 0
    for _ in range(8):
        table = _balanced(random, 10, 4)
        y = table["y"].to_numpy().reshape(10, 4)
        between = 4 * ((y.mean(axis=1) - y.mean()) ** 2).sum()
        within = ((y - y.mean(axis=1, keepdims=True)) ** 2).sum()
        expected = float(_closed_form(np.array(between), np.array(within), 10, 4))
        found = _statistic(table)
        assert found.statistic == pytest.approx(expected, abs=1e-7)
        noughts += expected == 0
    # About half of the tables show no variance at all
    assert 0 < noughts < 8


@pytest.mark.slow
def test_under_the_null_the_mixture_is_right_and_the_chi_square_too_large() -> None:
    """The sums of squares are chi-squared under the null, so the true shares follow from them."""
    random = np.random.default_rng(17)
    units, size, tables = 40, 8, 200
    between = random.chisquare(units - 1, 400_000)
    within = random.chisquare(units * (size - 1), 400_000)
    true = _closed_form(between, within, units, size)
    found = [_statistic(_balanced(random, units, size)) for _ in range(tables)]
    mixed = np.array([item.p_value_boundary for item in found])
    plain = np.array([item.p_value for item in found])
    for level in (0.05, 0.1, 0.25):
        # The mixture is of large samples: at forty units a level of 5 % is one of 3.6 %.
        share = (true > stats.chi2.isf(2 * level, 1)).mean()
        assert 0.7 * level < share <= level
        low, high = stats.binom.interval(0.999, tables, share)
        assert low <= (mixed < level).sum() <= high
        assert (plain < level).sum() < (mixed < level).sum()
