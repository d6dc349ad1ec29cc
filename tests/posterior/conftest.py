"""Fits that several tests ask about; each is sampled once, when a test first asks for it."""

import pytest

import bayesml as bml

_RUN = {"draws": 500, "tune": 500, "chains": 4, "seed": 1, "progress": False}


@pytest.fixture(scope="session")
def exam_fit() -> bml.Fit:
    """Gaussian, two levels, a varying slope."""
    exam = bml.load_dataset("exam")
    model = bml.two_level(exam, "normexam ~ standLRT", group="school", slopes=["standLRT"])
    return model.fit(**_RUN)


@pytest.fixture(scope="session")
def growth_fit() -> bml.Fit:
    """Gaussian, repeated measures with correlated intercept and slope."""
    sleep = bml.load_dataset("sleepstudy")
    return bml.longitudinal(sleep, "Reaction ~ 1", unit="Subject", time="Days").fit(**_RUN)


@pytest.fixture(scope="session")
def contraception_fit() -> bml.Fit:
    """Binary, two levels, a varying slope."""
    women = bml.load_dataset("contraception")
    model = bml.two_level(
        women,
        "use ~ age + livch + urban",
        group="district",
        slopes=["urban"],
        family="binomial",
        success="Y",
    )
    return model.fit(**_RUN)


@pytest.fixture(scope="session")
def ticks_fit() -> bml.Fit:
    """Counts, three nested groupings, one of them with one row a unit."""
    ticks = bml.load_dataset("grouseticks")
    formula = "TICKS ~ YEAR + cHEIGHT + (1 | LOCATION) + (1 | BROOD) + (1 | INDEX)"
    return bml.model(ticks, formula, family="poisson").fit(**_RUN)


@pytest.fixture(scope="session")
def attitudes_fit() -> bml.Fit:
    """Ordered outcome, two levels."""
    attitudes = bml.load_dataset("socatt")
    model = bml.two_level(attitudes, "numpos ~ year", group="respond", family="ordinal")
    return model.fit(**_RUN)
