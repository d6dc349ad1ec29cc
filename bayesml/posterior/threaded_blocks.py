"""Work on blocks of rows that threads share."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import batched

from bayesml.posterior.linear_predictors import PredictorBlock

_MOST_THREADS = 8


def worked_blocks[T](
    blocks: Iterable[PredictorBlock], work: Callable[[PredictorBlock], T]
) -> Iterator[T]:
    """Yield what `work` makes of each block, in order.

    NumPy leaves Python's lock while it computes, so threads share the work.

    Parameters
    ----------
    blocks : iterable of PredictorBlock
    work : callable
        Must not change anything but its result.

    Yields
    ------
    object
    """
    workers = min(_MOST_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        # A few blocks at a time, so that not all of them are in memory.
        for some in batched(blocks, 2 * workers):
            yield from pool.map(work, some)
