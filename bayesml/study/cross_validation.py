"""K-fold cross-validation: the model is fitted again without each part of the data."""

from hashlib import sha256

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from bayesml.design.row_subsets import design_of_rows
from bayesml.errors import FitError, quoted
from bayesml.posterior.diagnosis import diagnose
from bayesml.posterior.fitted_likelihoods import (
    likelihood_draws,
)
from bayesml.posterior.held_out import group_log_likelihood
from bayesml.posterior.held_out_rows import row_log_likelihoods
from bayesml.posterior.leave_group_out import members_mark
from bayesml.posterior.likelihood_rows import LikelihoodRows
from bayesml.posterior.predictive_scores import CrossValidation
from bayesml.records.fits import Fit
from bayesml.records.modelling import Model
from bayesml.study.unseen_rows import (
    LeftOutParts,
    left_out_parts,
    some_rows,
    unfitted_rows,
    unseen_rows,
)


def kfold(
    model: Model,
    *,
    by: str | None = None,
    k: int = 10,
    seed: int = 1,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    cores: int | None = None,
    engine: str = "auto",
    progress: bool | None = None,
) -> CrossValidation:
    """Return the predictive density of data that the model was fitted without, fold by fold.

    The rows, or the units of a grouping, are dealt at random into `k` folds of nearly one size,
    and the model is fitted `k` times, each time without one fold. Columns, levels and priors keep
    the numbers that the whole table gave. What a fold's fit does not know is integrated out: the
    effects of units that have no other row.

    A row of the table is left out with all of its outcomes, and predicted jointly; where residuals
    are correlated within units, the rows of such a unit are.

    Parameters
    ----------
    model : Model
    by : str or None
        Name of the grouping whose units are left out whole; None leaves out rows, or units of
        correlated residuals.
    k : int
        Number of folds. The number of units with `by` leaves out one unit at a time.
    seed : int
        Seed of the folds and of the fits.
    draws, tune, chains, cores, engine, progress
        As in `Model.fit`, for each fit.

    Returns
    -------
    CrossValidation
        By row, or by unit as in `logo` (so are rows with several outcomes): `pointwise` with
        `elpd`, `cpo`, `fold`. Folds whose draws do not pass `diagnose` are named in `notes`.

    Raises
    ------
    FitError
        `by` is not a grouping of the model or is a multiple membership, residuals correlate rows of
        different units of it, or `k` is not a whole number between 2 and the number of rows or
        units.

    Notes
    -----
    Vehtari, Gelman & Gabry (2017), doi:10.1007/s11222-016-9696-4, section 2.3.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> model = bml.two_level(exam, "normexam ~ standLRT", group="school")
    >>> print(bml.kfold(model, by="school", k=5))  # doctest: +SKIP
    """
    uneven = [item.name for item in model.facts.groupings if item.kinds or item.student]
    if uneven:
        raise FitError(
            f"kfold takes normal effects with one SD for all units, and {quoted(uneven[0])} has "
            "kinds of units or Student-t effects. Use bml.loo(fit)."
        )
    rows = unfitted_rows(model)
    left_out = left_out_parts(model, rows, by)
    members = left_out.members
    what = "rows" if left_out.by == "row" else f"units of {left_out.by}"
    _check_whole("k", k, 2, len(members), what)
    _check_whole("seed", seed, 0, None, "")
    fold_of_part = np.random.default_rng(seed).permutation(len(members)) % k
    fold_of_row = np.empty(len(rows.outcome), dtype=int)
    for part, fold in zip(members, fold_of_part, strict=True):
        fold_of_row[part] = fold
    tables, notes = [], []
    number = 0
    for fold in range(k):
        fit = fit_without(
            model,
            np.flatnonzero(fold_of_row == fold),
            draws=draws,
            tune=tune,
            chains=chains,
            seed=seed + fold,
            cores=cores,
            engine=engine,
            progress=progress,
        )
        number = fit.draws_made
        found = diagnose(fit)
        if not found.ok:
            notes.append(f"Fold {fold + 1}: {found.verdict}")
        parts = np.flatnonzero(fold_of_part == fold)
        tables.append(
            held_out_scores(rows, fit, [members[part] for part in parts], left_out.joint, seed)
            .assign(fold=fold + 1)
            .set_axis(parts)
        )
    pointwise = pd.concat(tables).sort_index()
    pointwise.index = pd.Index(left_out.labels, name=left_out.by)
    mark = rows.mark
    if left_out.joint:
        mark = f"{mark} {members_mark(members)}"
    else:
        pointwise = pointwise.drop(columns=["rows", "method", "integration_error"])
    return CrossValidation(
        kind="kfold",
        by=left_out.by,
        formula=model.facts.formula,
        pointwise=pointwise,
        by_unit=_by_unit(rows, model, pointwise, left_out),
        draws=number,
        mark=mark,
        continuous=rows.continuous,
        folds=sha256(np.ascontiguousarray(fold_of_row)).hexdigest(),
        notes=tuple(notes),
    )


def fit_without(
    model: Model,
    left_out: np.ndarray,
    *,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    seed: int | None = None,
    cores: int | None = None,
    engine: str = "auto",
    progress: bool | None = None,
) -> Fit:
    """Return a fit of a model to all rows but some, with the priors of the whole table.

    Parameters
    ----------
    model : Model
    left_out : array of int
        Positions of the rows among those of the model's design.
    draws, tune, chains, seed, cores, engine, progress
        As in `Model.fit`.

    Returns
    -------
    Fit
        Units that have no other row are not in it.
    """
    return model_without(model, left_out).fit(
        draws=draws,
        tune=tune,
        chains=chains,
        seed=seed,
        cores=cores,
        engine=engine,
        progress=progress,
    )


def model_without(model: Model, left_out: np.ndarray) -> Model:
    """Return a model of all rows but some, with the columns, levels and priors of the whole table.

    Parameters
    ----------
    model : Model
    left_out : array of int
        Positions of the rows among those of the model's design.

    Returns
    -------
    Model
        Units that have no other row are not in it.
    """
    kept = np.setdiff1d(np.arange(len(model.design.response.values)), left_out)
    resolved, design = design_of_rows(model.resolved, model.design, kept)
    return Model(model.spec, resolved, design, model.builder_notes)


def held_out_scores(
    rows: LikelihoodRows, fit: Fit, members: list[np.ndarray], together: bool, seed: int = 1
) -> pd.DataFrame:
    """Return the predictive density of parts of the data that a fit has not seen.

    Parameters
    ----------
    rows : LikelihoodRows
        All rows of the model, by `unfitted_rows`.
    fit : Fit
        A fit without the rows of `members`.
    members : list of array of int
        The rows of each part.
    together : bool
        Whether a part is a group, predicted jointly, rather than a single row.
    seed : int
        Seed of importance sampling.

    Returns
    -------
    DataFrame
        One row per part: `rows`, `elpd`, `cpo`, `method`, `integration_error`.
    """
    draws = likelihood_draws(fit)
    unseen = unseen_rows(rows, fit)
    found: list[tuple[int, float, str, float]] = []
    if together:
        rng = np.random.default_rng(seed)
        for part in members:
            group = group_log_likelihood(unseen, draws, part, rng)
            elpd = float(logsumexp(group.values) - np.log(draws.number))
            found.append((len(part), elpd, group.method, group.error))
    else:
        chosen = np.concatenate(members)
        for _, values in row_log_likelihoods(some_rows(unseen, chosen), draws):
            elpds = logsumexp(values, axis=1) - np.log(draws.number)
            found += [(1, float(elpd), "", 0.0) for elpd in elpds]
    table = pd.DataFrame(found, columns=["rows", "elpd", "method", "integration_error"])
    table.insert(2, "cpo", np.exp(table["elpd"]))
    return table


def _check_whole(name: str, value: int, least: int, most: int | None, what: str) -> None:
    wrong = isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least
    if wrong or (most is not None and value > most):
        limit = f"from {least} up" if most is None else f"from {least} to {most}, the {what}"
        raise FitError(f"{name} is {quoted(value)}. Give a whole number {limit}.")


def _by_unit(
    rows: LikelihoodRows, model: Model, pointwise: pd.DataFrame, left_out: LeftOutParts
) -> pd.DataFrame:
    if left_out.joint:
        table = pointwise[["rows", "elpd"]].rename_axis("unit").reset_index()
        table.insert(0, "grouping", left_out.by)
        return table
    elpd = pointwise["elpd"].to_numpy()
    tables = []
    for grouping, part in zip(rows.groupings, model.design.varying, strict=True):
        row, slot = np.nonzero(grouping.weight > 0)
        unit, count = grouping.unit[row, slot], len(part.units.labels)
        tables.append(
            pd.DataFrame(
                {
                    "grouping": grouping.name,
                    "unit": list(part.units.labels),
                    "rows": np.bincount(unit, minlength=count),
                    "elpd": np.bincount(unit, weights=elpd[row], minlength=count),
                }
            )
        )
    columns = ["grouping", "unit", "rows", "elpd"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
