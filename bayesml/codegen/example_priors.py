"""Source text of the numbers that an example's priors read."""

from collections.abc import Callable, Sequence

import numpy as np

from bayesml.codegen.nominal_examples import nominal_defaults
from bayesml.codegen.numpy_links import NUMPY_FORWARD, outcome_text
from bayesml.codegen.outcome_examples import mixed_locations, of_each
from bayesml.codegen.residual_examples import residual_prior_groups
from bayesml.design.predictor_parts import SPREAD
from bayesml.specs.prior_arrays import prior_statements
from bayesml.specs.resolved import (
    Feed,
    ResolvedGrouping,
    ResolvedSpec,
    part_label,
    place_of_label,
)

Pairs = list[tuple[str, str]]


def example_priors(resolved: ResolvedSpec) -> tuple[bool, Pairs]:
    """Return whether any prior follows the data, and the numbers that the priors read."""
    scaled = any(item.record.scaled for item in resolved.spec.outcome_families)
    s, wide = ("s", "2.5 * s") if scaled else ("1.0", "2.5")
    changed = resolved.spec.prior_texts
    found: Pairs = []
    defaults: dict[str, str] = {}

    def add(stem: str, priors: Sequence, scalar: bool, keys: Sequence[str]) -> None:
        own = {} if any(key in changed for key in keys) else defaults
        for statement in prior_statements(stem, priors, scalar):
            for name, value in statement.arrays().items():
                text = _numbers(np.asarray(value))
                if stem == "slopes" and resolved.outcomes:
                    text += f".reshape({len(resolved.outcomes)}, -1)"
                found.append((name, own.get(name) or text))

    if resolved.outcomes:
        defaults |= (nominal_defaults if resolved.nominal else _outcome_defaults)(resolved)
        _priors_by_outcome(resolved, add)
    if resolved.intercept_prior is not None:
        defaults |= {"intercept_location": _location(resolved), "intercept_scale": wide}
        add("intercept", [resolved.intercept_prior], True, ["Intercept"])
    if resolved.slopes and not resolved.outcomes:
        defaults["slopes_scale"] = f"{wide} / x.std(axis=0)"
        keys = ["beta", *(f"beta[{label}]" for label in resolved.slopes)]
        add("slopes", resolved.slope_priors, False, keys)
    for grouping in resolved.groupings if not resolved.outcomes else ():
        name = grouping.identifier
        scales = [
            _sd_scale(resolved, grouping, feed, number, s)
            for feed in grouping.feeds
            for number in range(feed.stop - feed.start)
        ]
        defaults[f"sd_{name}_scale"] = f"np.array([{', '.join(scales)}])"
        key = f"sd_{grouping.name}"
        keys = ["sd", key, *(f"{key}[{label}]" for label in grouping.terms)]
        add(f"sd_{name}", grouping.sd_priors, False, keys)
    for part in resolved.parts:
        name = part.parameter
        if part.intercept_prior is not None:
            defaults |= {f"intercept_{name}_location": "np.log(s)"} if scaled else {}
            add(f"intercept_{name}", [part.intercept_prior], True, [f"Intercept_{name}"])
        if part.slopes:
            of_slopes = [f"beta_{name}", *(f"beta_{name}[{label}]" for label in part.slopes)]
            if part.centred_predictors:
                spread = wide if part.category_specific else "1"
                defaults[f"slopes_{name}_scale"] = f"{spread} / x_{name}.std(axis=0)"
            add(f"slopes_{name}", part.slope_priors, False, of_slopes)
    follow = {item.name for item in resolved.spec.scalar_parameters if "{s}" in item.default}
    for name, prior in resolved.parameter_priors.items():
        defaults |= {f"{name}_scale": s} if name in follow else {}
        add(name, [prior], True, [name])
    for stem, priors, scalar, keys, own in (
        residual_prior_groups(resolved.residual) if resolved.residual is not None else []
    ):
        defaults |= own
        add(stem, priors, scalar, keys)
    return any(text in dict(found).values() for text in defaults.values()), found


def _location(resolved: ResolvedSpec) -> str:
    """Return the expression of the middle of the outcome, or of each, on the scale of the link."""
    if resolved.outcome_identifiers:
        return mixed_locations(resolved)
    scaled, link = resolved.family.scaled, resolved.spec.link
    shifted = f" - {of_each(resolved, 'offset.mean()')}" if resolved.offset else ""
    total = "exposure.sum()" if resolved.spec.exposure is not None else "np.exp(offset).sum()"
    rate = f"y.sum() / {total}" if resolved.offset else "y.mean()"
    if resolved.bounds:
        time = "(y * np.exp(-offset)).sum()" if resolved.offset else "y.sum()"
        ended = "(censoring != 0).sum()" if resolved.censored else "obs.size"
        rate = f"{time} / {ended}"
    rate = f"np.log({of_each(resolved, rate)})"
    share = NUMPY_FORWARD.get(link, "") + shifted
    middle = f"{of_each(resolved, f'{outcome_text(link)}.mean()')}{shifted}"
    return {
        "real": middle,
        "positive": middle if scaled else rate,
        "unit": share,
        "binary": share,
        "count": rate,
        "ordered": "",
    }[resolved.family.response]


def _outcome_defaults(resolved: ResolvedSpec) -> dict[str, str]:
    """Return the expressions of the default priors' numbers of several outcomes, by name."""
    count = len(resolved.outcomes)
    scaled = any(item.record.scaled for item in resolved.spec.outcome_families)
    wide = "2.5 * s" if scaled else f"np.full({count}, 2.5)"
    spread = of_each(resolved, "x.std(axis=0)")
    found = {
        "intercept_location": _location(resolved),
        "intercept_scale": wide,
        "slopes_scale": f"{'2.5 * s[:, None]' if scaled else '2.5'} / {spread}",
    }
    for grouping in resolved.groupings:
        scales = []
        for column, label in enumerate(grouping.terms):
            place = place_of_label(label, resolved.outcomes)
            size = f"s[{place}]" if scaled else "1.0"
            if label != f"{resolved.outcomes[place]}:Intercept":
                size += f" / terms_{grouping.identifier}[rows[{place}], {column}].std()"
            scales.append(size)
        found[f"sd_{grouping.identifier}_scale"] = f"np.array([{', '.join(scales)}])"
    for parameter in resolved.spec.scalar_parameters:
        if "{s}" in parameter.default:
            having = resolved.spec.outcomes_of_parameter(parameter.name)
            own = f"s[{list(having)}]" if resolved.outcome_identifiers else "s"
            found[f"{parameter.name}_scale"] = own
    return found


def _priors_by_outcome(resolved: ResolvedSpec, add: Callable[..., None]) -> None:
    """Add the priors of coefficients, SDs and parameters that differ by outcome or category."""
    if resolved.intercept:
        keys = ["Intercept", *(f"Intercept[{name}]" for name in resolved.outcomes)]
        add("intercept", resolved.intercept_priors, False, keys)
    if resolved.slopes:
        keys = [
            "beta",
            *(f"beta[{name}:{label}]" for name in resolved.outcomes for label in resolved.slopes),
        ]
        add("slopes", resolved.slope_priors, False, keys)
    for grouping in resolved.groupings:
        key = f"sd_{grouping.name}"
        keys = ["sd", key, *(f"{key}[{label}]" for label in grouping.terms)]
        add(f"sd_{grouping.identifier}", grouping.sd_priors, False, keys)
    for name, priors in resolved.outcome_parameter_priors.items():
        add(name, priors, False, [name, *(f"{name}[{label}]" for label in resolved.outcomes)])


def _sd_scale(
    resolved: ResolvedSpec, grouping: ResolvedGrouping, feed: Feed, number: int, s: str
) -> str:
    """Return the scale of the default prior of a term's SD."""
    spread = repr(SPREAD) if feed.predictor else s
    label = grouping.terms[feed.start + number]
    roles = [item.members for item in resolved.spec.every_grouping if item.name == grouping.name]
    if label == part_label(feed.predictor, "Intercept"):
        return spread
    if grouping.by_member and label in roles[0]:
        return spread
    # Members have columns of their own.
    rows = "..." if grouping.by_member else ":"
    return f"{spread} / terms_{grouping.identifier}{feed.suffix}[{rows}, {number}].std()"


def _numbers(values: np.ndarray) -> str:
    if values.ndim == 0:
        return repr(float(values))
    return f"np.array([{', '.join(repr(float(value)) for value in values)}])"
