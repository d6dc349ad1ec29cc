"""The numbers of a fit that plots show, one by one, with the user's labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayesml.posterior.labelled_draws import labelled_draws
from bayesml.quantities.convergence import convergence_of
from bayesml.records.fits import Fit


@dataclass(frozen=True)
class Quantity:
    """A number of the posterior with its draws.

    Parameters
    ----------
    label : str
        As tables show it: ``beta[standLRT]``, ``sd_school[Intercept]``.
    draws : array, shape (chains, draws)
    """

    label: str
    draws: np.ndarray


def quantities_of(fit: Fit, variables: Sequence[str] | None = None) -> list[Quantity]:
    """Return the numbers of some variables, or of all but the units' effects."""
    found = labelled_draws(fit, variables)
    return [Quantity(label, found.values[:, :, place]) for place, label in enumerate(found.labels)]


def coefficients_of(fit: Fit) -> list[Quantity]:
    """Return the coefficients of the fixed part, labelled by their terms alone."""
    if "beta" not in fit.posterior:
        return []
    labels = [fit.facts.coefficients[place] for place in fit.facts.estimated]
    return [
        Quantity(label, item.draws)
        for label, item in zip(labels, quantities_of(fit, ["beta"]), strict=True)
    ]


def spreads_of(fit: Fit) -> list[Quantity]:
    """Return the standard deviations: of every varying term, and of the rows."""
    level1 = fit.spec.level1
    variables = [f"sd_{grouping.identifier}" for grouping in fit.facts.groupings]
    return quantities_of(fit, [*variables, *([level1] if level1 else [])])


def worst_mixed(fit: Fit, most: int = 3) -> list[Quantity]:
    """Return the quantities whose chains agree least: the highest R-hat first.

    Quantities that are constant, or have too few draws for an R-hat, come last.
    """
    quantities = quantities_of(fit)
    if not quantities:
        return []
    values = convergence_of(np.stack([item.draws for item in quantities], axis=-1)).r_hat
    order = np.argsort(-np.where(np.isfinite(values), values, -np.inf), kind="stable")
    return [quantities[place] for place in order[:most]]
