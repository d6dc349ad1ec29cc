"""Draws of the scalars of a posterior, labelled with the user's names."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, product

import numpy as np

from bayesml.errors import FitError, did_you_mean, quoted
from bayesml.posterior.effect_distributions import correlations_by_kind
from bayesml.records.facts import GroupingFacts
from bayesml.records.fits import Fit


@dataclass(frozen=True)
class LabelledDraws:
    """Draws of scalars.

    Parameters
    ----------
    labels : tuple of str
        Such as ``"beta[standLRT]"``, ``"corr_school[Intercept, standLRT]"``, ``"sigma"``.
    values : array, shape (chains, draws, scalars)
    """

    labels: tuple[str, ...]
    values: np.ndarray


def labelled_draws(fit: Fit, variables: Sequence[str] | str | None = None) -> LabelledDraws:
    """Return the draws of every scalar of some variables, or of all but the random effects.

    Of a correlation matrix only the lower triangle is returned, and of that only correlations
    that are estimated: not those between terms that the model takes as independent.

    Parameters
    ----------
    fit : Fit
    variables : sequence of str, str or None
        Names as in the posterior (``sd_school``); the user's name of a grouping serves as well.
        None is everything but the random effects ``u_``.

    Returns
    -------
    LabelledDraws

    Raises
    ------
    FitError
        There is no such variable.
    """
    posterior = fit.posterior
    shown = shown_names(fit)
    labels: list[str] = []
    arrays: list[np.ndarray] = []
    of_kinds = {f"sd_{g.identifier}": g.sd_labels for g in fit.facts.groupings if g.kinds}
    for name in _chosen(shown, variables):
        draws = posterior[name].transpose("chain", "draw", ...)
        values = np.asarray(draws, dtype=float)
        grouping = next((g for g in fit.facts.groupings if name == f"corr_{g.identifier}"), None)
        if grouping is not None:
            rows, columns = correlated_pairs(grouping)
            whole = correlations_by_kind(fit, grouping)
            assert whole is not None
            values = whole[:, :, rows, columns]
            entries: list[tuple[str, ...]] = [
                (grouping.sd_labels[column], grouping.sd_labels[row])
                for row, column in zip(rows, columns, strict=True)
            ]
        elif name == "corr_residual" and values.ndim > 2:
            # A correlation matrix: each pair of occasions once.
            labels_of = [str(label) for label in draws[draws.dims[2]].values]
            lower, upper = np.tril_indices(len(labels_of), -1)
            values = values[:, :, lower, upper]
            entries = [
                (labels_of[column], labels_of[row])
                for row, column in zip(lower, upper, strict=True)
            ]
        elif name in of_kinds:
            # One label, as priors have it: "Public:Intercept".
            entries = [(label,) for label in of_kinds[name]]
            values = values.reshape(*values.shape[:2], -1)
        elif name == "beta" and fit.facts.outcomes:
            # One label, as priors and tables of effects have it: "written:Intercept".
            estimated = fit.facts.estimated
            entries = [(fit.facts.coefficients[place],) for place in estimated]
            values = values.reshape(*values.shape[:2], -1)[..., list(estimated)]
        else:
            coords = [[str(label) for label in draws[dim].values] for dim in draws.dims[2:]]
            entries = list(product(*coords))
            values = values.reshape(*values.shape[:2], -1)
        labels += [
            f"{shown[name]}[{', '.join(entry)}]" if entry else shown[name] for entry in entries
        ]
        arrays.append(values)
    sizes = (posterior.sizes["chain"], posterior.sizes["draw"], 0)
    values = np.concatenate(arrays, axis=2) if arrays else np.empty(sizes)
    return LabelledDraws(tuple(labels), values)


def shown_names(fit: Fit) -> dict[str, str]:
    """Return each variable's name in tables, with the user's name of the grouping."""
    shown = {str(name): str(name) for name in fit.posterior.data_vars}
    for grouping in fit.facts.groupings:
        for kind in ("sd", "corr", "nu", "u"):
            if f"{kind}_{grouping.identifier}" in shown:
                shown[f"{kind}_{grouping.identifier}"] = f"{kind}_{grouping.name}"
    for item in fit.facts.ordered:
        shown[item.variable] = f"cutpoints_{fit.facts.outcomes[item.outcome]}"
    return shown


def effect_names(fit: Fit) -> dict[str, str]:
    """Return the grouping of each variable of random effects."""
    return {f"u_{grouping.identifier}": grouping.name for grouping in fit.facts.groupings}


def correlated_pairs(grouping: GroupingFacts) -> tuple[list[int], list[int]]:
    """Return rows and columns of the estimated correlations: the lower triangle of each block."""
    starts = np.concatenate([[0], np.cumsum(grouping.sd_blocks)]).tolist()
    pairs = [
        (row, column)
        for start, stop in pairwise(starts)
        for column, row in combinations(range(start, stop), 2)
    ]
    pairs.sort()
    return [row for row, _ in pairs], [column for _, column in pairs]


def _chosen(shown: dict[str, str], variables: Sequence[str] | str | None) -> list[str]:
    if variables is None:
        return [name for name in shown if not name.startswith("u_")]
    by_shown = {text: name for name, text in shown.items()}
    chosen = []
    for name in [variables] if isinstance(variables, str) else variables:
        if name not in shown and name not in by_shown:
            raise FitError(
                f"variables names {quoted(name)}, which this fit does not hold. "
                f"{did_you_mean(name, list(by_shown))} A variable is named as a whole, such as "
                "variables=['beta', 'sigma']."
            )
        chosen.append(name if name in shown else by_shown[name])
    return list(dict.fromkeys(chosen))
