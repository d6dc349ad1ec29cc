"""An independence sampler, for marginal densities that cost milliseconds and have few parameters.

Proposals come from a mixture of a multivariate Student-t at the posterior's mode, with the
curvature there, and a wider one with heavier tails; each costs one density without gradient, and
the factorisation of an accepted one serves to draw the random effects. Every third step is a short
random walk. Where the proposal covers the posterior poorly, it says so before it starts (Tierney
1994, doi:10.1214/aos/1176325750).
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from threading import Event

import numpy as np
from scipy.special import gammaln

from bayesml.engines.chains import ChainDraws, chain_seed
from bayesml.engines.density_kernels import marginal_density
from bayesml.engines.effect_draws import DrawKeeper
from bayesml.engines.independence_kernels import move, proposal_density
from bayesml.engines.marginal_models import MarginalModel
from bayesml.engines.posterior_modes import PosteriorMode
from bayesml.engines.progress import ChainState, ProgressDisplay
from bayesml.engines.reduction_kernels import working_memory

# Share, degrees of freedom and scale of the components.
_MIXTURE = ((0.8, 6.0, 1.1), (0.2, 3.0, 2.2))
_WARM_UP = 60
_PILOT = 300
# Share of the pilot's proposals that independent draws would be worth, at least.
POOR = 0.15
# Above it the proposal need not be fitted to the weights of the pilot's points.
_GOOD = 0.7
_BLOCK = 4_000_000
_SECONDS = 0.1


@dataclass(frozen=True)
class Proposal:
    """A Student-t from which points are proposed.

    Parameters
    ----------
    mode : PosteriorMode
        Its centre and spread.
    efficiency : float
        How many independent draws a proposal is worth, by importance weights: between 0 and 1.
    """

    mode: PosteriorMode
    efficiency: float


def find_proposal(model: MarginalModel, mode: PosteriorMode, seed: int) -> Proposal:
    """Return a proposal, widened and moved to where the importance weights say, if that is better.

    Parameters
    ----------
    model : MarginalModel
    mode : PosteriorMode
    seed : int
        The seed of the fit.
    """
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2**20,)))
    best, thetas, weights = _tried(model, mode, random)
    for _ in range(2):
        if best.efficiency > _GOOD:
            break
        mean = weights @ thetas
        apart = thetas - mean
        covariance = (apart * weights[:, None]).T @ apart
        values, vectors = np.linalg.eigh(covariance + mode.spread @ mode.spread.T / _PILOT)
        spread = vectors * np.sqrt(np.maximum(values, 0))
        found, thetas, weights = _tried(model, replace(mode, centre=mean, spread=spread), random)
        best = max(best, found, key=lambda item: item.efficiency)
    return best


def _tried(
    model: MarginalModel, mode: PosteriorMode, random: np.random.Generator
) -> tuple[Proposal, np.ndarray, np.ndarray]:
    z = _drawn(random, _PILOT, model.dimensions)
    thetas = mode.centre + z @ mode.spread.T
    nothing = np.empty(0)
    mixture = _mixture(model.dimensions)
    log_weights = np.array(
        [
            marginal_density(model.elimination.plan, model.density, theta, nothing)
            - proposal_density(point, mixture)
            for theta, point in zip(thetas, z, strict=True)
        ]
    )
    usable = np.isfinite(log_weights)
    if not usable.any():
        return Proposal(mode, 0.0), thetas, np.full(_PILOT, 1 / _PILOT)
    log_weights = np.where(usable, log_weights, -np.inf)
    weights = np.exp(log_weights - log_weights.max())
    weights /= weights.sum()
    return Proposal(mode, float(1 / (weights**2).sum() / _PILOT)), thetas, weights


def _mixture(size: int) -> np.ndarray:
    """Return the components as `proposal_density` reads them."""
    rows = []
    for share, degrees, scale in _MIXTURE:
        constant = gammaln((degrees + size) / 2) - gammaln(degrees / 2)
        constant -= size * (np.log(degrees * np.pi) / 2 + np.log(scale))
        rows.append((np.log(share) + constant, degrees, scale))
    return np.array(rows)


def _drawn(random: np.random.Generator, count: int, size: int) -> np.ndarray:
    """Return draws of the mixture."""
    shares = np.array([share for share, _, _ in _MIXTURE])
    component = random.choice(len(_MIXTURE), size=count, p=shares)
    degrees = np.array([item for _, item, _ in _MIXTURE])[component][:, None]
    scale = np.array([item for _, _, item in _MIXTURE])[component][:, None]
    normal = random.standard_normal((count, size))
    return scale * normal / np.sqrt(random.chisquare(degrees) / degrees)


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
) -> list[ChainDraws]:
    """Run chains of an independence sampler; arguments and results as in `sample_chains`.

    Of the warm-up draws only sixty are made, enough to forget the starting point.
    """
    stop = Event()
    running: dict[Future[ChainDraws], _Chain] = {}
    results: dict[int, ChainDraws] = {}
    from threadpoolctl import threadpool_limits

    # Chains run side by side, so that each has one core for its matrices.
    with (
        threadpool_limits(1 if cores > 1 else None, user_api="blas"),
        ThreadPoolExecutor(max_workers=cores) as pool,
    ):
        try:
            for number in chains:
                chain = _Chain(model, proposal, number, seed, draws, tune, stop)
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
        stop: Event,
    ) -> None:
        self.number = number
        self.state: ChainState | None = None
        self._model, self._mode, self._seed, self._stop = model, proposal.mode, seed, stop
        self._draws, self._tune = draws, tune

    def run(self) -> ChainDraws:
        began = time.perf_counter()
        model, draws = self._model, self._draws
        own_seed = chain_seed(self._seed, self.number)
        random = np.random.default_rng(own_seed)
        plan = model.elimination.plan
        memories = (working_memory(plan, False), working_memory(plan, False))
        keeper = DrawKeeper(model, draws)
        size = model.dimensions
        state = np.array([-np.inf, -np.inf, 0.0])
        current = np.zeros(size)
        mixture = _mixture(size)
        length = 2.38 / np.sqrt(size)
        kept, accepted, density = np.empty((draws, size)), np.empty(draws), np.empty(draws)
        warm_up = min(self._tune, _WARM_UP)
        step = max(1, min(25, _BLOCK // max(keeper.normals_per_draw, 1)))
        made = -warm_up
        while made < draws and not self._stop.is_set():
            count = min(step, -made if made < 0 else draws - made)
            z = _drawn(random, count, size)
            wanted = count if made >= 0 else 0
            coefficients = np.empty((wanted, keeper.coefficients))
            effects = np.empty((wanted, keeper.columns))
            rows = (np.empty((count, size)), np.empty(count), np.empty(count))
            move(
                plan,
                model.density,
                self._mode.centre,
                self._mode.spread,
                mixture,
                z,
                length * random.standard_normal((count, size)),
                warm_up + made,
                random.random(count),
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
