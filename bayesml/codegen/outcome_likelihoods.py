"""The likelihoods of outcomes of different families: a statement for each, on its own rows."""

import re
from collections.abc import Sequence

from bayesml.specs.resolved import ResolvedSpec


def outcome_statements(resolved: ResolvedSpec, likelihoods: Sequence[str]) -> list[str]:
    """Return the statements of every outcome.

    Parameters
    ----------
    resolved : ResolvedSpec
        With identifiers of the outcomes.
    likelihoods : sequence of str
        One rendered likelihood per outcome, as for a model of this outcome alone: `NAME`, `eta`,
        ``d["y"]`` and the parameters' names.

    Returns
    -------
    list of str
    """
    lines = []
    for number, (name, text) in enumerate(
        zip(resolved.outcome_identifiers, likelihoods, strict=True)
    ):
        lines.append(f'eta_{name} = eta[d["rows_{name}"]]')
        own = re.sub(r"\beta\b", f"eta_{name}", text)
        for data in ("y", "trials"):
            own = own.replace(f'd["{data}"]', f'd["{data}_{name}"]')
        own = own.replace('dims="obs"', f'dims="obs_{name}"').replace("NAME", f'"{name}"', 1)
        for parameter in resolved.outcome_parameter_priors:
            having = resolved.spec.outcomes_of_parameter(parameter)
            if number in having:
                own = with_index(own, parameter, str(having.index(number)))
        lines.append(own)
    return lines


def with_index(statement: str, parameter: str, index: str) -> str:
    """Return a statement in which a parameter is one of several: not its name as a keyword.

    Examples
    --------
    >>> with_index('pm.StudentT("y", nu=nu, mu=eta)', "nu", "own")
    'pm.StudentT("y", nu=nu[own], mu=eta)'
    """
    return re.sub(rf'(?<!")\b{parameter}\b(?![="])', f"{parameter}[{index}]", statement)


def outcome_words(resolved: ResolvedSpec) -> str:
    """Return families and links for a title: ``gaussian identity``, or those of each outcome."""
    spec = resolved.spec
    if not spec.families:
        return f"{spec.family} {spec.link}"
    return "; ".join(
        f"{item.outcome} {item.record.name} {item.link.name}" for item in spec.outcome_families
    )
