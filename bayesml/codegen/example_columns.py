"""The predictors of an example: lines that draw the columns of X and Z."""

import re

from bayesml.codegen.nominal_examples import shared_terms
from bayesml.specs.resolved import ResolvedSpec

MEMBERSHIP_UNITS = 60


def predictor_lines(resolved: ResolvedSpec) -> list[str]:
    """Return the lines that draw X, and the columns of Z of every grouping."""
    lines = []
    if resolved.slopes:
        columns = [
            _time(resolved, label) or "rng.normal(size=obs.size)" for label in resolved.slopes
        ]
        if any(_time(resolved, label) for label in resolved.slopes):
            lines.append(f"x = np.column_stack([{', '.join(columns)}])")
        else:
            lines.append(f"x = rng.normal(size=(obs.size, {len(columns)}))")
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
                labels = grouping.terms[feed.start : feed.stop]
                columns = [
                    _varying(resolved, label.removeprefix(f"{feed.predictor}:")) for label in labels
                ]
                name = f"terms_{grouping.identifier}{feed.suffix}"
                lines.append(f"{name} = np.column_stack([{', '.join(columns)}])")
    return lines


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
    if label == "Intercept":
        return "np.ones(obs.size)"
    if label in resolved.slopes:
        return f"x[:, {resolved.slopes.index(label)}]"
    return _time(resolved, label) or "rng.normal(size=obs.size)"


def membership_lines(name: str, slots: int) -> list[str]:
    """Return the lines that draw the units and weights of a multiple membership."""
    return [
        f"# Each row belongs to {slots} of {MEMBERSHIP_UNITS} units, with weights that sum to 1",
        f"first_{name} = rng.integers({MEMBERSHIP_UNITS}, size=(obs.size, 1))",
        f"unit_{name} = (first_{name} + 7 * np.arange({slots})) % {MEMBERSHIP_UNITS}",
        f"weight_{name} = rng.dirichlet(np.ones({slots}), size=obs.size)",
    ]
