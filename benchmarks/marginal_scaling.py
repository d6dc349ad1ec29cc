"""How the marginal engine scales: `python -m benchmarks.marginal_scaling`.

Two-level tables with a varying slope: more rows in 1,000 units, then more units of ten rows.
Printed are the seconds for the model (checks and arrays), its cross-products, REML, and a whole fit
of 4 x 500 draws after 500 with all random effects; the machine code is warm. With 1,000 rows every
unit would have one, which is not identified, so the first table has 2,000.
"""

import time

import numpy as np
import pandas as pd

import bayesml as bml
from bayesml.engines.marginal_models import marginal_model


def simulated(rows: int, units: int, seed: int = 1) -> pd.DataFrame:
    """Return a table with SDs 0.5 (intercept), 0.2 (slope) and 1 (residual)."""
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.arange(rows) % units)
    x = rng.normal(size=rows)
    u = rng.normal(size=(units, 2)) * (0.5, 0.2)
    y = 1 + 0.5 * x + u[group, 0] + u[group, 1] * x + rng.normal(size=rows)
    return pd.DataFrame({"y": y, "x": x, "group": group})


def measure(rows: int, units: int) -> str:
    """Return one row of the table."""
    table = simulated(rows, units)
    begin = time.perf_counter()
    model = bml.two_level(table, "y ~ x", group="group", slopes=["x"])
    built = time.perf_counter()
    marginal_model(model.resolved, model.design)
    crossed = time.perf_counter()
    bml.reml(model)
    maximised = time.perf_counter()
    fit = model.fit(draws=500, tune=500, chains=4, cores=2, seed=1, progress=False)
    done = time.perf_counter()
    parts = (built - begin, crossed - built, maximised - crossed, done - maximised)
    seconds = " | ".join(f"{part:.2f}" for part in parts)
    ess = float(bml.variance_components(fit)["ess_bulk"].min())
    return (
        f"| {rows:,} | {units:,} | {seconds} | {ess:.0f} | {fit.engine_reason.split(' on ')[0]} |"
    )


def main() -> None:
    """Print the table."""
    print("| rows | units | model | cross-products | REML | fit | min ESS | sampler |")
    print("|---|---|---|---|---|---|---|---|")
    measure(2_000, 100)
    for rows in (2_000, 10_000, 100_000, 1_000_000):
        print(measure(rows, 1_000), flush=True)
    for units in (100, 1_000, 10_000, 100_000):
        print(measure(10 * units, units), flush=True)


if __name__ == "__main__":
    main()
