"""What follows from a fit of unordered categories, against SciPy and against the 0/1 model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special, stats

import bayesml as bml
from bayesml.errors import FitError, SpecError, TableError
from bayesml.posterior.fitted_likelihoods import likelihood_draws, likelihood_rows
from bayesml.posterior.held_out import group_log_likelihood
from bayesml.posterior.held_out_rows import row_log_likelihoods
from bayesml.records.fits import Fit
from bayesml.records.modelling import Model

MakeFit = Callable[..., Fit]
WAYS = ("Bus", "car", "Foot")

pytestmark = pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning")


def journeys(rows: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    number = np.arange(rows)
    return pd.DataFrame(
        {
            "way": rng.choice(WAYS, rows, p=[0.4, 0.35, 0.25]),
            "late": rng.choice(["no", "yes"], rows),
            "x": rng.normal(0.3, 1.2, rows),
            "sex": rng.choice(["F", "M"], rows),
            "town": [f"t{n % 6}" for n in number],
            "first": number % 5,
            "second": (number + 2) % 5,
        }
    )


def model(**options: Any) -> Model:
    return bml.two_level(
        journeys(), "way ~ x + sex", group="town", slopes=["x"], family="categorical", **options
    )


@pytest.fixture(scope="module")
def fit(fake_fit: MakeFit) -> Fit:
    return fake_fit(model(), draws=60, chains=2)


def scores(fit: Fit, table: pd.DataFrame, effects: bool = True) -> np.ndarray:
    """Linear predictors of all categories by loops over rows, shape (rows, categories, draws)."""
    beta = fit.posterior["beta"].stack(d=("chain", "draw"))
    u = fit.posterior["u_town"].stack(d=("chain", "draw"))
    found = np.zeros((len(table), 3, beta.sizes["d"]))
    for number, row in enumerate(table.itertuples()):
        x = {"Intercept": 1.0, "x": row.x, "sex[M]": float(row.sex == "M")}
        for place, way in enumerate(WAYS[1:], start=1):
            for label, value in x.items():
                found[number, place] += value * beta.sel(category=way, coef=label).values
            for label in ("Intercept", "x") if effects else ():
                own = u.sel(town=row.town, town_term=f"{way}:{label}").values
                found[number, place] += x[label] * own
    return found


def test_names_and_dims(fit: Fit) -> None:
    assert fit.posterior["beta"].dims == ("chain", "draw", "category", "coef")
    assert fit.posterior["beta"]["category"].values.tolist() == ["car", "Foot"]
    assert bml.summary(fit, variables=["beta"]).index.tolist()[:2] == [
        "beta[car:Intercept]",
        "beta[car:x]",
    ]
    terms = ["car:Intercept", "car:x", "Foot:Intercept", "Foot:x"]
    assert fit.posterior["sd_town"]["town_term"].values.tolist() == terms
    components = bml.variance_components(fit)
    assert components["term"].tolist()[:4] == terms
    # Every pair is correlated, across categories too.
    assert (components["parameter"] == "corr").sum() == 6


def test_the_baseline_is_the_first_level_or_the_first_of_categories() -> None:
    assert model().facts.nominal == WAYS
    assert model(categories=["Foot", "Bus", "car"]).facts.nominal == ("Foot", "Bus", "car")
    ordered = journeys().assign(way=lambda t: pd.Categorical(t.way, ["car", "Foot", "Bus", "sea"]))
    made = bml.two_level(ordered, "way ~ x", group="town", family="categorical")
    assert made.facts.nominal == ("car", "Foot", "Bus")
    numbers = journeys().assign(way=lambda t: t.way.map({"Bus": 2, "car": 10, "Foot": 1}))
    made = bml.two_level(
        numbers, "way ~ x", group="town", family="categorical", categories=[10, 1, 2]
    )
    assert made.facts.nominal == ("10", "1", "2")
    apart = model(correlated=False)
    assert apart.resolved.groupings[0].blocks == (1, 1, 1, 1)
    text = bml.model(journeys(), "way ~ x + sex + (x || town)", family="categorical")
    assert text.resolved.groupings == apart.resolved.groupings


def test_default_priors_are_those_of_log_odds() -> None:
    made = model()
    counts = journeys()["way"].value_counts()
    priors = dict(zip(made.priors["parameter"], made.priors["prior"], strict=True))
    for way in WAYS[1:]:
        location = np.log(counts[way] / counts["Bus"])
        assert priors[f"Intercept[{way}]"] == f"Normal({location:.6g}, 2.5)"
        assert priors[f"beta[{way}:x]"] == f"Normal(0, {2.5 / journeys().x.std():.6g})"
        assert priors[f"sd_town[{way}:Intercept]"] == "HalfStudentT(4, 1)"
        assert priors[f"sd_town[{way}:x]"] == f"HalfStudentT(4, {1 / journeys().x.std():.6g})"
    changed = model(priors={"beta[car:x]": "Normal(0, 0.3)", "sd": "HalfNormal(0.7)"})
    priors = dict(zip(changed.priors["parameter"], changed.priors["prior"], strict=True))
    assert priors["beta[car:x]"] == "Normal(0, 0.3)"
    assert priors["sd_town[Foot:x]"] == "HalfNormal(0.7)"
    origin = dict(zip(changed.priors["parameter"], changed.priors["origin"], strict=True))
    assert origin["sd_town[Foot:x]"] == "set by the user"
    assert origin["beta[Foot:x]"] == "default"


@pytest.mark.parametrize("groups", ["known", "population"])
def test_predictions_are_softmaxes_by_loops(fit: Fit, groups: str) -> None:
    table = journeys().head(7)
    wanted = special.softmax(scores(fit, table, groups == "known"), axis=1)
    found = bml.predict(fit, table.drop(columns="way"), groups=groups, draws=True)
    assert found.dims == ("chain", "draw", "obs", "category")
    assert found["category"].values.tolist() == list(WAYS)
    np.testing.assert_allclose(
        found.stack(d=("chain", "draw")).transpose("obs", "category", "d").values, wanted
    )
    shown = bml.predict(fit, table.drop(columns="way"), groups=groups)
    np.testing.assert_allclose(shown["mean"], wanted.mean(axis=-1).ravel())
    assert not shown["category"].cat.ordered
    linear = bml.predict(fit, table.drop(columns="way"), groups=groups, kind="linear")
    assert linear["category"].tolist()[:2] == ["car", "Foot"]
    np.testing.assert_allclose(
        linear["mean"], scores(fit, table, groups == "known")[:, 1:].mean(axis=-1).ravel()
    )


def test_the_fits_own_rows_are_known_rows(fit: Fit) -> None:
    own = bml.predict(fit)
    again = bml.predict(fit, journeys().drop(columns="way"), groups="known")
    np.testing.assert_allclose(own["mean"], again["mean"])


def test_new_towns_and_averages_agree(fake_fit: MakeFit) -> None:
    # One draw's parameters throughout, so that many drawn towns are an average over towns.
    made = model()
    fixed = {
        name: values.values[:1, :1]
        for name, values in fake_fit(made, draws=1, chains=1).posterior.data_vars.items()
    }
    fit = fake_fit(made, draws=500, chains=2, values=fixed)
    row = pd.DataFrame({"x": [0.8], "sex": ["M"]})
    wanted = bml.predict(fit, row, groups="marginal")["mean"]
    labels = pd.concat([row.assign(town=f"new {number}") for number in range(20)])
    drawn = bml.predict(fit, labels, groups="new", seed=3, draws=True)
    error = drawn.values.reshape(-1, 3).std(axis=0) / np.sqrt(20_000)
    # Four standard errors of 20,000 towns, and what the points of the average may be off.
    assert (np.abs(drawn.values.reshape(-1, 3).mean(axis=0) - wanted) < 4 * error + 1e-3).all()
    outcomes = bml.predict(
        fit, pd.concat([row] * 20), groups="marginal", kind="outcome", seed=4, draws=True
    )
    shares = np.bincount(outcomes.values.ravel(), minlength=3) / outcomes.size
    error = np.sqrt(wanted * (1 - wanted) / outcomes.size)
    assert (np.abs(shares - wanted) < 4 * error + 1e-3).all()
    table = bml.predict(fit, row, groups="marginal", kind="outcome", seed=4)
    assert table.columns.tolist() == ["mode", "probability"]


def test_an_average_is_a_double_integral(fit: Fit) -> None:
    row = pd.DataFrame({"x": [0.8], "sex": ["M"]})
    found = bml.predict(fit, row, groups="marginal", draws=True).values[0, 0, 0]
    one = fit.posterior.isel(chain=0, draw=0)
    sd, corr = one["sd_town"].values, one["corr_town"].values
    z = np.kron(np.eye(2), [1.0, 0.8])
    covariance = z @ (np.outer(sd, sd) * corr) @ z.T
    mean = one["beta"].values @ [1.0, 0.8, 1.0]
    density = stats.multivariate_normal(mean, covariance).pdf
    wide = 8 * np.sqrt(np.diag(covariance))
    exact = integrate.dblquad(
        lambda b, a: special.softmax([0.0, a, b])[1] * density([a, b]),
        mean[0] - wide[0], mean[0] + wide[0], mean[1] - wide[1], mean[1] + wide[1], epsabs=1e-6,
    )[0]  # fmt: skip
    assert found[1] == pytest.approx(exact, abs=1e-3)


def test_rows_have_the_log_likelihood_of_a_softmax(fit: Fit) -> None:
    table = journeys()
    whole = special.log_softmax(scores(fit, table), axis=1)
    codes = [WAYS.index(way) for way in table["way"]]
    blocks = row_log_likelihoods(likelihood_rows(fit), likelihood_draws(fit))
    found = np.concatenate([values for _, values in blocks])
    np.testing.assert_allclose(found, whole[np.arange(len(table)), codes])
    assert np.isfinite(bml.loo(fit).elpd)


def test_a_towns_likelihood_is_that_of_many_drawn_towns(fit: Fit) -> None:
    rows, draws = likelihood_rows(fit), likelihood_draws(fit).block(np.arange(3))
    table = journeys()
    chosen = np.flatnonzero(table["town"] == "t2")
    found = group_log_likelihood(rows, draws, chosen, np.random.default_rng(1))
    own = table.iloc[chosen]
    codes = [WAYS.index(way) for way in own["way"]]
    z = np.column_stack([np.ones(len(own)), own["x"]])
    rng = np.random.default_rng(2)
    base = scores(fit, own, effects=False)
    for draw in range(3):
        effects = rng.normal(size=(400_000, 4)) @ draws.factors["town"][draw].T
        total = np.zeros(len(effects))
        for number, code in enumerate(codes):
            of_row = np.zeros((len(effects), 3)) + base[number, :, draw]
            of_row[:, 1:] += effects.reshape(-1, 2, 2) @ z[number]
            total += special.log_softmax(of_row, axis=1)[:, code]
        weights = np.exp(total - total.max())
        exact = total.max() + np.log(weights.mean())
        noise = weights.std() / weights.mean() / np.sqrt(len(weights))
        # Four standard errors of both, that of importance sampling being a root mean square.
        assert found.values[draw] == pytest.approx(exact, abs=4 * np.hypot(noise, 2 * found.error))
    assert found.method == "importance sampling"


def test_two_categories_are_the_binomial_model(fake_fit: MakeFit) -> None:
    table = journeys()
    options: dict[str, Any] = {"group": "town", "slopes": ["x"]}
    binary = fake_fit(
        bml.two_level(table, "late ~ x", family="binomial", success="yes", **options), draws=100
    )
    nominal = fake_fit(
        bml.two_level(table, "late ~ x", family="categorical", **options),
        draws=100,
        values={
            name: values.values[:, :, None] if name == "beta" else values.values
            for name, values in binary.posterior.data_vars.items()
        },
    )
    new = table.drop(columns="late").head(3)
    for groups in ("known", "population", "marginal"):
        found = bml.predict(nominal, new, groups=groups)
        wanted = bml.predict(binary, new, groups=groups)
        np.testing.assert_allclose(
            found["mean"][found["category"] == "yes"], wanted["mean"], atol=1e-3
        )
    np.testing.assert_allclose(
        bml.loo(nominal).pointwise["elpd"], bml.loo(binary).pointwise["elpd"], rtol=1e-9
    )
    np.testing.assert_allclose(
        # Both by adaptive quadrature, at modes that Newton's method stops near.
        bml.logo(nominal, "town").pointwise["elpd"],
        bml.logo(binary, "town").pointwise["elpd"],
        atol=1e-3,
    )
    np.testing.assert_allclose(bml.vpc(nominal)["mean"], bml.vpc(binary)["mean"], rtol=1e-12)


def test_shares_of_each_category_are_of_the_difference_of_two_gumbels(fit: Fit) -> None:
    found = bml.vpc(fit, at={"x": 0.5})
    assert found["category"].tolist() == ["car", "car", "Foot", "Foot"]
    sd = fit.posterior["sd_town"].values.reshape(-1, 4)
    corr = fit.posterior["corr_town"].values.reshape(-1, 4, 4)
    # The latent residual of a category against the baseline.
    error = stats.gumbel_r.rvs(size=(2, 1_000_000), random_state=1)
    latent = float(np.var(error[0] - error[1]))
    assert latent == pytest.approx(np.pi**2 / 3, rel=0.01)
    for place, way in enumerate(WAYS[1:]):
        own = slice(2 * place, 2 * place + 2)
        sigma = sd[:, own, None] * corr[:, own, own] * sd[:, None, own]
        between = np.einsum("i,dij,j->d", [1, 0.5], sigma, [1, 0.5])
        share = between / (between + np.pi**2 / 3)
        rows = found[(found["category"] == way) & (found["grouping"] == "town")]
        assert rows["mean"].item() == pytest.approx(share.mean())
    icc = bml.icc(fit, at={"x": 0.5})
    assert icc["mean"].tolist() == found[found["grouping"] == "town"]["mean"].tolist()


def test_coefficients_of_units_are_those_of_their_category(fit: Fit) -> None:
    found = bml.group_coefficients(fit, "town").set_index(["unit", "term"])
    beta = fit.posterior["beta"].sel(category="Foot", coef="x")
    u = fit.posterior["u_town"].sel(town="t3", town_term="Foot:x")
    assert found.loc[("t3", "Foot:x"), "mean"] == pytest.approx(float((beta + u).mean()))
    residuals = bml.residuals(fit, "town", seed=1)
    one = residuals[(residuals["unit"] == "t3") & (residuals["term"] == "Foot:x")]
    own = journeys()[lambda t: t.town == "t3"]
    fixed = scores(fit, own, effects=False)[:, 2].mean()
    assert one["fitted"].item() == pytest.approx(fixed)


def test_checks_count_categories(fit: Fit) -> None:
    checks = bml.posterior_checks(fit, seed=1).set_index(["part", "statistic"])
    assert set(checks.loc["outcome"].index) == {f"share of category: {way}" for way in WAYS}
    share = (journeys()["way"] == "Foot").mean()
    observed = checks.loc[("outcome", "share of category: Foot"), "observed"]
    assert observed == pytest.approx(share)
    by_town = journeys().assign(foot=lambda t: t.way == "Foot").groupby("town")["foot"].mean()
    found = checks.loc[("town", "SD of unit shares: Foot"), "observed"]
    assert found == pytest.approx(by_town.std())
    assert "residuals" not in checks.index.get_level_values("part")


def test_prior_draws_have_the_shares_of_their_scores() -> None:
    made = model(
        priors={
            "Intercept": "Normal(3, 0.001)",
            "beta": "Normal(0, 0.001)",
            "sd": "HalfNormal(0.001)",
        }
    )
    drawn = made.prior_predictive(draws=400, seed=1)["prior_predictive"]["way"].values
    shares = np.bincount(drawn.ravel(), minlength=3) / drawn.size
    wanted = special.softmax([0.0, 3.0, 3.0])
    np.testing.assert_array_less(
        np.abs(shares - wanted), 4 * np.sqrt(wanted * (1 - wanted) / drawn.size) + 1e-4
    )


def test_a_fit_that_was_saved_says_the_same(fit: Fit, tmp_path: Any) -> None:
    again = bml.load(fit.save(tmp_path / "ways.nc"))
    assert again.facts.nominal == WAYS
    pd.testing.assert_frame_equal(bml.predict(again), bml.predict(fit))
    bml.report(again, tmp_path / "ways.html")
    page = (tmp_path / "ways.html").read_text()
    assert "every coefficient is one of the log odds against Bus" in page


REFUSED: dict[str, Callable[[Fit], Any]] = {
    "A slope at values": lambda fit: bml.simple_slopes(fit, "x", "sex"),
    "The median odds ratio": bml.median_odds_ratio,
    "design_effect": bml.design_effect,
    "reliability": bml.reliability,
    "bml.unit_checks": lambda fit: bml.unit_checks(fit, "town"),
    "bml.residuals of rows": bml.residuals,
    "bml.shrinkage": lambda fit: bml.shrinkage(fit, "town"),
    "The response scale": lambda fit: bml.vpc(fit, scale="response"),
    "This comparison": bml.pooling,
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_has_no_meaning_is_refused(fit: Fit, what: str) -> None:
    with pytest.raises(FitError) as caught:
        REFUSED[what](fit)
    words = "takes one linear predictor for granted, and the categories of 'way' have no order"
    assert what in str(caught.value)
    assert words in str(caught.value)
    assert "against 'Bus'. Use " in str(caught.value)


def moved_shares(fit: Fit, effects: bool = True, **changes: Any) -> np.ndarray:
    """Mean probabilities over the rows with columns changed, shape (categories, draws)."""
    found = scores(fit, journeys().assign(**changes), effects)
    return special.softmax(found, axis=1).mean(axis=0)


@pytest.mark.parametrize("groups", ["known", "population"])
def test_contrasts_are_of_the_probability_of_each_category(fit: Fit, groups: str) -> None:
    found = bml.contrast(fit, "sex", groups=groups)
    assert found["category"].tolist() == list(WAYS)
    known = groups == "known"
    wanted = moved_shares(fit, known, sex="M") - moved_shares(fit, known, sex="F")
    np.testing.assert_allclose(found["mean"], wanted.mean(axis=1))
    np.testing.assert_allclose(found["probability"], (wanted > 0).mean(axis=1))
    assert found["mean"].sum() == pytest.approx(0, abs=1e-12)
    linear = bml.contrast(fit, "sex", kind="linear")
    assert linear["category"].tolist() == ["car", "Foot"]
    beta = fit.posterior["beta"].sel(coef="sex[M]").mean(("chain", "draw"))
    np.testing.assert_allclose(linear["mean"], beta)
    # New rows say the same as the fit's own.
    again = bml.contrast(fit, "sex", groups=groups, new_data=journeys())
    np.testing.assert_allclose(again["mean"], found["mean"])


def test_slopes_are_derivatives_of_each_probability(fit: Fit) -> None:
    found = bml.slopes(fit, "x")
    table, step = journeys(), 1e-4
    up, down = (moved_shares(fit, x=table["x"] + change) for change in (step, -step))
    wanted = ((up - down) / (2 * step)).mean(axis=1)
    assert found["category"].tolist() == list(WAYS)
    np.testing.assert_allclose(found["mean"], wanted, atol=1e-5)
    by_town = bml.slopes(fit, "x", by="town", kind="linear")
    own = by_town[(by_town["town"] == "t2") & (by_town["category"] == "Foot")]["mean"].item()
    beta = fit.posterior["beta"].sel(category="Foot", coef="x")
    u = fit.posterior["u_town"].sel(town="t2", town_term="Foot:x")
    assert own == pytest.approx(float((beta + u).mean()), rel=1e-6)


def test_r2_of_each_category_is_on_the_latent_scale(fit: Fit) -> None:
    found = bml.r2(fit, draws=True)
    assert found["category"].values.tolist() == ["car", "car", "Foot", "Foot"]
    assert found["kind"].values.tolist() == ["marginal", "conditional"] * 2
    table = journeys()
    x = np.column_stack([np.ones(60), table["x"], table["sex"] == "M"])
    z = x[:, :2]
    sd = fit.posterior["sd_town"].values
    corr = fit.posterior["corr_town"].values
    for place, way in enumerate(WAYS[1:]):
        beta = fit.posterior["beta"].sel(category=way).values
        fixed = (beta @ x.T).var(axis=-1, ddof=1)
        own = slice(2 * place, 2 * place + 2)
        sigma = sd[..., own, None] * corr[..., own, own] * sd[..., None, own]
        between = np.einsum("ri,cdij,rj->cd", z, sigma, z) / 60
        whole = fixed + between + np.pi**2 / 3
        np.testing.assert_allclose(found[..., 2 * place], fixed / whole)
        np.testing.assert_allclose(found[..., 2 * place + 1], (fixed + between) / whole)
    with pytest.raises(FitError, match=r"about one outcome.*each of 'car', 'Foot'\. Use bml\.r2"):
        bml.r2(fit, "bayes")


def test_a_number_is_not_taken_for_categories() -> None:
    table = journeys().assign(way=np.arange(60) / 7)
    with pytest.raises(TableError, match=r"has 60 categories .* and up to 50 can be used"):
        bml.two_level(table, "way ~ x", group="town", family="categorical")


def test_a_category_without_a_name_is_refused() -> None:
    table = journeys().replace({"way": {"car": ""}})
    with pytest.raises(TableError, match="is called '', which cannot name a linear predictor"):
        bml.two_level(table, "way ~ x", group="town", family="categorical")


def test_terms_of_members_are_refused() -> None:
    formula = "way ~ x + (0 + mmc(x, z) | mm(first, second))"
    with pytest.raises(SpecError, match="another value for every member of a row"):
        bml.model(journeys().assign(z=lambda t: -t.x), formula, family="categorical")
