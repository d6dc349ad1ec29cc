"""The arrays and labels that the generated source takes: `data` and `coords`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesml.design.design_centres import design_centres, parent_units
from bayesml.design.designs import Design
from bayesml.design.outcome_priors import rows_by_outcome
from bayesml.design.residual_rows import residual_data
from bayesml.design.stacking import OutcomeRows, row_of_outcome
from bayesml.specs.category_feeds import category_feeds
from bayesml.specs.family_records import Family
from bayesml.specs.outcome_cutpoints import cutpoint_labels
from bayesml.specs.prior_arrays import prior_statements
from bayesml.specs.resolved import (
    ResolvedGrouping,
    ResolvedPart,
    ResolvedSpec,
)
from bayesml.specs.resolved_residuals import ResolvedResidual


def model_data(resolved: ResolvedSpec, design: Design) -> dict[str, np.ndarray]:
    """Return the arrays that `build(data, coords)` of the generated source takes.

    Parameters
    ----------
    resolved : ResolvedSpec
    design : Design

    Returns
    -------
    dict of str to array
        ``y``, the centred predictors, unit numbers, varying terms, weights, and the numbers of
        the priors. Copies, contiguous, of 64-bit types.
    """
    data: dict[str, np.ndarray] = {}
    if resolved.outcome_identifiers:
        data |= responses_by_outcome(resolved, design)
    else:
        data["y"] = np.array(design.response.values)
    if design.outcomes is not None:
        data |= outcome_data(resolved, design.fixed.values, design.outcomes)
    elif resolved.slopes:
        x = design.fixed.values[:, int(resolved.intercept) :]
        if resolved.centred_predictors:
            data["x_mean"] = x.mean(axis=0)
            data["x_centred"] = np.ascontiguousarray(x - data["x_mean"])
        else:
            data["x"] = np.ascontiguousarray(x)
    if design.offset is not None:
        data["offset"] = design.offset
    if design.response.trials is not None and not resolved.outcome_identifiers:
        data["trials"] = design.response.trials
    data |= {name: np.array(value) for name, value in design.response.bounds.items()}
    weights = design_centres(design, resolved.groupings)
    position = {item.identifier: number for number, item in enumerate(resolved.groupings)}
    for part, grouping, centre, reliability in zip(
        design.varying, resolved.groupings, weights, design.reliabilities, strict=True
    ):
        name = grouping.identifier
        if grouping.around:
            data[f"centre_{name}"] = centre[:, 0] if grouping.centred_terms == 1 else centre
        for place, parent in enumerate(grouping.parents, start=1):
            outer = design.varying[position[parent.identifier]].units
            data[f"outer{place}_{name}"] = parent_units(part.units, outer)
        if grouping.graded:
            data[f"grade_{name}"] = reliability.grades
        data[f"unit_{name}"] = np.array(part.units.index, dtype=np.int64)
        if part.kinds is not None:
            data[f"by_{name}"] = part.kinds.of_unit
        if part.units.weights is not None:
            data[f"weight_{name}"] = np.array(part.units.weights)
        if resolved.nominal:
            data |= category_terms(grouping, part.terms)
            continue
        for feed in grouping.feeds:
            if not feed.constant:
                data[f"terms_{name}{feed.suffix}"] = part.terms[..., feed.start : feed.stop]
    for item in resolved.parts:
        data |= _part_data(item, design.parts[item.parameter].values)
    if design.residual is not None:
        data |= residual_data(design.residual)
    data |= prior_data(resolved)
    if resolved.categories:
        link, values = resolved.spec.link, design.response.values
        data["cutpoints_start"] = _cutpoints_start(
            resolved.family, link, values, len(resolved.categories)
        )
    return {name: np.array(value, order="C") for name, value in data.items()}


def category_terms(grouping: ResolvedGrouping, terms: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns of Z that all categories share; none where intercepts vary alone."""
    feeds = category_feeds(grouping)
    if all(feed.constant for feed in feeds):
        return {}
    # Those of the first category: the others' are the same.
    own = [terms[:, feed.start : feed.start + feed.last - feed.first] for feed in feeds]
    return {f"terms_{grouping.identifier}": np.concatenate(own, axis=1)}


def _part_data(part: ResolvedPart, values: np.ndarray) -> dict[str, np.ndarray]:
    x, name = values[:, int(part.intercept) :], f"x_{part.parameter}"
    if not part.slopes:
        return {}
    if not part.centred_predictors:
        return {name: x}
    mean = x.mean(axis=0)
    return {f"{name}_mean": mean, f"{name}_centred": x - mean}


def prior_data(resolved: ResolvedSpec) -> dict[str, np.ndarray]:
    """Return the numbers of the priors, by the names that the generated source reads."""
    data: dict[str, np.ndarray] = {}
    groups: list[tuple[str, tuple[Any, ...], bool]] = []
    if resolved.intercept_prior is not None:
        groups.append(("intercept", (resolved.intercept_prior,), True))
    if resolved.intercept_priors:
        groups.append(("intercept", resolved.intercept_priors, False))
    if resolved.slope_priors:
        groups.append(("slopes", resolved.slope_priors, False))
    groups += [(f"sd_{g.identifier}", g.sd_priors, False) for g in resolved.groupings]
    groups += [
        (f"nu_{g.identifier}", (g.nu_prior,), True)
        for g in resolved.groupings
        if g.nu_prior is not None
    ]
    for part in resolved.parts:
        if part.intercept_prior is not None:
            groups.append((f"intercept_{part.parameter}", (part.intercept_prior,), True))
        if part.slope_priors:
            groups.append((f"slopes_{part.parameter}", part.slope_priors, False))
    groups += [(name, (prior,), True) for name, prior in resolved.parameter_priors.items()]
    if resolved.residual is not None:
        groups += residual_priors(resolved.residual)
    groups += [(name, own, False) for name, own in resolved.outcome_parameter_priors.items()]
    groups += [(item.variable, (item.prior,), True) for item in resolved.outcome_cutpoints]
    # SDs by kind of units: one row for each kind.
    kinds = {f"sd_{g.identifier}": len(g.kinds) for g in resolved.groupings if g.kinds}
    for stem, priors, scalar in groups:
        for statement in prior_statements(stem, priors, scalar):
            for name, value in statement.arrays().items():
                by_kind = stem in kinds and not statement.scalar
                data[name] = value.reshape(kinds[stem], -1) if by_kind else np.asarray(value)
    if resolved.outcomes:
        by_outcome = (len(resolved.outcomes), -1)
        data |= {
            name: value.reshape(by_outcome)
            for name, value in data.items()
            if name.startswith("slopes_")
        }
    return data


def residual_priors(residual: ResolvedResidual) -> list[tuple[str, tuple[Any, ...], bool]]:
    """Return the priors of correlated residuals: stem of the names, priors, whether a number."""
    found: list[tuple[str, tuple[Any, ...], bool]] = []
    if residual.sigma_priors:
        found.append(("sigma", residual.sigma_priors, False))
    if residual.record.bounds is not None:
        found.append((residual.record.parameter, (residual.prior,), True))
    return found


def responses_by_outcome(resolved: ResolvedSpec, design: Design) -> dict[str, np.ndarray]:
    """Return the values of each outcome that has a likelihood of its own, and which rows they are.

    Counts and 0/1 outcomes are whole numbers.
    """
    assert design.outcomes is not None
    data: dict[str, np.ndarray] = {}
    places = zip(resolved.outcome_identifiers, rows_by_outcome(design.outcomes), strict=True)
    for number, (name, rows) in enumerate(places):
        values = design.response.values[rows]
        family, trials = resolved.spec.family_of(number).record, design.response.trials
        whole = family.discrete
        if trials is not None and family.response == "binary":
            data[f"trials_{name}"] = trials[rows]
        data[f"y_{name}"] = values.astype(np.int64) if whole else values.astype(float)
        data[f"rows_{name}"] = np.flatnonzero(rows)
    for item in resolved.outcome_cutpoints:
        own = resolved.spec.family_of(item.outcome)
        data[f"cutpoints_start_{item.identifier}"] = _cutpoints_start(
            own.record, own.link.name, data[f"y_{item.identifier}"], len(item.categories)
        )
    return data


def outcome_data(
    resolved: ResolvedSpec, values: np.ndarray, outcomes: OutcomeRows
) -> dict[str, np.ndarray]:
    """Return the outcome of each row and its predictors, centred at the mean of its outcome."""
    data = {"outcome_number": outcomes.number}
    if not resolved.slopes:
        return data
    if resolved.outcome_cutpoints and resolved.intercept_owners:
        owners = [name in resolved.intercept_owners for name in resolved.outcomes]
        data["has_intercept"] = np.array(owners, dtype=float)
    x = row_of_outcome(values, outcomes)[:, int(resolved.intercept) :]
    if not resolved.intercept:
        return data | {"x": x}
    mean = np.stack([x[rows].mean(axis=0) for rows in rows_by_outcome(outcomes)])
    return data | {"x_mean": mean, "x_centred": x - mean[outcomes.number]}


def model_coords(resolved: ResolvedSpec, design: Design) -> Mapping[str, list[Any]]:
    """Return the labels of every dim of the generated source.

    Parameters
    ----------
    resolved : ResolvedSpec
    design : Design

    Returns
    -------
    dict of str to list
    """
    coords: dict[str, list[Any]] = {"obs": design.rows.positions.tolist()}
    if resolved.coefficients:
        coords["coef"] = list(resolved.own_coefficients)
    if resolved.outcomes:
        coords[resolved.outcome_dim] = list(resolved.outcomes)
    if resolved.outcome_identifiers and design.outcomes is not None:
        places = zip(resolved.outcome_identifiers, rows_by_outcome(design.outcomes), strict=True)
        coords |= {f"obs_{name}": design.rows.table_rows[rows].tolist() for name, rows in places}
        for name in resolved.outcome_parameter_priors:
            having = resolved.spec.outcomes_of_parameter(name)
            coords[resolved.parameter_dim(name)] = [resolved.outcomes[place] for place in having]
        coords |= {item.dim: item.labels for item in resolved.outcome_cutpoints}
        if resolved.outcome_cutpoints and resolved.intercept_owners:
            coords["intercept_outcome"] = list(resolved.intercept_owners)
    if resolved.slopes:
        coords["predictor"] = list(resolved.slopes)
    if resolved.categories:
        coords["cutpoint"] = cutpoint_labels(resolved.categories)
    if resolved.residual is not None and resolved.residual.occasions:
        coords[resolved.residual.dim] = list(resolved.residual.occasions)
        coords[f"{resolved.residual.dim}_bis"] = list(resolved.residual.occasions)
    for item in resolved.parts:
        if item.coefficients:
            coords[f"coef_{item.parameter}"] = list(item.coefficients)
        if item.slopes:
            coords[f"predictor_{item.parameter}"] = list(item.slopes)
    for part, grouping in zip(design.varying, resolved.groupings, strict=True):
        coords[grouping.identifier] = list(part.units.labels)
        coords[f"{grouping.identifier}_term"] = list(grouping.terms)
        if grouping.kinds:
            coords[f"{grouping.identifier}_by"] = list(grouping.kinds)
        if grouping.partly_centred:
            coords[f"{grouping.identifier}_rest"] = list(grouping.terms[1:])
        if grouping.correlated:
            coords[f"{grouping.identifier}_term_bis"] = list(grouping.terms)
    return coords


def _cutpoints_start(family: Family, link: str, values: np.ndarray, categories: int) -> np.ndarray:
    """Return starting cutpoints: those of the observed shares."""
    counts = np.bincount(values.astype(np.int64), minlength=categories) + 0.5
    assert family.cutpoints_of is not None
    return np.asarray(family.cutpoints_of(link, counts / counts.sum()), dtype=float)
