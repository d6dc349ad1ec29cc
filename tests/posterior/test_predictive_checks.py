"""Checks are uniform where the model holds, extreme where it does not, and equal to plain NumPy."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats
from scipy.special import expit

import bayesml as bml
from bayesml.errors import FitError
from bayesml.posterior.check_words import FITS, WORDS, check_words
from bayesml.records.fits import Fit
from bayesml.records.modelling import Model

MakeFit = Callable[..., Fit]

UNITS, SIZE = 20, 10


def true_model(family: str, x: np.ndarray) -> tuple[Model, dict[str, object]]:
    """Return a two-level model with the parameters that data are simulated from."""
    rng = np.random.default_rng(1)
    rows = UNITS * SIZE
    table = pd.DataFrame({"x": x, "g": np.repeat(range(UNITS), SIZE), "n": 8})
    outcomes = {
        "gaussian": rng.normal(size=rows),
        "poisson": rng.poisson(2, size=rows),
        "binomial": rng.binomial(8, 0.5, size=rows),
        "ordinal": np.arange(rows) % 4,
    }
    options = {"trials": "n"} if family == "binomial" else {}
    table["y"] = outcomes[family]
    model = bml.two_level(table, "y ~ x", group="g", family=family, **options)
    values: dict[str, object] = {"beta": [0.3, 0.5], "sd_g": 0.7, "sigma": 0.9}
    if family == "ordinal":
        values |= {"beta": [0.5], "cutpoints": [-1.0, 0.0, 1.0]}
    if family != "gaussian":
        del values["sigma"]
    return model, values


def with_rows(fit: Fit, outcome: np.ndarray, effects: np.ndarray) -> Fit:
    """Return the fit with another outcome and other effects, the same in every draw."""
    tree = fit.data.copy()
    name = fit.facts.response_identifier
    rows = fit.data["observed_data"].to_dataset()
    tree["observed_data"] = xr.DataTree(rows.assign({name: ("obs", outcome)}))
    posterior = fit.posterior
    same = np.broadcast_to(effects, posterior["u_g"].shape)
    tree["posterior"] = xr.DataTree(posterior.assign(u_g=(posterior["u_g"].dims, same)))
    return Fit(tree)


def simulated(family: str, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return outcomes from the model's own parameters, by NumPy alone."""
    if family == "gaussian":
        return rng.normal(eta, 0.9)
    if family == "poisson":
        return rng.poisson(np.exp(eta))
    if family == "binomial":
        return rng.binomial(8, expit(eta))
    latent = eta + rng.logistic(size=eta.shape)
    return np.searchsorted([-1.0, 0.0, 1.0], latent)


X = np.random.default_rng(0).normal(size=UNITS * SIZE)


def truth(family: str, fake_fit: MakeFit) -> tuple[Fit, np.ndarray, Callable[..., np.ndarray]]:
    """Return a fit whose draws are all the truth, X beta, and a simulator of outcomes."""
    model, values = true_model(family, X)
    fit = fake_fit(model, draws=99, chains=1, values=values)
    fixed = 0.5 * X + (0 if family == "ordinal" else 0.3)

    def draw(rng: np.random.Generator, effects: np.ndarray) -> np.ndarray:
        return simulated(family, fixed + np.repeat(effects, SIZE), rng)

    return fit, fixed, draw


@pytest.mark.parametrize("family", ["gaussian", "poisson", "binomial", "ordinal"])
def test_p_values_are_uniform_where_the_model_holds(family: str, fake_fit: MakeFit) -> None:
    fit, _, draw = truth(family, fake_fit)
    rng = np.random.default_rng(2)
    found = []
    for seed in range(150):
        effects = rng.normal(0, 0.7, size=UNITS)
        data = with_rows(fit, draw(rng, effects), effects[:, None])
        found.append(bml.posterior_checks(data, draws=99, seed=seed)["p_value"].to_numpy())
    table = bml.posterior_checks(fit, draws=99, seed=1)
    p_values = np.array(found)
    assert p_values.shape == (150, len(table))
    assert len(table) >= 12
    for place, row in enumerate(table.itertuples()):
        values = p_values[:, place]
        # Ties make p-values of extremes and shares coarse: half of them lie on either side still.
        assert values.mean() == pytest.approx(0.5, abs=0.09), row
        assert (values < 0.2).mean() == pytest.approx(0.2, abs=0.14), row
        if len(np.unique(values)) > 80:
            assert stats.kstest(values, "uniform").pvalue > 1e-3, row
    # 1 % in either tail, over all checks.
    assert ((p_values < 0.01) | (p_values > 0.99)).mean() == pytest.approx(0.02, abs=0.012)


def test_p_values_of_an_exact_posterior_are_not_extreme(fake_fit: MakeFit) -> None:
    """Known variances: intercept and effects are drawn from their joint posterior."""
    rng = np.random.default_rng(12)
    table = pd.DataFrame({"y": rng.normal(size=200), "g": np.repeat(range(UNITS), SIZE)})
    values = {"beta": 0.0, "sd_g": 0.7, "sigma": 0.9, "u_g": 0.0}
    model = bml.two_level(table, "y ~ 1", group="g")
    fit = fake_fit(model, draws=100, chains=1, values=values)
    within, between = 0.81 / SIZE, 0.49
    share = between / (between + within)
    found = []
    for seed in range(120):
        u = rng.normal(0, 0.7, size=UNITS)
        y = 2 + np.repeat(u, SIZE) + rng.normal(0, 0.9, size=200)
        means = y.reshape(UNITS, SIZE).mean(axis=1)
        beta = rng.normal(means.mean(), np.sqrt((between + within) / UNITS), size=(1, 100, 1))
        spread = np.sqrt(between * (1 - share))
        effects = share * (means - beta) + spread * rng.normal(size=(1, 100, UNITS))
        data = with_rows(fit, y, effects[..., None])
        posterior = data.posterior
        data.data["posterior"] = xr.DataTree(posterior.assign(beta=(posterior["beta"].dims, beta)))
        found.append(bml.posterior_checks(data, draws=100, seed=seed))
    p_values = np.array([item["p_value"] for item in found])
    assert p_values.mean(axis=0) == pytest.approx(0.5, abs=0.08)
    assert ((p_values < 0.01) | (p_values > 0.99)).mean() < 0.025
    # The data fit their own means and units closely; residuals and the spread of units do not.
    spreads = dict(zip(found[0]["statistic"], p_values.std(axis=0), strict=True))
    assert spreads["mean"] < 0.1
    for statistic in ("skewness", "excess kurtosis", "SD of unit SDs", "largest effect"):
        assert spreads[statistic] > 0.2, spreads


def failed(fit: Fit) -> dict[tuple[str, str], str]:
    """Return the words of the checks that fail."""
    table = bml.posterior_checks(fit, draws=400, seed=3)
    bad = table[table["words"] != FITS]
    return {(row.part, row.statistic): row.words for row in bad.itertuples()}


def violated(name: str, fake_fit: MakeFit) -> Fit:
    """Return a fit at the truth, but for one thing in which the data differ from the model."""
    rng = np.random.default_rng(4)
    family = "gaussian"
    if name in ("zeros", "overdispersed"):
        family = "poisson"
    if name == "alike trials":
        family = "binomial"
    if name == "category":
        family = "ordinal"
    fit, fixed, draw = truth(family, fake_fit)
    effects = rng.normal(0, 0.7, size=UNITS)
    rows = UNITS * SIZE
    extra = np.zeros(rows)
    if name == "long-tailed effects":
        effects = rng.normal(0, 0.3, size=UNITS)
        effects[3] = 5.0
    if name == "effects with x":
        effects = 2.0 * fixed.reshape(UNITS, SIZE).mean(axis=1)
    shifted = effects.copy()
    if name == "units apart":
        shifted = 4 * effects
        effects = shifted
    y = draw(rng, shifted)
    if name == "curved":
        extra = 0.5 * (X**2 - 1)
    if name == "heteroscedastic":
        extra = rng.normal(size=rows) * np.exp(fixed + np.repeat(effects, SIZE))
    if name == "heavy tails":
        extra = np.where(np.arange(rows) % 25 == 0, 6.0 * rng.choice([-1, 1], size=rows), 0.0)
    if name == "skewed":
        extra = rng.exponential(2, size=rows) - 2
    if name == "unit spreads":
        extra = np.repeat(rng.gamma(1, 2, size=UNITS), SIZE) * rng.normal(size=rows)
    if name == "zeros":
        y = np.where(rng.uniform(size=rows) < 0.3, 0, y)
    if name == "overdispersed":
        y = rng.poisson(np.exp(fixed + np.repeat(effects, SIZE) + rng.normal(0, 1, size=rows)))
    if name == "alike trials":
        y = np.where(rng.uniform(size=rows) < 0.4, 8 * (y > 4), y)
    if name == "category":
        y = np.where(rng.uniform(size=rows) < 0.4, 2, y)
    return with_rows(fit, y + extra if family == "gaussian" else y, effects[:, None])


@pytest.mark.parametrize(
    ("name", "part", "statistic", "words"),
    [
        ("zeros", "outcome", "share of zeros", "more zeros than the model expects"),
        ("overdispersed", "residuals", "dispersion", r"\(overdispersion\)"),
        ("alike trials", "residuals", "dispersion", r"\(overdispersion\)"),
        ("alike trials", "outcome", "share with all successes", "every trial succeeds"),
        ("category", "outcome", "share of category: 2", "more frequent"),
        ("curved", "residuals", "bend against fixed part", "an effect is curved"),
        ("heteroscedastic", "residuals", "spread against fitted", "where fitted values are high"),
        ("heavy tails", "residuals", "excess kurtosis", "tails are heavier"),
        ("heavy tails", "residuals", "largest residual", "farther from its fitted value"),
        ("skewed", "residuals", "skewness", "upper tail is longer"),
        ("unit spreads", "g", "SD of unit SDs", "Units differ in how much their rows vary"),
        ("units apart", "g", "SD of unit means", "Units differ more than new units"),
        ("long-tailed effects", "g[Intercept]", "excess kurtosis of effects", "a few units stand"),
        ("long-tailed effects", "g[Intercept]", "largest effect", "farther out than normal"),
        ("long-tailed effects", "g", "largest unit mean", "higher than normal effects allow"),
        ("effects with x", "g[Intercept]", "effects against fitted", "add the units' means"),
    ],
)
def test_what_the_model_leaves_out_is_found(
    name: str, part: str, statistic: str, words: str, fake_fit: MakeFit
) -> None:
    found = failed(violated(name, fake_fit))
    assert (part, statistic) in found, found
    assert pd.Series([found[part, statistic]]).str.contains(words).all()


def test_a_sound_fit_passes_all_of_them(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(5)
    for family in ("gaussian", "poisson", "binomial", "ordinal"):
        fit, _, draw = truth(family, fake_fit)
        effects = rng.normal(0, 0.7, size=UNITS)
        found = failed(with_rows(fit, draw(rng, effects), effects[:, None]))
        assert len(found) <= 1, found


def test_every_statistic_has_words(fake_fit: MakeFit) -> None:
    seen = set()
    for family in ("gaussian", "poisson", "binomial", "ordinal"):
        table = bml.posterior_checks(truth(family, fake_fit)[0], draws=10, seed=1)
        seen |= {name.partition(": ")[0] for name in table["statistic"]}
    table = pd.DataFrame({"y": [0, 1] * 50, "g": np.repeat(range(10), 10)})
    ones = bml.two_level(table, "y ~ 1", group="g", family="binomial")
    found = bml.posterior_checks(fake_fit(ones), draws=10, seed=1)
    assert {"SD of unit SDs", "effects against fitted", "effects against size"}.isdisjoint(
        found["statistic"]
    )
    unequal = bml.two_level(table.iloc[3:], "y ~ 1", group="g", family="binomial")
    sizes = bml.posterior_checks(fake_fit(unequal), draws=10, seed=1)
    seen |= set(found["statistic"]) | set(sizes["statistic"])
    ways = bml.two_level(table, "y ~ 1", group="g", family="categorical")
    checks = bml.posterior_checks(fake_fit(ways), draws=10, seed=1)
    seen |= {name.partition(": ")[0] for name in checks["statistic"]}
    assert seen == set(WORDS)
    assert all(len(above) > 20 and len(below) > 20 for above, below in WORDS.values())


def test_words_follow_the_p_value() -> None:
    above, below = WORDS["dispersion"]
    assert check_words("dispersion", 0.0099) == above
    assert check_words("dispersion", 0.9901) == below
    assert check_words("dispersion", 0.0101) == check_words("dispersion", 0.9899) == FITS
    assert check_words("share of category: a: b", 0.001).startswith("This category is more")
    assert check_words("skewness", np.nan).startswith("Cannot be computed")


def test_observed_statistics_are_those_of_numpy(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(6)
    table = pd.DataFrame({"x": rng.normal(size=60), "y": rng.gamma(2, size=60)})
    table["g"] = np.r_[np.repeat(range(9), 6), 0, 1, 1, 2, 2, 2]
    model = bml.two_level(table, "y ~ x", group="g", slopes=["x"])
    fit = fake_fit(model, draws=3, chains=2)
    found = bml.posterior_checks(fit, draws=10, seed=1)
    at = found.set_index(["part", "statistic"])["observed"]
    y, unit = table["y"].to_numpy(), table["g"].to_numpy()
    groups = table.groupby("g")["y"]
    assert at["outcome", "SD"] == pytest.approx(y.std(ddof=1))
    assert at["outcome", "largest"] == pytest.approx(y.max())
    assert at["g", "SD of unit means"] == pytest.approx(groups.mean().std())
    assert at["g", "smallest unit mean"] == pytest.approx(groups.mean().min())
    assert at["g", "mean of unit SDs"] == pytest.approx(groups.std().mean())
    assert at["g", "SD of unit SDs"] == pytest.approx(groups.std().std())
    post = {
        name: fit.posterior[name].values.reshape(6, *fit.posterior[name].shape[2:])
        for name in ("beta", "sigma", "u_g", "sd_g")
    }
    skew, spread, largest, with_fitted, with_size = [], [], [], [], []
    design = np.column_stack([np.ones(60), table["x"]])
    for beta, sigma, u, sd in zip(*post.values(), strict=True):
        mean = design @ beta + (design * u[unit]).sum(axis=1)
        r = (y - mean) / sigma
        skew.append(stats.skew(r))
        spread.append(np.corrcoef(np.abs(r), mean)[0, 1])
        largest.append(np.abs(u[:, 1] / sd[1]).max())
        fixed = pd.Series(design @ beta).groupby(unit).mean()
        with_fitted.append(np.corrcoef(u[:, 0], fixed)[0, 1])
        with_size.append(np.corrcoef(u[:, 0], groups.size())[0, 1])
    assert at["residuals", "skewness"] == pytest.approx(np.mean(skew))
    assert at["residuals", "spread against fitted"] == pytest.approx(np.mean(spread))
    assert at["g[x]", "largest effect"] == pytest.approx(np.mean(largest))
    assert at["g[Intercept]", "effects against fitted"] == pytest.approx(np.mean(with_fitted))
    assert at["g[Intercept]", "effects against size"] == pytest.approx(np.mean(with_size))


@pytest.mark.parametrize("family", ["poisson", "binomial", "ordinal"])
def test_dispersion_is_pearsons(family: str, fake_fit: MakeFit) -> None:
    fit, fixed, draw = truth(family, fake_fit)
    rng = np.random.default_rng(7)
    effects = rng.normal(0, 0.7, size=UNITS)
    y = draw(rng, effects)
    eta = fixed + np.repeat(effects, SIZE)
    if family == "poisson":
        mean = variance = np.exp(eta)
    elif family == "binomial":
        mean, variance = expit(eta), expit(eta) * (1 - expit(eta)) / 8
        shown = y / 8
    else:
        edges = expit(np.array([-np.inf, -1.0, 0.0, 1.0, np.inf])[:, None] - eta)
        shares = np.diff(edges, axis=0)
        mean = np.arange(4) @ shares
        variance = np.arange(4) ** 2 @ shares - mean**2
    shown = y / 8 if family == "binomial" else y
    r = (shown - mean) / np.sqrt(variance)
    table = bml.posterior_checks(with_rows(fit, y, effects[:, None]), draws=5, seed=1)
    at = table.set_index(["part", "statistic"])["observed"]
    assert at["residuals", "largest residual"] == pytest.approx(np.abs(r).max())
    if family != "ordinal":
        assert at["residuals", "dispersion"] == pytest.approx((r**2).mean())


def test_replications_have_the_mean_and_spread_of_the_model(fake_fit: MakeFit) -> None:
    fit, fixed, _ = truth("gaussian", fake_fit)
    effects = np.linspace(-1, 1, UNITS)
    table = bml.posterior_checks(with_rows(fit, fixed, effects[:, None]), draws=99, seed=1)
    at = table.set_index(["part", "statistic"])
    mean = (fixed + np.repeat(effects, SIZE)).mean()
    assert at.loc[("outcome", "mean"), "replicated"] == pytest.approx(mean, abs=4 * 0.9 / 140)
    # 200 rows of SD 0.9, and the interval of their mean.
    width = 2 * stats.norm.ppf(0.945) * 0.9 / np.sqrt(200)
    row = at.loc[("outcome", "mean")]
    assert row["upper"] - row["lower"] == pytest.approx(width, rel=0.3)
    # Means of 10 rows of new units: 0.7^2 + 0.9^2 / 10, and of X beta.
    spread = np.sqrt(0.7**2 + 0.81 / 10 + fixed.reshape(UNITS, SIZE).mean(axis=1).var(ddof=1))
    found = at.loc[("g", "SD of unit means"), "replicated"]
    assert found == pytest.approx(spread, rel=0.08)
    assert at.loc[("g", "SD of unit means"), "units"] == "new"


def test_effects_of_groupings_with_one_row_a_unit_are_redrawn(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(8)
    table = pd.DataFrame({"g": np.repeat(range(10), 8), "row": range(80)})
    table["y"] = rng.poisson(np.exp(1 + rng.normal(0, 1, size=80)))
    model = bml.model(table, "y ~ 1 + (1 | g) + (1 | row)", family="poisson")
    values = {"beta": 1.0, "sd_g": 0.01, "u_g": 0.0, "sd_row": 1.0}
    # Effects of the rows that would make every row its own outcome.
    values["u_row"] = (np.log(table["y"].to_numpy() + 0.1) - 1)[:, None]
    fit = fake_fit(model, draws=100, chains=2, values=values)
    found = bml.posterior_checks(fit, draws=200, seed=1).set_index(["part", "statistic"])
    assert found.loc[("outcome", "SD"), "p_value"] > 0.01
    # Kept effects would leave the SD of the means, about 7, to the Poisson noise alone.
    interval = found.loc[("outcome", "SD"), "upper"] / found.loc[("outcome", "SD"), "lower"]
    assert interval > 2
    assert not (found.reset_index()["part"] == "row").any()


def test_the_table_says_what_was_done(fake_fit: MakeFit) -> None:
    fit, _, _ = truth("gaussian", fake_fit)
    first = bml.posterior_checks(fit, draws=50, prob=0.5, seed=7)
    assert first.attrs["draws"] == 50
    assert first.attrs["seed"] == 7
    assert first.attrs["interval"] == "50 % equal-tailed interval"
    bad = int((first["words"] != FITS).sum())
    assert first.attrs["note"].startswith(f"{bad} of {len(first)} checks lie beyond 0.01 or 0.99")
    pd.testing.assert_frame_equal(first, bml.posterior_checks(fit, draws=50, prob=0.5, seed=7))
    again = bml.posterior_checks(fit, draws=50)
    assert again.attrs["seed"] != bml.posterior_checks(fit, draws=50).attrs["seed"]
    # 99 draws of one chain: no more can be replicated.
    assert bml.posterior_checks(fit, draws=1000, seed=1).attrs["draws"] == 99


def test_a_model_without_groupings(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(9)
    table = pd.DataFrame({"y": rng.normal(size=50), "x": rng.normal(size=50)})
    found = bml.posterior_checks(fake_fit(bml.model(table, "y ~ x")), seed=1)
    assert set(found["part"]) == {"outcome", "residuals"}
    assert set(found["units"]) == {"same"}


def test_multiple_membership_is_checked_by_weight(fake_fit: MakeFit) -> None:
    rng = np.random.default_rng(10)
    firm = rng.integers(0, 10, size=(120, 2))
    firm[:, 1] = (firm[:, 0] + 1 + rng.integers(0, 8, size=120)) % 10
    table = pd.DataFrame({"y": rng.normal(size=120), "a": firm[:, 0], "b": firm[:, 1]})
    table["v"], table["w"] = 0.7, 0.3
    model = bml.multiple_membership(
        table, "y ~ 1", members=["a", "b"], weights=["v", "w"], name="firm"
    )
    fit = fake_fit(model, draws=20)
    at = bml.posterior_checks(fit, seed=1).set_index(["part", "statistic"])["observed"]
    weights = np.zeros((10, 120))
    weights[firm[:, 0], np.arange(120)] = 0.7
    weights[firm[:, 1], np.arange(120)] = 0.3
    means = weights @ table["y"].to_numpy() / weights.sum(axis=1)
    assert at["firm", "largest unit mean"] == pytest.approx(means.max())
    # The residual of a row takes both units' effects by weight.
    post = fit.posterior
    u = post["u_firm"].values[..., 0].reshape(40, 10)
    mean = post["beta"].values.reshape(40, 1) + u @ weights
    r = (table["y"].to_numpy() - mean) / post["sigma"].values.reshape(40, 1)
    assert at["residuals", "largest residual"] == pytest.approx(np.abs(r).max(axis=1).mean())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"draws": 0}, r"draws is 0\. Give a whole number from 1 up"),
        ({"draws": True}, r"draws is True"),
        ({"draws": 2.5}, r"draws is 2\.5"),
        ({"seed": -1}, r"seed is -1\. Give a whole number from 0 up, or None"),
        ({"seed": "a"}, r"seed is 'a'"),
        ({"prob": 89}, r"prob is 89"),
    ],
)
def test_wrong_arguments_are_refused(
    arguments: dict[str, object], words: str, fake_fit: MakeFit
) -> None:
    fit, _, _ = truth("gaussian", fake_fit)
    with pytest.raises(FitError, match=words):
        bml.posterior_checks(fit, **arguments)
    with pytest.raises(FitError, match=words):
        bml.unit_checks(fit, "g", **arguments)


def test_a_fit_without_rows_is_refused(fake_fit: MakeFit, tmp_path: object) -> None:
    fit, _, _ = truth("gaussian", fake_fit)
    path = fit.save(f"{tmp_path}/fit.nc", data=False)
    for check in (
        bml.posterior_checks,
        bml.residuals,
        lambda fit: bml.unit_checks(fit, "g"),
        lambda fit: bml.residuals(fit, "g"),
    ):
        with pytest.raises(FitError, match=r"A check of the rows needs the rows of the table"):
            check(bml.load(path))


# Unit by unit


def test_units_are_checked_one_by_one(fake_fit: MakeFit) -> None:
    fit, fixed, draw = truth("gaussian", fake_fit)
    effects = np.linspace(-1, 1, UNITS)
    y = draw(np.random.default_rng(11), effects)
    y[:SIZE] += 3
    data = with_rows(fit, y, effects[:, None])
    table = bml.unit_checks(data, "g", draws=99, seed=1)
    assert list(table["unit"]) == [*range(UNITS)] * 2
    assert list(table["statistic"]) == ["mean"] * UNITS + ["SD"] * UNITS
    assert (table["rows"] == SIZE).all()
    means = y.reshape(UNITS, SIZE).mean(axis=1)
    assert table["observed"][:UNITS].to_numpy() == pytest.approx(means)
    assert table["observed"][UNITS:].to_numpy() == pytest.approx(
        y.reshape(UNITS, SIZE).std(axis=1, ddof=1)
    )
    expected = fixed.reshape(UNITS, SIZE).mean(axis=1) + effects
    error = 4 * 0.9 / np.sqrt(10 * 99)
    assert table["replicated"][:UNITS].to_numpy() == pytest.approx(expected, abs=error)
    assert table.loc[0, "p_value"] < 0.01
    assert (table.loc[1 : UNITS - 1, "p_value"] > 0.01).sum() >= UNITS - 2
    assert table.attrs["units"] == "same"
    # New units are spread around X beta alone, far more widely.
    new = bml.unit_checks(data, "g", draws=99, seed=1, units="new")
    width = (new["upper"] - new["lower"])[:UNITS].mean()
    assert width == pytest.approx(2 * 1.598 * np.sqrt(0.49 + 0.081), rel=0.1)
    assert new.attrs["units"] == "new"


def test_unit_sds_are_left_out_where_they_say_nothing(fake_fit: MakeFit) -> None:
    table = pd.DataFrame({"y": [0, 1] * 20, "g": np.repeat(range(8), 5)})
    ones = fake_fit(bml.two_level(table, "y ~ 1", group="g", family="binomial"))
    assert set(bml.unit_checks(ones, "g", seed=1)["statistic"]) == {"mean"}
    table = pd.DataFrame({"y": np.arange(9.0), "g": [0, 1, 1, 2, 2, 3, 3, 4, 4]})
    found = bml.unit_checks(fake_fit(bml.two_level(table, "y ~ 1", group="g")), "g", seed=1)
    assert list(found.loc[found["statistic"] == "SD", "unit"]) == [1, 2, 3, 4]


def test_wrong_units_are_refused(fake_fit: MakeFit) -> None:
    fit, _, _ = truth("gaussian", fake_fit)
    with pytest.raises(FitError, match=r"units is 'old'\. Allowed: 'same', 'new'"):
        bml.unit_checks(fit, "g", units="old")
    with pytest.raises(FitError, match=r"'h' is not a grouping of this model"):
        bml.unit_checks(fit, "h")
    table = pd.DataFrame({"y": np.arange(20.0), "x": np.arange(20.0) % 7})
    with pytest.raises(FitError, match=r"'g' is not a grouping of this model\. The model has none"):
        bml.unit_checks(fake_fit(bml.model(table, "y ~ x")), "g")


# Real fits


@pytest.mark.sampling
def test_real_fits(exam_fit: Fit, ticks_fit: Fit, attitudes_fit: Fit) -> None:
    exam = bml.posterior_checks(exam_fit, seed=1).set_index(["part", "statistic"])
    assert exam["p_value"].between(0.001, 0.999).mean() > 0.8
    assert exam.loc[("outcome", "mean"), "words"] == FITS
    # An effect per row takes up the overdispersion of the ticks.
    ticks = bml.posterior_checks(ticks_fit, seed=1).set_index(["part", "statistic"])
    assert ticks.loc[("residuals", "dispersion"), "words"] == FITS
    assert ticks.loc[("outcome", "share of zeros"), "words"] == FITS
    attitudes = bml.posterior_checks(attitudes_fit, seed=1)
    shares = attitudes[attitudes["statistic"].str.startswith("share of category")]
    assert len(shares) == len(attitudes_fit.facts.categories)
    assert (shares["words"] == FITS).all()
