"""The example of a generated script makes the arrays that the model reads, whatever the model."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.codegen.array_files import save_arrays
from bayesml.codegen.examples import example_source, literal
from bayesml.codegen.rendering import render
from bayesml.design.sketching import resolve_without_table
from bayesml.specs.groupings import Grouping
from bayesml.specs.modelspec import ModelSpec
from bayesml.specs.residual_structures import Residual
from bayesml.specs.resolved import ResolvedSpec
from bayesml.specs.small_groups import dyad_grouping, person_grouping, twin_grouping

SCHOOL = Grouping("school", columns=("school",), terms=("1 + x", "0 + z"))
FIRMS = Grouping("firm", members=("a", "b"), weights=("v", "w"), terms=("1 + x",))
ODD = Grouping('x"); import os #', columns=("g",), terms=('1 + `a"b`',))

SPECS = {
    "null": ModelSpec("y ~ 1"),
    "no intercept": ModelSpec("y ~ 0 + x", (SCHOOL,)),
    "nothing fixed": ModelSpec("y ~ 1", (SCHOOL,), family="ordinal"),
    "own priors": ModelSpec(
        "y ~ x + z", (SCHOOL,),
        priors=(("beta[z]", "StudentT(3, 0.5, 2)"), ("sd_school[x]", "HalfNormal(0.5)")),
    ),
    "manuals": ModelSpec(
        "y ~ x", (Grouping("g", columns=("g",)),), priors=(("sd_g", "mlwin"), ("sigma", "mlwin"))
    ),
    "nested": ModelSpec(
        "y ~ x", tuple(Grouping("cba"[k], columns=tuple("abc"[: 3 - k])) for k in range(3))
    ),
    "crossed": ModelSpec("y ~ x", tuple(Grouping(k, columns=(k,)) for k in "abc")),
    "members": ModelSpec("y ~ x", (FIRMS, Grouping("area", columns=("area",)))),
    "members of a centred kind": ModelSpec(
        "y ~ x", (Grouping("g", columns=("g",), terms=("1 + x",), parametrisation="centred"),)
    ),
    "growth": ModelSpec(
        "y ~ time + I(time ** 2)",
        (Grouping("child", columns=("child",), terms=("1 + time + I(time ** 2)",)),),
        structure="longitudinal",
    ),
    "offsets": ModelSpec("y ~ x + offset(z)", (SCHOOL,), family="poisson"),
    "exposure": ModelSpec("y ~ x", (SCHOOL,), family="poisson", exposure="days"),
    "offset of shares": ModelSpec("y ~ x", family="binomial", offset="o", trials=9),
    "probit": ModelSpec("y ~ x", (SCHOOL,), family="binomial", link="probit", trials="n"),
    "cloglog": ModelSpec("y ~ x", (SCHOOL,), family="binomial", link="cloglog"),
    "ordered probit": ModelSpec("y ~ x", (SCHOOL,), family="ordinal", link="probit"),
    "category-specific": ModelSpec("y ~ z + cs(x + w)", (SCHOOL,), family="adjacent_category"),
    "nothing but category-specific": ModelSpec(
        "y ~ cs(x + w)", family="continuation_ratio", link="probit",
        priors=(("beta_cs[w]", "StudentT(3, 0.5, 2)"),),
    ),
    "two categories": ModelSpec("y ~ x", family="ordinal", categories=('"', "b\n")),
    "odd names": ModelSpec('y ~ `a"b`', (ODD,)),
    "outcomes": ModelSpec("mvbind(v, w) ~ x + z", (SCHOOL,), structure="multivariate"),
    "independent outcomes": ModelSpec(
        "mvbind(p, q, r) ~ x", (FIRMS, Grouping("area", columns=("area",)), SCHOOL),
        residual_correlation=False, priors=(("sigma[q]", "HalfNormal(2)"),),
    ),
    "outcomes without a predictor": ModelSpec("mvbind(v, w) ~ 1", (SCHOOL,)),
    "outcomes without intercepts": ModelSpec(
        "mvbind(v, w) ~ 0 + x", (SCHOOL,), priors=(("beta[v:x]", "Normal(1, 2)"),)
    ),
    "outcomes that are counts": ModelSpec(
        "mvbind(v, w) ~ x", (SCHOOL,), family="negative_binomial", exposure="days"
    ),
    "outcomes that are rates": ModelSpec("mvbind(v, w) ~ x", (SCHOOL,), family="beta"),
    "outcomes with trials": ModelSpec(
        "mvbind(v, w) ~ x", (SCHOOL,), family="binomial", trials="n", offset="o"
    ),
    "outcomes of many families": ModelSpec(
        "mvbind(`a b`, t, n, c, r, g) ~ x", (SCHOOL,), trials="size", exposure="days",
        families=(
            ("a b", "gaussian"), ("t", "student"), ("n", "binomial"), ("c", "poisson"),
            ("r", "beta"), ("g", "gamma"),
        ),
    ),
    "0/1 and lognormal outcomes": ModelSpec(
        "mvbind(v, w) ~ 1", (SCHOOL,), families=(("v", "binomial"), ("w", "lognormal")),
        links=(("v", "probit"),),
    ),
    "the same trials everywhere": ModelSpec(
        "mvbind(v, w) ~ x", (SCHOOL,), families=(("v", "binomial"), ("w", "gamma")), trials=9
    ),
    "couples": ModelSpec(
        "y ~ x + actor_x + partner_x", (Grouping("site", columns=("site",)),), structure="dyadic",
        residual=Residual("unstructured", ("couple",), "role"), member="role",
    ),
    "friends": ModelSpec(
        "y ~ actor_x + partner_x", structure="dyadic",
        residual=Residual("compound_symmetric", ("pair",)),
    ),
    "ACE": ModelSpec("y ~ x", (twin_grouping("A"), twin_grouping("C")), structure="twins"),
    "ADE": ModelSpec(
        "y ~ x", (twin_grouping("A"), twin_grouping("D")), structure="twins", family="ordinal"
    ),
    "round robin": ModelSpec(
        "y ~ x", (person_grouping(), Grouping("team", columns=("team",))),
        structure="social_relations", residual=Residual("compound_symmetric", ("dyad",)),
    ),
    "round robin of counts": ModelSpec(
        "y ~ x", (person_grouping(), dyad_grouping()), structure="social_relations",
        family="poisson",
    ),
    "members' own terms": ModelSpec(
        "y ~ x",
        (Grouping("firm", members=("a", "b"), terms=("1 + x + mmc(v, w)",), weights="equal"),),
    ),
    "a member's own term alone": ModelSpec(
        "y ~ 1", (Grouping("firm", members=("a", "b"), terms=("1",), weights="equal"),
                  Grouping("club", members=("c", "d"), terms=("0 + mmc(v, w)",), weights="equal")),
    ),
    "location and scale": ModelSpec(
        "y ~ x", (SCHOOL,), distributional=(("sigma", "~ x + (1 | school)"),)
    ),
}  # fmt: skip


def script_of(resolved: ResolvedSpec) -> dict[str, Any]:
    """Return the names of the generated script, executed as a module that is not the main one."""
    text = render(resolved, example=example_source(resolved))
    names: dict[str, Any] = {"__name__": "generated"}
    exec(compile(text, "generated.py", "exec"), names)
    return names


@pytest.mark.parametrize("name", SPECS)
def test_the_example_is_a_model_of_the_right_shape(name: str) -> None:
    resolved = resolve_without_table(SPECS[name])
    script = script_of(resolved)
    data, coords = script["example"]()
    again, _ = script["example"]()
    assert all(np.array_equal(data[key], again[key]) for key in data)
    assert all(np.isfinite(value).all() for value in data.values())
    # Every shape is checked where the graph is evaluated at the initial point.
    built = script["build"](data, coords)
    assert np.isfinite(sum(_log_densities(built)))
    assert {item.name for item in built.free_RVs + built.deterministics} >= set(
        resolved.posterior_names
    )
    used = {item.name for item in built.data_vars}
    assert used == set(data)
    # Coefficients with different distributions are stacked, and have no dim of their own.
    dims = {dim for dims in built.named_vars_to_dims.values() for dim in dims}
    without = {"predictor", "predictor_cs"}
    assert set(coords) - without == dims - without


def _log_densities(model: Any) -> list[float]:
    """Return the log density of every variable at the initial point, in Python alone."""
    import pytensor
    from pytensor.compile.mode import Mode

    with pytensor.config.change_flags(cxx="", mode=Mode(linker="py", optimizer=None)):
        return [float(value) for value in model.point_logps().values()]


@pytest.mark.parametrize("name", SPECS)
def test_every_array_is_read(name: str) -> None:
    resolved = resolve_without_table(SPECS[name])
    source = render(resolved)
    data, _ = script_of(resolved)["example"]()
    unread = [key for key in data if f'd["{key}"]' not in source and f'data["{key}"]' not in source]
    assert unread == []


def test_default_priors_follow_the_data() -> None:
    spec = ModelSpec("y ~ x", (Grouping("g", columns=("g",), terms=("1 + x",)),))
    data, _ = script_of(resolve_without_table(spec))["example"]()
    s = data["y"].std(ddof=1)
    assert data["intercept_location"] == pytest.approx(data["y"].mean(), rel=1e-12)
    assert data["intercept_scale"] == pytest.approx(2.5 * s, rel=1e-12)
    spread = data["x_centred"].std(axis=0)
    np.testing.assert_allclose(data["slopes_scale"], 2.5 * s / spread, rtol=1e-12)
    np.testing.assert_allclose(data["sd_g_scale"], [s, s / spread[0]], rtol=1e-12)
    assert data["sigma_scale"] == pytest.approx(s, rel=1e-12)


def test_own_priors_keep_their_numbers() -> None:
    resolved = resolve_without_table(SPECS["own priors"])
    data, _ = script_of(resolved)["example"]()
    assert data["component_slopes_2_location"] == 0.5
    assert data["component_slopes_2_scale"] == 2
    assert data["component_sd_school_2_scale"] == 0.5


@pytest.mark.parametrize(
    "text", ["a", 'a"b', "a\\", "a\nb", "\u2028", "é", "\x00", "'", "{x}", "\U0001f600"]
)
def test_literals_are_the_text_on_one_line(text: str) -> None:
    shown = literal(text)
    assert eval(shown) == text
    assert len(shown.splitlines()) == 1


def test_arrays_of_a_table_go_through_a_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "file": ["a/b", "c", "é", "2", "1"] * 12,
            "child": np.repeat(np.arange(20), 3),
            "x": rng.normal(size=60),
            "y": rng.normal(size=60),
        }
    )
    model = bml.model(table, "y ~ x + (x | file) + (1 | child)", parametrisation="non-centred")
    path = tmp_path / "arrays.npz"
    save_arrays(path, model.data, model.coords)
    data, coords = script_of(model.resolved)["load_arrays"](path)
    assert set(data) == set(model.data)
    assert all(np.array_equal(data[name], value) for name, value in model.data.items())
    assert {dim: items.tolist() for dim, items in coords.items()} == {
        dim: list(items) for dim, items in model.coords.items()
    }
    built = script_of(model.resolved)["build"](data, coords)
    assert built.coords["file"] == ("1", "2", "a/b", "c", "é")
    with np.load(path, allow_pickle=False) as arrays:
        assert all(arrays[name].dtype != object for name in arrays)
