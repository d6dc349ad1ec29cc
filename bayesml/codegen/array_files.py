"""The arrays and labels of a generated model in one file, without pickles."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

PREFIX = "coords/"


def save_arrays(
    path: str | Path, data: Mapping[str, np.ndarray], coords: Mapping[str, Sequence[Any]]
) -> None:
    """Write what a generated script's `build(data, coords)` takes to an .npz file.

    The function `load_arrays` of the scripts reads it back. Labels are stored under the name of
    their dim with ``coords/`` before it, as whole numbers or as text.

    Parameters
    ----------
    path : str or Path
        File to write; it gets the ending .npz where it has none.
    data : mapping of str to array
    coords : mapping of str to sequence

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_arrays(f"{folder}/a.npz", {"y": np.ones(2)}, {"obs": [0, 1]})
    ...     with np.load(f"{folder}/a.npz") as arrays:
    ...         sorted(arrays)
    ['coords/obs', 'y']
    """
    labels = {f"{PREFIX}{dim}": _labels(items) for dim, items in coords.items()}
    # savez takes the arrays as keywords, and "file" is the name of its own argument.
    np.savez(
        path,
        allow_pickle=False,
        **{name: np.asarray(item) for name, item in data.items()},
        **labels,
    )


def _labels(items: Sequence[Any]) -> np.ndarray:
    whole = all(isinstance(item, int | np.integer) for item in items)
    return np.array([int(item) if whole else str(item) for item in items])
