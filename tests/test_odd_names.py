"""Any column name and any label goes the whole way: fit, save, load, tables, report."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayesml as bml

LONG = "a very long name that somebody exported from a survey " * 6
assert len(LONG) > 300

# Outcome, predictors, groupings: each of these means something to bayesml, Python, PyMC, xarray,
# netCDF or a browser.
NAMES = {
    "reserved": ("beta", ("chain", "class", "x_mean"), ("residual", "sigma")),
    "signs": (
        "score (0/100) %",
        ('the "quoted" one', "it's", "a\\b\n"),
        ("area/unit", "<b>Größe</b> 学校"),
    ),
    "lengths": (LONG, (LONG + "x", " ", "_"), (LONG + "g", "1")),
}
LABELS = (
    "a b",
    'say "hi"',
    "it's",
    "n/a/b",
    "Ünïcödé 学校",
    "None",
    "beta",
    LONG,
    "",
    "<i>",
    "\u202e",
)


def table(outcome: str, predictors: tuple[str, ...], groupings: tuple[str, ...]) -> pd.DataFrame:
    rng = np.random.default_rng(6)
    rows = 20 * len(LABELS)
    columns: dict[str, object] = {outcome: rng.normal(size=rows)}
    columns |= {name: rng.normal(size=rows) for name in predictors}
    for step, name in enumerate(groupings, start=1):
        columns[name] = [LABELS[row * step % len(LABELS)] for row in range(rows)]
    # Two columns of labels that cross.
    columns[groupings[1]] = rng.permutation(np.array(columns[groupings[1]], dtype=object))
    return pd.DataFrame(columns)


@pytest.mark.sampling
@pytest.mark.parametrize(("outcome", "predictors", "groupings"), NAMES.values(), ids=NAMES)
def test_odd_names_go_the_whole_way(
    outcome: str, predictors: tuple[str, ...], groupings: tuple[str, ...], tmp_path: Path
) -> None:
    def name(text: str) -> str:
        return "`" + text + "`"

    fixed = " + ".join(map(name, predictors))
    bars = f"({name(predictors[0])} | {name(groupings[0])}) + (1 | {name(groupings[1])})"
    model = bml.model(table(outcome, predictors, groupings), f"{name(outcome)} ~ {fixed} + {bars}")
    fit = model.fit(draws=20, tune=20, chains=2, seed=1, progress=False)
    loaded = bml.load(fit.save(tmp_path / "fit.nc"))

    assert loaded.posterior.identical(fit.posterior)
    assert loaded.facts == fit.facts
    assert loaded.spec == fit.spec == model.spec
    assert [item.name for item in loaded.facts.groupings] == list(groupings)
    assert loaded.facts.coefficients == ("Intercept", *predictors)
    units = loaded.posterior.coords[loaded.facts.groupings[0].identifier].values
    assert sorted(map(str, units)) == sorted(LABELS)

    index = list(bml.summary(loaded).index)
    assert [f"beta[{label}]" for label in ("Intercept", *predictors)] == index[
        : 1 + len(predictors)
    ]
    components = bml.variance_components(loaded)
    assert [*components["grouping"]] == [*[groupings[0]] * 3, groupings[1], "residual"]
    shares = bml.vpc(loaded).reset_index()
    assert [*shares["grouping"]] == [*groupings, "residual"]
    assert shares["mean"].sum() == pytest.approx(1)
    assert str(bml.diagnose(loaded))
    page = bml.report(loaded, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b>Größe</b>" not in page
    assert "<i>" not in page
