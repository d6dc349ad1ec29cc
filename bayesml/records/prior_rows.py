"""Every prior of a model in words: the key that changes it, its text, and where it comes from."""

from bayesml.design.predictor_parts import sd_keys
from bayesml.specs.resolved import ResolvedSpec

# What the text of a prior of degrees of freedom ends in: it is that of what they have beyond 2.
ABOVE_2 = " above 2"
AT_DISTANCE = " at a distance of "


def prior_rows(resolved: ResolvedSpec) -> list[tuple[str, str, str]]:
    """Return every prior of a model: parameter key, prior text, origin."""
    changed = resolved.spec.prior_texts

    def row(key: str, text: str, *general: str) -> tuple[str, str, str]:
        by_user = any(name in changed for name in (key, *general))
        return key, text, "set by the user" if by_user else "default"

    rows: list[tuple[str, str, str]] = []
    if resolved.intercept_prior is not None:
        rows.append(row("Intercept", resolved.intercept_prior.text))
    for name, prior in zip(resolved.intercept_owners, resolved.intercept_priors, strict=True):
        rows.append(row(f"Intercept[{name}]", prior.text, "Intercept"))
    slopes = resolved.slopes
    if resolved.outcomes:
        slopes = tuple(f"{name}:{label}" for name in resolved.outcomes for label in slopes)
    for label, prior in zip(slopes, resolved.slope_priors, strict=True):
        rows.append(row(f"beta[{label}]", prior.text, "beta"))
    for grouping in resolved.groupings:
        predictors = grouping.predictors or ("",) * len(grouping.terms)
        if resolved.nominal:
            predictors = ("",) * len(grouping.terms)
        labels = zip(grouping.sd_labels, grouping.sd_priors, strict=True)
        for number, (label, prior) in enumerate(labels):
            place = number % len(grouping.terms)
            keys = sd_keys(grouping.name, grouping.terms[place], predictors[place], predictors)
            rows.append(row(f"sd_{grouping.name}[{label}]", prior.text, *keys))
        if grouping.correlated:
            rows.append(row(f"corr_{grouping.name}", f"LKJ({grouping.eta:g})"))
        if grouping.nu_prior is not None:
            rows.append(row(f"nu_{grouping.name}", grouping.nu_prior.text + ABOVE_2))
    for name, prior in resolved.parameter_priors.items():
        rows.append(row(name, prior.text))
    if resolved.residual is not None:
        residual = resolved.residual
        for label, prior in zip(residual.occasions, residual.sigma_priors, strict=True):
            rows.append(row(f"sigma[{label}]", prior.text, "sigma"))
        text = residual.prior.text
        if residual.record.at_median_gap:
            text = f"{text}{AT_DISTANCE}{residual.median_gap:.4g}"
        rows.append(row(residual.record.parameter, text))
    for name, priors in resolved.outcome_parameter_priors.items():
        for outcome, prior in zip(owners_of(resolved, name), priors, strict=True):
            rows.append(row(f"{name}[{outcome}]", prior.text, name))
    rows += [
        row(f"cutpoints[{item.name}]", item.prior.text, "cutpoints")
        for item in resolved.outcome_cutpoints
    ]
    for part in resolved.parts:
        name = part.parameter
        if part.intercept_prior is not None:
            rows.append(row(f"Intercept_{name}", part.intercept_prior.text))
        for label, prior in zip(part.slopes, part.slope_priors, strict=True):
            rows.append(row(f"beta_{name}[{label}]", prior.text, f"beta_{name}"))
    return rows


def owners_of(resolved: ResolvedSpec, parameter: str) -> tuple[str, ...]:
    """Return the outcomes, or members, that have a parameter of the likelihood."""
    if not resolved.outcome_identifiers:
        return resolved.outcomes
    having = resolved.spec.outcomes_of_parameter(parameter)
    return tuple(resolved.outcomes[number] for number in having)
