"""Models of several outcomes and of pairs have the log-density that SciPy gives, holes included."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from tests.codegen.scipy_log_joint import half_student_t, lkj_cholesky
from tests.codegen.test_log_density import TOLERANCE, Density

pytestmark = [
    pytest.mark.usefixtures("without_compiler"),
    pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning"),
]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Pupils with three papers, each missing for some, and counts of two kinds."""
    rng = np.random.default_rng(5)
    rows = 40
    papers = rng.normal([40.0, 7.0, -2.0], [9.0, 0.5, 2.0], size=(rows, 3))
    papers[rng.random(papers.shape) < 0.25] = np.nan
    papers[3] = np.nan
    frame = pd.DataFrame(papers, columns=["written", "course", "oral"])
    return frame.assign(
        school=np.arange(rows) % 6,
        x=rng.normal(1.0, 2.0, rows),
        sex=rng.choice(["F", "M"], rows),
        absences=rng.poisson(3.0, rows),
        prizes=rng.poisson(0.8, rows),
        couple=np.arange(rows) // 2,
        role=np.where(np.arange(rows) % 2 == 0, "wife", "husband"),
        content=rng.normal(5.0, 1.0, rows),
    )


def _matrix(table: pd.DataFrame, columns: Mapping[str, Any]) -> np.ndarray:
    return np.array([[column(row) for column in columns.values()] for row in table.itertuples()])


X = {
    "Intercept": lambda row: 1.0,
    "x": lambda row: row.x,
    "sex[M]": lambda row: float(row.sex == "M"),
}


def _coefficients(
    table: pd.DataFrame, outcome: str, beta: np.ndarray, spread: float, location: float
) -> float:
    """Density of one outcome's coefficients under the default priors, on its own rows."""
    x = _matrix(table[table[outcome].notna()], X)
    total = stats.norm.logpdf(beta @ x.mean(axis=0), location, 2.5 * spread)
    for place in (1, 2):
        total += stats.norm.logpdf(beta[place], 0, 2.5 * spread / x[:, place].std(ddof=1))
    return float(total)


def _effects(values: Mapping[str, np.ndarray], scales: list[float], centred: bool) -> float:
    sd, corr, effects = values["sd_school"], values["corr_school"], values["u_school"]
    covariance = np.outer(sd, sd) * corr
    total = lkj_cholesky(np.linalg.cholesky(corr), 2.0)
    total += sum(half_student_t(one, 4, scale) for one, scale in zip(sd, scales, strict=True))
    for effect in effects:
        total += stats.multivariate_normal.logpdf(effect, np.zeros(len(sd)), covariance)
        if not centred:
            total += 0.5 * np.linalg.slogdet(covariance)[1]
    return float(total)


@pytest.mark.parametrize("form", ["centred", "non-centred"])
@pytest.mark.parametrize("slopes", [(), ("x",)], ids=["intercepts", "slopes"])
@pytest.mark.parametrize("correlated", [True, False], ids=["residuals", "independent"])
def test_gaussian_outcomes_with_holes(
    table: pd.DataFrame, form: str, slopes: tuple[str, ...], correlated: bool
) -> None:
    names = ["written", "course", "oral"]
    model = bml.multivariate(
        table,
        "x + sex",
        outcomes=names,
        group="school",
        slopes=slopes,
        parametrisation=form,
        residual_correlation=correlated,
    )
    density = Density(model)
    rng = np.random.default_rng(3)
    spreads = {name: float(table[name].std()) for name in names}
    for _ in range(2):
        found, values = density.at(density.point(rng))
        sigma = values["sigma"]
        residual = values["corr_residual"] if correlated else np.eye(3)
        scales = []
        for name in names:
            scales.append(spreads[name])
            own = table.loc[table[name].notna(), "x"]
            scales += [spreads[name] / float(own.std()) for _ in slopes]
        expected = _effects(values, scales, form == "centred")
        if correlated:
            expected += lkj_cholesky(np.linalg.cholesky(residual), 2.0)
        for place, name in enumerate(names):
            expected += half_student_t(sigma[place], 4, spreads[name])
            expected += _coefficients(
                table, name, values["beta"][place], spreads[name], float(table[name].mean())
            )
        covariance = np.outer(sigma, sigma) * residual
        width = 1 + len(slopes)
        for number, row in enumerate(table.itertuples()):
            seen = [place for place, name in enumerate(names) if pd.notna(getattr(row, name))]
            if not seen:
                continue
            z = np.array([1.0, row.x])[:width]
            effects = values["u_school"][number % 6].reshape(3, width)
            x = np.array([column(row) for column in X.values()])
            mean = values["beta"] @ x + effects @ z
            y = np.array([getattr(row, names[place]) for place in seen])
            expected += stats.multivariate_normal.logpdf(
                y, mean[seen], covariance[np.ix_(seen, seen)]
            )
        assert found == pytest.approx(float(expected), rel=TOLERANCE)


def test_counts_of_two_kinds(table: pd.DataFrame) -> None:
    names = ["absences", "prizes"]
    model = bml.multivariate(
        table,
        "x + sex",
        outcomes=names,
        group="school",
        family="negative_binomial",
        parametrisation="non-centred",
    )
    density = Density(model)
    found, values = density.at(density.point(np.random.default_rng(3)))
    expected = _effects(values, [1.0, 1.0], False)
    shapes = values["shape"] if "shape" in values else values["phi"]
    prior = model.resolved.outcome_parameter_priors
    ((parameter, priors),) = prior.items()
    for place, name in enumerate(names):
        expected += float(priors[place].frozen.logpdf(shapes[place]))
        location = float(np.log(table[name].mean()))
        expected += _coefficients(table, name, values["beta"][place], 1.0, location)
        for number, row in enumerate(table.itertuples()):
            x = np.array([column(row) for column in X.values()])
            mean = np.exp(values["beta"][place] @ x + values["u_school"][number % 6][place])
            size = shapes[place]
            expected += stats.nbinom.logpmf(getattr(row, name), size, size / (size + mean))
    assert parameter in values
    assert found == pytest.approx(float(expected), rel=TOLERANCE)


@pytest.mark.parametrize("member", ["role", None])
def test_pairs(table: pd.DataFrame, member: str | None) -> None:
    model = bml.dyadic(table, "content ~ x + sex", dyad="couple", member=member)
    density = Density(model)
    rng = np.random.default_rng(3)
    spread = float(table["content"].std())
    roles = sorted(table["role"].unique())
    for _ in range(2):
        found, values = density.at(density.point(rng))
        expected = 0.0
        if member is None:
            rho = float(values["corr_residual"])
            covariance = float(values["sigma"]) ** 2 * np.array([[1, rho], [rho, 1]])
            expected += half_student_t(float(values["sigma"]), 4, spread) + np.log(0.5)
            expected += _coefficients(
                table, "content", values["beta"], spread, float(table["content"].mean())
            )
        else:
            corr = values["corr_residual"]
            covariance = np.outer(values["sigma"], values["sigma"]) * corr
            expected += lkj_cholesky(np.linalg.cholesky(corr), 2.0)
            for place, role in enumerate(roles):
                own = table[table["role"] == role]
                size = float(own["content"].std())
                expected += half_student_t(values["sigma"][place], 4, size)
                expected += _coefficients(
                    own, "content", values["beta"][place], size, float(own["content"].mean())
                )
        for _, pair in table.groupby("couple"):
            ordered = pair.sort_values("role")
            beta = values["beta"] if member is not None else np.stack([values["beta"]] * 2)
            mean = (beta * _matrix(ordered, X)).sum(axis=1)
            expected += stats.multivariate_normal.logpdf(ordered["content"], mean, covariance)
        assert found == pytest.approx(float(expected), rel=TOLERANCE)


@pytest.mark.parametrize("form", ["centred", "non-centred"])
@pytest.mark.parametrize("family", ["poisson", "binomial"])
def test_pairs_of_counts(table: pd.DataFrame, family: str, form: str) -> None:
    rng = np.random.default_rng(3)
    options = {"trials": 9} if family == "binomial" else {}
    frame = table.assign(content=rng.binomial(9, 0.4, len(table)))
    frame["school"] = frame["couple"] % 3
    model = bml.dyadic(
        frame, "content ~ x + sex", dyad="couple", member="role", group="school",
        family=family, parametrisation=form, **options,
    )  # fmt: skip
    density = Density(model)
    roles = sorted(frame["role"].unique())
    found, values = density.at(density.point(rng))
    expected = 0.0
    for name in ("couple", "school"):
        own = {f"{key}_school": values[f"{key}_{name}"] for key in ("sd", "corr", "u")}
        expected += _effects(own, [1.0, 1.0], form == "centred")
    for place, role in enumerate(roles):
        rows = frame[frame["role"] == role]
        share = rows["content"].mean() / 9
        location = np.log(share / (1 - share) if family == "binomial" else 9 * share)
        expected += _coefficients(rows, "content", values["beta"][place], 1.0, float(location))
    for place, row in zip(frame["role"].map(roles.index), frame.itertuples(), strict=True):
        eta = values["beta"][place] @ np.array([column(row) for column in X.values()])
        eta += values["u_couple"][row.couple][place] + values["u_school"][row.school][place]
        if family == "poisson":
            expected += stats.poisson.logpmf(row.content, np.exp(eta))
        else:
            expected += stats.binom.logpmf(row.content, 9, 1 / (1 + np.exp(-eta)))
    assert found == pytest.approx(float(expected), rel=TOLERANCE)
