"""Prior draws have the distributions that the model says, and the labels of the posterior."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesml as bml
from bayesml.errors import FitError
from bayesml.records import prior_draws
from bayesml.records.prior_draws import parameter_draws, prior_predictive
from bayesml.specs.distributions import parse_prior

# With fixed seeds a p-value below this is a wrong distribution, not bad luck.
UNLIKELY = 1e-4


# The tables here cross every area with every school, of which a model warns.
pytestmark = pytest.mark.filterwarnings("ignore::bayesml.errors.BayesmlWarning")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    rows = 120
    number = np.arange(rows)
    first = rng.permutation(number % 7)
    return pd.DataFrame(
        {
            "school": np.array(["Ash", "Elm", "Fir", "Oak", "Yew", "Box"])[number % 6],
            "area": rng.permutation(number % 5),
            "first": first,
            "second": (first + 1) % 7,
            "x": rng.normal(2.0, 1.5, rows),
            "z": rng.normal(0.0, 0.5, rows),
            "score": rng.normal(10.0, 3.0, rows),
            "passed": rng.integers(0, 2, rows),
            "items": rng.integers(2, 9, rows),
            "correct": rng.integers(0, 3, rows),
            "days": rng.uniform(0.5, 3.0, rows),
            "events": rng.poisson(2.0, rows),
            "grade": rng.integers(1, 5, rows),
        }
    )


Maker = Callable[[pd.DataFrame], bml.Model]
MODELS: dict[str, Maker] = {
    "two level": lambda t: bml.two_level(t, "score ~ x", group="school", slopes=["x"]),
    "two level, blocks": lambda t: bml.model(t, "score ~ x + (x | school) + (0 + z | school)"),
    "uncorrelated, no intercept": lambda t: bml.model(t, "score ~ 0 + x + (x || school)"),
    "three level, trials": lambda t: bml.three_level(
        t, "correct ~ x", groups=["school", "area"], family="binomial", trials="items"
    ),
    "crossed, probit": lambda t: bml.cross_classified(
        t, "passed ~ 1", groups=["school", "area"], family="binomial", link="probit"
    ),
    "multiple membership, counts": lambda t: bml.multiple_membership(
        t, "events ~ x", members=["first", "second"], slopes=["x"], family="poisson",
        exposure="days",
    ),
    "multiple membership": lambda t: bml.multiple_membership(
        t, "score ~ x", members=["first", "second"], slopes=["x"]
    ),
    "ordinal": lambda t: bml.two_level(t, "grade ~ x", group="school", family="ordinal"),
    "ordinal, no predictor": lambda t: bml.two_level(
        t, "grade ~ 1", group="school", family="ordinal"
    ),
    "mlwin": lambda t: bml.two_level(t, "score ~ x", group="school", priors="mlwin"),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_names_dims_and_labels_are_those_of_the_posterior(
    name: str, table: pd.DataFrame, fake_fit: Callable[..., bml.Fit]
) -> None:
    model = MODELS[name](table)
    tree = model.prior_predictive(draws=20, seed=1)
    posterior = fake_fit(model, draws=20, chains=1).data["posterior"].to_dataset()
    prior = tree["prior"].to_dataset()
    assert list(prior.data_vars) == list(posterior.data_vars)
    for variable in posterior.data_vars:
        assert prior[variable].dims == posterior[variable].dims
        assert prior[variable].shape == posterior[variable].shape
        assert np.isfinite(prior[variable]).all()
    for dim in posterior.coords:
        assert prior[dim].to_numpy().tolist() == posterior[dim].to_numpy().tolist()


@pytest.mark.parametrize("name", MODELS)
def test_outcomes_are_of_the_observed_kind(name: str, table: pd.DataFrame) -> None:
    model = MODELS[name](table)
    tree = model.prior_predictive(draws=30, seed=2)
    response = model.resolved.response
    drawn = tree["prior_predictive"][response]
    assert drawn.dims == ("chain", "draw", "obs")
    assert drawn.dtype == tree["observed_data"][response].dtype
    assert drawn.obs.to_numpy().tolist() == model.coords["obs"]
    values = drawn.to_numpy()
    if model.resolved.trials:
        assert ((values >= 0) & (values <= table["items"].to_numpy())).all()
    elif model.spec.family == "binomial":
        assert set(np.unique(values)) == {0, 1}
    elif model.spec.family == "ordinal":
        assert set(np.unique(values)) == {0, 1, 2, 3}


def test_a_seed_is_recorded_and_gives_the_same_draws(table: pd.DataFrame) -> None:
    model = MODELS["two level"](table)
    first = prior_predictive(model, draws=5)
    again = prior_predictive(model, draws=5, seed=first.attrs["seed"])
    assert first.identical(again)
    other = prior_predictive(model, draws=5, seed=first.attrs["seed"] + 1)
    assert not np.array_equal(first["prior"]["beta"], other["prior"]["beta"])


def test_blocks_change_nothing_but_memory(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Outcomes are drawn row by row of a block, so the stream of random numbers is the same.
    model = MODELS["multiple membership, counts"](table)
    whole = prior_predictive(model, draws=7, seed=4)
    monkeypatch.setattr(prior_draws, "_BLOCK", 2 * 2 * len(table))
    assert prior_predictive(model, draws=7, seed=4).identical(whole)


@pytest.mark.parametrize(
    ("draws", "seed", "said"),
    [(0, 1, "draws is 0"), (2.5, 1, "draws is 2.5"), (True, 1, "draws is True"),
     (5, -1, "seed is -1"), (5, "a", "seed is 'a'")],
)  # fmt: skip
def test_impossible_arguments(draws: int, seed: int, said: str, table: pd.DataFrame) -> None:
    with pytest.raises(FitError, match=said):
        prior_predictive(MODELS["two level"](table), draws=draws, seed=seed)


# Distributions


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("HalfNormal(2)", stats.halfnorm(scale=2)),
        ("HalfStudentT(4, 2)", stats.foldnorm),  # no SciPy name: see below
        ("HalfCauchy(1.5)", stats.halfcauchy(scale=1.5)),
        ("Exponential(0.5)", stats.expon(scale=2)),
        ("Gamma(2, 0.5)", stats.gamma(2, scale=2)),
        ("InverseGamma(3, 2)", stats.invgamma(3, scale=2)),
        ("LogNormal(0.5, 0.3)", stats.lognorm(0.3, scale=np.exp(0.5))),
        ("Uniform(1, 3)", stats.uniform(1, 2)),
        ("pc(2, 0.1)", stats.expon(scale=2 / np.log(10))),
    ],
)
def test_draws_of_a_standard_deviation_follow_its_prior(
    text: str, reference: stats.rv_continuous, table: pd.DataFrame
) -> None:
    model = bml.two_level(table, "score ~ 1", group="school", priors={"sd_school": text})
    draws = parameter_draws(model.resolved, np.random.default_rng(9), 3000)["sd_school"][:, 0]
    if text.startswith("HalfStudentT"):
        # The square of a Student-t is an F variable.
        found = stats.kstest((draws / 2) ** 2, stats.f(1, 4).cdf)
    else:
        found = stats.kstest(draws, reference.cdf)
    assert found.pvalue > UNLIKELY


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("Normal(1, 2)", stats.norm(1, 2)),
        ("StudentT(5, 1, 2)", stats.t(5, 1, 2)),
        ("Cauchy(1, 2)", stats.cauchy(1, 2)),
        ("Laplace(1, 2)", stats.laplace(1, 2)),
    ],
)
def test_draws_of_coefficients_follow_their_priors(
    text: str, reference: stats.rv_continuous, table: pd.DataFrame
) -> None:
    priors = {"Intercept": text, "beta[x]": text}
    model = bml.two_level(table, "score ~ x", group="school", priors=priors)
    draws = parameter_draws(model.resolved, np.random.default_rng(10), 3000)
    for values in (draws["intercept"], draws["slopes"][:, 0]):
        assert stats.kstest(values, reference.cdf).pvalue > UNLIKELY


def test_cutpoints_are_order_statistics(table: pd.DataFrame) -> None:
    priors = {"cutpoints": "Normal(0, 1)"}
    model = bml.two_level(table, "grade ~ 1", group="school", family="ordinal", priors=priors)
    draws = parameter_draws(model.resolved, np.random.default_rng(11), 4000)["cutpoints"]
    # The k-th of three independent values: its probability is Beta(k, 4 - k).
    for k in (1, 2, 3):
        found = stats.kstest(stats.norm.cdf(draws[:, k - 1]), stats.beta(k, 4 - k).cdf)
        assert found.pvalue > UNLIKELY


def test_the_intercept_and_cutpoints_are_reported_at_zero(table: pd.DataFrame) -> None:
    mean = table["x"].mean()
    tree = prior_predictive(MODELS["two level"](table), draws=4000, seed=5)
    beta = tree["prior"]["beta"].to_numpy()[0]
    prior = parse_prior(f"Normal({table['score'].mean()}, {2.5 * table['score'].std()})", "real")
    assert stats.kstest(beta @ [1, mean], prior.frozen.cdf).pvalue > UNLIKELY
    tree = prior_predictive(MODELS["ordinal"](table), draws=4000, seed=5)
    slope = tree["prior"]["beta"].to_numpy()[0, :, 0]
    cutpoints = tree["prior"]["cutpoints"].to_numpy()[0]
    middle = stats.t(3, scale=2.5).cdf(cutpoints[:, 1] - mean * slope)
    assert stats.kstest(middle, stats.beta(2, 2).cdf).pvalue > UNLIKELY


def test_effects_have_the_covariance_of_their_draw(table: pd.DataFrame) -> None:
    priors = {"sd_school": "Uniform(1, 2)", "corr_school": "LKJ(1)"}
    model = bml.two_level(table, "score ~ x", group="school", slopes=["x"], priors=priors)
    prior = prior_predictive(model, draws=4000, seed=6)["prior"]
    sd, corr = prior["sd_school"].to_numpy()[0], prior["corr_school"].to_numpy()[0]
    u = prior["u_school"].to_numpy()[0]
    factor = np.linalg.cholesky(sd[:, :, None] * corr * sd[:, None, :])
    # Whitened by its own covariance every effect is standard normal, and independent.
    white = np.linalg.solve(factor, u.swapaxes(1, 2))
    assert stats.kstest(white.ravel(), stats.norm.cdf).pvalue > UNLIKELY
    assert abs(np.corrcoef(white[:, 0].ravel(), white[:, 1].ravel())[0, 1]) < 4 / np.sqrt(24_000)


# Against PyMC: the generated source draws the same


@pytest.fixture
def _without_compiler() -> Iterator[None]:
    import pytensor
    from pytensor.compile.mode import Mode

    with pytensor.config.change_flags(cxx="", mode=Mode(linker="py", optimizer=None)):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("_without_compiler")
@pytest.mark.parametrize("name", ["two level", "two level, blocks", "multiple membership"])
def test_pymc_draws_from_the_same_priors(name: str, table: pd.DataFrame) -> None:
    import pymc as pm

    model = MODELS[name](table)
    tree = model.prior_predictive(draws=2000, seed=7)
    names = [*model.resolved.posterior_names, model.resolved.response]
    built = model.to_pymc()
    theirs = pm.draw([built[name] for name in names], draws=2000, random_seed=7)
    ours = {**tree["prior"].data_vars, **tree["prior_predictive"].data_vars}
    for variable, values in zip(names, theirs, strict=True):
        own = ours[variable].to_numpy()[0].reshape(2000, -1)
        values = np.asarray(values).reshape(2000, -1)
        for column in range(0, own.shape[1], max(1, own.shape[1] // 10)):
            if np.ptp(own[:, column]) == 0 and np.ptp(values[:, column]) == 0:
                continue  # the diagonal of a correlation matrix, and terms of other blocks
            found = stats.ks_2samp(own[:, column], values[:, column])
            assert found.pvalue > UNLIKELY, (variable, column)
