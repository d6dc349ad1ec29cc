"""Every function of a fit on every kind of model: it answers, or refuses in words.

What the answers are is tested in the room of each function; here none may fail in Python's words.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesml as bml

ROWS, UNITS = 48, 8


def _table() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    table = pd.DataFrame({name: rng.normal(size=ROWS) for name in ("y", "other", "x", "z")})
    unit = np.repeat(np.arange(UNITS), ROWS // UNITS)
    return table.assign(
        unit=unit,
        second=(unit + 3) % UNITS,
        region=unit // 2,
        sector=np.where(unit % 2 == 0, "public", "private"),
        crossed=np.tile(np.arange(6), UNITS),
        occasion=np.tile(np.arange(6), UNITS),
        pair=np.repeat(np.arange(ROWS // 2), 2),
        role=np.tile(["wife", "husband"], ROWS // 2),
        zygosity=np.repeat(np.where(np.arange(ROWS // 2) % 2 == 0, "MZ", "DZ"), 2),
        sex=np.where(rng.uniform(size=ROWS) < 0.5, "f", "m"),
        passed=rng.integers(0, 2, ROWS),
        count=rng.poisson(2.0, ROWS),
        days=rng.exponential(2.0, ROWS),
        ended=(rng.uniform(size=ROWS) < 0.8).astype(int),
        grade=rng.integers(0, 3, ROWS),
        party=rng.choice(["a", "b", "c"], ROWS),
    )


def _round_robin() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    rows = [
        (team, f"{team}{actor}", f"{team}{partner}")
        for team in range(4)
        for actor in range(4)
        for partner in range(4)
        if actor != partner
    ]
    table = pd.DataFrame(rows, columns=["team", "actor", "partner"])
    return table.assign(y=rng.normal(size=len(table)), x=rng.normal(size=len(table)))


TABLE = _table()
MODELS: Mapping[str, Callable[[], bml.Model]] = {
    "two_level": lambda: bml.two_level(TABLE, "y ~ x", group="unit", slopes=["x"]),
    "three_level": lambda: bml.three_level(TABLE, "y ~ x", groups=["unit", "region"]),
    "crossed": lambda: bml.cross_classified(TABLE, "y ~ x", groups=["unit", "crossed"]),
    "membership": lambda: bml.multiple_membership(
        TABLE, "y ~ x", members=["unit", "second"], weights="equal"
    ),
    "no_grouping": lambda: bml.model(TABLE, "y ~ x"),
    "autoregressive": lambda: bml.longitudinal(
        TABLE, "y ~ x", unit="unit", time="occasion", growth=0, residual="ar1"
    ),
    "unstructured": lambda: bml.model(TABLE, "y ~ x", residual="unstructured(occasion, unit)"),
    "compound_symmetric": lambda: bml.model(TABLE, "y ~ x", residual="compound_symmetric(unit)"),
    "heteroscedastic": lambda: bml.two_level(
        TABLE, "y ~ x", group="unit", distributional={"sigma": "~ sex"}
    ),
    "location_scale": lambda: bml.two_level(
        TABLE, "y ~ x", group="unit", distributional={"sigma": "~ x + (1 | unit)"}
    ),
    "kinds_of_units": lambda: bml.two_level(
        TABLE, "y ~ x", group="unit", slopes=["x"], by={"unit": "sector"}
    ),
    "student_effects": lambda: bml.two_level(TABLE, "y ~ x", group="unit", effects="student"),
    "two_outcomes": lambda: bml.multivariate(TABLE, "x", outcomes=["y", "other"], group="unit"),
    "two_families": lambda: bml.multivariate(
        TABLE,
        "x",
        outcomes=["y", "passed"],
        group="unit",
        family={"y": "gaussian", "passed": "binomial"},
    ),
    "couples": lambda: bml.dyadic(TABLE, "y ~ 1", dyad="pair", member="role", actor_partner=["x"]),
    "exchangeable": lambda: bml.dyadic(TABLE, "y ~ x", dyad="pair"),
    "twins": lambda: bml.twins(TABLE, "y ~ x", pair="pair", zygosity="zygosity", identical="MZ"),
    "round_robin": lambda: bml.social_relations(
        _round_robin(), "y ~ x", actor="actor", partner="partner", group="team"
    ),
    "binomial": lambda: bml.two_level(TABLE, "passed ~ x", group="unit", family="binomial"),
    "counts": lambda: bml.two_level(TABLE, "count ~ x", group="unit", family="poisson"),
    "inflated": lambda: bml.two_level(
        TABLE,
        "count ~ x",
        group="unit",
        family="zero_inflated_poisson",
        distributional={"zi": "~ x"},
    ),
    "ordered": lambda: bml.two_level(
        TABLE, "grade ~ x", group="unit", family="ordinal", categories=[0, 1, 2]
    ),
    "category_specific": lambda: bml.two_level(
        TABLE, "grade ~ cs(x)", group="unit", family="adjacent_category", categories=[0, 1, 2]
    ),
    "nominal": lambda: bml.two_level(TABLE, "party ~ x", group="unit", family="categorical"),
    "durations": lambda: bml.three_level(
        TABLE, "surv(days, ended) ~ x", groups=["unit", "region"], family="weibull"
    ),
}


def _grouping(model: bml.Model) -> str:
    return model.facts.groupings[0].name if model.facts.groupings else "unit"


FUNCTIONS: Mapping[str, Callable[[bml.Fit, bml.Model], Any]] = {
    "diagnose": lambda fit, model: bml.diagnose(fit),
    "summary": lambda fit, model: bml.summary(fit),
    "variance_components": lambda fit, model: bml.variance_components(fit, prior=True),
    "vpc": lambda fit, model: bml.vpc(fit),
    "vpc_at": lambda fit, model: bml.vpc(fit, at={"x": 1.0}),
    "vpc_response": lambda fit, model: bml.vpc(fit, scale="response"),
    "icc": lambda fit, model: bml.icc(fit),
    "heritability": lambda fit, model: bml.heritability(fit),
    "social_relations_shares": lambda fit, model: bml.social_relations_shares(fit),
    "median_odds_ratio": lambda fit, model: bml.median_odds_ratio(fit),
    "median_rate_ratio": lambda fit, model: bml.median_rate_ratio(fit),
    "median_hazard_ratio": lambda fit, model: bml.median_hazard_ratio(fit),
    "hazard_ratio": lambda fit, model: bml.hazard_ratio(fit),
    "survival": lambda fit, model: bml.survival(fit, groups="population"),
    "median_survival": lambda fit, model: bml.median_survival(fit, groups="population"),
    "design_effect": lambda fit, model: bml.design_effect(fit),
    "reliability": lambda fit, model: bml.reliability(fit),
    "r2": lambda fit, model: bml.r2(fit),
    "r2_rights_sterba": lambda fit, model: bml.r2(fit, method="rights_sterba"),
    "r2_gelman_pardoe": lambda fit, model: bml.r2(fit, method="gelman_pardoe"),
    "r2_snijders_bosker": lambda fit, model: bml.r2(fit, method="snijders_bosker"),
    "r2_bayes": lambda fit, model: bml.r2(fit, method="bayes"),
    "predict_known": lambda fit, model: bml.predict(fit, groups="known"),
    "predict_new": lambda fit, model: bml.predict(fit, groups="new"),
    "predict_population": lambda fit, model: bml.predict(fit, groups="population"),
    "predict_marginal": lambda fit, model: bml.predict(fit, groups="marginal"),
    "hypothesis": lambda fit, model: bml.hypothesis(fit, "beta[x] > 0"),
    "contrast": lambda fit, model: bml.contrast(fit, "x", levels=(0, 1)),
    "slopes": lambda fit, model: bml.slopes(fit, "x"),
    "simple_slopes": lambda fit, model: bml.simple_slopes(fit, "x", "z"),
    "random_effects": lambda fit, model: bml.random_effects(fit, _grouping(model)),
    "group_coefficients": lambda fit, model: bml.group_coefficients(fit, _grouping(model)),
    "ranks": lambda fit, model: bml.ranks(fit, _grouping(model)),
    "comparative_intervals": lambda fit, model: bml.comparative_intervals(fit, _grouping(model)),
    "compare_units": lambda fit, model: bml.compare_units(fit, _grouping(model), 0, 1),
    "shrinkage": lambda fit, model: bml.shrinkage(fit, _grouping(model)),
    "pooling": lambda fit, model: bml.pooling(model, fit),
    "variance_table": lambda fit, model: bml.variance_table(fit),
    "posterior_checks": lambda fit, model: bml.posterior_checks(fit),
    "unit_checks": lambda fit, model: bml.unit_checks(fit, _grouping(model)),
    "residuals": lambda fit, model: bml.residuals(fit),
    "unit_residuals": lambda fit, model: bml.residuals(fit, _grouping(model)),
    "influence": lambda fit, model: bml.influence(fit, _grouping(model)),
    "loo": lambda fit, model: bml.loo(fit),
    "logo": lambda fit, model: bml.logo(fit, _grouping(model)),
    "sensitivity": lambda fit, model: bml.sensitivity(fit),
    "reml": lambda fit, model: bml.reml(model),
    "compare_reml": lambda fit, model: bml.compare_reml(fit),
}


@pytest.fixture(scope="module", params=MODELS)
def made(
    request: pytest.FixtureRequest, fake_fit: Callable[..., bml.Fit], tmp_path_factory: Any
) -> tuple[bml.Fit, bml.Model]:
    """A model with made-up draws, which went through its file."""
    model = MODELS[request.param]()
    shapes = {name: 6.0 for name in model.resolved.posterior_names if name == "shape"}
    path = Path(tmp_path_factory.mktemp("fits")) / "fit.nc"
    return bml.load(fake_fit(model, draws=60, values=shapes).save(path)), model


# Their kernels are compiled.
COMPILED = ("reml", "compare_reml")
CASES = [
    pytest.param(name, marks=pytest.mark.sampling if name in COMPILED else ()) for name in FUNCTIONS
]


@pytest.mark.filterwarnings("ignore::bayesml.errors.BayesmlWarning")
@pytest.mark.parametrize("name", CASES)
def test_it_answers_or_refuses_in_words(name: str, made: tuple[bml.Fit, bml.Model]) -> None:
    fit, model = made
    try:
        found = FUNCTIONS[name](fit, model)
    except bml.BayesmlError as error:
        # What is wrong, and one thing to do; below it the formula may stand, with a mark.
        sentences, *_ = str(error).split("\n")
        assert sentences.endswith((".", "?"))
        assert len(sentences.split(". ")) > 1
    else:
        assert str(found)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bayesml.errors.BayesmlWarning")
def test_a_report_is_written(made: tuple[bml.Fit, bml.Model], tmp_path: Path) -> None:
    fit, _ = made
    bml.report(fit, tmp_path / "report.html")
    assert "</html>" in (tmp_path / "report.html").read_text(encoding="utf-8")
