"""Ordered outcomes among several: how their categories are given, kept and refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.codegen.rendering import render
from bayesml.design.sketching import resolve_without_table
from bayesml.specs.model_files import spec_from_toml, spec_to_toml

pytestmark = pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning")

LABELS = ["low", "mid", "high"]


def pupils() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    rows = 24
    grade = np.array(LABELS, dtype=object)[np.arange(rows) % 3]
    grade[4] = None
    return pd.DataFrame(
        {
            "score": rng.normal(size=rows),
            "grade": grade,
            "rating": np.where(np.arange(rows) % 7 == 0, np.nan, np.arange(rows) % 4),
            "events": rng.poisson(2.0, rows),
            "x": rng.normal(size=rows),
            "school": np.arange(rows) // 4,
        }
    )


def mixed(frame: pd.DataFrame | None = None, **options: Any) -> bml.Model:
    given = {"categories": {"grade": LABELS}, **options}
    return bml.multivariate(
        pupils() if frame is None else frame,
        given.pop("predictors", "x"),
        outcomes=["score", "grade"],
        family=given.pop("family", {"score": "gaussian", "grade": "ordinal"}),
        **given,
    )


def test_rows_hold_the_numbers_of_categories() -> None:
    model = mixed(group="school")
    number = model.design.outcomes.number if model.design.outcomes is not None else np.empty(0)
    codes = model.design.response.values[number == 1]
    assert codes.tolist() == [place % 3 for place in range(24) if place != 4]
    assert model.data["y_grade"].dtype == np.int64
    assert model.facts.categories_of(1) == tuple(LABELS)
    assert model.facts.categories_of(0) == ()
    assert "values: score 24 of 24, grade 23 of 24" in " ".join(model.notes)


def test_a_list_is_that_of_every_ordered_outcome() -> None:
    assert mixed(categories=LABELS).spec == mixed().spec
    frame = pupils().assign(other=lambda t: t["grade"][::-1].to_numpy())
    both = bml.multivariate(
        frame, "x", outcomes=["grade", "other"], family="ordinal", categories=LABELS
    )
    assert dict(both.spec.categories_by_outcome) == {
        "grade": tuple(LABELS),
        "other": tuple(LABELS),
    }
    assert both.spec.categories == ()


def test_an_ordered_categorical_says_its_order() -> None:
    kind = pd.CategoricalDtype(LABELS, ordered=True)
    frame = pupils().assign(grade=lambda t: t["grade"].astype(kind))
    model = mixed(frame, categories=None)
    assert model.facts.categories_of(1) == tuple(LABELS)
    assert model.coords["cutpoint_grade"] == ["low|mid", "mid|high"]


@pytest.mark.parametrize(
    "formula", ["mvbind(score, grade, rating) ~ x", "mvbind(grade, rating) ~ x + (1 | school)"]
)
def test_written_to_toml_and_read_back(formula: str) -> None:
    names = formula.partition(")")[0].removeprefix("mvbind(").split(", ")
    families = {"score": "gaussian", "grade": "ordinal", "rating": "ordinal"}
    model = bml.model(
        pupils(),
        formula,
        family={name: families[name] for name in names},
        categories={"rating": [0, 1, 2, 3], "grade": LABELS},
    )
    text = spec_to_toml(model.spec)
    assert '"rating" = [0, 1, 2, 3]' in text
    assert spec_from_toml(text) == model.spec


def test_one_family_for_several_ordered_outcomes() -> None:
    one = bml.model(
        pupils(),
        "mvbind(grade, rating) ~ x",
        family="adjacent_category",
        categories={"grade": LABELS},
    )
    by_outcome = bml.model(
        pupils(),
        "mvbind(grade, rating) ~ x",
        family={"grade": "adjacent_category", "rating": "adjacent_category"},
        categories={"grade": LABELS},
    )
    assert one.spec == by_outcome.spec
    probit = bml.model(
        pupils(),
        "mvbind(grade, rating) ~ x",
        family="ordinal",
        link="probit",
        categories={"grade": LABELS},
    )
    assert probit.spec.links == (("grade", "probit"), ("rating", "probit"))


def test_cutpoints_have_priors_by_outcome() -> None:
    model = bml.model(
        pupils(),
        "mvbind(score, grade, rating) ~ x",
        family={"score": "gaussian", "grade": "ordinal", "rating": "ordinal"},
        categories={"grade": LABELS},
        priors={"cutpoints": "Normal(0, 2)", "cutpoints[rating]": "Normal(0, 3)"},
    )
    table = model.priors.set_index("parameter")["prior"]
    assert table["cutpoints[grade]"] == "Normal(0, 2)"
    assert table["cutpoints[rating]"] == "Normal(0, 3)"
    assert "Intercept[grade]" not in table.index
    assert "Intercept[score]" in table.index


@pytest.mark.parametrize("family", ["ordinal", "adjacent_category", "continuation_ratio"])
def test_written_without_a_table(family: str) -> None:
    """The same text as with one, but for how groupings are parametrised."""
    options: Any = {"group": "school", "parametrisation": "non-centred"}
    model = mixed(family={"score": "gaussian", "grade": family}, **options)
    assert render(resolve_without_table(model.spec)) == model.source


ERRORS: list[tuple[Callable[[], bml.Model], str]] = [
    (
        lambda: mixed(categories={"grades": LABELS}),
        "categories names 'grades', which is not an ordered outcome among several. Did you mean",
    ),
    (
        lambda: mixed(categories={"score": [1, 2], "grade": LABELS}),
        "categories names 'score', which is not an ordered outcome",
    ),
    (lambda: mixed(categories={"grade": "low"}), "categories is the text 'low'"),
    (lambda: mixed(categories={"grade": 3}), "categories holds 3 of type int. Give a list"),
    (
        lambda: mixed(categories={"grade": ["low", "mid", "low"]}),
        "categories lists a value twice for 'grade'",
    ),
    (
        lambda: mixed(categories=None),
        "ordinal outcome 'grade' holds text without an order",
    ),
    (
        lambda: mixed(categories={"grade": ["low", "mid"]}),
        "outcome 'grade' has 8 of 23 rows outside the categories: 'high'",
    ),
    (
        lambda: mixed(categories={"grade": [*LABELS, "top"]}),
        "No row of the outcome 'grade' has the category 'top'",
    ),
    (
        lambda: bml.two_level(
            pupils(), "grade ~ x", group="school", family="ordinal", categories={"grade": LABELS}
        ),
        "categories names 'grade', which is not an ordered outcome among several",
    ),
    (
        lambda: bml.multivariate(
            pupils(), "x", outcomes=["score", "events"], categories={"score": [1, 2]}
        ),
        "categories names 'score', which is not an ordered outcome among several",
    ),
    (
        lambda: mixed(predictors="0 + x"),
        "has cutpoints in place of the intercept, so the formula cannot remove it",
    ),
    (
        lambda: mixed(
            predictors="cs(x)", family={"score": "gaussian", "grade": "adjacent_category"}
        ),
        r"cs\(\) cannot be set for outcomes of different families",
    ),
    (lambda: mixed(offset="x"), "offset cannot be set for outcomes of different families"),
    (
        lambda: mixed(priors={"Intercept[grade]": "Normal(0, 1)"}),
        r"There is no prior 'Intercept\[grade\]'",
    ),
    (
        lambda: mixed(pupils().assign(row_label=range(24)), group="row_label"),
        "the residual has the same units|has no variance left to explain",
    ),
    (
        lambda: bml.model(
            pupils(),
            "mvbind(grade, rating) ~ x",
            family="categorical",
        ),
        "several outcomes, or members of a unit, cannot have them",
    ),
]


@pytest.mark.parametrize(("build", "words"), ERRORS, ids=[words for _, words in ERRORS])
def test_says_what_is_wrong(build: Callable[[], bml.Model], words: str) -> None:
    with pytest.raises(bml.BayesmlError, match=words):
        build()


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ('"grade" = "low"', r"\[categories\]: 'grade' is \"low\", not a list"),
        ('"grade" = [["low"]]', r"\[categories\], 'grade' holds a list"),
    ],
)
def test_a_file_says_what_is_wrong(entry: str, words: str) -> None:
    text = f'format = 1\nformula = "mvbind(a, grade) ~ x"\n[categories]\n{entry}\n'
    with pytest.raises(bml.TomlError, match=words):
        spec_from_toml(text)
