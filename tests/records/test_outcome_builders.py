"""Builders of several outcomes and of pairs: what they make, and what they refuse."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.specs.model_files import spec_from_toml, spec_to_toml

pytestmark = pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning")


def papers() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "written": [1.0, np.nan, 3.0, 4.0, np.nan, 2.5, 1.5, 3.5],
            "course": [10.0, 12.0, np.nan, 15.0, np.nan, 11.0, 13.0, 9.0],
            "label": list("abababab"),
            "age": [1.0, 2.0, 3.0, np.nan, 5.0, 6.0, 7.0, 8.0],
            "sex": list("FMFMFMFM"),
            "school": [1, 1, 2, 2, 3, 3, 4, 4],
            "outcome": rng.normal(size=8),
            "absences": [0, 1, 2, 0, 3, 1, 0, 2],
            "prizes": [1, 0, 0, 2, 1, 1, 0, 1],
        }
    )


def couples() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "couple": [3, 1, 1, 2, 2, 3],
            "role": ["wife", "wife", "husband", "husband", "wife", "husband"],
            "care": [5.0, 1.0, 2.0, 4.0, 3.0, 6.0],
            "content": [5.5, 1.2, 2.2, 3.9, 3.2, 6.4],
        }
    )


def test_rows_and_outcomes_are_stacked_and_missing_ones_absent() -> None:
    model = bml.multivariate(papers(), "age", outcomes=["written", "course"], group="school")
    # Row 4 has no age, row 5 no outcome; the rest has 11 values.
    assert model.spec.text == "mvbind(written, course) ~ age + (1 | school)"
    frame = model.design.rows.frame
    assert frame["row"].tolist() == [1, 1, 2, 3, 6, 6, 7, 7, 8, 8]
    assert model.design.response.values.tolist() == [1, 10, 12, 3, 2.5, 11, 1.5, 13, 3.5, 9]
    (note,) = model.design.notes[:1]
    assert "7 of 8 rows have all predictors" in note
    assert "(age: 1)" in note
    assert "values: written 5 of 7, course 5 of 7" in note
    assert "Rows without any outcome were left out: 1." in note
    assert model.coords["outcome"] == ["written", "course"]
    assert model.coords["coef"] == ["Intercept", "age"]
    assert model.facts.coefficients == (
        "written:Intercept",
        "written:age",
        "course:Intercept",
        "course:age",
    )


def test_a_formula_says_the_same() -> None:
    built = bml.multivariate(
        papers(), "age", outcomes=["written", "course"], group="school", slopes=["age"]
    )
    written = bml.model(papers(), "mvbind(written, course) ~ age + (age | school)")
    assert built.source == written.source
    for name, values in built.data.items():
        np.testing.assert_array_equal(values, written.data[name])
    assert "block" not in built.source


def test_predictors_are_not_a_block_diagonal_matrix() -> None:
    model = bml.multivariate(papers(), "age + sex", outcomes=["written", "course"])
    assert model.data["x_centred"].shape == (10, 2)
    assert model.data["x_mean"].shape == (2, 2)
    ages = [1.0, 3.0, 6.0, 7.0, 8.0], [1.0, 2.0, 6.0, 7.0, 8.0]
    np.testing.assert_allclose(model.data["x_mean"][:, 0], [np.mean(own) for own in ages])


@pytest.mark.parametrize(
    "options",
    [{}, {"residual_correlation": False}, {"priors": {"Intercept[course]": "Normal(12, 1)"}}],
    ids=str,
)
def test_a_model_file_holds_the_model(options: dict[str, Any]) -> None:
    spec = bml.multivariate(
        papers(), "age", outcomes=["written", "course"], group="school", **options
    ).spec
    assert spec_from_toml(spec_to_toml(spec)) == spec
    pair = bml.dyadic(couples(), "content ~ 1", dyad="couple", member="role").spec
    assert spec_from_toml(spec_to_toml(pair)) == pair


def test_a_model_file_holds_the_families() -> None:
    families = {"written": "gaussian", "absences": "poisson"}
    spec = mixed(families, group="school").spec
    text = spec_to_toml(spec)
    assert '[family]\n"written" = "gaussian"\n"absences" = "poisson"' in text
    assert spec_from_toml(text) == spec
    formula = "mvbind(written, absences) ~ age + (1 | school)"
    same = bml.model(papers(), formula, family=families)
    assert replace(same.spec, structure="multivariate") == spec
    short = 'format = 1\nformula = "mvbind(a, b) ~ x"\nlink = "probit"\n[family]\n'
    read = spec_from_toml(short + 'a = "binomial"\nb = "beta"\n')
    assert read.links == (("a", "probit"), ("b", "probit"))
    with pytest.raises(bml.TomlError, match="\\[family\\]: 'a' is 3, not a text"):
        spec_from_toml(short + "a = 3\n")


def test_every_outcome_has_its_own_priors() -> None:
    model = bml.multivariate(
        papers(),
        "age",
        outcomes=["written", "course"],
        group="school",
        priors={
            "sigma": "HalfNormal(3)",
            "sigma[course]": "HalfNormal(4)",
            "beta[written:age]": "Normal(0, 7)",
            "sd_school[course:Intercept]": "HalfNormal(5)",
            "corr_residual": "LKJ(3)",
        },
    )
    table = model.priors.set_index("parameter")["prior"]
    assert table["sigma[written]"] == "HalfNormal(3)"
    assert table["sigma[course]"] == "HalfNormal(4)"
    assert table["beta[written:age]"] == "Normal(0, 7)"
    assert table["sd_school[course:Intercept]"] == "HalfNormal(5)"
    assert table["corr_residual"] == "LKJ(3)"
    # The scale of a default is that of its own outcome.
    course = np.std([10.0, 12.0, 11.0, 13.0, 9.0], ddof=1)
    assert table["Intercept[course]"] == f"Normal(11, {2.5 * course:.6g})"
    assert "vpc school [written]" in table.index


def test_prior_predictive_has_every_outcome() -> None:
    model = bml.multivariate(papers(), "age", outcomes=["written", "course"], group="school")
    draws = model.prior_predictive(400, seed=1)
    prior = draws["prior"].to_dataset()
    assert prior["beta"].dims == ("chain", "draw", "outcome", "coef")
    assert prior["corr_residual"].dims == ("chain", "draw", "outcome", "outcome_bis")
    outcome = draws["prior_predictive"].to_dataset()["response"].values[0]
    assert outcome.shape == (400, 10)
    assert np.isfinite(outcome).all()


def mixed(family: Any, **options: Any) -> bml.Model:
    outcomes = ["written", "absences"]
    return bml.multivariate(papers(), "age", outcomes=outcomes, family=family, **options)


def test_gaussian_residuals_beside_other_families_are_independent() -> None:
    model = bml.multivariate(
        papers(),
        "age",
        outcomes=["written", "course", "prizes"],
        family={"written": "gaussian", "course": "gaussian", "prizes": "poisson"},
    )
    assert any("residuals of 'written', 'course' are independent" in note for note in model.notes)
    assert "corr_residual" not in model.source
    assert model.coords["sigma_outcome"] == ["written", "course"]


def test_trials_that_may_be_those_of_another_outcome_are_named() -> None:
    several = papers().assign(prizes=[1, 0, 2, 2, 1, 1, 0, 1])
    model = bml.multivariate(
        several, "age", outcomes=["prizes", "absences"], family="binomial", trials=3
    )
    assert not [note for note in model.notes if "0 and 1 only" in note]
    single = papers().assign(prizes=[0, 1, 0, 1, 1, 0, 1, 0])
    families = {"prizes": "binomial", "absences": "binomial", "written": "gaussian"}
    built = bml.multivariate(single, "age", outcomes=list(families), family=families, trials=3)
    (note,) = [note for note in built.notes if "0 and 1 only" in note]
    assert "The outcome 'prizes' holds" in note


ERRORS: list[tuple[Callable[[], bml.Model], str]] = [
    (lambda: bml.multivariate(papers(), "age", outcomes=["written"]), "has one outcome"),
    (
        lambda: bml.multivariate(papers(), "age", outcomes=["written", "written"]),
        "names the outcome 'written' twice|twice",
    ),
    (
        lambda: bml.multivariate(papers(), "age", outcomes=["written", "label"]),
        "outcome 'label' holds .* several outcomes take numbers",
    ),
    (
        lambda: bml.multivariate(papers(), "y ~ age", outcomes=["written", "course"]),
        "Give the right-hand side alone",
    ),
    (
        lambda: bml.multivariate(papers(), "outcome", outcomes=["written", "course"]),
        "is called 'outcome'",
    ),
    (
        lambda: bml.multivariate(
            papers().assign(school=[1, 1, None, 2, 3, 3, 4, 4]),
            "1",
            outcomes=["absences", "prizes"],
            group="school",
        ),
        r"has no label in column 'school', row 3\. Every row",
    ),
    *[
        (
            lambda formula=formula: bml.model(papers(), formula),
            "The outcome 'absences' is used as a predictor, grouping, weight or offset as well",
        )
        for formula in (
            "mvbind(absences, prizes) ~ absences + (1 | school)",
            "mvbind(absences, prizes) ~ age + (absences | school)",
            "mvbind(absences, prizes) ~ age + (1 | absences)",
            "mvbind(absences, prizes) ~ age + offset(absences) + (1 | school)",
        )
    ],
    (
        lambda: bml.model(
            couples().assign(couple=[3, 1, None, 2, 2, 3]),
            "content ~ 1",
            residual="compound_symmetric(couple)",
        ),
        r"The grouping 'couple' has no label in column 'couple', row 3\.",
    ),
    (lambda: mixed({"written": "gaussian"}), "says nothing about the outcome 'absences'"),
    (
        lambda: mixed({"written": "gaussian", "absences": "poisson", "prizes": "poisson"}),
        "family names 'prizes', which is not an outcome of this model",
    ),
    (
        lambda: mixed({"written": "gaussian", "absences": "poison"}),
        "Outcome 'absences': The family 'poison' is unknown. Did you mean 'poisson'",
    ),
    (
        lambda: mixed({"written": "gaussian", "absences": 1}),
        "family is '?1'? for 'absences'",
    ),
    (
        lambda: mixed({"written": "gaussian", "absences": "poisson"}, link={"absences": "logit"}),
        "Outcome 'absences': The family 'poisson' has no link 'logit'",
    ),
    (
        lambda: mixed({"written": "gaussian", "absences": "poisson"}, link={"prizes": "log"}),
        "link names 'prizes', which is not an outcome",
    ),
    (
        lambda: mixed({"written": "gaussian", "absences": "poisson"}, link="log"),
        "Outcome 'written': The family 'gaussian' has no link 'log'",
    ),
    (
        lambda: mixed({"written": "gaussian", "absences": "binomial"}),
        "outcome 'absences' has 3 of 7 rows outside the support of the family 'binomial'",
    ),
    (
        lambda: mixed({"written": "gaussian", "absences": "categorical"}),
        "'absences' of the family 'categorical' has categories without an order, and cannot be",
    ),
    (
        lambda: mixed({"written": "gaussian", "absences": "poisson"}, offset="age"),
        "offset cannot be set for outcomes of different families",
    ),
    (
        lambda: mixed({"written": "gaussian", "absences": "poisson"}, trials="prizes"),
        "trials= belongs to outcomes of the family 'binomial', and there is none among",
    ),
    (
        lambda: mixed({"written": "gaussian", "absences": "binomial"}, exposure="age"),
        "exposure= belongs to outcomes of the family 'poisson', and there is none among",
    ),
    (
        lambda: mixed({"written": "gaussian", "absences": "binomial"}, trials="prizes"),
        "trials of 'absences' are not positive whole numbers",
    ),
    (
        lambda: mixed({"written": "gaussian", "absences": "binomial"}, trials=0),
        "trials is 0",
    ),
    (
        lambda: mixed({"written": "gaussian", "absences": "poisson"}, exposure="prizes"),
        "exposure 'prizes' is not positive",
    ),
    (
        lambda: mixed(
            {"written": "gaussian", "absences": "poisson"}, distributional={"sigma": "~ age"}
        ),
        "distributional is for one outcome",
    ),
    (
        lambda: bml.model(papers(), "written ~ age", family={"written": "gaussian"}),
        "family or link names outcomes, and this model has one, 'written'",
    ),
    (
        lambda: mixed({"written": "gaussian", "absences": "poisson"}, group="outcome"),
        "is called 'outcome'",
    ),
    (
        lambda: mixed(
            {"written": "gaussian", "absences": "poisson"}, priors={"sigma[absences]": "Normal"}
        ),
        "There is no prior 'sigma\\[absences\\]'",
    ),
    (
        lambda: bml.multivariate(
            papers().assign(row_label=range(8)),
            "age",
            outcomes=["absences", "written"],
            family={"absences": "poisson", "written": "gaussian"},
            group="row_label",
        ),
        "the residual has the same units",
    ),
    (
        lambda: bml.dyadic(couples(), "content ~ 1", dyad="couple", family={"content": "gaussian"}),
        "dyadic has one outcome",
    ),
    (
        lambda: bml.multivariate(
            papers(), "age", outcomes=["absences", "prizes"], family="binomial"
        ),
        "outcome 'absences' has 3 of 7 rows outside the support",
    ),
    (
        lambda: bml.multivariate(
            papers(), "age", outcomes=["written", "course"], residual="ar1(school)"
        ),
        "residual cannot be set for several outcomes",
    ),
    (
        lambda: bml.model(papers(), "written ~ age", residual_correlation=False),
        "residual_correlation belongs to several outcomes",
    ),
    (
        lambda: bml.multivariate(
            papers().assign(written=np.nan), "age", outcomes=["written", "course"]
        ),
        "No row that could be used has a value of the outcome 'written'",
    ),
    (lambda: bml.model(papers(), "mvbind(written) ~ age"), "mvbind\\(\\) has one outcome"),
    (
        lambda: bml.model(papers(), "mvbind(written, log(course)) ~ age"),
        "holds log\\(course\\), which is not a column",
    ),
    (
        lambda: bml.model(papers(), "log(mvbind(written, course)) ~ age"),
        "mvbind\\(\\) stands inside",
    ),
    (
        lambda: bml.model(papers(), "written ~ mvbind(course, age)"),
        "belongs left of '~'",
    ),
    (
        lambda: bml.dyadic(couples().iloc[:5], "content ~ 1", dyad="couple"),
        "1 of 3 pairs of 'couple' have not two members: '3 \\(1\\)'",
    ),
    (
        lambda: bml.dyadic(
            pd.concat([couples(), couples().iloc[:1]]), "content ~ 1", dyad="couple"
        ),
        "have not two members: '3 \\(3\\)'",
    ),
    (
        lambda: bml.dyadic(
            couples().assign(couple=[3, 1, 1, 2, 2, None]), "content ~ 1", dyad="couple"
        ),
        "has no label in 1 rows",
    ),
    (
        lambda: bml.dyadic(
            couples().assign(role="wife"), "content ~ 1", dyad="couple", member="role"
        ),
        "'role' has 1 values",
    ),
    (
        lambda: bml.dyadic(
            couples().assign(role=["wife", "wife", "wife", "husband", "wife", "husband"]),
            "content ~ 1",
            dyad="couple",
            member="role",
        ),
        "1 pairs of 'couple' have two members of the same 'role': '1'",
    ),
    (
        lambda: bml.dyadic(couples(), "content ~ role", dyad="couple", member="role"),
        "names 'role', which tells the members apart",
    ),
    (
        lambda: bml.dyadic(couples(), "content ~ 1", dyad="couple", family="poisson"),
        "the family 'poisson' dyadic correlates effects of the two members, .* Give member='role', "
        r"or use two_level\(table, formula, group='couple', family='poisson'\)",
    ),
    (
        lambda: bml.dyadic(
            couples(), "content ~ 1", dyad="couple", member="role", family="negative_binomial"
        ),
        "residuals, which the family 'negative_binomial' does not have, .* Use two_level",
    ),
    (
        lambda: bml.dyadic(
            couples(), "content ~ 1", dyad="couple", member="role", family="binomial"
        ),
        "effects of single persons are not told from how its outcomes scatter",
    ),
    (
        lambda: bml.dyadic(couples(), "content ~ 1", dyad="couple", residual="iid"),
        "Leave residual out",
    ),
    (
        lambda: bml.dyadic(couples(), "content ~ 1", dyad="couple", group="couple"),
        "not identified together",
    ),
    (
        lambda: bml.dyadic(
            couples().assign(actor_care=1.0), "content ~ 1", dyad="couple", actor_partner=["care"]
        ),
        "has a column 'actor_care' already",
    ),
]


@pytest.mark.parametrize(("build", "words"), ERRORS, ids=[words for _, words in ERRORS])
def test_says_what_is_wrong(build: Callable[[], bml.Model], words: str) -> None:
    with pytest.raises(bml.BayesmlError, match=words):
        build()


def test_partners_have_each_others_values() -> None:
    table = bml.with_partners(couples(), "care", dyad="couple")
    assert table["actor_care"].tolist() == couples()["care"].tolist()
    assert table["partner_care"].tolist() == [6.0, 2.0, 1.0, 3.0, 4.0, 5.0]


def test_roles_have_coefficients_and_exchangeable_members_share_them() -> None:
    rng = np.random.default_rng(2)
    more = pd.DataFrame(
        {
            "couple": np.repeat(np.arange(10), 2),
            "role": ["wife", "husband"] * 10,
            "care": rng.normal(size=20),
            "content": rng.normal(size=20),
        }
    )
    roles = bml.dyadic(more, "content ~ 1", dyad="couple", member="role", actor_partner=["care"])
    assert roles.coords["member"] == ["husband", "wife"]
    assert roles.coords["coef"] == ["Intercept", "actor_care", "partner_care"]
    assert "corr_residual" in roles.resolved.posterior_names
    alike = bml.dyadic(more, "content ~ 1", dyad="couple", actor_partner="care")
    assert alike.facts.coefficients == ("Intercept", "actor_care", "partner_care")
    assert alike.spec.residual is not None
    assert alike.spec.residual.text == "compound_symmetric(couple)"
    # The correlation of two members may be as low as -1.
    text = alike.priors.set_index("parameter").loc["corr_residual", "prior"]
    assert text == "Uniform(-1, 1)"


def test_the_marginal_engine_takes_several_gaussian_outcomes() -> None:
    from bayesml.engines.marginal_models import reason_against

    both = bml.multivariate(papers(), "age", outcomes=["written", "course"], group="school")
    assert reason_against(both.resolved) == ""
    alone = bml.multivariate(
        papers(), "age", outcomes=["written", "course"], group="school", residual_correlation=False
    )
    assert reason_against(alone.resolved) == ""
