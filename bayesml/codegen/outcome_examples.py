"""What several outcomes, or the members of pairs, add to an example: each has its own rows."""

import re
from collections.abc import Sequence
from itertools import cycle, islice

from bayesml.codegen.numpy_links import NUMPY_FORWARD, NUMPY_INVERSE, latent_draws, outcome_text
from bayesml.specs.outcome_families import OutcomeFamily
from bayesml.specs.resolved import ResolvedSpec, place_of_label

# Arrays of the example that hold a number for each row.
_BY_ROW = re.compile(r"\b(y|x|trials|offset|exposure)\b")


def has_outcomes(resolved: ResolvedSpec) -> bool:
    """Whether rows are of several outcomes or members, each with coefficients of its own."""
    return bool(resolved.outcomes) and not resolved.nominal


def outcome_row_lines(resolved: ResolvedSpec) -> list[str]:
    """Return the lines that say which outcome or member each row is of."""
    if not has_outcomes(resolved):
        return []
    count = len(resolved.outcomes)
    words = "outcomes of a row" if resolved.spec.outcomes else "members of a pair"
    return [
        f"# The {words} stand beside each other",
        f"outcome_number = obs % {count}",
        f"rows = [np.flatnonzero(outcome_number == number) for number in range({count})]",
    ]


def of_each(resolved: ResolvedSpec, text: str) -> str:
    """Return an expression of the rows, of several outcomes as an array with one for each.

    It is the text itself where there is one outcome.
    """
    if not has_outcomes(resolved):
        return text
    return f"np.array([{_BY_ROW.sub(r'\1[own]', text)} for own in rows])"


def own_column(resolved: ResolvedSpec, label: str) -> tuple[str, str]:
    """Return the label of a varying term without its outcome, and what selects the rows of it."""
    if not has_outcomes(resolved):
        return label, ""
    place = place_of_label(label, resolved.outcomes)
    return label.removeprefix(f"{resolved.outcomes[place]}:"), f"(outcome_number == {place})"


def outcome_start(
    resolved: ResolvedSpec, intercepts: Sequence[str], betas: Sequence[float]
) -> list[str]:
    """Return the lines of the fixed part: each row takes the coefficients of its outcome."""
    lines, parts = [], []
    if resolved.intercept:
        lines.append(f"intercepts = np.array([{', '.join(intercepts)}])")
        parts.append("intercepts[outcome_number]")
    if resolved.slopes:
        values = cycle(betas)
        width = len(resolved.slopes)
        own = [
            f"[{', '.join(str(value) for value in islice(values, width))}]"
            for _ in resolved.outcomes
        ]
        lines.append(f"slopes = np.array([{', '.join(own)}])")
        parts.append("(x * slopes[outcome_number]).sum(axis=-1)")
    parts += ["offset"] if resolved.offset else []
    return [*lines, f"eta = {' + '.join(parts)}"]


def mixed_draws(resolved: ResolvedSpec) -> list[str]:
    """Return the lines that draw outcomes of different families, each on its own rows."""
    lines = []
    for number, (name, item) in enumerate(_by_identifier(resolved)):
        size = f"rows[{number}].size"
        lines.append(f"eta_{name} = eta[rows[{number}]]")
        trials = "1"
        if resolved.trials and item.record.response == "binary":
            trials = f"trials_{name}"
            known = resolved.spec.trials
            drawn = f"np.full({size}, {known})" if isinstance(known, int) else ""
            lines.append(f"{trials} = {drawn or f'rng.integers(5, 15, size={size})'}")
        drawn = item.record.example.format(
            mean=NUMPY_INVERSE[item.link.name], trials=trials, **latent_draws(item.link.name)
        )
        for old, new in ((r"\beta\b", f"eta_{name}"), (r"^y\b", f"y_{name}")):
            drawn = re.sub(old, new, drawn)
        lines.append(drawn.replace("obs.size", size))
        if item.record.response in ("binary", "unit"):
            share = f"y_{name}.mean()" if trials == "1" else f"y_{name}.sum() / {trials}.sum()"
            lines.append(f"share_{name} = {share}")
    spreads = [
        f"{re.sub(r'\by\b', f'y_{name}', outcome_text(item.link.name))}.std(ddof=1)"
        if item.record.scaled
        else "1.0"
        for name, item in _by_identifier(resolved)
    ]
    return [*lines, f"s = np.array([{', '.join(spreads)}])"]


def mixed_locations(resolved: ResolvedSpec) -> str:
    """Return the expression of the middle of each outcome on the scale of its link."""
    found = []
    for number, (name, item) in enumerate(_by_identifier(resolved)):
        own, kind = f"y_{name}", item.record.response
        if item.record.scaled:
            text = f"{outcome_text(item.link.name)}.mean()"
        elif kind in ("binary", "unit"):
            text = NUMPY_FORWARD[item.link.name].replace("share", f"share_{name}")
        elif kind == "count" and resolved.offset:
            text = f"np.log(y.sum() / exposure[rows[{number}]].sum())"
        else:
            text = "np.log(y.mean())"
        found.append(re.sub(r"\by\b", own, text))
    return f"np.array([{', '.join(found)}])"


def mixed_arrays(resolved: ResolvedSpec) -> list[tuple[str, str]]:
    """Return names and expressions of what the likelihood of each outcome reads."""
    pairs = []
    for number, (name, item) in enumerate(_by_identifier(resolved)):
        if resolved.trials and item.record.response == "binary":
            pairs.append((f"trials_{name}", f"trials_{name}"))
        pairs += [(f"y_{name}", f"y_{name}"), (f"rows_{name}", f"rows[{number}]")]
    return pairs


def mixed_coords(resolved: ResolvedSpec) -> list[tuple[str, str]]:
    """Return the labels of each outcome's rows, which are those of the table."""
    count = len(resolved.outcomes)
    return [
        (f"obs_{name}", f"rows[{number}] // {count}")
        for number, (name, _) in enumerate(_by_identifier(resolved))
    ]


def counted_outcomes(resolved: ResolvedSpec) -> list[int]:
    """Return the numbers of the outcomes that an exposure belongs to."""
    return [
        number
        for number, (_, item) in enumerate(_by_identifier(resolved))
        if item.record.response == "count"
    ]


def _by_identifier(resolved: ResolvedSpec) -> list[tuple[str, OutcomeFamily]]:
    return list(zip(resolved.outcome_identifiers, resolved.spec.outcome_families, strict=True))
