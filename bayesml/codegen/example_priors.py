"""Source text of the numbers that an example's priors read."""

from collections.abc import Callable, Sequence

import numpy as np

from bayesml.codegen.nominal_examples import nominal_defaults
from bayesml.codegen.numpy_links import NUMPY_FORWARD, outcome_text
from bayesml.codegen.residual_examples import (
    residual_prior_groups,
)
from bayesml.design.predictor_parts import SPREAD
from bayesml.specs.prior_arrays import prior_statements
from bayesml.specs.resolved import Feed, ResolvedGrouping, ResolvedSpec, part_label

Pairs = list[tuple[str, str]]


def example_priors(resolved: ResolvedSpec) -> tuple[bool, Pairs]:
    """Return whether any prior follows the data, and the numbers that the priors read."""
    scaled = resolved.family.scaled
    s, wide = ("s", "2.5 * s") if scaled else ("1.0", "2.5")
    shifted = " - offset.mean()" if resolved.offset else ""
    total = "exposure.sum()" if resolved.spec.exposure is not None else "np.exp(offset).sum()"
    rate = f"np.log(y.sum() / {total})" if resolved.offset else "np.log(y.mean())"
    if resolved.bounds:
        time = "(y * np.exp(-offset)).sum()" if resolved.offset else "y.sum()"
        ended = "(censoring != 0).sum()" if resolved.censored else "obs.size"
        rate = f"np.log({time} / {ended})"
    share_location = NUMPY_FORWARD.get(resolved.spec.link, "") + shifted
    middle = f"{outcome_text(resolved.spec.link)}.mean(){shifted}"
    location = {
        "real": middle,
        "positive": middle if scaled else rate,
        "unit": share_location,
        "binary": share_location,
        "count": rate,
        "ordered": "",
        "nominal": "",
    }[resolved.family.response]
    changed = resolved.spec.prior_texts
    found: Pairs = []
    defaults: dict[str, str] = {}

    def add(stem: str, priors: Sequence, scalar: bool, keys: Sequence[str]) -> None:
        own = {} if any(key in changed for key in keys) else defaults
        for statement in prior_statements(stem, priors, scalar):
            for name, value in statement.arrays().items():
                text = _numbers(np.asarray(value))
                if stem == "slopes" and resolved.nominal:
                    text += f".reshape({len(resolved.outcomes)}, -1)"
                found.append((name, own.get(name) or text))

    if resolved.nominal:
        _nominal_priors(resolved, defaults, add)
        return any(text in dict(found).values() for text in defaults.values()), found
    if resolved.intercept_prior is not None:
        defaults |= {"intercept_location": location, "intercept_scale": wide}
        add("intercept", [resolved.intercept_prior], True, ["Intercept"])
    if resolved.slopes:
        defaults["slopes_scale"] = f"{wide} / x.std(axis=0)"
        keys = ["beta", *(f"beta[{label}]" for label in resolved.slopes)]
        add("slopes", resolved.slope_priors, False, keys)
    for grouping in resolved.groupings:
        name = grouping.identifier
        scales = [
            _sd_scale(grouping, feed, number, s)
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
    follow = {item.name for item in resolved.family.parameters if "{s}" in item.default}
    for name, prior in resolved.parameter_priors.items():
        defaults |= {f"{name}_scale": s} if name in follow else {}
        add(name, [prior], True, [name])
    for stem, priors, scalar, keys, own in (
        residual_prior_groups(resolved.residual) if resolved.residual is not None else []
    ):
        defaults |= own
        add(stem, priors, scalar, keys)
    return any(text in dict(found).values() for text in defaults.values()), found


def _nominal_priors(
    resolved: ResolvedSpec, defaults: dict[str, str], add: Callable[..., None]
) -> None:
    """Add the priors of a nominal outcome's coefficients and SDs."""
    defaults |= nominal_defaults(resolved)
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


def _sd_scale(grouping: ResolvedGrouping, feed: Feed, number: int, s: str) -> str:
    """Return the scale of the default prior of a term's SD."""
    spread = repr(SPREAD) if feed.predictor else s
    if grouping.terms[feed.start + number] == part_label(feed.predictor, "Intercept"):
        return spread
    return f"{spread} / terms_{grouping.identifier}{feed.suffix}[:, {number}].std()"


def _numbers(values: np.ndarray) -> str:
    if values.ndim == 0:
        return repr(float(values))
    return f"np.array([{', '.join(repr(float(value)) for value in values)}])"
