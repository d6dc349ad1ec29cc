"""response ~ x + (1 | mm(additive_pair, additive_own, weights=cbind(additive_pair_weight,
additive_own_weight), name='additive')) + (1 | shared), categorical logit.

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

        # Log odds of each category against none; the intercepts' priors hold at the mean of the
        # predictors
        intercept = pm.Normal(
            "intercept_at_mean", d["intercept_location"], d["intercept_scale"], dims="category"
        )
        slopes = pm.Normal("slopes", 0, d["slopes_scale"], dims=("category", "predictor"))
        pm.Deterministic(
            "beta",
            pt.concatenate([(intercept - slopes @ d["x_mean"])[:, None], slopes], axis=1),
            dims=("category", "coef"),
        )
        eta = intercept + d["x_centred"] @ slopes.T

        # shared: Intercept of pill and Intercept of other vary, correlated, non-centred
        sd_shared = pm.HalfStudentT("sd_shared", 4, d["sd_shared_scale"], dims="shared_term")
        chol_shared = pm.LKJCorr("chol_shared", n=2, eta=2)
        z_shared = pm.Normal("z_shared", 0, 1, dims=("shared", "shared_term"))
        u_shared = pm.Deterministic(
            "u_shared",
            z_shared @ (sd_shared[:, None] * chol_shared).T,
            dims=("shared", "shared_term"),
        )
        eta += u_shared[d["unit_shared"]]

        # additive: Intercept of pill and Intercept of other vary, multiple membership, correlated,
        # non-centred
        sd_additive = pm.HalfStudentT(
            "sd_additive", 4, d["sd_additive_scale"], dims="additive_term"
        )
        chol_additive = pm.LKJCorr("chol_additive", n=2, eta=2)
        z_additive = pm.Normal("z_additive", 0, 1, dims=("additive", "additive_term"))
        u_additive = pm.Deterministic(
            "u_additive",
            z_additive @ (sd_additive[:, None] * chol_additive).T,
            dims=("additive", "additive_term"),
        )
        shared_additive = (d["weight_additive"][:, :, None] * u_additive[d["unit_additive"]]).sum(
            axis=1
        )

        eta += shared_additive

        # Response
        pm.Categorical(
            "response",
            logit_p=pt.concatenate([pt.zeros_like(eta[:, :1]), eta], axis=1),
            observed=d["y"],
            dims="obs",
        )

        # Reported on the user's scale
        pm.Deterministic(
            "corr_additive",
            chol_additive @ chol_additive.T,
            dims=("additive_term", "additive_term_bis"),
        )
        pm.Deterministic(
            "corr_shared", chol_shared @ chol_shared.T, dims=("shared_term", "shared_term_bis")
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
    eta = np.array([0.2, -0.4]) + x @ np.array([[0.5, -0.3]])
    sd_shared = np.array([0.5, 0.5])
    corr_shared = 0.7 * np.eye(2) + 0.3
    covariance_shared = sd_shared[:, None] * corr_shared * sd_shared
    u_shared = rng.multivariate_normal(np.zeros(2), covariance_shared, size=300)
    eta += u_shared[unit_shared]
    sd_additive = np.array([0.5, 0.5])
    corr_additive = 0.7 * np.eye(2) + 0.3
    covariance_additive = sd_additive[:, None] * corr_additive * sd_additive
    u_additive = rng.multivariate_normal(np.zeros(2), covariance_additive, size=600)
    shared_additive = weight_additive[:, :, None] * u_additive[unit_additive]
    eta += shared_additive.sum(axis=1)
    y = (np.column_stack([np.zeros(obs.size), eta]) + rng.gumbel(size=(obs.size, 3))).argmax(axis=1)

    data = {
        "y": y,
        "x_mean": x.mean(axis=0),
        "x_centred": x - x.mean(axis=0),
        "unit_additive": unit_additive,
        "weight_additive": weight_additive,
        "unit_shared": unit_shared,
        # Numbers of the priors, from the data where they are defaults
        "intercept_location": np.log(np.bincount(y, minlength=3)[1:] / (y == 0).sum()),
        "intercept_scale": np.full(2, 2.5),
        "slopes_scale": np.tile(2.5 / x.std(axis=0), (2, 1)),
        "sd_additive_scale": np.tile([1.0], 2),
        "sd_shared_scale": np.tile([1.0], 2),
    }
    coords = {
        "obs": obs,
        "coef": ["Intercept", "x"],
        "category": ["pill", "other"],
        "predictor": ["x"],
        "additive": np.arange(600),
        "additive_term": ["pill:Intercept", "other:Intercept"],
        "additive_term_bis": ["pill:Intercept", "other:Intercept"],
        "shared": np.arange(300),
        "shared_term": ["pill:Intercept", "other:Intercept"],
        "shared_term_bis": ["pill:Intercept", "other:Intercept"],
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
    print(az.summary(trace, var_names=["beta", "sd_additive", "sd_shared"]))
