"""response ~ x + time + (time | person), categorical logit.

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

        # person: Intercept of pill and time of pill and Intercept of other and time of other vary,
        # correlated, non-centred
        sd_person = pm.HalfStudentT("sd_person", 4, d["sd_person_scale"], dims="person_term")
        chol_person = pm.LKJCorr("chol_person", n=4, eta=2)
        z_person = pm.Normal("z_person", 0, 1, dims=("person", "person_term"))
        u_person = pm.Deterministic(
            "u_person",
            z_person @ (sd_person[:, None] * chol_person).T,
            dims=("person", "person_term"),
        )
        eta += (d["terms_person"][:, None, :] * u_person[d["unit_person"]].reshape((-1, 2, 2))).sum(
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
            "corr_person", chol_person @ chol_person.T, dims=("person_term", "person_term_bis")
        )

    return model


def example():
    """Return simulated data and their labels, to try the model; replace them by your own."""
    rng = np.random.default_rng(1)
    obs = np.arange(600)
    unit_person = obs // 6  # 100 units of 6 rows

    # Predictors: x, time
    x = np.column_stack([rng.normal(size=obs.size), obs % 6])
    terms_person = np.column_stack([np.ones(obs.size), x[:, 1]])

    # Outcomes from the model, with known parameters
    eta = np.array([0.2, -0.4]) + x @ np.array([[0.5, -0.3], [0.1, -0.1]])
    sd_person = np.array([0.5, 0.3, 0.5, 0.3])
    corr_person = 0.7 * np.eye(4) + 0.3
    covariance_person = sd_person[:, None] * corr_person * sd_person
    u_person = rng.multivariate_normal(np.zeros(4), covariance_person, size=100)
    eta += (terms_person[:, None, 0:2] * u_person[unit_person].reshape(-1, 2, 2)).sum(axis=-1)
    y = (np.column_stack([np.zeros(obs.size), eta]) + rng.gumbel(size=(obs.size, 3))).argmax(axis=1)

    data = {
        "y": y,
        "x_mean": x.mean(axis=0),
        "x_centred": x - x.mean(axis=0),
        "unit_person": unit_person,
        "terms_person": terms_person,
        # Numbers of the priors, from the data where they are defaults
        "intercept_location": np.log(np.bincount(y, minlength=3)[1:] / (y == 0).sum()),
        "intercept_scale": np.full(2, 2.5),
        "slopes_scale": np.tile(2.5 / x.std(axis=0), (2, 1)),
        "sd_person_scale": np.tile([1.0, 1.0 / terms_person[:, 1].std()], 2),
    }
    coords = {
        "obs": obs,
        "coef": ["Intercept", "x", "time"],
        "category": ["pill", "other"],
        "predictor": ["x", "time"],
        "person": np.arange(100),
        "person_term": ["pill:Intercept", "pill:time", "other:Intercept", "other:time"],
        "person_term_bis": ["pill:Intercept", "pill:time", "other:Intercept", "other:time"],
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
    print(az.summary(trace, var_names=["beta", "sd_person"]))
