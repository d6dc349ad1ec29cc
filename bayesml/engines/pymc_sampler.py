"""The same draws by PyMC's own sampler, for where nutpie is missing or cannot take a model."""

import logging
import time
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import pymc as pm

from bayesml.engines.chains import ChainDraws, chain_seed
from bayesml.engines.progress import ChainState, ProgressDisplay, progress_display
from bayesml.errors import SamplingError

# The statistics that are kept, under ArviZ's names, which are PyMC's.
_STATISTICS = {
    "diverging": bool,
    "energy": float,
    "energy_error": float,
    "tree_depth": np.int64,
    "reached_max_treedepth": bool,
    "n_steps": np.int64,
    "step_size": float,
    "acceptance_rate": float,
    "lp": float,
}


def sample_chains_with_pymc(
    model: pm.Model,
    names: Sequence[str],
    *,
    chains: Sequence[int],
    seed: int,
    draws: int,
    tune: int,
    target_accept: float = 0.8,
    max_treedepth: int = 10,
    progress: bool | ProgressDisplay | None = None,
    on_finished: Callable[[ChainDraws], None] | None = None,
) -> list[ChainDraws]:
    """Run chains one after the other with PyMC's own NUTS.

    It takes the arguments of `sample_chains` and returns the same records; the draws differ, as
    the sampler does. It is slower, and runs in the present process only.

    Raises
    ------
    SamplingError
        If PyMC finds no starting point, or breaks off.
    """
    chains = [int(chain) for chain in chains]
    results: dict[int, ChainDraws] = {}
    display = progress if isinstance(progress, ProgressDisplay) else None
    flag = progress if isinstance(progress, bool) else None
    own = ProgressDisplay() if display is not None else progress_display(flag, chains)
    shown = display if display is not None else own
    with own:
        for chain in chains:
            try:
                results[chain] = _one_chain(
                    model, names, chain, seed, draws, tune, target_accept, max_treedepth, shown
                )
            except KeyboardInterrupt:
                break
            if not results[chain].complete:
                break
            shown.finish(chain)
            if on_finished is not None:
                on_finished(results[chain])
    return [results.get(chain) or _no_draws(names, chain, seed, tune) for chain in chains]


def _one_chain(
    model: pm.Model,
    names: Sequence[str],
    chain: int,
    seed: int,
    draws: int,
    tune: int,
    target_accept: float,
    max_treedepth: int,
    shown: ProgressDisplay,
) -> ChainDraws:
    began = time.perf_counter()
    divergences = 0

    def note(trace: object, draw: object) -> None:
        nonlocal divergences
        tuning = bool(draw.tuning)  # type: ignore[attr-defined]
        finished = draw.draw_idx + 1  # type: ignore[attr-defined]
        statistics = draw.stats[0]  # type: ignore[attr-defined]
        divergences += bool(statistics.get("diverging", False)) and not tuning
        state = ChainState(finished, tune + draws, divergences, tuning)
        shown.update(chain, state)

    log = logging.getLogger("pymc")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with model, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = pm.sample(
                draws=draws,
                tune=tune,
                chains=1,
                cores=1,
                random_seed=chain_seed(seed, chain) % 2**32,
                nuts_sampler="pymc",
                nuts={"target_accept": target_accept, "max_treedepth": max_treedepth},
                var_names=list(names),
                callback=note,
                progressbar=False,
                compute_convergence_checks=False,
            )
    except (pm.exceptions.SamplingError, ValueError, RuntimeError) as error:
        raise SamplingError(f"PyMC's sampler stopped: {str(error).strip()}") from error
    finally:
        log.setLevel(level)
    posterior, statistics = tree["posterior"], tree["sample_stats"]
    kept = int(posterior.sizes["draw"])
    return ChainDraws(
        chain=chain,
        seed=chain_seed(seed, chain),
        draws=kept,
        tune=tune,
        posterior={name: np.array(posterior[name].to_numpy()[0]) for name in names},
        sample_stats={
            name: np.array(statistics[name].to_numpy()[0], dtype=dtype)
            for name, dtype in _STATISTICS.items()
            if name in statistics
        },
        seconds=time.perf_counter() - began,
        complete=kept == draws,
    )


def _no_draws(names: Sequence[str], chain: int, seed: int, tune: int) -> ChainDraws:
    return ChainDraws(
        chain=chain,
        seed=chain_seed(seed, chain),
        draws=0,
        tune=tune,
        posterior={name: np.empty(0) for name in names},
        sample_stats={},
        seconds=0.0,
        complete=False,
    )
