"""From a model to a fit: engine, chains, labels and the record of the run."""

import json
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesml.design.stored_designs import design_text, predictor_columns
from bayesml.errors import FitError, SamplingError, quoted
from bayesml.records.engine_choice import choose_engine, default_target_accept, run_engine
from bayesml.records.fits import FORMAT, Fit
from bayesml.records.modelling import Model
from bayesml.records.parts import read_parts, record_seed, recorded_seed, write_part
from bayesml.specs.model_files import spec_to_toml

if TYPE_CHECKING:
    import xarray as xr

    from bayesml.engines.chains import ChainDraws

_PACKAGES = (
    "pymc",
    "pytensor",
    "numba",
    "nutpie",
    "arviz",
    "numpy",
    "pandas",
    "xarray",
    "formulaic",
)


def fit_model(
    model: Model,
    *,
    draws: int,
    tune: int,
    chains: int,
    seed: int | None,
    cores: int | None,
    engine: str,
    target_accept: float | None,
    progress: bool | None,
    parts: str | Path | None,
    resume: bool,
) -> Fit:
    """Sample a model; see `Model.fit`.

    Raises
    ------
    FitError
        An argument is out of range.
    SamplingError
        No chain has a draw.
    """
    _check_arguments(draws, tune, chains, seed, target_accept)
    choice = choose_engine(model, engine)
    if target_accept is None:
        target_accept = default_target_accept(model, choice)
    folder = None if parts is None else Path(parts)
    known = recorded_seed(folder) if folder is not None and resume else None
    if seed is None:
        seed = known if known is not None else secrets.randbelow(2**31)
    mark = fingerprint(model, choice.name, seed, draws, tune, target_accept)
    done: list[ChainDraws] = []
    if folder is not None:
        if resume:
            done = [item for item in read_parts(folder, mark) if item.chain < chains]
        else:
            clear(folder)
        record_seed(folder, seed)
    missing = [chain for chain in range(chains) if chain not in {item.chain for item in done}]
    reason = "every chain was finished before"
    if missing:

        def keep(chain: "ChainDraws") -> None:
            if folder is not None:
                write_part(folder, mark, chain)

        run, reason = run_engine(
            model,
            choice,
            chains=missing,
            seed=seed,
            draws=draws,
            tune=tune,
            cores=cores,
            target_accept=target_accept,
            progress=progress,
            on_finished=keep,
        )
        done += run
    tree = assemble(model, sorted(done, key=lambda item: item.chain), draws)
    tree.attrs |= _record(model, seed, draws, tune, chains, target_accept)
    tree.attrs |= {"engine": choice.name, "engine_reason": reason}
    return Fit(tree)


def _check_arguments(
    draws: int, tune: int, chains: int, seed: int | None, target_accept: float | None
) -> None:
    for name, value, least in (("draws", draws, 1), ("tune", tune, 5), ("chains", chains, 1)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise FitError(f"{name} is {quoted(value)}. Give a whole number from {least} up.")
    if seed is not None and (
        isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0
    ):
        raise FitError(f"seed is {quoted(seed)}. Give a whole number from 0 up, or None.")
    if target_accept is not None and not 0.5 <= target_accept < 1:
        raise FitError(f"target_accept is {target_accept}. Give a number from 0.5 to below 1.")


def fingerprint(
    model: Model, engine: str, seed: int, draws: int, tune: int, target_accept: float
) -> str:
    """Return a text that differs between runs whose chains may not be mixed."""
    digest = sha256(model.source.encode())
    for name, value in sorted(model.data.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    digest.update(json.dumps([engine, int(seed), draws, tune, target_accept]).encode())
    return digest.hexdigest()


def clear(folder: Path) -> None:
    """Delete the finished chains of an earlier run."""
    for path in [*folder.glob("chain-*.npz"), *folder.glob(".chain-*"), folder / "run.json"]:
        path.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def assemble(model: Model, chains: "Sequence[ChainDraws]", draws: int) -> "xr.DataTree":
    """Return draws with labels as a DataTree.

    Chains of unequal length, as an interrupted run leaves them, are cut so that as many draws as
    possible remain; the fit says how many were asked for.

    Raises
    ------
    SamplingError
        No chain has a draw.
    """
    import xarray as xr

    lengths = sorted((item.draws for item in chains), reverse=True)
    totals = [(number + 1) * length for number, length in enumerate(lengths)]
    if not totals or max(totals) == 0:
        raise SamplingError("Sampling ended before any draw was kept. Run it again.")
    length = lengths[int(np.argmax(totals))]
    kept = [item for item in chains if item.draws >= length]
    coords = {"chain": [item.chain for item in kept], "draw": np.arange(length)}
    dims = posterior_dims(model)
    posterior = xr.Dataset(
        {
            name: (
                ("chain", "draw", *dims[name]),
                np.stack([item.posterior[name][:length] for item in kept]),
                _attributes(model, name),
            )
            for name in model.resolved.posterior_names
        },
        coords=coords | {dim: _labels(model, dim) for dim in _used(dims)},
    )
    stats = xr.Dataset(
        {
            name: (
                ("chain", "draw"),
                np.stack([item.sample_stats[name][:length] for item in kept]),
            )
            for name in kept[0].sample_stats
        },
        coords=coords,
        attrs={
            "seconds_by_chain": np.array([item.seconds for item in kept], dtype=float),
            "sampling_time": float(sum(item.seconds for item in kept)),
        },
    )
    return xr.DataTree.from_dict(
        {"posterior": posterior, "sample_stats": stats, **_row_groups(model)}
    )


def posterior_dims(model: Model) -> dict[str, tuple[str, ...]]:
    """Return the dims of each posterior variable, without chain and draw."""
    dims: dict[str, tuple[str, ...]] = {"beta": ("coef",), "cutpoints": ("cutpoint",)}
    for grouping in model.resolved.groupings:
        name = grouping.identifier
        kinds = (f"{name}_by",) if grouping.kinds else ()
        dims[f"sd_{name}"] = (*kinds, f"{name}_term")
        dims[f"corr_{name}"] = (*kinds, f"{name}_term", f"{name}_term_bis")
        dims[f"u_{name}"] = (name, f"{name}_term")
    if model.resolved.residual is not None and model.resolved.residual.occasions:
        dim = model.resolved.residual.dim
        dims |= {"sigma": (dim,), "corr_residual": (dim, f"{dim}_bis")}
    if model.resolved.outcomes:
        dim = model.resolved.outcome_dim
        dims["beta"] = (dim, "coef")
        for name in model.resolved.outcome_parameter_priors:
            dims[name] = (model.resolved.parameter_dim(name),)
        dims |= {item.variable: (item.dim,) for item in model.resolved.outcome_cutpoints}
    for part in model.resolved.parts:
        by_cutpoint = ("cutpoint",) if part.category_specific else ()
        dims[f"beta_{part.parameter}"] = (*by_cutpoint, f"coef_{part.parameter}")
    return {name: dims.get(name, ()) for name in model.resolved.posterior_names}


def _used(dims: dict[str, tuple[str, ...]]) -> list[str]:
    return list(dict.fromkeys(dim for items in dims.values() for dim in items))


def _labels(model: Model, dim: str) -> np.ndarray:
    labels = model.coords[dim]
    if all(isinstance(label, int) for label in labels):
        return np.array(labels, dtype=np.int64)
    return np.array([str(label) for label in labels], dtype=object)


def _attributes(model: Model, name: str) -> dict[str, str]:
    for grouping in model.resolved.groupings:
        if name in {f"{kind}_{grouping.identifier}" for kind in ("sd", "corr", "nu", "u")}:
            return {"grouping": grouping.name}
    for item in model.resolved.outcome_cutpoints:
        if name == item.variable:
            return {"outcome": item.name}
    return {}


def _row_groups(model: Model) -> "dict[str, xr.Dataset]":
    import xarray as xr

    rows = {"obs": np.array(model.coords["obs"], dtype=np.int64)}
    observed = xr.Dataset(
        {model.resolved.response: ("obs", np.array(model.design.response.values))},
        coords=rows,
        attrs={"response": model.spec.response_label},
    )
    constant: dict[str, Any] = {}
    if model.design.outcomes is not None:
        # The columns of all outcomes: those of the first outcome first.
        constant["x"] = (("obs", "coef"), model.design.fixed.values)
        rows = rows | {"coef": np.array(model.resolved.coefficients, dtype=object)}
        constant["outcome_number"] = ("obs", model.data["outcome_number"])
    elif model.resolved.coefficients:
        constant["x"] = (("obs", "coef"), model.design.fixed.values)
        rows = rows | {"coef": _labels(model, "coef")}
    for part in model.resolved.parts:
        if part.coefficients:
            name = f"coef_{part.parameter}"
            constant[f"x_{part.parameter}"] = (
                ("obs", name),
                model.design.parts[part.parameter].values,
            )
            rows = rows | {name: _labels(model, name)}
    if model.design.response.trials is not None:
        constant["trials"] = ("obs", np.array(model.design.response.trials))
    for name in ("offset", *model.resolved.bounds):
        if name in model.data:
            constant[name] = ("obs", model.data[name])
    for grouping, varying in zip(model.resolved.groupings, model.design.varying, strict=True):
        name = grouping.identifier
        dims = ("obs", f"{name}_slot") if grouping.multiple else ("obs",)
        constant[f"unit_{name}"] = (dims, np.asarray(varying.units.index))
        slot = (f"{name}_slot",) if grouping.by_member else ()
        constant[f"terms_{name}"] = (("obs", *slot, f"{name}_term"), varying.terms)
        if varying.kinds is not None:
            constant[f"by_{name}"] = ("obs", varying.kinds.of_unit[varying.units.index])
        if varying.units.weights is not None:
            constant[f"weight_{name}"] = (dims, varying.units.weights)
    if model.design.residual is not None:
        residual = model.design.residual
        labels = json.dumps(residual.unit_keys(model.design.rows.frame), ensure_ascii=False)
        constant["unit_residual"] = ("obs", np.asarray(residual.units.index), {"labels": labels})
        constant["place_residual"] = ("obs", np.asarray(model.design.residual.place))
    # The predictors as they are: slopes and contrasts change one of them and replay the design.
    for number, (name, values) in enumerate(predictor_columns(model.design).items()):
        constant[f"predictor_{number}"] = ("obs", values, {"column": name})
    return {"observed_data": observed, "constant_data": xr.Dataset(constant, coords=rows)}


def _record(
    model: Model, seed: int, draws: int, tune: int, chains: int, target_accept: float
) -> dict[str, Any]:
    return {
        "bayesml_format": FORMAT,
        "facts": model.facts.to_json(),
        "notes": json.dumps(list(model.notes), ensure_ascii=False),
        "spec": spec_to_toml(model.spec),
        "design": design_text(model.design),
        "source": model.source,
        "equation": model.equation,
        "seed": int(seed),
        "draws_asked": draws,
        "tune": tune,
        "chains_asked": chains,
        "target_accept": float(target_accept),
        "versions": json.dumps(_versions()),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@cache
def _versions() -> dict[str, str]:
    """Return the versions of the packages that take part, read from disk once."""
    from bayesml import __version__

    found = {"bayesml": __version__}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
