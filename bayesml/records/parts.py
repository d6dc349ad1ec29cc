"""Finished chains on disk, so that a killed run can go on where it stopped."""

import json
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from bayesml.errors import FitError, quoted

if TYPE_CHECKING:
    from bayesml.engines.chains import ChainDraws

_STATS = "stats/"
_DRAWS = "draws/"


def write_part(folder: Path, fingerprint: str, chain: "ChainDraws") -> Path:
    """Write a finished chain to `folder`; the file appears only when it is whole.

    Parameters
    ----------
    folder : Path
        Made where it does not exist.
    fingerprint : str
        Identifies the model, the data and the settings of the run.
    chain : ChainDraws
        A complete chain.
    """
    folder.mkdir(parents=True, exist_ok=True)
    head = {
        "fingerprint": fingerprint,
        "chain": chain.chain,
        "seed": chain.seed,
        "draws": chain.draws,
        "tune": chain.tune,
        "seconds": chain.seconds,
    }
    arrays = {f"{_DRAWS}{name}": value for name, value in chain.posterior.items()}
    arrays |= {f"{_STATS}{name}": value for name, value in chain.sample_stats.items()}
    path = folder / f"chain-{chain.chain}.npz"
    partial = folder / f".chain-{chain.chain}.partial.npz"
    with partial.open("wb") as file:
        np.savez(file, head=np.array(json.dumps(head)), allow_pickle=False, **arrays)
    partial.replace(path)
    return path


def read_parts(folder: Path, fingerprint: str) -> "list[ChainDraws]":
    """Return the finished chains in `folder`, in the order of their numbers.

    Raises
    ------
    FitError
        A file cannot be read, or belongs to another run.
    """
    from bayesml.engines.chains import ChainDraws

    chains = []
    for path in sorted(folder.glob("chain-*.npz")):
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                head = json.loads(str(archive["head"]))
                draws = _group(archive, _DRAWS)
                stats = _group(archive, _STATS)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise FitError(
                f"The finished chain {quoted(str(path))} cannot be read ({error}). Delete the file "
                "and run again with --resume."
            ) from None
        if head["fingerprint"] != fingerprint:
            raise FitError(
                f"{quoted(str(path))} belongs to a run with another model, table, seed or number "
                "of draws. Delete the folder, or run without --resume."
            )
        chains.append(
            ChainDraws(
                chain=head["chain"],
                seed=head["seed"],
                draws=head["draws"],
                tune=head["tune"],
                posterior=draws,
                sample_stats=stats,
                seconds=head["seconds"],
                complete=True,
            )
        )
    return sorted(chains, key=lambda item: item.chain)


def _group(archive: np.lib.npyio.NpzFile, prefix: str) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(prefix): archive[name]
        for name in archive.files
        if name.startswith(prefix)
    }


def recorded_seed(folder: Path) -> int | None:
    """Return the seed of the run whose chains are in `folder`, None where there is none."""
    path = folder / "run.json"
    if not path.is_file():
        return None
    return int(json.loads(path.read_text(encoding="utf-8"))["seed"])


def record_seed(folder: Path, seed: int) -> None:
    """Write the run's seed to `folder`, so that a resumed run continues with it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps({"seed": seed}), encoding="utf-8")
