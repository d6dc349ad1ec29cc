"""A table with a known truth: researchers in departments in universities."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

N_UNIVERSITIES = 30
DEPARTMENTS_PER_UNIVERSITY = 5
N_RESEARCHERS = 1500
RANKS = ("assistant", "associate", "full")

type Truth = Mapping[str, float]

ACADEMICS_TRUTH: Mapping[str, Truth] = MappingProxyType(
    {
        "citations_log": MappingProxyType(
            {
                "Intercept": 1.2,
                "seniority_years": 0.04,
                "funding": 0.25,
                "seniority_years:funding": 0.015,
                "sd_department[Intercept]": 0.40,
                "sd_department[seniority_years]": 0.03,
                "corr_department": -0.4,
                "sd_university[Intercept]": 0.30,
                "sigma": 0.60,
            }
        ),
        "publications": MappingProxyType(
            {
                "Intercept": 0.10,
                "seniority_years": 0.01,
                "funding": 0.20,
                "seniority_years:funding": 0.005,
                "sd_department[Intercept]": 0.40,
                "sd_department[seniority_years]": 0.02,
                "corr_department": 0.3,
                "sd_university[Intercept]": 0.25,
            }
        ),
        "seniority": MappingProxyType(
            {
                "cutpoints[assistant|associate]": 1.5,
                "cutpoints[associate|full]": 4.0,
                "seniority_years": 0.2,
                "sd_university[Intercept]": 0.50,
            }
        ),
        "promoted": MappingProxyType(
            {
                "Intercept": -1.2,
                "funding": 0.40,
                "sd_department[Intercept]": 0.60,
                "sd_university[Intercept]": 0.40,
            }
        ),
    }
)
"""The values that `generate_academics` draws from, by outcome, named as in a fit.

`citations_log` is Gaussian; `publications` is Poisson with log link and exposure `years_active`;
`seniority` is cumulative logit; `promoted` is Bernoulli with logit link. Standard deviations are
those of the populations that the units were drawn from.
"""


def generate_academics(seed: int = 20240501) -> pd.DataFrame:
    """Generate the table `academics`: researchers in departments in universities.

    Departments differ in level and in the slope of `seniority_years`, universities in level;
    `funding` of the department changes the slope of seniority (a cross-level interaction). The
    model of both `citations_log` and `publications` is

    ``~ seniority_years * funding + (seniority_years | department) + (1 | university)``.

    Parameters
    ----------
    seed : int, optional
        Seed of NumPy's PCG64 generator; the shipped table is that of the default.

    Returns
    -------
    DataFrame
        1,500 rows, one per researcher; the columns are those of `load_dataset("academics")`.

    Examples
    --------
    >>> from bayesml.datasets import generate_academics
    >>> generate_academics().groupby("university")["department"].nunique().unique().tolist()
    [5]
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    n_departments = N_UNIVERSITIES * DEPARTMENTS_PER_UNIVERSITY
    university_of = np.repeat(np.arange(N_UNIVERSITIES), DEPARTMENTS_PER_UNIVERSITY)
    # At least three in a department; sizes differ, as they do in universities.
    shares = rng.dirichlet(np.full(n_departments, 4.0))
    sizes = 3 + rng.multinomial(N_RESEARCHERS - 3 * n_departments, shares)
    department = np.repeat(np.arange(n_departments), sizes)
    university = university_of[department]
    # Rounded before use, so that the outcomes follow the table as it is shipped.
    funding = np.round(rng.normal(size=n_departments), 2)[department]
    seniority_years = np.round(30.0 * rng.beta(1.3, 2.0, size=N_RESEARCHERS), 1)
    years_active = np.clip(np.ceil(seniority_years), 1, 10).astype(np.int64)

    columns = (seniority_years, funding, department, university, rng)
    citations = ACADEMICS_TRUTH["citations_log"]
    citations_log = _growth(citations, *columns) + citations["sigma"] * rng.normal(
        size=N_RESEARCHERS
    )
    rate = np.exp(_growth(ACADEMICS_TRUTH["publications"], *columns))
    publications = rng.poisson(years_active * rate)

    rank = ACADEMICS_TRUTH["seniority"]
    ordered = (
        rank["seniority_years"] * seniority_years
        + rng.normal(0, rank["sd_university[Intercept]"], N_UNIVERSITIES)[university]
        + rng.logistic(size=N_RESEARCHERS)
    )
    cuts = [rank["cutpoints[assistant|associate]"], rank["cutpoints[associate|full]"]]
    promotion = ACADEMICS_TRUTH["promoted"]
    logit = (
        promotion["Intercept"]
        + promotion["funding"] * funding
        + rng.normal(0, promotion["sd_department[Intercept]"], n_departments)[department]
        + rng.normal(0, promotion["sd_university[Intercept]"], N_UNIVERSITIES)[university]
    )
    promoted = (rng.uniform(size=N_RESEARCHERS) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    return pd.DataFrame(
        {
            "researcher": [f"R{number:04d}" for number in range(1, N_RESEARCHERS + 1)],
            "department": [
                f"U{parent + 1:02d}-D{unit % DEPARTMENTS_PER_UNIVERSITY + 1}"
                for parent, unit in zip(university, department, strict=True)
            ],
            "university": [f"U{parent + 1:02d}" for parent in university],
            "funding": funding,
            "seniority_years": seniority_years,
            "years_active": years_active,
            "publications": publications,
            "citations_log": np.round(citations_log, 4),
            "seniority": np.array(RANKS)[np.searchsorted(cuts, ordered)].tolist(),
            "promoted": promoted,
        }
    )


def _growth(
    truth: Truth,
    seniority_years: np.ndarray,
    funding: np.ndarray,
    department: np.ndarray,
    university: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the linear predictor of an outcome that grows with seniority, one value per row."""
    sd = np.array([truth["sd_department[Intercept]"], truth["sd_department[seniority_years]"]])
    corr = truth["corr_department"]
    lower = np.array([[1.0, 0.0], [corr, np.sqrt(1 - corr**2)]])
    effects = rng.normal(size=(department.max() + 1, 2)) @ (sd[:, None] * lower).T
    level = rng.normal(0, truth["sd_university[Intercept]"], size=university.max() + 1)
    return (
        truth["Intercept"]
        + truth["seniority_years"] * seniority_years
        + truth["funding"] * funding
        + truth["seniority_years:funding"] * seniority_years * funding
        + effects[department, 0]
        + effects[department, 1] * seniority_years
        + level[university]
    )
