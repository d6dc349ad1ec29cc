"""Analysis of variance: SciPy's F, textbook formulas, and unbiasedness by simulation."""

import numpy as np
import pytest
from scipy import stats

from bayesml.quantities.sums_of_squares import nested_squares


def test_one_classification_against_scipy_and_the_closed_form() -> None:
    rng = np.random.default_rng(1)
    sizes = rng.integers(2, 20, 15)
    index = np.arange(15).repeat(sizes)
    y = 1e6 + rng.normal(size=15)[index] + rng.normal(size=len(index))
    found = nested_squares(y, [index])
    between, within = found.squares / found.df
    expected = stats.f_oneway(*(y[index == unit] for unit in range(15)))
    assert between / within == pytest.approx(expected.statistic, rel=1e-6)
    size = (len(y) - (sizes**2).sum() / len(y)) / 14
    assert found.sizes == pytest.approx([size])
    assert found.variances == pytest.approx([(between - within) / size, within])
    assert found.df.tolist() == [14, len(y) - 15]
    assert found.squares.sum() == pytest.approx(((y - y.mean()) ** 2).sum(), rel=1e-6)


def test_two_levels_of_equal_units_against_the_textbook() -> None:
    # a schools, b classes of each, n pupils of each: MS_school, MS_class and MS_within estimate
    # b n s2_school + n s2_class + s2, n s2_class + s2, and s2.
    schools, classes, pupils = 6, 4, 5
    rng = np.random.default_rng(2)
    school = np.arange(schools).repeat(classes * pupils)
    class_ = np.arange(schools * classes).repeat(pupils)
    y = rng.normal(size=schools)[school] + rng.normal(size=schools * classes)[class_]
    y = y + rng.normal(size=len(school))
    found = nested_squares(y, [school, class_])
    assert found.df.tolist() == [schools - 1, schools * (classes - 1), len(y) - schools * classes]
    cells = y.reshape(schools, classes, pupils)
    squares = [
        classes * pupils * ((cells.mean(axis=(1, 2)) - y.mean()) ** 2).sum(),
        pupils * ((cells.mean(axis=2) - cells.mean(axis=(1, 2))[:, None]) ** 2).sum(),
        ((cells - cells.mean(axis=2)[..., None]) ** 2).sum(),
    ]
    assert found.squares == pytest.approx(squares)
    above, middle, within = found.squares / found.df
    expected = [(above - middle) / (classes * pupils), (middle - within) / pupils, within]
    assert found.variances == pytest.approx(expected)
    assert found.sizes == pytest.approx([classes * pupils, pupils])


def test_variances_of_unequal_units_are_unbiased() -> None:
    rng = np.random.default_rng(3)
    class_sizes = rng.integers(1, 8, 30)
    class_ = np.arange(30).repeat(class_sizes)
    school = np.sort(np.append(np.arange(8), rng.integers(0, 8, 22)))[class_]
    truth = np.array([2.0, 1.0, 0.5])
    found = []
    for _ in range(4000):
        y = rng.normal(0, np.sqrt(2.0), 8)[school] + rng.normal(0, 1, 30)[class_]
        y = y + rng.normal(0, np.sqrt(0.5), len(class_))
        found.append(nested_squares(y, [school, class_]).variances)
    errors = np.std(found, axis=0) / np.sqrt(len(found))
    assert (np.abs(np.mean(found, axis=0) - truth) < 4 * errors).all()
    assert (errors < 0.03 * truth).all()


def test_units_that_differ_less_than_by_chance_have_a_negative_variance() -> None:
    found = nested_squares(np.array([-1.0, 1.0, -1.0, 1.0]), [np.array([0, 0, 1, 1])])
    assert found.squares == pytest.approx([0.0, 4.0])
    assert found.variances == pytest.approx([-1.0, 2.0])


def test_one_row_a_unit_leaves_no_variance_within() -> None:
    found = nested_squares(np.array([1.0, 2.0, 4.0]), [np.arange(3)])
    assert found.df.tolist() == [2, 0]
    assert np.isnan(found.variances).all()
