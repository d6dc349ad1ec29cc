"""response ~ x + (x | school); sigma ~ x + (1 | school), gaussian identity.

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

        # sigma: its logarithm has a linear predictor of its own
        intercept_sigma = pm.StudentT(
            "intercept_sigma_at_mean",
            3,
            mu=d["intercept_sigma_location"],
            sigma=d["intercept_sigma_scale"],
        )
        slopes_sigma = pm.Normal("slopes_sigma", 0, d["slopes_sigma_scale"], dims="predictor_sigma")
        pm.Deterministic(
            "beta_sigma",
            pt.concatenate([[intercept_sigma - d["x_sigma_mean"] @ slopes_sigma], slopes_sigma]),
            dims="coef_sigma",
        )
        eta_sigma = intercept_sigma + d["x_sigma_centred"] @ slopes_sigma

        # school: Intercept and x and Intercept of sigma vary, correlated within blocks, non-centred
        sd_school = pm.HalfStudentT("sd_school", 4, d["sd_school_scale"], dims="school_term")
        chol_school = pt.linalg.block_diag(
            pm.LKJCorr("component_chol_school_1", n=2, eta=2), pt.eye(1)
        )
        z_school = pm.Normal("z_school", 0, 1, dims=("school", "school_term"))
        u_school = pm.Deterministic(
            "u_school",
            z_school @ (sd_school[:, None] * chol_school).T,
            dims=("school", "school_term"),
        )
        eta += (d["terms_school"] * u_school[:, 0:2][d["unit_school"]]).sum(axis=-1)
        eta_sigma += u_school[d["unit_school"], 2]

        # Response
        sigma = pt.exp(eta_sigma)
        pm.Normal("response", eta, sigma, observed=d["y"], dims="obs")

        # Reported on the user's scale
        pm.Deterministic(
            "corr_school", chol_school @ chol_school.T, dims=("school_term", "school_term_bis")
        )

    return model


def example():
    """Return simulated data and their labels, to try the model; replace them by your own."""
    rng = np.random.default_rng(1)
    obs = np.arange(600)
    unit_school = obs // 5  # 120 units of 5 rows

    # Predictors: x
    x = rng.normal(size=(obs.size, 1))
    x_sigma = np.column_stack([x[:, 0]])
    terms_school = np.column_stack([np.ones(obs.size), x[:, 0]])

    # Outcomes from the model, with known parameters
    eta = 1.0 + x @ [0.5]
    eta_sigma = -0.2 + x_sigma @ [0.2]
    u_school = rng.normal(scale=[0.5, 0.3, 0.5], size=(120, 3))
    eta += (terms_school * u_school[unit_school][:, 0:2]).sum(axis=-1)
    eta_sigma += u_school[unit_school][:, 2]
    y = rng.normal(eta, 1.0)
    s = y.std(ddof=1)

    data = {
        "y": y,
        "x_mean": x.mean(axis=0),
        "x_centred": x - x.mean(axis=0),
        "unit_school": unit_school,
        "terms_school": terms_school,
        "x_sigma_mean": x_sigma.mean(axis=0),
        "x_sigma_centred": x_sigma - x_sigma.mean(axis=0),
        # Numbers of the priors, from the data where they are defaults
        "intercept_location": y.mean(),
        "intercept_scale": 2.5 * s,
        "slopes_scale": 2.5 * s / x.std(axis=0),
        "sd_school_scale": np.array([s, s / terms_school[:, 1].std(), 0.5]),
        "intercept_sigma_location": np.log(s),
        "intercept_sigma_scale": 1.0,
        "slopes_sigma_scale": 1 / x_sigma.std(axis=0),
    }
    coords = {
        "obs": obs,
        "coef": ["Intercept", "x"],
        "predictor": ["x"],
        "coef_sigma": ["Intercept", "x"],
        "predictor_sigma": ["x"],
        "school": np.arange(120),
        "school_term": ["Intercept", "x", "sigma:Intercept"],
        "school_term_bis": ["Intercept", "x", "sigma:Intercept"],
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
    print(az.summary(trace, var_names=["beta", "sd_school", "beta_sigma"]))
