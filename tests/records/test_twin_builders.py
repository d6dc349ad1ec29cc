"""Twin models: the groupings, the checks, and maximum likelihood against the covariances of SEM."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal, norm

import bayesml as bml
from bayesml.design.units import find_units
from bayesml.errors import SpecError, TableError
from bayesml.records.twin_builders import with_relatedness
from bayesml.specs.model_files import spec_from_toml, spec_to_toml
from bayesml.specs.small_groups import TWIN_PARTS
from tests.codegen.scipy_log_joint import half_student_t
from tests.codegen.test_log_density import TOLERANCE, Density

ALIKE = {"A": {"MZ": 1.0, "DZ": 0.5}, "C": {"MZ": 1.0, "DZ": 1.0}, "D": {"MZ": 1.0, "DZ": 0.25}}


def twin_table(
    pairs: int, seed: int, a: float = 0.6, c: float = 0.5, e: float = 0.7
) -> pd.DataFrame:
    """Return pairs with the SDs a, c and e, drawn by their covariance; half of them identical."""
    rng = np.random.default_rng(seed)
    rows = []
    for pair in range(pairs):
        kind = "MZ" if pair % 2 else "DZ"
        shared = c**2 + a**2 * ALIKE["A"][kind]
        total = a**2 + c**2 + e**2
        values = rng.multivariate_normal([0, 0], [[total, shared], [shared, total]])
        ages = rng.normal(40, 10, 2)
        rows += [
            (pair, kind, 20 + 0.05 * age + value, age)
            for age, value in zip(ages, values, strict=True)
        ]
    return pd.DataFrame(rows, columns=["family", "zygosity", "bmi", "age"])


def covariance(kind: str, variances: dict[str, float], own: float) -> np.ndarray:
    """Return the covariance matrix of a pair, as twin researchers write it down."""
    shared = sum(value * ALIKE[letter][kind] for letter, value in variances.items())
    total = sum(variances.values()) + own
    return np.array([[total, shared], [shared, total]])


@pytest.mark.parametrize("components", ["ACE", "AE", "CE", "ADE"])
def test_maximum_likelihood_is_that_of_the_bivariate_normal(components: str) -> None:
    table = twin_table(60, 3)
    letters = components[:-1]
    outcomes = table["bmi"].to_numpy().reshape(-1, 2)
    ages = table["age"].to_numpy().reshape(-1, 2)
    kinds = table["zygosity"].to_numpy()[::2]

    def deviance(values: np.ndarray) -> float:
        rest = outcomes - values[0] - values[1] * (ages - 40)
        variances = dict(zip(letters, values[3:] ** 2, strict=True))
        return -2 * sum(
            multivariate_normal.logpdf(
                rest[kinds == kind], np.zeros(2), covariance(kind, variances, values[2] ** 2)
            ).sum()
            for kind in ("MZ", "DZ")
        )

    start = np.array([22.0, 0.05, 0.6, *[0.5] * len(letters)])
    best = minimize(deviance, start, method="BFGS", options={"gtol": 1e-6})
    model = bml.twins(table, "bmi ~ age", pair="family", zygosity="zygosity", components=components)
    found = bml.ml(model)
    assert found.deviance == pytest.approx(best.fun, abs=1e-3)


@pytest.mark.parametrize("components", ["ACE", "ADE"])
def test_density_with_effects_is_scipys(components: str, without_compiler: None) -> None:
    table = twin_table(8, 4)
    model = bml.twins(
        table,
        "bmi ~ age",
        pair="family",
        zygosity="zygosity",
        components=components,
        parametrisation="non-centred",
    )
    density = Density(model)
    found, values = density.at(density.point(np.random.default_rng(7)))
    spread, at_mean = float(table["bmi"].std()), table["age"].mean()
    intercept, slope = values["beta"]
    total = norm.logpdf(intercept + slope * at_mean, table["bmi"].mean(), 2.5 * spread)
    total += norm.logpdf(slope, 0, 2.5 * spread / table["age"].std())
    total += half_student_t(float(values["sigma"]), 4, spread)
    eta = intercept + slope * table["age"].to_numpy()
    labels = density.labels()
    for letter in components[:-1]:
        name, alike = TWIN_PARTS[letter]
        (sd,), effects = values[f"sd_{name}"], values[f"u_{name}"][:, 0]
        total += half_student_t(float(sd), 4, spread)
        # Sampled as standard normal variables.
        total += norm.logpdf(effects, 0, sd).sum() + len(effects) * np.log(sd)
        place = {label: number for number, label in enumerate(labels[name])}
        for row, twin in enumerate(table.itertuples()):
            number = row - 2 * twin.family
            if letter == "C":
                eta[row] += effects[place[twin.family]]
                continue
            shared = 1.0 if twin.zygosity == "MZ" else alike
            eta[row] += np.sqrt(shared) * effects[place[f"pair {twin.family}"]]
            if shared < 1:
                own = effects[place[f"twin {twin.family}/{number}"]]
                eta[row] += np.sqrt(1 - shared) * own
    total += norm.logpdf(table["bmi"], eta, values["sigma"]).sum()
    assert found == pytest.approx(float(total), rel=TOLERANCE)


def test_a_row_has_the_variance_of_a_whole_unit() -> None:
    table = with_relatedness(twin_table(40, 1), pair="family", zygosity="zygosity")
    model = bml.twins(
        twin_table(40, 1), "bmi ~ age", pair="family", zygosity="zygosity", components="ADE"
    )
    for grouping, quarter in zip(model.spec.groupings, (0.5, 0.25), strict=True):
        units = find_units(grouping, table, np.arange(80))
        assert units.weights is not None
        dense = np.zeros((80, len(units.labels)))
        for slot in range(2):
            dense[np.arange(80), units.index[:, slot]] += units.weights[:, slot]
        within = dense @ dense.T
        np.testing.assert_allclose(np.diag(within), 1, atol=1e-12)
        np.testing.assert_allclose(within[[0, 2], [1, 3]], [quarter, 1.0], atol=1e-12)
        assert within[0, 2:].max() == 0


def test_round_trip() -> None:
    spec = bml.twins(twin_table(40, 1), "bmi ~ age", pair="family", zygosity="zygosity").spec
    assert spec_from_toml(spec_to_toml(spec)) == spec


def changed(column: str, value: object) -> pd.DataFrame:
    """Return a table with another value in its first row."""
    table = twin_table(10, 1)
    return table.assign(**{column: [value, *table[column].tolist()[1:]]})


def built(table: pd.DataFrame, **options: str) -> Callable[[], object]:
    arguments = {"pair": "family", "zygosity": "zygosity", **options}
    return lambda: bml.twins(table, "bmi ~ age", **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (built(changed("family", 1)), TableError, "more than two twins: '?1 \\(3\\)"),
        (built(changed("zygosity", "MZ")), TableError, "twins of different 'zygosity': '?0"),
        (built(changed("zygosity", None)), TableError, "missing in 1 rows"),
        (built(changed("family", None)), TableError, "missing in 1 rows"),
        (built(twin_table(10, 1), identical="mono"), TableError, "Every pair is fraternal"),
        (built(twin_table(10, 1).query("zygosity == 'MZ'")), TableError, "pair is identical"),
        (
            built(twin_table(10, 1), components="ACDE"),
            SpecError,
            "Allowed: 'ACE', 'ADE', 'AE', 'CE'",
        ),
        (built(twin_table(10, 1), pair="famly"), TableError, "family"),
        (built(twin_table(10, 1).assign(shared=1)), SpecError, "'shared' already"),
    ],
)
def test_what_is_refused(call: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


@pytest.mark.sampling
def test_heritability_needs_a_twin_model() -> None:
    table = twin_table(20, 1)
    fit = bml.two_level(table, "bmi ~ age", group="family").fit(
        draws=20, tune=50, chains=1, seed=1, progress=False
    )
    with pytest.raises(bml.FitError, match="heritability needs a twin model"):
        bml.heritability(fit)


@pytest.mark.sampling
def test_heritability_is_a_share_of_the_variances() -> None:
    model = bml.twins(twin_table(30, 2), "bmi ~ age", pair="family", zygosity="zygosity")
    fit = model.fit(draws=30, tune=100, chains=2, seed=1, progress=False)
    variances = {
        "A": fit.posterior["sd_additive"].values[..., 0] ** 2,
        "C": fit.posterior["sd_shared"].values[..., 0] ** 2,
        "E": fit.posterior["sigma"].values ** 2,
    }
    total = sum(variances.values())
    found = bml.heritability(fit, draws=True)
    for letter, values in variances.items():
        np.testing.assert_allclose(found.sel(part=letter), values / total, rtol=1e-12)
    fraternal = (variances["A"] / 2 + variances["C"]) / total
    np.testing.assert_allclose(found.sel(part="correlation DZ"), fraternal, rtol=1e-12)
    with pytest.raises(bml.FitError, match="icc is not defined where rows share parts"):
        bml.icc(fit)


def test_a_formula_says_the_same_model(fake_fit: Callable[..., bml.Fit]) -> None:
    frame = bml.with_relatedness(twin_table(30, 2), pair="family", zygosity="zygosity")
    weights = "weights=cbind(additive_pair_weight, additive_own_weight)"
    formula = (
        f'bmi ~ age + (1 | mm(additive_pair, additive_own, {weights}, name="additive")) '
        "+ (1 | shared)"
    )
    fit = fake_fit(bml.model(frame, formula), draws=20)
    own = fit.posterior["sd_additive"].values[..., 0] ** 2
    whole = (
        own + fit.posterior["sd_shared"].values[..., 0] ** 2 + fit.posterior["sigma"].values ** 2
    )
    found = bml.heritability(fit, draws=True)
    np.testing.assert_allclose(found.sel(part="A"), own / whole, rtol=1e-9)
    for function in (bml.icc, bml.design_effect, bml.reliability):
        with pytest.raises(bml.FitError, match=r"share parts of their units.*'additive'"):
            function(fit)


def test_rows_of_whole_memberships_have_a_correlation(fake_fit: Callable[..., bml.Fit]) -> None:
    table = twin_table(30, 2)
    fit = fake_fit(
        bml.twins(table, "bmi ~ age", pair="family", zygosity="zygosity", components="CE")
    )
    found = bml.icc(fit, "shared", draws=True)[..., 0]
    between = fit.posterior["sd_shared"].values[..., 0] ** 2
    np.testing.assert_allclose(found, between / (between + fit.posterior["sigma"].values ** 2))
    # Shares of several members, and single members, are no parts of this kind.
    frame = table.assign(other=np.roll(table["family"].to_numpy(), 7))
    shares = fake_fit(bml.model(frame, "bmi ~ age + (1 | mm(family, other))"))
    assert np.isfinite(bml.icc(shares)["mean"]).all()
