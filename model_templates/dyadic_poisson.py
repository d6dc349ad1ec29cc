"""response ~ x + actor_stress + partner_stress + (1 | couple), poisson log.

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

        # Coefficients of each member; the intercepts' priors hold at the mean of the predictors
        own = d["outcome_number"]
        intercept = pm.Normal(
            "intercept_at_mean", d["intercept_location"], d["intercept_scale"], dims="member"
        )
        slopes = pm.Normal("slopes", 0, d["slopes_scale"], dims=("member", "predictor"))
        pm.Deterministic(
            "beta",
            pt.concatenate(
                [(intercept - (d["x_mean"] * slopes).sum(axis=-1))[:, None], slopes], axis=1
            ),
            dims=("member", "coef"),
        )
        eta = intercept[own] + (d["x_centred"] * slopes[own]).sum(axis=-1) + d["offset"]

        # couple: 1:Intercept and 2:Intercept vary, correlated, non-centred
        sd_couple = pm.HalfStudentT("sd_couple", 4, d["sd_couple_scale"], dims="couple_term")
        chol_couple = pm.LKJCorr("chol_couple", n=2, eta=2)
        z_couple = pm.Normal("z_couple", 0, 1, dims=("couple", "couple_term"))
        u_couple = pm.Deterministic(
            "u_couple",
            z_couple @ (sd_couple[:, None] * chol_couple).T,
            dims=("couple", "couple_term"),
        )
        eta += (d["terms_couple"] * u_couple[d["unit_couple"]]).sum(axis=-1)

        # Response
        pm.Poisson("response", pt.exp(eta), observed=d["y"], dims="obs")

        # Reported on the user's scale
        pm.Deterministic(
            "corr_couple", chol_couple @ chol_couple.T, dims=("couple_term", "couple_term_bis")
        )

    return model


def example():
    """Return simulated data and their labels, to try the model; replace them by your own."""
    rng = np.random.default_rng(1)
    obs = np.arange(600)
    # The members of a pair stand beside each other
    outcome_number = obs % 2
    rows = [np.flatnonzero(outcome_number == number) for number in range(2)]
    unit_couple = obs // 2  # 300 units of 2 rows

    # Predictors: x, actor_stress, partner_stress
    x = rng.normal(size=(obs.size, 3))
    other = obs + 1 - 2 * (obs % 2)  # the row of the other member
    x[:, 2] = x[other, 1]
    x_mean = np.array([x[own].mean(axis=0) for own in rows])
    terms_couple = np.column_stack([1.0 * (outcome_number == 0), 1.0 * (outcome_number == 1)])

    # Outcomes from the model, with known parameters
    exposure = rng.uniform(0.5, 2.0, size=obs.size // 2).repeat(2)
    offset = np.log(exposure)
    intercepts = np.array([0.5, 0.5])
    slopes = np.array([[0.5, -0.3, 0.1], [-0.1, 0.5, -0.3]])
    eta = intercepts[outcome_number] + (x * slopes[outcome_number]).sum(axis=-1) + offset
    sd_couple = np.array([0.5, 0.5])
    corr_couple = 0.7 * np.eye(2) + 0.3
    covariance_couple = sd_couple[:, None] * corr_couple * sd_couple
    u_couple = rng.multivariate_normal(np.zeros(2), covariance_couple, size=300)
    eta += (terms_couple * u_couple[unit_couple]).sum(axis=-1)
    y = rng.poisson(np.exp(eta))

    data = {
        "y": y,
        "outcome_number": outcome_number,
        "x_mean": x_mean,
        "x_centred": x - x_mean[outcome_number],
        "offset": offset,
        "unit_couple": unit_couple,
        "terms_couple": terms_couple,
        # Numbers of the priors, from the data where they are defaults
        "intercept_location": np.log(
            np.array([y[own].sum() / exposure[own].sum() for own in rows])
        ),
        "intercept_scale": np.full(2, 2.5),
        "slopes_scale": 2.5 / np.array([x[own].std(axis=0) for own in rows]),
        "sd_couple_scale": np.array([1.0, 1.0]),
    }
    coords = {
        "obs": obs,
        "coef": ["Intercept", "x", "actor_stress", "partner_stress"],
        "member": ["1", "2"],
        "predictor": ["x", "actor_stress", "partner_stress"],
        "couple": np.arange(300),
        "couple_term": ["1:Intercept", "2:Intercept"],
        "couple_term_bis": ["1:Intercept", "2:Intercept"],
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
    print(az.summary(trace, var_names=["beta", "sd_couple"]))
