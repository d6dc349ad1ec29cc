"""response ~ x + (x | primary) + (1 | secondary), continuation_ratio logit.

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

        # primary: Intercept and x vary, correlated, non-centred
        sd_primary = pm.HalfStudentT("sd_primary", 4, d["sd_primary_scale"], dims="primary_term")
        chol_primary = pm.LKJCorr("chol_primary", n=2, eta=2)
        z_primary = pm.Normal("z_primary", 0, 1, dims=("primary", "primary_term"))
        u_primary = pm.Deterministic(
            "u_primary",
            z_primary @ (sd_primary[:, None] * chol_primary).T,
            dims=("primary", "primary_term"),
        )
        eta += (d["terms_primary"] * u_primary[d["unit_primary"]]).sum(axis=-1)

        # secondary: Intercept varies, non-centred
        sd_secondary = pm.HalfStudentT(
            "sd_secondary", 4, d["sd_secondary_scale"], dims="secondary_term"
        )
        z_secondary = pm.Normal("z_secondary", 0, 1, dims=("secondary", "secondary_term"))
        u_secondary = pm.Deterministic(
            "u_secondary", z_secondary * sd_secondary, dims=("secondary", "secondary_term")
        )
        eta += u_secondary[d["unit_secondary"], 0]

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
        pm.Deterministic(
            "corr_primary", chol_primary @ chol_primary.T, dims=("primary_term", "primary_term_bis")
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
    eta = x @ [0.5]
    sd_primary = np.array([0.5, 0.3])
    corr_primary = 0.7 * np.eye(2) + 0.3
    covariance_primary = sd_primary[:, None] * corr_primary * sd_primary
    u_primary = rng.multivariate_normal(np.zeros(2), covariance_primary, size=120)
    eta += (terms_primary * u_primary[unit_primary]).sum(axis=-1)
    u_secondary = rng.normal(scale=[0.5], size=(60, 1))
    eta += u_secondary[unit_secondary][:, 0]
    cutpoints = np.linspace(-1.5, 1.5, 3)
    y = np.cumprod(
        eta[:, None] + rng.logistic(size=(obs.size, cutpoints.shape[-1])) > cutpoints, axis=1
    ).sum(axis=1)
    share = np.array([(y <= category).mean() for category in range(3)])

    data = {
        "y": y,
        "x_mean": x.mean(axis=0),
        "x_centred": x - x.mean(axis=0),
        "unit_primary": unit_primary,
        "terms_primary": terms_primary,
        "unit_secondary": unit_secondary,
        "cutpoints_start": np.log(share / (1 - share)),
        # Numbers of the priors, from the data where they are defaults
        "slopes_scale": 2.5 / x.std(axis=0),
        "sd_primary_scale": np.array([1.0, 1.0 / terms_primary[:, 1].std()]),
        "sd_secondary_scale": np.array([1.0]),
        "cutpoints_location": 0.0,
        "cutpoints_scale": 2.5,
    }
    coords = {
        "obs": obs,
        "coef": ["x"],
        "predictor": ["x"],
        "cutpoint": ["very low|low", "low|high", "high|very high"],
        "primary": np.arange(120),
        "primary_term": ["Intercept", "x"],
        "primary_term_bis": ["Intercept", "x"],
        "secondary": np.arange(60),
        "secondary_term": ["Intercept"],
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
    print(az.summary(trace, var_names=["beta", "sd_primary", "sd_secondary", "cutpoints"]))
