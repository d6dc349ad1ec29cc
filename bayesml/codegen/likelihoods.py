"""The likelihood's statements of the source: one, or one for each outcome of its own family."""

from collections.abc import Mapping

from bayesml.codegen.environments import rendering_environment
from bayesml.specs.family_records import Family
from bayesml.specs.resolved import ResolvedSpec


def likelihood_statement(
    resolved: ResolvedSpec, eta: str = "eta", parameters: Mapping[str, str] | None = None
) -> str:
    """Return the statement of an outcome, or of several that have one family.

    Parameters
    ----------
    resolved : ResolvedSpec
    eta : str
        Expression of the linear predictor, or of a row's mean given the rows before.
    parameters : mapping of str to str, optional
        Expressions of the family's parameters, for those that are not the variables themselves.

    Returns
    -------
    str
    """
    # Each of several outcomes has a value of its own.
    own = {name: f"{name}[own]" for name in resolved.outcome_parameter_priors}
    if resolved.specific is not None:
        own["cutpoints"] = "row_cutpoints"
    return _filled(
        _of_bounded_rows(resolved) if resolved.bounds else resolved.family.likelihood,
        resolved.family,
        resolved.spec.link,
        own | dict(parameters or {}),
        name=resolved.response,
        eta=eta,
        trials=resolved.trials,
        by_row=resolved.specific is not None,
    )


def outcome_statements(resolved: ResolvedSpec) -> list[str]:
    """Return the statements of outcomes of different families, each on its own rows.

    Parameters
    ----------
    resolved : ResolvedSpec
        With identifiers of the outcomes.

    Returns
    -------
    list of str
    """
    lines = []
    outcomes = zip(resolved.outcome_identifiers, resolved.spec.outcome_families, strict=True)
    for number, (name, item) in enumerate(outcomes):
        having = {
            parameter: resolved.spec.outcomes_of_parameter(parameter)
            for parameter in resolved.outcome_parameter_priors
        }
        statement = _filled(
            item.record.likelihood,
            item.record,
            item.link.name,
            {
                parameter: f"{parameter}[{numbers.index(number)}]"
                for parameter, numbers in having.items()
                if number in numbers
            }
            | {"cutpoints": f"cutpoints_{name}"},
            name=name,
            eta=f"eta_{name}",
            trials=resolved.trials and item.record.response == "binary",
            suffix=f"_{name}",
        )
        lines += [f'eta_{name} = eta[d["rows_{name}"]]', statement]
    return lines


def _filled(
    template: str,
    family: Family,
    link: str,
    parameters: Mapping[str, str],
    *,
    name: str,
    eta: str,
    trials: bool,
    suffix: str = "",
    by_row: bool = False,
) -> str:
    named = {parameter.name: parameter.name for parameter in family.parameters}
    return (
        rendering_environment()
        .from_string(template)
        .render(
            **named | dict(parameters),
            name=f'"{name}"',
            eta=eta,
            observed=f'observed=d["y{suffix}"], dims="obs{suffix}"',
            trials=f'd["trials{suffix}"]' if trials else "",
            link=link,
            by_row=by_row,
        )
    )


def _of_bounded_rows(resolved: ResolvedSpec) -> str:
    """Return the template for durations that were not all observed whole."""
    parameters = [f"{{{{ {parameter.name} }}}}" for parameter in resolved.family.parameters]
    bounds = [f'd["{name}"]' for name in resolved.bounds]
    arguments = ", ".join(["{{ name }}", "{{ eta }}", *parameters, *bounds])
    return f"pm.CustomDist({arguments}, logp=log_duration, {{{{ observed }}}})"


def outcome_words(resolved: ResolvedSpec) -> str:
    """Return families and links for a title: ``gaussian identity``, or those of each outcome."""
    spec = resolved.spec
    if not spec.families:
        return f"{spec.family} {spec.link}"
    return "; ".join(
        f"{item.outcome} {item.record.name} {item.link.name}" for item in spec.outcome_families
    )
