"""The conditional engine: the generated PyMC model, sampled by nutpie or by PyMC."""

from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version

import pymc as pm

from bayesml.engines.chains import ChainDraws, sample_chains
from bayesml.engines.compiling import compile_model
from bayesml.engines.progress import progress_display
from bayesml.engines.pymc_sampler import sample_chains_with_pymc
from bayesml.errors import SamplingError


def sample_conditional(
    build: Callable[[], pm.Model],
    names: Sequence[str],
    *,
    chains: Sequence[int],
    seed: int,
    draws: int,
    tune: int,
    cores: int,
    target_accept: float,
    progress: bool | None,
    extra_doublings: int = 0,
    on_finished: Callable[[ChainDraws], None] | None = None,
) -> tuple[list[ChainDraws], str]:
    """Sample a model by nutpie, or by PyMC's own sampler where nutpie cannot compile it.

    Parameters
    ----------
    build : callable
        Returns the PyMC model.
    names : sequence of str
        Variables to keep.
    chains : sequence of int
        Numbers of the chains to run.
    seed, draws, tune, cores, target_accept, progress, extra_doublings, on_finished
        As in `sample_chains`.

    Returns
    -------
    list of ChainDraws, str
        The chains, and in words which sampler drew them and why.

    Raises
    ------
    SamplingError
        No chain can start.
    """
    with progress_display(progress, chains) as display:
        display.phase("building the model")
        model = build()
        display.phase("compiling")
        try:
            compiled = compile_model(model, names)
        except (SamplingError, ImportError) as error:
            draws_made = sample_chains_with_pymc(
                model,
                names,
                chains=chains,
                seed=seed,
                draws=draws,
                tune=tune,
                target_accept=target_accept,
                progress=display,
                on_finished=on_finished,
            )
            return draws_made, f"PyMC's own NUTS, because nutpie could not be used: {error}"
        draws_made = sample_chains(
            compiled,
            chains=chains,
            seed=seed,
            draws=draws,
            tune=tune,
            cores=cores,
            target_accept=target_accept,
            extra_doublings=extra_doublings,
            progress=display,
            on_finished=on_finished,
        )
    reason = f"NUTS of nutpie {_version('nutpie')} on the conditional model"
    return draws_made, f"{reason}; {compiled.note}" if compiled.note else reason


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
