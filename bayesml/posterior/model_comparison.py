"""Models side by side, by how well they predict data that they have not seen."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from bayesml.errors import FitError, listed, quoted
from bayesml.posterior.leave_one_out import loo
from bayesml.posterior.predictive_scores import CrossValidation
from bayesml.records.fits import Fit

# Sivula, Magnusson, Matamoros & Vehtari (2020), arXiv:2008.10296: below 4 the models predict so
# alike that the normal approximation fails, and below 100 parts the standard error is too small.
SMALLEST_DIFFERENCE = 4.0
FEWEST_PARTS = 100
_NOISE = 2.0

_ALIKE = "predicts about as well as the first (a difference below 4 is small)"
_WITHIN_NOISE = "may differ from the first by noise alone (within 2 standard errors)"
_WORSE = "predicts worse than the first"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Models by their elpd, best first. Print it.

    Parameters
    ----------
    kind, by : str
        How the elpd was found, and what was left out at a time.
    table : DataFrame
        One row per model, best first: `elpd`, `se`, `p`, `elpd_diff` (to the first model, 0 or
        negative), `se_diff` (standard error of the difference, from the parts in pairs), `high_k`
        (parts with an unreliable Pareto k) and `words`.
    verdict : str
        What the differences mean, in words.
    """

    kind: str
    by: str
    table: pd.DataFrame
    verdict: str

    def __str__(self) -> str:
        numbers = self.table.drop(columns="words").round(1)
        return f"{numbers.to_string(na_rep='')}\n{self.verdict}"

    def __repr__(self) -> str:
        return f"<bayesml Comparison of {len(self.table)} models by {self.kind}>"

    def _repr_html_(self) -> str:
        numbers = self.table.drop(columns="words").round(1)
        return f"<div>{numbers.to_html(na_rep='')}<p>{escape(self.verdict)}</p></div>"


def compare(
    models: Sequence[CrossValidation | Fit] | Mapping[str, CrossValidation | Fit],
) -> Comparison:
    """Return models side by side, with the differences of their elpd and what these are worth.

    The standard error of a difference is sqrt(n) times the SD over the parts of the difference of
    their elpd, since the same parts are predicted. A difference below 4, or within 2 standard
    errors, is called what it is: no reason to prefer a model.

    Parameters
    ----------
    models : sequence or mapping of CrossValidation or Fit
        Results of `loo`, `logo` or `kfold`, all of one kind; a fit stands for its `loo`. The keys
        of a mapping name the models, else their formulas do.

    Returns
    -------
    Comparison

    Raises
    ------
    FitError
        There are fewer than two models, they are of different data or different kinds, or one of
        them is neither a result nor a fit.

    Notes
    -----
    Sivula, Magnusson, Matamoros & Vehtari (2020), Uncertainty in Bayesian leave-one-out
    cross-validation based model comparison, arXiv:2008.10296.

    Examples
    --------
    >>> import bayesml as bml
    >>> print(bml.compare({"intercepts": fit1, "slopes": fit2}))  # doctest: +SKIP
    """
    results = _results(models)
    _check_comparable(results)
    order = sorted(results, key=lambda name: -results[name].elpd)
    best = results[order[0]]
    rows = []
    for name in order:
        result = results[name]
        gap = result.pointwise["elpd"].to_numpy() - best.pointwise["elpd"].to_numpy()
        difference = float(gap.sum())
        se = float(np.sqrt(len(gap)) * gap.std(ddof=1)) if len(gap) > 1 else float("nan")
        rows.append(
            {
                "elpd": result.elpd,
                "se": result.se,
                "p": result.p,
                "elpd_diff": difference,
                "se_diff": se,
                "high_k": len(result.high_k),
                "words": "" if result is best else _words(difference, se),
            }
        )
    table = pd.DataFrame(rows, index=pd.Index(order, name="model"))
    return Comparison(best.kind, best.by, table, _verdict(table, best))


def _results(
    models: Sequence[CrossValidation | Fit] | Mapping[str, CrossValidation | Fit],
) -> dict[str, CrossValidation]:
    if isinstance(models, Mapping):
        names: list[str] = [str(name) for name in models]
        items: list[CrossValidation | Fit] = list(models.values())
    elif isinstance(models, Iterable) and not isinstance(models, str):
        items = list(models)
        names = []
    else:
        raise FitError(
            f"compare takes a list or dict of fits or results, not {type(models).__name__}. Write "
            "bml.compare([first, second])."
        )
    for item in items:
        if not isinstance(item, CrossValidation | Fit):
            raise FitError(
                f"compare was given {quoted(type(item).__name__)}, which is neither a fit nor a "
                "result of loo, logo or kfold. Write bml.compare([bml.loo(first), "
                "bml.loo(second)])."
            )
    if len(items) < 2:
        raise FitError(
            f"compare was given {len(items)} model{'' if len(items) == 1 else 's'}. Give at least "
            "two: bml.compare([first, second])."
        )
    found = [loo(item) if isinstance(item, Fit) else item for item in items]
    if not names:
        names = [item.formula for item in found]
        if len(set(names)) < len(names):
            names = [f"model {number}" for number in range(1, len(found) + 1)]
    return dict(zip(names, found, strict=True))


def _check_comparable(results: Mapping[str, CrossValidation]) -> None:
    first_name, first = next(iter(results.items()))
    kinds = {f"{item.kind} by {item.by}": None for item in results.values()}
    if (
        len({item.kind for item in results.values()}) > 1
        or len({item.by == "row" for item in results.values()}) > 1
    ):
        raise FitError(
            f"These results are of different kinds: {listed(kinds)}. An elpd of rows and one of "
            "groups, or of another method, are on different scales. Use one function for all "
            "models."
        )
    for name, item in results.items():
        if item.continuous != first.continuous:
            raise FitError(
                f"The outcome of {quoted(name)} has {_measure(item)}, that of "
                f"{quoted(first_name)} has {_measure(first)}: their logs cannot be compared. "
                "Compare models of one kind of outcome."
            )
        if item.mark != first.mark or len(item.pointwise) != len(first.pointwise):
            raise FitError(
                f"{quoted(name)} and {quoted(first_name)} are models of different data: their "
                f"rows, outcomes{'' if item.by == 'row' else ', groups'} or trials differ "
                f"({len(item.pointwise)} and {len(first.pointwise)} parts). Fit both to the same "
                "rows with the same outcome; table.dropna(subset=[...]) with the columns of all "
                "models makes the rows the same."
            )
        if item.folds != first.folds:
            raise FitError(
                f"{quoted(name)} and {quoted(first_name)} were divided into different folds. Give "
                "kfold the same k, by and seed."
            )


def _measure(result: CrossValidation) -> str:
    return "a density" if result.continuous else "probabilities"


def _words(difference: float, se: float) -> str:
    if abs(difference) < SMALLEST_DIFFERENCE:
        return _ALIKE
    # A NaN, from a single part, tells nothing either.
    return _WORSE if abs(difference) > _NOISE * se else _WITHIN_NOISE


def _verdict(table: pd.DataFrame, best: CrossValidation) -> str:
    first = table.index[0]
    sentences = []
    for name, row in table.iloc[1:].iterrows():
        gap = f"difference {row['elpd_diff']:.1f}, standard error {row['se_diff']:.1f}"
        sentences.append(f"{quoted(str(name))} {row['words']}: {gap}.")
    if (table["words"].iloc[1:] == _WORSE).all():
        opening = f"{quoted(str(first))} predicts best."
    else:
        opening = (
            f"{quoted(str(first))} has the highest elpd, but not every difference is more than "
            "noise: choose among those models by what they are for."
        )
    if len(best.pointwise) < FEWEST_PARTS:
        sentences.append(
            f"With {len(best.pointwise)} parts (fewer than {FEWEST_PARTS}) the standard errors may "
            "be too small."
        )
    if table["high_k"].any():
        sentences.append(
            "Some Pareto k are too high (column high_k): print these results to see which, and "
            "use kfold."
        )
    return " ".join([opening, *sentences])
