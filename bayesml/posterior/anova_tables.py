"""Where the variance of an outcome lies, by sums of squares: no model is fitted."""

import numpy as np
import pandas as pd
from scipy import stats

from bayesml.errors import FitError, did_you_mean, listed, quoted
from bayesml.posterior.model_rows import GroupingRows, ModelRows, rows_in_fit, rows_of_model
from bayesml.quantities.sums_of_squares import nested_squares
from bayesml.records.fits import Fit
from bayesml.records.modelling import Model
from bayesml.specs.families import family_named


def variance_table(model: Model | Fit, grouping: str | None = None) -> pd.DataFrame:
    """Return an analysis of variance of the outcome: how much of it lies between units.

    The table knows the outcome and the groupings only; predictors of the model play no part.
    Groupings that are nested are analysed together, each within the next larger one. Of crossed
    groupings name one: the others are then part of its within variance.

    Parameters
    ----------
    model : Model or Fit
        The model, or a fit that holds its rows.
    grouping : str, optional
        One grouping; None is all groupings, which must be nested in each other.

    Returns
    -------
    DataFrame
        One row per `source`, the largest units first, then within the smallest units, then
        ``total``: `sum_of_squares`, `df`, `mean_square`, `F` (against the mean square below it)
        with its `p`, `variance` (the ANOVA estimate, unbiased and so perhaps negative), `share`
        (its part of the sum of all variances) and `icc` (the intraclass correlation: the share of
        the grouping and of those that contain it). Attributes: `rows_per_unit`, the n0 of each
        grouping, and `notes`.

    Raises
    ------
    FitError
        The model has no grouping or none of this name, the groupings are crossed, rows belong to
        several units, the outcome has no mean to analyse, or the fit was saved without its rows.

    Notes
    -----
    s2_between = (MS_between - MS_within) / n0 with n0 = (N - sum n_j^2 / N) / (J - 1), and
    ICC = s2_between / (s2_between + s2_within): Donner (1986), doi:10.2307/1403259. For several
    levels Henderson's method 1: Searle, Casella & McCulloch (1992), doi:10.1002/9780470316856.
    For 0/1 outcomes shares are of the variance on the probability scale (Ridout, Demetrio & Firth
    1999, doi:10.1111/j.0006-341X.1999.00137.x). With several levels and units of unequal size the
    F tests are approximate.

    Examples
    --------
    >>> import bayesml as bml
    >>> hsb = bml.load_dataset("hsb82")
    >>> table = bml.variance_table(bml.two_level(hsb, "mAch ~ 1", group="school"))
    >>> round(float(table["icc"].iloc[0]), 3)
    0.174
    """
    rows = (
        rows_in_fit(model, "bml.variance_table") if isinstance(model, Fit) else rows_of_model(model)
    )
    if model.spec.outcomes:
        raise FitError(
            f"variance_table is about one outcome, and this model has {len(model.spec.outcomes)}. "
            "Use bml.vpc(fit), which has a partition for each."
        )
    _check_outcome(rows)
    chain = _chain(rows, grouping)
    found = nested_squares(rows.y.astype(float), [item.index for item in chain])
    names = [item.name for item in chain]
    sources = [
        f"between {name}" + (f" within {names[place - 1]}" if place else "")
        for place, name in enumerate(names)
    ]
    squares, df = found.squares, found.df
    with np.errstate(all="ignore"):
        mean_squares = squares / df
        ratio = mean_squares[:-1] / mean_squares[1:]
        p = stats.f.sf(ratio, df[:-1], df[1:])
        whole = found.variances.sum()
        share = found.variances / whole
    absent = [np.nan]
    table = pd.DataFrame(
        {
            "source": [*sources, f"within {names[-1]}", "total"],
            "sum_of_squares": [*squares, squares.sum()],
            "df": [*df, df.sum()],
            "mean_square": [*mean_squares, squares.sum() / df.sum()],
            "F": [*ratio, *absent, *absent],
            "p": [*p, *absent, *absent],
            "variance": [*found.variances, whole],
            "share": [*share, 1.0],
            "icc": [*np.cumsum(share[:-1]), *absent, *absent],
        }
    )
    table.attrs = {
        "rows_per_unit": dict(zip(names, found.sizes.tolist(), strict=True)),
        "notes": _notes(rows, chain, found.variances, df),
    }
    return table


def _check_outcome(rows: ModelRows) -> None:
    if rows.censored:
        raise FitError(
            f"An analysis of variance needs outcomes that were observed, and {rows.censored}. Use "
            "bml.vpc(fit), whose shares take censoring into account."
        )
    record = family_named(rows.family)
    ordered = record.response == "ordered"
    if ordered or rows.trials is not None:
        what = "ordered categories" if ordered else "successes out of trials"
        instead = (
            "bml.vpc(fit), the shares of the latent scale"
            if record.latent
            else "bml.variance_components(fit)"
        )
        raise FitError(
            f"An analysis of variance needs one number a row, and the outcome has {what}. Use "
            f"{instead}."
        )


def _chain(rows: ModelRows, grouping: str | None) -> list[GroupingRows]:
    """Return the groupings to analyse, largest units first."""
    names = [item.name for item in rows.groupings]
    if not names:
        raise FitError(
            "This model has no grouping, so its variance has no parts. Add one, such as (1 | g)."
        )
    if grouping is not None and grouping not in names:
        raise FitError(
            f"{quoted(str(grouping))} is not a grouping of this model. "
            f"{did_you_mean(str(grouping), names)}"
        )
    chosen = [item for item in rows.groupings if grouping in (None, item.name)]
    multiple = [item.name for item in chosen if item.weights is not None]
    if multiple:
        others = [item.name for item in rows.groupings if item.weights is None]
        action = f"Name another grouping: {listed(others)}." if others else "Use bml.vpc(fit)."
        raise FitError(
            f"Rows belong to several units of {multiple[0]} at once, so there are no squares "
            f"between its units. {action}"
        )
    chain = sorted(chosen, key=lambda item: len(item.within))
    for place, item in enumerate(chain):
        if {outer.name for outer in chain[:place]} - set(item.within):
            raise FitError(
                f"The groupings {listed(names)} are not nested in each other, so one sum of "
                f"squares does not divide among them. Name one: grouping={chain[0].name!r}."
            )
    return chain


def _notes(
    rows: ModelRows, chain: list[GroupingRows], variances: np.ndarray, df: np.ndarray
) -> list[str]:
    notes = []
    left_out = sorted({item.name for item in rows.groupings} - {item.name for item in chain})
    if left_out:
        notes.append(f"The grouping {listed(left_out)} is left out: it is part of the rest.")
    if rows.family == "binomial":
        notes.append("The outcome is 0/1: variances are on the probability scale.")
    if (df[:-1] < 1).any() or df[-1] < 1:
        notes.append(
            "Some units are no smaller than those that contain them: their variances cannot be "
            "told apart."
        )
    for item, variance in zip(chain, variances, strict=False):
        if variance < 0:
            notes.append(
                f"The variance between units of {item.name} is estimated below 0: these units "
                "differ less than units made at random would. Read it as 0."
            )
    return notes
