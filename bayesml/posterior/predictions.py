"""Predictions of a fit: means, outcomes and linear predictors, for units known and new."""

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import pandas as pd

from bayesml.errors import FitError, did_you_mean, quoted
from bayesml.posterior.category_predictors import linear_of_block, prediction_axis
from bayesml.posterior.group_strategies import Groups, checked_groups, shown_groups
from bayesml.posterior.linear_predictors import (
    PredictorBlock,
    flat_parameters,
    mean_of_block,
    outcome_of_block,
    own_parameters,
    predictor_blocks,
)
from bayesml.posterior.outcome_draws import outcomes_of_block
from bayesml.posterior.outcome_tables import (
    drawn_outcomes_table,
    drawn_shares,
    entries_table,
    outcome_entries,
)
from bayesml.posterior.prediction_rows import PredictionRows, new_rows, rows_of_fit
from bayesml.posterior.replicated_rows import checked_seed
from bayesml.posterior.residual_fits import residual_record
from bayesml.posterior.residual_forecasts import (
    PredictedResiduals,
    residuals_of_fit,
    residuals_of_new_rows,
)
from bayesml.posterior.summaries import interval_words
from bayesml.posterior.threaded_blocks import worked_blocks
from bayesml.quantities.row_summaries import summarise_rows
from bayesml.records.fits import Fit

if TYPE_CHECKING:
    import xarray as xr

KINDS = ("mean", "outcome", "linear")
_NUMBERS = ("mean", "median", "sd", "lower", "upper")


@overload
def predict(
    fit: Fit,
    new_data: object = ...,
    groups: Groups | None = ...,
    kind: str = ...,
    prob: float = ...,
    *,
    draws: Literal[False] = ...,
    seed: int | None = ...,
) -> pd.DataFrame: ...
@overload
def predict(
    fit: Fit,
    new_data: object = ...,
    groups: Groups | None = ...,
    kind: str = ...,
    prob: float = ...,
    *,
    draws: Literal[True],
    seed: int | None = ...,
) -> "xr.DataArray": ...
def predict(
    fit: Fit,
    new_data: object = None,
    groups: Groups | None = None,
    kind: str = "mean",
    prob: float = 0.89,
    *,
    draws: bool = False,
    seed: int | None = None,
) -> "pd.DataFrame | xr.DataArray":
    """Predict rows: their mean, an outcome, or the linear predictor.

    The linear predictor is eta = offset + X beta + sum over groupings of rowsum(Z * (W u)), and
    the strategy `groups` says what u is:

    - ``"population"``: u = 0, a unit in the middle of its distribution;
    - ``"known"``: the effects of the fit's own units; an unknown unit is an error;
    - ``"new"``: every unit is a new one, u drawn from N(0, Sigma) of each posterior draw; rows that
      bear one label share the unit;
    - ``"known or new"``: known units have their effects, unknown ones are drawn;
    - ``"marginal"``: averaged over the units, E[g^-1(eta)] over u ~ N(0, Sigma). The effects of a
      row sum to one normal variable with the variance sum over groupings of z' Sigma z times the
      sum of squared weights, so the average is exact but for one numerical integral (logit and
      complementary log-log; error about 1e-8). Probabilities of a nominal outcome are averaged
      over 256 Sobol points (error about 0.0005 where the SDs are up to 1, 0.001 up to 2).

    Where residuals are correlated within units, new rows need the columns of the residuals' unit
    and time. Rows of a known unit are predicted given the residuals of its rows in the fit: after
    its last occasion a forecast, whose mean returns to eta as time goes on, between occasions an
    interpolation; without a column of time new rows follow the unit's last one. The rows of a new
    unit are drawn jointly. Under "population" and "marginal" each row is drawn by itself. The
    fit's own rows have the mean eta, and outcomes are replicated jointly within units.

    A parameter with a formula of its own (sigma) enters outcomes only, and its effects follow the
    same strategy.

    Parameters
    ----------
    fit : Fit
        Also one that was saved and loaded.
    new_data : DataFrame, mapping of str to columns, or None
        Rows to predict, with the columns that the model and the strategy need; the outcome is not
        among them (of ``cbind(s, f)`` the trials s + f are). None is the fit's own rows.
    groups : str or mapping of grouping to str
        The strategy, for all groupings or for each. It must be named for new rows; for the fit's
        own rows the default is "known".
    kind : {"mean", "outcome", "linear"}
        "mean": the expected outcome; with trials the expected successes, with exposure the
        expected count, for ordered and nominal outcomes the probability of each category.
        "outcome": an outcome, level-1 variation included ("marginal" puts every row in a unit of
        its own).
        "linear": eta, without cutpoints; its average over units is that of "population". With
        category-specific effects, `cs(x)`, that of each cutpoint; of nominal outcomes that of each
        category but the baseline.
    prob : float
        Posterior probability of the equal-tailed interval.
    draws : bool
        Return the draws instead of a table.
    seed : int or None
        Seed of drawn units and outcomes; None draws one. It is recorded where it was used. A new
        unit's effects follow from seed, grouping and label alone.

    Returns
    -------
    DataFrame or DataArray
        A table with the index of `new_data` (of the fit's own rows their position in the table,
        from 0) and columns `mean`, `median`, `sd`, `lower`, `upper`. Several outcomes
        have a row each, named in the column `outcome`; drawn Gaussian outcomes of one row are
        correlated as their residuals are. Means of ordered and nominal outcomes have a row per
        category, named in the column `category`; linear predictors with category-specific effects
        one per `cutpoint`; drawn categories have the columns `mode` with its `probability`, and
        where they are ordered `median`, `lower`, `upper`. Where some of several outcomes are
        ordered, means have the columns `outcome` and `category`, which is empty for the others;
        of drawn outcomes the ordered ones have `mode` and `probability`, the others the numbers.
        Attributes: `groups`,
        `kind`, `scale`, `prob`, `interval`, `seed` where numbers were drawn, and `residuals`,
        the strategy of correlated residuals' units. The DataArray has
        the dims chain, draw, obs (and category or cutpoint); where some of several outcomes are
        ordered, categories are among the entries of obs, named by the coordinate `category`, and
        drawn ones are numbers from 0.

    Raises
    ------
    FitError
        An argument is out of range, units are unknown under "known", or the fit was saved without
        its rows and `new_data` is None.
    TableError
        `new_data` lacks a column, or holds a category or a value that the model does not know.

    Notes
    -----
    Skrondal & Rabe-Hesketh (2009), Prediction in multilevel generalized linear models,
    doi:10.1111/j.1467-985X.2009.00587.x.

    Examples
    --------
    >>> import bayesml as bml
    >>> exam = bml.load_dataset("exam")
    >>> fit = bml.two_level(exam, "normexam ~ standLRT", group="school").fit()  # doctest: +SKIP
    >>> bml.predict(fit, {"standLRT": [-1, 0, 1]}, groups="marginal")  # doctest: +SKIP
    """
    _check_kind(kind)
    interval = interval_words(prob)
    chosen = checked_groups(fit, groups, new_rows=new_data is not None)
    if new_data is None:
        rows = rows_of_fit(fit, chosen)
    else:
        rows = new_rows(fit, new_data, chosen, trials=kind != "linear" and fit.facts.trials)
    residuals = None
    if fit.spec.residual is not None and kind != "linear":
        if new_data is not None:
            residuals = residuals_of_new_rows(fit, new_data, chosen, groups)
        elif kind == "outcome":
            residuals = residuals_of_fit(fit)
    drawn = kind == "outcome" or any((part.positions < 0).any() for part in _drawing(rows))
    seed = checked_seed(seed)
    attrs: dict[Hashable, Any] = {
        "groups": shown_groups(chosen),
        "kind": kind,
        "scale": f"link ({fit.spec.link})" if kind == "linear" else "response",
        **({"seed": seed} if drawn else {}),
        **({"residuals": residuals.strategy} if residuals is not None else {}),
    }
    if draws:
        return _array(fit, rows, kind, seed, attrs, residuals)
    attrs |= {"prob": float(prob), "interval": interval}
    if kind == "outcome" and (fit.facts.categories or fit.facts.nominal):
        table = _category_table(fit, rows, seed, prob)
    elif kind == "outcome" and fit.facts.ordered:
        most = max(len(item.categories) for item in fit.facts.ordered)
        parts = _on_blocks(
            fit,
            rows,
            kind,
            seed,
            lambda _, values: (summarise_rows(values, prob), drawn_shares(values, most)),
        )
        table = drawn_outcomes_table(fit, rows, _NUMBERS, parts)
    else:
        table = _table(fit, rows, kind, seed, prob, residuals)
    table.attrs = attrs
    return table


def _drawing(rows: PredictionRows) -> list[Any]:
    return [part for part in rows.groupings if part.strategy != "marginal"]


def _check_kind(kind: object) -> None:
    if kind not in KINDS:
        raise FitError(
            f"kind is {quoted(str(kind))}. {did_you_mean(str(kind), KINDS)} "
            f"Allowed: {', '.join(KINDS)}."
        )


def _on_blocks[T](
    fit: Fit,
    rows: PredictionRows,
    kind: str,
    seed: int,
    use: Callable[[slice, np.ndarray], T],
    residuals: PredictedResiduals | None = None,
) -> list[T]:
    """Return what `use` makes of the values of each block of rows, draws last, in order."""
    parameters = flat_parameters(fit)

    def make(block: PredictorBlock) -> T:
        if kind == "linear":
            values = linear_of_block(block, bool(fit.facts.nominal))
        elif residuals is not None:
            values = block.eta + residuals.of(block.rows, seed if kind == "outcome" else None)
            if block.variance is not None and kind == "outcome":
                normal = np.random.default_rng([seed, block.rows.start]).standard_normal
                values = values + np.sqrt(block.variance) * normal(values.shape)
        elif kind == "mean":
            outcome = _outcome_of(rows, block.rows)
            own = own_parameters(parameters, outcome)
            values = mean_of_block(fit, block, rows.trials, own, outcome)
        elif fit.facts.stacked and residual_record(fit.spec) is not None:
            values = outcomes_of_block(fit, block, rows, seed)
        else:
            rng = np.random.default_rng([seed, block.rows.start])
            outcome = _outcome_of(rows, block.rows)
            own = own_parameters(parameters, outcome)
            values = outcome_of_block(fit, block, rows.trials, own, rng, outcome)
        return use(block.rows, values)

    parts = kind != "linear" or bool(fit.facts.nominal)
    return list(worked_blocks(predictor_blocks(fit, rows, seed, parts=parts), make))


def _outcome_of(rows: PredictionRows, block: slice) -> np.ndarray | None:
    return None if rows.outcome is None else rows.outcome[block]


def _outcome_labels(fit: Fit, rows: PredictionRows) -> np.ndarray | None:
    """Return the outcome of each row by name, None where there is one."""
    if rows.outcome is None:
        return None
    return np.array(fit.facts.outcomes, dtype=object)[rows.outcome]


def _table(
    fit: Fit,
    rows: PredictionRows,
    kind: str,
    seed: int,
    prob: float,
    residuals: PredictedResiduals | None,
) -> pd.DataFrame:
    parts = _on_blocks(
        fit, rows, kind, seed, lambda _, values: summarise_rows(values, prob), residuals
    )
    numbers = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _NUMBERS}
    if kind == "mean" and fit.facts.ordered:
        return entries_table(fit, outcome_entries(fit, rows), numbers)
    numbers = {name: values.ravel() for name, values in numbers.items()}
    axis, entries = prediction_axis(fit, kind)
    if axis:
        labels = pd.Categorical(entries * len(rows.index), entries, ordered=not fit.facts.nominal)
        return pd.DataFrame({axis: labels} | numbers, index=rows.index.repeat(len(entries)))
    names = _outcome_labels(fit, rows)
    first = {} if names is None else {fit.facts.outcome_dim: names}
    return pd.DataFrame(first | numbers, index=rows.index)


def _category_table(fit: Fit, rows: PredictionRows, seed: int, prob: float) -> pd.DataFrame:
    """Return drawn categories in words: their most frequent one, their middle and an interval.

    Unordered ones have no middle.
    """
    nominal = bool(fit.facts.nominal)
    categories = list(fit.facts.categories or fit.facts.nominal)

    def counted(_: slice, values: np.ndarray) -> np.ndarray:
        return np.stack([(values == code).mean(axis=-1) for code in range(len(categories))], -1)

    shares = np.concatenate(_on_blocks(fit, rows, "outcome", seed, counted))
    # The smallest category with at least this share at or below it; a sum of shares is rounded.
    below = shares.cumsum(axis=-1) + 1e-12
    codes = {
        "mode": shares.argmax(axis=-1),
        **{
            name: (below >= share).argmax(axis=-1)
            for name, share in (
                ("median", 0.5),
                ("lower", (1 - prob) / 2),
                ("upper", (1 + prob) / 2),
            )
            if not nominal
        },
    }
    columns: dict[str, Any] = {
        name: pd.Categorical.from_codes(code, pd.Index(categories), ordered=not nominal)
        for name, code in codes.items()
    }
    table = pd.DataFrame(columns, index=rows.index)
    table.insert(1, "probability", shares.max(axis=-1))
    return table


def _array(
    fit: Fit,
    rows: PredictionRows,
    kind: str,
    seed: int,
    attrs: dict[Hashable, Any],
    residuals: PredictedResiduals | None,
) -> "xr.DataArray":
    import xarray as xr

    posterior = fit.posterior
    chains, number = posterior.sizes["chain"], posterior.sizes["draw"]
    categories = list(fit.facts.categories or fit.facts.nominal)
    axis, entries = prediction_axis(fit, kind)
    shape = (len(rows.index), *([len(entries)] if axis else []))
    all_ordered = 0 < len(fit.facts.ordered) == len(fit.facts.outcomes)
    whole = kind == "outcome" and (bool(categories) or all_ordered)
    entries_of = outcome_entries(fit, rows) if kind == "mean" and fit.facts.ordered else None
    if entries_of is not None:
        shape = (len(entries_of.outcome),)
    values = np.empty((chains * number, *shape), dtype=np.int64 if whole else float)

    def keep(place: slice, block: np.ndarray) -> None:
        if entries_of is not None:
            start, stop = entries_of.starts[[place.start, place.stop]]
            values[:, start:stop] = block[entries_of.chosen[place]].T
            return
        values[:, place] = np.moveaxis(block, -1, 0)

    _on_blocks(fit, rows, kind, seed, keep, residuals)
    unnamed = rows.index.nlevels > 1 or fit.facts.stacked
    obs = np.arange(shape[0]) if unnamed else rows.index.to_numpy()
    coords: dict[str, Any] = {
        "chain": posterior["chain"].values,
        "draw": posterior["draw"].values,
        "obs": obs,
    }
    if axis:
        coords[axis] = entries
    if whole and categories:
        attrs["categories"] = categories
    for item in fit.facts.ordered if kind == "outcome" else ():
        attrs[f"categories_{fit.facts.outcomes[item.outcome]}"] = list(item.categories)
    dims = list(coords)
    labels, index = _outcome_labels(fit, rows), rows.index
    if entries_of is not None:
        labels, index = entries_of.outcome, entries_of.index
        coords["category"] = ("obs", entries_of.category)
    if labels is not None:
        coords |= {fit.facts.outcome_dim: ("obs", labels)}
        if fit.facts.stacked:
            coords["row"] = ("obs", np.asarray(index))
    return xr.DataArray(
        values.reshape(chains, number, *shape),
        coords=coords,
        dims=dims,
        name=fit.facts.response_identifier if kind != "linear" else "linear_predictor",
        attrs=attrs,
    )
