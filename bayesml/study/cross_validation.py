"""K-fold cross-validation: the model is fitted again without each part of the data."""

from dataclasses import replace
from hashlib import sha256

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from bayesml.design.row_subsets import design_of_rows
from bayesml.errors import FitError, did_you_mean, quoted
from bayesml.posterior.diagnosis import diagnose
from bayesml.posterior.fitted_likelihoods import (
    families_of_outcomes,
    likelihood_draws,
    likelihood_rows,
)
from bayesml.posterior.held_out import group_log_likelihood
from bayesml.posterior.held_out_rows import row_log_likelihoods
from bayesml.posterior.leave_group_out import members_mark, rows_of_units
from bayesml.posterior.likelihood_rows import GroupingSlots, LikelihoodRows, PartRows
from bayesml.posterior.predictive_scores import CrossValidation
from bayesml.posterior.residual_fits import require_independent_residuals
from bayesml.records.fits import Fit
from bayesml.records.modelling import Model


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

    Parameters
    ----------
    model : Model
    by : str or None
        Name of the grouping whose units are left out whole; None leaves out rows.
    k : int
        Number of folds. The number of units with `by` leaves out one unit at a time.
    seed : int
        Seed of the folds and of the fits.
    draws, tune, chains, cores, engine, progress
        As in `Model.fit`, for each fit.

    Returns
    -------
    CrossValidation
        By row, or by unit as in `logo`: `pointwise` with `elpd`, `cpo`, `fold`. Folds whose draws
        do not pass `diagnose` are named in `notes`.

    Raises
    ------
    FitError
        `by` is not a grouping of the model or is a multiple membership, or `k` is not a whole
        number between 2 and the number of rows or units.

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
    require_independent_residuals(
        model.spec, "kfold", "Use bml.loo(fit), or bml.logo(fit, grouping) for whole units."
    )
    uneven = [item.name for item in model.facts.groupings if item.kinds or item.student]
    if uneven:
        raise FitError(
            f"kfold takes normal effects with one SD for all units, and {quoted(uneven[0])} has "
            "kinds of units or Student-t effects. Use bml.loo(fit)."
        )
    rows = unfitted_rows(model)
    members = _parts(model, rows, by)
    _check_whole("k", k, 2, len(members), "rows" if by is None else f"units of {by}")
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
            held_out_scores(rows, fit, [members[part] for part in parts], by is not None, seed)
            .assign(fold=fold + 1)
            .set_axis(parts)
        )
    pointwise = pd.concat(tables).sort_index()
    if by is None:
        pointwise = pointwise.drop(columns=["rows", "method", "integration_error"])
        pointwise.index = pd.Index(rows.positions, name="row")
        mark = rows.mark
    else:
        position = [item.name for item in rows.groupings].index(by)
        labels = model.design.varying[position].units.labels
        pointwise.index = pd.Index(list(labels), name=by)
        mark = f"{rows.mark} {members_mark(members)}"
    return CrossValidation(
        kind="kfold",
        by="row" if by is None else by,
        formula=model.facts.formula,
        pointwise=pointwise,
        by_unit=_by_unit(rows, model, pointwise, by),
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
    unseen = _unseen_rows(rows, fit)
    found: list[tuple[int, float, str, float]] = []
    if together:
        rng = np.random.default_rng(seed)
        for part in members:
            group = group_log_likelihood(unseen, draws, part, rng)
            elpd = float(logsumexp(group.values) - np.log(draws.number))
            found.append((len(part), elpd, group.method, group.error))
    else:
        chosen = np.concatenate(members)
        for _, values in row_log_likelihoods(_some_rows(unseen, chosen), draws):
            elpds = logsumexp(values, axis=1) - np.log(draws.number)
            found += [(1, float(elpd), "", 0.0) for elpd in elpds]
    table = pd.DataFrame(found, columns=["rows", "elpd", "method", "integration_error"])
    table.insert(2, "cpo", np.exp(table["elpd"]))
    return table


def unfitted_rows(model: Model) -> LikelihoodRows:
    """Return the rows of a model's table as log-likelihoods need them."""
    design = model.design
    groupings = []
    for grouping, part in zip(model.resolved.groupings, design.varying, strict=True):
        unit = np.asarray(part.units.index, dtype=np.int64).reshape(len(part.terms), -1)
        weight = np.ones(unit.shape) if part.units.weights is None else part.units.weights
        groupings.append(
            GroupingSlots(
                grouping.name,
                grouping.identifier,
                unit,
                np.asarray(weight, dtype=float),
                part.terms,
                unit,
                grouping.multiple,
                grouping.predictors,
            )
        )
    return LikelihoodRows(
        family=model.spec.family,
        link=model.spec.link,
        outcome=np.asarray(design.response.values),
        trials=design.response.trials,
        offset=design.offset,
        x=np.empty((len(design.fixed.values), 0)) if model.spec.nominal else design.fixed.values,
        groupings=tuple(groupings),
        positions=np.asarray(design.rows.positions, dtype=np.int64),
        bounds=design.response.bounds,
        parts={
            part.parameter: PartRows(
                part.link,
                design.fixed.values if model.spec.nominal else design.parts[part.parameter].values,
            )
            for part in model.facts.parts
        },
        outcome_number=None if design.outcomes is None else design.outcomes.number,
        families=families_of_outcomes(model.spec),
    )


def _unseen_rows(rows: LikelihoodRows, fit: Fit) -> LikelihoodRows:
    """Return the rows with their units as the fit numbers them, -1 for those it does not hold."""
    seen = likelihood_rows(fit)
    # Both number rows by their position in the user's table.
    place = np.searchsorted(rows.positions, seen.positions)
    groupings = []
    for whole, part in zip(rows.groupings, seen.groupings, strict=True):
        numbers = np.full(whole.label.max() + 1, -1)
        used = part.weight > 0
        numbers[whole.label[place][used]] = part.unit[used]
        groupings.append(replace(whole, unit=numbers[whole.label]))
    return replace(rows, groupings=tuple(groupings), complete=False)


def _some_rows(rows: LikelihoodRows, chosen: np.ndarray) -> LikelihoodRows:
    groupings = tuple(
        replace(
            item,
            unit=item.unit[chosen],
            weight=item.weight[chosen],
            terms=item.terms[chosen],
            label=item.label[chosen],
        )
        for item in rows.groupings
    )
    return replace(
        rows,
        outcome=rows.outcome[chosen],
        trials=None if rows.trials is None else rows.trials[chosen],
        offset=None if rows.offset is None else rows.offset[chosen],
        x=rows.x[chosen],
        groupings=groupings,
        positions=rows.positions[chosen],
        bounds={name: value[chosen] for name, value in rows.bounds.items()},
        parts={name: replace(part, x=part.x[chosen]) for name, part in rows.parts.items()},
        outcome_number=None if rows.outcome_number is None else rows.outcome_number[chosen],
    )


def _parts(model: Model, rows: LikelihoodRows, by: str | None) -> list[np.ndarray]:
    if by is None:
        return [np.array([row]) for row in range(len(rows.outcome))]
    names = [item.name for item in rows.groupings]
    if by not in names:
        hint = did_you_mean(str(by), names) if names else "The model has none."
        raise FitError(
            f"by is {quoted(str(by))}, which is not a grouping of this model. {hint} Leave by out "
            "to divide the rows."
        )
    grouping = rows.groupings[names.index(by)]
    if grouping.multiple:
        raise FitError(
            f"by is {quoted(by)}, a multiple membership: its rows belong to several units, so they "
            "cannot be divided by unit. Use bml.logo(fit, ...), or leave by out to divide the rows."
        )
    return rows_of_units(grouping, len(model.design.varying[names.index(by)].units.labels))


def _check_whole(name: str, value: int, least: int, most: int | None, what: str) -> None:
    wrong = isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least
    if wrong or (most is not None and value > most):
        limit = f"from {least} up" if most is None else f"from {least} to {most}, the {what}"
        raise FitError(f"{name} is {quoted(value)}. Give a whole number {limit}.")


def _by_unit(
    rows: LikelihoodRows, model: Model, pointwise: pd.DataFrame, by: str | None
) -> pd.DataFrame:
    if by is not None:
        table = pointwise[["rows", "elpd"]].rename_axis("unit").reset_index()
        table.insert(0, "grouping", by)
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
