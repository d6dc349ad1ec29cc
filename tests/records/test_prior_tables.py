"""The table of priors: their numbers, their intervals, and what they imply."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml

# 4,000 draws: a quantile's standard error is below 0.02 where the density is above 0.4.
SIMULATED = 0.08


# The tables here cross every area with every school, of which a model warns.
pytestmark = pytest.mark.filterwarnings("ignore::bayesml.errors.BayesmlWarning")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    rows = 120
    number = np.arange(rows)
    return pd.DataFrame(
        {
            "school": number % 6,
            "second": (number + 1 + number // 60) % 6,
            "area": rng.permutation(number % 5),
            "x": rng.normal(2.0, 1.5, rows),
            "score": rng.normal(10.0, 3.0, rows),
            "passed": rng.integers(0, 2, rows),
            "events": rng.poisson(2.0, rows),
            "grade": rng.integers(1, 5, rows),
        }
    )


def rows_of(model: bml.Model) -> pd.DataFrame:
    return model.priors.set_index("parameter")


def test_columns_and_rows(table: pd.DataFrame) -> None:
    model = bml.two_level(
        table, "score ~ x", group="school", slopes=["x"], priors={"sd_school[x]": "HalfNormal(2)"}
    )
    found = model.priors
    assert list(found.columns) == ["parameter", "prior", "origin", "lower", "median", "upper"]
    assert found["parameter"].tolist() == [
        "Intercept", "beta[x]", "sd_school[Intercept]", "sd_school[x]", "corr_school", "sigma",
        "vpc school",
    ]  # fmt: skip
    assert found["origin"].tolist() == [
        "default", "default", "default", "set by the user", "default", "default", "implied",
    ]  # fmt: skip
    assert (found["lower"] < found["median"]).all()
    assert (found["median"] < found["upper"]).all()


def test_intervals_are_the_priors_quantiles(table: pd.DataFrame) -> None:
    priors = {
        "Intercept": "Normal(1, 2)",
        "beta": "Laplace(0, 1)",
        "sd_school[x]": "HalfNormal(2)",
        "corr_school": "LKJ(1)",
        "sigma": "pc(3, 0.05)",
    }
    found = rows_of(bml.two_level(table, "score ~ x", group="school", slopes=["x"], priors=priors))
    tails = [0.055, 0.5, 0.945]
    expected = {
        "Intercept": stats.norm(1, 2).ppf(tails),
        "beta[x]": stats.laplace(0, 1).ppf(tails),
        "sd_school[x]": stats.halfnorm(scale=2).ppf(tails),
        "corr_school": [-0.89, 0, 0.89],  # uniform on (-1, 1)
        "sigma": stats.expon(scale=3 / np.log(20)).ppf(tails),
    }
    for name, values in expected.items():
        assert found.loc[name, ["lower", "median", "upper"]].tolist() == pytest.approx(
            list(values), abs=1e-9
        )


def test_the_share_of_a_gaussian_grouping(table: pd.DataFrame) -> None:
    # Equal half-normal priors: the ratio of the variances is F(1, 1), the share Beta(1/2, 1/2).
    priors = {"sd_school": "HalfNormal(2)", "sigma": "HalfNormal(2)"}
    found = rows_of(bml.two_level(table, "score ~ x", group="school", priors=priors))
    quantiles = stats.beta(0.5, 0.5).ppf([0.055, 0.5, 0.945])
    assert found.loc["vpc school", ["lower", "median", "upper"]].tolist() == pytest.approx(
        quantiles.tolist(), abs=SIMULATED
    )


@pytest.mark.parametrize(
    ("family", "outcome", "link", "latent"),
    [
        ("binomial", "passed", "logit", np.pi**2 / 3),
        ("binomial", "passed", "probit", 1.0),
        ("binomial", "passed", "cloglog", np.pi**2 / 6),
        ("ordinal", "grade", "logit", np.pi**2 / 3),
    ],
)
def test_the_share_on_the_latent_scale(
    family: str, outcome: str, link: str, latent: float, table: pd.DataFrame
) -> None:
    priors = {"sd_school": "Uniform(1, 2)"}
    model = bml.two_level(
        table, f"{outcome} ~ x", group="school", family=family, link=link, priors=priors
    )
    # The share rises with the SD, so its quantiles are those of the SD.
    sd = 1 + np.array([0.055, 0.5, 0.945])
    found = rows_of(model).loc["vpc school", ["lower", "median", "upper"]].tolist()
    assert found == pytest.approx((sd**2 / (sd**2 + latent)).tolist(), abs=0.01)


def test_the_median_rate_ratio_of_counts(table: pd.DataFrame) -> None:
    model = bml.two_level(
        table, "events ~ x", group="school", family="poisson", priors={"sd_school": "Uniform(1, 2)"}
    )
    sd = 1 + np.array([0.055, 0.5, 0.945])
    expected = np.exp(np.sqrt(2) * sd * stats.norm.ppf(0.75))
    found = rows_of(model).loc["median rate ratio school", ["lower", "median", "upper"]].tolist()
    assert found == pytest.approx(expected.tolist(), rel=0.02)


def test_a_varying_slope_counts_at_the_mean_of_its_predictor(table: pd.DataFrame) -> None:
    # A fixed correlation prior near 0 and nearly fixed SDs: z' Sigma z = 1 + mean(x)^2 2^2.
    priors = {
        "sd_school[Intercept]": "Uniform(1, 1.000001)",
        "sd_school[x]": "Uniform(2, 2.000001)",
        "corr_school": "LKJ(1e8)",
        "sigma": "Uniform(3, 3.000001)",
    }
    found = rows_of(bml.two_level(table, "score ~ x", group="school", slopes=["x"], priors=priors))
    between = 1 + 4 * table["x"].mean() ** 2
    assert found.loc["vpc school", "median"] == pytest.approx(between / (between + 9), abs=1e-3)


def test_weights_of_a_multiple_membership_divide_its_variance(table: pd.DataFrame) -> None:
    fixed = {"sd_school": "Uniform(2, 2.000001)", "sigma": "Uniform(1, 1.000001)"}
    model = bml.multiple_membership(table, "score ~ x", members=["school", "second"], priors=fixed)
    # Two units of weight 1/2: the variance is 4 (1/4 + 1/4).
    assert rows_of(model).loc["vpc school", "median"] == pytest.approx(2 / 3, abs=1e-4)


def test_every_grouping_has_a_row(table: pd.DataFrame) -> None:
    # The squares of three equal half-normal SDs divided by their sum: Dirichlet(1/2, 1/2, 1/2).
    equal = dict.fromkeys(("sd_school", "sd_area", "sigma"), "HalfNormal(2)")
    model = bml.cross_classified(table, "score ~ x", groups=["school", "area"], priors=equal)
    quantiles = stats.beta(0.5, 1).ppf([0.055, 0.5, 0.945]).tolist()
    for name in ("vpc school", "vpc area"):
        found = rows_of(model).loc[name, ["lower", "median", "upper"]].tolist()
        assert found == pytest.approx(quantiles, abs=SIMULATED)


def test_the_same_table_every_time(table: pd.DataFrame) -> None:
    build = lambda: bml.two_level(table, "score ~ x", group="school")  # noqa: E731
    assert build().priors.equals(build().priors)


def test_vague_priors_of_manuals_do_not_overflow(table: pd.DataFrame) -> None:
    found = rows_of(bml.two_level(table, "score ~ x", group="school", priors="mlwin"))
    assert np.isfinite(found["median"]).all()
    assert 0 <= found.loc["vpc school", "lower"] <= found.loc["vpc school", "upper"] <= 1


@pytest.mark.parametrize(
    ("family", "link", "name"),
    [
        ("adjacent_category", "logit", "median odds ratio school"),
        ("continuation_ratio", "logit", "median odds ratio school"),
        ("continuation_ratio", "probit", None),
        ("continuation_ratio", "cloglog", None),
    ],
)
def test_the_median_odds_ratio_of_steps(
    family: str, link: str, name: str | None, table: pd.DataFrame
) -> None:
    options = {"family": family, "link": link, "priors": {"sd": "HalfNormal(0.5)"}}
    frame = rows_of(bml.two_level(table, "grade ~ x", group="school", **options))
    implied = [label for label in frame.index if label.startswith(("median", "vpc"))]
    assert implied == ([name] if name else [])
    if name:
        sd = stats.halfnorm(scale=0.5).ppf([0.055, 0.5, 0.945])
        expected = np.exp(np.sqrt(2) * sd * stats.norm.ppf(0.75))
        # Quantiles of 4,000 draws; the outer ones have a standard error of 1.5 to 3 %.
        found = frame.loc[name, ["lower", "median", "upper"]].tolist()
        assert found == pytest.approx(expected, rel=0.08)
    with_outliers = bml.two_level(table, "grade ~ x", group="school", effects="student", **options)
    assert not [label for label in rows_of(with_outliers).index if label.startswith("median")]
