"""The cases of a fit whose variance is partitioned apart: outcomes, and kinds of units."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from bayesml.errors import FitError, did_you_mean, quoted
from bayesml.posterior.predictor_terms import refuse_nominal
from bayesml.records.facts import GroupingFacts
from bayesml.records.fits import Fit

At = Mapping[str, object]

SCALES = ("latent", "response")


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


def check_scale(fit: Fit, scale: str) -> None:
    """Raise where there is no such scale, or the outcome has no shares on it.

    Raises
    ------
    FitError
    """
    if scale not in SCALES:
        raise FitError(f"scale is {quoted(str(scale))}. Allowed: 'latent', 'response'.")
    if scale == "response":
        refuse_nominal(fit.facts, "The response scale", "Use scale='latent'.")


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


def averages_a_curve(fit: Fit) -> bool:
    """Return whether shares average a curve over effects, or need the mean of an exponential."""
    return any(
        item.link.name == "log"
        or item.record.response == "unit"
        or (
            item.record.level1
            and any(own.student and own.places(item.record.level1) for own in fit.facts.groupings)
        )
        for item in fit.spec.outcome_families
    )


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


def mean_offset(fit: Fit, outcome: int | None) -> float:
    """Return the mean of the known part of an outcome's linear predictor over its rows.

    Of outcomes with families of their own the counts have one, the log of the exposure; all of
    them the same.
    """
    facts, spec = fit.facts, fit.spec
    if outcome is None or not spec.families:
        return facts.offset_mean
    shares = facts.level_shares[facts.outcome_column]
    counts = [item.outcome for item in spec.outcome_families if item.record.response == "count"]
    if facts.outcomes[outcome] not in counts:
        return 0.0
    return facts.offset_mean / sum(shares[name] for name in counts)
