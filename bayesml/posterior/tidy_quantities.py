"""Draws of a quantity with labels, as a tidy table of summaries or as an xarray."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesml.posterior.summaries import interval_words
from bayesml.quantities.intervals import summarise_draws
from bayesml.records.fits import Fit

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class LabelledQuantity:
    """Draws of a quantity, with the labels of its parts and the cases for which it is computed.

    Parameters
    ----------
    name : str
    values : array, shape (chains, draws, ..., parts)
        One axis per case between the draws and the parts.
    parts : mapping of str to sequence
        Labels of the last axis, each of one length; the first key names the dimension.
    cases : mapping of str to sequence of str
        Dimensions between draws and parts, such as ``membership``, with their labels.
    attrs : mapping
        What the reader must know.
    extra : mapping of str to sequence
        Further columns of the table, one value per part, behind the summaries.
    """

    name: str
    values: np.ndarray
    parts: Mapping[str, Sequence[Any]]
    cases: Mapping[str, Sequence[str]] = field(default_factory=dict)
    attrs: Mapping[Hashable, Any] = field(default_factory=dict)
    extra: Mapping[str, Sequence[Any]] = field(default_factory=dict)


def tidy_table(quantity: LabelledQuantity, prob: float) -> pd.DataFrame:
    """Return one row per case and part: its labels, then `mean` ... `upper`.

    Parameters
    ----------
    quantity : LabelledQuantity
    prob : float
        Posterior probability of the equal-tailed interval.

    Returns
    -------
    DataFrame
        Attributes `prob`, `interval` and those of the quantity.
    """
    numbers = summarise_draws(quantity.values, prob)
    cases = list(product(*quantity.cases.values()))
    length = quantity.values.shape[-1]
    columns: dict[str, Any] = {
        name: list(labels) * len(cases) for name, labels in quantity.parts.items()
    }
    # The case that changes fastest stands next to the parts.
    for place, name in reversed(list(enumerate(quantity.cases))):
        columns[name] = [case[place] for case in cases for _ in range(length)]
    for name in ("mean", "median", "sd", "lower", "upper"):
        columns[name] = getattr(numbers, name).ravel()
    for name, values in quantity.extra.items():
        columns[name] = list(values) * len(cases)
    table = pd.DataFrame(columns)
    table.attrs = {"prob": float(prob), "interval": interval_words(prob), **quantity.attrs}
    return table


def quantity_draws(fit: Fit, quantity: LabelledQuantity) -> "xr.DataArray":
    """Return the draws, dims chain, draw, the cases, and the parts."""
    import xarray as xr

    (dim, index), *further = quantity.parts.items()
    coords: dict[str, Any] = {
        "chain": fit.posterior["chain"].values,
        "draw": fit.posterior["draw"].values,
        **{name: list(labels) for name, labels in quantity.cases.items()},
        dim: list(index),
    }
    dims = list(coords)
    coords |= {name: (dim, list(labels)) for name, labels in further}
    return xr.DataArray(
        quantity.values, coords=coords, dims=dims, name=quantity.name, attrs=dict(quantity.attrs)
    )
