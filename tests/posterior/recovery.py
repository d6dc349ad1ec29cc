"""Counts of intervals that hold the truth, over simulated tables."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import bayesml as bml
from tests.posterior.test_coverage import band


@dataclass(frozen=True)
class Tally:
    """How many 89 % intervals hold each truth, and counts of what went wrong.

    Parameters
    ----------
    held, trouble : Counter
    """

    held: Counter[str] = field(default_factory=Counter)
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
