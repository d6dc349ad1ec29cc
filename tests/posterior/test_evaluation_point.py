"""The row at which variances are evaluated: means, set values, odd names, what cannot be set."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.errors import FitError
from bayesml.posterior.evaluation_point import EvaluationPoint, evaluation_point
from bayesml.records.fits import Fit

MakeFit = Callable[..., Fit]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    rows = 400
    return pd.DataFrame(
        {
            "y": rng.normal(size=rows),
            "n": rng.poisson(2, size=rows),
            "age": rng.uniform(1, 5, size=rows),
            "my a/b": rng.normal(size=rows),
            "member": rng.choice([True, False], size=rows),
            "urban": rng.choice(["N", "Y", "q:r", "x]"], size=rows, p=[0.4, 0.3, 0.2, 0.1]),
            "size": rng.choice([1, 2, 3], size=rows),
            "g": np.repeat(np.arange(20), 20),
            "days": rng.uniform(1, 2, size=rows),
        }
    )


def point(
    table: pd.DataFrame,
    fake_fit: MakeFit,
    terms: str,
    at: Mapping[str, object] | None = None,
    fixed: str = "1",
) -> tuple[Fit, dict[str, float], EvaluationPoint]:
    """Return the fit, Z at the point by label, and the point."""
    fit = fake_fit(bml.model(table, f"y ~ {fixed} + ({terms} | g)"), draws=2)
    found = evaluation_point(fit, at)
    return fit, dict(zip(fit.facts.groupings[0].terms, found.terms["g"], strict=True)), found


def test_numbers_stand_at_their_means_and_powers_follow(
    table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    _, z, found = point(table, fake_fit, "age + I(age ** 2)")
    age = table["age"].mean()
    assert z == pytest.approx({"Intercept": 1, "age": age, "I(age ** 2)": age**2})
    assert found.at == {"age": pytest.approx(age)}
    assert found.coefficients is None


def test_levels_stand_at_their_shares(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    _, z, found = point(table, fake_fit, "1 + urban")
    assert z["urban[Y]"] == pytest.approx((table["urban"] == "Y").mean())
    assert set(found.at) == {"urban[Y]", "urban[q:r]", "urban[x]]"}


@pytest.mark.parametrize(
    ("terms", "at", "expected"),
    [
        ("age + I(age ** 2)", {"age": 2}, {"age": 2, "I(age ** 2)": 4}),
        ("1 + log(age + 1)", {"age": np.e - 1}, {"log(age + 1)": 1}),
        ("1 + I(age / 2 - (`my a/b` + 1))", {"age": 4, "my a/b": -2}, {"Intercept": 1}),
        ("1 + `my a/b`", {"my a/b": 3}, {"my a/b": 3}),
        ("1 + member", {"member": True}, {"member": 1}),
        ("1 + urban", {"urban": "N"}, {"urban[Y]": 0, "urban[q:r]": 0, "urban[x]]": 0}),
        ("1 + urban", {"urban": "q:r"}, {"urban[Y]": 0, "urban[q:r]": 1, "urban[x]]": 0}),
        ("1 + C(size)", {"size": "3"}, {"C(size)[2]": 0, "C(size)[3]": 1}),
        ("0 + urban", {"urban": "N"}, {"urban[N]": 1, "urban[Y]": 0}),
        (
            "1 + age + urban + age:urban",
            {"urban": "x]", "age": 3},
            {"age": 3, "age:urban[x]]": 3, "age:urban[q:r]": 0},
        ),
        ("1 + sin(2 * pi * age)", {"age": 0.25}, {"sin": 1}),
    ],
)
def test_set_values(
    table: pd.DataFrame,
    fake_fit: MakeFit,
    terms: str,
    at: dict[str, object],
    expected: dict[str, float],
) -> None:
    _, z, found = point(table, fake_fit, terms, at)
    for label, value in expected.items():
        (key,) = [name for name in z if name == label] or [n for n in z if n.startswith(label)]
        assert z[key] == pytest.approx(value, abs=1e-12), key
    assert {name: found.at[name] for name in at} == at


def test_a_number_names_a_level(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    _, z, found = point(table, fake_fit, "1 + C(size)", {"size": 3.0})
    assert z["C(size)[3]"] == 1
    assert found.at == {"size": "3"}


def test_an_expression_of_two_columns(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    _, z, _ = point(table, fake_fit, "1 + I(age * (`my a/b` + 1))", {"age": 4, "my a/b": -3})
    assert list(z.values()) == [1, pytest.approx(-8)]


def test_unset_covariates_of_an_interaction_stay_at_their_means(
    table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    _, z, found = point(table, fake_fit, "1 + age + urban:age", {"age": 2})
    share = (table["urban"] == "Y").mean()
    (label,) = [name for name in z if "urban[Y]" in name]
    assert z[label] == pytest.approx(2 * share)
    assert found.at["age"] == 2
    assert found.at["urban[Y]"] == pytest.approx(share)


def test_a_term_of_the_whole_table_stands_at_its_mean(
    table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    fit, z, found = point(table, fake_fit, "1 + `my a/b` + poly(age, 2)", {"my a/b": 1})
    assert z["poly(age, 2)[1]"] == pytest.approx(fit.facts.groupings[0].term_means[2])
    assert set(found.at) == {"my a/b", "poly(age, 2)[1]", "poly(age, 2)[2]"}


@pytest.mark.parametrize(
    "terms",
    ["1 + poly(age, 2)", "1 + bs(age, df=4)", "1 + center(age)", "1 + `my a/b`:scale(age)"],
)
def test_a_term_of_the_whole_table_cannot_be_set(
    table: pd.DataFrame, fake_fit: MakeFit, terms: str
) -> None:
    with pytest.raises(FitError, match=r"cannot be computed at a value of 'age'.*I\(age \*\* 2\)"):
        point(table, fake_fit, terms, {"age": 2})


def test_the_fixed_part_is_evaluated_on_request_only(
    table: pd.DataFrame, fake_fit: MakeFit
) -> None:
    fit, _, found = point(table, fake_fit, "1", {"age": 2}, fixed="poly(age, 2)")
    assert found.at == {}
    with pytest.raises(FitError, match="cannot be computed at a value of 'age'"):
        evaluation_point(fit, {"age": 2}, fixed=True)
    fit, _, _ = point(table, fake_fit, "1", fixed="age + I(age ** 2) + urban")
    found = evaluation_point(fit, {"age": 2, "urban": "Y"}, fixed=True)
    row = dict(zip(fit.facts.coefficients, found.coefficients, strict=True))
    assert row == {
        "Intercept": 1,
        "age": 2,
        "I(age ** 2)": 4,
        "urban[Y]": 1,
        "urban[q:r]": 0,
        "urban[x]]": 0,
    }


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ({"agee": 1}, r"at names 'agee', which is not a covariate of this model\. Did you mean"),
        ({"zzz": 1}, r"Allowed: 'urban', 'age'"),
        ({"age": "old"}, r"at sets 'age' to 'old', but this covariate is a number"),
        ({"age": np.nan}, r"at sets 'age' to 'nan'"),
        ({"age": None}, r"at sets 'age' to 'None'"),
        ({"urban": "y"}, r"at sets 'urban' to 'y'.*Levels: 'N', 'q:r', 'x\]', 'Y'"),
        ({"age": -1}, r"log\(age\) is not a finite number at age = -1"),
        (["age"], r"Give covariates with values: at=\{'year': 0\}"),
    ],
)
def test_values_that_cannot_be_used(
    table: pd.DataFrame, fake_fit: MakeFit, at: dict[str, object], words: str
) -> None:
    with pytest.raises(FitError, match=words):
        point(table, fake_fit, "1 + urban + log(age)", at, fixed="urban")


def test_a_model_without_covariates_says_so(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    with pytest.raises(FitError, match="The model has none: leave at out"):
        point(table, fake_fit, "1", {"age": 1})


def test_a_covariate_of_the_offset_cannot_be_set(table: pd.DataFrame, fake_fit: MakeFit) -> None:
    model = bml.model(table, "n ~ age + days + (1 | g)", family="poisson", exposure="days")
    with pytest.raises(FitError, match="'days', which enters the offset, and the offset stays"):
        evaluation_point(fake_fit(model, draws=2), {"days": 1})
