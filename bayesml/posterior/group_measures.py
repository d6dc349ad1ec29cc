"""Design effects, and the reliability of units' means."""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import pandas as pd

from bayesml.errors import FitError, quoted
from bayesml.posterior.effect_distributions import require_one_covariance
from bayesml.posterior.fitted_rows import UnitRows, fitted_rows
from bayesml.posterior.predictor_terms import refuse_nominal
from bayesml.posterior.residual_fits import require_independent_residuals
from bayesml.posterior.share_cases import At
from bayesml.posterior.tidy_quantities import LabelledQuantity, quantity_draws, tidy_table
from bayesml.posterior.variance_shares import (
    MEAN,
    WHOLE,
    named_groupings,
    require_whole_units,
    variance_shares,
)
from bayesml.quantities.cluster_measures import (
    effective_unit_size,
    mean_reliability,
    shares_of_rows,
)
from bayesml.records.fits import Fit

if TYPE_CHECKING:
    import xarray as xr

# Numbers in a block of units x draws: 32 MB.
_BLOCK = 4_000_000


@overload
def design_effect(
    fit: Fit, at: At | None = ..., prob: float = ..., scale: str = ..., draws: Literal[False] = ...
) -> pd.DataFrame: ...
@overload
def design_effect(
    fit: Fit, at: At | None = ..., prob: float = ..., scale: str = ..., *, draws: Literal[True]
) -> "xr.DataArray": ...
def design_effect(
    fit: Fit,
    at: At | None = None,
    prob: float = 0.89,
    scale: str = "latent",
    draws: bool = False,
) -> "pd.DataFrame | xr.DataArray":
    """Return the design effect: by how much clustering inflates the variance of a mean.

    For one grouping deff = 1 + (n~ - 1) rho, with rho its ICC and n~ = sum n_j^2 / sum n_j, the
    number of rows in the unit of an average row: as if rows shared units of this grouping only.
    For all together deff = 1 + sum of (n~_g - 1) VPC_g, exact for the mean of all rows where
    effects add up. The effective sample size is the number of rows over deff.

    Parameters
    ----------
    fit : Fit
    at : mapping of str to number or str, optional
        Values of covariates, as in `vpc`.
    prob : float
        Posterior probability of the equal-tailed interval.
    scale : {"latent", "response"}
        Scale of the ICC, as in `icc`; for the mean of a binary outcome, "response".
    draws : bool
        Return the draws instead of a table.

    Returns
    -------
    DataFrame or DataArray
        Rows by `grouping`, ``all`` last where there are several, and by `quantity`: the
        ``design effect`` and the ``effective sample size`` in rows. Attributes: `prob`,
        `interval`, `scale`, `at`, and `rows_per_unit`, n~ of each grouping. With multiple
        membership the weights are those of the table. The DataArray has the dims chain, draw,
        (cutpoint,) part, with coordinates `grouping` and `quantity` along ``part``.

    Raises
    ------
    FitError
        The model has no grouping, or an argument cannot be used with this fit, or the fit has
        multiple membership and was saved without its rows.

    Notes
    -----
    Kish (1965), Survey Sampling; Killip, Mahfoud & Pearce (2004), doi:10.1370/afm.141.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> fit = bml.two_level(exam, "normexam ~ 1", group="school").fit()  # doctest: +SKIP
    >>> bml.design_effect(fit)  # doctest: +SKIP
    """
    require_whole_units(fit, "design_effect")
    require_one_covariance(fit, "design_effect", "bml.icc(fit), which has a row for each kind")
    refuse_nominal(fit.facts, "design_effect", "Use bml.icc(fit), which has every category.")
    require_independent_residuals(fit.spec, "design_effect", "Use bml.variance_components(fit).")
    shares = variance_shares(fit, at, scale, (MEAN,))
    groupings = fit.facts.main_groupings
    if any(item.multiple for item in groupings):
        found = fitted_rows(fit, "design_effect with multiple membership").groupings
        rows = [item for item in found if item.facts.places()]
        sizes = np.array([effective_unit_size(item.index, item.weights) for item in rows])
    else:
        sizes = np.array([item.effective_rows_per_unit for item in groupings])
    effects = 1 + (sizes - 1) * shares.partition.correlations
    names = [item.name for item in groupings]
    if len(names) > 1:
        together = 1 + ((sizes - 1) * shares.partition.shares).sum(axis=-1)
        effects = np.concatenate([effects, together[..., None]], axis=-1)
        names.append("all")
    values = np.stack([effects, fit.facts.rows / effects], axis=-1)
    labels = [(name, kind) for name in names for kind in ("design effect", "effective sample size")]
    attrs: dict[Hashable, Any] = dict(shares.attrs)
    attrs["rows_per_unit"] = {
        item.name: float(size) for item, size in zip(groupings, sizes, strict=True)
    }
    parts = {"grouping": [name for name, _ in labels], "quantity": [kind for _, kind in labels]}
    values = values.reshape(*effects.shape[:-1], -1)
    if draws:
        parts = {"part": [f"{kind} of {name}" for name, kind in labels], **parts}
    quantity = LabelledQuantity("design_effect", values, parts, shares.cases, attrs)
    return quantity_draws(fit, quantity) if draws else tidy_table(quantity, prob)


@overload
def reliability(
    fit: Fit,
    grouping: str | None = ...,
    at: At | None = ...,
    prob: float = ...,
    scale: str = ...,
    by_unit: bool = ...,
    draws: Literal[False] = ...,
) -> pd.DataFrame: ...
@overload
def reliability(
    fit: Fit,
    grouping: str | None = ...,
    at: At | None = ...,
    prob: float = ...,
    scale: str = ...,
    by_unit: bool = ...,
    *,
    draws: Literal[True],
) -> "xr.DataArray": ...
def reliability(
    fit: Fit,
    grouping: str | None = None,
    at: At | None = None,
    prob: float = 0.89,
    scale: str = "latent",
    by_unit: bool = False,
    draws: bool = False,
) -> "pd.DataFrame | xr.DataArray":
    """Return the reliability of units' means: the share of their variance that is the units' own.

    s2_u / (s2_u + s2_e / n_j) for the mean of n_j rows. The effects of other groupings are error
    as well, s2_h times the sum of squared shares that their units have in the rows, but for the
    groupings that contain the unit, which all its rows have in common. s2_u and s2_e are those of
    `vpc`: with varying slopes they hold at one value of the covariates; an ``interaction`` counts
    as s2_e.

    Parameters
    ----------
    fit : Fit
    grouping : str, optional
        Name of a grouping; None is every grouping without multiple membership.
    at : mapping of str to number or str, optional
        Values of covariates, as in `vpc`.
    prob : float
        Posterior probability of the equal-tailed interval.
    scale : {"latent", "response"}
        As in `vpc`; the mean of a binary outcome has the reliability of "response".
    by_unit : bool
        Return every unit; otherwise the mean over the units of a grouping.
    draws : bool
        Return the draws instead of a table.

    Returns
    -------
    DataFrame or DataArray
        Rows by `grouping` (and `unit`, with `rows`, its number of rows), with `mean`, `median`,
        `sd`, `lower`, `upper`, between 0 and 1. Attributes `prob`, `interval`, `scale`, `at`. The
        DataArray has the dims chain, draw, (cutpoint,) grouping; with `by_unit` the last dim is
        ``unit``, with the coordinates `grouping` and `rows`.

    Raises
    ------
    FitError
        There is no such grouping, it has multiple membership, or the fit was saved without rows.

    Notes
    -----
    Raudenbush & Bryk (2002), Hierarchical Linear Models, p. 46; Lüdtke, Marsh, Robitzsch,
    Trautwein, Asparouhov & Muthén (2008), doi:10.1037/a0012869.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> fit = bml.two_level(exam, "normexam ~ 1", group="school").fit()  # doctest: +SKIP
    >>> bml.reliability(fit, "school", by_unit=True)  # doctest: +SKIP
    """
    chosen = [item.name for item in named_groupings(fit, grouping) if not item.multiple]
    if not chosen:
        raise FitError(
            "The reliability of a unit's mean needs rows that belong to one unit each, and "
            f"{quoted(grouping or fit.facts.groupings[0].name)} has multiple membership. "
            "Use bml.vpc(fit)."
        )
    require_whole_units(fit, "reliability")
    require_one_covariance(fit, "reliability", "bml.icc(fit), which has a row for each kind")
    refuse_nominal(fit.facts, "reliability", "Use bml.icc(fit), which has every category.")
    require_independent_residuals(fit.spec, "reliability", "Use bml.residuals(fit, grouping).")
    found_rows = fitted_rows(fit, "reliability").groupings
    rows = tuple(item for item in found_rows if item.facts.places())
    shares = variance_shares(fit, at, scale, (WHOLE,))
    found = shares.partition
    places = [i for i, item in enumerate(fit.facts.main_groupings) if item.name in chosen]
    values = []
    for place in places:
        own = found.shares[..., place, None]
        level1 = (found.level1 + found.interaction)[..., None]
        others, overlap = _other_groupings(rows, place)
        error = found.shares[..., others]
        sizes = rows[place].sizes
        size = max(1, _BLOCK // max(1, level1.size))
        blocks = []
        for start in range(0, len(sizes), size):
            part = slice(start, start + size)
            units = mean_reliability(own, error @ overlap[:, part], level1, sizes[part])
            blocks.append(units if by_unit else units.sum(axis=-1, keepdims=True) / len(sizes))
        values.append(
            np.concatenate(blocks, axis=-1) if by_unit else np.sum(blocks, axis=0, dtype=float)
        )
    parts: dict[str, list[Any]] = {"grouping": chosen}
    if by_unit:
        groups = [fit.facts.main_groupings[place] for place in places]
        labels = [fit.posterior[item.identifier].values.tolist() for item in groups]
        parts = {
            "unit": [label for items in labels for label in items],
            "grouping": [item.name for item in groups for _ in range(item.units)],
            "rows": [int(size) for place in places for size in rows[place].sizes],
        }
    quantity = LabelledQuantity(
        "reliability", np.concatenate(values, axis=-1), parts, shares.cases, shares.attrs
    )
    return quantity_draws(fit, quantity) if draws else tidy_table(quantity, prob)


def _other_groupings(rows: tuple[UnitRows, ...], place: int) -> tuple[list[int], np.ndarray]:
    """Return the groupings whose effects are error in a unit's mean, and how much of them is."""
    own = rows[place]
    others = [
        i for i, item in enumerate(rows) if i != place and item.facts.name not in own.facts.within
    ]
    overlap = [
        shares_of_rows(own.index, own.facts.units, rows[i].index, rows[i].weights) for i in others
    ]
    return others, np.array(overlap).reshape(len(others), own.facts.units)
