"""The terms of a grouping that enter the linear predictors of all categories of an outcome."""

from dataclasses import dataclass
from itertools import batched

from bayesml.specs.resolved import ResolvedGrouping


@dataclass(frozen=True)
class CategoryFeed:
    """Neighbouring terms of a grouping that enter the linear predictors of all categories.

    Parameters
    ----------
    start, stop : int
        The first term, and the one after the last: those of the first category first.
    first, last : int
        The columns of Z that all categories share, and the one after the last.
    constant : bool
        Whether they are one varying intercept for each category, which needs no column of Z.
    """

    start: int
    stop: int
    first: int
    last: int
    constant: bool


def category_feeds(grouping: ResolvedGrouping) -> tuple[CategoryFeed, ...]:
    """Return the entries of a grouping's terms, whose categories are correlated with each other."""
    count = len(set(grouping.predictors))
    found: list[CategoryFeed] = []
    column = 0
    for several in batched(grouping.feeds, count):
        width = several[0].stop - several[0].start
        found.append(
            CategoryFeed(
                several[0].start, several[-1].stop, column, column + width, several[0].constant
            )
        )
        column += width
    return tuple(found)
