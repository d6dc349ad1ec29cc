"""Heritability of a twin model: shares of genes and environment, and correlations of twins."""

from typing import TYPE_CHECKING, Literal, overload

import numpy as np
import pandas as pd

from bayesml.errors import FitError, quoted
from bayesml.posterior.tidy_quantities import LabelledQuantity, quantity_draws, tidy_table
from bayesml.posterior.variance_shares import shares_parts, variance_shares
from bayesml.records.fits import Fit
from bayesml.specs.small_groups import TWIN_PARTS

if TYPE_CHECKING:
    import xarray as xr


@overload
def heritability(fit: Fit, prob: float = ..., draws: Literal[False] = ...) -> pd.DataFrame: ...
@overload
def heritability(fit: Fit, prob: float = ..., *, draws: Literal[True]) -> "xr.DataArray": ...
def heritability(
    fit: Fit, prob: float = 0.89, draws: bool = False
) -> "pd.DataFrame | xr.DataArray":
    """Return the heritability of a twin model, with the other shares and the twins' correlations.

    With the variances A, C or D, and E, ``A`` is A / (A + C + E), the heritability (in the narrow
    sense where there is D), ``C``, ``D`` and ``E`` likewise; ``correlation MZ`` is A + C + D and
    ``correlation DZ`` is A / 2 + C + D / 4 over the same total. Predictors have explained their
    part before.

    Parameters
    ----------
    fit : Fit
        Of a model that `twins` made, or of the same model by a formula: with the groupings
        ``additive``, ``dominance`` and ``shared`` of `with_relatedness`.
    prob : float
        Posterior probability of the equal-tailed interval.
    draws : bool
        Return the draws instead of a table.

    Returns
    -------
    DataFrame or DataArray
        Rows by `part`, with `mean`, `median`, `sd`, `lower`, `upper`; proportions. Binary and
        ordinal outcomes: shares of the latent liability. The DataArray has the dims chain, draw,
        part.

    Raises
    ------
    FitError
        The model is not a twin model, or has no constant variance at level 1.

    Notes
    -----
    Neale & Cardon (1992), doi:10.1007/978-94-015-8018-2.

    Examples
    --------
    >>> import bayesml as bml
    >>> fit = bml.twins(
    ...     table, "bmi ~ age", pair="family", zygosity="zygosity"
    ... ).fit()  # doctest: +SKIP
    >>> bml.heritability(fit)  # doctest: +SKIP
    """
    if not _of_twins(fit):
        raise FitError(
            f"heritability needs a twin model, and this one is {quoted(fit.spec.structure)}. Make "
            "it with bml.twins, or use bml.vpc(fit) for shares of the variance."
        )
    # A row's squared weights add up to 1, so the partition of a whole membership is every row's.
    shares = variance_shares(fit, None, "latent")
    found = shares.partition
    names = [grouping.name for grouping in fit.facts.main_groupings]
    by_row = found.shares.reshape(*found.shares.shape[:2], -1, len(names))[:, :, 0]
    level1 = found.level1.reshape(*found.level1.shape[:2], -1)[:, :, 0]
    parts = {
        letter: (by_row[..., names.index(name)], correlation)
        for letter, (name, correlation) in TWIN_PARTS.items()
        if name in names
    }
    columns = {letter: share for letter, (share, _) in parts.items()}
    columns["E"] = level1
    columns["correlation MZ"] = sum((share for share, _ in parts.values()), np.zeros_like(level1))
    columns["correlation DZ"] = sum(
        (correlation * share for share, correlation in parts.values()), np.zeros_like(level1)
    )
    values = np.stack(list(columns.values()), axis=-1)
    quantity = LabelledQuantity("heritability", values, {"part": list(columns)}, {}, {})
    return quantity_draws(fit, quantity) if draws else tidy_table(quantity, prob)


def _of_twins(fit: Fit) -> bool:
    """Whether the groupings are those of twins, by their names and by their weights."""
    groupings = fit.facts.main_groupings
    of_twins = {item.name for item in groupings} <= {name for name, _ in TWIN_PARTS.values()}
    whole = fit.spec.structure == "twins"  # shared environment alone is any grouping's variance
    return of_twins and (whole or any(shares_parts(fit, item) for item in groupings))
