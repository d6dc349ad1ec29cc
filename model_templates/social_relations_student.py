"""response ~ x + (0 + mmc(1, 0) + mmc(0, 1) | mm(actor, partner, weights='whole', name='person')) +
(1 | dyad) + (0 + direction | dyad) + (1 | team), student identity.

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

        # dyad: Intercept and direction vary, uncorrelated, non-centred
        sd_dyad = pm.HalfStudentT("sd_dyad", 4, d["sd_dyad_scale"], dims="dyad_term")
        z_dyad = pm.Normal("z_dyad", 0, 1, dims=("dyad", "dyad_term"))
        u_dyad = pm.Deterministic("u_dyad", z_dyad * sd_dyad, dims=("dyad", "dyad_term"))
        eta += (d["terms_dyad"] * u_dyad[d["unit_dyad"]]).sum(axis=-1)

        # team: Intercept varies, non-centred
        sd_team = pm.HalfStudentT("sd_team", 4, d["sd_team_scale"], dims="team_term")
        z_team = pm.Normal("z_team", 0, 1, dims=("team", "team_term"))
        u_team = pm.Deterministic("u_team", z_team * sd_team, dims=("team", "team_term"))
        eta += u_team[d["unit_team"], 0]

        # person: actor and partner vary, multiple membership, members have values of their own,
        # correlated, non-centred
        sd_person = pm.HalfStudentT("sd_person", 4, d["sd_person_scale"], dims="person_term")
        chol_person = pm.LKJCorr("chol_person", n=2, eta=2)
        z_person = pm.Normal("z_person", 0, 1, dims=("person", "person_term"))
        u_person = pm.Deterministic(
            "u_person",
            z_person @ (sd_person[:, None] * chol_person).T,
            dims=("person", "person_term"),
        )
        loaded_person = d["weight_person"][:, :, None] * u_person[d["unit_person"]]
        eta += (d["terms_person"] * loaded_person).sum(axis=(1, 2))

        # Response
        sigma = pm.HalfStudentT("sigma", 4, d["sigma_scale"])
        nu = pm.Gamma("nu", d["nu_alpha"], d["nu_beta"])
        pm.StudentT("response", nu=nu, mu=eta, sigma=sigma, observed=d["y"], dims="obs")

        # Reported on the user's scale
        pm.Deterministic(
            "corr_person", chol_person @ chol_person.T, dims=("person_term", "person_term_bis")
        )

    return model


def example():
    """Return simulated data and their labels, to try the model; replace them by your own."""
    rng = np.random.default_rng(1)
    obs = np.arange(600)
    unit_dyad = obs // 4  # 150 units of 4 rows
    direction = 1 - 2 * (obs // 2 % 2)
    unit_team = obs // 40  # 15 units of 40 rows
    # Everybody rates the other 4 of a group, twice: actor and partner of each row, the two
    # directions of a dyad beside each other
    one, other = np.triu_indices(5, 1)
    pairs = np.column_stack([one, other, other, one]).reshape(-1, 2).repeat(2, axis=0)
    unit_person = (5 * np.arange(15)[:, None, None] + pairs).reshape(-1, 2)
    weight_person = np.ones((obs.size, 2))

    # Predictors: x
    x = rng.normal(size=(obs.size, 1))
    terms_person = np.tile(np.eye(2), (obs.size, 1, 1))
    terms_dyad = np.column_stack([np.ones(obs.size), direction])

    # Outcomes from the model, with known parameters
    eta = 1.0 + x @ [0.5]
    u_dyad = rng.normal(scale=[0.5, 0.3], size=(150, 2))
    eta += (terms_dyad * u_dyad[unit_dyad]).sum(axis=-1)
    u_team = rng.normal(scale=[0.5], size=(15, 1))
    eta += u_team[unit_team][:, 0]
    sd_person = np.array([0.3, 0.3])
    corr_person = 0.7 * np.eye(2) + 0.3
    covariance_person = sd_person[:, None] * corr_person * sd_person
    u_person = rng.multivariate_normal(np.zeros(2), covariance_person, size=75)
    loaded_person = weight_person[:, :, None] * u_person[unit_person]
    eta += (terms_person * loaded_person).sum(axis=(1, 2))
    y = eta + rng.standard_t(5.0, size=obs.size)
    s = y.std(ddof=1)

    data = {
        "y": y,
        "x_mean": x.mean(axis=0),
        "x_centred": x - x.mean(axis=0),
        "unit_person": unit_person,
        "weight_person": weight_person,
        "terms_person": terms_person,
        "unit_dyad": unit_dyad,
        "terms_dyad": terms_dyad,
        "unit_team": unit_team,
        # Numbers of the priors, from the data where they are defaults
        "intercept_location": y.mean(),
        "intercept_scale": 2.5 * s,
        "slopes_scale": 2.5 * s / x.std(axis=0),
        "sd_person_scale": np.array([s, s]),
        "sd_dyad_scale": np.array([s, s / terms_dyad[:, 1].std()]),
        "sd_team_scale": np.array([s]),
        "sigma_scale": s,
        "nu_alpha": 2.0,
        "nu_beta": 0.1,
    }
    coords = {
        "obs": obs,
        "coef": ["Intercept", "x"],
        "predictor": ["x"],
        "person": np.arange(75),
        "person_term": ["actor", "partner"],
        "person_term_bis": ["actor", "partner"],
        "dyad": np.arange(150),
        "dyad_term": ["Intercept", "direction"],
        "team": np.arange(15),
        "team_term": ["Intercept"],
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
    print(az.summary(trace, var_names=["beta", "sd_person", "sd_dyad", "sd_team", "sigma", "nu"]))
