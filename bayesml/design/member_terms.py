"""The varying terms of a grouping whose value may differ between the members of a row."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayesml.design.matrices import Matrix


def varying_values(matrices: Sequence[Matrix], frame: pd.DataFrame) -> np.ndarray:
    """Return Z of a grouping's blocks side by side, on some rows.

    Parameters
    ----------
    matrices : sequence of Matrix
        One per block.
    frame : DataFrame

    Returns
    -------
    array, shape (rows, terms), or (rows, slots, terms) where a term differs between members
    """
    slots = max((len(item.members) for matrix in matrices for item in matrix.codings), default=0)
    by_slot = [
        np.concatenate([matrix.replay(frame, slot) for matrix in matrices], axis=1)
        for slot in range(max(slots, 1))
    ]
    return np.stack(by_slot, axis=1) if slots else by_slot[0]


def slot_terms(terms: np.ndarray, slot: int) -> np.ndarray:
    """Return Z of one slot, shape (rows, terms): the same for all, unless members have their own.

    Parameters
    ----------
    terms : array, shape (rows, terms) or (rows, slots, terms)
    slot : int
    """
    return terms[:, slot] if terms.ndim == 3 else terms


def all_slots(terms: np.ndarray) -> np.ndarray:
    """Return the rows of Z, or those of every slot where members have terms of their own."""
    return terms.reshape(-1, terms.shape[-1])


def used_terms(terms: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Return the rows of Z that belong to a unit: of members' own terms those of slots in use."""
    return terms[weights > 0] if terms.ndim == 3 and weights is not None else terms


def slot_loads(terms: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Return by how much the effects of each slot's unit enter the rows.

    Returns
    -------
    array, shape (rows, slots, terms)
        Weight times Z.
    """
    whole = terms if terms.ndim == 3 else terms[:, None, :]
    return whole if weights is None else whole * weights[:, :, None]
