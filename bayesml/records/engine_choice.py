"""Which engine draws a model, and why."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayesml.design.parametrisation import unsettled
from bayesml.errors import FitError, quoted
from bayesml.records.modelling import Model

if TYPE_CHECKING:
    from bayesml.engines.chains import ChainDraws
    from bayesml.engines.marginal_models import MarginalModel

ENGINES = ("auto", "marginal", "pymc")
# Below this number of units the SDs of centred terms have a tail towards 0.
FEW_UNITS = 50


@dataclass(frozen=True)
class EngineChoice:
    """The engine that draws a model.

    Parameters
    ----------
    name : {"marginal", "pymc"}
    against : str
        Why it is not the marginal engine; empty where it is.
    marginal : MarginalModel or None
        What the marginal engine samples.
    """

    name: str
    against: str = ""
    marginal: "MarginalModel | None" = None


def choose_engine(model: Model, engine: str) -> EngineChoice:
    """Return the engine for a model: the marginal one where it can take it, unless told otherwise.

    Raises
    ------
    FitError
        There is no such engine, or the marginal one was asked for and cannot take the model.
    """
    if engine not in ENGINES:
        raise FitError(f"engine is {quoted(str(engine))}. Allowed: {', '.join(ENGINES)}.")
    if engine == "pymc":
        return EngineChoice("pymc", "engine='pymc' was asked for")
    from bayesml.engines.marginal_models import NotMarginal, marginal_model

    try:
        return EngineChoice("marginal", marginal=marginal_model(model.resolved, model.design))
    except NotMarginal as error:
        if engine == "marginal":
            raise FitError(
                f"The marginal engine cannot take this model: {error}. Use engine='auto', which "
                "then samples the conditional model."
            ) from None
        return EngineChoice("pymc", str(error))


def default_target_accept(model: Model, choice: EngineChoice) -> float:
    """Return the acceptance to aim at: higher where several terms of few units are centred."""
    careful = choice.marginal is None and any(
        grouping.centred and len(grouping.terms) > 1 and grouping.units < FEW_UNITS
        for grouping in model.resolved.groupings
    )
    return 0.97 if careful else 0.9


def needs_long_trajectories(model: Model) -> bool:
    """Return whether a trajectory is doubled once more after it has turned back.

    An SD that may be 0 is explored slowly; and so are cutpoints with their coefficients, which
    move against all effects at once: socatt_ordinal fails R-hat without it.
    """
    without = any(not item.record.intercept for item in model.spec.outcome_families)
    return unsettled(model.design.reliabilities) or without


def run_engine(
    model: Model,
    choice: EngineChoice,
    *,
    chains: Sequence[int],
    seed: int,
    draws: int,
    tune: int,
    cores: int | None,
    target_accept: float,
    progress: bool | None,
    on_finished: "Callable[[ChainDraws], None]",
) -> "tuple[list[ChainDraws], str]":
    """Run chains; return them, and in words how they were drawn."""
    cores = cores or _available_cores()
    if choice.marginal is not None:
        from bayesml.engines.marginal import sample_marginal

        return sample_marginal(
            choice.marginal,
            chains=chains,
            seed=seed,
            draws=draws,
            tune=tune,
            cores=cores,
            target_accept=target_accept,
            progress=progress,
            on_finished=on_finished,
        )
    from bayesml.engines.conditional import sample_conditional

    run, reason = sample_conditional(
        model.to_pymc,
        model.resolved.posterior_names,
        chains=chains,
        seed=seed,
        draws=draws,
        tune=tune,
        cores=cores,
        target_accept=target_accept,
        progress=progress,
        extra_doublings=int(needs_long_trajectories(model)),
        on_finished=on_finished,
    )
    return run, f"{reason}, because {choice.against}"


def _available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
