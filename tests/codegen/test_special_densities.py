"""Log-densities of what few models have: blocks, other priors, no intercept, offsets, far tails."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from bayesml.specs.families import FAMILIES
from tests.codegen.scipy_log_joint import OUTCOMES, Members, half_student_t, log_joint
from tests.codegen.test_log_density import (
    PREDICTORS,
    TERMS,
    TOLERANCE,
    Density,
    _area,
    _firms,
    _school,
    _year_group,
    simulated_table,
)

pytestmark = pytest.mark.usefixtures("without_compiler")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return simulated_table()


def compared(
    made: bml.Model,
    table: pd.DataFrame,
    groupings: list[Members],
    form: str,
    correction: Callable[[dict[str, np.ndarray]], float] = lambda values: 0.0,
    offset: Callable[[Any], float] = lambda row: 0.0,
) -> None:
    """Assert that the model's density is SciPy's under default priors plus a correction."""
    density = Density(made)
    rng = np.random.default_rng(8)
    for _ in range(2):
        found, values = density.at(density.point(rng))
        expected = log_joint(
            OUTCOMES["gaussian"],
            table,
            PREDICTORS,
            groupings,
            values,
            density.labels(),
            form,
            offset,
        )
        assert found == pytest.approx(expected + correction(values), rel=TOLERANCE)


@pytest.mark.parametrize("form", ["centred", "partly centred", "non-centred"])
def test_bars_of_one_grouping_have_a_block_diagonal_covariance(
    form: str, table: pd.DataFrame
) -> None:
    made = bml.model(
        table,
        "score ~ x + sex + (x | school) + (0 + week | school)",
        parametrisation=form,
    )
    assert made.resolved.groupings[0].blocks == (2, 1)
    terms = {**TERMS, "week": lambda row: row.week}
    compared(made, table, [Members("school", _school, terms, sizes=(2, 1))], form)


INTERCEPT = {"Intercept": lambda row: 1.0}
VARYING_INTERCEPTS: dict[str, tuple[Callable[..., bml.Model], list[Members]]] = {
    "two_level": (
        lambda table, formula, **options: bml.two_level(table, formula, group="school", **options),
        [Members("school", _school, INTERCEPT)],
    ),
    "three_level": (
        lambda table, formula, **options: bml.three_level(
            table, formula, groups=["year_group", "school"], **options
        ),
        [Members("year_group", _year_group, INTERCEPT), Members("school", _school, INTERCEPT)],
    ),
    "cross_classified": (
        lambda table, formula, **options: bml.cross_classified(
            table, formula, groups=["school", "area"], **options
        ),
        [Members("school", _school, INTERCEPT), Members("area", _area, INTERCEPT)],
    ),
    "multiple_membership": (
        lambda table, formula, **options: bml.multiple_membership(
            table,
            formula,
            members=["first", "second"],
            weights=["share", "rest"],
            name="firm",
            groups=["school"],
            **options,
        ),
        [Members("firm", _firms, INTERCEPT), Members("school", _school, INTERCEPT)],
    ),
}


@pytest.mark.filterwarnings("ignore:Labels of 'year_group':bayesml.errors.BayesmlWarning")
@pytest.mark.parametrize(
    ("structure", "family"),
    [
        (structure, family)
        for number, structure in enumerate(VARYING_INTERCEPTS)
        for family in ["gaussian", "ordinal logit", *list(OUTCOMES)[number + 1 : -2 : 4]]
    ],
)
def test_varying_intercepts_in_the_form_that_the_data_choose(
    structure: str, family: str, table: pd.DataFrame
) -> None:
    """Graded forms are a choice of the sampler's path: the density of the effects is the same."""
    outcome = OUTCOMES[family]
    build, groupings = VARYING_INTERCEPTS[structure]
    table = table.assign(level=table["school"].str.len() + table["year_group"])
    formula = f"{outcome.formula_left} ~ x + sex + level"
    made = build(table, formula, **outcome.options)
    density = Density(made)
    grades = {
        item.name: made.data[f"grade_{item.identifier}"]
        if item.graded
        else np.full((item.units, 1), float(item.centred))
        for item in made.resolved.groupings
    }
    assert all(((grade >= 0) & (grade <= 1)).all() for grade in grades.values())
    rng = np.random.default_rng(4)
    predictors = {**PREDICTORS, "level": lambda row: float(row.level)}
    for _ in range(2):
        found, values = density.at(density.point(rng))
        expected = log_joint(
            outcome, table, predictors, groupings, values, density.labels(), grades
        )
        assert found == pytest.approx(expected, rel=TOLERANCE)


def test_the_correlation_prior_is_the_users(table: pd.DataFrame) -> None:
    """Eta enters by det(R)^(eta - 1) and its constant: for two terms a beta density on (-1, 1)."""
    made = bml.model(
        table,
        "score ~ x + sex + (x | school)",
        priors={"corr_school": "LKJ(5)"},
        parametrisation="non-centred",
    )

    def correction(values: dict[str, np.ndarray]) -> float:
        share = (values["corr_school"][0, 1] + 1) / 2
        return float(stats.beta.logpdf(share, 5, 5) - stats.beta.logpdf(share, 2, 2))

    members = [Members("school", _school, TERMS)]
    compared(made, table, members, "non-centred", correction)


REAL = {
    "Normal(1, 2)": stats.norm(1, 2),
    "StudentT(5, 1, 2)": stats.t(5, 1, 2),
    "Cauchy(0.5, 2)": stats.cauchy(0.5, 2),
    "Laplace(0.5, 2)": stats.laplace(0.5, 2),
}
POSITIVE: dict[str, Callable[[float], float]] = {
    "HalfNormal(2)": stats.halfnorm(scale=2).logpdf,
    "HalfStudentT(5, 2)": lambda x: half_student_t(x, 5, 2),
    "HalfCauchy(2)": stats.halfcauchy(scale=2).logpdf,
    "Exponential(2)": stats.expon(scale=0.5).logpdf,
    "Gamma(2, 3)": stats.gamma(2, scale=1 / 3).logpdf,
    "InverseGamma(2, 3)": stats.invgamma(2, scale=3).logpdf,
    "LogNormal(0.5, 2)": stats.lognorm(2, scale=np.exp(0.5)).logpdf,
    "Uniform(0.1, 9)": stats.uniform(0.1, 8.9).logpdf,
    "pc(2, 0.05)": stats.expon(scale=2 / -np.log(0.05)).logpdf,
    # On the variance, which is the variable that PyMC samples.
    "mlwin": lambda x: stats.invgamma(0.001, scale=0.001).logpdf(x**2),
}


def default_scales(table: pd.DataFrame) -> tuple[float, float, float]:
    """The SDs of the outcome and of x, and the outcome's mean."""
    return float(table["score"].std()), float(table["x"].std()), float(table["score"].mean())


@pytest.mark.parametrize(
    ("real", "positive"), list(zip([*REAL, *REAL, *REAL], POSITIVE, strict=False)), ids=str
)
def test_every_prior_has_scipys_density(real: str, positive: str, table: pd.DataFrame) -> None:
    made = bml.two_level(
        table,
        "score ~ x + sex",
        group="school",
        slopes=["x"],
        correlated=False,
        parametrisation="centred",
        priors={"Intercept": real, "beta[x]": real, "sigma": positive, "sd_school": positive},
    )
    s, s_x, mean = default_scales(table)

    def correction(values: dict[str, np.ndarray]) -> float:
        changed = REAL[real].logpdf(values["intercept_at_mean"]) - stats.norm.logpdf(
            values["intercept_at_mean"], mean, 2.5 * s
        )
        slope = values["beta"][1]
        changed += REAL[real].logpdf(slope) - stats.norm.logpdf(slope, 0, 2.5 * s / s_x)
        sds = [float(values["sigma"]), *values["sd_school"]]
        for sd, scale in zip(sds, (s, s, s / s_x), strict=True):
            changed += POSITIVE[positive](sd) - half_student_t(sd, 4, scale)
        return float(changed)

    compared(made, table, [Members("school", _school, TERMS, False)], "centred", correction)


@pytest.mark.parametrize("form", ["centred", "partly centred", "non-centred"])
def test_elements_of_one_vector_may_have_different_distributions(
    form: str, table: pd.DataFrame
) -> None:
    made = bml.two_level(
        table,
        "score ~ x + sex",
        group="school",
        slopes=["x"],
        parametrisation=form,
        priors={"sd_school[x]": "Exponential(2)", "beta[sex[M]]": "Laplace(0.5, 2)"},
    )
    s, s_x, _ = default_scales(table)
    male = (table["sex"] == "M").std()

    def correction(values: dict[str, np.ndarray]) -> float:
        sd, slope = values["sd_school"][1], values["beta"][2]
        return float(
            stats.expon.logpdf(sd, scale=0.5)
            - half_student_t(sd, 4, s / s_x)
            + stats.laplace.logpdf(slope, 0.5, 2)
            - stats.norm.logpdf(slope, 0, 2.5 * s / male)
        )

    members = [Members("school", _school, TERMS)]
    compared(made, table, members, form, correction)


def test_mlwin_for_the_whole_model(table: pd.DataFrame) -> None:
    made = bml.two_level(
        table, "score ~ x + sex", group="school", priors="mlwin", parametrisation="centred"
    )
    s, _, _ = default_scales(table)

    def correction(values: dict[str, np.ndarray]) -> float:
        return sum(
            float(POSITIVE["mlwin"](sd) - half_student_t(sd, 4, s))
            for sd in (float(values["sigma"]), float(values["sd_school"][0]))
        )

    members = [Members("school", _school, {"Intercept": lambda row: 1.0})]
    compared(made, table, members, "centred", correction)


@pytest.mark.parametrize(
    "formula",
    ["score ~ 0 + x + sex", "score ~ 0 + x", "score ~ 0", "score ~ 1"],
)
def test_models_with_few_or_no_coefficients(formula: str, table: pd.DataFrame) -> None:
    made = bml.two_level(table, formula, group="school", parametrisation="centred")
    predictors = {**PREDICTORS, "sex[F]": lambda row: float(row.sex == "F")}
    assert set(made.resolved.coefficients) <= set(predictors)
    density = Density(made)
    rng = np.random.default_rng(8)
    found, values = density.at(density.point(rng))
    members = [Members("school", _school, {"Intercept": lambda row: 1.0})]
    expected = log_joint(
        OUTCOMES["gaussian"], table, predictors, members, values, density.labels(), "centred"
    )
    assert found == pytest.approx(expected, rel=TOLERANCE)


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("score ~ x + sex + offset(log(days)) + offset(week)", {}),
        ("score ~ x + sex + offset(log(days))", {"offset": "week"}),
    ],
)
def test_offsets_add_up(formula: str, options: dict[str, str], table: pd.DataFrame) -> None:
    made = bml.two_level(table, formula, group="school", parametrisation="centred", **options)
    members = [Members("school", _school, {"Intercept": lambda row: 1.0})]
    compared(made, table, members, "centred", offset=lambda row: float(np.log(row.days) + row.week))


def test_transforms_are_those_that_the_priors_assume(table: pd.DataFrame) -> None:
    """Jacobians: log of every SD, and log of every gap between cutpoints (ordered transform)."""
    import pytensor

    made = bml.two_level(
        table, "grade ~ x", group="school", family="ordinal", slopes=["x"], correlated=False
    )
    density = Density(made)
    with_jacobian = pytensor.function(density.pymc.value_vars, density.pymc.logp())
    point = density.point(np.random.default_rng(5))
    without, values = density.at(point)
    gaps = np.diff(values["cutpoints"])
    assert (gaps > 0).all()
    expected = without + np.log(gaps).sum() + np.log(values["sd_school"]).sum()
    assert float(with_jacobian(*point)) == pytest.approx(expected, rel=TOLERANCE)


FAR = np.array([-30.0, -9.0, -3.0, -0.4, 0.0, 0.4, 3.0, 9.0, 30.0])


def _functions(family: str, link: str) -> dict[str, Any]:
    import pymc as pm
    import pytensor.tensor as pt

    namespace: dict[str, Any] = {"np": np, "pm": pm, "pt": pt}
    exec(FAMILIES[family].functions[link], namespace)
    return namespace


@pytest.mark.parametrize("trials", [False, True])
@pytest.mark.parametrize(
    ("link", "success", "failure"),
    [
        ("probit", stats.norm.logcdf, stats.norm.logsf),
        ("cloglog", lambda eta: np.log(-np.expm1(-np.exp(eta))), lambda eta: -np.exp(eta)),
    ],
)
def test_binary_outcomes_keep_their_digits_in_far_tails(
    link: str, success: Callable[..., Any], failure: Callable[..., Any], trials: bool
) -> None:
    import pymc as pm
    import pytensor
    import pytensor.tensor as pt
    from pymc.pytensorf import rewrite_pregrad
    from pytensor.compile.mode import Mode

    # exp(9) is a rate of 8,100, where exp(30) only overflows what any sampler visits
    far = FAR if link == "probit" else FAR[:-1]
    eta = pt.vector("eta")
    odds = _functions("binomial", link)[f"{link}_log_odds"](eta)
    outcome = pm.Binomial.dist(n=1, logit_p=odds) if trials else pm.Bernoulli.dist(logit_p=odds)
    for value, expected in ((1, success), (0, failure)):
        density = rewrite_pregrad(pm.logp(outcome, np.full(len(far), value)))
        gradient = pytensor.grad(density.sum(), eta)
        mode = Mode(linker="py", optimizer="fast_run")
        found, slope = pytensor.function([eta], [density, gradient], mode=mode)(far)
        # Where the log density itself underflows (log of 1 - 1e-200) only its absolute size counts.
        np.testing.assert_allclose(found, expected(far), rtol=1e-10, atol=1e-15)
        step = 1e-6
        numeric = (expected(far + step) - expected(far - step)) / (2 * step)
        np.testing.assert_allclose(slope, numeric, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("link", "distribution"), [("logit", stats.logistic), ("probit", stats.norm)]
)
def test_ordered_outcomes_keep_their_digits_in_far_tails(link: str, distribution: Any) -> None:
    import pytensor
    import pytensor.tensor as pt
    from pytensor.compile.mode import Mode

    cutpoints = np.array([-1.0, 0.2, 1.5])
    eta, value = pt.vector("eta"), pt.lvector("value")
    density = _functions("ordinal", link)[f"cumulative_{link}"](value, eta, pt.as_tensor(cutpoints))
    gradient = pytensor.grad(density, eta)
    mode = Mode(linker="py", optimizer="fast_run")
    function = pytensor.function([value, eta], [density, gradient], mode=mode)
    bounds = np.array([-np.inf, *cutpoints, np.inf])
    for category in range(4):
        for x in FAR:
            low, high = bounds[category] - x, bounds[category + 1] - x
            # A difference of small tail areas loses nothing, one of areas near 1 everything.
            area = (
                distribution.sf(low) - distribution.sf(high)
                if low > 0
                else distribution.cdf(high) - distribution.cdf(low)
            )
            found, slope = function(np.array([category]), np.array([x]))
            assert float(found) == pytest.approx(np.log(area), rel=1e-8, abs=1e-12)
            assert np.isfinite(slope).all()
