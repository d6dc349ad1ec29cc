"""The cases of a fit whose variance is partitioned apart: outcomes, and kinds of units."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from bayesml.errors import FitError, did_you_mean, quoted
from bayesml.records.facts import GroupingFacts
from bayesml.records.fits import Fit

At = Mapping[str, object]


@dataclass(frozen=True)
class ShareCase:
    """A case with a partition of its own.

    Parameters
    ----------
    outcome : int or None
        Number of the outcome, where there are several.
    kinds : mapping of str to str
        By the column that says of which kind units are, the kind.
    """

    outcome: int | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)

    def kind_of(self, grouping: GroupingFacts) -> int | None:
        """Return the number of the kind of a grouping's units; None where all have the same SDs."""
        return grouping.kinds.index(self.kinds[grouping.by]) if grouping.kinds else None


# The only case of a fit of one outcome whose units are all of one kind.
ONLY = ShareCase()


def share_cases(fit: Fit, at: At | None) -> tuple[list[ShareCase], dict[str, tuple[str, ...]]]:
    """Return the cases, and the labels of their dimensions.

    Parameters
    ----------
    fit : Fit
    at : mapping of str to number or str, or None
        A value of a column that says of which kind units are leaves that kind only.

    Returns
    -------
    list of ShareCase, dict of str to tuple of str
        One case for each combination of the labels, the last of them changing fastest.

    Raises
    ------
    FitError
        `at` names a kind that there is not.
    """
    dims: dict[str, tuple[str, ...]] = {}
    if fit.facts.outcomes:
        dims[fit.facts.outcome_dim] = fit.facts.outcomes
    outcomes = range(len(fit.facts.outcomes)) if fit.facts.outcomes else (None,)
    kinds = {item.by: item.kinds for item in fit.facts.groupings if item.kinds}
    for column, known in kinds.items():
        if column in (at or {}):
            chosen = str((at or {})[column])
            if chosen not in known:
                raise FitError(
                    f"at has {quoted(chosen)} for {quoted(column)}, which is no kind of units. "
                    f"{did_you_mean(chosen, known)}"
                )
            kinds[column] = (chosen,)
    cases = [
        ShareCase(outcome, dict(zip(kinds, combination, strict=True)))
        for outcome in outcomes
        for combination in product(*kinds.values())
    ]
    return cases, dims | kinds


def at_of_case(fit: Fit, at: At | None, case: ShareCase) -> dict[str, object]:
    """Return the covariate values of a case: a kind is a value too where it is a covariate."""
    covariates = {*fit.facts.covariate_means, *fit.facts.level_shares}
    return {
        **{name: value for name, value in (at or {}).items() if name not in case.kinds},
        **{name: kind for name, kind in case.kinds.items() if name in covariates},
    }


def told_by_outcome(
    outcomes: Sequence[str], found: Sequence[Mapping[Hashable, Any]]
) -> dict[Hashable, Any]:
    """Return what differs between the attributes of outcomes, each said of its outcome."""
    attrs: dict[Hashable, Any] = {}
    for key in dict.fromkeys(key for item in found for key in item if key != "at"):
        told = [item.get(key) for item in found]
        if any(value != told[0] for value in told):
            pairs = zip(outcomes, told, strict=True)
            attrs[key] = "; ".join(f"{name}: {value}" for name, value in pairs if value)
    return attrs


def of_cases(values: Sequence[np.ndarray], sizes: Sequence[int]) -> np.ndarray:
    """Return arrays of shape (chains, draws, ...) as one: behind the draws an axis of each size."""
    stacked = np.stack(values, axis=2)
    return stacked.reshape(*stacked.shape[:2], *sizes, *stacked.shape[3:])
