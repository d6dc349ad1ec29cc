"""What correlated residuals add to an example: their arrays, and how outcomes are drawn."""

from collections.abc import Sequence

from bayesml.specs.distributions import Prior
from bayesml.specs.resolved_residuals import ResolvedResidual


def residual_outcome(residual: ResolvedResidual, size: int) -> list[str]:
    """Return the lines that draw outcomes of units of `size` rows."""
    corr = f"0.7 * np.eye({size}) + 0.3"
    lines = []
    if residual.record.parameter == "phi":
        lines.append(f"lag = np.abs(np.subtract.outer(np.arange({size}), np.arange({size})))")
        corr = "0.5**lag"
    return [
        *lines,
        f"factor = np.linalg.cholesky({corr})",
        f"y = eta + (rng.normal(size=(obs.size // {size}, {size})) @ factor.T).ravel()",
    ]


def residual_arrays(residual: ResolvedResidual, size: int) -> list[tuple[str, str]]:
    """Return names and expressions of the arrays: units of `size` rows that follow each other."""
    neighbours = [("previous", "np.maximum(obs - 1, 0)"), ("follows", f"1.0 * (obs % {size} > 0)")]
    timed = residual.residual.time is not None
    return {
        "ar1": [*neighbours, *([("gap", "np.ones(obs.size, dtype=int)")] if timed else [])],
        "continuous_ar": [*neighbours, ("gap", "np.ones(obs.size)"), ("median_gap", "1.0")],
        "compound_symmetric": [
            ("order", "obs"),
            ("place", "obs"),
            ("start", f"obs // {size} * {size}"),
            ("earlier", f"1.0 * (obs % {size})"),
        ],
        "unstructured": [
            ("occasion_number", f"obs % {size}"),
            ("seen", f"np.ones((1, {size}))"),
            ("pattern", "np.zeros(obs.size, dtype=int)"),
            ("earlier", f"obs[:, None] // {size} * {size} + np.arange({size})"),
        ],
    }[residual.record.name]


def residual_prior_groups(
    residual: ResolvedResidual,
) -> list[tuple[str, Sequence[Prior], bool, list[str], dict[str, str]]]:
    """Return stem, priors, whether a number, prior keys and default expressions of each prior."""
    found: list[tuple[str, Sequence[Prior], bool, list[str], dict[str, str]]] = []
    if residual.sigma_priors:
        keys = ["sigma", *(f"sigma[{label}]" for label in residual.occasions)]
        # Outcomes and members have a scale each, occasions one together.
        same = f"np.full({len(residual.occasions)}, s)" if residual.dim == "occasion" else "s"
        default = {"sigma_scale": same}
        found.append(("sigma", residual.sigma_priors, False, keys, default))
    if residual.record.bounds is not None:
        name = residual.record.parameter
        found.append((name, [residual.prior], True, [name], {}))
    return found
