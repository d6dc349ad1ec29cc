"""From a resolved specification to a LaTeX equation."""

from bayesml.specs.resolved import ResolvedSpec


def equation(resolved: ResolvedSpec) -> str:
    r"""Return the model as a LaTeX equation, in an `aligned` environment without `$`."""
    return r"\begin{aligned}" + resolved.spec.text + r"\end{aligned}"
