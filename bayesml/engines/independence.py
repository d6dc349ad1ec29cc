"""An independence sampler, for densities that cost milliseconds or have two modes.

Proposals come from a mixture of a multivariate Student-t at each mode of the posterior, with the
curvature there, and a wider one with heavier tails, thinned by what a pilot has learnt of the
density (see `thinning`); each costs one density without gradient, and the factorisation of an
accepted one serves to draw the random effects. Now and then a step is one of a short random walk.
Where the proposal covers the posterior poorly, it says so before it starts (Tierney 1994,
doi:10.1214/aos/1176325750).
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event

import numpy as np

from bayesml.engines.chains import ChainDraws, chain_seed
from bayesml.engines.effect_draws import DrawKeeper
from bayesml.engines.independence_kernels import (
    Mixture,
    Thinning,
    log_shares_kept,
    log_weights,
    move,
)
from bayesml.engines.marginal_models import MarginalModel
from bayesml.engines.mixtures import drawn, mixture_around
from bayesml.engines.posterior_modes import PosteriorMode
from bayesml.engines.progress import ChainState, ProgressDisplay
from bayesml.engines.reduction_kernels import working_memory
from bayesml.engines.thinning import fitted_thinning, no_thinning, points_wanted

# Warm-up draws, enough to forget the starting point: close proposals do at once.
_WARM_UP, _WARM_UP_OF_CLOSE = 60, 20
_PILOT = 300
# Points that a pilot may take for the sake of the thinning.
_LARGEST_PILOT = 600
# Share of the pilot's proposals that independent draws would be worth, at least.
POOR = 0.15
# Above it the proposal need not be fitted to the weights of the pilot's points: thinning does more.
_GOOD = 0.5
# Every so many steps one is a short step from where the chain is, so that a point far out, which
# independent proposals rarely beat, does not hold the chain. Close proposals beat it more often.
_CYCLE, _CYCLE_OF_CLOSE, _CLOSE = 3, 25, 0.9
_BLOCK = 4_000_000
_SECONDS = 0.1


@dataclass(frozen=True)
class Proposal:
    """A mixture of Student-t distributions, thinned, from which points are proposed.

    Parameters
    ----------
    mode : PosteriorMode
        Theta is its centre plus its spread times z.
    mixture : Mixture
        Of z.
    efficiency : float
        How many independent draws a proposal is worth, by importance weights: between 0 and 1.
    thinning : Thinning
        Which share of them is kept, in the coordinates z of the mode.
    """

    mode: PosteriorMode
    mixture: Mixture
    efficiency: float
    thinning: Thinning


@dataclass(frozen=True)
class _Pilot:
    mode: PosteriorMode
    mixture: Mixture
    z: np.ndarray
    log_weights: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """Return weights with sum 1; all alike where the density is none everywhere."""
        usable = np.isfinite(self.log_weights)
        if not usable.any():
            return np.full(len(self.z), 1 / len(self.z))
        weights = np.exp(self.log_weights - self.log_weights[usable].max())
        return weights / weights.sum()

    @property
    def efficiency(self) -> float:
        if not np.isfinite(self.log_weights).any():
            return 0.0
        return float(1 / (self.weights**2).sum() / len(self.z))


def find_proposal(
    model: MarginalModel,
    mode: PosteriorMode,
    seed: int,
    cores: int = 1,
    others: Sequence[PosteriorMode] = (),
) -> Proposal:
    """Return a proposal, widened and moved to where the importance weights say, if that is better.

    Parameters
    ----------
    model : MarginalModel
    mode : PosteriorMode
    seed : int
        The seed of the fit.
    cores : int
        Densities that are computed at once; no result depends on it.
    others : sequence of PosteriorMode
        Further modes, from which is proposed too. The proposal is neither moved nor widened then.
    """
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2**20,)))
    best = latest = _pilot(model, mode, mixture_around([mode, *others]), _PILOT, random, cores)
    for _ in range(0 if others else 2):
        if best.efficiency > _GOOD:
            break
        thetas = latest.mode.centre + latest.z @ latest.mode.spread.T
        mean = latest.weights @ thetas
        apart = thetas - mean
        covariance = (apart * latest.weights[:, None]).T @ apart
        values, vectors = np.linalg.eigh(covariance + mode.spread @ mode.spread.T / _PILOT)
        moved = PosteriorMode(mean, vectors * np.sqrt(np.maximum(values, 0)))
        latest = _pilot(model, moved, mixture_around([moved]), _PILOT, random, cores)
        best = max(best, latest, key=lambda item: item.efficiency)
    if best.efficiency < POOR:
        nothing = no_thinning(model.dimensions)
        return Proposal(best.mode, best.mixture, best.efficiency, nothing)
    z, weights = best.z, best.log_weights
    more = points_wanted(model.dimensions, _LARGEST_PILOT) - _PILOT
    if more > 0:
        rest = _pilot(model, best.mode, best.mixture, more, random, cores)
        z, weights = np.concatenate([z, rest.z]), np.concatenate([weights, rest.log_weights])
    thinning, efficiency = fitted_thinning(z, weights)
    return Proposal(best.mode, best.mixture, efficiency, thinning)


def _pilot(
    model: MarginalModel,
    mode: PosteriorMode,
    mixture: Mixture,
    count: int,
    random: np.random.Generator,
    cores: int,
) -> _Pilot:
    """Return proposals with their log-weights."""
    z = drawn(random, count, mixture)
    found = np.empty(count)

    def compute(part: np.ndarray) -> None:
        out = np.empty(len(part))
        log_weights(
            model.elimination.plan, model.density, mode.centre, mode.spread, mixture, z[part], out
        )
        found[part] = out

    with ThreadPoolExecutor(max_workers=cores) as pool:
        list(pool.map(compute, np.array_split(np.arange(count), cores)))
    return _Pilot(mode, mixture, z, np.where(np.isfinite(found), found, -np.inf))


def _kept(
    random: np.random.Generator, count: int, mixture: Mixture, thinning: Thinning
) -> np.ndarray:
    """Return draws of the mixture that the thinning keeps."""
    if not len(thinning.coefficients):
        return drawn(random, count, mixture)
    found = np.empty((0, mixture.centre.shape[1]))
    while len(found) < count:
        z = drawn(random, 4 * count, mixture)
        shares = np.exp(log_shares_kept(z, thinning) - thinning.bounds[1])
        found = np.concatenate([found, z[random.random(len(z)) < shares]])
    return found[:count]


def sample_independently(
    model: MarginalModel,
    proposal: Proposal,
    *,
    chains: Sequence[int],
    seed: int,
    draws: int,
    tune: int,
    cores: int,
    progress: ProgressDisplay,
    on_finished: Callable[[ChainDraws], None] | None = None,
    every: int = 1,
) -> list[ChainDraws]:
    """Run chains of an independence sampler; arguments and results as in `sample_chains`.

    A draw is kept after `every` steps. Of the warm-up draws at most sixty are made, enough to
    forget the starting point.
    """
    stop = Event()
    running: dict[Future[ChainDraws], _Chain] = {}
    results: dict[int, ChainDraws] = {}
    with ThreadPoolExecutor(max_workers=cores) as pool:
        try:
            for number in chains:
                chain = _Chain(model, proposal, number, seed, draws, tune, every, stop)
                running[pool.submit(chain.run)] = chain
            while running:
                done, _ = wait(running, timeout=_SECONDS, return_when=FIRST_COMPLETED)
                for chain in running.values():
                    if chain.state is not None:
                        progress.update(chain.number, chain.state)
                for future in done:
                    chain = running.pop(future)
                    results[chain.number] = future.result()
                    progress.finish(chain.number)
                    if on_finished is not None and results[chain.number].complete:
                        on_finished(results[chain.number])
        except KeyboardInterrupt:
            stop.set()
            for future, chain in running.items():
                results[chain.number] = future.result()
        finally:
            stop.set()
    return [results[number] for number in chains]


class _Chain:
    """One chain, which leaves its progress in `state`."""

    def __init__(
        self,
        model: MarginalModel,
        proposal: Proposal,
        number: int,
        seed: int,
        draws: int,
        tune: int,
        every: int,
        stop: Event,
    ) -> None:
        self.number = number
        self.state: ChainState | None = None
        self._model, self._proposal, self._seed, self._stop = model, proposal, seed, stop
        self._draws, self._tune, self._every = draws, tune, every

    def run(self) -> ChainDraws:
        began = time.perf_counter()
        model, draws = self._model, self._draws
        mode, mixture = self._proposal.mode, self._proposal.mixture
        thinning = self._proposal.thinning
        close = self._proposal.efficiency > _CLOSE
        cycle = _CYCLE_OF_CLOSE if close else _CYCLE
        own_seed = chain_seed(self._seed, self.number)
        random = np.random.default_rng(own_seed)
        plan = model.elimination.plan
        memories = (working_memory(plan, False), working_memory(plan, False))
        keeper = DrawKeeper(model, draws)
        size = model.dimensions
        state = np.array([-np.inf, -np.inf, 0.0])
        current = np.zeros(size)
        length = 2.38 / np.sqrt(size)
        kept, accepted, density = np.empty((draws, size)), np.empty(draws), np.empty(draws)
        warm_up = min(self._tune, _WARM_UP_OF_CLOSE if close else _WARM_UP)
        step = max(1, min(25, _BLOCK // max(keeper.normals_per_draw, 1)))
        made = -warm_up
        while made < draws and not self._stop.is_set():
            count = min(step, -made if made < 0 else draws - made)
            steps = count * self._every
            z = _kept(random, steps, mixture, thinning)
            wanted = count if made >= 0 else 0
            coefficients = np.empty((wanted, keeper.coefficients))
            effects = np.empty((wanted, keeper.columns))
            rows = (np.empty((count, size)), np.empty(count), np.empty(count))
            move(
                plan,
                model.density,
                mode.centre,
                mode.spread,
                mixture,
                thinning,
                z,
                length * random.standard_normal((steps, size)),
                (warm_up + made) * self._every,
                cycle,
                random.random(steps),
                random.standard_normal((wanted, keeper.normals_per_draw)),
                state,
                current,
                memories,
                *rows,
                coefficients,
                effects,
            )
            if made >= 0:
                for array, new in zip((kept, accepted, density), rows, strict=True):
                    array[made : made + count] = new
                keeper.keep(made, coefficients, effects)
            made += count
            self.state = ChainState(warm_up + made, warm_up + draws, 0, made < 0)
        made = max(made, 0)
        posterior = keeper.posterior(kept)
        return ChainDraws(
            chain=self.number,
            seed=own_seed,
            draws=made,
            tune=self._tune,
            posterior={name: values[:made] for name, values in posterior.items()},
            sample_stats={"acceptance_rate": accepted[:made], "lp": density[:made]},
            seconds=time.perf_counter() - began,
            complete=made == draws,
        )
