"""response ~ x + (1 | mm(additive_pair, additive_own, weights=cbind(additive_pair_weight,
additive_own_weight), name='additive')) + (1 | shared), zero_inflated_negative_binomial log.

Written without a table: predictors are taken as numbers, and every grouping is non-centred, which
samples well where a unit has few rows. With a table, bayesml chooses per grouping.
"""

import sys

import arviz as az
import numpy as np
import pymc as pm
import pytensor.tensor as pt


def build(data, coords):
    """Return the model; `data` holds arrays and prior scales, `coords` the labels."""
    with pm.Model(coords=coords) as model:
        d = {name: pm.Data(name, value) for name, value in data.items()}

        # Coefficients; the intercept's prior holds at the mean of the predictors
        intercept = pm.Normal("intercept_at_mean", d["intercept_location"], d["intercept_scale"])
        slopes = pm.Normal("slopes", 0, d["slopes_scale"], dims="predictor")
        pm.Deterministic(
            "beta", pt.concatenate([[intercept - d["x_mean"] @ slopes], slopes]), dims="coef"
        )
        eta = intercept + d["x_centred"] @ slopes + d["offset"]

        # shared: Intercept varies, non-centred
        sd_shared = pm.HalfStudentT("sd_shared", 4, d["sd_shared_scale"], dims="shared_term")
        z_shared = pm.Normal("z_shared", 0, 1, dims=("shared", "shared_term"))
        u_shared = pm.Deterministic(
            "u_shared", z_shared * sd_shared, dims=("shared", "shared_term")
        )
        eta += u_shared[d["unit_shared"], 0]

        # additive: Intercept varies, multiple membership, non-centred
        sd_additive = pm.HalfStudentT(
            "sd_additive", 4, d["sd_additive_scale"], dims="additive_term"
        )
        z_additive = pm.Normal("z_additive", 0, 1, dims=("additive", "additive_term"))
        u_additive = pm.Deterministic(
            "u_additive", z_additive * sd_additive, dims=("additive", "additive_term")
        )
        eta += (d["weight_additive"] * u_additive[d["unit_additive"], 0]).sum(axis=-1)

        # Response
        shape = pm.InverseGamma("shape", d["shape_alpha"], d["shape_beta"])
        zi = pm.Beta("zi", d["zi_alpha"], d["zi_beta"])
        pm.ZeroInflatedNegativeBinomial(
            "response", psi=1 - zi, mu=pt.exp(eta), alpha=shape, observed=d["y"], dims="obs"
        )

    return model


def example():
    """Return simulated data and their labels, to try the model; replace them by your own."""
    rng = np.random.default_rng(1)
    obs = np.arange(600)
    unit_shared = obs // 2  # 300 units of 2 rows
    # The twins of a pair are rows beside each other; the first half are identical twins
    identical = obs < 300
    # additive: identical twins share the unit of their pair, fraternal ones are correlated 0.5 by
    # it, and each has a unit of its own besides
    unit_additive = np.column_stack([obs // 2, np.where(identical, 0, obs)])
    weight_additive = np.where(identical[:, None], [1.0, 0.0], np.sqrt([0.5, 0.5]))

    # Predictors: x
    x = rng.normal(size=(obs.size, 1))

    # Outcomes from the model, with known parameters
    exposure = rng.uniform(0.5, 2.0, size=obs.size)
    offset = np.log(exposure)
    eta = 0.5 + x @ [0.5] + offset
    u_shared = rng.normal(scale=[0.5], size=(300, 1))
    eta += u_shared[unit_shared][:, 0]
    u_additive = rng.normal(scale=[0.5], size=(600, 1))
    shared_additive = weight_additive[:, :, None] * u_additive[unit_additive]
    eta += shared_additive.sum(axis=1)[:, 0]
    y = rng.negative_binomial(3.0, 3.0 / (3.0 + np.exp(eta))) * rng.binomial(1, 0.7, size=obs.size)

    data = {
        "y": y,
        "x_mean": x.mean(axis=0),
        "x_centred": x - x.mean(axis=0),
        "offset": offset,
        "unit_additive": unit_additive,
        "weight_additive": weight_additive,
        "unit_shared": unit_shared,
        # Numbers of the priors, from the data where they are defaults
        "intercept_location": np.log(y.sum() / exposure.sum()),
        "intercept_scale": 2.5,
        "slopes_scale": 2.5 / x.std(axis=0),
        "sd_additive_scale": np.array([1.0]),
        "sd_shared_scale": np.array([1.0]),
        "shape_alpha": 0.4,
        "shape_beta": 0.3,
        "zi_alpha": 1.0,
        "zi_beta": 1.0,
    }
    coords = {
        "obs": obs,
        "coef": ["Intercept", "x"],
        "predictor": ["x"],
        "additive": np.arange(600),
        "additive_term": ["Intercept"],
        "shared": np.arange(300),
        "shared_term": ["Intercept"],
    }
    return data, coords


def load_arrays(path):
    """Return data and coords from a file that `bayesml code ... --arrays FILE.npz` wrote."""
    with np.load(path) as arrays:
        data = {name: arrays[name] for name in arrays if not name.startswith("coords/")}
        coords = {name[7:]: arrays[name] for name in arrays if name.startswith("coords/")}
    return data, coords


if __name__ == "__main__":
    data, coords = load_arrays(sys.argv[1]) if len(sys.argv) > 1 else example()
    with build(data, coords):
        trace = pm.sample(draws=500, tune=500, chains=2, random_seed=1)
    print(az.summary(trace, var_names=["beta", "sd_additive", "sd_shared", "shape", "zi"]))
