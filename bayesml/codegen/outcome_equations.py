"""The lines of an equation that outcomes of different families have each for themselves."""

import re

from bayesml.codegen.effect_notation import latex_text
from bayesml.codegen.equation_symbols import (
    LINKS,
    MEANS,
    beta_symbol,
    parameter_symbol,
    trials_text,
    up_to,
)
from bayesml.specs.distributions import Prior
from bayesml.specs.outcome_families import OutcomeFamily
from bayesml.specs.resolved import ResolvedSpec


def likelihoods_by_outcome(resolved: ResolvedSpec) -> list[str]:
    """Return a line for each outcome, and what its linear predictor is."""
    lines = []
    for number, item in enumerate(resolved.spec.outcome_families):
        name, kind = latex_text(item.outcome), item.record.response
        where = rf"\quad \text{{where }}o[i] = {name}"
        if kind == "ordered":
            lines.append(_ordered_outcome(resolved, item) + where)
            continue
        distribution = item.record.equation.format(mean=MEANS[kind], trials=trials_text(resolved))
        if kind == "binary" and not resolved.trials:
            distribution = rf"\mathrm{{Bernoulli}}({MEANS[kind]})"
        for parameter in resolved.outcome_parameter_priors:
            if number in resolved.spec.outcomes_of_parameter(parameter):
                symbol = re.escape(parameter_symbol(parameter))
                pieces = re.split(rf"({symbol})(?![a-z])", distribution)
                own = [f"{p}_{{{name}}}" if i % 2 else p for i, p in enumerate(pieces)]
                distribution = "".join(own)
        link = LINKS[item.link.name].format(MEANS[kind])
        lines.append(rf"y_{{i}} &\sim {distribution},\ {link} = \eta_{{i}}{where}")
    return lines


def _ordered_outcome(resolved: ResolvedSpec, item: OutcomeFamily) -> str:
    """Return what the probabilities of an ordered outcome's categories are, and its intercept."""
    own = next(own for own in resolved.outcome_cutpoints if own.name == item.outcome)
    below = LINKS[item.link.name].format(item.record.equation.format(outcome="y_{i}"))
    name = latex_text(item.outcome)
    line = rf"{below} &= \tau_{{c,{name}}} - \eta_{{i}},\quad c = {up_to(len(own.labels))}"
    return rf"{line},\ {beta_symbol(f'0,{name}')} = 0" if resolved.intercept_owners else line


def outcome_prior_names(resolved: ResolvedSpec) -> list[tuple[str, Prior]]:
    """Return the coefficients of every outcome or category, with priors, and its parameters."""
    found: list[tuple[str, Prior]] = []
    names = [latex_text(name) for name in resolved.outcomes]
    count = len(resolved.slopes)

    def moved(left: str, sign: str, name: str) -> str:
        means = rf"\beta_{{p,{name}}}\,\overline{{x}}_{{p,{name}}}"
        return rf"{left} {sign} \sum_{{p=1}}^{{{count}}} {means}" if count else left

    with_intercept = map(latex_text, resolved.intercept_owners)
    for name, prior in zip(with_intercept, resolved.intercept_priors, strict=True):
        found.append((moved(beta_symbol(f"0,{name}"), "+", name), prior))
    for item in resolved.outcome_cutpoints:
        name = latex_text(item.name)
        found.append((moved(rf"\tau_{{c,{name}}}", "-", name), item.prior))
    for place, prior in enumerate(resolved.slope_priors):
        found.append((beta_symbol(f"{place % count + 1},{names[place // count]}"), prior))
    for parameter, priors in resolved.outcome_parameter_priors.items():
        symbol = parameter_symbol(parameter)
        having = resolved.spec.outcomes_of_parameter(parameter)
        owners = [names[number] for number in having] if resolved.spec.families else names
        found += [
            (rf"{symbol}_{{{name}}}", prior) for name, prior in zip(owners, priors, strict=True)
        ]
    return found
