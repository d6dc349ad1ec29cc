"""Fits of round-robin data: densities, predictions and shares, against loops over the rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from bayesml.errors import FitError
from bayesml.posterior.fitted_likelihoods import likelihood_draws, likelihood_rows
from bayesml.posterior.held_out import group_log_likelihood
from bayesml.posterior.held_out_rows import row_log_likelihoods
from tests.records.test_social_builders import covariance, model_of, round_robin

pytestmark = pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning")

FakeFit = Callable[..., bml.Fit]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Four families of four, of which one direction is missing."""
    made = round_robin(4, 4, 6).drop(index=[5]).reset_index(drop=True)
    return made.assign(count=np.random.default_rng(2).poisson(2.0, len(made)))


def of_gaussian(table: pd.DataFrame, fake_fit: FakeFit, **options: Any) -> bml.Fit:
    values = {"corr_residual": -0.35}
    return fake_fit(model_of(table, **options), draws=40, chains=2, values=values)


def of_counts(table: pd.DataFrame, fake_fit: FakeFit) -> bml.Fit:
    return fake_fit(model_of(table, "count ~ 1", family="poisson"), draws=40, chains=2, values={})


def at_draw(draws: Any, draw: int) -> dict[str, float]:
    """Return the parameters of a draw as `covariance` takes them."""
    factor = draws.factors["person"][draw]
    sigma = factor @ factor.T
    sd = np.sqrt(np.diag(sigma))
    return {
        "actor": float(sd[0]),
        "partner": float(sd[1]),
        "generalised": float(sigma[0, 1] / sd.prod()),
        "relationship": float(draws.parameters["sigma"][draw]),
        "dyadic": float(draws.parameters["corr_residual"][draw]),
    }


def test_a_family_left_out_is_normal_with_the_covariance_of_round_robins(
    table: pd.DataFrame, fake_fit: FakeFit
) -> None:
    fit = of_gaussian(table, fake_fit)
    rows, draws = likelihood_rows(fit), likelihood_draws(fit)
    members = np.flatnonzero(table["family"] == "f2")
    found = group_log_likelihood(rows, draws, members, np.random.default_rng(1))
    own = table.iloc[members]
    for draw in (0, 51):
        mean = np.full(len(own), draws.beta[draw, 0])
        expected = stats.multivariate_normal(mean, covariance(own, at_draw(draws, draw)))
        assert found.values[draw] == pytest.approx(expected.logpdf(own["liking"]), rel=1e-9)


def test_a_row_left_out_is_known_by_the_other_direction(
    table: pd.DataFrame, fake_fit: FakeFit
) -> None:
    fit = of_gaussian(table, fake_fit)
    rows, draws = likelihood_rows(fit), likelihood_draws(fit)
    found = np.empty((len(table), draws.number))
    for place, values in row_log_likelihoods(rows, draws):
        found[place] = values
    persons = [str(label) for label in fit.posterior["person"].values]
    at = {label: place for place, label in enumerate(persons)}
    for draw in (0, 51):
        effects, values = draws.effects["person"][draw], at_draw(draws, draw)
        error = {
            (row.rater, row.target): row.liking
            - draws.beta[draw, 0]
            - effects[at[row.rater], 0]
            - effects[at[row.target], 1]
            for row in table.itertuples()
        }
        for place, row in enumerate(table.itertuples()):
            back = error.get((row.target, row.rater))
            rho = values["dyadic"] if back is not None else 0.0
            expected = stats.norm.logpdf(
                error[row.rater, row.target],
                rho * (back or 0.0),
                values["relationship"] * np.sqrt(1 - rho**2),
            )
            assert found[place, draw] == pytest.approx(expected, rel=1e-9)


def test_predictions_take_the_effect_of_each_role(table: pd.DataFrame, fake_fit: FakeFit) -> None:
    fit = of_gaussian(table, fake_fit)
    effects = fit.posterior["u_person"]
    expected = (
        fit.posterior["beta"].values[..., 0]
        + effects.sel(person="f1p0", person_term="actor").values
        + effects.sel(person="f2p3", person_term="partner").values
    )
    new = pd.DataFrame({"rater": ["f1p0"], "target": ["f2p3"]})
    rows = bml.with_dyads(new, actor="rater", partner="target")
    # The persons are known, the dyad is not.
    found = bml.predict(fit, rows, groups="known or new", draws=True)
    np.testing.assert_allclose(np.squeeze(found.values), expected, rtol=1e-12)


def test_own_rows_are_those_of_the_table_read_anew(table: pd.DataFrame, fake_fit: FakeFit) -> None:
    fit = of_counts(table, fake_fit)
    again = bml.with_dyads(table, actor="rater", partner="target")
    np.testing.assert_allclose(
        bml.predict(fit, draws=True).values,
        bml.predict(fit, again, groups="known", draws=True).values,
        rtol=1e-12,
    )


def test_a_missing_direction_is_foretold_by_the_other(
    table: pd.DataFrame, fake_fit: FakeFit
) -> None:
    fit = of_gaussian(table, fake_fit)
    seen = set(zip(table["rater"], table["target"], strict=True))
    ((back, there),) = [(a, b) for a, b in seen if (b, a) not in seen]
    rows = pd.DataFrame({"rater": [there], "target": [back]})
    found = bml.predict(
        fit, bml.with_dyads(rows, actor="rater", partner="target"), groups="known", draws=True
    )
    effects, mean = fit.posterior["u_person"], fit.posterior["beta"].values[..., 0]

    def expected_of(actor: str, partner: str) -> np.ndarray:
        one = effects.sel(person=actor, person_term="actor").values
        return mean + one + effects.sel(person=partner, person_term="partner").values

    known = table[(table["rater"] == back) & (table["target"] == there)]["liking"].iloc[0]
    expected = expected_of(there, back) - 0.35 * (known - expected_of(back, there))
    np.testing.assert_allclose(np.squeeze(found.values), expected, rtol=1e-9)


def test_a_third_row_of_a_dyad_is_refused(table: pd.DataFrame, fake_fit: FakeFit) -> None:
    """Three residuals with correlations of -0.7 have no covariance matrix."""
    fit = fake_fit(model_of(table), draws=5, chains=1, values={"corr_residual": -0.7})
    again = bml.with_dyads(table[:3], actor="rater", partner="target")
    with pytest.raises(FitError, match=r"3 rows of .* belong together, .* correlation of -0\.70"):
        bml.predict(fit, again, groups="known")


def test_averages_are_over_both_persons_and_the_relationship(
    table: pd.DataFrame, fake_fit: FakeFit
) -> None:
    fit = of_counts(table, fake_fit)
    variance = sum(
        (fit.posterior[name].values ** 2).sum(axis=-1) for name in ("sd_person", "sd_dyad")
    )
    expected = np.exp(fit.posterior["beta"].values[..., 0] + variance / 2)
    found = bml.predict(fit, groups="marginal", draws=True).values
    np.testing.assert_allclose(found, np.broadcast_to(expected[..., None], found.shape), rtol=1e-9)


def test_shares_where_the_residual_is_the_relationship(
    table: pd.DataFrame, fake_fit: FakeFit
) -> None:
    fit = of_gaussian(table, fake_fit, group="family")
    parts = {
        "actor": fit.posterior["sd_person"].values[..., 0] ** 2,
        "partner": fit.posterior["sd_person"].values[..., 1] ** 2,
        "family": fit.posterior["sd_family"].values[..., 0] ** 2,
        "relationship": fit.posterior["sigma"].values ** 2,
    }
    total = sum(parts.values())
    found = bml.social_relations_shares(fit, draws=True)
    assert list(found["part"].values) == [
        *parts,
        "generalised reciprocity",
        "dyadic reciprocity",
    ]
    for name, values in parts.items():
        np.testing.assert_allclose(found.sel(part=name), values / total, rtol=1e-9)
    correlation = fit.posterior["corr_person"].values[..., 0, 1]
    np.testing.assert_allclose(
        found.sel(part="generalised reciprocity"), correlation, rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(found.sel(part="dyadic reciprocity"), -0.35)
    assert bml.social_relations_shares(fit).attrs["scale"] == "outcome"


def test_shares_where_relationships_are_a_grouping(table: pd.DataFrame, fake_fit: FakeFit) -> None:
    fit = of_counts(table, fake_fit)
    shared, apart = np.moveaxis(fit.posterior["sd_dyad"].values ** 2, -1, 0)
    persons = (fit.posterior["sd_person"].values ** 2).sum(axis=-1)
    found = bml.social_relations_shares(fit, draws=True)
    relationship = (shared + apart) / (persons + shared + apart)
    np.testing.assert_allclose(found.sel(part="relationship"), relationship, rtol=1e-9)
    # Cov(s + d, s - d) over Var(s + d)
    expected = (shared - apart) / (shared + apart)
    np.testing.assert_allclose(found.sel(part="dyadic reciprocity"), expected, rtol=1e-9)
    assert bml.social_relations_shares(fit).attrs["scale"] == "linear predictor"


def test_shares_beside_residuals_of_repeated_rows(table: pd.DataFrame, fake_fit: FakeFit) -> None:
    twice = pd.concat([table.assign(item=1), table.assign(item=2)], ignore_index=True)
    fit = fake_fit(model_of(twice, occasion="item"), draws=20, chains=1, values={})
    found = bml.social_relations_shares(fit, draws=True)
    parts = ["actor", "partner", "relationship", "residual"]
    np.testing.assert_allclose(found.sel(part=parts).sum("part"), 1, rtol=1e-12)


def test_shares_of_the_variance_are_by_role(table: pd.DataFrame, fake_fit: FakeFit) -> None:
    fit = of_gaussian(table, fake_fit, group="family")
    shares = bml.social_relations_shares(fit, draws=True)
    found = bml.vpc(fit, draws=True)
    assert found["grouping"].values.tolist() == ["actor", "partner", "family", "residual"]
    parts = ["actor", "partner", "family", "relationship"]
    np.testing.assert_allclose(found, shares.sel(part=parts), rtol=1e-9)
    # Relationship effects that are a grouping: the dyad's two terms are one share.
    twice = pd.concat([table.assign(item=1), table.assign(item=2)], ignore_index=True)
    fit = fake_fit(model_of(twice, occasion="item"), draws=20, chains=1, values={})
    shares = bml.social_relations_shares(fit, draws=True)
    found = bml.vpc(fit, draws=True)
    assert found["grouping"].values.tolist() == ["actor", "partner", "dyad", "residual"]
    parts = ["actor", "partner", "relationship", "residual"]
    np.testing.assert_allclose(found, shares.sel(part=parts), rtol=1e-9)


def test_counts_have_shares_by_role(table: pd.DataFrame, fake_fit: FakeFit) -> None:
    fit = of_counts(table, fake_fit)
    variances = np.concatenate(
        [
            fit.posterior["sd_person"].values ** 2,
            (fit.posterior["sd_dyad"].values ** 2).sum(axis=-1, keepdims=True),
        ],
        axis=-1,
    )
    whole = variances.sum(axis=-1)
    mean = np.exp(fit.posterior["beta"].values[..., 0] + whole / 2)
    total = mean + mean**2 * np.expm1(whole)
    found = bml.vpc(fit, draws=True)
    assert found["grouping"].values.tolist()[:3] == ["actor", "partner", "dyad"]
    for place in range(3):
        expected = mean**2 * np.expm1(variances[..., place]) / total
        np.testing.assert_allclose(found[..., place], expected, rtol=1e-9)


def test_r2_counts_the_variance_of_both_roles(table: pd.DataFrame, fake_fit: FakeFit) -> None:
    rng = np.random.default_rng(3)
    fit = of_gaussian(table.assign(x=rng.normal(size=len(table))), fake_fit, formula="liking ~ x")
    x = fit.data["constant_data"]["x"].values
    fixed = (fit.posterior["beta"].values @ x.T).var(axis=-1, ddof=1)
    persons = (fit.posterior["sd_person"].values ** 2).sum(axis=-1)
    level1 = fit.posterior["sigma"].values ** 2
    found = bml.r2(fit, draws=True)
    np.testing.assert_allclose(found[..., 0], fixed / (fixed + persons + level1), rtol=1e-9)
    expected = (fixed + persons) / (fixed + persons + level1)
    np.testing.assert_allclose(found[..., 1], expected, rtol=1e-9)
    assert np.isfinite(bml.r2(fit, "bayes")["mean"]).all()


def test_a_formula_says_the_same_model(table: pd.DataFrame, fake_fit: FakeFit) -> None:
    frame = bml.with_dyads(table, actor="rater", partner="target")
    formula = (
        "liking ~ 1 + (0 + mmc(1, 0) + mmc(0, 1) | "
        'mm(actor, partner, weights="whole", name="who")) + (1 | family)'
    )
    fit = fake_fit(bml.model(frame, formula, residual="compound_symmetric(dyad)"), draws=20)
    assert fit.spec.structure == "model"
    found = bml.social_relations_shares(fit, draws=True)
    assert found["part"].values.tolist()[:4] == ["actor", "partner", "family", "relationship"]
    actor = fit.posterior["sd_who"].values[..., 0] ** 2
    whole = (fit.posterior["sd_who"].values ** 2).sum(axis=-1)
    whole = whole + fit.posterior["sd_family"].values[..., 0] ** 2
    whole = whole + fit.posterior["sigma"].values ** 2
    np.testing.assert_allclose(found.sel(part="actor"), actor / whole, rtol=1e-9)
    np.testing.assert_allclose(bml.vpc(fit, draws=True)[..., 0], actor / whole, rtol=1e-9)


def test_other_terms_of_members_have_no_share(table: pd.DataFrame, fake_fit: FakeFit) -> None:
    frame = bml.with_dyads(table, actor="rater", partner="target").assign(
        a=1.0, b=lambda t: t.index
    )
    formula = 'liking ~ 1 + (0 + mmc(a, b) | mm(actor, partner, weights="whole", name="who"))'
    fit = fake_fit(bml.model(frame, formula), draws=5)
    with pytest.raises(FitError, match=r"A share of the variance.*Use bml\.variance_components"):
        bml.vpc(fit)
    serial = formula.replace("mmc(a, b)", "mmc(1, 0) + mmc(0, 1)")
    fit = fake_fit(bml.model(frame, serial, residual="ar1(dyad)"), draws=5)
    with pytest.raises(FitError, match=r"equally correlated within dyads.*'ar1\(dyad\)'"):
        bml.social_relations_shares(fit)


REFUSED: dict[str, tuple[Callable[[bml.Fit], Any], str]] = {
    "icc": (
        bml.icc,
        r"A share of the variance by grouping takes .*Use bml\.vpc\(fit\)",
    ),
    "r2": (
        lambda fit: bml.r2(fit, "rights_sterba"),
        r"The R2 of method='rights_sterba' takes terms .*Use bml\.r2\(fit\)",
    ),
    "design_effect": (bml.design_effect, "A share of the variance by grouping"),
    "median_rate_ratio": (bml.median_rate_ratio, "The median rate ratio takes terms"),
    "shrinkage": (lambda fit: bml.shrinkage(fit, "person"), "bml.shrinkage takes terms"),
    "variance_table": (bml.variance_table, "bml.variance_table takes terms"),
    "at": (
        lambda fit: bml.random_effects(fit, "person", at={}),
        "The sum of a unit's effects takes terms",
    ),
    "residuals": (
        lambda fit: bml.residuals(fit, "person"),
        "A table of units' residuals takes terms",
    ),
    "heritability": (bml.heritability, "heritability needs a twin model"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_defined_is_refused(name: str, table: pd.DataFrame, fake_fit: FakeFit) -> None:
    call, words = REFUSED[name]
    with pytest.raises(FitError, match=words):
        call(of_counts(table, fake_fit))


def test_shares_are_of_families_of_one_kind(table: pd.DataFrame, fake_fit: FakeFit) -> None:
    kinds = table.assign(kind=table["family"].isin(["f0", "f1"]).map({True: "a", False: "b"}))
    made = model_of(kinds, group="family", by={"family": "kind"})
    with pytest.raises(FitError, match="takes one SD for all units, and those of 'family'"):
        bml.social_relations_shares(fake_fit(made, draws=5, chains=1, values={}))


def test_shares_need_a_social_relations_model(table: pd.DataFrame, fake_fit: FakeFit) -> None:
    fit = fake_fit(bml.two_level(table, "liking ~ 1", group="family"), draws=5, chains=1, values={})
    with pytest.raises(FitError, match="needs a social-relations model"):
        bml.social_relations_shares(fit)
