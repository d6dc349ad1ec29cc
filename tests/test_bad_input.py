"""Whatever is wrong with a table or an argument is said before anything compiles.

One row a message: the exception and the words that a reader needs (what, where, what is allowed,
what to do).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.errors import (
    BayesmlWarning,
    FormulaError,
    PriorError,
    SpecError,
    TableError,
)
from bayesml.specs.groupings import Grouping
from bayesml.specs.modelspec import ModelSpec

ROWS = 36
Change = Callable[[pd.DataFrame], pd.DataFrame]


def good_table() -> pd.DataFrame:
    """A table on which every builder makes a model without a word."""
    rng = np.random.default_rng(12)
    number = np.arange(ROWS)
    return pd.DataFrame(
        {
            "score": rng.normal(size=ROWS),
            "passed": rng.permutation(number % 2),
            "correct": rng.integers(0, 4, ROWS),
            "items": 4,
            "events": rng.poisson(2.0, ROWS),
            "days": rng.uniform(1, 3, ROWS),
            "grade": rng.permutation(number % 3 + 1),
            "mood": rng.permutation(np.array(["low", "mid", "high"])[number % 3]),
            "school": np.array(["Ash", "Birch", "Elm", "Fir", "Lime", "Oak"])[number % 6],
            "area": rng.permutation(np.array(["n", "e", "s", "w", "c"])[number % 5]),
            "person": [f"p{item}" for item in number],
            "first": [f"u{item}" for item in number % 6],
            "second": [f"u{item}" for item in (number // 6 + 1 + number % 6) % 6],
            "share": 0.7,
            "rest": 0.3,
            "week": number % 4,
            "occasion": number // 6,
            "x": rng.normal(size=ROWS),
            "sex": rng.choice(["F", "M"], ROWS),
        }
    ).assign(second=lambda frame: frame["second"].where(frame["second"] != frame["first"], "u9"))


def setting(column: str, row: int, value: object) -> Change:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        values = table[column].tolist()
        values[row] = value
        return table.assign(**{column: values})

    return change


def having(**columns: Any) -> Change:
    return lambda table: table.assign(**columns)


def as_is(table: pd.DataFrame) -> pd.DataFrame:
    return table


def two(formula: str = "score ~ x", **options: Any) -> Callable[[pd.DataFrame], bml.Model]:
    arguments = {"group": "school", **options}
    return lambda table: bml.two_level(table, formula, **arguments)


def lme(formula: str, **options: Any) -> Callable[[pd.DataFrame], bml.Model]:
    return lambda table: bml.model(table, formula, **options)


def members(**options: Any) -> Callable[[pd.DataFrame], bml.Model]:
    arguments = {"members": ["first", "second"], "weights": ["share", "rest"], **options}
    return lambda table: bml.multiple_membership(table, "score ~ x", **arguments)


def three(**options: Any) -> Callable[[pd.DataFrame], bml.Model]:
    arguments = {"groups": ["area", "school"], **options}
    return lambda table: bml.three_level(table, "score ~ x", **arguments)


def crossed(**options: Any) -> Callable[[pd.DataFrame], bml.Model]:
    arguments = {"groups": ["area", "school"], **options}
    return lambda table: bml.cross_classified(table, "score ~ x", **arguments)


def growth(**options: Any) -> Callable[[pd.DataFrame], bml.Model]:
    arguments = {"unit": "school", "time": "occasion", **options}
    return lambda table: bml.longitudinal(table, "score ~ 1", **arguments)


TRIALS = {"family": "binomial", "trials": "items"}
BINARY = {"family": "binomial"}
POISSON = {"family": "poisson"}
ORDINAL = {"family": "ordinal"}
NOMINAL: dict[str, Any] = {"family": "categorical"}

COLUMNS = [
    (as_is, two("score ~ hours"), TableError, "no column 'hours' (predictor)"),
    (as_is, two("score ~ scor"), TableError, "Did you mean 'score'?"),
    (as_is, two("scor ~ x"), TableError, "no column 'scor' (outcome). Did you mean 'score'?"),
    (as_is, two(group="scool"), TableError, "grouping: the table has no column 'scool'"),
    (as_is, lme("score ~ x + (1 | scool)"), TableError, "'scool' (grouping). Did you"),
    (as_is, two(slopes=["hours"]), TableError, "no column 'hours' (varying term)"),
    (as_is, two("events ~ x", exposure="day", **POISSON), TableError, "'day' (exposure)"),
    (as_is, two(offset="day"), TableError, "no column 'day' (offset)"),
    (as_is, two("correct ~ x", family="binomial", trials="item"), TableError, "mean 'items'"),
    (as_is, members(weights=["share", "rst"]), TableError, "Did you mean 'rest'?"),
    (as_is, members(members=["first", "secnd"]), TableError, "Did you mean 'second'?"),
    (lambda t: t.set_index("school"), two(), TableError, "table.reset_index()"),
    (setting("x", 3, np.inf), two(), TableError, "Column 'x' (predictor) is infinite in row 4"),
    (setting("score", 0, -np.inf), two(), TableError, "(outcome) is infinite in row 1"),
    (setting("x", 3, 1e200), two(), TableError, "larger than 1e+100 in row 4"),
    (having(x=1j), two(), TableError, "Column 'x' (predictor) holds complex numbers"),
    (having(x=pd.Timestamp("2020-01-01")), two(), TableError, "holds dates"),
    (having(x=pd.Timedelta("1D")), two(), TableError, "timedelta64"),
    (setting("sex", 2, 5), two("score ~ sex"), TableError, "mixes types (text: 'M' in row 1"),
    (setting("sex", 2, [5]), two("score ~ sex"), TableError, "list: '[5]' in row 3"),
    (setting("school", 2, ["Oak"]), two(), TableError, "Column 'school' (grouping) mixes types"),
    (setting("x", 2, 10**400), two(), TableError, "do not fit 64 bits"),
    (having(x=np.nan), two(), TableError, "No row is left"),
    (having(x=4.0), two(), TableError, "'x' has the value 4 in every row used"),
    (having(x="a"), two(), TableError, "'x' has only one level, 'a'"),
    (lambda t: t.assign(z=2 * t.x), two("score ~ x + z"), TableError, "'z' repeats 'x'"),
    (lambda t: t.assign(z=t.x - t.week), two("score ~ x + week + z"), TableError,
     "'z' is a combination of 'x', 'week'"),
    (having(z=4.0), two(slopes=["z"]), TableError, "'z' of 'school' has the value 4"),
    (as_is, two("score ~ log(x)"), TableError, "'log(x)' of the fixed part is not a number"),
    (as_is, two("score ~ exp(exp(10 + x))"), TableError, "is not a number below 1e+100"),
    (as_is, two("score ~ log(sex)"), FormulaError, "log(sex) computes with 'sex'"),
    (as_is, two("score ~ bs(x, df='a')"), FormulaError, "cannot be computed"),
    (as_is, two("score ~ bs(x, df=4, knot=3)"), FormulaError, "cannot be computed"),
    (having(Intercept=lambda t: t.x), two("score ~ Intercept"), TableError,
     "a column is called 'Intercept', like another term"),
    (having(Intercept=lambda t: t.x), two("score ~ 0 + Intercept"), TableError, "Rename the"),
    (lambda t: t.assign(**{"sex[M]": t.x}), two("score ~ sex + `sex[M]`"), TableError,
     "In the fixed part a column is called 'sex[M]'"),
    (lambda t: t.assign(**{"x:week": t.share}), two("score ~ x * week + `x:week`"), TableError,
     "'x:week', like another term"),
    (having(Intercept=lambda t: t.week), two(slopes=["Intercept"]), TableError,
     "In the grouping 'school' a column is called 'Intercept'"),
    (as_is, two("score ~ C(sex, x)"), FormulaError, "C() takes one column"),
    (as_is, two("score ~ offset(log(x))"), TableError, "The offset log(x) is not a finite number"),
    (as_is, two("score ~ offset(bs(x))"), FormulaError, "cannot be computed row by row"),
    (having(days=0), two("events ~ x", exposure="days", **POISSON), TableError,
     "exposure 'days' is not positive in row 1, 2, 3, 4, 5, ... (36 in all)"),
]  # fmt: skip

GROUPINGS = [
    (having(school="Oak"), two(), TableError, "grouping 'school' has one unit only, 'Oak'"),
    (as_is, two(group="person"), SpecError, "'person' has one row a unit"),
    (as_is, two("passed ~ x", group="person", **BINARY), SpecError, "has one row a unit"),
    (as_is, two("grade ~ x", group="person", **ORDINAL), SpecError, "has one row a unit"),
    (having(ones=1), two("passed ~ x", group="person", family="binomial", trials="ones"),
     SpecError, "has one row a unit"),
    (setting("school", 4, None), two(), TableError,
     "'school' has no label in column 'school', row 5. Every row needs one"),
    (having(school=None), two(), TableError, "has no label in column 'school'"),
    (lambda t: t.assign(copy=t.school.str.upper()), lme("score ~ x + (1 | school) + (1 | copy)"),
     SpecError, "'school' and 'copy' divide the rows into the same units"),
    (as_is, lme("score ~ x + (x | school) + (x | school)"), SpecError, "'Intercept', 'x' twice"),
    (as_is, lambda t: bml.model(t, ModelSpec("score ~ x", (Grouping("g", ("school",), ("0",)),))),
     SpecError, "Nothing varies over the grouping 'g'"),
    (having(z=lambda t: 2 * t.x), two(slopes=["x", "z"]), TableError, "combinations of each other"),
    (setting("share", 2, -0.7), members(), TableError, "weight 'share' of 'first' is negative in "
     "row 3. Weights are shares: 0 or more."),
    (lambda t: setting("rest", 2, 0)(setting("share", 2, 0)(t)), members(), TableError,
     "weights of 'first' are all zero in row 3"),
    (setting("share", 2, 0.5), members(), TableError, "sum to 0.8, not 1, in row 3"),
    (setting("share", 2, None), members(), TableError, "weight 'share' of 'first' is missing in"),
    (setting("second", 2, None), members(), TableError, "where 'second' names no unit"),
    (lambda t: setting("second", 2, None)(setting("first", 2, None)(t)), members(), TableError,
     "no unit in row 3: every slot is unused"),
    (lambda t: t.assign(second=t["first"]), members(), TableError, "'u0' twice in row 1, 2, 3"),
    (having(second=7), members(), TableError, "mix numbers and text"),
    (having(first="u1", second=None, share=1), members(weights="equal"), TableError,
     "one unit only, 'u1'"),
]  # fmt: skip

OUTCOMES = [
    (having(score=2.0), two(), TableError, "'score' has the value 2 in every row"),
    (as_is, two("sex ~ x"), TableError, "holds labels ('F', 'M')"),
    (setting("events", 5, -1), two("events ~ x", **POISSON), TableError,
     "1 of 36 rows outside the support of the family 'poisson': -1 in row 6. Allowed: counts"),
    (setting("events", 5, 1.5), two("events ~ x", **POISSON), TableError, "1.5 in row 6"),
    (setting("events", 5, 1e20), two("events ~ x", **POISSON), TableError, "below 2^53"),
    (as_is, two("correct ~ x", **BINARY), TableError, "Allowed: 0 and 1, or successes with"),
    (having(correct=-1), two("correct ~ x", **TRIALS), TableError,
     "36 of 36 rows outside the support of the family 'binomial': -1, -1, -1, -1, -1 in row 1, 2"),
    (setting("items", 0, 2.5), two("correct ~ x", **TRIALS), TableError, "not positive whole"),
    (having(items=0), two("correct ~ x", **TRIALS), TableError, "36 rows, first in row 1, 2, 3"),
    (setting("correct", 1, 9), two("correct ~ x", **TRIALS), TableError,
     "trials are smaller than the successes 'correct' in 1 rows (9 of 4), row 2"),
    (having(items="a"), two("correct ~ x", **TRIALS), TableError, "The column of trials 'items'"),
    (having(items=-1), two("cbind(correct, items) ~ x", **BINARY), TableError, "failures 0, 1, 2"),
    (as_is, two("passed ~ x", family="beta_binomial"), SpecError,
     "has an outcome of 0 and 1, 'passed', and one trial says nothing about 'phi'"),
    (having(ones=1), two("passed ~ x", family="beta_binomial", trials="ones"), SpecError,
     "with one trial in every row"),
    (as_is, two("score ~ x", family="gamma"), TableError,
     "outside the support of the family 'gamma'"),
    (as_is, two("score ~ x", family="lognormal"), TableError, "Allowed: numbers above 0."),
    (as_is, two("passed ~ x", family="beta"), TableError,
     "The density is 0 or infinite at the ends. Move them inwards if they stand for values nearby"),
    (as_is, two("items ~ x", family="beta"), TableError,
     "between 0 and 1, without the ends. Correct these rows or choose another family."),
    (as_is, two("exp(score) ~ x", group="person", family="gamma"), SpecError,
     "'shape' already says how single rows scatter"),
    (as_is, two("sex ~ x", **BINARY), SpecError, "Add success='M'"),
    (as_is, two("sex ~ x", success="X", **BINARY), SpecError, "Its values: 'F', 'M'"),
    (as_is, two("mood ~ x", success="low", **BINARY), TableError, "has 3 values"),
    (as_is, two("sex ~ x", success="M", trials=4, **BINARY), SpecError, "Leave trials= out"),
    (as_is, two("correct + passed ~ x", success="1", **BINARY), SpecError, "outcome is 'correct +"),
    (as_is, two("mood ~ x", **ORDINAL), SpecError,
     "text without an order ('high', 'low', 'mid'). Give the order, lowest first: categories="),
    (lambda t: t.assign(mood=t.mood.astype("category")), two("mood ~ x", **ORDINAL), SpecError,
     "without an order"),
    (as_is, two("mood ~ x", categories=["low", "high"], **ORDINAL), TableError,
     "12 of 36 rows outside the categories: 'mid' in row"),
    (as_is, two("mood ~ x", categories=["low", "mid", "high", "top"], **ORDINAL), TableError,
     "No row of the outcome 'mood' has the category 'top'"),
    (as_is, two("mood ~ x", categories=["low", "mid", "low"], **ORDINAL), SpecError, "value twice"),
    (setting("grade", 0, 1.5), two("grade ~ x", **ORDINAL), TableError, "whole numbers"),
    (having(grade=1), two("grade ~ x", **ORDINAL), TableError, "one category only, 1"),
    (as_is, two("grade + 1 ~ x", **ORDINAL), SpecError, "is an expression. Give a column"),
    (as_is, two("grade ~ 0 + x", **ORDINAL), SpecError, "cutpoints in place of the intercept"),
    (as_is, two("log(score) ~ x", **NOMINAL), SpecError, "The nominal outcome 'log(score)' is an"),
    (as_is, two("mood ~ x", categories=["low", "mid", "high", "top"], **NOMINAL), TableError,
     "has the category 'top', so its coefficients cannot be learnt"),
    (having(mood="low"), two("mood ~ x", **NOMINAL), TableError, "one category only, 'low'"),
    (setting("mood", 0, "link"), two("mood ~ x", **NOMINAL), TableError,
     "is called 'link', which cannot name a linear predictor. Rename it"),
    (as_is, two("log(score) ~ x"), TableError, "The outcome 'log(score)' is not a number"),
    (as_is, two("poly(score, 2) ~ x"), FormulaError, "cannot be computed row by row"),
]  # fmt: skip

ARGUMENTS = [
    (as_is, two(family="normal"), SpecError, "Write 'gaussian'"),
    (as_is, two(family="cauchy"), SpecError, "Allowed: gaussian, student, "),
    (as_is, two(family="nominal"), SpecError, "Write 'categorical'"),
    (as_is, two(**NOMINAL, offset="x"), SpecError, "An offset shifts one linear predictor"),
    (as_is, two("mood ~ x + offset(x)", **NOMINAL), SpecError, "Leave the offset out"),
    (as_is, two("mood ~ x", **NOMINAL, exposure="x"), SpecError,
     "exposure= belongs to the family 'poisson'"),
    (as_is, two("mood ~ x", **NOMINAL, link="probit"), SpecError,
     "no link 'probit'. Allowed: logit"),
    (as_is, two("mood ~ x", **NOMINAL, effects="student"), SpecError,
     "effects = 'student', which effects on the categories of a nominal outcome do not take"),
    (as_is, two("mood ~ x", **NOMINAL, by="mood"), SpecError,
     "by = 'mood', which effects on the categories"),
    (as_is, two("mood ~ x", **NOMINAL, distributional={"sigma": "~ x"}), SpecError, "sigma"),
    (as_is, two("mood ~ x", **NOMINAL, residual="ar1(school)"), SpecError,
     "no residuals that could be correlated"),
    (as_is, two("mood ~ x", **NOMINAL, priors={"beta[high:x]": "Normal(0, 1)"}), PriorError,
     "There is no prior 'beta[high:x]'"),
    (as_is, two("mood ~ x", **NOMINAL, categories=["low", "high"]), TableError,
     "12 of 36 rows outside the categories: 'mid' in row"),
    (as_is, two("mood ~ x", **NOMINAL, priors={"Intercept[high]": "Normal(0, 1)"}), PriorError,
     "There is no prior 'Intercept[high]' in this model"),
    (as_is, lme("mvbind(score, x) ~ 1 + (1 | school)", **NOMINAL), SpecError,
     "Every category of the family 'categorical' has coefficients of its own already"),
    (as_is, two(family=3), SpecError, "family is 3 of type int. Give the name of a family"),
    (as_is, two(link="log"), SpecError, "'gaussian' has no link 'log'. Allowed: identity"),
    (as_is, two(prior={}), SpecError, "two_level has no argument 'prior'. Did you mean 'priors'?"),
    (as_is, lme("score ~ x", wights=1), SpecError, "model has no argument 'wights'"),
    (as_is, two(priors={"sigm": "HalfNormal(1)"}), PriorError, "Did you mean 'sigma'?"),
    (as_is, two(priors={"corr_school": "LKJ(2)"}), PriorError, "no prior 'corr_school'"),
    (as_is, two(priors={"beta[z]": "Normal(0, 1)"}), PriorError, "Keys: 'Intercept', 'beta', "),
    (as_is, two(priors={"sigma": "HalfNrmal(1)"}), PriorError, "Did you mean 'HalfNormal'?"),
    (as_is, two(priors={"sigma": "Normal(0, 1)"}), PriorError,
     "does not fit a positive parameter"),
    (as_is, two(priors={"sigma": 2}), PriorError, "'sigma' is 2, not a text"),
    (as_is, two(priors=["sigma"]), SpecError, "Give a mapping such as"),
    (as_is, two(priors="mlvin"), SpecError, "priors is 'mlvin'"),
    (as_is, two(slopes=["x"], priors="mlwin"), PriorError, "Use correlated=False"),
    (as_is, two(baseline={"sx": "M"}), SpecError, "baseline names 'sx'"),
    (as_is, two("score ~ sex", baseline={"sex": "m"}), SpecError, "Levels: 'F', 'M'"),
    (as_is, two(baseline={"x": "1"}), SpecError, "holds numbers and has no levels. Write C(x)"),
    (as_is, two(baseline="sex"), SpecError, "Give a mapping such as {'sex': 'male'}"),
    (as_is, two(correlated="no"), SpecError, "correlated is 'no'. Give True or False"),
    (as_is, two(parametrisation="center"), SpecError, "Allowed: auto, centred"),
    (as_is, two(parametrisation={"scool": "centred"}), SpecError, "Did you mean 'school'?"),
    (as_is, two(categories="abc"), SpecError, "Give a list of categories"),
    (as_is, two("mood ~ x", categories=[("low",)], **ORDINAL), SpecError, "Give text or numbers"),
    (as_is, two("correct ~ x", trials=2.5, **BINARY), SpecError, "a column or a whole number"),
    (as_is, two("correct ~ x", trials=True, **BINARY), SpecError, "a column or a whole number"),
    (as_is, two(trials="items"), SpecError, "trials= belongs to the family 'binomial'"),
    (as_is, two(exposure="days"), SpecError, "exposure= belongs to the family 'poisson'"),
    (as_is, two("events ~ x", exposure=["days"], **POISSON), SpecError, "Give a column"),
    (as_is, two(group=True), SpecError, "group is True of type bool, not a column name"),
    (as_is, two(group=["school", "area"]), SpecError, "two_level takes one grouping"),
    (as_is, two(slopes={"school": ["x"]}), SpecError, "Give a list such as ['x']"),
    (as_is, two(slopes=["1"]), SpecError, "the intercept varies anyway"),
    (as_is, two(slopes=3), SpecError, "slopes is 3 of type int"),
    (as_is, two("score ~ x + (1 | school)"), FormulaError, "takes its groupings by argument"),
    (as_is, two(3), FormulaError, "A formula is text"),  # type: ignore[arg-type]
    (as_is, three(groups=["school"]), SpecError, "groups has 1"),
    (as_is, three(groups=["school", "area", "person"]), SpecError, "(1 | a/b/c)"),
    (as_is, three(groups="school"), SpecError, "groups has 1"),
    (as_is, three(groups=None), SpecError, "groups is None of type NoneType"),
    (as_is, three(groups=["school", 3]), SpecError, "an item of groups is 3"),
    (as_is, three(groups=["school", "school"]), SpecError, "names the column 'school' twice"),
    (as_is, three(slopes={"sex": ["x"]}), SpecError, "slopes names 'sex', which is not a grouping"),
    (as_is, three(slopes=["x"]), SpecError, "With several groupings say which"),
    (as_is, crossed(groups=["school"]), SpecError, "Use two_level for one"),
    (as_is, crossed(groups=["school", "school"]), SpecError, "Two groupings are named 'school'"),
    (as_is, members(members="first"), SpecError, "members is 'first' of type str"),
    (as_is, members(members=["first"]), SpecError, "Give two or more columns of labels"),
    (as_is, members(members=["first", "first"]), SpecError, "names the member 'first' twice"),
    (as_is, members(weights="rest"), SpecError, "Give one column per slot in a list, 'equal'"),
    (as_is, members(weights=["rest"]), SpecError, "2 member columns and 1 weight columns"),
    (as_is, members(absent=["none"]), SpecError, "absent holds ['none'] of type list"),
    (as_is, members(normalise=1), SpecError, "normalise is 1. Give True or False"),
    (as_is, members(name=""), SpecError, "empty name"),
    (as_is, members(slopes={"firm": ["x"]}), SpecError, "slopes names 'firm'"),
    (as_is, growth(growth=9), SpecError, "a whole number from 0 to 5"),
    (as_is, growth(growth=True), SpecError, "a whole number from 0 to 5"),
    (as_is, growth(residual="ar2"), SpecError, "Did you mean 'ar1'"),
    (as_is, growth(residual=3), SpecError, "residual is 3 of type int"),
    (as_is, growth(residual="unstructured", slopes="x"), SpecError, "slopes names 'x'"),
    (as_is, two(residual="school"), SpecError, "Write ar1(time, unit)"),
    (as_is, two(residual="ma(school)"), SpecError, "structure 'ma' is unknown"),
    (as_is, growth(time="sex"), TableError, "The time 'sex' holds"),
    (as_is, growth(unit=3), SpecError, "unit is 3 of type int"),
    (as_is, lme("score ~ x + (x | school)", correlated=False), SpecError, "write (x || g)"),
]  # fmt: skip

FORMULAS = [
    (as_is, two(f"score ~ {text}"), FormulaError, words)
    for text, words in [
        ('__import__("os").system("touch hacked")', "'.' has no meaning"),
        ("__import__('os')", "may not call '__import__'"),
        ("eval('1')", "may not call 'eval'"),
        ("x.values.tofile('f')", "may not call 'x.values.tofile'"),
        ("(lambda: 1)()", "Unexpected '('"),
        ("lambda x: 1", "Unexpected 'x'"),
        ("[v for v in x]", "'[' has no meaning"),
        ("{x: 1}", "'{' has no meaning"),
        ('f"{x}"', "Unexpected"),
        ("np.log(x)", "may not call 'np.log'. Did you mean"),
        ("x := 2", "Expected a term here, found '='"),
        ("x @ sex", "'@' has no meaning"),
        ("{open('f')}", "'{' has no meaning"),
        ("x if x else x", "Unexpected 'if'"),
    ]
] + [
    (as_is, two("score ~ x.__class__"), TableError, "no column 'x.__class__'"),
    (as_is, two("score ~ __builtins__"), TableError, "no column '__builtins__'"),
]


@pytest.mark.parametrize(
    ("change", "build", "error", "words"),
    [
        pytest.param(*row, id=f"{name} {number}: {row[3][:50]}")
        for name, rows in (
            ("columns", COLUMNS),
            ("groupings", GROUPINGS),
            ("outcomes", OUTCOMES),
            ("arguments", ARGUMENTS),
            ("formulas", FORMULAS),
        )
        for number, row in enumerate(rows)
    ],
)
def test_every_mistake_is_named(
    change: Change,
    build: Callable[[pd.DataFrame], bml.Model],
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error) as caught:
        build(change(good_table()))
    message = str(caught.value)
    assert words in message
    # An action: the message ends with a sentence of its own.
    assert message.rstrip().endswith((".", "^", "?", ")"))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (None, "not a table"),
        ("exam.csv", "Read the file first"),
        (np.zeros((3, 2)), "not a table"),
        ({"y": [1, 2], "x": [1]}, "different lengths"),
        (pd.DataFrame(), "nothing to model"),
        (pd.DataFrame({"y": []}), "nothing to model"),
        (pd.DataFrame({0: [1], "y": [2]}), "not text: 0"),
        (pd.DataFrame([[1, 2]], columns=["y", "y"]), "stand more than once: 'y'"),
    ],
)
def test_what_is_not_a_table(table: Any, words: str) -> None:
    with pytest.raises(TableError) as caught:
        bml.two_level(table, "y ~ x", group="g")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "build",
    [
        two("events ~ x", group="person", **POISSON),
        two("correct ~ x", group="person", **TRIALS),
        two("cbind(correct, items) ~ x", group="person", **BINARY),
        two("grade ~ x", **ORDINAL),
        two("mood ~ x", categories=["low", "mid", "high"], **ORDINAL),
        two("sex ~ x", success="M", **BINARY),
        members(),
        members(normalise=True, weights=["days", "share"]),
        members(weights="equal"),
        crossed(),
        growth(growth=2),
    ],
)
def test_what_is_right_makes_a_model_without_a_word(
    build: Callable[[pd.DataFrame], bml.Model],
) -> None:
    made = build(good_table())
    assert made.notes == ()
    assert made.facts.rows == ROWS


def test_rows_with_missing_values_are_counted_by_column_and_said() -> None:
    table = good_table()
    table.loc[[0, 1, 2], "x"] = np.nan
    table.loc[[2, 3], "score"] = np.nan
    with pytest.warns(BayesmlWarning, match="4 of 36 rows were left out") as caught:
        made = bml.two_level(table, "score ~ x", group="school")
    (said,) = [str(item.message) for item in caught]
    assert "(score: 2, x: 3)" in said
    assert made.notes == (said,)
    assert dict(made.facts.missing) == {"score": 2, "x": 3}
    assert (made.facts.rows, made.facts.rows_in_table) == (32, 36)
    # Rows are named by their place in the user's table, the first of those left out included.
    assert made.coords["obs"] == list(range(4, 36))


def test_rows_in_messages_are_those_of_the_users_table() -> None:
    table = good_table()
    table.loc[0, "score"] = np.nan
    table["events"] = table["events"].astype(float)
    table.loc[5, "events"] = -2
    table["z"] = 1.0
    table.loc[7, "z"] = -1.0
    with pytest.raises(TableError, match="-2 in row 6"):
        bml.two_level(table, "events ~ score", group="school", family="poisson")
    with pytest.raises(TableError, match=r"'log\(z\)' of the fixed part .* in row 8"):
        bml.two_level(table, "score ~ log(z)", group="school")
    with pytest.raises(TableError, match=r"'log\(z\)' of the grouping 'school' .* in row 8"):
        bml.two_level(table, "score ~ 1", group="school", slopes=["log(z)"])


@pytest.mark.parametrize(
    ("change", "build", "words"),
    [
        (having(school=lambda t: t.school.str.lower().str[0].map(lambda c: c > "c")),
         two(), "has only 2 units: its SD is learnt mostly from the prior"),
        (having(passed=0), two("passed ~ x", **BINARY), "Every row of the outcome 'passed' is a "
         "failure"),
        (having(events=0), two("events ~ x", **POISSON), "Every value of the outcome 'events'"),
        (having(grade=lambda t: t.grade.replace({3: 9})), two("grade ~ x", **ORDINAL),
         "between 2 and the next"),
        (having(occasion=0), growth(growth=0), "rows repeat an occasion"),
    ],
)  # fmt: skip
def test_what_the_reader_must_know_is_a_warning_and_a_note(
    change: Change, build: Callable[[pd.DataFrame], bml.Model], words: str
) -> None:
    with pytest.warns(BayesmlWarning) as caught:
        made = build(change(good_table()))
    assert any(words in str(item.message) for item in caught)
    assert any(words in note for note in made.notes)
    for array in made.data.values():
        assert np.isfinite(array).all()
