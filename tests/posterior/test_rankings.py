"""Ranks on tables with known order, and by counting."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.errors import FitError
from bayesml.records.fits import Fit
from bayesml.records.modelling import Model

MakeFit = Callable[..., Fit]
UNITS = 20


@pytest.fixture(scope="module")
def model() -> Model:
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "y": rng.normal(size=200),
            "x": rng.normal(size=200),
            "school": np.repeat([f"school {number:02d}" for number in range(UNITS)], 10),
        }
    )
    return bml.two_level(table, "y ~ x", group="school", slopes=["x"])


def effects(spread: float, chains: int = 2, draws: int = 400) -> np.ndarray:
    """Return draws whose means are 0, 1, ... by intercept and ..., 1, 0 by slope."""
    rng = np.random.default_rng(2)
    means = np.column_stack([np.arange(UNITS), np.arange(UNITS)[::-1]])
    return means + spread * rng.normal(size=(chains, draws, UNITS, 2))


def test_an_order_that_is_certain(model: Model, fake_fit: MakeFit) -> None:
    fit = fake_fit(model, draws=400, values={"u_school": effects(0.01)})
    found = bml.ranks(fit, "school", top=0.1)
    assert len(found) == 2 * UNITS
    intercepts = found[found["term"] == "Intercept"]
    assert intercepts["unit"].tolist() == [f"school {unit:02d}" for unit in range(UNITS)][::-1]
    for name in ("mean", "median", "lower", "upper"):
        assert intercepts[name].tolist() == list(range(1, UNITS + 1)), name
    assert intercepts["p_top"].tolist() == [1.0, 1.0] + [0.0] * 18
    assert intercepts["among_top"].tolist() == ["yes"] * 2 + ["no"] * 18
    assert found.attrs["top_units"] == 2
    slopes = found[found["term"] == "x"]
    assert slopes["unit"].tolist() == [f"school {unit:02d}" for unit in range(UNITS)]
    assert found["term"].tolist() == ["Intercept"] * UNITS + ["x"] * UNITS
    assert (found["rows"] == 10).all()


def test_the_other_end_first(model: Model, fake_fit: MakeFit) -> None:
    fit = fake_fit(model, draws=400, values={"u_school": effects(0.01)})
    found = bml.ranks(fit, "school", top=3, term="Intercept", direction="lowest")
    assert found["unit"].iloc[0] == "school 00"
    assert found["p_top"].tolist() == [1.0] * 3 + [0.0] * 17
    assert found.attrs["direction"] == "lowest"


def test_uncertain_ranks_by_counting(model: Model, fake_fit: MakeFit) -> None:
    draws = effects(2.5)
    fit = fake_fit(model, draws=400, values={"u_school": draws})
    found = bml.ranks(fit, "school", top=0.25, prob=0.9, term="Intercept").set_index("unit")
    flat = draws[..., 0].reshape(-1, UNITS)
    ranks = np.array([[(draw > value).sum() + 1 for value in draw] for draw in flat])
    for unit in range(UNITS):
        row, own = found.loc[f"school {unit:02d}"], ranks[:, unit]
        assert row["mean"] == pytest.approx(own.mean())
        assert row["sd"] == pytest.approx(own.std(ddof=1))
        ordered = np.sort(own)
        # Order statistics 40, 400 and 760 of 800: the smallest with 5, 50 and 95 % up to them.
        assert row[["lower", "median", "upper"]].tolist() == ordered[[39, 399, 759]].tolist()
        assert row["p_top"] == pytest.approx((own <= 5).mean())
        expected = "yes" if row["p_top"] >= 0.9 else "no" if row["p_top"] <= 0.1 else "uncertain"
        assert row["among_top"] == expected
        assert row["effect"] == pytest.approx(flat[:, unit].mean())
    assert set(found["among_top"]) == {"no", "uncertain", "yes"}
    unsure = int((found["among_top"] == "uncertain").sum())
    width = (found["upper"] - found["lower"] + 1).mean()
    warning = found.attrs["warning"]
    assert warning.startswith("Ranks are uncertain. The 90 % interval of a rank covers")
    assert f"covers {width:.0f} of 20 places on average" in warning
    assert f"of {unsure} units it is uncertain whether they are among the first 5" in warning


def test_rank_draws_have_labels(model: Model, fake_fit: MakeFit) -> None:
    fit = fake_fit(model, draws=400, values={"u_school": effects(0.01)})
    draws = bml.ranks(fit, "school", draws=True)
    assert draws.dims == ("chain", "draw", "unit", "term")
    assert (draws.sel(unit="school 19", term="Intercept") == 1).all()
    assert (draws.sum("unit") == UNITS * (UNITS + 1) / 2).all()


def test_ties_share_their_ranks(model: Model, fake_fit: MakeFit) -> None:
    found = bml.ranks(fake_fit(model, values={"u_school": 0.0}), "school")
    assert (found["mean"] == (UNITS + 1) / 2).all()
    assert (found["p_top"] == 0).all()


@pytest.mark.parametrize("top", [0, 0.0, 1.0, -0.1, 20, True, "many", float("nan")])
def test_tops_that_are_refused(model: Model, fake_fit: MakeFit, top: object) -> None:
    with pytest.raises(FitError, match=r"top is .*share of the units between 0 and 1.*1 to 19"):
        bml.ranks(fake_fit(model, draws=2), "school", top=top)


def test_a_direction_that_is_refused(model: Model, fake_fit: MakeFit) -> None:
    with pytest.raises(FitError, match=r"direction is 'up'\. Allowed: 'highest'.*'lowest'"):
        bml.ranks(fake_fit(model, draws=2), "school", direction="up")


def test_members_can_be_ranked(fake_fit: MakeFit) -> None:
    table = pd.DataFrame({"y": np.arange(20.0) % 7, "a": list("pqrst") * 4, "b": list("qrstp") * 4})
    model = bml.multiple_membership(table, "y ~ 1", members=["a", "b"], name="team")
    values = {"u_team": np.array([[1.0], [3.0], [2.0], [0.0], [-1.0]])}
    fit = fake_fit(model, values=values)
    assert bml.ranks(fit, "team")["unit"].tolist() == ["q", "r", "p", "s", "t"]


def test_ranks_at_values_of_covariates(model: Model, fake_fit: MakeFit) -> None:
    # By intercept the last unit is first, by slope the first: at x = 2 the slopes decide.
    fit = fake_fit(model, draws=400, values={"u_school": effects(0.01)})
    found = bml.ranks(fit, "school", at={"x": 2})
    assert found["unit"].iloc[0] == "school 00"
    assert found["term"].unique().tolist() == ["at x = 2"]
    assert found["effect"].iloc[0] == pytest.approx(0 + 2 * 19, abs=0.1)
    assert found.attrs["at"] == {"x": 2.0}
    assert bml.ranks(fit, "school", at={"x": 0})["unit"].iloc[0] == "school 19"
    everywhere = bml.ranks(fit, "school", at={})
    assert everywhere["term"].iloc[0] == "at the means of the covariates"
