"""response ~ x + (1 | mm(additive_pair, additive_own, weights=cbind(additive_pair_weight,
additive_own_weight), name='additive')) + (1 | shared), continuation_ratio logit.

Written without a table: predictors are taken as numbers, and every grouping is non-centred, which
samples well where a unit has few rows. With a table, bayesml chooses per grouping.
"""

import sys

import arviz as az
import numpy as np
import pymc as pm
import pytensor.tensor as pt


def continuation_ratio_logit(value, eta, cutpoints):
    """Log probability of the categories: each cutpoint is where some stay and others go on."""
    gap = cutpoints - eta[:, None]
    stay, go_on = -pt.softplus(-gap), -pt.softplus(gap)
    place, reached = pt.arange(cutpoints.shape[-1]), value[:, None]
    passed = pt.switch(pt.lt(place, reached), go_on, 0.0)
    return (passed + pt.switch(pt.eq(place, reached), stay, 0.0)).sum()


def build(data, coords):
    """Return the model; `data` holds arrays and prior scales, `coords` the labels."""
    with pm.Model(coords=coords) as model:
        d = {name: pm.Data(name, value) for name, value in data.items()}

        # Cutpoints at the mean of the predictors
        cutpoints = pm.StudentT(
            "cutpoints_at_mean",
            3,
            mu=d["cutpoints_location"],
            sigma=d["cutpoints_scale"],
            dims="cutpoint",
            initval=data["cutpoints_start"],
        )

        # Coefficients
        slopes = pm.Normal("slopes", 0, d["slopes_scale"], dims="predictor")
        pm.Deterministic("beta", slopes, dims="coef")
        eta = d["x_centred"] @ slopes

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
        pm.CustomDist(
            "response",
            eta,
            cutpoints,
            logp=continuation_ratio_logit,
            signature="(n),(k)->(n)",
            dtype="int64",
            observed=d["y"],
            dims="obs",
        )

        # Reported on the user's scale
        pm.Deterministic("cutpoints", cutpoints + d["x_mean"] @ slopes, dims="cutpoint")

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
    eta = x @ [0.5]
    u_shared = rng.normal(scale=[0.5], size=(300, 1))
    eta += u_shared[unit_shared][:, 0]
    u_additive = rng.normal(scale=[0.5], size=(600, 1))
    shared_additive = weight_additive[:, :, None] * u_additive[unit_additive]
    eta += shared_additive.sum(axis=1)[:, 0]
    cutpoints = np.linspace(-1.5, 1.5, 3)
    y = np.cumprod(
        eta[:, None] + rng.logistic(size=(obs.size, cutpoints.shape[-1])) > cutpoints, axis=1
    ).sum(axis=1)
    share = np.array([(y <= category).mean() for category in range(3)])

    data = {
        "y": y,
        "x_mean": x.mean(axis=0),
        "x_centred": x - x.mean(axis=0),
        "unit_additive": unit_additive,
        "weight_additive": weight_additive,
        "unit_shared": unit_shared,
        "cutpoints_start": np.log(share / (1 - share)),
        # Numbers of the priors, from the data where they are defaults
        "slopes_scale": 2.5 / x.std(axis=0),
        "sd_additive_scale": np.array([1.0]),
        "sd_shared_scale": np.array([1.0]),
        "cutpoints_location": 0.0,
        "cutpoints_scale": 2.5,
    }
    coords = {
        "obs": obs,
        "coef": ["x"],
        "predictor": ["x"],
        "cutpoint": ["very low|low", "low|high", "high|very high"],
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
    print(az.summary(trace, var_names=["beta", "sd_additive", "sd_shared", "cutpoints"]))
