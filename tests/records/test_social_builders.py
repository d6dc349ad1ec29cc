"""Social-relations models: the groupings, the checks, and the densities of SciPy."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import minimize

import bayesml as bml
from bayesml.codegen.starter_choice import any_starter_toml
from bayesml.design.building import build_design
from bayesml.design.replaying import replay_terms, replay_units
from bayesml.design.stored_designs import design_text, stored_design
from bayesml.errors import FormulaError, SpecError, TableError
from bayesml.specs.model_files import spec_from_toml, spec_to_toml
from tests.codegen.scipy_log_joint import half_student_t, lkj_cholesky
from tests.codegen.test_log_density import TOLERANCE, Density

pytestmark = pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning")

TRUTH = {"actor": 1.0, "partner": 0.7, "generalised": 0.4, "relationship": 1.2, "dyadic": -0.3}


def round_robin(
    groups: int, size: int, seed: int, truth: dict[str, float] = TRUTH, group_sd: float = 0.0
) -> pd.DataFrame:
    """Return everybody's ratings of everybody else, drawn effect by effect, rows shuffled."""
    rng = np.random.default_rng(seed)
    cross = truth["generalised"] * truth["actor"] * truth["partner"]
    person = [[truth["actor"] ** 2, cross], [cross, truth["partner"] ** 2]]
    dyad = truth["relationship"] ** 2 * np.array([[1, truth["dyadic"]], [truth["dyadic"], 1]])
    rows = []
    for family in range(groups):
        shared = group_sd * rng.normal()
        effects = rng.multivariate_normal([0, 0], person, size=size)
        for i in range(size):
            for j in range(i):
                own = rng.multivariate_normal([0, 0], dyad)
                for a, b, left in ((i, j, own[0]), (j, i, own[1])):
                    liking = 3 + shared + effects[a, 0] + effects[b, 1] + left
                    rows.append((f"f{family}", f"f{family}p{a}", f"f{family}p{b}", liking))
    table = pd.DataFrame(rows, columns=["family", "rater", "target", "liking"])
    return table.sample(frac=1, random_state=seed).reset_index(drop=True)


def covariance(table: pd.DataFrame, values: dict[str, float], group_sd: float = 0.0) -> np.ndarray:
    """Return the covariance of the rows, from who is in them, with the effects integrated out."""
    a, b = table["rater"].to_numpy(), table["target"].to_numpy()
    family = table["family"].to_numpy()
    aa, bb, ab = a[:, None] == a, b[:, None] == b, a[:, None] == b
    cross = values["generalised"] * values["actor"] * values["partner"]
    return (
        aa * values["actor"] ** 2
        + bb * values["partner"] ** 2
        + (ab.astype(float) + ab.T) * cross
        + (family[:, None] == family) * group_sd**2
        + values["relationship"] ** 2 * ((aa & bb) + values["dyadic"] * (ab & ab.T))
    )


def model_of(table: pd.DataFrame, formula: str = "liking ~ 1", **options: Any) -> bml.Model:
    return bml.social_relations(table, formula, actor="rater", partner="target", **options)


def test_effects_of_persons_and_directions_of_dyads() -> None:
    made = model_of(round_robin(3, 4, 1), group="family")
    persons, family = made.resolved.groupings
    assert persons.terms == ("actor", "partner")
    assert persons.correlated
    assert made.spec.residual is not None
    assert made.spec.residual.text == "compound_symmetric(dyad)"
    assert family.name == "family"
    assert made.spec.text.startswith(
        "liking ~ 1 + (0 + mmc(1, 0) + mmc(0, 1) | "
        'mm(actor, partner, weights="whole", name="person")) + (1 | family)'
    )
    # Every row has the actor's effect as actor, and the partner's as partner.
    labels = np.array(made.design.varying[0].units.labels)
    index, terms = made.design.varying[0].units.index, made.design.varying[0].terms
    np.testing.assert_array_equal(labels[index[:, 0]], made.design.rows.frame["actor"])
    np.testing.assert_array_equal(labels[index[:, 1]], made.design.rows.frame["partner"])
    np.testing.assert_array_equal(terms[5], [[1, 0], [0, 1]])


def test_the_same_model_as_a_formula_and_as_toml() -> None:
    table = round_robin(3, 4, 1)
    made = model_of(table)
    assert spec_from_toml(spec_to_toml(made.spec)) == made.spec
    frame = bml.with_dyads(table, actor="rater", partner="target")
    formula = made.spec.text.split(", residual")[0]
    written = bml.model(frame, formula, residual="compound_symmetric(dyad)")
    assert written.spec.groupings == made.spec.groupings
    assert written.source == made.source


def test_correlation_of_the_two_directions_by_sum_and_difference() -> None:
    table = round_robin(3, 4, 1).assign(count=2)
    made = model_of(table, "count ~ 1", family="poisson")
    formula = made.spec.text
    assert formula.endswith("(1 | dyad) + (0 + direction | dyad)")
    frame = bml.with_dyads(table, actor="rater", partner="target")
    assert bml.model(frame, formula, family="poisson").spec.groupings == made.spec.groupings
    part = made.design.varying[1]
    assert part.labels == ("Intercept", "direction")
    assert part.blocks == (1, 1)
    # r_ij = s + d, r_ji = s - d: variances t + u, covariance t - u.
    sizes = np.diag([0.7, 0.2])
    rows = part.terms @ sizes @ part.terms.T
    same = part.units.index[:, None] == part.units.index
    other = part.terms[:, 1][:, None] != part.terms[:, 1]
    np.testing.assert_allclose(rows[same & other], 0.5)
    np.testing.assert_allclose(np.diag(rows), 0.9)


def test_density_with_effects_is_scipys(without_compiler: None) -> None:
    table = round_robin(2, 4, 3).drop(index=[2, 9]).reset_index(drop=True)
    made = model_of(table)
    density = Density(made)
    found, values = density.at(density.point(np.random.default_rng(5)))
    spread = float(table["liking"].std())
    (mean,) = values["beta"]
    sd, corr, effects = values["sd_person"], values["corr_person"], values["u_person"]
    total = stats.norm.logpdf(mean, table["liking"].mean(), 2.5 * spread)
    total += sum(half_student_t(float(value), 4, spread) for value in sd)
    total += half_student_t(float(values["sigma"]), 4, spread)
    total += lkj_cholesky(np.linalg.cholesky(corr), 2.0)
    total += stats.uniform.logpdf(values["corr_residual"], -1, 2)
    sigma = np.outer(sd, sd) * corr
    total += stats.multivariate_normal.logpdf(effects, [0, 0], sigma).sum()
    form = made.resolved.groupings[0]
    # Standardised effects multiply by the root of the covariance's determinant, per person.
    if not form.centred:
        jacobian = 0.5 * np.linalg.slogdet(sigma)[1]
        jacobian -= np.log(sd[0]) if form.partly_centred else 0.0
        total += len(effects) * jacobian
    person = {label: row for row, label in enumerate(density.labels()["person"])}
    eta = [
        mean + effects[person[row.rater], 0] + effects[person[row.target], 1]
        for row in table.itertuples()
    ]
    residual = covariance(
        table,
        {
            **dict.fromkeys(("actor", "partner", "generalised"), 0.0),
            "relationship": float(values["sigma"]),
            "dyadic": float(values["corr_residual"]),
        },
    )
    total += stats.multivariate_normal.logpdf(table["liking"], eta, residual)
    assert found == pytest.approx(float(total), rel=TOLERANCE)


@pytest.mark.sampling
@pytest.mark.parametrize("group", [None, "family"])
def test_maximum_likelihood_is_that_of_the_dense_normal(group: str | None) -> None:
    table = round_robin(6, 4, 2, group_sd=1.5).drop(index=[3, 17, 40]).reset_index(drop=True)
    names = ["actor", "partner", "relationship", "generalised", "dyadic"]

    def deviance(point: np.ndarray) -> float:
        sizes = [*np.exp(point[1:4]), *np.tanh(point[4:6])]
        matrix = covariance(
            table, dict(zip(names, sizes, strict=True)), np.exp(point[6]) if group else 0.0
        )
        mean = np.full(len(table), point[0])
        return -2 * float(stats.multivariate_normal.logpdf(table["liking"], mean, matrix))

    found = bml.ml(model_of(table, group=group))
    estimates = found.variance_components.set_index(["grouping", "term", "parameter"])["estimate"]
    at = [
        float(found.coefficients["estimate"].iloc[0]),
        np.log(estimates["person", "actor", "sd"]),
        np.log(estimates["person", "partner", "sd"]),
        np.log(estimates["residual", "", "sd"]),
        np.arctanh(estimates["person", "actor", "corr"]),
        np.arctanh(estimates["residual", "", "corr"]),
        *([np.log(estimates["family", "Intercept", "sd"])] if group else []),
    ]
    assert found.deviance == pytest.approx(deviance(np.array(at)), abs=1e-6)
    start = np.array([3.0, 0.0, 0.0, 0.0, 0.1, 0.0, *([-0.5] if group else [])])
    best = minimize(deviance, start, method="BFGS", options={"gtol": 1e-5})
    assert found.deviance == pytest.approx(best.fun, abs=1e-3)


@pytest.mark.sampling
def test_effects_are_those_that_the_dense_normal_expects() -> None:
    table = round_robin(4, 5, 3).drop(index=[3, 17]).reset_index(drop=True)
    found = bml.ml(model_of(table))
    estimates = found.variance_components.set_index(["grouping", "term", "parameter"])["estimate"]
    values = {
        "actor": estimates["person", "actor", "sd"],
        "partner": estimates["person", "partner", "sd"],
        "generalised": estimates["person", "actor", "corr"],
        "relationship": estimates["residual", "", "sd"],
        "dyadic": estimates["residual", "", "corr"],
    }
    assert values["partner"] > 0.1
    error = table["liking"].to_numpy() - float(found.coefficients["estimate"].iloc[0])
    solved = np.linalg.solve(covariance(table, values), error)
    cross = values["generalised"] * values["actor"] * values["partner"]
    effects = found.random_effects.set_index(["unit", "term"])["estimate"]
    for person in pd.unique(table["rater"]):
        as_actor = (table["rater"] == person).to_numpy(dtype=float)
        as_partner = (table["target"] == person).to_numpy(dtype=float)
        for term, own, other in (
            ("actor", as_actor, as_partner),
            ("partner", as_partner, as_actor),
        ):
            expected = (own * values[term] ** 2 + other * cross) @ solved
            assert effects[person, term] == pytest.approx(expected, abs=1e-7)


def test_new_rows_are_read_as_the_old_ones() -> None:
    made = model_of(round_robin(3, 4, 1))
    stored = stored_design(design_text(made.design), made.spec)
    frame = made.design.rows.frame
    found = replay_terms(made.spec, stored, frame, ["person"]).varying["person"]
    np.testing.assert_array_equal(found, made.design.varying[0].terms)
    units = replay_units(made.spec.groupings[0], stored, frame)
    np.testing.assert_array_equal(units.index, made.design.varying[0].units.index)


def test_a_members_own_column() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.integers(8, size=40), rng.integers(8, size=40)
    table = pd.DataFrame(
        {"a": first, "b": (second + (first == second)) % 9, "w": 0.3, "v": 0.7}
    ).assign(x1=rng.normal(size=40), x2=rng.normal(size=40), y=rng.normal(size=40))
    made = bml.model(table, "y ~ 1 + (mmc(x1, x2) | mm(a, b, weights=cbind(w, v)))")
    assert made.resolved.groupings[0].terms == ("Intercept", "mmc(x1, x2)")
    part = made.design.varying[0]
    np.testing.assert_array_equal(part.terms[:, :, 0], 1)
    np.testing.assert_array_equal(part.terms[:, :, 1], table[["x1", "x2"]])
    assert made.facts.covariate_means["x2"] == pytest.approx(table["x2"].mean())
    assert spec_from_toml(spec_to_toml(made.spec)) == made.spec


def test_directions_that_are_missing_are_counted() -> None:
    made = model_of(round_robin(3, 4, 1).drop(index=[0, 5, 6]))
    assert any("3 of 18 dyads have one direction only" in note for note in made.notes)


def built(
    change: Callable[[pd.DataFrame], Any], formula: str = "liking ~ 1", **options: Any
) -> Any:
    def call() -> object:
        table = change(round_robin(3, 4, 1).assign(liked=1))
        return model_of(table, formula, **options)

    return call


def first_row(**values: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Return a change of the table's first row."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        table = table.copy()
        for name, value in values.items():
            table[name] = [value, *table[name].tolist()[1:]]
        return table

    return change


def same(table: pd.DataFrame) -> pd.DataFrame:
    return table


def apart(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(target="t" + table["target"])


def couples(table: pd.DataFrame) -> pd.DataFrame:
    pairs = {f"f{family}p{place}" for family in range(3) for place in (0, 1)}
    return table[table["rater"].isin(pairs) & table["target"].isin(pairs)]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (built(first_row(rater="z", target="z")), TableError, "pair a person with himself: 'z'"),
        (built(lambda t: pd.concat([t, t[:2]])), TableError, "2 rows repeat a direction: "),
        (
            built(lambda t: pd.concat([t, t[:2]]).assign(time=1), occasion="time"),
            TableError,
            "2 rows repeat a direction at one occasion",
        ),
        (built(first_row(rater=None)), TableError, "'rater' names nobody in 1 rows"),
        (
            built(lambda t: t.rename(columns={"target": "targets"})),
            TableError,
            "partner: the table has no column 'target'. Did you mean 'targets'",
        ),
        (
            built(first_row(family="f9"), group="family"),
            TableError,
            "2 persons belong to several groups of 'family'",
        ),
        (built(first_row(family=None), group="family"), TableError, "'family' has no label in 1"),
        (built(couples, group="family"), TableError, "fewer than three persons"),
        (built(couples), TableError, "Everybody has one partner only"),
        (built(apart), TableError, "Nobody is both actor and partner"),
        (
            built(lambda t: t[t["rater"] < t["target"]]),
            TableError,
            "No dyad has both directions: of each of the 18",
        ),
        (built(lambda t: t.assign(dyad=1)), SpecError, "a column 'dyad' already"),
        (built(lambda t: t.assign(actor=1)), SpecError, "a column 'actor' already"),
        (built(same, group="rater"), SpecError, "group is 'rater', which is already"),
        (built(same, residual="ar1(time, dyad)"), SpecError, "social_relations says itself"),
        (
            built(same, "liked ~ 1", family="binomial"),
            SpecError,
            "'binomial' does not tell relationship effects",
        ),
        (built(same, family="student"), SpecError, "several rows for each direction"),
    ],
)
def test_what_is_refused(call: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_actor_and_partner_are_two_columns() -> None:
    with pytest.raises(SpecError, match="actor and partner are both 'rater'"):
        bml.social_relations(round_robin(3, 4, 1), "liking ~ 1", actor="rater", partner="rater")


@pytest.mark.parametrize(
    ("formula", "error", "words"),
    [
        ("y ~ mmc(x, z) + (1 | mm(a, b))", FormulaError, "mmc\\(x, z\\) stands outside a bar"),
        ("y ~ 1 + (mmc(x) | mm(a, b))", FormulaError, "mmc\\(x\\) cannot be read"),
        ("y ~ 1 + (mmc(x, log(z)) | mm(a, b))", FormulaError, "cannot be read: 'log\\(z\\)'"),
        ("y ~ 1 + (mmc(x, z, w) | mm(a, b))", SpecError, "has 3 values, one for each member"),
        ("y ~ 1 + (mmc(x, z) | a)", SpecError, "and the grouping has none"),
        ("y ~ 1 + (I(mmc(x, z)) | mm(a, b))", FormulaError, "stands inside I"),
        ("mvbind(y, z) ~ 1 + (mmc(x, w) | mm(a, b))", SpecError, "terms of its members' own"),
        ('y ~ 1 + (1 | mm(a, b, weights="half"))', FormulaError, "weights='equal' or 'whole'"),
        (
            'y ~ 1 + (1 | mm(a, b, weights="whole", normalise=True))',
            SpecError,
            "weights = 'whole', where every member",
        ),
    ],
)
def test_terms_that_cannot_be_members_own(formula: str, error: type[Exception], words: str) -> None:
    table = pd.DataFrame({name: np.arange(6.0) for name in "abxyzw"})
    with pytest.raises(error, match=words):
        bml.model(table, formula)


def test_a_person_that_is_missing_in_a_row_is_not_an_effect_of_zero() -> None:
    frame = bml.with_dyads(round_robin(3, 4, 1), actor="rater", partner="target")
    spec = bml.social_relations(
        round_robin(3, 4, 1), "liking ~ 1", actor="rater", partner="target"
    ).spec
    frame.loc[4, "partner"] = None
    with pytest.raises(TableError, match=r"member 'partner' of 'person' has no label in row 5\."):
        build_design(spec, frame)
    # An empty place has to be asked for.
    (person,) = spec.groupings
    frame["partner"] = frame["partner"].fillna("nobody")
    asked = replace(spec, groupings=(replace(person, absent="nobody"),))
    assert build_design(asked, frame).varying[0].units.weights[4, 1] == 0


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("social_relations", r"bml.with_dyads\(table, actor=..., partner=...\) adds it"),
        ("twins", r"bml.with_relatedness\(table, pair=..., zygosity=..., identical=\"MZ\"\) adds"),
        ("dyadic", r"bml.with_partners\(table, columns, dyad=...\) adds it"),
    ],
)
def test_columns_that_a_function_adds_are_said_to_be(name: str, call: str) -> None:
    columns = ["response", "x", "role", "couple", "rater", "target", "family", "zygosity", "team"]
    table = pd.DataFrame(dict.fromkeys(columns, range(4)))
    with pytest.raises(TableError, match=call):
        build_design(spec_from_toml(any_starter_toml(name)), table)


def test_nominal_ratings_are_refused_with_what_to_do() -> None:
    table = round_robin(3, 4, 1).assign(liking="none")
    with pytest.raises(SpecError, match=r"one for each category\. Fit a model of the family 'bino"):
        bml.social_relations(
            table, "liking ~ 1", actor="rater", partner="target", family="categorical"
        )
