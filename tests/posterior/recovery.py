"""Counts of intervals that hold the truth, over simulated tables."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

import bayesml as bml
from tests.posterior.test_coverage import band

# Truths by their names in the summary, and what draws them with a table and its model.
Truths = dict[str, float]
Simulator = Callable[[np.random.Generator], tuple[bml.Model, Truths]]


@dataclass(frozen=True)
class Tally:
    """How many 89 % intervals hold each truth, and counts of what went wrong.

    Parameters
    ----------
    held, trouble, engines : Counter
    """

    held: Counter[str] = field(default_factory=Counter)
    engines: Counter[str] = field(default_factory=Counter)
    trouble: Counter[str] = field(default_factory=Counter)

    def count(self, fit: bml.Fit, truths: Mapping[str, float]) -> None:
        """Count the intervals of a fit; `truths` by the names in the summary."""
        found = bml.summary(fit, 0.89)
        for name, truth in truths.items():
            row = found.loc[name]
            self.held[name] += bool(row["lower"] <= truth <= row["upper"])
        self.trouble["r_hat above 1.1"] += bool(found["r_hat"].max() > 1.1)
        if "diverging" in fit.data["sample_stats"]:
            self.trouble["divergences"] += int(fit.data["sample_stats"]["diverging"].sum())

    def outside(self, tables: int) -> dict[str, int]:
        """Return the counts outside the binomial's 99.9 % band."""
        low, high = band(tables)
        return {name: count for name, count in self.held.items() if not low <= count <= high}


def coverage(simulate: Simulator, tables: int, seed: int, draws: int = 250) -> Tally:
    """Return how many intervals hold each truth, and counts of what went wrong.

    `simulate` draws truths from the priors of its model; each of two chains is tuned for 100 draws
    more than it gives.
    """
    rng = np.random.default_rng(seed)
    tally = Tally()
    for number in range(tables):
        model, truths = simulate(rng)
        fit = model.fit(draws=draws, tune=draws + 100, chains=2, seed=number, progress=False)
        tally.engines[fit.engine] += 1
        tally.count(fit, truths)
    return tally
