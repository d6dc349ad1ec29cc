"""Members that hang together in small clusters are eliminated cluster by cluster."""

import numpy as np
import pytest

import bayesml as bml
from bayesml.engines.elimination import eliminate
from bayesml.engines.marginal_models import marginal_model
from bayesml.engines.meetings import GroupingArrays
from tests.records.test_social_builders import model_of, round_robin
from tests.records.test_twin_builders import twin_table

# Kernels of the priors are compiled once in a fresh clone.
pytestmark = [
    pytest.mark.sampling,
    pytest.mark.filterwarnings("ignore::bayesml.BayesmlWarning"),
]


def test_twins_leave_no_core() -> None:
    made = bml.twins(twin_table(60, 1), "bmi ~ age", pair="family", zygosity="zygosity")
    plan = marginal_model(made.resolved, made.design).elimination.plan
    assert plan.cross_core.shape == (0, 0)
    # A fraternal pair: the pair's unit, two own ones and the shared environment.
    assert np.diff(plan.neighbour_start).max() == 3


@pytest.mark.parametrize("group", [None, "family"])
def test_round_robins_of_families_leave_no_core(group: str | None) -> None:
    made = model_of(round_robin(12, 4, 1), group=group)
    plan = marginal_model(made.resolved, made.design).elimination.plan
    assert plan.cross_core.shape == (0, 0)
    # The three others of the family, and the family.
    assert np.diff(plan.neighbour_start).max() == 3 + (group is not None)


def test_one_round_robin_is_a_core() -> None:
    made = model_of(round_robin(1, 9, 1))
    plan = marginal_model(made.resolved, made.design).elimination.plan
    assert plan.cross_core.shape == (18, 18)


def test_large_clusters_stay_a_core() -> None:
    """Two clusters of 50 units of two terms each: as many columns as a dense matrix."""
    rng = np.random.default_rng(1)
    half = np.repeat([0, 50], 150)
    index = half[:, None] + np.stack([rng.integers(0, 50, 300), rng.integers(0, 50, 300)], axis=1)
    terms = rng.normal(size=(300, 2))
    grouping = GroupingArrays(100, index, np.full((300, 2), 0.5), terms)
    plan = eliminate(rng.normal(size=(300, 2)), [grouping]).plan
    assert plan.cross_core.shape == (200, 200)


def test_a_round_robin_is_sampled() -> None:
    """Members' own terms pass every step of the engine; coverage is tried elsewhere."""
    made = model_of(round_robin(8, 4, 1))
    fit = made.fit(draws=100, tune=200, chains=1, seed=1, progress=False)
    assert fit.engine == "marginal"
    sd, effects = fit.posterior["sd_person"], fit.posterior["u_person"]
    assert effects.dims[2:] == ("person", "person_term")
    # The 32 effects are about as spread out as their SD, draw by draw, in the mean.
    ratio = (effects.values**2).mean(axis=(0, 1, 2)) / (sd.values**2).mean(axis=(0, 1))
    assert ((ratio > 0.6) & (ratio < 1.6)).all()
