"""Odd but legal names of columns and units work in every builder, and none of them is code."""

import ast
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bayesml as bml
from bayesml.specs.model_files import spec_from_toml, spec_to_toml
from bayesml.specs.parsing import name_text

HACK = 'x"); import pathlib; pathlib.Path("hacked").touch(); ("'
ODD = (
    "mean score",
    'the "best"',
    "it's",
    "a/b",
    "a:b",
    "a|b",
    "a`b",
    "`",
    "größe",
    "学校",
    "🎓",
    "two\nlines",
    "tab\t",
    "back\\slash",
    "{x}",
    "{{ x }}",
    "{% raw %}",
    "%s",
    "$x$",
    "#",
    "class",
    "None",
    "True",
    "lambda",
    "pi",
    "log",
    "beta",
    "sigma",
    "chain",
    "draw",
    "obs",
    "y",
    "x",
    "d",
    "residual",
    "school_term",
    "sd_school",
    "u_school",
    "1",
    "0",
    "-1",
    "1st",
    ".",
    " ",
    "_",
    "__class__",
    "v0",
    "l0",
    "n" * 300,
    HACK,
    '"""',
    "'''",
    "\\N{BULLET}",
    "\u202e",
)
ROWS = 40


def table_of(outcome: str, predictor: str, group: str, other: str, labels: list[Any]) -> Any:
    rng = np.random.default_rng(9)
    number = np.arange(ROWS)
    columns = {
        outcome: rng.normal(size=ROWS),
        predictor: rng.normal(size=ROWS),
        group: [labels[item] for item in number % len(labels)],
        other: rng.permutation(number % 5),
    }
    return pd.DataFrame(columns)


def distinct(*names: str) -> bool:
    return len(set(names)) == len(names)


def check(made: bml.Model, names: dict[str, str]) -> None:
    """The source is Python, its names are identifiers, and the facts show the user's."""
    tree = ast.parse(made.source)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    found = {alias.name for node in imports for alias in node.names}
    assert found <= {"pymc", "pytensor.tensor", "numpy"}
    identifiers = [*made.coords, *made.data, *made.resolved.posterior_names]
    assert all(name.isidentifier() for name in identifiers)
    assert made.facts.response == name_text(names["outcome"])
    assert names["group"] in [grouping.name for grouping in made.facts.groupings]
    assert spec_from_toml(spec_to_toml(made.spec)) == made.spec
    assert str(made)


BUILDERS: dict[str, Callable[[Any, dict[str, str]], bml.Model]] = {
    "two_level": lambda table, n: bml.two_level(
        table, n["formula"], group=n["group"], slopes=[n["predictor"]]
    ),
    "cross_classified": lambda table, n: bml.cross_classified(
        table,
        n["formula"],
        groups=[n["group"], n["other"]],
        slopes={n["group"]: [n["predictor"]]},
        parametrisation={n["group"]: "centred", n["other"]: "non-centred"},
    ),
    "three_level": lambda table, n: bml.three_level(
        table, n["formula"], groups=[n["group"], n["other"]]
    ),
    "multiple_membership": lambda table, n: bml.multiple_membership(
        table.assign(
            **{n["other"]: table[n["group"]].tolist()[1:] + table[n["group"]].tolist()[:1]}
        ),
        n["formula"],
        members=[n["group"], n["other"]],
    ),
    "longitudinal": lambda table, n: bml.longitudinal(
        table, f"{name_text(n['outcome'])} ~ 1", unit=n["group"], time=n["predictor"], growth=2
    ),
    "model": lambda table, n: bml.model(
        table,
        f"{n['formula']} + ({name_text(n['predictor'])} || {name_text(n['group'])})"
        f" + (1 | {name_text(n['other'])})",
    ),
}


def build_all(outcome: str, predictor: str, group: str, other: str, labels: list[Any]) -> None:
    table = table_of(outcome, predictor, group, other, labels)
    names = {"outcome": outcome, "predictor": predictor, "group": group, "other": other}
    names["formula"] = f"{name_text(outcome)} ~ {name_text(predictor)}"
    for build in BUILDERS.values():
        check(build(table, names), names)


SILENT = pytest.mark.filterwarnings("ignore::bayesml.errors.BayesmlWarning")


@SILENT
@pytest.mark.parametrize("name", ODD)
def test_an_odd_name_in_every_place(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    labels = [name, "one", "two", "three", "four", "five"]
    for place in range(4):
        names = ["outcome", "predictor", "group", "other"]
        names[place] = name
        build_all(*names, labels)
    assert list(tmp_path.iterdir()) == []
    assert not {"antigravity", "this"} & (set(sys.modules) - before)


@SILENT
@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.text(min_size=1, max_size=10) | st.sampled_from(ODD), min_size=4, max_size=4
    ).filter(lambda names: distinct(*names)),
    st.lists(st.text(max_size=6) | st.sampled_from(ODD), min_size=5, max_size=5, unique=True),
)
def test_any_names_together(names: list[str], labels: list[str]) -> None:
    build_all(*names, labels)


@SILENT
@pytest.mark.parametrize("name", [HACK, "school_term", "sigma", "\n", "a`b", "🎓", '"""'])
def test_the_source_of_odd_names_is_a_pymc_model(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = table_of("score", name, "school", f"{name} 2", [name, "b", "c", "d", "e", "f"])
    made = bml.cross_classified(
        table,
        f"score ~ {name_text(name)}",
        groups=["school", f"{name} 2"],
        slopes={"school": [name]},
    )
    model = made.to_pymc()
    assert set(made.resolved.posterior_names) <= set(model.named_vars)
    assert name in model.coords["school"]
    assert list(model.coords["coef"]) == ["Intercept", name]
    assert list(tmp_path.iterdir()) == []


def model_with_everything(form: str) -> bml.Model:
    """A model whose source has as many names of its own as possible."""
    table = table_of("score", "x", "school", "area", list("abcdef")).assign(
        k=10 + np.arange(ROWS) % 4, z=np.arange(ROWS) % 7, days=1.5, fifth=np.arange(ROWS) // 8
    )
    return bml.model(
        table,
        "score ~ x + z + offset(days) + (x | school) + (0 + z | school) + (1 | mm(area, k))"
        " + (1 | fifth)",
        priors={
            "sd_school[x]": "Gamma(2, 3)",
            "beta[x]": "Cauchy(0, 1)",
            "sigma": "mlwin",
            "sd_area": "mlwin",
        },
        parametrisation=form,
    )


@pytest.fixture(scope="module")
def taken() -> list[str]:
    """Every name that a generated source gives to a variable, a dim or an array."""
    names: set[str] = set()
    for form in ("partly centred", "centred", "auto"):
        made = model_with_everything(form)
        model = made.to_pymc()
        names |= {*model.named_vars, *model.coords, *made.data}
        names |= {
            node.id
            for node in ast.walk(ast.parse(made.source))
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
    return sorted(names - {"score", "school", "area"})


def test_no_name_of_the_source_is_in_the_way(taken: list[str]) -> None:
    """A column may be called like anything in the source, as outcome and as grouping."""
    assert len(taken) > 40
    for name in taken:
        for outcome, group in ((name, "school"), ("score", name)):
            table = table_of(outcome, "pred", group, "area", list("abcdef"))
            made = bml.model(
                table,
                f"{outcome} ~ pred + (pred | {group}) + (1 | area)",
                priors={f"sd_{group}[pred]": "Exponential(1)"},
                parametrisation={group: "partly centred", "area": "centred"},
            )
            model = made.to_pymc()
            assert set(made.resolved.posterior_names) <= set(model.named_vars), name
            assert made.resolved.response in model.named_vars
