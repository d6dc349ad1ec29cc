"""Peak memory of a large crossed model: `python -m benchmarks.crossed_memory`.

75,000 rows in 3,000 and 1,000 units, crossed, 4 x 200 draws after 200 tuning draws with the engine
"pymc". A dense rows-by-units array alone would take 75,000 x 4,000 x 8 bytes = 2.4 GB.
"""

import resource
import time

import numpy as np
import pandas as pd

import bayesml as bml

ROWS, FIRST, SECOND = 75_000, 3_000, 1_000


def crossed_table(seed: int = 1, third: int = 0) -> pd.DataFrame:
    """Return a simulated table: SDs 0.5 and 0.3 of the groupings, 1 of the residual.

    `third` is the number of units of a third grouping, with SD 0.2.
    """
    rng = np.random.default_rng(seed)
    first, second = rng.integers(FIRST, size=ROWS), rng.integers(SECOND, size=ROWS)
    x = rng.normal(size=ROWS)
    effects = rng.normal(0, 0.5, FIRST)[first] + rng.normal(0, 0.3, SECOND)[second]
    y = 1 + 0.5 * x + effects + rng.normal(size=ROWS)
    table = pd.DataFrame({"y": y, "x": x, "first": first, "second": second})
    if third:
        table["third"] = rng.integers(third, size=ROWS)
        table["y"] += rng.normal(0, 0.2, third)[table["third"]]
    return table


def main() -> None:
    """Fit, and print peak memory and the SDs found."""
    model = bml.cross_classified(crossed_table(), "y ~ x", groups=["first", "second"])
    begin = time.perf_counter()
    fit = model.fit(draws=200, tune=200, chains=4, cores=2, seed=1, engine="pymc", progress=False)
    seconds = time.perf_counter() - begin
    # Linux counts kilobytes; the children are none here.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    sds = bml.variance_components(fit)
    print(sds[["grouping", "mean", "lower", "upper", "r_hat"]].to_string(index=False))
    print(f"{ROWS} rows, {FIRST} + {SECOND} units: {seconds:.0f} s, peak memory {peak:.2f} GiB")


if __name__ == "__main__":
    main()
