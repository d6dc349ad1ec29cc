"""From a resolved specification to PyMC source text: the model itself.

Each concern has one template. What the user named enters the text only as identifiers and, with
everything unusual escaped, in comments; labels are data.
"""

import re
import textwrap
from typing import Any

from bayesml.codegen.cutpoint_statements import cutpoint_statements, reported_cutpoints
from bayesml.codegen.environments import plain, rendering_environment
from bayesml.codegen.layout import LINE, tidy
from bayesml.codegen.likelihoods import likelihood_statement, outcome_statements, outcome_words
from bayesml.specs.category_feeds import category_feeds
from bayesml.specs.censoring import duration_functions
from bayesml.specs.prior_arrays import prior_statements
from bayesml.specs.resolved import (
    Feed,
    ResolvedGrouping,
    ResolvedPart,
    ResolvedSpec,
)
from bayesml.specs.resolved_residuals import ResolvedResidual


def render(resolved: ResolvedSpec, *, example: str = "", note: str = "") -> str:
    """Return the PyMC source of a model.

    Parameters
    ----------
    resolved : ResolvedSpec
    example : str
        Source that is added at the end; see `bayesml.codegen.examples.example_source`.
    note : str
        A sentence that is added to the docstring.

    Returns
    -------
    str
        A Python module with `build(data, coords)`. A pure function of the resolved
        specification: sizes come from `coords`, numbers from `data`.
    """
    templates = rendering_environment()
    fixed = templates.get_template("fixed.jinja").module
    grouping = templates.get_template("grouping.jinja").module
    groupings = [
        grouping.grouping(  # type: ignore[attr-defined]
            item,
            _sd_code(item),
            _grouping_words(item),
            _level(resolved),
            _nu_code(item),
            category_effects(resolved, item),
        )
        # Outer groupings first: inner ones may be centred around their effects.
        for item in sorted(resolved.groupings, key=lambda item: item.units)
    ]
    body: dict[str, Any] = {
        "fixed": outcome_coefficients(resolved)
        if resolved.outcomes
        else fixed.fixed(  # type: ignore[attr-defined]
            resolved,
            _intercept(resolved),
            variable_code("slopes", resolved.slope_priors, "predictor", False),
            "".join(cutpoint_statements(resolved)),
            any(item.around for item in resolved.groupings),
        ).strip(),
        "parts": [
            fixed.specific(part, _specific(part)).strip()  # type: ignore[attr-defined]
            if part.category_specific
            else fixed.part(  # type: ignore[attr-defined]
                part,
                _intercept(part, f"_{part.parameter}"),
                variable_code(
                    f"slopes_{part.parameter}",
                    part.slope_priors,
                    f"predictor_{part.parameter}",
                    False,
                ),
            ).strip()
            for part in resolved.parts
        ],
        "groupings": [text.strip() for text in groupings],
        "response": _response(resolved),
        "reported": _reported(resolved, grouping),
        "functions": _functions(resolved),
    }
    title = textwrap.wrap(
        plain(f"{resolved.spec.text}, {outcome_words(resolved)}."), LINE - 3, break_on_hyphens=False
    )
    if len(title) == 1 and not note:
        # Quotation marks on both sides.
        title = textwrap.wrap(title[0], LINE - 6, break_on_hyphens=False)
    parts = [
        body["functions"],
        body["fixed"],
        *body["parts"],
        *groupings,
        body["response"],
        body["reported"],
    ]
    standard, imports = _imports("\n".join([*parts, example]))
    text = templates.get_template("script.py.jinja").render(
        title="\n".join(title),
        note="\n".join(textwrap.wrap(note, LINE)),
        example=example,
        standard_imports=standard,
        imports=imports,
        **body,
    )
    return tidy(text)


# The modules that generated code may use, by the name that it calls them.
_STANDARD = {"sys": "import sys"}
_LIBRARIES = {
    "az": "import arviz as az",
    "np": "import numpy as np",
    "pm": "import pymc as pm",
    "pt": "import pytensor.tensor as pt",
    "stats": "from scipy import stats",
}


def _imports(code: str) -> tuple[list[str], list[str]]:
    """Return the imports that the code needs: of the standard library, and others."""
    statements = "\n".join(line for line in code.splitlines() if not line.lstrip().startswith("#"))
    used = {*re.findall(r"\b(\w+)\.", statements), "pm"}
    return (
        [line for name, line in _STANDARD.items() if name in used],
        [line for name, line in _LIBRARIES.items() if name in used],
    )


def _intercept(predictor: ResolvedSpec | ResolvedPart, suffix: str = "") -> str:
    if predictor.intercept_prior is None:
        return ""
    stem = f"intercept{suffix}"
    (statement,) = prior_statements(stem, [predictor.intercept_prior], scalar=True)
    return statement.code(name=f"{stem}_at_mean")


def _level(resolved: ResolvedSpec) -> str:
    """Return the coefficients around which effects are centred, as one vector."""
    if resolved.categories or resolved.outcome_cutpoints:
        return "level"
    return "beta.flatten()" if resolved.outcomes else "beta"


def category_effects(resolved: ResolvedSpec, grouping: ResolvedGrouping) -> str:
    """Return the statements that add a grouping's effects to all categories of a nominal outcome.

    Empty for other outcomes.
    """
    if not resolved.nominal:
        return ""
    template = rendering_environment().get_template("nominal.jinja").module
    feeds = category_feeds(grouping)
    return str(
        template.effects(grouping, feeds, len(resolved.outcomes))  # type: ignore[attr-defined]
    ).strip()


def outcome_coefficients(resolved: ResolvedSpec) -> str:
    """Return the statements of the fixed part of several outcomes, or of all categories of one."""
    name = "nominal.jinja" if resolved.nominal else "outcomes.jinja"
    template = rendering_environment().get_template(name).module
    dim = resolved.outcome_dim
    owners = "intercept_outcome" if resolved.outcome_cutpoints else dim
    intercept = variable_code("intercept", resolved.intercept_priors, owners, False)
    slopes = variable_code("slopes", resolved.slope_priors, "DIMS", False)
    if slopes.startswith("pt."):
        slopes += f".reshape(({len(resolved.outcomes)}, -1))"
    around = any(item.around for item in resolved.groupings)
    of_kind = (
        [plain(resolved.baseline_category)]
        if resolved.nominal
        else [cutpoint_statements(resolved), around]
    )
    return str(
        template.fixed(  # type: ignore[attr-defined]
            resolved,
            intercept.replace('"intercept"', '"intercept_at_mean"'),
            slopes.replace('"DIMS"', f'("{dim}", "predictor")'),
            *of_kind,
        )
    ).strip()


def variable_code(stem: str, priors: tuple[Any, ...], dims: str, stored: bool) -> str:
    """Return the expression of a vector variable, from one statement or from components."""
    if not priors:
        return ""
    statements = prior_statements(stem, priors)
    if len(statements) == 1 and not statements[0].derived:
        return statements[0].code(dims)
    if len(statements) == 1:
        return f'pm.Deterministic("{stem}", {statements[0].code(dims)}, dims="{dims}")'
    stack = f"pt.stack([{', '.join(item.code() for item in statements)}])"
    return f'pm.Deterministic("{stem}", {stack}, dims="{dims}")' if stored else stack


def _sd_code(grouping: ResolvedGrouping) -> str:
    """Return the expression of a grouping's SDs, a row for each kind of units where it has some."""
    stem, terms = f"sd_{grouping.identifier}", f"{grouping.identifier}_term"
    if not grouping.kinds:
        return variable_code(stem, grouping.sd_priors, terms, True)
    dims = f'("{grouping.identifier}_by", "{terms}")'
    code = variable_code(stem, grouping.sd_priors, "DIMS", False)
    if code.startswith("pt."):
        return (
            f'pm.Deterministic("{stem}", {code}.reshape(({len(grouping.kinds)}, -1)), dims={dims})'
        )
    return code.replace('"DIMS"', dims)


def _nu_code(grouping: ResolvedGrouping) -> str:
    """Return the expression of the degrees of freedom of Student-t effects."""
    if grouping.nu_prior is None:
        return ""
    stem = f"nu_{grouping.identifier}"
    (statement,) = prior_statements(stem, [grouping.nu_prior], scalar=True)
    code = statement.code(name="" if statement.derived else f"nu_above_2_{grouping.identifier}")
    return f'pm.Deterministic("{stem}", 2 + {code})'


def _grouping_words(grouping: ResolvedGrouping) -> str:
    terms = " and ".join(
        f"{_bare(term, feed)} of {feed.predictor}" if feed.predictor else plain(term)
        for feed in grouping.feeds
        for term in grouping.terms[feed.start : feed.stop]
    )
    words = [f"{plain(grouping.name)}: {terms} {'vary' if len(grouping.terms) > 1 else 'varies'}"]
    if grouping.multiple:
        words.append("multiple membership")
    if grouping.by_member:
        words.append("members have values of their own")
    if grouping.kinds:
        words.append(f"SDs by {plain(grouping.by)}")
    if grouping.student:
        words.append("Student-t")
    if len(grouping.terms) > 1:
        words.append("correlated" if grouping.correlated else "uncorrelated")
        if grouping.correlated and len(grouping.blocks) > 1:
            words[-1] = "correlated within blocks"
    if grouping.graded:
        words.append("between centred and non-centred")
    elif grouping.partly_centred:
        words.append("the first term centred, the rest not")
    else:
        words.append("centred" if grouping.centred else "non-centred")
    return ", ".join(words)


def _bare(term: str, feed: Feed) -> str:
    return plain(term.removeprefix(f"{feed.predictor}:"))


def _response(resolved: ResolvedSpec) -> str:
    residual = resolved.residual
    lines = ["# Response" if residual is None else f"# Response: {_residual_words(residual)}"]
    for name, priors in resolved.outcome_parameter_priors.items():
        dim = resolved.parameter_dim(name)
        lines.append(f"{name} = {variable_code(name, priors, dim, True)}")
    if resolved.outcome_identifiers:
        lines[0] = "# Response: every outcome has its own rows and likelihood"
        return "\n".join([*lines, *outcome_statements(resolved)])
    for part in resolved.parts:
        if part.category_specific:
            continue
        inverse = {"log": "pt.exp", "logit": "pt.sigmoid"}[part.link]
        lines.append(f"{part.parameter} = {inverse}(eta_{part.parameter})")
    for parameter in resolved.spec.scalar_parameters:
        if parameter.name == "cutpoints" or parameter.name not in resolved.parameter_priors:
            continue
        (statement,) = prior_statements(
            parameter.name, [resolved.parameter_priors[parameter.name]], scalar=True
        )
        code = statement.code()
        if statement.derived:
            code = f'pm.Deterministic("{parameter.name}", {code})'
        lines.append(f"{parameter.name} = {code}")
    if residual is None:
        return "\n".join([*lines, likelihood_statement(resolved)])
    statements, mean, spread = _residual(residual)
    statement_text = likelihood_statement(resolved, mean, {resolved.family.level1: spread})
    return "\n".join([*lines, *statements, statement_text])


def _residual_words(residual: ResolvedResidual) -> str:
    """Return how residuals are correlated; of outcomes and members, which are their occasions."""
    unit, dim = plain(":".join(residual.residual.unit)), residual.dim
    words = residual.record.words.replace("occasion", dim)
    return f"residuals within a {unit} are {words}"


def _row_words(residual: ResolvedResidual) -> str:
    """Return what a row is: the row of a person, but the outcome of a row, the member of a pair."""
    each = "row" if residual.dim == "occasion" else residual.dim
    return f"{each} of a {plain(':'.join(residual.residual.unit))}"


def _residual(residual: ResolvedResidual) -> tuple[list[str], str, str]:
    """Return the statements of correlated residuals, and the mean and SD of a row."""
    record = residual.record
    lines = []
    if residual.sigma_priors:
        lines.append(f"sigma = {variable_code('sigma', residual.sigma_priors, residual.dim, True)}")
    if record.bounds is None:
        (eta,) = residual.prior.values
        prior = f'pm.LKJCorr("chol_residual", n={len(residual.occasions)}, eta={eta:g})'
    else:
        (statement,) = prior_statements(record.parameter, [residual.prior], scalar=True)
        prior = statement.code(name="phi_at_gap" if record.at_median_gap else "")
    template = rendering_environment().get_template("residual.jinja").module
    lines.append(str(getattr(template, record.name)(residual, _row_words(residual), prior)).strip())
    return lines, "eta + before", template.spread[record.name]  # type: ignore[attr-defined]


def _specific(part: ResolvedPart) -> str:
    """Return the expression of category-specific effects, a row for each cutpoint."""
    statements = prior_statements("slopes_cs", part.slope_priors)
    if len(statements) == 1:
        return statements[0].code("DIMS").replace('"DIMS"', '("cutpoint", "predictor_cs")')
    return f"pt.stack([{', '.join(item.code('cutpoint') for item in statements)}], axis=1)"


def _functions(resolved: ResolvedSpec) -> str:
    by_row = resolved.specific is not None
    found = (
        (item.record.functions_by_row if by_row else item.record.functions).get(item.link.name, "")
        for item in resolved.spec.outcome_families
    )
    text = "\n\n".join(dict.fromkeys(filter(None, found)))
    durations = None if resolved.outcome_identifiers else resolved.family.durations
    if resolved.bounds and durations is not None:
        names = tuple(parameter.name for parameter in resolved.family.parameters)
        text = duration_functions(durations, names, resolved.bounds, resolved.censored)
    if resolved.residual is not None:
        template = rendering_environment().get_template("residual.jinja").module
        own = getattr(template, f"functions_{resolved.residual.record.name}", None)
        text += str(own()) if own is not None else ""
    return f"\n{text}\n" if text else "\n"


def _reported(resolved: ResolvedSpec, grouping: Any) -> str:
    text = "\n".join([*reported_cutpoints(resolved), str(grouping.reported(resolved)).strip()])
    if resolved.residual is not None and resolved.residual.record.bounds is None:
        dim = resolved.residual.dim
        corr = f'"corr_residual", chol_residual @ chol_residual.T, dims=("{dim}", "{dim}_bis")'
        text = f"{text}\npm.Deterministic({corr})".strip()
    return f"# Reported on the user's scale\n{text.strip()}" if text.strip() else ""
