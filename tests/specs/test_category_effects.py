"""Category-specific effects in formulas: how they are read, written and refused."""

import re

import pandas as pd
import pytest

import bayesml as bml
from bayesml.errors import BayesmlError
from bayesml.specs.formulas import parse_formula
from bayesml.specs.model_files import spec_from_toml, spec_to_toml
from bayesml.specs.modelspec import ModelSpec

STEPS = {"family": "adjacent_category"}


@pytest.mark.parametrize(
    ("formula", "text", "fixed", "specific"),
    [
        ("y ~ z + cs(x)", "y ~ z + cs(x)", "z", "x"),
        ("y ~ cs(x)", "y ~ 1 + cs(x)", "1", "x"),
        ("y ~ cs(x) + z + cs(w)", "y ~ z + cs(x + w)", "z", "x + w"),
        ("y ~ 1+cs(x*w) + offset(o)", "y ~ 1 + cs(x * w) + offset(o)", "1", "x * w"),
        (
            "y ~ cs((x + w)^2 + C(k) + I(x ^ 2))",
            "y ~ 1 + cs((x + w)^2 + C(k) + I(x ** 2))",
            "1",
            "(x + w)^2 + C(k) + I(x ** 2)",
        ),
        ("y ~ cs(x:w - w)", "y ~ 1 + cs(x:w - w)", "1", "x:w - w"),
    ],
)
def test_the_terms_are_kept_in_one_spelling(
    formula: str, text: str, fixed: str, specific: str
) -> None:
    parts = parse_formula(formula)
    assert (parts.text, parts.fixed, parts.specific) == (text, fixed, specific)
    assert parse_formula(parts.text) == parts


def test_a_column_called_cs_is_a_column() -> None:
    parts = parse_formula("y ~ cs + cs(cs) + (1 | cs)")
    assert (parts.fixed, parts.specific, parts.groupings[0].name) == ("cs", "cs", "cs")


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_toml_round_trip(link: str) -> None:
    spec = ModelSpec(
        "y ~ z + cs(`my x` * w)",
        family="continuation_ratio",
        link=link,
        priors=(("beta_cs", "Normal(0, 1)"),),
    )
    text = spec_to_toml(spec)
    assert "cs(`my x` * w)" in text
    assert spec_from_toml(text) == spec


@pytest.mark.parametrize(
    ("formula", "options", "words"),
    [
        (
            "y ~ cs(x)",
            {"family": "ordinal"},
            "the cutpoints of some rows would cross, so that a category between them had a "
            "negative probability. Write x in place of cs(x), or use one of 'adjacent_category', "
            "'continuation_ratio'",
        ),
        (
            "y ~ cs(x)",
            {"family": "poisson"},
            "which the family 'poisson' does not have. Write x in place of cs(x), or use one of "
            "'adjacent_category', 'continuation_ratio'",
        ),
        ("y ~ cs(1)", STEPS, "cs(1) holds an intercept, and the cutpoints are an intercept"),
        ("y ~ cs(0 + x)", STEPS, "cs(0 + x) holds an intercept"),
        ("y ~ cs(x - 1)", STEPS, "cs(x - 1) holds an intercept"),
        ("y ~ z - cs(x)", STEPS, "cs() is added and has one argument"),
        ("y ~ cs(x, z)", STEPS, "Join several terms inside it, + cs(x + z)"),
        ("y ~ cs(x, a=z)", STEPS, "cs() is added and has one argument"),
        ("y ~ cs(x):z", STEPS, "cs(x) is part of another term or of a bar"),
        ("y ~ x + cs(cs(z))", STEPS, "cs(z) is part of another term or of a bar"),
        ("y ~ log(cs(x))", STEPS, "cs(x) stands inside log(cs(x))"),
        ("y ~ x + cs((1 | g))", STEPS, "(1 | g) is part of another term or of a bar"),
        ("y ~ cs(offset(x))", STEPS, "offset(x) is part of another term or of a bar"),
        ("y ~ cs(2)", STEPS, "holds an intercept"),
        ("y ~ cs(x^2)", STEPS, "For the power write I(x ** 2)"),
        ("cs(y) ~ x", STEPS, "outcome 'cs(y)' is an expression. Give a column"),
    ],
)
def test_what_has_no_meaning_is_named(formula: str, options: dict[str, str], words: str) -> None:
    with pytest.raises(BayesmlError, match=re.escape(words)):
        bml.model(TABLE, formula, **options)


def test_formulas_of_other_parameters_have_none() -> None:
    with pytest.raises(BayesmlError, match=r"formula of 'sigma' has cs\(\), which only"):
        ModelSpec("y ~ x", distributional=(("sigma", "~ cs(x)"),))


def test_bars_have_none() -> None:
    with pytest.raises(BayesmlError, match=r"cs\(x\) is part of another term or of a bar"):
        parse_formula("y ~ x + (1 + cs(x) | g)")
    with pytest.raises(BayesmlError, match=r"cs\(x\) is part of another term or of a bar"):
        bml.two_level(TABLE, "y ~ x", group="g", slopes=["cs(x)"], **STEPS)


TABLE = pd.DataFrame(
    {
        "y": [0, 1, 2] * 8,
        "x": [0.5 * number % 3.5 for number in range(24)],
        "z": [number % 5 for number in range(24)],
        "k": [1, 1, 2, 2] * 6,
        "one": 1.0,
        "sex": ["F", "M", "M", "F", "F", "M"] * 4,
        "g": [number // 4 for number in range(24)],
    }
)


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("y ~ cs(xx) + z", "xx"),
        ("y ~ x + cs(x)", "The term 'x' stands in cs() and outside of it, so only the sums"),
        ("y ~ sex + cs(sex)", "The term 'sex[M]' stands in cs() and outside of it"),
        ("y ~ x * z + cs(x:z)", "The term 'x:z' stands in cs() and outside of it"),
        ("y ~ x + cs(I(2 * x + 1))", "The predictor 'cs(I(2 * x + 1))' repeats 'x'"),
        ("y ~ x + cs(I(2 * x + z) + z)", "'cs(z)' is a combination of 'x', 'cs(I(2 * x + z))'"),
        ("y ~ cs(one)", "The predictor 'one' has the value 1 in every row used"),
        ("y ~ cs(x + I(2 * x))", "The predictor 'I(2 * x)' repeats 'x'"),
        ("y ~ 0 + cs(x)", "cutpoints in place of the intercept"),
    ],
)
def test_terms_that_cannot_be_told_apart_are_named(formula: str, words: str) -> None:
    with pytest.raises(BayesmlError, match=re.escape(words)):
        bml.model(TABLE, formula, **STEPS)


def test_labels_and_prior_keys_are_those_of_other_coefficients() -> None:
    made = bml.model(
        TABLE,
        "y ~ z + cs(sex * x)",
        priors={"beta_cs": "Normal(0, 1)", "beta_cs[sex[F]:x]": "StudentT(3, 0, 2)"},
        baseline={"sex": "M"},
        **STEPS,
    )
    assert made.coords["coef_cs"] == ["sex[F]", "x", "sex[F]:x"]
    assert made.coords["cutpoint"] == ["0|1", "1|2"]
    rows = made.priors.set_index("parameter")
    assert rows.loc["beta_cs[x]", ["prior", "origin"]].tolist() == [
        "Normal(0, 1)",
        "set by the user",
    ]
    assert rows.loc["beta_cs[sex[F]:x]", "prior"] == "StudentT(3, 0, 2)"
    with pytest.raises(BayesmlError, match=r"no prior 'beta_cs\[w\]'"):
        bml.model(TABLE, "y ~ cs(x)", priors={"beta_cs[w]": "Normal(0, 1)"}, **STEPS)


def test_default_priors_are_those_of_other_coefficients() -> None:
    made = bml.model(TABLE, "y ~ cs(x) + z", **STEPS)
    (specific,) = made.resolved.parts
    assert specific.slope_priors[0].values == pytest.approx((0, 2.5 / TABLE["x"].std()))


def test_a_growth_model_does_not_add_what_stands_in_cs() -> None:
    made = bml.longitudinal(
        TABLE.assign(t=[number % 4 for number in range(24)]),
        "y ~ cs(t)",
        unit="g",
        time="t",
        growth=2,
        **STEPS,
    )
    assert made.spec.formula == "y ~ 1 + I(t ** 2) + cs(t)"


def test_a_grouping_may_bear_the_name_of_what_the_source_adds() -> None:
    for name in ("cs", "row_cutpoints", "beta_cs"):
        made = bml.two_level(TABLE.rename(columns={"g": name}), "y ~ cs(x)", group=name, **STEPS)
        assert set(made.resolved.posterior_names) <= set(made.to_pymc().named_vars)
