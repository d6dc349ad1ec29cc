"""mvbind(written, course) ~ x + (x | school), gamma log.

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

        # Coefficients of each outcome; the intercepts' priors hold at the mean of the predictors
        own = d["outcome_number"]
        intercept = pm.Normal(
            "intercept_at_mean", d["intercept_location"], d["intercept_scale"], dims="outcome"
        )
        slopes = pm.Normal("slopes", 0, d["slopes_scale"], dims=("outcome", "predictor"))
        pm.Deterministic(
            "beta",
            pt.concatenate(
                [(intercept - (d["x_mean"] * slopes).sum(axis=-1))[:, None], slopes], axis=1
            ),
            dims=("outcome", "coef"),
        )
        eta = intercept[own] + (d["x_centred"] * slopes[own]).sum(axis=-1)

        # school: written:Intercept and written:x and course:Intercept and course:x vary,
        # correlated, non-centred
        sd_school = pm.HalfStudentT("sd_school", 4, d["sd_school_scale"], dims="school_term")
        chol_school = pm.LKJCorr("chol_school", n=4, eta=2)
        z_school = pm.Normal("z_school", 0, 1, dims=("school", "school_term"))
        u_school = pm.Deterministic(
            "u_school",
            z_school @ (sd_school[:, None] * chol_school).T,
            dims=("school", "school_term"),
        )
        eta += (d["terms_school"] * u_school[d["unit_school"]]).sum(axis=-1)

        # Response
        shape = pm.InverseGamma("shape", d["shape_alpha"], d["shape_beta"], dims="outcome")
        pm.Gamma(
            "response",
            alpha=shape[own],
            beta=shape[own] * pt.exp(-eta),
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
    # The outcomes of a row stand beside each other
    outcome_number = obs % 2
    rows = [np.flatnonzero(outcome_number == number) for number in range(2)]
    unit_school = obs // 10  # 60 units of 10 rows

    # Predictors: x
    x = rng.normal(size=(obs.size // 2, 1)).repeat(2, axis=0)
    x_mean = np.array([x[own].mean(axis=0) for own in rows])
    terms_school = np.column_stack(
        [
            1.0 * (outcome_number == 0),
            (outcome_number == 0) * x[:, 0],
            1.0 * (outcome_number == 1),
            (outcome_number == 1) * x[:, 0],
        ]
    )

    # Outcomes from the model, with known parameters
    intercepts = np.array([0.5, 0.5])
    slopes = np.array([[0.5], [-0.3]])
    eta = intercepts[outcome_number] + (x * slopes[outcome_number]).sum(axis=-1)
    sd_school = np.array([0.5, 0.3, 0.5, 0.3])
    corr_school = 0.7 * np.eye(4) + 0.3
    covariance_school = sd_school[:, None] * corr_school * sd_school
    u_school = rng.multivariate_normal(np.zeros(4), covariance_school, size=60)
    eta += (terms_school * u_school[unit_school]).sum(axis=-1)
    y = rng.gamma(4.0, np.exp(eta) / 4.0)

    data = {
        "y": y,
        "outcome_number": outcome_number,
        "x_mean": x_mean,
        "x_centred": x - x_mean[outcome_number],
        "unit_school": unit_school,
        "terms_school": terms_school,
        # Numbers of the priors, from the data where they are defaults
        "intercept_location": np.log(np.array([y[own].mean() for own in rows])),
        "intercept_scale": np.full(2, 2.5),
        "slopes_scale": 2.5 / np.array([x[own].std(axis=0) for own in rows]),
        "sd_school_scale": np.array(
            [1.0, 1.0 / terms_school[rows[0], 1].std(), 1.0, 1.0 / terms_school[rows[1], 3].std()]
        ),
        "shape_alpha": np.array([0.4, 0.4]),
        "shape_beta": np.array([0.3, 0.3]),
    }
    coords = {
        "obs": obs,
        "coef": ["Intercept", "x"],
        "outcome": ["written", "course"],
        "predictor": ["x"],
        "school": np.arange(60),
        "school_term": ["written:Intercept", "written:x", "course:Intercept", "course:x"],
        "school_term_bis": ["written:Intercept", "written:x", "course:Intercept", "course:x"],
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
    print(az.summary(trace, var_names=["beta", "sd_school", "shape"]))
