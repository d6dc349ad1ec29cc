"""One timed fit in a process of its own: `python -m benchmarks.one_run SOFTWARE MODEL SEED`.

Prints a line of JSON: seconds from `fit()` to the draws (building and compiling included, imports
and reading the table not), processor seconds of the whole process, the smallest bulk ESS of the
SDs of the groupings, their largest R-hat, divergences, and the peak memory of the process in GiB.
"""

import json
import resource
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

from benchmarks.crossed_memory import crossed_table

DRAWS = {"draws": 1000, "tune": 1000, "chains": 4, "cores": 2}


def ours(name: str, seed: int) -> tuple[float, Any, list[str]]:
    """Fit one of the models with bayesml; return seconds, DataTree and names of the SDs."""
    import nutpie  # noqa: F401
    import pymc  # noqa: F401

    import bayesml as bml
    import bayesml.engines.conditional
    import bayesml.engines.marginal
    import bayesml.records.fitting

    builders: dict[str, Callable[[], Any]] = {
        "exam": lambda: bml.two_level(
            bml.load_dataset("exam"),
            "normexam ~ standLRT",
            group="school",
            slopes=["standLRT"],
        ),
        "contraception": lambda: bml.two_level(
            bml.load_dataset("contraception"),
            "use ~ age + livch + urban",
            group="district",
            slopes=["urban"],
            family="binomial",
            success="Y",
        ),
        "grouseticks": lambda: bml.model(
            bml.load_dataset("grouseticks"),
            "TICKS ~ YEAR + cHEIGHT + (1 | LOCATION) + (1 | BROOD) + (1 | INDEX)",
            family="poisson",
        ),
        "socatt": lambda: bml.two_level(
            bml.load_dataset("socatt"),
            "numpos ~ year + religion",
            group="respond",
            family="ordinal",
        ),
        "crossed": lambda: bml.cross_classified(
            crossed_table(third=14), "y ~ x", groups=["first", "second", "third"]
        ),
    }
    conditional = name == "exam_conditional"
    model = builders["exam" if conditional else name]()
    engine = "pymc" if conditional else "auto"
    begin = time.perf_counter()
    fit = model.fit(**DRAWS, seed=seed, progress=False, engine=engine)
    seconds = time.perf_counter() - begin
    sds = [str(item) for item in fit.posterior if str(item).startswith("sd_")]
    return seconds, fit.data, sds


def bambi(name: str, seed: int) -> tuple[float, Any, list[str]]:
    """Fit the same model with Bambi and nutpie; return seconds, DataTree and names of the SDs."""
    import bambi as bmb
    import nutpie  # noqa: F401
    import pandas as pd

    import bayesml as bml

    formulas = {
        "exam": ("normexam ~ standLRT + (standLRT | school)", "gaussian"),
        "contraception": (
            "use['Y'] ~ age + livch + urban + (urban | district)",
            "bernoulli",
        ),
        "grouseticks": (
            "TICKS ~ YEAR + cHEIGHT + (1 | LOCATION) + (1 | BROOD) + (1 | INDEX)",
            "poisson",
        ),
        "socatt": ("numpos ~ year + religion + (1 | respond)", "cumulative"),
        "crossed": ("y ~ x + (1 | first) + (1 | second) + (1 | third)", "gaussian"),
    }
    name = name.removesuffix("_conditional")
    formula, family = formulas[name]
    table = crossed_table(third=14) if name == "crossed" else bml.load_dataset(name)
    for column in table.columns:
        if not pd.api.types.is_numeric_dtype(table[column]):
            table[column] = table[column].astype(object)
    if name == "socatt":
        table["numpos"] = pd.Categorical(table["numpos"], ordered=True)
    if name == "grouseticks":
        table["INDEX"] = table["INDEX"].astype(str)
    model = bmb.Model(formula, table, family=family)
    begin = time.perf_counter()
    tree = model.fit(**DRAWS, random_seed=seed, inference_method="nutpie", progressbar=False)
    seconds = time.perf_counter() - begin
    sds = [str(item) for item in tree["posterior"].data_vars if str(item).endswith("_sigma")]
    return seconds, tree, sds


def main(software: str, name: str, seed: int) -> None:
    """Fit once and print what was measured."""
    import arviz as az

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seconds, tree, sds = {"bayesml": ours, "bambi": bambi}[software](name, seed)
        posterior = tree["posterior"].to_dataset()
        ess = az.ess(posterior[sds])
        r_hat = az.rhat(posterior[sds])
    print(
        json.dumps(
            {
                "software": software,
                "model": name,
                "seed": seed,
                "seconds": seconds,
                "processor": time.process_time(),
                "ess": min(float(ess[item].min()) for item in sds),
                "r_hat": max(float(r_hat[item].max()) for item in sds),
                "divergences": int(tree["sample_stats"]["diverging"].sum())
                if "diverging" in tree["sample_stats"]
                else 0,
                # Linux counts kilobytes
                "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
