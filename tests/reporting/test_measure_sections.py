"""The section on explained variance and median ratios, for models that have them and others."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import bayesml as bml
from bayesml.records.fits import Fit
from bayesml.reporting.measure_sections import measures_section

MakeFit = Callable[..., Fit]


def fitted(fake_fit: MakeFit, family: str, **options: object) -> Fit:
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        {"y": rng.integers(0, 2, 120), "x": rng.normal(size=120), "g": np.arange(120) % 12}
    )
    model = bml.two_level(table, "y ~ x", group="g", family=family, **options)
    return fake_fit(model, draws=40, values={"sd_g": [0.4752]})


@pytest.mark.parametrize(
    ("family", "words", "ratio"),
    [
        # exp(sqrt(2 x 0.4752^2) x 0.6745)
        ("binomial", "Median odds ratio", "1.57"),
        ("poisson", "Median rate ratio", "1.57"),
        ("negative_binomial", "Median rate ratio", "1.57"),
    ],
)
def test_links_with_a_ratio_have_its_table(
    fake_fit: MakeFit, family: str, words: str, ratio: str
) -> None:
    section = measures_section(fitted(fake_fit, family), 0.89)
    explained, ratios = section.tables
    assert explained.caption.startswith("R2 of Nakagawa")
    assert [row[0] for row in explained.content.rows] == ["marginal", "conditional"]
    assert ratios.caption.startswith(words)
    assert ratio in ratios.content.text


def test_other_links_have_r2_alone(fake_fit: MakeFit) -> None:
    section = measures_section(fitted(fake_fit, "binomial", link="probit"), 0.89)
    (explained,) = section.tables
    assert explained.caption.startswith("R2")


def test_what_is_not_defined_is_said(fake_fit: MakeFit) -> None:
    categories = fitted(fake_fit, "adjacent_category")
    section = measures_section(categories, 0.89)
    assert any("level-1 variance" in sentence for sentence in section.sentences)
    assert all("R2" not in table.caption for table in section.tables)


def test_without_groupings_or_a_ratio_r2_stands_alone(fake_fit: MakeFit) -> None:
    alone = bml.model(bml.load_dataset("exam"), "normexam ~ standLRT")
    for fit in (fitted(fake_fit, "gaussian"), fake_fit(alone, draws=40)):
        (explained,) = measures_section(fit, 0.89).tables
        assert explained.caption.startswith("R2")
