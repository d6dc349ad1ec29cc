"""response ~ x + actor_stress + partner_stress, residual compound_symmetric(couple), gaussian
identity.

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
        eta = intercept + d["x_centred"] @ slopes

        # Response: residuals within a couple are equally correlated
        sigma = pm.HalfStudentT("sigma", 4, d["sigma_scale"])
        corr_residual = pm.Uniform(
            "corr_residual", d["corr_residual_lower"], d["corr_residual_upper"]
        )
        # Each row of a couple is expected at eta plus its share of the sum of the earlier residuals
        running = pt.concatenate([[0.0], pt.cumsum((d["y"] - eta)[d["order"]])])
        total = running[d["place"]] - running[d["start"]]
        inflation = 1 + (d["earlier"] - 1) * corr_residual
        before = corr_residual / inflation * total
        spread = sigma * pt.sqrt(
            (1 - corr_residual) * (1 + d["earlier"] * corr_residual) / inflation
        )
        pm.Normal("response", eta + before, spread, observed=d["y"], dims="obs")

    return model


def example():
    """Return simulated data and their labels, to try the model; replace them by your own."""
    rng = np.random.default_rng(1)
    obs = np.arange(600)

    # Predictors: x, actor_stress, partner_stress
    x = rng.normal(size=(obs.size, 3))
    other = obs + 1 - 2 * (obs % 2)  # the row of the other member
    x[:, 2] = x[other, 1]

    # Outcomes from the model, with known parameters
    eta = 1.0 + x @ [0.5, -0.3, 0.1]
    factor = np.linalg.cholesky(0.7 * np.eye(2) + 0.3)
    y = eta + (rng.normal(size=(obs.size // 2, 2)) @ factor.T).ravel()
    s = y.std(ddof=1)

    data = {
        "y": y,
        "x_mean": x.mean(axis=0),
        "x_centred": x - x.mean(axis=0),
        "order": obs,
        "place": obs,
        "start": obs // 2 * 2,
        "earlier": 1.0 * (obs % 2),
        # Numbers of the priors, from the data where they are defaults
        "intercept_location": y.mean(),
        "intercept_scale": 2.5 * s,
        "slopes_scale": 2.5 * s / x.std(axis=0),
        "sigma_scale": s,
        "corr_residual_lower": -1.0,
        "corr_residual_upper": 1.0,
    }
    coords = {
        "obs": obs,
        "coef": ["Intercept", "x", "actor_stress", "partner_stress"],
        "predictor": ["x", "actor_stress", "partner_stress"],
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
    print(az.summary(trace, var_names=["beta", "sigma", "corr_residual"]))
