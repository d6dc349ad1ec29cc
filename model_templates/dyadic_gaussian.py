"""response ~ x + actor_stress + partner_stress, residual unstructured(role, couple), gaussian
identity.

Written without a table: predictors are taken as numbers, and every grouping is non-centred, which
samples well where a unit has few rows. With a table, bayesml chooses per grouping.
"""

import sys

import arviz as az
import numpy as np
import pymc as pm
import pytensor.tensor as pt


def given_earlier(factor, seen):
    """Weights of the residuals at earlier occasions, and the SD given them, for each pattern.

    `factor` is the Cholesky factor of the covariance of all occasions; `seen` is 1 at the
    occasions that the units of a pattern have.
    """
    one = pt.eye(seen.shape[1])
    both = seen[:, :, None] * seen[:, None, :]
    # An occasion that is not seen is independent of the others
    covariance = both * (factor @ factor.T) + (1 - seen)[:, :, None] * one
    inverse = pt.linalg.inv(pt.linalg.cholesky(covariance))
    sd = 1 / pt.diagonal(inverse, axis1=1, axis2=2)
    return one - sd[:, :, None] * inverse, sd


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
        eta = intercept[own] + (d["x_centred"] * slopes[own]).sum(axis=-1)

        # Response: residuals within a couple are correlated, with one correlation for each pair of
        # members
        sigma = pm.HalfStudentT("sigma", 4, d["sigma_scale"], dims="member")
        chol_residual = pm.LKJCorr("chol_residual", n=2, eta=2)
        # Each member of a couple is expected at eta plus a weighted sum of the earlier residuals
        weights, spread = given_earlier(sigma[:, None] * chol_residual, d["seen"])
        at = (d["pattern"], d["occasion_number"])
        before = (weights[at] * (d["y"] - eta)[d["earlier"]]).sum(axis=-1)
        pm.Normal("response", eta + before, spread[at], observed=d["y"], dims="obs")

        # Reported on the user's scale
        pm.Deterministic(
            "corr_residual", chol_residual @ chol_residual.T, dims=("member", "member_bis")
        )

    return model


def example():
    """Return simulated data and their labels, to try the model; replace them by your own."""
    rng = np.random.default_rng(1)
    obs = np.arange(600)
    # The members of a pair stand beside each other
    outcome_number = obs % 2
    rows = [np.flatnonzero(outcome_number == number) for number in range(2)]

    # Predictors: x, actor_stress, partner_stress
    x = rng.normal(size=(obs.size, 3))
    other = obs + 1 - 2 * (obs % 2)  # the row of the other member
    x[:, 2] = x[other, 1]
    x_mean = np.array([x[own].mean(axis=0) for own in rows])

    # Outcomes from the model, with known parameters
    intercepts = np.array([1.0, 1.0])
    slopes = np.array([[0.5, -0.3, 0.1], [-0.1, 0.5, -0.3]])
    eta = intercepts[outcome_number] + (x * slopes[outcome_number]).sum(axis=-1)
    factor = np.linalg.cholesky(0.7 * np.eye(2) + 0.3)
    y = eta + (rng.normal(size=(obs.size // 2, 2)) @ factor.T).ravel()
    s = np.array([y[own].std(ddof=1) for own in rows])

    data = {
        "y": y,
        "outcome_number": outcome_number,
        "x_mean": x_mean,
        "x_centred": x - x_mean[outcome_number],
        "occasion_number": obs % 2,
        "seen": np.ones((1, 2)),
        "pattern": np.zeros(obs.size, dtype=int),
        "earlier": obs[:, None] // 2 * 2 + np.arange(2),
        # Numbers of the priors, from the data where they are defaults
        "intercept_location": np.array([y[own].mean() for own in rows]),
        "intercept_scale": 2.5 * s,
        "slopes_scale": 2.5 * s[:, None] / np.array([x[own].std(axis=0) for own in rows]),
        "sigma_scale": s,
    }
    coords = {
        "obs": obs,
        "coef": ["Intercept", "x", "actor_stress", "partner_stress"],
        "member": ["1", "2"],
        "predictor": ["x", "actor_stress", "partner_stress"],
        "member_bis": ["1", "2"],
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
    print(az.summary(trace, var_names=["beta", "sigma"]))
