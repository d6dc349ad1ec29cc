"""What has a share of the variance of a row: groupings, and the roles of its members."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bayesml.posterior.effect_distributions import (
    covariance_of_kind,
    require_shared_terms,
    sds_by_kind,
)
from bayesml.posterior.evaluation_point import EvaluationPoint
from bayesml.posterior.fitted_rows import fitted_rows
from bayesml.posterior.share_cases import ONLY, At, ShareCase
from bayesml.quantities.partition import varying_variance
from bayesml.records.facts import GroupingFacts
from bayesml.records.fits import Fit
from bayesml.specs.member_terms import member_calls, member_label
from bayesml.specs.parsing import parse
from bayesml.specs.small_groups import DIRECTION


@dataclass(frozen=True)
class ShareParts:
    """The parts of a row's variance that are not level 1.

    Parameters
    ----------
    names : tuple of str
        Groupings; of a grouping whose effects are those of roles, the roles.
    between : array, shape (chains, draws, parts)
        Variance of each, where the row belongs to one unit, or has one unit in each role.
    containing : array of bool, shape (parts, parts)
        ``containing[g, h]``: each unit of g lies in one unit of h.
    squared_weights : array, shape (parts,)
        Mean over the rows of the sum of squared weights.
    shared : bool
        Whether some grouping's units share rows.
    """

    names: tuple[str, ...]
    between: np.ndarray
    containing: np.ndarray
    squared_weights: np.ndarray
    shared: bool


def role_groupings(fit: Fit) -> tuple[str, ...]:
    """Return the groupings whose terms are effects in the roles of members, as actor and partner.

    Every row has one unit in each role, counting fully: ``(0 + mmc(1, 0) + mmc(0, 1) | mm(a, b,
    weights="whole"))``. So all rows have the same variance, the sum over the roles.
    """
    found = []
    for item in fit.spec.every_grouping:
        facts = fit.facts.grouping(item.name)
        calls = [call for text in item.terms for call in member_calls(parse(text))]
        roles = {member_label(call, item.members) for call in calls} & set(item.members)
        if (
            facts is not None
            and facts.by_member
            and item.weights == "whole"
            and item.absent is None
            and len(facts.terms) == len(roles) == len(calls)
        ):
            found.append(item.name)
    return tuple(found)


def require_role_terms(fit: Fit, what: str, instead: str) -> None:
    """Raise where members of a row have terms of their own that are not effects in a role.

    Raises
    ------
    FitError
    """
    roles = role_groupings(fit)
    others = [item for item in fit.facts.groupings if item.by_member and item.name not in roles]
    if others:
        require_shared_terms(fit.facts, what, instead)


def at_of_directions(fit: Fit, at: At | None) -> Mapping[str, object] | None:
    """Return covariate values with those of terms that say a dyad's direction, by 1 and -1, at 1.

    An independent term that is 1 or -1 in every row gives all rows the same variance, which it has
    at neither end's mean.
    """
    chosen: dict[str, object] = {}
    if role_groupings(fit):
        for item in fit.facts.main_groupings:
            if not item.by_member and len(item.terms) > 1:
                chosen |= dict.fromkeys(directions(fit, item), 1.0)
    return {**chosen, **(at or {})} if chosen else at


def directions(fit: Fit, grouping: GroupingFacts) -> list[str]:
    """Return the independent terms of a grouping that are 1 or -1 in every row."""
    if set(grouping.blocks) != {1}:
        return []
    candidates = [label for label in grouping.terms if label in fit.facts.covariate_means]
    # The column that `with_dyads` adds is known without rows.
    if DIRECTION in candidates:
        return [DIRECTION]
    rows = fitted_rows(fit, "A share of the variance of a dyad's directions").groupings
    terms = next(item.terms for item in rows if item.facts.name == grouping.name)
    values = {label: terms[:, grouping.terms.index(label)] for label in candidates}
    return [label for label, column in values.items() if set(np.unique(column)) == {-1.0, 1.0}]


def share_parts(fit: Fit, point: EvaluationPoint, case: ShareCase = ONLY) -> ShareParts:
    """Return the parts of the variance of a row at a point."""
    roles = role_groupings(fit)
    names: list[str] = []
    owners: list[GroupingFacts] = []
    columns: list[np.ndarray] = []
    for item in fit.facts.main_groupings:
        if item.name in roles:
            names += item.terms
            owners += [item] * len(item.terms)
            columns += list(np.moveaxis(sds_by_kind(fit, item) ** 2, -1, 0))
            continue
        names.append(item.name)
        owners.append(item)
        columns.append(_between(fit, item, point, case))
    squared = [1.0 if item.name in roles else item.squared_weights for item in owners]
    return ShareParts(
        tuple(names),
        np.stack(columns, axis=-1),
        np.array([[outer.name in inner.within for outer in owners] for inner in owners]),
        np.array(squared),
        any(item.multiple and item.name not in roles for item in owners),
    )


def between_variances(fit: Fit, point: EvaluationPoint, case: ShareCase = ONLY) -> np.ndarray:
    """Return z' Sigma z of every grouping that has main terms, shape (chains, draws, groupings)."""
    variances = [_between(fit, item, point, case) for item in fit.facts.main_groupings]
    return np.stack(variances, axis=-1)


def _between(
    fit: Fit, grouping: GroupingFacts, point: EvaluationPoint, case: ShareCase
) -> np.ndarray:
    own = covariance_of_kind(fit, grouping, case.kind_of(grouping))
    return varying_variance(*own, point.terms[grouping.name])
