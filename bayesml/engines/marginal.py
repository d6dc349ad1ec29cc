"""The marginal engine: a Gaussian model whose random effects are integrated out exactly."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version

import numpy as np

from bayesml.engines.c_functions import data_block
from bayesml.engines.chains import ChainDraws, sample_chains
from bayesml.engines.compiled_models import CompiledModel, ParameterLayout
from bayesml.engines.effect_draws import with_effects
from bayesml.engines.independence import POOR, find_proposal, sample_independently
from bayesml.engines.marginal_functions import entry_points
from bayesml.engines.marginal_models import MarginalModel
from bayesml.engines.mode_starts import starting_points
from bayesml.engines.nutpie_model import EntryPointModel
from bayesml.engines.posterior_modes import PosteriorMode, posterior_mode, posterior_modes
from bayesml.engines.progress import progress_display
from bayesml.engines.signed_sds import log_jacobians, units_of_signed_sds, with_signs

# Where one density, unit by unit, takes longer, in seconds, independent proposals are tried before
# NUTS, which takes some ten gradients, each worth three densities, for a draw. Units side by side
# save more of NUTS's time than of the draws of their effects: with 10,000 units it still takes more
# than twice as long in all.
SLOW = 1.5e-3
# Steps of the independence sampler for a draw where a density is cheap.
STEPS = 20


def compile_marginal(
    model: MarginalModel, mode: PosteriorMode, units: np.ndarray | None = None
) -> CompiledModel:
    """Return the marginal density as a model that nutpie can sample; nothing is compiled anew.

    Parameters
    ----------
    model : MarginalModel
    mode : PosteriorMode
    units : array, shape (terms,), optional
        The units of SDs that have a sign in the coordinates of the mode; see `signed_sds`.
    """
    began = time.perf_counter()
    log_density, kept = entry_points()
    arrays = {
        **{f"plan {name}": value for name, value in model.elimination.plan._asdict().items()},
        **{
            f"density {name}": value
            for name, value in model.density._asdict().items()
            if name != "residuals"
        },
        **{f"residual {name}": v for name, v in model.density.residuals._asdict().items()},
        "centre": mode.centre,
        "spread": mode.spread,
        "units": np.zeros(len(model.density.term_scale)) if units is None else units,
    }
    shape = (model.dimensions,)
    sampler = EntryPointModel(
        dims={},
        log_density=log_density,
        kept_values=kept,
        data=data_block(arrays),
        layout=ParameterLayout({"theta": shape}, {"theta": shape}, np.zeros(shape), np.ones(shape)),
    )
    return CompiledModel(
        sampler,
        ("theta",),
        {"theta": shape},
        time.perf_counter() - began,
        log_density.from_cache and kept.from_cache,
        "",
    )


def density_of(
    model: MarginalModel, units: np.ndarray | None = None
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """Return the log-density with its gradient, by theta, or by points whose SDs have a sign."""
    origin = PosteriorMode(np.zeros(model.dimensions), np.eye(model.dimensions))
    sampler = compile_marginal(model, origin, units).sampler
    assert isinstance(sampler, EntryPointModel)
    return sampler.density_at


def find_modes(model: MarginalModel) -> tuple[PosteriorMode, ...]:
    """Return the modes of a marginal density, the one with the largest mass first."""
    return posterior_modes(starting_points(model), density_of(model))


def compile_around(model: MarginalModel, mode: PosteriorMode) -> tuple[CompiledModel, np.ndarray]:
    """Return the marginal density with signs for the SDs that may be 0, and the units of those.

    Parameters
    ----------
    model : MarginalModel
    mode : PosteriorMode
        In the parameters of the density.
    """
    units = units_of_signed_sds(model, mode, density_of(model))
    if units.any():
        mode = posterior_mode(with_signs(mode.centre, units), density_of(model, units))
    return compile_marginal(model, mode, units), units


def find_mode(model: MarginalModel) -> PosteriorMode:
    """Return the mode of a marginal density with the largest mass, and the curvature there."""
    return find_modes(model)[0]


def sample_marginal(
    model: MarginalModel,
    *,
    chains: Sequence[int],
    seed: int,
    draws: int,
    tune: int,
    cores: int,
    target_accept: float,
    progress: bool | None,
    on_finished: Callable[[ChainDraws], None] | None = None,
) -> tuple[list[ChainDraws], str]:
    """Sample a marginal density, then draw coefficients and random effects exactly.

    Parameters
    ----------
    model : MarginalModel
    chains, seed, draws, tune, cores, target_accept, progress, on_finished
        As in `sample_chains`.

    Returns
    -------
    list of ChainDraws, str
        The chains, with the variables of the conditional model, and in words how they were drawn.

    Raises
    ------
    SamplingError
        A chain breaks off.
    """
    from threadpoolctl import threadpool_limits

    # One thread for the matrices of a chain. Chains run side by side; with more threads LAPACK's
    # recursion needs more stack than the threads of nutpie have, which ends the process; and where
    # other processes run, threads that wait for each other take ten times as long as one.
    with threadpool_limits(1, user_api="blas"), progress_display(progress, chains) as display:
        display.phase("looking for the mode")
        mode, *others = find_modes(model)
        slow = model.elimination.seconds_one_by_one > SLOW
        seconds = model.elimination.seconds
        poor = ""
        if others or slow:
            proposal = find_proposal(model, mode, seed, cores, others)
            if proposal.efficiency >= POOR:
                found = sample_independently(
                    model,
                    proposal,
                    chains=chains,
                    seed=seed,
                    draws=draws,
                    tune=tune,
                    cores=cores,
                    progress=display,
                    on_finished=on_finished,
                    every=1 if slow else STEPS,
                )
                # After an interruption some chains have no draws, or all of them.
                rates = np.concatenate([c.sample_stats["acceptance_rate"] for c in found])
                accepted = float(rates.mean()) if len(rates) else 0.0
                digits = ".0f" if seconds >= 1e-3 else ".1g"
                why = f"one density takes about {1000 * seconds:{digits}} ms"
                if others:
                    why = f"it has {1 + len(others)} modes, and every chain visits all of them"
                return found, (
                    "independence sampler on the marginal density, random effects integrated out "
                    f"exactly, because {why}; {accepted:.0%} of the proposals were accepted"
                )
            poor = (
                f"; an independence sampler was tried first, and its proposals were worth "
                f"{proposal.efficiency:.0%} of independent draws only"
            )
            if others:
                poor += f". The density has {1 + len(others)} modes: chains may show one of them"
        finished: dict[int, ChainDraws] = {}
        compiled, units = compile_around(model, mode)

        def drawn(chain: ChainDraws) -> ChainDraws:
            log_density = chain.sample_stats["lp"] - log_jacobians(chain.posterior["theta"], units)
            statistics = chain.sample_stats | {"lp": log_density}
            return with_effects(model, replace(chain, sample_stats=statistics), seed)

        def complete(chain: ChainDraws) -> None:
            finished[chain.chain] = drawn(chain)
            if on_finished is not None:
                on_finished(finished[chain.chain])

        display.phase("sampling")
        run = sample_chains(
            compiled,
            chains=chains,
            seed=seed,
            draws=draws,
            tune=tune,
            cores=cores,
            target_accept=target_accept,
            progress=display,
            on_finished=complete,
        )
        found = [finished.get(chain.chain) or drawn(chain) for chain in run]
    return found, (
        f"NUTS of nutpie {version('nutpie')} on the marginal density, random effects integrated "
        f"out exactly{poor}"
    )
