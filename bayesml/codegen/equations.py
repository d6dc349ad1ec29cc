"""From a resolved specification to a LaTeX equation: likelihood, predictor, effects and priors.

Only commands that LaTeX (amsmath) and matplotlib both know are used, so that the same text can be
put into a paper and drawn without LaTeX.
"""

import re
from collections.abc import Sequence

from bayesml.codegen.effect_notation import EffectNotation, latex_text
from bayesml.codegen.equation_symbols import (
    LINKS,
    MEANS,
    beta_symbol,
    parameter_symbol,
    trials_text,
    up_to,
)
from bayesml.codegen.outcome_equations import likelihoods_by_outcome, outcome_prior_names
from bayesml.specs.censoring import ENTRY
from bayesml.specs.distributions import Prior
from bayesml.specs.parsing import unparse
from bayesml.specs.resolved import (
    ResolvedPart,
    ResolvedSpec,
)
from bayesml.specs.resolved_residuals import ResolvedResidual

_PER_LINE = 4
# Distributions whose last argument is an SD: its square is written, as everywhere else.
_WITH_VARIANCE = ("Normal", "LogNormal")


def equation(resolved: ResolvedSpec) -> str:
    r"""Return the model as a LaTeX equation, in an `aligned` environment without `$`.

    Parameters
    ----------
    resolved : ResolvedSpec

    Returns
    -------
    str
        One line each for the likelihood, the linear predictor (continued where it is long), the
        distribution of each grouping's effects, and every prior with its numbers. The last
        argument of a normal distribution is its variance, written as the square of its SD.

    Examples
    --------
    >>> from bayesml.specs.modelspec import ModelSpec
    >>> from bayesml.design.sketching import resolve_without_table
    >>> print(equation(resolve_without_table(ModelSpec("y ~ x"))).splitlines()[1])
    \text{y}_{i} &\sim \mathrm{Normal}(\mu_{i},\ \sigma^{2}) \\
    """
    groups = [EffectNotation(item, number) for number, item in enumerate(resolved.groupings)]
    lines = [
        *_likelihood(resolved),
        *_predictor(resolved, groups),
        *(line for group in groups for line in group.distribution()),
        *_priors(resolved, groups),
    ]
    return "\n".join([r"\begin{aligned}", " \\\\\n".join(lines), r"\end{aligned}"])


def _likelihood(resolved: ResolvedSpec) -> list[str]:
    spec = resolved.spec
    if spec.families:
        return [*_which_outcomes(resolved), *likelihoods_by_outcome(resolved)]
    outcome = rf"{_name(resolved)}_{{i}}"
    kind = resolved.family.response
    if kind == "ordered":
        below = LINKS[spec.link].format(resolved.family.equation.format(outcome=outcome))
        last = len(resolved.categories) - 1
        moved = _specific_terms(resolved.specific) if resolved.specific is not None else ""
        return [rf"{below} &= \tau_{{c}} - \eta_{{i}}{moved},\quad c = {up_to(last)}"]
    if kind == "nominal":
        baseline = latex_text(resolved.baseline_category)
        odds = resolved.family.equation.format(outcome=outcome, baseline=baseline)
        names = r",\ ".join(latex_text(name) for name in resolved.outcomes)
        return [rf"{odds} &= \eta_{{c,i}},\quad c \in \{{{names}\}}"]
    which = _which_outcomes(resolved)
    if kind == "binary" and not resolved.trials:
        return [*which, rf"{outcome} &\sim \mathrm{{Bernoulli}}(p_{{i}})"]
    distribution = resolved.family.equation.format(mean=MEANS[kind], trials=trials_text(resolved))
    for name in resolved.outcome_parameter_priors:
        distribution = distribution.replace(rf"\{name}", rf"\{name}_{{o[i]}}")
    if resolved.residual is not None:
        return [*which, *_correlated(resolved.residual, outcome, distribution)]
    for part in resolved.parts:
        # The parameter as it stands in the record's text, by itself.
        symbol = re.escape(parameter_symbol(part.parameter))
        distribution = re.sub(
            rf"{symbol}(?![a-z])", lambda match: rf"{match[0]}_{{i}}", distribution
        )
    return [*which, rf"{outcome} &\sim {distribution}{_known_part(resolved)}"]


def _specific_terms(part: ResolvedPart) -> str:
    """Return what category-specific effects take off a cutpoint."""
    return "".join(
        rf" - {beta_symbol(f'{number},c', part.parameter)}\,{latex_text(label)}_{{i}}"
        for number, label in enumerate(part.slopes, start=1)
    )


def _correlated(residual: ResolvedResidual, outcome: str, distribution: str) -> list[str]:
    """Return the lines of an outcome whose residuals are correlated."""
    correlation = residual.record.equation
    if residual.occasions:
        distribution = distribution.replace(r"\sigma^{2}", r"\sigma_{t[i]}^{2}")
    if residual.dim != "occasion":
        # Outcomes and members have a letter of their own.
        distribution = distribution.replace("{t[i]}", "{o[i]}")
        correlation = correlation.replace("t[", "o[")
    unit = latex_text(":".join(residual.residual.unit))
    other = outcome.replace("_{i}", "_{k}")
    return [
        rf"{outcome} &\sim {distribution}",
        rf"\operatorname{{Cor}}({outcome}, {other}) &= {correlation}"
        rf"\quad {unit}[i] = {unit}[k]",
    ]


def _known_part(resolved: ResolvedSpec) -> str:
    """Return what is known of durations that were not observed whole."""
    call = resolved.spec.durations
    words = ""
    if call is None:
        return words
    if call.status is not None and resolved.censored:
        status = latex_text(unparse(call.status, expression=True))
        words += rf",\quad \text{{{call.kind}-censored where }} {status}_{{i}} = 0"
    if call.entry is not None and ENTRY in resolved.bounds:
        entry = latex_text(unparse(call.entry, expression=True))
        words += rf",\quad \text{{given more than }} {entry}_{{i}}"
    return words


def _name(resolved: ResolvedSpec) -> str:
    """Return what an outcome is called; several are called y."""
    return "y" if resolved.spec.outcomes else latex_text(resolved.spec.response_label)


def _which_outcomes(resolved: ResolvedSpec) -> list[str]:
    """Say what `o[i]` numbers, where coefficients differ between outcomes or members."""
    if not resolved.outcomes:
        return []
    names = r",\ ".join(latex_text(name) for name in resolved.outcomes)
    column = resolved.spec.outcome_column
    return [rf"o[i] &\in \{{{names}\}}\quad \text{{the }}{latex_text(column)}\text{{ of }}i"]


def _category_predictors(resolved: ResolvedSpec, groups: Sequence[EffectNotation]) -> list[str]:
    """Return the linear predictor of every category but the baseline."""
    lines = []
    for category in resolved.outcomes:
        name = latex_text(category)
        terms = [beta_symbol(f"0,{name}")] if resolved.intercept else []
        terms += [
            rf"{beta_symbol(f'{number},{name}')}\,{latex_text(label)}_{{i}}"
            for number, label in enumerate(resolved.slopes, start=1)
        ]
        terms += [term for group in groups for term in group.effects(category)]
        lines += _lines_of_sum(rf"\eta_{{{name},i}}", terms)
    return lines


def _predictor(resolved: ResolvedSpec, groups: Sequence[EffectNotation]) -> list[str]:
    if resolved.nominal:
        return _category_predictors(resolved, groups)
    left = r"\eta_{i}"
    if not resolved.spec.families and (inside := MEANS[resolved.family.response]):
        left = LINKS[resolved.spec.link].format(inside)
    own = ",o[i]" if resolved.outcomes else ""
    without = resolved.outcomes and not resolved.intercept_owners
    terms = [beta_symbol(f"0{own}")] if resolved.intercept and not without else []
    terms += [
        rf"{beta_symbol(f'{number}{own}')}\,{latex_text(label)}_{{i}}"
        for number, label in enumerate(resolved.slopes, start=1)
    ]
    terms += [term for group in groups for term in group.effects()]
    terms += _offsets(resolved)
    lines = _lines_of_sum(left, terms)
    for part in resolved.parts:
        if part.category_specific:
            continue
        left = LINKS[part.link].format(rf"{parameter_symbol(part.parameter)}_{{i}}")
        terms = [beta_symbol(0, part.parameter)] if part.intercept else []
        terms += [
            rf"{beta_symbol(number, part.parameter)}\,{latex_text(label)}_{{i}}"
            for number, label in enumerate(part.slopes, start=1)
        ]
        terms += [term for group in groups for term in group.effects(part.parameter)]
        lines += _lines_of_sum(left, terms)
    return lines


def _lines_of_sum(left: str, terms: list[str]) -> list[str]:
    pieces = [terms[at : at + _PER_LINE] for at in range(0, len(terms), _PER_LINE)] or [["0"]]
    first = rf"{left} &= {' + '.join(pieces[0])}"
    return [first, *(rf"&\quad + {' + '.join(piece)}" for piece in pieces[1:])]


def _offsets(resolved: ResolvedSpec) -> list[str]:
    spec = resolved.spec
    found = [rf"{latex_text(text)}_{{i}}" for text in spec.parts.offsets]
    if spec.offset is not None:
        found.append(rf"{latex_text(spec.offset)}_{{i}}")
    if spec.exposure is not None:
        found.append(rf"\log({latex_text(spec.exposure)}_{{i}})")
    return found


def _priors(resolved: ResolvedSpec, groups: Sequence[EffectNotation]) -> list[str]:
    named: list[tuple[str, Prior]] = []
    means = _at_means(resolved)
    if resolved.intercept_prior is not None:
        left = f"{beta_symbol(0)} + {means}" if means else beta_symbol(0)
        named.append((left, resolved.intercept_prior))
    if resolved.outcomes:
        named += outcome_prior_names(resolved)
    else:
        named += [
            (beta_symbol(number), prior)
            for number, prior in enumerate(resolved.slope_priors, start=1)
        ]
    lines = _prior_lines(named)
    for group in groups:
        kinds = group.grouping.kinds or ("",)
        cells = [(kind, number) for kind in kinds for number in group.numbers]
        pairs = zip(cells, group.grouping.sd_priors, strict=True)
        lines += _prior_lines([(group.sd(number, kind), prior) for (kind, number), prior in pairs])
        if group.grouping.nu_prior is not None:
            lines += _prior_lines([(f"{group.nu} - 2", group.grouping.nu_prior)])
        lines += [
            rf"{group.correlations(number)} &\sim \mathrm{{LKJ}}({_number(group.grouping.eta)})"
            for number, size in enumerate(group.grouping.blocks)
            if size > 1
        ]
    for part in resolved.parts:
        of_part: list[tuple[str, Prior]] = []
        if part.intercept_prior is not None:
            means = _at_means(part)
            left = beta_symbol(0, part.parameter)
            of_part.append((f"{left} + {means}" if means else left, part.intercept_prior))
        of_part += [
            (
                beta_symbol(f"{number},c" if part.category_specific else number, part.parameter),
                prior,
            )
            for number, prior in enumerate(part.slope_priors, start=1)
        ]
        lines += _prior_lines(of_part)
    for name, prior in resolved.parameter_priors.items():
        if name == "cutpoints":
            shifts = [] if resolved.specific is None else [_at_means(resolved.specific)]
            means = " + ".join(filter(None, [_at_means(resolved), *shifts]))
            left = rf"\tau_{{c}} - ({means})" if " + " in means else rf"\tau_{{c}} - {means}"
            (line,) = _prior_lines([(left if means else r"\tau_{c}", prior)])
            order = " < ".join(rf"\tau_{{{c}}}" for c in range(1, len(resolved.categories)))
            told = resolved.family.ordered_cutpoints and len(resolved.categories) < 6
            lines.append(rf"{line},\quad {order}" if told else line)
        else:
            lines += _prior_lines([(parameter_symbol(name), prior)])
    return lines + (_residual_priors(resolved.residual) if resolved.residual is not None else [])


def _residual_priors(residual: ResolvedResidual) -> list[str]:
    record, values = residual.record, residual.prior.values
    pairs = zip(residual.occasions, residual.sigma_priors, strict=True)
    lines = _prior_lines([(rf"\sigma_{{{latex_text(label)}}}", prior) for label, prior in pairs])
    if record.bounds is None:
        return [*lines, rf"{record.symbol} &\sim \mathrm{{LKJ}}({_number(values[0])})"]
    symbol = record.symbol
    if record.at_median_gap:
        symbol = rf"{symbol}^{{{_number(residual.median_gap)}}}"
    return [*lines, *_prior_lines([(symbol, residual.prior)])]


def _at_means(resolved: ResolvedSpec | ResolvedPart) -> str:
    """Return what the coefficients add at the mean of the predictors."""
    part = resolved.parameter if isinstance(resolved, ResolvedPart) else ""
    each = ",c" if isinstance(resolved, ResolvedPart) and resolved.category_specific else ""
    if not resolved.slopes or not resolved.centred_predictors:
        return ""
    if len(resolved.slopes) > _PER_LINE - 1:
        beta = beta_symbol(f"p{each}", part)
        return rf"\sum_{{p=1}}^{{{len(resolved.slopes)}}} {beta}\,\overline{{x}}_{{p}}"
    return " + ".join(
        rf"{beta_symbol(f'{number}{each}', part)}\,\overline{{{latex_text(label)}}}"
        for number, label in enumerate(resolved.slopes, start=1)
    )


def _prior_lines(named: Sequence[tuple[str, Prior]]) -> list[str]:
    """Return one line for each prior, with the parameters that have it."""
    by_prior: dict[Prior, list[str]] = {}
    for name, prior in named:
        by_prior.setdefault(prior, []).append(name)
    lines = []
    for prior, names in by_prior.items():
        # This prior is one of the variance.
        squared = prior.distribution == "MLwiN"
        left = r",\ ".join(f"{name}^{{2}}" if squared else name for name in names)
        distribution = "InverseGamma" if squared else prior.distribution
        values = [_number(value) for value in prior.values]
        if distribution in _WITH_VARIANCE:
            values[-1] = (
                rf"({values[-1]})^{{2}}" if "times" in values[-1] else f"{values[-1]}^{{2}}"
            )
        numbers = r",\ ".join(values)
        lines.append(rf"{left} &\sim \mathrm{{{distribution}}}({numbers})")
    return lines


def _number(value: float) -> str:
    text = f"{value:.4g}"
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    return rf"{mantissa} \times 10^{{{int(exponent)}}}"
