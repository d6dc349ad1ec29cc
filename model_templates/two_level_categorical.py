"""response ~ x + (x | school), categorical logit.

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

        # school: Intercept of pill and x of pill and Intercept of other and x of other vary,
        # correlated, non-centred
        sd_school = pm.HalfStudentT("sd_school", 4, d["sd_school_scale"], dims="school_term")
        chol_school = pm.LKJCorr("chol_school", n=4, eta=2)
        z_school = pm.Normal("z_school", 0, 1, dims=("school", "school_term"))
        u_school = pm.Deterministic(
            "u_school",
            z_school @ (sd_school[:, None] * chol_school).T,
            dims=("school", "school_term"),
        )
        eta += (d["terms_school"][:, None, :] * u_school[d["unit_school"]].reshape((-1, 2, 2))).sum(
            axis=-1
        )

        # Response
        pm.Categorical(
            "response",
            logit_p=pt.concatenate([pt.zeros_like(eta[:, :1]), eta], axis=1),
            observed=d["y"],
            dims="obs",
        )

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
    terms_school = np.column_stack([np.ones(obs.size), x[:, 0]])

    # Outcomes from the model, with known parameters
    eta = np.array([0.2, -0.4]) + x @ np.array([[0.5, -0.3]])
    sd_school = np.array([0.5, 0.3, 0.5, 0.3])
    corr_school = 0.7 * np.eye(4) + 0.3
    covariance_school = sd_school[:, None] * corr_school * sd_school
    u_school = rng.multivariate_normal(np.zeros(4), covariance_school, size=120)
    eta += (terms_school[:, None, 0:2] * u_school[unit_school].reshape(-1, 2, 2)).sum(axis=-1)
    y = (np.column_stack([np.zeros(obs.size), eta]) + rng.gumbel(size=(obs.size, 3))).argmax(axis=1)

    data = {
        "y": y,
        "x_mean": x.mean(axis=0),
        "x_centred": x - x.mean(axis=0),
        "unit_school": unit_school,
        "terms_school": terms_school,
        # Numbers of the priors, from the data where they are defaults
        "intercept_location": np.log(np.bincount(y, minlength=3)[1:] / (y == 0).sum()),
        "intercept_scale": np.full(2, 2.5),
        "slopes_scale": np.tile(2.5 / x.std(axis=0), (2, 1)),
        "sd_school_scale": np.tile([1.0, 1.0 / terms_school[:, 1].std()], 2),
    }
    coords = {
        "obs": obs,
        "coef": ["Intercept", "x"],
        "category": ["pill", "other"],
        "predictor": ["x"],
        "school": np.arange(120),
        "school_term": ["pill:Intercept", "pill:x", "other:Intercept", "other:x"],
        "school_term_bis": ["pill:Intercept", "pill:x", "other:Intercept", "other:x"],
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
    print(az.summary(trace, var_names=["beta", "sd_school"]))
