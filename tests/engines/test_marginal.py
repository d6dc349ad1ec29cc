"""The marginal engine: which models it takes, and what a fit of it is like."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import bayesml as bml
from bayesml.engines import independence, marginal
from bayesml.engines.chains import ChainDraws
from bayesml.engines.independence import Proposal, find_proposal, sample_independently
from bayesml.engines.marginal import find_mode, sample_marginal
from bayesml.engines.marginal_models import MarginalModel, marginal_model, reason_against
from bayesml.engines.mixtures import mixture_around
from bayesml.engines.posterior_modes import PosteriorMode, posterior_modes
from bayesml.engines.progress import ProgressDisplay
from bayesml.engines.thinning import no_thinning
from bayesml.errors import FitError
from bayesml.records.engine_choice import choose_engine
from bayesml.records.fits import Fit
from tests.engines.gaussian_cases import CASES, Dense, model_of, small_table

# The kernels are compiled once in a fresh clone.
pytestmark = pytest.mark.sampling

MakeFit = Callable[..., Fit]
SHORT: dict[str, Any] = {"draws": 40, "tune": 60, "progress": False}


@cache
def _engine(name: str) -> MarginalModel:
    model = model_of(name)
    return marginal_model(model.resolved, model.design)


def _run(name: str, **changes: Any) -> list[ChainDraws]:
    asked: dict[str, Any] = {"chains": [0], "seed": 3, "cores": 1, "target_accept": 0.9}
    return sample_marginal(_engine(name), **(asked | SHORT | changes))[0]


def _same(one: ChainDraws, other: ChainDraws) -> None:
    assert list(one.posterior) == list(other.posterior)
    for group in ("posterior", "sample_stats"):
        for name, values in getattr(one, group).items():
            np.testing.assert_array_equal(values, getattr(other, group)[name])


def _independent(
    name: str, chains: Sequence[int] = (0,), seed: int = 3, **changes: Any
) -> list[ChainDraws]:
    engine = _engine(name)
    proposal = find_proposal(engine, find_mode(engine), seed)
    asked: dict[str, Any] = {"draws": 40, "tune": 60, "cores": 1, "progress": ProgressDisplay()}
    return sample_independently(engine, proposal, chains=chains, seed=seed, **(asked | changes))


SAMPLERS = pytest.mark.parametrize("sampler", [_run, _independent], ids=["NUTS", "independence"])


# Chains


@SAMPLERS
def test_a_chain_depends_on_the_seed_and_its_number_only(sampler: Callable[..., Any]) -> None:
    three = sampler("nested", chains=[0, 1, 2], cores=2)
    assert [chain.chain for chain in three] == [0, 1, 2]
    (alone,) = sampler("nested", chains=[2], cores=1)
    _same(three[2], alone)
    (again,) = sampler("nested", chains=[1])
    _same(three[1], again)
    assert not np.isclose(three[0].posterior["sigma"], three[1].posterior["sigma"]).all()
    (other,) = sampler("nested", chains=[0], seed=4)
    assert not np.isclose(three[0].posterior["sigma"], other.posterior["sigma"]).all()


@SAMPLERS
def test_chains_have_the_shapes_of_the_posterior(sampler: Callable[..., Any]) -> None:
    seen: list[ChainDraws] = []
    found = sampler("members with a slope, in schools", chains=[0, 1], on_finished=seen.append)
    model = model_of("members with a slope, in schools")
    firms, schools = (len(model.coords[name]) for name in ("firm", "school"))
    assert {name: values.shape for name, values in found[0].posterior.items()} == {
        "beta": (40, 2),
        "sd_firm": (40, 2),
        "corr_firm": (40, 2, 2),
        "sd_school": (40, 1),
        "sigma": (40,),
        "u_firm": (40, firms, 2),
        "u_school": (40, schools, 1),
    }
    assert {chain.chain for chain in seen} == {0, 1}
    for chain in found:
        assert chain.complete
        assert chain.draws == 40
        assert chain.tune == 60
        assert all(np.isfinite(values).all() for values in chain.posterior.values())
        assert {"lp", "acceptance_rate"} <= set(chain.sample_stats)
        assert all(len(values) == 40 for values in chain.sample_stats.values())


def test_the_density_that_is_kept_is_that_of_the_draws() -> None:
    from tests.engines.gaussian_cases import density_and_gradient

    for found in (_run("crossed"), _independent("crossed")):
        (chain,) = found
        sds = np.column_stack([chain.posterior["sd_school"], chain.posterior["sd_area"]])
        angle = np.arctanh(chain.posterior["corr_area"][:, 0, 1])
        thetas = np.column_stack([np.log(sds), angle, np.log(chain.posterior["sigma"])])
        expected = [density_and_gradient(_engine("crossed"), theta)[0] for theta in thetas]
        # nutpie's coordinates are shifted and scaled, which adds a constant
        apart = chain.sample_stats["lp"] - np.array(expected)
        np.testing.assert_allclose(apart, apart[0], atol=1e-6)


# The independence sampler


def _summaries(chains: Sequence[ChainDraws], name: str) -> np.ndarray:
    """Every scalar of the chains, shape (chains, draws, scalars)."""
    model = model_of(name)
    return np.stack(
        [
            np.column_stack(
                [
                    chain.posterior[variable].reshape(chain.draws, -1)
                    for variable in model.resolved.posterior_names
                    if not variable.startswith("corr_")
                ]
            )
            for chain in chains
        ]
    )


@pytest.mark.parametrize("name", ["intercepts only", "slopes are sampled", "members"])
def test_the_independence_sampler_agrees_with_nuts(name: str) -> None:
    many: dict[str, Any] = {"chains": range(4), "draws": 1000, "tune": 500}
    ours = _summaries(_independent(name, **many), name)
    nuts = _summaries(_run(name, **many), name)
    for i in range(ours.shape[2]):
        one, other = ours[:, :, i], nuts[:, :, i]
        error = np.hypot(float(az.mcse(one)), float(az.mcse(other)))
        # Some thirty scalars with seeds fixed: 4.5 standard errors
        assert abs(one.mean() - other.mean()) < 4.5 * error
        assert one.std() == pytest.approx(other.std(), rel=0.15)
        assert float(az.rhat(one)) < 1.02


def test_acceptance_is_high_where_the_proposal_fits() -> None:
    engine = _engine("intercepts only")
    proposal = find_proposal(engine, find_mode(engine), 3)
    assert 0.4 < proposal.efficiency <= 1
    (chain,) = _independent("intercepts only", draws=500)
    accepted = chain.sample_stats["acceptance_rate"]
    assert ((accepted >= 0) & (accepted <= 1)).all()
    assert accepted.mean() > 0.5
    # A rejected proposal repeats theta, but coefficients and effects are drawn anew
    stays = np.flatnonzero(np.diff(chain.posterior["sigma"]) == 0)
    assert len(stays) > 0
    moves = np.abs(np.diff(chain.posterior["u_school"], axis=0))[stays]
    assert moves.min() > 0
    assert np.abs(np.diff(chain.posterior["beta"], axis=0))[stays].min() > 0


def test_a_narrow_proposal_is_found_poor() -> None:
    engine = _engine("nested")
    mode = find_mode(engine)
    far = dataclasses.replace(mode, centre=mode.centre + 8, spread=mode.spread * 0.01)
    assert find_proposal(engine, far, 1).efficiency < independence.POOR


def test_a_slow_density_is_drawn_by_independent_proposals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marginal, "SLOW", 0.0)
    fit = model_of("a slope").fit(chains=2, seed=5, **SHORT)
    assert fit.engine == "marginal"
    assert fit.engine_reason.startswith("independence sampler on the marginal density")
    accepted = float(fit.sample_stats["acceptance_rate"].mean())
    assert f"{accepted:.0%} of the proposals were accepted" in fit.engine_reason
    assert "diverging" not in fit.sample_stats
    assert bml.diagnose(fit) is not None
    assert len(bml.summary(fit)) == 6


def test_a_poor_proposal_falls_back_to_nuts_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def poor(
        model: MarginalModel,
        mode: PosteriorMode,
        seed: int,
        cores: int,
        others: Sequence[PosteriorMode],
    ) -> Proposal:
        return Proposal(mode, mixture_around([mode]), 0.034, no_thinning(len(mode.centre)))

    plain = model_of("a slope").fit(chains=1, seed=5, **SHORT)
    monkeypatch.setattr(marginal, "SLOW", 0.0)
    monkeypatch.setattr(marginal, "find_proposal", poor)
    fit = model_of("a slope").fit(chains=1, seed=5, **SHORT)
    assert fit.engine_reason.startswith("NUTS of nutpie")
    assert fit.engine_reason.endswith(
        "an independence sampler was tried first, and its proposals were worth 3% of independent "
        "draws only"
    )
    np.testing.assert_array_equal(plain.posterior["sigma"], fit.posterior["sigma"])


def test_the_matrices_of_a_chain_have_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def note(*arguments: object, **options: object) -> list[ChainDraws]:
        pools = threadpool_info()
        threads.extend(pool["num_threads"] for pool in pools if pool["user_api"] == "blas")
        return []

    def search(*arguments: Any) -> tuple[PosteriorMode, ...]:
        note()
        return posterior_modes(*arguments)

    monkeypatch.setattr(marginal, "sample_chains", note)
    monkeypatch.setattr(marginal, "posterior_modes", search)
    with threadpool_limits(2, user_api="blas"):
        _run("nested", chains=[0], cores=1, draws=10)
    assert set(threads) == {1}


# So many that a second chain cannot be over before the first one's end is seen.
@pytest.mark.parametrize(("sampler", "draws"), [("NUTS", 40), ("independence", 20_000)])
def test_an_interrupted_run_keeps_what_there_is(
    sampler: str, draws: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sampler == "independence":
        monkeypatch.setattr(marginal, "SLOW", 0.0)

    def interrupt(chain: ChainDraws) -> None:
        raise KeyboardInterrupt

    found = _run("nested", chains=[0, 1, 2], cores=1, draws=draws, on_finished=interrupt)
    assert [chain.chain for chain in found] == [0, 1, 2]
    assert found[0].complete
    assert found[0].draws == draws
    assert not found[2].complete
    for chain in found:
        assert all(len(values) == chain.draws for values in chain.posterior.values())
        assert all(len(values) == chain.draws for values in chain.sample_stats.values())
        assert list(chain.posterior) == list(model_of("nested").resolved.posterior_names)
    (alone,) = _run("nested", chains=[0], draws=draws)
    _same(found[0], alone)


def test_a_resumed_fit_has_the_draws_of_an_uninterrupted_one(tmp_path: Path) -> None:
    model = model_of("crossed")
    whole = model.fit(chains=3, seed=8, **SHORT)
    model.fit(chains=1, seed=8, parts=tmp_path, **SHORT)
    resumed = model.fit(chains=3, seed=8, parts=tmp_path, resume=True, **SHORT)
    assert resumed.engine == "marginal"
    for name in whole.posterior:
        np.testing.assert_array_equal(whole.posterior[name], resumed.posterior[name])


# The choice of the engine


def test_auto_takes_the_marginal_engine_for_gaussian_models() -> None:
    for name in CASES:
        choice = choose_engine(model_of(name), "auto")
        assert choice.name == "marginal"
        assert choice.against == ""
        assert choice.marginal is not None


def _binary() -> bml.Model:
    table = small_table().assign(passed=lambda t: (t["y"] > 2).astype(int))
    return bml.model(table, "passed ~ x + (1 | school)", family="binomial")


def _with(**priors: str) -> Callable[[], bml.Model]:
    return lambda: bml.model(small_table(), "y ~ x + (x | school)", priors=priors)


UNIFORM = "the prior Uniform(0, 3) of {} is not among those of the marginal engine"
DECLINED: list[tuple[Callable[[], bml.Model], str]] = [
    (_binary, "random effects of a binomial outcome have no exact integral"),
    (_with(sigma="Uniform(0, 3)"), UNIFORM.format("sigma")),
    (_with(sd_school="Uniform(0, 3)"), UNIFORM.format("sd_school[Intercept]")),
    (_with(**{"sd_school[Intercept]": "Uniform(0, 3)"}), UNIFORM.format("sd_school[Intercept]")),
    (_with(**{"sd_school[x]": "Uniform(0, 3)"}), UNIFORM.format("sd_school[x]")),
]


@pytest.mark.parametrize(("build", "reason"), DECLINED)
def test_what_the_marginal_engine_cannot_take(build: Callable[[], bml.Model], reason: str) -> None:
    model = build()
    assert reason_against(model.resolved) == reason
    choice = choose_engine(model, "auto")
    assert (choice.name, choice.against, choice.marginal) == ("pymc", reason, None)
    with pytest.raises(FitError) as caught:
        model.fit(engine="marginal")
    assert str(caught.value) == (
        f"The marginal engine cannot take this model: {reason}. Use engine='auto', which then "
        "samples the conditional model."
    )


def test_a_large_core_is_declined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bayesml.engines.elimination.LARGEST_CORE", 4)
    choice = choose_engine(model_of("crossed"), "auto")
    assert choice.name == "pymc"
    assert choice.against.startswith("10 random effects of 1 grouping")
    with pytest.raises(FitError, match="cannot take this model: 10 random effects"):
        model_of("crossed").fit(engine="marginal")


def test_a_declined_model_is_sampled_with_the_reason() -> None:
    model = bml.model(small_table(), "y ~ x + (1 | school)", priors={"sd_school": "Uniform(0, 3)"})
    fit = model.fit(chains=1, seed=1, **SHORT)
    assert fit.engine == "pymc"
    assert fit.engine_reason.endswith(", because " + UNIFORM.format("sd_school[Intercept]"))


def test_the_conditional_engine_on_demand() -> None:
    choice = choose_engine(model_of("a slope"), "pymc")
    assert (choice.name, choice.against) == ("pymc", "engine='pymc' was asked for")


# The fit


@pytest.mark.parametrize("name", ["three terms in two blocks", "nested", "members"])
def test_a_fit_has_the_variables_dims_and_labels_of_the_conditional_one(
    name: str, fake_fit: MakeFit, tmp_path: Path
) -> None:
    model = model_of(name)
    fit = model.fit(chains=2, seed=2, engine="marginal", **SHORT)
    assert fit.engine == "marginal"
    assert fit.engine_reason.startswith("NUTS of nutpie")
    conditional = fake_fit(model, draws=40)
    assert list(fit.posterior.data_vars) == list(conditional.posterior.data_vars)
    for variable, values in conditional.posterior.items():
        ours = fit.posterior[variable]
        assert ours.dims == values.dims
        assert ours.dtype == values.dtype
        assert ours.attrs == values.attrs
        for dim in values.dims:
            np.testing.assert_array_equal(ours[dim].values, values[dim].values)
    assert set(conditional.sample_stats) <= set(fit.sample_stats)
    fit.save(tmp_path / "fit.nc")
    loaded = bml.load(tmp_path / "fit.nc")
    assert loaded.engine == "marginal"
    assert loaded.engine_reason == fit.engine_reason
    for variable in fit.posterior:
        np.testing.assert_array_equal(fit.posterior[variable], loaded.posterior[variable])
    assert list(bml.summary(loaded).index) == list(bml.summary(conditional).index)


def test_correlations_are_correlation_matrices() -> None:
    fit = model_of("three terms in two blocks").fit(chains=1, seed=2, **SHORT)
    corr = fit.posterior["corr_school"].values[0]
    np.testing.assert_array_equal(corr, np.swapaxes(corr, 1, 2))
    np.testing.assert_array_equal(np.diagonal(corr, axis1=1, axis2=2), 1.0)
    assert (corr[:, 2, :2] == 0).all()
    assert (np.abs(corr[:, 0, 1]) < 1).all()


def test_the_posterior_of_known_variances_is_found() -> None:
    """With variances all but fixed by their priors, coefficients and effects are normal."""
    name = "intercepts only"
    model = bml.model(
        small_table(),
        CASES[name].formula,
        priors=CASES[name].all_priors
        | {"sd_school": "LogNormal(-0.5, 0.00001)", "sigma": "LogNormal(-0.4, 0.00001)"}
        | {"sd_school[Intercept]": "LogNormal(-0.5, 0.00001)"},
    )
    fit = model.fit(draws=1000, tune=300, chains=4, seed=6, progress=False)
    dense = Dense(name)
    mean, covariance = dense.effects_moments(np.array([-0.5, -0.4]), np.empty(0))
    effects = fit.posterior["u_school"].values.reshape(4000, -1)
    beta = fit.posterior["beta"].values.reshape(4000, -1)
    beta[:, 0] += beta[:, 1:] @ dense.x[:, 1:].mean(axis=0)
    draws = np.column_stack([beta, effects])
    sd = np.sqrt(np.diag(covariance))
    # 4,000 independent draws: 5 standard errors
    assert (np.abs(draws.mean(axis=0) - mean) < 5 * sd / np.sqrt(4000)).all()
    np.testing.assert_allclose(draws.std(axis=0), sd, rtol=5 / np.sqrt(8000))
