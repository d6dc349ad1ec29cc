"""The cutpoints of ordered outcomes among several, as the generated source has them."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from bayesml.specs.distributions import Prior


@dataclass(frozen=True)
class OutcomeCutpoints:
    """The cutpoints of an ordered outcome among several.

    Parameters
    ----------
    outcome : int
        Number of the outcome.
    name, identifier : str
        The user's name, and the name in the source.
    categories : tuple of str
        Lowest first.
    prior : Prior
        Of each cutpoint at the mean of the predictors.
    ascending : bool
        Whether they must ascend.
    """

    outcome: int
    name: str
    identifier: str
    categories: tuple[str, ...]
    prior: Prior
    ascending: bool

    @property
    def variable(self) -> str:
        """Name in the source and in the posterior."""
        return f"cutpoints_{self.identifier}"

    @property
    def dim(self) -> str:
        """Name of their dim."""
        return f"cutpoint_{self.identifier}"

    @property
    def labels(self) -> list[str]:
        """Labels of the cutpoints."""
        return cutpoint_labels(self.categories)


def cutpoint_labels(categories: Iterable[str]) -> list[str]:
    """Return what the cutpoints between categories are called.

    Examples
    --------
    >>> cutpoint_labels(["low", "mid", "high"])
    ['low|mid', 'mid|high']
    """
    return [f"{low}|{high}" for low, high in pairwise(categories)]
