"""The statements of cutpoints, of one ordered outcome and of those among several."""

from bayesml.specs.distributions import Prior
from bayesml.specs.prior_arrays import prior_statements
from bayesml.specs.resolved import ResolvedSpec


def cutpoint_statements(resolved: ResolvedSpec) -> list[str]:
    """Return a statement for the cutpoints of every ordered outcome, at the mean of predictors.

    Parameters
    ----------
    resolved : ResolvedSpec

    Returns
    -------
    list of str
        Empty where no outcome is ordered.
    """
    if resolved.categories:
        prior, ascending = resolved.parameter_priors["cutpoints"], resolved.family.ordered_cutpoints
        return [_statement("cutpoints", "cutpoint", "cutpoints_start", prior, ascending)]
    return [
        _statement(
            item.variable,
            item.dim,
            f"cutpoints_start_{item.identifier}",
            item.prior,
            item.ascending,
        )
        for item in resolved.outcome_cutpoints
    ]


def _statement(name: str, dim: str, start: str, prior: Prior, ascending: bool) -> str:
    (statement,) = prior_statements(name, [prior], scalar=True)
    code = statement.code(dim, name=f"{name}_at_mean")
    ordered = "transform=pm.distributions.transforms.ordered, " if ascending else ""
    return f'{name} = {code.removesuffix(")")}, {ordered}initval=data["{start}"])'


def reported_cutpoints(resolved: ResolvedSpec) -> list[str]:
    """Return the statements that report cutpoints of several outcomes where predictors are 0."""
    return [
        f'pm.Deterministic("{item.variable}", {item.variable}'
        + (f' + d["x_mean"][{item.outcome}] @ slopes[{item.outcome}]' if resolved.slopes else "")
        + f', dims="{item.dim}")'
        for item in resolved.outcome_cutpoints
    ]
