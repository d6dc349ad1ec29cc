"""response ~ x + (1 | school:classroom) + (x | school), continuation_ratio logit.

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

        # school: Intercept and x vary, correlated, non-centred
        sd_school = pm.HalfStudentT("sd_school", 4, d["sd_school_scale"], dims="school_term")
        chol_school = pm.LKJCorr("chol_school", n=2, eta=2)
        z_school = pm.Normal("z_school", 0, 1, dims=("school", "school_term"))
        u_school = pm.Deterministic(
            "u_school",
            z_school @ (sd_school[:, None] * chol_school).T,
            dims=("school", "school_term"),
        )
        eta += (d["terms_school"] * u_school[d["unit_school"]]).sum(axis=-1)

        # classroom: Intercept varies, non-centred
        sd_classroom = pm.HalfStudentT(
            "sd_classroom", 4, d["sd_classroom_scale"], dims="classroom_term"
        )
        z_classroom = pm.Normal("z_classroom", 0, 1, dims=("classroom", "classroom_term"))
        u_classroom = pm.Deterministic(
            "u_classroom", z_classroom * sd_classroom, dims=("classroom", "classroom_term")
        )
        eta += u_classroom[d["unit_classroom"], 0]

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
            "corr_school", chol_school @ chol_school.T, dims=("school_term", "school_term_bis")
        )

    return model


def example():
    """Return simulated data and their labels, to try the model; replace them by your own."""
    rng = np.random.default_rng(1)
    obs = np.arange(600)
    unit_classroom = obs // 5  # 120 units of 5 rows
    unit_school = unit_classroom // 4  # 30 units

    # Predictors: x
    x = rng.normal(size=(obs.size, 1))
    terms_school = np.column_stack([np.ones(obs.size), x[:, 0]])

    # Outcomes from the model, with known parameters
    eta = x @ [0.5]
    u_classroom = rng.normal(scale=[0.5], size=(120, 1))
    eta += u_classroom[unit_classroom][:, 0]
    sd_school = np.array([0.5, 0.3])
    corr_school = 0.7 * np.eye(2) + 0.3
    covariance_school = sd_school[:, None] * corr_school * sd_school
    u_school = rng.multivariate_normal(np.zeros(2), covariance_school, size=30)
    eta += (terms_school * u_school[unit_school]).sum(axis=-1)
    cutpoints = np.linspace(-1.5, 1.5, 3)
    y = np.cumprod(
        eta[:, None] + rng.logistic(size=(obs.size, cutpoints.shape[-1])) > cutpoints, axis=1
    ).sum(axis=1)
    share = np.array([(y <= category).mean() for category in range(3)])

    data = {
        "y": y,
        "x_mean": x.mean(axis=0),
        "x_centred": x - x.mean(axis=0),
        "unit_classroom": unit_classroom,
        "unit_school": unit_school,
        "terms_school": terms_school,
        "cutpoints_start": np.log(share / (1 - share)),
        # Numbers of the priors, from the data where they are defaults
        "slopes_scale": 2.5 / x.std(axis=0),
        "sd_classroom_scale": np.array([1.0]),
        "sd_school_scale": np.array([1.0, 1.0 / terms_school[:, 1].std()]),
        "cutpoints_location": 0.0,
        "cutpoints_scale": 2.5,
    }
    coords = {
        "obs": obs,
        "coef": ["x"],
        "predictor": ["x"],
        "cutpoint": ["very low|low", "low|high", "high|very high"],
        "classroom": np.arange(120),
        "classroom_term": ["Intercept"],
        "school": np.arange(30),
        "school_term": ["Intercept", "x"],
        "school_term_bis": ["Intercept", "x"],
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
    print(az.summary(trace, var_names=["beta", "sd_classroom", "sd_school", "cutpoints"]))
