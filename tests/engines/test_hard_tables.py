"""Tables on which doubles lose digits: sixty-digit arithmetic, rescaled twins, posteriors.

`exact_gaussian` computes the references with mpmath; `hard_tables` holds the small tables.
"""

from functools import cache
from typing import Any

import arviz as az
import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.engines.marginal_models import MarginalModel, NotMarginal, marginal_model
from bayesml.engines.mode_starts import starting_point
from bayesml.engines.posterior_modes import posterior_mode
from tests.engines.exact_gaussian import HardTable, Part, exact_criterion, exact_density
from tests.engines.gaussian_cases import density_and_gradient
from tests.engines.hard_tables import HARD, UNITS, simulated

pytestmark = pytest.mark.sampling  # the kernels are compiled by numba, and sampled from

EPS = float(np.finfo(float).eps)
# Without an intercept the outcome is not centred, and y'y drowns what is left of it once groups
# or slopes are taken out.
DROWNED = {
    "no intercept, outcome of mean 1e6",
    "no intercept, x of mean 1e6",
}


@cache
def engine(name: str) -> tuple[MarginalModel, np.ndarray]:
    """Return the engine's model of a hard table, and its mode."""
    model = HARD[name].model
    found = marginal_model(model.resolved, model.design)
    start = starting_point(found)
    return found, posterior_mode(start, lambda theta: density_and_gradient(found, theta)).centre


def digits_lost(name: str, theta: np.ndarray) -> float:
    """The error that rounding y'y alone makes in the density: eps y'y / sigma^2, four times.

    Sigma is that of the point: where it is smaller than at the mode, more digits go.
    """
    found, _ = engine(name)
    outcome = found.standardised.fixed[:, -1]
    place = len(found.density.term_scale) + len(found.density.correlation_power)
    return float(4 * EPS * (outcome @ outcome) / np.exp(2 * theta[place]))


@pytest.mark.parametrize("name", [name for name in HARD if name not in DROWNED])
@pytest.mark.parametrize("point", range(3))
def test_density_and_gradient_in_sixty_digits(name: str, point: int) -> None:
    """Right to 1e-9, or as nearly as the sum of squares can be known; that is tested below."""
    found, mode = engine(name)
    random = np.random.default_rng(point)
    theta = mode + (random.normal(0, 0.5, len(mode)) if point else 0.0)
    value, gradient = density_and_gradient(found, theta)
    exact, slopes = exact_density(HARD[name], theta)
    allowed = max(1e-9, 3 * digits_lost(name, theta))
    assert abs(float(value - exact)) < allowed * max(1.0, abs(float(exact)) * 1e-3)
    for ours, true in zip(gradient, slopes, strict=True):
        assert abs(float(ours - true)) < 3 * allowed * max(1.0, abs(float(true)))


@pytest.mark.parametrize("name", [name for name in HARD if name not in DROWNED])
def test_no_density_is_lost_in_rounding(name: str) -> None:
    """An error of 5e-4 in the log-density changes no posterior; more is refused below."""
    found, mode = engine(name)
    value, _ = density_and_gradient(found, mode)
    assert abs(float(value - exact_density(HARD[name], mode)[0])) < 5e-4


@pytest.mark.parametrize("name", sorted(DROWNED))
def test_what_would_be_lost_is_refused(name: str) -> None:
    model = HARD[name].model
    words = "the outcome is so large beside what predictors and units leave of it"
    with pytest.raises(NotMarginal, match=words):
        marginal_model(model.resolved, model.design)
    with pytest.raises(bml.FitError, match=f"cannot take this model: {words}"):
        model.fit(engine="marginal")
    for fit in (bml.reml, bml.ml):
        with pytest.raises(bml.FitError, match="Subtract a constant from the outcome"):
            fit(model)


def estimates(fit: Any, hard: HardTable) -> tuple[list[list[float]], list[float], float]:
    """Return SDs and correlation by part, and sigma, from the table that users get."""
    table = fit.variance_components
    sds, corrs = [], []
    for part in hard.parts:
        own = table[table["grouping"] == part.column]
        sds.append(list(own.loc[own["parameter"] == "sd", "estimate"]))
        corr = own.loc[own["parameter"] == "corr", "estimate"]
        # Beside an SD of 0 there is no correlation, and none is needed.
        corrs.append(float(np.nan_to_num(corr.iloc[0])) if len(corr) else 0.0)
    return sds, corrs, float(table["estimate"].iloc[-1])


@pytest.mark.parametrize("restricted", [True, False], ids=["reml", "ml"])
@pytest.mark.parametrize("name", [name for name in HARD if name not in DROWNED])
def test_criterion_in_sixty_digits(name: str, restricted: bool) -> None:
    hard = HARD[name]
    fit = (bml.reml if restricted else bml.ml)(hard.model)
    sds, corrs, sigma = estimates(fit, hard)
    exact, beta = exact_criterion(hard, sds, corrs, sigma, restricted)
    # A correlation next to -1 is reported in doubles: at x = 1e6 its last digit is worth 1e-3.
    allowed = max(1e-8, 3 * digits_lost(name, engine(name)[1]))
    if name == "x of mean 1e6, varying":
        allowed = 2e-3
    assert fit.criterion == pytest.approx(float(exact), abs=allowed)
    found = fit.coefficients["estimate"].to_numpy()
    np.testing.assert_allclose(found, [float(b) for b in beta], rtol=max(1e-9, 10 * allowed))


# Twins: the same data in other units


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_reml_of_a_rescaled_twin(scale: float) -> None:
    table = simulated(2)
    twin = table.assign(x=table["x"] * scale)
    one, other = (bml.reml(bml.model(frame, "y1 ~ x + (x | school)")) for frame in (table, twin))
    # |X' V^-1 X| has the square of the slope's scale.
    assert other.criterion == pytest.approx(one.criterion + 2 * np.log(scale), abs=1e-6)
    first, second = one.variance_components, other.variance_components
    ratio = second["estimate"].to_numpy() / first["estimate"].to_numpy()
    np.testing.assert_allclose(ratio, [1, 1 / scale, 1, 1], rtol=1e-4)


def test_reml_of_a_shifted_outcome() -> None:
    table = simulated(1)
    one, other = (
        bml.reml(bml.model(frame, "y1 ~ x + (x | school)"))
        for frame in (table, table.assign(y1=table["y1"] + 1e6))
    )
    assert other.criterion == pytest.approx(one.criterion, abs=1e-6)
    np.testing.assert_allclose(
        one.variance_components["estimate"], other.variance_components["estimate"], rtol=1e-4
    )
    assert other.coefficients["estimate"][0] - one.coefficients["estimate"][0] == pytest.approx(
        1e6, abs=1e-5
    )


@pytest.mark.parametrize("restricted", [True, False], ids=["reml", "ml"])
@pytest.mark.parametrize("name", ["years from 2000 to 2020", "x of mean 1e6, varying"])
def test_a_term_far_from_zero_has_the_criterion_of_its_centred_twin(
    name: str, restricted: bool
) -> None:
    """A full covariance of intercept and slope is one family, wherever the 0 of the term is."""
    hard = HARD[name]
    centred = hard.table.assign(x=hard.table["x"] - np.round(hard.table["x"].mean()))
    fitted = bml.reml if restricted else bml.ml
    ours, twin = fitted(hard.model), fitted(bml.model(centred, hard.formula))
    assert ours.criterion == pytest.approx(twin.criterion, abs=1e-3)
    sds = [fit.variance_components["estimate"].to_numpy() for fit in (ours, twin)]
    np.testing.assert_allclose(sds[0][[1, 3]], sds[1][[1, 3]], rtol=5e-3)


# Posteriors


def kinds(found: Any) -> set[tuple[str, str]]:
    return {(item.kind, item.parameter) for item in (*found.problems, *found.advice)}


@pytest.fixture(scope="module")
def without_variation() -> pd.DataFrame:
    """Thirty schools that do not differ: every variance is within."""
    random = np.random.default_rng(31)
    school = np.repeat(np.arange(30), 8)
    noise = random.normal(0, 1, len(school))
    # The schools' means are made equal, so that the estimate is 0 for certain.
    means = np.bincount(school, noise) / 8
    return pd.DataFrame({"school": school, "y1": noise - means[school]})


def test_sd_that_is_zero(without_variation: pd.DataFrame) -> None:
    priors = {"Intercept": "Normal(0, 5)", "sd_school": "HalfNormal(1)", "sigma": "HalfNormal(2)"}
    model = bml.model(without_variation, "y1 ~ 1 + (1 | school)", priors=priors)
    fit = model.fit(draws=1000, chains=4, seed=5, progress=False)
    found = bml.diagnose(fit)
    assert fit.engine == "marginal"
    assert found.ok, str(found)
    assert ("sd near 0", "sd_school[Intercept]") in kinds(found)
    # The posterior by quadrature: two parameters are left, and the density is tested elsewhere.
    engine_model = marginal_model(model.resolved, model.design)
    log_sd, log_sigma = np.linspace(-14, 1, 400), np.linspace(-0.4, 0.3, 80)
    density = np.array(
        [
            [density_and_gradient(engine_model, np.array([a, b]))[0] for b in log_sigma]
            for a in log_sd
        ]
    )
    share = np.exp(density - density.max()).sum(axis=1)
    below = np.cumsum(share) / share.sum()
    draws = np.log(fit.posterior["sd_school"].values.ravel())
    for level in (-6.0, -4.0, -3.0, -2.0, -1.5):
        expected = np.interp(level, log_sd, below)
        assert (draws < level).mean() == pytest.approx(expected, abs=0.03)
    estimate = bml.reml(model)
    assert estimate.singular
    assert estimate.variance_components["estimate"][0] < 1e-4
    assert "the SD of 'Intercept' over the units of 'school' is 0" in str(estimate)


def test_correlation_of_minus_one() -> None:
    table = simulated(32, units=np.repeat(np.arange(60), 12), sds=(0.8, 0.8), corr=-1.0, sigma=0.5)
    model = bml.model(table, "y1 ~ x + (x | school)")
    estimate = bml.reml(model)
    corr = estimate.variance_components.set_index("parameter")["estimate"]["corr"]
    assert corr < -0.97
    fit = model.fit(draws=1000, chains=4, seed=5, progress=False)
    found = bml.diagnose(fit)
    assert found.ok, str(found)
    draws = fit.posterior["corr_school"].values[:, :, 0, 1]
    assert np.median(draws) < -0.95
    assert draws.min() >= -1
    assert ("correlation near -1 or 1", "corr_school[Intercept, x]") in kinds(found)
    assert not fit.sample_stats["diverging"].values.any()


def test_group_sd_ten_thousand_times_the_residuals() -> None:
    hard = HARD["group SD 1e4 times the residual's"]
    fit = hard.model.fit(draws=1000, chains=4, seed=5, progress=False)
    assert bml.diagnose(fit).ok, str(bml.diagnose(fit))
    estimate = bml.reml(hard.model).variance_components["estimate"]
    for name, place, expected in (("sd_school", 0, estimate[0]), ("sd_school", 1, estimate[1])):
        draws = fit.posterior[name].values[:, :, place]
        assert 0.6 < np.median(draws) / expected < 1.7
    # Thirty-two degrees of freedom remain: the residual SD is known to an eighth.
    assert np.median(fit.posterior["sigma"]) == pytest.approx(estimate.iloc[-1], rel=0.1)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_posterior_of_a_rescaled_twin(scale: float) -> None:
    table = simulated(2)
    found = []
    for factor in (1.0, scale):
        hard = HardTable(
            table.assign(x=table["x"] * factor),
            [Part("school", ("1", "x"), (2.0, 2.0 / factor))],
            sigma=2.0,
            slopes={"x": 2.0 / factor},
        )
        fit = hard.model.fit(draws=1000, chains=4, seed=5, progress=False)
        assert bml.diagnose(fit).ok
        draws = fit.posterior
        found.append(
            np.stack(
                [
                    np.log(draws["sd_school"].values[:, :, 0]),
                    np.log(draws["sd_school"].values[:, :, 1] * factor),
                    draws["corr_school"].values[:, :, 0, 1],
                    np.log(draws["sigma"].values),
                    draws["beta"].values[:, :, 1] * factor,
                ],
                axis=2,
            )
        )
    for place in range(5):
        one, other = (item[:, :, place] for item in found)
        # Four standard errors of a difference, with at least 600 independent draws each.
        error = 4 * one.std() * np.sqrt(2 / 600)
        assert other.mean() == pytest.approx(one.mean(), abs=error)
        assert other.std() == pytest.approx(one.std(), rel=0.2)


def test_years_that_are_not_centred_are_named() -> None:
    """What chains may miss, the model says when it is made."""
    for name in ("years from 2000 to 2020", "x of mean 1e6, varying"):
        hard = HARD[name]
        assert any("Chains may miss parts" in note for note in hard.model.notes)
        with pytest.warns(bml.BayesmlWarning, match="'x' of 'school' is far from 0"):
            bml.model(hard.table, hard.formula)


@pytest.mark.parametrize("seed", [5, 6])
def test_two_modes_of_years_that_are_not_centred(seed: int) -> None:
    """The SD at the year 0 and LKJ(2) split the posterior, and every chain visits both parts."""
    hard = HARD["years from 2000 to 2020"]
    fit = hard.model.fit(draws=1000, chains=4, seed=seed, progress=False)
    assert "because it has 2 modes, and every chain visits all of them" in fit.engine_reason
    found = bml.diagnose(fit)
    assert found.ok, str(found)
    # By importance sampling from a mixture of Student-t at both modes, 60,000 points: 0.19. Four
    # standard errors with 1,500 independent draws, of a chain with 300
    share = (fit.posterior["sd_school"].values[:, :, 1] > 0.05).astype(float)
    assert float(az.ess(share)) > 1500
    assert share.mean() == pytest.approx(0.19, abs=0.04)
    assert (np.abs(share.mean(axis=1) - 0.19) < 0.09).all()


def test_units_are_what_the_tables_say() -> None:
    """Nine of ten rows in one unit, and half of the units with one row."""
    sizes = HARD["one unit with 90 % of the rows"].table["school"].value_counts()
    assert sizes.iloc[0] / sizes.sum() == 0.9
    sizes = HARD["half the units singletons"].table["school"].value_counts()
    assert (sizes == 1).sum() == 5
    assert len(sizes) == 10
    assert len(np.unique(UNITS)) == 8
