"""response ~ x + (x | primary) + (1 | secondary), categorical logit.

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

        # primary: Intercept of pill and x of pill and Intercept of other and x of other vary,
        # correlated, non-centred
        sd_primary = pm.HalfStudentT("sd_primary", 4, d["sd_primary_scale"], dims="primary_term")
        chol_primary = pm.LKJCorr("chol_primary", n=4, eta=2)
        z_primary = pm.Normal("z_primary", 0, 1, dims=("primary", "primary_term"))
        u_primary = pm.Deterministic(
            "u_primary",
            z_primary @ (sd_primary[:, None] * chol_primary).T,
            dims=("primary", "primary_term"),
        )
        eta += (
            d["terms_primary"][:, None, :] * u_primary[d["unit_primary"]].reshape((-1, 2, 2))
        ).sum(axis=-1)

        # secondary: Intercept of pill and Intercept of other vary, correlated, non-centred
        sd_secondary = pm.HalfStudentT(
            "sd_secondary", 4, d["sd_secondary_scale"], dims="secondary_term"
        )
        chol_secondary = pm.LKJCorr("chol_secondary", n=2, eta=2)
        z_secondary = pm.Normal("z_secondary", 0, 1, dims=("secondary", "secondary_term"))
        u_secondary = pm.Deterministic(
            "u_secondary",
            z_secondary @ (sd_secondary[:, None] * chol_secondary).T,
            dims=("secondary", "secondary_term"),
        )
        eta += u_secondary[d["unit_secondary"]]

        # Response
        pm.Categorical(
            "response",
            logit_p=pt.concatenate([pt.zeros_like(eta[:, :1]), eta], axis=1),
            observed=d["y"],
            dims="obs",
        )

        # Reported on the user's scale
        pm.Deterministic(
            "corr_primary", chol_primary @ chol_primary.T, dims=("primary_term", "primary_term_bis")
        )
        pm.Deterministic(
            "corr_secondary",
            chol_secondary @ chol_secondary.T,
            dims=("secondary_term", "secondary_term_bis"),
        )

    return model


def example():
    """Return simulated data and their labels, to try the model; replace them by your own."""
    rng = np.random.default_rng(1)
    obs = np.arange(600)
    unit_primary = obs // 5  # 120 units of 5 rows
    unit_secondary = rng.integers(60, size=obs.size)

    # Predictors: x
    x = rng.normal(size=(obs.size, 1))
    terms_primary = np.column_stack([np.ones(obs.size), x[:, 0]])

    # Outcomes from the model, with known parameters
    eta = np.array([0.2, -0.4]) + x @ np.array([[0.5, -0.3]])
    sd_primary = np.array([0.5, 0.3, 0.5, 0.3])
    corr_primary = 0.7 * np.eye(4) + 0.3
    covariance_primary = sd_primary[:, None] * corr_primary * sd_primary
    u_primary = rng.multivariate_normal(np.zeros(4), covariance_primary, size=120)
    eta += (terms_primary[:, None, 0:2] * u_primary[unit_primary].reshape(-1, 2, 2)).sum(axis=-1)
    sd_secondary = np.array([0.5, 0.5])
    corr_secondary = 0.7 * np.eye(2) + 0.3
    covariance_secondary = sd_secondary[:, None] * corr_secondary * sd_secondary
    u_secondary = rng.multivariate_normal(np.zeros(2), covariance_secondary, size=60)
    eta += u_secondary[unit_secondary]
    y = (np.column_stack([np.zeros(obs.size), eta]) + rng.gumbel(size=(obs.size, 3))).argmax(axis=1)

    data = {
        "y": y,
        "x_mean": x.mean(axis=0),
        "x_centred": x - x.mean(axis=0),
        "unit_primary": unit_primary,
        "terms_primary": terms_primary,
        "unit_secondary": unit_secondary,
        # Numbers of the priors, from the data where they are defaults
        "intercept_location": np.log(np.bincount(y, minlength=3)[1:] / (y == 0).sum()),
        "intercept_scale": np.full(2, 2.5),
        "slopes_scale": np.tile(2.5 / x.std(axis=0), (2, 1)),
        "sd_primary_scale": np.tile([1.0, 1.0 / terms_primary[:, 1].std()], 2),
        "sd_secondary_scale": np.tile([1.0], 2),
    }
    coords = {
        "obs": obs,
        "coef": ["Intercept", "x"],
        "category": ["pill", "other"],
        "predictor": ["x"],
        "primary": np.arange(120),
        "primary_term": ["pill:Intercept", "pill:x", "other:Intercept", "other:x"],
        "primary_term_bis": ["pill:Intercept", "pill:x", "other:Intercept", "other:x"],
        "secondary": np.arange(60),
        "secondary_term": ["pill:Intercept", "other:Intercept"],
        "secondary_term_bis": ["pill:Intercept", "other:Intercept"],
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
    print(az.summary(trace, var_names=["beta", "sd_primary", "sd_secondary"]))
