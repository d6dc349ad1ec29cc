"""Default priors as numbers from the table, the user's changes, and the parametrisation."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import bayesml as bml
from bayesml.specs.distributions import Prior

ROWS = 40


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(31)
    number = np.arange(ROWS)
    return pd.DataFrame(
        {
            "score": rng.normal(100, 15, ROWS),
            "passed": rng.permutation(number % 4 == 0).astype(int),
            "items": rng.integers(2, 9, ROWS),
            "correct": 1,
            "events": rng.poisson(3.0, ROWS),
            "days": rng.uniform(1, 5, ROWS),
            "grade": number % 3,
            "x": rng.normal(50, 4, ROWS),
            "sex": rng.choice(["F", "M"], ROWS),
            "g": number % 8,
        }
    )


def priors_of(made: bml.Model) -> dict[str, Prior]:
    resolved = made.resolved
    found = dict(zip(resolved.slopes, resolved.slope_priors, strict=True))
    if resolved.intercept_prior is not None:
        found["Intercept"] = resolved.intercept_prior
    for grouping in resolved.groupings:
        for term, prior in zip(grouping.terms, grouping.sd_priors, strict=True):
            found[f"sd_{grouping.name}[{term}]"] = prior
    return {**found, **resolved.parameter_priors}


def assert_priors(made: bml.Model, expected: dict[str, Prior]) -> None:
    found = priors_of(made)
    assert set(found) == set(expected)
    for key, prior in expected.items():
        assert found[key].distribution == prior.distribution, key
        # Numbers that a prior takes from a text have six digits.
        np.testing.assert_allclose(found[key].values, prior.values, rtol=1e-5, err_msg=key)


def two(table: pd.DataFrame, formula: str, **options: Any) -> bml.Model:
    return bml.two_level(table, formula, group="g", slopes=["x"], **options)


def test_gaussian_priors_scale_with_the_outcome_and_the_predictors(table: pd.DataFrame) -> None:
    made = two(table, "score ~ x + sex")
    s = table["score"].std()
    male = (table["sex"] == "M").std()
    assert_priors(
        made,
        {
            "Intercept": Prior("Normal", (table["score"].mean(), 2.5 * s)),
            "x": Prior("Normal", (0.0, 2.5 * s / table["x"].std())),
            "sex[M]": Prior("Normal", (0.0, 2.5 * s / male)),
            "sd_g[Intercept]": Prior("HalfStudentT", (4.0, s)),
            "sd_g[x]": Prior("HalfStudentT", (4.0, s / table["x"].std())),
            "sigma": Prior("HalfStudentT", (4.0, s)),
        },
    )
    assert made.resolved.groupings[0].eta == 2.0


def link_scale(table: pd.DataFrame, location: float) -> dict[str, Prior]:
    return {
        "Intercept": Prior("Normal", (location, 2.5)),
        "x": Prior("Normal", (0.0, 2.5 / table["x"].std())),
        "sd_g[Intercept]": Prior("HalfStudentT", (4.0, 1.0)),
        "sd_g[x]": Prior("HalfStudentT", (4.0, 1.0 / table["x"].std())),
    }


@pytest.mark.parametrize(
    ("link", "forward"),
    [
        ("logit", special.logit),
        ("probit", stats.norm.ppf),
        ("cloglog", lambda p: np.log(-np.log(1 - p))),
    ],
)
def test_binary_priors_are_on_the_link_scale(link: str, forward: Any, table: pd.DataFrame) -> None:
    made = two(table, "passed ~ x", family="binomial", link=link)
    assert_priors(made, link_scale(table, forward(table["passed"].mean())))
    made = two(table, "correct ~ x", family="binomial", link=link, trials="items")
    assert_priors(made, link_scale(table, forward(ROWS / table["items"].sum())))


@pytest.mark.parametrize(
    ("options", "amount"),
    [
        ({}, lambda table: ROWS),
        ({"exposure": "days"}, lambda table: table["days"].sum()),
        ({"offset": "log_days"}, lambda table: table["days"].sum()),
    ],
)
def test_the_rate_of_counts_is_per_exposure(
    options: dict[str, str], amount: Any, table: pd.DataFrame
) -> None:
    with_log = table.assign(log_days=np.log(table["days"]))
    made = two(with_log, "events ~ x", family="poisson", **options)
    assert_priors(made, link_scale(table, np.log(table["events"].sum() / amount(table))))


def test_an_ordinal_model_has_cutpoints_in_place_of_the_intercept(table: pd.DataFrame) -> None:
    made = two(table, "grade ~ x", family="ordinal")
    expected = link_scale(table, 0.0)
    expected["cutpoints"] = Prior("StudentT", (3.0, 0.0, 2.5))
    del expected["Intercept"]
    assert_priors(made, expected)
    # Sampling starts where the categories' shares are.
    shares = np.cumsum(table["grade"].value_counts().sort_index() / ROWS)[:-1]
    np.testing.assert_allclose(made.data["cutpoints_start"], special.logit(shares), atol=0.05)


@pytest.mark.parametrize(
    ("outcome", "options", "location"),
    [
        # Half a success or failure keeps the link finite.
        ("none", {"family": "binomial"}, special.logit(0.5 / ROWS)),
        ("all", {"family": "binomial"}, special.logit(1 - 0.5 / ROWS)),
        ("none", {"family": "poisson"}, np.log(0.5 / ROWS)),
    ],
)
@pytest.mark.filterwarnings("ignore:Every:bayesml.errors.BayesmlWarning")
def test_outcomes_of_all_zeros_or_ones_stay_finite(
    outcome: str, options: dict[str, str], location: float, table: pd.DataFrame
) -> None:
    made = two(table.assign(none=0, all=1), f"{outcome} ~ x", **options)
    prior = made.resolved.intercept_prior
    assert prior is not None
    assert prior.values[0] == pytest.approx(location)


def test_without_an_intercept_predictors_are_not_centred(table: pd.DataFrame) -> None:
    made = two(table.assign(one=3.0), "score ~ 0 + x + one")
    found = priors_of(made)
    s = table["score"].std()
    assert "Intercept" not in found
    # A constant column has no SD; its size takes its place.
    assert found["one"].values[1] == pytest.approx(2.5 * s / 3)
    np.testing.assert_array_equal(made.data["x"][:, 0], table["x"])


@pytest.mark.parametrize(
    ("priors", "expected"),
    [
        ({"beta": "Normal(0, 1)"}, {"x": "Normal(0, 1)", "sex[M]": "Normal(0, 1)"}),
        ({"beta": "Normal(0, 1)", "beta[x]": "Cauchy(0, 2)"}, {"x": "Cauchy(0, 2)"}),
        ({"Intercept": "StudentT(3, 100, 9)"}, {"Intercept": "StudentT(3, 100, 9)"}),
        ({"sd_g": "HalfNormal(2)"}, {"sd_g[x]": "HalfNormal(2)"}),
        ({"sd": "HalfNormal(2)"}, {"sd_g[Intercept]": "HalfNormal(2)"}),
        ({"sd": "HalfNormal(2)", "sd_g[x]": "pc(1, 0.5)"}, {"sd_g[x]": "Exponential(0.693147)"}),
        ({"sigma": "Exponential(0.1)"}, {"sigma": "Exponential(0.1)"}),
    ],
)
def test_the_most_special_key_wins(
    priors: dict[str, str], expected: dict[str, str], table: pd.DataFrame
) -> None:
    made = two(table, "score ~ x + sex", priors=priors)
    found = priors_of(made)
    for key, text in expected.items():
        assert found[key].text == text
    origins = {key: origin for key, _, origin in made.facts.priors}
    touched = {"x": "beta[x]", "sex[M]": "beta[sex[M]]"}
    for key in expected:
        assert origins[touched.get(key, key)] == "set by the user"
    assert "default" in origins.values()


def test_units_are_centred_as_far_as_the_data_tell_them_apart() -> None:
    """A school's grade is the reliability of its mean, with the variances of REML (lme4 1.1).

    0.09384 between schools and 0.56587 between pupils, for `normexam ~ standLRT`; the crude fit
    need not be closer than a few hundredths.
    """
    exam = bml.load_dataset("exam")
    made = bml.two_level(exam, "normexam ~ standLRT", group="school")
    counts = exam["school"].astype(str).value_counts()
    pupils = np.array([counts[str(label)] for label in made.coords["school"]])
    reliability = 0.09384 / (0.09384 + 0.56587 / pupils)
    np.testing.assert_allclose(made.data["grade_school"][:, 0], reliability, atol=0.04)
    assert "mean reliability 0.8" in made.facts.groupings[0].reason


def test_units_that_hardly_differ_are_not_centred() -> None:
    """The variance between the 19 secondary schools is next to nothing beside the primary's."""
    made = bml.cross_classified(
        bml.load_dataset("scotssec"), "attain ~ verbal", groups=["primary", "second"]
    )
    assert made.data["grade_second"].max() < 0.1
    assert made.data["grade_primary"].max() > 0.5


def test_a_slope_that_the_data_say_less_about_is_not_centred() -> None:
    made = bml.two_level(
        bml.load_dataset("exam"), "normexam ~ standLRT", group="school", slopes=["standLRT"]
    )
    assert made.resolved.groupings[0].partly_centred


@pytest.mark.parametrize(
    ("form", "terms"), [("centred", 2), ("partly centred", 1), ("non-centred", 0)]
)
def test_the_user_may_set_the_form(form: str, terms: int, table: pd.DataFrame) -> None:
    made = two(table, "score ~ x", parametrisation={"g": form})
    (grouping,) = made.resolved.groupings
    assert grouping.centred_terms == terms
    assert grouping.reason == f"{form}: set by the user"
    assert two(table, "score ~ x", parametrisation=form).resolved == made.resolved
