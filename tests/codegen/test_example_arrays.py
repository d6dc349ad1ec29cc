"""The arrays of the examples are those that bayesml makes of the same rows as a table."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.codegen.further_starters import mixed_toml
from bayesml.codegen.starter_choice import any_starter_toml
from bayesml.design.sketching import resolve_without_table
from bayesml.specs.model_files import spec_from_toml
from bayesml.specs.resolved import ResolvedSpec
from tests.codegen.test_examples import script_of


def same_arrays(model: bml.Model, resolved: ResolvedSpec, leave_out: Sequence[str] = ()) -> None:
    """Compare the arrays of a script's example with those of the same rows as a table."""
    data, coords = script_of(resolved)["example"]()
    assert set(data) == set(model.data)
    for name in set(data) - set(leave_out):
        # The examples take the SD of predictors over all rows, not over all but one.
        tolerance = 2e-3 if name.endswith("_scale") else 1e-10
        np.testing.assert_allclose(data[name], model.data[name], rtol=tolerance, atol=1e-12)
    assert set(coords) == set(model.coords)
    assert all(len(coords[dim]) == len(model.coords[dim]) for dim in coords)


def non_centred(build: Any, *arguments: Any, **options: Any) -> bml.Model:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bml.BayesmlWarning)
        return build(*arguments, parametrisation="non-centred", **options)


def example_of(name: str, family: str) -> tuple[ResolvedSpec, dict[str, np.ndarray]]:
    """Return the model of a starting point, and the arrays of its example."""
    resolved = resolve_without_table(spec_from_toml(any_starter_toml(name, family)))
    return resolved, script_of(resolved)["example"]()[0]


@pytest.mark.parametrize("family", ["gaussian", "student", "beta", "gamma", "lognormal"])
def test_the_arrays_of_outcomes_are_those_of_a_table(family: str) -> None:
    resolved, data = example_of("multivariate", family)
    table = pd.DataFrame(
        {
            "written": data["y"][::2],
            "course": data["y"][1::2],
            "x": data["x_centred"][::2, 0] + data["x_mean"][0, 0],
            "school": data["unit_school"][::2],
        }
    )
    model = non_centred(
        bml.multivariate, table, "x", outcomes=["written", "course"], group="school",
        slopes=["x"], family=family,
    )  # fmt: skip
    same_arrays(model, resolved)


def test_the_arrays_of_mixed_outcomes_are_those_of_a_table() -> None:
    resolved = resolve_without_table(spec_from_toml(mixed_toml()))
    data, _ = script_of(resolved)["example"]()
    table = pd.DataFrame(
        {
            "written": data["y_written"],
            "course": data["y_course"],
            "x": data["x_centred"][::2, 0] + data["x_mean"][0, 0],
            "school": data["unit_school"][::2],
        }
    )
    model = non_centred(
        bml.multivariate, table, "x", outcomes=["written", "course"], group="school",
        slopes=["x"], family={"written": "gaussian", "course": "poisson"},
    )  # fmt: skip
    # The rows of the table have no label for all outcomes together.
    model.coords.pop("obs")
    same_arrays(model, resolved)


@pytest.mark.parametrize(
    ("name", "family"),
    [("dyadic", "gaussian"), ("dyadic", "poisson"), ("dyadic_exchangeable", "gaussian")],
)
def test_the_arrays_of_pairs_are_those_of_a_table(name: str, family: str) -> None:
    resolved, data = example_of(name, family)
    apart = name == "dyadic"
    mean = data["x_mean"][data["outcome_number"]] if apart else data["x_mean"]
    x = data["x_centred"] + mean
    number = np.arange(len(x))
    table = pd.DataFrame({"couple": number // 2, "role": number % 2, "response": data["y"]})
    table["x"], table["stress"] = x[:, 0], x[:, 1]
    if resolved.offset:
        table["exposure"] = np.exp(data["offset"])
    model = non_centred(
        bml.dyadic, table, "response ~ x", dyad="couple", member="role" if apart else None,
        actor_partner=["stress"], family=family,
        **({"exposure": "exposure"} if resolved.offset else {}),
    )  # fmt: skip
    same_arrays(model, resolved)


@pytest.mark.parametrize("family", ["gaussian", "exponential"])
def test_the_arrays_of_twins_are_those_of_a_table(family: str) -> None:
    resolved, data = example_of("twins", family)
    number = np.arange(600)
    table = pd.DataFrame(
        {
            "family": number // 2,
            "zygosity": np.where(number < 300, "MZ", "DZ"),
            "response": data["y"],
            "x": data["x_centred"][:, 0] + data["x_mean"][0],
        }
    )
    if family == "exponential":
        table["status"] = data["censoring"]
    model = non_centred(
        bml.twins,
        table,
        "response ~ x" if family == "gaussian" else "surv(response, status) ~ x",
        pair="family",
        zygosity="zygosity",
        family=family,
    )
    # Units have other numbers: who shares what with whom is the same.
    same_arrays(model, resolved, ["unit_additive"])
    np.testing.assert_allclose(*(_shared(item, "additive") for item in (data, model.data)))


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_the_arrays_of_round_robins_are_those_of_a_table(family: str) -> None:
    resolved, data = example_of("social_relations", family)
    unit = data["unit_person"]
    table = pd.DataFrame(
        {
            "rater": unit[:, 0],
            "target": unit[:, 1],
            "team": data["unit_team"],
            "time": np.arange(600) % 2,
            "response": data["y"],
            "x": data["x_centred"][:, 0] + data["x_mean"][0],
        }
    )
    counts = family == "poisson"
    if counts:
        table["exposure"] = np.exp(data["offset"])
    model = non_centred(
        bml.social_relations, table, "response ~ x", actor="rater", partner="target",
        group="team", family=family,
        **({"exposure": "exposure", "occasion": "time"} if counts else {}),
    )  # fmt: skip
    # Units have other numbers, and which direction comes first is a matter of labels.
    free = ["unit_person", "unit_dyad", "terms_dyad", "order", "place", "start"]
    same_arrays(model, resolved, free)
    for own in ("person", "dyad") if counts else ("person",):
        np.testing.assert_allclose(*(_shared(item, own) for item in (data, model.data)))


def _shared(data: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Return how much of a grouping's effects each two rows share, whatever the units' names."""
    unit = data[f"unit_{name}"].reshape(600, -1)
    weight = data.get(f"weight_{name}", np.ones(unit.shape))
    terms = data.get(f"terms_{name}", np.ones((600, 1)))
    terms = terms if terms.ndim == 3 else np.repeat(terms[:, None, :], unit.shape[1], axis=1)
    loads = np.zeros((600, unit.max() + 1, terms.shape[-1]))
    for slot in range(unit.shape[1]):
        loads[np.arange(600), unit[:, slot]] += weight[:, slot, None] * terms[:, slot]
    return np.einsum("iut,jut->tij", loads, loads)
