"""The section of checks: what it says of a sound fit, of a bad one, and without rows."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.records.fits import Fit
from bayesml.reporting.check_sections import checks_section
from bayesml.reporting.sections import verdict_section

MakeFit = Callable[..., Fit]


@pytest.fixture
def counts() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame({"y": rng.poisson(3, size=300), "g": np.repeat(range(15), 20)})


def fitted(table: pd.DataFrame, fake_fit: MakeFit) -> Fit:
    """Return a Poisson fit at the mean of the table, with units that hardly differ."""
    model = bml.two_level(table, "y ~ 1", group="g", family="poisson")
    rng = np.random.default_rng(2)
    values = {
        "beta": np.log(table["y"].mean()) + 0.03 * rng.normal(size=(2, 200, 1)),
        "sd_g": 0.05,
        "u_g": 0.05 * rng.normal(size=(2, 200, 15, 1)),
    }
    return fake_fit(model, draws=200, values=values)


def test_a_sound_fit(counts: pd.DataFrame, fake_fit: MakeFit) -> None:
    section = checks_section(fitted(counts, fake_fit), 0.89)
    (sentence,) = section.sentences
    assert sentence.startswith("Data drawn from the fitted model look like the data in all 1")
    assert section.notes == ()
    (plot,) = section.plots
    assert plot.source.startswith("data:image/svg+xml;base64,")
    assert "(seed 1)" in plot.caption
    assert "against 250 replications" in plot.caption
    assert "89 % interval" in plot.alt


def test_a_bad_fit_names_what_is_wrong(counts: pd.DataFrame, fake_fit: MakeFit) -> None:
    counts.loc[::3, "y"] = 0
    section = checks_section(fitted(counts, fake_fit), 0.89)
    assert "differ from the data in" in section.sentences[0]
    (zeros,) = [note for note in section.notes if "share of zeros" in note]
    assert zeros.startswith("outcome, share of zeros (p = 0.002): There are more zeros")
    assert any("dispersion" in note and "(overdispersion)" in note for note in section.notes)


def test_without_rows_there_is_one_sentence(
    counts: pd.DataFrame, fake_fit: MakeFit, tmp_path: object
) -> None:
    path = fitted(counts, fake_fit).save(f"{tmp_path}/fit.nc", data=False)
    section = checks_section(bml.load(path), 0.89)
    assert section.sentences[0].startswith("The fit was saved without its rows")
    assert section.plots == ()


def test_the_verdict_speaks_of_the_sampler_that_drew(
    counts: pd.DataFrame, fake_fit: MakeFit
) -> None:
    fit = fitted(counts, fake_fit)
    assert "divergent draws" in verdict_section(fit).explanation
    stats = fit.data["sample_stats"].to_dataset()[["acceptance_rate", "lp"]]
    fit.data["sample_stats"].dataset = stats
    found = verdict_section(fit).explanation
    assert "divergent" not in found
    assert "the share of proposed draws that the sampler accepted" in found
