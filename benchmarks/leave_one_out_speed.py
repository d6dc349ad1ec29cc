"""Time and peak memory of `loo`: `python -m benchmarks.leave_one_out_speed`.

10,000 rows in 500 units, a varying slope, and 4 x 1000 made-up draws near the truth: what `loo`
costs does not depend on where the draws come from.
"""

import resource
import time

import numpy as np
import pandas as pd

import bayesml as bml
from bayesml.engines.chains import ChainDraws
from bayesml.posterior.leave_one_out import loo
from bayesml.records.fits import Fit
from bayesml.records.fitting import _record, assemble

ROWS, UNITS, CHAINS, DRAWS = 10_000, 500, 4, 1000


def simulated_fit(family: str, seed: int = 1) -> Fit:
    """Return a fit of a simulated table, its draws scattered around the truth."""
    rng = np.random.default_rng(seed)
    x, unit = rng.normal(size=ROWS), np.arange(ROWS) % UNITS
    u = rng.normal(0, [0.5, 0.3], size=(UNITS, 2))
    eta = 0.5 * x + u[unit, 0] + u[unit, 1] * x
    if family == "gaussian":
        y = rng.normal(eta, 1.0)
    else:
        y = rng.binomial(1, 1 / (1 + np.exp(-eta))).astype(float)
    table = pd.DataFrame({"y": y, "x": x, "unit": unit})
    model = bml.two_level(table, "y ~ x", group="unit", slopes=["x"], family=family)
    runs = []
    for chain in range(CHAINS):
        posterior = {
            "beta": np.array([0.0, 0.5]) + 0.02 * rng.normal(size=(DRAWS, 2)),
            "sd_unit": np.array([0.5, 0.3]) * np.exp(0.03 * rng.normal(size=(DRAWS, 2))),
            "corr_unit": np.broadcast_to(np.eye(2), (DRAWS, 2, 2)).copy(),
            "u_unit": u + 0.2 * rng.normal(size=(DRAWS, UNITS, 2)),
        }
        if family == "gaussian":
            posterior["sigma"] = 1 + 0.01 * rng.normal(size=DRAWS)
        runs.append(ChainDraws(chain, chain, DRAWS, DRAWS, posterior, {}, 1.0, True))
    tree = assemble(model, runs, DRAWS)
    tree.attrs |= _record(model, seed, DRAWS, DRAWS, CHAINS, 0.9)
    tree.attrs |= {"engine": "none", "engine_reason": "made up for a benchmark"}
    return Fit(tree)


def main() -> None:
    """Print seconds and peak memory."""
    for family in ("gaussian", "binomial"):
        fit = simulated_fit(family)
        begin, worked = time.perf_counter(), time.process_time()
        found = loo(fit)
        seconds, worked = time.perf_counter() - begin, time.process_time() - worked
        # Linux counts kilobytes.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"{family}: {seconds:.1f} s ({worked:.1f} s of processor time), peak memory so far "
            f"{peak:.2f} GiB; {found!r}"
        )


if __name__ == "__main__":
    main()
