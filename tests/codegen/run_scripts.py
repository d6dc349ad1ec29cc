"""Run the scripts of model_templates/ where bayesml cannot be imported; started by test_templates.

Arguments: "density" or "sample", then the scripts. Prints one line of JSON per script.
"""

import importlib.util
import json
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path


class Blocker(MetaPathFinder):
    """Makes `import bayesml` fail."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] == "bayesml":
            raise ImportError("a script of model_templates imports bayesml")


sys.meta_path.insert(0, Blocker())

import numpy as np  # noqa: E402
import pymc as pm  # noqa: E402


def loaded(path):
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def density(script):
    """Return the log density of the model at its initial point, and whether a move changes it."""
    model = script.build(*script.example())
    value = model.compile_logp()
    start = model.initial_point()
    moved = {name: item + 0.1 for name, item in start.items()}
    return {"start": float(value(start)), "moved": float(value(moved))}


def sample(script):
    """Return the largest R-hat, and the posterior means and SDs of the coefficients."""
    import arviz as az

    with script.build(*script.example()):
        trace = pm.sample(draws=100, tune=300, chains=2, cores=1, random_seed=1, progressbar=False)
    posterior = trace.posterior.to_dataset()
    names = [name for name in posterior if name.startswith(("beta", "sd_", "cutpoints"))]
    rhat = az.rhat(posterior[names])
    beta = posterior["beta"]
    return {
        "rhat": max(float(rhat[name].max()) for name in names),
        "finite": all(bool(np.isfinite(posterior[name]).all()) for name in posterior),
        "mean": beta.mean(("chain", "draw")).to_numpy().tolist(),
        "sd": beta.std(("chain", "draw")).to_numpy().tolist(),
    }


def main():
    task = {"density": density, "sample": sample}[sys.argv[1]]
    for path in sys.argv[2:]:
        print(json.dumps({"script": Path(path).stem, **task(loaded(path))}), flush=True)


if __name__ == "__main__":
    main()
