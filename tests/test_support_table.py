"""The README's table of likelihoods and structures: every cell is tried here.

`BAYESML_WRITE=1 .venv/bin/python -m pytest tests/test_support_table.py` writes it anew.
"""

import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.codegen.starters import starter_structures, templates_folder
from bayesml.specs.families import FAMILIES

# The builders of several outcomes and of small groups, beside the structures of the rows.
SMALL_GROUPS = ("multivariate", "dyadic", "twins", "social_relations")
STRUCTURES = (*starter_structures(), *SMALL_GROUPS)

# What a refusal tells the user to do.
ACTION = re.compile(r"\b(Use|use|Fit|Give|Leave)\b")
README = Path(__file__).parent.parent / "README.md"
MARKS = ("<!-- supported: begin -->", "<!-- supported: end -->")
ROWS = 48

OUTCOMES: dict[str, Callable[[np.random.Generator], Any]] = {
    "real": lambda rng: rng.normal(size=ROWS),
    "positive": lambda rng: rng.gamma(2.0, size=ROWS),
    "unit": lambda rng: rng.beta(2.0, 2.0, size=ROWS),
    "binary": lambda rng: rng.integers(0, 2, ROWS),
    "count": lambda rng: rng.poisson(2.0, ROWS),
    "ordered": lambda rng: np.arange(ROWS) % 4,
    "nominal": lambda rng: np.array(["bus", "car", "foot"])[rng.integers(0, 3, ROWS)],
}


def table_for(family: str) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    number = np.arange(ROWS)
    # Everybody rates the three others of a group; half of the pairs of rows are identical twins.
    raters = [(g, i, j) for g in range(4) for i in range(4) for j in range(4) if i != j]
    return pd.DataFrame(
        {
            "y": OUTCOMES[FAMILIES[family].response](rng),
            "second_y": OUTCOMES[FAMILIES[family].response](rng),
            "x": rng.normal(size=ROWS),
            "trials": 3,
            "outer": number // 8,
            "inner": number // 4,
            "other": rng.permutation(number % 5),
            "first": number % 6,
            "second": (number + 1) % 6,
            "time": number % 4,
            "pair": number // 2,
            "role": np.array(["wife", "husband"])[number % 2],
            "zygosity": np.array(["MZ", "DZ"])[number // 2 % 2],
            "rater": [f"{group}{one}" for group, one, _ in raters],
            "target": [f"{group}{other}" for group, _, other in raters],
            "occasion": 1,
        }
    )


def twice(table: pd.DataFrame) -> pd.DataFrame:
    """Return two rows for every direction of the first two groups of a round robin."""
    half = table[: ROWS // 2]
    again = table[ROWS // 2 :].assign(rater=half["rater"].array, target=half["target"].array)
    return pd.concat([half, again.assign(occasion=2)], ignore_index=True)


def build(family: str, structure: str, **options: Any) -> bml.Model:
    table = table_for(family)
    options = {"family": family, **options}
    if FAMILIES[family].needs_trials:
        options["trials"] = "trials"
    if structure == "multivariate":
        return bml.multivariate(table, "x", outcomes=["y", "second_y"], group="outer", **options)
    if structure == "dyadic":
        return bml.dyadic(table, "y ~ x", dyad="pair", member="role", group="outer", **options)
    if structure == "twins":
        return bml.twins(table, "y ~ x", pair="pair", zygosity="zygosity", **options)
    if structure == "social_relations":
        rows = twice(table) if "occasion" in options else table
        return bml.social_relations(rows, "y ~ x", actor="rater", partner="target", **options)
    if structure == "two_level":
        return bml.two_level(table, "y ~ x", group="outer", slopes=["x"], **options)
    if structure == "three_level":
        return bml.three_level(table, "y ~ x", groups=["inner", "outer"], **options)
    if structure == "cross_classified":
        return bml.cross_classified(table, "y ~ x", groups=["outer", "other"], **options)
    if structure == "multiple_membership":
        return bml.multiple_membership(table, "y ~ x", members=["first", "second"], **options)
    return bml.longitudinal(table, "y ~ x", unit="inner", time="time", growth=1, **options)


def first_that_works(
    family: str, structure: str, refusals: list[str]
) -> tuple[str, bml.Model | None]:
    """Return the argument that a model needs besides the family, and the model; None where none.

    What is refused is added to `refusals`, in its words.
    """
    needs = [""]
    if structure in SMALL_GROUPS:
        needs += ["trials"] if FAMILIES[family].response == "binary" else []
        needs += ["occasion"] if structure == "social_relations" else []
    for need in needs:
        try:
            return need, build(family, structure, **({need: need} if need else {}))
        except bml.SpecError as error:
            refusals.append(str(error))
    return "", None


def what_works(
    family: str,
    structure: str,
    model: bml.Model,
    fake_fit: Callable[..., bml.Fit],
    refusals: list[str],
) -> dict[str, bool]:
    """Return what works; what does not must be refused in words, which are added to `refusals`."""
    # Its density and its gradient are tried in test_log_density.py, sampling elsewhere.
    made = model.to_pymc()
    reported = set(model.resolved.posterior_names) <= set(made.named_vars)
    # Ordered outcomes have each a likelihood of their own.
    likelihoods = max(1, len(model.resolved.outcome_identifiers))
    found = {"fit": reported and len(made.observed_RVs) == likelihoods}
    # Durations of a log-logistic shape up to 2 have no variance to divide.
    shapes = {name: 6.0 for name in model.resolved.posterior_names if name == "shape"}
    fit = fake_fit(model, draws=60, chains=2, values=shapes)
    calls: dict[str, Callable[[], pd.DataFrame]] = {
        "predict": lambda: bml.predict(fit, groups="marginal"),
        "loo": lambda: bml.loo(fit).pointwise,
        "vpc": lambda: bml.vpc(fit, scale=_scale(family, structure)),
    }
    for name, call in calls.items():
        try:
            values = call()
        except bml.FitError as error:
            refusals.append(str(error))
            found[name] = False
        else:
            column = "elpd" if name == "loo" else "mean"
            found[name] = len(values) > 0 and not values[column].isna().any()
    script = templates_folder() / f"{structure}_{family}.py"
    found["template"] = script.is_file() and "def build(data, coords)" in script.read_text()
    return found


def _scale(family: str, structure: str) -> str:
    """Return the scale of shares that asks for more; some categories have the latent one only."""
    latent_only = ("nominal", "ordered") if structure == "multivariate" else ("nominal",)
    response = FAMILIES[family].latent and FAMILIES[family].response not in latent_only
    return "response" if response else "latent"


def cell(found: dict[str, bool], need: str = "") -> str:
    """Return what a cell says; no entries: the model is refused."""
    missing = [name for name, works in found.items() if not works]
    words = [f"`{need}=`"] if need else []
    words += [f"without {', '.join(missing)}"] if missing else []
    return (", ".join(words) or "yes") if found else "no"


def rendered(cells: dict[tuple[str, str], str]) -> str:
    lines = [
        "| likelihood (links) | " + " | ".join(f"`{name}`" for name in STRUCTURES) + " |",
        "|---" * (len(STRUCTURES) + 1) + "|",
    ]
    for family, record in FAMILIES.items():
        row = " | ".join(cells[family, structure] for structure in STRUCTURES)
        lines.append(f"| {family} ({', '.join(record.links)}) | {row} |")
    return "\n".join(lines)


@pytest.mark.filterwarnings("ignore::bayesml.errors.BayesmlWarning")
def test_the_readme_shows_what_works(fake_fit: Callable[..., bml.Fit]) -> None:
    cells: dict[tuple[str, str], str] = {}
    refusals: list[str] = []
    for family in FAMILIES:
        for structure in STRUCTURES:
            need, model = first_that_works(family, structure, refusals)
            found: dict[str, bool] = {}
            if model is not None:
                found = what_works(family, structure, model, fake_fit, refusals)
            cells[family, structure] = cell(found, need)
    assert len(refusals) > len(FAMILIES)
    assert [text for text in refusals if not ACTION.search(text)] == []
    text = README.read_text(encoding="utf-8")
    pattern = re.compile(f"{MARKS[0]}\n(.*?)\n{MARKS[1]}", re.DOTALL)
    if os.environ.get("BAYESML_WRITE"):
        text = pattern.sub(lambda _: f"{MARKS[0]}\n{rendered(cells)}\n{MARKS[1]}", text)
        README.write_text(text, encoding="utf-8")
    shown = pattern.search(text)
    assert shown is not None
    assert shown[1] == rendered(cells), "run it with BAYESML_WRITE=1"


def test_a_cell_says_what_is_missing() -> None:
    assert cell({"fit": True, "vpc": True}) == "yes"
    assert cell({"fit": True, "vpc": False, "template": False}) == "without vpc, template"
    assert cell({"fit": True, "vpc": False}, "trials") == "`trials=`, without vpc"
    assert cell({"fit": True}, "trials") == "`trials=`"
    assert cell({}) == "no"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert build("ordinal", "two_level").spec.family == "ordinal"
