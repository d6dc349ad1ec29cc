"""Run NUTS chains with nutpie, each on its own, and hand back plain arrays.

A chain's random numbers follow from the seed and the chain's number alone. One chain can therefore
be run again, or later, or elsewhere, and gives the draws that it gives among others.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesml.engines.compiled_models import CompiledModel
from bayesml.engines.progress import ProgressDisplay, progress_display
from bayesml.errors import SamplingError, listed

_SECONDS_BETWEEN_LOOKS = 0.02

# nutpie 0.16 panics where the first part of the warm-up has no end before its last draw.
_LEAST_TUNE = 5

# nutpie's names and ArviZ's, where a statistic is kept.
_STATISTICS = {
    "diverging": "diverging",
    "energy": "energy",
    "energy_error": "energy_error",
    "depth": "tree_depth",
    "maxdepth_reached": "reached_max_treedepth",
    "n_steps": "n_steps",
    "step_size": "step_size",
    "mean_tree_accept": "acceptance_rate",
    "logp": "lp",
}


@dataclass(frozen=True)
class ChainDraws:
    """The draws of one chain after warm-up.

    Attributes
    ----------
    chain : int
        The chain's number, from 0.
    seed : int
        The seed that this chain used.
    draws : int
        How many draws after warm-up there are: fewer than asked for where `complete` is false.
    tune : int
        How many warm-up draws were asked for; they are not kept.
    posterior : dict[str, numpy.ndarray]
        Draws by variable, each of shape (draws, ...).
    sample_stats : dict[str, numpy.ndarray]
        Sampler statistics by ArviZ name, each of shape (draws,).
    seconds : float
        How long the chain ran, warm-up included.
    complete : bool
        Whether every draw that was asked for is there.
    """

    chain: int
    seed: int
    draws: int
    tune: int
    posterior: dict[str, np.ndarray]
    sample_stats: dict[str, np.ndarray]
    seconds: float
    complete: bool


def chain_seed(seed: int, chain: int) -> int:
    """Return the seed of one chain, which depends on the two numbers and on nothing else.

    Examples
    --------
    >>> chain_seed(1, 0) == chain_seed(1, 0), chain_seed(1, 0) == chain_seed(1, 1)
    (True, False)
    """
    if seed < 0 or chain < 0:
        raise SamplingError(f"A seed is a whole number from 0, got seed {seed}, chain {chain}.")
    sequence = np.random.SeedSequence(seed, spawn_key=(chain,))
    # One bit less than 64: PyMC's own sampler and NumPy's old generators take no larger numbers.
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def effect_generator(seed: int, chain: int) -> np.random.Generator:
    """Return the random numbers for what is drawn after a chain, apart from the chain's own."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(chain, 1)))


def sample_chains(
    compiled: CompiledModel,
    *,
    chains: Sequence[int],
    seed: int,
    draws: int,
    tune: int,
    cores: int,
    target_accept: float = 0.8,
    max_treedepth: int = 10,
    extra_doublings: int = 0,
    adaptation: str = "diag",
    progress: bool | ProgressDisplay | None = None,
    on_finished: Callable[[ChainDraws], None] | None = None,
) -> list[ChainDraws]:
    """Run chains, at most `cores` at the same time.

    Parameters
    ----------
    compiled : CompiledModel
        From `compile_model`.
    chains : sequence of int
        The numbers of the chains to run, such as `range(4)`, or the ones that are still missing.
    seed : int
        The seed of the fit; see `chain_seed`.
    draws, tune : int
        Draws to keep in each chain, and warm-up draws before them.
    cores : int
        How many chains run at the same time. It has no influence on the draws.
    target_accept : float
        The acceptance rate that the step size is adapted to, between 0 and 1.
    max_treedepth : int
        A draw takes at most 2 ** max_treedepth gradient evaluations.
    extra_doublings : int
        How often a trajectory is doubled again after it has turned back: longer trajectories
        where an SD may be near 0.
    adaptation : str
        nutpie's adaptation of the mass matrix: "diag" or "low_rank".
    progress : bool, ProgressDisplay or None
        What `progress_display` takes, or an open display, which stays open.
    on_finished : callable, optional
        Called with each complete chain as soon as it is there; what it raises stops all chains.

    Returns
    -------
    list of ChainDraws
        In the order of `chains`. After Ctrl-C the list holds what there was until then, with
        `complete` false for every chain that had not reached its last draw.

    Raises
    ------
    SamplingError
        If no starting point with a finite log-density is found, or a chain breaks off.
    """
    chains = [int(chain) for chain in chains]
    if len(set(chains)) < len(chains) or draws < 1 or tune < _LEAST_TUNE or cores < 1:
        raise SamplingError(
            "Sampling needs distinct chains, at least one draw and one core, and at least "
            f"{_LEAST_TUNE} warm-up draws; got chains {chains}, draws {draws}, tune {tune}, "
            f"cores {cores}."
        )
    plan = _Plan(
        compiled, seed, draws, tune, target_accept, max_treedepth, extra_doublings, adaptation
    )
    waiting = list(chains)
    running: dict[int, _RunningChain] = {}
    results: dict[int, ChainDraws] = {}
    display = progress if isinstance(progress, ProgressDisplay) else None
    own = ProgressDisplay() if display is not None else progress_display(_flag(progress), chains)
    shown = display if display is not None else own
    try:
        with own:
            while waiting or running:
                while waiting and len(running) < cores:
                    chain = waiting.pop(0)
                    running[chain] = _RunningChain(plan, chain)
                for chain, run in list(running.items()):
                    if run.latest is not None:
                        shown.update(chain, run.latest)
                    if run.is_finished():
                        results[chain] = run.result()
                        del running[chain]
                        shown.finish(chain)
                        if on_finished is not None and results[chain].complete:
                            on_finished(results[chain])
                if running:
                    _wait(_SECONDS_BETWEEN_LOOKS)
    except KeyboardInterrupt:
        for chain, run in running.items():
            results[chain] = run.partial_result()
        running.clear()
    finally:
        for run in running.values():
            run.cancel()
    return [results.get(chain) or plan.nothing(chain) for chain in chains]


@dataclass(frozen=True)
class _Plan:
    compiled: CompiledModel
    seed: int
    draws: int
    tune: int
    target_accept: float
    max_treedepth: int
    extra_doublings: int
    adaptation: str

    def nothing(self, chain: int) -> ChainDraws:
        """Return the draws of a chain that never ran."""
        shapes = self.compiled.sampler.shapes
        return ChainDraws(
            chain=chain,
            seed=chain_seed(self.seed, chain),
            draws=0,
            tune=self.tune,
            posterior={name: np.empty((0, *shapes[name])) for name in self.compiled.names},
            sample_stats={name: np.empty(0) for name in _STATISTICS.values()},
            seconds=0.0,
            complete=False,
        )


class _RunningChain:
    """One nutpie run of one chain in the background; it leaves its latest progress in `latest`."""

    def __init__(self, plan: _Plan, chain: int) -> None:
        import nutpie

        self._plan = plan
        self._chain = chain
        self._began = time.perf_counter()
        self.latest: Any = None
        self._sampler = nutpie.sample(
            plan.compiled.sampler,
            draws=plan.draws,
            tune=plan.tune,
            chains=1,
            cores=1,
            seed=chain_seed(plan.seed, chain),
            target_accept=plan.target_accept,
            maxdepth=plan.max_treedepth,
            extra_doublings=plan.extra_doublings,
            adaptation=plan.adaptation,
            progress_bar=False,
            progress_callback=self._note,
            progress_rate=200,
            blocking=False,
            return_raw_trace=True,
        )

    def _note(self, states: Sequence[Any]) -> None:
        self.latest = states[0]

    def is_finished(self) -> bool:
        try:
            return bool(self._sampler.is_finished)
        except TimeoutError:  # how nutpie 0.16 says no
            return False
        except RuntimeError as error:
            raise SamplingError(_why_it_failed(self._plan.compiled, str(error))) from error
        except BaseException as error:
            if type(error).__name__ != "PanicException":
                raise
            raise SamplingError(f"nutpie broke off: {error}") from error

    def result(self) -> ChainDraws:
        return self._arrays(self._sampler.wait())

    def partial_result(self) -> ChainDraws:
        try:
            trace = self._sampler.abort()
        except (RuntimeError, ValueError):
            return self._plan.nothing(self._chain)
        return self._arrays(trace)

    def cancel(self) -> None:
        """Stop without a result; what nutpie says of a run that broke off is known by now."""
        try:
            self._sampler.cancel()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise

    def _arrays(self, trace: Any) -> ChainDraws:
        plan = self._plan
        draws, statistics = (batches[0] for batches in trace.get_arrow_trace())
        # Warm-up draws come first, so what is kept begins after them.
        first = min(plan.tune, draws.num_rows)
        kept = draws.num_rows - first
        shapes = plan.compiled.sampler.shapes
        return ChainDraws(
            chain=self._chain,
            seed=chain_seed(plan.seed, self._chain),
            draws=kept,
            tune=plan.tune,
            posterior={
                name: _column(draws, name, first, kept).reshape(kept, *shapes[name])
                for name in plan.compiled.names
            },
            sample_stats={
                ours: _column(statistics, theirs, first, kept)
                for theirs, ours in _STATISTICS.items()
            },
            seconds=time.perf_counter() - self._began,
            complete=kept == plan.draws,
        )


def _column(batch: Any, name: str, first: int, count: int) -> np.ndarray:
    """Return one column from row `first` on as a flat array that nobody else holds."""
    import pyarrow as pa

    column = pa.array(batch.column(name)).slice(first, count)
    if hasattr(column, "flatten"):
        column = column.flatten()
    values = np.array(column.to_numpy(zero_copy_only=False))
    return values.astype(np.int64) if values.dtype == np.uint64 else values


def _why_it_failed(compiled: CompiledModel, message: str) -> str:
    """Say why nutpie gave up, with the variables whose gradient is not finite where that helps."""
    reason = message.strip().partition("\n\nStack backtrace")[0].replace("\n", " ")
    evaluate = getattr(compiled.sampler, "density_at", None)
    if evaluate is None:
        return f"The sampler stopped: {reason}"
    layout = compiled.sampler.layout
    density, gradient = evaluate(layout.start)
    bad = ~np.isfinite(gradient)
    if np.isfinite(density) and not bad.any():
        return f"The sampler stopped: {reason}"
    owners = np.array(layout.owners())
    names = list(dict.fromkeys(owners[bad].tolist()))
    where = f" The gradient is not finite for {listed(names)}." if names else ""
    return (
        f"No chain can start: the log-density at the initial point is {density:g}.{where} "
        "An outcome may lie outside the support of its family, or a prior may allow only "
        "impossible values; check the data and the priors."
    )


def _flag(progress: object) -> bool | None:
    return progress if isinstance(progress, bool) else None


def _wait(seconds: float) -> None:
    time.sleep(seconds)
