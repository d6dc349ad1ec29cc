"""What centred effects are sampled around, and how centred each unit is."""

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.design.centring import centres
from bayesml.design.parametrisation import Reliability, chosen_form, unsettled
from bayesml.design.units import Units

UNITS = Units(("a", "b"), np.array([0, 0, 1, 1]))
ONES = np.ones((4, 1))


def test_a_varying_intercept_is_centred_around_unit_means() -> None:
    x = np.column_stack([np.ones(4), [1.0, 1.0, 3.0, 3.0], [0.0, 2.0, 5.0, 7.0]])
    (weights,) = centres(x, [(UNITS, ONES)], [1], [[]], [0.9])
    np.testing.assert_allclose(weights[:, 0], [[1, 1, 1], [1, 3, 6]], rtol=1e-8)


def test_a_varying_slope_takes_its_own_column_and_products_with_unit_predictors() -> None:
    z = np.array([1.0, 2.0, 4.0, 5.0])
    terms = np.column_stack([np.ones(4), z])
    x = np.column_stack([np.ones(4), z, z * np.array([2.0, 2.0, 3.0, 3.0])])
    (weights,) = centres(x, [(UNITS, terms)], [2], [[]], [0.9])
    np.testing.assert_allclose(weights, [[[1, 0, 0], [0, 1, 2]], [[1, 0, 0], [0, 1, 3]]], atol=1e-6)


def test_one_of_two_crossed_groupings_takes_a_column() -> None:
    other = Units(("p", "q", "r"), np.array([0, 1, 2, 0]))
    first, second = centres(
        np.ones((4, 1)), [(other, ONES), (UNITS, ONES)], [1, 1], [[], []], [0.9, 0.9]
    )
    assert not first.any()
    assert second.all()
    # A grouping that the rows say little about leaves the column to the other.
    first, second = centres(
        np.ones((4, 1)), [(other, ONES), (UNITS, ONES)], [1, 1], [[], []], [0.9, 0.1]
    )
    assert first.all()
    assert not second.any()


@pytest.mark.parametrize(
    ("shares", "terms", "words"),
    [
        (np.full((3, 1), 0.9), 0, "fewer than 5 units"),
        (np.full((40, 1), 0.5), 1, "between centred and non-centred"),
        (np.full((40, 2), 0.9), 2, "centred: "),
        (np.column_stack([np.full(40, 0.9), np.full(40, 0.2)]), 1, "partly centred"),
        (np.full((40, 2), 0.2), 0, "non-centred"),
    ],
)
def test_form(shares: np.ndarray, terms: int, words: str) -> None:
    form = chosen_form(Reliability(np.ones(shares.shape[1]), shares))
    assert form.centred_terms == terms
    assert words in form.reason


def test_an_sd_that_may_be_zero_stays_non_centred() -> None:
    scots = bml.load_dataset("scotssec")
    model = bml.cross_classified(
        scots, "attain ~ verbal + sex + social", groups=["primary", "second"]
    )
    primary, second = model.design.reliabilities
    # lme4: SDs 0.466 and 0.078 beside a residual of 2.05.
    assert second.grades.max() < 0.1 < primary.grades.mean()
    assert unsettled([second])
    assert not unsettled([primary])


def test_the_crude_fit_is_near_reml() -> None:
    """It only steers the sampler, but a gross error would steer it wrongly: within a fifth."""
    exam = bml.load_dataset("exam")
    model = bml.two_level(exam, "normexam ~ standLRT", group="school", slopes=["standLRT"])
    # lme4 (REML): 0.3035 and 0.1223.
    np.testing.assert_allclose(model.design.reliabilities[0].sd, [0.3035, 0.1223], rtol=0.2)


def test_kinds_of_units_are_judged_apart() -> None:
    rng = np.random.default_rng(3)
    unit = np.repeat(np.arange(60), 8)
    kind = np.where(np.arange(60) % 2 == 0, "p", "q")
    effects = np.where(kind == "p", 2.0, 0.0) * rng.normal(size=60)
    table = pd.DataFrame(
        {"y": effects[unit] + rng.normal(size=480), "unit": unit, "kind": kind[unit]}
    )
    model = bml.two_level(table, "y ~ 1", group="unit", by={"unit": "kind"})
    grades = model.data["grade_unit"][:, 0]
    # The variances are 4 and about 0 beside 1 / 8 of a mean of eight rows.
    assert grades[kind == "p"].min() > 0.9
    assert grades[kind == "q"].max() < 0.1
