"""The predictors of an example: lines that draw the columns of X and Z."""

import re
from collections.abc import Sequence

from bayesml.codegen.nominal_examples import shared_terms
from bayesml.codegen.outcome_examples import has_outcomes, of_each, own_column
from bayesml.specs.resolved import ResolvedSpec
from bayesml.specs.small_groups import DIRECTION


def predictor_lines(resolved: ResolvedSpec) -> list[str]:
    """Return the lines that draw X, and the columns of Z of every grouping."""
    lines = []
    member_columns = {item.name: item.members for item in resolved.spec.every_grouping}
    if resolved.slopes:
        columns = [
            _time(resolved, label) or "rng.normal(size=obs.size)" for label in resolved.slopes
        ]
        if any(_time(resolved, label) for label in resolved.slopes):
            lines.append(f"x = np.column_stack([{', '.join(columns)}])")
        elif resolved.spec.outcomes:
            count = len(resolved.outcomes)
            drawn = f"rng.normal(size=(obs.size // {count}, {len(columns)}))"
            lines.append(f"x = {drawn}.repeat({count}, axis=0)")
        else:
            lines.append(f"x = rng.normal(size=(obs.size, {len(columns)}))")
        lines += _partner_lines(resolved)
        if has_outcomes(resolved) and resolved.intercept:
            lines.append(f"x_mean = {of_each(resolved, 'x.mean(axis=0)')}")
    for part in resolved.parts:
        if part.slopes:
            columns = [_shared_column(resolved, label) for label in part.slopes]
            lines.append(f"x_{part.parameter} = np.column_stack([{', '.join(columns)}])")
    for grouping in resolved.groupings:
        if resolved.nominal:
            columns = [_varying(resolved, label) for label in shared_terms(grouping)]
            if columns:
                array = f"terms_{grouping.identifier}"
                lines.append(f"{array} = np.column_stack([{', '.join(columns)}])")
            continue
        for feed in grouping.feeds:
            if not feed.constant:
                labels = [
                    label.removeprefix(f"{feed.predictor}:")
                    for label in grouping.terms[feed.start : feed.stop]
                ]
                name = f"terms_{grouping.identifier}{feed.suffix}"
                if grouping.by_member:
                    members = member_columns[grouping.name]
                    lines.append(f"{name} = {_terms_of_members(resolved, labels, members)}")
                    continue
                columns = [_varying(resolved, label) for label in labels]
                lines.append(f"{name} = np.column_stack([{', '.join(columns)}])")
    return lines


def _partner_lines(resolved: ResolvedSpec) -> list[str]:
    """Return the lines that give each member of a pair the other one's value."""
    lines = []
    for place, label in enumerate(resolved.slopes):
        own = label.replace("partner_", "actor_", 1)
        if resolved.spec.structure == "dyadic" and label != own and own in resolved.slopes:
            lines.append(f"x[:, {place}] = x[other, {resolved.slopes.index(own)}]")
    if lines:
        lines.insert(0, "other = obs + 1 - 2 * (obs % 2)  # the row of the other member")
    return lines


def _terms_of_members(resolved: ResolvedSpec, labels: Sequence[str], members: Sequence[str]) -> str:
    """Return the columns of Z for each member of a row."""
    if list(labels) == list(members):
        # An effect of its own in every role.
        return f"np.tile(np.eye({len(members)}), (obs.size, 1, 1))"
    columns = [_of_members(resolved, label, members) for label in labels]
    return f"np.stack([{', '.join(columns)}], axis=-1)"


def _of_members(resolved: ResolvedSpec, label: str, members: Sequence[str]) -> str:
    """Return the values of a term for each member of a row: of a role 1 for one of them."""
    if label in members:
        role = [float(name == label) for name in members]
        return f"np.tile({role}, (obs.size, 1))"
    if label == "Intercept" or label in resolved.slopes:
        return f"np.tile({_varying(resolved, label)}[:, None], {len(members)})"
    return f"rng.normal(size=(obs.size, {len(members)}))"


def _shared_column(resolved: ResolvedSpec, label: str) -> str:
    """Return a column of a further predictor: that of the main one where it has the same."""
    if label in resolved.slopes:
        return f"x[:, {resolved.slopes.index(label)}]"
    return "rng.normal(size=obs.size)"


def _time(resolved: ResolvedSpec, label: str) -> str:
    """Return the expression of a power of time in a growth model, else an empty text."""
    grouping = resolved.groupings[0] if resolved.groupings else None
    if resolved.spec.structure != "longitudinal" or grouping is None or len(grouping.terms) < 2:
        return ""
    time = grouping.terms[1].removeprefix(
        f"{grouping.predictors[1]}:" if grouping.predictors else ""
    )
    power = re.fullmatch(rf"I\({re.escape(time)} \*\* (\d)\)", label)
    if power:
        return f"(obs % 6) ** {power[1]}"
    return "obs % 6" if label == time else ""


def _varying(resolved: ResolvedSpec, label: str) -> str:
    own, chosen = own_column(resolved, label)
    if chosen:
        return f"1.0 * {chosen}" if own == "Intercept" else f"{chosen} * {_column(resolved, own)}"
    return _column(resolved, own)


def _column(resolved: ResolvedSpec, label: str) -> str:
    if label == "Intercept":
        return "np.ones(obs.size)"
    if label in resolved.slopes:
        return f"x[:, {resolved.slopes.index(label)}]"
    if resolved.spec.structure == "social_relations" and label == DIRECTION:
        return DIRECTION
    return _time(resolved, label) or "rng.normal(size=obs.size)"
