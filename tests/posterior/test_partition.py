"""VPC and ICC of fits: published numbers, tables of several partitions, and refusals."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import multivariate_normal, norm

import bayesml as bml
from bayesml.errors import FitError
from bayesml.records.fits import Fit
from bayesml.records.modelling import Model

MakeFit = Callable[..., Fit]

# Variances by lme4 1.1's REML.
HSB_NULL = {"sd_school": np.sqrt(8.61402436), "sigma": np.sqrt(39.14832194)}
EXAM_INTERCEPT = {"sd_school": np.sqrt(0.09383899), "sigma": np.sqrt(0.56586531)}
EGSINGLE_GROWTH = {
    "sd_childid": [0.80029653, 0.10610353],
    "corr_childid": [[1.0, 0.5509915], [0.5509915, 1.0]],
    "sd_schoolid": [0.4105575, 0.10613155],
    "corr_schoolid": [[1.0, 0.3979417], [0.3979417, 1.0]],
    "sigma": 0.54902876,
}


@pytest.fixture(scope="module")
def growth() -> Model:
    table = bml.load_dataset("egsingle")
    slopes = {"childid": ["year"], "schoolid": ["year"]}
    return bml.three_level(table, "math ~ year", groups=["childid", "schoolid"], slopes=slopes)


@pytest.fixture(scope="module")
def counts() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "n": rng.poisson(3, size=240),
            "x": rng.normal(size=240),
            "days": np.full(240, 2.0),
            "brood": np.repeat(np.arange(60), 4),
            "site": np.repeat(np.arange(12), 20),
            "year": 1990 + np.arange(240) * 7 % 11,
        }
    )


def means(table: pd.DataFrame) -> dict[str, float]:
    """Return the posterior means by grouping."""
    return dict(zip(table["grouping"], table["mean"], strict=True))


@pytest.mark.parametrize(
    ("dataset", "formula", "values", "share"),
    [
        ("hsb82", "mAch ~ 1", HSB_NULL, 0.180),
        ("exam", "normexam ~ standLRT", EXAM_INTERCEPT, 0.142),
    ],
)
def test_gaussian_share_at_the_reml_variances(
    fake_fit: MakeFit, dataset: str, formula: str, values: dict[str, float], share: float
) -> None:
    model = bml.two_level(bml.load_dataset(dataset), formula, group="school")
    fit = fake_fit(model, draws=2, values=values)
    found = means(bml.vpc(fit))
    assert found == {
        "school": pytest.approx(share, abs=5e-4),
        "residual": pytest.approx(1 - share, abs=5e-4),
    }
    assert means(bml.icc(fit))["school"] == pytest.approx(share, abs=5e-4)


def test_latent_share_of_a_logit_model(fake_fit: MakeFit) -> None:
    table = bml.load_dataset("contraception")
    model = bml.two_level(table, "use ~ urban", group="district", family="binomial", success="Y")
    found = bml.vpc(fake_fit(model, draws=2, values={"sd_district": 0.4752}))
    assert means(found)["district"] == pytest.approx(0.0642, abs=5e-5)
    assert found.attrs["scale"] == "latent"


@pytest.mark.parametrize(
    ("link", "level1"), [("probit", 1.0), ("cloglog", np.pi**2 / 6), ("logit", np.pi**2 / 3)]
)
def test_latent_level_1_variance_of_each_link(fake_fit: MakeFit, link: str, level1: float) -> None:
    table = pd.DataFrame({"y": [0, 1, 1, 0, 1, 0] * 5, "g": np.repeat(range(6), 5)})
    model = bml.two_level(table, "y ~ 1", group="g", family="binomial", link=link)
    found = bml.vpc(fake_fit(model, draws=2, values={"sd_g": 2.0}))
    assert means(found)["g"] == pytest.approx(4 / (4 + level1))


def test_latent_share_of_an_ordinal_model(fake_fit: MakeFit) -> None:
    table = pd.DataFrame({"y": ["a", "b", "c"] * 10, "g": np.repeat(range(6), 5)})
    model = bml.two_level(
        table, "y ~ 1", group="g", family="ordinal", link="probit", categories=["a", "b", "c"]
    )
    found = bml.vpc(fake_fit(model, draws=2, values={"sd_g": 3.0}))
    assert means(found) == pytest.approx({"g": 0.9, "residual": 0.1})


def test_growth_model_at_year_0(growth: Model, fake_fit: MakeFit) -> None:
    fit = fake_fit(growth, draws=2, values=EGSINGLE_GROWTH)
    shares = bml.vpc(fit, at={"year": 0})
    assert means(shares)["childid"] == pytest.approx(0.577, abs=5e-4)
    assert means(bml.icc(fit, at={"year": 0})) == {
        "childid": pytest.approx(0.729, abs=5e-4),
        "schoolid": means(shares)["schoolid"],
    }
    assert shares["mean"].sum() == pytest.approx(1)
    assert shares.attrs["at"] == {"year": 0}


def test_growth_model_at_another_year_and_at_the_mean(growth: Model, fake_fit: MakeFit) -> None:
    fit = fake_fit(growth, draws=2, values=EGSINGLE_GROWTH)

    def child(year: float) -> float:
        # variances and covariances as lme4 prints them
        children = 0.64047454 + 2 * year * 0.04678705 + year**2 * 0.01125796
        schools = 0.16855746 + 2 * year * 0.01733955 + year**2 * 0.01126391
        return children / (children + schools + 0.30143257)

    # The printed numbers have eight digits.
    assert means(bml.vpc(fit, at={"year": 2.5}))["childid"] == pytest.approx(child(2.5), abs=1e-6)
    year = float(bml.load_dataset("egsingle")["year"].mean())
    at_mean = bml.vpc(fit)
    assert means(at_mean)["childid"] == pytest.approx(child(year), abs=1e-6)
    assert at_mean.attrs["at"] == {"year": pytest.approx(year)}


def test_every_draw_by_hand(growth: Model, fake_fit: MakeFit) -> None:
    fit = fake_fit(growth, draws=20)
    shares = bml.vpc(fit, at={"year": -1.5}, draws=True)
    common = bml.icc(fit, at={"year": -1.5}, draws=True)
    z = np.array([1.0, -1.5])
    posterior = fit.posterior
    for chain, draw in ((0, 0), (1, 13)):
        one = posterior.isel(chain=chain, draw=draw)
        variances = {}
        for name in ("childid", "schoolid"):
            scaled = z * one[f"sd_{name}"].values
            variances[name] = scaled @ one[f"corr_{name}"].values @ scaled
        total = sum(variances.values()) + float(one["sigma"]) ** 2
        found = shares.isel(chain=chain, draw=draw)
        assert found.sel(grouping="childid").item() == pytest.approx(variances["childid"] / total)
        both = common.isel(chain=chain, draw=draw).sel(grouping="childid").item()
        assert both == pytest.approx(sum(variances.values()) / total)


def test_one_grouping_alone(growth: Model, fake_fit: MakeFit) -> None:
    fit = fake_fit(growth, draws=2, values=EGSINGLE_GROWTH)
    found = bml.icc(fit, "childid", at={"year": 0})
    assert found["grouping"].tolist() == ["childid"]
    assert found["mean"].iloc[0] == pytest.approx(0.729, abs=5e-4)
    with pytest.raises(FitError, match=r"'child' is not a grouping.*Did you mean 'childid'\?"):
        bml.icc(fit, "child")


def test_intervals_and_draws(fake_fit: MakeFit) -> None:
    table = pd.DataFrame({"y": np.arange(30.0) % 7, "g": np.repeat(range(6), 5)})
    # Variances 0 ... 3 against a residual variance of 1: shares 0, 1/2, 2/3, 3/4.
    values = {"sd_g": np.sqrt(np.arange(4.0)).reshape(2, 2, 1), "sigma": 1.0}
    fit = fake_fit(bml.two_level(table, "y ~ 1", group="g"), draws=2, values=values)
    found = bml.vpc(fit, prob=0.5).set_index("grouping").loc["g"]
    assert found["median"] == pytest.approx(7 / 12)
    assert found["lower"] == pytest.approx(0.375)  # three quarters of the way from 0 to 1/2
    assert found["upper"] == pytest.approx(2 / 3 + 1 / 48)
    assert bml.vpc(fit, prob=0.5).attrs["interval"] == "50 % equal-tailed interval"
    draws = bml.vpc(fit, draws=True)
    assert draws.dims == ("chain", "draw", "grouping")
    assert draws.sel(grouping="g").values == pytest.approx(np.array([[0, 1 / 2], [2 / 3, 3 / 4]]))
    assert draws.sum("grouping").values == pytest.approx(np.ones((2, 2)))
    assert bml.icc(fit, draws=True).sel(grouping="g").values == pytest.approx(
        draws.sel(grouping="g").values
    )


def test_multiple_membership_has_two_partitions(fake_fit: MakeFit) -> None:
    rows = 60
    table = pd.DataFrame(
        {
            "y": np.arange(rows) % 7 + 0.5,
            "first": np.arange(rows) % 10,
            "second": (np.arange(rows) + 3) % 10,
            "area": np.repeat(range(6), 10),
        }
    )
    model = bml.multiple_membership(
        table, "y ~ 1", members=["first", "second"], name="firm", groups=["area"]
    )
    # Two shares of 1/2: the squared weights sum to 1/2.
    values = {"sd_firm": 2.0, "sd_area": 1.0, "sigma": 1.0}
    fit = fake_fit(model, draws=2, values=values)
    found = bml.vpc(fit)
    assert found["membership"].tolist() == ["whole"] * 3 + ["mean over rows"] * 3
    assert found["mean"].tolist() == pytest.approx([4 / 6, 1 / 6, 1 / 6, 2 / 4, 1 / 4, 1 / 4])
    assert bml.icc(fit, "firm")["mean"].tolist() == pytest.approx([4 / 6, 2 / 4])
    draws = bml.vpc(fit, draws=True)
    assert draws.dims == ("chain", "draw", "membership", "grouping")
    assert float(draws.sel(membership="mean over rows", grouping="area")[0, 0]) == 0.25


def test_nested_counts_by_the_published_formula(counts: pd.DataFrame, fake_fit: MakeFit) -> None:
    model = bml.model(counts, "n ~ x + (1 | brood) + (1 | site)", family="poisson", exposure="days")
    values = {"beta": [0.2, 0.5], "sd_brood": np.sqrt(0.3), "sd_site": np.sqrt(0.2)}
    fit = fake_fit(model, draws=2, values=values)
    found = bml.vpc(fit, at={"x": 1})
    mean = np.exp(0.2 + 0.5 + np.log(2) + 0.25)
    total = mean + mean**2 * np.expm1(0.5)
    site = mean**2 * np.expm1(0.2) / total
    both = mean**2 * np.expm1(0.5) / total
    expected = {"brood": both - site, "site": site, "residual": mean / total}
    assert means(found) == pytest.approx(expected)
    assert means(bml.icc(fit, at={"x": 1})) == pytest.approx({"brood": both, "site": site})
    assert found.attrs["scale"] == "response"
    assert found.attrs["at"] == {"x": 1}
    assert bml.vpc(fit).attrs["at"] == {"x": pytest.approx(counts["x"].mean())}


def test_crossed_counts_have_an_interaction(counts: pd.DataFrame, fake_fit: MakeFit) -> None:
    model = bml.model(counts, "n ~ 1 + (1 | site) + (1 | year)", family="poisson")
    values = {"beta": 0.0, "sd_site": np.sqrt(0.3), "sd_year": np.sqrt(0.2)}
    found = bml.vpc(fake_fit(model, draws=2, values=values))
    assert found["grouping"].tolist() == ["site", "year", "interaction", "residual"]
    total = np.exp(-0.25) + np.expm1(0.5)
    assert means(found)["interaction"] == pytest.approx(np.expm1(0.3) * np.expm1(0.2) / total)
    assert found["mean"].sum() == pytest.approx(1)


def test_slopes_of_counts_at_a_value(counts: pd.DataFrame, fake_fit: MakeFit) -> None:
    model = bml.model(counts, "n ~ x + (x || site)", family="poisson")
    values = {"beta": [0.0, 1.0], "sd_site": [0.3, 0.4]}
    found = bml.vpc(fake_fit(model, draws=2, values=values), at={"x": 2})
    variance = 0.3**2 + 4 * 0.4**2
    mean = np.exp(2 + variance / 2)
    expected = mean * np.expm1(variance) / (1 + mean * np.expm1(variance))
    assert means(found)["site"] == pytest.approx(expected)


def test_an_sd_of_exactly_zero_is_a_share_of_zero(growth: Model, fake_fit: MakeFit) -> None:
    values = EGSINGLE_GROWTH | {"sd_schoolid": 0.0}
    found = bml.vpc(fake_fit(growth, draws=2, values=values)).set_index("grouping")
    assert (found.loc["schoolid", ["mean", "sd", "lower", "upper"]] == 0).all()


def test_scales_that_cannot_be_had(counts: pd.DataFrame, fake_fit: MakeFit) -> None:
    table = counts.assign(y=(counts["n"] > 2).astype(int))
    binary = fake_fit(bml.model(table, "y ~ 1 + (1 | site)", family="binomial"), draws=2)
    with pytest.raises(FitError, match=r"scale is 'logit'\. Allowed: 'latent', 'response'"):
        bml.icc(binary, scale="logit")
    poisson = fake_fit(bml.model(counts, "n ~ 1 + (1 | site)", family="poisson"), draws=2)
    pd.testing.assert_frame_equal(bml.vpc(poisson, scale="response"), bml.vpc(poisson))
    none = fake_fit(bml.model(counts, "n ~ x", family="poisson"), draws=2)
    with pytest.raises(FitError, match=r"no grouping, so its variance has no parts\. Add one"):
        bml.vpc(none)


def simulated_shares(probability: np.ndarray) -> dict[str, float]:
    """Return the shares of broods in sites from the probabilities of sites by broods."""
    broods = probability.var(axis=1, ddof=1).mean()
    sites = probability.mean(axis=1).var() - broods / probability.shape[1]
    level1 = (probability * (1 - probability)).mean()
    total = broods + sites + level1
    return {"brood": broods / total, "site": sites / total, "residual": level1 / total}


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_response_scale_of_a_binary_outcome_against_simulation(
    counts: pd.DataFrame, fake_fit: MakeFit, link: str
) -> None:
    table = counts.assign(y=(counts["n"] > 2).astype(int))
    model = bml.model(table, "y ~ x + (1 | brood) + (1 | site)", family="binomial", link=link)
    values = {"beta": [-0.5, 0.8], "sd_brood": 0.9, "sd_site": 1.3}
    fit = fake_fit(model, draws=2, values=values)
    found = bml.vpc(fit, at={"x": 1.5}, scale="response")
    inverse = {"logit": expit, "probit": norm.cdf, "cloglog": lambda x: -np.expm1(-np.exp(x))}[link]
    # Goldstein, Browne & Rasbash's simulation, with 20 broods in each of many sites: the standard
    # errors of the shares are below 0.3 % of them.
    rng = np.random.default_rng(11)
    sites = 1.3 * rng.normal(size=(300_000, 1))
    p = inverse(-0.5 + 0.8 * 1.5 + sites + 0.9 * rng.normal(size=(300_000, 20)))
    expected = simulated_shares(p)
    assert means(found) == pytest.approx(expected, rel=0.01)
    assert found["mean"].sum() == pytest.approx(1)
    correlations = means(bml.icc(fit, at={"x": 1.5}, scale="response"))
    assert correlations["brood"] == pytest.approx(expected["brood"] + expected["site"], rel=0.01)
    assert found.attrs["scale"] == "response"
    assert found.attrs["at"] == {"x": 1.5}
    assert "no simulation" in found.attrs["computed_by"]


def test_response_scale_of_trials_is_that_of_one_trial(
    counts: pd.DataFrame, fake_fit: MakeFit
) -> None:
    table = counts.assign(size=20, y=counts["n"].clip(upper=20))
    model = bml.two_level(table, "y ~ 1", group="site", family="binomial", trials="size")
    values = {"beta": 0.3, "sd_site": 0.7}
    found = bml.vpc(fake_fit(model, draws=2, values=values), scale="response")
    assert found.attrs["trials"] == "one trial"
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights /= weights.sum()
    p = expit(0.3 + 0.7 * nodes)
    mean = weights @ p
    assert means(found)["site"] == pytest.approx((weights @ p**2 - mean**2) / mean / (1 - mean))


def test_response_scale_of_an_ordinal_outcome_by_cutpoint(fake_fit: MakeFit) -> None:
    table = pd.DataFrame({"y": ["a", "b", "c"] * 10, "x": np.arange(30), "g": np.arange(30) // 5})
    model = bml.two_level(
        table, "y ~ x", group="g", family="ordinal", link="probit", categories=["a", "b", "c"]
    )
    values = {"beta": 0.1, "sd_g": 0.8, "cutpoints": [-0.4, 1.1]}
    fit = fake_fit(model, draws=2, values=values)
    found = bml.vpc(fit, at={"x": 3}, scale="response")
    assert found["grouping"].tolist() == ["g", "residual"] * 2
    assert found["cutpoint"].tolist() == ["a|b"] * 2 + ["b|c"] * 2
    # Probit: two rows of a unit are both above a cutpoint with a bivariate normal probability.
    total = 1 + 0.8**2
    for cutpoint, label in ((-0.4, "a|b"), (1.1, "b|c")):
        z = (0.3 - cutpoint) / np.sqrt(total)
        rho = 0.8**2 / total
        both = multivariate_normal([0, 0], [[1, rho], [rho, 1]]).cdf([z, z])
        one = norm.cdf(z)
        share = (both - one**2) / (one * (1 - one))
        chosen = found[(found["grouping"] == "g") & (found["cutpoint"] == label)]
        assert chosen["mean"].iloc[0] == pytest.approx(share, rel=1e-4)
    draws = bml.icc(fit, at={"x": 3}, scale="response", draws=True)
    assert draws.dims == ("chain", "draw", "cutpoint", "grouping")


def test_response_scale_of_crossed_memberships_of_an_ordinal_outcome(fake_fit: MakeFit) -> None:
    rows = 60
    table = pd.DataFrame(
        {
            "y": [["low", "mid", "high"][i % 3] for i in range(rows)],
            "first": np.arange(rows) % 10,
            "second": (np.arange(rows) + 3) % 10,
            "area": np.repeat(range(6), 10),
        }
    )
    model = bml.multiple_membership(
        table,
        "y ~ 1",
        members=["first", "second"],
        name="firm",
        groups=["area"],
        family="ordinal",
        categories=["low", "mid", "high"],
    )
    values = {"sd_firm": 2.0, "sd_area": 1.0, "cutpoints": [-0.5, 0.5]}
    found = bml.vpc(fake_fit(model, draws=2, values=values), scale="response")
    assert (
        found.groupby(["membership", "cutpoint"])["mean"].sum().tolist() == [pytest.approx(1)] * 4
    )
    assert set(found["grouping"]) == {"firm", "area", "interaction", "residual"}
    firm = found[found["grouping"] == "firm"].set_index(["membership", "cutpoint"])["mean"]
    # Symmetric cutpoints share the variance alike; half a membership has half the variance.
    assert firm["whole", "low|mid"] == pytest.approx(firm["whole", "mid|high"])
    assert firm["whole", "low|mid"] > firm["mean over rows", "low|mid"] > 0


@pytest.mark.parametrize("family", ["beta", "gaussian"])
def test_averages_over_student_t_effects_are_refused(
    family: str, fake_fit: Callable[..., bml.Fit]
) -> None:
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"y": rng.beta(2, 2, 48), "g": np.arange(48) // 6})
    parts = {"sigma": "~ (1 | g)"} if family == "gaussian" else {}
    model = bml.two_level(
        table, "y ~ 1", group="g", family=family, effects="student", distributional=parts
    )
    with pytest.raises(bml.FitError, match="takes normal effects, and those of 'g' are Student-t"):
        bml.vpc(fake_fit(model, draws=20))
