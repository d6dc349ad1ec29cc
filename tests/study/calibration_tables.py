"""Tables of known truth for calibration, simulated with NumPy from the user's own columns.

Nothing here reads bayesml's arrays: units, weights and terms come from the table. Every prior is
set in numbers, so that nothing depends on the simulated outcomes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

import bayesml as bml

Draw = Callable[[np.random.Generator], float]

PRIORS: dict[str, tuple[str, Draw]] = {
    "HalfNormal(1)": ("HalfNormal(1)", lambda random: abs(random.normal(0, 1))),
    "Exponential(2)": ("Exponential(2)", lambda random: random.exponential(1 / 2)),
    "HalfStudentT(4, 0.7)": (
        "HalfStudentT(4, 0.7)",
        lambda random: 0.7 * abs(random.standard_t(4)),
    ),
    "Gamma(2, 2)": ("Gamma(2, 2)", lambda random: random.gamma(2, 1 / 2)),
}


@dataclass(frozen=True)
class Grouping:
    """A grouping as a row of the user's table has it.

    Parameters
    ----------
    members : mapping of str to str or None
        Column of units, and column of weights, None for a weight of 1.
    terms : tuple of str
        Columns, or "1" for the intercept; two are correlated, with an LKJ(2) prior.
    sd : str
        A key of PRIORS.
    """

    members: Mapping[str, str | None]
    terms: tuple[str, ...]
    sd: str


@dataclass(frozen=True)
class Study:
    """A model on a table, and the same in terms of the table's columns.

    Parameters
    ----------
    model : Model
    table : DataFrame
    groupings : mapping of str to Grouping
    """

    model: bml.Model
    table: pd.DataFrame
    groupings: Mapping[str, Grouping]


def simulate(study: Study, tables: int, seed: int) -> xr.DataTree:
    """Return truths and outcomes: intercept at the mean of x Normal(1, 2), slope Normal(0, 1)."""
    random = np.random.default_rng(seed)
    table, model = study.table, study.model
    x = table["x"].to_numpy()
    columns = {"1": np.ones(len(table)), "x": x}
    found: dict[str, list[np.ndarray]] = {name: [] for name in model.resolved.posterior_names}
    outcomes = []
    for _ in range(tables):
        at_mean, slope = random.normal(1, 2), random.normal(0, 1)
        sigma = abs(random.normal(0, 1))
        found["beta"].append(np.array([at_mean - slope * x.mean(), slope]))
        found["sigma"].append(np.array(sigma))
        y = at_mean + slope * (x - x.mean()) + random.normal(0, sigma, len(table))
        for name, grouping in study.groupings.items():
            sd = np.array([PRIORS[grouping.sd][1](random) for _ in grouping.terms])
            corr = np.eye(len(sd))
            if len(sd) == 2:
                # LKJ(eta) of two terms: (r + 1) / 2 is Beta(eta, eta)
                corr[0, 1] = corr[1, 0] = 2 * random.beta(2, 2) - 1
                found[f"corr_{name}"].append(corr)
            units = list(model.coords[name])
            effects = random.multivariate_normal(
                np.zeros(len(sd)), np.outer(sd, sd) * corr, size=len(units), method="cholesky"
            )
            found[f"sd_{name}"].append(sd)
            found[f"u_{name}"].append(effects)
            for column, weight in grouping.members.items():
                share = 1.0 if weight is None else table[weight].to_numpy()
                place = np.array([units.index(unit) for unit in table[column]])
                for term, effect in zip(grouping.terms, effects.T, strict=True):
                    y = y + share * columns[term] * effect[place]
        outcomes.append(y)
    template = model.prior_predictive(draws=1, seed=1)
    dims = {name: template["prior"][name].dims for name in found}
    prior = xr.Dataset(
        {name: (dims[name], np.array(values)[None]) for name, values in found.items()},
        coords={
            name: values
            for name, values in template["prior"].coords.items()
            if name not in {"chain", "draw"}
        },
    )
    predictive = xr.Dataset({"score": (("chain", "draw", "obs"), np.array(outcomes)[None])})
    return xr.DataTree.from_dict({"prior": prior, "prior_predictive": predictive})


def priors(groupings: Mapping[str, Grouping], **changed: str) -> dict[str, str]:
    """Return the `priors=` of a study."""
    found = {"Intercept": "Normal(1, 2)", "beta": "Normal(0, 1)", "sigma": "HalfNormal(1)"}
    for name, grouping in groupings.items():
        found[f"sd_{name}"] = PRIORS[grouping.sd][0]
        if len(grouping.terms) > 1:
            found[f"corr_{name}"] = "LKJ(2)"
    return found | changed


def two_level(rows: int = 160, units: int = 16, **changed: str) -> Study:
    """Slopes of x over schools of unequal size."""
    random = np.random.default_rng(11)
    school = np.concatenate([np.arange(units), random.integers(0, units, rows - units)])
    table = pd.DataFrame(
        {"school": school, "x": random.normal(2, 1, rows), "score": np.arange(rows)}
    )
    groupings = {"school": Grouping({"school": None}, ("1", "x"), "HalfNormal(1)")}
    model = bml.two_level(
        table, "score ~ x", group="school", slopes=["x"], priors=priors(groupings, **changed)
    )
    return Study(model, table, groupings)


def three_level() -> Study:
    """Classes in schools, with slopes over the schools."""
    random = np.random.default_rng(12)
    number = np.arange(168)
    table = pd.DataFrame(
        {
            "room": number // 7,
            "school": number // 14,
            "x": random.normal(2, 1, 168),
            "score": number,
        }
    )
    groupings = {
        "room": Grouping({"room": None}, ("1",), "Exponential(2)"),
        "school": Grouping({"school": None}, ("1", "x"), "HalfNormal(1)"),
    }
    model = bml.three_level(
        table,
        "score ~ x",
        groups=["room", "school"],
        slopes={"school": ["x"]},
        priors=priors(groupings),
    )
    return Study(model, table, groupings)


def crossed() -> Study:
    """Schools crossed with areas."""
    random = np.random.default_rng(13)
    table = pd.DataFrame(
        {
            "school": np.concatenate([np.arange(14), random.integers(0, 14, 136)]),
            "area": np.concatenate([np.arange(11), random.integers(0, 11, 139)]),
            "x": random.normal(2, 1, 150),
            "score": np.arange(150),
        }
    )
    groupings = {
        "school": Grouping({"school": None}, ("1", "x"), "HalfStudentT(4, 0.7)"),
        "area": Grouping({"area": None}, ("1",), "Gamma(2, 2)"),
    }
    model = bml.cross_classified(
        table,
        "score ~ x",
        groups=["school", "area"],
        slopes={"school": ["x"]},
        priors=priors(groupings),
    )
    return Study(model, table, groupings)


def multiple_membership() -> Study:
    """Employees of two firms each, by unequal shares."""
    random = np.random.default_rng(14)
    first = np.concatenate([np.arange(15), random.integers(0, 15, 135)])
    share = random.uniform(0.5, 0.9, 150)
    table = pd.DataFrame(
        {
            "first": first,
            "second": (first + random.integers(1, 15, 150)) % 15,
            "share": share,
            "rest": 1 - share,
            "x": random.normal(2, 1, 150),
            "score": np.arange(150),
        }
    )
    groupings = {
        "firm": Grouping({"first": "share", "second": "rest"}, ("1", "x"), "HalfNormal(1)")
    }
    model = bml.multiple_membership(
        table,
        "score ~ x",
        members=["first", "second"],
        weights=["share", "rest"],
        name="firm",
        slopes=["x"],
        priors=priors(groupings),
    )
    return Study(model, table, groupings)
